//! The state beside the log, in memory: it outlives homes and workers.

use std::collections::BTreeMap;

use crate::state::{Change, Row, Scan, Table};

/// A table and a key of it.
type Place = (Table, Box<[u8]>);

#[derive(Debug, Default)]
pub(crate) struct MemoryState {
    values: BTreeMap<Place, Box<[u8]>>,
}

impl MemoryState {
    pub(crate) fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { table, key, value } => drop(self.values.insert((table, key), value)),
                Change::Max { table, key, value } => {
                    let present = self.values.entry((table, key)).or_default();
                    if *present < value {
                        *present = value;
                    }
                }
                Change::Delete { table, key } => drop(self.values.remove(&(table, key))),
            }
        }
    }

    pub(crate) fn scan(&self, scan: &Scan) -> (Vec<Row>, bool) {
        let begins =
            |key: &[u8]| key.starts_with(&scan.prefix) && scan.after.as_deref().is_none_or(|after| key > after);
        let found = self.values.iter().filter(|((table, key), _)| *table == scan.table && begins(key));
        let mut rows: Vec<Row> = found.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        let more = rows.len() > scan.rows_max;
        rows.truncate(scan.rows_max);
        (rows, more)
    }
}
