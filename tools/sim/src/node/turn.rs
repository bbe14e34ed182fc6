//! A turn of a worker, in the order of the engine's: room, connections, the front, peers, the end of the turn, writing, timers.

use realtime_connector_core::command::{Command, Publish, Target};
use realtime_connector_core::event::Event;
use realtime_connector_core::id::{ConnectionKey, WorkerId};
use realtime_connector_core::limits;
use realtime_connector_core::rejection::Lost;
use realtime_connector_core::session::Reply as Path;
use realtime_connector_core::worker::{Call, Input, Lifecycle, NotAppended, Output};

use super::{Front, LinkId, Present, Process, Stage, Up};

impl Process {
    /// Runs a turn, and says when the next one is wanted.
    pub(crate) fn turn(&mut self, worker: usize, present: &mut Present<'_>) {
        self.threads[worker].wake_us = None;
        self.collect_room(worker, present);
        self.unblock_links(worker, present);
        self.read_links(worker, present);
        let rounds = 1 + present.rng.below(3);
        for _ in 0..rounds {
            if !self.take_messages(worker, present) {
                break;
            }
            self.settle(worker, present);
        }
        self.settle(worker, present);
        self.write_all(worker, present);
        self.threads[worker].core.handle_timeout(present.now);
        self.settle(worker, present);
        self.look_at_outboxes(worker);
        self.plan_next_turn(worker, present);
    }

    /// What channels have put there stays within its bound, whether or not anybody reads.
    fn look_at_outboxes(&mut self, worker: usize) {
        let options = &self.options;
        // What was there before, one page of a channel in memory, a few of stored ones, and for each channel a gap that takes no room.
        let pages = (1 + limits::STORED_PULLS) * options.bounds.page_records;
        let most = options.outbox_records as usize + pages + 1 + options.channels_per_connection as usize;
        let thread = &self.threads[worker];
        for key in thread.links.keys() {
            let of_channels = |event: &Event| matches!(event, Event::Message(_) | Event::Gap { .. });
            let moving = thread.core.outbox(*key).filter(|frame| of_channels(frame.event())).count();
            self.gauges.note("records and gaps in an outbox", moving as u64, most as u64);
        }
    }

    fn plan_next_turn(&mut self, worker: usize, present: &mut Present<'_>) {
        if self.is_busy(worker, present.now_us) {
            return self.ring(worker, present);
        }
        let next_read = self.threads[worker].links.values().filter_map(|link| Some(self.links[link].up.front()?.0));
        let next_read = next_read.filter(|at| *at > present.now_us).min();
        if let Some(at_us) = next_read {
            self.wake(worker, at_us);
        }
        if let Some(deadline) = self.threads[worker].core.next_deadline() {
            let ahead_us = deadline.since(present.now.time).as_micros() as u64;
            // Timers of workers come in any order: each is late by something of its own.
            let late_us = present.rng.below(2_000);
            self.wake(worker, (present.now_us + ahead_us).saturating_add(late_us));
        }
    }

    /// Whether anything can be done now. What waits for credits cannot: they come with a message, which rings.
    fn is_busy(&self, worker: usize, now_us: u64) -> bool {
        let (thread, count) = (&self.threads[worker], self.threads.len());
        let takes = thread.core.takes_commands();
        let readable = thread.links.values().any(|link| {
            let link = &self.links[link];
            !link.paused && link.up.front().is_some_and(|(at, _)| *at <= now_us)
        });
        let room = || (0..count).any(|peer| self.taken[worker * count + peer] != thread.room_seen[peer]);
        thread.core.is_walking()
            || thread.core.has_writable()
            || (takes && (readable || !thread.front.is_empty()))
            || thread.logs.has_answers()
            || !thread.unblocked.is_empty()
            || (0..count).any(|peer| !self.queues[peer * count + worker].is_empty())
            || (thread.core.wants_room() && room())
    }

    fn collect_room(&mut self, worker: usize, present: &mut Present<'_>) {
        let count = self.threads.len();
        for peer in 0..count {
            let taken = self.taken[worker * count + peer];
            let seen = std::mem::replace(&mut self.threads[worker].room_seen[peer], taken);
            if taken != seen {
                let entries = u32::try_from(taken.0 - seen.0).expect("bounded by the room there is");
                let peer = WorkerId(u8::try_from(peer).expect("few"));
                self.handle(worker, Input::Room { peer, entries, bytes: taken.1 - seen.1 }, present);
            }
        }
    }

    fn unblock_links(&mut self, worker: usize, present: &mut Present<'_>) {
        for link in std::mem::take(&mut self.threads[worker].unblocked) {
            let Some(it) = self.links.get_mut(&link) else { continue };
            if it.blocked && (it.space() > 0 || it.reset_us.is_some_and(|at| at <= present.now_us)) {
                it.blocked = false;
                self.flush(worker, link, present);
            }
        }
    }

    fn read_links(&mut self, worker: usize, present: &mut Present<'_>) {
        let links: Vec<LinkId> = self.threads[worker].links.values().copied().collect();
        if links.is_empty() {
            return;
        }
        let first = present.rng.below(links.len() as u64) as usize;
        for index in 0..links.len() {
            self.read_link(worker, links[(first + index) % links.len()], present);
        }
    }

    fn read_link(&mut self, worker: usize, id: LinkId, present: &mut Present<'_>) {
        for _ in 0..=present.rng.below(6) {
            let Some(link) = self.links.get_mut(&id) else { return };
            let (key, is_open) = (link.key, link.stage == Stage::Open);
            if link.up.front().is_none_or(|(at, _)| *at > present.now_us) {
                return;
            }
            let core = &mut self.threads[worker].core;
            if link.paused {
                if core.is_congested(key) || !core.takes_commands() {
                    return;
                }
                link.paused = false;
            }
            if matches!(link.up.front(), Some((_, Up::Frame(..))))
                && is_open
                && (!core.takes_commands() || core.is_congested(key))
            {
                link.paused = core.is_congested(key);
                return;
            }
            let Some((_, up)) = link.up.pop_front() else { return };
            match up {
                Up::Frame(..) | Up::Pong | Up::Probed(_) if !is_open => {}
                Up::Probed(offset) => {
                    core.handle(present.now, Input::Received { connection: key });
                    self.handle(worker, Input::Pong { connection: key, offset }, present);
                }
                Up::Pong => core.handle(present.now, Input::Received { connection: key }),
                Up::Frame(command, reference) => {
                    core.handle(present.now, Input::Received { connection: key });
                    let reply = Path::Stream(reference);
                    self.handle(worker, Input::Command { connection: key, command: *command, reply }, present);
                }
                Up::End(lost) => return self.lose(worker, id, lost, present),
            }
        }
    }

    /// Takes what the front and the peers sent, as far as the dice, credits and walks allow. Returns whether there was any.
    fn take_messages(&mut self, worker: usize, present: &mut Present<'_>) -> bool {
        if !self.walk(worker, present) {
            return false;
        }
        let mut progressed = false;
        let calls = 1 + present.rng.below(8);
        for _ in 0..calls {
            if !self.threads[worker].core.takes_commands() {
                break;
            }
            let Some(front) = self.threads[worker].front.pop_front() else { break };
            progressed = true;
            self.handle_front(worker, front, present);
        }
        let count = self.threads.len();
        let first = present.rng.below(count as u64) as usize;
        for index in 0..count {
            progressed |= self.take_from(worker, (first + index) % count, present);
        }
        progressed
    }

    fn take_from(&mut self, worker: usize, peer: usize, present: &mut Present<'_>) -> bool {
        let index = peer * self.threads.len() + worker;
        let from = WorkerId(u8::try_from(peer).expect("few"));
        let most = 1 + present.rng.below(16);
        let (mut count, mut entries, mut bytes) = (0, 0, 0);
        while count < most && !self.threads[worker].core.is_walking() {
            let Some(message) = self.queues[index].pop_front() else { break };
            count += 1;
            if message.takes_room() {
                entries += 1;
                bytes += u64::from(message.cost());
            }
            self.handle(worker, Input::Peer { from, message }, present);
            self.walk(worker, present);
        }
        if entries > 0 {
            let taken = &mut self.taken[index];
            *taken = (taken.0 + entries, taken.1 + bytes);
            self.ring(peer, present);
        }
        count > 0
    }

    /// Goes on with a walk. Returns whether none is left over.
    fn walk(&mut self, worker: usize, present: &mut Present<'_>) -> bool {
        for _ in 0..=present.rng.below(4) {
            if self.threads[worker].core.advance(self.options.bounds.walk_steps) {
                return true;
            }
        }
        !self.threads[worker].core.is_walking()
    }

    fn handle_front(&mut self, worker: usize, front: Front, present: &mut Present<'_>) {
        match front {
            Front::Adopt(id, mut opened) => {
                let Some(link) = self.links.get_mut(&id) else { return };
                let key = self.threads[worker].places.reserve();
                (link.key, link.stage, opened.connection) = (key, Stage::Open, key);
                self.threads[worker].links.insert(key, id);
                self.handle(worker, Input::Opened(opened), present);
                self.read_link(worker, id, present);
            }
            Front::Call(ticket, call) => {
                self.handle(worker, Input::Call { ticket, call }, present);
            }
            Front::Post(input) => {
                if let Input::Command { connection, .. } = &*input {
                    let received = Input::Received { connection: *connection };
                    self.threads[worker].core.handle(present.now, received);
                }
                self.handle(worker, *input, present);
            }
            Front::Identified(connection, identity) => {
                let identity = Ok(Box::new(identity));
                self.handle(worker, Input::Identified { connection, identity }, present);
            }
        }
    }

    /// Gives core an input and carries out what it wants.
    pub(super) fn handle(&mut self, worker: usize, input: Input, present: &mut Present<'_>) {
        self.note_input(worker, &input);
        self.threads[worker].core.handle(present.now, input);
        self.carry_out(worker, present);
    }

    /// Carries out core's outputs until there are none. The memory log answers in the same turn, the disk when it is done.
    pub(super) fn carry_out(&mut self, worker: usize, present: &mut Present<'_>) {
        loop {
            while let Some(output) = self.threads[worker].core.poll_output() {
                self.note_output(worker, &output);
                if let Some(output) = self.threads[worker].logs.carry(output) {
                    self.carry(worker, output, present);
                }
            }
            let Some(input) = self.threads[worker].logs.poll() else { return };
            self.note_input(worker, &input);
            self.threads[worker].core.handle(present.now, input);
        }
    }

    /// Ends what was begun: what core tells peers only once, and what was said to them, leaves.
    fn settle(&mut self, worker: usize, present: &mut Present<'_>) {
        self.threads[worker].core.finish_turn(present.now);
        self.carry_out(worker, present);
        self.send_outgoing(worker, present);
    }

    fn note_input(&mut self, worker: usize, input: &Input) {
        self.watch_input(input);
        match input {
            Input::NotAppended { outcome: NotAppended::Failed(_), .. } => self.threads[worker].seen.failed += 1,
            Input::Call { call: Call::Publish(draft), .. } => self.has_signals |= draft.ephemeral,
            Input::Command { command: Command::Publish(publish), .. } => self.has_signals |= is_signal(publish),
            Input::Opened(_)
            | Input::Received { .. }
            | Input::Pong { .. }
            | Input::Command { .. }
            | Input::Malformed { .. }
            | Input::Identified { .. }
            | Input::Closed { .. }
            | Input::Peer { .. }
            | Input::Room { .. }
            | Input::LogOpened { .. }
            | Input::LogNotOpened { .. }
            | Input::NotAppended { .. }
            | Input::LogRead { .. }
            | Input::Committed { .. }
            | Input::Located { .. }
            | Input::Purged { .. }
            | Input::StateApplied { .. }
            | Input::StateScanned { .. }
            | Input::Call { .. }
            | Input::Drain => {}
        }
    }

    fn note_output(&mut self, worker: usize, output: &Output) {
        self.watch_output(output);
        let seen = &mut self.threads[worker].seen;
        match output {
            Output::Append { .. } => seen.appended += 1,
            Output::ReadLog { .. } => seen.reads += 1,
            Output::Lifecycle(Lifecycle::Connected { .. }) => seen.opened += 1,
            Output::Peer { .. }
            | Output::OpenLog { .. }
            | Output::LocateInLog { .. }
            | Output::PurgeLog { .. }
            | Output::ApplyState { .. }
            | Output::ScanState { .. }
            | Output::ForgetLog { .. }
            | Output::Ask { .. }
            | Output::Close { .. }
            | Output::Abort { .. }
            | Output::Replied { .. }
            | Output::Answered { .. }
            | Output::Lifecycle(_) => {}
        }
    }

    /// The stream of a connection is gone, or core has let go of it.
    pub(super) fn lose(&mut self, worker: usize, id: LinkId, lost: Lost, present: &mut Present<'_>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let key = link.key;
        if std::mem::replace(&mut link.stage, Stage::Gone) == Stage::Gone {
            return;
        }
        link.up.clear();
        self.count_unwritten(worker, id);
        self.free(worker, key);
        self.handle(worker, Input::Closed { connection: key, lost }, present);
        self.tell_end(id, present);
    }

    pub(super) fn free(&mut self, worker: usize, key: ConnectionKey) {
        let thread = &mut self.threads[worker];
        thread.links.remove(&key);
        thread.places.free.push(key.slot);
    }
}

fn is_signal(publish: &Publish) -> bool {
    publish.ephemeral || matches!(publish.target, Target::UserInChannel { .. })
}
