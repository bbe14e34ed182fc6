//! A node: a process of K workers over the disk of its machine, driven as the server's engine drives them.
//!
//! - A worker runs a turn when something has come for it, after a moment that the dice choose; one that is frozen runs none.
//! - How far a turn goes is up to the dice too: how many commands, messages and steps of a walk.
//! - The contract stands in the doc of core's `worker`. What is counted on the way goes to the checkers of I9 and I15.

mod link;
mod logs;
mod outputs;
mod turn;
mod watching;
mod writing;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use realtime_connector_core::event::Event;
use realtime_connector_core::id::{ChannelKey, ConnectionId, ConnectionKey, WorkerId};
use realtime_connector_core::options::Options;
use realtime_connector_core::permissions::Identity;
use realtime_connector_core::position::Epoch;
use realtime_connector_core::time::Now;
use realtime_connector_core::worker::{Answer, Call, Input, Opened, PeerMessage, Setup, Worker, home_worker};

use crate::checker::{Account, Gauges, Happened};
use crate::disk::Disk;
use crate::rng::Rng;
use crate::trace::Trace;
pub(crate) use link::{Down, Link, LinkId, Stage, Up};
use logs::Logs;
pub(crate) use outputs::identity;
use watching::Ordered;
pub(crate) use watching::word;

/// The longest pause between something that comes for a worker and its turn.
const TURN_US_MAX: u64 = 400;

/// What every step of a node needs from the world.
#[derive(Debug)]
pub(crate) struct Present<'a> {
    pub(crate) now_us: u64,
    pub(crate) now: Now,
    pub(crate) rng: &'a mut Rng,
    pub(crate) trace: &'a mut Trace,
}

/// Who waits for an answer: a person, and their number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) person: usize,
    pub(crate) reference: u64,
}

/// An answer to a call.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a command that came by POST.
    Event(Event),
    /// To a call of the application.
    Answer(Answer),
}

/// What comes to a worker from outside but for the bytes of its connections.
#[derive(Debug)]
pub(crate) enum Front {
    Adopt(LinkId, Box<Opened>),
    Call(u64, Call),
    /// A command by POST.
    Post(Box<Input>),
    Identified(ConnectionKey, Identity),
}

/// Something the world has to look at.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A worker wants a turn.
    Turn { worker: usize, at_us: u64 },
    /// A client has something to read, or sees the end of its stream.
    Readable { link: LinkId, at_us: u64 },
    /// An answer.
    Replied { caller: Caller, reply: Reply },
    /// Something has happened to a durable consumer.
    Consumer { channel: ChannelKey, cursor: String, happened: Happened },
}

/// Places of one worker's connections.
#[derive(Debug, Default)]
struct Places {
    generations: Vec<u32>,
    free: Vec<u32>,
}

/// What was seen of a worker from outside, to compare with what it counts.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    opened: u64,
    appended: u64,
    failed: u64,
    messages: u64,
    gaps: u64,
    reads: u64,
    /// Connections have ended whose outbox nobody could look into.
    blind: bool,
}

/// One worker and what its thread holds.
#[derive(Debug)]
struct Thread {
    core: Worker,
    logs: Logs,
    places: Places,
    links: BTreeMap<ConnectionKey, LinkId>,
    front: VecDeque<Front>,
    /// Connections that have room again, or whose reset has come.
    unblocked: Vec<LinkId>,
    outgoing: Vec<VecDeque<PeerMessage>>,
    /// What each peer had taken of our messages when we last looked.
    room_seen: Vec<(u64, u64)>,
    /// When its next turn is due.
    wake_us: Option<u64>,
    frozen_until_us: u64,
    seen: Seen,
}

/// One life of a node.
#[derive(Debug)]
pub(crate) struct Process {
    id: u32,
    seed: u64,
    /// The life of what is in memory.
    pub(crate) epoch: Epoch,
    options: Options,
    threads: Vec<Thread>,
    /// Messages by sender and receiver: `from * threads + to`.
    queues: Vec<VecDeque<PeerMessage>>,
    /// Entries and bytes that were put into each queue, and taken out, since the start.
    sent: Vec<(u64, u64)>,
    taken: Vec<(u64, u64)>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    tickets: BTreeMap<u64, Caller>,
    next_ticket: u64,
    /// Calls that consumers have not answered.
    ordered: BTreeMap<u64, Ordered>,
    /// Somebody has sent ephemeral messages, which are counted, and which no log ever sees.
    has_signals: bool,
    /// It takes no new connections.
    pub(crate) is_draining: bool,
    pub(crate) notices: Vec<Notice>,
    pub(crate) gauges: Gauges,
}

impl Process {
    /// A process begins over what is on its disk.
    pub(crate) fn start(options: Options, workers: usize, disk: &Rc<RefCell<Disk>>, present: &mut Present<'_>) -> Self {
        disk.borrow_mut().start(present.now_us, present.now, workers);
        let (id, seed) = (present.rng.number() as u32, present.rng.number());
        let epoch = Epoch::parse(&format!("m{:x}", present.rng.number() & 0xff_ffff)).expect("letters and digits");
        let thread = |index: usize| {
            let worker = WorkerId(u8::try_from(index).expect("few"));
            let random = present.rng.number();
            let setup = Setup { id: worker, workers, node: id, seed, random, options: options.clone() };
            Thread {
                core: Worker::new(setup, present.now),
                logs: Logs::new(epoch.clone(), disk, index),
                places: Places::default(),
                links: BTreeMap::new(),
                front: VecDeque::new(),
                unblocked: Vec::new(),
                outgoing: (0..workers).map(|_| VecDeque::new()).collect(),
                room_seen: vec![(0, 0); workers],
                wake_us: None,
                frozen_until_us: 0,
                seen: Seen::default(),
            }
        };
        let threads = (0..workers).map(thread).collect();
        let mut process = Self {
            id,
            seed,
            epoch,
            options,
            threads,
            queues: (0..workers * workers).map(|_| VecDeque::new()).collect(),
            sent: vec![(0, 0); workers * workers],
            taken: vec![(0, 0); workers * workers],
            links: BTreeMap::new(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            ordered: BTreeMap::new(),
            has_signals: false,
            is_draining: false,
            notices: Vec::new(),
            gauges: Gauges::default(),
        };
        for worker in 0..workers {
            process.carry_out(worker, present);
            process.send_outgoing(worker, present);
            process.ring(worker, present);
        }
        process
    }

    pub(crate) fn workers(&self) -> usize {
        self.threads.len()
    }

    /// Goes down in order: every connection is told and closed.
    pub(crate) fn drain(&mut self, present: &mut Present<'_>) {
        self.is_draining = true;
        for worker in 0..self.threads.len() {
            self.handle(worker, Input::Drain, present);
            self.ring(worker, present);
        }
    }

    /// The worker that orders a channel.
    pub(crate) fn home(&self, channel: &ChannelKey) -> usize {
        usize::from(home_worker(channel.fingerprint(), self.seed, self.threads.len()).0)
    }

    /// The public id of a connection.
    pub(crate) fn id_of(&self, worker: usize, key: ConnectionKey) -> ConnectionId {
        ConnectionId { node: self.id, worker: WorkerId(u8::try_from(worker).expect("few")), key }
    }

    /// Something comes to a worker from outside.
    pub(crate) fn receive(&mut self, worker: usize, front: Front, present: &mut Present<'_>) {
        self.threads[worker].front.push_back(front);
        self.ring(worker, present);
    }

    /// A number under which somebody waits for an answer.
    pub(crate) fn ticket(&mut self, caller: Caller) -> u64 {
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, caller);
        self.next_ticket
    }

    /// A worker wants a turn soon.
    fn ring(&mut self, worker: usize, present: &mut Present<'_>) {
        let at_us = present.now_us + present.rng.below(TURN_US_MAX);
        self.wake(worker, at_us);
    }

    /// A worker wants a turn at this time, or earlier.
    pub(crate) fn wake(&mut self, worker: usize, at_us: u64) {
        let thread = &mut self.threads[worker];
        let at_us = at_us.max(thread.frozen_until_us);
        if thread.wake_us.is_none_or(|wake| at_us < wake) {
            thread.wake_us = Some(at_us);
            self.notices.push(Notice::Turn { worker, at_us });
        }
    }

    /// Whether a turn that was wanted for this time still is.
    pub(crate) fn is_due(&self, worker: usize, at_us: u64) -> bool {
        self.threads[worker].wake_us == Some(at_us)
    }

    /// A worker runs nothing until then.
    pub(crate) fn freeze(&mut self, worker: usize, until_us: u64) {
        let thread = &mut self.threads[worker];
        thread.frozen_until_us = until_us;
        thread.wake_us = Some(until_us);
        self.notices.push(Notice::Turn { worker, at_us: until_us });
    }

    /// The client has made room in its socket, or its machine has said that it is gone.
    pub(crate) fn unblock(&mut self, link: LinkId, present: &mut Present<'_>) {
        let Some(it) = self.links.get(&link) else { return };
        let worker = it.worker;
        self.threads[worker].unblocked.push(link);
        self.ring(worker, present);
    }

    /// The disk has answers for a worker.
    pub(crate) fn answered(&mut self, worker: usize, present: &mut Present<'_>) {
        self.ring(worker, present);
    }

    /// What the workers count, and what was seen of them. Only at rest are the two the same.
    pub(crate) fn accounts(&self, node: usize) -> Vec<Account> {
        let mut accounts = Vec::new();
        for (index, thread) in self.threads.iter().enumerate() {
            let (figures, seen) = (thread.core.figures(), thread.seen);
            let mut add = |what: &str, counted: u64, seen: u64| {
                accounts.push(Account { name: format!("node {node}, worker {index}: {what}"), counted, seen });
            };
            add("connections", figures.connections, thread.links.len() as u64);
            add("connected", figures.connected, seen.opened);
            add("failed appends", figures.append_failures, seen.failed);
            add("reads of the log", figures.log_reads, seen.reads);
            if !self.has_signals {
                add("published", figures.published, seen.appended);
            }
            if !seen.blind {
                add("delivered", figures.delivered, seen.messages);
                add("gaps of loss", figures.gaps, seen.gaps);
            }
        }
        accounts
    }

    /// What waits although nothing moves.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let mut left = Vec::new();
        let queued: usize = self.queues.iter().map(VecDeque::len).sum();
        if queued > 0 {
            left.push(format!("{queued} messages wait between workers"));
        }
        for (index, thread) in self.threads.iter().enumerate() {
            if thread.core.is_walking() || thread.core.wants_room() {
                left.push(format!("worker {index} is not at rest"));
            }
            if !thread.front.is_empty() {
                left.push(format!("{} calls wait for worker {index}", thread.front.len()));
            }
        }
        if !self.tickets.is_empty() {
            left.push(format!("{} calls have no answer", self.tickets.len()));
        }
        left
    }
}

impl Places {
    /// A free place and the generation of its next tenant.
    fn reserve(&mut self) -> ConnectionKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            u32::try_from(self.generations.len() - 1).expect("few")
        });
        self.generations[slot as usize] += 1;
        ConnectionKey { slot, generation: self.generations[slot as usize] }
    }
}
