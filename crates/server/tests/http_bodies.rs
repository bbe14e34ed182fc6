//! Bodies of the HTTP API: their type, their length, their time, and what is in them.

mod http_support;

use http_support::{PATIENCE, Server, read_to_end};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATH: &str = "/api/broadcast";
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_body_is_json_and_says_so() {
    let server = Server::dev().await;
    let body = br#"{"type":"t","channel":"c"}"#;
    for good in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
        assert_eq!(server.request("POST", PATH, &[("content-type", good)], body).await.status, 200, "{good}");
    }
    for bad in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/problem+json",
        "*/*",
        "json",
    ] {
        server.request("POST", PATH, &[("content-type", bad)], body).await.refuses(415, "bad_request", None);
    }
    server.request("POST", PATH, &[], body).await.refuses(415, "bad_request", None);
    for encoding in ["gzip", "br", "deflate", "identity, gzip", "x-unknown"] {
        let answer = server.request("POST", PATH, &[JSON, ("content-encoding", encoding)], body).await;
        answer.refuses(415, "bad_request", None);
    }
    assert_eq!(server.request("POST", PATH, &[JSON, ("content-encoding", "identity")], body).await.status, 200);
}

#[tokio::test]
async fn what_is_no_message_is_refused_by_its_field() {
    let server = Server::dev().await;
    for (body, field) in [
        ("", None),
        ("{", None),
        ("[]", None),
        ("null", None),
        (r#"{"type":"t"} {"type":"t"}"#, None),
        (r#"{"type":"t"}x"#, None),
        (r#"{"type":"t","type":"t"}"#, Some("type")),
        (r#"{"type":1}"#, Some("type")),
        (r#"{"type":null}"#, Some("type")),
        (r#"{"data":1}"#, Some("type")),
        (r#"{"type":"t","chanel":"c"}"#, Some("chanel")),
        (r#"{"type":"t","channel":""}"#, Some("channel")),
        (r#"{"type":"t","channel":"$all"}"#, Some("channel")),
        (r#"{"type":"t","channel":"a*"}"#, Some("channel")),
        (r#"{"type":"t","channel":"a\u0000"}"#, Some("channel")),
        (r#"{"type":"t","userId":"\ud800"}"#, Some("userId")),
        (r#"{"type":"t\r\nid: x"}"#, Some("type")),
    ] {
        let length = body.len().to_string();
        let headers = [JSON, ("content-length", length.as_str())];
        let answer = if body.is_empty() {
            server.request("POST", PATH, &headers, b"").await
        } else {
            server.request("POST", PATH, &[JSON], body.as_bytes()).await
        };
        assert_eq!(answer.problem(), (400, "bad_request".to_owned(), field.map(str::to_owned)), "{body}");
    }
    let deep = [r#"{"type":"t","data":"#, &"[".repeat(100_000), &"]".repeat(100_000), "}"].concat();
    let answer = server.request("POST", PATH, &[JSON], deep.as_bytes()).await;
    assert!(matches!(answer.status, 400 | 413), "{answer:?}");
    server.is_alive().await;
}

#[tokio::test]
async fn a_body_has_a_length_and_a_bound() {
    let server = Server::dev().await;
    let head = |headers: &str| {
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}\r\n"
        )
    };
    let one = async |bytes: Vec<u8>| {
        let mut answers = server.exchange(bytes).await;
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    };
    one(head("").into()).await.refuses(411, "bad_request", None);
    // Told before the first byte of it, and so before `100 Continue`.
    let declared = head("Content-Length: 10737418240\r\nExpect: 100-continue\r\n");
    one(declared.into()).await.refuses(413, "too_large", None);
    // Without a length only counting tells.
    let mut chunks = head("Transfer-Encoding: chunked\r\n").into_bytes();
    let chunk = [b"10000\r\n", vec![b' '; 0x10000].as_slice(), b"\r\n"].concat();
    chunks.extend(std::iter::repeat_n(chunk, 129).flatten());
    one(chunks).await.refuses(413, "too_large", None);
    let answer = server.send("POST", PATH, &json!({"type": "t", "data": "x".repeat(64 * 1024)})).await;
    answer.refuses(413, "too_large", Some("data"));
    let answer = server.send("POST", PATH, &json!({"type": "t", "data": "x".repeat(64 * 1024 - 2)})).await;
    assert_eq!(answer.status, 200, "just within the bound");
    server.is_alive().await;
}

#[tokio::test]
async fn whoever_waits_to_be_asked_is_asked() {
    let server = Server::dev().await;
    let mut socket = server.connect().await;
    let body = br#"{"type":"t","channel":"c"}"#;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.expect("the server reads");
    let mut go_on = [0; 25];
    tokio::time::timeout(PATIENCE, socket.read_exact(&mut go_on)).await.expect("in time").expect("an interim answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(body).await.expect("the server reads");
    let answer = String::from_utf8(read_to_end(&mut socket).await).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

/// The deadlines of the server are 10 s, so all who are slow are slow at the same time.
#[tokio::test]
async fn whoever_is_slow_is_let_go() {
    let server = Server::dev().await;
    let dribble = async |begin: &str| {
        let mut socket = server.connect().await;
        socket.write_all(begin.as_bytes()).await.expect("the server reads");
        let (mut read, mut write) = socket.split();
        let mut answer = Vec::new();
        let slow = async {
            // One byte at a time, for as long as the server takes them.
            while write.write_all(b"x").await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        };
        let ended = async {
            tokio::select! {
                _ = read.read_to_end(&mut answer) => {}
                () = slow => {}
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("the server lets go");
        String::from_utf8(answer).expect("text").lines().next().unwrap_or("closed").to_owned()
    };
    let body = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
    );
    let (silent, head, preface, body) = tokio::join!(
        async {
            let mut socket = server.connect().await;
            read_to_end(&mut socket).await.len()
        },
        dribble("GET /health/live HTTP/1.1\r\nHost: localhost\r\nA: "),
        dribble("PRI * HTTP/2.0\r\n\r\nSM"),
        dribble(&body),
    );
    assert_eq!(silent, 0, "8 nothing at all: closed");
    assert_eq!(head, "closed", "8 a head, byte by byte");
    assert_eq!(preface, "HTTP/1.1 400 Bad Request", "8 an HTTP/2 preface that goes wrong");
    assert_eq!(body, "HTTP/1.1 408 Request Timeout", "20 a body, byte by byte");
    server.is_alive().await;
}
