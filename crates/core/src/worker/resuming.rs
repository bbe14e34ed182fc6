//! Taking a session over: the worker of the new connection asks the worker of the old one.

use super::Worker;
use super::output::{DisconnectReason, Lifecycle};
use super::peers::{Peer, Succession, TakeOver, TakenOver};
use crate::command::{Listen, Subscribe};
use crate::id::{Audience, ChannelKey, ChannelName, ConnectionId, ConnectionKey, WorkerId};
use crate::limits;
use crate::position::{Position, Start};
use crate::rejection::{Close, Rejection};
use crate::session::{Formers, Legacy, Phase, resumable};

impl Worker {
    /// Asks for the session that a new connection wants to continue. `connected` waits for the answer.
    pub(crate) fn ask_to_take_over(&mut self, key: ConnectionKey, former: ConnectionId) {
        let ours = former.node == self.node && usize::from(former.worker.0) < self.workers;
        if !ours || former == self.session_id(key) {
            return;
        }
        if let Phase::Connecting(connecting) = &mut self.sessions.at_mut(key.slot).phase {
            connecting.pending += 1;
            connecting.taking_over = true;
        }
        let ask = TakeOver {
            former: former.key,
            worker: self.id,
            connection: key,
            app: self.app_of(key),
            user: self.user_of(key),
        };
        self.peers.request(former.worker, Peer::TakeOver(Box::new(ask)));
    }

    /// A position in an inbox is an ack, but not of what excluded the session; so its former connections have to be known first.
    pub(super) fn begin_own_when_named(&mut self, key: ConnectionKey, own: (Option<u32>, Start)) {
        if let Some(session) = self.sessions.get_mut(key)
            && let Phase::Connecting(connecting) = &mut session.phase
            && connecting.taking_over
        {
            connecting.own = Some(own);
            return;
        }
        self.begin_own(key, own);
    }

    pub(super) fn user_of(&self, key: ConnectionKey) -> Option<crate::id::UserId> {
        self.sessions.get(key).and_then(|session| session.profile.identity.user.clone())
    }

    /// Somebody has come back for a session of this worker.
    pub(crate) fn handle_take_over(&mut self, ask: TakeOver) {
        let legacy = self.legacy_for(&ask).map(Box::new);
        let answer = TakenOver { connection: ask.connection, legacy };
        self.peers.answer(ask.worker, Peer::TakenOver(answer));
    }

    fn legacy_for(&mut self, ask: &TakeOver) -> Option<Legacy> {
        let fits = |legacy: &Legacy| legacy.app == ask.app && legacy.user == ask.user;
        let now = self.now.time;
        let heir = (ask.worker, ask.connection);
        if let Some((legacy, latest)) = self.waiting.get_mut(now, ask.former) {
            // Somebody else with the token changes nothing for whoever it belongs to.
            if !fits(legacy) {
                return None;
            }
            if let Some((worker, connection)) = latest.replace(heir) {
                self.peers.say(worker, Succession::Ousted { connection });
            }
            return Some(legacy.clone());
        }
        let open = self.sessions.get(ask.former).is_some_and(|session| matches!(session.phase, Phase::Open));
        let legacy = self.legacy_of(ask.former).filter(|legacy| open && fits(legacy))?;
        self.end(ask.former, Close::TakenOver, None);
        self.waiting.put(now, ask.former, legacy.clone(), Some(heir));
        Some(legacy)
    }

    /// A connection that continues a session has been written to for the first time.
    pub(crate) fn settle_inheritance(&mut self, key: ConnectionKey) {
        let Some(extras) = self.sessions.get_mut(key).and_then(|session| session.profile.extras.as_mut()) else {
            return;
        };
        if std::mem::take(&mut extras.inherits)
            && let Some(former) = extras.formers.last()
        {
            self.peers.say(former.worker, Succession::Settled { former: former.key, heir: key });
        }
    }

    pub(crate) fn handle_succession(&mut self, from: WorkerId, said: Succession) {
        match said {
            Succession::Settled { former, heir } => self.waiting.settle(former, (from, heir)),
            Succession::Ousted { connection } => self.end(connection, Close::TakenOver, None),
        }
    }

    /// What a session would leave behind now.
    fn legacy_of(&self, key: ConnectionKey) -> Option<Legacy> {
        let session = self.sessions.get(key)?;
        let profile = &session.profile;
        let named = session.subscriptions.iter().filter(|it| it.named);
        let name = |local: u32| match &self.locals.at(local).channel.audience {
            Audience::Named(name) => Some(name.clone()),
            Audience::Everyone | Audience::User(_) => None,
        };
        let mut formers = Formers::from_slice(profile.formers());
        if formers.len() >= limits::FORMER_CONNECTIONS {
            formers.remove(1);
        }
        formers.push(self.session_id(key));
        Some(Legacy {
            app: profile.identity.app,
            user: profile.identity.user.clone(),
            channels: named.filter_map(|it| name(it.local)).collect(),
            meta: profile.meta(),
            formers,
        })
    }

    /// Keeps what a session leaves behind, if it may be continued.
    pub(crate) fn leave_behind(&mut self, key: ConnectionKey, reason: DisconnectReason) {
        let resumes = match reason {
            DisconnectReason::Server(close) => resumable(close),
            // A page that is reloaded closes its socket properly and comes back.
            DisconnectReason::Closed | DisconnectReason::Lost => true,
            DisconnectReason::Violation => false,
        };
        let open = self.sessions.get(key).is_some_and(|session| matches!(session.phase, Phase::Open));
        if resumes
            && open
            && let Some(legacy) = self.legacy_of(key)
        {
            self.waiting.put(self.now.time, key, legacy, None);
        }
    }

    /// The answer for a new connection, which may want to listen to as many channels as one command may ask for.
    pub(crate) fn handle_taken_over(&mut self, taken: TakenOver) {
        self.taken.push_back(taken);
        self.settle_taken();
    }

    /// Goes on with connections whose former session has been found, as far as credits go.
    pub(crate) fn settle_taken(&mut self) {
        while self.peers.can_ask()
            && let Some(taken) = self.taken.pop_front()
        {
            self.go_on_as(taken);
        }
    }

    /// The new connection goes on as that session, or begins one of its own.
    fn go_on_as(&mut self, taken: TakenOver) {
        let key = taken.connection;
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Phase::Connecting(connecting) = &mut session.phase else { return };
        connecting.taking_over = false;
        let own = connecting.own.take();
        let channels = taken.legacy.as_ref().map(|legacy| legacy.channels.clone());
        if let Some(legacy) = taken.legacy {
            connecting.resumed = true;
            let former = legacy.formers.last().copied();
            let extras = session.profile.extras_mut();
            extras.formers = legacy.formers;
            extras.meta = extras.meta.take().or(legacy.meta);
            if let Some(former) = former {
                self.tell(key, |connection, sequence, user| Lifecycle::Resumed { connection, former, sequence, user });
            }
        }
        if let Some(own) = own {
            self.begin_own(key, own);
        }
        channels.iter().flat_map(|names| names.iter()).for_each(|name| self.begin_restored(key, name.clone()));
        self.note_answer(key);
    }

    /// A channel of the former connection that this one has not listed itself.
    fn begin_restored(&mut self, key: ConnectionKey, name: ChannelName) {
        if !matches!(self.may_subscribe(key, &name), Ok(None)) {
            return;
        }
        let channel = ChannelKey::named(self.app_of(key), name.clone());
        let fingerprint = channel.fingerprint();
        let Phase::Connecting(connecting) = &mut self.sessions.at_mut(key.slot).phase else { return };
        // A channel that was listed and refused must not begin somewhere else instead.
        let refused =
            |it: &Option<Result<_, Rejection>>| matches!(it, Some(Err(no)) if no.channel.as_ref() == Some(&channel));
        if connecting.outcomes.iter().any(refused) {
            return;
        }
        // What its cursor does not name had no room there, or began after it: either way the client has missed what came since.
        let start = connecting.positions.as_ref().map_or(Start::Now, |groups| {
            let known = groups.iter().find_map(|group| group.position(fingerprint));
            Start::Since(known.unwrap_or_else(Position::unknown))
        });
        connecting.outcomes.push(None);
        let index = u32::try_from(connecting.outcomes.len() - 1).expect("bounded by the channels of a connection");
        self.begin_named(key, index, Subscribe { listen: Listen::Named(name), start });
    }

    /// The name a session publishes under and is excluded by: its first connection's.
    pub(crate) fn session_name(&self, key: ConnectionKey) -> ConnectionId {
        let first = self.sessions.get(key).and_then(|session| session.profile.formers().first().copied());
        first.unwrap_or_else(|| self.session_id(key))
    }
}
