//! Tables about blocks of a log.

use std::sync::Arc;

use bytes::Bytes;

use crate::history::blocks::{Block, Blocks, Wanted};
use crate::id::{AppId, ChannelKey, EventType, MessageId, MessageKey, SlotKey};
use crate::position::{Epoch, Offset};
use crate::record::Record;
use crate::time::{Time, UnixMs};

const HOME: SlotKey = SlotKey { slot: 1, generation: 1 };
const OTHER: SlotKey = SlotKey { slot: 2, generation: 1 };

fn key(name: &str) -> MessageKey {
    MessageKey::parse(name).expect("a key")
}

/// One record per key, from offset 1 on; `-` has none.
fn block(keys: &str) -> Block {
    let record = |(index, name): (usize, &str)| {
        Arc::new(Record {
            channel: ChannelKey::everyone(AppId(0)),
            epoch: Epoch::none(),
            offset: Some(index as Offset + 1),
            id: MessageId::parse("m").expect("an id"),
            time: UnixMs(0),
            admitted: Time::default(),
            user: None,
            event_type: EventType::parse("t").expect("a type"),
            data: Bytes::new(),
            key: (name != "-").then(|| key(name)),
            meta: None,
            ttl: None,
            exclude: Box::default(),
        })
    };
    let records: Vec<_> = keys.split(' ').enumerate().map(record).collect();
    Block { reached: records.len() as Offset, records, ..Block::default() }
}

fn offsets(blocks: &mut Blocks<()>, home: SlotKey) -> Option<Vec<Offset>> {
    match blocks.want(home, 1, 0, ()) {
        Wanted::Here(block, ()) => Some(block.records.iter().filter_map(|record| record.offset).collect()),
        Wanted::Waits | Wanted::Ask { .. } => None,
    }
}

/// It was read before the commit and arrived after it.
#[test]
fn a_block_under_way_comes_without_what_was_replaced_meanwhile() {
    let mut blocks = Blocks::default();
    assert!(matches!(blocks.want(HOME, 1, 0, ()), Wanted::Ask { from: 1 }));
    assert!(matches!(blocks.want(OTHER, 1, 0, ()), Wanted::Ask { from: 1 }));
    blocks.replace(HOME, &key("x"), 4);
    blocks.replace(HOME, &key("z"), 9);
    // The log had the newer record of `x` already, and none of `z`.
    assert_eq!(blocks.arrived(HOME, 1, block("x - y x")).len(), 1);
    assert_eq!(blocks.arrived(OTHER, 1, block("x - y z")).len(), 1);
    assert_eq!(offsets(&mut blocks, HOME), Some(vec![2, 3, 4]));
    assert_eq!(offsets(&mut blocks, OTHER), Some(vec![1, 2, 3, 4]));
    blocks.replace(HOME, &key("y"), 5);
    assert_eq!(offsets(&mut blocks, HOME), None, "it is read again");
    assert_eq!(offsets(&mut blocks, OTHER), Some(vec![1, 2, 3, 4]), "that is another channel");
}
