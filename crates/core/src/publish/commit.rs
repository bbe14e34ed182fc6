//! The one place that delivers records.

use std::sync::Arc;

use crate::event::Published;
use crate::position::Position;
use crate::record::Record;
use crate::time::Time;
use crate::worker::{Home, Peers};

use super::desk::Pending;

/// Takes a record that the log has ordered. Returns, for each append of ours that this settles, who waits and for what.
pub(crate) fn commit(
    home: &mut Home,
    peers: &mut Peers,
    now: Time,
    ticket: Option<u64>,
    record: Arc<Record>,
) -> Option<(Pending, Published)> {
    let connections = home.connections();
    let queued = home.queues.is_some();
    let settled = ticket.and_then(|ticket| {
        let position = record.offset.map(|offset| Position { epoch: record.epoch.clone(), offset });
        let published = Published { id: record.id.clone(), position, duplicate: false, connections, queued };
        home.desk.settle(ticket, &published).map(|pending| (pending, published))
    });
    let offset = record.offset.unwrap_or_default();
    let next = home.ring.head() + 1;
    if offset > next {
        home.desk.hold(offset, record);
    } else if offset == next {
        deliver(home, peers, now, record);
        while let Some(record) = home.desk.take_held(home.ring.head() + 1) {
            deliver(home, peers, now, record);
        }
    }
    settled
}

/// Hands an ephemeral message to everyone who listens now.
pub(crate) fn deliver_ephemeral(home: &mut Home, peers: &mut Peers, record: Record) -> Published {
    let published = Published {
        id: record.id.clone(),
        position: None,
        duplicate: false,
        connections: home.connections(),
        queued: false,
    };
    let record = Arc::new(record);
    for interest in &home.interests {
        peers.deliver_if_room(interest, &record);
    }
    published
}

fn deliver(home: &mut Home, peers: &mut Peers, now: Time, record: Arc<Record>) {
    if let Some(age) = home.queues {
        home.ring.hold(home.inbox.get_or_insert_default().admit(&record, age));
    }
    home.ring.push(&record, now);
    home.last_used = now;
    for interest in &mut home.interests {
        peers.deliver(interest, &record);
    }
}
