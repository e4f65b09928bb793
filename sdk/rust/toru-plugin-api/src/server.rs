//! The plugin's process: it listens, starts the plugin when the core says so, and stops in order.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::{oneshot, watch, OnceCell};
use tokio::time::{sleep, timeout};

use crate::body::RequestBody;
use crate::calls::{lock, Outcome};
use crate::context::PluginContext;
use crate::error::PluginError;
use crate::frame::{read_frame, Frame, MAX_MESSAGE_BYTES};
use crate::guarded::Guarded;
use crate::http::{Body, HttpRequest, HttpResponse};
use crate::listen;
use crate::log::{write_failure, write_line, LogLevel};
use crate::notices::{Notices, PluginEvent};
use crate::outgoing::{gone, Outgoing};
use crate::plugin::ToruPlugin;
use crate::session_v1::{self, SessionV1};
use crate::session_v2::{self, SessionV2};
use crate::socket::WebSocket;

const EXIT_FAILED: u8 = 1;
/// EX_CONFIG of sysexits.h; the core does not restart after it.
const EXIT_NEEDS_CONFIGURATION: u8 = 78;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const FIRST_WORD_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves a plugin at a socket until the core says that it is to stop, or SIGTERM or SIGINT comes.
/// Returns the exit code. [`run`](crate::run) does this and all around it.
///
/// # Errors
/// It is not possible to listen there.
pub async fn serve(plugin: impl ToruPlugin, path: impl AsRef<Path>) -> Result<u8, PluginError> {
    let path = path.as_ref();
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let listener = listen::listen_on_unix_socket(path)?;
    let own = listen::identity(path);
    let server = Server::start(Box::new(plugin));
    tokio::select! {
        _ = server.stopped() => {}
        _ = terminated.recv() => server.stop("SIGTERM came"),
        _ = interrupted.recv() => server.stop("SIGINT came"),
        _ = accept(&server, listener) => {}
    }
    server.end().await;
    listen::remove(path, own);
    Ok(server.exit_code.load(Ordering::SeqCst))
}

async fn accept(server: &Arc<Server>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (taken, first) = oneshot::channel();
                tokio::spawn(converse(Arc::clone(server), stream, taken));
                if server.facts().protocol == 0 {
                    // With version 1, init comes on a connection of its own, and requests must
                    // not overtake it.
                    let _ = timeout(FIRST_WORD_TIMEOUT, first).await;
                }
            }
            Err(_) => sleep(ACCEPT_PAUSE).await, // out of descriptors: others will be closed
        }
    }
}

/// Speaks on one connection; the first message decides which version. `taken` is dropped when that
/// has been taken.
pub(crate) async fn converse(server: Arc<Server>, stream: UnixStream, taken: oneshot::Sender<()>) {
    let (read_half, write_half) = stream.into_split();
    let mut reader = BufReader::new(read_half);
    let outgoing = Arc::new(Outgoing::new(write_half, server.open.enter()));
    server.remember(&outgoing);
    match read_frame(&mut reader, MAX_MESSAGE_BYTES).await {
        Ok(Some(Frame::Json(first))) if first.get("type") == Some(&"hello".into()) => {
            drop(taken);
            session_v2::converse(&server, reader, &outgoing, first).await;
        }
        Ok(Some(first)) => {
            session_v1::converse(&server, reader, &outgoing, first, taken).await;
        }
        Ok(None) => {}
        Err(error) => tell_broken(&error),
    }
}

/// Logs why a connection cannot be used any more; that it was cut off is no news.
pub(crate) fn tell_broken(error: &PluginError) {
    if !matches!(error, PluginError::Io(_)) {
        write_failure("A connection of the core is closed.", &error.to_string());
    }
}

/// What the core has told of itself.
#[derive(Default)]
pub(crate) struct Facts {
    pub protocol: u32,
    pub instance_id: String,
    pub config: Value,
    pub config_changes: u64,
    pub data_dir: String,
    pub log_path: String,
}

/// The way to the core when a request has none of its own.
#[derive(Clone)]
pub(crate) enum Link {
    V1(Weak<SessionV1>),
    V2(Weak<SessionV2>),
}

/// How many there are of something, to wait for their end.
#[derive(Clone)]
pub(crate) struct Count(Arc<watch::Sender<usize>>);

/// One that counts until it is dropped.
pub(crate) struct Counted(Arc<watch::Sender<usize>>);

impl Count {
    fn new() -> Self {
        Count(Arc::new(watch::channel(0).0))
    }

    pub fn enter(&self) -> Counted {
        self.0.send_modify(|count| *count += 1);
        Counted(Arc::clone(&self.0))
    }

    pub async fn none_left(&self) {
        let mut seen = self.0.subscribe();
        while *seen.borrow_and_update() > 0 {
            if seen.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// One plugin on one socket.
pub(crate) struct Server {
    plugin: Box<dyn ToruPlugin>,
    facts: RwLock<Facts>,
    link: Mutex<Option<Link>>,
    session: Mutex<Option<Arc<SessionV2>>>,
    started: OnceCell<bool>,
    has_started: watch::Sender<bool>,
    stopping: watch::Sender<bool>,
    /// What the end waits for: requests, log lines that are being sent.
    pub work: Count,
    open: Count,
    connections: Mutex<Vec<Weak<Outgoing>>>,
    /// Log lines that are on their way to the core.
    pub lines: Count,
    exit_code: AtomicU8,
    /// The events that the plugin has subscribed to, which a core that comes back is told again.
    pub subscriptions: Mutex<BTreeSet<String>>,
    /// How many changes of the settings the plugin has taken.
    pub config_told: watch::Sender<u64>,
    /// Why the plugin could not start.
    pub start_failure: Mutex<Option<PluginError>>,
    notices: Notices,
}

impl Server {
    /// Returns it; to be called in a tokio runtime.
    pub fn start(plugin: Box<dyn ToruPlugin>) -> Arc<Self> {
        let (notices, inbox) = Notices::new();
        let server = Arc::new(Server {
            plugin,
            facts: RwLock::default(),
            link: Mutex::new(None),
            session: Mutex::new(None),
            started: OnceCell::new(),
            has_started: watch::channel(false).0,
            stopping: watch::channel(false).0,
            work: Count::new(),
            open: Count::new(),
            connections: Mutex::new(Vec::new()),
            lines: Count::new(),
            exit_code: AtomicU8::new(0),
            subscriptions: Mutex::default(),
            config_told: watch::channel(0).0,
            start_failure: Mutex::new(None),
            notices,
        });
        inbox.deliver(Arc::downgrade(&server));
        server
    }

    pub fn facts(&self) -> RwLockReadGuard<'_, Facts> {
        self.facts.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Returns whether the plugin has what a feature of the protocol stands for.
    pub fn has_feature(&self, name: &str) -> bool {
        match name {
            "bundle" => self.plugin.bundle().is_some(),
            "config" => self.plugin.metadata().has_live_settings,
            _ => true,
        }
    }

    fn remember(&self, outgoing: &Arc<Outgoing>) {
        let mut connections = lock(&self.connections);
        connections.retain(|one| one.strong_count() > 0);
        connections.push(Arc::downgrade(outgoing));
    }

    // The start and the end

    /// Notes what the core tells of itself in its first message.
    pub fn note(&self, protocol: u32, init: &Map<String, Value>) {
        let mut facts = self.facts.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let text = |name: &str| init.get(name).and_then(Value::as_str).map(str::to_owned);
        facts.protocol = protocol;
        facts.instance_id = text("instance_id").unwrap_or_else(|| facts.instance_id.clone());
        facts.data_dir = text("data_dir").unwrap_or_else(|| facts.data_dir.clone());
        facts.log_path = text("log_path").unwrap_or_else(|| facts.log_path.clone());
        if let Some(config) = init.get("config").filter(|config| config.is_object()) {
            facts.config = config.clone();
        }
    }

    /// Takes it that the settings have changed.
    pub fn take_config(&self, message: &Map<String, Value>) {
        if let Some(config) = message.get("config").filter(|config| config.is_object()) {
            let mut facts = self.facts.write().unwrap_or_else(|poisoned| poisoned.into_inner());
            facts.config = config.clone();
            facts.config_changes += 1;
            self.notices.config_changed();
        }
    }

    /// Takes settings that a call has returned, unless others have come since so many changes.
    pub fn note_config(&self, config: Value, changes: u64) -> Value {
        let mut facts = self.facts.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if facts.config_changes == changes && config.is_object() {
            facts.config = config;
        }
        facts.config.clone()
    }

    /// Takes an event that the plugin has subscribed to.
    pub fn take_event(&self, message: &Map<String, Value>) {
        self.notices.event(PluginEvent::of(message));
    }

    pub async fn tell_config(self: &Arc<Self>) {
        let (config, context) = (self.facts().config.clone(), self.context(None));
        let told = Guarded(Box::pin(async { self.plugin.on_config(config, context).await })).await;
        if let Err(error) = told {
            self.failed("Taking new settings", &error.to_string());
        }
        self.config_told.send_modify(|count| *count += 1);
    }

    pub async fn tell_event(self: &Arc<Self>, event: PluginEvent) {
        let (what, context) = (format!("Handling the event {}", event.name), self.context(None));
        let told = Guarded(Box::pin(async { self.plugin.handle_event(event, context).await }));
        if let Err(error) = told.await {
            self.failed(&what, &error.to_string());
        }
    }

    /// Waits until the plugin has started.
    pub async fn started(&self) {
        let mut seen = self.has_started.subscribe();
        while !*seen.borrow_and_update() {
            if seen.changed().await.is_err() {
                return;
            }
        }
    }

    /// Starts the plugin unless that was done; returns whether it could start.
    pub async fn begin(self: &Arc<Self>) -> bool {
        *self.started.get_or_init(|| self.init_plugin()).await
    }

    async fn init_plugin(self: &Arc<Self>) -> bool {
        let context = self.context(None);
        let outcome = Guarded(Box::pin(async { self.plugin.init(context).await })).await;
        let (code, error) = match outcome {
            Ok(()) => {
                self.has_started.send_replace(true);
                return true;
            }
            Err(error @ PluginError::NeedsConfiguration(_)) => (EXIT_NEEDS_CONFIGURATION, error),
            Err(error) => (EXIT_FAILED, error),
        };
        write_failure("The plugin cannot start.", &error.to_string());
        *lock(&self.start_failure) = Some(error);
        self.exit_code.store(code, Ordering::SeqCst);
        let server = Arc::clone(self);
        tokio::spawn(async move { server.stop("it could not start") });
        false
    }

    pub fn is_ready(&self) -> bool {
        self.started.get() == Some(&true)
    }

    /// Ends the plugin in order; further calls change nothing.
    pub fn stop(&self, why: &str) {
        if !self.stopping.send_replace(true) {
            write_line(LogLevel::Debug, &format!("The plugin stops: {why}."), &Map::new());
        }
    }

    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        while !*stopping.borrow_and_update() {
            if stopping.changed().await.is_err() {
                return;
            }
        }
    }

    /// Comes to the end in order: requests, then the plugin, then the connections.
    pub async fn end(self: &Arc<Self>) {
        let session = lock(&self.session).clone();
        if let Some(session) = session {
            session.end_lasting().await;
        }
        let _ = timeout(DRAIN_TIMEOUT, self.work.none_left()).await;
        if self.is_ready() {
            self.shut_plugin_down().await;
            let _ = timeout(CLOSE_TIMEOUT, self.work.none_left()).await;
        }
        let open: Vec<_> = lock(&self.connections).iter().filter_map(Weak::upgrade).collect();
        let closed = async {
            for connection in open {
                connection.close().await;
            }
            self.open.none_left().await;
        };
        let _ = timeout(CLOSE_TIMEOUT, closed).await;
    }

    async fn shut_plugin_down(self: &Arc<Self>) {
        let context = self.context(None);
        let hook = Guarded(Box::pin(async { self.plugin.shutdown(context).await }));
        match timeout(SHUTDOWN_TIMEOUT, hook).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => write_failure("The plugin could not tidy up.", &error.to_string()),
            Err(_) => write_failure("The plugin was ended.", "shutdown took too long"),
        }
    }

    // Questions for the plugin

    pub fn context(self: &Arc<Self>, request: Option<Weak<SessionV1>>) -> PluginContext {
        PluginContext::new(Arc::clone(self), request)
    }

    /// Answers a request; what the handler does wrong becomes an answer, too.
    pub async fn answer(
        &self,
        request: HttpRequest,
        body: RequestBody,
        context: PluginContext,
    ) -> HttpResponse {
        let (is_head, what) =
            (request.method == "HEAD", format!("{} {}", request.method, request.path));
        let mut response = match self.bundle_for(&request) {
            Some(bundle) => bundle,
            None => {
                let handler = async { self.plugin.handle_stream(request, body, context).await };
                let answered = Guarded(Box::pin(handler)).await;
                answered.unwrap_or_else(|error| self.failure(&what, error))
            }
        };
        if let Some(fault) = response.fault() {
            response = self.failed(&what, &fault);
        }
        if is_head {
            response.body = Body::None;
        }
        match response.prepare().await {
            Ok(()) => response,
            Err(error) => self.failure(&what, error),
        }
    }

    /// Runs the handler of a WebSocket.
    pub async fn serve_socket(
        &self,
        socket: WebSocket,
        context: PluginContext,
    ) -> Result<(), PluginError> {
        Guarded(Box::pin(async { self.plugin.handle_websocket(socket, context).await })).await
    }

    fn bundle_for(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let is_asked =
            matches!(request.method.as_str(), "GET" | "HEAD") && request.path == "/bundle.js";
        let bundle = self.plugin.bundle().filter(|_| is_asked)?;
        Some(HttpResponse::bytes("text/javascript; charset=utf-8", bundle))
    }

    /// Returns what an error of a handler is answered with.
    pub fn failure(&self, what: &str, error: PluginError) -> HttpResponse {
        match error {
            PluginError::Http { status, code, message } => {
                HttpResponse::error(status, &code, &message)
            }
            other => self.failed(what, &other.to_string()),
        }
    }

    /// Logs a fault and returns the answer that says no more than that there was one.
    pub fn failed(&self, what: &str, details: &str) -> HttpResponse {
        let fields = std::iter::once(("error".to_owned(), details.into())).collect();
        self.log(LogLevel::Error, &format!("{what} failed"), fields);
        HttpResponse::error(500, "internal", "The plugin failed; see its log.")
    }

    pub async fn answer_kv(
        &self,
        request: crate::KvRequest,
        context: PluginContext,
    ) -> Result<Option<String>, PluginError> {
        Guarded(Box::pin(async { self.plugin.handle_kv(request, context).await })).await
    }

    pub async fn check_health(&self, context: PluginContext) -> Result<(), PluginError> {
        Guarded(Box::pin(async { self.plugin.health(context).await })).await
    }

    // The way to the core

    /// Has a session be the only one of version 2: a core that comes back is the only core.
    pub fn replace_session(&self, session: &Arc<SessionV2>) {
        let before = lock(&self.session).replace(Arc::clone(session));
        if let Some(before) = before {
            before.abort();
        }
    }

    pub fn link(&self, link: Link) {
        *lock(&self.link) = Some(link);
    }

    /// Stops soon unless the core comes back: its one connection is gone.
    pub fn orphaned(self: &Arc<Self>, session: &Arc<SessionV2>) {
        if !self.is_current(session) || self.is_stopping() {
            return;
        }
        let (server, session) = (Arc::clone(self), Arc::clone(session));
        tokio::spawn(async move {
            sleep(ORPHAN_TIMEOUT).await;
            if server.is_current(&session) {
                server.stop("the core has gone");
            }
        });
    }

    fn is_current(&self, session: &Arc<SessionV2>) -> bool {
        lock(&self.session).as_ref().map_or(false, |current| Arc::ptr_eq(current, session))
    }

    fn session_v2(&self) -> Option<Arc<SessionV2>> {
        match &*lock(&self.link) {
            Some(Link::V2(session)) => session.upgrade(),
            _ => None,
        }
    }

    pub async fn call(&self, method: &str, params: Value) -> Outcome {
        let link = lock(&self.link).clone();
        match link {
            Some(Link::V1(session)) => match session.upgrade() {
                Some(session) => session.call(method, &params).await,
                None => Err(gone()),
            },
            Some(Link::V2(session)) => match session.upgrade() {
                Some(session) => session.call(method, &params).await,
                None => Err(gone()),
            },
            None => Err(gone()),
        }
    }

    /// Passes a log line on, or writes it to stderr, where the core collects it too.
    pub fn log(&self, level: LogLevel, message: &str, fields: Map<String, Value>) {
        match self.session_v2() {
            Some(session) => session.log(level, message, fields),
            None => write_line(level, message, &fields),
        }
    }

    pub async fn status(&self, text: &str, extend: Duration) {
        match self.session_v2() {
            Some(session) => session.status(text, extend).await,
            None => write_line(LogLevel::Info, text, &Map::new()),
        }
    }
}
