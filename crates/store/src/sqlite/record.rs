//! The row of a record.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use realtime_connector_core::id::{
    CONNECTION_ID_BYTES, ChannelKey, ConnectionId, EventType, MessageId, MessageKey, UserId,
};
use realtime_connector_core::position::{Epoch, Offset};
use realtime_connector_core::record::{Record, SessionId};
use realtime_connector_core::time::UnixMs;
use rusqlite::{Connection, Row, params};

use super::channel::unsigned;
use super::clock::Instants;
use super::digest::Digest;
use super::error::{Fault, damaged};

/// What a payload looks like in the file. Whatever changes payloads on their way to the disk does it here and in [`unseal`]; sums are
/// over what is in the file.
fn seal(payload: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(payload)
}

/// See [`seal`].
fn unseal(stored: Vec<u8>) -> Bytes {
    Bytes::from(stored)
}

/// A row as it is in the file, with names not yet read.
pub(super) struct Stored {
    channel: i64,
    pub(super) seq: i64,
    pub(super) cost: i64,
    pub(super) stored_ms: i64,
    pub(super) expires_ms: Option<i64>,
    pub(super) husk: bool,
    time: i64,
    crc: i64,
    id: String,
    user: Option<String>,
    event_type: String,
    key: Option<String>,
    exclude: Vec<u8>,
    meta: Option<Vec<u8>>,
    data: Vec<u8>,
}

pub(super) const COLUMNS: &str =
    "channel, seq, cost, stored, expires, husk, time, crc, id, user, type, key, exclude, meta, data";

/// The columns before the payload, for the sum of a row.
struct Head {
    channel: i64,
    seq: i64,
    cost: i64,
    stored_ms: i64,
    expires_ms: Option<i64>,
    husk: bool,
    time: i64,
}

impl Head {
    fn digest(&self) -> Digest {
        let numbers = [self.channel, self.seq, self.cost, self.stored_ms, self.time, i64::from(self.husk)];
        let expires = self.expires_ms.map(i64::to_be_bytes);
        numbers.into_iter().fold(Digest::default(), Digest::number).optional(expires.as_ref().map(<[u8; 8]>::as_slice))
    }
}

/// Writes a record that has its offset.
pub(super) fn insert(
    connection: &Connection,
    channel: i64,
    record: &Record,
    stored_ms: i64,
    expires_ms: Option<i64>,
) -> Result<(), Fault> {
    let seq = super::channel::signed(record.offset.unwrap_or_default());
    let time = i64::try_from(record.time.0).unwrap_or(i64::MAX);
    let cost = i64::from(record.cost());
    let head = Head { channel, seq, cost, stored_ms, expires_ms, husk: false, time };
    let user = record.user.as_ref().map(UserId::as_str);
    let key = record.key.as_ref().map(MessageKey::as_str);
    let exclude: Vec<u8> = record.exclude.iter().flat_map(|session| session.to_bytes()).collect();
    let meta = record.meta.as_deref().map(seal);
    let data = seal(&record.data);
    let (id, event_type) = (record.id.as_str(), record.event_type.as_str());
    let crc = head
        .digest()
        .bytes(id.as_bytes())
        .optional(user.map(str::as_bytes))
        .bytes(event_type.as_bytes())
        .optional(key.map(str::as_bytes))
        .bytes(&exclude)
        .optional(meta.as_deref())
        .bytes(&data)
        .finish();
    let sql = "INSERT INTO record (channel, seq, cost, stored, expires, husk, time, crc, id, user, type, key, exclude, meta, data) \
               VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    connection.prepare_cached(sql)?.execute(params![
        channel,
        seq,
        head.cost,
        stored_ms,
        expires_ms,
        time,
        crc,
        id,
        user,
        event_type,
        key,
        exclude,
        meta.as_deref(),
        data.as_ref()
    ])?;
    Ok(())
}

impl Stored {
    /// Reads a row of [`COLUMNS`] and checks its sum.
    pub(super) fn parse(row: &Row<'_>) -> Result<Self, Fault> {
        let stored = Self {
            channel: row.get(0)?,
            seq: row.get(1)?,
            cost: row.get(2)?,
            stored_ms: row.get(3)?,
            expires_ms: row.get(4)?,
            husk: row.get(5)?,
            time: row.get(6)?,
            crc: row.get(7)?,
            id: row.get(8)?,
            user: row.get(9)?,
            event_type: row.get(10)?,
            key: row.get(11)?,
            exclude: row.get(12)?,
            meta: row.get(13)?,
            data: row.get(14)?,
        };
        if stored.digest() == stored.crc { Ok(stored) } else { Err(stored.wrong("sum")) }
    }

    fn digest(&self) -> i64 {
        let head = Head {
            channel: self.channel,
            seq: self.seq,
            cost: self.cost,
            stored_ms: self.stored_ms,
            expires_ms: self.expires_ms,
            husk: self.husk,
            time: self.time,
        };
        head.digest()
            .bytes(self.id.as_bytes())
            .optional(self.user.as_deref().map(str::as_bytes))
            .bytes(self.event_type.as_bytes())
            .optional(self.key.as_deref().map(str::as_bytes))
            .bytes(&self.exclude)
            .optional(self.meta.as_deref())
            .bytes(&self.data)
            .finish()
    }

    fn wrong(&self, what: &str) -> Fault {
        damaged(format!("the record at offset {} of channel {} has a wrong {what}", self.seq, self.channel))
    }

    /// Whether nobody gets it any more.
    pub(super) fn is_gone(&self, now: Instants) -> bool {
        self.husk || self.expires_ms.is_some_and(|expires| expires <= now.store_ms)
    }

    /// The record as it was given.
    pub(super) fn record(self, channel: &ChannelKey, epoch: &Epoch, now: Instants) -> Result<Arc<Record>, Fault> {
        let Some(exclude) = sessions(&self.exclude) else { return Err(self.wrong("list of sessions")) };
        let Some((id, event_type, user, key)) = self.names() else { return Err(self.wrong("name")) };
        let admitted = now.admitted(self.stored_ms);
        Ok(Arc::new(Record {
            channel: channel.clone(),
            epoch: epoch.clone(),
            offset: Some(unsigned(self.seq)),
            id,
            time: UnixMs(self.time.unsigned_abs()),
            admitted,
            user,
            event_type,
            data: unseal(self.data),
            key,
            meta: self.meta.map(unseal),
            ttl: self.expires_ms.map(|expires_ms| now.at(expires_ms).since(admitted)),
            exclude,
        }))
    }

    fn names(&self) -> Option<(MessageId, EventType, Option<UserId>, Option<MessageKey>)> {
        let user = self.user.as_deref().map(UserId::parse).transpose().ok()?;
        let key = self.key.as_deref().map(MessageKey::parse).transpose().ok()?;
        Some((MessageId::parse(&self.id).ok()?, EventType::parse(&self.event_type).ok()?, user, key))
    }
}

fn sessions(bytes: &[u8]) -> Option<Box<[SessionId]>> {
    let (ids, rest) = bytes.as_chunks::<CONNECTION_ID_BYTES>();
    rest.is_empty().then(|| ids.iter().map(|id| ConnectionId::from_bytes(*id)).collect())
}

/// Empties an expired row. Its cost stays, so that the sums of its channel stay right.
pub(super) fn hollow(connection: &Connection, channel: i64, seq: i64) -> Result<(), Fault> {
    let sql = format!("SELECT {COLUMNS} FROM record WHERE channel = ?1 AND seq = ?2");
    let found = {
        let mut statement = connection.prepare_cached(&sql)?;
        statement.query_row(params![channel, seq], |row| Ok(Stored::parse(row)))??
    };
    let husk = Stored {
        expires_ms: None,
        husk: true,
        id: String::new(),
        user: None,
        event_type: String::new(),
        key: None,
        exclude: Vec::new(),
        meta: None,
        data: Vec::new(),
        ..found
    };
    let sql = "UPDATE record SET expires = NULL, husk = 1, id = '', user = NULL, type = '', key = NULL, exclude = x'', \
               meta = NULL, data = x'', crc = ?3 WHERE channel = ?1 AND seq = ?2";
    connection.prepare_cached(sql)?.execute(params![channel, seq, husk.digest()])?;
    Ok(())
}

/// Empties the rows before `seq` that have the same key.
pub(super) fn hollow_older(connection: &Connection, channel: i64, key: &str, seq: i64) -> Result<(), Fault> {
    let sql = "SELECT seq FROM record WHERE channel = ?1 AND key = ?2 AND seq < ?3";
    let older: Vec<i64> = {
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![channel, key, seq], |row| row.get(0))?;
        // One, since each replaced the one before; more only where the rule of the channel has changed.
        rows.collect::<Result<_, _>>()?
    };
    older.into_iter().try_for_each(|seq| hollow(connection, channel, seq))
}

/// The time of the record at an offset.
pub(super) fn time_at(connection: &Connection, channel: i64, offset: Offset) -> Result<UnixMs, Fault> {
    let sql = "SELECT time FROM record WHERE channel = ?1 AND seq = ?2";
    let seq = super::channel::signed(offset);
    let time: Result<i64, _> = connection.prepare_cached(sql)?.query_row(params![channel, seq], |row| row.get(0));
    match time {
        Ok(time) => Ok(UnixMs(time.unsigned_abs())),
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            Err(damaged(format!("the record at offset {offset} of channel {channel} is missing")))
        }
        Err(error) => Err(error.into()),
    }
}
