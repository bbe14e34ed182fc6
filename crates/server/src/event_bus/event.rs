//! An event, and how a handler reads it.

use std::time::{SystemTime, UNIX_EPOCH};

use realtime_connector_core::time::{Now, UnixMs};
use realtime_connector_core::worker::publishing::fresh_id;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened. As JSON: `{"type":…,"payload":…,"id":…,"time":…}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event<P = Value> {
    /// What happened, such as `order.created`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// What is known about it.
    pub payload: P,
    /// Its own, sorting by time: 16 characters.
    pub id: String,
    /// When it was published, in milliseconds since 1970 UTC.
    #[serde(rename = "time")]
    pub time_ms: u64,
}

impl Event {
    /// An event of this moment. `random` need not be unpredictable, only different each time.
    pub(crate) fn new(event_type: &str, payload: Value, random: u64) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = UnixMs(u64::try_from(wall.as_millis()).unwrap_or(0));
        // The high half of a Weyl sequence is the random one, and an id has 48 bits of it.
        let id = fresh_id(Now { wall, ..Now::default() }, random >> 16);
        Self { event_type: event_type.to_owned(), payload, id: id.as_str().to_owned(), time_ms: wall.0 }
    }

    /// The event with its payload read as a type.
    pub(crate) fn read<P: serde::de::DeserializeOwned>(&self) -> Result<Event<P>, serde_json::Error> {
        let payload = P::deserialize(&self.payload)?;
        Ok(Event { event_type: self.event_type.clone(), payload, id: self.id.clone(), time_ms: self.time_ms })
    }
}
