//! A message of any type and payload to an event stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_connector_wire::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::sse_block(data));
