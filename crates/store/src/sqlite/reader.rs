//! The threads that read. Each question sees one snapshot, and never waits for the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use realtime_connector_core::id::ChannelKey;
use realtime_connector_core::position::Offset;
use realtime_connector_core::time::UnixMs;
use rusqlite::{Connection, params};

use super::channel::{Channel, signed, unsigned};
use super::clock::{Instants, StoreClock};
use super::error::{Fault, damaged};
use super::port::Shared;
use super::queue::Taken;
use super::record::{COLUMNS, Stored, time_at};
use super::request::{Letter, Query};
use super::values;
use crate::{Completion, Locate, LogError, Read, StateCompletion, limits};

/// Answers until the queue is closed and empty.
pub(super) fn run(connection: &Connection, clock: &StoreClock, shared: &Arc<Shared>) {
    loop {
        match shared.reads.take(1, usize::MAX, limits::IDLE) {
            Taken::Items(queries) => {
                for query in queries {
                    let sender = query.sender();
                    // A panic is a bug, but nobody waits forever for an answer because of it.
                    let result = catch_unwind(AssertUnwindSafe(|| answer(connection, clock.now(), query)));
                    let result = result.unwrap_or(Err(Fault::Operation(LogError::Unavailable)));
                    result.unwrap_or_else(|fault| sender.failed(told(&fault))).send();
                }
            }
            Taken::Nothing => {}
            Taken::Closed => return,
        }
    }
}

/// A reader that fails stops nothing. Only what a row itself says is damage: SQLite calls a file malformed also when the disk did not
/// give a page of it, and that may be over with the next attempt.
fn told(fault: &Fault) -> LogError {
    match fault {
        Fault::Stop(LogError::Corrupt { what }) => LogError::Unreadable { what: what.clone() },
        Fault::Stop(_) => LogError::Unreadable { what: "the disk does not give it".into() },
        Fault::Operation(_) | Fault::Full | Fault::Busy => fault.told(),
    }
}

fn answer(connection: &Connection, now: Instants, query: Query) -> Result<Letter, Fault> {
    // Dropped without a commit: nothing was written.
    let snapshot = connection.unchecked_transaction()?;
    match query {
        Query::Read { mail, home, ticket, channel, read } => {
            let page = page(&snapshot, now, &channel, read)?;
            let Page { records, through, trimmed, head } = page;
            Ok(Letter::Log(mail, Completion::Read { home, ticket, from: read.from, records, through, trimmed, head }))
        }
        Query::Locate { mail, home, ticket, channel, locate } => {
            let offset = find(&snapshot, &channel, &locate)?;
            Ok(Letter::Log(mail, Completion::Located { home, ticket, offset }))
        }
        Query::Scan { mail, ticket, scan } => {
            let (rows, more) = values::rows(&snapshot, &scan)?;
            Ok(Letter::State(mail, StateCompletion::Scanned { ticket, rows, more }))
        }
    }
}

struct Page {
    records: Vec<Arc<realtime_connector_core::record::Record>>,
    through: Offset,
    trimmed: Offset,
    head: Offset,
}

/// Reads a page. A row that should be there and is not is damage, never the end.
fn page(connection: &Connection, now: Instants, key: &ChannelKey, read: Read) -> Result<Page, Fault> {
    let through = read.from.saturating_sub(1);
    let Some(channel) = Channel::find(connection, key)? else {
        return Ok(Page { records: Vec::new(), through, trimmed: 0, head: 0 });
    };
    let (trimmed, head) = (unsigned(channel.trimmed), unsigned(channel.head));
    let mut page = Page { records: Vec::new(), through: through.max(trimmed), trimmed, head };
    let Some(id) = channel.id else { return Ok(page) };
    let sql = format!("SELECT {COLUMNS} FROM record WHERE channel = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id, signed(page.through), limits::READ_STEPS as i64])?;
    let records_max = read.records_max.clamp(1, limits::READ_RECORDS_MAX);
    let mut bytes_left = read.bytes_max.min(limits::READ_BYTES_MAX) as i64;
    let mut steps = 0;
    while page.through < head && steps < limits::READ_STEPS {
        let missing = || damaged(format!("the record at offset {} of channel {id} is missing", page.through + 1));
        let row = rows.next()?.ok_or_else(missing).and_then(Stored::parse);
        let row = row.and_then(|row| if unsigned(row.seq) == page.through + 1 { Ok(row) } else { Err(missing()) });
        let taken = row.and_then(|row| {
            let cost = row.cost;
            let record = if row.is_gone(now) { None } else { Some(row.record(key, &channel.epoch, now)?) };
            Ok((cost, record))
        });
        match taken {
            // The next page begins with it, and says so.
            Err(_) if page.through >= read.from => break,
            Err(fault) => return Err(fault),
            Ok((_, None)) => {}
            Ok((cost, Some(record))) => {
                bytes_left -= cost;
                if page.records.len() == records_max || (bytes_left < 0 && !page.records.is_empty()) {
                    break;
                }
                page.records.push(record);
            }
        }
        page.through += 1;
        steps += 1;
    }
    Ok(page)
}

fn find(connection: &Connection, key: &ChannelKey, locate: &Locate) -> Result<Option<Offset>, Fault> {
    let Some(channel) = Channel::find(connection, key)? else { return Ok(None) };
    let Some(id) = channel.id else { return Ok(None) };
    match locate {
        Locate::Id(name) => {
            let sql = "SELECT max(seq) FROM record WHERE channel = ?1 AND id = ?2 AND husk = 0 AND seq > ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let seq: Option<i64> =
                statement.query_row(params![id, name.as_str(), channel.trimmed], |row| row.get(0))?;
            Ok(seq.map(unsigned))
        }
        Locate::Time(time) => first_not_older(connection, id, &channel, *time),
    }
}

/// Halves the offsets until one is left.
fn first_not_older(connection: &Connection, id: i64, channel: &Channel, time: UnixMs) -> Result<Option<Offset>, Fault> {
    let (mut low, mut high) = (unsigned(channel.trimmed) + 1, unsigned(channel.head) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if time_at(connection, id, middle)? < time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok((low <= unsigned(channel.head)).then_some(low))
}
