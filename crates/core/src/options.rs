//! What an operator may choose: the values behind the defaults of [`crate::limits`].

use std::time::Duration;

use crate::id::{Audience, ChannelKey};
use crate::inbox::Policy;
use crate::limits;
use crate::pattern::Pattern;

/// The options of one worker. All workers of a node share the same ones.
#[derive(Clone, Debug)]
pub struct Options {
    /// WebSocket Ping interval.
    pub websocket_heartbeat: Duration,
    /// SSE comment interval.
    pub sse_heartbeat: Duration,
    /// Bytes of a message's `data`.
    pub message_bytes: u32,
    /// Channels one connection may subscribe to; at most [`limits::CHANNELS_PER_CONNECTION_MAX`].
    pub channels_per_connection: u32,
    /// Records that may wait for one connection.
    pub outbox_records: u32,
    /// Bytes that may wait for one connection.
    pub outbox_bytes: u32,
    /// Bytes of history this worker may keep over all its channels.
    pub history_total_bytes: u64,
    /// History of channels that no rule matches, of `$all` and of users.
    pub history: HistoryOptions,
    /// How long the store keeps channels that no rule matches, `$all` and users' messages; `None` keeps them in memory only.
    pub retention: Option<Retention>,
    /// What waits for users; `None` keeps no inboxes.
    pub inbox: Option<InboxOptions>,
    /// Settings by channel pattern; the first match wins.
    pub rules: Vec<Rule>,
    /// What no operator needs to choose.
    pub bounds: Bounds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            websocket_heartbeat: limits::WEBSOCKET_HEARTBEAT,
            sse_heartbeat: limits::SSE_HEARTBEAT,
            message_bytes: limits::MESSAGE_BYTES as u32,
            channels_per_connection: limits::CHANNELS_PER_CONNECTION,
            outbox_records: limits::OUTBOX_RECORDS,
            outbox_bytes: limits::OUTBOX_BYTES,
            history_total_bytes: limits::HISTORY_TOTAL_BYTES,
            history: HistoryOptions::default(),
            retention: None,
            inbox: Some(InboxOptions::default()),
            rules: Vec::new(),
            bounds: Bounds::default(),
        }
    }
}

/// Bounds inside a node. Nobody has a reason to change them but a test, which makes them small to reach what lies behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests a worker may have open at one peer; more than `channels_per_connection` + 3.
    pub credits: u32,
    /// Records on their way to one peer.
    pub deliveries: u32,
    /// Their bytes.
    pub delivery_bytes: u64,
    /// Records in one page of a catch-up; at least 1.
    pub page_records: usize,
    /// Channels at home at one worker, beyond which new ones are refused.
    pub channels: usize,
    /// Listeners visited before a walk may pause for the first time; at least 1.
    pub walk_steps: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            credits: limits::CREDITS,
            deliveries: limits::DELIVERIES,
            delivery_bytes: limits::DELIVERY_BYTES,
            page_records: limits::PAGE_RECORDS,
            channels: limits::CHANNELS_PER_WORKER,
            walk_steps: limits::WALK_STEPS,
        }
    }
}

/// How much of a channel is kept for recovery. Whichever bound is reached first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Records; 0 keeps none.
    pub records: u32,
    /// Bytes.
    pub bytes: u32,
    /// Age.
    pub age: Duration,
}

impl HistoryOptions {
    /// Keeps nothing.
    pub const OFF: Self = Self { records: 0, bytes: 0, age: Duration::ZERO };
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self { records: limits::HISTORY_RECORDS, bytes: limits::HISTORY_BYTES, age: limits::HISTORY_AGE }
    }
}

/// How much of a channel a store keeps. Whichever bound is reached first counts; a store trims in steps, and keeps a little more
/// rather than less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Records.
    pub records: u64,
    /// Bytes, as [`crate::record::Record::cost`] counts them.
    pub bytes: u64,
    /// Age.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { records: limits::RETENTION_RECORDS, bytes: limits::RETENTION_BYTES, age: limits::RETENTION_AGE }
    }
}

/// What waits for one user. Whichever bound is reached first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxOptions {
    /// What it takes for a message to leave.
    pub policy: Policy,
    /// Messages; at most [`limits::INBOX_MESSAGES_MAX`].
    pub messages: u32,
    /// Bytes, as [`crate::record::Record::cost`] counts them.
    pub bytes: u32,
    /// Age.
    pub age: Duration,
}

impl Default for InboxOptions {
    fn default() -> Self {
        Self {
            policy: Policy::Any,
            messages: limits::INBOX_MESSAGES,
            bytes: limits::INBOX_BYTES,
            age: limits::INBOX_AGE,
        }
    }
}

/// Settings of the channels that match a pattern.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which channels.
    pub pattern: Pattern,
    /// Their history in memory.
    pub history: HistoryOptions,
    /// How long the store keeps their messages; `None` keeps them in memory only.
    pub retention: Option<Retention>,
    /// Whether a message takes the place of older ones with the same key, as far as replay is concerned.
    pub latest_per_key: bool,
    /// Whether each of their messages becomes a `message.published` event for the application.
    pub message_events: bool,
}

impl Options {
    /// Requests one command may cause at one peer: `connect` with all its channels, `$all`, `$user` and the session to continue.
    #[must_use]
    pub const fn requests_per_command(&self) -> u32 {
        self.channels_per_connection + 3
    }

    /// What waits in the inbox that a channel is; `None` where it is none.
    #[must_use]
    pub fn inbox_of(&self, channel: &ChannelKey) -> Option<&InboxOptions> {
        match channel.audience {
            Audience::User(_) => self.inbox.as_ref(),
            Audience::Everyone | Audience::Named(_) => None,
        }
    }

    /// How long the store keeps a channel's messages; `None` where it does not.
    #[must_use]
    pub fn retention(&self, channel: &ChannelKey) -> Option<Retention> {
        self.rule(channel).map_or(self.retention, |rule| rule.retention)
    }

    /// Whether any channel's messages are stored.
    #[must_use]
    pub fn stores(&self) -> bool {
        self.retention.is_some() || self.rules.iter().any(|rule| rule.retention.is_some())
    }

    /// The first rule that matches a channel. `$all` and users' channels have none.
    #[must_use]
    pub fn rule(&self, channel: &ChannelKey) -> Option<&Rule> {
        match &channel.audience {
            Audience::Named(name) => self.rules.iter().find(|rule| rule.pattern.matches(name.as_str())),
            Audience::Everyone | Audience::User(_) => None,
        }
    }
}
