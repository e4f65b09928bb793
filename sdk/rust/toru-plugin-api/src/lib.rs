//! Write plugins for Toru in Rust.
//!
//! A plugin implements [`ToruPlugin`], and its `main` is [`run`]: that speaks both versions of the
//! plugin protocol with the core. [`PluginContext`] is the way to the core, whose storage for the
//! plugin is [`PluginContext::kv`].
//!
//! Those who speak the protocol by themselves find [`listen_on_unix_socket`], [`read_message`] and
//! [`write_message`] here.

#![deny(missing_docs)]
// Not for authors, whose compilers may be newer and warn of more.
#![cfg_attr(test, deny(warnings))]
#![forbid(unsafe_code)]

mod body;
mod calls;
mod context;
mod credit;
mod error;
mod events;
mod exchange;
mod frame;
mod guarded;
mod http;
mod listen;
mod log;
mod notices;
mod outgoing;
mod pieces;
mod plugin;
mod run;
mod server;
mod session_v1;
mod session_v2;
mod socket;
pub mod testing;
mod testing_core;
mod testing_store;

pub use body::RequestBody;
pub use context::{KvEntry, KvOptions, KvStore, PluginContext};
pub use error::PluginError;
pub use events::{EventSender, ServerEvent};
pub use frame::{read_message, write_message, Message, MAX_MESSAGE_BYTES};
pub use http::{Headers, HttpRequest, HttpResponse};
pub use listen::listen_on_unix_socket;
pub use log::LogLevel;
pub use notices::PluginEvent;
pub use pieces::BodySender;
pub use plugin::{KvAction, KvRequest, PluginFuture, PluginMetadata, ToruPlugin};
pub use run::run;
pub use server::serve;
pub use socket::{SocketMessage, SocketSender, WebSocket};
