//! The one row about the whole database.

use rusqlite::{Connection, OptionalExtension, params};

use super::acked::Instance;
use super::digest::Digest;
use super::error::{Fault, damaged};

#[derive(Clone, Debug)]
pub(super) struct Meta {
    /// Names this database.
    pub(super) instance: Instance,
    /// The epoch of channels that begin now.
    pub(super) life: String,
    /// The newest group.
    pub(super) group: i64,
    /// No channel that was removed had an offset above; channels that begin now begin here.
    pub(super) high_water: i64,
    /// Store time of the newest group.
    pub(super) clock_ms: i64,
    /// Wall-clock time of the newest group.
    pub(super) wall_ms: i64,
}

impl Meta {
    fn crc(&self) -> i64 {
        let names = Digest::default().bytes(&self.instance).bytes(self.life.as_bytes());
        names.number(self.group).number(self.high_water).number(self.clock_ms).number(self.wall_ms).finish()
    }

    pub(super) fn load(connection: &Connection) -> Result<Self, Fault> {
        let sql = "SELECT instance, life, grp, high_water, clock_ms, wall_ms, crc FROM meta WHERE one = 1";
        let row = connection.query_row(sql, [], |row| {
            let (instance, life) = (row.get(0)?, row.get(1)?);
            let (group, high_water, clock_ms, wall_ms) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
            Ok((Self { instance, life, group, high_water, clock_ms, wall_ms }, row.get::<_, i64>(6)?))
        });
        match row.optional()? {
            Some((meta, crc)) if meta.crc() == crc => Ok(meta),
            Some(_) => Err(damaged("the row about the whole database has a wrong sum")),
            None => Err(damaged("the row about the whole database is missing")),
        }
    }

    pub(super) fn save(&self, connection: &Connection) -> Result<(), rusqlite::Error> {
        let sql =
            "UPDATE meta SET life = ?1, grp = ?2, high_water = ?3, clock_ms = ?4, wall_ms = ?5, crc = ?6 WHERE one = 1";
        let values = params![self.life, self.group, self.high_water, self.clock_ms, self.wall_ms, self.crc()];
        connection.prepare_cached(sql)?.execute(values).map(|_| ())
    }
}

/// Writes the row of a new database.
pub(super) fn create(connection: &Connection) -> Result<(), rusqlite::Error> {
    let instance = connection.query_row("SELECT randomblob(16)", [], |row| row.get(0))?;
    let life = new_life(connection)?;
    let meta = Meta { instance, life, group: 0, high_water: 0, clock_ms: 0, wall_ms: 0 };
    let sql = "INSERT INTO meta VALUES (1, ?1, ?2, 0, 0, 0, 0, ?3)";
    connection.execute(sql, params![meta.instance, meta.life, meta.crc()]).map(|_| ())
}

/// A new epoch: 64 random bits, from the source that SQLite seeds from the system.
pub(super) fn new_life(connection: &Connection) -> Result<String, rusqlite::Error> {
    connection.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))
}
