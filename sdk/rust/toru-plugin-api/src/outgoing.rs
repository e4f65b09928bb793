//! The sending half of a connection: whole frames, one after the other.
//!
//! Frames go through a queue to one task, so that a handler that is given up in the middle of
//! sending never leaves half a frame behind.

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::PluginError;
use crate::server::Counted;

const QUEUED_FRAMES: usize = 16;

enum Item {
    Frame(Vec<u8>),
    Close,
}

/// Sends frames; the connection is closed when it is dropped, or by [`Outgoing::close`].
pub(crate) struct Outgoing {
    queue: mpsc::Sender<Item>,
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
        Outgoing { queue, writer }
    }

    /// Waits for room and queues a frame.
    pub async fn send(&self, frame: Vec<u8>) -> Result<(), PluginError> {
        self.slot().await?.send(frame);
        Ok(())
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
