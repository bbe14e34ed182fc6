//! Who may come in: keys, hosts, origins, and what pages of other origins may read.

mod http_support;

use http_support::{Answer, KEY, Server, UPGRADE, any_port, config_with_key};
use realtime_connector::Config;
use realtime_connector::config::Cors;
use serde_json::json;

/// One request with exactly these headers and `Connection: close`.
async fn with_headers(server: &Server, line: &str, headers: &str) -> Answer {
    let mut answers = server.exchange(format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")).await;
    assert_eq!(answers.len(), 1, "{line} {headers}: {answers:?}");
    answers.remove(0)
}

async fn from_origin(server: &Server, path: &str, host: &str, origin: &str) -> u16 {
    with_headers(server, &format!("GET {path}"), &format!("Host: {host}\r\nOrigin: {origin}\r\n")).await.status
}

#[tokio::test]
async fn a_request_names_one_host() {
    let server = Server::with_key().await;
    for (headers, status) in [
        ("", 400),
        ("Host:\r\n", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a\r\nHost: b\r\n", 400),
        ("Host: rt.example\r\n", 200),
    ] {
        for path in ["/health/live", "/api/info"] {
            let answer = with_headers(&server, &format!("GET {path}"), headers).await;
            assert_eq!(answer.status, status, "4 {path} {headers:?}");
        }
    }
    let answer = with_headers(&server, "GET http://rt.example/api/info", "Host: other.example\r\n").await;
    answer.refuses(400, "bad_request", None);
    // HTTP/1.0 has no Host; load balancers still ask so for the health.
    let answers = server.exchange("GET /health/ready HTTP/1.0\r\n\r\n").await;
    assert_eq!(answers[0].status, 200);
}

#[tokio::test]
async fn dev_mode_answers_to_loopback_names_only() {
    let server = Server::with_playground().await;
    let paths = ["/", "/playground/app.js", "/api/info", "/api/connections", "/metrics", "/ws", "/sse?channel=c"];
    let strangers = [
        "evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.1",
        "0.0.0.0",
        "128.0.0.1",
        "192.168.0.1:8080",
        "localhost.",
        "[::2]",
        "localhost:8080@evil.example",
    ];
    for path in paths {
        for host in strangers {
            let answer = with_headers(&server, &format!("GET {path}"), &format!("Host: {host}\r\n{UPGRADE}")).await;
            answer.refuses(403, "forbidden", None);
        }
    }
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.0.0.2:8080", "[::1]:8080"] {
        for path in ["/", "/playground/app.js", "/api/info"] {
            assert_eq!(
                with_headers(&server, &format!("GET {path}"), &format!("Host: {host}\r\n")).await.status,
                200,
                "{host}"
            );
        }
    }
    // Health checks come by address or by any name.
    assert_eq!(with_headers(&server, "GET /health/live", "Host: pod-7.cluster.example\r\n").await.status, 200);
    // HTTP/1.0 without a Host is nobody's browser, and still refused.
    assert_eq!(server.exchange("GET /api/info HTTP/1.0\r\n\r\n").await[0].status, 403);
}

#[tokio::test]
async fn in_dev_mode_pages_of_loopback_may_come() {
    let server = Server::dev().await;
    for origin in ["http://localhost:3000", "http://127.0.0.1:5173", "https://localhost", "http://[::1]:8080"] {
        assert_eq!(from_origin(&server, "/api/info", "localhost", origin).await, 200, "{origin}");
    }
    for origin in [
        "null",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://evillocalhost",
        "HTTP://LOCALHOST",
        "http://localhost.",
        "http://localhost:3000/",
        "file://",
        "chrome-extension://abc",
        "",
    ] {
        for path in ["/api/info", "/sse?channel=c", "/ws?channel=c"] {
            assert_eq!(from_origin(&server, path, "localhost", origin).await, 403, "9 {path} {origin}");
        }
    }
}

#[tokio::test]
async fn elsewhere_a_page_comes_from_the_server_itself_or_from_the_list() {
    let cors = Cors { allowed_origins: vec!["https://ok.example".to_owned()] };
    let server = Server::start(any_port(Config { cors, ..config_with_key() })).await;
    for origin in ["https://ok.example", "https://rt.example", "http://rt.example"] {
        assert_eq!(from_origin(&server, "/api/info", "rt.example", origin).await, 200, "{origin}");
    }
    for origin in [
        "null",
        "https://ok.example.evil.example",
        "https://evilok.example",
        "HTTPS://OK.EXAMPLE",
        "https://ok.example.",
        "https://ok.example:8443",
        "http://ok.example",
        "https://ok.example, https://evil.example",
        "http://localhost:3000",
        "https://rt.example:8443",
        "https://rt.example.evil.example",
    ] {
        assert_eq!(from_origin(&server, "/api/info", "rt.example", origin).await, 403, "9 {origin}");
        let upgrade = format!("Host: rt.example\r\nOrigin: {origin}\r\n{UPGRADE}");
        with_headers(&server, "GET /ws?channel=c", &upgrade).await.refuses(403, "forbidden", None);
    }
    let both = "Host: rt.example\r\nOrigin: https://ok.example\r\nOrigin: https://evil.example\r\n";
    assert_eq!(with_headers(&server, "GET /api/info", both).await.status, 403, "each Origin counts");
    // No Origin is no page: a program, which shows its key where one is needed.
    assert_eq!(with_headers(&server, "GET /api/info", "Host: rt.example\r\n").await.status, 200);
}

#[tokio::test]
async fn a_preflight_allows_who_is_allowed_and_echoes_exactly() {
    let cors = Cors { allowed_origins: vec!["https://ok.example".to_owned()] };
    let server = Server::start(any_port(Config { cors, ..config_with_key() })).await;
    let preflight = async |origin: &str| {
        let headers = format!("Host: rt.example\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
        with_headers(&server, "OPTIONS /api/broadcast", &headers).await
    };
    let answer = preflight("https://ok.example").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("https://ok.example")));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert!(answer.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    assert!(answer.header("access-control-allow-headers").is_some_and(|names| names.contains("authorization")));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    for origin in ["https://evil.example", "null", "https://ok.example.evil.example", "*"] {
        let answer = preflight(origin).await;
        let allows = answer.headers.iter().find(|(name, _)| name.starts_with("access-control-"));
        assert_eq!(allows, None, "12 {origin}");
    }
    // The answer itself, refused or not, can be read by the page that is allowed, and by no other.
    for (origin, allowed) in [("https://ok.example", Some("https://ok.example")), ("https://evil.example", None)] {
        let headers = format!("Host: rt.example\r\nOrigin: {origin}\r\n");
        let answer = with_headers(&server, "GET /api/connections", &headers).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert!([401, 403].contains(&answer.status));
    }
}

#[tokio::test]
async fn any_page_is_any_page_but_null() {
    let cors = Cors { allowed_origins: vec!["*".to_owned()] };
    let server = Server::start(any_port(Config { cors, ..config_with_key() })).await;
    let headers = "Host: rt.example\r\nOrigin: https://any.example\r\n";
    let answer = with_headers(&server, "GET /api/info", headers).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("https://any.example")));
    assert_eq!(from_origin(&server, "/api/info", "rt.example", "null").await, 403);
}

#[tokio::test]
async fn a_key_is_one_bearer_token() {
    let server = Server::with_key().await;
    let good = [format!("Bearer {KEY}"), format!("bearer {KEY}"), format!("BEARER  {KEY}")];
    for value in &good {
        let answer = server.request("GET", "/api/channels", &[("authorization", value)], b"").await;
        assert_eq!(answer.status, 200, "{value}");
    }
    let almost = [
        "",
        "Bearer",
        "Bearer ",
        KEY,
        &format!("Basic {KEY}"),
        &format!("Bearer {KEY}x"),
        &format!("Bearer {}", &KEY[1..]),
        &format!("Bearer {}", KEY.to_uppercase()),
        &format!("Bearer {KEY},{KEY}"),
        "Bearer \u{fc}",
    ];
    for value in almost {
        let answer = server.request("GET", "/api/channels", &[("authorization", value)], b"").await;
        answer.refuses(401, "unauthenticated", None);
        let text = String::from_utf8(answer.body).expect("text");
        assert!(!text.contains(KEY) && !text.contains(&KEY[1..]), "a key is never repeated: {text}");
    }
    let key = format!("Bearer {KEY}");
    let twice = [("authorization", key.as_str()), ("authorization", key.as_str())];
    server.request("GET", "/api/channels", &twice, b"").await.refuses(400, "bad_request", Some("authorization"));
    // A key in the URL would end up in logs.
    server.get(&format!("/api/channels?key={KEY}")).await.refuses(401, "unauthenticated", None);
}

/// A server with a key could publish, but not listen: its key was refused as the token of a connection.
#[tokio::test]
async fn an_api_key_is_the_token_of_a_connection_that_may_do_everything() {
    for anonymous in [true, false] {
        let mut config = config_with_key();
        config.auth.anonymous = anonymous;
        let server = Server::start(any_port(config)).await;
        let key = format!("Authorization: Bearer {KEY}\r\n");
        let (_stream, connected) = server.stream_as("channel=c", &key).await;
        assert_eq!(connected["subscriptions"][0]["can"], json!(["subscribe", "publish"]), "{connected}");
        assert!(connected["userId"].is_null(), "a server is no user: {connected}");
        let line = "GET /ws?channel=c";
        let answer = server.ask(format!("{line} HTTP/1.1\r\nHost: a\r\n{key}{UPGRADE}\r\n")).await;
        assert_eq!(answer.status, 101, "anonymous: {anonymous}");
        if anonymous {
            let (_stream, connected) = server.stream_as("channel=c", "").await;
            assert_eq!(connected["subscriptions"][0]["can"], json!(["subscribe"]), "{connected}");
        } else {
            with_headers(&server, "GET /sse?channel=c", "Host: a\r\n").await.refuses(401, "unauthenticated", None);
            let answer = server.ask(format!("{line} HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n")).await;
            answer.refuses(401, "unauthenticated", None);
        }
        for wrong in [KEY.to_uppercase(), KEY[1..].to_owned(), "x".to_owned()] {
            let headers = format!("Host: a\r\nAuthorization: Bearer {wrong}\r\n");
            let answer = with_headers(&server, "GET /sse?channel=c", &headers).await;
            answer.refuses(401, "unauthenticated", None);
            let answer = server.ask(format!("{line} HTTP/1.1\r\n{headers}{UPGRADE}\r\n")).await;
            answer.refuses(401, "unauthenticated", None);
        }
    }
}

/// A ticket was ignored in dev mode, and elsewhere refused as if it were a wrong one.
#[tokio::test]
async fn tickets_are_not_served() {
    for server in [Server::dev().await, Server::with_key().await] {
        let host = "Host: localhost\r\n";
        for ticket in ["x", KEY] {
            let sse = with_headers(&server, &format!("GET /sse?channel=c&ticket={ticket}"), host).await;
            sse.refuses(403, "not_enabled", Some("ticket"));
            let ws = server.ask(format!("GET /ws?ticket={ticket} HTTP/1.1\r\n{host}{UPGRADE}\r\n")).await;
            ws.refuses(403, "not_enabled", Some("ticket"));
        }
    }
}

#[tokio::test]
async fn who_comes_through_a_proxy_is_whom_the_socket_says() {
    let server = Server::dev().await;
    let mut socket = server.connect().await;
    let address = socket.local_addr().expect("an address").to_string();
    let request = "GET /sse?channel=c HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.9.8.7\r\nX-Real-IP: 10.9.8.7\r\n\
                   Forwarded: for=10.9.8.7\r\nX-Forwarded-Host: evil.example\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.expect("the server reads");
    let page = loop {
        let page = server.get("/api/connections").await.json();
        if page["items"].as_array().is_some_and(|items| !items.is_empty()) {
            break page;
        }
    };
    assert_eq!(page["items"][0]["address"], address);
    assert!(!page.to_string().contains("10.9.8.7"), "18 {page}");
}

#[tokio::test]
async fn no_answer_repeats_the_host_it_was_asked_for() {
    let server = Server::with_key().await;
    for path in ["/", "/api/info", "/api/connections", "/nowhere", "/ws", "/sse"] {
        let answer = with_headers(&server, &format!("GET {path}"), "Host: evil.example\r\nAccept: text/html\r\n").await;
        let all = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
        assert!(!all.contains("evil.example"), "19 {path}: {all}");
    }
}
