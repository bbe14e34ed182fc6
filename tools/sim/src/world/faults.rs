//! What goes wrong: crashes, restarts, disks that are slow, full or broken, frozen workers, clocks that are set.

use super::{Event, World};
use crate::checker::Happened;
use crate::disk::{Crash, Manners};
use crate::plan::CHANNELS;
use realtime_connector_core::id::{AppId, ChannelKey};

/// How long a machine is away at most.
const DOWN_US_MAX: u64 = 3_000_000;
/// How long a disk is in trouble at most.
const TROUBLE_US_MAX: u64 = 4_000_000;
/// Time for a node to tell everybody: core gives connections 5 s.
const STOP_US: u64 = 6_000_000;
/// How long a worker is frozen at most. Longer than core's `STALL`.
const FREEZE_US_MAX: u64 = 3_000_000;

impl World {
    /// One fault, and the plan of the next one.
    pub(super) fn fault(&mut self) {
        let (true, Some(max)) = (self.is_active, self.plan.fault_us_max) else { return };
        let next_us = self.now_us + 1 + self.rng.below(2 * max);
        self.plan_event(next_us, Event::Fault);
        let node = self.rng.below(self.nodes.len() as u64) as usize;
        match self.rng.below(100) {
            0..30 => self.crash(node, Crash::Process),
            30..45 => self.crash(node, Crash::Power),
            45..50 => self.stop(node),
            50..60 => self.trouble(node, |manners| manners.full = true),
            60..70 => self.trouble(node, |manners| manners.delay_us_max = 400_000),
            70..78 => self.trouble(node, |manners| manners.refuse_percent = 50),
            78..90 => self.freeze(node),
            90..96 => self.set_wall_clock(node),
            _ if self.plan.damages => self.damage(node),
            _ => self.freeze(node),
        }
    }

    /// A process ends without a word. Its clients see their streams break, or nothing if the machine is gone.
    pub(super) fn crash(&mut self, node: usize, crash: Crash) {
        let Some(process) = self.nodes[node].process.take() else { return };
        self.say(|| format!("node {node} crashes: {crash:?}"));
        self.crashes += 1;
        self.trace.number(0xc0);
        self.journals.gauges.merge(&process.gauges);
        let now = self.nodes[node].now(self.now_us);
        let disk = self.nodes[node].disk.clone();
        disk.borrow_mut().set_clock(self.now_us, now);
        disk.borrow_mut().crash(crash);
        self.nodes[node].life += 1;
        self.note_consumers(node, None, &Happened::Crashed);
        for who in 0..self.people.len() {
            if self.people[who].node == node {
                self.lose_all(who, &process);
            }
        }
        let at_us = self.now_us + 1 + self.rng.below(DOWN_US_MAX);
        self.plan_event(at_us, Event::Start { node });
    }

    /// A node is stopped in order, and started again.
    fn stop(&mut self, node: usize) {
        if self.with(node, |process, present| process.drain(present)).is_some() {
            self.say(|| format!("node {node} goes down in order"));
            let at_us = self.now_us + STOP_US;
            let life = self.nodes[node].life;
            self.plan_event(at_us, Event::Stopped { node, life });
        }
    }

    /// Any worker of a node.
    pub(super) fn any_worker(&mut self, node: usize) -> usize {
        let workers = self.nodes[node].process.as_ref().map_or(1, crate::node::Process::workers);
        self.rng.below(workers as u64) as usize
    }

    /// A process begins over what its disk has.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        self.say(|| format!("node {node} starts"));
        self.nodes[node].started_us = self.now_us;
        let now = self.nodes[node].now(self.now_us);
        let (options, workers) = (self.plan.options.clone(), self.rng.within(1, self.plan.workers_max) as usize);
        let disk = self.nodes[node].disk.clone();
        let mut present = crate::node::Present { now_us: self.now_us, now, rng: &mut self.rng, trace: &mut self.trace };
        let process = crate::node::Process::start(options, workers, &disk, &mut present);
        self.journals.epochs.push(process.epoch.as_str().to_owned());
        self.nodes[node].process = Some(process);
        // What it wants is planned as after any other step.
        self.with(node, |_, _| ());
    }

    fn trouble(&mut self, node: usize, change: impl FnOnce(&mut Manners)) {
        let disk = self.nodes[node].disk.clone();
        change(&mut disk.borrow_mut().manners);
        let manners = disk.borrow().manners;
        self.say(|| format!("the disk of node {node} is in trouble: {manners:?}"));
        let at_us = self.now_us + self.rng.below(TROUBLE_US_MAX);
        self.plan_event(at_us, Event::Mend { node });
    }

    /// A disk works as it should, or as it usually does. A store that has stopped is restarted by its operator.
    pub(super) fn mend(&mut self, node: usize) {
        let usual =
            if self.is_active { self.plan.manners } else { Manners { delay_us_max: 500, ..Manners::default() } };
        self.say(|| format!("the disk of node {node} works"));
        self.nodes[node].disk.borrow_mut().manners = usual;
        self.restart_if_broken(node);
    }

    /// Somebody looks at a node from time to time.
    pub(super) fn restart_if_broken(&mut self, node: usize) {
        if self.nodes[node].disk.borrow().is_broken() {
            self.crash(node, Crash::Process);
        }
    }

    fn freeze(&mut self, node: usize) {
        let until_us = self.now_us + self.rng.below(FREEZE_US_MAX);
        let worker = self.any_worker(node);
        self.say(|| format!("worker {worker} of node {node} is frozen until {} ms", until_us / 1_000));
        self.with(node, |process, _| process.freeze(worker, until_us));
    }

    /// Back by any time, and forward by less than ids are remembered: a store cannot tell that from a long pause.
    fn set_wall_clock(&mut self, node: usize) {
        let jump_ms = *self.rng.pick(&[-3_600_000, -5_000, 5_000]);
        self.nodes[node].skew_ms += jump_ms;
        self.nodes[node].was_set_back |= jump_ms < -60_000;
        self.say(|| format!("the clock of node {node} is set by {jump_ms} ms"));
    }

    fn damage(&mut self, node: usize) {
        let name = *self.rng.pick(&CHANNELS);
        let channel = ChannelKey::named(AppId::default(), super::channel(name));
        let is_damaged = self.nodes[node].disk.borrow_mut().damage(&channel);
        self.say(|| format!("a record of {name} on node {node} is damaged: {is_damaged}"));
    }
}
