//! Durable consumers, as Rust: take messages of a channel, and say what became of them.

use std::time::Duration;

use realtime_connector_core::acks::{AckOutcome, Which};
use realtime_connector_core::consumers::{Done, From, Membership, Order, Taken, Terms};
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, ConsumerName};
use realtime_connector_core::limits::{
    ACK_DELAY_MAX, ACK_REASON_BYTES_MAX, ACK_WAIT_MAX, ACK_WAIT_MIN, DEAD_LETTERS_MAX, PENDING_MAX, TAKE_WAIT_MAX,
};
use realtime_connector_core::position::{Epoch, Gap, Position};
use realtime_connector_core::rejection::{Rejection, RejectionKind};

pub use realtime_connector_core::consumers::{ConsumerInfo, DeadLetter, From as ConsumeFrom};

use crate::handle::RealtimeConnector;
use crate::history::HistoryMessage;
use crate::runtime;

/// A durable consumer of a channel, or a member of a group of them. Made by [`RealtimeConnector::consumer`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use realtime_connector::{Config, ConsumeFrom, Message, Target, create_realtime_connector};
///
/// let rc = create_realtime_connector(Config::default()).await?;
/// let worker = rc.consumer("orders", "worker-1")?.in_group("billing")?.from(ConsumeFrom::All);
/// rc.broadcast(Message::new("order.created", 4711), Target::channel("orders")).await?;
///
/// let taken = worker.take(10, Duration::from_secs(30)).await?;
/// for delivery in &taken.deliveries {
///     match delivery.message.data.as_u64() {
///         Some(_) => worker.done(delivery).await?,
///         None => worker.dead(delivery, "an order has a number").await?,
///     }
/// }
/// assert_eq!(taken.deliveries.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Consumer {
    connector: RealtimeConnector,
    channel: ChannelKey,
    member: Membership,
    terms: Terms,
}

/// What [`Consumer::take`] has brought.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Deliveries {
    /// Each has to be acked; empty if there was nothing in time.
    pub deliveries: Vec<Delivery>,
    /// Everything up to here is done.
    pub position: Position,
    /// What the log has lost before this consumer got it.
    pub gap: Option<Gap>,
}

/// A message that has to be acked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// Which delivery of this message it is; the first one is 1.
    pub attempt: u8,
    /// The message.
    pub message: HistoryMessage,
}

impl Consumer {
    pub(crate) fn new(connector: RealtimeConnector, channel: &str, name: &str) -> Result<Self, Rejection> {
        let channel = named(channel)?;
        let member = Membership { consumer: consumer_name("consumer", name)?, group: None };
        let terms = Terms { pending_max: PENDING_MAX, ..Terms::default() };
        Ok(Self { connector, channel, member, terms })
    }

    /// As a member of this group, whose members compete: each message goes to one of them.
    ///
    /// # Errors
    /// A name that is none.
    pub fn in_group(mut self, group: &str) -> Result<Self, Rejection> {
        self.member.group = Some(consumer_name("group", group)?);
        Ok(self)
    }

    /// Where the consumer begins, if it does not exist yet; with the next message if this is not said.
    #[must_use]
    pub fn from(mut self, from: From) -> Self {
        self.terms.from = from;
        self
    }

    /// The time to ack a delivery, 1 s to 12 h; 30 s if this is not said.
    #[must_use]
    pub fn ack_wait(mut self, wait: Duration) -> Self {
        self.terms.ack_wait = wait.clamp(ACK_WAIT_MIN, ACK_WAIT_MAX);
        self
    }

    /// Takes up to `limit` messages (1 to 1,000); where there is none it waits for some, up to 30 s.
    ///
    /// # Errors
    /// What a client would be told: a name that another kind of consumer has, too many consumers, a store that does not answer.
    pub async fn take(&self, limit: u32, wait: Duration) -> Result<Deliveries, Rejection> {
        let (limit, wait) = (limit.clamp(1, PENDING_MAX), wait.min(TAKE_WAIT_MAX));
        let order = Order::Take { member: self.member.clone(), terms: self.terms.clone(), limit, wait };
        let Done::Taken(taken) = self.order(order).await? else { return Ok(Deliveries::none()) };
        Ok(Deliveries::of(taken))
    }

    /// The message needs not come again. When this returns, that is as safe as the channel's messages.
    ///
    /// # Errors
    /// `Conflict` if another member has it by now, `Unavailable` and the like if it could not be noted: then it can be said again.
    pub async fn done(&self, delivery: &Delivery) -> Result<(), Rejection> {
        self.ack(delivery, AckOutcome::Done).await
    }

    /// The message has to come again: after this time (at most a day), or after the pause of its attempt.
    ///
    /// # Errors
    /// As [`Consumer::done`].
    pub async fn retry(&self, delivery: &Delivery, after: Option<Duration>) -> Result<(), Rejection> {
        let delay = after.map(|after| after.min(ACK_DELAY_MAX));
        self.ack(delivery, AckOutcome::Retry { delay }).await
    }

    /// The message will never succeed: it becomes a dead letter, with a reason of at most 256 bytes.
    ///
    /// # Errors
    /// As [`Consumer::done`].
    pub async fn dead(&self, delivery: &Delivery, reason: &str) -> Result<(), Rejection> {
        if reason.len() > ACK_REASON_BYTES_MAX {
            let message = format!("must be at most {ACK_REASON_BYTES_MAX} bytes, is {}", reason.len());
            return Err(Rejection::new(RejectionKind::TooLarge, message).at("reason"));
        }
        self.ack(delivery, AckOutcome::Dead { reason: Some(reason.into()) }).await
    }

    /// The message is still being worked on: the time to ack it begins anew.
    ///
    /// # Errors
    /// As [`Consumer::done`].
    pub async fn progress(&self, delivery: &Delivery) -> Result<(), Rejection> {
        self.ack(delivery, AckOutcome::Progress).await
    }

    /// All that was delivered to this member up to here is done.
    ///
    /// # Errors
    /// As [`Consumer::done`].
    pub async fn done_up_to(&self, position: &Position) -> Result<(), Rejection> {
        self.settle(&position.epoch, Which::UpTo(position.offset), AckOutcome::Done).await
    }

    /// The messages this consumer (or its group) has given up, in the order of the channel; at most 1,000.
    ///
    /// # Errors
    /// `NotFound` while there is no such consumer.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Rejection> {
        let consumer = self.member.cursor().clone();
        let order = Order::DeadLetters { consumer, after: 0, limit: DEAD_LETTERS_MAX };
        let Done::DeadLetters(letters, _) = self.order(order).await? else { return Ok(Vec::new()) };
        Ok(letters)
    }

    /// Gives dead letters back, as if they had never been delivered: those at these offsets, or all. Returns how many.
    ///
    /// # Errors
    /// `NotFound` if one of them is no dead letter; then none is given back.
    pub async fn requeue(&self, offsets: Option<Vec<u64>>) -> Result<u32, Rejection> {
        let order = Order::Requeue { consumer: self.member.cursor().clone(), offsets };
        let Done::Requeued(count) = self.order(order).await? else { return Ok(0) };
        Ok(count)
    }

    async fn ack(&self, delivery: &Delivery, outcome: AckOutcome) -> Result<(), Rejection> {
        let position = &delivery.message.position;
        self.settle(&position.epoch, Which::Offsets(vec![position.offset]), outcome).await
    }

    async fn settle(&self, epoch: &Epoch, which: Which, outcome: AckOutcome) -> Result<(), Rejection> {
        let (member, epoch) = (self.member.clone(), Some(epoch.clone()));
        self.order(Order::Ack { member, epoch, which, outcome }).await.map(|_| ())
    }

    async fn order(&self, order: Order) -> Result<Done, Rejection> {
        ask(&self.connector, self.channel.clone(), order).await
    }
}

/// Asks the consumers of a channel; where nothing is sent there are none.
async fn ask(connector: &RealtimeConnector, channel: ChannelKey, order: Order) -> Result<Done, Rejection> {
    let Some(node) = connector.node() else { return Ok(Done::Nothing) };
    runtime::within(connector.runtime(), node.consumers(channel, order)).await
}

/// The consumers of a channel.
pub(crate) async fn list(connector: &RealtimeConnector, channel: &str) -> Result<Vec<ConsumerInfo>, Rejection> {
    let Done::List(items) = ask(connector, named(channel)?, Order::List).await? else { return Ok(Vec::new()) };
    Ok(items)
}

fn named(channel: &str) -> Result<ChannelKey, Rejection> {
    let name = ChannelName::parse(channel).map_err(|error| Rejection::name("channel", error))?;
    Ok(ChannelKey::named(AppId::default(), name))
}

fn consumer_name(field: &'static str, name: &str) -> Result<ConsumerName, Rejection> {
    ConsumerName::parse(name).map_err(|error| Rejection::name(field, error))
}

impl Deliveries {
    fn of(taken: Taken) -> Self {
        let deliveries =
            taken.deliveries.iter().map(|it| Delivery { attempt: it.attempt, message: HistoryMessage::of(&it.record) });
        Self { deliveries: deliveries.collect(), position: taken.position, gap: taken.gap }
    }

    fn none() -> Self {
        Self { deliveries: Vec::new(), position: Position { epoch: Epoch::none(), offset: 0 }, gap: None }
    }
}
