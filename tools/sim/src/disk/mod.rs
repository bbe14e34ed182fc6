//! A disk with a store on it: one writer that works in groups, readers that overtake it, and what a crash leaves of both.
//!
//! - A request waits; a group of them is *written*, so that the system has it, and a moment later *synced*, so that it lasts. Only then
//!   is it answered and can it be read.
//! - The end of the process alone loses what waits and keeps what was written. The end of the machine keeps what was synced, and a
//!   group that was written may be there or not; it is never there in part.
//! - A group whose sync fails is answered with `Unavailable`, and so is every write after it until a restart; what is there then is
//!   open.
//! - Everything takes the time that the dice say.

mod image;
mod log;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::{Epoch, Offset};
use realtime_connector_core::state::{Change, Scan};
use realtime_connector_core::time::Now;
use realtime_connector_store::{Append, Completion, Locate, LogError, Read, StateCompletion};

use crate::model::Model;
use crate::rng::Rng;
use image::{Image, StoreTime};
pub(crate) use log::{DiskLog, DiskState};

/// Requests in one group.
const GROUP_MAX: u64 = 64;
/// Requests that wait for the writer, beyond which they are refused.
const QUEUE_MAX: usize = 256;

/// Who asks, and the ticket.
type Asker = (SlotKey, u64);

/// Asks the writer.
#[derive(Debug)]
enum Write {
    Open { home: SlotKey, channel: ChannelKey, keep: Retention },
    Append { asker: Asker, append: Append },
    Purge { asker: Asker, channel: ChannelKey, through: Offset },
    State { ticket: u64, changes: Vec<Change> },
}

/// Asks a reader.
#[derive(Debug)]
enum Look {
    Read(Asker, ChannelKey, Read),
    Locate(Asker, ChannelKey, Locate),
    Scan(u64, Scan),
}

/// An answer of the log, or of the state beside it.
#[derive(Debug)]
enum Answer {
    Log(Completion),
    State(StateCompletion),
}

/// How the store behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    /// Longest time of a write, of a sync, and of a read.
    pub(crate) delay_us_max: u64,
    /// Requests of a hundred that are refused.
    pub(crate) refuse_percent: u64,
    /// Groups of a thousand whose sync fails.
    pub(crate) break_permille: u64,
    /// No space is left.
    pub(crate) full: bool,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Killed: the system goes on.
    Process,
    /// The machine lost power.
    Power,
}

/// What is being written.
#[derive(Debug)]
struct Group {
    writes: Vec<(usize, Write)>,
    written_us: u64,
    synced_us: u64,
}

/// The disk of one machine, and the store that runs on it.
#[derive(Debug)]
pub(crate) struct Disk {
    /// What lasts.
    image: Image,
    rng: Rng,
    pub(crate) manners: Manners,
    pub(crate) model: Rc<RefCell<Model>>,
    waiting: VecDeque<(usize, Write)>,
    group: Option<Group>,
    looks: Vec<(u64, usize, Look)>,
    /// By worker.
    done: Vec<VecDeque<Completion>>,
    told: Vec<VecDeque<StateCompletion>>,
    /// How much of the channels in use is kept.
    opened: BTreeMap<ChannelKey, Retention>,
    /// A sync has failed.
    broken: bool,
    /// What that sync was for: nobody can read it, and the next life may find it.
    doubtful: Option<Group>,
    now_us: u64,
    now: Now,
    /// Monotonic and store time when this life began.
    began: (u64, u64),
}

impl Disk {
    pub(crate) fn new(epoch: Epoch, rng: Rng, model: Rc<RefCell<Model>>) -> Self {
        Self {
            image: Image::new(epoch),
            rng,
            manners: Manners::default(),
            model,
            waiting: VecDeque::new(),
            group: None,
            looks: Vec::new(),
            done: Vec::new(),
            told: Vec::new(),
            opened: BTreeMap::new(),
            broken: false,
            doubtful: None,
            now_us: 0,
            now: Now::default(),
            began: (0, 0),
        }
    }

    /// A process opens the store for so many workers.
    pub(crate) fn start(&mut self, now_us: u64, now: Now, workers: usize) {
        self.set_clock(now_us, now);
        self.began = (now.time.as_ms(), self.image.resume_ms(now.wall));
        self.done = (0..workers).map(|_| VecDeque::new()).collect();
        self.told = (0..workers).map(|_| VecDeque::new()).collect();
        self.broken = false;
    }

    pub(crate) fn set_clock(&mut self, now_us: u64, now: Now) {
        (self.now_us, self.now) = (now_us, now);
    }

    fn store_time(&self) -> StoreTime {
        let (time, store) = self.began;
        StoreTime { now: self.now, ms: store + self.now.time.as_ms().saturating_sub(time) }
    }

    /// The process is gone.
    pub(crate) fn crash(&mut self, crash: Crash) {
        self.waiting.clear();
        self.looks.clear();
        self.opened.clear();
        self.done.clear();
        self.told.clear();
        if let Some(group) = self.doubtful.take()
            && self.rng.percent(50)
        {
            self.apply(group);
        }
        if let Some(group) = self.group.take() {
            let is_written = group.written_us <= self.now_us;
            let stays = match crash {
                Crash::Process => is_written,
                Crash::Power => is_written && self.rng.percent(30),
            };
            if stays {
                self.apply(group);
            }
        }
    }

    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// When the next thing is done.
    pub(crate) fn next_us(&self) -> Option<u64> {
        let group = self.group.as_ref().map(|group| group.synced_us);
        self.looks.iter().map(|look| look.0).chain(group).min()
    }

    /// Does what is due. Returns the workers that have answers.
    pub(crate) fn advance(&mut self) -> Vec<usize> {
        let mut ported = Vec::new();
        let due = |at: u64, now: u64| at <= now;
        while let Some(index) = self.looks.iter().position(|look| due(look.0, self.now_us)) {
            let (_, port, look) = self.looks.swap_remove(index);
            let answer = self.look(look);
            self.answer(port, answer);
            ported.push(port);
        }
        if self.group.as_ref().is_some_and(|group| due(group.synced_us, self.now_us))
            && let Some(group) = self.group.take()
        {
            ported.extend(group.writes.iter().map(|(port, _)| *port));
            if self.rng.below(1_000) < self.manners.break_permille {
                self.break_down(group);
            } else {
                for (port, answer) in self.apply(group) {
                    self.answer(port, answer);
                }
            }
            self.begin_group();
        }
        ported
    }

    fn answer(&mut self, port: usize, answer: Answer) {
        match answer {
            Answer::Log(completion) => self.done[port].push_back(completion),
            Answer::State(completion) => self.told[port].push_back(completion),
        }
    }

    fn apply(&mut self, group: Group) -> Vec<(usize, Answer)> {
        let at = self.store_time();
        self.image.begin(at);
        let mut answers = Vec::new();
        for (port, write) in group.writes {
            let answer = match write {
                Write::Open { home, channel, keep } => self.image.open(home, &channel, keep),
                Write::Append { asker, append } => {
                    let keep = self.opened.get(&append.record.channel).copied().unwrap_or_default();
                    self.image.append(at, asker, append, keep)
                }
                Write::Purge { asker, channel, through } => self.image.purge(asker, &channel, through),
                Write::State { ticket, changes } => {
                    self.image.change(changes);
                    answers.push((port, Answer::State(StateCompletion::Applied { ticket })));
                    continue;
                }
            };
            if let Completion::Committed { record, .. } = &answer {
                self.model.borrow_mut().commit(record, true);
            }
            answers.push((port, Answer::Log(answer)));
        }
        answers
    }

    /// A sync has failed: nobody knows what is on the disk, and nothing more is written.
    fn break_down(&mut self, group: Group) {
        self.broken = true;
        let error = LogError::Unavailable;
        let waiting = std::mem::take(&mut self.waiting);
        for (port, write) in group.writes.iter().chain(&waiting) {
            self.answer(*port, failed(write, error.clone()));
        }
        self.doubtful = Some(group);
    }

    fn look(&mut self, look: Look) -> Answer {
        let at = self.store_time();
        let is_refused = self.rng.percent(self.manners.refuse_percent);
        let completion = match look {
            Look::Scan(ticket, _) if is_refused => {
                return Answer::State(StateCompletion::Failed { ticket, error: LogError::Busy });
            }
            Look::Scan(ticket, scan) => return Answer::State(self.image.scan(ticket, &scan)),
            Look::Read((home, ticket), ..) | Look::Locate((home, ticket), ..) if is_refused => {
                Completion::Failed { home, ticket: Some(ticket), error: LogError::Busy }
            }
            Look::Read(asker, channel, read) => self.image.read(at, asker, &channel, read),
            Look::Locate(asker, channel, locate) => self.image.locate(at, asker, &channel, &locate),
        };
        Answer::Log(completion)
    }

    fn write(&mut self, port: usize, write: Write) {
        let is_open = matches!(write, Write::Open { .. });
        let refusal = if self.broken {
            Some(LogError::Unavailable)
        } else if self.waiting.len() >= QUEUE_MAX || self.rng.percent(self.manners.refuse_percent) {
            Some(if is_open && self.rng.percent(50) { LogError::Unavailable } else { LogError::Busy })
        } else if self.manners.full && !is_open {
            Some(LogError::Full)
        } else {
            None
        };
        if let Some(error) = refusal {
            return self.answer(port, failed(&write, error));
        }
        self.waiting.push_back((port, write));
        self.begin_group();
    }

    fn begin_group(&mut self) {
        if self.group.is_some() || self.waiting.is_empty() {
            return;
        }
        let count = self.waiting.len().min(1 + self.rng.below(GROUP_MAX) as usize);
        let written_us = self.now_us + self.delay();
        let synced_us = written_us + self.delay();
        self.group = Some(Group { writes: self.waiting.drain(..count).collect(), written_us, synced_us });
    }

    fn delay(&mut self) -> u64 {
        self.rng.below(self.manners.delay_us_max + 1)
    }

    /// Whether a worker has an answer to poll.
    pub(crate) fn has_answers(&self, port: usize) -> bool {
        !self.done[port].is_empty() || !self.told[port].is_empty()
    }

    /// The newest offset of a channel that cannot be read any more.
    pub(crate) fn trimmed(&self, channel: &ChannelKey) -> Offset {
        self.image.trimmed(channel)
    }

    /// Whether a record lasts, or has been removed since.
    pub(crate) fn holds(&self, channel: &ChannelKey, offset: Offset) -> bool {
        self.image.holds(channel, offset)
    }

    /// Whether a record is there and cannot be read.
    pub(crate) fn is_damaged(&self, channel: &ChannelKey, offset: Offset) -> bool {
        self.image.is_damaged(channel, offset)
    }

    /// Damages a record of a channel, if it has one.
    pub(crate) fn damage(&mut self, channel: &ChannelKey) -> bool {
        self.image.damage(channel)
    }
}

/// The answer to a write that did not work.
fn failed(write: &Write, error: LogError) -> Answer {
    let (home, ticket) = match write {
        Write::Open { home, .. } => (*home, None),
        Write::Append { asker: (home, ticket), .. } | Write::Purge { asker: (home, ticket), .. } => {
            (*home, Some(*ticket))
        }
        Write::State { ticket, .. } => return Answer::State(StateCompletion::Failed { ticket: *ticket, error }),
    };
    Answer::Log(Completion::Failed { home, ticket, error })
}
