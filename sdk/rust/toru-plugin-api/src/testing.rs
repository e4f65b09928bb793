//! A core in memory, for the tests of a plugin: no hub, no process.
//!
//! ```
//! # use toru_plugin_api::*;
//! # struct Counter;
//! # impl ToruPlugin for Counter {
//! #     fn metadata(&self) -> PluginMetadata { PluginMetadata::new("a", "A", "1", "/a") }
//! #     fn handle_http(&self, _: HttpRequest, context: PluginContext)
//! #         -> PluginFuture<'_, HttpResponse> {
//! #         Box::pin(async move {
//! #             context.kv().set("count", "42").await?;
//! #             HttpResponse::json(&serde_json::json!({"count": 42}))
//! #         })
//! #     }
//! # }
//! use toru_plugin_api::testing::PluginTest;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), PluginError> {
//! let test = PluginTest::with(Counter).kv("count", "41").start().await?;
//! let answer = test.post("/api/counter").user("anna").send().await?;
//! assert_eq!(answer.text(), r#"{"count":42}"#);
//! assert_eq!(test.kv()["count"], "42");
//! test.stop().await
//! # }
//! ```
//!
//! The plugin is spoken to as a hub does, with frames and credit, over a pair of sockets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::{json, Value};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::calls::lock;
use crate::error::PluginError;
use crate::events::ServerEvent;
use crate::frame::{FLAG_END, FLAG_TEXT};
use crate::http::{Headers, HttpRequest};
use crate::plugin::ToruPlugin;
use crate::server::{self, Server};
use crate::socket::SocketMessage;
use crate::testing_core::{Core, Known, Line, Told};

const MAX_INLINE_BYTES: usize = 128 * 1024;

/// A line of the plugin's log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it says.
    pub message: String,
    /// What belongs to it.
    pub fields: Value,
}

/// An event that the plugin has told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToldEvent {
    /// Its name.
    pub name: String,
    /// What belongs to it.
    pub data: Value,
}

/// A plugin that is to be tested, before it starts.
pub struct TestSetup {
    plugin: Box<dyn ToruPlugin>,
    known: Known,
}

impl std::fmt::Debug for TestSetup {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("TestSetup").finish_non_exhaustive()
    }
}

impl TestSetup {
    /// Stores a key.
    pub fn kv(mut self, key: &str, value: &str) -> Self {
        self.known.store.put(key, value);
        self
    }

    /// Sets values of the plugin's settings; the others have their defaults.
    pub fn config(mut self, config: Value) -> Self {
        self.known.config = config;
        self
    }

    /// Answers a further method of the core, such as `task.run`.
    pub fn on_call<F>(mut self, method: &str, answering: F) -> Self
    where
        F: FnMut(Value) -> Result<Value, PluginError> + Send + 'static,
    {
        self.known.calls.insert(method.to_owned(), Box::new(answering));
        self
    }

    /// Starts the plugin.
    ///
    /// # Errors
    /// What its `init` fails with.
    pub async fn start(mut self) -> Result<PluginTest, PluginError> {
        self.known.schema = self.plugin.metadata().settings.unwrap_or_default();
        let server = Server::start(self.plugin);
        let (own, its) = UnixStream::pair()?;
        let (taken, _) = oneshot::channel();
        tokio::spawn(server::converse(Arc::clone(&server), its, taken));
        let (reader, writer) = own.into_split();
        let core = Core::talk(reader, writer, self.known);
        let mut start = core.start.subscribe();
        loop {
            let found = *start.borrow_and_update();
            match found {
                Some(true) => return Ok(PluginTest { server, core }),
                Some(false) => {
                    let failure = lock(&server.start_failure).take();
                    return Err(failure.unwrap_or_else(|| "the plugin did not start".into()));
                }
                None if start.changed().await.is_err() => return Err("the core has gone".into()),
                None => {}
            }
        }
    }
}

/// A plugin that runs against a core in memory.
pub struct PluginTest {
    server: Arc<Server>,
    core: Arc<Core>,
}

impl std::fmt::Debug for PluginTest {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("PluginTest").finish_non_exhaustive()
    }
}

impl PluginTest {
    /// Returns a plugin that is to be tested; it is started by [`TestSetup::start`].
    pub fn with(plugin: impl ToruPlugin) -> TestSetup {
        let known = Known { config: json!({}), ..Known::default() };
        TestSetup { plugin: Box::new(plugin), known }
    }

    /// Starts a plugin with an empty storage and no settings.
    ///
    /// # Errors
    /// What its `init` fails with.
    pub async fn start(plugin: impl ToruPlugin) -> Result<Self, PluginError> {
        PluginTest::with(plugin).start().await
    }

    /// Ends the plugin in order: its `shutdown` is called.
    ///
    /// # Errors
    /// None at this time.
    pub async fn stop(self) -> Result<(), PluginError> {
        self.server.stop("the test is over");
        self.server.end().await;
        Ok(())
    }

    /// Returns a request; the target is the path with its query, without the plugin's route.
    pub fn request(&self, method: &str, target: &str) -> TestRequest<'_> {
        let mut request = HttpRequest::new(method, target);
        request.user = Some("admin".to_owned());
        request.role = Some("admin".to_owned());
        TestRequest { test: self, request, pieces: None }
    }

    /// Returns a GET; see [`request`](Self::request).
    pub fn get(&self, target: &str) -> TestRequest<'_> {
        self.request("GET", target)
    }

    /// Returns a POST; see [`request`](Self::request).
    pub fn post(&self, target: &str) -> TestRequest<'_> {
        self.request("POST", target)
    }

    /// Returns what is stored.
    pub fn kv(&self) -> BTreeMap<String, String> {
        lock(&self.core.known).store.all()
    }

    /// Stores a key.
    pub fn set_kv(&self, key: &str, value: &str) {
        lock(&self.core.known).store.put(key, value);
    }

    /// Moves the core's clock on, so that keys with a time to live go.
    pub fn advance(&self, time: Duration) {
        lock(&self.core.known).store.advance(time);
    }

    /// Returns what the plugin has logged so far.
    pub async fn logs(&self) -> Vec<LogRecord> {
        self.server.lines.none_left().await;
        lock(&self.core.known).logs.clone()
    }

    /// Returns the events that it has told.
    pub fn events(&self) -> Vec<ToldEvent> {
        lock(&self.core.known).events.clone()
    }

    /// Returns what it has said while it started.
    pub fn statuses(&self) -> Vec<String> {
        lock(&self.core.known).statuses.clone()
    }

    /// Changes some of the plugin's settings, as the administrator does; returns when `on_config`
    /// has. Null puts a default back; what is left out stays.
    pub async fn configure(&self, values: Value) {
        let mut told = self.server.config_told.subscribe();
        let before = *told.borrow_and_update();
        self.core.configure(&values);
        while *told.borrow_and_update() == before {
            if told.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells the plugin an event, if it has subscribed to it; returns whether it has.
    pub fn tell(&self, name: &str, data: Value) -> bool {
        let has_subscribed = lock(&self.core.known).subscribed.contains(name);
        if has_subscribed {
            let timestamp = crate::log::utc_now();
            let event =
                json!({"type": "event", "name": name, "data": data, "timestamp": timestamp});
            self.core.send(event);
        }
        has_subscribed
    }

    /// Asks whether the plugin is well.
    ///
    /// # Errors
    /// What its `health` says.
    pub async fn health(&self) -> Result<(), PluginError> {
        self.server.check_health(self.server.context(None)).await
    }
}

/// A request that is not sent yet, as `admin` with the role `admin` unless it says otherwise.
#[derive(Debug)]
#[must_use = "it is sent by `send`, `open` or `websocket`"]
pub struct TestRequest<'a> {
    test: &'a PluginTest,
    request: HttpRequest,
    pieces: Option<Vec<Vec<u8>>>,
}

impl TestRequest<'_> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets who asks.
    pub fn user(mut self, user: &str) -> Self {
        self.request.user = Some(user.to_owned());
        self
    }

    /// Sets the role, `admin` or `client`.
    pub fn role(mut self, role: &str) -> Self {
        self.request.role = Some(role.to_owned());
        self
    }

    /// Sets the body: text or bytes.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = body.into();
        self
    }

    /// Sets the body: JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        self.body(body).header("Content-Type", "application/json")
    }

    /// Sets the body: pieces that come one after the other.
    pub fn pieces(mut self, pieces: Vec<Vec<u8>>) -> Self {
        self.pieces = Some(pieces);
        self
    }

    /// Sends it and returns the answer when it has ended.
    ///
    /// # Errors
    /// The plugin answers with an error of the protocol, or breaks its answer off.
    pub async fn send(self) -> Result<TestAnswer, PluginError> {
        let mut stream = self.open().await?;
        let mut body = Vec::new();
        while let Some(chunk) = stream.next_chunk().await? {
            body.extend_from_slice(&chunk);
        }
        let (status, headers) = (stream.status, std::mem::take(&mut stream.headers));
        Ok(TestAnswer { status, headers, body })
    }

    /// Sends it and returns the answer as soon as it begins. When that is dropped, the browser
    /// leaves.
    ///
    /// # Errors
    /// The plugin answers with an error of the protocol.
    pub async fn open(mut self) -> Result<TestStream, PluginError> {
        let body = std::mem::take(&mut self.request.body);
        let mut message = self.message("http");
        message["method"] = self.request.method.as_str().into();
        message["body"] = "none".into();
        let mut pieces = self.pieces.take();
        match String::from_utf8(body) {
            Ok(text) if text.is_empty() => {}
            Ok(text) if text.len() <= MAX_INLINE_BYTES && pieces.is_none() => {
                message["body"] = "inline".into();
                message["text"] = text.into();
            }
            Ok(text) => pieces = pieces.or_else(|| Some(vec![text.into_bytes()])),
            Err(bytes) => pieces = pieces.or_else(|| Some(vec![bytes.into_bytes()])),
        }
        if pieces.is_some() {
            message["body"] = "stream".into();
        }
        let mut line = self.test.core.open(message);
        let uplink = line.uplink();
        let upload = pieces.map(|pieces| {
            tokio::spawn(async move {
                for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                    uplink.send(piece, 0).await?;
                }
                uplink.send(b"", FLAG_END).await
            })
        });
        match line.next().await? {
            Told::Head { status, headers, text, is_streamed } => Ok(TestStream {
                status,
                headers,
                ready: text.unwrap_or_default().into_bytes(),
                rest: Vec::new(),
                is_over: !is_streamed,
                line,
                upload,
            }),
            Told::Failed(error) => Err(error),
            _ => Err("the plugin answers with something else than a head".into()),
        }
    }

    /// Opens a WebSocket.
    ///
    /// # Errors
    /// The plugin refuses it: [`PluginError::Http`].
    pub async fn websocket(self) -> Result<TestSocket, PluginError> {
        let mut line = self.test.core.open(self.message("ws_open"));
        match line.next().await? {
            Told::Accepted => Ok(TestSocket { line, partial: Vec::new(), close_code: None }),
            Told::Head { status, text, .. } => Err(refusal(status, text)),
            Told::Failed(error) => Err(error),
            _ => Err("the plugin neither takes nor refuses the WebSocket".into()),
        }
    }

    fn message(&self, kind: &str) -> Value {
        let HttpRequest { path, query, headers, user, role, .. } = &self.request;
        json!({
            "type": kind, "path": path, "query": query, "headers": headers, "user": user,
            "role": role, "deadline_ms": 30_000,
        })
    }
}

fn refusal(status: u16, text: Option<String>) -> PluginError {
    let text = text.unwrap_or_default();
    let told: Value = serde_json::from_str(&text).unwrap_or_default();
    let field = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
    PluginError::Http {
        status,
        code: field("code").unwrap_or_default(),
        message: field("error").unwrap_or(text),
    }
}

/// What the plugin has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestAnswer {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The whole body.
    pub body: Vec<u8>,
}

impl TestAnswer {
    /// Returns the first header of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the body as text.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PluginError> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// An answer that is read as it comes. When it is dropped before its end, the browser leaves.
pub struct TestStream {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    ready: Vec<u8>,
    rest: Vec<u8>,
    is_over: bool,
    line: Line,
    upload: Option<JoinHandle<Result<(), PluginError>>>,
}

impl std::fmt::Debug for TestStream {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("TestStream").field("status", &self.status).finish_non_exhaustive()
    }
}

impl TestStream {
    /// Returns the next bytes; None at the end.
    ///
    /// # Errors
    /// The plugin breaks the answer off.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, PluginError> {
        loop {
            let ready = std::mem::take(&mut self.ready);
            if !ready.is_empty() {
                return Ok(Some(ready));
            }
            if self.is_over {
                return Ok(None);
            }
            match self.line.next().await? {
                Told::Data { bytes, flags } => {
                    self.is_over = flags & FLAG_END != 0;
                    self.ready = bytes;
                }
                Told::Failed(error) => {
                    self.is_over = true;
                    return Err(error);
                }
                _ => return Err("the plugin sends something else than a body".into()),
            }
        }
    }

    /// Returns the next event of an event stream; None at its end. Comments are left out.
    ///
    /// # Errors
    /// The plugin breaks the answer off.
    pub async fn next_event(&mut self) -> Result<Option<ServerEvent>, PluginError> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..end + 2).collect();
                let event = ServerEvent::decode(&String::from_utf8_lossy(&block));
                if event != ServerEvent::default() {
                    return Ok(Some(event));
                }
            } else if let Some(chunk) = self.next_chunk().await? {
                self.rest.extend_from_slice(&chunk);
            } else {
                return Ok(None);
            }
        }
    }
}

impl Drop for TestStream {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abort();
        }
        if !self.is_over || self.upload.is_some() {
            let cancel = json!({"type": "cancel", "id": self.line.id, "reason": "it has left"});
            self.line.core.send(cancel);
        }
    }
}

/// The browser's end of a WebSocket. When it is dropped, the browser leaves.
pub struct TestSocket {
    line: Line,
    partial: Vec<u8>,
    close_code: Option<u16>,
}

impl std::fmt::Debug for TestSocket {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("TestSocket").field("close_code", &self.close_code).finish_non_exhaustive()
    }
}

impl TestSocket {
    /// Sends a message; waits while the plugin takes no more.
    ///
    /// # Errors
    /// The plugin has ended.
    pub async fn send(&self, message: impl Into<SocketMessage>) -> Result<(), PluginError> {
        let (bytes, kind) = match message.into() {
            SocketMessage::Text(text) => (text.into_bytes(), FLAG_TEXT),
            SocketMessage::Bytes(bytes) => (bytes, 0),
        };
        self.line.uplink().send(&bytes, FLAG_END | kind).await
    }

    /// Returns the next message; None when the plugin has closed it.
    pub async fn next(&mut self) -> Option<SocketMessage> {
        while self.close_code.is_none() {
            match self.line.next().await {
                Ok(Told::Data { bytes, flags }) => {
                    self.partial.extend_from_slice(&bytes);
                    if flags & FLAG_END != 0 {
                        let whole = std::mem::take(&mut self.partial);
                        return Some(match flags & FLAG_TEXT {
                            0 => SocketMessage::Bytes(whole),
                            _ => String::from_utf8_lossy(&whole).into_owned().into(),
                        });
                    }
                }
                Ok(Told::Closed(code)) => self.close_code = Some(code),
                _ => self.close_code = Some(crate::socket::ABNORMAL),
            }
        }
        None
    }

    /// Returns why the plugin has closed it; None while it is open.
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Closes it as a browser does.
    pub fn close(mut self, code: u16) {
        self.leave(code);
    }

    fn leave(&mut self, code: u16) {
        if self.close_code.is_none() {
            self.close_code = Some(code);
            self.line.core.send(json!({"type": "ws_close", "id": self.line.id, "code": code}));
        }
    }
}

impl Drop for TestSocket {
    fn drop(&mut self) {
        self.leave(crate::socket::GOING_AWAY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HttpResponse, PluginContext, PluginEvent, PluginFuture, PluginMetadata, WebSocket,
    };

    struct Sample;

    impl ToruPlugin for Sample {
        fn metadata(&self) -> PluginMetadata {
            let settings = json!({"type": "object", "properties": {
                "address": {"type": "string"}, "every": {"type": "integer", "default": 60},
            }});
            PluginMetadata::new("sample", "Sample", "1", "/sample").with_live_settings(settings)
        }

        fn init(&self, context: PluginContext) -> PluginFuture<'_, ()> {
            Box::pin(async move {
                if context.config().get("address").is_none() {
                    return Err(PluginError::NeedsConfiguration("set the address".into()));
                }
                context.status("Reading", Duration::from_secs(1)).await;
                context.subscribe("backup.done").await
            })
        }

        fn handle_http(
            &self,
            request: HttpRequest,
            context: PluginContext,
        ) -> PluginFuture<'_, HttpResponse> {
            Box::pin(async move {
                match request.path.as_str() {
                    "/size" => {
                        context.info("counted");
                        context.emit("size", json!(request.body.len())).await?;
                        HttpResponse::json(&json!({"size": request.body.len(), "by": request.user}))
                    }
                    "/run" => HttpResponse::json(&context.call("task.run", json!({})).await?),
                    "/own" => HttpResponse::json(&context.set_config(request.json()?).await?),
                    "/big" => Ok(HttpResponse::bytes("a/b", vec![7; 5_000_000])),
                    "/events" => Ok(HttpResponse::events(|events| async move {
                        events.send(ServerEvent::new("a\nb").with_event("x").with_id("1")).await?;
                        context.kv().set("events", "sent").await?;
                        std::future::pending().await
                    })),
                    _ => Err(PluginError::not_found()),
                }
            })
        }

        fn handle_websocket(
            &self,
            mut socket: WebSocket,
            context: PluginContext,
        ) -> PluginFuture<'_, ()> {
            Box::pin(async move {
                if socket.request().path != "/echo" {
                    return Err(PluginError::http(403, "locked", "It is locked."));
                }
                while let Some(message) = socket.next().await {
                    if message == SocketMessage::from("bye") {
                        return socket.close(4000).await;
                    }
                    socket.send(message).await?;
                }
                context.kv().set("left", &format!("{:?}", socket.close_code())).await
            })
        }

        fn on_config(&self, config: Value, context: PluginContext) -> PluginFuture<'_, ()> {
            Box::pin(async move { context.kv().set("config", &config.to_string()).await })
        }

        fn handle_event(&self, event: PluginEvent, context: PluginContext) -> PluginFuture<'_, ()> {
            Box::pin(async move { context.kv().set(&event.name, &event.data.to_string()).await })
        }

        fn shutdown(&self, context: PluginContext) -> PluginFuture<'_, ()> {
            Box::pin(async move { context.kv().set("stopped", "yes").await })
        }
    }

    async fn sample() -> PluginTest {
        let setup = PluginTest::with(Sample).config(json!({"address": "a"}));
        setup.on_call("task.run", |_| Ok(json!({"task_id": "t"}))).start().await.unwrap()
    }

    async fn until_set(test: &PluginTest, key: &str) -> String {
        loop {
            if let Some(value) = test.kv().get(key) {
                return value.clone();
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn requests_are_answered_and_what_the_plugin_tells_is_kept() {
        let test = sample().await;
        assert_eq!(test.statuses(), ["Reading"]);
        let answer = test.post("/size").user("anna").body("abc").send().await.unwrap();
        assert_eq!(answer.json::<Value>().unwrap(), json!({"size": 3, "by": "anna"}));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(test.logs().await[0].message, "counted");
        assert_eq!(test.events(), [ToldEvent { name: "size".into(), data: json!(3) }]);
        let pieces = vec![vec![0xff; 600_000]; 5];
        let answer = test.post("/size").pieces(pieces).send().await.unwrap();
        assert_eq!(answer.json::<Value>().unwrap()["size"], 3_000_000);
        assert_eq!(test.get("/run").send().await.unwrap().text(), r#"{"task_id":"t"}"#);
        assert_eq!(test.get("/big").send().await.unwrap().body, vec![7; 5_000_000]);
        assert_eq!(test.get("/none").send().await.unwrap().status, 404);
        let core = Arc::clone(&test.core);
        test.stop().await.unwrap();
        assert_eq!(lock(&core.known).store.all()["stopped"], "yes");
    }

    #[tokio::test]
    async fn events_and_websockets_go_on_until_the_browser_leaves() {
        let test = sample().await;
        let mut stream = test.get("/events").open().await.unwrap();
        let event = ServerEvent::new("a\nb").with_event("x").with_id("1");
        assert_eq!(stream.next_event().await.unwrap(), Some(event));
        assert_eq!(until_set(&test, "events").await, "sent");
        drop(stream);
        let mut socket = test.get("/echo").websocket().await.unwrap();
        for message in [SocketMessage::from("a"), vec![1; 400_000].into(), "".into()] {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await, Some(message));
        }
        socket.close(1001);
        assert_eq!(until_set(&test, "left").await, "Some(1001)");
        let mut socket = test.get("/echo").websocket().await.unwrap();
        socket.send("bye").await.unwrap();
        assert_eq!((socket.next().await, socket.close_code()), (None, Some(4000)));
        let refused = test.get("/other").websocket().await;
        assert!(
            matches!(refused, Err(PluginError::Http { status: 403, code, .. }) if code == "locked")
        );
    }

    #[tokio::test]
    async fn settings_and_events_reach_the_plugin() {
        let test = sample().await;
        test.configure(json!({"address": "b"})).await;
        assert_eq!(test.kv()["config"], r#"{"address":"b","every":60}"#);
        test.configure(json!({"address": "c", "every": 5})).await;
        test.configure(json!({"every": null})).await;
        assert_eq!(test.kv()["config"], r#"{"address":"c","every":60}"#);
        let own = test.post("/own").json(&json!({"every": 7})).send().await.unwrap();
        assert_eq!(own.text(), r#"{"address":"c","every":7}"#);
        assert!(test.tell("backup.done", json!({"n": 1})));
        assert_eq!(until_set(&test, "backup.done").await, r#"{"n":1}"#);
        assert!(!test.tell("other", Value::Null));
        test.health().await.unwrap();
        let refused = PluginTest::start(Sample).await;
        assert!(matches!(refused, Err(PluginError::NeedsConfiguration(_))));
    }
}
