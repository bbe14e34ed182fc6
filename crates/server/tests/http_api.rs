//! The HTTP API as a server uses it: lists, one connection, one channel, and what they refuse.

mod http_support;

use std::collections::BTreeSet;
use std::time::Duration;

use http_support::{Answer, PATIENCE, Server, any_port};
use realtime_connector::Config;
use serde_json::{Value, json};

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item["connectionId"].as_str().expect("an id").to_owned()).collect()
}

/// All pages of a list; each but the last is as long as it was asked to be.
async fn pages(server: &Server, path: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&format!("{path}limit={limit}{cursor}")).await.json();
        let page_items = page["items"].as_array().expect("items").clone();
        assert!(page_items.len() <= limit, "{page}");
        items.extend(page_items);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
        assert!(items.len() < 1_000, "the pages never end");
    }
}

#[tokio::test]
async fn a_connection_is_shown_with_all_that_is_known() {
    let server = Server::dev().await;
    let ada = server.stream("userId=ada&channel=orders&channel=news").await;
    let answer = server.get(&format!("/api/connections/{}", ada.id)).await;
    assert_eq!(answer.status, 200);
    let shown = answer.json();
    let expected = json!({
        "connectionId": ada.id, "userId": "ada", "provider": "sse", "protocol": "http/1.1",
        "address": ada.socket.local_addr().expect("an address").to_string(),
        "channels": ["orders", "news"], "queuedBytes": 0, "messagesIn": 0, "meta": {}, "clientMeta": {},
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&shown[name], value, "{name} of {shown}");
    }
    let (connected, seen) = (shown["connectedAt"].as_u64(), shown["lastSeenAt"].as_u64());
    assert!(
        connected.is_some_and(|at| at > 1_700_000_000_000) && connected <= seen,
        "milliseconds since 1970: {shown}"
    );
    assert!(
        shown["messagesOut"].as_u64() >= Some(1) && shown["userAgent"].is_null() && shown["rttMs"].is_null(),
        "{shown}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test]
async fn the_list_is_filtered_and_filters_are_joined_by_and() {
    let server = Server::dev().await;
    let ada = server.stream("userId=ada&channel=orders").await;
    let bob = server.stream("userId=bob&channel=orders&channel=a%20b%2Fc").await;
    let nobody = server.stream("channel=news").await;
    for (filter, expected) in [
        ("", vec![&ada, &bob, &nobody]),
        ("userId=ada", vec![&ada]),
        ("channel=orders", vec![&ada, &bob]),
        ("channel=a+b%2fc", vec![&bob]),
        ("channel=orders&userId=bob", vec![&bob]),
        ("channel=news&userId=bob", vec![]),
        ("provider=sse", vec![&ada, &bob, &nobody]),
        ("provider=websocket", vec![]),
        ("userId=ad", vec![]),
        ("channel=unheard", vec![]),
    ] {
        let page = server.get(&format!("/api/connections?{filter}")).await.json();
        let expected: BTreeSet<_> = expected.into_iter().map(|stream| stream.id.clone()).collect();
        assert_eq!(ids(&page).into_iter().collect::<BTreeSet<_>>(), expected, "{filter}: {page}");
        assert!(page["next"].is_null(), "{page}");
    }
}

#[tokio::test]
async fn pages_walk_all_workers_and_bring_everybody_once() {
    let server = Server::start(any_port(Config { workers: 3, ..Config::default() })).await;
    let mut streams = Vec::new();
    for index in 0..20 {
        streams.push(server.stream(&format!("channel=all&channel=own{index}")).await);
    }
    let expected: Vec<_> =
        streams.iter().map(|stream| stream.id.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    for limit in [1, 2, 7, 19, 20, 21, 1_000] {
        let mut got = ids(&json!({"items": pages(&server, "/api/connections?", limit).await}));
        got.sort();
        assert_eq!(got, expected, "by {limit}");
        let mut got = ids(&json!({"items": pages(&server, "/api/connections?channel=own7&", limit).await}));
        assert_eq!(got.pop().as_ref(), Some(&streams[7].id), "by {limit}");
        let channels = pages(&server, "/api/channels?", limit).await;
        let names: BTreeSet<_> = channels.iter().map(|channel| channel["channel"].as_str().expect("a name")).collect();
        assert_eq!((names.len(), channels.len()), (21, 21), "by {limit}");
        let all = channels.iter().find(|channel| channel["channel"] == "all").expect("it is in use");
        assert_eq!(all["connections"], 20, "listeners on every worker count");
    }
}

#[tokio::test]
async fn a_channel_is_in_use_while_somebody_listens_or_something_is_kept() {
    let server = Server::dev().await;
    let nobody = json!({"channel": "orders", "connections": 0});
    assert_eq!(server.get("/api/channel?channel=orders").await.json(), nobody);
    let ada = server.stream("channel=orders").await;
    let channel = server.get("/api/channel?channel=orders").await.json();
    assert_eq!(channel["connections"], 1);
    let head = channel["position"]["offset"].as_u64().expect("a position");
    let published = server.send("POST", "/api/broadcast", &json!({"type": "t", "channel": "orders"})).await.json();
    let channel = server.get("/api/channel?channel=orders").await.json();
    assert_eq!(channel["position"], published["position"]);
    assert_eq!(channel["position"]["offset"], head + 1);
    let quiet = server.stream("channel=quiet").await;
    for stream in [ada, quiet] {
        assert_eq!(server.request("DELETE", &format!("/api/connections/{}", stream.id), &[], b"").await.status, 200);
    }
    // What is kept is in use; what only was listened to is not. The answer may come before the homes know.
    let kept = json!([{"channel": "orders", "connections": 0, "position": published["position"]}]);
    let told = async { while server.get("/api/channels").await.json()["items"] != kept {} };
    tokio::time::timeout(PATIENCE, told).await.expect("what only was listened to is not in use any more");
    assert_eq!(server.get("/api/channel?channel=quiet").await.json(), json!({"channel": "quiet", "connections": 0}));
}

#[tokio::test]
async fn the_application_steers_a_connection_and_the_client_is_told() {
    let server = Server::dev().await;
    let mut ada = server.stream("userId=ada").await;
    let path = format!("/api/connections/{}", ada.id);
    let orders = json!({"channel": "orders"});

    let answer = server.send("POST", &format!("{path}/subscribe"), &orders).await.json();
    let told = ada.frame("subscribed").await;
    assert_eq!(
        (&told["channel"], &told["position"], &told["head"]),
        (&json!("orders"), &answer["position"], &answer["head"])
    );
    assert!(told["ref"].is_null() && answer["op"].is_null(), "{told} {answer}");
    server.send("POST", "/api/broadcast", &json!({"type": "t", "channel": "orders", "data": 7})).await;
    assert_eq!(ada.frame("message").await["data"], 7);

    for _ in 0..2 {
        let answer = server.send("POST", &format!("{path}/unsubscribe"), &orders).await;
        assert_eq!((answer.status, answer.json()), (200, json!({})), "twice is once");
    }
    assert_eq!(ada.frame("unsubscribed").await["channel"], "orders");

    let meta = async |server: &Server| server.get(&path).await.json()["meta"].clone();
    assert_eq!(server.send("PATCH", &path, &json!({"meta": {"plan": "pro"}})).await.json(), json!({}));
    assert_eq!(meta(&server).await, json!({"plan": "pro"}));
    server.send("PATCH", &path, &json!({"meta": {"a": [1, {"b": null}]}})).await;
    assert_eq!(meta(&server).await, json!({"a": [1, {"b": null}]}), "replaced as a whole");
    assert_eq!(server.send("PATCH", &path, &json!({"meta": null})).await.status, 200);
    assert_eq!(meta(&server).await, json!({}));

    let answer = server.request("DELETE", &format!("{path}?reason=no%20more%20orders"), &[], b"").await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    let goaway = ada.frame("goaway").await;
    assert_eq!((&goaway["code"], &goaway["reason"]), (&json!(4000), &json!("no more orders")));
    for (method, tail, body) in [
        ("GET", "", ""),
        ("DELETE", "", ""),
        ("PATCH", "", r#"{"meta":{}}"#),
        ("POST", "/subscribe", r#"{"channel":"c"}"#),
        ("POST", "/unsubscribe", r#"{"channel":"c"}"#),
    ] {
        let headers = [("content-type", "application/json")];
        let answer = server.request(method, &format!("{path}{tail}"), &headers, body.as_bytes()).await;
        answer.refuses(404, "not_found", None);
    }
}

#[tokio::test]
async fn a_path_that_names_no_connection_is_not_found() {
    let server = Server::dev().await;
    let ada = server.stream("channel=c").await;
    let stale = format!("{}A", &ada.id[..17]);
    let other_node = format!("AAAA{}", &ada.id[4..]);
    for id in ["nobody", "A", &"A".repeat(18), &"A".repeat(4_000), &other_node, &stale, "%00", "%F0%9F%92%A9", "a%20b"]
    {
        if id != ada.id {
            server.get(&format!("/api/connections/{id}")).await.refuses(404, "not_found", None);
        }
    }
    server.is_alive().await;
}

#[tokio::test]
async fn what_a_request_says_wrong_is_named() {
    let server = Server::dev().await;
    let ada = server.stream("channel=c").await;
    let channels_cursor = "AgAAAAAA";
    let long = "x".repeat(256);
    for (path, field) in [
        ("/api/connections?colour=red", "colour"),
        ("/api/connections?userid=ada", "userid"),
        ("/api/connections?userId=ada&userId=bob", "userId"),
        ("/api/connections?userId=", "userId"),
        ("/api/connections?userId=%00", "userId"),
        ("/api/connections?userId=$x", "userId"),
        ("/api/connections?channel=*", "channel"),
        ("/api/connections?provider=smoke", "provider"),
        ("/api/connections?limit=0", "limit"),
        ("/api/connections?limit=1001", "limit"),
        ("/api/connections?limit=-1", "limit"),
        ("/api/connections?limit=1e2", "limit"),
        ("/api/connections?limit=", "limit"),
        ("/api/connections?cursor=", "cursor"),
        ("/api/connections?cursor=0", "cursor"),
        (&format!("/api/connections?cursor={channels_cursor}"), "cursor"),
        ("/api/channels?cursor=________", "cursor"),
        ("/api/channels?userId=ada", "userId"),
        ("/api/channel", "channel"),
        ("/api/channel?channel=%ff", "channel"),
        (&format!("/api/channel?channel={long}"), "channel"),
        ("/api/info?x", "x"),
        ("/api/openapi.json?x=", "x"),
        ("/metrics?name=x", "name"),
        (&format!("/api/connections/{}?full=1", ada.id), "full"),
    ] {
        server.get(path).await.refuses(400, "bad_request", Some(field));
    }
    let path = format!("/api/connections/{}", ada.id);
    let refused = async |method: &str, tail: &str, body: &str| -> Answer {
        let headers = [("content-type", "application/json")];
        server.request(method, &format!("{path}{tail}"), &headers, body.as_bytes()).await
    };
    let big = format!(r#"{{"meta":{{"a":"{}"}}}}"#, "x".repeat(2_048));
    let reason = format!("?reason={}", "x".repeat(124));
    for (method, tail, body, status, field) in [
        ("PATCH", "", "{}", 400, Some("meta")),
        ("PATCH", "", r#"{"meta":[]}"#, 400, Some("meta")),
        ("PATCH", "", r#"{"meta":"x"}"#, 400, Some("meta")),
        ("PATCH", "", r#"{"meta":{},"userId":"eve"}"#, 400, Some("userId")),
        ("PATCH", "", &big, 413, Some("meta")),
        ("PATCH", "", "[", 400, None),
        ("POST", "/subscribe", "{}", 400, Some("channel")),
        ("POST", "/subscribe", r#"{"channel":""}"#, 400, Some("channel")),
        ("POST", "/subscribe", r#"{"channel":"$all"}"#, 400, Some("channel")),
        ("POST", "/subscribe", r#"{"channel":"c","since":{"epoch":"a","offset":0}}"#, 400, Some("since")),
        ("POST", "/unsubscribe", r#"{"channel":7}"#, 400, Some("channel")),
        ("POST", "/subscribe?x=1", r#"{"channel":"c"}"#, 400, Some("x")),
        ("DELETE", "?reason=%0a", "", 400, Some("reason")),
        ("DELETE", &reason, "", 400, Some("reason")),
        ("DELETE", "?why=spam", "", 400, Some("why")),
    ] {
        let code = if status == 413 { "too_large" } else { "bad_request" };
        refused(method, tail, body).await.refuses(status, code, field);
    }
    assert_eq!(server.get(&path).await.json()["meta"], json!({}), "nothing of it was done");
}

#[tokio::test]
async fn info_tells_a_page_what_it_needs() {
    let server = Server::with_key().await;
    let info = server.get("/api/info").await.json();
    let expected = json!({
        "name": "realtime-connector", "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "provider": "websocket",
        "providers": {
            "websocket": {"enabled": true, "path": "/ws", "heartbeatMs": 30_000},
            "sse": {"enabled": true, "path": "/sse", "heartbeatMs": 15_000},
        },
        "dev": false,
    });
    assert_eq!(info, expected);
}

#[tokio::test]
async fn metrics_count_and_no_name_becomes_a_label() {
    let server = Server::start(any_port(Config { workers: 2, ..Config::default() })).await;
    let _ada = server.stream("userId=canary-user&channel=canary-channel").await;
    server.send("POST", "/api/broadcast", &json!({"type": "canary-type", "channel": "canary-channel"})).await;
    // The other worker may have its delivery still ahead.
    let delivered = async {
        loop {
            let answer = server.get("/metrics").await;
            let kind = answer.header("content-type").expect("a type");
            assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
            let text = String::from_utf8(answer.body).expect("text");
            let mut lines = text.lines().filter(|line| line.starts_with("realtime_messages_delivered_total"));
            if lines.any(|line| line.ends_with(" 1")) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(10), delivered).await.expect("a delivery that is counted");
    let sum = |name: &str| -> u64 {
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok()).expect(line)).sum()
    };
    for (name, value) in [
        ("realtime_connections", 1),
        ("realtime_connections_opened_total", 1),
        ("realtime_subscriptions", 1),
        ("realtime_messages_published_total", 1),
        ("realtime_messages_delivered_total", 1),
        ("realtime_messages_dropped_total", 0),
        ("realtime_ready", 1),
    ] {
        assert_eq!(sum(name), value, "{name} in\n{text}");
    }
    assert!(sum("realtime_history_bytes") > 0, "{text}");
    assert!(text.contains(r#"realtime_connections{worker="1",provider="sse"}"#), "{text}");
    assert!(text.ends_with("# EOF\n") && !text.contains("canary"), "{text}");
}
