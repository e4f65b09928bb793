//! __plugin_name__: what it answers.

use std::process::ExitCode;

use serde_json::json;
use tokio::sync::Mutex;
use toru_plugin_api::{
    HttpRequest, HttpResponse, LogLevel, PluginContext, PluginError, PluginFuture, PluginMetadata,
    ToruPlugin,
};

#[derive(Default)]
struct MyPlugin {
    /// Reading and writing the counter are two calls; requests must not come between them.
    turn: Mutex<()>,
}

impl ToruPlugin for MyPlugin {
    fn metadata(&self) -> PluginMetadata {
        let version = env!("CARGO_PKG_VERSION");
        PluginMetadata::new("__plugin_id__", "__plugin_name__", version, "/__plugin_id__")
            .with_author("__plugin_author__")
            .with_icon("🦀")
    }

    fn bundle(&self) -> Option<&str> {
        Some(include_str!("../bundle.js"))
    }

    fn handle_http(
        &self,
        request: HttpRequest,
        context: PluginContext,
    ) -> PluginFuture<'_, HttpResponse> {
        Box::pin(async move {
            match (request.method.as_str(), request.path.as_str()) {
                ("GET", "/") => HttpResponse::json(&json!({ "message": greeting(&request) })),
                ("GET", "/api/counter") => answer(count_of(context.kv().get("count").await?)),
                ("POST", "/api/counter") => self.count_one_more(&request, &context).await,
                ("DELETE", "/api/counter") => {
                    context.kv().delete("count").await?;
                    answer(0)
                }
                _ => Err(PluginError::not_found()),
            }
        })
    }
}

impl MyPlugin {
    async fn count_one_more(
        &self,
        request: &HttpRequest,
        context: &PluginContext,
    ) -> Result<HttpResponse, PluginError> {
        let _turn = self.turn.lock().await;
        let count = count_of(context.kv().get("count").await?) + 1;
        context.kv().set("count", &count.to_string()).await?;
        let fields = json!({ "count": count, "user": request.user });
        context.log(LogLevel::Info, "counted", fields);
        answer(count)
    }
}

fn greeting(request: &HttpRequest) -> String {
    format!("Hello, {}!", request.user.as_deref().unwrap_or("world"))
}

/// Returns the stored count; 0 before the first.
fn count_of(stored: Option<String>) -> u64 {
    stored.and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn answer(count: u64) -> Result<HttpResponse, PluginError> {
    HttpResponse::json(&json!({ "count": count }))
}

fn main() -> ExitCode {
    toru_plugin_api::run(MyPlugin::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use toru_plugin_api::testing::PluginTest;

    #[tokio::test]
    async fn it_greets_whoever_asks() -> Result<(), PluginError> {
        let test = PluginTest::start(MyPlugin::default()).await?;
        let answer = test.get("/").user("anna").send().await?;
        assert_eq!(answer.json::<Value>()?, json!({ "message": "Hello, anna!" }));
        Ok(())
    }

    #[tokio::test]
    async fn it_counts_and_keeps_the_count() -> Result<(), PluginError> {
        let test = PluginTest::with(MyPlugin::default()).kv("count", "41").start().await?;
        let answer = test.post("/api/counter").user("anna").send().await?;
        assert_eq!(answer.json::<Value>()?, json!({ "count": 42 }));
        assert_eq!(test.kv()["count"], "42");
        assert_eq!(test.logs().await[0].fields, json!({ "count": 42, "user": "anna" }));
        let answer = test.request("DELETE", "/api/counter").send().await?;
        assert_eq!(answer.json::<Value>()?, json!({ "count": 0 }));
        assert!(test.kv().is_empty());
        Ok(())
    }
}
