//! What contradicts what: rules that no single key can express. Each is found and reported, with what to do.

use std::net::SocketAddr;

use realtime_connector_core::pattern::Pattern;

use super::error::{Problem, ProblemKind};
use super::value::format_size;
use super::{Authenticator, Config, Provider};

/// Characters of an API key. 32 hexadecimal digits are 128 bits; fewer can be guessed offline.
const API_KEY_CHARS_MIN: usize = 32;
/// Bytes of an API key: it must fit into a header beside others.
const API_KEY_BYTES_MAX: usize = 256;
/// Different characters of an API key. Random keys have far more; `aaaa…` and `1212…` have not.
const API_KEY_DISTINCT_MIN: usize = 8;
/// Outboxes that a ring must hold: fewer could not catch up a reader that was slow for a moment.
const OUTBOXES_PER_RING: u32 = 4;
/// What the server serves besides the providers; `/playground` is that of dev mode.
const RESERVED_PATHS: [&str; 4] = ["/api", "/health", "/metrics", "/playground"];

/// Why a value is refused although its type and bounds are right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// A public address with nobody to check who comes.
    #[error(
        "{listen} can be reached from other machines, but no authentication is configured; set an API key \
         (`--api-key \"$(openssl rand -hex 32)\"`, or `auth.apiKeys` in the file), and `auth.anonymous = true` if \
         anyone may connect; or listen on 127.0.0.1:{}", listen.port()
    )]
    PublicWithoutAuthentication {
        /// The address.
        listen: SocketAddr,
    },
    /// Dev mode on a public address.
    #[error(
        "dev mode allows everything and is for loopback only, but {listen} can be reached from other machines; leave \
         dev mode, or listen on 127.0.0.1:{}", listen.port()
    )]
    PublicDevMode {
        /// The address.
        listen: SocketAddr,
    },
    /// Both providers are off.
    #[error(
        "both providers are switched off, so nobody could connect; enable one of them, or set `enabled = false` for a \
         server that is switched off"
    )]
    NoProvider,
    /// The default provider is off.
    #[error("clients would be told to use {provider}, which `providers.{provider}.enabled` switches off")]
    ProviderDisabled {
        /// The default provider.
        provider: Provider,
    },
    /// Both providers have the same path.
    #[error("{path} is also the path of WebSocket; each provider needs its own")]
    SamePath {
        /// The path of both.
        path: String,
    },
    /// A provider's path belongs to something else.
    #[error("{path} belongs to the server itself (reserved: {})", RESERVED_PATHS.join(", "))]
    ReservedPath {
        /// The path.
        path: String,
    },
    /// A message does not fit into an outbox.
    #[error(
        "a message of {} does not fit into an outbox of {} (`limits.outboxBytes`)",
        format_size(u64::from(*message_bytes)), format_size(u64::from(*outbox_bytes))
    )]
    MessageAboveOutbox {
        /// `limits.messageBytes`.
        message_bytes: u32,
        /// `limits.outboxBytes`.
        outbox_bytes: u32,
    },
    /// The ring is too small to catch up a slow reader.
    #[error(
        "the history of a channel must hold at least four outboxes, or a slow reader could not be caught up: at least \
         {least}, because `{outbox}` is {outbox_is}"
    )]
    RingBelowOutboxes {
        /// The least that it must be.
        least: String,
        /// The key of the outbox.
        outbox: &'static str,
        /// The value of that key.
        outbox_is: String,
    },
    /// One channel may keep more than all together.
    #[error("one channel may keep {bytes}, more than `history.totalBytes` ({total}) allows for all of them")]
    HistoryAboveTotal {
        /// What one channel may keep.
        bytes: String,
        /// What all may keep.
        total: String,
    },
    /// The text is no pattern.
    #[error("{pattern:?}: {reason}")]
    InvalidPattern {
        /// The text.
        pattern: String,
        /// Why not, as a fragment.
        reason: String,
    },
    /// An earlier rule matches everything that this one does.
    #[error("this rule can never apply: `rules[{earlier}]` ({pattern:?}) matches the same channels and comes first")]
    UnreachableRule {
        /// The index of the earlier rule.
        earlier: usize,
        /// Its pattern.
        pattern: String,
    },
    /// Nothing can be stored.
    #[error("there is no store to keep these messages; set `store.path` to a folder for it")]
    PersistWithoutStore,
    /// An API key can be guessed.
    #[error(
        "an API key needs at least {API_KEY_CHARS_MIN} characters that nobody can guess, and this one {reason}; \
         `openssl rand -hex 32` makes one"
    )]
    WeakApiKey {
        /// What it has instead, as a fragment.
        reason: String,
    },
    /// An API key cannot travel in a header.
    #[error(
        "an API key has at most {API_KEY_BYTES_MAX} characters, all visible ASCII; `openssl rand -hex 32` makes one"
    )]
    UnusableApiKey,
    /// Two API keys are the same.
    #[error("the same key as `auth.apiKeys[{earlier}]`; remove one of them")]
    RepeatedApiKey {
        /// The index of the earlier one.
        earlier: usize,
    },
    /// Any page could act with the visitor's cookie.
    #[error(
        "\"*\" together with `auth.cookie` would let any page act in the name of its visitor; list the origins of your \
         own pages"
    )]
    AnyOriginWithCookie,
    /// Stopping would be over before it begins.
    #[error("stopping may take {deadline} in all, but `shutdown.notReady` alone takes {not_ready}")]
    DeadlineBelowNotReady {
        /// `shutdown.deadline`.
        deadline: String,
        /// `shutdown.notReady`.
        not_ready: String,
    },
}

/// Finds all of them. The key of a problem is the one to change first.
pub(super) fn find(config: &Config, authenticator: Authenticator) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    find_exposure(config, authenticator, &mut found);
    find_in_providers(config, &mut found);
    find_in_api_keys(config, &mut found);
    find_in_sizes(config, &mut found);
    find_in_rules(config, &mut found);
    let shutdown = &config.shutdown;
    if shutdown.deadline < shutdown.not_ready {
        let text = |duration| super::value::format_duration_ms(super::value::as_ms(duration));
        let (deadline, not_ready) = (text(shutdown.deadline), text(shutdown.not_ready));
        found.add("shutdown.deadline", Contradiction::DeadlineBelowNotReady { deadline, not_ready });
    }
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, key: impl Into<String>, contradiction: Contradiction) {
        let kind = ProblemKind::Contradiction(contradiction);
        self.0.push(Problem { key: key.into(), origin: None, kind });
    }
}

fn find_exposure(config: &Config, authenticator: Authenticator, found: &mut Found) {
    let listen = config.listen_address();
    if !listen.ip().is_loopback() {
        if config.auth.dev {
            found.add("listen", Contradiction::PublicDevMode { listen });
        } else if config.dev_mode() && authenticator == Authenticator::FromConfig {
            found.add("listen", Contradiction::PublicWithoutAuthentication { listen });
        }
    }
    if config.auth.cookie.is_some() && config.cors.allowed_origins.iter().any(|origin| origin == "*") {
        found.add("cors.allowedOrigins", Contradiction::AnyOriginWithCookie);
    }
}

fn find_in_providers(config: &Config, found: &mut Found) {
    let (sse, websocket) = (&config.providers.sse, &config.providers.websocket);
    let provider = config.provider;
    let chosen_is_on = match provider {
        Provider::WebSocket => websocket.enabled,
        Provider::Sse => sse.enabled,
    };
    if !sse.enabled && !websocket.enabled {
        found.add("providers", Contradiction::NoProvider);
    } else if !chosen_is_on {
        found.add("provider", Contradiction::ProviderDisabled { provider });
    }
    if sse.path == websocket.path {
        found.add("providers.sse.path", Contradiction::SamePath { path: sse.path.clone() });
    }
    for (key, path) in [("providers.sse.path", &sse.path), ("providers.websocket.path", &websocket.path)] {
        let below =
            |reserved: &&str| path.strip_prefix(*reserved).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if RESERVED_PATHS.iter().any(below) {
            found.add(key, Contradiction::ReservedPath { path: path.clone() });
        }
    }
}

fn find_in_api_keys(config: &Config, found: &mut Found) {
    let keys = &config.auth.api_keys;
    for (index, api_key) in keys.iter().enumerate() {
        let key = api_key.key.reveal();
        let path = format!("auth.apiKeys[{index}].key");
        let characters = key.chars().count();
        let mut distinct: Vec<char> = key.chars().collect();
        distinct.sort_unstable();
        distinct.dedup();
        if key.len() > API_KEY_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            found.add(path, Contradiction::UnusableApiKey);
        } else if characters < API_KEY_CHARS_MIN {
            found.add(path, Contradiction::WeakApiKey { reason: format!("has {characters}") });
        } else if distinct.len() < API_KEY_DISTINCT_MIN {
            let reason = format!("has only {} different ones", distinct.len());
            found.add(path, Contradiction::WeakApiKey { reason });
        } else if let Some(earlier) = keys[..index].iter().position(|other| other.key == api_key.key) {
            found.add(path, Contradiction::RepeatedApiKey { earlier });
        }
    }
}

fn find_in_sizes(config: &Config, found: &mut Found) {
    let (limits, history) = (&config.limits, &config.history);
    if limits.message_bytes > limits.outbox_bytes {
        let (message_bytes, outbox_bytes) = (limits.message_bytes, limits.outbox_bytes);
        found.add("limits.messageBytes", Contradiction::MessageAboveOutbox { message_bytes, outbox_bytes });
    }
    let least = limits.outbox_records.saturating_mul(OUTBOXES_PER_RING);
    if history.messages < least {
        let (outbox, outbox_is) = ("limits.outboxRecords", limits.outbox_records.to_string());
        let least = least.to_string();
        found.add("history.messages", Contradiction::RingBelowOutboxes { least, outbox, outbox_is });
    }
    let least = u64::from(limits.outbox_bytes) * u64::from(OUTBOXES_PER_RING);
    if u64::from(history.bytes) < least {
        let (outbox, outbox_is) = ("limits.outboxBytes", format_size(limits.outbox_bytes.into()));
        let least = format_size(least);
        found.add("history.bytes", Contradiction::RingBelowOutboxes { least, outbox, outbox_is });
    }
    let rings = config.rules.iter().enumerate().filter_map(|(index, rule)| match &rule.history {
        super::RuleHistory::Keep(ring) => Some((format!("rules[{index}].history.bytes"), ring.bytes?)),
        super::RuleHistory::Off => None,
    });
    for (key, bytes) in std::iter::once(("history.bytes".to_owned(), history.bytes)).chain(rings) {
        if u64::from(bytes) > history.total_bytes {
            let (bytes, total) = (format_size(bytes.into()), format_size(history.total_bytes));
            found.add(key, Contradiction::HistoryAboveTotal { bytes, total });
        }
    }
}

fn find_in_rules(config: &Config, found: &mut Found) {
    for (index, rule) in config.rules.iter().enumerate() {
        if rule.persist == Some(true) && config.store.path.is_none() {
            found.add(format!("rules[{index}].persist"), Contradiction::PersistWithoutStore);
        }
        let (path, pattern) = (format!("rules[{index}].pattern"), &rule.pattern);
        if let Err(error) = Pattern::parse(pattern) {
            let (pattern, reason) = (pattern.clone(), error.to_string());
            found.add(path, Contradiction::InvalidPattern { pattern, reason });
        } else if let Some(earlier) = config.rules[..index].iter().position(|other| covers(&other.pattern, pattern)) {
            let pattern = config.rules[earlier].pattern.clone();
            found.add(path, Contradiction::UnreachableRule { earlier, pattern });
        }
    }
}

/// Whether one pattern matches every name that the other matches.
fn covers(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split(':');
    for segment in wide.split(':') {
        match (segment, narrow.next()) {
            (_, None) => return false,
            ("**", Some(_)) => return true,
            ("*", Some(other)) if other != "**" => {}
            (literal, Some(other)) if literal == other => {}
            (_, Some(_)) => return false,
        }
    }
    narrow.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_another_if_no_name_escapes_it() {
        let table = [
            ("chat:*", "chat:*", true),
            ("chat:*", "chat:lobby", true),
            ("chat:*", "chat:**", false),
            ("chat:**", "chat:*:x", true),
            ("chat:**", "chat", false),
            ("**", "anything:at:all", true),
            ("*", "chat", true),
            ("*", "chat:lobby", false),
            ("chat:lobby", "chat:*", false),
            ("*:lobby", "chat:lobby", true),
        ];
        for (wide, narrow, expected) in table {
            assert_eq!(covers(wide, narrow), expected, "{wide} covers {narrow}");
        }
    }
}
