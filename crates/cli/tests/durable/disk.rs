//! A disk that is full refuses and heals; a disk that breaks ends the acknowledgements until a restart, and nothing else.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::line::{Answer, Provider, Stream};
use crate::node::{Folder, Node};
use crate::people::{Crowd, Listener, Message, head, history};
use crate::tracer::Tracer;
use sim::checker::{Journals, Position, Sent};

const RULE: &str = "[[rules]]\npattern = \"live:*\"\npersist = false\n";

/// A small disk; unmounted before its folder is removed.
struct Mount(Folder);

impl Mount {
    /// `None` where mounting is not allowed.
    fn new(size: &str) -> Option<Self> {
        let folder = Folder::new();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder.0).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0.0).output());
    }
}

/// Publishes the messages of one publisher, and keeps its journal.
struct Speaker<'a> {
    node: &'a Node,
    seq: u64,
    sent: Vec<Sent>,
}

impl Speaker<'_> {
    fn next(&mut self, channel: &str) -> Message {
        self.seq += 1;
        Message { channel: channel.to_owned(), publisher: "server".to_owned(), seq: self.seq }
    }

    /// Publishes to a channel that is stored.
    async fn store(&mut self, message: &Message, ballast: &str) -> Answer {
        let mut body = message.body();
        body["meta"] = json!({ "ballast": ballast });
        self.publish(message, &body).await
    }

    /// Publishes to a channel in memory, which always works.
    async fn live(&mut self) {
        let message = self.next("live:news");
        let answer = self.publish(&message, &message.body()).await;
        assert_eq!(answer.status, 200, "live traffic goes on: {}", answer.text());
    }

    async fn publish(&mut self, message: &Message, body: &Value) -> Answer {
        let answer = self.node.http("POST", "/api/broadcast", Some(body)).await;
        self.sent.push(message.sent(Some((&answer.json(), answer.status == 200))));
        answer
    }
}

fn channels() -> Vec<String> {
    vec!["orders".to_owned(), "live:news".to_owned()]
}

async fn gather(node: &Node) -> Crowd {
    let listeners = [Provider::WebSocket, Provider::Sse].map(|provider| Listener {
        name: format!("listener ({provider:?})"),
        addr: node.addr,
        provider,
        channels: channels(),
        restless: None,
    });
    Crowd::gather(listeners.into()).await
}

/// Whoever comes now is given everything that was acknowledged.
async fn assert_readable(node: &Node) {
    let Position { epoch, offset: head } = head(node, "orders").await;
    let query = format!("?channel=orders&since={epoch}-0");
    let mut stream = Stream::websocket(node.addr, &query).await.expect("it listens");
    for offset in 1..=head {
        let frame = stream.next_op("message").await.expect("it stays").frame;
        assert_eq!(frame["offset"], offset, "{frame}");
    }
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    let body = answer.json();
    assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(body["retryable"], true, "{body}");
    assert!(body["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_it_cannot_store_and_heals() {
    let Some(mount) = Mount::new("1m") else {
        eprintln!("SKIPPED a_full_disk_refuses_what_it_cannot_store_and_heals: no file system can be mounted here");
        return;
    };
    let ballast = mount.0.0.join("ballast");
    fs::write(&ballast, vec![1; 300 * 1024]).expect("there is room for it");
    let mut node = Node::with_store(Folder::new(), mount.0.0.join("data"), RULE);
    node.start().await;
    let crowd = gather(&node).await;
    let mut speaker = Speaker { node: &node, seq: 0, sent: Vec::new() };
    let heavy = "x".repeat(1_800);
    let refused = loop {
        let message = speaker.next("orders");
        let answer = speaker.store(&message, &heavy).await;
        if answer.status != 200 {
            assert_refused(&answer, 507, "storage_full");
            break message;
        }
    };
    println!("{} messages fit", head(&node, "orders").await.offset);
    for _ in 0..5 {
        speaker.live().await;
        assert_refused(&speaker.store(&refused, &heavy).await, 507, "storage_full");
    }
    assert_readable(&node).await;
    let mut stream = Stream::websocket(node.addr, "?userId=ada").await.expect("it listens");
    let mut frame = speaker.next("orders").body();
    (frame["op"], frame["ref"], frame["meta"]) = (json!("publish"), json!(7), json!({ "ballast": heavy }));
    stream.send(&frame).await.expect("it reads");
    let error = loop {
        let frame = stream.next().await.expect("it stays").frame;
        if frame["ref"] == 7 {
            break frame;
        }
    };
    assert_eq!((&error["code"], &error["retryable"]), (&json!("storage_full"), &json!(true)), "{error}");
    let ready = node.http("GET", "/health/ready", None).await;
    assert_eq!(ready.status, 200, "a full disk heals by itself: {}", ready.text());
    assert!(node.figure("store_append_failures_total").await >= 7);

    fs::remove_file(&ballast).expect("it is there");
    let answer = speaker.store(&refused, &heavy).await;
    assert_eq!(answer.status, 200, "with space there is room again: {}", answer.text());
    assert!(answer.json()["duplicate"].is_null(), "it was really refused before: {}", answer.text());
    speaker.live().await;
    let sent = speaker.sent;
    finish(node, crowd, sent).await;
}

/// Everybody has heard everything, nothing else, and once.
async fn finish(mut node: Node, crowd: Crowd, sent: Vec<Sent>) {
    // A message that was refused first and taken later was published all the same.
    let heard = crowd.hear_out(&node, &channels()).await;
    let mut journals = Journals { heard, sent, ..Journals::default() };
    for channel in channels() {
        journals.heard.push(history(&node, &channel).await);
    }
    node.stop();
    node.check_store();
    let verdict = journals.check();
    println!("{} acknowledged, {} heard", verdict.acknowledged, verdict.heard);
    verdict.assert_flawless();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_ends_acknowledgements_until_a_restart() {
    let mut node = Node::new(RULE);
    node.start().await;
    let crowd = gather(&node).await;
    let mut speaker = Speaker { node: &node, seq: 0, sent: Vec::new() };
    for _ in 0..5 {
        let message = speaker.next("orders");
        assert_eq!(speaker.store(&message, "").await.status, 200);
    }
    let log: PathBuf = node.folder().join("strace");
    let inject = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"];
    let Some(broken) = Tracer::attach(node.pid(), &log, &inject) else {
        eprintln!("SKIPPED a_sync_that_fails_ends_acknowledgements_until_a_restart: no strace here");
        return;
    };
    let doubtful = speaker.next("orders");
    for _ in 0..3 {
        let answer = speaker.store(&doubtful, "").await;
        assert_refused(&answer, 503, "unavailable");
        assert!(answer.head.to_ascii_lowercase().contains("\r\nretry-after: "), "{}", answer.head);
        speaker.live().await;
    }
    drop(broken);
    // The disk says yes again, about data that may be gone: it is not believed.
    assert_refused(&speaker.store(&doubtful, "").await, 503, "unavailable");
    speaker.live().await;
    assert_eq!(head(&node, "orders").await.offset, 5);
    assert_readable(&node).await;
    let ready = node.http("GET", "/health/ready", None).await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().starts_with("the store has stopped writing"), "{}", ready.text());
    assert_eq!(node.http("GET", "/health/live", None).await.status, 200);
    assert!(node.http("GET", "/metrics", None).await.text().contains("\nrealtime_ready 0\n"));
    assert!(node.figure("store_append_failures_total").await >= 4);
    let (sent, seq) = (speaker.sent, speaker.seq);

    node.stop();
    node.start().await;
    let mut speaker = Speaker { node: &node, seq, sent };
    let answer = speaker.store(&doubtful, "").await;
    assert_eq!(answer.status, 200, "a restart mends it: {}", answer.text());
    speaker.live().await;
    let sent = speaker.sent.into_iter().filter(|sent| sent.channel == "orders").collect();
    // The restart has ended what was in memory, which is another story.
    let mut heard = crowd.hear_out(&node, &["orders".to_owned()]).await;
    heard.retain(|journal| journal.channel == "orders");
    heard.push(history(&node, "orders").await);
    node.stop();
    node.check_store();
    Journals { sent, heard, ..Journals::default() }.check().assert_flawless();
}
