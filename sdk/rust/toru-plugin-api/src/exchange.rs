//! The requests of one connection of version 2, and the bytes of their bodies.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{json, Map, Value};
use tokio::sync::{mpsc, oneshot, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::calls::lock;
use crate::error::PluginError;
use crate::frame::{encode, encode_data, Data, FLAG_END};
use crate::http::{Body, HttpRequest, HttpResponse, Piece};
use crate::outgoing::gone;
use crate::server::Server;
use crate::session_v2::{Limits, Voice};

const DEFAULT_DEADLINE_MS: u64 = 30_000;
/// Longer bodies are sent in pieces, so that they hold up no other answer.
const MAX_INLINE_BYTES: usize = 128 * 1024;

/// A request that is not answered yet.
struct Stream {
    task: Option<JoinHandle<()>>,
    body: Option<Incoming>,
    credit: Arc<Semaphore>,
    lasts: bool,
}

/// The body of a request, until it is whole or too long.
struct Incoming {
    bytes: Vec<u8>,
    spent: usize,
    whole: oneshot::Sender<Option<Vec<u8>>>,
}

/// The requests of one connection.
pub(crate) struct Exchange {
    server: Arc<Server>,
    voice: Voice,
    limits: Limits,
    streams: Mutex<HashMap<u32, Stream>>,
    draining: AtomicBool,
    credit: Semaphore,
    spent: Mutex<usize>,
}

impl Exchange {
    pub fn new(server: &Arc<Server>, voice: Voice, limits: Limits) -> Arc<Self> {
        Arc::new(Exchange {
            server: Arc::clone(server),
            voice,
            limits,
            streams: Mutex::default(),
            draining: AtomicBool::new(false),
            credit: Semaphore::new(limits.connection_credit),
            spent: Mutex::new(0),
        })
    }

    // Messages from the core

    /// Takes a request; an error ends the connection.
    pub async fn take_http(
        self: &Arc<Self>,
        message: &Map<String, Value>,
    ) -> Result<(), PluginError> {
        let id = self.new_id(message.get("id"))?;
        if let Some((code, sentence)) = self.refusal() {
            self.voice.send_error(id.into(), code, sentence, true).await;
            return Ok(());
        }
        let request = match HttpRequest::from_fields(message) {
            Some(request) => request,
            None => {
                self.voice.send_error(id.into(), "INTERNAL", "That is no request.", false).await;
                return Ok(());
            }
        };
        self.begin(id, request, message);
        Ok(())
    }

    fn new_id(&self, id: Option<&Value>) -> Result<u32, PluginError> {
        let found = id.and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        let is_new = |id: &u32| id % 2 == 1 && !lock(&self.streams).contains_key(id);
        found.filter(is_new).ok_or_else(|| {
            let message = format!("{} is no new odd id", id.unwrap_or(&Value::Null));
            PluginError::protocol("BAD_FRAME", message)
        })
    }

    fn refusal(&self) -> Option<(&'static str, &'static str)> {
        let counted = lock(&self.streams).values().filter(|stream| !stream.lasts).count();
        if !self.server.is_ready() {
            Some(("NOT_READY", "The plugin is starting."))
        } else if self.draining.load(Ordering::SeqCst) || self.server.is_stopping() {
            Some(("BUSY", "The plugin is stopping."))
        } else if counted >= self.limits.streams {
            Some(("BUSY", "Too many requests at once."))
        } else {
            None
        }
    }

    fn begin(self: &Arc<Self>, id: u32, mut request: HttpRequest, message: &Map<String, Value>) {
        let text = message.get("text").and_then(Value::as_str).unwrap_or("");
        request.body = text.as_bytes().to_vec();
        let deadline_ms = message.get("deadline_ms").and_then(Value::as_u64);
        let deadline = Duration::from_millis(deadline_ms.unwrap_or(DEFAULT_DEADLINE_MS));
        let is_stream = message.get("body").and_then(Value::as_str) == Some("stream");
        let (whole, body) = oneshot::channel();
        let incoming = Incoming { bytes: Vec::new(), spent: 0, whole };
        let stream = Stream {
            task: None,
            body: is_stream.then_some(incoming),
            credit: Arc::new(Semaphore::new(self.limits.stream_credit)),
            lasts: false,
        };
        lock(&self.streams).insert(id, stream);
        let exchange = Arc::clone(self);
        let counted = self.server.work.enter();
        let task = tokio::spawn(async move {
            exchange.serve(id, request, is_stream.then_some(body), deadline).await;
            drop(counted);
        });
        if let Some(stream) = lock(&self.streams).get_mut(&id) {
            stream.task = Some(task);
        }
    }

    /// Takes bytes of a body; credit for them is given back as half of it is gone.
    pub async fn take_data(&self, data: Data) -> Result<(), PluginError> {
        let add = spend(&mut lock(&self.spent), data.bytes.len(), self.limits.connection_credit)?;
        self.give_credit(0, add).await?;
        let add = match lock(&self.streams).get_mut(&data.id) {
            Some(stream) => self.collect(stream, &data)?,
            None => 0, // it belongs to a request that is over
        };
        self.give_credit(data.id, add).await
    }

    /// Adds to a body; returns the credit to give back.
    fn collect(&self, stream: &mut Stream, data: &Data) -> Result<usize, PluginError> {
        let mut incoming = match stream.body.take() {
            Some(incoming) => incoming,
            None => return Ok(0),
        };
        let add = spend(&mut incoming.spent, data.bytes.len(), self.limits.stream_credit)?;
        incoming.bytes.extend_from_slice(&data.bytes);
        if incoming.bytes.len() > self.server.max_body_bytes() {
            let _ = incoming.whole.send(None); // whoever waited may have been given up
        } else if data.flags & FLAG_END != 0 {
            let _ = incoming.whole.send(Some(incoming.bytes)); // as above
        } else {
            stream.body = Some(incoming);
            return Ok(add);
        }
        Ok(0)
    }

    async fn give_credit(&self, id: u32, add: usize) -> Result<(), PluginError> {
        if add == 0 {
            return Ok(());
        }
        self.voice.send(json!({"type": "window", "id": id, "add": add})).await
    }

    /// Takes credit; of what is over, nothing comes of it.
    pub fn take_window(&self, id: u32, message: &Map<String, Value>) {
        let add = message.get("add").and_then(Value::as_u64).unwrap_or(0) as usize;
        if id == 0 {
            add_credit(&self.credit, add, self.limits.connection_credit);
        } else if let Some(stream) = lock(&self.streams).get(&id) {
            add_credit(&stream.credit, add, self.limits.stream_credit);
        }
    }

    /// Gives a request up: nobody waits for its answer, or for more of it.
    pub async fn cancel(&self, id: u32) {
        if let Some(stream) = self.finish(id) {
            stream.give_up();
            self.voice
                .send_error(id.into(), "CANCELLED", "The request was cancelled.", false)
                .await;
        }
    }

    /// Takes no more requests.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Gives everything up: the connection is gone.
    pub fn lose(&self) {
        let streams: Vec<_> = lock(&self.streams).drain().collect();
        for (_, stream) in streams {
            stream.give_up();
        }
    }

    /// Ends event streams, which would not end by themselves.
    pub async fn end_lasting(&self) {
        let lasting = |(id, stream): (&u32, &Stream)| stream.lasts.then_some(*id);
        let lasting: Vec<_> = lock(&self.streams).iter().filter_map(lasting).collect();
        for id in lasting {
            self.cancel(id).await;
        }
    }

    /// Forgets a request. Of all who want to end one, only the first is given it.
    fn finish(&self, id: u32) -> Option<Stream> {
        lock(&self.streams).remove(&id)
    }

    // Answers

    async fn serve(
        &self,
        id: u32,
        mut request: HttpRequest,
        body: Option<oneshot::Receiver<Option<Vec<u8>>>>,
        deadline: Duration,
    ) {
        if let Some(body) = body {
            request.body = match body.await {
                Ok(Some(body)) => body,
                Ok(None) => return self.send(id, too_large(), "An upload").await,
                Err(_) => return, // the request was given up
            };
        } else if request.body.len() > self.server.max_body_bytes() {
            return self.send(id, too_large(), "An upload").await;
        }
        let what = format!("{} {}", request.method, request.path);
        let context = self.server.context(None);
        match timeout(deadline, self.server.answer(request, context)).await {
            Ok(response) => self.send(id, response, &what).await,
            Err(_) => {
                if self.finish(id).is_some() {
                    let sentence = format!("No answer within {} s.", deadline.as_secs_f64());
                    self.voice.send_error(id.into(), "DEADLINE", &sentence, false).await;
                }
            }
        }
    }

    async fn send(&self, id: u32, response: HttpResponse, what: &str) {
        let sent = self.send_response(id, response).await;
        if let (Err(error), Some(_)) = (sent, self.finish(id)) {
            self.server.failed(what, &error.to_string());
            let sentence = "The plugin failed; see its log.";
            self.voice.send_error(id.into(), "INTERNAL", sentence, false).await;
        }
    }

    async fn send_response(&self, id: u32, response: HttpResponse) -> Result<(), PluginError> {
        let lasts = response.lasts();
        let mut head = json!({
            "type": "http_head", "id": id, "status": response.status, "headers": response.headers,
            "body": "none",
        });
        match response.body {
            Body::None => self.send_last(id, encode(&head, self.limits.json_bytes)?).await,
            Body::Whole(body) => {
                if let Some(frame) = self.inline(&head, &body) {
                    return self.send_last(id, frame).await;
                }
                head["body"] = "stream".into();
                self.voice.send(head).await?;
                self.send_data(id, &body, FLAG_END).await
            }
            Body::Pieces(pieces) => {
                head["body"] = "stream".into();
                if let Some(stream) = lock(&self.streams).get_mut(&id) {
                    stream.lasts = lasts;
                }
                self.voice.send(head).await?;
                self.send_pieces(id, pieces).await
            }
        }
    }

    fn inline(&self, head: &Value, body: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_INLINE_BYTES)?;
        let mut head = head.clone();
        head["body"] = "inline".into();
        head["text"] = text.into();
        encode(&head, self.limits.json_bytes).ok() // JSON may make it longer than that
    }

    async fn send_pieces(
        &self,
        id: u32,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<(), PluginError> {
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Data(data) if data.is_empty() => {}
                Piece::Data(data) => self.send_data(id, &data, 0).await?,
                Piece::Broken => return Err("the handler has broken the body off".into()),
            }
        }
        self.send_last(id, encode_data(id, FLAG_END, b"")).await
    }

    /// Sends data in frames as credit allows; `flags` are those of the last.
    async fn send_data(&self, id: u32, data: &[u8], flags: u8) -> Result<(), PluginError> {
        let limits = self.limits;
        // Half of the credit always comes back, however little of it a core gives at a time.
        let room = (limits.stream_credit / 4).min(limits.connection_credit / 4).max(1);
        let mut pieces = data.chunks(limits.data_bytes.min(room)).peekable();
        while let Some(piece) = pieces.next() {
            let credit = lock(&self.streams).get(&id).map(|stream| Arc::clone(&stream.credit));
            let credit = credit.ok_or_else(gone)?;
            let own = credit.acquire_many(piece.len() as u32).await.map_err(|_| gone())?;
            let shared = self.credit.acquire_many(piece.len() as u32).await.map_err(|_| gone())?;
            if flags & FLAG_END != 0 && pieces.peek().is_none() {
                self.send_last(id, encode_data(id, flags, piece)).await?;
            } else {
                self.voice.outgoing.slot().await?.send(encode_data(id, 0, piece));
            }
            // Before this line it would come back by itself when the request is given up.
            own.forget();
            shared.forget();
        }
        if data.is_empty() && flags & FLAG_END != 0 {
            self.send_last(id, encode_data(id, flags, b"")).await?;
        }
        Ok(())
    }

    /// Sends a request's last frame, unless the request has been given up meanwhile.
    async fn send_last(&self, id: u32, frame: Vec<u8>) -> Result<(), PluginError> {
        let slot = self.voice.outgoing.slot().await?;
        if self.finish(id).is_some() {
            slot.send(frame);
        }
        Ok(())
    }
}

impl Stream {
    fn give_up(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn too_large() -> HttpResponse {
    HttpResponse::error(413, "too_large", "The body is too large.")
}

/// Counts received bytes; returns what to give back: all, as soon as it is half of the credit.
fn spend(spent: &mut usize, size: usize, limit: usize) -> Result<usize, PluginError> {
    *spent += size;
    if *spent > limit {
        return Err(PluginError::protocol("FLOW", "data beyond the credit"));
    }
    if *spent * 2 < limit {
        return Ok(0);
    }
    Ok(std::mem::take(spent))
}

fn add_credit(credit: &Semaphore, add: usize, limit: usize) {
    credit.add_permits(add.min(limit.saturating_sub(credit.available_permits())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_comes_back_when_half_is_gone_and_more_than_all_is_a_fault() {
        let mut spent = 0;
        assert_eq!(spend(&mut spent, 40, 100).unwrap(), 0);
        assert_eq!(spend(&mut spent, 20, 100).unwrap(), 60);
        assert_eq!(spent, 0);
        assert!(spend(&mut spent, 101, 100).is_err());
    }

    #[test]
    fn credit_for_what_was_never_sent_counts_for_nothing() {
        let credit = Semaphore::new(10);
        add_credit(&credit, usize::MAX, 10);
        assert_eq!(credit.available_permits(), 10);
    }
}
