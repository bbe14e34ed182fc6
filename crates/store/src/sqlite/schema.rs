//! Tables, formats and connections.
//!
//! - `channel`: one row per channel that has, or lately had, records. Rows exist for the offsets above `swept`; those up to `trimmed`
//!   cannot be read any more and are on their way out.
//! - `record`: one row per record, in the order of channel and offset. An expired record leaves a husk, so that offsets stay
//!   contiguous and a missing row is always damage.
//! - `dedup`: ids of publishers for 5 minutes. `state`: what [`crate::State`] keeps. `meta`: one row about the whole.
//! - Every row has a CRC32 over its columns.
//! - Times called `stored`, `expires`, `touched` and `at` are store time (see [`super::clock`]); `record.time` is what the home said.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::StoreError;
use crate::limits;

/// "RTC1": tells our files from other databases.
pub(super) const APPLICATION_ID: i64 = 0x5254_4331;

/// How format n becomes format n + 1. The first makes an empty file a store; a step is never changed once it was released.
pub(super) const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1), instance BLOB NOT NULL, life TEXT NOT NULL, grp INTEGER NOT NULL,
        high_water INTEGER NOT NULL, clock_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, crc INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE channel (
        id INTEGER PRIMARY KEY, app INTEGER NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL, epoch TEXT NOT NULL,
        head INTEGER NOT NULL, trimmed INTEGER NOT NULL, swept INTEGER NOT NULL, bytes INTEGER NOT NULL,
        keep_records INTEGER NOT NULL, keep_bytes INTEGER NOT NULL, keep_age_ms INTEGER NOT NULL, touched INTEGER NOT NULL,
        crc INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX channel_name ON channel (app, kind, name);
    CREATE TABLE record (
        channel INTEGER NOT NULL, seq INTEGER NOT NULL, cost INTEGER NOT NULL, stored INTEGER NOT NULL, expires INTEGER,
        husk INTEGER NOT NULL, time INTEGER NOT NULL, crc INTEGER NOT NULL, id TEXT NOT NULL, user TEXT, type TEXT NOT NULL,
        key TEXT, exclude BLOB NOT NULL, meta BLOB, data BLOB NOT NULL,
        PRIMARY KEY (channel, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX record_id ON record (channel, id) WHERE husk = 0;
    CREATE INDEX record_key ON record (channel, key) WHERE key IS NOT NULL;
    CREATE INDEX record_expires ON record (expires) WHERE expires IS NOT NULL;
    CREATE TABLE dedup (
        channel INTEGER NOT NULL, publisher BLOB NOT NULL, id TEXT NOT NULL, content INTEGER NOT NULL, seq INTEGER NOT NULL,
        at INTEGER NOT NULL, crc INTEGER NOT NULL,
        PRIMARY KEY (channel, publisher, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX dedup_at ON dedup (at);
    CREATE TABLE state (
        tbl INTEGER NOT NULL, key BLOB NOT NULL, crc INTEGER NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (tbl, key)
    ) STRICT, WITHOUT ROWID;
"];

/// Statements a connection keeps prepared: all there are.
const STATEMENTS: usize = 64;
/// Memory for pages, in KiB: enough for the upper levels of every tree and the tails that are written.
const CACHE_KIB: i64 = 16 * 1024;

/// Opens a connection. Nothing is written or read yet.
///
/// - No checkpoint on close: the last connection to go would otherwise move and delete a log that the store refuses to open, and
///   with it what could be repaired. It would also sync again after a failed sync, and believe the answer.
/// - No automatic checkpoint: SQLite hides its errors, so the writer makes them itself.
/// - `cell_size_check` finds more damage at a page's first reading. `temp_store` keeps the journals of savepoints out of files.
pub(super) fn connect(path: &Path, writes: bool) -> Result<Connection, rusqlite::Error> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if writes {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(limits::LOCK_PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    if !writes {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(connection)
}

/// The settings of the one connection that writes. They come after the look at the format, because the first of them writes.
pub(super) fn prepare_writer(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    Ok(())
}

/// The format of a file: 0 is an empty one.
///
/// # Errors
/// If it is not ours, or newer than this version.
pub(super) fn format(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let number = |what: &str| connection.query_row(&format!("PRAGMA {what}"), [], |row| row.get::<_, i64>(0));
    let sqlite = |source| StoreError::Sqlite { path: path.to_owned(), what: "read the format of", source };
    let application = number("application_id").map_err(sqlite)?;
    let format = number("user_version").map_err(sqlite)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sqlite)?;
    let known = MIGRATIONS.len() as i64;
    match (application, format, tables) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, 1.., _) if format <= known => Ok(format),
        (APPLICATION_ID, 1.., _) => Err(StoreError::Newer { path: path.to_owned(), found: format, known }),
        (found, ..) => Err(StoreError::Foreign { path: path.to_owned(), found }),
    }
}

/// Brings a file to the newest format, in one transaction.
pub(super) fn migrate(connection: &mut Connection, from: i64) -> Result<(), rusqlite::Error> {
    let steps = MIGRATIONS.get(usize::try_from(from).unwrap_or(0)..).unwrap_or_default();
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    if from == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        super::meta::create(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    transaction.commit()
}
