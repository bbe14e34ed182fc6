//! The rows of the state.

use rusqlite::{Connection, OptionalExtension, params};

use super::digest::Digest;
use super::error::{Fault, damaged};
use crate::{Change, Row, Scan, Table, limits};

/// Makes one change.
pub(super) fn change(connection: &Connection, change: &Change) -> Result<(), Fault> {
    match change {
        Change::Put { table, key, value } => put(connection, *table, key, value),
        Change::Max { table, key, value } => {
            let present = find(connection, *table, key)?;
            if present.is_some_and(|present| present > *value) {
                return Ok(());
            }
            put(connection, *table, key, value)
        }
        Change::Delete { table, key } => {
            let mut statement = connection.prepare_cached("DELETE FROM state WHERE tbl = ?1 AND key = ?2")?;
            statement.execute(params![table_number(*table), &key[..]])?;
            Ok(())
        }
    }
}

/// Removes all values whose keys begin like this. The last byte of a prefix is part of a name or of a length, and below 255.
pub(super) fn remove(connection: &Connection, table: Table, prefix: &[u8]) -> Result<(), Fault> {
    let Some((last, rest)) = prefix.split_last() else { return Ok(()) };
    let end = [rest, &[last.saturating_add(1)]].concat();
    let mut statement = connection.prepare_cached("DELETE FROM state WHERE tbl = ?1 AND key >= ?2 AND key < ?3")?;
    statement.execute(params![table_number(table), prefix, end])?;
    Ok(())
}

fn put(connection: &Connection, table: Table, key: &[u8], value: &[u8]) -> Result<(), Fault> {
    let number = table_number(table);
    let sql = "INSERT INTO state (tbl, key, crc, value) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO UPDATE SET crc = excluded.crc, value = excluded.value";
    connection.prepare_cached(sql)?.execute(params![number, key, crc(number, key, value), value])?;
    Ok(())
}

fn find(connection: &Connection, table: Table, key: &[u8]) -> Result<Option<Box<[u8]>>, Fault> {
    let number = table_number(table);
    let mut statement = connection.prepare_cached("SELECT crc, value FROM state WHERE tbl = ?1 AND key = ?2")?;
    let row = statement.query_row(params![number, key], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Box<[u8]>>(1)?)));
    match row.optional()? {
        Some((sum, value)) if crc(number, key, &value) == sum => Ok(Some(value)),
        Some(_) => Err(wrong(table)),
        None => Ok(None),
    }
}

fn wrong(table: Table) -> Fault {
    damaged(format!("a value in table {table:?} has a wrong sum"))
}

/// The sum of a row of the state.
pub(super) fn crc(table: i64, key: &[u8], value: &[u8]) -> i64 {
    Digest::default().number(table).bytes(key).bytes(value).finish()
}

/// The number of a table in the file.
pub(super) const fn table_number(table: Table) -> i64 {
    table as i64
}

/// A page of a scan.
pub(super) fn rows(connection: &Connection, scan: &Scan) -> Result<(Vec<Row>, bool), Fault> {
    let table = table_number(scan.table);
    let (low, strictly) = match &scan.after {
        Some(after) if **after >= *scan.prefix => (after, 1),
        Some(_) | None => (&scan.prefix, 0),
    };
    let sql = "SELECT key, crc, value FROM state WHERE tbl = ?1 AND key >= ?2 AND (?3 = 0 OR key > ?2) ORDER BY key";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params![table, &low[..], strictly])?;
    let rows_max = scan.rows_max.clamp(1, limits::SCAN_ROWS_MAX);
    let (mut rows, mut bytes): (Vec<Row>, usize) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let (key, sum, value): (Box<[u8]>, i64, Box<[u8]>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if crc(table, &key, &value) != sum {
            return Err(wrong(scan.table));
        }
        if !key.starts_with(&scan.prefix) {
            break;
        }
        bytes += key.len() + value.len();
        if rows.len() == rows_max || (bytes > limits::SCAN_BYTES_MAX && !rows.is_empty()) {
            return Ok((rows, true));
        }
        rows.push((key, value));
    }
    Ok((rows, false))
}
