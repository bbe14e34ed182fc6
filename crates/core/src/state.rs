//! Words of the state beside the log: small values by key, of which the owner alone knows what they mean.
//!
//! What must outlive a restart and is no message is kept here: how far a consumer has come, what is unread in an inbox. A feature makes
//! its keys with [`key`], so that the keys of one channel lie together.

use crate::id::{Audience, ChannelKey, SlotKey};

/// What a value is for. The numbers stand in files: they never change, and are not given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// How far a durable consumer has come.
    Cursors = 1,
    /// How far a user has read.
    Markers = 2,
    /// Deliveries that wait for an ack.
    PendingAcks = 3,
    /// Cursors of inboxes, with their holes.
    Inbox = 4,
    /// Tokens and users that are not let in any more.
    Revocations = 5,
    /// Messages given up on, by consumer.
    DeadLetters = 6,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 6] =
        [Self::Cursors, Self::Markers, Self::PendingAcks, Self::Inbox, Self::Revocations, Self::DeadLetters];
}

/// One change of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets the value.
    Put {
        /// Where.
        table: Table,
        /// At most [`crate::limits::STATE_KEY_BYTES_MAX`].
        key: Box<[u8]>,
        /// At most [`crate::limits::STATE_VALUE_BYTES_MAX`].
        value: Box<[u8]>,
    },
    /// Sets the value unless the present one is greater, compared byte by byte. Numbers in it are big-endian and of fixed width, the
    /// most significant part first, so that the greater number is the greater value: merging commutes and may be repeated.
    Max {
        /// Where.
        table: Table,
        /// As in `Put`.
        key: Box<[u8]>,
        /// As in `Put`.
        value: Box<[u8]>,
    },
    /// Removes the value, if there is one.
    Delete {
        /// Where.
        table: Table,
        /// As in `Put`.
        key: Box<[u8]>,
    },
}

impl Change {
    /// Its key, and its value if it has one.
    #[must_use]
    pub fn parts(&self) -> (Table, &[u8], &[u8]) {
        match self {
            Self::Put { table, key, value } | Self::Max { table, key, value } => (*table, key, value),
            Self::Delete { table, key } => (*table, key, &[]),
        }
    }
}

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Where.
    pub table: Table,
    /// How the keys begin.
    pub prefix: Box<[u8]>,
    /// Only keys above this one: the last key of the page before.
    pub after: Option<Box<[u8]>>,
    /// Rows; 1 … [`crate::limits::SCAN_ROWS_MAX`].
    pub rows_max: usize,
}

/// A key and its value.
pub type Row = (Box<[u8]>, Box<[u8]>);

/// Who asked, so that the answer finds its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTicket {
    /// The home of the channel it is about.
    pub home: SlotKey,
    /// The feature that keeps it.
    pub owner: StateOwner,
    /// The feature's own number.
    pub number: u64,
}

/// Who keeps state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOwner {
    /// Inboxes.
    Inbox,
    /// Durable consumers.
    Consumers,
}

/// The key of a value about a channel. Keys of a channel begin alike, and those of no other channel do.
///
/// Each part but the last is preceded by its length, so that no two lists of parts give the same key.
#[must_use]
pub fn key(channel: &ChannelKey, parts: &[&[u8]]) -> Box<[u8]> {
    let (tag, name) = match &channel.audience {
        Audience::Everyone => (0_u8, ""),
        Audience::User(user) => (1, user.as_str()),
        Audience::Named(name) => (2, name.as_str()),
    };
    let mut key = Vec::with_capacity(8 + name.len() + parts.iter().map(|part| part.len() + 1).sum::<usize>());
    key.extend_from_slice(&channel.app.0.to_be_bytes());
    key.push(tag);
    for part in std::iter::once(name.as_bytes()).chain(parts.iter().copied()) {
        // Names are at most 255 bytes.
        key.push(u8::try_from(part.len()).expect("a part of a key is at most 255 bytes"));
        key.extend_from_slice(part);
    }
    key.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AppId, ChannelName, UserId};

    #[test]
    fn keys_of_a_channel_begin_alike_and_those_of_others_do_not() {
        let channel = |name: &str| ChannelKey::named(AppId(0), ChannelName::parse(name).expect("a name"));
        let user = ChannelKey::user(AppId(0), UserId::parse("a").expect("a name"));
        let prefix = key(&channel("a"), &[]);
        assert!(key(&channel("a"), &[b"x"]).starts_with(&prefix));
        for other in [key(&channel("ab"), &[]), key(&channel("ab"), &[b"x"]), key(&user, &[b"x"])] {
            assert!(!other.starts_with(&prefix), "{other:?}");
        }
        assert_ne!(key(&channel("a"), &[b"x", b"yz"]), key(&channel("a"), &[b"xy", b"z"]));
    }
}
