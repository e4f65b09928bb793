//! Version 2 of the protocol: the greeting, calls and signs of life; requests are in `exchange`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{json, Map, Value};
use tokio::io::BufReader;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc;

use crate::calls::{lock, Calls, Outcome};
use crate::error::PluginError;
use crate::exchange::Exchange;
use crate::frame::{encode, read_frame, Frame, MAX_DATA_BYTES, MAX_JSON_BYTES_V2};
use crate::log::{write_failure, write_line, LogLevel};
use crate::outgoing::Outgoing;
use crate::server::{tell_broken, Counted, Link, Server};

const PROTOCOL: u64 = 2;
const FEATURES: [&str; 10] =
    ["http", "stream", "ws", "kv", "log", "event", "task", "config", "health", "bundle"];
const MAX_ERROR_CHARS: usize = 4096;
const MAX_LOG_CHARS: usize = 64 * 1024;
const QUEUED_LOG_LINES: usize = 100;

/// The limits of a connection; of two, the smaller wins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub json_bytes: usize,
    pub data_bytes: usize,
    pub streams: usize,
    pub calls: usize,
    pub stream_credit: usize,
    pub connection_credit: usize,
}

impl Limits {
    fn agreed(offered: Option<&Value>) -> Self {
        let smaller = |name: &str, own: usize| {
            let theirs = offered.and_then(|limits| limits.get(name)).and_then(Value::as_u64);
            theirs.filter(|limit| *limit > 0).map_or(own, |limit| own.min(limit as usize))
        };
        Limits {
            json_bytes: smaller("json_bytes", MAX_JSON_BYTES_V2),
            data_bytes: smaller("data_bytes", MAX_DATA_BYTES),
            streams: smaller("streams", 64),
            calls: smaller("calls", 32),
            stream_credit: smaller("stream_credit", 256 * 1024),
            connection_credit: smaller("connection_credit", 4 * 1024 * 1024),
        }
    }

    fn told(&self) -> Value {
        json!({
            "json_bytes": self.json_bytes, "data_bytes": self.data_bytes, "streams": self.streams,
            "calls": self.calls, "stream_credit": self.stream_credit,
            "connection_credit": self.connection_credit,
        })
    }
}

struct LogLine {
    level: LogLevel,
    message: String,
    fields: Map<String, Value>,
    _counted: (Counted, Counted),
}

/// What is spoken over the one connection of version 2; also the way to the core.
pub(crate) struct SessionV2 {
    server: Arc<Server>,
    voice: Voice,
    calls: Calls,
    exchange: Arc<Exchange>,
    log_lines: mpsc::Sender<LogLine>,
}

/// Sends messages of version 2.
#[derive(Clone)]
pub(crate) struct Voice {
    pub outgoing: Arc<Outgoing>,
    pub max_json: usize,
}

impl Voice {
    pub async fn send(&self, message: Value) -> Result<(), PluginError> {
        self.outgoing.send(encode(&message, self.max_json)?).await
    }

    /// Sends a message without waiting until the core reads.
    pub async fn send_soon(&self, message: Value) {
        if let Ok(frame) = encode(&message, self.max_json) {
            self.outgoing.send_soon(frame).await;
        }
    }

    /// Sends an error about a stream; 0: about the connection.
    pub async fn send_error(&self, id: u64, code: &str, sentence: &str, retryable: bool) {
        let _ = self.send(error_message(id, code, sentence, retryable)).await; // or it has left
    }

    /// Sends an error about a stream without waiting until the core reads.
    pub async fn send_error_soon(&self, id: u64, code: &str, sentence: &str, retryable: bool) {
        self.send_soon(error_message(id, code, sentence, retryable)).await;
    }
}

fn error_message(id: u64, code: &str, sentence: &str, retryable: bool) -> Value {
    let message: String = sentence.chars().take(MAX_ERROR_CHARS).collect();
    json!({"type": "error", "id": id, "code": code, "message": message, "retryable": retryable})
}

/// Speaks until the core leaves.
pub(crate) async fn converse(
    server: &Arc<Server>,
    mut reader: BufReader<OwnedReadHalf>,
    outgoing: &Arc<Outgoing>,
    hello: Map<String, Value>,
) {
    let limits = Limits::agreed(hello.get("limits"));
    let voice = Voice { outgoing: Arc::clone(outgoing), max_json: limits.json_bytes };
    let speaks = |protocols: &Vec<Value>| protocols.contains(&PROTOCOL.into());
    if !hello.get("protocols").and_then(Value::as_array).map_or(false, speaks) {
        let sentence = "this plugin speaks version 2 after hello, and version 1";
        voice.send_error(0, "BAD_FRAME", sentence, false).await;
        return;
    }
    let session = SessionV2::new(server, voice, limits);
    server.replace_session(&session);
    let broken = match session.greet(&hello, &limits).await {
        Ok(()) => session.listen(&mut reader).await.err(),
        Err(error) => Some(error),
    };
    if let Some(error) = broken {
        tell_broken(&error);
        if let PluginError::Protocol { code, message } = &error {
            session.voice.send_error(0, code, message, false).await;
        }
    }
    session.voice.outgoing.close().await;
    session.calls.waiting.fail_all();
    session.exchange.lose();
    server.orphaned(&session);
}

impl SessionV2 {
    fn new(server: &Arc<Server>, voice: Voice, limits: Limits) -> Arc<Self> {
        let (log_lines, lines) = mpsc::channel(QUEUED_LOG_LINES);
        let session = Arc::new(SessionV2 {
            server: Arc::clone(server),
            calls: Calls::new(limits.calls, limits.json_bytes),
            exchange: Exchange::new(server, voice.clone(), limits),
            voice,
            log_lines,
        });
        tokio::spawn(send_log_lines(Arc::downgrade(&session), lines));
        session
    }

    async fn greet(&self, hello: &Map<String, Value>, limits: &Limits) -> Result<(), PluginError> {
        let empty = Vec::new();
        let offered = hello.get("features").and_then(Value::as_array).unwrap_or(&empty);
        let has = |name: &&str| self.server.has_feature(name);
        let is_offered = |name: &&str| offered.iter().any(|have| have == *name);
        let features: Vec<_> = FEATURES.into_iter().filter(has).filter(is_offered).collect();
        let instance = std::env::var("TORU_INSTANCE").ok().filter(|own| !own.is_empty());
        let instance =
            instance.map_or_else(|| hello.get("instance").cloned(), |own| Some(own.into()));
        let sdk = concat!("toru-plugin-api/", env!("CARGO_PKG_VERSION"));
        self.voice
            .send(json!({
                "type": "hello_ok", "protocol": PROTOCOL, "instance": instance,
                "features": features, "limits": limits.told(), "sdk": sdk,
            }))
            .await
    }

    async fn listen(
        self: &Arc<Self>,
        reader: &mut BufReader<OwnedReadHalf>,
    ) -> Result<(), PluginError> {
        loop {
            let frame = tokio::select! {
                frame = read_frame(reader, MAX_JSON_BYTES_V2) => frame?,
                _ = self.voice.outgoing.closed() => None,
            };
            match frame {
                None => return Ok(()),
                Some(Frame::Data(data)) => self.exchange.take_data(data).await?,
                Some(Frame::Json(message)) => self.take(message).await?,
            }
        }
    }

    async fn take(self: &Arc<Self>, message: Map<String, Value>) -> Result<(), PluginError> {
        let id = message.get("id").and_then(Value::as_u64).unwrap_or(0);
        match message.get("type").and_then(Value::as_str).unwrap_or("") {
            "http" => return self.exchange.take_http(&message).await,
            "ws_open" => return self.exchange.take_socket(&message).await,
            "ws_close" => self.exchange.lose_socket(id as u32, &message),
            "cancel" => self.exchange.cancel(id as u32).await,
            "window" => self.exchange.take_window(id as u32, &message),
            "result" => {
                let value = message.get("value").cloned().unwrap_or(Value::Null);
                self.calls.waiting.end(&(id as u32), Ok(value));
            }
            "error" => drop(self.calls.waiting.end(&(id as u32), Err(refusal(&message)))),
            "ping" => {
                let n = message.get("n").cloned().unwrap_or(Value::Null);
                self.voice.send_soon(json!({"type": "pong", "n": n})).await;
            }
            "pong" => {}
            "health" => self.tell_health(id),
            "init" => self.init(&message),
            "config" => self.server.take_config(&message),
            "event" => self.server.take_event(&message),
            "goaway" => self.exchange.drain(),
            "shutdown" => self.server.stop("the core said shutdown"),
            "hello" => return Err(PluginError::protocol("BAD_FRAME", "hello comes once")),
            kind => {
                let kind: String = kind.chars().take(40).collect();
                let sentence = format!("a message of type {kind:?} is not known");
                self.voice.send_error_soon(id, "UNKNOWN_TYPE", &sentence, false).await;
            }
        }
        Ok(())
    }

    fn init(self: &Arc<Self>, message: &Map<String, Value>) {
        self.server.note(2, message);
        self.server.link(Link::V2(Arc::downgrade(self)));
        let session = Arc::clone(self);
        let counted = self.server.work.enter();
        tokio::spawn(async move {
            let has_begun = session.server.is_ready();
            if session.server.begin().await {
                if has_begun {
                    session.subscribe_again().await;
                }
                let _ = session.voice.send(json!({"type": "ready"})).await; // or it has left
            } else {
                let sentence = "The plugin could not start; see its log.";
                session.voice.send_error(0, "INTERNAL", sentence, false).await;
            }
            drop(counted);
        });
    }

    /// Tells a core that has come back which events are wanted.
    async fn subscribe_again(&self) {
        let names = lock(&self.server.subscriptions).clone();
        for name in names {
            if let Err(error) = self.call("event.subscribe", &json!({ "name": name })).await {
                write_failure(&format!("There will be no event {name}."), &error.to_string());
            }
        }
    }

    fn tell_health(self: &Arc<Self>, id: u64) {
        let session = Arc::clone(self);
        tokio::spawn(async move {
            let context = session.server.context(None);
            let mut answer = json!({"type": "health", "id": id, "ok": true});
            if let Err(error) = session.server.check_health(context).await {
                answer["ok"] = false.into();
                answer["text"] = error.to_string().into();
            }
            let _ = session.voice.send(answer).await; // as above
        });
    }

    /// Ends what would not end by itself.
    pub async fn end_lasting(&self) {
        self.exchange.end_lasting().await;
    }

    /// Ends: the core has opened another connection.
    pub fn abort(&self) {
        self.voice.outgoing.abort();
    }

    // The way to the core

    /// Asks the core for something.
    pub async fn call(&self, method: &str, params: &Value) -> Outcome {
        self.calls.call(&self.voice.outgoing, method, params).await
    }

    /// Sends a log line, or writes it to stderr when there are too many to be sent.
    pub fn log(&self, level: LogLevel, message: &str, fields: Map<String, Value>) {
        let message: String = message.chars().take(MAX_LOG_CHARS).collect();
        let counted = (self.server.work.enter(), self.server.lines.enter());
        let line = LogLine { level, message, fields, _counted: counted };
        if !self.calls.may_log() {
            return write_line(level, &line.message, &line.fields);
        }
        if let Err(
            mpsc::error::TrySendError::Full(line) | mpsc::error::TrySendError::Closed(line),
        ) = self.log_lines.try_send(line)
        {
            write_line(level, &line.message, &line.fields);
        }
    }

    /// Says what a slow start is busy with.
    pub async fn status(&self, text: &str, extend: Duration) {
        let extend_ms = extend.as_millis() as u64;
        let status = json!({"type": "status", "text": text, "extend_ms": extend_ms});
        let _ = self.voice.send(status).await; // a core that has left needs to hear nothing
    }
}

/// Sends log lines one after the other, so that they stay in their order.
async fn send_log_lines(session: Weak<SessionV2>, mut lines: mpsc::Receiver<LogLine>) {
    while let Some(line) = lines.recv().await {
        let sent = match session.upgrade() {
            Some(session) => {
                let LogLine { level, message, fields, .. } = &line;
                let params = json!({"level": level.name(), "message": message, "fields": fields});
                session.calls.log(&session.voice.outgoing, &params).await.is_ok()
            }
            None => false,
        };
        if !sent {
            write_line(line.level, &line.message, &line.fields);
        }
    }
}

fn refusal(message: &Map<String, Value>) -> PluginError {
    let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let retryable = message.get("retryable").and_then(Value::as_bool).unwrap_or(false);
    PluginError::Call { code: text("code"), message: text("message"), retryable }
}
