//! The body of a POST with frames, and of small requests of the HTTP API.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_connector_wire::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::json_body(data));
