//! Pages: what one reader gets at once, whether it comes from memory or from the log.

use std::sync::Arc;

use super::Block;
use crate::limits;
use crate::position::Offset;
use crate::record::Record;
use crate::time::Time;

/// Part of a catch-up.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Offsets that are lost: first and last.
    pub(crate) missing: Option<(Offset, Offset)>,
    /// In order. Offsets between them, and after the last one up to `reached`, were skipped on purpose.
    pub(crate) records: Vec<Arc<Record>>,
    /// The last offset covered.
    pub(crate) reached: Offset,
}

/// How much a page holds, and for when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageBounds {
    pub(crate) records_max: usize,
    /// What has expired by now is skipped.
    pub(crate) now: Time,
}

/// Where the records that a reader wants are.
#[derive(Debug)]
pub(crate) enum Found {
    /// Here they are.
    Here(Page),
    /// In the log, from this offset on.
    InLog { missing: Option<(Offset, Offset)>, from: Offset },
}

impl Page {
    /// A page of consecutive records that begin after `before` and reach up to `end` if all fit. Expired ones are skipped.
    pub(crate) fn of<'a>(
        records: impl Iterator<Item = &'a Arc<Record>>,
        missing: Option<(Offset, Offset)>,
        before: Offset,
        end: Offset,
        bounds: PageBounds,
    ) -> Self {
        let mut page = Self { missing, records: Vec::new(), reached: before };
        let mut bytes = 0;
        for record in records {
            if !record.is_expired(bounds.now) {
                bytes += record.cost() as usize;
                let full = page.records.len() >= bounds.records_max || bytes > limits::PAGE_BYTES;
                if full && !page.records.is_empty() {
                    return page;
                }
                page.records.push(record.clone());
            }
            page.reached = record.offset.unwrap_or(page.reached);
        }
        page.reached = end;
        page
    }

    /// A page out of a block that holds `next`. A damaged record is lost, and says so: it ends the page, or begins it.
    pub(crate) fn of_block(
        block: &Block,
        mut missing: Option<(Offset, Offset)>,
        next: Offset,
        bounds: PageBounds,
    ) -> Self {
        let mut before = next - 1;
        let mut damaged = block.damaged.iter().copied().filter(|offset| *offset >= next).peekable();
        let is_next = |offset: Offset, before: Offset| {
            !block.records.iter().any(|it| it.offset.is_some_and(|at| at > before && at < offset))
        };
        while let Some(offset) = damaged.next_if(|offset| is_next(*offset, before)) {
            missing = Some((missing.map_or(next, |range| range.0), offset));
            before = offset;
        }
        let end = damaged.next().map_or(block.reached, |offset| offset - 1);
        let within = |record: &&Arc<Record>| record.offset.is_some_and(|offset| offset > before && offset <= end);
        Self::of(block.records.iter().filter(within), missing, before, end, bounds)
    }
}
