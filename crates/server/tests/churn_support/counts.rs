//! What the server counts, at each place where it can be asked.

use std::net::SocketAddr;
use std::time::Duration;

use super::PATIENCE;
use super::client::http;
use super::ledger::{CHANNELS, name};

/// Connections and subscriptions, as the server tells them or as they should be.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) websocket: u64,
    pub(crate) sse: u64,
    pub(crate) subscriptions: u64,
    /// Connections of each channel, by `/api/channels`.
    pub(crate) channels: [u64; CHANNELS],
    /// Connections in `/api/connections`, and the channels that stand there.
    pub(crate) registry: (u64, u64),
}

impl Counts {
    async fn ask(addr: SocketAddr) -> Self {
        let metrics = http(addr, "GET", "/metrics", None).await;
        let figure = |name, label| figure(metrics.text(), name, label);
        let (websocket, sse) = (figure("connections", "\"websocket\""), figure("connections", "\"sse\""));
        let mut counts = Self { websocket, sse, subscriptions: figure("subscriptions", ""), ..Self::default() };
        for item in http(addr, "GET", "/api/channels", None).await.json()["items"].as_array().expect("a list") {
            let log = (1..=CHANNELS).find(|log| item["channel"] == name(*log)).expect("a channel of this test");
            counts.channels[log - 1] = item["connections"].as_u64().expect("a count");
        }
        let mut cursor = String::new();
        loop {
            let page = http(addr, "GET", &format!("/api/connections?limit=1000{cursor}"), None).await.json();
            for item in page["items"].as_array().expect("a list") {
                counts.registry.0 += 1;
                counts.registry.1 += item["channels"].as_array().expect("a list").len() as u64;
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return counts,
            }
        }
    }

    /// Waits until the server tells this. It learns of the end of a socket later than the one who ends it.
    pub(crate) async fn wait_for(&self, addr: SocketAddr) {
        let mut told = Self::ask(addr).await;
        let agree = async {
            while told != *self {
                tokio::time::sleep(Duration::from_millis(20)).await;
                told = Self::ask(addr).await;
            }
        };
        let agreed = tokio::time::timeout(PATIENCE, agree).await.is_ok();
        assert!(agreed, "the server tells {told:?}, not {self:?}");
    }
}

/// The sum of a figure over the lines that have this label.
pub(crate) fn figure(metrics: &str, name: &str, label: &str) -> u64 {
    let head = format!("realtime_{name}{{");
    let lines = metrics.lines().filter(|line| line.starts_with(&head) && line.contains(label));
    lines.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok()).expect("a number")).sum()
}

/// Waits until this process has no more descriptors than that.
pub(crate) async fn wait_for_descriptors(count: usize) {
    let close = async {
        while descriptors() > count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let closed = tokio::time::timeout(PATIENCE, close).await.is_ok();
    assert!(closed, "{} descriptors are open, not {count}", descriptors());
}

/// Open descriptors of this process.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("this is Linux").count()
}
