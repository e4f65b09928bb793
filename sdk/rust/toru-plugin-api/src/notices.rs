//! What the core tells of its own accord: new settings, and events that were subscribed to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, Notify};

use crate::server::Server;

/// So many events may wait for the plugin; more are lost, and the next one says so.
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
    /// How many events before this one were lost, because they came faster than they were handled.
    pub dropped: u64,
}

impl PluginEvent {
    pub(crate) fn of(message: &Map<String, Value>) -> Self {
        let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let data = message.get("data").cloned().unwrap_or(Value::Null);
        let dropped = message.get("dropped").and_then(Value::as_u64).unwrap_or(0);
        PluginEvent { name: text("name"), data, timestamp: text("timestamp"), dropped }
    }
}

/// Where they wait for the plugin, which takes one after the other.
pub(crate) struct Notices {
    config: Arc<Notify>,
    events: mpsc::Sender<PluginEvent>,
    lost: AtomicU64,
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
        (Notices { config, events: sender, lost: AtomicU64::new(0) }, waiting)
    }

    pub fn config_changed(&self) {
        self.config.notify_one();
    }

    /// Leaves an event, unless too many wait.
    pub fn event(&self, mut event: PluginEvent) {
        event.dropped += self.lost.swap(0, Ordering::SeqCst);
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            self.lost.fetch_add(event.dropped + 1, Ordering::SeqCst);
        }
    }
}

impl Waiting {
    /// Passes them on as soon as the plugin has started, as long as there is a server: events and
    /// settings apart, so that a slow handler of one holds up nothing of the other.
    pub fn deliver(self, server: Weak<Server>) {
        let Waiting { config, events } = self;
        let settings = tokio::spawn(deliver_settings(server.clone(), config));
        tokio::spawn(async move {
            deliver_events(server, events).await;
            settings.abort(); // the server is gone
        });
    }
}

async fn deliver_settings(server: Weak<Server>, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        if let Some(server) = server.upgrade() {
            server.started().await;
            server.tell_config().await;
        }
    }
}

async fn deliver_events(server: Weak<Server>, mut events: mpsc::Receiver<PluginEvent>) {
    while let Some(event) = events.recv().await {
        if let Some(server) = server.upgrade() {
            server.started().await;
            server.tell_event(event).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_that_are_lost_are_counted_by_the_next_one() {
        let (notices, mut waiting) = Notices::new();
        let message = json!({"name": "a", "data": 1, "dropped": 2});
        for _ in 0..MAX_WAITING_EVENTS + 2 {
            notices.event(PluginEvent::of(message.as_object().unwrap()));
        }
        assert_eq!(waiting.events.try_recv().unwrap().dropped, 2);
        notices.event(PluginEvent::of(message.as_object().unwrap()));
        let mut last = None;
        while let Ok(event) = waiting.events.try_recv() {
            last = Some(event);
        }
        assert_eq!(last.unwrap().dropped, 2 * 3 + 2);
    }
}
