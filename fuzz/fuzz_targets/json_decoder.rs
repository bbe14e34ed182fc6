//! One frame of a client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_connector_wire::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::json_decoder(data));
