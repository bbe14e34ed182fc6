//! The poll loop of one worker.
//!
//! A turn: read what is ready and take what others sent → decide (core) → write each connection that has something to say, once.
//! Under load many messages fall into one turn and leave in one system call. A turn ends after its budget; what is left over –
//! a walk over a large audience, the write list, unread sockets – goes on in the next one.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use realtime_connector_core::id::{ConnectionId, ConnectionKey, WorkerId};
use realtime_connector_core::rejection::Lost;
use realtime_connector_core::worker::{Input, PeerMessage, Worker};
use realtime_connector_wire::json::DecodeLimits;

use super::clock::Clock;
use super::connection::Stage;
use super::delivery::{Delivery, Flushed};
use super::front::{FrontDoor, FrontMessage, Waiting};
use super::logs::Logs;
use super::queue::{Doorbell, PeerQueue};
use super::reading::Until;
use super::table::Table;
use super::{Node, WAKE};

/// Reading and messages of one turn, so that no connection waits for another one's crowd.
const TURN_BUDGET: Duration = Duration::from_millis(5);
/// The part of it that reading may take, or messages would wait for whoever sends most.
const READ_BUDGET: Duration = Duration::from_millis(3);
/// Writing has a budget of its own: what messages put into outboxes must leave at the rate it comes, or everybody falls behind.
const WRITE_BUDGET: Duration = Duration::from_millis(5);
/// Connections read between two looks at the clock.
const READS_PER_LOOK: usize = 16;
/// Connections written between two looks at the clock.
const WRITES_PER_LOOK: usize = 16;
/// Peer messages taken between two looks at the clock.
const MESSAGES_PER_LOOK: usize = 64;
/// Events per poll. More only makes the turn longer.
const EVENTS: usize = 1_024;
/// Bytes read at once, by all connections of the worker into the same buffer.
pub(super) const SCRATCH_BYTES: usize = 64 * 1024;

/// One worker thread's state.
pub(super) struct WorkerLoop {
    pub(super) node: Arc<Node>,
    /// Public ids of this worker's connections, but for the key.
    pub(super) id: ConnectionId,
    pub(super) core: Worker,
    pub(super) clock: Clock,
    pub(super) poll: Poll,
    pub(super) door: Arc<FrontDoor>,
    doorbell: Arc<Doorbell>,
    pub(super) table: Table,
    pub(super) logs: Logs,
    pub(super) delivery: Delivery,
    pub(super) decode_limits: DecodeLimits,
    pub(super) scratch: Vec<u8>,
    /// Connections with bytes that no edge will announce: the read cap or the budget was reached, or they were paused.
    pub(super) ready: VecDeque<ConnectionKey>,
    /// Connections that core has let go of, with when to drop them.
    pub(super) lingering: VecDeque<(Instant, ConnectionKey)>,
    pub(super) waiting: HashMap<u64, Waiting>,
    pub(super) next_ticket: u64,
    pub(super) outgoing: Vec<VecDeque<PeerMessage>>,
    incoming: Vec<VecDeque<PeerMessage>>,
    /// What each peer had taken of our messages when we last looked.
    room_seen: Vec<(u64, u64)>,
    front: VecDeque<FrontMessage>,
    moved: Vec<u32>,
    /// The order to drain has been carried out.
    draining: bool,
    stopping: bool,
}

impl WorkerLoop {
    pub(super) fn new(node: Arc<Node>, index: usize, poll: Poll, core: Worker, clock: Clock, logs: Logs) -> Self {
        let workers = node.doors.len();
        let worker = WorkerId(u8::try_from(index).expect("at most 256 workers"));
        let id = ConnectionId { node: node.id, worker, key: ConnectionKey { slot: 0, generation: 0 } };
        Self {
            id,
            core,
            clock,
            poll,
            door: node.doors[index].clone(),
            doorbell: node.doorbells[index].clone(),
            table: Table::default(),
            logs,
            delivery: Delivery::new(node.keys.clone(), worker.0),
            decode_limits: DecodeLimits { message_bytes: node.options.message_bytes as usize },
            scratch: vec![0; SCRATCH_BYTES],
            ready: VecDeque::new(),
            lingering: VecDeque::new(),
            waiting: HashMap::new(),
            next_ticket: 0,
            outgoing: (0..workers).map(|_| VecDeque::new()).collect(),
            incoming: (0..workers).map(|_| VecDeque::new()).collect(),
            room_seen: vec![(0, 0); workers],
            front: VecDeque::new(),
            moved: Vec::new(),
            draining: false,
            stopping: false,
            node,
        }
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        self.carry_out();
        self.send_outgoing();
        while !self.stopping {
            let timeout = self.sleep_time();
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.doorbell.get_up();
            self.turn(&events);
        }
        self.part();
        Ok(())
    }

    /// Takes what lingering peers have said: a socket that is closed with bytes unread resets, and the reset may overtake last words.
    fn part(&mut self) {
        for (_, key) in std::mem::take(&mut self.lingering) {
            if let Some(connection) = self.table.get_mut(key) {
                drop(connection.transport.read(&mut self.scratch));
            }
        }
    }

    /// How long to sleep: not at all while work is left over.
    pub(super) fn sleep_time(&mut self) -> Option<Duration> {
        self.doorbell.lie_down();
        if self.is_busy() {
            return Some(Duration::ZERO);
        }
        let core = self.core.next_deadline().map(|deadline| self.clock.until(deadline));
        let linger = self.lingering.front().map(|(at, _)| at.saturating_duration_since(Instant::now()));
        match (core, linger) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether anything can be done now. What waits for credits cannot: they come with a message, which rings.
    fn is_busy(&self) -> bool {
        let mine = usize::from(self.id.worker.0);
        let asked = !self.ready.is_empty() || !self.front.is_empty() || self.door.has_messages();
        self.core.is_walking()
            || self.core.has_writable()
            || (asked && self.core.takes_commands())
            || self.logs.is_ready()
            || self.door.has_moved()
            || self.door.stops()
            || (self.door.drains() && !self.draining)
            || self.incoming.iter().any(|messages| !messages.is_empty())
            || self.node.queues.iter().any(|queues| !queues[mine].is_empty())
            || (self.core.wants_room() && self.has_room_to_collect())
    }

    /// Whether peers have taken something out of our queues since we last looked. They rang, but perhaps while we were awake.
    fn has_room_to_collect(&self) -> bool {
        let queues = &self.node.queues[usize::from(self.id.worker.0)];
        queues.iter().zip(&self.room_seen).any(|(queue, seen)| queue.taken() != *seen)
    }

    pub(super) fn turn(&mut self, events: &Events) {
        let started = Instant::now();
        self.clock.tick();
        self.take_orders();
        self.collect_room();
        self.take_stored(started);
        self.read_all(events, started);
        while self.take_messages(started) {
            self.settle();
            if started.elapsed() >= TURN_BUDGET {
                break;
            }
        }
        self.settle();
        self.write_all();
        self.drop_lingering();
        self.core.handle_timeout(self.clock.now());
        // Writing empties outboxes, and an empty one may have a page to pull.
        self.settle();
    }

    /// Ends what was begun: what core tells peers only once, and what was said to them, leaves.
    pub(super) fn settle(&mut self) {
        self.core.finish_turn(self.clock.now());
        self.carry_out();
        self.send_outgoing();
    }

    fn take_orders(&mut self) {
        if self.door.drains() && !std::mem::replace(&mut self.draining, true) {
            self.handle(Input::Drain);
            self.end_echoes();
        }
        self.stopping = self.door.stops();
    }

    /// Reads what was left over, then what is new, as far as the budget goes. The rest joins what is left over, so that everybody has
    /// a turn.
    fn read_all(&mut self, events: &Events, started: Instant) {
        self.read_ready(started);
        let mut late = false;
        for (index, event) in events.iter().enumerate() {
            late = late || (index % READS_PER_LOOK == 0 && started.elapsed() >= READ_BUDGET);
            self.handle_event(event, late);
        }
        self.take_moved(started);
    }

    fn handle_event(&mut self, event: &mio::event::Event, late: bool) {
        let Token(token) = event.token();
        if event.token() == WAKE {
            return;
        }
        let Some(key) = self.table.key_at(token as u32) else { return };
        if event.is_writable() {
            self.unblock(key, late);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            // No further edge announces an end that has come with the bytes before it.
            let until = if event.is_read_closed() { Until::Empty } else { Until::Short };
            self.read_or_queue(key, late, until);
        }
    }

    /// Pumped streams have no events; their tasks leave a note.
    fn take_moved(&mut self, started: Instant) {
        let mut moved = std::mem::take(&mut self.moved);
        self.door.take_moved(&mut moved);
        let mut late = false;
        for (index, slot) in moved.drain(..).enumerate() {
            late = late || (index % READS_PER_LOOK == 0 && started.elapsed() >= READ_BUDGET);
            let Some(key) = self.table.key_at(slot) else { continue };
            self.unblock(key, late);
            self.read_or_queue(key, late, Until::Empty);
        }
        self.moved = moved;
    }

    /// A stream that was full has room again.
    fn unblock(&mut self, key: ConnectionKey, late: bool) {
        let Some(connection) = self.table.get_mut(key) else { return };
        if !std::mem::take(&mut connection.blocked) {
            return;
        }
        // Core writes its sessions by their list; it knows no connection that has ended.
        if late && !connection.stage.has_ended() && self.node.echo.is_none() {
            self.core.requeue(key);
        } else {
            self.flush(key);
        }
    }

    fn read_or_queue(&mut self, key: ConnectionKey, late: bool, until: Until) {
        if late { self.queue_read(key) } else { self.read(key, until) }
    }

    /// Goes on with connections that were left with bytes in them.
    fn read_ready(&mut self, started: Instant) {
        for index in 1..=self.ready.len() {
            if !self.core.takes_commands() {
                return;
            }
            let Some(key) = self.ready.pop_front() else { return };
            if let Some(connection) = self.table.get_mut(key) {
                connection.queued_read = false;
            }
            self.read(key, Until::Empty);
            if index % READS_PER_LOOK == 0 && started.elapsed() >= READ_BUDGET {
                return;
            }
        }
    }

    /// Tells core what peers have taken out of our queues.
    fn collect_room(&mut self) {
        let mine = usize::from(self.id.worker.0);
        for peer in 0..self.room_seen.len() {
            let taken = self.node.queues[mine][peer].taken();
            let seen = std::mem::replace(&mut self.room_seen[peer], taken);
            if taken != seen {
                let entries = u32::try_from(taken.0 - seen.0).expect("bounded by the room there is");
                let peer = WorkerId(u8::try_from(peer).expect("at most 256 workers"));
                self.handle(Input::Room { peer, entries, bytes: taken.1 - seen.1 });
            }
        }
    }

    /// Takes what the store has answered, as far as the budget goes: a group of its writer may be a thousand answers.
    pub(super) fn take_stored(&mut self, started: Instant) {
        let mut taken = 0;
        while let Some(input) = self.logs.poll_store() {
            self.handle(input);
            taken += 1;
            if taken % MESSAGES_PER_LOOK == 0 && started.elapsed() >= TURN_BUDGET {
                return;
            }
        }
    }

    /// Takes what the front and the peers sent, as far as the budget, credits and walks allow. Returns whether there was any.
    pub(super) fn take_messages(&mut self, started: Instant) -> bool {
        if !self.walk(started) {
            return false;
        }
        let mut progressed = false;
        if self.front.is_empty() {
            self.door.take(&mut self.front);
        }
        // Whatever the front says may need credits. The peers' turn comes all the same: they bring them.
        while self.core.takes_commands()
            && let Some(message) = self.front.pop_front()
        {
            progressed = true;
            self.handle_front(message);
            if started.elapsed() >= TURN_BUDGET {
                break;
            }
        }
        let mine = usize::from(self.id.worker.0);
        for peer in 0..self.incoming.len() {
            if self.core.is_walking() {
                break;
            }
            if self.incoming[peer].is_empty() {
                self.node.queues[peer][mine].take(&mut self.incoming[peer]);
            }
            progressed |= self.take_from(peer, started);
        }
        progressed
    }

    fn take_from(&mut self, peer: usize, started: Instant) -> bool {
        let from = WorkerId(u8::try_from(peer).expect("at most 256 workers"));
        let mine = usize::from(self.id.worker.0);
        let (mut taken, mut entries, mut bytes) = (0, 0, 0);
        while let Some(message) = self.incoming[peer].pop_front() {
            taken += 1;
            if message.takes_room() {
                entries += 1;
                bytes += u64::from(message.cost());
            }
            self.handle(Input::Peer { from, message });
            let look = taken % MESSAGES_PER_LOOK == 0;
            if (self.core.is_walking() && !self.walk(started)) || (look && started.elapsed() >= TURN_BUDGET) {
                break;
            }
        }
        if entries > 0 {
            self.node.queues[peer][mine].note_taken(entries, bytes);
            // Whoever had no room sleeps without a deadline of its own.
            self.node.doorbells[peer].ring();
        }
        taken > 0
    }

    /// Goes on with a walk. Returns whether none is left over.
    fn walk(&mut self, started: Instant) -> bool {
        while !self.core.advance(self.node.options.bounds.walk_steps) {
            if started.elapsed() >= TURN_BUDGET {
                return false;
            }
        }
        true
    }

    fn write_all(&mut self) {
        let started = Instant::now();
        let mut written = 0;
        while let Some(key) = self.core.poll_writable() {
            if self.table.get_mut(key).is_some_and(|connection| !connection.blocked) {
                self.flush(key);
            }
            written += 1;
            if written % WRITES_PER_LOOK == 0 && started.elapsed() >= WRITE_BUDGET {
                return;
            }
        }
    }

    /// Writes one connection until it has nothing more to say or its stream is full.
    pub(super) fn flush(&mut self, key: ConnectionKey) {
        /// Batches per turn: a connection with more to say lets others go first.
        const BATCHES: usize = 4;
        for _ in 0..BATCHES {
            let Some(connection) = self.table.get_mut(key) else { return };
            let id = ConnectionId { key, ..self.id };
            match self.delivery.flush(&mut self.core, id, connection) {
                Flushed::More => {}
                Flushed::Drained => return self.handle_drained(key),
                Flushed::Blocked => {
                    connection.blocked = true;
                    return;
                }
                Flushed::Broken => return self.lose(key, Lost::Dropped),
            }
        }
        self.core.requeue(key);
    }

    /// Everything is written: go on with what waited for that.
    fn handle_drained(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.get_mut(key) else { return };
        match connection.stage {
            Stage::Open => {
                if connection.paused {
                    self.queue_read(key);
                }
            }
            Stage::Closing(code) => self.finish_closing(key, code),
            Stage::Lingering => {
                if connection.transport.shutdown_write().is_err() {
                    return self.forget(key);
                }
                self.note_told(key);
            }
            Stage::Told => {}
        }
    }

    /// Lets go of a connection.
    pub(super) fn forget(&mut self, key: ConnectionKey) {
        self.note_told(key);
        self.table.remove(key);
    }

    /// Nothing more will be said to a connection.
    fn note_told(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.get_mut(key)
            && std::mem::replace(&mut connection.stage, Stage::Told) != Stage::Told
        {
            self.node.talking.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn drop_lingering(&mut self) {
        let now = Instant::now();
        while let Some((at, key)) = self.lingering.front().copied() {
            if at > now {
                return;
            }
            self.lingering.pop_front();
            self.forget(key);
        }
    }

    /// Gives core an input and carries out what it wants.
    pub(super) fn handle(&mut self, input: Input) {
        self.core.handle(self.clock.now(), input);
        self.carry_out();
    }

    /// Puts what was said to peers into their queues.
    fn send_outgoing(&mut self) {
        let mine = usize::from(self.id.worker.0);
        for (peer, messages) in self.outgoing.iter_mut().enumerate() {
            if !messages.is_empty() {
                let queue: &PeerQueue = &self.node.queues[mine][peer];
                queue.send(messages);
                if peer != mine {
                    self.node.doorbells[peer].ring();
                }
            }
        }
    }
}
