//! What a plugin is.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::body::RequestBody;
use crate::context::PluginContext;
use crate::error::PluginError;
use crate::http::{HttpRequest, HttpResponse};
use crate::notices::PluginEvent;
use crate::socket::WebSocket;

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
    /// Whether its page is to run in a sandbox, apart from the dashboard's own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sandbox: bool,
    /// What can be set for it: a JSON Schema, from which the dashboard draws a form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// Whether [`ToruPlugin::on_config`] takes changed settings; without it the plugin is restarted.
    #[serde(skip)]
    pub has_live_settings: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde calls it so
fn is_false(value: &bool) -> bool {
    !value
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
            sandbox: false,
            settings: None,
            has_live_settings: false,
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

    /// Has the page run in a sandbox.
    pub fn with_sandbox(mut self) -> Self {
        self.sandbox = true;
        self
    }

    /// Sets what can be set for it: a JSON Schema. The values are [`PluginContext::config`]. When
    /// somebody changes them, the plugin is restarted.
    pub fn with_settings(mut self, schema: Value) -> Self {
        self.settings = Some(schema);
        self
    }

    /// Sets what can be set for it, too. When somebody changes the values, the plugin goes on, and
    /// its [`on_config`](ToruPlugin::on_config) is called.
    pub fn with_live_settings(mut self, schema: Value) -> Self {
        self.has_live_settings = true;
        self.with_settings(schema)
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

    /// Answers a request whose body is read as it comes. Without it the body is collected, up to
    /// [`max_body_bytes`](Self::max_body_bytes), and [`handle_http`](Self::handle_http) called.
    ///
    /// ```
    /// # use toru_plugin_api::*;
    /// # struct Plugin;
    /// # impl ToruPlugin for Plugin {
    /// # fn metadata(&self) -> PluginMetadata { PluginMetadata::new("a", "A", "1", "/a") }
    /// # fn handle_http(&self, _: HttpRequest, _: PluginContext) -> PluginFuture<'_, HttpResponse> {
    /// #     Box::pin(async { Err(PluginError::not_found()) })
    /// # }
    /// fn handle_stream(
    ///     &self,
    ///     mut request: HttpRequest,
    ///     mut body: RequestBody,
    ///     context: PluginContext,
    /// ) -> PluginFuture<'_, HttpResponse> {
    ///     Box::pin(async move {
    ///         if request.path != "/count-bytes" {
    ///             request.body = body.collect(self.max_body_bytes()).await?;
    ///             return self.handle_http(request, context).await;
    ///         }
    ///         let mut size = 0;
    ///         while let Some(chunk) = body.next_chunk().await? {
    ///             size += chunk.len();
    ///         }
    ///         HttpResponse::json(&size)
    ///     })
    /// }
    /// # }
    /// ```
    fn handle_stream(
        &self,
        mut request: HttpRequest,
        body: RequestBody,
        context: PluginContext,
    ) -> PluginFuture<'_, HttpResponse> {
        Box::pin(async move {
            request.body = body.collect(self.max_body_bytes()).await?;
            self.handle_http(request, context).await
        })
    }

    /// Talks over a WebSocket below the plugin's route (version 2). An error before it is accepted
    /// refuses it; without this method all are, with 404.
    ///
    /// When it returns, the WebSocket is closed with 1000; when it fails, with 1011. One that goes
    /// on after the browser has left is dropped five seconds later.
    fn handle_websocket(&self, socket: WebSocket, context: PluginContext) -> PluginFuture<'_, ()> {
        let _ = (socket, context);
        Box::pin(async { Err(PluginError::not_found()) })
    }

    /// Takes it that somebody has changed the plugin's settings, all of which `config` has; see
    /// [`PluginMetadata::with_live_settings`]. Called after [`init`](Self::init), one change after
    /// the other; of many at once, with the last.
    fn on_config(&self, config: Value, context: PluginContext) -> PluginFuture<'_, ()> {
        let _ = (config, context);
        Box::pin(async { Ok(()) })
    }

    /// Handles an event that the plugin has subscribed to with [`PluginContext::subscribe`], one
    /// after the other.
    fn handle_event(&self, event: PluginEvent, context: PluginContext) -> PluginFuture<'_, ()> {
        let _ = (event, context);
        Box::pin(async { Ok(()) })
    }

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

    /// Returns how long the body of a request may be that is collected, in bytes; a longer one is
    /// answered with 413.
    fn max_body_bytes(&self) -> usize {
        16 * 1024 * 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_say_no_more_than_was_set() {
        let plain = PluginMetadata::new("a", "A", "1", "/a");
        let told = json!({"id": "a", "name": "A", "version": "1", "route": "/a"});
        assert_eq!(json!(plain), told);
        let schema = json!({"type": "object", "properties": {"colour": {"type": "string"}}});
        let more = json!(plain.with_sandbox().with_settings(schema.clone()));
        assert_eq!((&more["sandbox"], &more["settings"]), (&json!(true), &schema));
    }
}
