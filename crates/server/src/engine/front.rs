//! The door between the asynchronous front and a worker: connections, calls and answers go in, results come back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use realtime_connector_core::command::Command;
use realtime_connector_core::event::Event;
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::id::ConnectionKey;
use realtime_connector_core::permissions::Identity;
use realtime_connector_core::publish::Draft;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::session::Client;
use realtime_connector_core::worker::{Answer, Call};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::queue::{Doorbell, lock};
use crate::transport::pump::WorkerEnd;

/// Calls and connections that may wait for one worker. A worker takes thousands per turn, so more than this means it is overloaded.
const WAITING_MAX: usize = 4_096;
/// How long a caller waits for a place before it is refused.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a caller waits for an answer (UP-5).
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// A connection on its way to its worker.
pub(crate) struct Adoption {
    pub(crate) stream: Stream,
    /// Bytes that were read together with the request.
    pub(crate) prelude: Bytes,
    /// Bytes to write first: the head of an SSE response.
    pub(crate) head: Bytes,
    pub(crate) dialect: Dialect,
    pub(crate) client: Client,
    pub(crate) identity: Option<Identity>,
    pub(crate) connect: Option<realtime_connector_core::command::Connect>,
    /// The number of the `connect` frame in a request's body.
    pub(crate) reference: Option<u64>,
    /// The explicit token of a handshake that is followed by a `connect` frame.
    pub(crate) token: Option<String>,
    /// Kept until the stream is let go of.
    pub(crate) place: Place,
}

impl std::fmt::Debug for Adoption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Tokens never reach a log.
        f.debug_struct("Adoption").field("client", &self.client).finish_non_exhaustive()
    }
}

/// One connection's share of what the node holds. It comes back when dropped, wherever the connection ended.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    /// Takes one of `capacity` places; `None` when all are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, capacity: usize) -> Option<Self> {
        // Made first, so that it gives back what it took too much.
        let place = Self(taken.clone());
        (taken.fetch_add(1, Ordering::Relaxed) < capacity).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a connection's bytes come from.
#[derive(Debug)]
pub(crate) enum Stream {
    /// A socket that belongs to nobody else, prepared as those of our listener are.
    Socket(std::net::TcpStream),
    /// A stream whose socket is shared or hidden; a task copies its bytes.
    Pumped(WorkerEnd),
}

/// What the front says to a worker.
#[derive(Debug)]
pub(crate) enum FrontMessage {
    Adopt(Box<Adoption>),
    Call {
        call: Call,
        reply: Waiting,
    },
    Publish {
        draft: Box<Draft>,
        reply: Waiting,
    },
    Command {
        connection: ConnectionKey,
        command: Result<Command, Box<Rejection>>,
        reference: Option<u64>,
        reply: Waiting,
    },
    Identified {
        connection: ConnectionKey,
        identity: Result<Box<Identity>, Box<Rejection>>,
    },
}

/// Somebody who waits for a worker's answer, and the place they hold meanwhile.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) sender: oneshot::Sender<Reply>,
    _place: OwnedSemaphorePermit,
    /// Of one that may wait long. The worker keeps it until it answers, also if nobody listens any more.
    _poll: Option<Place>,
}

/// A worker's answer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a call.
    Answer(Answer),
    /// To a command of a connection.
    Event(Event),
}

/// A worker as the front sees it.
#[derive(Debug)]
pub(crate) struct FrontDoor {
    inbox: Mutex<Inbox>,
    /// Connections of pumps whose stream moved.
    moved: Mutex<Vec<u32>>,
    places: Arc<Semaphore>,
    doorbell: Arc<Doorbell>,
    /// Orders are heard past all that waits here: messages may wait for credits, and credits for a worker that is gone.
    drains: AtomicBool,
    stops: AtomicBool,
}

#[derive(Debug, Default)]
struct Inbox {
    messages: VecDeque<FrontMessage>,
    /// The worker has ended and reads nothing any more.
    closed: bool,
}

impl FrontDoor {
    pub(super) fn new(doorbell: Arc<Doorbell>) -> Self {
        let places = Arc::new(Semaphore::new(WAITING_MAX));
        let (drains, stops) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { inbox: Mutex::default(), moved: Mutex::default(), places, doorbell, drains, stops }
    }

    /// Orders the worker to tell every connection to go.
    pub(super) fn drain(&self) {
        self.drains.store(true, Ordering::SeqCst);
        self.doorbell.ring();
    }

    /// Orders the worker to end with its turn.
    pub(super) fn stop(&self) {
        self.stops.store(true, Ordering::SeqCst);
        self.doorbell.ring();
    }

    pub(super) fn drains(&self) -> bool {
        self.drains.load(Ordering::SeqCst)
    }

    pub(super) fn stops(&self) -> bool {
        self.stops.load(Ordering::SeqCst)
    }

    /// Puts a message through the door. Bounded by the places its senders hold. Behind a closed door it is dropped, which tells
    /// whoever waits for an answer.
    pub(crate) fn send(&self, message: FrontMessage) {
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            return;
        }
        inbox.messages.push_back(message);
        drop(inbox);
        self.doorbell.ring();
    }

    /// The worker has ended: whoever waits is told, and nobody comes in any more.
    pub(super) fn close(&self) {
        let mut inbox = lock(&self.inbox);
        inbox.closed = true;
        let unread = std::mem::take(&mut inbox.messages);
        drop(inbox);
        drop(unread);
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// `overloaded` when no place became free in time, `unavailable` when the worker stops, `timeout` when it does not answer.
    pub(crate) async fn ask(&self, message: impl FnOnce(Waiting) -> FrontMessage) -> Result<Reply, Rejection> {
        self.ask_patiently(Duration::ZERO, None, message).await
    }

    /// The same where the answer itself may wait for something, and so takes a place of its own kind.
    ///
    /// # Errors
    /// As [`FrontDoor::ask`].
    pub(crate) async fn ask_patiently(
        &self,
        wait: Duration,
        poll: Option<Place>,
        message: impl FnOnce(Waiting) -> FrontMessage,
    ) -> Result<Reply, Rejection> {
        let (sender, answer) = oneshot::channel();
        let place = self.place().await?;
        self.send(message(Waiting { sender, _place: place, _poll: poll }));
        match tokio::time::timeout(ANSWER_DEADLINE + wait, answer).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(Rejection::new(RejectionKind::Unavailable, "the server is stopping")),
            Err(_) => Err(Rejection::new(RejectionKind::Timeout, "no answer in time; what became of it is unknown")),
        }
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        match tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => {
                let rejection = Rejection::new(RejectionKind::Overloaded, "too many calls wait for this worker");
                Err(rejection.retry_after_ms(1_000))
            }
        }
    }

    pub(super) fn take(&self, messages: &mut VecDeque<FrontMessage>) {
        std::mem::swap(&mut lock(&self.inbox).messages, messages);
    }

    pub(super) fn take_moved(&self, moved: &mut Vec<u32>) {
        std::mem::swap(&mut *lock(&self.moved), moved);
    }

    /// A pumped stream has bytes, room, or an end to tell.
    pub(crate) fn note_moved(&self, slot: u32) {
        lock(&self.moved).push(slot);
        self.doorbell.ring();
    }

    pub(super) fn has_messages(&self) -> bool {
        !lock(&self.inbox).messages.is_empty()
    }

    pub(super) fn has_moved(&self) -> bool {
        !lock(&self.moved).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use realtime_connector_core::worker::Call;

    use super::*;

    #[tokio::test]
    async fn a_poll_whose_caller_is_gone_keeps_its_place_until_it_is_answered() {
        let poll = mio::Poll::new().expect("a poll");
        let door = FrontDoor::new(Arc::new(Doorbell::new(poll.registry(), mio::Token(0)).expect("a doorbell")));
        let polls = Arc::default();
        let place = Place::take(&polls, 1).expect("one is free");
        let ask = door.ask_patiently(Duration::from_secs(30), Some(place), |reply| FrontMessage::Call {
            call: Call::Figures,
            reply,
        });
        // The caller goes away while the worker has not answered.
        assert!(tokio::time::timeout(Duration::from_millis(1), ask).await.is_err());
        assert!(Place::take(&polls, 1).is_none());
        let mut messages = VecDeque::new();
        door.take(&mut messages);
        drop(messages);
        assert!(Place::take(&polls, 1).is_some());
    }
}
