//! Framing: a length, then JSON or raw bytes.
//!
//! ```text
//! frame   = u32be length, payload
//! payload = JSON object (its first byte is "{")
//!         | 0x01, flags (1 end, 2 text), 0x00 0x00, u32be id, bytes
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::error::PluginError;
use crate::log::utc_now;

/// The largest message of version 1, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
pub(crate) const MAX_JSON_BYTES_V2: usize = 1024 * 1024;
pub(crate) const MAX_DATA_BYTES: usize = 64 * 1024;
pub(crate) const FLAG_END: u8 = 1;
pub(crate) const FLAG_TEXT: u8 = 2;

const DATA_HEAD_BYTES: usize = 8;
const DATA_START: u8 = 1;
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

/// A message of version 1 of the protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `http`, `kv` or `lifecycle`.
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339 UTC.
    #[serde(default)]
    pub timestamp: String,
    /// What an answer is known by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What the type says.
    #[serde(default)]
    pub payload: Value,
}

impl Message {
    /// Returns a message with the time of now.
    pub fn new(kind: &str, request_id: Option<&str>, payload: Value) -> Self {
        Message {
            kind: kind.to_owned(),
            timestamp: utc_now(),
            request_id: request_id.map(str::to_owned),
            payload,
        }
    }
}

/// Reads the next message of version 1; None at the end of the connection.
///
/// # Errors
/// The connection failed, or what came is no message. It cannot be used any more then.
pub async fn read_message<R>(reader: &mut R) -> Result<Option<Message>, PluginError>
where
    R: AsyncRead + Unpin,
{
    match read_frame(reader, MAX_MESSAGE_BYTES).await? {
        None => Ok(None),
        Some(Frame::Json(fields)) => Ok(Some(serde_json::from_value(Value::Object(fields))?)),
        Some(Frame::Data(_)) => Err(bad("a message of version 1 must be JSON")),
    }
}

/// Writes a message of version 1.
///
/// # Errors
/// The connection failed, or the message is over [`MAX_MESSAGE_BYTES`]; nothing is written then.
pub async fn write_message<W>(writer: &mut W, message: &Message) -> Result<(), PluginError>
where
    W: AsyncWrite + Unpin,
{
    writer.write_all(&encode(message, MAX_MESSAGE_BYTES)?).await?;
    writer.flush().await?;
    Ok(())
}

#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Json(Map<String, Value>),
    Data(Data),
}

/// Raw bytes of one stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Data {
    pub id: u32,
    pub flags: u8,
    pub bytes: Vec<u8>,
}

/// Returns the frame of a JSON object.
pub(crate) fn encode(message: &impl Serialize, max_bytes: usize) -> Result<Vec<u8>, PluginError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > max_bytes {
        let message = format!("a message of {length} bytes is over the limit of {max_bytes}");
        return Err(PluginError::protocol("TOO_LARGE", message));
    }
    frame[..4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(frame)
}

/// Returns the frame of raw bytes, at most 64 KiB.
pub(crate) fn encode_data(id: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(4 + DATA_HEAD_BYTES + bytes.len());
    frame.extend_from_slice(&((DATA_HEAD_BYTES + bytes.len()) as u32).to_be_bytes());
    frame.extend_from_slice(&[DATA_START, flags, 0, 0]);
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(bytes);
    frame
}

/// Reads the next frame; None at the end of the connection. Not to be cancelled and called again.
pub(crate) async fn read_frame<R>(
    reader: &mut R,
    max_json: usize,
) -> Result<Option<Frame>, PluginError>
where
    R: AsyncRead + Unpin,
{
    let mut first = [0];
    if reader.read(&mut first).await? == 0 {
        return Ok(None);
    }
    match timeout(FRAME_TIMEOUT, rest_of_frame(reader, first[0], max_json)).await {
        Ok(frame) => frame.map(Some),
        Err(_) => Err(bad("a frame was not whole within 10 seconds")),
    }
}

async fn rest_of_frame<R>(reader: &mut R, first: u8, max_json: usize) -> Result<Frame, PluginError>
where
    R: AsyncRead + Unpin,
{
    let mut head = [first, 0, 0, 0];
    reader.read_exact(&mut head[1..]).await?;
    let length = u32::from_be_bytes(head) as usize;
    let max_data = MAX_DATA_BYTES + DATA_HEAD_BYTES;
    check_length(length, max_json.max(max_data))?;
    let start = reader.read_u8().await?;
    match start {
        b'{' => check_length(length, max_json)?,
        DATA_START if length < DATA_HEAD_BYTES => {
            return Err(bad("a data frame has no whole head"))
        }
        DATA_START => check_length(length, max_data)?,
        other => return Err(bad(format!("a frame cannot start with the byte 0x{other:02x}"))),
    }
    // It grows as bytes come, so that a length alone claims no memory.
    let mut payload = vec![start];
    reader.take(length as u64 - 1).read_to_end(&mut payload).await?;
    if payload.len() < length {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    parse(payload)
}

fn check_length(length: usize, limit: usize) -> Result<(), PluginError> {
    if length < 2 {
        return Err(bad(format!("a frame cannot have a length of {length} bytes")));
    }
    if length > limit {
        let message = format!("a frame of {length} bytes is over the limit of {limit}");
        return Err(PluginError::protocol("TOO_LARGE", message));
    }
    Ok(())
}

fn parse(mut payload: Vec<u8>) -> Result<Frame, PluginError> {
    if payload[0] == b'{' {
        let fields = serde_json::from_slice(&payload);
        return fields
            .map(Frame::Json)
            .map_err(|error| bad(format!("a frame is not JSON: {error}")));
    }
    if payload[2..4] != [0, 0] {
        return Err(bad("the reserved bytes of a data frame are not zero"));
    }
    let id = u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]);
    let flags = payload[1];
    let bytes = payload.split_off(DATA_HEAD_BYTES);
    Ok(Frame::Data(Data { id, flags, bytes }))
}

fn bad(message: impl Into<String>) -> PluginError {
    PluginError::protocol("BAD_FRAME", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn block_on<T>(work: impl std::future::Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(work)
    }

    fn read(mut bytes: &[u8]) -> Result<Option<Frame>, PluginError> {
        block_on(read_frame(&mut bytes, MAX_JSON_BYTES_V2))
    }

    #[test]
    fn a_message_that_is_written_is_read_again() {
        let message = Message::new("http", Some("r1"), json!({"status": 200}));
        let mut wire = Vec::new();
        block_on(write_message(&mut wire, &message)).unwrap();
        let found = block_on(read_message(&mut wire.as_slice())).unwrap();
        assert_eq!(found, Some(message));
        assert_eq!(block_on(read_message(&mut [].as_slice())).unwrap(), None);
    }

    #[test]
    fn data_frames_carry_any_bytes() {
        let frame = encode_data(7, FLAG_END, b"\xff\0");
        let data = Data { id: 7, flags: FLAG_END, bytes: b"\xff\0".to_vec() };
        assert_eq!(read(&frame).unwrap(), Some(Frame::Data(data)));
    }

    #[test]
    fn what_is_no_frame_is_refused_with_words() {
        let cases: [(&[u8], &str); 8] = [
            (&[0, 0, 0, 0], "length of 0"),
            (&[0xff; 4], "over the limit"),
            (b"\0\0\0\x04nope", "0x6e"),
            (b"\0\0\0\x05{nope", "not JSON"),
            (b"\0\0\0\x09{\"a\":NaN}", "not JSON"),
            (b"\0\0\0\x08\x01\0\0\x07\0\0\0\x01", "reserved"),
            (b"\0\0\0\x02\x01\0", "no whole head"),
            (b"\0\x02\0\0\x01", "over the limit"),
        ];
        for (bytes, words) in cases {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error:?} does not say {words:?}");
        }
        assert!(matches!(read(b"\0\0\0\x09{\"a\""), Err(PluginError::Io(_))));
    }

    #[test]
    fn a_message_over_the_limit_is_not_sent() {
        assert!(encode(&json!({"a": "b".repeat(100)}), 100).is_err());
    }
}
