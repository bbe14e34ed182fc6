//! Bytes of a hostile peer, in any cuts, to a decoder of either role.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_connector_wire::websocket::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::websocket_decoder(data));
