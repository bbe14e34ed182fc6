//! Bad requests as bytes: what comes back, and that the server goes on.
//!
//! Names begin with the numbers of the list of bad inputs that they stand for. `0` is a connection that is closed without an
//! answer, which is as good as a refusal: whoever sends such bytes is no client.

mod http_support;

use http_support::{Server, UPGRADE};

/// Bytes, what they are called, and the status that comes back.
type Row = (&'static str, Vec<u8>, u16);

/// Sends each row's bytes on a connection of its own, which the server closes, and looks at the one answer. All that is not as
/// expected is told together.
#[track_caller]
fn check(server: &Server, rows: Vec<Row>) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let mut wrong = Vec::new();
        for (name, bytes, expected) in rows {
            let answers = server.exchange(bytes).await;
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            let as_expected = if expected == 0 { statuses.is_empty() } else { statuses == [expected] };
            if !as_expected {
                wrong.push(format!("{name}: expected {expected}, got {statuses:?}"));
            }
            server.is_alive().await;
        }
        assert!(wrong.is_empty(), "at {caller}:\n{}", wrong.join("\n"));
    }
}

/// A request line and headers, between a good Host and what follows.
fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n")
}

/// A publish with these headers and this body, and a second one hidden behind it that must never be carried out.
fn smuggle(headers: &str, body: &str) -> String {
    let hidden = "POST /api/broadcast HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n{\"type\":\"x\",\"channel\":\"stolen\"}";
    let head = "POST /api/broadcast HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    format!("{head}{headers}\r\n{body}{hidden}")
}

#[tokio::test]
async fn a_body_has_one_length() {
    let server = Server::dev().await;
    let body = r#"{"type":"a","channel":"c"}"#;
    let chunked = &*format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let rows = [
        ("13 two lengths", "Content-Length: 26\r\nContent-Length: 5\r\n", body),
        ("13 length +1", "Content-Length: +26\r\n", body),
        ("13 length -1", "Content-Length: -1\r\n", body),
        ("13 length 1e3", "Content-Length: 1e3\r\n", body),
        ("13 length 0x5", "Content-Length: 0x5\r\n", body),
        ("13 length 2^64", "Content-Length: 18446744073709551616\r\n", body),
        ("13 a list of lengths", "Content-Length: 26, 5\r\n", body),
        ("13 xchunked", "Transfer-Encoding: xchunked\r\n", chunked),
        ("13 chunked, identity", "Transfer-Encoding: chunked, identity\r\n", chunked),
        ("13 chunked with VT", "Transfer-Encoding: \x0bchunked\r\n", chunked),
    ];
    check(&server, rows.map(|(name, headers, body)| (name, smuggle(headers, body).into(), 400)).into()).await;
    // hyper goes by the chunks and then closes, as RFC 9112 (section 6.1) allows: nothing after them is a request.
    let rows = [
        ("13 both a length and chunks", "Content-Length: 26\r\nTransfer-Encoding: chunked\r\n"),
        ("13 both chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 26\r\n"),
    ];
    check(&server, rows.map(|(name, headers)| (name, smuggle(headers, chunked).into(), 200)).into()).await;
    let channel = server.get("/api/channel?channel=stolen").await;
    assert_eq!(channel.json()["connections"], 0);
    assert!(channel.json()["position"].is_null(), "a hidden request was carried out");
}

#[tokio::test]
async fn chunks_are_what_they_say() {
    let server = Server::dev().await;
    let rows = [
        ("13 chunk size overflow", "fffffffffffffffff\r\na\r\n0\r\n\r\n"),
        ("13 chunk size 0x5", "0x5\r\nabcde\r\n0\r\n\r\n"),
        ("13 chunk size -1", "-1\r\na\r\n0\r\n\r\n"),
        ("13 chunk ends with bare LF", "5\nabcde\n0\n\n"),
        ("13 chunk longer than it says", "1\r\nabc\r\n0\r\n\r\n"),
        ("13 no chunk at all", "\r\n\r\n"),
    ];
    let chunked = "Transfer-Encoding: chunked\r\n";
    check(&server, rows.map(|(name, body)| (name, smuggle(chunked, body).into(), 400)).into()).await;
}

#[tokio::test]
async fn a_head_is_made_of_lines_of_printable_text() {
    let server = Server::dev().await;
    let line = |line: &str| format!("GET /health/live HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n");
    let rows = [
        ("14 folded header", line("A: b\r\n c: d"), 400),
        ("14 space before colon", line("A : b"), 400),
        ("14 NUL in a value", line("A: b\0c"), 400),
        ("14 bare CR in a value", line("A: b\rc: d"), 400),
        ("14 no colon", line("A"), 400),
        ("14 no name", line(": b"), 400),
        ("14 control character in a name", line("A\x01: b"), 400),
        ("15 HTTP/9.9", "GET /health/live HTTP/9.9\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("15 HTTP/0.9", "GET /health/live\r\n\r\n".to_owned(), 400),
        ("15 lower case http", "GET /health/live http/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("16 no method", " /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("16 method of symbols", "G@T /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("17 space in the path", "GET /health live HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("17 NUL in the path", "GET /health\0live HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 400),
    ];
    check(&server, rows.map(|(name, text, expected)| (name, text.into(), expected)).into()).await;
}

#[tokio::test]
async fn other_protocols_are_turned_away() {
    let server = Server::dev().await;
    // The first bytes of a TLS 1.3 ClientHello.
    let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\x00\x00\r\n\r\n";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let junk = [preface.as_slice(), &[0xff; 64]].concat();
    let rows: Vec<Row> = vec![
        ("15 TLS on the plain port", hello.into(), 400),
        ("15 bytes", [0xff; 64].into(), 400),
        ("15 SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".into(), 400),
        // Told in HTTP/2: a GOAWAY, and the end.
        ("15 junk after the HTTP/2 preface", junk, 0),
    ];
    check(&server, rows).await;
}

#[tokio::test]
async fn heads_have_bounds() {
    let server = Server::dev().await;
    let words = |count: usize| "x".repeat(count);
    let header = |name: &str, count: usize| format!("{name}: {}\r\n", words(count));
    let query = format!("/api/channel?channel=c&channel={}", words(8 * 1024));
    let rows = [
        ("5 a URI of 32 KiB", get(&format!("/{}", words(32 * 1024)), ""), 414),
        ("5 a URI of 1 MiB", get(&format!("/{}", words(1024 * 1024)), ""), 431),
        ("5 headers of 48 KiB", get("/", &header("A", 48 * 1024)), 431),
        ("5 headers of 1 MiB", get("/", &header("A", 1024 * 1024)), 431),
        ("5 2,000 headers", get("/", &"A: b\r\n".repeat(2_000)), 431),
        // What honest clients send is far from it.
        ("a URI of 8 KiB and cookies of 16 KiB", get(&query, &header("Cookie", 16 * 1024)), 400),
        ("90 headers", get("/health/live", &"A: b\r\n".repeat(90)), 200),
    ];
    check(&server, rows.map(|(name, text, expected)| (name, text.into(), expected)).into()).await;
}

#[tokio::test]
async fn methods_that_a_path_does_not_know_are_told_which_it_does() {
    let server = Server::dev().await;
    for (method, path, allow) in [
        ("TRACE", "/api/info", "GET,HEAD"),
        ("CONNECT", "/api/info", "GET,HEAD"),
        ("BREW", "/api/broadcast", "POST"),
        ("GET", "/api/broadcast", "POST"),
        ("POST", "/api/connections", "GET,HEAD"),
        ("PUT", "/api/connections/x", "GET,HEAD,DELETE,PATCH"),
        ("DELETE", "/metrics", "GET,HEAD"),
        ("POST", "/health/live", "GET,HEAD"),
        ("OPTIONS", "/api/info", "GET,HEAD"),
        ("PUT", "/sse", "GET,HEAD,POST"),
    ] {
        let answer = server.request(method, path, &[], b"").await;
        answer.refuses(405, "bad_request", None);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes();
    let rows: Vec<Row> = vec![
        ("16 CONNECT to elsewhere", line("CONNECT elsewhere.example:443"), 400),
        ("16 CONNECT here", line("CONNECT localhost"), 404),
        ("16 OPTIONS *", line("OPTIONS *"), 404),
    ];
    check(&server, rows).await;
}

#[tokio::test]
async fn a_path_is_one_of_ours_or_none() {
    let server = Server::with_playground().await;
    let paths = [
        "/../Cargo.toml",
        "/playground/../../Cargo.toml",
        "/playground/%2e%2e/index.html",
        "/playground/..%2findex.html",
        "/playground/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/playground/%zz",
        "/playground/%00",
        "/playground/app.js%00.css",
        "/playground/",
        "/playground",
        "/playground/app.js/",
        "//playground/app.js",
        "/playground//app.js",
        "/playground/..\\index.html",
        "/PLAYGROUND/app.js",
        "/index.html",
        "/.git/config",
        "/api",
        "/api/",
        "/api//info",
        "/api/connections/",
        "/api/connections/%ff",
        "/api/connections/..",
        "/api/connections/a/b",
        "/sse/",
        "/health",
        "/%2e/",
    ];
    for path in paths {
        let answer = server.get(path).await;
        assert_eq!((path, answer.problem().0), (path, 404));
    }
    server.is_alive().await;
}

#[tokio::test]
async fn a_handshake_is_complete_or_none() {
    let server = Server::dev().await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let spaces = format!("Sec-WebSocket-Protocol: b{}x\r\n", " ".repeat(7_000));
    let thousand = format!("Sec-WebSocket-Protocol: {}\r\n", "p, ".repeat(1_000) + "p");
    for (name, line, headers, status) in [
        ("1 no key", "GET /ws HTTP/1.1", [upgrade, version, ""], 400),
        ("1 a short key", "GET /ws HTTP/1.1", [upgrade, version, "Sec-WebSocket-Key: AAAA\r\n"], 400),
        ("1 no base64", "GET /ws HTTP/1.1", [upgrade, version, "Sec-WebSocket-Key: ????????????????????????\r\n"], 400),
        ("2 version 8", "GET /ws HTTP/1.1", [upgrade, "Sec-WebSocket-Version: 8\r\n", key], 426),
        ("2 no version", "GET /ws HTTP/1.1", [upgrade, "", key], 426),
        ("3 POST", "POST /ws HTTP/1.1", [upgrade, version, key], 405),
        ("3 HTTP/1.0", "GET /ws HTTP/1.0", [upgrade, version, key], 400),
        ("3 no Upgrade", "GET /ws HTTP/1.1", ["Connection: Upgrade\r\n", version, key], 426),
        ("3 Connection: close", "GET /ws HTTP/1.1", ["Connection: close\r\nUpgrade: websocket\r\n", version, key], 400),
        ("6 spaces in a protocol", "GET /ws HTTP/1.1", [upgrade, version, &(key.to_owned() + &spaces)], 101),
        ("6 1,000 protocols", "GET /ws HTTP/1.1", [upgrade, version, &(key.to_owned() + &thousand)], 101),
    ] {
        let answer = server.ask(format!("{line}\r\nHost: localhost\r\n{}\r\n", headers.concat())).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        let wanted = (status == 426).then_some("13");
        assert_eq!(answer.header("sec-websocket-version"), wanted, "{name}");
        assert_eq!(answer.header("sec-websocket-protocol"), None, "{name}");
    }
    let extension = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n";
    let answer = server.ask(format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{extension}\r\n")).await;
    assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None), "7");
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455, section 1.3");
    server.is_alive().await;
}
