//! Lists: pages that walk the workers in order.
//!
//! A cursor is a worker and a place in its table, in letters that mean nothing to anybody else. What comes or goes while somebody
//! pages may be missed or seen; what stays is seen once. A page of a filtered list may be short, even empty, although more follow:
//! only `next` tells.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use realtime_connector_core::id::WorkerId;
use realtime_connector_core::rejection::Rejection;
use realtime_connector_core::worker::{Answer, Call};
use serde::Serialize;
use utoipa::ToSchema;

use super::params::Params;
use crate::app::App;

/// Calls that one page makes at most. As many as there may be workers, so that a page of a small node is complete.
const CALLS_MAX: usize = 64;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// The cursor of the next page; `null` at the end.
    pub(super) next: Option<String>,
}

/// Which list a cursor belongs to, so that one of another list is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum List {
    Connections = 1,
    Channels = 2,
}

/// Items of a worker's page, and where its next one begins.
type Taken<T> = (Vec<T>, Option<u32>);

/// How to ask a worker, and what came back.
pub(super) struct Source<C, T> {
    pub(super) list: List,
    /// The call for at most so many items from a place on.
    pub(super) call: C,
    /// The items of the answer, and the place where the next ones begin.
    pub(super) take: fn(Answer) -> Option<Taken<T>>,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    worker: u8,
    place: u32,
}

impl Cursor {
    const BYTES: usize = 6;

    fn spell(self, list: List) -> String {
        let mut bytes = [list as u8, self.worker, 0, 0, 0, 0];
        bytes[2..].copy_from_slice(&self.place.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn parse(text: &str, list: List, workers: usize) -> Option<Self> {
        let bytes: [u8; Self::BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let [kind, worker, place @ ..] = bytes;
        let known = kind == list as u8 && usize::from(worker) < workers;
        known.then_some(Self { worker, place: u32::from_be_bytes(place) })
    }
}

/// Collects the page that `params` ask for.
///
/// # Errors
/// A `limit` or `cursor` that is none, and what a worker says.
pub(super) async fn collect<T, C>(app: &App, params: &Params, source: Source<C, T>) -> Result<Page<T>, Rejection>
where
    C: Fn(u32, usize) -> Call,
{
    let limit = params.limit()?;
    let workers = app.node.workers();
    let mut at = match params.get("cursor") {
        None => Cursor::default(),
        Some(cursor) => Cursor::parse(cursor, source.list, workers)
            .ok_or_else(|| Rejection::field("cursor", "must be the 'next' of a page of this list"))?,
    };
    let mut items = Vec::new();
    for _ in 0..CALLS_MAX {
        let answer = app.node.call(WorkerId(at.worker), (source.call)(at.place, limit - items.len())).await?;
        let (mut more, next) = (source.take)(answer).expect("a worker answers what it was asked");
        items.append(&mut more);
        at = match next {
            Some(place) => Cursor { place, ..at },
            None if usize::from(at.worker) + 1 < workers => Cursor { worker: at.worker + 1, place: 0 },
            None => return Ok(Page { items, next: None }),
        };
        if items.len() >= limit {
            break;
        }
    }
    Ok(Page { items, next: Some(at.spell(source.list)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        for at in [Cursor::default(), Cursor { worker: 3, place: 70_000 }, Cursor { worker: 63, place: u32::MAX }] {
            let text = at.spell(List::Connections);
            assert_eq!(Cursor::parse(&text, List::Connections, 64), Some(at));
            assert_eq!(Cursor::parse(&text, List::Channels, 64), None, "of another list");
        }
    }

    #[test]
    fn a_cursor_that_is_none_is_refused() {
        let beyond = Cursor { worker: 2, place: 0 }.spell(List::Channels);
        assert_eq!(Cursor::parse(&beyond, List::Channels, 2), None, "there is no third worker");
        for garbage in ["", "0", "AgAAAAAA0", "AgAAAAA=", "AgAAAAA", "********", "ÄÖÜ", &"A".repeat(10_000)] {
            assert_eq!(Cursor::parse(garbage, List::Channels, 64), None, "{garbage}");
        }
    }
}
