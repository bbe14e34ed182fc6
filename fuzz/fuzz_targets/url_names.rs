//! Positions, connection ids, places in the past and cursors of pages, as they stand in URLs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use realtime_connector_wire::fuzzing;

fuzz_target!(|data: &[u8]| fuzzing::url_names(data));
