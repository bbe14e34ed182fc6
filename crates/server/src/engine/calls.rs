//! What the front asks of workers and waits for: calls about channels, connections, inboxes and consumers.

use std::time::Duration;

use realtime_connector_core::command::Command;
use realtime_connector_core::consumers::{Done, Order};
use realtime_connector_core::event::{Event, Subscribed};
use realtime_connector_core::history::{Query, Rest};
use realtime_connector_core::id::{ChannelKey, ChannelName, ConnectionId, WorkerId};
use realtime_connector_core::position::Position;
use realtime_connector_core::publish::{Draft, PublishResult};
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::worker::{Answer, Call, HistoryResult, InboxCall};

use super::Node;
use super::front::{FrontMessage, Place, Reply};

/// Services that may wait for messages of durable consumers: each holds a place among the calls of a worker, which has four times as many.
const POLLS_MAX: usize = 1_024;

impl Node {
    /// Publishes, and waits for the home's answer.
    pub(crate) async fn publish(&self, draft: Draft) -> PublishResult {
        let home = self.home(&draft.channel);
        let message = |reply| FrontMessage::Publish { draft: Box::new(draft), reply };
        match self.door(home).ask(message).await? {
            Reply::Answer(Answer::Published(result)) => result,
            Reply::Answer(_) | Reply::Event(_) => Err(bug()),
        }
    }

    /// Asks the home of a channel about its past.
    pub(crate) async fn history(&self, channel: ChannelKey, query: Query) -> HistoryResult {
        let home = self.home(&channel);
        let call = Call::History { channel, query };
        match self.door(home).ask(|reply| FrontMessage::Call { call, reply }).await? {
            Reply::Answer(Answer::History(result)) => result.map(|page| *page),
            Reply::Answer(_) | Reply::Event(_) => Err(bug()),
        }
    }

    /// Removes messages of a channel, up to a position or all of them.
    pub(crate) async fn purge(&self, channel: ChannelKey, through: Option<Position>) -> Result<Position, Rejection> {
        let home = self.home(&channel);
        match self.call(home, Call::Purge { channel, through }).await? {
            Answer::Purged(result) => result,
            Answer::Published(_)
            | Answer::History(_)
            | Answer::Inbox(_)
            | Answer::Consumers(_)
            | Answer::Connections { .. }
            | Answer::Connection(_)
            | Answer::Found(_)
            | Answer::Channels { .. }
            | Answer::Channel(_)
            | Answer::Figures(_) => Err(bug()),
        }
    }

    /// A page of what waits for a user.
    pub(crate) async fn list_inbox(&self, channel: ChannelKey, limit: u32, rest: Option<Rest>) -> HistoryResult {
        let home = self.home(&channel);
        let call = Call::Inbox { channel, call: InboxCall::List { limit, rest } };
        match self.door(home).ask(|reply| FrontMessage::Call { call, reply }).await? {
            Reply::Answer(Answer::History(result)) => result.map(|page| *page),
            Reply::Answer(_) | Reply::Event(_) => Err(bug()),
        }
    }

    /// Lets messages leave the inbox of a user.
    pub(crate) async fn change_inbox(&self, channel: ChannelKey, call: InboxCall) -> Result<(), Rejection> {
        let home = self.home(&channel);
        let call = Call::Inbox { channel, call };
        match self.door(home).ask(|reply| FrontMessage::Call { call, reply }).await? {
            Reply::Answer(Answer::Inbox(result)) => result,
            Reply::Answer(_) | Reply::Event(_) => Err(bug()),
        }
    }

    /// The place of one more service that waits for messages.
    fn take_poll(&self) -> Result<Place, Rejection> {
        Place::take(&self.polls, POLLS_MAX).ok_or_else(|| {
            let rejection = Rejection::new(RejectionKind::Overloaded, "too many services wait for messages");
            rejection.limit(POLLS_MAX as u64).retry_after_ms(1_000)
        })
    }

    /// Asks the consumers of a channel. Whoever takes messages may wait for them, which is bounded apart from all other calls.
    pub(crate) async fn consumers(&self, channel: ChannelKey, order: Order) -> Result<Done, Rejection> {
        let home = self.home(&channel);
        let wait = if let Order::Take { wait, .. } = &order { *wait } else { Duration::ZERO };
        let poll = if wait.is_zero() { None } else { Some(self.take_poll()?) };
        let call = Call::Consumers { channel, order };
        match self.door(home).ask_patiently(wait, poll, |reply| FrontMessage::Call { call, reply }).await? {
            Reply::Answer(Answer::Consumers(result)) => result,
            Reply::Answer(_) | Reply::Event(_) => Err(bug()),
        }
    }

    /// Calls a worker, for anything but [`Node::publish`] and [`Node::subscribe`].
    pub(crate) async fn call(&self, worker: WorkerId, call: Call) -> Result<Answer, Rejection> {
        match self.door(worker).ask(|reply| FrontMessage::Call { call, reply }).await? {
            Reply::Answer(answer) => Ok(answer),
            Reply::Event(_) => Err(bug()),
        }
    }

    /// Subscribes a connection on behalf of the application; `None` if nobody lives there.
    ///
    /// # Errors
    /// What the client would be told: more channels than it may have, overload.
    pub(crate) async fn subscribe(
        &self,
        connection: ConnectionId,
        channel: ChannelName,
    ) -> Result<Option<Box<Subscribed>>, Rejection> {
        let Some(worker) = self.worker_of(connection) else { return Ok(None) };
        let call = Call::Subscribe { connection: connection.key, channel };
        match self.door(worker).ask(|reply| FrontMessage::Call { call, reply }).await? {
            Reply::Event(Event::Subscribed { subscribed, .. }) => Ok(Some(subscribed)),
            Reply::Event(Event::Error { rejection, .. }) => Err(*rejection),
            Reply::Answer(Answer::Found(false)) => Ok(None),
            Reply::Event(_) | Reply::Answer(_) => Err(bug()),
        }
    }

    /// Carries out a command of a connection on behalf of its owner.
    pub(crate) async fn command(
        &self,
        connection: ConnectionId,
        command: Result<Command, Box<Rejection>>,
        reference: Option<u64>,
    ) -> Result<Event, Rejection> {
        let not_found = || Rejection::new(RejectionKind::NotFound, "no such connection");
        let worker = self.worker_of(connection).ok_or_else(not_found)?;
        let key = connection.key;
        let message = |reply| FrontMessage::Command { connection: key, command, reference, reply };
        match self.door(worker).ask(message).await? {
            Reply::Event(event) => Ok(event),
            Reply::Answer(_) => Err(bug()),
        }
    }
}

fn bug() -> Rejection {
    Rejection::new(RejectionKind::Internal, "a worker gave an answer of the wrong kind")
}
