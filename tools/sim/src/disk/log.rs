//! A worker's handles to the store on a disk.

use std::cell::RefCell;
use std::rc::Rc;

use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::Offset;
use realtime_connector_core::state::{Change, Scan};
use realtime_connector_store::{Append, Completion, Locate, Log, Read, State, StateCompletion};

use super::{Disk, Look, Write};

/// The log of one worker in one life of its process.
#[derive(Debug)]
pub(crate) struct DiskLog {
    disk: Rc<RefCell<Disk>>,
    port: usize,
}

impl DiskLog {
    pub(crate) fn new(disk: Rc<RefCell<Disk>>, port: usize) -> Self {
        Self { disk, port }
    }

    pub(crate) fn has_answers(&self) -> bool {
        self.disk.borrow().has_answers(self.port)
    }

    fn look(&self, look: Look) {
        let mut disk = self.disk.borrow_mut();
        let at = disk.now_us + disk.delay();
        disk.looks.push((at, self.port, look));
    }
}

impl Log for DiskLog {
    fn open(&mut self, home: SlotKey, channel: &ChannelKey, keep: Retention) {
        let mut disk = self.disk.borrow_mut();
        disk.opened.insert(channel.clone(), keep);
        disk.write(self.port, Write::Open { home, channel: channel.clone(), keep });
    }

    fn append(&mut self, home: SlotKey, ticket: u64, append: Append) {
        self.disk.borrow_mut().write(self.port, Write::Append { asker: (home, ticket), append });
    }

    fn read(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, read: Read) {
        self.look(Look::Read((home, ticket), channel.clone(), read));
    }

    fn locate(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, locate: Locate) {
        self.look(Look::Locate((home, ticket), channel.clone(), locate));
    }

    fn purge(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, through: Offset) {
        let channel = channel.clone();
        self.disk.borrow_mut().write(self.port, Write::Purge { asker: (home, ticket), channel, through });
    }

    fn forget(&mut self, channel: &ChannelKey) {
        self.disk.borrow_mut().opened.remove(channel);
    }

    fn poll(&mut self) -> Option<Completion> {
        self.disk.borrow_mut().done.get_mut(self.port)?.pop_front()
    }
}

/// The state beside the log, of the same worker.
#[derive(Debug)]
pub(crate) struct DiskState {
    disk: Rc<RefCell<Disk>>,
    port: usize,
}

impl DiskState {
    pub(crate) fn new(disk: Rc<RefCell<Disk>>, port: usize) -> Self {
        Self { disk, port }
    }
}

impl State for DiskState {
    fn apply(&mut self, ticket: u64, changes: Vec<Change>) {
        self.disk.borrow_mut().write(self.port, Write::State { ticket, changes });
    }

    fn scan(&mut self, ticket: u64, scan: Scan) {
        let mut disk = self.disk.borrow_mut();
        let at = disk.now_us + disk.delay();
        disk.looks.push((at, self.port, Look::Scan(ticket, scan)));
    }

    fn poll(&mut self) -> Option<StateCompletion> {
        self.disk.borrow_mut().told.get_mut(self.port)?.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use realtime_connector_core::command::{Publish, Target};
    use realtime_connector_core::id::{AppId, EventType};
    use realtime_connector_core::position::Epoch;
    use realtime_connector_core::publish::{Origin, Publisher};
    use realtime_connector_core::time::Now;
    use realtime_connector_core::worker::publishing::{draft, fresh_id};
    use realtime_connector_store::Wake;
    use realtime_connector_store::conformance::{self, Backend, Capabilities};

    use super::super::{Crash, Manners};
    use super::*;
    use crate::rng::Rng;

    /// The disk under the suite. Its clock stands still while it works: the suite moves it.
    struct Machine(Rc<RefCell<Disk>>);

    impl Machine {
        fn new() -> Self {
            let epoch = Epoch::parse("e").unwrap();
            let mut disk = Disk::new(epoch, Rng::new(7), Rc::default());
            disk.manners = Manners { delay_us_max: 5_000, ..Manners::default() };
            disk.start(0, Now::default(), 1);
            Self(Rc::new(RefCell::new(disk)))
        }
    }

    /// Waits for the disk where the suite would.
    struct Patient(DiskLog);

    /// The same for the state.
    struct PatientState(DiskState);

    /// Lets time pass until the disk has nothing to do.
    fn wait(disk: &Rc<RefCell<Disk>>) {
        let mut disk = disk.borrow_mut();
        while let Some(at) = disk.next_us() {
            disk.now_us = disk.now_us.max(at);
            disk.advance();
        }
    }

    impl Log for Patient {
        fn open(&mut self, home: SlotKey, channel: &ChannelKey, keep: Retention) {
            self.0.open(home, channel, keep);
        }

        fn append(&mut self, home: SlotKey, ticket: u64, append: Append) {
            self.0.append(home, ticket, append);
        }

        fn read(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, read: Read) {
            self.0.read(home, ticket, channel, read);
        }

        fn locate(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, locate: Locate) {
            self.0.locate(home, ticket, channel, locate);
        }

        fn purge(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, through: Offset) {
            self.0.purge(home, ticket, channel, through);
        }

        fn forget(&mut self, channel: &ChannelKey) {
            self.0.forget(channel);
        }

        fn poll(&mut self) -> Option<Completion> {
            wait(&self.0.disk);
            self.0.poll()
        }
    }

    impl State for PatientState {
        fn apply(&mut self, ticket: u64, changes: Vec<Change>) {
            self.0.apply(ticket, changes);
        }

        fn scan(&mut self, ticket: u64, scan: Scan) {
            self.0.scan(ticket, scan);
        }

        fn poll(&mut self) -> Option<StateCompletion> {
            wait(&self.0.disk);
            self.0.poll()
        }
    }

    impl Backend for Machine {
        type Log = Patient;
        type State = PatientState;

        fn log(&mut self, _: Wake) -> Patient {
            Patient(DiskLog::new(self.0.clone(), 0))
        }

        fn state(&mut self, _: Wake) -> PatientState {
            PatientState(DiskState::new(self.0.clone(), 0))
        }

        fn set_clock(&mut self, now: Now) {
            let mut disk = self.0.borrow_mut();
            let now_us = disk.now_us;
            if disk.began == (0, 0) {
                disk.start(now_us, now, 1);
            }
            disk.set_clock(now_us, now);
        }

        fn reopen(&mut self) {
            let mut disk = self.0.borrow_mut();
            disk.crash(Crash::Process);
            let (now_us, now) = (disk.now_us, disk.now);
            disk.start(now_us, now, 1);
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities { keeps: true, lasts: true }
        }
    }

    #[test]
    fn the_disk_is_a_log() {
        conformance::log(Machine::new);
    }

    #[test]
    fn the_disk_is_a_state() {
        conformance::state(Machine::new);
    }

    /// When a crash comes, seen from one append.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Moment {
        Waiting,
        Written,
        Answered,
    }

    /// Whether a record is there after a crash.
    fn survives(seed: u64, moment: Moment, crash: Crash) -> bool {
        let mut disk = Disk::new(Epoch::parse("e").unwrap(), Rng::new(seed), Rc::default());
        disk.manners = Manners { delay_us_max: 5_000, ..Manners::default() };
        disk.start(1, Now::default(), 1);
        let disk = &Rc::new(RefCell::new(disk));
        let channel = ChannelKey::everyone(AppId(0));
        let home = SlotKey { slot: 0, generation: 1 };
        let mut log = DiskLog::new(disk.clone(), 0);
        log.append(home, 7, append(&channel));
        let (written_us, synced_us) = disk.borrow().group.as_ref().map(|it| (it.written_us, it.synced_us)).unwrap();
        let now_us = match moment {
            Moment::Waiting => written_us - 1,
            Moment::Written => synced_us - 1,
            Moment::Answered => synced_us,
        };
        disk.borrow_mut().set_clock(now_us, Now::default());
        disk.borrow_mut().advance();
        let is_answered = matches!(log.poll(), Some(Completion::Committed { .. }));
        assert_eq!(is_answered, moment == Moment::Answered, "{moment:?}");
        disk.borrow_mut().crash(crash);
        disk.borrow_mut().start(now_us, Now::default(), 1);
        disk.borrow().image.holds(&channel, 1)
    }

    fn append(channel: &ChannelKey) -> Append {
        let publish = Publish {
            target: Target::Everyone,
            event_type: EventType::parse("t").unwrap(),
            data: "1".into(),
            id: None,
            key: None,
            meta: None,
            ephemeral: false,
            exclude: Vec::new(),
            ack: None,
            ttl: None,
        };
        let publisher = Publisher::Server("key".into());
        let draft = draft(channel.app, publish, None, publisher, fresh_id(Now::default(), 1), Origin::Nobody);
        Append { record: Box::new(draft.record), idempotent: None, replaces: false }
    }

    #[test]
    fn a_killed_process_keeps_what_was_written_and_a_dead_machine_what_was_synced() {
        use Crash::{Power, Process};
        use Moment::{Answered, Waiting, Written};
        let count = |moment, crash| (1..=100).filter(|seed| survives(*seed, moment, crash)).count();
        assert_eq!((count(Waiting, Process), count(Waiting, Power)), (0, 0));
        assert_eq!((count(Answered, Process), count(Answered, Power)), (100, 100));
        assert_eq!(count(Written, Process), 100);
        // The system may have got round to it by itself.
        assert!((1..100).contains(&count(Written, Power)));
    }
}
