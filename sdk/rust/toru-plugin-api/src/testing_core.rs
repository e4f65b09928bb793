//! The core's end of a connection of version 2, in memory, for the tests of plugins.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::{json, Map, Value};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

use crate::calls::lock;
use crate::credit::{Allowance, Credit};
use crate::error::PluginError;
use crate::frame::{encode, encode_data, read_frame, Frame, MAX_DATA_BYTES, MAX_JSON_BYTES_V2};
use crate::http::Headers;
use crate::outgoing::gone;
use crate::testing::{LogRecord, ToldEvent};
use crate::testing_store::Store;

const STREAM_CREDIT: usize = 256 * 1024;
const CONNECTION_CREDIT: usize = 4 * 1024 * 1024;

/// What answers a call of the plugin.
pub(crate) type Answering = Box<dyn FnMut(Value) -> Result<Value, PluginError> + Send>;

/// What comes of a request or a WebSocket.
pub(crate) enum Told {
    Head { status: u16, headers: Headers, text: Option<String>, is_streamed: bool },
    Accepted,
    Data { bytes: Vec<u8>, flags: u8 },
    Closed(u16),
    Failed(PluginError),
}

/// The core, as the plugin sees it.
pub(crate) struct Core {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    pub known: Mutex<Known>,
    streams: Mutex<HashMap<u32, Ends>>,
    last_id: Mutex<u32>,
    credit: Credit,
    allowance: Allowance,
    pub start: watch::Sender<Option<bool>>,
}

/// What the core knows of the plugin.
#[derive(Default)]
pub(crate) struct Known {
    pub store: Store,
    pub config: Value,
    pub schema: Value,
    pub logs: Vec<LogRecord>,
    pub events: Vec<ToldEvent>,
    pub statuses: Vec<String>,
    pub subscribed: BTreeSet<String>,
    pub calls: HashMap<String, Answering>,
}

struct Ends {
    told: mpsc::UnboundedSender<Told>,
    credit: Arc<Credit>,
    allowance: Arc<Allowance>,
}

/// One request or WebSocket, as whoever has opened it sees it.
pub(crate) struct Line {
    pub id: u32,
    pub core: Arc<Core>,
    told: mpsc::UnboundedReceiver<Told>,
    credit: Arc<Credit>,
    allowance: Arc<Allowance>,
}

impl Core {
    /// Begins to talk; the plugin is told to start.
    pub fn talk(reader: OwnedReadHalf, writer: OwnedWriteHalf, known: Known) -> Arc<Self> {
        let (frames, queue) = mpsc::unbounded_channel();
        let config = known.settings();
        let core = Arc::new(Core {
            frames,
            known: Mutex::new(known),
            streams: Mutex::default(),
            last_id: Mutex::new(0),
            credit: Credit::new(CONNECTION_CREDIT),
            allowance: Allowance::new(CONNECTION_CREDIT),
            start: watch::channel(None).0,
        });
        tokio::spawn(write(writer, queue));
        let features = ["stream", "ws", "kv", "log", "event", "task", "config", "health"];
        core.send(json!({
            "type": "hello", "protocols": [2], "instance": "test", "features": features,
        }));
        core.send(json!({
            "type": "init", "instance_id": "test", "config": config, "data_dir": "", "log_path": "",
        }));
        tokio::spawn(listen(Arc::clone(&core), reader));
        core
    }

    pub fn send(&self, message: Value) {
        if let Ok(frame) = encode(&message, MAX_JSON_BYTES_V2) {
            let _ = self.frames.send(frame); // a plugin that has ended needs to hear nothing
        }
    }

    /// Opens a request or a WebSocket.
    pub fn open(self: &Arc<Self>, mut message: Value) -> Line {
        let mut last = lock(&self.last_id);
        let id = *last + 1;
        *last += 2;
        let (sender, told) = mpsc::unbounded_channel();
        let credit = Arc::new(Credit::new(STREAM_CREDIT));
        let allowance = Arc::new(Allowance::new(STREAM_CREDIT));
        let ends =
            Ends { told: sender, credit: Arc::clone(&credit), allowance: Arc::clone(&allowance) };
        lock(&self.streams).insert(id, ends);
        message["id"] = id.into();
        self.send(message);
        Line { id, core: Arc::clone(self), told, credit, allowance }
    }

    fn take(&self, message: &Map<String, Value>) {
        let id = message.get("id").and_then(Value::as_u64).unwrap_or(0);
        match text(message, "type") {
            "ready" => drop(self.start.send_replace(Some(true))),
            "status" => lock(&self.known).statuses.push(text(message, "text").to_owned()),
            "call" => self.answer(id, message),
            "window" => {
                let add = message.get("add").and_then(Value::as_u64).unwrap_or(0) as usize;
                if id == 0 {
                    self.credit.add(add);
                } else if let Some(ends) = lock(&self.streams).get(&(id as u32)) {
                    ends.credit.add(add);
                }
            }
            "error" if id == 0 => drop(self.start.send_replace(Some(false))),
            "error" => {
                let retryable = message.get("retryable") == Some(&true.into());
                let (code, message) = (text(message, "code"), text(message, "message"));
                let (code, message) = (code.to_owned(), message.to_owned());
                self.tell(id, Told::Failed(PluginError::Call { code, message, retryable }));
            }
            "http_head" => {
                let headers = message.get("headers").cloned().unwrap_or_default();
                self.tell(
                    id,
                    Told::Head {
                        status: message.get("status").and_then(Value::as_u64).unwrap_or(0) as u16,
                        headers: serde_json::from_value(headers).unwrap_or_default(),
                        text: message.get("text").and_then(Value::as_str).map(str::to_owned),
                        is_streamed: text(message, "body") == "stream",
                    },
                );
            }
            "ws_accept" => self.tell(id, Told::Accepted),
            "ws_close" => {
                let code = message.get("code").and_then(Value::as_u64).unwrap_or(1005);
                self.tell(id, Told::Closed(code as u16));
            }
            _ => {}
        }
    }

    fn tell(&self, id: u64, told: Told) {
        if let Some(ends) = lock(&self.streams).get(&(id as u32)) {
            let _ = ends.told.send(told); // nobody may wait for it any more
        }
    }

    fn take_data(&self, id: u32, bytes: Vec<u8>, flags: u8) -> Result<(), PluginError> {
        self.allowance.spend(bytes.len())?;
        self.give_credit(0, self.allowance.take(bytes.len()));
        if let Some(ends) = lock(&self.streams).get(&id) {
            ends.allowance.spend(bytes.len())?;
            let _ = ends.told.send(Told::Data { bytes, flags }); // as above
        }
        Ok(())
    }

    fn give_credit(&self, id: u32, add: usize) {
        if add > 0 {
            self.send(json!({"type": "window", "id": id, "add": add}));
        }
    }

    /// Changes settings and tells them.
    pub fn configure(&self, values: &Value) -> Value {
        let config = lock(&self.known).configure(values);
        self.send(json!({"type": "config", "config": config}));
        config
    }

    fn answer(&self, id: u64, message: &Map<String, Value>) {
        let params = message.get("params").cloned().unwrap_or_default();
        if text(message, "method") == "config.set" {
            let config = self.configure(&params["values"]);
            return self.send(json!({"type": "result", "id": id, "value": config}));
        }
        let answer = match lock(&self.known).call(text(message, "method"), params) {
            Ok(value) => json!({"type": "result", "id": id, "value": value}),
            Err(PluginError::Call { code, message, retryable }) => json!({
                "type": "error", "id": id, "code": code, "message": message, "retryable": retryable,
            }),
            Err(error) => json!({
                "type": "error", "id": id, "code": "INTERNAL", "message": error.to_string(),
                "retryable": false,
            }),
        };
        self.send(answer);
    }

    fn lose(&self) {
        self.start.send_replace(Some(false));
        lock(&self.streams).clear();
        self.credit.close();
    }
}

impl Known {
    /// Returns the values of the settings, with defaults.
    fn settings(&self) -> Value {
        let mut all = Map::new();
        for (name, setting) in self.schema["properties"].as_object().into_iter().flatten() {
            if let Some(default) = setting.get("default") {
                all.insert(name.clone(), default.clone());
            }
        }
        all.extend(self.config.as_object().cloned().unwrap_or_default());
        all.into()
    }

    fn configure(&mut self, values: &Value) -> Value {
        let mut config = self.config.as_object().cloned().unwrap_or_default();
        config.extend(values.as_object().cloned().unwrap_or_default());
        config.retain(|_, value| !value.is_null());
        self.config = config.into();
        self.settings()
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value, PluginError> {
        if let Some(answering) = self.calls.get_mut(method) {
            return answering(params);
        }
        if let Some(outcome) = self.store.call(method, &params) {
            return outcome;
        }
        let given = |name: &str| params.get(name).cloned().unwrap_or_default();
        let name = given("name").as_str().unwrap_or("").to_owned();
        match method {
            "log" => {
                let message = given("message").as_str().unwrap_or("").to_owned();
                let level = given("level").as_str().unwrap_or("").to_owned();
                self.logs.push(LogRecord { level, message, fields: given("fields") });
            }
            "event.emit" => self.events.push(ToldEvent { name, data: given("data") }),
            "event.subscribe" => drop(self.subscribed.insert(name)),
            "config.get" => return Ok(self.settings()),
            _ => {
                let message = format!("give the test an answer to {method} with `on_call`");
                return Err(PluginError::call("UNKNOWN_TYPE", message));
            }
        }
        Ok(Value::Null)
    }
}

impl Line {
    /// Returns what comes next; an error when the plugin has ended.
    pub async fn next(&mut self) -> Result<Told, PluginError> {
        let told = self.told.recv().await.ok_or_else(gone)?;
        if let Told::Data { bytes, .. } = &told {
            self.core.give_credit(self.id, self.allowance.take(bytes.len()));
        }
        Ok(told)
    }

    /// Returns what sends on it.
    pub fn uplink(&self) -> Uplink {
        Uplink { id: self.id, core: Arc::clone(&self.core), credit: Arc::clone(&self.credit) }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.credit.close();
        lock(&self.core.streams).remove(&self.id);
    }
}

/// Sends bodies and messages as the plugin gives credit.
pub(crate) struct Uplink {
    id: u32,
    core: Arc<Core>,
    credit: Arc<Credit>,
}

impl Uplink {
    /// Sends; the flags are those of the last frame.
    pub async fn send(&self, data: &[u8], flags: u8) -> Result<(), PluginError> {
        let mut rest = data;
        while !rest.is_empty() {
            let own = self.credit.take(rest.len().min(MAX_DATA_BYTES)).await?;
            let shared = self.core.credit.take(own.count).await?;
            let (piece, after) = rest.split_at(shared.count);
            let piece_flags =
                if after.is_empty() { flags } else { flags & !crate::frame::FLAG_END };
            let _ = self.core.frames.send(encode_data(self.id, piece_flags, piece));
            own.spend(piece.len());
            shared.spend(piece.len());
            rest = after;
        }
        if data.is_empty() {
            let _ = self.core.frames.send(encode_data(self.id, flags, b""));
        }
        Ok(())
    }
}

async fn write(mut half: OwnedWriteHalf, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        if half.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn listen(core: Arc<Core>, half: OwnedReadHalf) {
    let mut reader = BufReader::new(half);
    loop {
        match read_frame(&mut reader, MAX_JSON_BYTES_V2).await {
            Ok(Some(Frame::Json(message))) => core.take(&message),
            Ok(Some(Frame::Data(data))) => {
                if core.take_data(data.id, data.bytes, data.flags).is_err() {
                    return core.lose();
                }
            }
            _ => return core.lose(),
        }
    }
}

fn text<'a>(message: &'a Map<String, Value>, name: &str) -> &'a str {
    message.get(name).and_then(Value::as_str).unwrap_or("")
}
