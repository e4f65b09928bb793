//! Requests as handlers see them, and the answers that they give.

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::{json, Value};

use crate::error::PluginError;
use crate::events::{EventSender, EVENT_STREAM, SILENCE};
use crate::pieces::{BodySender, Pieces};

/// Header fields in their order; names may repeat.
pub type Headers = Vec<(String, String)>;

/// An HTTP request below the plugin's route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Without the query, as it was sent (percent-encoded).
    pub path: String,
    /// What follows the question mark, as it was sent.
    pub query: String,
    /// The header fields.
    pub headers: Headers,
    /// The whole body; empty when there is none.
    pub body: Vec<u8>,
    /// The name of whoever is logged in; None when the core did not say.
    pub user: Option<String>,
    /// `admin` or `client`.
    pub role: Option<String>,
}

impl HttpRequest {
    /// Returns a request without headers and body, for tests.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        HttpRequest {
            method: method.to_uppercase(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            user: None,
            role: None,
        }
    }

    /// Returns the first header of a name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns a parameter of the query, decoded; of several, the last.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').rev();
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(have, _)| decoded(&have.replace('+', " ")) == name)
            .map(|(_, value)| decoded(&value.replace('+', " ")))
    }

    /// Returns the body as text; what is no UTF-8 becomes question marks.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Returns the body as JSON; left alone, the error is answered with 400.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PluginError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = format!("The body is not the JSON that is expected: {error}.");
            PluginError::http(400, "bad_request", message)
        })
    }

    /// Reads what a message of either version says of a request; None when it is none.
    pub(crate) fn from_fields(fields: &serde_json::Map<String, Value>) -> Option<Self> {
        let method = fields.get("method")?.as_str().filter(|method| !method.is_empty())?;
        let mut request = HttpRequest::new(method, fields.get("path")?.as_str()?);
        if let Some(query) = fields.get("query").and_then(Value::as_str) {
            if !query.is_empty() {
                request.query = query.trim_start_matches('?').to_owned();
            }
        }
        request.headers = headers_of(fields.get("headers"))?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        request.user = text("user").or_else(|| request.header("X-Toru-User").map(decoded));
        request.role = text("role").or_else(|| request.header("X-Toru-Role").map(str::to_owned));
        Some(request)
    }
}

fn headers_of(value: Option<&Value>) -> Option<Headers> {
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Object(map)) => {
            let pairs =
                map.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
            pairs.collect()
        }
        Some(Value::Array(pairs)) => pairs.iter().map(pair_of).collect(),
        Some(_) => None,
    }
}

fn pair_of(pair: &Value) -> Option<(String, String)> {
    let pair = pair.as_array().filter(|pair| pair.len() == 2)?;
    Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()))
}

/// Undoes percent-encoding (RFC 3986, 2.1); what is no UTF-8 becomes question marks.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[derive(Debug)]
pub(crate) enum Body {
    None,
    Whole(Vec<u8>),
    Pieces(Box<Pieces>),
}

/// An answer.
#[derive(Debug)]
pub struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Body,
}

impl HttpResponse {
    /// Returns an answer without a body.
    pub fn empty(status: u16) -> Self {
        HttpResponse { status, headers: Vec::new(), body: Body::None }
    }

    /// Returns a 200 of any type. What is not UTF-8 needs version 2 of the protocol.
    pub fn bytes(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut response = HttpResponse::empty(200).with_header("Content-Type", content_type);
        response.body = Body::Whole(body.into());
        response
    }

    /// Returns a 200 of plain text.
    pub fn text(body: impl Into<String>) -> Self {
        HttpResponse::bytes("text/plain; charset=utf-8", body.into())
    }

    /// Returns a 200 of JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, PluginError> {
        Ok(HttpResponse::bytes("application/json", serde_json::to_vec(value)?))
    }

    /// Returns a 200 whose body `producer` sends piece by piece while the browser takes it. With
    /// version 1 of the protocol the body is collected first.
    ///
    /// It goes on only as the browser takes what it sends. When the browser leaves, it is dropped.
    /// An error before the first piece becomes an answer as usual; a later one breaks the body off.
    ///
    /// ```
    /// # use toru_plugin_api::HttpResponse;
    /// # fn handler() -> HttpResponse {
    /// HttpResponse::stream_with("text/csv", |body| async move {
    ///     for n in 0..1_000_000 {
    ///         body.send(format!("{n},{}\n", n * n)).await?;
    ///     }
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn stream_with<P, F>(content_type: &str, producer: P) -> Self
    where
        P: FnOnce(BodySender) -> F,
        F: Future<Output = Result<(), PluginError>> + Send + 'static,
    {
        let (sender, pieces) = Pieces::new();
        HttpResponse::of_pieces(content_type, pieces.made_by(producer(sender)))
    }

    /// Returns a stream of events, which an `EventSource` in the browser receives, and which goes on
    /// until `producer` ends or the browser leaves; then `producer` is dropped. Silence is filled
    /// with comments. Version 1 of the protocol has none.
    ///
    /// ```
    /// # use toru_plugin_api::{HttpResponse, ServerEvent};
    /// # use std::time::Duration;
    /// # fn handler() -> HttpResponse {
    /// HttpResponse::events(|events| async move {
    ///     for count in 0.. {
    ///         events.send(ServerEvent::json(&count)?.with_event("count")).await?;
    ///         tokio::time::sleep(Duration::from_secs(1)).await;
    ///     }
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn events<P, F>(producer: P) -> Self
    where
        P: FnOnce(EventSender) -> F,
        F: Future<Output = Result<(), PluginError>> + Send + 'static,
    {
        let (sender, pieces) = Pieces::new();
        let pieces = pieces.made_by(producer(EventSender(sender)));
        HttpResponse::of_pieces(EVENT_STREAM, pieces)
            .with_header("Cache-Control", "no-cache")
            .with_keep_alive(Some(SILENCE))
    }

    /// Returns a 200 whose body comes from another task, and what sends it from there. The body is
    /// whole when that is dropped; [`HttpResponse::stream_with`] sees faults, too.
    ///
    /// ```
    /// # use toru_plugin_api::HttpResponse;
    /// # async fn handler() -> HttpResponse {
    /// let (response, body) = HttpResponse::stream("text/plain");
    /// tokio::spawn(async move {
    ///     let mut count = 0;
    ///     while body.send(format!("{count}\n")).await.is_ok() {
    ///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ///         count += 1;
    ///     }
    /// });
    /// response
    /// # }
    /// ```
    pub fn stream(content_type: &str) -> (Self, BodySender) {
        let (sender, pieces) = Pieces::new();
        (HttpResponse::of_pieces(content_type, pieces), sender)
    }

    fn of_pieces(content_type: &str, pieces: Pieces) -> Self {
        let mut response = HttpResponse::empty(200).with_header("Content-Type", content_type);
        response.body = Body::Pieces(Box::new(pieces));
        response
    }

    /// Sets the status, 100 to 599.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets after how much silence a comment is sent on a stream of events; 15 s without it.
    pub fn with_keep_alive(mut self, silence: Option<Duration>) -> Self {
        if let Body::Pieces(pieces) = &mut self.body {
            pieces.keep_alive = silence;
        }
        self
    }

    /// Waits for the first piece of a body that ends by itself, whose fault can be answered then.
    pub(crate) async fn prepare(&mut self) -> Result<(), PluginError> {
        let lasts = self.lasts();
        match &mut self.body {
            Body::Pieces(pieces) if !lasts => pieces.prepare().await,
            _ => Ok(()),
        }
    }

    /// Returns an error in the shape that the core's own errors have.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let text = json!({"error": message, "code": code}).to_string();
        HttpResponse::bytes("application/json", text).with_status(status)
    }

    /// Whether it is a stream of events, which does not end by itself.
    pub(crate) fn lasts(&self) -> bool {
        let mut kinds =
            self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let is_event_stream = |kind: &str| {
            let plain = kind.split(';').next().unwrap_or("").trim();
            plain.eq_ignore_ascii_case(EVENT_STREAM)
        };
        matches!(self.body, Body::Pieces(_)) && kinds.any(|(_, kind)| is_event_stream(kind))
    }

    /// Returns what makes it no answer that can be sent.
    pub(crate) fn fault(&self) -> Option<String> {
        if !(100..=599).contains(&self.status) {
            return Some(format!("{} is no HTTP status from 100 to 599", self.status));
        }
        let bad =
            self.headers.iter().find(|(name, value)| !is_token(name) || !is_field_value(value));
        bad.map(|(name, _)| format!("the header {name:?} has characters that it must not have"))
    }
}

/// RFC 9110, 5.6.2.
fn is_token(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// RFC 9110, 5.5.
fn is_field_value(value: &str) -> bool {
    !value.chars().any(|character| character != '\t' && character.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_decoded_and_the_last_one_counts() {
        let request = HttpRequest::new("get", "/a%20b?x=1&x=J%C3%B6rg+B&empty&bad=%zz%");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/a%20b"));
        assert_eq!(request.query_value("x").as_deref(), Some("Jörg B"));
        assert_eq!(request.query_value("empty").as_deref(), Some(""));
        assert_eq!(request.query_value("bad").as_deref(), Some("%zz%"));
        assert_eq!(request.query_value("none"), None);
    }

    #[test]
    fn both_shapes_of_headers_are_read_and_nonsense_is_not() {
        let read = |value: Value| HttpRequest::from_fields(value.as_object().unwrap());
        let map =
            read(json!({"method": "GET", "path": "/", "headers": {"X-Toru-User": "J%C3%B6rg"}}));
        assert_eq!(map.unwrap().user.as_deref(), Some("Jörg"));
        let pairs =
            json!({"method": "GET", "path": "/?a=1", "query": "b=2", "headers": [["A", "1"]]});
        let request = read(pairs).unwrap();
        assert_eq!((request.header("a"), request.query.as_str()), (Some("1"), "b=2"));
        for bad in
            [json!({"path": "/"}), json!({"method": "GET"}), json!({"method": "", "path": "/"})]
        {
            assert!(read(bad).is_none());
        }
        assert!(read(json!({"method": "GET", "path": "/", "headers": [["A"]]})).is_none());
    }

    #[test]
    fn answers_that_no_http_message_can_be_have_a_fault() {
        assert_eq!(HttpResponse::text("a").fault(), None);
        for bad in [
            HttpResponse::empty(99),
            HttpResponse::empty(600),
            HttpResponse::empty(200).with_header("A", "b\r\nC: d"),
            HttpResponse::empty(200).with_header("A b", "c"),
        ] {
            assert!(bad.fault().is_some());
        }
    }
}
