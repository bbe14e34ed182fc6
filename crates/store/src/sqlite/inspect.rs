//! Looking at a store from outside, also beside a running process.
//!
//! Both functions read one snapshot and write nothing. What they find is data; a program prints it.

use std::path::Path;

use rusqlite::{Connection, params};

use super::acked::{self, Acked};
use super::channel::Channel;
use super::dedup;
use super::error::Fault;
use super::meta::Meta;
use super::record::{COLUMNS, Stored};
use super::{StoreError, broken, io, schema, values};
use crate::limits;

/// What [`check`] has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Channels.
    pub channels: u64,
    /// Records that can be read or are husks.
    pub records: u64,
    /// Values of the state.
    pub values: u64,
    /// Ids that are remembered.
    pub ids: u64,
    /// The newest group in the database.
    pub group: u64,
    /// The newest group that somebody was told of, if the side file says.
    pub acknowledged: Option<u64>,
    /// What is wrong, at most [`limits::FINDINGS`] of them.
    pub findings: Vec<String>,
    /// How many there are.
    pub findings_total: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.findings_total == 0
    }

    fn find(&mut self, finding: String) {
        self.findings_total += 1;
        if self.findings.len() < limits::FINDINGS {
            self.findings.push(finding);
        }
    }

    fn note(&mut self, result: Result<(), Fault>) {
        if let Err(fault) = result {
            self.find(fault.told().to_string());
        }
    }
}

/// How much there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Format of the file.
    pub format: u64,
    /// Channels.
    pub channels: u64,
    /// Rows of records.
    pub records: u64,
    /// What they cost, in bytes, as retention counts.
    pub bytes: u64,
    /// Values of the state.
    pub values: u64,
    /// Ids that are remembered.
    pub ids: u64,
    /// The newest group.
    pub group: u64,
    /// Bytes of the database file.
    pub file_bytes: u64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: u64,
}

/// Walks everything: sums of all rows, offsets without a hole, SQLite's own integrity check, the side file.
///
/// # Errors
/// If the file cannot be opened as a store of this version. Everything else is a finding.
pub fn check(path: &Path) -> Result<Report, StoreError> {
    // The side file first: while a process writes, the database is ahead of it, never behind.
    let acked = acked::peek(path).map_err(|source| io(&acked::path(path), "read", source))?;
    let connection = open(path)?;
    let mut report = Report::default();
    match Meta::load(&connection) {
        Ok(meta) => {
            report.group = meta.group.unsigned_abs();
            compare(&mut report, &meta, acked);
        }
        Err(fault) => report.find(fault.told().to_string()),
    }
    let engine = engine(&connection, &mut report);
    report.note(engine);
    let channels = channels(&connection, &mut report);
    report.note(channels);
    let values = values(&connection, &mut report);
    report.note(values);
    let ids = ids(&connection, &mut report);
    report.note(ids);
    Ok(report)
}

/// Counts.
///
/// # Errors
/// If the file cannot be opened as a store of this version, or not be read.
pub fn stats(path: &Path) -> Result<Stats, StoreError> {
    let connection = open(path)?;
    let format = schema::format(&connection, path)?.unsigned_abs();
    let number = |sql: &str| -> Result<u64, StoreError> {
        let number = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        number.map(i64::unsigned_abs).map_err(|error| broken(path, error.into()))
    };
    let bytes = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        std::fs::metadata(Path::new(&name)).map_or(0, |file| file.len())
    };
    Ok(Stats {
        format,
        channels: number("SELECT count(*) FROM channel")?,
        records: number("SELECT count(*) FROM record")?,
        bytes: number("SELECT coalesce(sum(bytes), 0) FROM channel")?,
        values: number("SELECT count(*) FROM state")?,
        ids: number("SELECT count(*) FROM dedup")?,
        group: Meta::load(&connection).map_err(|fault| broken(path, fault))?.group.unsigned_abs(),
        file_bytes: bytes(""),
        wal_bytes: bytes("-wal"),
    })
}

/// A reader's connection, in one snapshot.
fn open(path: &Path) -> Result<Connection, StoreError> {
    let sqlite = |source| StoreError::Sqlite { path: path.to_owned(), what: "open", source };
    let connection = schema::connect(path, false).map_err(sqlite)?;
    connection.execute_batch("BEGIN").map_err(sqlite)?;
    schema::format(&connection, path)?;
    Ok(connection)
}

fn compare(report: &mut Report, meta: &Meta, acked: Acked) {
    match acked {
        Acked::Group { instance, group } if instance == meta.instance => {
            report.acknowledged = Some(group);
            if group > report.group {
                let found = report.group;
                report.find(format!("group {group} was acknowledged, the newest one found is {found}"));
            }
        }
        Acked::Group { .. } => report.find("the side file belongs to another database".to_owned()),
        Acked::Damaged => report.find("the side file is damaged".to_owned()),
        Acked::Nothing if report.group == 0 => {}
        Acked::Nothing => report.find("the side file is missing".to_owned()),
    }
}

/// SQLite's own check: trees, pages, and indexes against tables.
fn engine(connection: &Connection, report: &mut Report) -> Result<(), Fault> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.find(line);
        }
    }
    Ok(())
}

fn channels(connection: &Connection, report: &mut Report) -> Result<(), Fault> {
    let mut last = 0;
    loop {
        let page = Channel::after(connection, last, limits::SWEEP_CHANNELS)?;
        for (key, channel) in &page {
            last = channel.id.unwrap_or(i64::MAX);
            report.channels += 1;
            if Channel::find(connection, key)?.is_none_or(|found| found.id != channel.id) {
                report.find(format!("channel {last} is not found by its name"));
            }
            let records = records(connection, channel, last, report);
            report.note(records);
        }
        if page.len() < limits::SWEEP_CHANNELS {
            break;
        }
    }
    let sql = "SELECT count(*) FROM record WHERE channel NOT IN (SELECT id FROM channel)";
    let orphans: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if orphans > 0 {
        report.find(format!("{orphans} records belong to no channel"));
    }
    Ok(())
}

/// Every offset above the swept ones has a row, up to the head, and their costs add up.
fn records(connection: &Connection, channel: &Channel, id: i64, report: &mut Report) -> Result<(), Fault> {
    let sql = format!("SELECT {COLUMNS} FROM record WHERE channel = ?1 ORDER BY seq");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id])?;
    let (mut next, mut bytes) = (channel.swept + 1, 0);
    while let Some(row) = rows.next()? {
        match Stored::parse(row) {
            Ok(stored) => {
                if stored.seq != next {
                    report.find(format!("channel {id}: offset {} follows {}", stored.seq, next - 1));
                }
                next = stored.seq + 1;
                bytes += stored.cost;
                report.records += 1;
            }
            Err(fault) => {
                report.find(fault.told().to_string());
                next += 1;
            }
        }
    }
    if next != channel.head + 1 {
        report.find(format!("channel {id}: the newest record is {}, its head is {}", next - 1, channel.head));
    }
    if bytes != channel.bytes {
        report.find(format!("channel {id}: its records cost {bytes} bytes, it says {}", channel.bytes));
    }
    Ok(())
}

fn values(connection: &Connection, report: &mut Report) -> Result<(), Fault> {
    let mut statement = connection.prepare("SELECT tbl, key, crc, value FROM state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        report.values += 1;
        let (table, sum): (i64, i64) = (row.get(0)?, row.get(2)?);
        let (key, value): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(3)?);
        if values::crc(table, &key, &value) != sum {
            report.find(format!("a value in table {table} has a wrong sum"));
        }
    }
    Ok(())
}

fn ids(connection: &Connection, report: &mut Report) -> Result<(), Fault> {
    let mut statement = connection.prepare("SELECT channel, publisher, id, content, seq, at, crc FROM dedup")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        report.ids += 1;
        let channel: i64 = row.get(0)?;
        let (publisher, id): (Vec<u8>, String) = (row.get(1)?, row.get(2)?);
        let remembered = dedup::Remembered { content: row.get(3)?, seq: row.get(4)?, at_ms: row.get(5)? };
        if remembered.crc(channel, &publisher, &id) != row.get::<_, i64>(6)? {
            report.find(format!("a remembered id of channel {channel} has a wrong sum"));
        }
    }
    Ok(())
}
