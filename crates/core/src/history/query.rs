//! Questions about the past of a channel, and the stretch of offsets each one means.
//!
//! - A question means a window `(after, until]` of offsets and a direction; an answer takes messages from the window's near end,
//!   and its cursor is the rest of the window. So paging never repeats and never skips, whatever is published meanwhile.
//! - Times and ids are turned into offsets first, by whoever keeps the records.
//! - What lies below the floor is gone: a gap says so, like for a subscription.

use std::sync::Arc;

use crate::id::MessageId;
use crate::position::{Epoch, Gap, GapReason, Offset, Position};
use crate::record::Record;
use crate::time::UnixMs;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// About which stretch.
    pub span: Span,
    /// Messages in one answer, at most; 1 to [`crate::limits::HISTORY_PAGE_MAX`].
    pub limit: u32,
}

/// The stretch a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// All that is kept.
    All(Direction),
    /// What came after this message, or at this time and later.
    Since(At, Direction),
    /// What came up to this message or time, both included.
    Until(At, Direction),
    /// Some messages before and some after, oldest first.
    Around(At),
    /// What an earlier answer has left over.
    Rest(Rest),
}

/// A place in the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// By position.
    Position(Position),
    /// By the id of a message.
    Id(MessageId),
    /// By time.
    Time(UnixMs),
}

/// In which order messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// The rest of a window: the cursor of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The log's life.
    pub epoch: Epoch,
    /// Offsets above this one …
    pub after: Offset,
    /// … up to this one.
    pub until: Offset,
    /// In this order.
    pub direction: Direction,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPage {
    /// In the order that was asked for.
    pub records: Vec<Arc<Record>>,
    /// The newest offset this page covers: a subscription since here goes on without a hole.
    pub position: Position,
    /// For the next page; `None` at the end.
    pub next: Option<Rest>,
    /// What is not there any more.
    pub gap: Option<Gap>,
}

/// What a home knows about its channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent<'a> {
    pub(crate) epoch: &'a Epoch,
    pub(crate) head: Offset,
    pub(crate) floor: Offset,
    /// The newest offset that was removed on purpose.
    pub(crate) purged: Offset,
    /// The offset before the first one there ever was.
    pub(crate) origin: Offset,
}

impl Extent<'_> {
    /// What belongs to a question that begins after this offset, and cannot be got any more.
    fn missing_after(&self, offset: Offset) -> Option<Gap> {
        let reason = if self.floor <= self.purged { GapReason::Purged } else { GapReason::Window };
        (offset < self.floor).then_some(Gap { range: Some((offset + 1, self.floor)), reason })
    }
}

/// The offsets a question means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) after: Offset,
    pub(crate) until: Offset,
    pub(crate) direction: Direction,
    pub(crate) gap: Option<Gap>,
}

impl Query {
    /// The place that must be found among the records before the window is known.
    pub(crate) fn place(&self) -> Option<At> {
        match &self.span {
            // What comes after the last one that belongs to the window.
            Span::Until(At::Time(time), _) => Some(At::Time(UnixMs(time.0.saturating_add(1)))),
            Span::Since(at @ (At::Id(_) | At::Time(_)), _)
            | Span::Until(at @ At::Id(_), _)
            | Span::Around(at @ (At::Id(_) | At::Time(_))) => Some(at.clone()),
            Span::Since(At::Position(_), _)
            | Span::Until(At::Position(_), _)
            | Span::Around(At::Position(_))
            | Span::All(_)
            | Span::Rest(_) => None,
        }
    }

    /// Where the question names its place.
    pub(crate) const fn place_field(&self) -> Option<&'static str> {
        match &self.span {
            Span::Since(..) => Some("since"),
            Span::Until(..) => Some("until"),
            Span::Around(..) => Some("around"),
            Span::All(_) | Span::Rest(_) => None,
        }
    }

    /// The window. `found` is the offset of [`Query::place`]: the message itself, or the first one at that time or later.
    pub(crate) fn window(&self, extent: Extent<'_>, found: Option<Offset>) -> Window {
        let Extent { head, floor, .. } = extent;
        let all = |direction| Window { after: floor, until: head, direction, gap: None };
        let first_at = found.unwrap_or(head + 1);
        match &self.span {
            Span::All(direction) => all(*direction),
            Span::Since(At::Position(position), direction) => Self::since(position, extent, *direction),
            Span::Since(At::Id(_), direction) => Window { after: first_at.min(head).max(floor), ..all(*direction) },
            Span::Since(At::Time(_), direction) => Window { after: (first_at - 1).max(floor), ..all(*direction) },
            Span::Until(At::Position(position), direction) => {
                let comparable = position.epoch == *extent.epoch && position.offset <= head;
                let until = if comparable { position.offset } else { head };
                let gap = (!comparable).then_some(Gap { range: None, reason: GapReason::Epoch });
                Window { until: until.max(floor), gap, ..all(*direction) }
            }
            Span::Until(At::Id(_), direction) => Window { until: first_at.min(head), ..all(*direction) },
            Span::Until(At::Time(_), direction) => {
                Window { until: (first_at - 1).clamp(floor, head), ..all(*direction) }
            }
            Span::Around(At::Position(position)) => {
                let comparable = position.epoch == *extent.epoch && position.offset <= head;
                let gap = (!comparable).then_some(Gap { range: None, reason: GapReason::Epoch });
                Window { gap, ..self.around(if comparable { position.offset } else { head }, extent) }
            }
            Span::Around(At::Id(_) | At::Time(_)) => self.around(first_at.min(head), extent),
            Span::Rest(rest) if rest.epoch == *extent.epoch => {
                let after = rest.after.max(floor);
                let gap = match rest.direction {
                    Direction::Forward => extent.missing_after(rest.after),
                    Direction::Backward => None,
                };
                Window { after, until: rest.until.clamp(after, head.max(after)), direction: rest.direction, gap }
            }
            Span::Rest(rest) => {
                Window { gap: Some(Gap { range: None, reason: GapReason::Epoch }), ..all(rest.direction) }
            }
        }
    }

    fn since(position: &Position, extent: Extent<'_>, direction: Direction) -> Window {
        let Extent { epoch, head, floor, origin, .. } = extent;
        let comparable = position.epoch == *epoch && position.offset <= head;
        let gap = if comparable {
            // "Before the first" is a place of its own: a memory channel may begin above 1.
            extent.missing_after(if position.offset == 0 { origin } else { position.offset })
        } else {
            Some(Gap { range: None, reason: GapReason::Epoch })
        };
        let after = if comparable { position.offset.max(floor) } else { floor };
        Window { after, until: head, direction, gap }
    }

    fn around(&self, middle: Offset, extent: Extent<'_>) -> Window {
        let limit = u64::from(self.limit);
        let after = middle.saturating_sub(limit / 2 + 1).max(extent.floor);
        let until = (after + limit).min(extent.head).max(after);
        Window { after, until, direction: Direction::Forward, gap: None }
    }
}
