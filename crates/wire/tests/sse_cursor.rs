//! The open form of the cursor.

mod json_support;

use json_support::connection;
use proptest::collection::vec;
use proptest::prelude::*;
use realtime_connector_core::event::CursorPositions;
use realtime_connector_core::limits::SAFE_INTEGER_MAX;
use realtime_connector_core::position::Epoch;
use realtime_connector_wire::cursor::{CURSOR_POSITIONS_MAX, Cursor, encode};
use realtime_connector_wire::fuzzing;

fn positions(epoch: &str, offsets: &[(u64, u64)]) -> CursorPositions {
    CursorPositions { epoch: Epoch::parse(epoch), offsets: offsets.to_vec() }
}

fn packed(positions: &CursorPositions) -> Vec<u8> {
    let mut out = b"before".to_vec();
    encode(&mut out, positions, connection());
    out.split_off(6)
}

#[test]
fn the_form_is_the_one_that_is_documented() {
    let expected = [
        &[1][..],
        &connection().to_bytes(),
        b"\x04k3f9\x02",
        &0x0102_0304_0506_0708_u64.to_be_bytes(),
        &[0x7f],
        &u64::MAX.to_be_bytes(),
        &[0x80, 0x01],
    ];
    let cursor = positions("k3f9", &[(0x0102_0304_0506_0708, 127), (u64::MAX, 128)]);
    assert_eq!(packed(&cursor), expected.concat());
    let nothing = [&[1][..], &connection().to_bytes(), &[0, 0]].concat();
    assert_eq!(packed(&CursorPositions::default()), nothing);
    assert_eq!(packed(&positions("", &[(1, 2)])), nothing, "offsets without an epoch mean nothing");
}

#[test]
fn too_many_positions_leave_only_the_session() {
    let offsets: Vec<_> = (0..41).map(|index| (index, index)).collect();
    let most = Cursor::decode(&packed(&positions("k3f9", &offsets[..CURSOR_POSITIONS_MAX]))).expect("a cursor");
    assert_eq!((most.complete, most.offsets.len()), (true, 40));
    let more = Cursor::decode(&packed(&positions("k3f9", &offsets))).expect("a cursor");
    assert_eq!((more.session, more.complete, more.offsets), (connection(), false, Vec::new()));
    assert_eq!(more.epoch, Epoch::parse("k3f9"));
}

#[test]
fn the_largest_cursor_fits_its_kibibyte_when_it_is_sealed() {
    /// Nonce and tag of AES-GCM.
    const SEAL_BYTES: usize = 12 + 16;
    let offsets = [(u64::MAX, SAFE_INTEGER_MAX); CURSOR_POSITIONS_MAX];
    let plain = packed(&positions(&"e".repeat(Epoch::BYTES_MAX), &offsets));
    let characters = (plain.len() + SEAL_BYTES).div_ceil(3) * 4;
    assert_eq!((plain.len(), characters), (720, 1_000));
    assert!(characters <= 1_024);
}

#[test]
fn other_bytes_are_no_cursor() {
    let good = packed(&positions("k3f9", &[(7, 127), (8, 128)]));
    assert!(Cursor::decode(&good).is_some());
    for len in 0..good.len() {
        assert_eq!(Cursor::decode(&good[..len]), None, "cut after {len}");
    }
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Cursor::decode(&bytes)
    };
    assert_eq!(changed(0, 2), None, "another version");
    assert_eq!(changed(14, 0), None, "positions without an epoch");
    assert_eq!(changed(14, 255), None, "an epoch beyond the end");
    assert_eq!(changed(15, b'-'), None, "no epoch");
    assert_eq!(changed(15, 0xff), None, "no UTF-8");
    assert_eq!(changed(19, 3), None, "one position missing");
    assert_eq!(changed(19, 1), None, "one position left over");
    assert_eq!(changed(19, 41), None, "more positions than there may be");
    assert_eq!(changed(19, 255), None, "positions behind the word that there are none");
    let offset = |bytes: &[u8]| Cursor::decode(&[&good[..19], &[1], &[0; 8], bytes].concat()).map(|it| it.offsets[0].1);
    assert_eq!(offset(&[0]), Some(0));
    assert_eq!(offset(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]), Some(SAFE_INTEGER_MAX));
    assert_eq!(offset(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]), None, "above 2^53 - 1");
    assert_eq!(offset(&[0x80; 9]), None, "without end");
    assert_eq!(offset(&[0x81, 0x00]), None, "longer than needed");
}

proptest! {
    #[test]
    fn a_cursor_comes_back(
        epoch in "[A-Za-z0-9]{1,64}",
        offsets in vec((any::<u64>(), prop_oneof![0..1_000_u64, 0..=SAFE_INTEGER_MAX]), 0..=CURSOR_POSITIONS_MAX),
    ) {
        let positions = positions(&epoch, &offsets);
        let bytes = packed(&positions);
        let expected = Cursor { session: connection(), epoch: positions.epoch, offsets, complete: true };
        prop_assert_eq!(Cursor::decode(&bytes), Some(expected));
        fuzzing::sse_cursor(&bytes);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        fuzzing::sse_cursor(&bytes);
        fuzzing::sse_cursor(&[&[1][..], &bytes].concat());
    }
}
