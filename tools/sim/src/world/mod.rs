//! The world: a virtual clock, nodes, people, and what happens next.
//!
//! Everything is an event at a microsecond of virtual time; events of the same moment come in the order in which they were planned.
//! Nothing here knows a real clock or a thread, so that a seed says everything.

mod connecting;
mod consuming;
mod faults;
mod hearing;
mod operations;
mod person;
mod publishing;
mod quiet;
mod shown;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use realtime_connector_core::history::HistoryPage;
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, UserId};
use realtime_connector_core::position::Epoch;
use realtime_connector_core::time::{Now, Time, UnixMs};

use crate::checker::{Journals, Verdict};
use crate::disk::{Crash, Disk};
use crate::model::{Model, name};
use crate::node::{Caller, Front, LinkId, Notice, Present, Process, Reply};
use crate::plan::{CHANNELS, Plan};
use crate::rng::Rng;
use crate::trace::{Detail, Trace};
use person::{Kind, Person, View};

const WALL_MS: i64 = 1_700_000_000_000;
const USERS: [Option<&str>; 5] = [Some("ada"), Some("bo"), None, Some("ada"), Some("eve")];
/// Events after which a run is broken: many times what the longest one has.
const EVENTS_MAX: u64 = 2_000_000;

/// Something that happens at its time.
#[derive(Debug)]
enum Event {
    /// A worker has a turn.
    Turn { node: usize, life: u32, worker: usize },
    /// A disk has done something.
    Disk { node: usize },
    /// A client has something to read.
    Read { link: LinkId },
    /// A worker's machine hears that a client is gone.
    Reset { node: usize, life: u32, link: LinkId },
    /// Something reaches a worker from outside.
    Front { node: usize, life: u32, worker: usize, front: Front },
    /// An answer to a call.
    Reply { caller: Caller, reply: Box<Reply> },
    /// Nobody waits for this answer any longer.
    GiveUp { caller: Caller },
    /// A person does something.
    Act { who: usize },
    /// A person connects.
    Connect { who: usize },
    /// Something goes wrong.
    Fault,
    /// A node starts.
    Start { node: usize },
    /// A node that was to stop in order has had its time.
    Stopped { node: usize, life: u32 },
    /// A disk works again.
    Mend { node: usize },
}

/// A machine.
#[derive(Debug)]
struct Node {
    disk: Rc<RefCell<Disk>>,
    process: Option<Process>,
    life: u32,
    started_us: u64,
    /// How far its wall clock is off.
    skew_ms: i64,
    /// Its wall clock was set back by so much that pauses of consumers outlast the run, if the process was restarted meanwhile.
    was_set_back: bool,
    disk_wake_us: Option<u64>,
}

impl Node {
    fn now(&self, now_us: u64) -> Now {
        let wall = WALL_MS + (now_us / 1_000) as i64 + self.skew_ms;
        // As in the server, a process counts its time from its start.
        let time = Time::from_ms((now_us - self.started_us) / 1_000);
        Now { time, wall: UnixMs(wall.unsigned_abs()) }
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) digest: u64,
    pub(crate) bytes: u64,
    pub(crate) events: u64,
    pub(crate) crashes: u64,
    pub(crate) connections: u64,
    pub(crate) tail: Vec<String>,
}

/// One run.
#[derive(Debug)]
pub(crate) struct World {
    plan: Plan,
    rng: Rng,
    now_us: u64,
    queue: BTreeMap<(u64, u64), Event>,
    planned: u64,
    nodes: Vec<Node>,
    people: Vec<Person>,
    owners: BTreeMap<LinkId, usize>,
    next_link: LinkId,
    journals: Journals,
    violations: Vec<String>,
    trace: Trace,
    /// Things happen and go wrong; afterwards everybody only finishes what was begun.
    is_active: bool,
    /// Nobody begins anything any more.
    is_resting: bool,
    /// What operators have removed, by channel.
    purges: Vec<(String, crate::checker::Position)>,
    /// The page of the past that was read last.
    walked: Option<HistoryPage>,
    crashes: u64,
    events: u64,
}

impl World {
    pub(crate) fn new(seed: u64, detail: Detail) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::new(&mut rng);
        let mut world = Self {
            rng,
            now_us: 0,
            queue: BTreeMap::new(),
            planned: 0,
            nodes: Vec::new(),
            people: Vec::new(),
            owners: BTreeMap::new(),
            next_link: 0,
            journals: Journals::default(),
            violations: Vec::new(),
            trace: Trace::new(detail),
            is_active: true,
            is_resting: false,
            purges: Vec::new(),
            walked: None,
            crashes: 0,
            events: 0,
            plan,
        };
        world.build_nodes();
        world.build_people();
        world
    }

    fn build_nodes(&mut self) {
        for node in 0..self.plan.nodes {
            let epoch = format!("s{:x}", self.rng.number() & 0xff_ffff);
            let epoch = Epoch::parse(&epoch).expect("letters and digits");
            let mut disk = Disk::new(epoch, self.rng.split(), Rc::new(RefCell::new(Model::default())));
            disk.manners = self.plan.manners;
            let skew_ms = self.rng.below(120_000) as i64 - 60_000;
            let disk = Rc::new(RefCell::new(disk));
            self.nodes.push(Node {
                disk,
                process: None,
                life: 0,
                started_us: 0,
                skew_ms,
                was_set_back: false,
                disk_wake_us: None,
            });
            self.plan_event(0, Event::Start { node });
            self.note_kinds(node);
        }
        if let Some(max) = self.plan.fault_us_max {
            let at_us = self.rng.below(max);
            self.plan_event(at_us, Event::Fault);
        }
    }

    /// Tells the checker which channels are kept how.
    fn note_kinds(&mut self, node: usize) {
        let app = AppId::default();
        let users = USERS.iter().flatten().map(|user| ChannelKey::user(app, UserId::parse(user).expect("a name")));
        let named = CHANNELS.iter().map(|name| ChannelKey::named(app, channel(name)));
        for channel in [ChannelKey::everyone(app)].into_iter().chain(users).chain(named) {
            let is_stored = self.plan.options.retention(&channel).is_some();
            let name = journal_name(node, &channel);
            if !is_stored {
                self.journals.in_memory.insert(name.clone());
            }
            if if is_stored { self.plan.tight_store } else { self.plan.tight_memory } {
                self.journals.tight.insert(name);
            }
        }
    }

    fn build_people(&mut self) {
        for who in 0..self.plan.people {
            let node = who % self.plan.nodes;
            let kind = match self.rng.below(100) {
                _ if who == 0 => Kind::Api,
                0..45 => Kind::WebSocket,
                45..70 => Kind::EventSource,
                70..88 => Kind::Posted,
                _ => Kind::Api,
            };
            let user = self.rng.pick(&USERS).map(|user| UserId::parse(user).expect("a name"));
            let mut person = Person::new(format!("p{who}"), node, kind, user);
            person.by_token = kind == Kind::WebSocket && self.rng.percent(25);
            person.pipelines = kind == Kind::WebSocket && self.rng.percent(40);
            let wanted: Vec<ChannelName> =
                CHANNELS.iter().filter(|_| self.rng.percent(45)).map(|name| channel(name)).collect();
            match kind {
                Kind::EventSource => person.url = wanted,
                Kind::WebSocket | Kind::Posted => {
                    let own = person.user.clone().map(|user| ChannelKey::user(AppId::default(), user));
                    let all = [Some(ChannelKey::everyone(AppId::default())), own].into_iter().flatten();
                    let named = wanted.into_iter().map(|name| ChannelKey::named(AppId::default(), name));
                    person.views = all.chain(named).map(|channel| (channel, View::default())).collect();
                }
                Kind::Api => {}
            }
            self.people.push(person);
            if kind != Kind::Api {
                let at_us = self.rng.below(500_000);
                self.plan_event(at_us, Event::Connect { who });
            }
            let at_us = self.rng.below(self.plan.pause_us_max);
            self.plan_event(at_us, Event::Act { who });
        }
    }

    /// Runs to the end.
    pub(crate) fn run(&mut self) {
        let end_us = self.plan.active_us;
        self.run_until(end_us);
        if self.violations.is_empty() {
            self.calm_down();
            self.run_until(end_us + quiet::QUIET_US);
            self.finish_all_work();
            self.walk_pasts();
            self.finish();
        }
    }

    /// What came of it. Where it could not go on, `broken` says why.
    pub(crate) fn end(mut self, broken: Option<String>) -> Outcome {
        self.violations.extend(broken);
        let mut verdict = self.journals.check();
        verdict.violations.splice(0..0, std::mem::take(&mut self.violations));
        Outcome {
            digest: self.trace.digest(),
            bytes: self.trace.length(),
            events: self.events,
            crashes: self.crashes,
            connections: self.next_link,
            tail: self.trace.into_tail(),
            verdict,
        }
    }

    /// Stops where something is wrong: what comes after it only hides it.
    fn run_until(&mut self, end_us: u64) {
        while self.violations.is_empty()
            && let Some(((at_us, number), event)) = self.queue.pop_first()
        {
            if at_us > end_us {
                self.queue.insert((at_us, number), event);
                break;
            }
            self.now_us = at_us;
            self.events += 1;
            if self.events > EVENTS_MAX {
                self.violations.push("I12 the run does not come to rest".to_owned());
            }
            self.happen(at_us, event);
        }
        self.now_us = self.now_us.max(end_us);
    }

    fn plan_event(&mut self, at_us: u64, event: Event) {
        self.planned += 1;
        self.queue.insert((at_us.max(self.now_us), self.planned), event);
    }

    fn happen(&mut self, at_us: u64, event: Event) {
        match event {
            Event::Turn { node, life, worker } => {
                if self.nodes[node].life == life {
                    self.with(node, |process, present| {
                        if process.is_due(worker, at_us) {
                            process.turn(worker, present);
                        }
                    });
                }
            }
            Event::Disk { node } => self.run_disk(node),
            Event::Read { link } => self.read(link),
            Event::Reset { node, life, link } => {
                if self.nodes[node].life == life {
                    self.with(node, |process, present| process.unblock(link, present));
                }
            }
            Event::Front { node, life, worker, front } => {
                if self.nodes[node].life == life {
                    self.with(node, |process, present| process.receive(worker, front, present));
                }
            }
            Event::Reply { caller, reply } => self.hear_reply(caller, *reply),
            Event::GiveUp { caller } => self.give_up(caller),
            Event::Act { who } => self.act(who),
            Event::Connect { who } => self.connect(who),
            Event::Fault => self.fault(),
            Event::Start { node } => self.start(node),
            Event::Stopped { node, life } => {
                if self.nodes[node].life == life {
                    self.crash(node, Crash::Process);
                }
            }
            Event::Mend { node } => self.mend(node),
        }
    }

    /// Does something with the process of a node, if there is one, and plans what follows from it.
    fn with<R>(&mut self, node: usize, act: impl FnOnce(&mut Process, &mut Present<'_>) -> R) -> Option<R> {
        let now = self.nodes[node].now(self.now_us);
        let Node { process, disk, .. } = &mut self.nodes[node];
        let process = process.as_mut()?;
        disk.borrow_mut().set_clock(self.now_us, now);
        let mut present = Present { now_us: self.now_us, now, rng: &mut self.rng, trace: &mut self.trace };
        let result = act(process, &mut present);
        let notices = std::mem::take(&mut process.notices);
        let life = self.nodes[node].life;
        for notice in notices {
            match notice {
                Notice::Turn { worker, at_us } => self.plan_event(at_us, Event::Turn { node, life, worker }),
                Notice::Readable { link, at_us } => self.plan_event(at_us, Event::Read { link }),
                Notice::Replied { caller, reply } => {
                    let at_us = self.now_us + self.rng.below(2_000);
                    self.plan_event(at_us, Event::Reply { caller, reply: Box::new(reply) });
                }
                Notice::Consumer { channel, cursor, happened } => {
                    self.note_consumer(node, &channel, &cursor, happened);
                }
            }
        }
        self.plan_disk(node);
        Some(result)
    }

    fn plan_disk(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let next = it.disk.borrow().next_us();
        if let Some(at_us) = next
            && it.disk_wake_us.is_none_or(|wake| at_us < wake)
        {
            it.disk_wake_us = Some(at_us);
            self.plan_event(at_us, Event::Disk { node });
        }
    }

    fn run_disk(&mut self, node: usize) {
        let now = self.nodes[node].now(self.now_us);
        self.nodes[node].disk_wake_us = None;
        if self.nodes[node].process.is_none() {
            return;
        }
        let disk = self.nodes[node].disk.clone();
        disk.borrow_mut().set_clock(self.now_us, now);
        let workers = disk.borrow_mut().advance();
        for worker in workers {
            self.with(node, |process, present| process.answered(worker, present));
        }
        self.plan_disk(node);
    }

    fn say(&mut self, text: impl FnOnce() -> String) {
        self.trace.line(self.now_us, text);
    }
}

/// A channel's name in journals: nodes know nothing of each other.
fn journal_name(node: usize, channel: &ChannelKey) -> String {
    format!("{node}/{}", name(channel))
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("a name")
}
