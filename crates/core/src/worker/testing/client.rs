//! A client: what it has sent and not yet been heard with, what lies in its socket, and what it has read.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use super::streams::{Facts, Streams};
use crate::command::Connect;
use crate::consumers::Delivery;
use crate::cursor::CursorPositions;
use crate::event::Connected;
use crate::frame::{Dialect, Frame};
use crate::history::Rest;
use crate::id::{AppId, ChannelKey, ConnectionId, ConnectionKey, ConsumerName, UserId};
use crate::position::{Offset, Start};
use crate::publish::PublishResult;
use crate::record::Record;
use crate::rejection::Close;
use crate::worker::Input;

/// Where a connection stands as its engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// Core has said the last word; once that is written the session ends.
    Closing(Close),
    Gone,
}

/// What one write brought: a frame, and the cursor that closes its block.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) frame: Rc<Frame>,
    pub(crate) cursor: Option<CursorPositions>,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) worker: usize,
    pub(crate) key: ConnectionKey,
    pub(crate) id: ConnectionId,
    pub(crate) dialect: Dialect,
    pub(crate) app: AppId,
    pub(crate) user: Option<UserId>,
    /// On their way to the worker.
    pub(crate) inputs: VecDeque<Input>,
    /// Written and not yet read.
    pub(crate) socket: VecDeque<Arrival>,
    /// Frames that fit into the socket.
    pub(crate) socket_max: usize,
    /// The worker has more than fits.
    pub(crate) blocked: bool,
    /// The worker has stopped reading it, until it finds everything written.
    pub(crate) paused: bool,
    /// Whether it reads by itself whenever the node comes to rest.
    pub(crate) reads: bool,
    /// Whether its WebSocket library answers Ping.
    pub(crate) answers: bool,
    pub(crate) stage: Stage,
    /// Its end of the connection is gone.
    pub(crate) lost: bool,
    /// Lines of what it has read and nobody has looked at.
    pub(crate) journal: VecDeque<String>,
    pub(crate) streams: Streams,
    /// Starts of its subscriptions, by the number of the command.
    pub(crate) asked: BTreeMap<u64, Start>,
    /// Starts of the subscriptions of its `connect`.
    pub(crate) asked_first: BTreeMap<ChannelKey, Start>,
    /// What its URL said.
    pub(crate) first: Connect,
    /// It has subscribed without a number, so nobody tells it where that begins.
    pub(crate) unnumbered: bool,
    /// The application has unsubscribed it from something, which its cursor may say before the frame that tells it.
    pub(crate) steered: bool,
    /// The cursor of the last block it has read whole.
    pub(crate) cursor: Option<CursorPositions>,
    /// Connections of the session it has asked to continue.
    pub(crate) formers: Vec<ConnectionId>,
    pub(crate) connected: bool,
    /// The cursor of the last page of history it has read.
    pub(crate) next: Option<Rest>,
    /// What became of its publishes, by their number.
    pub(crate) results: Vec<(u64, PublishResult)>,
    /// Payloads of ephemeral messages it has read.
    pub(crate) signals: Vec<Arc<Record>>,
    /// Numbers of commands that were answered with nothing but yes.
    pub(crate) done: Vec<u64>,
    /// Deliveries of consumers it has read, with their attempt.
    pub(crate) deliveries: Vec<(ConsumerName, Arc<Record>, u8)>,
    /// Messages written to its socket, read or not.
    pub(crate) messages_written: u64,
    /// Offsets in excluded gaps that were written to its socket.
    pub(crate) excluded_written: u64,
}

impl Client {
    pub(crate) fn is_sse(&self) -> bool {
        self.dialect.is_sse()
    }

    pub(crate) fn space(&self) -> usize {
        if self.lost { 0 } else { self.socket_max.saturating_sub(self.socket.len()) }
    }

    pub(super) fn begin(&mut self, connected: &Connected, by_call: bool, facts: Facts<'_>) {
        assert!(!self.connected, "connected twice");
        self.connected = true;
        for subscribed in connected.subscriptions.iter().flatten() {
            self.streams.begin(subscribed, self.asked_first.get(&subscribed.channel), by_call, facts);
        }
        let own = self.user.clone().map(|user| ChannelKey::user(self.app, user));
        for channel in [Some(ChannelKey::everyone(self.app)), own].into_iter().flatten() {
            let head = facts.log.head(&channel);
            self.streams.set_floor(channel, head);
        }
    }

    /// It has got messages of its inbox, and says so.
    pub(super) fn answer_probe(&mut self, offset: Offset) {
        self.inputs.push_back(Input::Received { connection: self.key });
        self.inputs.push_back(Input::Pong { connection: self.key, offset });
    }

    pub(super) fn take_delivery(&mut self, delivery: &Delivery) {
        self.deliveries.push((delivery.consumer.clone(), delivery.record.clone(), delivery.attempt));
    }
}
