//! The sending half of a connection: whole frames, one after the other.
//!
//! Frames go through a queue to one task, so that a handler that is given up in the middle of
//! sending never leaves half a frame behind.

use std::sync::Arc;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, Semaphore};
use tokio::task::JoinHandle;

use crate::error::PluginError;
use crate::server::Counted;

const QUEUED_FRAMES: usize = 16;
/// So many may wait for the queue without anybody waiting for them.
const WAITING_FRAMES: usize = 1024;

enum Item {
    Frame(Vec<u8>),
    Close,
}

/// Sends frames; the connection is closed when it is dropped, or by [`Outgoing::close`].
pub(crate) struct Outgoing {
    queue: mpsc::Sender<Item>,
    waiting: Arc<Semaphore>,
    writer: JoinHandle<()>,
}

impl Outgoing {
    /// What `counted` counts is open until all is sent.
    pub fn new<W>(half: W, counted: Counted) -> Self
    where
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (queue, items) = mpsc::channel(QUEUED_FRAMES);
        let writer = tokio::spawn(async move {
            write_items(half, items).await;
            drop(counted);
        });
        Outgoing { queue, waiting: Arc::new(Semaphore::new(WAITING_FRAMES)), writer }
    }

    /// Waits for room and queues a frame.
    pub async fn send(&self, frame: Vec<u8>) -> Result<(), PluginError> {
        self.slot().await?.send(frame);
        Ok(())
    }

    /// Queues a frame, for those who read meanwhile and must not wait until the core reads, too.
    pub async fn send_soon(&self, frame: Vec<u8>) {
        let item = match self.queue.try_send(Item::Frame(frame)) {
            Err(mpsc::error::TrySendError::Full(item)) => item,
            _ => return, // a core that has left needs to hear nothing
        };
        if let Ok(turn) = Arc::clone(&self.waiting).acquire_owned().await {
            let queue = self.queue.clone();
            tokio::spawn(async move {
                let _ = queue.send(item).await; // as above
                drop(turn);
            });
        }
    }

    /// Waits for room for one frame.
    pub async fn slot(&self) -> Result<Slot<'_>, PluginError> {
        self.queue.reserve().await.map(Slot).map_err(|_| gone())
    }

    /// Has the connection closed after what is queued.
    pub async fn close(&self) {
        let _ = self.queue.send(Item::Close).await;
    }

    /// Closes the connection now.
    pub fn abort(&self) {
        self.writer.abort();
    }

    /// Waits until nothing can be sent any more.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }
}

/// Room for one frame.
pub(crate) struct Slot<'a>(mpsc::Permit<'a, Item>);

impl Slot<'_> {
    pub fn send(self, frame: Vec<u8>) {
        self.0.send(Item::Frame(frame));
    }
}

pub(crate) fn gone() -> PluginError {
    PluginError::call("CANCELLED", "the connection to the core is gone")
}

async fn write_items<W>(mut half: W, mut items: mpsc::Receiver<Item>)
where
    W: AsyncWrite + Unpin,
{
    while let Some(Item::Frame(frame)) = items.recv().await {
        if half.write_all(&frame).await.is_err() {
            return;
        }
    }
    let _ = half.shutdown().await;
}
