//! Events and answers as lines of a trace.

use realtime_connector_core::event::{Event, Outcome, Subscribed};
use realtime_connector_core::history::HistoryPage;
use realtime_connector_core::worker::Answer;

use super::hearing::noted;
use crate::model::{label, name};

/// An event in a line.
pub(super) fn event(event: &Event) -> String {
    match event {
        Event::Message(record) => {
            let label = label(&record.data);
            let place = record.position().map_or_else(|| "ephemeral".to_owned(), |it| noted(&it).to_string());
            format!("{}: {} {} at {place}", name(&record.channel), label.publisher, label.seq)
        }
        Event::Gap { channel, gap, position } => {
            let range = gap.range.map_or_else(String::new, |(from, to)| format!("{from} to {to}, "));
            format!("{}: a gap, {range}{:?}, on from {}", name(channel), gap.reason, noted(position))
        }
        Event::Connected(connected) => {
            let subscriptions = connected.subscriptions.iter().map(|it| match it {
                Ok(subscribed) => begun(subscribed),
                Err(rejection) => format!("refused: {rejection}"),
            });
            let subscriptions = subscriptions.collect::<Vec<_>>().join("; ");
            let (id, resumed) = (connected.connection, if connected.resumed { " again" } else { "" });
            format!("connected{resumed} as {}.{}.{}: {subscriptions}", id.worker.0, id.key.slot, id.key.generation)
        }
        Event::Subscribed { subscribed, .. } => format!("subscribed to {}", begun(subscribed)),
        Event::Unsubscribed { channel, .. } => format!("unsubscribed from {}", name(channel)),
        Event::Ok { outcome: Outcome::History(page), .. } => past(page),
        Event::Error { rejection, .. } => format!("an error: {:?}, {rejection}", rejection.kind),
        other @ (Event::Ok { .. }
        | Event::Inbox { .. }
        | Event::Delivery(_)
        | Event::Consumer(_)
        | Event::Probe(_)
        | Event::Ping
        | Event::Heartbeat
        | Event::Pong { .. }
        | Event::Goaway { .. }) => format!("{other:?}"),
    }
}

/// An answer to a call in a line.
pub(super) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::History(Ok(page)) => past(page),
        Answer::Connections { items, .. } => format!("{} connections", items.len()),
        Answer::Channels { items, .. } => format!("{} channels", items.len()),
        other @ (Answer::Published(_)
        | Answer::Purged(_)
        | Answer::History(Err(_))
        | Answer::Connection(_)
        | Answer::Found(_)
        | Answer::Channel(_)
        | Answer::Inbox(_)
        | Answer::Consumers(_)
        | Answer::Figures(_)) => format!("{other:?}"),
    }
}

fn begun(subscribed: &Subscribed) -> String {
    let Subscribed { channel, position, head, recovered, .. } = subscribed;
    let recovered = match recovered {
        Some(true) => ", recovered",
        Some(false) => ", not recovered",
        None => "",
    };
    format!("{} from {} to {head}{recovered}", name(channel), noted(position))
}

fn past(page: &HistoryPage) -> String {
    let offsets: Vec<u64> = page.records.iter().filter_map(|record| record.offset).collect();
    format!("the past {offsets:?} up to {}", noted(&page.position))
}
