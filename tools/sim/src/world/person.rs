//! A person: who they are, what they listen to, and what they wait for.

use std::collections::{BTreeMap, BTreeSet};

use realtime_connector_core::command::Publish;
use realtime_connector_core::consumers::Membership;
use realtime_connector_core::id::{ChannelKey, ChannelName, ConnectionId, UserId};
use realtime_connector_core::position::{Offset, Position};
use realtime_connector_wire::cursor::Cursor;

use super::consuming::{Held, Saying};
use crate::checker::Heard;
use crate::node::LinkId;

/// Deliveries that somebody keeps in mind.
const MIND_MAX: usize = 60;

/// How somebody reaches a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A WebSocket; the client knows its positions.
    WebSocket,
    /// A browser's `EventSource`, which knows a cursor and its URL.
    EventSource,
    /// An event stream opened by POST; the client knows its positions.
    Posted,
    /// A server with an API key, which has no connection.
    Api,
}

/// What somebody listens to.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Its journal, once it is known where it begins.
    pub(crate) journal: Option<usize>,
    /// Everything up to here was read.
    pub(crate) position: Option<Position>,
    /// Where the present connection was asked to go on.
    pub(crate) since: Option<Position>,
    /// What the disk did not keep any more when it was asked to go on there.
    pub(crate) floor: Offset,
    /// What came before the answer that says where it begins: on an event stream frames may overtake it.
    pub(crate) early: Vec<(Heard, Position)>,
    /// Subscribed anew by POST: what comes of the stretch up to here belongs to the subscription before.
    pub(crate) begins_after: Option<Position>,
    /// A cursor has named it, or had to. Until then a cut makes an `EventSource` begin again at the head.
    pub(crate) is_named: bool,
    /// Nobody knew its place when the present connection began, which is told as loss.
    pub(crate) is_unknown: bool,
    /// It was subscribed by POST, so that no URL names it.
    pub(crate) by_post: bool,
}

/// A message that is tried until its fate is known, or given up.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) channel: ChannelKey,
    pub(crate) publish: Publish,
    pub(crate) begun_us: u64,
    /// May be sent again: it has an id, and its publisher a name that lasts.
    pub(crate) repeats: bool,
}

/// What an answer is waited for.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    Connect,
    Publish(Box<Attempt>),
    Subscribe(ChannelKey),
    Unsubscribe(ChannelKey),
    History(ChannelKey, u32),
    /// Messages up to here are to be removed.
    Purge,
    /// Messages of a durable consumer.
    Consume(ChannelKey, Membership),
    /// The same without a connection.
    Take(ChannelKey, Membership),
    /// What became of deliveries.
    Saying(Box<Saying>),
    /// The past of a channel, page by page, at the end.
    Walk,
    Other,
}

/// Somebody.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) node: usize,
    pub(crate) kind: Kind,
    pub(crate) user: Option<UserId>,
    /// Shows a token in its first frame instead of the handshake.
    pub(crate) by_token: bool,
    /// Sends messages without waiting for the answers before.
    pub(crate) pipelines: bool,
    /// Channels in the URL of an `EventSource`.
    pub(crate) url: Vec<ChannelName>,
    pub(crate) link: Option<LinkId>,
    pub(crate) is_connected: bool,
    /// Its connections, the newest one last.
    pub(crate) ids: Vec<ConnectionId>,
    /// Whether the session of the last one may be continued.
    pub(crate) resumes: bool,
    pub(crate) cursor: Option<Vec<u8>>,
    pub(crate) views: BTreeMap<ChannelKey, View>,
    /// Where it was in channels that it has left.
    pub(crate) left: BTreeMap<ChannelKey, Position>,
    /// Channels it has left, until the server has said so.
    pub(crate) leaving: BTreeSet<ChannelKey>,
    /// With the connection that each was sent on; `None` for calls of a server.
    pub(crate) pending: BTreeMap<u64, (Option<LinkId>, Pending)>,
    pub(crate) next_reference: u64,
    /// To be sent again.
    pub(crate) again: Option<Box<Attempt>>,
    /// Counts the names under which it publishes: a message that was given up may still come, in any order.
    pub(crate) generation: u32,
    pub(crate) seq: u64,
    pub(crate) slow_until_us: u64,
    /// What its last connection was told at its end: it shall not come back as the same.
    pub(crate) begins_anew: bool,
    /// The consumers that its connection takes messages of.
    pub(crate) consuming: Vec<(ChannelKey, Membership)>,
    /// What it was handed and may speak of, also late and twice.
    pub(crate) in_mind: Vec<Held>,
}

impl Person {
    pub(crate) fn new(name: String, node: usize, kind: Kind, user: Option<UserId>) -> Self {
        Self {
            name,
            node,
            kind,
            user,
            by_token: false,
            pipelines: false,
            url: Vec::new(),
            link: None,
            is_connected: false,
            ids: Vec::new(),
            resumes: true,
            cursor: None,
            views: BTreeMap::new(),
            left: BTreeMap::new(),
            leaving: BTreeSet::new(),
            pending: BTreeMap::new(),
            next_reference: 0,
            again: None,
            generation: 0,
            seq: 0,
            slow_until_us: 0,
            begins_anew: false,
            consuming: Vec::new(),
            in_mind: Vec::new(),
        }
    }

    /// The name under which it publishes now.
    pub(crate) fn publisher(&self) -> String {
        format!("{}.{}", self.name, self.generation)
    }

    /// What is longest in mind is forgotten first.
    pub(crate) fn keep_in_mind(&mut self, held: Held) {
        if self.in_mind.len() == MIND_MAX {
            self.in_mind.remove(0);
        }
        self.in_mind.push(held);
    }

    pub(crate) fn reference(&mut self) -> u64 {
        self.next_reference += 1;
        self.next_reference
    }

    pub(crate) fn id(&self) -> Option<ConnectionId> {
        self.ids.last().copied()
    }

    /// The position in a channel that its cursor names.
    pub(crate) fn cursor_position(&self, channel: &ChannelKey) -> Option<Position> {
        Cursor::decode(self.cursor.as_ref()?)?.position(channel.fingerprint())
    }

    /// Whether an answer about a channel, or a message, is still waited for.
    pub(crate) fn waits_for_publish(&self) -> bool {
        self.pending.values().any(|(_, pending)| matches!(pending, Pending::Publish(_)))
    }

    pub(crate) fn waits_for_channel(&self, channel: &ChannelKey) -> bool {
        self.pending.values().any(|(_, pending)| match pending {
            Pending::Subscribe(it) | Pending::Unsubscribe(it) => it == channel,
            Pending::Connect | Pending::Publish(_) | Pending::History(..) => false,
            Pending::Consume(..) | Pending::Take(..) | Pending::Saying(_) => false,
            Pending::Purge | Pending::Walk | Pending::Other => false,
        })
    }
}
