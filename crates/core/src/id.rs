//! Identities: names that people choose and numbers that the node hands out.
//!
//! A name is checked once, where it enters ([`ChannelName::parse`] and its siblings), and never again. Names are compared byte
//! for byte and never normalised: an authorisation check and the channel it guards must not disagree about equality.

use std::fmt;
use std::sync::Arc;

use crate::limits;

/// Why a string is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The empty string.
    #[error("must not be empty")]
    Empty,
    /// Longer than the bound of its kind.
    #[error("must be at most {max_bytes} bytes, is {bytes}")]
    TooLong {
        /// Length of the string.
        bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
    /// A control character (Unicode category Cc), which could break a header, a log line or an SSE field.
    #[error("must not contain control characters")]
    Control,
    /// A leading `$`, which is kept for spellings of the protocol.
    #[error("must not begin with '$', which is reserved")]
    Reserved,
    /// A `*`, which is kept for pattern subscriptions.
    #[error("must not contain '*', which is reserved for patterns")]
    Wildcard,
}

fn check(name: &str, max_bytes: usize, dollar_allowed: bool) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > max_bytes {
        return Err(NameError::TooLong { bytes: name.len(), max_bytes });
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    if !dollar_allowed && name.starts_with('$') {
        return Err(NameError::Reserved);
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $max:expr, dollar: $dollar:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a string and takes it as a name.
            ///
            /// # Errors
            /// What is wrong with it, as a fragment that follows the field's name.
            pub fn parse(name: &str) -> Result<Self, NameError> {
                check(name, $max, $dollar)?;
                Ok(Self(name.into()))
            }

            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same name in memory of the present thread. What lives as long as a connection must not lie between the buffers
            /// of a thread that has long let go of them, or their pages never come back.
            #[must_use]
            pub fn detached(&self) -> Self {
                Self(Arc::from(&*self.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::parse(name)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A user of the application; the same person on any number of connections and devices.
    UserId, limits::USER_ID_BYTES_MAX, dollar: false
);
name_type!(
    /// The `type` of a message, such as `order.created`.
    EventType, limits::TYPE_BYTES_MAX, dollar: false
);
name_type!(
    /// The id of a message: chosen by the publisher for idempotency, or made by the server.
    MessageId, limits::MESSAGE_ID_BYTES_MAX, dollar: true
);
name_type!(
    /// Groups messages of a channel of which only the newest matters.
    MessageKey, limits::KEY_BYTES_MAX, dollar: true
);
name_type!(
    /// A device of a user, chosen by the client.
    DeviceId, limits::DEVICE_ID_BYTES_MAX, dollar: true
);

name_type!(
    /// A durable consumer of a channel, or a group of them.
    ConsumerName, limits::CONSUMER_BYTES_MAX, dollar: false
);

/// A channel as the application names it: 1–255 bytes, no control characters, no `*`, no leading `$`.
///
/// ```
/// use realtime_connector_core::id::{ChannelName, NameError};
/// assert!(ChannelName::parse("chat:room 7").is_ok());
/// assert_eq!(ChannelName::parse("$all"), Err(NameError::Reserved));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// Checks a string and takes it as a channel name.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment that follows the field's name.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        check(name, limits::CHANNEL_BYTES_MAX, false)?;
        if name.contains('*') {
            return Err(NameError::Wildcard);
        }
        Ok(Self(name.into()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An application (tenant). It is part of every key and of no frame: the URL or the credentials decide it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub u32);

/// What a log is kept for: everyone, one user, or a named channel. All three are the same mechanism.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// Every connection of the application; `$all` on the wire.
    Everyone,
    /// All connections of one user; `$user` for that user on the wire.
    User(UserId),
    /// The subscribers of a channel.
    Named(ChannelName),
}

/// The full name of a channel within a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelKey {
    /// Whose channel it is.
    pub app: AppId,
    /// Who listens to it.
    pub audience: Audience,
}

impl ChannelKey {
    /// A named channel.
    #[must_use]
    pub const fn named(app: AppId, name: ChannelName) -> Self {
        Self { app, audience: Audience::Named(name) }
    }

    /// The channel of everyone.
    #[must_use]
    pub const fn everyone(app: AppId) -> Self {
        Self { app, audience: Audience::Everyone }
    }

    /// A user's own channel.
    #[must_use]
    pub const fn user(app: AppId, user: UserId) -> Self {
        Self { app, audience: Audience::User(user) }
    }

    /// 64-bit FNV-1a over the key: stable across restarts and releases, so that a cursor can carry it instead of the name, and
    /// the same on every worker, so that all agree on a channel's home. Not for tables that strangers can fill.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let (tag, name) = match &self.audience {
            Audience::Everyone => (0_u8, ""),
            Audience::User(user) => (1, user.as_str()),
            Audience::Named(name) => (2, name.as_str()),
        };
        let head = self.app.0.to_le_bytes().into_iter().chain([tag]);
        head.chain(name.bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }
}

/// A worker of this node, 0 … K−1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u8);

/// A place in a worker's table plus the generation of its tenant: a stale key finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    /// Index of the place.
    pub slot: u32,
    /// Counts the tenants of the place; never 0.
    pub generation: u32,
}

impl SlotKey {
    /// Below every key.
    pub(crate) const FIRST: Self = Self { slot: 0, generation: 0 };
    /// Names no place of any table.
    pub(crate) const NOBODY: Self = Self { slot: u32::MAX, generation: 0 };
}

/// A connection within its worker. The engine chooses the slot, so its tables and core's share it.
pub type ConnectionKey = SlotKey;

/// A connection as the world sees it: node, worker, slot and generation. It is public and authorises nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Random per start of a node, so that ids of a former life match nobody.
    pub node: u32,
    /// The worker that owns the connection.
    pub worker: WorkerId,
    /// Its place there.
    pub key: ConnectionKey,
}

/// Bytes of a [`ConnectionId`] in its compact form.
pub const CONNECTION_ID_BYTES: usize = 13;

impl ConnectionId {
    /// The compact form that is spelled out on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; CONNECTION_ID_BYTES] {
        let mut bytes = [0; CONNECTION_ID_BYTES];
        bytes[..4].copy_from_slice(&self.node.to_be_bytes());
        bytes[4] = self.worker.0;
        bytes[5..9].copy_from_slice(&self.key.slot.to_be_bytes());
        bytes[9..].copy_from_slice(&self.key.generation.to_be_bytes());
        bytes
    }

    /// Reads the compact form. Any 13 bytes are an id; whether somebody lives there is another question.
    #[must_use]
    pub fn from_bytes(bytes: [u8; CONNECTION_ID_BYTES]) -> Self {
        let [n0, n1, n2, n3, worker, s0, s1, s2, s3, g0, g1, g2, g3] = bytes;
        Self {
            node: u32::from_be_bytes([n0, n1, n2, n3]),
            worker: WorkerId(worker),
            key: SlotKey {
                slot: u32::from_be_bytes([s0, s1, s2, s3]),
                generation: u32::from_be_bytes([g0, g1, g2, g3]),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_name_is_refused_for_the_reason_that_applies() {
        let long = "x".repeat(256);
        let table: &[(&str, Result<(), NameError>)] = &[
            ("orders", Ok(())),
            ("chat:room 7", Ok(())),
            ("..", Ok(())),
            ("a/b%2f", Ok(())),
            ("emoji 🙂", Ok(())),
            ("private$", Ok(())),
            ("", Err(NameError::Empty)),
            (&long, Err(NameError::TooLong { bytes: 256, max_bytes: 255 })),
            (&long[1..], Ok(())),
            ("a\r\nb", Err(NameError::Control)),
            ("a\0", Err(NameError::Control)),
            ("a\u{85}", Err(NameError::Control)),
            ("$all", Err(NameError::Reserved)),
            ("chat:*", Err(NameError::Wildcard)),
        ];
        for (name, expected) in table {
            assert_eq!(ChannelName::parse(name).map(|_| ()), *expected, "{name:?}");
        }
    }

    #[test]
    fn names_that_look_alike_stay_different() {
        let composed = ChannelName::parse("caf\u{e9}").expect("a name");
        let decomposed = ChannelName::parse("cafe\u{301}").expect("a name");
        assert_ne!(composed, decomposed);
    }

    #[test]
    fn a_connection_id_survives_its_compact_form() {
        let key = SlotKey { slot: 0x0102_0304, generation: 7 };
        let id = ConnectionId { node: 0xdead_beef, worker: WorkerId(3), key };
        assert_eq!(ConnectionId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn fingerprints_tell_kinds_and_apps_apart() {
        let name = || ChannelName::parse("ada").expect("a name");
        let user = UserId::parse("ada").expect("a name");
        let keys = [
            ChannelKey::named(AppId(0), name()),
            ChannelKey::named(AppId(1), name()),
            ChannelKey::user(AppId(0), user),
            ChannelKey::everyone(AppId(0)),
        ];
        let mut prints: Vec<_> = keys.iter().map(ChannelKey::fingerprint).collect();
        prints.sort_unstable();
        prints.dedup();
        assert_eq!(prints.len(), 4);
    }
}
