//! Frames, answers and events as short lines: what scripts compare.

use std::fmt::Write;
use std::sync::Arc;

use crate::consumers::{Delivery, Done, News};
use crate::event::{Event, Outcome, Published, Subscribed};
use crate::history::HistoryPage;
use crate::id::{Audience, ChannelKey, UserId};
use crate::position::{Gap, GapReason};
use crate::record::Record;
use crate::rejection::Rejection;
use crate::worker::{Answer, DisconnectReason, Lifecycle};

pub(crate) fn channel(key: &ChannelKey) -> String {
    let app = if key.app.0 == 0 { String::new() } else { format!("{}/", key.app.0) };
    match &key.audience {
        Audience::Everyone => format!("{app}$all"),
        Audience::User(user) => format!("{app}$user:{user}"),
        Audience::Named(name) => format!("{app}{name}"),
    }
}

fn reference(reference: Option<u64>) -> String {
    reference.map_or_else(String::new, |number| format!(" #{number}"))
}

pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Connected(connected) => {
            let resumed = if connected.resumed { " resumed" } else { "" };
            let mut line = format!("connected{}{resumed}", reference(connected.reference));
            for outcome in &connected.subscriptions {
                match outcome {
                    Ok(it) => write!(line, " [{}]", subscribed(it)),
                    Err(rejection) => write!(line, " [{}]", self::rejection(rejection)),
                }
                .expect("a string takes everything");
            }
            line
        }
        Event::Ok { reference: number, outcome: Outcome::Done } => format!("ok{}", reference(*number)),
        Event::Ok { reference: number, outcome: Outcome::Published(it) } => {
            format!("ok{} {}", reference(*number), published(it))
        }
        Event::Ok { reference: number, outcome: Outcome::History(page) | Outcome::Inbox(page) } => {
            format!("ok{} {}", reference(*number), history(page))
        }
        Event::Ok { reference: number, outcome: Outcome::Consuming(it) } => {
            let lost = it.gap.as_ref().map_or_else(String::new, |gap| format!(" {}", lost(gap)));
            format!("ok{} from {}{lost}", reference(*number), it.position.offset)
        }
        Event::Error { reference: number, rejection } => {
            format!("error{} {}", reference(*number), self::rejection(rejection))
        }
        Event::Subscribed { reference: number, subscribed: it } => {
            format!("subscribed{} {}", reference(*number), subscribed(it))
        }
        Event::Unsubscribed { reference: number, channel: of } => {
            format!("unsubscribed{} {}", reference(*number), channel(of))
        }
        Event::Message(record) => message(record),
        Event::Delivery(it) => format!("{} gets {}", it.consumer, delivery(it)),
        Event::Consumer(notice) => {
            let news = match &notice.news {
                News::Ended(rejection) => format!("ended {}", self::rejection(rejection)),
                News::Gap(gap, _) => lost(gap),
            };
            format!("{} of {} {news}", notice.member.consumer, channel(&notice.channel))
        }
        Event::Gap { channel: of, gap: it, position } => format!("{} {}", channel(of), gap(it, position.offset)),
        Event::Ping => "ping".to_owned(),
        Event::Heartbeat | Event::Probe(_) => "heartbeat".to_owned(),
        Event::Inbox { pending, cancelled, dropped } => {
            let mut line = format!("inbox {pending}");
            if !cancelled.is_empty() {
                write!(line, " cancelled {cancelled:?}").expect("a string takes everything");
            }
            if *dropped > 0 {
                write!(line, " dropped {dropped}").expect("a string takes everything");
            }
            line
        }
        Event::Pong { reference: number, .. } => format!("pong{}", reference(*number)),
        Event::Goaway { close, reason } => {
            format!("goaway {close:?}{}", reason.as_ref().map_or_else(String::new, |text| format!(" {text}")))
        }
    }
}

/// `news 4..7`: continues after offset 4, the newest is 7.
fn subscribed(it: &Subscribed) -> String {
    let recovered = match it.recovered {
        None => "",
        Some(true) => " recovered",
        Some(false) => " unrecovered",
    };
    format!("{} {}..{}{recovered}", channel(&it.channel), it.position.offset, it.head)
}

/// `jobs 4 hi again 2`: for the second time.
fn delivery(it: &Delivery) -> String {
    let again = if it.attempt == 1 { String::new() } else { format!(" again {}", it.attempt) };
    format!("{}{again}", message(&it.record))
}

fn lost(gap: &Gap) -> String {
    let lost = if gap.reason.lost() { "lost" } else { "without" };
    gap.range.map_or_else(|| format!("{lost} an epoch"), |(from, to)| format!("{lost} {from}-{to}"))
}

fn done(done: &Done) -> String {
    match done {
        Done::Nothing => "done".to_owned(),
        Done::Joined(it) => format!("from {}", it.position.offset),
        Done::Taken(it) => {
            let deliveries: Vec<String> = it.deliveries.iter().map(delivery).collect();
            let lost = it.gap.as_ref().map_or_else(String::new, |gap| format!(" {}", lost(gap)));
            format!("took [{}] from {}{lost}", deliveries.join(", "), it.position.offset)
        }
        Done::List(items) => {
            let items = items.iter().map(|it| {
                let lost = if it.lost == 0 { String::new() } else { format!(" lost {}", it.lost) };
                format!(
                    "{} at {} pending {} out {} dead {} by {}{lost}",
                    it.name, it.position.offset, it.pending, it.outstanding, it.dead, it.members
                )
            });
            format!("consumers {}", items.collect::<Vec<_>>().join(", "))
        }
        Done::DeadLetters(items, more) => {
            let items = items.iter().map(|it| format!("{} after {}: {}", it.position.offset, it.attempts, it.reason));
            format!("letters {}{}", items.collect::<Vec<_>>().join(", "), if *more { " …" } else { "" })
        }
        Done::Requeued(count) => format!("requeued {count}"),
    }
}

fn message(record: &Record) -> String {
    let offset = record.offset.map_or_else(|| "~".to_owned(), |offset| offset.to_string());
    format!("{} {offset} {}", channel(&record.channel), String::from_utf8_lossy(&record.data))
}

fn gap(gap: &Gap, position: u64) -> String {
    let reason = match gap.reason {
        GapReason::Window => "window",
        GapReason::Slow => "slow",
        GapReason::Epoch => "epoch",
        GapReason::Excluded => "excluded",
        GapReason::Expired => "expired",
        GapReason::Replaced => "replaced",
        GapReason::Purged => "purged",
        GapReason::Acked => "acked",
    };
    match gap.range {
        Some((from, to)) => {
            assert_eq!(to, position, "a gap moves the position to its end");
            format!("gap {from}-{to} {reason}")
        }
        None => format!("gap {reason}, on from {position}"),
    }
}

/// `[4 d, 3 c] at 4 …`: two messages, on from 4, and there is more.
fn history(page: &HistoryPage) -> String {
    let one = |it: &Arc<Record>| format!("{} {}", it.offset.unwrap_or_default(), String::from_utf8_lossy(&it.data));
    let records: Vec<String> = page.records.iter().map(one).collect();
    let lost = page
        .gap
        .as_ref()
        .map_or_else(String::new, |it| format!(" {}", gap(it, it.range.map_or(page.position.offset, |range| range.1))));
    let more = if page.next.is_some() { " …" } else { "" };
    match page.pending {
        Some(pending) => format!("[{}] of {pending}{more}", records.join(", ")),
        None => format!("[{}] at {}{lost}{more}", records.join(", "), page.position.offset),
    }
}

/// `at 4 to 2`: stored at offset 4, two connections listen.
fn published(it: &Published) -> String {
    let position = it.position.as_ref().map_or_else(|| "~".to_owned(), |position| position.offset.to_string());
    let queued = if it.queued { " queued" } else { "" };
    format!("at {position} to {}{}{queued}", it.connections, if it.duplicate { " duplicate" } else { "" })
}

fn rejection(it: &Rejection) -> String {
    let mut line = format!("{:?}", it.kind);
    if let Some(field) = &it.field {
        write!(line, " {field}").expect("a string takes everything");
    }
    if let Some(of) = &it.channel {
        write!(line, " {}", channel(of)).expect("a string takes everything");
    }
    if let Some(limit) = it.limit {
        write!(line, " limit {limit}").expect("a string takes everything");
    }
    line
}

pub(crate) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Published(Ok(it)) => published(it),
        Answer::Published(Err(it)) => rejection(it),
        Answer::Inbox(Ok(())) => "done".to_owned(),
        Answer::Inbox(Err(it)) => rejection(it),
        Answer::Purged(Ok(it)) => format!("purged up to {}", it.offset),
        Answer::Purged(Err(it)) => rejection(it),
        Answer::History(Ok(page)) => history(page),
        Answer::History(Err(it)) => rejection(it),
        Answer::Consumers(Ok(it)) => done(it),
        Answer::Consumers(Err(it)) => rejection(it),
        Answer::Connections { items, next } => {
            let users: String = items.iter().map(|item| format!(" {}", user(item.identity.user.as_ref()))).collect();
            format!("connections{users}{}", next.map_or("", |_| " …"))
        }
        Answer::Connection(info) => match info {
            Some(info) => {
                let mut channels: Vec<_> = info.channels.iter().map(ToString::to_string).collect();
                channels.sort_unstable();
                let device = info.device.as_ref().map_or_else(String::new, |device| format!(" at {device}"));
                format!("{}{device} in [{}]", user(info.identity.user.as_ref()), channels.join(" "))
            }
            None => "nobody".to_owned(),
        },
        Answer::Found(found) => if *found { "found" } else { "not found" }.to_owned(),
        Answer::Channels { items, next } => {
            let items = items.iter().map(|item| format!("{}={}", channel(&item.channel), item.connections));
            format!("channels {}{}", items.collect::<Vec<_>>().join(" "), next.map_or("", |_| " …"))
        }
        Answer::Channel(Some(it)) => {
            let name = channel(&it.channel);
            format!("{name} at {} to {} keeps {}", it.position.offset, it.connections, it.records)
        }
        Answer::Channel(None) => "no channel".to_owned(),
        Answer::Figures(figures) => format!("{figures:?}"),
    }
}

fn user(user: Option<&UserId>) -> String {
    user.map_or_else(|| "?".to_owned(), ToString::to_string)
}

/// `3 connected ada`: the third event of its connection.
pub(crate) fn lifecycle(event: &Lifecycle) -> String {
    match event {
        Lifecycle::Connected { sequence, user: who, provider, .. } => {
            format!("{sequence} connected {} {provider:?}", user(who.as_ref()))
        }
        Lifecycle::Resumed { sequence, user: who, .. } => format!("{sequence} resumed {}", user(who.as_ref())),
        Lifecycle::Disconnected { sequence, user: who, reason, .. } => {
            let reason = match reason {
                DisconnectReason::Server(close) => format!("{close:?}"),
                DisconnectReason::Closed | DisconnectReason::Lost | DisconnectReason::Violation => {
                    format!("{reason:?}")
                }
            };
            format!("{sequence} disconnected {} {reason}", user(who.as_ref()))
        }
        Lifecycle::SubscriptionAdded { sequence, user: who, channel: of, .. } => {
            format!("{sequence} added {} {}", user(who.as_ref()), channel(of))
        }
        Lifecycle::SubscriptionRemoved { sequence, user: who, channel: of, .. } => {
            format!("{sequence} removed {} {}", user(who.as_ref()), channel(of))
        }
        Lifecycle::ChannelOccupied { channel: of } => format!("occupied {}", channel(of)),
        Lifecycle::ChannelVacated { channel: of } => format!("vacated {}", channel(of)),
        Lifecycle::InboxQueued { user, pending, from, to, connections, .. } => {
            format!("queued {user} {from}-{to} of {pending}, {connections} here")
        }
        Lifecycle::InboxOverflow { user, pending, dropped, .. } => format!("overflow {user} {dropped}, {pending} left"),
        Lifecycle::ConsumerDead { channel: of, death } => {
            let letter = &death.letter;
            let (offset, attempts) = (letter.position.offset, letter.attempts);
            format!("{} gave up {} {offset} after {attempts}: {}", death.consumer, channel(of), letter.reason)
        }
        Lifecycle::MessagePublished { record } => format!("published {}", message(record)),
    }
}
