//! Server-sent events (HTML standard, 9.2).

use std::time::Duration;

use serde::Serialize;

use crate::error::PluginError;
use crate::pieces::BodySender;

pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// So that nothing between the plugin and the browser takes a silent connection for dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);
pub(crate) const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// One event of an event stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerEvent {
    data: Option<String>,
    event: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
}

impl ServerEvent {
    /// Returns an event of text, of any number of lines.
    pub fn new(data: impl Into<String>) -> Self {
        ServerEvent { data: Some(data.into()), ..ServerEvent::default() }
    }

    /// Returns an event of JSON.
    ///
    /// # Errors
    /// The value has no form in JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, PluginError> {
        Ok(ServerEvent::new(serde_json::to_string(value)?))
    }

    /// Sets its type: the browser calls the listeners of that name, else `onmessage`.
    pub fn with_event(mut self, event: &str) -> Self {
        self.event = Some(event.to_owned());
        self
    }

    /// Sets what comes back as the header `Last-Event-ID` when the browser connects again.
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Sets how long the browser waits before it does.
    pub fn with_retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Returns the event of a block of lines; comments have no part in it.
    pub(crate) fn decode(block: &str) -> Self {
        let mut event = ServerEvent::default();
        for line in block.lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "data" => match &mut event.data {
                    Some(data) => *data += &format!("\n{value}"),
                    None => event.data = Some(value.to_owned()),
                },
                "event" => event.event = Some(value.to_owned()),
                "id" => event.id = Some(value.to_owned()),
                "retry" => event.retry = value.parse().ok().map(Duration::from_millis),
                _ => {}
            }
        }
        event
    }

    /// Returns its text.
    pub fn data(&self) -> Option<&str> {
        self.data.as_deref()
    }

    /// Returns its type.
    pub fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }

    /// Returns its id.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the event's bytes.
    ///
    /// # Errors
    /// Its type or its id has a line break.
    pub fn encode(&self) -> Result<Vec<u8>, PluginError> {
        let mut text = String::new();
        for (name, value) in [("event", &self.event), ("id", &self.id)] {
            if let Some(value) = value {
                if value.contains(|character| "\r\n\0".contains(character)) {
                    return Err(format!("the {name} of an event has a line break").into());
                }
                text += &format!("{name}: {value}\n");
            }
        }
        if let Some(retry) = self.retry {
            text += &format!("retry: {}\n", retry.as_millis());
        }
        if let Some(data) = &self.data {
            for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
                text += &format!("data: {line}\n");
            }
        }
        text.push('\n');
        Ok(text.into_bytes())
    }
}

impl From<&str> for ServerEvent {
    fn from(data: &str) -> Self {
        ServerEvent::new(data)
    }
}

impl From<String> for ServerEvent {
    fn from(data: String) -> Self {
        ServerEvent::new(data)
    }
}

/// Sends the events of an answer; see [`HttpResponse::events`](crate::HttpResponse::events).
#[derive(Debug)]
pub struct EventSender(pub(crate) BodySender);

impl EventSender {
    /// Sends an event when the browser takes it.
    ///
    /// # Errors
    /// Nobody wants more, or a field has a line break.
    pub async fn send(&self, event: impl Into<ServerEvent>) -> Result<(), PluginError> {
        self.0.send(event.into().encode()?).await
    }

    /// Waits until nobody wants more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_form_that_browsers_read() {
        let event = ServerEvent::new("one\r\ntwo\rthree\nfour").with_event("tick").with_id("7");
        let bytes = event.with_retry(Duration::from_millis(500)).encode().unwrap();
        let text = "event: tick\nid: 7\nretry: 500\n\
                    data: one\ndata: two\ndata: three\ndata: four\n\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
        assert_eq!(ServerEvent::json(&[1]).unwrap(), ServerEvent::from("[1]"));
        assert!(ServerEvent::new("a").with_id("b\nc").encode().is_err());
    }
}
