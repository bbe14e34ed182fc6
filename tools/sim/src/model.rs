//! The reference model: for each life of a channel's log, what stands at which offset. It is told by the logs alone.
//!
//! What a client hears is compared with it at once, so that a run stops where something goes wrong and not at its end.

use std::collections::BTreeMap;

use realtime_connector_core::id::{Audience, ChannelKey, ConnectionId};
use realtime_connector_core::position::{Epoch, Gap, GapReason, Offset, Position};
use realtime_connector_core::record::Record;

use crate::checker::{self, Label, Work};
use crate::disk::Disk;

/// A message as its log has taken it.
#[derive(Debug)]
struct Entry {
    label: Label,
    key: Option<String>,
    expires: bool,
    exclude: Box<[ConnectionId]>,
}

/// What stands where.
#[derive(Debug, Default)]
pub(crate) struct Model {
    logs: BTreeMap<(ChannelKey, Epoch), BTreeMap<Offset, Entry>>,
    /// Up to where somebody has asked to remove messages.
    purged: BTreeMap<(ChannelKey, Epoch), Offset>,
    /// Stored channels.
    stored: BTreeMap<ChannelKey, Epoch>,
}

impl Model {
    /// A log has taken a record.
    pub(crate) fn commit(&mut self, record: &Record, stored: bool) {
        let key = (record.channel.clone(), record.epoch.clone());
        if stored {
            self.stored.insert(key.0.clone(), key.1.clone());
        }
        let entry = Entry {
            label: label(&record.data),
            key: record.key.as_ref().map(|key| key.as_str().to_owned()),
            expires: record.ttl.is_some(),
            exclude: record.exclude.clone(),
        };
        self.logs.entry(key).or_default().insert(record.offset.unwrap_or_default(), entry);
    }

    /// Somebody asks to remove messages.
    pub(crate) fn may_purge(&mut self, channel: &ChannelKey, through: &Position) {
        let purged = self.purged.entry((channel.clone(), through.epoch.clone())).or_default();
        *purged = through.offset.max(*purged);
    }

    /// Whether somebody has asked to remove messages up to an offset or beyond, in any life of a channel.
    pub(crate) fn was_purged(&self, channel: &ChannelKey, offset: Offset) -> bool {
        self.purged.iter().any(|((purged, _), through)| purged == channel && *through >= offset)
    }

    /// What is wrong with a message that somebody heard.
    pub(crate) fn check_message(&self, record: &Record) -> Option<String> {
        let offset = record.offset?;
        let log = self.logs.get(&(record.channel.clone(), record.epoch.clone()));
        let (place, label) = (format!("{} {}", record.epoch.as_str(), offset), label(&record.data));
        match log.and_then(|log| log.get(&offset)) {
            None => Some(format!("I2 {}: {label:?} at {place} is in no log", name(&record.channel))),
            Some(entry) if entry.label != label => {
                Some(format!("I4 {}: {label:?} at {place}, where the log has {:?}", name(&record.channel), entry.label))
            }
            Some(_) => None,
        }
    }

    /// What is wrong with a gap that somebody with these connections was told.
    pub(crate) fn check_gap(
        &self,
        ids: &[ConnectionId],
        channel: &ChannelKey,
        gap: &Gap,
        position: &Position,
        disk: &Disk,
    ) -> Option<String> {
        let is_stored = self.stored.get(channel) == Some(&position.epoch);
        let Some((from, to)) = gap.range else {
            return is_stored.then(|| format!("I5 {}: a stored channel has begun anew: {gap:?}", name(channel)));
        };
        let log = self.logs.get(&(channel.clone(), position.epoch.clone()));
        let purged = self.purged.get(&(channel.clone(), position.epoch.clone())).copied().unwrap_or_default();
        let wrong = (from..=to).find(|offset| {
            let entry = log.and_then(|log| log.get(offset));
            !match gap.reason {
                GapReason::Window | GapReason::Slow => {
                    !is_stored || *offset <= disk.trimmed(channel) || disk.is_damaged(channel, *offset)
                }
                GapReason::Excluded => {
                    entry.is_some_and(|entry| entry.exclude.iter().any(|excluded| ids.contains(excluded)))
                }
                GapReason::Expired => entry.is_some_and(|entry| entry.expires),
                GapReason::Purged => *offset <= purged,
                // No channel of a run keeps only the latest message of a key, and nobody has an inbox.
                GapReason::Replaced | GapReason::Acked | GapReason::Epoch => false,
            }
        });
        wrong.map(|offset| format!("I5 {}: {gap:?} is not true of {offset}", name(channel)))
    }

    /// The offsets of a stored channel that history must have, once everything that expires has expired.
    pub(crate) fn lasting(&self, channel: &ChannelKey, disk: &Disk) -> Vec<Offset> {
        let log = self.stored.get(channel).and_then(|epoch| self.logs.get(&(channel.clone(), epoch.clone())));
        let kept = log.into_iter().flatten().filter(|(offset, entry)| {
            **offset > disk.trimmed(channel) && !entry.expires && !disk.is_damaged(channel, **offset)
        });
        kept.map(|(offset, _)| *offset).collect()
    }

    /// Every message of a channel, for those who have to do something with it. `tight`: any of them may be lost.
    pub(crate) fn work(&self, channel: &ChannelKey, disk: &Disk, tight: bool) -> BTreeMap<checker::Position, Work> {
        let is_stored = self.stored.contains_key(channel);
        let logs = self.logs.iter().filter(|((of, _), _)| of == channel);
        let all = logs.flat_map(|((_, epoch), log)| log.iter().map(move |(offset, entry)| (epoch, *offset, entry)));
        let work = all.map(|(epoch, offset, entry)| {
            let is_lost = is_stored && (offset <= disk.trimmed(channel) || disk.is_damaged(channel, offset));
            let place = checker::Position { epoch: epoch.as_str().to_owned(), offset };
            (place, Work { key: entry.key.clone(), may_go: tight || entry.expires || is_lost })
        });
        work.collect()
    }

    /// Stored channels that have had a message, and their epochs.
    pub(crate) fn stored(&self) -> impl Iterator<Item = (&ChannelKey, &Epoch)> {
        self.stored.iter()
    }

    /// Messages of stored channels that the disk has lost: I11.
    pub(crate) fn lost(&self, disk: &Disk) -> Vec<String> {
        let stored = self.stored.iter().filter_map(|(channel, epoch)| {
            let log = self.logs.get(&(channel.clone(), epoch.clone()))?;
            Some((channel, log.keys().find(|offset| !disk.holds(channel, **offset))?))
        });
        stored.map(|(channel, offset)| format!("I11 {}: {offset} was committed and is gone", name(channel))).collect()
    }
}

/// A channel's name in journals.
pub(crate) fn name(channel: &ChannelKey) -> String {
    match &channel.audience {
        Audience::Everyone => "$all".to_owned(),
        Audience::User(user) => format!("$user {user}"),
        Audience::Named(name) => name.as_str().to_owned(),
    }
}

/// A payload that says what it is: a JSON string of publisher, number and filling.
pub(crate) fn payload(publisher: &str, seq: u64, filling: usize) -> String {
    format!("\"{publisher}|{seq}|{}\"", "x".repeat(filling))
}

/// What a payload says.
pub(crate) fn label(data: &[u8]) -> Label {
    let text = std::str::from_utf8(data).unwrap_or_default().trim_matches('"');
    let mut parts = text.split('|');
    let publisher = parts.next().unwrap_or_default().to_owned();
    let seq = parts.next().and_then(|seq| seq.parse().ok()).unwrap_or_default();
    let hash = data
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    Label { publisher, seq, hash }
}
