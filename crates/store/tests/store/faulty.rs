//! A log with faults keeps the contract, and what it says can be trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use realtime_connector_core::position::Epoch;
use realtime_connector_core::time::Now;
use realtime_connector_store::conformance::{self, Backend, Capabilities};
use realtime_connector_store::faulty::{Faults, FaultyLog, FaultyState};
use realtime_connector_store::{Completion, Log, LogError, MemoryLog, MemoryState, Wake};

use crate::support::{Folder, HOME, Worker, append, open};

const LATE: Faults = Faults { seed: 7, late_percent: 60, refuse_percent: 0 };
const SEEDS: u64 = 12;

struct Late;

impl Backend for Late {
    type Log = FaultyLog<MemoryLog>;
    type State = FaultyState<MemoryState>;

    fn log(&mut self, wake: Wake) -> Self::Log {
        FaultyLog::new(MemoryLog::new(Epoch::parse("e1").unwrap()), LATE, wake)
    }

    fn state(&mut self, wake: Wake) -> Self::State {
        FaultyState::new(MemoryState::default(), LATE, wake)
    }

    fn set_clock(&mut self, _: Now) {}

    fn reopen(&mut self) {
        unreachable!("it does not last");
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { keeps: false, lasts: false }
    }
}

#[test]
fn a_late_log_is_a_log() {
    conformance::log(|| Late);
}

#[test]
fn a_late_state_is_a_state() {
    conformance::state(|| Late);
}

#[test]
fn what_a_faulty_log_said_is_true_after_a_crash() {
    for seed in 0..SEEDS {
        let folder = Folder::in_memory();
        let store = open(&folder);
        let mut said: BTreeMap<String, Result<u64, LogError>> = BTreeMap::new();
        let mut asked = BTreeSet::new();
        for life in 0..4 {
            let (ring, rung) = sync_channel(1);
            let wake: Wake = Arc::new(move || ring.try_send(()).unwrap_or(()));
            let faults = Faults { seed: seed * 31 + life, late_percent: 40, refuse_percent: 20 };
            let mut log = FaultyLog::new(store.log(wake.clone()), faults, wake);
            for number in 0..40 {
                let id = format!("{life}-{number}");
                asked.insert(id.clone());
                log.append(HOME, number, append("a", &id, &id));
                // The last ones are never waited for: the crash comes first.
                if number % 5 == 4 && number < 35 {
                    rung.recv().unwrap();
                }
                while let Some(completion) = log.poll() {
                    let (id, result) = told(life, completion);
                    assert_eq!(said.insert(id, result), None, "one answer each");
                }
            }
            drop(log.crash());
        }
        let found = Worker::new(&store).everything("a").unwrap();
        verify(seed, &asked, &said, &found);
    }
}

fn told(life: u64, completion: Completion) -> (String, Result<u64, LogError>) {
    match completion {
        Completion::Committed { record, .. } => (record.id.to_string(), Ok(record.offset.unwrap())),
        Completion::Failed { ticket: Some(ticket), error, .. } => (format!("{life}-{ticket}"), Err(error)),
        other => panic!("{other:?}"),
    }
}

fn verify(
    seed: u64,
    asked: &BTreeSet<String>,
    said: &BTreeMap<String, Result<u64, LogError>>,
    found: &[(u64, String, String)],
) {
    let places: BTreeMap<&str, u64> = found.iter().map(|(offset, id, _)| (id.as_str(), *offset)).collect();
    assert_eq!(places.len(), found.len(), "seed {seed}: each once");
    assert!(places.keys().all(|id| asked.contains(*id)), "seed {seed}: nothing is made up");
    for (id, result) in said {
        let place = places.get(id.as_str()).copied();
        match result {
            Ok(offset) => assert_eq!(place, Some(*offset), "seed {seed}: {id} was committed"),
            Err(LogError::Busy | LogError::Full) => assert_eq!(place, None, "seed {seed}: {id} was refused"),
            Err(LogError::Unavailable) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}
