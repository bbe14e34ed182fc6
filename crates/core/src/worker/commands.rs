//! Commands: from the session that sent them to the feature that serves them.

use super::Worker;
use super::output::Output;
use crate::acks::AckOf;
use crate::command::{Command, Connect};
use crate::event::{Event, Outcome};
use crate::frame::Frame;
use crate::id::ConnectionKey;
use crate::limits;
use crate::permissions::Identity;
use crate::rejection::{Close, Rejection, RejectionKind};
use crate::session::{Asking, Phase, Reply};

impl Worker {
    pub(crate) fn handle_command(&mut self, key: ConnectionKey, command: Command, reply: Reply) {
        let Some(session) = self.sessions.get_mut(key) else {
            return self.reject(key, reply, Rejection::new(RejectionKind::NotFound, "no such connection"));
        };
        session.profile.messages_in += 1;
        if self.draining || matches!(session.phase, Phase::Closing(_)) {
            let rejection = Rejection::new(RejectionKind::NotFound, "the connection is closing");
            return self.reject(key, reply, rejection);
        }
        match (&session.phase, &command) {
            (Phase::Waiting, Command::Connect(_)) | (Phase::Open, _) => {}
            (Phase::Connecting(_) | Phase::Asking(_), Command::Connect(_)) => {
                let rejection = Rejection::new(RejectionKind::Conflict, "is connecting already");
                return self.reject(key, reply, rejection);
            }
            (Phase::Waiting | Phase::Asking(_), _) => {
                let rejection = Rejection::field("op", "the first frame must be 'connect'");
                return self.handle_malformed(key, rejection, reply);
            }
            (Phase::Connecting(_) | Phase::Closing(_), _) => {}
        }
        self.handle_post(key);
        match command {
            Command::Connect(connect) => self.handle_connect(key, *connect, reply),
            Command::Ping => {
                let event = Event::Pong { reference: reply.reference(), time: self.now.wall };
                self.respond(key, reply, event);
            }
            Command::Subscribe(subscribe) => self.handle_subscribe(key, subscribe, reply),
            Command::Unsubscribe { channel } => self.handle_unsubscribe(key, channel, reply),
            Command::Publish(publish) => self.handle_publish(key, *publish, reply),
            Command::History(history) => self.handle_history(key, *history, reply),
            Command::Inbox(command) => self.handle_inbox_command(key, command, reply),
            Command::Consume(consume) => self.handle_consume(key, *consume, reply),
            Command::Ack(ack) => match ack.of {
                AckOf::Inbox => self.handle_inbox_ack(key, *ack, reply),
                AckOf::Consumer { .. } => self.handle_consumer_ack(key, *ack, reply),
            },
            Command::Meta { meta } => {
                if let Some(session) = self.sessions.get_mut(key) {
                    session.profile.extras_mut().meta = Some(meta);
                }
                self.done(key, reply);
            }
            Command::Close => {
                self.done(key, reply);
                self.end(key, Close::Normal, None);
            }
        }
    }

    fn handle_connect(&mut self, key: ConnectionKey, mut connect: Connect, reply: Reply) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if matches!(session.phase, Phase::Open) {
            let rejection = Rejection::new(RejectionKind::Conflict, "is connected already");
            return self.reject(key, reply, rejection);
        }
        if let Some(token) = connect.token.take() {
            let deadline = session.deadline;
            session.phase = Phase::Asking(Box::new(Asking { connect, reply, deadline }));
            // The client has done its part: it is not ended for a slow authenticator.
            session.deadline = deadline.max(self.now.time.after(limits::ASK_DEADLINE));
            self.peers.outputs.push_back(Output::Ask { connection: key, token });
        } else if session.identified {
            self.begin(key, connect, reply.reference());
        } else {
            let message = "needs a token: send it in the 'connect' frame, or with the handshake";
            let rejection =
                Rejection { field: Some("token".into()), ..Rejection::new(RejectionKind::Unauthenticated, message) };
            self.reject(key, reply, rejection);
        }
    }

    pub(crate) fn handle_identified(&mut self, key: ConnectionKey, identity: Result<Box<Identity>, Box<Rejection>>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        // It may have ended while the authenticator was thinking.
        let Phase::Asking(asking) = &mut session.phase else { return };
        let (connect, reply) = (std::mem::take(&mut asking.connect), asking.reply);
        session.deadline = asking.deadline;
        session.phase = Phase::Waiting;
        match identity {
            Ok(identity) => {
                session.profile.identity = *identity;
                session.identified = true;
                self.begin(key, connect, reply.reference());
            }
            // It may try again until its deadline. If that has passed for want of an answer, it may come back.
            Err(rejection) => {
                let late = session.deadline <= self.now.time && passes(rejection.kind);
                self.reject(key, reply, *rejection);
                if late {
                    return self.end(key, Close::Overloaded, None);
                }
                self.arm_session(key);
            }
        }
        self.wake_reader(key.slot);
    }

    /// A frame that is no command: answered, counted, and too many of them end the connection.
    pub(crate) fn handle_malformed(&mut self, key: ConnectionKey, rejection: Rejection, reply: Reply) {
        // What the protocol knows and this server does not serve is an honest mistake.
        let counts = rejection.kind == RejectionKind::BadRequest;
        self.reject(key, reply, rejection);
        if !counts {
            return;
        }
        let now = self.now.time;
        let Some(session) = self.sessions.get_mut(key) else { return };
        if matches!(session.phase, Phase::Closing(_)) {
            return;
        }
        let profile = session.profile.extras_mut();
        if now.since(profile.strikes_since) > limits::STRIKE_WINDOW {
            profile.strikes = 0;
            profile.strikes_since = now;
        }
        profile.strikes += 1;
        if profile.strikes >= limits::STRIKES_MAX {
            self.end(key, Close::Protocol, None);
        }
    }

    /// Answers a command. Without a number only errors are answered, and calls are always answered.
    pub(crate) fn respond(&mut self, key: ConnectionKey, reply: Reply, event: Event) {
        match reply {
            Reply::Call { ticket, .. } => self.peers.outputs.push_back(Output::Replied { ticket, event }),
            Reply::Announce { ticket } => {
                if !matches!(event, Event::Error { .. }) {
                    self.send(key, event.clone());
                }
                self.peers.outputs.push_back(Output::Replied { ticket, event });
            }
            Reply::Stream(None) if !matches!(event, Event::Error { .. }) => {}
            Reply::Stream(_) => self.send(key, event),
        }
    }

    /// Puts a frame into a session's outbox, unless the last word has been said.
    pub(crate) fn send(&mut self, key: ConnectionKey, event: Event) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if matches!(session.phase, Phase::Closing(_)) {
            return;
        }
        session.outbox.push(Frame::new(event), &mut self.pool);
        self.queue_write(key.slot);
    }

    pub(crate) fn done(&mut self, key: ConnectionKey, reply: Reply) {
        self.respond(key, reply, Event::Ok { reference: reply.reference(), outcome: Outcome::Done });
    }

    pub(crate) fn reject(&mut self, key: ConnectionKey, reply: Reply, rejection: Rejection) {
        self.figures.rejected += 1;
        let event = Event::Error { reference: reply.reference(), rejection: Box::new(rejection) };
        self.respond(key, reply, event);
    }
}

/// Whether the same `connect` may succeed later.
const fn passes(kind: RejectionKind) -> bool {
    use RejectionKind::{Overloaded, RateLimited, Timeout, Unavailable};
    matches!(kind, RateLimited | Overloaded | Unavailable | Timeout)
}
