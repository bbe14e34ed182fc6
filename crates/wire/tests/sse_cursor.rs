//! The open form of the cursor.

mod json_support;

use json_support::connection;
use proptest::collection::vec;
use proptest::prelude::*;
use realtime_connector_core::cursor::CursorPositions;
use realtime_connector_core::limits::SAFE_INTEGER_MAX;
use realtime_connector_core::position::Epoch;
use realtime_connector_wire::cursor::{CURSOR_BYTES_MAX, Cursor, encode};
use realtime_connector_wire::fuzzing;

fn positions(groups: &[(&str, &[(u64, u64)])]) -> CursorPositions {
    let mut positions = CursorPositions::default();
    for (epoch, offsets) in groups {
        let epoch = Epoch::parse(epoch).expect("an epoch");
        offsets.iter().for_each(|(print, offset)| positions.push(&epoch, *print, *offset));
    }
    positions
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
        b"\x02\x04k3f9\x02",
        &0x0102_0304_0506_0708_u64.to_be_bytes(),
        &[0x7f],
        &u64::MAX.to_be_bytes(),
        &[0x80, 0x01],
        b"\x01a\x01",
        &7_u64.to_be_bytes(),
        &[0],
    ];
    let cursor = positions(&[("k3f9", &[(0x0102_0304_0506_0708, 127), (u64::MAX, 128)]), ("a", &[(7, 0)])]);
    assert_eq!(packed(&cursor), expected.concat());
    let decoded = Cursor::decode(&expected.concat()).expect("a cursor");
    let at = |print| decoded.position(print).map(|it| (it.epoch.as_str().to_owned(), it.offset));
    assert_eq!(at(u64::MAX), Some(("k3f9".to_owned(), 128)));
    assert_eq!(at(7), Some(("a".to_owned(), 0)));
    assert_eq!(at(8), None);
    let nothing = [&[1][..], &connection().to_bytes(), &[0]].concat();
    assert_eq!(packed(&CursorPositions::default()), nothing);
}

/// A cursor of more than 38 positions held none of them.
#[test]
fn a_cursor_holds_as_many_positions_as_have_room_and_says_that_some_had_none() {
    let held = |epoch: &str, offsets: &[(u64, u64)]| {
        let bytes = packed(&positions(&[(epoch, offsets)]));
        assert!(bytes.len() <= CURSOR_BYTES_MAX, "{} bytes", bytes.len());
        let cursor = Cursor::decode(&bytes).expect("a cursor");
        assert_eq!(cursor.session, connection());
        let named = cursor.positions.first().map_or(&[][..], |group| &group.offsets);
        assert_eq!(named, &offsets[..named.len()], "the first ones have precedence");
        assert_eq!(cursor.left_out, named.len() < offsets.len());
        named.len()
    };
    let young: Vec<_> = (0..1_000).map(|index| (index, 999)).collect();
    let old: Vec<_> = (0..1_000).map(|index| (index, SAFE_INTEGER_MAX)).collect();
    assert_eq!(held("k3f9", &young), 71);
    assert_eq!(held("k3f9", &young[..71]), 71);
    assert_eq!(held(&"e".repeat(64), &old), 40);
}

#[test]
fn each_epoch_has_room_for_its_first_position() {
    let many: Vec<_> = (0..100).map(|index| (index, 1)).collect();
    let cursor = positions(&[("a", &many), ("b", &many), ("c", &many[..1])]);
    let bytes = packed(&cursor);
    let cursor = Cursor::decode(&bytes).expect("a cursor");
    let counts: Vec<_> = cursor.positions.iter().map(|group| (group.epoch.as_str(), group.offsets.len())).collect();
    assert_eq!((counts, cursor.left_out), (vec![("a", 77), ("b", 1), ("c", 1)], true));
    assert!(bytes.len() <= CURSOR_BYTES_MAX);
}

#[test]
fn a_position_of_one_epoch_too_many_is_lost_and_says_so() {
    let groups = [("a", &[(1, 1)][..]), ("b", &[(2, 2)]), ("c", &[(3, 3)]), ("d", &[(4, 4)]), ("e", &[(5, 5)])];
    let cursor = Cursor::decode(&packed(&positions(&groups))).expect("a cursor");
    let lost = cursor.position(5).expect("it is named");
    assert_eq!((lost.epoch.as_str(), lost.offset), ("a", SAFE_INTEGER_MAX));
    assert_eq!(cursor.position(4).map(|it| it.offset), Some(4));
}

#[test]
fn other_bytes_are_no_cursor() {
    let good = packed(&positions(&[("k3f9", &[(7, 127), (8, 128)])]));
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
    assert_eq!(changed(14, 0), None, "an epoch left over");
    assert_eq!(changed(14, 2), None, "an epoch missing");
    assert_eq!(changed(14, 5), None, "more epochs than there may be");
    assert_eq!(changed(14, 0x81).map(|it| it.left_out), Some(true), "others had no room");
    assert_eq!(Cursor::decode(&[&good[..], &[0; CURSOR_BYTES_MAX]].concat()), None, "too long");
    assert_eq!(changed(15, 255), None, "an epoch beyond the end");
    assert_eq!(changed(16, b'-'), None, "no epoch");
    assert_eq!(changed(16, 0xff), None, "no UTF-8");
    assert_eq!(changed(20, 3), None, "one position missing");
    assert_eq!(changed(20, 1), None, "one position left over");
    assert_eq!(changed(20, 0), None, "an epoch without positions");
    let twice = [&good[..14], &[2], &good[15..], &good[15..]].concat();
    assert_eq!(Cursor::decode(&twice), None, "an epoch twice");
    let offset = |bytes: &[u8]| {
        let cursor = Cursor::decode(&[&good[..20], &[1], &[0; 8], bytes].concat());
        cursor.and_then(|it| it.position(0)).map(|it| it.offset)
    };
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
        offsets in vec((any::<u64>(), prop_oneof![0..1_000_u64, 0..=SAFE_INTEGER_MAX]), 1..=40),
    ) {
        let positions = positions(&[(&epoch, &offsets)]);
        let bytes = packed(&positions);
        let groups: Vec<_> = positions.iter().cloned().collect();
        let expected = Cursor { session: connection(), positions: groups, left_out: false };
        prop_assert_eq!(Cursor::decode(&bytes), Some(expected));
        fuzzing::sse_cursor(&bytes);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        fuzzing::sse_cursor(&bytes);
        fuzzing::sse_cursor(&[&[1][..], &bytes].concat());
    }
}
