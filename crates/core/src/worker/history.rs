//! History on request: a question goes to the channel's home and comes back as one page.
//!
//! A page is read like a catch-up, out of memory and out of shared blocks of the log, and is bounded by messages and bytes. Where
//! the log cannot be read the question is refused, because somebody waits for the answer.

use super::Worker;
use super::channel::{Parked, ready};
use super::inbox::not_enabled;
use super::input::LogFailure;
use super::output::Output;
use super::peers::{HistoryAnswer, HistoryAsk, Peer};
use super::publishing::log_failure;
use super::reading::Reading;
use super::rewinding::Seeker;
use crate::command::{History, Listen};
use crate::event::{Event, Outcome};
use crate::history::{At, HistoryPage, Query};
use crate::id::{ChannelKey, ConnectionKey, ConsumerName, SlotKey};
use crate::inbox::Actor;
use crate::limits;
use crate::position::Offset;
use crate::publish::Origin;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::Reply;

/// The answer to a question about the past.
pub type HistoryResult = Result<HistoryPage, Rejection>;

/// Who waits for a block.
#[derive(Debug)]
pub(crate) enum Reader {
    /// A subscription that is Behind.
    Pull(super::peers::Pull),
    /// A question about the past.
    History(Box<Reading>),
    /// A durable consumer, which looks again.
    Consumer { home: SlotKey, name: ConsumerName },
    /// An attach request that depends on what is kept.
    Attach(Box<super::peers::Attach>),
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
        self.ask_for_session(key, reply, (channel, history.query), None);
    }

    /// Asks the home of a channel on behalf of a session: for history, or for what is pending in an inbox.
    pub(crate) fn ask_for_session(
        &mut self,
        key: ConnectionKey,
        reply: Reply,
        (channel, query): (ChannelKey, Query),
        inbox: Option<Actor>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.questions >= limits::QUESTIONS_IN_FLIGHT {
            // Only those that come by POST are read while others wait.
            let rejection = Rejection::new(RejectionKind::Overloaded, "too many questions of this connection wait");
            return self.reject(key, reply, rejection.retry_after_ms(100));
        }
        session.in_flight += 1;
        session.questions += 1;
        let origin = Origin::Session { worker: self.id, connection: key, reply };
        let home = self.home_worker(channel.fingerprint());
        let ask = HistoryAsk { origin, channel, query, inbox };
        self.peers.request(home, Peer::History(Box::new(ask)));
    }

    /// The home has answered a session's question.
    pub(crate) fn handle_history_answer(&mut self, answer: HistoryAnswer) {
        let (key, reply) = (answer.connection, answer.reply);
        match answer.result {
            Ok(page) => {
                let outcome = match page.pending {
                    Some(_) => Outcome::Inbox(Box::new(page)),
                    None => Outcome::History(Box::new(page)),
                };
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
        if ask.inbox.is_some() {
            self.settle_inbox(key);
        }
        let Some(home) = ready(&mut self.homes, key) else { return };
        if ask.inbox.is_some() && home.queues.is_none() {
            return self.answer_history(ask.origin, Err(not_enabled()));
        }
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
        let mut extent = home.ring.extent();
        if let Some(by) = &ask.inbox {
            // What has left before or after all that is pending is of no interest.
            let pending = home.inbox.as_ref().and_then(|inbox| inbox.extent(by));
            let (first, last) = pending.unwrap_or((extent.head + 1, extent.head));
            (extent.floor, extent.head) = (extent.floor.max(first - 1), last);
        }
        let mut window = ask.query.window(extent, found);
        if ask.inbox.is_some() {
            window.gap = None;
        }
        self.read_on(Box::new(Reading::new(ask.origin, key, window, ask.query.limit, ask.inbox)));
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
