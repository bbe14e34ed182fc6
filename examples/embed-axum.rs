//! The connector inside an axum application: mounted under `/realtime`, its users are those of the application.
//!
//! `cargo run --example embed-axum`, then open the address it prints, in two windows.

#![expect(clippy::print_stdout, reason = "an example says where it is")]

use std::net::SocketAddr;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use realtime_connector::auth::{AuthFuture, Authenticator, Credentials, Grants, Identity, UserId};
use realtime_connector::{Builder, Config, Message, RealtimeConnector, Target};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The application's own sign-in: here a cookie that anybody can set, in yours one that only you can make.
struct Visitors;

impl Authenticator for Visitors {
    fn authenticate(&self, credentials: Credentials) -> AuthFuture<'_> {
        Box::pin(async move {
            // `Ok(None)` is "shows nothing": the connection is refused as unauthenticated.
            let Some(name) = credentials.cookie else { return Ok(None) };
            let user = UserId::parse(&name).ok();
            Ok(user.map(|user| Identity::of(user, Grants::LISTEN)))
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    config.auth.cookie = Some("visitor".into());
    let rc = Builder::new(config).authenticator(Visitors).build()?;
    let app = Router::new()
        .route("/", get(page))
        .route("/visit/{name}", get(visit))
        .route("/orders", post(order))
        .nest("/realtime", rc.router()?)
        .with_state(rc);

    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(addr).await?;
    println!("open http://{}/visit/ada", listener.local_addr()?);
    // With the addresses of clients, for `rc.connections()`.
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn page() -> Html<&'static str> {
    Html(include_str!("embed-axum.html"))
}

/// Signs in.
async fn visit(Path(name): Path<String>) -> Response {
    match axum::http::HeaderValue::try_from(format!("visitor={name}; Path=/; HttpOnly; SameSite=Strict")) {
        Ok(cookie) => ([(axum::http::header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
        Err(_) => axum::http::StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Takes an order, tells everyone in `orders`, and thanks whoever placed it.
async fn order(State(rc): State<RealtimeConnector>, headers: HeaderMap, Json(order): Json<Value>) -> Response {
    let cookie = headers.get("cookie").and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
    let visitor = cookie.split("; ").find_map(|pair| pair.strip_prefix("visitor="));
    let told = rc.broadcast(Message::new("order.created", &order), Target::channel("orders")).await;
    if let (Ok(_), Some(visitor)) = (&told, visitor) {
        let thanks = Message::new("thanks", json!({"message": format!("thank you, {visitor}")}));
        // Thanks that cannot be delivered are no reason to refuse the order.
        drop(rc.broadcast(thanks, Target::user(visitor)).await);
    }
    match told {
        Ok(published) => Json(json!({"id": published.id.as_str()})).into_response(),
        Err(rejection) => (axum::http::StatusCode::SERVICE_UNAVAILABLE, rejection.to_string()).into_response(),
    }
}
