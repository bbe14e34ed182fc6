//! Answers that an HTTP/2 client asks for and does not read: its streams are many, and each has a buffer.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/server.rs"]
mod server;

use axum::http::Request;
use bytes::Bytes;
use client::{PATIENCE, http};
use h2::RecvStream;
use h2::client::SendRequest;
use serde_json::json;
use server::Server;
use tokio::net::TcpStream;

/// Asks for a page of half a MiB, and takes the head of the answer.
async fn ask(requests: SendRequest<Bytes>, server: &Server) -> (u16, RecvStream) {
    let mut requests = requests.ready().await.expect("room for a stream");
    let uri = format!("http://{}/api/history?channel=news", server.addr);
    let request = Request::builder().uri(uri).body(()).expect("a request");
    let (response, _) = requests.send_request(request, true).expect("a stream");
    let response = tokio::time::timeout(PATIENCE, response).await.expect("the server answers").expect("an answer");
    (response.status().as_u16(), response.into_body())
}

async fn read(mut body: RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(data) = tokio::time::timeout(PATIENCE, body.data()).await.expect("the server goes on") {
        let data = data.expect("data");
        body.flow_control().release_capacity(data.len()).expect("what was received");
        bytes.extend_from_slice(&data);
    }
    bytes
}

/// Each stream of a connection could hold an answer that was never read: more than 100 MiB for pages of history alone.
#[tokio::test]
async fn unread_answers_of_one_connection_are_bounded() {
    let server = Server::start(1).await;
    let message = json!({"type": "t", "channel": "news", "data": "x".repeat(60_000)});
    for _ in 0..8 {
        assert_eq!(http(server.addr, "POST", "/api/broadcast", Some(&message)).await.status, 200);
    }
    let socket = TcpStream::connect(server.addr).await.expect("the server listens");
    let (requests, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    tokio::spawn(connection);
    let (mut unread, mut refused) = (Vec::new(), 0);
    for _ in 0..100 {
        match ask(requests.clone(), &server).await {
            (200, body) => unread.push(body),
            (status, _) => {
                assert_eq!(status, 503, "overloaded");
                refused += 1;
            }
        }
    }
    assert!(unread.len() * 480_000 <= 32 * 1024 * 1024, "{} answers lie unread", unread.len());
    assert!(refused > 0 && unread.len() > 60, "{} answers lie unread, {refused} were refused", unread.len());
    // All at once: what one of them does not read would take the room of the others.
    let reading: Vec<_> = unread.into_iter().map(|body| tokio::spawn(read(body))).collect();
    for bytes in reading {
        let bytes = bytes.await.expect("it was read");
        let page: serde_json::Value = serde_json::from_slice(&bytes).expect("a whole page");
        assert_eq!(page["messages"].as_array().map(Vec::len), Some(8));
    }
    let (status, body) = ask(requests, &server).await;
    assert_eq!((status, read(body).await.len() > 480_000), (200, true), "what was read makes room");
    server.stop().await;
}
