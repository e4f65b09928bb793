//! Plugins that do what the tests of the library want to see; the program's name says which one.

#![deny(warnings)]

mod streams;

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{json, Value};
use tokio::time::sleep;
use toru_plugin_api::{
    HttpRequest, HttpResponse, KvAction, KvOptions, KvRequest, LogLevel, PluginContext,
    PluginError, PluginEvent, PluginFuture, PluginMetadata, ToruPlugin,
};

#[derive(Default)]
struct Sample {
    trouble: Mutex<String>,
}

impl ToruPlugin for Sample {
    fn metadata(&self) -> PluginMetadata {
        let colour = json!({"type": "string", "title": "Colour", "default": "blue"});
        let settings = json!({"type": "object", "properties": {"colour": colour}});
        PluginMetadata::new("sample", "Sample", "1.0.0", "/sample").with_live_settings(settings)
    }

    fn init(&self, context: PluginContext) -> PluginFuture<'_, ()> {
        Box::pin(async move {
            match std::env::var("SAMPLE_START").as_deref() {
                Ok("configuration") => {
                    Err(PluginError::NeedsConfiguration("set the address".into()))
                }
                Ok("crash") => panic!("it crashed"),
                Ok("slow") => {
                    context.status("Reading the index", Duration::from_secs(60)).await;
                    sleep(Duration::from_millis(500)).await;
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }

    fn handle_http(
        &self,
        request: HttpRequest,
        context: PluginContext,
    ) -> PluginFuture<'_, HttpResponse> {
        Box::pin(async move {
            let (first, rest) =
                request.path[1..].split_once('/').unwrap_or((&request.path[1..], ""));
            let number = || rest.parse::<f64>().unwrap_or(0.0);
            match first {
                "text" => Ok(HttpResponse::text("grüße")),
                "echo" => echo(&request),
                "about" => about(&context),
                "nothing" => Ok(HttpResponse::empty(204)),
                "made" => Ok(HttpResponse::bytes("text/tea", "tea")
                    .with_status(418)
                    .with_header("X-A", "1")
                    .with_header("X-A", "2")),
                "json" => HttpResponse::json(&request.json::<Value>()?),
                "digest" => HttpResponse::json(&json!({
                    "size": request.body.len(),
                    "sum": request.body.iter().map(|byte| u64::from(*byte)).sum::<u64>(),
                })),
                "bytes" => Ok(HttpResponse::bytes("application/octet-stream", vec![0xff])),
                "big" => Ok(HttpResponse::text("x".repeat(number() as usize))),
                "control" => Ok(HttpResponse::text("\u{1}".repeat(number() as usize))),
                "slow" => {
                    sleep(Duration::from_secs_f64(number())).await;
                    Ok(HttpResponse::text("slow"))
                }
                "panic" => panic!("secret detail"),
                "fails" => Err("secret detail".into()),
                "header" => Ok(HttpResponse::text("a").with_header("X-A", "b\r\nX-B: secret")),
                "teapot" => Err(PluginError::http(409, "conflict", "There is tea already.")),
                "kv" => use_keys(&context).await,
                "kv2" => use_keys_of_version_2(&context).await,
                "call" => match context.call("task.run", json!({})).await {
                    Err(PluginError::Call { code, message, .. }) => {
                        HttpResponse::json(&json!({"code": code, "message": message}))
                    }
                    other => Err(format!("{other:?} is no refusal").into()),
                },
                "report" => {
                    context.log(LogLevel::Info, "seen", json!({"size": 3}));
                    context.emit("seen", json!({"size": 3})).await?;
                    Ok(HttpResponse::empty(204))
                }
                "flood" => {
                    for n in 0..500 {
                        context.log(LogLevel::Info, "line", json!({ "n": n }));
                    }
                    Ok(HttpResponse::empty(204))
                }
                "health" => {
                    *self.trouble.lock().unwrap() = request.text().into_owned();
                    Ok(HttpResponse::empty(204))
                }
                "subscribe" => {
                    context.subscribe(rest).await?;
                    Ok(HttpResponse::empty(204))
                }
                "licence" => verify(&request.json()?),
                "events" => Ok(events(context)),
                "broken" => Ok(broken()),
                _ => Err(PluginError::not_found()),
            }
        })
    }

    fn handle_kv(
        &self,
        request: KvRequest,
        context: PluginContext,
    ) -> PluginFuture<'_, Option<String>> {
        Box::pin(async move {
            match (request.action, request.value) {
                (KvAction::Get, _) => context.kv().get(&request.key).await,
                (KvAction::Set, Some(value)) => {
                    context.kv().set(&request.key, &value).await?;
                    Ok(Some(value))
                }
                _ => Err("It is for reading and setting only.".into()),
            }
        })
    }

    fn on_config(&self, config: Value, context: PluginContext) -> PluginFuture<'_, ()> {
        Box::pin(async move {
            context.log(LogLevel::Info, "new settings", config.clone());
            match config["colour"].as_str() {
                Some("none") => Err("it is no colour".into()),
                _ => Ok(()),
            }
        })
    }

    fn handle_event(&self, event: PluginEvent, context: PluginContext) -> PluginFuture<'_, ()> {
        Box::pin(async move {
            let PluginEvent { name, data, timestamp, .. } = event;
            let fields = json!({"name": name, "data": data, "at": timestamp});
            context.log(LogLevel::Info, "an event", fields);
            if data == json!("bad") {
                panic!("it is no event");
            }
            Ok(())
        })
    }

    fn health(&self, _: PluginContext) -> PluginFuture<'_, ()> {
        let trouble = self.trouble.lock().unwrap().clone();
        Box::pin(async move {
            if trouble.is_empty() {
                Ok(())
            } else {
                Err(trouble.into())
            }
        })
    }

    fn shutdown(&self, context: PluginContext) -> PluginFuture<'_, ()> {
        Box::pin(async move {
            context.info("stopped in order");
            Ok(())
        })
    }

    fn max_body_bytes(&self) -> usize {
        8 * 1024 * 1024
    }
}

fn echo(request: &HttpRequest) -> Result<HttpResponse, PluginError> {
    HttpResponse::json(&json!({
        "method": request.method,
        "path": request.path,
        "a": request.query_value("a"),
        "user": request.user,
        "role": request.role,
        "header": request.header("x-one"),
        "body": request.text(),
    }))
}

fn about(context: &PluginContext) -> Result<HttpResponse, PluginError> {
    HttpResponse::json(&json!({
        "protocol": context.protocol(),
        "instance_id": context.instance_id(),
        "config": context.config(),
        "data_dir": context.data_dir(),
        "log_path": context.log_path(),
    }))
}

async fn use_keys(context: &PluginContext) -> Result<HttpResponse, PluginError> {
    let kv = context.kv();
    kv.set("a", "1").await?;
    let first = kv.get("a").await?;
    kv.delete("a").await?;
    HttpResponse::json(&json!([first, kv.get("a").await?]))
}

async fn use_keys_of_version_2(context: &PluginContext) -> Result<HttpResponse, PluginError> {
    let kv = context.kv();
    let options = KvOptions { ttl: Some(Duration::from_secs(60)), if_version: Some(0) };
    let version = kv.set_with("b", "2", options).await?;
    let entry = kv.entry("b").await?.ok_or("it is gone")?;
    kv.set("b/c", "3").await?;
    let listed = kv.list("b").await?;
    let again = match kv.set_with("b", "4", options).await {
        Err(PluginError::Call { code, .. }) => code,
        other => format!("{other:?}"),
    };
    HttpResponse::json(&json!([version.is_some(), entry.value, listed, again]))
}

fn events(context: PluginContext) -> HttpResponse {
    let (response, body) = HttpResponse::stream("text/event-stream");
    tokio::spawn(async move {
        let mut count = 0;
        while body.send(format!("data: {count}\n\n")).await.is_ok() {
            count += 1;
            tokio::select! {
                _ = sleep(Duration::from_millis(20)) => {}
                _ = body.closed() => {}
            }
        }
        context.info("the events are over");
    });
    response
}

/// Verifies a licence as of a moment, so that the tests can compare what other libraries say.
fn verify(asked: &Value) -> Result<HttpResponse, PluginError> {
    let text = |name: &str| asked[name].as_str().unwrap_or("");
    let now = UNIX_EPOCH + Duration::from_secs(asked["now"].as_u64().unwrap_or(0));
    let (key, instance, plugin) = (text("key"), text("instance"), text("plugin"));
    match toru_plugin_licence::verify_at(now, text("text"), key, instance, plugin) {
        Ok(found) => {
            HttpResponse::json(&json!([found.instance, found.plugin, found.expires, found.to]))
        }
        Err(error) => HttpResponse::json(&json!([error.code(), error.sentence()])),
    }
}

fn broken() -> HttpResponse {
    let (response, body) = HttpResponse::stream("text/plain");
    tokio::spawn(async move {
        let _ = body.send("the first half").await;
        body.abort().await;
    });
    response
}

fn main() -> ExitCode {
    let program = std::env::args().next().unwrap_or_default();
    if program.ends_with("/streams.binary") {
        toru_plugin_api::run(streams::Streams::default())
    } else {
        toru_plugin_api::run(Sample::default())
    }
}
