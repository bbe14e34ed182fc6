//! Lifecycle events: on the bus, and as `GET /api/events`.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/config.rs"]
mod configs;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod server;

use std::net::SocketAddr;

use client::sse::Sse;
use client::{PATIENCE, Ws, http, request};
use configs::{config, configured};
use realtime_connector::{Builder, Event, Message, RealtimeConnector, Subscription, Target};
use serde_json::{Value, json};
use server::Server;
use tokio::sync::mpsc;

/// What a pattern hears, as it comes.
fn hear(rc: &RealtimeConnector, pattern: &str) -> (Subscription, mpsc::Receiver<Event>) {
    let (seen, receiver) = mpsc::channel(1_000);
    let subscription = rc.event_bus().subscribe(pattern, move |event: Event| {
        let seen = seen.clone();
        async move { seen.send(event).await }
    });
    (subscription.expect("a good pattern"), receiver)
}

async fn next(receiver: &mut mpsc::Receiver<Event>) -> (String, Value) {
    let event = tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("in time").expect("the handler is there");
    (event.event_type, event.payload)
}

#[tokio::test]
async fn a_connection_is_told_from_its_beginning_to_its_end_in_order() {
    let Server { rc, addr } = Server::start_with(config()).await;
    let (_clients, mut events) = hear(&rc, "*.*");
    let mut ws = Ws::connect(addr, "/ws?userId=ada&channel=orders").await;
    let id = ws.recv_op("connected").await["connectionId"].clone();

    // Events of a channel come from another worker than those of the connection: each kind has its own order.
    let (mut connection, mut channel) = (Vec::new(), Vec::new());
    let mut collect = async |count: usize| {
        for _ in 0..count {
            let (event_type, payload) = next(&mut events).await;
            if event_type.starts_with("channel.") { &mut channel } else { &mut connection }.push((event_type, payload));
        }
        (std::mem::take(&mut connection), std::mem::take(&mut channel))
    };
    let of = |event_type: &str, fields: Value| {
        let mut payload = json!({"connectionId": id, "userId": "ada"});
        payload.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        (event_type.to_owned(), payload)
    };
    let (connection, channel) = collect(3).await;
    assert_eq!(
        connection,
        [
            of("client.connected", json!({"provider": "websocket", "sequence": 1})),
            of("subscription.added", json!({"channel": "orders", "sequence": 2})),
        ]
    );
    assert_eq!(channel, [("channel.occupied".to_owned(), json!({"channel": "orders"}))]);

    // A subscription begins when its channel's home has answered, and leaving another channel does not wait for that.
    ws.send_json(&json!({"op": "subscribe", "ref": 1, "channel": "news"})).await;
    ws.recv_op("subscribed").await;
    ws.send_json(&json!({"op": "unsubscribe", "channel": "orders"})).await;
    let (connection, mut channel) = collect(4).await;
    assert_eq!(
        connection,
        [
            of("subscription.added", json!({"channel": "news", "sequence": 3})),
            of("subscription.removed", json!({"channel": "orders", "sequence": 4})),
        ]
    );
    channel.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        channel,
        [
            ("channel.occupied".to_owned(), json!({"channel": "news"})),
            ("channel.vacated".to_owned(), json!({"channel": "orders"})),
        ]
    );

    rc.connections().disconnect(id.as_str().expect("text").parse().expect("an id"), None).await.expect("it was there");
    let (connection, channel) = collect(3).await;
    assert_eq!(
        connection,
        [
            of("subscription.removed", json!({"channel": "news", "sequence": 5})),
            of("client.disconnected", json!({"reason": "stopped", "code": 4000, "sequence": 6})),
        ]
    );
    assert_eq!(channel, [("channel.vacated".to_owned(), json!({"channel": "news"}))]);
    rc.shutdown().await;
}

#[tokio::test]
async fn a_disconnection_says_why() {
    let Server { rc, addr } = Server::start_with(config()).await;
    let (_clients, mut events) = hear(&rc, "client.*");
    let mut reason_of = async |end: &str| {
        let mut ws = Ws::connect(addr, "/ws?channel=a").await;
        ws.recv_op("connected").await;
        assert_eq!(next(&mut events).await.0, "client.connected");
        match end {
            "close frame" => ws.close().await,
            "close op" => ws.send_json(&json!({"op": "close"})).await,
            "gone" => drop(ws),
            "unmasked" => ws.send_raw(b"\x81\x01x").await,
            other => panic!("{other}"),
        }
        let (event_type, payload) = next(&mut events).await;
        assert_eq!((event_type.as_str(), payload.get("code")), ("client.disconnected", None));
        payload["reason"].as_str().expect("text").to_owned()
    };
    let mut reasons = Vec::new();
    for end in ["close frame", "close op", "gone", "unmasked"] {
        reasons.push(reason_of(end).await);
    }
    assert_eq!(reasons, ["closed", "closed", "lost", "violation"]);
    rc.shutdown().await;
}

#[tokio::test]
async fn messages_are_told_where_a_rule_asks_for_it_and_shutdown_tells_the_last_events() {
    let config = configured(r#"{"rules": [{"pattern": "chat:*", "events": true}]}"#);
    let Server { rc, addr } = Server::start_with(config).await;
    let (_all, mut events) = hear(&rc, "**");
    let mut ws = Ws::connect(addr, "/ws?userId=ada&channel=chat:1").await;
    ws.recv_op("connected").await;
    ws.send_json(&json!({"op": "publish", "channel": "quiet", "type": "a", "data": 0})).await;
    ws.send_json(&json!({"op": "publish", "channel": "chat:1", "type": "said", "data": {"text": "hi"}, "ref": 1}))
        .await;
    let position = ws.recv_op("ok").await["position"].clone();
    rc.broadcast(Message::new("said", "hello").key("k").meta(json!({"by": "the server"})), Target::channel("chat:1"))
        .await
        .expect("published");
    ws.recv_op("message").await;
    rc.shutdown().await;
    let mut seen = Vec::new();
    while let Some(event) = events.recv().await {
        seen.push((event.event_type, event.payload));
    }
    let messages: Vec<&Value> = seen.iter().filter(|it| it.0 == "message.published").map(|it| &it.1).collect();
    let [from_client, from_server] = messages[..] else { panic!("{messages:?}") };
    assert_eq!(
        (&from_client["channel"], &from_client["type"], &from_client["data"], &from_client["userId"]),
        (&json!("chat:1"), &json!("said"), &json!({"text": "hi"}), &json!("ada")),
    );
    assert_eq!(from_client["position"], position);
    assert_eq!((&from_server["key"], &from_server["meta"]), (&json!("k"), &json!({"by": "the server"})));
    assert_eq!(from_server.get("userId"), None);
    let last = seen.iter().find(|it| it.0 == "client.disconnected").expect("the drain is told");
    assert_eq!((&last.1["reason"], &last.1["code"]), (&json!("drain"), &json!(4200)));
}

#[tokio::test]
async fn the_playgrounds_own_channel_is_told_without_a_rule() {
    let rc = Builder::new(config()).build().expect("the configuration is sound");
    let (_messages, mut events) = hear(&rc, "message.published");
    rc.broadcast(Message::new("faster", json!(null)), Target::channel("earthquakes:control")).await.expect("published");
    assert_eq!(next(&mut events).await.1["type"], "faster");
    rc.shutdown().await;
}

#[tokio::test]
async fn the_stream_of_events_carries_what_was_asked_for() {
    let Server { rc, addr } = Server::start_with(config()).await;
    let mut all = Sse::connect(addr, "/api/events", &[]).await;
    let mut some = Sse::connect(addr, "/api/events?types=client.connected,channel.*", &[]).await;
    let mut ws = Ws::connect(addr, "/ws?userId=ada&channel=orders").await;
    let id = ws.recv_op("connected").await["connectionId"].clone();

    let first = all.next_named("client.connected").await;
    assert_eq!(all.retry_ms, Some(1_000));
    let event = first.json();
    assert_eq!(event["type"], "client.connected");
    assert_eq!(event["payload"], json!({"connectionId": id, "userId": "ada", "provider": "websocket", "sequence": 1}));
    assert!(event["id"].is_string() && event["time"].is_u64(), "{event}");
    all.next_named("subscription.added").await;

    let mut types = [some.next_event().await.event, some.next_event().await.event];
    types.sort();
    assert_eq!(types, ["channel.occupied", "client.connected"]);

    // The application's own events are its own.
    rc.event_bus().publish("order.created", 1).await.expect("published");
    drop(ws);
    assert_eq!(some.next_event().await.event, "channel.vacated");
    rc.shutdown().await;
    assert_eq!(some.next_event_or_end().await, None, "the stream ends with the server");
}

#[tokio::test]
async fn a_silent_stream_of_events_shows_signs_of_life() {
    let config = configured(r#"{"providers": {"sse": {"heartbeatInterval": 100}}}"#);
    let Server { rc, addr } = Server::start_with(config).await;
    let mut events = Sse::connect(addr, "/api/events", &[]).await;
    events.next_comment().await;
    events.next_comment().await;
    rc.shutdown().await;
}

/// Status and field of a refusal.
async fn refused(addr: SocketAddr, path: &str) -> (u16, Value) {
    let response = http(addr, "GET", path, None).await;
    (response.status, response.json()["field"].clone())
}

#[tokio::test]
async fn the_stream_of_events_needs_the_key_and_good_patterns() {
    let key = "0123456789abcdef0123456789abcdef";
    let config = configured(&json!({"auth": {"apiKeys": [{"key": key}]}}).to_string());
    let Server { rc, addr } = Server::start_with(config).await;
    assert_eq!(refused(addr, "/api/events").await, (401, Value::Null));
    let authorization = format!("Bearer {key}");
    let mut events = Sse::connect(addr, "/api/events", &[("authorization", &authorization)]).await;
    let headers = [("authorization", &*authorization)];
    let head = request(addr, "HEAD", "/api/events", &headers, b"").await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    rc.shutdown().await;
    assert_eq!(events.next_event_or_end().await, None);

    let Server { rc, addr } = Server::start_with(configs::config()).await;
    assert_eq!(refused(addr, "/api/events?types=client*").await, (400, json!("types")));
    assert_eq!(refused(addr, "/api/events?types=").await, (400, json!("types")));
    let many = vec!["a.b"; 33].join(",");
    assert_eq!(refused(addr, &format!("/api/events?types={many}")).await, (400, json!("types")));
    rc.shutdown().await;
}
