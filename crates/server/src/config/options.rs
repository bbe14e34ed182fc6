//! From the configuration to core's options: the only place that knows both.

use realtime_connector_core::inbox::Policy;
use realtime_connector_core::options::{HistoryOptions, InboxOptions, Options, Rule as CoreRule};
use realtime_connector_core::pattern::Pattern;

use super::{Config, History, Inbox, InboxPolicy};

impl Config {
    /// The options of one of `workers` workers. The node's budget of history is split evenly among them.
    pub(crate) fn options(&self, workers: usize) -> Options {
        let rules = self.rules.iter().filter_map(|rule| {
            let history = rule.history_within(&self.history).map_or(HistoryOptions::OFF, |it| ring(&it));
            let pattern = Pattern::parse(&rule.pattern).ok()?;
            let (retention, latest_per_key) = (self.retention(Some(rule)), rule.latest_per_key);
            Some(CoreRule { pattern, history, retention, latest_per_key, message_events: rule.events })
        });
        Options {
            websocket_heartbeat: self.providers.websocket.heartbeat_interval,
            sse_heartbeat: self.providers.sse.heartbeat_interval,
            message_bytes: self.limits.message_bytes,
            channels_per_connection: self.limits.channels_per_connection,
            outbox_records: self.limits.outbox_records,
            outbox_bytes: self.limits.outbox_bytes,
            history_total_bytes: self.history.total_bytes / workers as u64,
            history: ring(&self.history),
            retention: self.retention(None),
            inbox: self.inbox.enabled.then(|| inbox(&self.inbox)),
            rules: rules.collect(),
            ..Options::default()
        }
    }
}

fn inbox(inbox: &Inbox) -> InboxOptions {
    let policy = match inbox.policy {
        InboxPolicy::Any => Policy::Any,
        InboxPolicy::Each => Policy::Each,
    };
    InboxOptions { policy, messages: inbox.messages, bytes: inbox.bytes, age: inbox.age }
}

fn ring(history: &History) -> HistoryOptions {
    HistoryOptions { records: history.messages, bytes: history.bytes, age: history.age }
}
