//! What was sent, and what must have become of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use super::people::{heard_in, may_hear};
use crate::command::{Publish, Target};
use crate::position::Position;
use crate::rejection::RejectionKind;
use crate::time::Time;
use crate::worker::testing::{Node, Stage};

/// A message that somebody sent, maybe more than once.
#[derive(Clone, Debug)]
struct Sent {
    publish: Publish,
    at: Time,
    /// What its publisher was told.
    position: Option<Position>,
    /// How often it was sent.
    times: u32,
    /// Refused the only time it was sent, so that nobody may ever hear it.
    refused: bool,
}

#[derive(Debug, Default)]
pub(super) struct Books {
    sent: BTreeMap<Bytes, Sent>,
    /// Payloads by client and number of the command.
    waiting: BTreeMap<(usize, u64), Bytes>,
    /// The latest message with an id of each client.
    latest: BTreeMap<usize, Bytes>,
    /// Signals that a client has read.
    heard: BTreeSet<(usize, Bytes)>,
}

impl Books {
    /// A payload nobody has used; the first words are its name.
    pub(super) fn payload(&self, padding: usize) -> Bytes {
        format!("{} {}", self.sent.len(), "x".repeat(padding)).into()
    }

    pub(super) fn count(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn note_called(&mut self, publish: &Publish) {
        let sent = Sent { publish: publish.clone(), at: Time::default(), position: None, times: 1, refused: false };
        self.sent.insert(publish.data.clone(), sent);
    }

    pub(super) fn note_sent(&mut self, client: usize, reference: u64, publish: &Publish, at: Time) {
        let sent = Sent { publish: publish.clone(), at, position: None, times: 0, refused: false };
        let sent = self.sent.entry(publish.data.clone()).or_insert(sent);
        sent.times += 1;
        // What was refused because its home was full may be taken now.
        sent.refused = false;
        self.waiting.insert((client, reference), publish.data.clone());
        if publish.id.is_some() && !is_signal(publish) {
            self.latest.insert(client, publish.data.clone());
        }
    }

    /// The client's latest message with an id, to be sent once more while its home still knows it.
    pub(super) fn latest(&self, client: usize, now: Time) -> Option<Publish> {
        let sent = &self.sent[self.latest.get(&client)?];
        (now.since(sent.at) < Duration::from_secs(60)).then(|| sent.publish.clone())
    }

    /// At rest: every answer is right, every record was sent, and once.
    pub(super) fn check(&mut self, node: &mut Node) {
        self.check_answers(node);
        self.check_log(node);
        self.check_signals(node);
    }

    fn check_answers(&mut self, node: &mut Node) {
        for (index, client) in node.clients.iter_mut().enumerate() {
            for (reference, result) in client.results.drain(..) {
                let Some(payload) = self.waiting.remove(&(index, reference)) else {
                    assert!(result.is_err(), "an answer to nothing: {result:?}");
                    continue;
                };
                let sent = self.sent.get_mut(&payload).expect("it was sent");
                match result {
                    Ok(published) => {
                        if let Some(position) = &published.position {
                            let record = node.log.record(&heard_in(&sent.publish.target), position.offset);
                            assert_eq!(record.expect("answered with a record").data, payload);
                        }
                        if let (Some(first), Some(second)) = (&sent.position, &published.position) {
                            assert_eq!(first, second, "the same id has one place");
                        }
                        sent.position = sent.position.take().or(published.position);
                    }
                    Err(rejection) => {
                        assert_ne!(rejection.kind, RejectionKind::Conflict, "the same message is no conflict");
                        sent.refused = sent.times == 1;
                    }
                }
            }
        }
        let answered =
            |(client, _): &(usize, u64)| node.clients[*client].stage == Stage::Open && node.clients[*client].reads;
        let left: Vec<_> = self.waiting.keys().filter(|key| answered(key)).collect();
        assert!(left.is_empty(), "publishes without an answer: {left:?}");
    }

    fn check_log(&self, node: &Node) {
        let mut seen = BTreeSet::new();
        for record in node.log.records() {
            let sent = self.sent.get(&record.data).expect("every record was sent");
            assert_eq!(heard_in(&sent.publish.target), record.channel, "it went where it was sent");
            assert!(!is_signal(&sent.publish), "a signal is not stored");
            assert!(!sent.refused, "what was refused is not delivered");
            assert!(seen.insert(&record.data), "twice in the log: {:?}", record.data);
        }
        for (payload, sent) in &self.sent {
            assert!(sent.position.is_none() || seen.contains(payload), "answered and not in the log");
        }
    }

    fn check_signals(&mut self, node: &mut Node) {
        for (index, client) in node.clients.iter_mut().enumerate() {
            for record in client.signals.drain(..) {
                let sent = self.sent.get(&record.data).expect("every signal was sent");
                assert!(is_signal(&sent.publish) && heard_in(&sent.publish.target) == record.channel);
                assert!(may_hear(&sent.publish.target, client.user.as_ref()), "a signal for somebody else");
                assert!(self.heard.insert((index, record.data.clone())), "a signal came twice");
            }
        }
    }
}

fn is_signal(publish: &Publish) -> bool {
    publish.ephemeral || matches!(publish.target, Target::UserInChannel { .. })
}
