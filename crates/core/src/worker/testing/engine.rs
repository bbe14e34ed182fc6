//! What the engine does: inputs in turns, outputs carried out, outboxes written, sockets read.

use std::rc::Rc;

use super::client::{Arrival, Stage};
use super::kinds::{count, draft, identify, is_answer, is_request};
use super::node::{Caller, Node};
use super::render;
use super::streams::Facts;
use crate::command::Ack;
use crate::consumers::Order;
use crate::cursor::CursorPositions;
use crate::event::{Event, Outcome};
use crate::frame::Frame;
use crate::id::{ConnectionKey, WorkerId};
use crate::rejection::{Close, Lost, Rejection, RejectionKind};
use crate::worker::peers::{Peer, SeatChange};
use crate::worker::{Answer, Input, Output};

/// Rounds after which a node that still moves is broken.
const ROUNDS_MAX: u64 = 100_000;

impl Node {
    /// Runs turns of all workers, and lets those clients read that do, until nothing moves any more.
    pub(crate) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let before = self.progress;
            for worker in 0..self.workers.len() {
                self.turn(worker);
            }
            for client in 0..self.clients.len() {
                if self.clients[client].reads {
                    self.read(client, usize::MAX);
                }
            }
            if self.progress == before {
                return;
            }
        }
        panic!("the node does not come to rest");
    }

    /// One turn of a worker: some inputs, a stretch of a walk, the end of the turn, what is writable.
    pub(crate) fn turn(&mut self, worker: usize) {
        let inputs = if self.plan.steady { usize::MAX } else { 1 + self.rng.below(5) };
        for _ in 0..inputs {
            let Some(input) = self.next_input(worker) else { break };
            self.handle(worker, input);
        }
        let steps = if self.plan.steady { usize::MAX } else { 1 + self.rng.below(3) };
        self.progress += u64::from(self.workers[worker].is_walking());
        self.workers[worker].advance(steps);
        self.workers[worker].finish_turn(self.now);
        self.carry_out(worker);
        while let Some(key) = self.workers[worker].poll_writable() {
            if let Some(client) = self.client_at(worker, key) {
                self.flush(client);
            }
        }
    }

    /// Takes one input and nothing more. Returns whether there was one.
    pub(crate) fn step(&mut self, worker: usize) -> bool {
        let input = self.next_input(worker);
        input.map(|input| self.handle(worker, input)).is_some()
    }

    /// The next thing that may be taken now, from any of the sources.
    fn next_input(&mut self, worker: usize) -> Option<Input> {
        let count = self.workers.len();
        let sources = count + self.clients.len() + 2 + count;
        let first = if self.plan.steady { 0 } else { self.rng.below(sources) };
        (0..sources).find_map(|index| self.input_from(worker, (first + index) % sources))
    }

    /// Sources in the order of an engine's turn: room, sockets, the front, the log, peers.
    fn input_from(&mut self, worker: usize, source: usize) -> Option<Input> {
        let (count, clients) = (self.workers.len(), self.clients.len());
        let walks = self.workers[worker].is_walking();
        let peer = |peer: usize| WorkerId(u8::try_from(peer).expect("few"));
        if source < count {
            let (entries, bytes) = self.rooms[worker * count + source].pop_front()?;
            let debt = &mut self.debts[worker * count + source];
            (debt.entries, debt.bytes) = (debt.entries - entries, debt.bytes - bytes);
            return Some(Input::Room { peer: peer(source), entries, bytes });
        }
        let source = source - count;
        if source < clients {
            return if self.is_heard(worker, source) { self.clients[source].inputs.pop_front() } else { None };
        }
        let source = source - clients;
        if source == 0 {
            let asks = self.workers[worker].takes_commands() && !walks;
            return if asks { self.front[worker].pop_front() } else { None };
        }
        if source == 1 {
            return if self.log_stalls { None } else { self.completions[worker].pop_front() };
        }
        let from = source - 2;
        if walks {
            return None;
        }
        let message = self.queues[from * count + worker].pop_front()?;
        if message.takes_room() {
            self.rooms[from * count + worker].push_back((1, u64::from(message.cost())));
        }
        if is_answer(&message.0) {
            self.debts[worker * count + from].requests -= 1;
        }
        Some(Input::Peer { from: peer(from), message })
    }

    /// Whether the next thing a client has sent may be taken now.
    fn is_heard(&mut self, worker: usize, client: usize) -> bool {
        let (machine, it) = (&self.workers[worker], &mut self.clients[client]);
        let Some(input) = it.inputs.front() else { return false };
        if it.worker != worker {
            return false;
        }
        match input {
            Input::Opened(_) => machine.takes_commands() && !machine.is_walking(),
            Input::Command { connection, .. } | Input::Malformed { connection, .. } => {
                it.paused |= !it.dialect.is_sse() && machine.is_congested(*connection);
                if it.lost && it.paused {
                    // Writing fails before more is read.
                    it.inputs.retain(|input| matches!(input, Input::Closed { .. }));
                    return true;
                }
                machine.takes_commands() && !it.paused
            }
            Input::Received { .. }
            | Input::Pong { .. }
            | Input::Identified { .. }
            | Input::Closed { .. }
            | Input::Peer { .. }
            | Input::Room { .. }
            | Input::LogOpened { .. }
            | Input::LogNotOpened { .. }
            | Input::NotAppended { .. }
            | Input::LogRead { .. }
            | Input::Located { .. }
            | Input::Purged { .. }
            | Input::StateApplied { .. }
            | Input::StateScanned { .. }
            | Input::Committed { .. }
            | Input::Call { .. }
            | Input::Drain => true,
        }
    }

    /// Gives a worker one input and carries out what it wants.
    pub(crate) fn handle(&mut self, worker: usize, input: Input) {
        self.progress += 1;
        if let Input::Closed { connection, .. } = input
            && let Some(client) = self.client_at(worker, connection)
        {
            return self.finish(client, input);
        }
        self.note_store_answer(worker, &input);
        if let Some(draft) = draft(&input)
            && draft.ephemeral
            && self.workers[worker].refuses(&draft.channel)
        {
            self.signals -= 1;
        }
        self.workers[worker].handle(self.now, input);
        self.carry_out(worker);
    }

    /// A read has been answered; what waits for a home that does not open is refused.
    fn note_store_answer(&mut self, worker: usize, input: &Input) {
        if let Input::LogRead { .. } = input {
            self.reads[worker] -= 1;
        }
        if let Input::LogNotOpened { home, .. } | Input::LogRead { home, result: Err(_), .. } = input {
            self.signals -= self.workers[worker].parked_signals(*home);
        }
        if let Input::StateScanned { ticket, result: Err(_) } = input {
            self.signals -= self.workers[worker].parked_signals(ticket.home);
        }
    }

    /// The engine lets go of a connection.
    fn finish(&mut self, client: usize, closed: Input) {
        let it = &mut self.clients[client];
        let (worker, key) = (it.worker, it.key);
        it.stage = Stage::Gone;
        let late = std::mem::take(&mut it.inputs);
        if it.dialect.is_sse() {
            // A POST is a request of its own: it comes, and finds nobody.
            let late =
                late.into_iter().filter(|input| matches!(input, Input::Command { .. } | Input::Malformed { .. }));
            self.front[worker].extend(late);
        }
        if let Some(session) = self.workers[worker].sessions.get(key) {
            for frame in session.outbox.iter() {
                let (messages, excluded) = count(frame);
                self.discarded.0 += messages;
                self.discarded.1 += excluded;
            }
        }
        self.workers[worker].handle(self.now, closed);
        self.release(worker, key);
        self.carry_out(worker);
    }

    pub(crate) fn carry_out(&mut self, worker: usize) {
        loop {
            while let Some(output) = self.workers[worker].poll_output() {
                self.progress += 1;
                self.carry(worker, output);
            }
            if self.plan.late_log {
                return;
            }
            let Some(input) = self.completions[worker].pop_front() else { return };
            self.note_store_answer(worker, &input);
            self.workers[worker].handle(self.now, input);
        }
    }

    fn carry(&mut self, worker: usize, output: Output) {
        let Some(output) = self.ask_store(worker, output) else { return };
        match output {
            Output::Peer { to, message } => self.post(worker, usize::from(to.0), message),
            Output::Ask { connection, token } => {
                let identity = identify(&token)
                    .map(Box::new)
                    .ok_or_else(|| Box::new(Rejection::new(RejectionKind::Unauthenticated, "is no token")));
                self.front[worker].push_back(Input::Identified { connection, identity });
            }
            Output::Close { connection, close, stays_away } => {
                let client = self.client_at(worker, connection).expect("core closes connections that exist");
                let ends = matches!(close, Close::Normal | Close::Stopped);
                assert_eq!(
                    stays_away,
                    ends && self.clients[client].is_sse(),
                    "only event streams come back by themselves"
                );
                self.clients[client].stage = Stage::Closing(close);
                self.workers[worker].requeue(connection);
            }
            Output::Abort { connection } => {
                let client = self.client_at(worker, connection).expect("core ends connections that exist");
                self.clients[client].socket.clear();
                self.finish(client, Input::Closed { connection, lost: Lost::Dropped });
            }
            Output::Replied { ticket, event } => self.answer(ticket, &event),
            Output::Answered { ticket, answer } => {
                assert_eq!(self.tickets.remove(&ticket), Some(Caller::Api), "one answer to each call");
                if let (Some((channel, order)), Answer::Consumers(result)) = (self.orders.remove(&ticket), &answer) {
                    self.handed.answered(&channel, &order, result.as_ref().ok());
                }
                let line = render::answer(&answer);
                self.observe("api", &line);
                if let Answer::History(Ok(page)) = answer {
                    self.pages.push_back(*page);
                }
                self.answers.push_back(line);
            }
            Output::Lifecycle(event) => self.note_lifecycle(&event),
            Output::OpenLog { .. }
            | Output::Append { .. }
            | Output::ReadLog { .. }
            | Output::PurgeLog { .. }
            | Output::LocateInLog { .. }
            | Output::ForgetLog { .. }
            | Output::ApplyState { .. }
            | Output::ScanState { .. } => unreachable!("the store has taken it"),
        }
    }

    /// A message goes into a queue, whose bounds hold.
    fn post(&mut self, from: usize, to: usize, message: crate::worker::PeerMessage) {
        let index = from * self.workers.len() + to;
        let (bounds, debt) = (self.plan.options.bounds, &mut self.debts[index]);
        if message.takes_room() {
            debt.entries += 1;
            debt.bytes += u64::from(message.cost());
            assert!(debt.entries <= bounds.deliveries, "more deliveries than the queue has room for");
            assert!(debt.bytes <= bounds.delivery_bytes, "more bytes than the queue has room for");
        }
        if is_request(&message.0) {
            debt.requests += 1;
            if let Peer::Publish(draft) = &message.0 {
                let stored = draft.ack == Some(Ack::Stored);
                self.signals += u64::from(draft.ephemeral && !stored);
            }
            assert!(debt.requests <= bounds.credits, "more requests than credits");
        }
        self.note_consumers(&message.0);
        self.queues[index].push_back(message);
    }

    fn note_consumers(&mut self, message: &Peer) {
        if let Peer::Consumers(ask) = message {
            self.handed.said(&ask.channel, &ask.order);
            if let Order::Leave { member } = &ask.order {
                self.handed.gives_back(&ask.channel, member.cursor());
            }
        } else if let Peer::ConsumersAnswer(ask, result) = message {
            self.handed.answered(&ask.channel, &ask.order, result.as_ref().ok());
        } else if let Peer::HandOut(hand_out) = message {
            let cursor = hand_out.group.as_ref().unwrap_or(&hand_out.delivery.consumer);
            self.handed.handed(cursor, &hand_out.delivery);
        } else if let Peer::Seat(news) = message {
            match news.change {
                SeatChange::Gone { gives_back: false } | SeatChange::Awake => {}
                SeatChange::Gone { gives_back: true } | SeatChange::Bounced { .. } => {
                    self.handed.gives_back(&news.channel, news.member.cursor());
                }
            }
        }
    }

    /// The answer to a POST, or to a call that is answered like a command.
    fn answer(&mut self, ticket: u64, event: &Event) {
        match self.tickets.remove(&ticket).expect("one answer to each call") {
            Caller::Client(client) => self.take_frame(client, event, true),
            Caller::Api => {
                let line = render::event(event);
                self.observe("api", &line);
                self.answers.push_back(line);
            }
        }
    }

    pub(crate) fn client_at(&self, worker: usize, key: ConnectionKey) -> Option<usize> {
        self.clients.iter().rposition(|it| it.worker == worker && it.key == key && it.stage != Stage::Gone)
    }

    /// Writes what fits into a client's socket.
    pub(crate) fn flush(&mut self, client: usize) {
        let it = &mut self.clients[client];
        let (worker, key) = (it.worker, it.key);
        let batch = self.plan.batch;
        let machine = &mut self.workers[worker];
        let frames: Vec<Rc<Frame>> = machine.outbox(key).take(batch).cloned().collect();
        let last_mover = if it.is_sse() { frames.iter().rposition(|frame| frame.moves_position()) } else { None };
        let mut positions = CursorPositions::default();
        if let Some(last) = last_mover {
            machine.move_cursor(key, last + 1, &mut positions);
        }
        let fits = frames.len().min(it.space());
        for (index, frame) in frames.into_iter().take(fits).enumerate() {
            let (messages, excluded) = count(&frame);
            it.messages_written += messages;
            it.excluded_written += excluded;
            let cursor = (last_mover == Some(index)).then(|| positions.clone());
            it.socket.push_back(Arrival { frame, cursor });
        }
        machine.written(key, fits);
        self.progress += fits as u64;
        it.blocked = it.space() == 0;
        it.paused &= machine.outbox(key).next().is_some();
        if machine.is_drained(key) {
            if let Stage::Closing(_) = it.stage {
                self.finish(client, Input::Closed { connection: key, lost: Lost::Closed });
            }
        } else if !it.blocked && machine.outbox(key).next().is_some() {
            machine.requeue(key);
        }
    }

    /// A client reads at most so many frames from its socket.
    pub(crate) fn read(&mut self, client: usize, count: usize) {
        for _ in 0..count {
            let Some(arrival) = self.clients[client].socket.pop_front() else { break };
            self.progress += 1;
            self.take_frame(client, arrival.frame.event(), false);
            if let Some(cursor) = arrival.cursor {
                let it = &mut self.clients[client];
                it.streams.check_cursor(&cursor, it.steered);
                it.cursor = Some(cursor);
            }
        }
        let it = &mut self.clients[client];
        if it.blocked && it.space() > 0 && it.stage != Stage::Gone {
            self.flush(client);
        }
    }

    /// A frame has reached its client: it must fit all that came before.
    fn take_frame(&mut self, client: usize, event: &Event, by_call: bool) {
        let line = render::event(event);
        self.observe(&self.clients[client].name.clone(), &line);
        let trimmed = match event {
            Event::Gap { channel, .. } => self.trimmed(channel),
            Event::Connected(_)
            | Event::Ok { .. }
            | Event::Error { .. }
            | Event::Subscribed { .. }
            | Event::Unsubscribed { .. }
            | Event::Message(_)
            | Event::Delivery(_)
            | Event::Consumer(_)
            | Event::Ping
            | Event::Heartbeat
            | Event::Probe(_)
            | Event::Inbox { .. }
            | Event::Pong { .. }
            | Event::Goaway { .. } => 0,
        };
        let (now, it) = (self.now.time, &mut self.clients[client]);
        let (formers, unannounced) = (&it.formers.clone(), it.is_sse() || it.unnumbered);
        let facts = Facts { log: &self.log, me: it.id, formers, trimmed, now, unannounced };
        match event {
            Event::Connected(connected) => it.begin(connected, by_call, facts),
            // A session that ends before it is connected still answers what it was asked.
            Event::Subscribed { .. } if !it.connected && !it.is_sse() => {}
            Event::Subscribed { reference, subscribed } => {
                let asked = reference.and_then(|number| it.asked.remove(&number));
                it.streams.begin(subscribed, asked.as_ref(), by_call, facts);
            }
            Event::Unsubscribed { channel, .. } => it.streams.end(channel, by_call),
            Event::Message(record) if record.offset.is_none() => it.signals.push(record.clone()),
            Event::Message(record) => it.streams.message(record, facts),
            Event::Ok { reference: Some(number), outcome: Outcome::Done } => it.done.push(*number),
            Event::Ok { reference: Some(number), outcome: Outcome::Published(published) } => {
                it.results.push((*number, Ok(published.clone())));
            }
            Event::Ok { outcome: Outcome::History(page), .. } => it.next.clone_from(&page.next),
            Event::Error { reference: Some(number), rejection } => {
                it.results.push((*number, Err((**rejection).clone())))
            }
            Event::Gap { channel, gap, position } => it.streams.gap(channel, gap, position, facts),
            Event::Heartbeat if it.answers && !it.is_sse() && it.stage == Stage::Open => {
                it.inputs.push_back(Input::Received { connection: it.key });
            }
            Event::Probe(offset) if it.answers && it.stage == Stage::Open => it.answer_probe(*offset),
            Event::Delivery(delivery) => it.take_delivery(delivery),
            Event::Ok { .. }
            | Event::Error { .. }
            | Event::Consumer(_)
            | Event::Ping
            | Event::Heartbeat
            | Event::Probe(_)
            | Event::Inbox { .. }
            | Event::Pong { .. }
            | Event::Goaway { .. } => {}
        }
        it.journal.push_back(line);
    }
}
