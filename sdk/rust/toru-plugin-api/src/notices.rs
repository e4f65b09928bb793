//! What the core tells of its own accord: new settings, and events that were subscribed to.

use std::sync::{Arc, Weak};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, Notify};

use crate::server::Server;

/// So many events may wait for the plugin; more are lost, and the log says so.
const MAX_WAITING_EVENTS: usize = 1000;

/// An event of the core, or of another plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginEvent {
    /// What it was subscribed to with.
    pub name: String,
    /// What belongs to it.
    pub data: Value,
    /// When it happened, as RFC 3339 UTC.
    pub timestamp: String,
}

impl PluginEvent {
    pub(crate) fn of(message: &Map<String, Value>) -> Self {
        let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let data = message.get("data").cloned().unwrap_or(Value::Null);
        PluginEvent { name: text("name"), data, timestamp: text("timestamp") }
    }
}

/// Where they wait for the plugin, which takes one after the other.
pub(crate) struct Notices {
    config: Arc<Notify>,
    events: mpsc::Sender<PluginEvent>,
}

/// What waits.
pub(crate) struct Waiting {
    config: Arc<Notify>,
    events: mpsc::Receiver<PluginEvent>,
}

impl Notices {
    pub fn new() -> (Self, Waiting) {
        let (sender, events) = mpsc::channel(MAX_WAITING_EVENTS);
        let config = Arc::new(Notify::new());
        let waiting = Waiting { config: Arc::clone(&config), events };
        (Notices { config, events: sender }, waiting)
    }

    pub fn config_changed(&self) {
        self.config.notify_one();
    }

    /// Leaves an event; returns it when too many wait.
    pub fn event(&self, event: PluginEvent) -> Option<PluginEvent> {
        match self.events.try_send(event) {
            Err(mpsc::error::TrySendError::Full(event)) => Some(event),
            _ => None,
        }
    }
}

/// Passes them on as soon as the plugin has started, as long as there is a server.
pub(crate) async fn deliver(server: Weak<Server>, mut waiting: Waiting) {
    loop {
        let event = tokio::select! {
            _ = waiting.config.notified() => None,
            event = waiting.events.recv() => match event {
                Some(event) => Some(event),
                None => return,
            },
        };
        let server = match server.upgrade() {
            Some(server) => server,
            None => return,
        };
        server.started().await;
        match event {
            Some(event) => server.tell_event(event).await,
            None => server.tell_config().await,
        }
    }
}
