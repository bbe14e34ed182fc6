//! The sections of the configuration below its top level, and the types of their values.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::keys::section;
use super::value;

section! {
    /// The two ways in.
    pub struct Providers at "providers." {
        /// Server-Sent Events: plain `EventSource` in any browser, and HTTP POST to send.
        pub sse: SseProvider = SseProvider::default(), "sse" is Section;

        /// WebSocket: one socket, both directions.
        pub websocket: WebSocketProvider = WebSocketProvider::default(), "websocket" is Section;
    }
}

section! {
    /// Server-Sent Events.
    pub struct SseProvider at "providers.sse." {
        /// Whether it is offered.
        pub enabled: bool = true, "enabled" is Bool;

        /// Where `EventSource` connects. Pages send to the same path, followed by their connection id.
        pub path: String = "/sse".to_owned(), "path" is Path;

        /// How often a silent stream gets a comment, as a time span.
        ///
        /// The HTML standard advises 15 seconds or so: many proxies cut a connection that is silent for 30 to 60.
        #[serde(with = "value::duration")]
        pub heartbeat_interval: Duration = Duration::from_secs(15), "heartbeatInterval" is Duration("100ms" to "10m");
    }
}

section! {
    /// WebSocket.
    pub struct WebSocketProvider at "providers.websocket." {
        /// Whether it is offered.
        pub enabled: bool = true, "enabled" is Bool;

        /// The port of the server where `listen` does not say it. One port serves everything.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub port: Option<u16> = None, "port" is Integer("0" to "65535") as in "8080";

        /// Where a WebSocket connects.
        pub path: String = "/ws".to_owned(), "path" is Path;

        /// How often the server pings, as a time span. A peer that stays silent for 10 s after a ping is gone.
        ///
        /// Below the 60 seconds after which common proxies cut an idle connection.
        #[serde(with = "value::duration")]
        pub heartbeat_interval: Duration = Duration::from_secs(30), "heartbeatInterval" is Duration("100ms" to "10m");
    }
}

section! {
    /// Who may do what.
    pub struct Auth at "auth." {
        /// Dev mode, even if authentication is configured: identity is the `userId` query parameter, everything is
        /// allowed, and the HTTP API is open. Loopback only.
        ///
        /// Without any authentication this is so anyway; `true` is for trying a real configuration by hand.
        pub dev: bool = false, "dev" is Bool;

        /// Whether connections without credentials are accepted, as nobody. They may listen and send nothing.
        pub anonymous: bool = false, "anonymous" is Bool;

        /// Name of the cookie that carries a page's token, for pages that cannot set a header. Only an authenticator that an application
        /// brings reads it; a server that stands alone knows no tokens but its API keys.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cookie: Option<String> = None, "cookie" is CookieName as in "\"realtime_token\"";

        /// Shared secrets of your own servers, for the HTTP API and for connections that may do everything. Several, so that one can be
        /// replaced at leisure.
        pub api_keys: Vec<ApiKey> = Vec::new(), "apiKeys" is SectionList("0" to "256");
    }
}

section! {
    /// A shared secret of one of your own servers.
    pub struct ApiKey at "auth.apiKeys[]." {
        /// The secret, sent as `Authorization: Bearer`. At least 32 characters: `openssl rand -hex 32` makes one.
        pub key: Secret = Secret::default(), "key" is Secret as in "\"<the output of: openssl rand -hex 32>\"";

        /// Who publishes with it: a message `id` is the same message again only from the same name. So the key that replaces another
        /// gets its name.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub name: Option<String> = None, "name" is Name as in "\"orders backend\"";
    }
}

section! {
    /// Which pages of other origins may use the server.
    pub struct Cors at "cors." {
        /// Origins of pages that may connect, send and read answers, besides the server's own; `*` is any page.
        ///
        /// An origin is what the browser sends: scheme, host and port, all lower case. Dev mode also allows
        /// `localhost` and 127.0.0.1 on every port.
        pub allowed_origins: Vec<String> = Vec::new(),
            "allowedOrigins" is Origins("0" to "256") as in "[\"https://example.com\"]";
    }
}

section! {
    /// What one message, one connection and the whole node may hold.
    pub struct Limits at "limits." {
        /// Bytes of a message's `data`. A notification, not a file: larger things belong behind a link.
        #[serde(with = "value::size")]
        pub message_bytes: u32 = 64 * 1024, "messageBytes" is Size("1KiB" to "1MiB");

        /// Connections of the node; 0 is as many as its open-files limit permits.
        pub connections: u32 = 0, "connections" is Integer("0" to "10000000");

        /// Channels that one connection may subscribe to.
        pub channels_per_connection: u32 = 256, "channelsPerConnection" is Integer("1" to "1000");

        /// Messages that may wait for one connection. A slower reader is caught up from history instead.
        pub outbox_records: u32 = 128, "outboxRecords" is Integer("8" to "8192");

        /// Bytes that may wait for one connection. A slower reader is caught up from history instead.
        #[serde(with = "value::size")]
        pub outbox_bytes: u32 = 256 * 1024, "outboxBytes" is Size("16KiB" to "64MiB");
    }
}

section! {
    /// How much of each channel is kept in memory. Whichever bound is reached first counts.
    pub struct History at "history." {
        /// Messages kept per channel; at least four outboxes, or a slow reader could not be caught up.
        pub messages: u32 = 1_024, "messages" is Integer("32" to "1000000");

        /// Bytes kept per channel; at least four outboxes.
        #[serde(with = "value::size")]
        pub bytes: u32 = 1024 * 1024, "bytes" is Size("64KiB" to "1GiB");

        /// How long a message is kept: the longest absence after which a client misses nothing.
        #[serde(with = "value::duration")]
        pub age: Duration = Duration::from_secs(600), "age" is Duration("1s" to "7d");

        /// Bytes of all channels together. When they are used up, the oldest idle channels give way first.
        #[serde(with = "value::size")]
        pub total_bytes: u64 = 256 * 1024 * 1024, "totalBytes" is Size("1MiB" to "1024GiB");
    }
}

section! {
    /// The store: messages that outlive the process, in one folder of this machine. No service is needed.
    pub struct Store at "store." {
        /// The folder; it is made if it is not there. Without one everything is kept in memory only.
        ///
        /// It belongs to one running server. Copy all of it, and only while the server is stopped.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub path: Option<String> = None, "path" is Folder as in "\"data\"";

        /// Whether messages are stored unless a rule says otherwise: those of channels, to everyone and to users.
        ///
        /// A stored message reaches nobody before it is safe on the disk, which costs its publisher a few milliseconds.
        pub persist: bool = true, "persist" is Bool;

        /// Messages kept per channel. Whichever bound is reached first counts.
        pub messages: u64 = 100_000, "messages" is Integer("1" to "1000000000");

        /// Bytes kept per channel.
        #[serde(with = "value::size")]
        pub bytes: u64 = 64 * 1024 * 1024, "bytes" is Size("64KiB" to "1024GiB");

        /// How long a message is kept.
        #[serde(with = "value::duration")]
        pub age: Duration = Duration::from_secs(7 * 24 * 3_600), "age" is Duration("1s" to "3650d");

        /// Opens a store that has lost messages it had acknowledged, which is refused otherwise. All its channels
        /// begin a new epoch then, so that every reader learns of it.
        pub accept_loss: bool = false, "acceptLoss" is Bool;
    }
}

section! {
    /// What waits for users until they have it: messages to a user, while nobody has acked them. Whichever bound is reached first counts.
    pub struct Inbox at "inbox." {
        /// Whether messages to a user wait. Without it who was away gets what history has, if it knows where it was.
        pub enabled: bool = true, "enabled" is Bool;

        /// `any`: the first device that acks a message acks it for all. `each`: a message waits until every device that was seen in the
        /// last 7 days has acked it; a device is what a client calls `deviceId`.
        pub policy: InboxPolicy = InboxPolicy::Any, "policy" is InboxPolicy;

        /// Messages that wait for one user. Beyond it the oldest are dropped, and everybody concerned is told.
        pub messages: u32 = 1_000, "messages" is Integer("1" to "3000");

        /// Bytes that wait for one user.
        #[serde(with = "value::size")]
        pub bytes: u32 = 1024 * 1024, "bytes" is Size("64KiB" to "64MiB");

        /// How long a message waits.
        #[serde(with = "value::duration")]
        pub age: Duration = Duration::from_secs(7 * 24 * 3_600), "age" is Duration("1s" to "30d");
    }
}

section! {
    /// Settings for the channels that match a pattern.
    pub struct Rule at "rules[]." {
        /// Which channels: segments split at `:`, `*` for one whole segment, `**` at the end for one or more.
        pub pattern: String = String::new(), "pattern" is Pattern as in "\"chat:*\"";

        /// Whether each message of these channels becomes a `message.published` event for the application.
        pub events: bool = false, "events" is Bool;

        /// Whether their messages are stored; as `store.persist` says if this is not there.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub persist: Option<bool> = None, "persist" is Bool as in "true";

        /// Whether a message takes the place of older ones with the same `key`, as far as history and recovery go.
        pub latest_per_key: bool = false, "latestPerKey" is Bool;

        /// What these channels keep, where it differs from the top-level `history`; `false` keeps nothing.
        #[serde(skip_serializing_if = "RuleHistory::is_default")]
        pub history: RuleHistory = RuleHistory::default(), "history" is FalseOrSection as in "false";
    }
}

section! {
    /// What the channels of a rule keep. What is absent is as in the top-level `history`.
    pub struct RuleRing at "rules[].history." {
        /// Messages kept per channel.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub messages: Option<u32> = None, "messages" is Integer("1" to "1000000") as in "100";

        /// Bytes kept per channel.
        #[serde(with = "value::size_option", skip_serializing_if = "Option::is_none")]
        pub bytes: Option<u32> = None, "bytes" is Size("1KiB" to "1GiB") as in "\"64KiB\"";

        /// How long a message is kept.
        #[serde(with = "value::duration_option", skip_serializing_if = "Option::is_none")]
        pub age: Option<Duration> = None, "age" is Duration("1s" to "7d") as in "\"1h\"";
    }
}

section! {
    /// How the server stops.
    pub struct Shutdown at "shutdown." {
        /// How long `/health/ready` says "not ready" before connections are told to leave, so that a load balancer
        /// stops sending new ones. Skipped in dev mode.
        #[serde(with = "value::duration")]
        pub not_ready: Duration = Duration::from_secs(3), "notReady" is Duration("0s" to "10m");

        /// How long stopping may take in all. Below the 30 seconds after which common orchestrators kill a process.
        #[serde(with = "value::duration")]
        pub deadline: Duration = Duration::from_secs(25), "deadline" is Duration("0s" to "1h");
    }
}

section! {
    /// What the program writes to its standard error. Embedded servers log through `tracing` and ignore this.
    pub struct Log at "log." {
        /// The least important level that is written. `debug` also tells of each connection that comes or goes; `trace` adds what
        /// helps to find a fault in the server itself.
        pub level: LogLevel = LogLevel::Info, "level" is LogLevel;

        /// `text` for people, `json` for log collectors: one object per line.
        pub format: LogFormat = LogFormat::Text, "format" is LogFormat;
    }
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// One socket, both directions.
    WebSocket,
    /// A stream down, HTTP POST up.
    Sse,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
        })
    }
}

/// What it takes for a message to leave an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InboxPolicy {
    /// One ack.
    Any,
    /// An ack of every known device.
    Each,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What someone must repair.
    Error,
    /// What someone should know before it becomes an error.
    Warn,
    /// What happens once in the life of a server.
    Info,
    /// What happens once in the life of a connection.
    Debug,
    /// What only who looks for a fault in the server wants to see.
    Trace,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A text that is never printed: `Debug` and `Serialize` write `***`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself. Compare it in constant time.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// What a rule says about history: nothing kept, or bounds of its own. `false` or a table in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleHistory {
    /// Nothing is kept. A reader that cannot follow sees a gap, and nobody can catch up after an absence.
    Off,
    /// Kept within these bounds.
    Keep(RuleRing),
}

impl RuleHistory {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for RuleHistory {
    fn default() -> Self {
        Self::Keep(RuleRing::default())
    }
}

impl Serialize for RuleHistory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::Keep(ring) => ring.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RuleHistory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleHistoryVisitor)
    }
}

/// Tells `false` from a table; anything else is refused with both named.
struct RuleHistoryVisitor;

impl<'de> serde::de::Visitor<'de> for RuleHistoryVisitor {
    type Value = RuleHistory;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("false or a table")
    }

    fn visit_bool<E: serde::de::Error>(self, keep: bool) -> Result<Self::Value, E> {
        if keep {
            return Err(E::invalid_value(serde::de::Unexpected::Bool(true), &self));
        }
        Ok(RuleHistory::Off)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        RuleRing::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(RuleHistory::Keep)
    }
}
