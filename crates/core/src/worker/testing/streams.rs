//! What a client has been told of each channel, offset by offset, and what must hold of it.
//!
//! - Each offset after the beginning of a subscription is covered once and in order: by the message the log has there, or by a gap.
//! - A lost gap covers only what history has dropped; an excluded one only what excludes this very client.
//! - `unrecovered` is followed by the gap that says what is lost, and only then.
//! - `$all` and `$user` begin without a word: all that the log orders after `connected` was read must come.

use std::collections::{BTreeMap, BTreeSet};

use super::log::MemoryLog;
use super::render;
use crate::cursor::CursorPositions;
use crate::event::Subscribed;
use crate::id::{Audience, ChannelKey, ConnectionId};
use crate::position::{Gap, GapReason, Offset, Position, Start};
use crate::record::Record;
use crate::session::Subscription;
use crate::time::Time;

/// One subscription as its client sees it.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// Everything up to here has been covered.
    pub(crate) position: Offset,
    /// A gap that ends at `position` must come first, and begin after where the client was.
    owes: Option<Owed>,
    /// A gap of what was removed on purpose may come first, and ends at `position`.
    may_owe: bool,
    /// Frames have moved the position, so that a cursor names it.
    moved: bool,
    /// No `subscribed` has been seen yet: where the frames began, and with which gap.
    tentative: Option<(Offset, Option<Gap>)>,
}

/// The gap that must follow `unrecovered`.
#[derive(Clone, Debug)]
enum Owed {
    /// The client's position is comparable: the gap begins right after it.
    After(Offset),
    /// It is of another epoch, or of the future.
    Epoch,
    /// Nobody knows where the client was.
    Any,
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
    pub(crate) formers: &'a [ConnectionId],
    /// The newest offset that the channel's history has dropped.
    pub(crate) trimmed: Offset,
    /// For what has expired.
    pub(crate) now: Time,
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
        self.streams.get(channel).filter(|stream| stream.owes.is_none()).map(|stream| stream.position)
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = &ChannelKey> {
        self.streams.keys()
    }

    /// A subscription has begun that was asked for with `asked`.
    pub(crate) fn begin(&mut self, subscribed: &Subscribed, asked: Option<&Start>, by_call: bool, facts: Facts<'_>) {
        let (channel, position) = (&subscribed.channel, subscribed.position.offset);
        let name = render::channel(channel);
        assert_eq!(subscribed.position.epoch, *facts.log.epoch());
        if !by_call && self.trailing.contains(channel) {
            return; // `unsubscribed` was quicker.
        }
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
            // Offset 0 is before the first, wherever that is.
            (Some(Start::Since(since)), Some(true)) => {
                // What was not acked comes again from an inbox.
                let again = matches!(channel.audience, Audience::User(_));
                assert!(again || since.offset <= position, "{name}: recovered, but not from {since:?}");
            }
            (Some(Start::Since(_) | Start::Beginning(_)), Some(_)) => {}
            (None | Some(Start::Now | Start::Rewind(_) | Start::RewindMs(_)), None) => {}
            (asked, said) => panic!("{name}: asked {asked:?}, recovered {said:?}"),
        }
        let may_owe = subscribed.recovered == Some(true);
        let owes = (subscribed.recovered == Some(false)).then(|| match asked {
            Some(Start::Since(since)) if since.epoch != *facts.log.epoch() || since.offset > subscribed.head => {
                Owed::Epoch
            }
            Some(Start::Since(since)) if since.offset > 0 => Owed::After(since.offset),
            Some(Start::Since(_) | Start::Beginning(_) | Start::Now | Start::Rewind(_) | Start::RewindMs(_)) | None => {
                Owed::Any
            }
        });
        self.streams.insert(channel.clone(), Stream { position, owes, may_owe, moved: false, tentative: None });
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
            // An inbox drops what history still has.
            GapReason::Window | GapReason::Slow if matches!(channel.audience, Audience::User(_)) => {}
            GapReason::Window | GapReason::Slow => {
                let lost = |offset: Offset| offset <= facts.trimmed || facts.log.is_damaged(channel, offset);
                assert!((from..=to).all(lost), "{name}: {gap:?} is lost, but history begins after {}", facts.trimmed);
            }
            GapReason::Excluded => {
                for offset in from..=to {
                    let record = facts.log.record(channel, offset).expect("an excluded offset has a record");
                    let me = |id: &ConnectionId| *id == facts.me || facts.formers.contains(id);
                    assert!(record.exclude.iter().any(me), "{name} {offset}: does not exclude this client");
                }
            }
            GapReason::Expired | GapReason::Replaced => {
                for offset in from..=to {
                    let record = facts.log.record(channel, offset).expect("a skipped offset has a record");
                    let replaced = gap.reason == GapReason::Replaced && facts.log.is_replaced(record);
                    assert!(replaced || record.is_expired(facts.now), "{name} {offset}: was skipped for no reason");
                }
            }
            GapReason::Purged => assert!(to <= facts.trimmed, "{name}: {gap:?}, but it is still there"),
            GapReason::Acked => assert!(matches!(channel.audience, Audience::User(_)), "{name}: {gap:?}"),
            GapReason::Epoch => panic!("{name}: {gap:?} with a range"),
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
            self.streams
                .insert(channel.clone(), Stream { position: to, owes: None, may_owe: false, moved: true, tentative });
            return;
        };
        stream.moved = true;
        if std::mem::take(&mut stream.may_owe)
            && gap.is_some_and(|it| matches!(it.reason, GapReason::Purged | GapReason::Acked))
            && to == stream.position
        {
            return;
        }
        if let Some(owed) = stream.owes.take() {
            let gap = gap.unwrap_or_else(|| panic!("{name}: {from} instead of the gap after 'unrecovered'"));
            assert!(gap.reason.lost() && to == stream.position, "{name}: {gap:?} after 'unrecovered'");
            match owed {
                Owed::After(since) => {
                    assert_eq!(gap.range, Some((since + 1, to)), "{name}: what was lost since {since}")
                }
                Owed::Epoch => assert_eq!(gap.reason, GapReason::Epoch, "{name}: another epoch, or the future"),
                Owed::Any => {}
            }
            return;
        }
        assert_eq!(from, stream.position + 1, "{name}: {from}-{to} ({gap:?}) follows {}", stream.position);
        stream.position = to;
    }

    /// A cursor was read, the last of its write: it names what was read, and nothing that was not.
    pub(crate) fn check_cursor(&self, cursor: &CursorPositions, steered: bool) {
        let named: BTreeMap<u64, Offset> = cursor.iter().flat_map(|group| group.offsets.iter().copied()).collect();
        for (channel, stream) in &self.streams {
            let name = render::channel(channel);
            match named.get(&channel.fingerprint()) {
                Some(offset) if stream.owes.is_some() => {
                    let tells = *offset < stream.position || *offset == Subscription::NOWHERE;
                    assert!(tells, "{name}: the cursor hides a gap that was not read");
                }
                Some(offset) if stream.moved => assert_eq!(*offset, stream.position, "{name}: the cursor lies"),
                Some(offset) => assert!(*offset <= stream.position, "{name}: the cursor runs ahead"),
                None => {
                    assert!(steered || !stream.moved, "{name}: the cursor does not name it")
                }
            }
        }
        for (channel, floor) in &self.floors {
            let offset = named.get(&channel.fingerprint()).copied().unwrap_or_default();
            assert!(offset <= *floor, "{}: the cursor runs ahead", render::channel(channel));
        }
    }

    /// At quiet time everything has been covered.
    pub(crate) fn check_complete(&self, log: &MemoryLog) {
        for (channel, stream) in &self.streams {
            let name = render::channel(channel);
            assert_eq!(stream.position, log.head(channel), "{name}: a client stays behind the head");
            assert!(stream.owes.is_none(), "{name}: the gap after 'unrecovered' never came");
        }
        for (channel, floor) in &self.floors {
            let missed = (floor + 1..=log.head(channel)).find(|offset| log.record(channel, *offset).is_some());
            assert_eq!(missed, None, "{}: never came", render::channel(channel));
        }
    }
}
