//! What a plugin is.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::context::PluginContext;
use crate::error::PluginError;
use crate::http::{HttpRequest, HttpResponse};

/// What the methods of [`ToruPlugin`] return: `Box::pin(async move { … })`.
pub type PluginFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, PluginError>> + Send + 'a>>;

/// What a plugin says of itself, printed for `--metadata`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginMetadata {
    /// Letters, digits and hyphens; the name of its storage, too.
    pub id: String,
    /// For people.
    pub name: String,
    /// Such as `1.0.0`.
    pub version: String,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A character or two for the dashboard, such as an emoji.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Where its HTTP interface is: `/hello` is reached at `/api/plugins/route/hello/…`.
    pub route: String,
}

impl PluginMetadata {
    /// Returns metadata with neither author nor icon.
    pub fn new(id: &str, name: &str, version: &str, route: &str) -> Self {
        PluginMetadata {
            id: id.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            author: None,
            icon: None,
            route: route.to_owned(),
        }
    }

    /// Sets who wrote it.
    pub fn with_author(mut self, author: &str) -> Self {
        self.author = Some(author.to_owned());
        self
    }

    /// Sets the icon.
    pub fn with_icon(mut self, icon: &str) -> Self {
        self.icon = Some(icon.to_owned());
        self
    }
}

/// What a core asks of the plugin's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvAction {
    /// Return the value of a key.
    Get,
    /// Set a key.
    Set,
    /// Delete a key.
    Delete,
}

/// A core's question about the plugin's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvRequest {
    /// What to do.
    pub action: KvAction,
    /// With which key.
    pub key: String,
    /// For [`KvAction::Set`].
    pub value: Option<String>,
}

/// A plugin. [`run`](crate::run) makes a program of it.
///
/// Requests are handled side by side, so a plugin keeps what it changes behind a lock. Handlers run
/// on the threads of tokio: what blocks for long belongs into `tokio::task::spawn_blocking`.
/// When whoever asked has left, or the time is up, the future of the handler is dropped.
pub trait ToruPlugin: Send + Sync + 'static {
    /// Says who the plugin is.
    fn metadata(&self) -> PluginMetadata;

    /// Prepares the plugin; requests come afterwards. An error ends the process.
    fn init(&self, context: PluginContext) -> PluginFuture<'_, ()> {
        let _ = context;
        Box::pin(async { Ok(()) })
    }

    /// Answers a request below the plugin's route.
    fn handle_http(
        &self,
        request: HttpRequest,
        context: PluginContext,
    ) -> PluginFuture<'_, HttpResponse>;

    /// Answers a core that asks the plugin for its keys, which only version 1 of the protocol
    /// can. Toru keeps the keys itself and does not ask, so the default refuses.
    fn handle_kv(
        &self,
        request: KvRequest,
        context: PluginContext,
    ) -> PluginFuture<'_, Option<String>> {
        let _ = (request, context);
        Box::pin(async { Err("This plugin keeps its keys in the core.".into()) })
    }

    /// Returns the script of the plugin's page, served as `GET /bundle.js`; None: no page.
    fn bundle(&self) -> Option<&str> {
        None
    }

    /// Says whether the plugin is well; asked now and then. An error marks it as degraded.
    fn health(&self, context: PluginContext) -> PluginFuture<'_, ()> {
        let _ = context;
        Box::pin(async { Ok(()) })
    }

    /// Tidies up before the process ends; there are 4 seconds for it.
    fn shutdown(&self, context: PluginContext) -> PluginFuture<'_, ()> {
        let _ = context;
        Box::pin(async { Ok(()) })
    }

    /// Returns how long the body of a request may be, in bytes; a longer one is answered with 413.
    fn max_body_bytes(&self) -> usize {
        16 * 1024 * 1024
    }
}
