//! What is said to be stored was synced before: the system calls of a real process, in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::json;

use crate::line::Stream;
use crate::node::Node;
use crate::tracer::Tracer;

const PUBLISHERS: usize = 4;
const MESSAGES: usize = 25;

/// All of the same length, so that none begins like another.
fn id(publisher: usize, number: usize) -> String {
    format!("synced-{publisher}-{number:03}")
}

/// Nobody, publisher or listener, is told of a message before a sync is done that began when the message was in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stored_message_was_synced_before_anybody_is_told() {
    let mut node = Node::new("");
    node.start().await;
    node.publish(&json!({"channel": "orders", "type": "t", "data": "the first one"})).await;
    let mut listener = Stream::websocket(node.addr, "?channel=orders").await.expect("it listens");
    listener.next_op("connected").await.expect("it stays");
    let log = node.folder().join("strace");
    let calls = "trace=fsync,fdatasync,pwrite64,pwritev,write,writev,sendto,sendmsg";
    let Some(tracer) = Tracer::attach(node.pid(), &log, &["-y", "-s", "8192", "-e", calls]) else {
        eprintln!("SKIPPED every_stored_message_was_synced_before_anybody_is_told: no strace here");
        return;
    };
    let publish = async |publisher: usize| {
        for number in 0..MESSAGES {
            let id = id(publisher, number);
            let body = json!({"channel": "orders", "type": "t", "data": 1, "id": id, "ack": "stored"});
            let answer = node.publish(&body).await;
            assert!(answer["position"]["offset"].is_u64(), "{answer}");
        }
    };
    tokio::join!(publish(0), publish(1), publish(2), publish(3));
    for _ in 0..PUBLISHERS * MESSAGES {
        listener.next_op("message").await.expect("it stays");
    }
    drop(tracer);
    let ids: BTreeSet<String> =
        (0..PUBLISHERS).flat_map(|publisher| (0..MESSAGES).map(move |number| id(publisher, number))).collect();
    let mut trace = Trace { ids: &ids, ..Trace::default() };
    for (at, line) in fs::read_to_string(&log).expect("a trace").lines().enumerate() {
        trace.take(at, line);
    }
    assert_eq!(trace.told.keys().collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>(), "every id was seen leaving");
    assert!(trace.told.values().all(|times| *times >= 2), "to its publisher and to the listener: {:?}", trace.told);
    println!("{} messages, {} syncs", ids.len(), trace.syncs);
    node.stop();
    node.check_store();
}

const NO_IDS: &BTreeSet<String> = &BTreeSet::new();

/// Reads a trace line by line.
struct Trace<'a> {
    ids: &'a BTreeSet<String>,
    /// Calls that have begun, by thread: where, and how they read.
    begun: BTreeMap<String, (usize, String)>,
    /// Where the write that brought an id into the log was done.
    written: BTreeMap<String, usize>,
    synced: BTreeSet<String>,
    syncs: usize,
    /// How often an id left by a socket.
    told: BTreeMap<String, usize>,
}

impl Default for Trace<'_> {
    fn default() -> Self {
        let (begun, written, told) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { ids: NO_IDS, begun, written, synced: BTreeSet::new(), syncs: 0, told }
    }
}

impl Trace<'_> {
    fn take(&mut self, at: usize, line: &str) {
        let (thread, call) = line.trim_start().split_once(' ').expect("a thread and a call");
        let call = call.trim_start();
        if call.starts_with("<... ") {
            let Some((began, head)) = self.begun.remove(thread) else { return };
            return self.done(began, at, &format!("{head}{call}"));
        }
        if !call.contains("<socket:") && !call.contains("-wal>") {
            return;
        }
        if call.contains("<socket:") {
            self.leaves(call);
        }
        if call.ends_with("<unfinished ...>") {
            self.begun.insert(thread.to_owned(), (at, call.to_owned()));
        } else {
            self.done(at, at, call);
        }
    }

    /// Something is about to be sent, and may arrive at once.
    fn leaves(&mut self, call: &str) {
        for id in self.ids.iter().filter(|id| call.contains(id.as_str())) {
            assert!(self.synced.contains(id), "{id} leaves before it was synced: {call}");
            *self.told.entry(id.clone()).or_default() += 1;
        }
    }

    fn done(&mut self, began: usize, at: usize, call: &str) {
        if !call.contains("-wal>") {
            return;
        }
        if call.starts_with("fsync") || call.starts_with("fdatasync") {
            assert!(call.ends_with("= 0"), "{call}");
            self.syncs += 1;
            let before = self.written.iter().filter(|(_, written)| **written < began).map(|(id, _)| id.clone());
            self.synced.extend(before);
            return;
        }
        for id in self.ids.iter().filter(|id| call.contains(id.as_str())) {
            self.written.entry(id.clone()).or_insert(at);
        }
    }
}
