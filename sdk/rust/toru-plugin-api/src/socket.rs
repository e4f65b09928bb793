//! WebSockets as handlers see them, over version 2 of the protocol.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::body::Incoming;
use crate::calls::lock;
use crate::credit::Credit;
use crate::error::PluginError;
use crate::exchange::Exchange;
use crate::frame::{FLAG_END, FLAG_TEXT};
use crate::http::HttpRequest;

/// Close codes of RFC 6455, 7.4.1.
pub(crate) const NORMAL: u16 = 1000;
pub(crate) const GOING_AWAY: u16 = 1001;
pub(crate) const ABNORMAL: u16 = 1006;
const BAD_TEXT: u16 = 1007;
pub(crate) const POLICY: u16 = 1008;
const TOO_BIG: u16 = 1009;
pub(crate) const FAILED: u16 = 1011;

const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// So many may wait unread: they cost the sender no credit.
const MAX_EMPTY_MESSAGES: usize = 1000;

/// A message of a WebSocket, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketMessage {
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl From<&str> for SocketMessage {
    fn from(text: &str) -> Self {
        SocketMessage::Text(text.to_owned())
    }
}

impl From<String> for SocketMessage {
    fn from(text: String) -> Self {
        SocketMessage::Text(text)
    }
}

impl From<Vec<u8>> for SocketMessage {
    fn from(bytes: Vec<u8>) -> Self {
        SocketMessage::Bytes(bytes)
    }
}

impl From<&[u8]> for SocketMessage {
    fn from(bytes: &[u8]) -> Self {
        SocketMessage::Bytes(bytes.to_vec())
    }
}

/// A WebSocket that a browser has opened; see
/// [`ToruPlugin::handle_websocket`](crate::ToruPlugin::handle_websocket).
#[derive(Debug)]
pub struct WebSocket {
    request: HttpRequest,
    sender: SocketSender,
    incoming: Incoming,
    partial: Vec<u8>,
    max_message_bytes: usize,
}

impl WebSocket {
    pub(crate) fn new(request: HttpRequest, sender: SocketSender, incoming: Incoming) -> Self {
        let max_message_bytes = MAX_MESSAGE_BYTES;
        WebSocket { request, sender, incoming, partial: Vec::new(), max_message_bytes }
    }

    /// Returns what it was opened with: path, query, headers, user and role.
    pub fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// Returns what sends and closes; it may be cloned, kept, and used from other tasks.
    pub fn sender(&self) -> SocketSender {
        self.sender.clone()
    }

    /// Sets how long a message may be, in bytes; 1 MiB without it. A longer one closes with 1009.
    pub fn set_max_message_bytes(&mut self, max_bytes: usize) {
        self.max_message_bytes = max_bytes;
    }

    /// Takes it; so does the first [`next`](Self::next) or [`send`](Self::send).
    ///
    /// # Errors
    /// It is closed.
    pub async fn accept(&self) -> Result<(), PluginError> {
        self.sender.accept().await
    }

    /// Returns the next message; None when it is closed. Nothing is lost when it is dropped while
    /// it waits.
    pub async fn next(&mut self) -> Option<SocketMessage> {
        self.sender.accept_unless_over().await;
        while !self.sender.has_left() {
            let chunk = self.incoming.next().await?;
            self.sender.took(&chunk.bytes);
            self.partial.extend_from_slice(&chunk.bytes);
            if self.partial.len() > self.max_message_bytes {
                self.sender.close_with(TOO_BIG).await;
            } else if chunk.flags & FLAG_END != 0 {
                let whole = std::mem::take(&mut self.partial);
                if chunk.flags & FLAG_TEXT == 0 {
                    return Some(SocketMessage::Bytes(whole));
                }
                match String::from_utf8(whole) {
                    Ok(text) => return Some(SocketMessage::Text(text)),
                    Err(_) => self.sender.close_with(BAD_TEXT).await,
                }
            }
        }
        None
    }

    /// Sends a message; see [`SocketSender::send`].
    pub async fn send(&self, message: impl Into<SocketMessage>) -> Result<(), PluginError> {
        self.sender.send(message).await
    }

    /// Closes it; see [`SocketSender::close`].
    pub async fn close(&self, code: u16) -> Result<(), PluginError> {
        self.sender.close(code).await
    }

    /// Returns why it is closed; None while it is open.
    pub fn close_code(&self) -> Option<u16> {
        self.sender.close_code()
    }
}

/// The sending half of a [`WebSocket`].
#[derive(Clone)]
pub struct SocketSender(Arc<Peer>);

struct Peer {
    exchange: Arc<Exchange>,
    id: u32,
    credit: Arc<Credit>,
    state: Mutex<State>,
    close_code: watch::Sender<Option<u16>>,
    empty: AtomicUsize,
    /// One message after the other, whoever sends.
    sending: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    is_accepted: bool,
    has_left: bool,
}

impl std::fmt::Debug for SocketSender {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("SocketSender").field("close_code", &self.close_code()).finish()
    }
}

impl PartialEq for SocketSender {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SocketSender {}

impl SocketSender {
    pub(crate) fn new(exchange: &Arc<Exchange>, id: u32, credit: Arc<Credit>) -> Self {
        SocketSender(Arc::new(Peer {
            exchange: Arc::clone(exchange),
            id,
            credit,
            state: Mutex::default(),
            close_code: watch::channel(None).0,
            empty: AtomicUsize::new(0),
            sending: tokio::sync::Mutex::new(()),
        }))
    }

    /// Sends a message; waits while the browser takes no more.
    ///
    /// # Errors
    /// It is closed.
    pub async fn send(&self, message: impl Into<SocketMessage>) -> Result<(), PluginError> {
        let (bytes, kind) = match message.into() {
            SocketMessage::Text(text) => (text.into_bytes(), FLAG_TEXT),
            SocketMessage::Bytes(bytes) => (bytes, 0),
        };
        let _turn = self.0.sending.lock().await;
        self.accept().await?;
        let unfinished = Unfinished { sender: self, has_begun: AtomicBool::new(false) };
        let peer = &*self.0;
        let flags = FLAG_END | kind;
        peer.exchange
            .send_message(peer.id, &peer.credit, &bytes, flags, &unfinished.has_begun)
            .await
    }

    /// Closes it with 1000, or 3000 to 4999 for reasons of the plugin's own. Changes nothing when
    /// it is closed.
    ///
    /// # Errors
    /// The code may not be sent (RFC 6455, 7.4), or the WebSocket was not taken yet: passed on,
    /// that refuses it.
    pub async fn close(&self, code: u16) -> Result<(), PluginError> {
        let is_standard = (1000..=1014).contains(&code) && ![1004, 1005, ABNORMAL].contains(&code);
        if !is_standard && !(3000..=4999).contains(&code) {
            return Err(format!("{code} is no close code that may be sent").into());
        }
        if self.close_code().is_none() && !self.is_accepted() {
            return Err(PluginError::http(403, "refused", "The WebSocket is refused."));
        }
        self.close_with(code).await;
        Ok(())
    }

    /// Returns why it is closed; None while it is open.
    pub fn close_code(&self) -> Option<u16> {
        *self.0.close_code.borrow()
    }

    /// Waits until it is closed.
    pub async fn closed(&self) {
        let mut seen = self.0.close_code.subscribe();
        while seen.borrow_and_update().is_none() {
            if seen.changed().await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn is_accepted(&self) -> bool {
        lock(&self.0.state).is_accepted
    }

    pub(crate) async fn accept(&self) -> Result<(), PluginError> {
        if self.close_code().is_some() {
            return Err(closed());
        }
        if self.is_accepted() {
            return Ok(());
        }
        let slot = self.0.exchange.slot().await?;
        let mut state = lock(&self.0.state);
        if !state.is_accepted {
            state.is_accepted = true;
            self.0.exchange.accept_socket(self.0.id, slot)?;
        }
        Ok(())
    }

    async fn accept_unless_over(&self) {
        let _ = self.accept().await; // what came before its end is still received
    }

    /// Closes it, or notes that the library has.
    pub(crate) async fn close_with(&self, code: u16) {
        lock(&self.0.state).has_left = true;
        if self.lose(code) {
            self.0.exchange.close_socket(self.0.id, code).await;
        }
    }

    /// Notes that it is closed; returns whether it was open.
    pub(crate) fn lose(&self, code: u16) -> bool {
        let mut was_open = false;
        self.0.close_code.send_modify(|found| {
            was_open = found.is_none();
            *found = found.or(Some(code));
        });
        self.0.credit.close();
        was_open
    }

    /// Counts a message without bytes; returns whether too many of them wait.
    pub(crate) fn came(&self, bytes: &[u8]) -> bool {
        bytes.is_empty() && self.0.empty.fetch_add(1, Ordering::SeqCst) >= MAX_EMPTY_MESSAGES
    }

    fn took(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.0.empty.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn has_left(&self) -> bool {
        lock(&self.0.state).has_left
    }
}

/// Closes the WebSocket when half a message is out and nothing can follow it.
struct Unfinished<'a> {
    sender: &'a SocketSender,
    has_begun: AtomicBool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (true, Ok(runtime)) = (self.has_begun.load(Ordering::SeqCst), runtime) {
            let sender = self.sender.clone();
            runtime.spawn(async move { sender.close_with(FAILED).await });
        }
    }
}

fn closed() -> PluginError {
    PluginError::call("CANCELLED", "the WebSocket is closed")
}
