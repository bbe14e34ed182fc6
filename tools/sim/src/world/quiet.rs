//! The end of a run: nothing goes wrong any more, everybody reads on, and then everybody has everything.

use realtime_connector_core::history::{Direction, Query, Span};
use realtime_connector_core::id::ChannelKey;
use realtime_connector_core::position::{Epoch, Offset};
use realtime_connector_core::worker::Call;

use super::person::{Kind, Pending};
use super::{Event, World, journal_name};
use crate::checker::{Heard, Journal, Position};
use crate::model::label;
use crate::node::{Caller, Front};

/// Time for everything to come to rest: longer than heartbeats, deadlines of answers, and the longest life of a message.
pub(super) const QUIET_US: u64 = 90_000_000;

/// The longest pause before a message comes again, and some more.
const REDELIVERY_US: u64 = 180_000_000;
/// The longest time until an answer comes, or nobody waits for it.
const REST_US: u64 = 12_000_000;

/// Time for one page of the past.
const PAGE_US: u64 = 2_000_000;

impl World {
    /// Faults end, and what they have left behind is mended.
    pub(super) fn calm_down(&mut self) {
        self.is_active = false;
        self.say(|| "nothing goes wrong any more".to_owned());
        for node in 0..self.nodes.len() {
            self.mend(node);
        }
        for who in 0..self.people.len() {
            self.people[who].slow_until_us = self.now_us;
            match self.people[who].link {
                Some(link) => self.plan_event(self.now_us, Event::Read { link }),
                None if self.people[who].kind != Kind::Api => self.connect_later(who),
                None => {}
            }
        }
    }

    /// What came last comes again until it is done: the longest pause is over before everybody rests.
    pub(super) fn finish_all_work(&mut self) {
        if !self.look_at_work() {
            self.run_until(self.now_us + REDELIVERY_US);
            self.look_at_work();
        }
        self.is_resting = true;
        self.run_until(self.now_us + REST_US);
        self.look_at_work();
    }

    /// Reads the past of every stored channel: what lasts is there, once and in order.
    pub(super) fn walk_pasts(&mut self) {
        for node in 0..self.nodes.len() {
            let disk = self.nodes[node].disk.clone();
            let stored: Vec<(ChannelKey, Epoch)> = disk
                .borrow()
                .model
                .borrow()
                .stored()
                .map(|(channel, epoch)| (channel.clone(), epoch.clone()))
                .collect();
            for (channel, epoch) in stored {
                let found = self.walk(node, &channel, &epoch);
                if !self.violations.is_empty() {
                    return;
                }
                let lasting = disk.borrow().model.borrow().lasting(&channel, &disk.borrow());
                let missing: Vec<_> = lasting.iter().filter(|offset| !found.contains(offset)).collect();
                // What retention has taken may be in memory for a while.
                let extra: Vec<_> = found.iter().filter(|it| !self.plan.tight_store && !lasting.contains(it)).collect();
                if !missing.is_empty() || !extra.is_empty() {
                    let name = journal_name(node, &channel);
                    let trimmed = disk.borrow().trimmed(&channel);
                    self.violations.push(format!(
                        "I1 the past of {name} above {trimmed}: {missing:?} are missing, {extra:?} are extra"
                    ));
                }
            }
        }
    }

    /// All pages of a channel's past, as somebody's journal. Returns the offsets.
    fn walk(&mut self, node: usize, channel: &ChannelKey, epoch: &Epoch) -> Vec<Offset> {
        let mut span = Span::All(Direction::Forward);
        let mut offsets: Vec<Offset> = Vec::new();
        let place = |offset| Position { epoch: epoch.as_str().to_owned(), offset };
        let mut heard = Vec::new();
        loop {
            let query = Query { span, limit: self.rng.within(1, 100) as u32 };
            let Some(page) = self.ask_page(node, channel, query) else { break };
            for record in &page.records {
                let Some(offset) = record.offset else { continue };
                let last = offsets.last().copied();
                if last.is_none() {
                    let (since, position) = (None, place(offset - 1));
                    heard.push(Heard::Came { since, position, head: offset - 1, recovered: None });
                }
                // Whoever reads the past is not told what expired.
                if let Some(last) = last.filter(|last| last + 1 < offset) {
                    let range = Some((last + 1, offset - 1));
                    heard.push(Heard::Gap { range, lost: false, position: place(offset - 1) });
                }
                heard.push(Heard::Message { offset, label: label(&record.data) });
                offsets.push(offset);
            }
            match page.next {
                Some(rest) => span = Span::Rest(rest),
                None => break,
            }
        }
        let channel = journal_name(node, channel);
        self.journals.heard.push(Journal { listener: "the past".to_owned(), channel, heard, is_complete: false });
        offsets
    }

    fn ask_page(
        &mut self,
        node: usize,
        channel: &ChannelKey,
        query: Query,
    ) -> Option<realtime_connector_core::history::HistoryPage> {
        let reference = self.people[0].reference();
        let caller = Caller { person: 0, reference };
        let (worker, ticket) = self.with(node, |process, _| (process.home(channel), process.ticket(caller)))?;
        self.people[0].pending.insert(reference, (None, Pending::Walk));
        let call = Call::History { channel: channel.clone(), query };
        self.request(node, worker, Front::Call(ticket, call), caller);
        self.run_until(self.now_us + PAGE_US);
        let page = self.walked.take();
        if page.is_none() {
            self.violations.push(format!("I12 node {node}: no answer about the past of {channel:?}"));
        }
        page
    }

    /// Looks at everything.
    pub(super) fn finish(&mut self) {
        self.check_people();
        for node in 0..self.nodes.len() {
            let disk = self.nodes[node].disk.borrow();
            self.violations.extend(disk.model.borrow().lost(&disk));
            drop(disk);
            match &self.nodes[node].process {
                Some(process) => {
                    let left = process.left_over();
                    self.violations.extend(left.into_iter().map(|text| format!("I12 node {node}: {text}")));
                    self.journals.gauges.merge(&process.gauges);
                    self.journals.accounts.extend(process.accounts(node));
                }
                None => self.violations.push(format!("I12 node {node} is not there")),
            }
        }
        for person in &self.people {
            for journal in person.views.values().filter_map(|view| view.journal) {
                self.journals.heard[journal].is_complete = true;
            }
        }
    }

    /// I12: everybody is connected, and nobody waits for an answer.
    fn check_people(&mut self) {
        for (who, person) in self.people.iter().enumerate() {
            if person.kind != Kind::Api && !person.is_connected {
                self.violations.push(format!("I12 p{who} is not connected"));
            }
            for (_, pending) in person.pending.values() {
                self.violations.push(format!("I12 p{who} waits for {pending:?}"));
            }
            for (channel, _) in person.views.iter().filter(|(_, view)| view.journal.is_none()) {
                self.violations.push(format!("I12 p{who} does not know where {channel:?} begins"));
            }
            if person.again.is_some() {
                self.violations.push(format!("I12 p{who} cannot publish {:?}", person.again));
            }
        }
    }
}
