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

mod calls;
mod context;
mod error;
mod exchange;
mod frame;
mod http;
mod listen;
mod log;
mod outgoing;
mod plugin;
mod run;
mod server;
mod session_v1;
mod session_v2;

pub use context::{KvEntry, KvOptions, KvStore, PluginContext};
pub use error::PluginError;
pub use frame::{read_message, write_message, Message, MAX_MESSAGE_BYTES};
pub use http::{BodySender, Headers, HttpRequest, HttpResponse};
pub use listen::listen_on_unix_socket;
pub use log::LogLevel;
pub use plugin::{KvAction, KvRequest, PluginFuture, PluginMetadata, ToruPlugin};
pub use run::run;
pub use server::serve;
