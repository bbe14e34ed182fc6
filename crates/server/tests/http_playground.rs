//! The playground of dev mode and the earthquakes on it.

mod http_support;

use http_support::Server;
use serde_json::json;

#[tokio::test]
async fn the_page_is_served_with_a_strict_policy() {
    let server = Server::with_playground().await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/playground/app.js", "text/javascript; charset=utf-8"),
        ("/playground/style.css", "text/css; charset=utf-8"),
        ("/playground/icon.svg", "image/svg+xml"),
        ("/playground/land.json", "application/json"),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert!(!answer.body.is_empty());
        let head = server.request("HEAD", path, &[], b"").await;
        assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, Some(kind), 0));
        server.request("POST", path, &[], b"").await.refuses(405, "bad_request", None);
    }
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let server = Server::with_playground().await;
    let first = server.get("/playground/app.js").await;
    let tag = first.header("etag").expect("a tag").to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = server.request("GET", "/playground/app.js", &[("if-none-match", &known)], b"").await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag.as_str())), "{known}");
    }
    let other = server.request("GET", "/playground/dom.js", &[("if-none-match", &tag)], b"").await;
    assert_eq!(other.status, 200, "each file has its own tag");
}

#[tokio::test]
async fn outside_dev_mode_there_is_no_page() {
    let with_key = Server::with_key().await;
    let told_not_to = Server::dev().await;
    for server in [with_key, told_not_to] {
        for path in ["/", "/playground/app.js"] {
            server.get(path).await.refuses(404, "not_found", None);
        }
    }
}

#[tokio::test]
async fn earthquakes_run_by_themselves_at_the_speed_that_is_asked_for() {
    let server = Server::with_playground().await;
    let mut ada = server.stream("channel=earthquakes").await;
    // At first the next one may be seconds away; at a day per second it is not.
    let speed = json!({"type": "speed", "channel": "earthquakes:control", "data": {"factor": 86_400}});
    assert_eq!(server.send("POST", "/api/broadcast", &speed).await.status, 200);
    let mut times = Vec::new();
    for _ in 0..100 {
        let message = ada.frame("message").await;
        assert_eq!((&message["channel"], &message["type"]), (&json!("earthquakes"), &json!("earthquake")), "{message}");
        let data = &message["data"];
        for name in ["time", "lon", "lat", "depth", "mag"] {
            assert!(data[name].is_number(), "{name} of {data}");
        }
        assert!(data["id"].is_string() && data["place"].is_string(), "{data}");
        times.push(data["time"].as_u64().expect("milliseconds"));
    }
    assert!(times.is_sorted(), "in the order in which they happened: {times:?}");
    drop(ada);
    tokio::time::timeout(http_support::PATIENCE, server.stop()).await.expect("they end with the server");
}
