//! A worker: some connections and some channels, one owner.
//!
//! The contract, for whoever drives it:
//! 1. [`Worker::handle`] everything that happened, in order. What waits for [`Worker::is_walking`] or
//!    [`Worker::takes_commands`] is said there; who does not wait panics.
//! 2. After each input, carry out [`Worker::poll_output`] until it is empty.
//! 3. [`Worker::advance`] walks as far as time allows, then [`Worker::finish_turn`] and its outputs.
//! 4. Write the connections of [`Worker::poll_writable`]: look at [`Worker::outbox`], then say what was [`Worker::written`].
//! 5. [`Worker::handle_timeout`]; with nothing left to do, sleep until [`Worker::next_deadline`].
//!
//! The router here holds one arm per input and no rules.

mod audience;
mod call;
mod catch_up;
mod channel;
mod commands;
mod connections;
mod consumers;
mod consuming;
mod crowding;
mod frames;
mod history;
mod inbox;
mod input;
mod links;
mod log;
mod log_reads;
mod output;
mod peers;
pub mod publishing;
mod purging;
mod reading;
mod refused;
mod resuming;
mod rewinding;
mod sessions;
mod state;
mod subscribing;
mod watched;
mod writing;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use hashbrown::HashMap;

use audience::{Local, Walk};
pub use call::{Answer, Call, ChannelInfo, ConnectionInfo, ConnectionQuery, Figures};
pub(crate) use channel::Home;
use channel::{HomeState, Parked};
use frames::FrameCache;
pub use history::HistoryResult;
use history::Reader;
pub use inbox::InboxCall;
pub use input::{Input, LogFailure, NotAppended, Opened};
pub(crate) use links::Peers;
use log_reads::LogReads;
pub use output::{DisconnectReason, Lifecycle, Output, Persist};
pub use peers::PeerMessage;
use peers::{Attach, AttachFor, Peer, TakenOver};
use refused::Held;
use rewinding::Seeker;
use sessions::Sessions;
pub use watched::Watched;

use crate::event::Event;
use crate::frame::Frame;
use crate::history::Blocks;
use crate::id::{AppId, ChannelKey, ConnectionKey, SlotKey, WorkerId};
use crate::limits;
use crate::options::Options;
use crate::position::Start;
use crate::record::SessionId;
use crate::session::{OutboxPool, Waiting};
use crate::time::{Now, Time};
use crate::timer::{Timer, Wheel};

/// What a worker is told at its start.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which of the workers it is.
    pub id: WorkerId,
    /// How many there are.
    pub workers: usize,
    /// Random per start of the node.
    pub node: u32,
    /// Random, the same for all workers of the node: which channel is at home where.
    pub seed: u64,
    /// Random, different for each worker: ids and jitter.
    pub random: u64,
    /// The operator's choices.
    pub options: Options,
}

/// The state machine of one worker thread.
#[derive(Debug)]
pub struct Worker {
    id: WorkerId,
    workers: usize,
    node: u32,
    seed: u64,
    random: u64,
    options: Options,
    now: Now,
    sessions: Sessions,
    /// Sessions that wait to be continued.
    waiting: Waiting,
    /// Answers about former sessions that wait for credits. Bounded by the credits of their questions.
    taken: VecDeque<TakenOver>,
    /// Connections that get no more messages of their inbox before they ack some, by the place of the channel.
    held_inboxes: BTreeSet<(u32, ConnectionKey)>,
    locals: crate::slab::Slab<Local>,
    local_index: HashMap<ChannelKey, SlotKey>,
    everyone: SlotKey,
    homes: crate::slab::Slab<HomeState>,
    home_index: HashMap<ChannelKey, SlotKey>,
    history_bytes: u64,
    blocks: Blocks<Reader>,
    /// Who waits for the log to find a place in the past. Bounded by the credits of the askers and the front's permits.
    locating: HashMap<u64, Seeker>,
    next_location: u64,
    /// Homes whose consumers wait for room in the queue to some worker.
    starving: Vec<SlotKey>,
    /// What consumers and their members have to tell each other, and finds no room. Bounded by the deliveries and the members there are.
    mail: VecDeque<(WorkerId, Peer)>,
    /// Bytes of messages that all consumers here hold.
    consumers_bytes: u64,
    /// Attach requests that are made again, by age. Bounded by the subscriptions of sessions that connect.
    held: VecDeque<Held>,
    log_reads: LogReads,
    peers: Peers,
    walk: Option<Walk>,
    wheel: Wheel,
    /// When it is expected to look at the time next: at once while it is busy, at its next deadline when it sleeps.
    expected: Time,
    excused_until: Time,
    /// The node goes down.
    draining: bool,
    /// Until then connections whose commands are under way are kept for the answers.
    drain_deadline: Option<Time>,
    writable: VecDeque<ConnectionKey>,
    pulls: VecDeque<ConnectionKey>,
    dirty: Vec<SlotKey>,
    pool: OutboxPool,
    frames: FrameCache,
    heartbeat: Rc<Frame>,
    ping: Rc<Frame>,
    /// Brings a cursor to an event stream that has nothing else to bring it.
    bookmark: Rc<Frame>,
    nonce: u32,
    figures: Figures,
}

/// The home of a channel: which worker of the node orders it.
#[must_use]
pub fn home_worker(fingerprint: u64, seed: u64, workers: usize) -> WorkerId {
    // A multiply spreads neighbouring fingerprints; the seed keeps strangers from choosing names that meet on one worker.
    let mixed = (fingerprint ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    WorkerId(u8::try_from(mixed % workers as u64).expect("at most 256 workers"))
}

impl Worker {
    /// A worker without connections. Its first outputs attach it to `$all`.
    #[must_use]
    pub fn new(setup: Setup, now: Now) -> Self {
        let mut worker = Self {
            peers: Peers::new(setup.workers, &setup.options),
            id: setup.id,
            workers: setup.workers,
            node: setup.node,
            seed: setup.seed,
            random: setup.random,
            options: setup.options,
            now,
            sessions: Sessions::default(),
            waiting: Waiting::default(),
            taken: VecDeque::new(),
            held_inboxes: BTreeSet::new(),
            locals: Default::default(),
            local_index: HashMap::new(),
            everyone: SlotKey { slot: 0, generation: 0 },
            homes: Default::default(),
            home_index: HashMap::new(),
            history_bytes: 0,
            blocks: Blocks::default(),
            locating: HashMap::new(),
            next_location: 0,
            starving: Vec::new(),
            mail: VecDeque::new(),
            consumers_bytes: 0,
            held: VecDeque::new(),
            log_reads: LogReads::new(setup.workers),
            walk: None,
            wheel: Wheel::new(now.time),
            expected: now.time,
            excused_until: Time::default(),
            draining: false,
            drain_deadline: None,
            writable: VecDeque::new(),
            pulls: VecDeque::new(),
            dirty: Vec::new(),
            pool: OutboxPool::default(),
            frames: FrameCache::new(),
            heartbeat: Frame::new(Event::Heartbeat),
            ping: Frame::new(Event::Ping),
            bookmark: Frame::moving(Event::Heartbeat, 256, Some((SlotKey::NOBODY, 0))),
            nonce: 0,
            figures: Figures::default(),
        };
        worker.everyone = worker.local_for(&ChannelKey::everyone(AppId::default()));
        worker.attach(worker.everyone, AttachFor::Everyone, Start::Now);
        worker
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        assert!(
            self.walk.is_none() || !matches!(input, Input::Peer { .. } | Input::Opened(_)),
            "messages of peers and new connections wait while a worker walks"
        );
        match input {
            Input::Opened(opened) => self.handle_opened(*opened),
            Input::Received { connection } => self.handle_received(connection),
            Input::Pong { connection, offset } => self.handle_pong(connection, offset),
            Input::Command { connection, command, reply } => self.handle_command(connection, command, reply),
            Input::Malformed { connection, rejection, reply } => self.handle_malformed(connection, *rejection, reply),
            Input::Identified { connection, identity } => self.handle_identified(connection, identity),
            Input::Closed { connection, lost } => self.handle_closed(connection, lost),
            Input::Peer { from, message } => self.handle_peer(from, message.0),
            Input::Room { peer, entries, bytes } => self.peers.return_room(peer, entries, bytes),
            Input::LogOpened { home, epoch, head, floor } => self.handle_log_opened(home, epoch, head, floor),
            Input::LogNotOpened { home, failure } => self.handle_log_not_opened(home, failure),
            Input::NotAppended { home, ticket, outcome } => self.handle_not_appended(home, ticket, outcome),
            Input::Located { home, ticket, result } => self.handle_located(home, ticket, result),
            Input::Purged { home, ticket, result } => self.handle_purged(home, ticket, result),
            Input::LogRead { home, from, result } => self.handle_log_read(home, from, result),
            Input::StateApplied { ticket, result } => self.handle_state_applied(ticket, result),
            Input::StateScanned { ticket, result } => self.handle_state_scanned(ticket, result),
            Input::Committed { home, ticket, record, floor } => self.handle_committed(home, ticket, record, floor),
            Input::Call { ticket, call } => self.handle_call(ticket, call),
            Input::Drain => self.handle_drain(),
        }
    }

    fn handle_peer(&mut self, from: WorkerId, message: Peer) {
        match message {
            Peer::Attach(attach) => {
                let channel = attach.channel.clone();
                self.at_home(&channel, Parked::Attach(attach));
            }
            Peer::Attached(attached) => {
                self.peers.return_credit(from);
                self.handle_attached(*attached);
            }
            Peer::Refused(refused) => {
                self.peers.return_credit(from);
                self.handle_refused(*refused);
            }
            Peer::Pull(pull) => self.handle_pull(pull),
            Peer::Pulled(pulled) => {
                self.peers.return_credit(from);
                self.handle_pulled(*pulled);
            }
            Peer::Publish(draft) => {
                let channel = draft.channel.clone();
                self.at_home(&channel, Parked::Publish(draft));
            }
            Peer::Published(published) => {
                self.peers.return_credit(from);
                self.handle_published(*published);
            }
            Peer::History(ask) => self.ask_history(*ask),
            Peer::HistoryAnswer(answer) => {
                self.peers.return_credit(from);
                self.handle_history_answer(*answer);
            }
            Peer::Inbox(ask) => self.ask_inbox(*ask),
            Peer::InboxAnswer(answer) => {
                self.peers.return_credit(from);
                self.handle_inbox_answer(*answer);
            }
            Peer::InboxNews(news) => self.handle_inbox_news(&news),
            Peer::Consumers(ask) => self.order_consumers(ask),
            Peer::ConsumersAnswer(ask, result) => {
                self.peers.return_credit(from);
                self.handle_consumers_answer(*ask, result);
            }
            Peer::HandOut(hand_out) => self.handle_hand_out(*hand_out),
            Peer::Notice(notice) => self.handle_notice(*notice),
            Peer::Seat(news) => self.handle_seat_news(from, *news),
            Peer::TakeOver(ask) => self.handle_take_over(*ask),
            Peer::TakenOver(taken) => {
                self.peers.return_credit(from);
                self.handle_taken_over(taken);
            }
            Peer::Succession(said) => said.into_iter().for_each(|said| self.handle_succession(from, said)),
            Peer::Deliver { local, record } => self.handle_deliver(local, record),
            Peer::Behind { locals } => locals.into_iter().for_each(|local| self.handle_behind(local)),
            Peer::Interest { home, channel, local, count } => self.handle_interest(from, home, channel, local, count),
        }
    }

    /// The next effect to carry out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.peers.outputs.pop_front()
    }

    /// Whether a walk is unfinished, so that messages from peers and new connections have to wait.
    #[must_use]
    pub const fn is_walking(&self) -> bool {
        self.walk.is_some()
    }

    /// Whether one more command would find its credits. If not, connections with what they ask for, their commands, identities and
    /// calls that subscribe wait, wherever they come from.
    #[must_use]
    pub fn takes_commands(&self) -> bool {
        self.peers.can_ask()
    }

    /// Whether something waits for room in the queue to a peer, so that it must not sleep over an `Input::Room` it could be told.
    #[must_use]
    pub fn wants_room(&self) -> bool {
        self.peers.holds_notices() || !self.dirty.is_empty() || !self.mail.is_empty() || !self.starving.is_empty()
    }

    /// Ends a turn: tells peers what is only worth telling once per turn.
    pub fn finish_turn(&mut self, now: Now) {
        self.now = now;
        let noticed = self.peers.send_notices();
        self.note_noticed(noticed);
        self.settle_dirty();
        self.send_mail();
        self.feed_starving();
        self.settle_taken();
        self.settle_held();
        self.settle_pulls();
    }

    /// When [`Worker::handle_timeout`] wants to be called. Asked by whoever is about to sleep until then.
    pub fn next_deadline(&mut self) -> Option<Time> {
        let deadlines = [
            self.wheel.next_deadline(),
            self.drain_deadline,
            self.waiting.next_deadline(),
            self.held_deadline(),
            self.log_reads.next_deadline(),
        ];
        let next = deadlines.into_iter().flatten().min();
        self.expected = next.unwrap_or(Time::MAX).max(self.expected);
        next
    }

    /// Takes what is due. Called every turn, also while nothing is: being called late is how a worker learns that it was frozen.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        // Being late by this much means the process was frozen, and signs of life may lie unread in the sockets.
        if now.time.since(self.expected) > limits::STALL {
            self.excused_until = now.time.after(limits::PONG_DEADLINE);
        }
        self.waiting.forget(now.time);
        self.settle_unserved();
        self.expected = now.time;
        if self.drain_deadline.is_some_and(|deadline| deadline <= now.time) {
            self.drain_deadline = None;
            self.end_all();
        }
        let mut due = Vec::new();
        while self.wheel.take_due(now.time, &mut due) {
            for timer in due.drain(..) {
                match timer {
                    Timer::Session(key) => self.handle_session_deadline(key),
                    Timer::Channel(key) => self.handle_home_deadline(key),
                    Timer::Inbox(key) => self.handle_inbox_deadline(key),
                    Timer::Consumers(key) => self.handle_consumers_deadline(key),
                }
            }
        }
    }

    /// The worker's figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            connections: self.sessions.len() as u64,
            channels: self.homes.len() as u64,
            history_bytes: self.history_bytes,
            dropped: self.figures.dropped + self.peers.signals_dropped,
            log_reads: self.blocks.reads,
            ..self.figures
        }
    }

    pub(crate) fn home_worker(&self, fingerprint: u64) -> WorkerId {
        home_worker(fingerprint, self.seed, self.workers)
    }

    pub(crate) const fn session_id(&self, key: ConnectionKey) -> SessionId {
        SessionId { node: self.node, worker: self.id, key }
    }

    /// The next number of a splitmix64 sequence: enough for ids and jitter, and the same for the same seed.
    pub(crate) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Sends one attach request.
    fn attach(&mut self, local: SlotKey, asker: AttachFor, start: Start) {
        let entry = self.locals.at_mut(local.slot);
        entry.attaching += 1;
        let (to, channel) = (entry.home_worker, entry.channel.clone());
        let listener = match asker {
            AttachFor::Connect { connection, .. } => self.listener_of(connection, &channel),
            AttachFor::Everyone | AttachFor::Subscribe { .. } | AttachFor::Repeat { .. } => None,
        };
        let attach = Attach { asker, worker: self.id, local, channel, start, listener };
        self.peers.request(to, Peer::Attach(Box::new(attach)));
    }
}
