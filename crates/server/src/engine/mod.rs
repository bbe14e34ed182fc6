//! The engine: K worker threads, the queues between them, and the doors from the front.

mod calls;
mod clock;
mod connection;
mod delivery;
mod echo;
mod effects;
mod front;
mod logs;
mod queue;
mod reading;
mod states;
mod stopped;
mod table;
#[cfg(test)]
mod tests;
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use mio::{Poll, Token};
use realtime_connector_core::id::{ChannelKey, ConnectionId, ConnectionKey, WorkerId};
use realtime_connector_core::options::Options;
use realtime_connector_core::permissions::Identity;
use realtime_connector_core::position::Epoch;
use realtime_connector_core::rejection::Rejection;
use realtime_connector_core::worker::{Lifecycle, Setup, Worker, home_worker};
use tokio::sync::{mpsc, watch};

use crate::auth::seal::{Keys, Secret, fresh_secret};
use crate::builder::EchoLimits;
use crate::event_bus::log_connection;
use crate::store::{OpenStoreError, StorePlan};
pub(crate) use clock::Clock;
use front::FrontMessage;
pub(crate) use front::{Adoption, FrontDoor, Place, Stream};
use logs::Logs;
use queue::{Doorbell, PeerQueue};
use realtime_connector_store::sqlite::{Pulse, Sqlite};
use stopped::Stopped;

/// The token of a worker's doorbell; connections use their slot.
const WAKE: Token = Token(usize::MAX);
/// Lifecycle events that may wait for the application's handlers. A handler that is this far behind loses events, which is counted.
const LIFECYCLE_QUEUE: usize = 16_384;
/// Tokens that may wait for the authenticator.
const ASK_QUEUE: usize = 1_024;

/// A token to verify for a connection that sent it in its first frame.
pub(crate) struct AskRequest {
    pub(crate) worker: WorkerId,
    pub(crate) connection: ConnectionKey,
    pub(crate) token: String,
    pub(crate) asked_at: Instant,
}

/// What all threads of a node share: doors and queues, and what never changes.
#[derive(Debug)]
pub(crate) struct Node {
    id: u32,
    epoch: Epoch,
    seed: u64,
    pub(crate) options: Options,
    pub(crate) keys: Keys,
    /// WebSocket messages are sent back, and core knows of no connection.
    echo: Option<EchoLimits>,
    doors: Vec<Arc<FrontDoor>>,
    doorbells: Vec<Arc<Doorbell>>,
    /// `queues[from][to]`.
    queues: Vec<Vec<PeerQueue>>,
    asks: mpsc::Sender<AskRequest>,
    lifecycle: mpsc::Sender<Lifecycle>,
    lifecycle_wanted: AtomicBool,
    /// Of the lifecycle at least what is published.
    published_wanted: AtomicBool,
    /// Sessions that must not come back by themselves.
    pub(crate) stopped: Stopped,
    lifecycle_dropped: AtomicU64,
    next_worker: AtomicUsize,
    /// Services that wait for messages of durable consumers.
    polls: Arc<AtomicUsize>,
    /// That of the store, if there is one.
    store: Option<Pulse>,
    /// Connections, from when they were handed over until everything that is said to them has left.
    talking: AtomicUsize,
    /// A worker has ended by itself, and the node with it: others would wait for its answers for ever.
    failed: watch::Sender<bool>,
}

/// What the front has to serve: the engine's questions and events.
#[derive(Debug)]
pub(crate) struct Outlets {
    pub(crate) asks: mpsc::Receiver<AskRequest>,
    pub(crate) lifecycle: mpsc::Receiver<Lifecycle>,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The system refused a poll or a thread.
    #[error(transparent)]
    Workers(#[from] io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
}

/// The running worker threads.
#[derive(Debug)]
pub(crate) struct Engine {
    threads: Vec<JoinHandle<()>>,
    /// Outlives the workers, which write to it up to their last turn.
    store: Option<Sqlite>,
}

/// What outlives the process, as far as a node knows it: a life without a store has a secret of its own.
struct Kept {
    secret: Secret,
    store: Option<Pulse>,
}

impl Engine {
    /// A node whose workers do not run yet, and what each of them will poll.
    fn prepare(
        options: Options,
        workers: usize,
        echo: Option<EchoLimits>,
        kept: Kept,
    ) -> io::Result<(Arc<Node>, Vec<Poll>, Outlets)> {
        let polls = (0..workers).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let doorbells = polls
            .iter()
            .map(|poll| Doorbell::new(poll.registry(), WAKE).map(Arc::new))
            .collect::<io::Result<Vec<_>>>()?;
        let (asks, asked) = mpsc::channel(ASK_QUEUE);
        let (lifecycle, lived) = mpsc::channel(LIFECYCLE_QUEUE);
        let boot = random_u64();
        let node = Arc::new(Node {
            id: random_u64() as u32,
            // Short, because it is in every position, and different from one start to the next.
            epoch: Epoch::parse(&base36(boot % 36_u64.pow(6))).expect("letters and digits"),
            seed: random_u64(),
            options,
            keys: Keys::from_secret(&kept.secret),
            echo,
            doors: doorbells.iter().map(|bell| Arc::new(FrontDoor::new(bell.clone()))).collect(),
            queues: (0..workers).map(|_| (0..workers).map(|_| PeerQueue::default()).collect()).collect(),
            doorbells,
            asks,
            lifecycle,
            lifecycle_wanted: AtomicBool::new(false),
            published_wanted: AtomicBool::new(false),
            stopped: Stopped::default(),
            lifecycle_dropped: AtomicU64::new(0),
            next_worker: AtomicUsize::new(0),
            polls: Arc::default(),
            store: kept.store,
            talking: AtomicUsize::new(0),
            failed: watch::Sender::new(false),
        });
        Ok((node, polls, Outlets { asks: asked, lifecycle: lived }))
    }

    /// Starts the workers of a node.
    ///
    /// # Errors
    /// When the system refuses a poll or a thread, or the store does not open.
    pub(crate) fn start(
        options: Options,
        workers: usize,
        echo: Option<EchoLimits>,
        store: Option<&StorePlan>,
    ) -> Result<(Arc<Node>, Self, Outlets), StartError> {
        let origin = Instant::now();
        let (store, secret) = match store {
            Some(plan) => plan.open(origin).map(|(store, secret)| (Some(store), secret))?,
            None => (None, fresh_secret()),
        };
        let kept = Kept { secret, store: store.as_ref().map(Sqlite::pulse) };
        let (node, polls, outlets) = Self::prepare(options, workers, echo, kept)?;
        let threads = polls
            .into_iter()
            .enumerate()
            .map(|(index, poll)| {
                let bell = node.doorbells[index].clone();
                let logs = Logs::new(node.epoch.clone(), store.as_ref(), Arc::new(move || bell.ring()));
                spawn(node.clone(), index, poll, origin, logs)
            })
            .collect::<io::Result<_>>()?;
        Ok((node, Self { threads, store }, outlets))
    }

    /// Waits for the workers, which have been told to stop.
    pub(crate) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread has panicked");
            }
        }
        // Answers what is queued and closes the file.
        drop(self.store);
    }
}

fn spawn(node: Arc<Node>, index: usize, poll: Poll, origin: Instant, logs: Logs) -> io::Result<JoinHandle<()>> {
    let watch = Watch { node: node.clone(), index, is_told: false };
    // Randomness is drawn here: aws-lc aborts a thread that asks for the first of it while the process exits, as one does that ends
    // right after its start.
    let setup = setup(&node, index);
    std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let mut watch = watch;
        let clock = Clock::new(origin);
        let core = Worker::new(setup, clock.now());
        match worker::WorkerLoop::new(node, index, poll, core, clock, logs).run() {
            Ok(()) => watch.is_told = true,
            Err(error) => tracing::error!(%error, index, "failed to poll"),
        }
    })
}

fn setup(node: &Node, index: usize) -> Setup {
    Setup {
        id: WorkerId(u8::try_from(index).expect("at most 256 workers")),
        workers: node.doors.len(),
        node: node.id,
        seed: node.seed,
        random: random_u64(),
        options: node.options.clone(),
    }
}

/// Sees to it that a worker's end is known, by whatever way it comes.
struct Watch {
    node: Arc<Node>,
    index: usize,
    /// It was told to end.
    is_told: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.node.doors[self.index].close();
        if !self.is_told {
            self.node.fail(self.index);
        }
    }
}

/// Tells the log of a connection that came or went, and the application what happened, if it listens and keeps up.
fn lifecycle(node: &Node, event: Lifecycle) {
    log_connection(&event);
    if node.wants(&event) && node.lifecycle.try_send(event).is_err() {
        node.lifecycle_dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// An unpredictable number.
pub(crate) fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    u64::from_ne_bytes(bytes)
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    loop {
        digits.push(DIGITS[(number % 36) as usize] as char);
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

impl Node {
    pub(crate) fn workers(&self) -> usize {
        self.doors.len()
    }

    /// Lifecycle events are made anyway; they leave the worker only when somebody listens.
    pub(crate) fn want_lifecycle(&self) {
        self.lifecycle_wanted.store(true, Ordering::Relaxed);
    }

    /// Of the lifecycle events only those of messages, which rules ask for: the others, four a connection, would wake the front for
    /// nothing.
    pub(crate) fn want_published(&self) {
        self.published_wanted.store(true, Ordering::Relaxed);
    }

    fn wants(&self, event: &Lifecycle) -> bool {
        self.lifecycle_wanted.load(Ordering::Relaxed)
            || (matches!(event, Lifecycle::MessagePublished { .. }) && self.published_wanted.load(Ordering::Relaxed))
    }

    /// Lifecycle events that handlers were too slow for.
    pub(crate) fn lifecycle_dropped(&self) -> u64 {
        self.lifecycle_dropped.load(Ordering::Relaxed)
    }

    /// Whether what is published can be kept, as far as anything shall be kept.
    pub(crate) fn store_is_writing(&self) -> bool {
        self.store.as_ref().is_none_or(Pulse::is_writing)
    }

    fn door(&self, worker: WorkerId) -> &FrontDoor {
        &self.doors[usize::from(worker.0)]
    }

    /// Hands a connection to a worker: a user's to the user's home, where one entry serves all; others in turn.
    pub(crate) fn adopt(&self, adoption: Adoption) {
        let user = adoption.identity.as_ref().and_then(|identity| Some((identity.app, identity.user.clone()?)));
        let worker = match user {
            Some((app, user)) => self.home(&ChannelKey::user(app, user)),
            None => {
                let next = self.next_worker.fetch_add(1, Ordering::Relaxed) % self.workers();
                WorkerId(u8::try_from(next).expect("at most 256 workers"))
            }
        };
        self.talking.fetch_add(1, Ordering::Relaxed);
        self.door(worker).send(FrontMessage::Adopt(Box::new(adoption)));
    }

    /// Connections to which something is or may still be said.
    pub(crate) fn talking(&self) -> usize {
        self.talking.load(Ordering::Relaxed)
    }

    /// The worker that orders a channel.
    pub(crate) fn home(&self, channel: &ChannelKey) -> WorkerId {
        home_worker(channel.fingerprint(), self.seed, self.workers())
    }

    /// The worker that owns a connection; `None` for ids of other nodes or former lives.
    pub(crate) fn worker_of(&self, connection: ConnectionId) -> Option<WorkerId> {
        (connection.node == self.id && usize::from(connection.worker.0) < self.workers()).then_some(connection.worker)
    }

    /// Gives a connection the identity its token proved.
    pub(crate) fn identified(&self, request: &AskRequest, identity: Result<Box<Identity>, Box<Rejection>>) {
        let connection = request.connection;
        self.door(request.worker).send(FrontMessage::Identified { connection, identity });
    }

    /// Tells every connection to go, and lets their last bytes leave.
    pub(crate) fn drain(&self) {
        self.doors.iter().for_each(|door| door.drain());
    }

    /// Stops the workers.
    pub(crate) fn stop(&self) {
        self.doors.iter().for_each(|door| door.stop());
    }

    /// A worker has ended by itself: nobody would answer for its connections and channels.
    pub(crate) fn fail(&self, index: usize) {
        tracing::error!(index, "a worker has ended by itself; the node stops");
        self.failed.send_replace(true);
        self.stop();
    }

    /// Whether a worker has ended by itself. The node serves nobody any more.
    pub(crate) fn has_failed(&self) -> bool {
        *self.failed.borrow()
    }

    /// Tells when that happens.
    pub(crate) fn watch_failure(&self) -> watch::Receiver<bool> {
        self.failed.subscribe()
    }
}
