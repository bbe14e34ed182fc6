//! Publishing: from a session to the channel's home, and from there to the listeners.

use std::sync::Arc;

use super::Worker;
use super::channel::ready;
use super::input::{LogFailure, NotAppended};
use super::output::{Lifecycle, Output, Persist};
use super::peers::{Peer, PublishedFor};
use crate::command::{Ack, Publish, Target};
use crate::event::{Event, Outcome, Published};
use crate::id::{ChannelKey, ConnectionKey, MessageId, SlotKey};
use crate::position::{Epoch, GapReason, Offset};
use crate::publish::{self, Admission, Draft, Origin, PublishResult, Publisher};
use crate::record::Record;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::Reply;
use crate::time::{Now, Time, UnixMs};

/// A message of a session or of the application, ready for its home.
#[must_use]
pub fn draft(
    app: crate::id::AppId,
    publish: Publish,
    user: Option<crate::id::UserId>,
    publisher: Publisher,
    fresh_id: MessageId,
    origin: Origin,
) -> Draft {
    let (channel, heard_in) = match publish.target {
        Target::Everyone => (ChannelKey::everyone(app), None),
        Target::Channel(name) => (ChannelKey::named(app, name), None),
        Target::User(user) => (ChannelKey::user(app, user), None),
        Target::UserInChannel { user, channel } => (ChannelKey::user(app, user), Some(ChannelKey::named(app, channel))),
    };
    let ephemeral = publish.ephemeral || heard_in.is_some();
    let idempotent = publish.id.is_some() && !ephemeral;
    let record = Record {
        channel: heard_in.unwrap_or_else(|| channel.clone()),
        epoch: Epoch::none(),
        offset: None,
        id: publish.id.unwrap_or(fresh_id),
        time: UnixMs::default(),
        admitted: Time::default(),
        user,
        event_type: publish.event_type,
        data: publish.data,
        key: publish.key,
        meta: publish.meta,
        ttl: publish.ttl,
        exclude: publish.exclude.into(),
    };
    Draft { channel, record, publisher, idempotent, ephemeral, ack: publish.ack, origin }
}

/// A message id of the server's making: 48 bits of time and 48 random ones, 16 characters that sort by time.
#[must_use]
pub fn fresh_id(now: Now, random: u64) -> MessageId {
    const ALPHABET: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    let digits = |bits: u64| (0..8).rev().map(move |place| ALPHABET[(bits >> (place * 6)) as usize & 63] as char);
    let id: String = digits(now.wall.0).chain(digits(random)).collect();
    MessageId::parse(&id).expect("16 plain characters are an id")
}

impl Worker {
    pub(crate) fn handle_publish(&mut self, key: ConnectionKey, publish: Publish, reply: Reply) {
        let me = self.session_name(key);
        let fresh = fresh_id(self.now, self.next_random());
        let Some(session) = self.sessions.get_mut(key) else { return };
        let identity = &session.profile.identity;
        if !identity.grants.publish {
            return self.reject(key, reply, Rejection::new(RejectionKind::Forbidden, "may not publish"));
        }
        let max = self.options.message_bytes as usize;
        if publish.data.len() > max {
            let message = format!("data is {} bytes, the limit is {max}", publish.data.len());
            let rejection =
                Rejection { field: Some("data".into()), ..Rejection::new(RejectionKind::TooLarge, message) };
            return self.reject(key, reply, rejection.limit(max as u64));
        }
        let user = identity.user.clone();
        let publisher = user.clone().map_or(Publisher::Session(me), Publisher::User);
        let ack = publish.ack;
        // Whoever waits for nothing is still told of a failure.
        let later = match ack {
            Some(Ack::None) => Reply::Stream(None),
            Some(Ack::Node | Ack::Stored) | None => reply,
        };
        let origin = Origin::Session { worker: self.id, connection: key, reply: later };
        session.in_flight += 1;
        let draft = draft(identity.app, publish, user, publisher, fresh, origin);
        if ack == Some(Ack::None) {
            let published = Published {
                id: draft.record.id.clone(),
                position: None,
                duplicate: false,
                connections: 0,
                queued: false,
            };
            let outcome = Outcome::Published(published);
            self.respond(key, reply, Event::Ok { reference: reply.reference(), outcome });
        }
        let home = self.home_worker(draft.channel.fingerprint());
        self.peers.request(home, Peer::Publish(Box::new(draft)));
    }

    /// A draft has come to its home.
    pub(crate) fn handle_draft(&mut self, key: SlotKey, mut draft: Draft) {
        draft.record.time = self.now.wall;
        draft.record.admitted = self.now.time;
        let now = self.now.time;
        let Some(home) = ready(&mut self.homes, key) else { return };
        let persisted = home.ring.is_persisted();
        if draft.ack == Some(Ack::Stored) && (draft.ephemeral || !persisted) {
            let rejection = not_stored(draft.ephemeral);
            return self.settle(draft.origin, Err(rejection));
        }
        if draft.ephemeral {
            self.figures.published += 1;
            draft.record.epoch = home.ring.epoch().clone();
            home.last_used = now;
            let published = publish::deliver_ephemeral(home, &mut self.peers, draft.record);
            return self.settle(draft.origin, Ok(published));
        }
        // Whoever does not wait for the log is answered when the id is known to be new. Sessions that wait for nothing have their
        // answer already, and are told of failures only.
        let early = match draft.ack {
            Some(Ack::None) => matches!(draft.origin, Origin::Call { .. }),
            Some(Ack::Node) => persisted,
            Some(Ack::Stored) | None => false,
        };
        let persist = persisted.then(|| Persist {
            publisher: draft.idempotent.then(|| draft.publisher.clone()),
            replaces: home.skipped == GapReason::Replaced && draft.record.key.is_some(),
        });
        match home.desk.admit(now, draft) {
            Admission::Append { ticket, record } => {
                self.figures.published += 1;
                // Most wait for the log, and what they will be told is made when it answers.
                let answer = early.then(|| home.desk.take_origin(ticket)).flatten().map(|origin| {
                    let (id, connections) = (record.id.clone(), home.connections());
                    let queued = home.queues.is_some();
                    (origin, Published { id, position: None, duplicate: false, connections, queued })
                });
                self.peers.outputs.push_back(Output::Append { home: key, ticket, record, persist });
                if let Some((origin, published)) = answer {
                    self.settle(origin, Ok(published));
                }
            }
            Admission::Waits => {}
            Admission::Duplicate { origin, result } => self.settle(origin, Ok(result)),
            Admission::Conflict { origin } => self.settle(origin, Err(id_conflict())),
            Admission::Overloaded { origin } => {
                let rejection = Rejection::new(RejectionKind::Overloaded, "too many publishes wait for this id");
                self.settle(origin, Err(rejection.retry_after_ms(100)));
            }
        }
    }

    pub(crate) fn handle_committed(&mut self, key: SlotKey, ticket: Option<u64>, record: Arc<Record>, floor: Offset) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        let before = home.ring.bytes();
        let settled = publish::commit(home, &mut self.peers, self.now.time, ticket, record.clone());
        home.learn_floor(floor, self.now.time);
        if home.skipped == GapReason::Replaced
            && home.ring.is_persisted()
            && let (Some(key), Some(offset)) = (&record.key, record.offset)
        {
            self.blocks.replace(home.key, key, offset);
        }
        let after = home.ring.bytes();
        let (message_events, queues) = (home.message_events, home.queues.is_some());
        let has_consumers = home.consumers.is_some();
        self.history_bytes = self.history_bytes + after - before;
        if let Some((pending, published)) = settled {
            for waiter in pending.waiters {
                self.settle(waiter, Ok(Published { duplicate: true, ..published.clone() }));
            }
            self.settle(pending.origin, Ok(published));
        }
        if message_events {
            self.peers.outputs.push_back(Output::Lifecycle(Lifecycle::MessagePublished { record }));
        }
        if queues {
            self.settle_inbox(key);
        }
        if has_consumers {
            self.pump_consumers(key);
        }
        self.arm_home(key);
        self.fit_history_budget();
    }

    /// The log has not taken a record: it knows the message already, or it could not.
    pub(crate) fn handle_not_appended(&mut self, key: SlotKey, ticket: u64, outcome: NotAppended) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        match outcome {
            NotAppended::Duplicate { id, position } => {
                let (position, queued) = (Some(position), home.queues.is_some());
                let published = Published { id, position, duplicate: true, connections: 0, queued };
                let Some(pending) = home.desk.settle(ticket, &published) else { return };
                for origin in pending.waiters.into_iter().chain([pending.origin]) {
                    self.settle(origin, Ok(published.clone()));
                }
            }
            NotAppended::Conflict | NotAppended::Failed(_) => {
                let Some(pending) = home.desk.fail(ticket) else { return };
                let rejection = match outcome {
                    NotAppended::Failed(failure) => {
                        self.figures.append_failures += 1;
                        log_failure(failure)
                    }
                    NotAppended::Conflict | NotAppended::Duplicate { .. } => id_conflict(),
                };
                for origin in pending.waiters.into_iter().chain([pending.origin]) {
                    self.settle(origin, Err(rejection.clone()));
                }
            }
        }
        self.arm_home(key);
    }

    /// Answers a publish, wherever it came from.
    pub(crate) fn settle(&mut self, origin: Origin, result: PublishResult) {
        match origin {
            Origin::Session { worker, connection, reply } => {
                let published = PublishedFor { connection, reply, result };
                self.peers.answer(worker, Peer::Published(Box::new(published)));
            }
            Origin::Call { ticket } => {
                let answer = super::Answer::Published(result);
                self.peers.outputs.push_back(Output::Answered { ticket, answer });
            }
            Origin::Nobody => {}
        }
    }

    /// The home has answered a session's publish.
    pub(crate) fn handle_published(&mut self, published: PublishedFor) {
        let (key, reply) = (published.connection, published.reply);
        match published.result {
            Ok(result) => {
                let outcome = Outcome::Published(result);
                self.respond(key, reply, Event::Ok { reference: reply.reference(), outcome });
            }
            Err(rejection) => self.reject(key, reply, rejection),
        }
        self.land(key);
    }
}

fn id_conflict() -> Rejection {
    let message = "this id was used for another message in the last 5 minutes";
    Rejection { kind: RejectionKind::Conflict, ..Rejection::field("id", message) }
}

fn not_stored(ephemeral: bool) -> Rejection {
    let message = if ephemeral {
        "'stored' contradicts an ephemeral message, which is never stored"
    } else {
        "'stored' needs a channel whose rule says persist"
    };
    let kind = if ephemeral { RejectionKind::BadRequest } else { RejectionKind::NotEnabled };
    Rejection { kind, ..Rejection::field("ack", message) }
}

/// What a publisher is told when the log does not take its message.
pub(crate) fn log_failure(failure: LogFailure) -> Rejection {
    let (kind, message, retry_after_ms) = match failure {
        LogFailure::Busy => (RejectionKind::Overloaded, "the store has more to write than it can take", 250),
        LogFailure::Full => (RejectionKind::StorageFull, "the store has no space left", 5_000),
        LogFailure::Unavailable => (RejectionKind::Unavailable, "the store does not work for now", 1_000),
        LogFailure::Damaged => (RejectionKind::Unavailable, "the store is damaged; its operator has to look", 10_000),
    };
    Rejection::new(kind, message).retry_after_ms(retry_after_ms)
}
