//! Ids that publishers chose, remembered for 5 minutes of store time.

use realtime_connector_core::limits::DEDUP_AGE;
use realtime_connector_core::publish::Publisher;
use rusqlite::{Connection, OptionalExtension, params};

use super::digest::Digest;
use super::error::{Fault, damaged};

/// What a database remembers of a publisher's id.
pub(super) struct Remembered {
    pub(super) content: i64,
    pub(super) seq: i64,
    pub(super) at_ms: i64,
}

impl Remembered {
    pub(super) fn crc(&self, channel: i64, publisher: &[u8], id: &str) -> i64 {
        let names = Digest::default().number(channel).bytes(publisher).bytes(id.as_bytes());
        names.number(self.content).number(self.seq).number(self.at_ms).finish()
    }

    pub(super) fn find(
        connection: &Connection,
        channel: i64,
        publisher: &[u8],
        id: &str,
    ) -> Result<Option<Self>, Fault> {
        let sql = "SELECT content, seq, at, crc FROM dedup WHERE channel = ?1 AND publisher = ?2 AND id = ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let row = statement.query_row(params![channel, publisher, id], |row| {
            let found = Self { content: row.get(0)?, seq: row.get(1)?, at_ms: row.get(2)? };
            Ok((found, row.get::<_, i64>(3)?))
        });
        match row.optional()? {
            Some((found, crc)) if found.crc(channel, publisher, id) == crc => Ok(Some(found)),
            Some(_) => Err(damaged(format!("a remembered id of channel {channel} has a wrong sum"))),
            None => Ok(None),
        }
    }

    /// Remembers it, in place of an older one of the same name.
    pub(super) fn save(&self, connection: &Connection, channel: i64, publisher: &[u8], id: &str) -> Result<(), Fault> {
        let sql = "INSERT OR REPLACE INTO dedup (channel, publisher, id, content, seq, at, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let crc = self.crc(channel, publisher, id);
        let values = params![channel, publisher, id, self.content, self.seq, self.at_ms, crc];
        connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

/// The store time before which everything is forgotten.
pub(super) const fn forgotten_ms(store_ms: i64) -> i64 {
    store_ms.saturating_sub(DEDUP_AGE.as_millis() as i64)
}

/// Removes up to `rows` ids that are too old. Returns how many.
pub(super) fn sweep(connection: &Connection, store_ms: i64, rows: usize) -> Result<usize, Fault> {
    let sql = "DELETE FROM dedup WHERE (channel, publisher, id) IN \
               (SELECT channel, publisher, id FROM dedup WHERE at <= ?1 ORDER BY at LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute(params![forgotten_ms(store_ms), rows as i64])?)
}

/// A publisher as a column: a kind and a name. The kinds stand in files and never change.
pub(super) fn spell(publisher: &Publisher) -> Vec<u8> {
    let (kind, name) = match publisher {
        Publisher::User(user) => (0, user.as_str().as_bytes()),
        Publisher::Session(session) => return [&[1][..], &session.to_bytes()].concat(),
        Publisher::Server(name) => (2, name.as_bytes()),
    };
    [&[kind][..], name].concat()
}
