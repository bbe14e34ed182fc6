//! Pumps: connections whose socket cannot be handed over.
//!
//! HTTP/2 streams and routers mounted in a host application keep their socket. A small task copies bytes between the stream and
//! two bounded buffers; the worker reads and writes the other ends as if they were a socket, and never waits.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::engine::FrontDoor;

/// Bytes that may wait in each direction: a few frames, so that backpressure reaches the worker's outbox, where it is accounted for.
const BUFFER_BYTES: usize = 16 * 1024;

#[derive(Debug, Default)]
struct Direction {
    bytes: VecDeque<u8>,
    ended: bool,
    /// The worker found it empty (inbound) or full (outbound) and wants to be told when that changes.
    worker_waits: bool,
}

#[derive(Debug, Default)]
struct Buffers {
    inbound: Direction,
    outbound: Direction,
    /// Where to ring; set when a worker has taken the connection.
    owner: Option<(Arc<FrontDoor>, u32)>,
}

#[derive(Debug, Default)]
struct Shared {
    buffers: Mutex<Buffers>,
    /// There is room for bytes of the stream, or the worker has let go.
    inbound: Notify,
    /// There are bytes for the stream, or their end.
    outbound: Notify,
}

impl Shared {
    fn with<R>(&self, act: impl FnOnce(&mut Buffers) -> R) -> R {
        act(&mut self.buffers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell_worker(buffers: &mut Buffers, waits: bool) {
        if waits && let Some((door, slot)) = &buffers.owner {
            door.note_moved(*slot);
        }
    }
}

/// The worker's end: never blocks.
#[derive(Debug)]
pub(crate) struct WorkerEnd(Arc<Shared>);

/// The task's end.
#[derive(Debug)]
pub(crate) struct TaskEnd(Arc<Shared>);

/// A pair of ends.
pub(crate) fn pair() -> (WorkerEnd, TaskEnd) {
    let shared = Arc::new(Shared::default());
    (WorkerEnd(shared.clone()), TaskEnd(shared))
}

impl WorkerEnd {
    /// Says which connection to ring for.
    pub(crate) fn attach(&self, door: Arc<FrontDoor>, slot: u32) {
        self.0.with(|buffers| buffers.owner = Some((door, slot)));
    }

    /// Reads what there is, like a socket: 0 at the end, `WouldBlock` if nothing is there yet. Only after one of these two is the
    /// worker told of more.
    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.with(|buffers| {
            let inbound = &mut buffers.inbound;
            if inbound.bytes.is_empty() {
                inbound.worker_waits = !inbound.ended;
                return if inbound.ended { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
            }
            // As much as a socket would give: the ring's own `read` stops where it wraps.
            let count = inbound.bytes.len().min(into.len());
            let (front, back) = inbound.bytes.as_slices();
            let first = front.len().min(count);
            into[..first].copy_from_slice(&front[..first]);
            into[first..count].copy_from_slice(&back[..count - first]);
            inbound.bytes.drain(..count);
            Ok(count)
        });
        self.0.inbound.notify_one();
        read
    }

    /// Writes what fits, like a socket.
    pub(crate) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.0.with(|buffers| {
            let outbound = &mut buffers.outbound;
            if outbound.ended {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let mut room = BUFFER_BYTES.saturating_sub(outbound.bytes.len());
            let mut written = 0;
            for slice in slices {
                let part = slice.len().min(room);
                outbound.bytes.extend(&slice[..part]);
                written += part;
                room -= part;
                if part < slice.len() {
                    break;
                }
            }
            outbound.worker_waits = room == 0;
            if written == 0 && !slices.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(written)
        });
        self.0.outbound.notify_one();
        written
    }

    /// No more will be written.
    pub(crate) fn shutdown_write(&self) {
        self.0.with(|buffers| buffers.outbound.ended = true);
        self.0.outbound.notify_one();
    }
}

impl Drop for WorkerEnd {
    fn drop(&mut self) {
        self.0.with(|buffers| {
            buffers.owner = None;
            buffers.outbound.ended = true;
            buffers.inbound.ended = true;
            buffers.inbound.bytes = VecDeque::new();
        });
        self.0.inbound.notify_one();
        self.0.outbound.notify_one();
    }
}

impl TaskEnd {
    /// Waits for bytes of the worker and takes them; `None` at the end.
    pub(crate) async fn outbound(&self) -> Option<Vec<u8>> {
        loop {
            let taken = self.0.with(|buffers| {
                let outbound = &mut buffers.outbound;
                if outbound.bytes.is_empty() {
                    return outbound.ended.then_some(None);
                }
                let bytes: Vec<u8> = outbound.bytes.drain(..).collect();
                let waits = std::mem::take(&mut outbound.worker_waits);
                Shared::tell_worker(buffers, waits);
                Some(Some(bytes))
            });
            match taken {
                Some(result) => return result,
                None => self.0.outbound.notified().await,
            }
        }
    }

    /// Waits until there is room for bytes of the stream. `false` when the worker has let go.
    pub(crate) async fn ready_for_inbound(&self) -> bool {
        loop {
            let ready = self.0.with(|buffers| {
                let inbound = &buffers.inbound;
                if inbound.ended { Some(false) } else { (inbound.bytes.len() < BUFFER_BYTES).then_some(true) }
            });
            match ready {
                Some(ready) => return ready,
                None => self.0.inbound.notified().await,
            }
        }
    }

    /// Hands bytes of the stream to the worker.
    pub(crate) fn inbound(&self, bytes: &[u8]) {
        self.0.with(|buffers| {
            if buffers.inbound.ended {
                return;
            }
            buffers.inbound.bytes.extend(bytes);
            let waits = std::mem::take(&mut buffers.inbound.worker_waits);
            Shared::tell_worker(buffers, waits);
        });
    }

    /// The stream has ended.
    pub(crate) fn end(&self) {
        self.0.with(|buffers| {
            buffers.inbound.ended = true;
            buffers.outbound.ended = true;
            Shared::tell_worker(buffers, true);
        });
    }
}

impl Drop for TaskEnd {
    fn drop(&mut self) {
        self.end();
    }
}
