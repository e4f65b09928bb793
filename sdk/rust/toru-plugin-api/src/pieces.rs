//! The body of an answer that is sent piece by piece, while the browser takes it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::error::PluginError;
use crate::events::KEEP_ALIVE;
use crate::guarded::Guarded;

const READ_BYTES: usize = 64 * 1024;

#[derive(Debug)]
enum Piece {
    Data(Vec<u8>),
    Broken,
}

/// Sends the body of an answer; see [`HttpResponse::stream_with`]. The body ends when it is dropped.
///
/// [`HttpResponse::stream_with`]: crate::HttpResponse::stream_with
#[derive(Debug)]
pub struct BodySender {
    queue: mpsc::Sender<Piece>,
    has_failed: Arc<AtomicBool>,
}

impl BodySender {
    /// Sends a piece when the browser takes it; an error says that nobody wants more.
    pub async fn send(&self, data: impl Into<Vec<u8>>) -> Result<(), PluginError> {
        let gone = |_| PluginError::call("CANCELLED", "nobody takes the body any more");
        self.queue.send(Piece::Data(data.into())).await.map_err(gone)
    }

    /// Sends all that can be read, such as a `tokio::fs::File`; returns how many bytes that was.
    ///
    /// # Errors
    /// It cannot be read, or nobody wants more.
    pub async fn send_all<R>(&self, reader: &mut R) -> Result<u64, PluginError>
    where
        R: AsyncRead + Unpin,
    {
        let mut total = 0;
        loop {
            let mut piece = Vec::with_capacity(READ_BYTES);
            if reader.read_buf(&mut piece).await? == 0 {
                return Ok(total);
            }
            total += piece.len() as u64;
            self.send(piece).await?;
        }
    }

    /// Waits until nobody wants more of the body.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }

    /// Ends the body before its end, so that the browser sees it is not whole.
    pub async fn abort(self) {
        let _ = self.queue.send(Piece::Broken).await;
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.has_failed.store(true, Ordering::SeqCst);
        }
    }
}

/// What becomes the body of an answer.
pub(crate) struct Pieces {
    queue: mpsc::Receiver<Piece>,
    has_failed: Arc<AtomicBool>,
    producer: Option<Guarded<'static, ()>>,
    failure: Option<PluginError>,
    first: Option<Result<Option<Vec<u8>>, PluginError>>,
    pub keep_alive: Option<Duration>,
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Pieces").finish_non_exhaustive()
    }
}

impl Pieces {
    /// Returns what sends them, and them.
    pub fn new() -> (BodySender, Self) {
        let (sender, queue) = mpsc::channel(1);
        let has_failed = Arc::new(AtomicBool::new(false));
        let sender = BodySender { queue: sender, has_failed: Arc::clone(&has_failed) };
        let pieces = Pieces {
            queue,
            has_failed,
            producer: None,
            failure: None,
            first: None,
            keep_alive: None,
        };
        (sender, pieces)
    }

    /// Has `producer` send them; it goes on only while they are asked for.
    pub fn made_by<F>(mut self, producer: F) -> Self
    where
        F: Future<Output = Result<(), PluginError>> + Send + 'static,
    {
        self.producer = Some(Guarded(Box::pin(producer)));
        self
    }

    /// Waits for the first one, so that a fault before it can still become another answer.
    pub async fn prepare(&mut self) -> Result<(), PluginError> {
        if self.producer.is_some() {
            self.first = Some(Ok(self.next_of_queue().await?));
        }
        Ok(())
    }

    /// Returns the next one, None at the end.
    ///
    /// # Errors
    /// Whoever makes them has failed, or has broken the body off.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, PluginError> {
        if let Some(first) = self.first.take() {
            return first;
        }
        match self.keep_alive {
            None => self.next_of_queue().await,
            Some(silence) => match timeout(silence, self.next_of_queue()).await {
                Ok(found) => found,
                Err(_) => Ok(Some(KEEP_ALIVE.to_vec())),
            },
        }
    }

    /// Returns the next one with those that are there already, up to about so many bytes, so that
    /// small ones need no frame each.
    pub async fn next_together(&mut self, max: usize) -> Result<Option<Vec<u8>>, PluginError> {
        let mut whole = match self.next().await? {
            Some(first) => first,
            None => return Ok(None),
        };
        while whole.len() < max {
            let more = tokio::select! {
                biased;
                more = self.next_of_queue() => more,
                _ = std::future::ready(()) => break, // nothing is there now
            };
            match more {
                Ok(Some(piece)) => whole.extend_from_slice(&piece),
                end => {
                    self.first = Some(end);
                    break;
                }
            }
        }
        Ok(Some(whole))
    }

    async fn next_of_queue(&mut self) -> Result<Option<Vec<u8>>, PluginError> {
        loop {
            let piece = match &mut self.producer {
                None => self.queue.recv().await,
                Some(producer) => tokio::select! {
                    biased; // first it makes one, then it is there
                    outcome = &mut *producer => {
                        self.failure = outcome.err();
                        self.producer = None;
                        continue;
                    }
                    piece = self.queue.recv() => piece,
                },
            };
            match piece {
                Some(Piece::Data(data)) if data.is_empty() => {}
                Some(Piece::Data(data)) => return Ok(Some(data)),
                Some(Piece::Broken) => return Err("the handler has broken the body off".into()),
                None => return self.end().await,
            }
        }
    }

    async fn end(&mut self) -> Result<Option<Vec<u8>>, PluginError> {
        if let Some(producer) = self.producer.take() {
            producer.await?;
        }
        match self.failure.take() {
            Some(failure) => Err(failure),
            None if self.has_failed.load(Ordering::SeqCst) => {
                Err("what sends the body has panicked".into())
            }
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_made_comes_in_its_order_and_then_the_failure() {
        let (body, pieces) = Pieces::new();
        let mut pieces = pieces.made_by(async move {
            body.send("a").await?;
            body.send("").await?;
            body.send_all(&mut "bc".as_bytes()).await?;
            Err("it broke".into())
        });
        pieces.prepare().await.unwrap();
        assert_eq!(pieces.next_together(100).await.unwrap(), Some(b"abc".to_vec()));
        assert_eq!(pieces.next_together(100).await.unwrap_err().to_string(), "it broke");
    }

    #[tokio::test]
    async fn a_body_whose_sender_panics_is_not_whole() {
        let (body, mut pieces) = Pieces::new();
        let task = tokio::spawn(async move {
            body.send("half").await.unwrap();
            panic!("on purpose");
        });
        assert_eq!(pieces.next().await.unwrap(), Some(b"half".to_vec()));
        assert!(pieces.next().await.is_err());
        assert!(task.await.is_err());
    }
}
