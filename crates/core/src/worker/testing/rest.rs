//! What must hold when nothing moves any more.

use std::collections::BTreeMap;

use super::client::Stage;
use super::node::Node;
use super::render;
use crate::id::{Audience, ChannelKey, SlotKey};
use crate::session::{Link, Phase};
use crate::worker::Worker;
use crate::worker::channel::{Feed, Home, HomeState, Parked};

impl Node {
    /// Checks that everybody who reads has everything and that nothing is left over anywhere.
    pub(crate) fn check_rest(&mut self) {
        assert!(self.tickets.is_empty(), "calls without an answer: {:?}", self.tickets);
        for (index, worker) in self.workers.iter().enumerate() {
            check_worker(worker, index);
        }
        assert!(self.reads.iter().all(|reads| *reads == 0), "blocks that the log owes");
        let mut counts = BTreeMap::new();
        for (index, worker) in self.workers.iter().enumerate() {
            for (key, local) in worker.locals.iter_from(0) {
                if local.listeners > 0 {
                    counts.insert((local.channel.clone(), index), (key, local.listeners));
                }
            }
        }
        self.check_homes(&counts);
        for client in 0..self.clients.len() {
            self.check_client(client);
        }
        self.check_figures();
    }

    /// Checks that no outbox holds more records and gaps than this.
    pub(crate) fn check_outboxes(&self, most: usize) {
        for session in self.workers.iter().flat_map(|worker| worker.sessions.iter_from(0)) {
            let waiting = session.outbox.iter().filter(|frame| frame.moves_position()).count();
            assert!(waiting <= most, "{waiting} records and gaps wait for one connection, at most {most}");
        }
    }

    fn check_homes(&self, counts: &BTreeMap<(ChannelKey, usize), (SlotKey, u32)>) {
        let mut told = BTreeMap::new();
        for (index, worker) in self.workers.iter().enumerate() {
            let homes: Vec<&Home> = homes(worker).collect();
            assert_eq!(homes.len(), worker.home_index.len(), "an index entry without a home, or the other way");
            let bytes: u64 = homes.iter().map(|home| home.ring.bytes()).sum();
            assert_eq!(worker.history_bytes, bytes, "worker {index}: bytes of history are counted right");
            for home in homes {
                let name = render::channel(&home.channel);
                assert_eq!(home.ring.head(), self.log.head(&home.channel), "{name}: the home has all that the log has");
                for interest in &home.interests {
                    let peer = usize::from(interest.worker.0);
                    if interest.count > 0 {
                        assert_eq!(interest.feed, Feed::Live, "{name}: nobody would tell worker {peer} more");
                        let local =
                            self.workers[peer].locals.get(interest.local).expect("whoever listens has an entry");
                        assert_eq!(local.head, home.ring.head(), "{name}: worker {peer} knows the head");
                        told.insert((home.channel.clone(), peer), (interest.local, interest.count));
                    } else {
                        assert_eq!(home.channel.audience, Audience::Everyone, "{name}: a listener that is none");
                    }
                }
            }
        }
        // A user's connections at their home listen without having told, until there is a home.
        let homed =
            |(channel, _): &(ChannelKey, usize)| self.workers[self.home_of(channel)].home_index.contains_key(channel);
        let listening: BTreeMap<_, _> =
            counts.iter().filter(|(key, _)| homed(key)).map(|(key, it)| (key.clone(), *it)).collect();
        assert_eq!(told, listening, "homes know who listens where, and how many");
    }

    fn check_client(&mut self, client: usize) {
        let it = &self.clients[client];
        if it.stage != Stage::Open {
            return;
        }
        let machine = &self.workers[it.worker];
        let session = machine.sessions.get(it.key).expect("an open client has a session");
        assert_eq!(session.in_flight, 0, "{}: commands without an answer", it.name);
        assert_eq!(session.questions, 0, "{}: questions without an answer", it.name);
        if !it.reads || it.lost || !matches!(session.phase, Phase::Open) {
            return;
        }
        assert!(it.socket.is_empty() && it.inputs.is_empty());
        assert!(session.outbox.is_empty(), "{}: something waits", it.name);
        assert!(!session.everyone_behind, "{}: is thought to be behind: {:?}", it.name, it.key);
        for subscription in &session.subscriptions {
            let local = machine.locals.at(subscription.local);
            let Link::Live { index } = subscription.link else {
                panic!("{}: {} is {:?}", it.name, render::channel(&local.channel), subscription.link)
            };
            if local.channel.audience != Audience::Everyone {
                assert_eq!(local.audience[index as usize], it.key.slot, "{}: its place in the audience", it.name);
            }
        }
        it.streams.check_complete(&self.log);
        let mut listened: Vec<ChannelKey> = session
            .subscriptions
            .iter()
            .filter(|subscription| subscription.named)
            .map(|subscription| machine.locals.at(subscription.local).channel.clone())
            .collect();
        listened.sort_unstable();
        let named = |channel: &&ChannelKey| matches!(channel.audience, Audience::Named(_));
        let heard: Vec<ChannelKey> = it.streams.channels().filter(named).cloned().collect();
        if !it.is_sse() && !it.unnumbered {
            assert_eq!(listened, heard, "{}: client and worker agree on its channels", it.name);
        }
    }

    fn check_figures(&self) {
        let sum = |figure: fn(&Worker) -> u64| self.workers.iter().map(figure).sum::<u64>();
        if self.restarted {
            return;
        }
        let open = self.clients.iter().filter(|it| it.stage != Stage::Gone).count() as u64;
        assert_eq!(sum(|worker| worker.figures().connections), open, "connections");
        let sse = self.clients.iter().filter(|it| it.stage != Stage::Gone && it.is_sse()).count() as u64;
        assert_eq!(sum(|worker| worker.figures().connections_sse), sse, "connections over SSE");
        let named = sum(|worker| {
            let links = worker.sessions.iter_from(0).flat_map(|session| &session.subscriptions);
            links.filter(|it| it.named && !matches!(it.link, Link::Pending { .. })).count() as u64
        });
        assert_eq!(sum(|worker| worker.figures().subscriptions), named, "subscriptions");
        let admitted = self.log.records().count() as u64 + self.signals;
        let failed = sum(|worker| worker.figures().append_failures);
        assert_eq!(sum(|worker| worker.figures().published), admitted + failed, "published");
        let (mut queued, mut passed) = (self.discarded.0, self.discarded.1);
        for client in &self.clients {
            queued += client.messages_written;
            passed += client.excluded_written;
        }
        for session in self.workers.iter().flat_map(|worker| worker.sessions.iter_from(0)) {
            for frame in session.outbox.iter() {
                let (messages, excluded) = super::kinds::count(frame);
                queued += messages;
                passed += excluded;
            }
        }
        assert_eq!(sum(|worker| worker.figures().delivered), queued, "every delivery lies or lay in some outbox");
        assert!(sum(|worker| worker.figures().excluded) >= passed, "every excluded offset was told");
    }

    /// With every connection gone and all deadlines past, nothing is kept but `$all` and what waits for users.
    pub(crate) fn check_empty(&self) {
        for (index, worker) in self.workers.iter().enumerate() {
            assert_eq!(worker.sessions.len(), 0, "worker {index}: sessions");
            assert_eq!(worker.locals.len(), 1, "worker {index}: entries of channels");
            assert_eq!(worker.local_index.len(), 1, "worker {index}: index of channels");
            // What waits for a user stays for days, and in memory a consumer is a reason to stay.
            let waits = |home: &Home| home.inbox.as_ref().is_some_and(|inbox| inbox.len() > 0);
            let consumed = |home: &Home| home.consumers.as_ref().is_some_and(|it| !it.list.is_empty());
            let left = homes(worker).filter(|home| !waits(home) && !consumed(home));
            let left: Vec<String> = left.map(|home| render::channel(&home.channel)).collect();
            assert!(left.iter().all(|name| name == "$all"), "worker {index}: homes are kept: {left:?}");
            assert_eq!(worker.figures().consuming, 0, "worker {index}: members without a connection");
            assert_eq!(worker.waiting.len(), 0, "worker {index}: sessions that wait to be continued");
            assert!(worker.locating.is_empty(), "worker {index}: places are looked for");
            assert_eq!(worker.frames.len(), 0, "worker {index}: frames");
            assert!(worker.blocks.homes().all(|home| worker.homes.get(home).is_some()), "worker {index}: blocks");
            let figures = worker.figures();
            assert_eq!((figures.connections, figures.connections_sse, figures.subscriptions), (0, 0, 0));
        }
    }
}

impl Worker {
    /// Entries of its wheel.
    pub(crate) const fn deadlines(&self) -> usize {
        self.wheel.len()
    }

    /// Ephemeral messages that wait for a channel to open.
    pub(crate) fn parked_signals(&self, key: SlotKey) -> u64 {
        match self.homes.get(key) {
            Some(HomeState::Opening { parked, .. }) => {
                parked.iter().filter(|it| matches!(it, Parked::Publish(draft) if draft.ephemeral)).count() as u64
            }
            Some(HomeState::Ready(_)) | None => 0,
        }
    }
}

fn homes(worker: &Worker) -> impl Iterator<Item = &Home> {
    worker.homes.iter_from(0).map(|(_, state)| match state {
        HomeState::Ready(home) => &**home,
        HomeState::Opening { channel, .. } => panic!("{}: the log has not answered", render::channel(channel)),
    })
}

fn check_worker(worker: &Worker, index: usize) {
    assert!(worker.walk.is_none(), "worker {index}: a walk is unfinished");
    assert!(worker.dirty.is_empty(), "worker {index}: counts that were not told: {:?}", worker.dirty);
    assert!(worker.pulls.is_empty(), "worker {index}: pulls that were not asked: {:?}", worker.pulls);
    assert!(worker.writable.is_empty(), "worker {index}: writes that were not made");
    assert!(worker.taken.is_empty(), "worker {index}: sessions that were found wait");
    assert!(worker.starving.is_empty(), "worker {index}: consumers wait for room");
    assert!(worker.mail.is_empty(), "worker {index}: consumers and members were not told");
    assert!(worker.held.is_empty(), "worker {index}: attach requests wait: {:?}", worker.held);
    assert!(worker.log_reads.is_at_rest(), "worker {index}: blocks that were not read: {:?}", worker.log_reads);
    assert!(worker.peers.is_at_rest(&worker.options), "worker {index}: credits or room are missing");
    assert_eq!(worker.locals.len(), worker.local_index.len(), "worker {index}: an entry without an index");
    for (key, local) in worker.locals.iter_from(0) {
        let name = render::channel(&local.channel);
        assert_eq!(local.attaching, 0, "{name}: attaches without an answer");
        let everyone = key == worker.everyone;
        assert!(everyone || local.listeners > 0, "{name}: an entry that nobody needs");
        let listens = |session: &&crate::session::Session| {
            if everyone { session.listens() } else { session.subscriptions.iter().any(|it| it.local == key.slot) }
        };
        let listeners = worker.sessions.iter_from(0).filter(listens).count();
        assert_eq!(local.listeners as usize, listeners, "worker {index}: {name}: listeners are counted right");
        for (place, slot) in local.audience.iter().enumerate() {
            let session = worker.sessions.iter_from(*slot).next().expect("a listener lives");
            assert!(
                session
                    .subscriptions
                    .iter()
                    .any(|it| it.local == key.slot && it.link == Link::Live { index: place as u32 }),
                "worker {index}: {name}: place {place} knows its listener"
            );
        }
    }
}
