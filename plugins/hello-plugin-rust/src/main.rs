//! The hello plugin: a greeting, and a counter that survives restarts.

use std::process::ExitCode;

use serde_json::json;
use tokio::sync::Mutex;
use toru_plugin_api::{
    HttpRequest, HttpResponse, LogLevel, PluginContext, PluginError, PluginFuture, PluginMetadata,
    ToruPlugin,
};

#[derive(Default)]
struct Hello {
    /// Reading and writing the counter are two calls; requests must not come between them.
    turn: Mutex<()>,
}

impl ToruPlugin for Hello {
    fn metadata(&self) -> PluginMetadata {
        let version = env!("CARGO_PKG_VERSION");
        PluginMetadata::new("hello-plugin-rust", "Hello World (Rust)", version, "/hello-rust")
            .with_author("Toru")
            .with_icon("🦀")
    }

    fn bundle(&self) -> Option<&str> {
        Some(include_str!("../bundle.js"))
    }

    fn init(&self, context: PluginContext) -> PluginFuture<'_, ()> {
        Box::pin(async move {
            let version = self.metadata().version;
            context
                .info(&format!("Hello plugin {version} speaks protocol {}.", context.protocol()));
            Ok(())
        })
    }

    fn handle_http(
        &self,
        request: HttpRequest,
        context: PluginContext,
    ) -> PluginFuture<'_, HttpResponse> {
        Box::pin(async move {
            match (request.method.as_str(), request.path.as_str()) {
                ("GET" | "HEAD", "/") => greet(&request),
                ("GET" | "HEAD", "/api/counter") => counted(read_count(&context).await?),
                ("POST", "/api/counter") => self.count_one_more(&context).await,
                (_, "/" | "/api/counter") => {
                    Err(PluginError::http(405, "method_not_allowed", "That cannot be done here."))
                }
                _ => Err(PluginError::not_found()),
            }
        })
    }
}

impl Hello {
    async fn count_one_more(&self, context: &PluginContext) -> Result<HttpResponse, PluginError> {
        let _turn = self.turn.lock().await;
        let count = read_count(context).await? + 1;
        context.kv().set("count", &count.to_string()).await?;
        context.log(LogLevel::Info, "The button was pressed.", json!({ "count": count }));
        counted(count)
    }
}

fn greet(request: &HttpRequest) -> Result<HttpResponse, PluginError> {
    let asked = request.query_value("name").filter(|name| !name.is_empty());
    let name = asked.or_else(|| request.user.clone()).unwrap_or_else(|| "world".to_owned());
    HttpResponse::json(&json!({ "message": format!("Hello, {name}!") }))
}

/// Returns the stored count; 0 before the first.
async fn read_count(context: &PluginContext) -> Result<u64, PluginError> {
    let stored = context.kv().get("count").await?;
    stored.map_or(Ok(0), |count| count.parse().map_err(PluginError::other))
}

fn counted(count: u64) -> Result<HttpResponse, PluginError> {
    HttpResponse::json(&json!({ "count": count }))
}

fn main() -> ExitCode {
    toru_plugin_api::run(Hello::default())
}
