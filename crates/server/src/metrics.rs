//! Figures for monitoring, in the OpenMetrics text format.
//!
//! - Each worker counts for itself; the figures are asked for when somebody looks, so counting costs nothing shared.
//! - Labels are `worker` (at most 64) and `provider` (two). Nothing that a client chose ever becomes a label.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use realtime_connector_core::worker::Figures;

use crate::app::App;

/// What [`text`] is.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One figure of every worker.
struct PerWorker {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    read: fn(&Figures) -> u64,
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&Figures) -> u64) -> PerWorker {
    PerWorker { name, help, kind: MetricType::Gauge, read }
}

/// A name of a counter lacks its `_total`, which the format adds.
const fn counter(name: &'static str, help: &'static str, read: fn(&Figures) -> u64) -> PerWorker {
    PerWorker { name, help, kind: MetricType::Counter, read }
}

const PER_WORKER: [PerWorker; 18] = [
    gauge("channels", "Channels at home at the worker", |it| it.channels),
    gauge("subscriptions", "Subscriptions by name", |it| it.subscriptions),
    counter("connections_opened", "Connections since the start", |it| it.connected),
    counter("messages_published", "Messages accepted", |it| it.published),
    counter("messages_delivered", "Messages put into outboxes", |it| it.delivered),
    counter("messages_excluded", "Deliveries left out because the publisher excluded the session", |it| it.excluded),
    counter("messages_dropped", "Ephemeral messages dropped for slow readers or full queues", |it| it.dropped),
    counter("subscriptions_fell_behind", "Times a subscription was too slow and went over to history", |it| {
        it.fell_behind
    }),
    counter("gaps_lost", "Gaps told to subscribers that are loss", |it| it.gaps),
    counter("commands_rejected", "Commands of clients that were refused", |it| it.rejected),
    counter("store_reads", "Blocks of messages read from the store for those who come back or ask for history", |it| {
        it.log_reads
    }),
    counter("inbox_dropped", "Messages dropped from inboxes because too much waited", |it| it.inbox_dropped),
    gauge("consumers", "Durable consumers of the channels at home at the worker", |it| it.consumers),
    counter("consumer_deliveries", "Messages handed out to members of durable consumers", |it| it.handed_out),
    counter("consumer_redeliveries", "Of these, all but the first ones of their message", |it| it.handed_out_again),
    counter("consumer_acks", "Acks of members of durable consumers", |it| it.acks),
    counter("consumer_dead_letters", "Messages that a durable consumer has given up", |it| it.dead_letters),
    counter("store_append_failures", "Messages that the store did not take", |it| it.append_failures),
];

/// Everything, as text.
pub(crate) fn text(app: &App, workers: Vec<Figures>) -> String {
    let mut registry = Registry::with_prefix("realtime");
    registry.register_collector(Box::new(Snapshot {
        workers,
        capacity: app.capacity as u64,
        ready: app.readiness().is_ok(),
        lifecycle_dropped: app.node.lifecycle_dropped(),
    }));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a String takes every write");
    text
}

/// The figures of one moment.
#[derive(Debug)]
struct Snapshot {
    workers: Vec<Figures>,
    capacity: u64,
    ready: bool,
    lifecycle_dropped: u64,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let info = [("version", env!("CARGO_PKG_VERSION"))];
        encoder.encode_descriptor("build", "What runs", None, MetricType::Info)?.encode_info(&info)?;
        self.encode_connections(&mut encoder)?;
        for family in &PER_WORKER {
            let metric = encoder.encode_descriptor(family.name, family.help, None, family.kind)?;
            self.encode_family(metric, family)?;
        }
        let history = gauge("history", "Messages kept for those who come back", |it| it.history_bytes);
        let metric = encoder.encode_descriptor(history.name, history.help, Some(&Unit::Bytes), history.kind)?;
        self.encode_family(metric, &history)?;
        for (name, help, value) in [
            ("connections_limit", "Connections the node takes", self.capacity),
            ("ready", "1 while connections are welcome", u64::from(self.ready)),
        ] {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
        }
        let help = "Events that the application's handlers were too slow for";
        let mut metric = encoder.encode_descriptor("events_dropped", help, None, MetricType::Counter)?;
        count(&mut metric, self.lifecycle_dropped)
    }
}

impl Snapshot {
    fn encode_connections(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut metric = encoder.encode_descriptor("connections", "Connections now", None, MetricType::Gauge)?;
        for (worker, figures) in self.workers.iter().enumerate() {
            let worker = worker.to_string();
            let websocket = figures.connections - figures.connections_sse;
            for (provider, value) in [("websocket", websocket), ("sse", figures.connections_sse)] {
                let labels = [("worker", worker.as_str()), ("provider", provider)];
                metric.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn encode_family(&self, mut metric: MetricEncoder<'_>, family: &PerWorker) -> std::fmt::Result {
        for (worker, figures) in self.workers.iter().enumerate() {
            let labels = [("worker", worker.to_string())];
            let mut metric = metric.encode_family(&labels)?;
            let value = (family.read)(figures);
            if matches!(family.kind, MetricType::Counter) {
                count(&mut metric, value)?;
            } else {
                metric.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

fn count(metric: &mut MetricEncoder<'_>, value: u64) -> std::fmt::Result {
    metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)
}
