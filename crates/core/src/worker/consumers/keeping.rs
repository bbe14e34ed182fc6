//! What is kept of consumers beside the log, and their time.

use std::time::Duration;

use super::super::Worker;
use super::super::channel::ready;
use super::super::input::LogFailure;
use super::super::output::Output;
use super::super::publishing::log_failure;
use crate::consumers::{Applied, Consumers, Then};
use crate::id::SlotKey;
use crate::limits;
use crate::state::{Change, Row, StateOwner, StateTicket};
use crate::timer::{HORIZON, Timer};

/// How often a home looks for consumers that nobody uses: they may be found a little late.
const LOOK_FOR_UNUSED: Duration = Duration::from_secs(3_600);

const fn ticket(home: SlotKey) -> StateTicket {
    StateTicket { home, owner: StateOwner::Consumers, number: 0 }
}

impl Worker {
    /// Begins a write of what has changed, unless one is under way.
    pub(super) fn write_consumers(&mut self, key: SlotKey, consumers: &mut Consumers) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        let persisted = home.ring.is_persisted();
        if let Some(changes) = consumers.begin_write(&home.channel, persisted) {
            self.apply(key, changes);
        }
    }

    fn apply(&mut self, key: SlotKey, changes: Vec<Change>) {
        let Some(persisted) = self.home_mut(key).map(|home| home.ring.is_persisted()) else { return };
        self.peers.outputs.push_back(Output::ApplyState { ticket: ticket(key), persisted, changes });
    }

    /// The state has taken changes, or could not.
    pub(crate) fn consumers_applied(&mut self, key: SlotKey, result: Result<(), LogFailure>) {
        let again_at = self.now.time.after(limits::LOG_RETRY);
        self.with_consumers(key, |worker, consumers| match result {
            Ok(()) => match consumers.applied() {
                Applied::More(changes) => worker.apply(key, changes),
                Applied::All(then) => worker.follow(key, consumers, then),
            },
            Err(failure) => {
                for then in consumers.not_applied(again_at) {
                    let (Then::Answer(ask, _) | Then::Again(ask)) = then;
                    worker.answer_order(ask, Err(log_failure(failure)));
                }
            }
        });
        self.pump_consumers(key);
        self.arm_home(key);
    }

    /// Does what has waited for a write.
    pub(super) fn follow(&mut self, key: SlotKey, consumers: &mut Consumers, then: Vec<Then>) {
        for then in then {
            match then {
                Then::Answer(ask, result) => self.answer_order(ask, result),
                Then::Again(ask) => self.obey(key, consumers, ask),
            }
        }
    }

    /// Asks for the next rows of the state.
    pub(super) fn scan_consumers(&mut self, key: SlotKey) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        let Some(scan) = home.consumers.as_ref().and_then(|it| it.next_scan(&home.channel)) else { return };
        let persisted = home.ring.is_persisted();
        self.peers.outputs.push_back(Output::ScanState { ticket: ticket(key), persisted, scan });
    }

    /// Rows of the state have come, or could not be read.
    pub(crate) fn consumers_scanned(&mut self, key: SlotKey, result: Result<(Vec<Row>, bool), LogFailure>) {
        let now = self.now;
        let Some(home) = ready(&mut self.homes, key) else { return };
        let Some(consumers) = &mut home.consumers else { return };
        let asks = match result {
            Ok((rows, more)) => {
                let Some(asks) = consumers.take_rows(&home.channel, &rows, more, now) else {
                    return self.scan_consumers(key);
                };
                consumers.fit(&home.channel, &home.ring, now);
                self.figures.consumers += consumers.list.len() as u64;
                asks
            }
            Err(failure) => {
                let parked = consumers.loading.take().map(|loading| loading.parked);
                home.consumers = None;
                for ask in parked.into_iter().flatten() {
                    self.answer_order(Box::new(ask), Err(log_failure(failure)));
                }
                return self.arm_home(key);
            }
        };
        for ask in asks {
            self.with_consumers(key, |worker, consumers| worker.obey(key, consumers, Box::new(ask)));
        }
        self.pump_consumers(key);
        self.arm_home(key);
    }

    pub(super) fn arm_consumers(&mut self, key: SlotKey, consumers: &mut Consumers) {
        let now = self.now.time;
        if consumers.list.is_empty() && consumers.retry_at.is_none() {
            return;
        }
        let next = consumers.next_deadline().unwrap_or_else(|| now.after(LOOK_FOR_UNUSED));
        let at = next.clamp(now, now.after(HORIZON));
        if consumers.armed.is_none_or(|armed| armed > at) {
            consumers.armed = Some(self.wheel.arm(Timer::Consumers(key), at, now));
        }
    }

    /// The time of some delivery may be over.
    pub(crate) fn handle_consumers_deadline(&mut self, key: SlotKey) {
        let now = self.now;
        let mut is_due = false;
        self.with_consumers(key, |worker, consumers| {
            if consumers.loading.is_some() || consumers.armed.is_some_and(|armed| armed > now.time) {
                return;
            }
            is_due = true;
            consumers.armed = None;
            let retries = consumers.retry_at.take_if(|at| *at <= now.time).is_some();
            for consumer in consumers.list.values_mut() {
                consumer.reading &= !retries;
                consumer.handle_time(now, &mut || worker.next_random());
            }
            if let Some(home) = ready(&mut worker.homes, key) {
                let forgotten = consumers.forget_unused(&home.channel, now);
                worker.figures.consumers -= forgotten as u64;
            }
            if retries && let Some(changes) = consumers.write_again() {
                worker.apply(key, changes);
            }
        });
        if is_due {
            self.pump_consumers(key);
            self.arm_home(key);
        }
    }

    /// A block of the log has come for a consumer, or could not be read.
    pub(crate) fn consumer_read(&mut self, key: SlotKey, name: &crate::id::ConsumerName, failed: bool) {
        let again_at = self.now.time.after(limits::LOG_RETRY);
        let Some(consumers) = self.home_mut(key).and_then(|home| home.consumers.as_deref_mut()) else { return };
        if failed {
            // It asks again when the pause is over.
            consumers.retry_at = Some(consumers.retry_at.map_or(again_at, |earlier| earlier.min(again_at)));
        } else if let Some(consumer) = consumers.list.get_mut(name) {
            consumer.reading = false;
        }
        self.pump_consumers(key);
    }

    /// The home of a channel is forgotten, and its consumers are read again by the next one.
    pub(crate) fn forget_consumers(&mut self, consumers: Option<Box<Consumers>>) {
        let Some(consumers) = consumers else { return };
        self.figures.consumers -= consumers.list.len() as u64;
        self.consumers_bytes -= consumers.bytes;
    }
}
