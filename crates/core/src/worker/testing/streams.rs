//! What a client has been told of each channel, offset by offset, and what must hold of it.
//!
//! - Each offset after the beginning of a subscription is covered once and in order: by the message the log has there, or by a gap.
//! - A lost gap covers only what history has dropped; an excluded one only what excludes this very client.
//! - `unrecovered` is followed by the gap that says what is lost, and only then.
//! - `$all` and `$user` begin without a word: all that the log orders after `connected` was read must come.

use std::collections::{BTreeMap, BTreeSet};

use super::log::MemoryLog;
use super::render;
use crate::event::Subscribed;
use crate::id::{Audience, ChannelKey, ConnectionId};
use crate::position::{Gap, GapReason, Offset, Position, Start};
use crate::record::Record;

/// One subscription as its client sees it.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// Everything up to here has been covered.
    pub(crate) position: Offset,
    /// A gap that ends at `position` must come first.
    owes_gap: bool,
    /// No `subscribed` has been seen yet: where the frames began, and with which gap.
    tentative: Option<(Offset, Option<Gap>)>,
}

/// All subscriptions of one connection.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    streams: BTreeMap<ChannelKey, Stream>,
    /// Unsubscribed by a call that may have overtaken frames.
    trailing: BTreeSet<ChannelKey>,
    /// Where `$all` and `$user` stood when `connected` was read.
    floors: BTreeMap<ChannelKey, Offset>,
}

/// What the checks compare with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) log: &'a MemoryLog,
    pub(crate) me: ConnectionId,
    /// The newest offset that the channel's history has dropped.
    pub(crate) trimmed: Offset,
    /// Frames may come before the answer to their `subscribe`, or without one.
    pub(crate) unannounced: bool,
}

impl Streams {
    /// `connected` was read: from here on everything of this channel must come.
    pub(crate) fn set_floor(&mut self, channel: ChannelKey, head: Offset) {
        if !self.streams.contains_key(&channel) {
            self.floors.insert(channel, head);
        }
    }

    /// The position a client would come back with.
    pub(crate) fn position(&self, channel: &ChannelKey) -> Option<Offset> {
        self.streams.get(channel).filter(|stream| !stream.owes_gap).map(|stream| stream.position)
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = &ChannelKey> {
        self.streams.keys()
    }

    pub(crate) fn listens(&self, channel: &ChannelKey) -> bool {
        self.streams.contains_key(channel) || self.floors.contains_key(channel)
    }

    pub(crate) fn trails(&self, channel: &ChannelKey) -> bool {
        self.trailing.contains(channel)
    }

    /// A subscription has begun that was asked for with `asked`.
    pub(crate) fn begin(&mut self, subscribed: &Subscribed, asked: Option<&Start>, by_call: bool, facts: Facts<'_>) {
        let (channel, position) = (&subscribed.channel, subscribed.position.offset);
        let name = render::channel(channel);
        assert_eq!(subscribed.position.epoch, *facts.log.epoch());
        assert!(position <= subscribed.head, "{name}: continues at {position}, beyond the head {}", subscribed.head);
        if let Some(stream) = self.streams.get_mut(channel) {
            match stream.tentative.take() {
                Some((start, None)) => assert_eq!(start, position, "{name}: subscribed says where the frames began"),
                Some((_, Some(gap))) => {
                    assert_eq!(subscribed.recovered, Some(!gap.reason.lost()), "{name}: first came {gap:?}");
                }
                None if by_call => assert!(position >= stream.position, "{name}: a repeat goes back to {position}"),
                None => assert_eq!(stream.position, position, "{name}: a repeat says where the stream is"),
            }
            return;
        }
        match (asked, subscribed.recovered) {
            (Some(Start::Since(since)), Some(true)) => {
                assert_eq!(since.offset, position, "{name}: recovered means from where the client was");
            }
            (Some(Start::Since(_) | Start::Beginning(_)), Some(_)) => {}
            (None | Some(Start::Now | Start::Rewind(_)), None) => {}
            (asked, said) => panic!("{name}: asked {asked:?}, recovered {said:?}"),
        }
        let owes_gap = subscribed.recovered == Some(false);
        self.streams.insert(channel.clone(), Stream { position, owes_gap, tentative: None });
    }

    pub(crate) fn end(&mut self, channel: &ChannelKey, by_call: bool) {
        self.streams.remove(channel);
        if by_call {
            self.trailing.insert(channel.clone());
        }
    }

    pub(crate) fn message(&mut self, record: &Record, facts: Facts<'_>) {
        let Some(offset) = record.offset else { return };
        let name = render::channel(&record.channel);
        let logged = facts.log.record(&record.channel, offset).unwrap_or_else(|| panic!("{name} {offset}: invented"));
        assert_eq!(**logged, *record, "{name} {offset}: not what the log has there");
        assert!(!record.exclude.contains(&facts.me), "{name} {offset}: excludes this client");
        self.cover(&record.channel, (offset, offset), None, facts);
    }

    pub(crate) fn gap(&mut self, channel: &ChannelKey, gap: &Gap, position: &Position, facts: Facts<'_>) {
        let name = render::channel(channel);
        assert_eq!(position.epoch, *facts.log.epoch());
        let Some((from, to)) = gap.range else {
            assert_eq!(gap.reason, GapReason::Epoch);
            return self.cover(channel, (position.offset + 1, position.offset), Some(gap), facts);
        };
        assert!(from <= to && to == position.offset, "{name}: {gap:?} moves to {position:?}");
        match gap.reason {
            GapReason::Window | GapReason::Slow => {
                assert!(to <= facts.trimmed, "{name}: {gap:?} is lost, but history begins after {}", facts.trimmed);
            }
            GapReason::Excluded => {
                for offset in from..=to {
                    let record = facts.log.record(channel, offset).expect("an excluded offset has a record");
                    assert!(record.exclude.contains(&facts.me), "{name} {offset}: does not exclude this client");
                }
            }
            GapReason::Epoch | GapReason::Expired => panic!("{name}: {gap:?} with a range"),
        }
        self.cover(channel, (from, to), Some(gap), facts);
    }

    fn cover(&mut self, channel: &ChannelKey, (from, to): (Offset, Offset), gap: Option<&Gap>, facts: Facts<'_>) {
        let name = render::channel(channel);
        let Some(stream) = self.streams.get_mut(channel) else {
            if self.trailing.contains(channel) {
                return;
            }
            let implicit = match channel.audience {
                Audience::Everyone | Audience::User(_) => true,
                Audience::Named(_) => false,
            };
            assert!(implicit || facts.unannounced, "{name}: {from}-{to} without a subscription");
            if let Some(floor) = self.floors.remove(channel) {
                for offset in floor + 1..from {
                    let missed = facts.log.record(channel, offset);
                    assert!(missed.is_none(), "{name}: {offset} never came, the first was {from}");
                }
            }
            let tentative = Some((from - 1, gap.cloned()));
            self.streams.insert(channel.clone(), Stream { position: to, owes_gap: false, tentative });
            return;
        };
        if std::mem::take(&mut stream.owes_gap) {
            let gap = gap.unwrap_or_else(|| panic!("{name}: {from} instead of the gap after 'unrecovered'"));
            assert!(gap.reason.lost() && to == stream.position, "{name}: {gap:?} after 'unrecovered'");
            return;
        }
        assert_eq!(from, stream.position + 1, "{name}: {from}-{to} ({gap:?}) follows {}", stream.position);
        stream.position = to;
    }

    /// At quiet time everything has been covered.
    pub(crate) fn check_complete(&self, log: &MemoryLog) {
        for (channel, stream) in &self.streams {
            let name = render::channel(channel);
            assert_eq!(stream.position, log.head(channel), "{name}: a client stays behind the head");
            assert!(!stream.owes_gap, "{name}: the gap after 'unrecovered' never came");
        }
        for (channel, floor) in &self.floors {
            let missed = (floor + 1..=log.head(channel)).find(|offset| log.record(channel, *offset).is_some());
            assert_eq!(missed, None, "{}: never came", render::channel(channel));
        }
    }
}
