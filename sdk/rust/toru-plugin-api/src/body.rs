//! The body of a request, read as it comes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use crate::credit::Allowance;
use crate::error::PluginError;
use crate::exchange::Exchange;
use crate::frame::FLAG_END;

/// Bytes that came in one frame.
pub(crate) struct Chunk {
    pub bytes: Vec<u8>,
    pub flags: u8,
}

/// Where what comes on a stream is left for whoever reads it.
pub(crate) struct Inbox {
    pub chunks: mpsc::UnboundedSender<Chunk>,
    pub allowance: Arc<Allowance>,
}

/// What comes on a stream; what is read gives credit back to the sender.
pub(crate) struct Incoming {
    chunks: mpsc::UnboundedReceiver<Chunk>,
    allowance: Arc<Allowance>,
    exchange: Arc<Exchange>,
    id: u32,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Incoming").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Incoming {
    /// The credit of a stream bounds what waits in it.
    pub fn new(exchange: &Arc<Exchange>, id: u32, limit: usize) -> (Inbox, Self) {
        let (sender, chunks) = mpsc::unbounded_channel();
        let allowance = Arc::new(Allowance::new(limit));
        let inbox = Inbox { chunks: sender, allowance: Arc::clone(&allowance) };
        (inbox, Incoming { chunks, allowance, exchange: Arc::clone(exchange), id })
    }

    /// Returns the next bytes; None when none come any more.
    pub async fn next(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.recv().await?;
        self.used(chunk.bytes.len());
        Some(chunk)
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Chunk>> {
        let found = self.chunks.poll_recv(context);
        if let Poll::Ready(Some(chunk)) = &found {
            self.used(chunk.bytes.len());
        }
        found
    }

    fn used(&self, size: usize) {
        self.exchange.give_credit_soon(self.id, self.allowance.take(size));
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Nobody reads what comes, which must not hold the sender up.
        self.chunks.close();
        let mut unread = 0;
        while let Ok(chunk) = self.chunks.try_recv() {
            unread += chunk.bytes.len();
        }
        self.used(unread);
    }
}

/// The body of a request, read as it comes; see [`ToruPlugin::handle_stream`].
///
/// The browser is held back while nobody reads, so memory stays flat. What is not read when it is
/// dropped is left aside. It is an [`AsyncRead`], too.
///
/// [`ToruPlugin::handle_stream`]: crate::ToruPlugin::handle_stream
#[derive(Debug)]
pub struct RequestBody {
    ready: Vec<u8>,
    at: usize,
    incoming: Option<Incoming>,
}

impl RequestBody {
    /// Returns a body that is there already.
    pub fn whole(bytes: impl Into<Vec<u8>>) -> Self {
        RequestBody { ready: bytes.into(), at: 0, incoming: None }
    }

    pub(crate) fn coming(incoming: Incoming) -> Self {
        RequestBody { ready: Vec::new(), at: 0, incoming: Some(incoming) }
    }

    /// Returns the next bytes as they come, None at the end. Nothing is lost when it is dropped
    /// while it waits.
    ///
    /// # Errors
    /// The browser has left.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, PluginError> {
        loop {
            if let Some(bytes) = self.take_ready() {
                return Ok(Some(bytes));
            }
            let chunk = match &mut self.incoming {
                None => return Ok(None),
                Some(incoming) => incoming.next().await,
            };
            self.keep(chunk)?;
        }
    }

    /// Returns the whole body.
    ///
    /// # Errors
    /// It is longer than `max_bytes`, which is answered with 413, or the browser has left.
    pub async fn collect(mut self, max_bytes: usize) -> Result<Vec<u8>, PluginError> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            if whole.len() + chunk.len() > max_bytes {
                return Err(PluginError::http(413, "too_large", "The body is too large."));
            }
            if whole.is_empty() {
                whole = chunk;
            } else {
                whole.extend_from_slice(&chunk);
            }
        }
        Ok(whole)
    }

    fn take_ready(&mut self) -> Option<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.ready);
        let rest = bytes.split_off(std::mem::take(&mut self.at));
        Some(rest).filter(|rest| !rest.is_empty())
    }

    fn keep(&mut self, chunk: Option<Chunk>) -> Result<(), PluginError> {
        let chunk = chunk.ok_or_else(|| PluginError::call("CANCELLED", "the browser has left"))?;
        if chunk.flags & FLAG_END != 0 {
            self.incoming = None;
        }
        self.ready = chunk.bytes;
        self.at = 0;
        Ok(())
    }
}

impl AsyncRead for RequestBody {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.at == self.ready.len() {
            let chunk = match &mut self.incoming {
                None => return Poll::Ready(Ok(())),
                Some(incoming) => match incoming.poll_next(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(chunk) => chunk,
                },
            };
            if let Err(error) = self.keep(chunk) {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, error)));
            }
        }
        let end = (self.at + buffer.remaining()).min(self.ready.len());
        buffer.put_slice(&self.ready[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_whole_body_is_read_in_every_way() {
        let mut body = RequestBody::whole("one two");
        let mut first = [0; 4];
        body.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"one ");
        assert_eq!(body.next_chunk().await.unwrap(), Some(b"two".to_vec()));
        assert_eq!(body.next_chunk().await.unwrap(), None);
        assert_eq!(RequestBody::whole("abc").collect(3).await.unwrap(), b"abc");
        let refused = RequestBody::whole("abc").collect(2).await;
        assert!(matches!(refused, Err(PluginError::Http { status: 413, .. })));
    }
}
