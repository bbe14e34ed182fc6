//! A week of real earthquakes, replayed in dev mode so that the playground has something to show.
//!
//! - Each becomes a message of type `earthquake` on channel `earthquakes`, published like any other, when its time has come.
//! - At first one second shows ten minutes of the feed. A message `{"type":"speed","data":{"factor":3600}}` on channel
//!   `earthquakes:control` changes that.
//! - After the last one there is a pause, and the week begins again.
//!
//! `data/README.md` tells where the table comes from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use realtime_connector_core::id::{AppId, Audience, ChannelKey, ChannelName};
use realtime_connector_core::options::{Options, Rule};
use realtime_connector_core::pattern::Pattern;
use realtime_connector_core::worker::Lifecycle;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::handle::RealtimeConnector;
use crate::message::{Message, Target};

/// Where they are published.
const CHANNEL: &str = "earthquakes";
/// Where the speed is asked for.
pub(crate) const CONTROL: &str = "earthquakes:control";
/// Seconds of the feed in one second, until somebody asks for another speed: an earthquake every 0.6 s.
const FACTOR: f64 = 600.0;
/// The slowest is as it was, the fastest a day in a second, which is 240 messages.
const FACTORS: std::ops::RangeInclusive<f64> = 1.0..=86_400.0;
/// Between the end of the week and its next beginning.
const PAUSE: Duration = Duration::from_secs(10);

static TABLE: &str = include_str!("../data/earthquakes.csv");

/// How a replay is steered.
#[derive(Debug)]
pub(crate) struct Control {
    speed: watch::Sender<f64>,
    started: AtomicBool,
}

impl Default for Control {
    fn default() -> Self {
        Self { speed: watch::Sender::new(FACTOR), started: AtomicBool::new(false) }
    }
}

impl Control {
    /// Takes notice of a message, if it is one on [`CONTROL`] that asks for a speed.
    pub(crate) fn notice(&self, event: &Lifecycle) {
        if let Some(factor) = asked(event) {
            self.speed.send_replace(factor);
        }
    }
}

/// The rules of the demonstration: what is said on [`CONTROL`] is told here, whatever else is configured for it, and nothing of it is
/// worth a place in somebody's store.
pub(crate) fn rules(options: &Options) -> [Rule; 2] {
    [CHANNEL, CONTROL].map(|channel| {
        let name = ChannelName::parse(channel).expect("it is a name");
        let configured = options.rule(&ChannelKey::named(AppId::default(), name));
        Rule {
            pattern: Pattern::parse(channel).expect("a name is a pattern"),
            history: configured.map_or(options.history, |rule| rule.history),
            message_events: channel == CONTROL || configured.is_some_and(|rule| rule.message_events),
            retention: None,
            latest_per_key: configured.is_some_and(|rule| rule.latest_per_key),
        }
    })
}

/// Starts the replay, once per connector. It ends with the connector's shutdown.
pub(crate) fn start(connector: &RealtimeConnector, control: &Control, mut stop: watch::Receiver<bool>) {
    if control.started.swap(true, Ordering::Relaxed) {
        return;
    }
    let (connector, speed) = (connector.clone(), control.speed.subscribe());
    connector.runtime().clone().spawn(async move {
        tokio::select! {
            () = run(&connector, speed) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
}

/// Publishes the week again and again.
async fn run(connector: &RealtimeConnector, mut speed: watch::Receiver<f64>) {
    let week: Vec<Earthquake> = TABLE.lines().skip(1).filter_map(Earthquake::parse).collect();
    loop {
        let mut clock = week.first().map_or(0.0, |first| first.time_ms as f64);
        for earthquake in &week {
            wait_until(earthquake.time_ms as f64, &mut clock, &mut speed).await;
            let message = Message::new("earthquake", earthquake.data());
            if let Err(rejection) = connector.broadcast(message, Target::channel(CHANNEL)).await {
                tracing::debug!(message = %rejection.message, "failed to publish an earthquake");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until the feed's clock shows `until`, both in feed milliseconds. The speed may change meanwhile.
async fn wait_until(until: f64, clock: &mut f64, speed: &mut watch::Receiver<f64>) {
    while *clock < until {
        let factor = *speed.borrow_and_update();
        let began = Instant::now();
        match tokio::time::timeout(real(until - *clock, factor), speed.changed()).await {
            Ok(Ok(())) => *clock += passed(began.elapsed(), factor),
            // Nobody is left who could change it; the connector goes away.
            Ok(Err(_)) => return,
            Err(_) => *clock = until,
        }
    }
}

/// How long so many feed milliseconds take.
fn real(feed_ms: f64, factor: f64) -> Duration {
    Duration::from_secs_f64(feed_ms / factor / 1_000.0)
}

/// The feed milliseconds that pass meanwhile.
fn passed(time: Duration, factor: f64) -> f64 {
    time.as_secs_f64() * 1_000.0 * factor
}

/// The speed that a message asks for.
fn asked(event: &Lifecycle) -> Option<f64> {
    #[derive(Deserialize)]
    struct Speed {
        factor: f64,
    }
    let Lifecycle::MessagePublished { record } = event else { return None };
    let Audience::Named(name) = &record.channel.audience else { return None };
    if name.as_str() != CONTROL || record.event_type.as_str() != "speed" {
        return None;
    }
    let speed: Speed = serde_json::from_slice(&record.data).ok()?;
    Some(speed.factor.clamp(*FACTORS.start(), *FACTORS.end()))
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
struct Earthquake {
    /// Milliseconds since 1970 UTC.
    time_ms: u64,
    longitude: f64,
    latitude: f64,
    depth_km: f64,
    magnitude: f64,
    id: String,
    place: String,
}

impl Earthquake {
    /// Reads `time,lon,lat,depth,mag,id,"place"`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(7, ',');
        let mut next = || fields.next();
        let time_ms = next()?.parse().ok()?;
        let mut number = || next()?.parse().ok();
        let (longitude, latitude, depth_km, magnitude) = (number()?, number()?, number()?, number()?);
        let id = next()?.to_owned();
        let place = next()?.strip_prefix('"')?.strip_suffix('"')?.to_owned();
        Some(Self { time_ms, longitude, latitude, depth_km, magnitude, id, place })
    }

    fn data(&self) -> Value {
        json!({
            "id": self.id,
            "time": self.time_ms,
            "lon": self.longitude,
            "lat": self.latitude,
            "depth": self.depth_km,
            "mag": self.magnitude,
            "place": self.place,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use realtime_connector_core::id::{EventType, MessageId};
    use realtime_connector_core::position::Epoch;
    use realtime_connector_core::record::Record;
    use realtime_connector_core::time::{Time, UnixMs};

    use super::*;

    #[test]
    fn the_whole_table_is_read_in_order() {
        let week: Vec<Earthquake> = TABLE.lines().skip(1).filter_map(Earthquake::parse).collect();
        assert_eq!(week.len(), TABLE.lines().count() - 1);
        assert!(week.is_sorted_by_key(|earthquake| earthquake.time_ms));
        let first = json!({
            "id": "uw61345682", "time": 1_517_363_399_650_u64, "lon": -122.197, "lat": 46.203, "depth": 3.3, "mag": 0.31,
            "place": "37km NNE of Amboy, Washington",
        });
        assert_eq!(week[0].data(), first);
    }

    #[test]
    fn what_is_no_line_is_left_out() {
        for line in ["", "time,lon,lat,depth,mag,id,place", "1,2,3,4,5,id", "1,2,3,4,5,id,place", "x,2,3,4,5,id,\"p\""]
        {
            assert_eq!(Earthquake::parse(line), None, "{line}");
        }
    }

    #[test]
    fn only_a_speed_on_the_control_channel_is_one() {
        let asked = |channel: &str, event_type: &str, data: &'static str| {
            let record = Record {
                channel: ChannelKey::named(AppId::default(), ChannelName::parse(channel).expect("a name")),
                epoch: Epoch::none(),
                offset: Some(1),
                id: MessageId::parse("m").expect("a name"),
                time: UnixMs(0),
                admitted: Time::default(),
                user: None,
                event_type: EventType::parse(event_type).expect("a name"),
                data: data.into(),
                key: None,
                meta: None,
                ttl: None,
                exclude: Box::default(),
            };
            asked(&Lifecycle::MessagePublished { record: Arc::new(record) })
        };
        assert_eq!(asked(CONTROL, "speed", r#"{"factor":3600}"#), Some(3_600.0));
        assert_eq!(asked(CONTROL, "speed", r#"{"factor":0}"#), Some(1.0));
        assert_eq!(asked(CONTROL, "speed", r#"{"factor":-5e9}"#), Some(1.0));
        assert_eq!(asked(CONTROL, "speed", r#"{"factor":1e300}"#), Some(86_400.0));
        for data in ["null", "{}", "3600", r#"{"factor":"600"}"#, r#"{"factor":1e400}"#, r#"{"factor":null}"#] {
            assert_eq!(asked(CONTROL, "speed", data), None, "{data}");
        }
        assert_eq!(asked(CONTROL, "note", r#"{"factor":3600}"#), None);
        assert_eq!(asked(CHANNEL, "speed", r#"{"factor":3600}"#), None);
    }

    #[test]
    fn the_slowest_speed_is_as_it_was_and_the_fastest_a_day_in_a_second() {
        assert_eq!(real(600_000.0, FACTOR), Duration::from_secs(1));
        assert_eq!(real(600_000.0, *FACTORS.start()), Duration::from_secs(600));
        assert_eq!(real(86_400_000.0, *FACTORS.end()), Duration::from_secs(1));
        let half = Duration::from_millis(500);
        assert_eq!(passed(half, FACTOR), 300_000.0, "what is left after a change goes on at the new speed");
    }

    #[tokio::test]
    async fn a_new_speed_does_not_wait_for_the_old_one() {
        let sender = watch::Sender::new(1.0);
        let (mut clock, mut speed) = (0.0, sender.subscribe());
        // At the old speed this would take a week.
        let wait = wait_until(604_800_000.0, &mut clock, &mut speed);
        let change = async {
            tokio::task::yield_now().await;
            sender.send_replace(1e12);
        };
        tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(wait, change) }).await.expect("it changed");
        assert_eq!(clock, 604_800_000.0);
    }
}
