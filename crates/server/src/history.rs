//! Messages of the past. The same as `GET /api/history`, as Rust.

use realtime_connector_core::command::Target as CoreTarget;
use realtime_connector_core::history::{Direction, HistoryPage as CorePage, Query, Rest, Span};
use realtime_connector_core::id::{AppId, ChannelKey, MessageId};
use realtime_connector_core::limits::{HISTORY_PAGE, HISTORY_PAGE_MAX};
use realtime_connector_core::position::{Epoch, Gap, Position};
use realtime_connector_core::record::Record;
use realtime_connector_core::rejection::Rejection;
use realtime_connector_core::time::UnixMs;
use serde_json::Value;

pub use realtime_connector_core::history::At;

use crate::message::value_of;

/// Which messages of the past: a stretch, an order, and how many at most.
///
/// ```
/// use realtime_connector::{At, HistoryQuery, UnixMs};
///
/// let last_20 = HistoryQuery::newest().limit(20);
/// let since_noon = HistoryQuery::since(At::Time(UnixMs(1_795_478_400_000)));
/// # let _ = (last_20, since_noon);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a question does nothing until it is asked"]
pub struct HistoryQuery(Query);

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryCursor(Rest);

impl HistoryQuery {
    /// All that is kept, newest first.
    pub const fn newest() -> Self {
        Self::of(Span::All(Direction::Backward))
    }

    /// All that is kept, oldest first.
    pub const fn oldest() -> Self {
        Self::of(Span::All(Direction::Forward))
    }

    /// What came after this message or position, or at this time and later, oldest first.
    pub const fn since(at: At) -> Self {
        Self::of(Span::Since(at, Direction::Forward))
    }

    /// What came up to this message, position or time, included, newest first.
    pub const fn until(at: At) -> Self {
        Self::of(Span::Until(at, Direction::Backward))
    }

    /// Some messages before this place and some after it, oldest first.
    pub const fn around(at: At) -> Self {
        Self::of(Span::Around(at))
    }

    /// What an earlier page has left over.
    pub fn next(cursor: HistoryCursor) -> Self {
        Self::of(Span::Rest(cursor.0))
    }

    /// Messages of a page, at most 1,000; 100 without it.
    pub fn limit(self, limit: u32) -> Self {
        Self(Query { limit: limit.clamp(1, HISTORY_PAGE_MAX), ..self.0 })
    }

    /// Oldest first. Where a place is in the middle, and in a next page, the order is given.
    pub fn oldest_first(self) -> Self {
        self.directed(Direction::Forward)
    }

    /// Newest first. Where a place is in the middle, and in a next page, the order is given.
    pub fn newest_first(self) -> Self {
        self.directed(Direction::Backward)
    }

    fn directed(self, direction: Direction) -> Self {
        let span = match self.0.span {
            Span::All(_) => Span::All(direction),
            Span::Since(at, _) => Span::Since(at, direction),
            Span::Until(at, _) => Span::Until(at, direction),
            span @ (Span::Around(_) | Span::Rest(_)) => span,
        };
        Self(Query { span, ..self.0 })
    }

    const fn of(span: Span) -> Self {
        Self(Query { span, limit: HISTORY_PAGE })
    }

    pub(crate) fn into_core(self) -> Query {
        self.0
    }
}

/// One page of history.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HistoryPage {
    /// In the order that was asked for.
    pub messages: Vec<HistoryMessage>,
    /// The newest position this page covers: a subscription since here goes on without a hole.
    pub position: Position,
    /// For [`HistoryQuery::next`]; `None` at the end. A page may have few messages, or none, and still have a next one.
    pub next: Option<HistoryCursor>,
    /// What was asked for and is not kept any more.
    pub gap: Option<Gap>,
}

/// A message as it is kept.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HistoryMessage {
    /// Its place in the order of its channel.
    pub position: Position,
    /// Its id.
    pub id: MessageId,
    /// When the channel took it.
    pub time: UnixMs,
    /// Which user published it; `None` for the application and for whoever has no name.
    pub user_id: Option<String>,
    /// What kind of event it is.
    pub event_type: String,
    /// What it says.
    pub data: Value,
    /// What groups it with others.
    pub key: Option<String>,
    /// Context that is not content.
    pub meta: Option<Value>,
}

impl HistoryPage {
    pub(crate) fn of(page: CorePage) -> Self {
        Self {
            messages: page.records.iter().map(|record| HistoryMessage::of(record)).collect(),
            position: page.position,
            next: page.next.map(HistoryCursor),
            gap: page.gap,
        }
    }

    /// The past of a connector that sends nothing.
    pub(crate) fn empty() -> Self {
        let position = Position { epoch: Epoch::none(), offset: 0 };
        Self { messages: Vec::new(), position, next: None, gap: None }
    }
}

impl HistoryMessage {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            position: Position { epoch: record.epoch.clone(), offset: record.offset.unwrap_or_default() },
            id: record.id.clone(),
            time: record.time,
            user_id: record.user.as_ref().map(ToString::to_string),
            event_type: record.event_type.to_string(),
            data: value_of(&record.data).unwrap_or_default(),
            key: record.key.as_ref().map(ToString::to_string),
            meta: record.meta.as_ref().and_then(|meta| value_of(meta)),
        }
    }
}

/// The channel whose past is asked for.
pub(crate) fn channel(target: CoreTarget) -> Result<ChannelKey, Rejection> {
    let app = AppId::default();
    match target {
        CoreTarget::Everyone => Ok(ChannelKey::everyone(app)),
        CoreTarget::Channel(name) => Ok(ChannelKey::named(app, name)),
        CoreTarget::User(user) => Ok(ChannelKey::user(app, user)),
        CoreTarget::UserInChannel { .. } => {
            Err(Rejection::field("userId", "must not stand beside 'channel': such messages are not kept"))
        }
    }
}
