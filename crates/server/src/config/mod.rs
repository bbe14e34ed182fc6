//! The configuration: a plain struct for those who embed the server, and a file for everyone else.
//!
//! - [`Config`] is constructed like any struct: `Config { listen: …, ..Config::default() }`. [`Config::from_json`] and
//!   [`Config::from_toml`] read the same thing from text; a sole top-level `realtime` is unwrapped.
//! - Reading checks names, types and bounds. [`Config::validate`] checks them again, for a struct that was filled by
//!   code, and then what contradicts what. Both report everything they find, not only the first problem.
//! - A [`Document`] is the configuration before it is typed: layers of files, variables and flags that remember where
//!   each value came from.
//! - Every key is declared once, below. [`keys`](keys()) lists them for programs; [`mod@reference`] turns them into text.

mod check;
mod contradictions;
mod document;
mod error;
mod json;
mod keys;
mod options;
pub mod reference;
mod sections;
mod toml;
mod value;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use contradictions::Contradiction;
pub use document::Document;
pub use error::{ConfigError, Origin, Problem, ProblemKind};
pub use keys::{Key, Kind, children, find, keys, nearest, without_indices};

pub use sections::{
    ApiKey, Auth, Cors, History, Inbox, InboxPolicy, Limits, Log, LogFormat, LogLevel, Provider, Providers, Rule,
    RuleHistory, RuleRing, Secret, Shutdown, SseProvider, Store, WebSocketProvider,
};

use keys::section;
use realtime_connector_core::options::Retention;

use crate::store::StorePlan;

/// The port where nothing says otherwise: the usual second port of the web, and free for any user to bind.
const PORT: u16 = 8080;

/// All keys, in the order in which they are documented.
static SECTIONS: [&[Key]; 15] = [
    Config::KEYS,
    Providers::KEYS,
    SseProvider::KEYS,
    WebSocketProvider::KEYS,
    Auth::KEYS,
    ApiKey::KEYS,
    Cors::KEYS,
    Limits::KEYS,
    History::KEYS,
    Store::KEYS,
    Inbox::KEYS,
    Rule::KEYS,
    RuleRing::KEYS,
    Shutdown::KEYS,
    Log::KEYS,
];

section! {
    /// Everything that can be configured. The default is a server for development, on loopback.
    pub struct Config at "" {
        /// Whether the server serves. `false` starts an inert server that says so and refuses everything.
        pub enabled: bool = true, "enabled" is Bool;

        /// What a client uses when it does not choose; `GET /api/info` tells it. Both are on unless switched off.
        pub provider: Provider = Provider::WebSocket, "provider" is Provider;

        /// Where to listen. Without it: 127.0.0.1, and the port of `providers.websocket.port` or 8080.
        ///
        /// `0.0.0.0:8080` or `[::]:8080` is every network interface; other machines reach it, so it needs
        /// authentication. `localhost` may stand for 127.0.0.1. Port 0 takes any free port.
        #[serde(with = "value::address_option", skip_serializing_if = "Option::is_none")]
        pub listen: Option<SocketAddr> = None, "listen" is Address as in "\"127.0.0.1:8080\"";

        /// Worker threads, each with its own connections and channels; 0 is one per core.
        ///
        /// Every worker keeps a queue to each other one, so their memory grows with the square: hence the bound.
        pub workers: u32 = 0, "workers" is Integer("0" to "64");

        /// The two ways in.
        pub providers: Providers = Providers::default(), "providers" is Section;

        /// Who may do what. Without any of it the server is in dev mode: loopback only, and everything is allowed.
        pub auth: Auth = Auth::default(), "auth" is Section;

        /// Which pages of other origins may use the server.
        pub cors: Cors = Cors::default(), "cors" is Section;

        /// What one message, one connection and the whole node may hold.
        pub limits: Limits = Limits::default(), "limits" is Section;

        /// How much of each channel is kept in memory, for those who come back or are slow.
        pub history: History = History::default(), "history" is Section;

        /// Messages that outlive the process.
        pub store: Store = Store::default(), "store" is Section;

        /// What waits for users until they have it.
        pub inbox: Inbox = Inbox::default(), "inbox" is Section;

        /// Settings for the channels that match a pattern. The first rule that matches a channel counts, alone.
        pub rules: Vec<Rule> = Vec::new(), "rules" is SectionList("0" to "1000");

        /// How the server stops.
        pub shutdown: Shutdown = Shutdown::default(), "shutdown" is Section;

        /// What the program writes to its standard error.
        pub log: Log = Log::default(), "log" is Section;
    }
}

impl Config {
    /// Reads JSON. Names, types and bounds are checked; contradictions are found by [`Config::validate`].
    ///
    /// ```
    /// use realtime_connector::config::{Config, Provider};
    /// let config = Config::from_json(r#"{"realtime": {"provider": "sse"}}"#)?;
    /// assert_eq!(config.provider, Provider::Sse);
    /// # Ok::<(), realtime_connector::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// Every unknown key, wrong type and value out of bounds, with its line and column.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Document::from_json(text, None)?.read()
    }

    /// Reads TOML; the same keys and checks as [`Config::from_json`].
    ///
    /// # Errors
    /// Every unknown key, wrong type and value out of bounds, with its line and column.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Document::from_toml(text, None)?.read()
    }

    /// Checks bounds and contradictions of a server that stands alone.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key and with what to do about it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::unless_empty(self.problems(Authenticator::FromConfig))
    }

    /// As [`Config::validate`], for a server whose application brings its own authenticator: a public address needs
    /// no `auth` then.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key and with what to do about it.
    pub fn validate_embedded(&self) -> Result<(), ConfigError> {
        ConfigError::unless_empty(self.problems(Authenticator::Application))
    }

    fn problems(&self, authenticator: Authenticator) -> Vec<Problem> {
        let mut problems = Document::from_config(self).problems();
        problems.extend(contradictions::find(self, authenticator));
        problems
    }

    /// Where to listen: `listen`, or loopback with the port of `providers.websocket.port` or 8080.
    #[must_use]
    pub fn listen_address(&self) -> SocketAddr {
        let port = self.providers.websocket.port.unwrap_or(PORT);
        self.listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Whether the server runs in dev mode: because it is told to, or because no authentication is configured. An application that
    /// brings its own authenticator has decided otherwise.
    #[must_use]
    pub fn dev_mode(&self) -> bool {
        self.auth.dev || (self.auth.api_keys.is_empty() && !self.auth.anonymous)
    }
}

impl Config {
    /// Where the store is and how it is opened; `None` keeps everything in memory.
    pub(crate) fn store_plan(&self) -> Option<StorePlan> {
        let folder = self.store.path.as_ref()?.into();
        Some(StorePlan { folder, accept_loss: self.store.accept_loss })
    }

    /// How long the store keeps channels: those of a rule, or all others.
    pub(crate) fn retention(&self, rule: Option<&Rule>) -> Option<Retention> {
        let Store { messages, bytes, age, persist, .. } = self.store;
        let persists = rule.and_then(|rule| rule.persist).unwrap_or(persist) && self.store.path.is_some();
        persists.then_some(Retention { records: messages, bytes, age })
    }
}

impl Rule {
    /// What the rule's channels keep, with what it leaves open taken from the top-level `history`; `None` is nothing.
    #[must_use]
    pub fn history_within(&self, node: &History) -> Option<History> {
        match &self.history {
            RuleHistory::Off => None,
            RuleHistory::Keep(ring) => Some(History {
                messages: ring.messages.unwrap_or(node.messages),
                bytes: ring.bytes.unwrap_or(node.bytes),
                age: ring.age.unwrap_or(node.age),
                total_bytes: node.total_bytes,
            }),
        }
    }
}

/// Who decides about connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authenticator {
    /// The section `auth`.
    FromConfig,
    /// Code of the application.
    Application,
}

#[cfg(test)]
mod tests;
