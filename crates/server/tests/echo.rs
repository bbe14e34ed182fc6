//! The echo mode that conformance suites use: the same connection layer with raised limits.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/config.rs"]
mod configs;

use std::net::SocketAddr;

use client::{Received, Ws};
use realtime_connector::{Builder, EchoLimits, RealtimeConnector};
use realtime_connector_wire::websocket::{Opcode, masked_frame_header};

const MESSAGE_BYTES: usize = 16 * 1024 * 1024;

async fn start() -> (RealtimeConnector, SocketAddr) {
    let limits = EchoLimits { message_bytes_max: MESSAGE_BYTES, fragments_max: 65_536 };
    let rc = Builder::new(configs::config()).echo(limits).build().expect("the configuration is sound");
    let serving = rc.serve().await.expect("any port will do");
    let addr = serving.local_addr();
    (rc, addr)
}

/// A fragment with a mask of zeros, which changes nothing.
fn fragment(out: &mut Vec<u8>, opcode: Opcode, fin: bool, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&masked_frame_header(opcode, payload.len(), [0; 4]));
    if !fin {
        out[start] &= 0x7f;
    }
    out.extend_from_slice(payload);
}

#[tokio::test]
async fn messages_of_every_size_come_back_as_they_were() {
    let (rc, addr) = start().await;
    let mut ws = Ws::connect(addr, "/ws").await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20, MESSAGE_BYTES] {
        let payload: Vec<u8> = (0..size).map(|index| index as u8).collect();
        ws.send(Opcode::Binary, &payload).await;
        assert!(ws.recv().await == Received::Binary(payload), "{size} bytes");
    }
    ws.send(Opcode::Text, "a€🙂".as_bytes()).await;
    assert_eq!(ws.recv().await, Received::Text("a€🙂".into()));
    ws.close().await;
    rc.shutdown().await;
}

#[tokio::test]
async fn fragments_are_put_together_and_pings_between_them_are_all_answered() {
    let (rc, addr) = start().await;
    let mut ws = Ws::connect(addr, "/ws").await;
    let mut bytes = Vec::new();
    fragment(&mut bytes, Opcode::Text, false, b"x");
    for index in 1..65_536 {
        fragment(&mut bytes, Opcode::Continuation, index == 65_535, b"x");
        if index % 8_192 == 0 {
            fragment(&mut bytes, Opcode::Ping, true, index.to_string().as_bytes());
        }
    }
    ws.send_raw(&bytes).await;
    for index in 1..8 {
        assert_eq!(ws.recv().await, Received::Pong((index * 8_192).to_string().into_bytes()));
    }
    assert!(ws.recv().await == Received::Text("x".repeat(65_536)));
    ws.close().await;
    rc.shutdown().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_not_read_either_and_nothing_is_lost() {
    let (rc, addr) = start().await;
    let mut ws = Ws::connect(addr, "/ws").await;
    // Far more than what both sockets and the server keep.
    const COUNT: usize = 4_096;
    let payload = vec![7; 16 * 1024];
    let mut bytes = Vec::new();
    for _ in 0..COUNT {
        fragment(&mut bytes, Opcode::Binary, true, &payload);
    }
    let sent = ws.send_until_stalled(&bytes).await;
    assert!(sent < bytes.len(), "somebody keeps {sent} bytes that nobody has read");
    ws.send_while_reading(&bytes[sent..]).await;
    for _ in 0..COUNT {
        assert!(ws.recv().await == Received::Binary(payload.clone()));
    }
    rc.shutdown().await;
}

#[tokio::test]
async fn what_breaks_the_rules_is_closed_with_its_code() {
    let (rc, addr) = start().await;
    let table: [(&[u8], u16); 4] = [
        (b"\x81\x01x", 1002),
        (b"\xc1\x81\0\0\0\0x", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x82\xff\0\0\0\0\x01\0\0\x01\0\0\0\0", 1009),
    ];
    for (bytes, code) in table {
        let mut ws = Ws::connect(addr, "/ws").await;
        ws.send_raw(bytes).await;
        assert_eq!(ws.recv_close().await, Some(code), "{bytes:x?}");
    }
    rc.shutdown().await;
}
