//! The plugin of `streams_sample.py` in Rust: it streams both ways and talks over WebSockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::digest::{Context, SHA256};
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::sleep;
use toru_plugin_api::{
    HttpRequest, HttpResponse, PluginContext, PluginError, PluginFuture, PluginMetadata,
    RequestBody, ServerEvent, SocketMessage, ToruPlugin, WebSocket,
};

const PIECE: usize = 100_000;

#[derive(Default)]
pub struct Streams {
    seen: Seen,
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// Notes something when it is dropped.
    fn at_the_end(&self, what: impl Into<String>) -> AtTheEnd {
        AtTheEnd { seen: self.clone(), what: what.into() }
    }
}

struct AtTheEnd {
    seen: Seen,
    what: String,
}

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        if !self.what.is_empty() {
            self.seen.note(&self.what);
        }
    }
}

impl ToruPlugin for Streams {
    fn metadata(&self) -> PluginMetadata {
        PluginMetadata::new("streams", "Streams", "1.0.0", "/streams").with_author("Toru")
    }

    fn handle_http(
        &self,
        request: HttpRequest,
        _: PluginContext,
    ) -> PluginFuture<'_, HttpResponse> {
        Box::pin(async move {
            let path = request.path.as_str();
            let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
            match first {
                "seen" => HttpResponse::json(&std::mem::take(&mut *self.seen.0.lock().unwrap())),
                "whole" => HttpResponse::json(&json!({
                    "size": request.body.len(),
                    "text": request.text().chars().take(20).collect::<String>(),
                    "head": request.body.iter().take(4).collect::<Vec<_>>(),
                })),
                "json" => HttpResponse::json(&request.json::<Value>()?),
                "blob" => self.blob(rest.trim_start_matches("plain/").parse().unwrap_or(0)),
                "table" => table(rest.parse().unwrap_or(0)),
                "fails" => fails(rest),
                "events" => Ok(self.events(request.query_value("name").unwrap_or_default())),
                "work" => {
                    let _end = self.seen.at_the_end("work: True");
                    self.seen.note("work begun");
                    sleep(Duration::from_secs(20)).await;
                    Ok(HttpResponse::empty(204))
                }
                _ => Err(PluginError::not_found()),
            }
        })
    }

    fn handle_stream(
        &self,
        mut request: HttpRequest,
        mut body: RequestBody,
        context: PluginContext,
    ) -> PluginFuture<'_, HttpResponse> {
        Box::pin(async move {
            match request.path.as_str() {
                "/digest" | "/digest/plain" => digest(body).await,
                "/lines" => self.lines(body).await,
                "/small" => Ok(HttpResponse::text(body.collect(1000).await?.len().to_string())),
                "/unread" => {
                    let seconds = request.query_value("s").and_then(|s| s.parse().ok());
                    sleep(Duration::from_secs(seconds.unwrap_or(0))).await;
                    drop(body);
                    Ok(HttpResponse::text("not read"))
                }
                "/left" => {
                    // Nobody reads the body, which must not hold the answer up.
                    drop(body);
                    self.blob(1_000_000)
                }
                "/echo" => {
                    Ok(HttpResponse::stream_with("application/octet-stream", |answer| async move {
                        while let Some(chunk) = body.next_chunk().await? {
                            answer.send(chunk).await?;
                        }
                        Ok(())
                    }))
                }
                _ => {
                    request.body = body.collect(self.max_body_bytes()).await?;
                    self.handle_http(request, context).await
                }
            }
        })
    }

    fn handle_websocket(&self, mut socket: WebSocket, _: PluginContext) -> PluginFuture<'_, ()> {
        Box::pin(async move {
            let path = socket.request().path.clone();
            let (kind, rest) = path["/ws/".len()..].split_once('/').unwrap_or((&path[4..], ""));
            match kind {
                "echo" => self.echo(socket, rest).await,
                "notes" => {
                    while let Some(message) = socket.next().await {
                        if let SocketMessage::Text(text) = message {
                            self.seen.note(text);
                        }
                    }
                    self.seen.note(format!("notes: {}", code_of(&socket)));
                    Ok(())
                }
                "fails" => {
                    if rest == "after" {
                        socket.send("now").await?;
                    }
                    Err("secret detail".into())
                }
                "closes" => self.closes(&socket, rest).await,
                "deaf" => {
                    let _end = self.seen.at_the_end("deaf ended");
                    socket.accept().await?;
                    sleep(Duration::from_secs(3600)).await;
                    Ok(())
                }
                "flood" => {
                    let _end = self.seen.at_the_end("flood ended");
                    let message = vec![0_u8; rest.parse().unwrap_or(0)];
                    loop {
                        socket.send(message.clone()).await?;
                    }
                }
                _ => Err(PluginError::not_found()),
            }
        })
    }

    fn max_body_bytes(&self) -> usize {
        1_000_000
    }
}

impl Streams {
    async fn lines(&self, body: RequestBody) -> Result<HttpResponse, PluginError> {
        self.seen.note("lines begun");
        let mut end = self.seen.at_the_end("lines: 1006 True");
        let (mut reader, mut lines) = (BufReader::new(body), Vec::new());
        let mut line = String::new();
        while reader.read_line(&mut line).await? > 0 {
            lines.push(std::mem::take(&mut line));
        }
        end.what.clear();
        HttpResponse::json(&lines)
    }

    fn blob(&self, size: usize) -> Result<HttpResponse, PluginError> {
        let end = self.seen.at_the_end("blob closed");
        Ok(HttpResponse::stream_with("application/octet-stream", |body| async move {
            let _end = end;
            let mut left = size;
            while left > 0 {
                let count = left.min(PIECE);
                body.send(vec![0; count]).await?;
                left -= count;
            }
            Ok(())
        }))
    }

    fn events(&self, name: String) -> HttpResponse {
        let end = self.seen.at_the_end(format!("events closed {name}"));
        let response = HttpResponse::events(|events| async move {
            let _end = end;
            let tick = ServerEvent::json(&json!({"n": 1}))?.with_event("tick").with_id("1");
            events.send(tick.with_retry(Duration::from_millis(500))).await?;
            events.send("two\nlines").await?;
            sleep(Duration::from_secs(3600)).await;
            Ok(())
        });
        response.with_keep_alive(Some(Duration::from_millis(50)))
    }

    async fn echo(&self, mut socket: WebSocket, room: &str) -> Result<(), PluginError> {
        socket.set_max_message_bytes(1_000_000);
        if room == "locked" {
            return Err(PluginError::http(403, "locked", "This room is locked."));
        }
        if room == "named" {
            let (request, sender) = (socket.request(), socket.sender());
            let (user, role) = (request.user.as_deref(), request.role.as_deref());
            let a = request.query_value("a").unwrap_or_default();
            let told = format!("{} {} {{'a': '{a}'}}", user.unwrap_or(""), role.unwrap_or(""));
            sender.send(told).await?;
        }
        while let Some(message) = socket.next().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
        self.seen.note(format!("{room}: {}", code_of(&socket)));
        Ok(())
    }

    async fn closes(&self, socket: &WebSocket, code: &str) -> Result<(), PluginError> {
        if code == "silently" {
            return Ok(());
        }
        if code != "unaccepted" {
            socket.accept().await?;
        }
        socket.close(code.parse().unwrap_or(1000)).await?;
        if socket.send("late").await.is_err() {
            self.seen.note("Disconnected");
        }
        Ok(())
    }
}

async fn digest(mut body: RequestBody) -> Result<HttpResponse, PluginError> {
    let (mut whole, mut size) = (Context::new(&SHA256), 0);
    while let Some(chunk) = body.next_chunk().await? {
        whole.update(&chunk);
        size += chunk.len();
    }
    let digest: String = whole.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    HttpResponse::json(&json!({"digest": digest, "size": size}))
}

fn table(lines: usize) -> Result<HttpResponse, PluginError> {
    Ok(HttpResponse::stream_with("text/csv", move |body| async move {
        for n in 0..lines {
            body.send(format!("{n}\n")).await?;
        }
        Ok(())
    }))
}

fn fails(when: &str) -> Result<HttpResponse, PluginError> {
    let when = when.to_owned();
    Ok(HttpResponse::stream_with("text/plain", |body| async move {
        match when.as_str() {
            "refused" => {
                return Err(PluginError::http(409, "tea", "There is tea already."));
            }
            "later" => body.send("begun").await?,
            _ => {}
        }
        panic!("secret detail")
    }))
}

fn code_of(socket: &WebSocket) -> u16 {
    socket.close_code().unwrap_or(0)
}
