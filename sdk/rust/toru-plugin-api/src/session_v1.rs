//! Version 1 of the protocol: one request a connection, every message with a payload.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{json, Map, Value};
use tokio::io::BufReader;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::oneshot;

use crate::body::RequestBody;
use crate::calls::{late, Outcome, Waiting};
use crate::error::PluginError;
use crate::frame::{encode, read_frame, Frame, Message, MAX_MESSAGE_BYTES};
use crate::http::{Body, HttpRequest, HttpResponse};
use crate::log::{write_line, LogLevel};
use crate::outgoing::{gone, Outgoing};
use crate::plugin::{KvAction, KvRequest};
use crate::server::{tell_broken, Link, Server};

/// What is spoken over one connection of version 1; also the way to the core meanwhile.
pub(crate) struct SessionV1 {
    server: Arc<Server>,
    outgoing: Arc<Outgoing>,
    waiting: Waiting<String>,
}

/// Speaks until the core closes its half; what it waits for is still answered then.
pub(crate) async fn converse(
    server: &Arc<Server>,
    mut reader: BufReader<OwnedReadHalf>,
    outgoing: &Arc<Outgoing>,
    first: Frame,
    taken: oneshot::Sender<()>,
) {
    let session = Arc::new(SessionV1 {
        server: Arc::clone(server),
        outgoing: Arc::clone(outgoing),
        waiting: Waiting::new(),
    });
    let mut next = Ok(Some(first));
    let mut taken = Some(taken);
    loop {
        let outcome = match next {
            Ok(Some(frame)) => session.take(frame),
            Ok(None) => break,
            Err(error) => Err(error),
        };
        drop(taken.take());
        if let Err(error) = outcome {
            tell_broken(&error);
            outgoing.abort();
            break;
        }
        next = tokio::select! {
            frame = read_frame(&mut reader, MAX_MESSAGE_BYTES) => frame,
            _ = outgoing.closed() => break,
        };
    }
    session.waiting.fail_all();
}

impl SessionV1 {
    fn take(self: &Arc<Self>, frame: Frame) -> Result<(), PluginError> {
        let mut fields = match frame {
            Frame::Json(fields) => fields,
            Frame::Data(_) => {
                let message = "a message of version 1 must be JSON";
                return Err(PluginError::protocol("BAD_FRAME", message));
            }
        };
        let payload = match fields.remove("payload") {
            Some(Value::Object(payload)) => payload,
            _ => Map::new(),
        };
        let id = request_id(&fields).or_else(|| request_id(&payload));
        match fields.get("type").and_then(Value::as_str) {
            Some("http") => self.take_http(id, payload),
            Some("lifecycle") => self.take_lifecycle(&payload),
            Some("kv") => self.take_kv(id, &payload),
            kind => {
                let kind: String = kind.unwrap_or("").chars().take(40).collect();
                let message = format!("a message of type {kind:?} is not known");
                return Err(PluginError::protocol("BAD_FRAME", message));
            }
        }
        Ok(())
    }

    fn take_lifecycle(self: &Arc<Self>, payload: &Map<String, Value>) {
        let action = payload.get("action").and_then(Value::as_str).unwrap_or("");
        if action.eq_ignore_ascii_case("init") {
            self.server.note(1, payload);
            self.server.link(Link::V1(Arc::downgrade(self)));
            // The session, which is the way to the core, has to live as long.
            let session = Arc::clone(self);
            tokio::spawn(async move { session.server.begin().await });
        } else if action.eq_ignore_ascii_case("shutdown") {
            self.server.stop("the core said shutdown");
        }
    }

    fn take_http(self: &Arc<Self>, id: Option<String>, mut payload: Map<String, Value>) {
        let inner = match payload.remove("payload") {
            Some(Value::Object(inner)) => inner,
            _ => payload,
        };
        let session = Arc::clone(self);
        let counted = self.server.work.enter();
        tokio::spawn(async move {
            let response = session.respond(&inner).await;
            session.send_response(id.as_deref(), response).await;
            drop(counted);
        });
    }

    async fn respond(self: &Arc<Self>, fields: &Map<String, Value>) -> HttpResponse {
        let request = match HttpRequest::from_fields(fields) {
            Some(request) => request,
            None => return HttpResponse::error(400, "bad_request", "That is no request."),
        };
        if self.server.facts().protocol == 0 {
            self.server.note(1, &Map::new());
        }
        let body = fields.get("body").and_then(Value::as_str).unwrap_or("");
        if !self.server.begin().await {
            return HttpResponse::error(503, "unavailable", "The plugin could not start.");
        }
        let context = self.server.context(Some(Arc::downgrade(self)));
        self.server.answer(request, RequestBody::whole(body), context).await
    }

    async fn send_response(&self, id: Option<&str>, response: HttpResponse) {
        let frame = match response_payload(response).await {
            Ok(payload) => self.frame("http", id, payload),
            Err(error) => Err(error),
        };
        let frame = match frame {
            Err(error) => {
                let failed = self.server.failed("Sending an answer", &error.to_string());
                let payload = response_payload(failed).await;
                payload.and_then(|payload| self.frame("http", id, payload))
            }
            whole => whole,
        };
        if let Ok(frame) = frame {
            let _ = self.outgoing.send(frame).await; // a core that has left wants no answer
        }
    }

    fn frame(&self, kind: &str, id: Option<&str>, payload: Value) -> Result<Vec<u8>, PluginError> {
        encode(&Message::new(kind, id, payload), MAX_MESSAGE_BYTES)
    }

    fn take_kv(self: &Arc<Self>, id: Option<String>, payload: &Map<String, Value>) {
        let outcome = match payload.get("error").and_then(Value::as_str) {
            Some(message) if !message.is_empty() => {
                let code = payload.get("code").and_then(Value::as_str).unwrap_or("DENIED");
                Err(PluginError::call(&code.to_uppercase(), message))
            }
            _ => Ok(payload.get("value").cloned().unwrap_or(Value::Null)),
        };
        if id.as_ref().map_or(false, |id| self.waiting.end(id, outcome)) {
            return;
        }
        if payload.contains_key("action") {
            self.asked_kv(id, payload);
        } else {
            let message = "A kv message that nobody waits for is left aside.";
            write_line(LogLevel::Warn, message, &Map::new());
        }
    }

    fn asked_kv(self: &Arc<Self>, id: Option<String>, payload: &Map<String, Value>) {
        let asked = kv_request(payload);
        let session = Arc::clone(self);
        let counted = self.server.work.enter();
        tokio::spawn(async move {
            let context = session.server.context(Some(Arc::downgrade(&session)));
            let answer = match asked {
                Some(asked) => session.server.answer_kv(asked, context).await,
                None => Err("That is no question about a key.".into()),
            };
            let payload = match answer {
                Ok(value) => json!({ "value": value }),
                Err(error) => json!({"value": null, "error": error.to_string()}),
            };
            if let Ok(frame) = session.frame("kv", id.as_deref(), payload) {
                let _ = session.outgoing.send(frame).await; // as above
            }
            drop(counted);
        });
    }

    /// Asks the core for a key, over this connection.
    pub async fn call(&self, method: &str, params: &Value) -> Outcome {
        let (action, asked) = match (action_of(method), params.as_object()) {
            (Some(action), Some(params))
                if params.keys().all(|name| name == "key" || name == "value") =>
            {
                (action, params)
            }
            _ => {
                let message =
                    format!("{method} with these parameters needs version 2 of the protocol");
                return Err(PluginError::call("UNKNOWN_TYPE", message));
            }
        };
        let id = new_id();
        let mut inner = asked.clone();
        inner.insert("action".into(), action.into());
        let mut payload = inner.clone();
        payload.insert("payload".into(), inner.into());
        payload.insert("type".into(), "kv".into());
        payload.insert("request_id".into(), id.as_str().into());
        let frame = self
            .frame("kv", Some(&id), payload.into())
            .map_err(|error| PluginError::call("TOO_LARGE", error.to_string()))?;
        let mut ticket = self.waiting.begin(id).ok_or_else(gone)?;
        self.outgoing.send(frame).await?;
        ticket.outcome().await.unwrap_or_else(|| Err(late(method)))
    }
}

fn action_of(method: &str) -> Option<&'static str> {
    match method {
        "kv.get" => Some("get"),
        "kv.set" => Some("set"),
        "kv.delete" => Some("delete"),
        _ => None,
    }
}

fn kv_request(payload: &Map<String, Value>) -> Option<KvRequest> {
    let inner = payload.get("payload").and_then(Value::as_object).unwrap_or(payload);
    let text = |name: &str| inner.get(name).or_else(|| payload.get(name)).and_then(Value::as_str);
    let action = match text("action")?.to_lowercase().as_str() {
        "get" => KvAction::Get,
        "set" => KvAction::Set,
        "delete" => KvAction::Delete,
        _ => return None,
    };
    let value = text("value").map(str::to_owned);
    Some(KvRequest { action, key: text("key")?.to_owned(), value })
}

fn request_id(fields: &Map<String, Value>) -> Option<String> {
    fields.get("request_id").and_then(Value::as_str).map(str::to_owned)
}

/// Returns an id that no other call of this process has; it need not be secret.
fn new_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = LAST.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{:x}-{count:x}", std::process::id(), since.as_nanos())
}

async fn response_payload(response: HttpResponse) -> Result<Value, PluginError> {
    let lasts = response.lasts();
    let body = match response.body {
        Body::None => None,
        Body::Whole(body) => Some(body),
        Body::Pieces(_) if lasts => {
            return Err("version 1 of the protocol has no streams of events".into());
        }
        Body::Pieces(mut pieces) => {
            let mut whole = Vec::new();
            while let Some(piece) = pieces.next().await? {
                whole.extend_from_slice(&piece);
                if whole.len() > MAX_MESSAGE_BYTES {
                    return Err("the body is too long for version 1 of the protocol".into());
                }
            }
            Some(whole)
        }
    };
    let text = body.map(String::from_utf8).transpose();
    let text = text.map_err(|_| "version 1 of the protocol has no bodies that are not UTF-8")?;
    let mut headers = Map::new(); // it has no room for a name that repeats
    for (name, value) in response.headers {
        let joined = match headers.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value,
        };
        headers.insert(name, joined.into());
    }
    Ok(json!({"status": response.status, "headers": headers, "body": text}))
}
