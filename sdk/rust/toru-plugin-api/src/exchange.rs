//! The requests and WebSockets of one connection of version 2, and the bytes of their bodies.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{json, Map, Value};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::body::{Chunk, Inbox, Incoming, RequestBody};
use crate::calls::lock;
use crate::credit::{Allowance, Credit, Taken};
use crate::error::PluginError;
use crate::frame::{encode, encode_data, Data, FLAG_END};
use crate::http::{Body, HttpRequest, HttpResponse};
use crate::outgoing::{gone, Slot};
use crate::pieces::Pieces;
use crate::server::Server;
use crate::session_v2::{Limits, Voice};
use crate::socket::{SocketSender, WebSocket, ABNORMAL, FAILED, GOING_AWAY, NORMAL, POLICY};

const DEFAULT_DEADLINE_MS: u64 = 30_000;
/// Longer bodies are sent in pieces, so that they hold up no other answer.
const MAX_INLINE_BYTES: usize = 128 * 1024;
/// How long the handler of a WebSocket may go on after the other side has closed it.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// A request that is not answered yet, or a WebSocket.
struct Stream {
    task: Option<JoinHandle<()>>,
    inbox: Option<Inbox>,
    /// Told when the whole body is there, from when on there is a time limit.
    is_whole: Option<oneshot::Sender<()>>,
    credit: Arc<Credit>,
    socket: Option<SocketSender>,
    lasts: bool,
}

/// The requests and WebSockets of one connection.
pub(crate) struct Exchange {
    server: Arc<Server>,
    voice: Voice,
    limits: Limits,
    streams: Mutex<HashMap<u32, Stream>>,
    draining: AtomicBool,
    credit: Credit,
    allowance: Allowance,
}

impl Exchange {
    pub fn new(server: &Arc<Server>, voice: Voice, limits: Limits) -> Arc<Self> {
        Arc::new(Exchange {
            server: Arc::clone(server),
            voice,
            limits,
            streams: Mutex::default(),
            draining: AtomicBool::new(false),
            credit: Credit::new(limits.connection_credit),
            allowance: Allowance::new(limits.connection_credit),
        })
    }

    // Messages from the core

    /// Takes a request; an error ends the connection.
    pub async fn take_http(
        self: &Arc<Self>,
        message: &Map<String, Value>,
    ) -> Result<(), PluginError> {
        if let Some((id, request)) = self.take_request(message).await? {
            self.begin(id, request, message);
        }
        Ok(())
    }

    /// Takes a WebSocket; an error ends the connection.
    pub async fn take_socket(
        self: &Arc<Self>,
        message: &Map<String, Value>,
    ) -> Result<(), PluginError> {
        let mut message = message.clone();
        message.insert("method".into(), "GET".into());
        if let Some((id, request)) = self.take_request(&message).await? {
            self.begin_socket(id, request);
        }
        Ok(())
    }

    async fn take_request(
        &self,
        message: &Map<String, Value>,
    ) -> Result<Option<(u32, HttpRequest)>, PluginError> {
        let id = self.new_id(message.get("id"))?;
        if let Some((code, sentence)) = self.refusal() {
            self.voice.send_error_soon(id.into(), code, sentence, true).await;
            return Ok(None);
        }
        let request = HttpRequest::from_fields(message);
        if request.is_none() {
            self.voice.send_error_soon(id.into(), "INTERNAL", "That is no request.", false).await;
        }
        Ok(request.map(|request| (id, request)))
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

    fn begin(self: &Arc<Self>, id: u32, request: HttpRequest, message: &Map<String, Value>) {
        let deadline_ms = message.get("deadline_ms").and_then(Value::as_u64);
        let deadline = Duration::from_millis(deadline_ms.unwrap_or(DEFAULT_DEADLINE_MS));
        let mut stream = self.new_stream();
        let (told, whole) = oneshot::channel();
        let body = if message.get("body").and_then(Value::as_str) == Some("stream") {
            let (inbox, incoming) = Incoming::new(self, id, self.limits.stream_credit);
            stream.inbox = Some(inbox);
            stream.is_whole = Some(told);
            RequestBody::coming(incoming)
        } else {
            let _ = told.send(()); // its receiver is the next but one line's
            RequestBody::whole(message.get("text").and_then(Value::as_str).unwrap_or(""))
        };
        let exchange = Arc::clone(self);
        self.spawn(id, stream, async move {
            exchange.serve(id, request, body, whole, deadline).await;
        });
    }

    fn begin_socket(self: &Arc<Self>, id: u32, request: HttpRequest) {
        let mut stream = self.new_stream();
        let (inbox, incoming) = Incoming::new(self, id, self.limits.stream_credit);
        let sender = SocketSender::new(self, id, Arc::clone(&stream.credit));
        stream.inbox = Some(inbox);
        stream.socket = Some(sender.clone());
        let socket = WebSocket::new(request, sender.clone(), incoming);
        let exchange = Arc::clone(self);
        self.spawn(id, stream, async move { exchange.serve_socket(id, socket, sender).await });
    }

    fn new_stream(&self) -> Stream {
        Stream {
            task: None,
            inbox: None,
            is_whole: None,
            credit: Arc::new(Credit::new(self.limits.stream_credit)),
            socket: None,
            lasts: false,
        }
    }

    fn spawn<F>(&self, id: u32, stream: Stream, work: F)
    where
        F: std::future::Future<Output = ()> + Send + 'static,
    {
        let counted = self.server.work.enter();
        let mut streams = lock(&self.streams); // so that it does not end before it is there
        let entry = streams.entry(id).or_insert(stream);
        entry.task = Some(tokio::spawn(async move {
            work.await;
            drop(counted);
        }));
    }

    /// Takes bytes of a body or a message; those of the connection give credit back at once, so
    /// that no stream holds up another.
    pub async fn take_data(&self, data: Data) -> Result<(), PluginError> {
        self.allowance.spend(data.bytes.len())?;
        self.give_credit(0, self.allowance.take(data.bytes.len())).await;
        let id = data.id;
        let (add, flooded) = self.pass_on(data)?;
        if let Some(socket) = flooded {
            tokio::spawn(async move { socket.close_with(POLICY).await });
        }
        self.give_credit(id, add).await;
        Ok(())
    }

    /// Leaves bytes for whoever reads them; returns the credit to give back when nobody does.
    fn pass_on(&self, data: Data) -> Result<(usize, Option<SocketSender>), PluginError> {
        let mut streams = lock(&self.streams);
        let stream = match streams.get_mut(&data.id) {
            Some(stream) => stream,
            None => return Ok((0, None)), // it belongs to a request that is over
        };
        let inbox = match &stream.inbox {
            Some(inbox) => inbox,
            None => return Ok((0, None)), // nothing was to follow
        };
        let (size, ends) = (data.bytes.len(), data.flags & FLAG_END != 0);
        inbox.allowance.spend(size)?;
        if size == 0 && !ends && stream.socket.is_none() {
            return Ok((0, None));
        }
        let flooded = stream.socket.clone().filter(|socket| socket.came(&data.bytes));
        let sent = inbox.chunks.send(Chunk { bytes: data.bytes, flags: data.flags });
        let add = if sent.is_err() { inbox.allowance.take(size) } else { 0 };
        if ends && stream.socket.is_none() {
            stream.inbox = None;
            if let Some(is_whole) = stream.is_whole.take() {
                let _ = is_whole.send(()); // the answer may have begun already
            }
            return Ok((0, None));
        }
        Ok((add, flooded))
    }

    async fn give_credit(&self, id: u32, add: usize) {
        if add > 0 {
            self.voice.send_soon(json!({"type": "window", "id": id, "add": add})).await;
        }
    }

    /// Gives credit back for what was read, unless nothing is to follow.
    pub fn give_credit_soon(self: &Arc<Self>, id: u32, add: usize) {
        let is_wanted =
            || lock(&self.streams).get(&id).map_or(false, |stream| stream.inbox.is_some());
        if add == 0 || !is_wanted() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let exchange = Arc::clone(self);
            runtime.spawn(async move { exchange.give_credit(id, add).await });
        }
    }

    /// Takes credit; of what is over, nothing comes of it.
    pub fn take_window(&self, id: u32, message: &Map<String, Value>) {
        let add = message.get("add").and_then(Value::as_u64).unwrap_or(0);
        let add = usize::try_from(add).unwrap_or(usize::MAX);
        if id == 0 {
            self.credit.add(add);
        } else if let Some(stream) = lock(&self.streams).get(&id) {
            stream.credit.add(add);
        }
    }

    /// Gives a request up: nobody waits for its answer, or for more of it.
    pub async fn cancel(&self, id: u32) {
        if let Some(stream) = self.finish(id) {
            stream.give_up();
            let sentence = "The request was cancelled.";
            self.voice.send_error_soon(id.into(), "CANCELLED", sentence, false).await;
        }
    }

    /// Takes it that the browser, or the core, has closed a WebSocket.
    pub fn lose_socket(&self, id: u32, message: &Map<String, Value>) {
        let code = message.get("code").and_then(Value::as_u64);
        let code = code.and_then(|code| u16::try_from(code).ok()).unwrap_or(ABNORMAL);
        let is_socket =
            lock(&self.streams).get(&id).map_or(false, |stream| stream.socket.is_some());
        if let Some(stream) = self.finish(id).filter(|_| is_socket) {
            stream.lose(code);
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
        self.credit.close();
    }

    /// Ends event streams and WebSockets, which would not end by themselves.
    pub async fn end_lasting(&self) {
        let lasting = |(id, stream): (&u32, &Stream)| {
            (stream.lasts || stream.socket.is_some()).then(|| (*id, stream.socket.clone()))
        };
        let lasting: Vec<_> = lock(&self.streams).iter().filter_map(lasting).collect();
        for (id, socket) in lasting {
            match socket {
                Some(socket) => socket.close_with(GOING_AWAY).await,
                None => self.cancel(id).await,
            }
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
        request: HttpRequest,
        body: RequestBody,
        whole: oneshot::Receiver<()>,
        deadline: Duration,
    ) {
        let what = format!("{} {}", request.method, request.path);
        let context = self.server.context(None);
        let late = async {
            let _ = whole.await; // nobody will say so only when the request is given up
            sleep(deadline).await;
        };
        tokio::select! {
            response = self.server.answer(request, body, context) => {
                self.send(id, response, &what).await;
            }
            _ = late => {
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
                self.send_body(id, &body, true).await
            }
            Body::Pieces(pieces) => {
                head["body"] = "stream".into();
                if let Some(stream) = lock(&self.streams).get_mut(&id) {
                    stream.lasts = lasts;
                }
                self.voice.send(head).await?;
                self.send_pieces(id, *pieces).await
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

    async fn send_pieces(&self, id: u32, mut pieces: Pieces) -> Result<(), PluginError> {
        while let Some(piece) = pieces.next_together(self.limits.data_bytes).await? {
            self.send_body(id, &piece, false).await?;
        }
        self.send_last(id, encode_data(id, FLAG_END, b"")).await
    }

    /// Sends bytes of a body in frames, as credit allows.
    async fn send_body(&self, id: u32, data: &[u8], is_last: bool) -> Result<(), PluginError> {
        let credit = lock(&self.streams).get(&id).map(|stream| Arc::clone(&stream.credit));
        let credit = credit.ok_or_else(gone)?;
        let mut rest = data;
        while !rest.is_empty() {
            let (own, shared) = self.take_credit(&credit, rest.len()).await?;
            let (piece, after) = rest.split_at(shared.count);
            if is_last && after.is_empty() {
                self.send_last(id, encode_data(id, FLAG_END, piece)).await?;
            } else {
                self.voice.outgoing.slot().await?.send(encode_data(id, 0, piece));
            }
            // Before this line it would come back by itself when the request is given up.
            own.spend(piece.len());
            shared.spend(piece.len());
            rest = after;
        }
        if data.is_empty() && is_last {
            self.send_last(id, encode_data(id, FLAG_END, b"")).await?;
        }
        Ok(())
    }

    /// Takes credit of a stream and at most as much of the connection.
    async fn take_credit<'a>(
        &'a self,
        credit: &'a Credit,
        size: usize,
    ) -> Result<(Taken<'a>, Taken<'a>), PluginError> {
        let own = credit.take(size.min(self.limits.data_bytes)).await?;
        let shared = self.credit.take(own.count).await?;
        Ok((own, shared))
    }

    /// Sends a request's last frame, unless the request has been given up meanwhile.
    async fn send_last(&self, id: u32, frame: Vec<u8>) -> Result<(), PluginError> {
        let slot = self.voice.outgoing.slot().await?;
        if self.finish(id).is_some() {
            slot.send(frame);
        }
        Ok(())
    }

    // WebSockets

    async fn serve_socket(&self, id: u32, socket: WebSocket, sender: SocketSender) {
        let what = format!("WebSocket {}", socket.request().path);
        let outcome = self.server.serve_socket(socket, self.server.context(None)).await;
        let is_over = sender.close_code().is_some();
        match outcome {
            Ok(()) => {
                if sender.accept().await.is_ok() {
                    sender.close_with(NORMAL).await;
                }
            }
            Err(PluginError::Call { code, .. }) if is_over && code == "CANCELLED" => {}
            Err(error) if !is_over && !sender.is_accepted() => {
                self.send(id, self.server.failure(&what, error), &what).await;
            }
            Err(error) => {
                self.server.failed(&what, &error.to_string());
                sender.close_with(FAILED).await;
            }
        }
    }

    /// Waits for room for one frame.
    pub async fn slot(&self) -> Result<Slot<'_>, PluginError> {
        self.voice.outgoing.slot().await
    }

    /// Says that a WebSocket is taken.
    pub fn accept_socket(&self, id: u32, slot: Slot<'_>) -> Result<(), PluginError> {
        let accept = encode(&json!({"type": "ws_accept", "id": id}), self.limits.json_bytes)?;
        let mut streams = lock(&self.streams);
        streams.get_mut(&id).ok_or_else(gone)?.lasts = true;
        slot.send(accept);
        Ok(())
    }

    /// Says that a WebSocket is closed.
    pub async fn close_socket(&self, id: u32, code: u16) {
        if self.finish(id).is_some() {
            let close = json!({"type": "ws_close", "id": id, "code": code});
            let _ = self.voice.send(close).await; // a core that has left needs to hear nothing
        }
    }

    /// Sends a message in frames, as credit allows; `has_begun` tells that half of it is out.
    pub async fn send_message(
        &self,
        id: u32,
        credit: &Credit,
        data: &[u8],
        flags: u8,
        has_begun: &AtomicBool,
    ) -> Result<(), PluginError> {
        let mut rest = data;
        loop {
            let taken = match rest.len() {
                0 => None,
                size => Some(self.take_credit(credit, size).await?),
            };
            let (piece, after) =
                rest.split_at(taken.as_ref().map_or(0, |(_, shared)| shared.count));
            let frame_flags = if after.is_empty() { flags } else { flags & !FLAG_END };
            let slot = self.slot().await?;
            if !lock(&self.streams).contains_key(&id) {
                return Err(gone());
            }
            slot.send(encode_data(id, frame_flags, piece));
            has_begun.store(!after.is_empty(), Ordering::SeqCst);
            if let Some((own, shared)) = taken {
                own.spend(piece.len());
                shared.spend(piece.len());
            }
            if after.is_empty() {
                return Ok(());
            }
            rest = after;
        }
    }
}

impl Stream {
    fn give_up(self) {
        self.credit.close();
        match &self.socket {
            Some(socket) if socket.is_accepted() => self.lose(ABNORMAL),
            Some(socket) => {
                socket.lose(ABNORMAL);
                self.abort();
            }
            None => self.abort(),
        }
    }

    /// Lets the handler of a WebSocket come to its end, but not for ever.
    fn lose(self, code: u16) {
        if let Some(socket) = &self.socket {
            socket.lose(code);
        }
        if let Some(mut task) = self.task {
            tokio::spawn(async move {
                if timeout(CLOSE_GRACE, &mut task).await.is_err() {
                    task.abort();
                }
            });
        }
    }

    fn abort(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
