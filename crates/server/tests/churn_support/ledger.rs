//! What was published, and where.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use serde_json::{Value, json};

use super::client::{Ws, http};
use super::connection::Hearing;

pub(crate) const CHANNELS: usize = 8;
pub(crate) const USERS: usize = 24;
/// `$all`, then the channels, then the users.
pub(crate) const LOGS: usize = 1 + CHANNELS + USERS;

/// A log as the HTTP API and frames of clients name it.
pub(crate) fn name(log: usize) -> String {
    match log {
        0 => "$all".to_owned(),
        1..=CHANNELS => format!("room-{log}"),
        _ => format!("user-{log}"),
    }
}

/// A message to a log: the body of a broadcast and, but for its `op`, a frame.
fn message(log: usize, payload: u32) -> Value {
    let mut message = json!({"type": "churn", "data": payload});
    match log {
        0 => {}
        1..=CHANNELS => message["channel"] = json!(name(log)),
        _ => message["userId"] = json!(name(log)),
    }
    message
}

/// What is known of one log.
#[derive(Debug, Default)]
struct Log {
    /// See [`Ledger::base`].
    base: AtomicU64,
    /// Messages on their way or acknowledged.
    begun: AtomicU64,
    /// The newest offset that was acknowledged.
    acknowledged: AtomicU64,
    payloads: Mutex<BTreeMap<u64, u32>>,
}

/// What was published in a wave.
#[derive(Debug)]
pub(crate) struct Ledger {
    logs: [Log; LOGS],
    next_payload: AtomicU32,
}

impl Ledger {
    /// Begins with one message in each log, to learn where it is.
    pub(crate) async fn start(addr: SocketAddr) -> Self {
        let ledger = Self { logs: std::array::from_fn(|_| Log::default()), next_payload: AtomicU32::new(0) };
        for log in 0..LOGS {
            let (offset, _) = ledger.broadcast(addr, log).await;
            ledger.logs[log].base.store(offset - 1, SeqCst);
        }
        ledger
    }

    /// Publishes by HTTP. Returns the offset, and how many connections the target had.
    pub(crate) async fn broadcast(&self, addr: SocketAddr, log: usize) -> (u64, u64) {
        let payload = self.begin(log);
        let answer = http(addr, "POST", "/api/broadcast", Some(&message(log, payload))).await.json();
        let connections = answer["connections"].as_u64().unwrap_or_else(|| panic!("{answer}"));
        (self.acknowledge(log, &answer, payload), connections)
    }

    /// Publishes by a WebSocket. Returns the offset.
    pub(crate) async fn speak(&self, ws: &mut Ws, log: usize) -> u64 {
        let payload = self.begin(log);
        let mut frame = message(log, payload);
        (frame["op"], frame["ref"]) = (json!("publish"), json!(1));
        ws.send_json(&frame).await;
        self.acknowledge(log, &ws.recv_op("ok").await, payload)
    }

    /// A payload that nothing else has.
    fn begin(&self, log: usize) -> u32 {
        self.logs[log].begun.fetch_add(1, SeqCst);
        self.next_payload.fetch_add(1, SeqCst)
    }

    fn acknowledge(&self, log: usize, answer: &Value, payload: u32) -> u64 {
        let offset = answer["position"]["offset"].as_u64().unwrap_or_else(|| panic!("{answer}"));
        let log = &self.logs[log];
        assert_eq!(log.payloads.lock().expect("no panics").insert(offset, payload), None, "{answer} twice");
        log.acknowledged.fetch_max(offset, SeqCst);
        offset
    }

    /// The newest offset of each log that was acknowledged.
    pub(crate) fn acknowledged(&self) -> [u64; LOGS] {
        std::array::from_fn(|log| self.logs[log].acknowledged.load(SeqCst))
    }

    /// The offset before the wave's first message.
    pub(crate) fn base(&self, log: usize) -> u64 {
        self.logs[log].base.load(SeqCst)
    }

    /// No message has a higher offset at this moment.
    pub(crate) fn head_max(&self, log: usize) -> u64 {
        self.base(log) + self.logs[log].begun.load(SeqCst)
    }

    /// Each message got an offset of its own, the next one. To be asked when all are acknowledged.
    pub(crate) fn check(&self) {
        for (log, known) in self.logs.iter().enumerate() {
            let (begun, payloads) = (known.begun.load(SeqCst), known.payloads.lock().expect("no panics"));
            let mut offsets = self.base(log) + 1..=self.base(log) + begun;
            let unused = offsets.find(|offset| !payloads.contains_key(offset));
            assert_eq!((payloads.len() as u64, unused), (begun, None), "{}: messages, and an unused offset", name(log));
        }
    }

    /// Compares what somebody heard with what was published there. Returns how many messages that were.
    pub(crate) fn compare(&self, hearing: &Hearing) -> usize {
        let payloads = self.logs[hearing.log].payloads.lock().expect("no panics");
        let published = payloads.range(hearing.first..).map(|(_, payload)| payload).take(hearing.payloads.len());
        assert!(published.eq(&hearing.payloads), "{}: other payloads in {hearing:?}", name(hearing.log));
        hearing.payloads.len()
    }
}
