//! What waits for a user. The same as `/api/inbox` and `/api/ack`, as Rust.

use realtime_connector_core::acks::Which;
use realtime_connector_core::history::{HistoryPage as CorePage, Rest};
use realtime_connector_core::id::{AppId, ChannelKey, UserId};
use realtime_connector_core::limits::{ACK_OFFSETS_MAX, HISTORY_PAGE_MAX};
use realtime_connector_core::position::Position;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::worker::InboxCall;

use crate::handle::RealtimeConnector;
use crate::history::HistoryMessage;
use crate::runtime;

/// The inbox of one user.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), realtime_connector::Error> {
/// use realtime_connector::{Config, Message, Target, create_realtime_connector};
///
/// let rc = create_realtime_connector(Config::default()).await?;
/// let sent = rc.broadcast(Message::new("reminder", "call back"), Target::user("ada")).await?;
/// assert!(sent.queued);
/// let inbox = rc.inbox("ada")?;
/// let page = inbox.list(10, None).await?;
/// assert_eq!((page.pending, &page.messages[0].data), (1, &"call back".into()));
/// inbox.ack(&[page.messages[0].position.clone()]).await?;
/// assert_eq!(inbox.list(10, None).await?.pending, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Inbox {
    connector: RealtimeConnector,
    channel: ChannelKey,
}

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxCursor(Rest);

/// One page of an inbox.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct InboxPage {
    /// Oldest first.
    pub messages: Vec<HistoryMessage>,
    /// Messages that wait, on this page or not.
    pub pending: u32,
    /// For the next call; `None` at the end.
    pub next: Option<InboxCursor>,
}

impl Inbox {
    pub(crate) fn of(connector: RealtimeConnector, user: &str) -> Result<Self, Rejection> {
        let user = UserId::parse(user).map_err(|error| Rejection::name("userId", error))?;
        Ok(Self { connector, channel: ChannelKey::user(AppId::default(), user) })
    }

    /// Messages that nobody has acked, at most 1,000 of them.
    ///
    /// # Errors
    /// `NotEnabled` without inboxes, overload, a store that does not answer.
    pub async fn list(&self, limit: u32, next: Option<InboxCursor>) -> Result<InboxPage, Rejection> {
        let Some(node) = self.connector.node() else { return Ok(InboxPage::default()) };
        let limit = limit.clamp(1, HISTORY_PAGE_MAX);
        let ask = node.list_inbox(self.channel.clone(), limit, next.map(|cursor| cursor.0));
        Ok(InboxPage::of(runtime::within(self.connector.runtime(), ask).await?))
    }

    /// These leave, for all of the user's devices; at most 1,000.
    ///
    /// # Errors
    /// `Conflict` for positions of different lives of the log, or of a former one; and as [`Inbox::list`].
    pub async fn ack(&self, positions: &[Position]) -> Result<(), Rejection> {
        let Some(first) = positions.first() else { return Ok(()) };
        if positions.len() > ACK_OFFSETS_MAX {
            let rejection = Rejection::new(RejectionKind::TooLarge, "too many positions at once");
            return Err(rejection.limit(ACK_OFFSETS_MAX as u64));
        }
        if positions.iter().any(|position| position.epoch != first.epoch) {
            return Err(Rejection::new(RejectionKind::Conflict, "these positions are of different epochs"));
        }
        let which = Which::Offsets(positions.iter().map(|position| position.offset).collect());
        self.change(InboxCall::Ack { epoch: Some(first.epoch.clone()), which }).await
    }

    /// Everything up to here leaves, for all of the user's devices.
    ///
    /// # Errors
    /// As [`Inbox::ack`].
    pub async fn ack_up_to(&self, position: Position) -> Result<(), Rejection> {
        let which = Which::UpTo(position.offset);
        self.change(InboxCall::Ack { epoch: Some(position.epoch), which }).await
    }

    /// Everything leaves.
    ///
    /// # Errors
    /// As [`Inbox::list`].
    pub async fn clear(&self) -> Result<(), Rejection> {
        self.change(InboxCall::Clear).await
    }

    async fn change(&self, call: InboxCall) -> Result<(), Rejection> {
        let Some(node) = self.connector.node() else { return Ok(()) };
        runtime::within(self.connector.runtime(), node.change_inbox(self.channel.clone(), call)).await
    }
}

impl InboxPage {
    fn of(page: CorePage) -> Self {
        Self {
            messages: page.records.iter().map(|record| HistoryMessage::of(record)).collect(),
            pending: page.pending.unwrap_or_default(),
            next: page.next.map(InboxCursor),
        }
    }
}
