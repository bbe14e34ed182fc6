//! History on request: a question goes to the channel's home and comes back as one page.
//!
//! A page is read like a catch-up, out of memory and out of shared blocks of the log, and is bounded by messages and bytes. Where
//! the log cannot be read the question is refused, because somebody waits for the answer.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Worker;
use super::channel::{Parked, ready};
use super::input::LogFailure;
use super::output::Output;
use super::peers::{HistoryAnswer, HistoryAsk, Peer};
use super::publishing::log_failure;
use super::rewinding::Seeker;
use crate::command::{History, Listen};
use crate::event::{Event, Outcome};
use crate::history::{At, Direction, Extent, Found, HistoryPage, Page, PageBounds, Rest, Wanted};
use crate::id::{ChannelKey, ConnectionKey, ConsumerName, SlotKey};
use crate::limits;
use crate::position::{Epoch, Gap, GapReason, Offset, Position};
use crate::publish::Origin;
use crate::record::Record;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::Reply;

/// The answer to a question about the past.
pub type HistoryResult = Result<HistoryPage, Rejection>;

/// A page under way.
#[derive(Debug)]
pub(crate) struct Reading {
    origin: Origin,
    home: SlotKey,
    direction: Direction,
    gap: Option<Gap>,
    /// The whole window …
    after: Offset,
    until: Offset,
    /// … and what of it this page reads: from `next` up to `end`.
    next: Offset,
    end: Offset,
    limit: usize,
    /// The page's newest-first messages begin after this one.
    begins_after: Offset,
    records: VecDeque<Arc<Record>>,
    bytes: usize,
}

/// Who waits for a block.
#[derive(Debug)]
pub(crate) enum Reader {
    /// A subscription that is Behind.
    Pull(super::peers::Pull),
    /// A question about the past.
    History(Box<Reading>),
    /// A durable consumer, which looks again.
    Consumer { home: SlotKey, name: ConsumerName },
}

impl Worker {
    pub(crate) fn handle_history(&mut self, key: ConnectionKey, history: History, reply: Reply) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let identity = &session.profile.identity;
        let channel = match (history.listen, &identity.user) {
            (Listen::Named(name), _) => ChannelKey::named(identity.app, name),
            (Listen::Everyone, _) => ChannelKey::everyone(identity.app),
            (Listen::OwnUser, Some(user)) => ChannelKey::user(identity.app, user.clone()),
            (Listen::OwnUser, None) => {
                let rejection = Rejection::new(RejectionKind::Unauthenticated, "$user needs a user");
                return self.reject(key, reply, rejection);
            }
        };
        if !identity.grants.subscribe {
            let rejection = Rejection::new(RejectionKind::Forbidden, "may not read history");
            return self.reject(key, reply, rejection.on(channel));
        }
        if session.questions >= limits::QUESTIONS_IN_FLIGHT {
            // Only those that come by POST are read while others wait.
            let rejection = Rejection::new(RejectionKind::Overloaded, "too many questions of this connection wait");
            return self.reject(key, reply, rejection.retry_after_ms(100));
        }
        session.in_flight += 1;
        session.questions += 1;
        let origin = Origin::Session { worker: self.id, connection: key, reply };
        let home = self.home_worker(channel.fingerprint());
        let ask = HistoryAsk { origin, channel, query: history.query };
        self.peers.request(home, Peer::History(Box::new(ask)));
    }

    /// The home has answered a session's question.
    pub(crate) fn handle_history_answer(&mut self, answer: HistoryAnswer) {
        let (key, reply) = (answer.connection, answer.reply);
        match answer.result {
            Ok(page) => {
                let outcome = Outcome::History(Box::new(page));
                self.respond(key, reply, Event::Ok { reference: reply.reference(), outcome });
            }
            Err(rejection) => self.reject(key, reply, rejection),
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.questions -= 1;
            if session.questions + 1 == limits::QUESTIONS_IN_FLIGHT {
                self.wake_reader(key.slot);
            }
        }
        self.land(key);
    }

    /// A question has come to its channel's home.
    pub(crate) fn ask_history(&mut self, ask: HistoryAsk) {
        let channel = ask.channel.clone();
        self.at_home(&channel, Parked::History(Box::new(ask)));
    }

    pub(crate) fn handle_history_ask(&mut self, key: SlotKey, ask: HistoryAsk) {
        self.trim_home(key);
        let Some(home) = ready(&mut self.homes, key) else { return };
        let Some(place) = ask.query.place() else { return self.begin_reading(key, ask, None) };
        if let Some(found) = home.ring.locate(&place) {
            return self.begin_reading(key, ask, Some(found));
        }
        if home.ring.floor() == home.ring.trimmed() {
            return self.place_found(key, ask, None);
        }
        self.seek(key, place, Seeker::History(ask));
    }

    /// The log has looked for a message.
    pub(crate) fn handle_located(&mut self, key: SlotKey, ticket: u64, result: Result<Option<Offset>, LogFailure>) {
        match (self.locating.remove(&ticket), result) {
            (Some(Seeker::History(ask)), Ok(found)) => self.place_found(key, ask, found),
            (Some(Seeker::History(ask)), Err(failure)) => self.answer_history(ask.origin, Err(log_failure(failure))),
            (Some(Seeker::Attach(attach, head)), result) => self.handle_start_located(key, attach, head, result),
            (None, _) => {}
        }
    }

    /// Everything that is kept has been looked through.
    fn place_found(&mut self, key: SlotKey, ask: HistoryAsk, found: Option<Offset>) {
        let Some(home) = ready(&mut self.homes, key) else {
            let rejection = Rejection::new(RejectionKind::Unavailable, "the channel was closed meanwhile");
            return self.answer_history(ask.origin, Err(rejection.retry_after_ms(0)));
        };
        match ask.query.place() {
            Some(At::Id(_)) if found.is_none() => {
                let message = "no message of this id is kept in this channel";
                let field = ask.query.place_field().map(Into::into);
                let rejection = Rejection { field, ..Rejection::new(RejectionKind::NotFound, message) };
                self.answer_history(ask.origin, Err(rejection));
            }
            // What came at that time or later begins in memory, if the log has nothing as young.
            Some(_) => {
                let found = found.unwrap_or(home.ring.trimmed() + 1);
                self.begin_reading(key, ask, Some(found));
            }
            None => self.begin_reading(key, ask, found),
        }
    }

    fn begin_reading(&mut self, key: SlotKey, ask: HistoryAsk, found: Option<Offset>) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        let extent = Extent { epoch: home.ring.epoch(), head: home.ring.head(), floor: home.ring.floor() };
        let window = ask.query.window(extent, found);
        let limit = u64::from(ask.query.limit);
        let (next, end) = match window.direction {
            Direction::Forward => (window.after + 1, window.until),
            Direction::Backward => (window.after.max(window.until.saturating_sub(limit)) + 1, window.until),
        };
        self.read_on(Box::new(Reading {
            origin: ask.origin,
            home: key,
            direction: window.direction,
            gap: window.gap,
            after: window.after,
            until: window.until,
            next,
            end,
            begins_after: next - 1,
            limit: limit as usize,
            records: VecDeque::new(),
            bytes: 0,
        }));
    }

    /// Reads until the page is full or its end is reached, or waits for a block.
    pub(crate) fn read_on(&mut self, mut reading: Box<Reading>) {
        let now = self.now.time;
        while !reading.is_done() {
            let bounds = PageBounds { records_max: reading.limit - reading.records.len(), now };
            let Some(home) = ready(&mut self.homes, reading.home) else { break };
            let (missing, from) = match home.ring.page(reading.next, bounds) {
                Found::Here(page) => {
                    reading.take(page);
                    continue;
                }
                Found::InLog { missing, from } => (missing, from),
            };
            let (key, floor) = (reading.home, home.ring.floor());
            match self.blocks.want(key, from, floor, Reader::History(reading)) {
                Wanted::Here(block, Reader::History(back)) => {
                    reading = back;
                    reading.take(Page::of_block(block, missing, from, bounds));
                }
                Wanted::Here(_, Reader::Pull(_) | Reader::Consumer { .. }) | Wanted::Waits => return,
                Wanted::Ask { from } => {
                    let channel = home.channel.clone();
                    return self.peers.outputs.push_back(Output::ReadLog { home: key, channel, from });
                }
            }
        }
        let epoch = ready(&mut self.homes, reading.home).map(|home| home.ring.epoch().clone());
        let Some(epoch) = epoch else {
            let rejection = Rejection::new(RejectionKind::Unavailable, "the channel was closed meanwhile");
            return self.answer_history(reading.origin, Err(rejection.retry_after_ms(0)));
        };
        let (origin, page) = reading.finish(epoch);
        self.answer_history(origin, Ok(page));
    }

    pub(crate) fn fail_reading(&mut self, reading: Reading, failure: LogFailure) {
        self.answer_history(reading.origin, Err(log_failure(failure)));
    }

    pub(crate) fn answer_history(&mut self, origin: Origin, result: HistoryResult) {
        match origin {
            Origin::Session { worker, connection, reply } => {
                let answer = HistoryAnswer { connection, reply, result };
                self.peers.answer(worker, Peer::HistoryAnswer(Box::new(answer)));
            }
            Origin::Call { ticket } => {
                let answer = super::Answer::History(result.map(Box::new));
                self.peers.outputs.push_back(Output::Answered { ticket, answer });
            }
            Origin::Nobody => {}
        }
    }
}

impl Reading {
    fn is_done(&self) -> bool {
        let full = match self.direction {
            Direction::Forward => self.records.len() >= self.limit || self.bytes >= limits::HISTORY_PAGE_BYTES,
            // Read oldest first too, but the newest ones count: it goes on and lets the oldest go.
            Direction::Backward => false,
        };
        full || self.next > self.end
    }

    /// Takes what belongs to this page out of what was read.
    fn take(&mut self, page: Page) {
        if let Some(range) = page.missing {
            self.gap.get_or_insert(Gap { range: Some(range), reason: GapReason::Window });
        }
        self.next = page.reached.max(self.next - 1) + 1;
        for record in page.records {
            let Some(offset) = record.offset.filter(|offset| *offset <= self.end) else { break };
            let full = self.direction == Direction::Forward && self.bytes >= limits::HISTORY_PAGE_BYTES;
            if full && !self.records.is_empty() {
                self.next = offset;
                break;
            }
            self.bytes += record.cost() as usize;
            self.records.push_back(record);
        }
        while self.direction == Direction::Backward && self.bytes > limits::HISTORY_PAGE_BYTES && self.records.len() > 1
        {
            let oldest = self.records.pop_front().expect("there is more than one");
            self.bytes -= oldest.cost() as usize;
            self.begins_after = oldest.offset.unwrap_or(self.begins_after);
        }
    }

    fn finish(self, epoch: Epoch) -> (Origin, HistoryPage) {
        let direction = self.direction;
        let rest = |after, until| (after < until).then(|| Rest { epoch: epoch.clone(), after, until, direction });
        let (covered, next, records) = match direction {
            Direction::Forward => {
                let reached = (self.next - 1).min(self.until);
                (reached, rest(reached, self.until), self.records.into())
            }
            Direction::Backward => {
                (self.until, rest(self.after, self.begins_after), self.records.into_iter().rev().collect())
            }
        };
        let position = Position { epoch: epoch.clone(), offset: covered };
        (self.origin, HistoryPage { records, position, next, gap: self.gap })
    }
}
