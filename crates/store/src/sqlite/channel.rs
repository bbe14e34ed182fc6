//! The row of a channel, and what the writer knows of it.

use realtime_connector_core::id::{AppId, Audience, ChannelKey, ChannelName, UserId};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::{Epoch, Offset};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::digest::Digest;
use super::error::{Fault, damaged};

/// A channel with everything but its name.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    /// `None` until its first record.
    pub(super) id: Option<i64>,
    pub(super) epoch: Epoch,
    pub(super) head: i64,
    pub(super) trimmed: i64,
    pub(super) swept: i64,
    /// Cost of the rows there are.
    pub(super) bytes: i64,
    pub(super) keep: Keep,
    /// When it last took a record.
    pub(super) touched_ms: i64,
}

/// Retention as columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keep {
    pub(super) records: i64,
    pub(super) bytes: i64,
    pub(super) age_ms: i64,
}

impl From<Retention> for Keep {
    fn from(retention: Retention) -> Self {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let age_ms = i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX);
        Self { records: signed(retention.records), bytes: signed(retention.bytes), age_ms }
    }
}

/// What a row says.
pub(super) type Found = Result<(ChannelKey, Channel), Fault>;

const COLUMNS: &str =
    "id, app, kind, name, epoch, head, trimmed, swept, bytes, keep_records, keep_bytes, keep_age_ms, touched, crc";

impl Channel {
    /// One that has no record yet.
    pub(super) fn begin(epoch: Epoch, head: i64, keep: Keep) -> Self {
        Self { id: None, epoch, head, trimmed: head, swept: head, bytes: 0, keep, touched_ms: 0 }
    }

    pub(super) fn find(connection: &Connection, key: &ChannelKey) -> Result<Option<Self>, Fault> {
        let (app, kind, name) = spell(key);
        let sql = format!("SELECT {COLUMNS} FROM channel WHERE app = ?1 AND kind = ?2 AND name = ?3");
        let mut statement = connection.prepare_cached(&sql)?;
        let row = statement.query_row(params![app, kind, name], |row| Ok(parse(row))).optional()?;
        row.transpose().map(|found| found.map(|(_, channel)| channel))
    }

    /// Up to `rows` channels with a higher id.
    pub(super) fn after(connection: &Connection, id: i64, rows: usize) -> Result<Vec<(ChannelKey, Self)>, Fault> {
        Self::found_after(connection, id, rows)?.into_iter().map(|(_, found)| found).collect()
    }

    /// The same with their ids, and of those whose row is damaged the fault.
    pub(super) fn found_after(connection: &Connection, id: i64, rows: usize) -> Result<Vec<(i64, Found)>, Fault> {
        let sql = format!("SELECT {COLUMNS} FROM channel WHERE id > ?1 ORDER BY id LIMIT ?2");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut found = statement.query(params![id, rows as i64])?;
        let mut channels = Vec::new();
        while let Some(row) = found.next()? {
            channels.push((row.get(0)?, parse(row)));
        }
        Ok(channels)
    }

    fn crc(&self, id: i64, key: &ChannelKey) -> i64 {
        let (app, kind, name) = spell(key);
        let names = Digest::default().number(id).number(app).number(kind).bytes(name.as_bytes());
        let keep = self.keep;
        let numbers =
            [self.head, self.trimmed, self.swept, self.bytes, keep.records, keep.bytes, keep.age_ms, self.touched_ms];
        numbers.into_iter().fold(names.bytes(self.epoch.as_str().as_bytes()), Digest::number).finish()
    }

    /// Writes the row of a channel that has none, and gives it its id.
    pub(super) fn insert(&mut self, connection: &Connection, key: &ChannelKey) -> Result<i64, Fault> {
        let (app, kind, name) = spell(key);
        let sql = "INSERT INTO channel VALUES (NULL, ?1, ?2, ?3, ?4, 0, 0, 0, 0, 0, 0, 0, 0, 0)";
        connection.prepare_cached(sql)?.execute(params![app, kind, name, self.epoch.as_str()])?;
        let id = connection.last_insert_rowid();
        self.id = Some(id);
        Ok(id)
    }

    /// Writes the row as it is now; nothing if it has none.
    pub(super) fn save(&self, connection: &Connection, key: &ChannelKey) -> Result<(), Fault> {
        let Some(id) = self.id else { return Ok(()) };
        let sql = "UPDATE channel SET epoch = ?2, head = ?3, trimmed = ?4, swept = ?5, bytes = ?6, keep_records = ?7, \
                   keep_bytes = ?8, keep_age_ms = ?9, touched = ?10, crc = ?11 WHERE id = ?1";
        let keep = self.keep;
        let changed = connection.prepare_cached(sql)?.execute(params![
            id,
            self.epoch.as_str(),
            self.head,
            self.trimmed,
            self.swept,
            self.bytes,
            keep.records,
            keep.bytes,
            keep.age_ms,
            self.touched_ms,
            self.crc(id, key)
        ])?;
        if changed == 1 { Ok(()) } else { Err(damaged(format!("the row of channel {id} is gone"))) }
    }
}

/// An offset in a column. Ours are below 2^53.
pub(super) fn signed(offset: Offset) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// A column as an offset; those of rows with a right sum are not negative.
pub(super) const fn unsigned(column: i64) -> Offset {
    column.unsigned_abs()
}

/// Reads a row and checks its sum.
fn parse(row: &Row<'_>) -> Found {
    let id: i64 = row.get(0)?;
    let wrong = || damaged(format!("the row of channel {id} has a wrong sum or name"));
    let name: String = row.get(3)?;
    let epoch: String = row.get(4)?;
    let key = read(row.get(1)?, row.get(2)?, &name).ok_or_else(wrong)?;
    let keep = Keep { records: row.get(9)?, bytes: row.get(10)?, age_ms: row.get(11)? };
    let channel = Channel {
        id: Some(id),
        epoch: Epoch::parse(&epoch).ok_or_else(wrong)?,
        head: row.get(5)?,
        trimmed: row.get(6)?,
        swept: row.get(7)?,
        bytes: row.get(8)?,
        keep,
        touched_ms: row.get(12)?,
    };
    if channel.crc(id, &key) != row.get::<_, i64>(13)? {
        return Err(wrong());
    }
    Ok((key, channel))
}

/// App, kind and name. The kinds stand in files and never change.
pub(super) fn spell(key: &ChannelKey) -> (i64, i64, &str) {
    let (kind, name) = match &key.audience {
        Audience::Everyone => (0, ""),
        Audience::User(user) => (1, user.as_str()),
        Audience::Named(name) => (2, name.as_str()),
    };
    (i64::from(key.app.0), kind, name)
}

fn read(app: i64, kind: i64, name: &str) -> Option<ChannelKey> {
    let app = AppId(u32::try_from(app).ok()?);
    match kind {
        0 if name.is_empty() => Some(ChannelKey::everyone(app)),
        1 => Some(ChannelKey::user(app, UserId::parse(name).ok()?)),
        2 => Some(ChannelKey::named(app, ChannelName::parse(name).ok()?)),
        _ => None,
    }
}
