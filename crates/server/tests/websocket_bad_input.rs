//! Bad bytes on a WebSocket: what comes out, and that nobody else notices. Numbers are those of the project's list of bad inputs.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/server.rs"]
mod server;
#[path = "support/witness.rs"]
mod witness;

use std::time::{Duration, Instant};

use client::{PATIENCE, Received, Ws};
use memory::Memory;
use realtime_connector::Config;
use realtime_connector::config::{Providers, WebSocketProvider};
use realtime_connector_wire::websocket::{Opcode, encode_masked};
use serde_json::{Value, json};
use server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use witness::Witness;

/// What a frame may be at most: 64 KiB of data and 16 KiB around it.
const FRAME_BYTES_MAX: usize = 80 * 1024;

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const FIN: u8 = 0x80;

/// A frame with these first bits, masked, its length written as short as possible.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    let mask = bytes[bytes.len() - 4..].to_vec();
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header alone, with whatever length it claims.
fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(0x80 | length as u8),
        126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend([0x12, 0x34, 0x56, 0x78]);
    bytes
}

/// A close frame with this body.
fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

async fn witness() -> Witness {
    Witness::start(Server::start(2).await).await
}

/// A client that has been told `connected`.
async fn connected(witness: &Witness, path: &str) -> Ws {
    let mut ws = Ws::connect(witness.server.addr, path).await;
    assert_eq!(ws.recv_json().await["op"], "connected");
    ws
}

/// Each row: what is sent, and with which number the server closes.
async fn check(rows: impl IntoIterator<Item = (String, Vec<u8>, u16)>) {
    let mut witness = witness().await;
    for (what, bytes, code) in rows {
        let mut ws = connected(&witness, "/ws?channel=room&userId=eve").await;
        ws.send_raw(&bytes).await;
        assert_eq!(ws.recv_close().await, Some(code), "{what}");
        assert_eq!(ws.recv().await, Received::End, "one close frame, then the end, after {what}");
        witness.check(&what).await;
    }
    witness.wait_for_others(0).await;
    witness.stop().await;
}

#[tokio::test]
async fn item_24_unmasked_frames_reserved_bits_and_reserved_opcodes_end_with_1002() {
    let mut rows = vec![("an unmasked frame".to_owned(), b"\x81\x02{}".to_vec(), 1002)];
    rows.push(("an unmasked ping".to_owned(), b"\x89\x00".to_vec(), 1002));
    for bit in [0x40, 0x20, 0x10] {
        rows.push((format!("reserved bit {bit:x}"), frame(FIN | bit | TEXT, b"{}"), 1002));
        rows.push((format!("reserved bit {bit:x} on a ping"), frame(FIN | bit | PING, b""), 1002));
    }
    for opcode in (3..=7).chain(11..=15) {
        rows.push((format!("opcode {opcode}"), frame(FIN | opcode, b""), 1002));
    }
    check(rows).await;
}

#[tokio::test]
async fn item_25_control_frames_and_fragments_out_of_place_end_with_1002() {
    let begun = frame(TEXT, b"{");
    let rows = [
        ("a ping of 126 bytes", frame(FIN | PING, &[b'x'; 126])),
        ("a close of 126 bytes", frame(FIN | CLOSE, &[&[3, 232], &[b'x'; 124][..]].concat())),
        ("a fragmented ping", frame(PING, b"x")),
        ("a fragmented close", frame(CLOSE, b"")),
        ("a continuation of nothing", frame(FIN, b"x")),
        ("a first continuation", frame(0, b"x")),
        ("a new text in a fragmented one", [begun.clone(), frame(FIN | TEXT, b"{}")].concat()),
        ("a binary in a fragmented text", [begun, frame(FIN | BINARY, b"{}")].concat()),
    ];
    check(rows.map(|(what, bytes)| (what.to_owned(), bytes, 1002))).await;
}

#[tokio::test]
async fn item_26_lengths_beyond_the_limit_end_with_1009_before_anything_is_kept() {
    let most = frame(TEXT, &vec![b' '; FRAME_BYTES_MAX]);
    let memory = Memory::now();
    check([
        ("the top bit of the length".to_owned(), header(FIN | TEXT, 1 << 63), 1002),
        ("2^62 bytes claimed".to_owned(), header(FIN | TEXT, 1 << 62), 1009),
        ("4 GiB claimed".to_owned(), header(FIN | TEXT, 1 << 32), 1009),
        ("one byte too many claimed".to_owned(), header(FIN | TEXT, FRAME_BYTES_MAX as u64 + 1), 1009),
        ("one byte too many sent".to_owned(), frame(FIN | TEXT, &vec![b' '; FRAME_BYTES_MAX + 1]), 1009),
        ("fragments of one byte too many".to_owned(), [most.clone(), frame(FIN, b"x")].concat(), 1009),
        ("a fragment that claims too much".to_owned(), [most, header(0, 1 << 40)].concat(), 1009),
    ])
    .await;
    memory.assert_grown_less_than(48, "lengths are claimed");
}

#[tokio::test]
async fn item_26_a_message_of_exactly_the_limit_is_taken() {
    let mut witness = witness().await;
    let mut ws = connected(&witness, "/ws?userId=eve").await;
    let ping = r#"{"op":"ping","ref":1}"#;
    let ping = ping.to_owned() + &" ".repeat(FRAME_BYTES_MAX - ping.len());
    ws.send_raw(&frame(FIN | TEXT, ping.as_bytes())).await;
    assert_eq!(ws.recv_json().await["op"], "pong");
    let (one, two) = ping.as_bytes().split_at(30_000);
    ws.send_raw(&[frame(TEXT, one), frame(FIN | PING, b"between"), frame(FIN, two)].concat()).await;
    let mut seen = [ws.recv().await, ws.recv().await];
    seen.sort_by_key(|it| matches!(it, Received::Text(_)));
    assert_eq!(seen[0], Received::Pong(b"between".to_vec()));
    assert!(matches!(&seen[1], Received::Text(text) if text.contains("pong")), "{seen:?}");
    witness.check("frames of the greatest size").await;
    witness.stop().await;
}

#[tokio::test]
async fn item_27_a_message_in_very_many_fragments_ends_with_1008() {
    let memory = Memory::now();
    let flood = |payload: &[u8]| {
        let mut bytes = frame(TEXT, payload);
        for _ in 0..200_000 {
            bytes.extend(frame(0, payload));
        }
        bytes
    };
    let mut witness = witness().await;
    for (what, bytes) in [("one-byte fragments", flood(b" ")), ("empty fragments", flood(b""))] {
        let ws = connected(&witness, "/ws?userId=eve").await;
        let code = send_until_closed(ws, &bytes).await;
        assert_eq!(code, Some(1008), "{what}");
        witness.check(what).await;
    }
    memory.assert_grown_less_than(48, "fragments come");
    witness.stop().await;
}

/// Sends while it can, and then reads the close frame.
async fn send_until_closed(mut ws: Ws, bytes: &[u8]) -> Option<u16> {
    for chunk in bytes.chunks(16 * 1024) {
        // The server reads on for a moment after its close frame, so that nothing resets it away.
        if ws.try_send_raw(chunk).await.is_err() {
            break;
        }
    }
    ws.recv_close().await
}

#[tokio::test]
async fn item_28_text_that_is_not_utf8_ends_with_1007_at_once() {
    let bad: [(&str, &[u8]); 7] = [
        ("ff", b"\xff"),
        ("an overlong slash", b"\xc0\xaf"),
        ("an overlong nul", b"\xe0\x80\x80"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("above 10FFFF", b"\xf4\x90\x80\x80"),
        ("a lone continuation", b"\x80"),
        ("cut in the middle", b"\xe2\x82"),
    ];
    let mut rows = Vec::new();
    for (what, bytes) in bad {
        rows.push((what.to_owned(), frame(FIN | TEXT, bytes), 1007));
        rows.push((format!("{what} in the second fragment"), [frame(TEXT, b"{"), frame(FIN, bytes)].concat(), 1007));
        if what != "cut in the middle" {
            // The message is not over, and need not be.
            let open = [frame(TEXT, b"{"), frame(0, bytes)].concat();
            rows.push((format!("{what} in a fragment that is not the last"), open, 1007));
        }
    }
    check(rows).await;
}

#[tokio::test]
async fn item_28_a_character_may_be_cut_by_fragments() {
    let mut witness = witness().await;
    let mut ws = connected(&witness, "/ws?channel=room&userId=eve").await;
    let text = r#"{"op":"publish","ref":1,"channel":"room","type":"t","data":"€𝄞"}"#;
    for cut in 58..text.len() {
        let (one, two) = text.as_bytes().split_at(cut);
        ws.send_raw(&[frame(TEXT, one), frame(0, b""), frame(FIN, two)].concat()).await;
        assert_eq!(ws.recv_op("message").await["data"], "€𝄞", "cut at {cut}");
    }
    witness.check("cut characters").await;
    witness.stop().await;
}

#[tokio::test]
async fn item_29_bad_close_frames_end_with_1002_or_1007() {
    let mut rows = vec![("a body of one byte".to_owned(), frame(FIN | CLOSE, b"\x03"), 1002)];
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        rows.push((format!("code {code}"), close(code, b""), 1002));
    }
    rows.push(("a reason that is not UTF-8".to_owned(), close(1000, b"\xff\xfe"), 1007));
    check(rows).await;
}

#[tokio::test]
async fn item_29_good_close_frames_are_answered_with_their_code() {
    let mut rows = Vec::new();
    for code in [1000, 1001, 1011, 3000, 4000, 4999] {
        rows.push((format!("code {code}"), close(code, b"bye"), code));
    }
    check(rows).await;
    let witness = witness().await;
    let mut ws = connected(&witness, "/ws?userId=eve").await;
    ws.send_raw(&frame(FIN | CLOSE, b"")).await;
    assert_eq!(ws.recv_close().await, None, "no code is answered with none");
    witness.stop().await;
}

#[tokio::test]
async fn item_30_what_follows_a_close_frame_or_a_violation_is_ignored() {
    let publish = json!({"op": "publish", "ref": 1, "channel": "witness", "type": "late"}).to_string();
    let late = [frame(FIN | TEXT, publish.as_bytes()), frame(FIN | PING, b"x"), close(1000, b"")].concat();
    let mut witness = witness().await;
    for (what, first, code) in [("a close", close(4321, b""), 4321), ("a violation", frame(FIN | 0x3, b""), 1002)] {
        let mut ws = connected(&witness, "/ws?userId=eve").await;
        ws.send_raw(&[first.clone(), late.clone()].concat()).await;
        assert_eq!(ws.recv_close().await, Some(code), "{what} and more in one write");
        assert_eq!(ws.recv().await, Received::End);

        let mut ws = connected(&witness, "/ws?userId=eve").await;
        ws.send_raw(&first).await;
        for _ in 0..20 {
            // The server may have closed the socket by now, which is as good.
            drop(ws.try_send_raw(&late).await);
            tokio::task::yield_now().await;
        }
        assert_eq!(ws.recv_close().await, Some(code), "{what} and more in later writes");
        assert_eq!(ws.recv().await, Received::End);
        witness.check(what).await;
    }
    witness.stop().await;
}

#[tokio::test]
async fn item_31_compression_is_not_agreed_to() {
    let witness = witness().await;
    for offer in
        ["permessage-deflate", "permessage-deflate; server_max_window_bits=99", "x-unknown; a=b, permessage-deflate"]
    {
        let headers = [("sec-websocket-extensions", offer)];
        let mut ws = Ws::open(witness.server.addr, "/ws?userId=eve", &headers).await.expect("an offer is no demand");
        assert_eq!(ws.head.header("sec-websocket-extensions"), None, "{offer}");
        assert_eq!(ws.recv_json().await["op"], "connected");
        // Compressed or not: the bit means nothing that was agreed.
        ws.send_raw(&frame(FIN | 0x40 | TEXT, b"\xaa\x56\x2a")).await;
        assert_eq!(ws.recv_close().await, Some(1002), "{offer}");
    }
    witness.stop().await;
    let begun = frame(TEXT, b"{");
    check([("a compressed continuation".to_owned(), [begun, frame(FIN | 0x40, b"}")].concat(), 1002)]).await;
}

/// What mostly waits for a deadline of the server: all at once, because a test thread for each would stand idle.
#[tokio::test]
async fn items_32_34_35_36_who_stays_silent_is_not_kept() {
    tokio::join!(
        item_32_half_a_frame_and_then_silence_ends_with_4202(),
        item_34_who_does_not_read_cannot_go_on_publishing(),
        item_35_a_close_that_is_never_answered_ends_the_socket_all_the_same("a violation", frame(FIN | 0x3, b"")),
        item_35_a_close_that_is_never_answered_ends_the_socket_all_the_same(
            "a close of the client's",
            frame(FIN | TEXT, br#"{"op":"close"}"#)
        ),
        item_36_a_thousand_that_say_nothing_are_sent_away_after_the_connect_deadline(),
        item_36_a_ping_is_no_connect_frame(),
    );
}

/// A server that pings every 200 ms; silence is noticed 10 s after.
async fn impatient() -> Witness {
    let websocket =
        WebSocketProvider { heartbeat_interval: Duration::from_millis(200), ..WebSocketProvider::default() };
    let providers = Providers { websocket, ..Providers::default() };
    Witness::start(Server::start_with(Config { workers: 2, providers, ..Config::default() }).await).await
}

async fn item_32_half_a_frame_and_then_silence_ends_with_4202() {
    let mut witness = impatient().await;
    let publish = json!({"op": "publish", "channel": "room", "type": "t", "data": "x".repeat(1_000)}).to_string();
    let whole = frame(FIN | TEXT, publish.as_bytes());
    let mut halves = Vec::new();
    for cut in [1, 3, 7, 8, 500, whole.len() - 1] {
        let mut ws = connected(&witness, "/ws?channel=room&userId=eve").await;
        ws.answers_pings = false;
        ws.set_patience(2 * PATIENCE);
        ws.send_raw(&whole[..cut]).await;
        halves.push((cut, ws));
    }
    for (cut, mut ws) in halves {
        let goaway = ws.recv_op("goaway").await;
        assert_eq!((&goaway["code"], &goaway["resume"]), (&json!(4202), &json!(true)), "cut at {cut}");
        assert_eq!(ws.recv_close().await, Some(4202), "cut at {cut}");
    }
    witness.wait_for_others(0).await;
    witness.check("the silent ones are gone").await;
    witness.stop().await;
}

#[tokio::test]
async fn item_33_a_flood_of_pings_is_answered_with_the_newest_and_kept_nowhere() {
    let mut witness = witness().await;
    let memory = Memory::now();
    let mut ws = connected(&witness, "/ws?userId=eve").await;
    let mut flood = Vec::new();
    for number in 0..200_000_u32 {
        flood.extend(frame(FIN | PING, &[&number.to_be_bytes(), &[b'x'; 121][..]].concat()));
    }
    let started = Instant::now();
    for chunk in flood.chunks(64 * 1024) {
        ws.send_raw(chunk).await;
        assert!(started.elapsed() < 3 * PATIENCE, "the server reads pings on, whether pongs are read or not");
    }
    witness.check("a flood of pings").await;
    let (mut pongs, mut newest) = (0, None);
    while newest != Some(199_999) {
        let Received::Pong(payload) = ws.recv().await else { continue };
        let number = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
        assert!(newest.is_none_or(|newest| number > newest), "pongs come in order");
        (pongs, newest) = (pongs + 1, Some(number));
    }
    assert!(pongs <= 200_000, "{pongs}");
    memory.assert_grown_less_than(48, "pongs wait");
    witness.stop().await;
}

async fn item_34_who_does_not_read_cannot_go_on_publishing() {
    let mut witness = impatient().await;
    let memory = Memory::now();
    let mut ws = Ws::connect_on(small_socket(witness.server.addr).await, "/ws?channel=room&userId=eve").await;
    assert_eq!(ws.recv_json().await["op"], "connected");
    let text = json!({"op": "publish", "ref": 1, "channel": "room", "type": "t", "data": "x".repeat(60_000)});
    let mut number = 0;
    let stopped = loop {
        number += 1;
        let mut text = text.clone();
        text["ref"] = json!(number);
        let mut frame = Vec::new();
        encode_masked(&mut frame, Opcode::Text, [1, 2, 3, 4], text.to_string().as_bytes());
        match tokio::time::timeout(Duration::from_secs(2), ws.try_send_raw(&frame)).await {
            Ok(Ok(())) => assert!(number < 20_000, "more than a gigabyte was taken from one that does not read"),
            Ok(Err(_)) => break "closed",
            Err(_) => break "not read any more",
        }
    };
    memory.assert_grown_less_than(48, "answers wait");
    witness.check(&format!("{number} publishes, then {stopped}")).await;
    // It is silent now, as seen from the server, and ends.
    witness.wait_for_others(0).await;
    witness.stop().await;
}

/// A socket that takes little at once.
async fn small_socket(addr: std::net::SocketAddr) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 * 1024).expect("a small buffer");
    socket.connect(addr).await.expect("the server accepts")
}

async fn item_35_a_close_that_is_never_answered_ends_the_socket_all_the_same(what: &str, bytes: Vec<u8>) {
    let mut witness = witness().await;
    let mut socket = Ws::connect(witness.server.addr, "/ws?userId=eve").await.into_socket();
    socket.write_all(&bytes).await.expect("the server reads");
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
    assert!(matches!(read, Ok(Ok(_))), "{what}: the server ends its side");
    // Our side stays open and says nothing that would be an answer; a socket that is gone refuses what is written.
    let started = Instant::now();
    while socket.write_all(&frame(FIN | 0xA, b"")).await.is_ok() {
        assert!(started.elapsed() < PATIENCE, "{what}: the socket is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    witness.check(what).await;
    witness.stop().await;
}

async fn item_36_a_thousand_that_say_nothing_are_sent_away_after_the_connect_deadline() {
    let mut witness = witness().await;
    let mut silent = Vec::new();
    for _ in 0..1_000 {
        let mut ws = Ws::connect(witness.server.addr, "/ws").await;
        ws.set_patience(2 * PATIENCE);
        silent.push(ws);
    }
    witness.check("1,000 silent connections").await;
    for ws in &mut silent {
        let goaway: Value = ws.recv_json().await;
        assert_eq!((&goaway["op"], &goaway["code"]), (&json!("goaway"), &json!(4001)));
        assert_eq!(ws.recv_close().await, Some(4001));
    }
    witness.check("they are gone").await;
    witness.stop().await;
}

async fn item_36_a_ping_is_no_connect_frame() {
    let witness = witness().await;
    let mut ws = Ws::connect(witness.server.addr, "/ws").await;
    ws.set_patience(2 * PATIENCE);
    let started = Instant::now();
    let goaway = loop {
        ws.send(Opcode::Ping, b"still here").await;
        match ws.recv().await {
            Received::Pong(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            Received::Text(text) => break serde_json::from_str::<Value>(&text).expect("frames are JSON"),
            Received::Binary(_) | Received::Ping(_) | Received::Close(..) | Received::End => panic!("no text"),
        }
        assert!(started.elapsed() < 3 * PATIENCE, "pings prolong the deadline");
    };
    assert_eq!(goaway["code"], 4001);
    witness.stop().await;
}

#[tokio::test]
async fn item_37_binary_messages_end_with_1003() {
    check([
        ("a binary message".to_owned(), frame(FIN | BINARY, br#"{"op":"ping"}"#), 1003),
        ("an empty binary message".to_owned(), frame(FIN | BINARY, b""), 1003),
        ("a fragmented one".to_owned(), [frame(BINARY, b"{"), frame(FIN, b"}")].concat(), 1003),
    ])
    .await;
}
