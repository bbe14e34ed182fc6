//! Who comes in and how connections end, over real sockets: what the query says, whom the tokens name, and an authenticator that
//! does not answer.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/config.rs"]
mod configs;
#[path = "support/server.rs"]
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use client::sse::Sse;
use client::{Received, Ws, http, request};
use configs::config;
use realtime_connector::auth::{AuthFuture, Authenticator, Credentials, Grants, Identity, UserId};
use realtime_connector::{Builder, ConnectionId, RealtimeConnector, RejectionKind};
use serde_json::{Value, json};
use server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A token is the name of its user; `hang` is never answered.
struct ByToken;

impl Authenticator for ByToken {
    fn authenticate(&self, credentials: Credentials) -> AuthFuture<'_> {
        Box::pin(async move {
            let Some(token) = credentials.token else { return Ok(None) };
            if token == "hang" {
                std::future::pending::<()>().await;
            }
            Ok(Some(Identity::of(UserId::parse(&token).expect("a name"), Grants::ALL)))
        })
    }
}

async fn with_tokens() -> (RealtimeConnector, SocketAddr) {
    let rc = Builder::new(config()).authenticator(ByToken).build().expect("the configuration is sound");
    let addr = rc.serve().await.expect("any port will do").local_addr();
    (rc, addr)
}

/// A channel whose name is not UTF-8 was subscribed under a name with U+FFFD in it, where nobody publishes.
#[tokio::test]
async fn a_query_that_is_not_utf8_is_refused_by_its_field() {
    let server = Server::start(1).await;
    for (query, field) in [("channel=caf%E9", "channel"), ("channel=a&since=%zz", "since"), ("userId=%f", "userId")] {
        let sse = http(server.addr, "GET", &format!("/sse?{query}"), None).await;
        assert_eq!((sse.status, &sse.json()["field"]), (400, &json!(field)), "{query}");
        let ws = Ws::open(server.addr, &format!("/ws?{query}"), &[]).await.expect_err("refused");
        assert_eq!((ws.status, &ws.json()["field"]), (400, &json!(field)), "{query}");
    }
    let mut ws = Ws::connect(server.addr, "/ws?channel=caf%C3%A9+a&other=%E9&%E9=1").await;
    assert_eq!(ws.recv_json().await["subscriptions"][0]["channel"], "café a");
    server.stop().await;
}

/// On WebSocket a second token in the first frame silently took the place of the first one.
#[tokio::test]
async fn two_tokens_that_differ_contradict_each_other() {
    let (rc, addr) = with_tokens().await;
    let headers = [("authorization", "Bearer ada")];
    let mut ws = Ws::open(addr, "/ws", &headers).await.expect("a handshake");
    ws.send_json(&json!({"op": "connect", "ref": 1, "token": "bo"})).await;
    let error = ws.recv_json().await;
    assert_eq!((&error["code"], &error["field"], &error["ref"]), (&json!("bad_request"), &json!("token"), &json!(1)));
    ws.send_json(&json!({"op": "connect", "ref": 2, "token": "ada"})).await;
    assert_eq!(ws.recv_op("connected").await["userId"], "ada");
    // Without one of its own the frame goes by that of the handshake.
    let mut ws = Ws::open(addr, "/ws", &headers).await.expect("a handshake");
    ws.send_json(&json!({"op": "connect"})).await;
    assert_eq!(ws.recv_op("connected").await["userId"], "ada");
    rc.shutdown().await;
}

/// A database that hangs held a place for each handshake, and an `EventSource` must not be stopped for it.
#[tokio::test]
async fn an_authenticator_that_does_not_answer_is_not_waited_for() {
    let (rc, addr) = with_tokens().await;
    // Longer than the server's 10 s, because a busy machine is no failure.
    let patience = Duration::from_secs(30);
    let first_bytes = async |path: &str, headers: &str| {
        let mut socket = TcpStream::connect(addr).await.expect("it listens");
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer hang\r\n{headers}\r\n");
        socket.write_all(head.as_bytes()).await.expect("it reads");
        let mut answer = vec![0; 4_096];
        let count = tokio::time::timeout(patience, socket.read(&mut answer)).await.expect("an answer").expect("bytes");
        String::from_utf8_lossy(&answer[..count]).into_owned()
    };
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let frame = async {
        let mut ws = Ws::connect(addr, "/ws").await;
        ws.set_patience(patience);
        ws.send_json(&json!({"op": "connect", "ref": 1, "token": "hang"})).await;
        (ws.recv_json().await, ws.recv_json().await)
    };
    let (ws, sse, (error, goaway)) =
        tokio::join!(first_bytes("/ws", upgrade), first_bytes("/sse?channel=a", ""), frame);
    assert!(ws.starts_with("HTTP/1.1 504 ") && ws.contains(r#""code":"timeout""#), "{ws}");
    // Any other status would stop an `EventSource` for good.
    assert!(sse.starts_with("HTTP/1.1 200 ") && sse.contains("retry: "), "{sse}");
    assert_eq!((&error["code"], &error["ref"], &error["retryable"]), (&json!("timeout"), &json!(1), &json!(true)));
    assert_eq!((&goaway["op"], &goaway["code"]), (&json!("goaway"), &json!(4100)), "it may come back");
    rc.shutdown().await;
}

/// The Close frame said `stopped` where `goaway` said what the application had to say.
#[tokio::test]
async fn the_close_frame_says_what_goaway_says() {
    let server = Server::start(1).await;
    let mut ws = Ws::connect(server.addr, "/ws?channel=a").await;
    let id: ConnectionId =
        ws.recv_op("connected").await["connectionId"].as_str().expect("text").parse().expect("an id");
    let long = "x".repeat(124);
    for bad in ["a\nb", &long] {
        let refused = server.rc.connections().disconnect(id, Some(bad)).await.expect_err("no reason");
        assert_eq!((refused.kind, refused.field.as_deref()), (RejectionKind::BadRequest, Some("reason")));
    }
    server.rc.connections().disconnect(id, Some("bye")).await.expect("it is there");
    assert_eq!(ws.recv_op("goaway").await["reason"], "bye");
    assert_eq!(ws.recv().await, Received::Close(Some(4000), "bye".to_owned()));
    server.stop().await;
}

/// A list of frames to a session that has ended was 200, with as many errors.
#[tokio::test]
async fn a_post_to_an_ended_session_is_not_found() {
    let server = Server::start(1).await;
    let mut sse = Sse::connect(server.addr, "/sse?format=frames&channel=a", &[]).await;
    let connected = sse.next_event().await.json();
    let text = |name: &str| connected[name].as_str().expect("text").to_owned();
    let path = format!("/sse/{}", text("connectionId"));
    let bearer = format!("Bearer {}", text("sessionToken"));
    let post = async |body: Value| {
        let body = body.to_string();
        let length = body.len().to_string();
        let headers = [("authorization", &*bearer), ("content-type", "application/json"), ("content-length", &*length)];
        request(server.addr, "POST", &path, &headers, body.as_bytes()).await
    };
    let both = json!([{"op": "ping", "ref": 1}, {"op": "nope", "ref": 2}]);
    assert_eq!(post(both.clone()).await.status, 200);
    assert_eq!(post(json!({"op": "close", "ref": 3})).await.status, 200);
    for body in [both, json!([{"op": "ping"}]), json!({"op": "ping"}), json!({"op": "ping", "ref": 4})] {
        let answer = post(body.clone()).await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("not_found")), "{body}");
    }
    server.stop().await;
}

/// Caches may keep a 204 or a 404 by their own judgement.
#[tokio::test]
async fn no_answer_is_kept_by_a_cache() {
    let server = Server::start(1).await;
    for (path, status) in
        [("/nowhere", 404), ("/health/live", 200), ("/health/ready", 200), ("/ws", 426), ("/sse?channel=a*", 400)]
    {
        let answer = http(server.addr, "GET", path, None).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    server.stop().await;
}

/// A host application that does not tell addresses let the whole network in by `Host: localhost`.
#[tokio::test]
async fn dev_mode_needs_to_know_its_peers() {
    let rc = Builder::new(config()).dev().playground(false).build().expect("the configuration is sound");
    let app: Router = rc.router().expect("dev mode was said out loud");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port will do");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let answer = http(addr, "GET", "/api/info", None).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("connect_info"), "{}", answer.text());
    rc.shutdown().await;
}
