//! Positions and connection ids of URLs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_connector_wire::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::url_names(data));
