//! The connector inside another application: mounted in its axum router, steered from Rust, with or without a runtime.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/config.rs"]
mod configs;
#[path = "support/executor.rs"]
mod executor;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::middleware::{self, Next};
use axum::routing::get;
use client::sse::Sse;
use client::{Ws, http, request};
use configs::{config, configured};
use realtime_connector::auth::{AuthFuture, Authenticator, Credentials, Grants, Identity, UnixMs, UserId};
use realtime_connector::config::Provider;
use realtime_connector::{
    Ack, Builder, ConnectionFilter, ConnectionId, Error, Message, RealtimeConnector, RejectionKind, Target,
    create_realtime_connector, get_realtime_connector,
};
use serde_json::{Value, json};
use server::Server;
use tokio::net::TcpListener;

/// What the host application has of its own.
#[derive(Clone, Default)]
struct Host {
    greeted: Arc<AtomicUsize>,
}

/// Serves a host application with a state, a middleware and a page of its own, and the connector under `prefix`.
async fn host(rc: &RealtimeConnector, prefix: &str) -> SocketAddr {
    let state = Host::default();
    let app: Router<Host> = Router::new().route("/hello", get(hello));
    let app = match prefix {
        "" => app.merge(rc.router().expect("somebody decides")),
        prefix => app.nest(prefix, rc.router().expect("somebody decides")),
    };
    serve(app.layer(middleware::from_fn_with_state(state.clone(), mark)).with_state(state)).await
}

/// Serves an application on a port of its own.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("any port will do");
    let addr = listener.local_addr().expect("bound");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    addr
}

async fn hello(State(host): State<Host>) -> String {
    format!("request {}", host.greeted.load(Ordering::Relaxed))
}

async fn mark(State(host): State<Host>, request: axum::extract::Request, next: Next) -> axum::response::Response {
    host.greeted.fetch_add(1, Ordering::Relaxed);
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-host", HeaderValue::from_static("here"));
    response
}

async fn a_mounted_connector_serves_both_providers(prefix: &str) {
    let rc = Builder::new(config()).dev().playground(false).build().expect("the configuration is sound");
    let addr = host(&rc, prefix).await;
    let path = |path: &str| format!("{prefix}{path}");
    assert_eq!(http(addr, "GET", "/hello", None).await.text(), "request 1", "the host's own page and state");

    let mut ws = Ws::connect(addr, &path("/ws?userId=ada&channel=orders")).await;
    ws.recv_op("connected").await;
    let mut sse = Sse::connect(addr, &path("/sse?channel=orders"), &[]).await;
    assert_eq!(sse.head.header("x-host"), Some("here"), "the host's middleware sees the stream begin");
    let connected = sse.next_named("$connected").await.json();

    // From Rust, over HTTP, and from both clients: everybody hears everything.
    rc.broadcast(Message::new("update", json!({"by": "rust"})), Target::channel("orders")).await.expect("published");
    let body = json!({"type": "update", "channel": "orders", "data": {"by": "http"}});
    assert_eq!(http(addr, "POST", &path("/api/broadcast"), Some(&body)).await.status, 200);
    ws.send_json(&json!({"op": "publish", "type": "update", "channel": "orders", "data": {"by": "ws"}})).await;
    for by in ["rust", "http", "ws"] {
        assert_eq!(ws.recv_op("message").await["data"], json!({"by": by}));
        assert_eq!(sse.next_named("update").await.json(), json!({"by": by}));
    }
    let uplink = path(&format!("/sse/{}", connected["connectionId"].as_str().expect("text")));
    let authorization = format!("Bearer {}", connected["sessionToken"].as_str().expect("text"));
    let headers = [("authorization", &*authorization), ("content-type", "application/json")];
    let frame = json!({"op": "publish", "type": "update", "channel": "orders", "data": {"by": "sse"}, "ref": 1});
    let answer = request(addr, "POST", &uplink, &headers, frame.to_string().as_bytes()).await;
    assert_eq!((answer.status, &answer.json()["op"]), (200, &json!("ok")));
    assert_eq!(ws.recv_op("message").await["data"], json!({"by": "sse"}));
    assert_eq!(sse.next_named("update").await.json(), json!({"by": "sse"}));

    let page = rc.connections().list(ConnectionFilter::default()).await.expect("listed");
    let local = page.items.iter().all(|it| it.address.ip().is_loopback() && it.address.port() != 0);
    assert!(page.items.len() == 2 && local, "clients have their own addresses: {page:?}");

    assert_eq!(http(addr, "GET", &path("/api/info"), None).await.status, 200);
    assert_eq!(http(addr, "GET", &path("/health/ready"), None).await.status, 200);
    rc.shutdown().await;
    assert_eq!(ws.recv_close().await, Some(4200));
    assert_eq!(sse.next_named("$goaway").await.json()["code"], 4200);
    assert_eq!(sse.next_event_or_end().await, None);
    assert_eq!(http(addr, "GET", &path("/health/ready"), None).await.status, 503);
    assert_eq!(http(addr, "GET", "/hello", None).await.status, 200, "the host goes on");
}

#[tokio::test]
async fn a_connector_mounted_at_the_top_serves_both_providers() {
    a_mounted_connector_serves_both_providers("").await;
}

#[tokio::test]
async fn a_connector_mounted_under_a_prefix_serves_both_providers() {
    a_mounted_connector_serves_both_providers("/realtime").await;
}

/// A mounted router brought a fallback: merging it into a host that has one panicked, and other hosts answered with our 404s.
#[tokio::test]
async fn paths_that_the_connector_does_not_know_are_the_hosts() {
    let working = || Builder::new(config()).dev().playground(false).build().expect("the configuration is sound");
    let inert = || Builder::new(configured(r#"{"enabled": false}"#)).build().expect("the configuration is sound");
    for (rc, status) in [(working(), 200), (inert(), 503)] {
        for prefix in ["", "/realtime"] {
            for with_fallback in [true, false] {
                let router: Router = rc.router().expect("somebody decides");
                let app = Router::new().route("/", get(async || "the host's page"));
                let app = if with_fallback { app.fallback(async || "the host's fallback") } else { app };
                let app = if prefix.is_empty() { app.merge(router) } else { app.nest(prefix, router) };
                let addr = serve(app).await;
                let what = format!("{prefix:?}, fallback: {with_fallback}, {status}");
                assert_eq!(http(addr, "GET", "/", None).await.text(), "the host's page", "{what}");
                assert_eq!(http(addr, "GET", &format!("{prefix}/api/info"), None).await.status, status, "{what}");
                assert_eq!(http(addr, "GET", &format!("{prefix}/health/live"), None).await.status, 200, "{what}");
                for path in ["/nothing", &format!("{prefix}/nothing")] {
                    let answer = http(addr, "GET", path, None).await;
                    let expected = if with_fallback { (200, "the host's fallback") } else { (404, "") };
                    assert_eq!((answer.status, answer.text()), expected, "{path} of {what}");
                }
            }
        }
        rc.shutdown().await;
    }
}

#[tokio::test]
async fn large_messages_pass_a_mounted_router_whole() {
    let rc = Builder::new(config()).dev().playground(false).build().expect("the configuration is sound");
    let addr = host(&rc, "/realtime").await;
    let mut ws = Ws::connect(addr, "/realtime/ws?channel=a").await;
    ws.recv_op("connected").await;
    let mut sse = Sse::connect(addr, "/realtime/sse?channel=a", &[]).await;
    sse.next_named("$connected").await;
    // More than a pump's buffer holds, and more than one write.
    let text: String = (0..60_000).map(|index| char::from(b'a' + (index % 26) as u8)).collect();
    for number in 0..20 {
        let message = Message::new("large", json!({"number": number, "text": text}));
        rc.broadcast(message, Target::channel("a")).await.expect("published");
    }
    for number in 0..20 {
        let data = json!({"number": number, "text": text});
        assert!(ws.recv_op("message").await["data"] == data, "{number}");
        assert!(sse.next_named("large").await.json() == data, "{number}");
    }
    rc.shutdown().await;
}

#[tokio::test]
async fn a_router_needs_somebody_who_decides() {
    let router = |builder: Builder| builder.build().expect("the configuration is sound").router::<()>().map(drop);
    let refused = router(Builder::new(config())).expect_err("dev mode must be said out loud");
    assert!(matches!(refused, Error::RouterNeedsAuthenticator) && refused.to_string().contains("dev()"), "{refused}");
    router(Builder::new(config()).dev()).expect("said out loud");
    router(Builder::new(config()).authenticator(ByCookie)).expect("an authenticator decides");
    router(Builder::new(configured(r#"{"auth": {"dev": true}}"#))).expect("said out loud in the configuration");
    router(Builder::new(configured(r#"{"auth": {"anonymous": true}}"#))).expect("the configuration decides");
    let undone = Builder::new(config()).dev().authenticator(ByCookie).build().expect("the configuration is sound");
    let addr = host(&undone, "").await;
    let refused = Ws::open(addr, "/ws?userId=ada&channel=a", &[]).await.expect_err("nobody believes the query");
    assert_eq!(refused.status, 401, "the last of the two counts");
}

/// Whoever has a cookie is whom it names.
struct ByCookie;

impl Authenticator for ByCookie {
    fn authenticate(&self, credentials: Credentials) -> AuthFuture<'_> {
        Box::pin(async move {
            let Some(cookie) = credentials.cookie else { return Ok(None) };
            let user = UserId::parse(&cookie).ok();
            Ok(user.map(|user| Identity::of(user, Grants::LISTEN)))
        })
    }
}

#[tokio::test]
async fn an_authenticator_of_the_application_decides_who_a_connection_is() {
    let config = configured(r#"{"auth": {"cookie": "session"}}"#);
    let rc = Builder::new(config).authenticator(ByCookie).build().expect("the configuration is sound");
    let addr = host(&rc, "/rt").await;
    let cookie = |name: &str| format!("theme=dark; session={name}");
    let (ada, bob) = (cookie("ada"), cookie("bob"));
    let mut ada = Ws::open(addr, "/rt/ws?channel=a", &[("cookie", &ada)]).await.expect("ada has a cookie");
    assert_eq!(ada.recv_op("connected").await["userId"], "ada");
    let mut bob = Sse::connect(addr, "/rt/sse?channel=a", &[("cookie", &bob)]).await;
    assert_eq!(bob.next_named("$connected").await.json()["userId"], "bob");
    let nobody = Sse::open(addr, "/rt/sse?channel=a", &[]).await;
    assert_eq!(nobody.head.status, 401);
    let refused = http(addr, "POST", "/rt/api/broadcast", Some(&json!({"type": "a"}))).await;
    assert_eq!(refused.status, 401, "the HTTP API has keys of its own");

    rc.broadcast(Message::new("secret", 1), Target::user("ada")).await.expect("published");
    rc.broadcast(Message::new("both", 2), Target::channel("a")).await.expect("published");
    assert_eq!(ada.recv_op("message").await["type"], "secret");
    assert_eq!(bob.next_event().await.event, "both", "nothing for ada comes to bob");
    ada.send_json(&json!({"op": "publish", "type": "a", "channel": "a", "ref": 1})).await;
    assert_eq!(ada.recv_op("error").await["code"], "forbidden", "listening only");
    rc.shutdown().await;
}

/// Lets everybody in for as long as an hour ago.
struct Late;

impl Authenticator for Late {
    fn authenticate(&self, _: Credentials) -> AuthFuture<'_> {
        let hour_ago = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") - Duration::from_secs(3_600);
        let until = UnixMs(u64::try_from(hour_ago.as_millis()).expect("milliseconds"));
        Box::pin(async move { Ok(Some(Identity::anonymous(Grants::LISTEN).with_meta("{}").until(until))) })
    }
}

#[tokio::test]
async fn an_identity_that_is_over_ends_its_connections() {
    let rc = Builder::new(config()).authenticator(Late).build().expect("the configuration is sound");
    let addr = host(&rc, "/rt").await;
    let mut ws = Ws::connect(addr, "/rt/ws?channel=a").await;
    assert!(ws.recv_op("connected").await["expiresAt"].is_u64());
    assert_eq!(ws.recv_op("goaway").await["reason"], "token_expired");
    assert_eq!(ws.recv_close().await, Some(4203));
    let mut sse = Sse::connect(addr, "/rt/sse?channel=a", &[]).await;
    assert_eq!(sse.next_named("$goaway").await.json()["code"], 4203);
    rc.shutdown().await;
}

/// Without `apiKeys` a connector with its own authenticator was taken for one in dev mode, and its load balancer got no time.
#[tokio::test]
async fn a_connector_with_an_authenticator_is_not_ready_before_it_drains() {
    let config = r#"{"auth": {"cookie": "session"}, "shutdown": {"notReady": "10m", "deadline": "1h"}}"#;
    let rc = Builder::new(configured(config)).authenticator(ByCookie).build().expect("the configuration is sound");
    let addr = host(&rc, "/rt").await;
    let mut ada = Ws::open(addr, "/rt/ws?channel=a", &[("cookie", "session=ada")]).await.expect("ada has a cookie");
    ada.recv_op("connected").await;
    let stopping = rc.clone();
    tokio::spawn(async move { stopping.shutdown().await });
    while http(addr, "GET", "/rt/health/ready", None).await.status == 200 {
        tokio::task::yield_now().await;
    }
    // Often enough that a drain would have come in between.
    for number in 0..100 {
        rc.broadcast(Message::new("still", number), Target::user("ada")).await.expect("published");
        let frame = ada.recv_json().await;
        assert_eq!(frame["data"], number, "nobody is told to leave before the load balancer has looked: {frame}");
    }
}

#[tokio::test]
async fn a_connector_that_is_not_enabled_takes_everything_sends_nothing_and_says_so() {
    let Server { rc, addr } = Server::start_with(configured(r#"{"enabled": false}"#)).await;
    assert!(!rc.is_enabled());
    let message = Message::new("a", 1).id("mine");
    let published = rc.broadcast(message, Target::everyone()).await.expect("accepted");
    assert_eq!((published.id.as_str(), published.position, published.connections), ("mine", None, 0));
    let refused = rc.broadcast(Message::new("", 1), Target::everyone()).await.expect_err("no type");
    assert_eq!(refused.field.as_deref(), Some("type"), "mistakes show all the same");
    assert!(rc.connections().list(ConnectionFilter::default()).await.expect("nobody").items.is_empty());
    assert_eq!(rc.connections().get(some_id()).await.map_err(|it| it.kind), Err(RejectionKind::NotFound));
    rc.event_bus().publish("a", 1).await.expect("the bus works");
    let mounted = host(&rc, "/realtime").await;
    for (addr, path) in [(addr, "/ws"), (addr, "/sse"), (addr, "/api/info"), (addr, "/"), (mounted, "/realtime/ws")] {
        let response = http(addr, "GET", path, None).await;
        assert_eq!(
            (response.status, response.header("content-type")),
            (503, Some("application/problem+json")),
            "{path}"
        );
        assert_eq!(response.header("retry-after"), Some("1"), "{path}");
        let message = response.json()["message"].as_str().expect("text").to_owned();
        assert!(message.contains("`enabled` is false"), "{message}");
    }
    assert_eq!(http(addr, "GET", "/health/ready", None).await.status, 503);
    assert_eq!(http(addr, "GET", "/health/live", None).await.status, 200);
    rc.shutdown().await;
}

fn some_id() -> ConnectionId {
    "AAAAAAAAAAAAAAAAAQ".parse().expect("an id")
}

#[tokio::test]
async fn the_connector_created_last_is_the_one_that_is_found() {
    assert!(get_realtime_connector().is_none());
    let first = create_realtime_connector(configured(r#"{"provider": "sse"}"#)).await.expect("created");
    let found = get_realtime_connector().expect("there is one");
    assert_eq!(found.config().provider, Provider::Sse);
    let second = create_realtime_connector(configured(r#"{"provider": "websocket"}"#)).await.expect("created");
    let found = get_realtime_connector().expect("there is one");
    assert_eq!(found.config().provider, Provider::WebSocket);
    first.broadcast(Message::new("a", 1), Target::everyone()).await.expect("the first one still runs");
    first.make_default();
    assert_eq!(get_realtime_connector().expect("there is one").config().provider, Provider::Sse);
    let bad = configured(r#"{"listen": "0.0.0.0:1"}"#);
    let bad = realtime_connector::Config { listen: Some(SocketAddr::from(([0, 0, 0, 0], 1))), ..bad };
    assert!(matches!(create_realtime_connector(bad).await, Err(Error::Config(_))), "public without authentication");
    assert_eq!(get_realtime_connector().expect("there is one").config().provider, Provider::Sse, "as before");
    first.shutdown().await;
    second.shutdown().await;
    first.shutdown().await;
    let refused = first.broadcast(Message::new("a", 1), Target::everyone()).await.expect_err("it has stopped");
    assert_eq!(refused.kind, RejectionKind::Unavailable);
}

#[tokio::test]
async fn connections_can_be_looked_at_and_steered() {
    let Server { rc, addr } = Server::start_with(config()).await;
    let mut ada = Ws::open(addr, "/ws?userId=ada&channel=a", &[("user-agent", "test/1")]).await.expect("open");
    let ada_id: ConnectionId = id(&ada.recv_op("connected").await);
    let mut bob = Sse::connect(addr, "/sse?userId=bob", &[]).await;
    let bob_id: ConnectionId = id(&bob.next_named("$connected").await.json());
    let connections = rc.connections();

    let info = connections.get(ada_id).await.expect("ada is here");
    assert_eq!((info.id, info.user_id.as_deref(), info.provider), (ada_id, Some("ada"), Provider::WebSocket));
    assert_eq!((info.user_agent.as_deref(), &*info.channels), (Some("test/1"), &["a".to_owned()][..]));
    assert!(info.address.ip().is_loopback() && info.connected_at <= std::time::SystemTime::now());

    let ids = async |filter: ConnectionFilter| -> Vec<ConnectionId> {
        let page = connections.list(filter).await.expect("listed");
        assert_eq!(page.next, None);
        let mut ids: Vec<_> = page.items.iter().map(|it| it.id).collect();
        ids.sort();
        ids
    };
    let mut both = [ada_id, bob_id];
    both.sort();
    assert_eq!(ids(ConnectionFilter::default()).await, both);
    let of_bob = ConnectionFilter { user_id: Some("bob".into()), ..ConnectionFilter::default() };
    assert_eq!(ids(of_bob).await, [bob_id]);
    let in_b = ConnectionFilter { channel: Some("b".into()), ..ConnectionFilter::default() };
    assert!(ids(in_b.clone()).await.is_empty());

    connections.subscribe(bob_id, "b").await.expect("bob is here");
    assert_eq!(bob.next_named("$subscribed").await.json()["channel"], "b");
    assert_eq!(ids(in_b).await, [bob_id]);
    connections.unsubscribe(bob_id, "b").await.expect("bob was in it");
    assert_eq!(bob.next_named("$unsubscribed").await.json()["channel"], "b");
    connections.unsubscribe(bob_id, "b").await.expect("not being in it is what was wanted");
    assert_eq!(connections.subscribe(bob_id, "b*").await.expect_err("no name").field.as_deref(), Some("channel"));

    connections.set_meta(ada_id, json!({"tier": "gold"})).await.expect("ada is here");
    assert_eq!(connections.get(ada_id).await.expect("here").meta, Some(json!({"tier": "gold"})));
    connections.clear_meta(ada_id).await.expect("ada is here");
    assert_eq!(connections.get(ada_id).await.expect("here").meta, None);
    let refused = connections.set_meta(ada_id, [1]).await.expect_err("no object");
    assert_eq!(refused.field.as_deref(), Some("meta"));

    connections.disconnect(ada_id, Some("out of order")).await.expect("ada is here");
    assert_eq!(ada.recv_op("goaway").await["reason"], "out of order");
    assert_eq!(ada.recv_close().await, Some(4000));
    assert_eq!(connections.disconnect(some_id(), None).await.map_err(|it| it.kind), Err(RejectionKind::NotFound));
    rc.shutdown().await;
}

fn id(connected: &Value) -> ConnectionId {
    connected["connectionId"].as_str().expect("text").parse().expect("an id")
}

#[tokio::test]
async fn a_list_of_connections_comes_in_pages_without_repeats() {
    let Server { rc, addr } = Server::start_with(config()).await;
    let mut clients = Vec::new();
    for _ in 0..25 {
        let mut ws = Ws::connect(addr, "/ws?channel=a").await;
        ws.recv_op("connected").await;
        clients.push(ws);
    }
    let mut filter = ConnectionFilter { limit: Some(4), ..ConnectionFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = rc.connections().list(filter.clone()).await.expect("listed");
        assert!(page.items.len() <= 4);
        seen.extend(page.items.iter().map(|it| it.id));
        let Some(next) = page.next else { break };
        filter.cursor = Some(next);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 25);
    rc.shutdown().await;
}

#[tokio::test]
async fn a_message_is_sent_the_way_it_asks_for() {
    let Server { rc, addr } = Server::start_with(config()).await;
    let mut ada = Ws::connect(addr, "/ws?userId=ada&channel=a").await;
    let ada_id = id(&ada.recv_op("connected").await);
    let mut bob = Ws::connect(addr, "/ws?userId=bob&channel=a").await;
    bob.recv_op("connected").await;
    let to_a = || Target::channel("a");

    let first = rc.broadcast(Message::new("once", 1).id("x"), to_a()).await.expect("published");
    let again = rc.broadcast(Message::new("once", 1).id("x"), to_a()).await.expect("answered");
    assert_eq!((first.connections, first.duplicate, again.duplicate), (2, false, true));
    assert_eq!(again.position, first.position);
    let conflict = rc.broadcast(Message::new("once", 2).id("x"), to_a()).await.expect_err("other content");
    assert_eq!(conflict.kind, RejectionKind::Conflict);

    let ephemeral = rc.broadcast(Message::new("now", 2).ephemeral(), to_a()).await.expect("published");
    assert_eq!(ephemeral.position, None);
    rc.broadcast(Message::new("others", 3).exclude([ada_id]).key("k"), to_a()).await.expect("published");
    rc.broadcast(Message::new("fast", 4).ack(Ack::None), to_a()).await.expect("published");
    rc.broadcast(Message::new("hers", 5), Target::user("ada").in_channel("a")).await.expect("published");
    rc.broadcast(Message::new("all", 6).meta(json!({"m": 1})), Target::everyone()).await.expect("published");

    let types = async |ws: &mut Ws| -> Vec<String> {
        let mut types = Vec::new();
        for _ in 0..5 {
            types.push(ws.recv_op("message").await["type"].as_str().expect("text").to_owned());
        }
        // No order is promised across channels and between ephemeral messages and others.
        types.sort();
        types
    };
    assert_eq!(types(&mut ada).await, ["all", "fast", "hers", "now", "once"]);
    assert_eq!(types(&mut bob).await, ["all", "fast", "now", "once", "others"]);
    rc.shutdown().await;
}

#[test]
fn without_a_runtime_the_library_has_one() {
    let rc = executor::block_on(create_realtime_connector(config())).expect("created");
    let serving = executor::block_on(rc.serve()).expect("any port will do");
    let addr = serving.local_addr();
    let clients = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for the client");
    let mut ws = clients.block_on(async {
        let mut ws = Ws::connect(addr, "/ws?channel=a").await;
        ws.recv_op("connected").await;
        ws
    });
    let published = executor::block_on(rc.broadcast(Message::new("a", 1), Target::channel("a"))).expect("published");
    assert_eq!(published.connections, 1);
    assert_eq!(clients.block_on(ws.recv_op("message"))["data"], 1);
    executor::block_on(rc.shutdown());
    executor::block_on(serving.wait());
    assert_eq!(clients.block_on(ws.recv_close()), Some(4200));
}
