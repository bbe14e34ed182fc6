//! A client that sends its requests without waiting for the answers, and wants a stream in the end.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/server.rs"]
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use client::{PATIENCE, http};
use serde_json::json;
use server::Server;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Pages of half a MiB that are asked for before the stream: up to more than the socket buffers of both sides take, so that for some
/// number the end of the last page does not fit.
const PAGES_MAX: usize = 20;

/// A socket that moved to its worker with the end of the answer before still in hyper's buffer would lose it. hyper takes the next
/// request only when that has left.
#[tokio::test]
async fn a_stream_begins_after_the_answers_before_it() {
    let server = Server::start(1).await;
    let addr = server.addr;
    let message = json!({"type": "t", "channel": "news", "data": "x".repeat(60_000)});
    for _ in 0..8 {
        assert_eq!(http(server.addr, "POST", "/api/broadcast", Some(&message)).await.status, 200);
    }
    let websocket = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut clients = JoinSet::new();
    for (path, headers, expected) in [("/sse", "", "HTTP/1.1 200"), ("/ws", websocket, "HTTP/1.1 101")] {
        for pages in 1..=PAGES_MAX {
            clients.spawn(async move {
                let status = ask(addr, pages, path, headers).await;
                assert!(status.starts_with(expected), "{path} after {pages} pages: {status}");
            });
        }
    }
    while let Some(client) = clients.join_next().await {
        client.expect("all answers come, whole");
    }
    server.stop().await;
}

/// Asks for pages and a stream at once, and reads late. Returns the first line of the stream.
async fn ask(addr: SocketAddr, pages: usize, path: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.expect("the server listens");
    let request = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    let asked = request("/api/history?channel=news", "").repeat(pages) + &request(path, headers);
    socket.write_all(asked.as_bytes()).await.expect("written");
    // Until the server can write no more. Too early a look would only let a fault pass.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut answers = BufReader::new(socket);
    let read = async {
        for page in 0..pages {
            let (status, length) = head(&mut answers).await;
            assert!(status.starts_with("HTTP/1.1 200"), "page {page}: {status}");
            let mut body = vec![0; length];
            answers.read_exact(&mut body).await.expect("a whole page");
            serde_json::from_slice::<serde_json::Value>(&body).expect("a whole page");
        }
        head(&mut answers).await.0
    };
    tokio::time::timeout(PATIENCE, read).await.expect("all answers come")
}

/// The first line of a response, and how long its body is.
async fn head(answers: &mut BufReader<TcpStream>) -> (String, usize) {
    let (mut status, mut length) = (String::new(), 0);
    answers.read_line(&mut status).await.expect("a line");
    loop {
        let mut line = String::new();
        answers.read_line(&mut line).await.expect("a line");
        if line.trim().is_empty() {
            return (status, length);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
    }
}
