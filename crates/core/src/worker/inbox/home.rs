//! An inbox at its home: what comes in, what leaves, and who is told.

use std::sync::Arc;

use super::super::Worker;
use super::super::call::Answer;
use super::super::channel::{Home, Parked, ready};
use super::super::input::LogFailure;
use super::super::output::{Lifecycle, Output};
use super::super::peers::{InboxAnswer, Peer};
use super::super::publishing::log_failure;
use super::{InboxCall, InboxNews};
use crate::event::Outcome;
use crate::history::{Direction, Query, Span, Window};
use crate::id::{Audience, ChannelKey, ConnectionKey, SlotKey, WorkerId};
use crate::inbox::{Act, Actor, Inbox, InboxAsk, Listener, Mode, Notice, Policy};
use crate::options::InboxOptions;
use crate::position::{Gap, GapReason, Offset, Start};
use crate::publish::Origin;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::Formers;
use crate::state::{StateOwner, StateTicket};
use crate::timer::Timer;
use crate::worker::peers::HistoryAsk;

/// Messages that have left, and who made them leave.
struct Left {
    offsets: Vec<Offset>,
    cause: Option<(WorkerId, ConnectionKey)>,
    by_proof: bool,
}

impl Worker {
    pub(crate) fn ask_inbox(&mut self, ask: InboxAsk) {
        let channel = ask.channel.clone();
        self.at_home(&channel, Parked::Inbox(Box::new(ask)));
    }

    pub(crate) fn call_inbox(&mut self, ticket: u64, channel: ChannelKey, call: InboxCall) {
        let origin = Origin::Call { ticket };
        let act = match call {
            InboxCall::List { limit, rest } => {
                let span = rest.map_or(Span::All(Direction::Forward), Span::Rest);
                let query = Query { span, limit };
                return self.ask_history(HistoryAsk { origin, channel, query, inbox: Some(Actor::All) });
            }
            InboxCall::Clear => Act::Clear,
            InboxCall::Ack { epoch, which } => Act::Ack { by: Actor::All, epoch, which, names: Formers::new() },
        };
        self.ask_inbox(InboxAsk { origin, channel, act });
    }

    pub(crate) fn handle_inbox_ask(&mut self, key: SlotKey, ask: InboxAsk) {
        let wall = self.now.wall;
        let options = self.options.inbox;
        let Some(home) = ready(&mut self.homes, key) else { return };
        let Some(options) = options.filter(|_| home.queues.is_some()) else {
            return self.answer_inbox(ask.origin, Err(not_enabled()));
        };
        let cause = match &ask.origin {
            Origin::Session { worker, connection, .. } => Some((*worker, *connection)),
            Origin::Call { .. } | Origin::Nobody => None,
        };
        let inbox = home.inbox.get_or_insert_default();
        let left = match ask.act {
            Act::Proof { device, up_to, names } => {
                let by = Actor::Device(device);
                let offsets = inbox.prove(&by, (up_to, &names), options.policy, wall);
                self.answer_inbox(ask.origin, Ok(Outcome::Done));
                Left { offsets, cause, by_proof: true }
            }
            Act::Ack { epoch: Some(epoch), .. } if epoch != *home.ring.epoch() => {
                let message = "is another life of the log, whose messages are gone";
                let rejection = Rejection { kind: RejectionKind::Conflict, ..Rejection::field("epoch", message) };
                return self.answer_inbox(ask.origin, Err(rejection));
            }
            Act::Ack { by, which, names, .. } => {
                let offsets = inbox.ack(&by, (&which, &names), options.policy, wall);
                inbox.wait(ask.origin, Outcome::Done);
                Left { offsets, cause, by_proof: false }
            }
            Act::Clear => {
                let offsets = inbox.clear();
                inbox.wait(ask.origin, Outcome::Done);
                Left { offsets, cause, by_proof: false }
            }
        };
        self.tell_left(key, left);
        self.settle_inbox(key);
    }

    /// The home does not open. A proof is no command, and whatever it says comes with the next one.
    pub(crate) fn refuse_inbox(&mut self, ask: InboxAsk, rejection: Rejection) {
        let result = match ask.act {
            Act::Proof { .. } => Ok(Outcome::Done),
            Act::Ack { .. } | Act::Clear => Err(rejection),
        };
        self.answer_inbox(ask.origin, result);
    }

    pub(crate) fn answer_inbox(&mut self, origin: Origin, result: Result<Outcome, Rejection>) {
        match origin {
            Origin::Session { worker, connection, reply } => {
                let answer = InboxAnswer { connection, reply, result };
                self.peers.answer(worker, Peer::InboxAnswer(Box::new(answer)));
            }
            Origin::Call { ticket } => {
                let answer = Answer::Inbox(result.map(|_| ()));
                self.peers.outputs.push_back(Output::Answered { ticket, answer });
            }
            Origin::Nobody => {}
        }
    }

    /// Tells the user's other connections what they need not show any more.
    fn tell_left(&mut self, key: SlotKey, left: Left) {
        if left.offsets.is_empty() {
            return;
        }
        let Some(home) = ready(&mut self.homes, key) else { return };
        let pending = home.inbox.as_ref().map_or(0, |inbox| inbox.len());
        let cancelled: Arc<[Offset]> = left.offsets.into();
        for interest in home.interests.iter().filter(|it| it.count > 0) {
            let except = left.cause.filter(|(worker, _)| *worker == interest.worker).map(|(_, connection)| connection);
            let news = InboxNews {
                local: interest.local,
                except,
                pending,
                cancelled: cancelled.clone(),
                by_proof: left.by_proof,
                dropped: 0,
            };
            self.peers.send_news(interest.worker, news);
        }
    }

    /// Keeps an inbox within its bounds, tells what is to be told, writes what has changed, and arms its timer.
    pub(crate) fn settle_inbox(&mut self, key: SlotKey) {
        let now = self.now.time;
        let Some(options) = self.options.inbox else { return };
        let Some(home) = ready(&mut self.homes, key) else { return };
        let Some(inbox) = &mut home.inbox else { return };
        self.figures.inbox_dropped += inbox.lose(home.ring.floor()) + inbox.fit(&options, now);
        home.ring.hold(inbox.first());
        let persisted = home.ring.is_persisted();
        while let Some(home) = ready(&mut self.homes, key)
            && let Some(inbox) = &mut home.inbox
            && let Some(notice) = inbox.poll_notice(now)
        {
            self.notify(key, notice);
        }
        if persisted {
            self.save_inbox(key)
        } else {
            self.skip_saving(key)
        }
        let Some(inbox) = ready(&mut self.homes, key).and_then(|home| home.inbox.as_mut()) else { return };
        if let Some(at) = inbox.next_deadline()
            && inbox.armed.is_none_or(|armed| at < armed)
        {
            inbox.armed = Some(self.wheel.arm(Timer::Inbox(key), at.max(now), now));
        }
        self.arm_home(key);
    }

    fn notify(&mut self, key: SlotKey, notice: Notice) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        let Audience::User(user) = &home.channel.audience else { return };
        let (app, user, connections) = (home.channel.app, user.clone(), home.connections());
        let Some(inbox) = &mut home.inbox else { return };
        let pending = inbox.len();
        let event = match notice {
            Notice::Queued { from, to } => Lifecycle::InboxQueued { app, user, pending, from, to, connections },
            Notice::Overflow { dropped } => Lifecycle::InboxOverflow { app, user, pending, dropped },
        };
        self.peers.outputs.push_back(Output::Lifecycle(event));
        if matches!(notice, Notice::Overflow { .. }) && connections > 0 {
            let dropped = inbox.take_untold();
            for interest in home.interests.iter().filter(|it| it.count > 0) {
                let (local, cancelled) = (interest.local, Arc::default());
                let news = InboxNews { local, except: None, pending, cancelled, by_proof: false, dropped };
                self.peers.send_news(interest.worker, news);
            }
        }
    }

    fn save_inbox(&mut self, key: SlotKey) {
        let now = self.now.time;
        let Some(home) = ready(&mut self.homes, key) else { return };
        let Some(inbox) = &mut home.inbox else { return };
        if let Some(changes) = inbox.take_changes(&home.channel, home.ring.epoch(), now) {
            let ticket = StateTicket { home: key, owner: StateOwner::Inbox, number: 0 };
            self.peers.outputs.push_back(Output::ApplyState { ticket, persisted: true, changes });
        }
    }

    /// What is in memory only is as safe as it will be, and an empty inbox costs nothing.
    fn skip_saving(&mut self, key: SlotKey) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        let Some(inbox) = &mut home.inbox else { return };
        let answers = inbox.skip_saving();
        if inbox.is_idle() {
            home.inbox = None;
        }
        answers.into_iter().for_each(|(origin, outcome)| self.answer_inbox(origin, Ok(outcome)));
    }

    /// The rows of an inbox are written, or could not be.
    pub(crate) fn handle_inbox_saved(&mut self, key: SlotKey, result: Result<(), LogFailure>) {
        let now = self.now.time;
        let Some(inbox) = ready(&mut self.homes, key).and_then(|home| home.inbox.as_mut()) else { return };
        let answers = inbox.saved(result.is_ok(), now);
        for (origin, outcome) in answers {
            self.answer_inbox(origin, result.map(|()| outcome).map_err(log_failure));
        }
        self.settle_inbox(key);
    }

    pub(crate) fn handle_inbox_deadline(&mut self, key: SlotKey) {
        let now = self.now.time;
        let Some(inbox) = ready(&mut self.homes, key).and_then(|home| home.inbox.as_mut()) else { return };
        if inbox.armed.is_some_and(|armed| armed > now) {
            return;
        }
        inbox.armed = None;
        self.settle_inbox(key);
    }

    /// Where a connection of the user begins. Positions of connections that ack by themselves are acks.
    pub(crate) fn begin_listening(&mut self, key: SlotKey, start: &Start, listener: &Listener) -> Option<Window> {
        let wall = self.now.wall;
        let options = self.options.inbox?;
        // What has expired by now is not waited for.
        self.settle_inbox(key);
        let home = ready(&mut self.homes, key).filter(|home| home.queues.is_some())?;
        let device = listener.device.as_ref();
        let mut left = Vec::new();
        if options.policy == Policy::Each && device.is_some() {
            left = home.inbox.get_or_insert_default().greet(device, wall);
        }
        let since = comparable(home, start);
        if let (Mode::Auto, Some(since), Some(inbox)) = (listener.mode, since, &mut home.inbox) {
            let by = Actor::Device(listener.device.clone());
            left.extend(inbox.prove(&by, (since, &listener.names), options.policy, wall));
        }
        let window = window(home, start, since, listener, &options);
        self.tell_left(key, Left { offsets: left, cause: None, by_proof: true });
        Some(window)
    }
}

/// The offset of a position that says something about this log.
fn comparable(home: &Home, start: &Start) -> Option<Offset> {
    let (epoch, offset) = match start {
        Start::Now | Start::Rewind(_) | Start::RewindMs(_) => return None,
        Start::Since(position) => (&position.epoch, position.offset),
        Start::Beginning(epoch) => (epoch, 0),
    };
    // "Before the first" is a place of its own, as for every channel.
    let since = if offset == 0 { home.ring.origin() } else { offset };
    (epoch == home.ring.epoch() && since <= home.ring.head()).then_some(since)
}

fn window(home: &Home, start: &Start, since: Option<Offset>, listener: &Listener, options: &InboxOptions) -> Window {
    let inbox = home.inbox.as_deref();
    let device = listener.device.as_ref().filter(|_| options.policy == Policy::Each);
    let begins = inbox.and_then(|inbox| inbox.begins_after(device)).unwrap_or(home.ring.head());
    match (start, since) {
        (Start::Now | Start::Rewind(_) | Start::RewindMs(_), _) => {
            Window { position: begins, recovered: None, gap: None }
        }
        (Start::Since(_) | Start::Beginning(_), None) => {
            let gap = Gap { range: None, reason: GapReason::Epoch };
            Window { position: begins, recovered: Some(false), gap: Some(gap) }
        }
        (Start::Since(_) | Start::Beginning(_), Some(since)) if begins <= since => {
            // What was delivered and not acked comes again; what it was excluded from does not concern it.
            let position = if listener.mode == Mode::Manual { begins } else { since };
            Window { position, recovered: Some(true), gap: None }
        }
        (Start::Since(_) | Start::Beginning(_), Some(since)) => {
            // What lies before the beginning of a log in memory is of a former one, whose inbox nobody remembers.
            let lost_up_to = inbox.map_or(0, Inbox::dropped_up_to).max(home.ring.origin());
            let reason = if home.ring.missing_because(begins) == GapReason::Purged {
                GapReason::Purged
            } else if since < lost_up_to {
                GapReason::Window
            } else {
                GapReason::Acked
            };
            let gap = Gap { range: Some((since + 1, begins)), reason };
            Window { position: begins, recovered: Some(!reason.lost()), gap: Some(gap) }
        }
    }
}

pub(crate) fn not_enabled() -> Rejection {
    Rejection::new(RejectionKind::NotEnabled, "this server keeps no inboxes")
}
