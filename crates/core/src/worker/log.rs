//! What a home asks of its log: where the channel stands, and what has fallen out of memory.
//!
//! Pages that lie in memory are answered at once. Older ones of a persisted channel are read in blocks; everybody who wants the same
//! block waits for one read.

use std::mem;

use super::Worker;
use super::call::Answer;
use super::channel::{Home, HomeState, Parked, ready};
use super::history::Reader;
use super::input::LogFailure;
use super::output::Output;
use super::peers::{Attach, Peer, Pull, Pulled, Refusal};
use super::publishing::log_failure;
use crate::history::{Found, Page, PageBounds, Ring, Wanted};
use crate::id::{Audience, ChannelKey, SlotKey};
use crate::inbox::Inbox;
use crate::position::{Epoch, GapReason, Offset};

impl Worker {
    pub(crate) fn open_home(&mut self, channel: &ChannelKey) -> SlotKey {
        let key = self.homes.insert_with(|_| HomeState::Opening {
            channel: channel.clone(),
            parked: Vec::new(),
            loading: None,
        });
        self.home_index.insert(channel.clone(), key);
        self.ask_to_open(key, channel.clone());
        key
    }

    fn ask_to_open(&mut self, home: SlotKey, channel: ChannelKey) {
        let retention = self.options.retention(&channel);
        self.peers.outputs.push_back(Output::OpenLog { home, channel, retention });
    }

    pub(crate) fn handle_log_opened(&mut self, key: SlotKey, epoch: Epoch, head: Offset, floor: Offset) {
        if !self.begin_loading(key, &epoch, head, floor) {
            self.open_ready(key, epoch, head, floor, None);
        }
    }

    /// Everything is known: the home opens, and what waited for it goes on.
    pub(crate) fn open_ready(
        &mut self,
        key: SlotKey,
        epoch: Epoch,
        head: Offset,
        floor: Offset,
        inbox: Option<Box<Inbox>>,
    ) {
        let Some(state @ HomeState::Opening { .. }) = self.homes.get_mut(key) else { return };
        let nothing =
            HomeState::Opening { channel: ChannelKey::everyone(Default::default()), parked: Vec::new(), loading: None };
        let HomeState::Opening { channel, parked, .. } = mem::replace(state, nothing) else {
            unreachable!("matched above")
        };
        let mut home = Box::new(self.new_home(key, channel, epoch, head, floor));
        home.inbox = inbox;
        // A user's connections at its home worker listen without having attached.
        if let Audience::User(_) = home.channel.audience
            && let Some(local) = self.local_index.get(&home.channel).copied()
            && self.locals.at(local.slot).home.is_none()
        {
            let count = self.locals.at(local.slot).listeners;
            home.interest(self.id, local).count = count;
            let entry = self.locals.at_mut(local.slot);
            entry.home = Some(key);
            entry.epoch = Some(home.ring.epoch().clone());
            entry.head = head;
            // Requests that wait here add to the count again; it is told once more when all is answered.
            self.mark_dirty(local.slot);
        }
        let channel = home.channel.clone();
        if let Some(state) = self.homes.get_mut(key) {
            *state = HomeState::Ready(home);
        }
        self.arm_home(key);
        self.settle_inbox(key);
        for request in parked {
            self.at_home(&channel, request);
        }
    }

    fn new_home(&self, key: SlotKey, channel: ChannelKey, epoch: Epoch, head: Offset, floor: Offset) -> Home {
        let rule = self.options.rule(&channel);
        let mut history = rule.map_or(self.options.history, |rule| rule.history);
        let inbox = self.options.inbox_of(&channel);
        let mut ring = match self.options.retention(&channel) {
            Some(_) => Ring::persisted(history, epoch, head, floor),
            None => {
                // What waits in memory has no other place.
                if let Some(inbox) = inbox {
                    history.records = history.records.max(inbox.messages);
                    history.bytes = history.bytes.max(inbox.bytes);
                }
                Ring::new(history, epoch, head)
            }
        };
        let latest_per_key = rule.is_some_and(|rule| rule.latest_per_key);
        if latest_per_key {
            ring.keep_latest_per_key();
        }
        let skipped = if latest_per_key { GapReason::Replaced } else { GapReason::Expired };
        let message_events = rule.is_some_and(|rule| rule.message_events);
        let queues = inbox.map(|inbox| inbox.age);
        Home { message_events, skipped, queues, ..Home::new(key, channel, ring, self.now.time) }
    }

    pub(crate) fn handle_log_not_opened(&mut self, key: SlotKey, failure: LogFailure) {
        let Some(HomeState::Opening { parked, .. }) = self.homes.get_mut(key) else { return };
        for request in mem::take(parked) {
            match request {
                Parked::Publish(draft) => self.settle(draft.origin, Err(log_failure(failure))),
                Parked::History(ask) => self.answer_history(ask.origin, Err(log_failure(failure))),
                Parked::Purge { ticket, .. } => self.answer_call(ticket, Answer::Purged(Err(log_failure(failure)))),
                Parked::Consumers(ask) => self.answer_order(ask, Err(log_failure(failure))),
                Parked::Attach(attach) => self.refuse_attach(*attach, Refusal::Log(failure)),
                Parked::Inbox(ask) => self.refuse_inbox(*ask, log_failure(failure)),
            }
        }
        // Nobody waits here, so nobody is owed another attempt: the next one who comes makes it.
        if let Some(HomeState::Opening { channel, .. }) = self.homes.remove(key) {
            self.home_index.remove(&channel);
        }
    }

    /// Reads what an attach request is about to be told of, and what is kept with it.
    pub(crate) fn ask_what_is_kept(&mut self, key: SlotKey, from: Offset, attach: Box<Attach>) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        let floor = home.ring.floor();
        // What was read before may not be kept any more.
        self.blocks.renew(key, from);
        match self.blocks.want(key, from, floor, Reader::Attach(attach)) {
            Wanted::Ask { from } => self.read_log(key, from),
            Wanted::Waits => {}
            Wanted::Here(..) => unreachable!("it has just been forgotten"),
        }
    }

    pub(crate) fn handle_pull(&mut self, pull: Pull) {
        self.trim_home(pull.home);
        let records_max = self.options.bounds.page_records.min(pull.room);
        let bounds = PageBounds { records_max, now: self.now.time };
        let Some(home) = ready(&mut self.homes, pull.home) else {
            let nothing = Page { reached: pull.next - 1, ..Page::default() };
            return self.answer_pull(pull, nothing);
        };
        // What had to give way while it fell behind is lost to it, and what has been acked is not.
        if let Some(last) = home.inbox.as_ref().and_then(|inbox| inbox.dropped_from(pull.next)) {
            let nothing = Page { missing: Some((pull.next, last)), reached: last, ..Page::default() };
            return self.answer_pull(pull, nothing);
        }
        let (missing, from) = match home.ring.page(home.begins_at(&pull), bounds) {
            Found::Here(page) => return self.answer_pull(pull, page),
            Found::InLog { missing, from } => (missing, from),
        };
        let (key, floor) = (pull.home, home.ring.floor());
        match self.blocks.want(key, from, floor, Reader::Pull(pull)) {
            Wanted::Here(block, Reader::Pull(pull)) => {
                let page = Page::of_block(block, missing, from, bounds);
                self.answer_pull(pull, page);
            }
            Wanted::Here(_, Reader::History(_) | Reader::Attach(_) | Reader::Consumer { .. }) | Wanted::Waits => {}
            Wanted::Ask { from } => self.read_log(key, from),
        }
    }

    fn answer_pull(&mut self, pull: Pull, mut page: Page) {
        let reached = page.reached;
        let (mut live, mut missing, mut skipped) = (false, GapReason::Window, GapReason::Expired);
        if let Some(home) = self.home_mut(pull.home) {
            live = home.joins(pull.worker, reached);
            missing = home.ring.missing_because(page.missing.map_or(reached, |range| range.1));
            skipped = home.skipped;
            if home.queues.is_some() {
                home.pass_over(&mut page, pull.device.as_ref());
                // What was passed over before something that is lost is told with it.
                page.missing = page.missing.map(|(_, last)| (pull.next, last));
                skipped = GapReason::Acked;
            }
        }
        let (connection, local, from) = (pull.connection, pull.local, pull.next);
        let pulled = Pulled { connection, local, from, page, missing, skipped, live };
        self.peers.answer(pull.worker, Peer::Pulled(Box::new(pulled)));
    }
}
