//! Cross-origin requests: an allow-list of exact origins.
//!
//! In dev mode pages of `localhost` and `127.0.0.1` on any port are allowed. An origin is allowed as a whole or not at all; `null`
//! never is. Credentials are never offered, so a foreign page cannot use a visitor's cookies.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;

/// The allow-list.
#[derive(Debug)]
pub(crate) struct Cors {
    allowed: Vec<String>,
    loopback: bool,
}

impl Cors {
    pub(crate) fn new(allowed: &[String], dev: bool) -> Self {
        Self { allowed: allowed.to_vec(), loopback: dev }
    }

    /// Whether pages of this origin may use the server.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == origin) || (self.loopback && is_loopback_origin(origin))
    }
}

/// `http://localhost:3000` and the like; any port, exact host.
pub(crate) fn is_loopback_origin(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    is_loopback_authority(authority)
}

/// `localhost`, `127.0.0.1` or `[::1]`, with or without a port.
pub(crate) fn is_loopback_authority(authority: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        authority.strip_prefix(host).is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix(':').is_some_and(|port| {
                    !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
                })
        })
    })
}

/// The headers for an allowed origin; none for others.
pub(crate) fn headers(cors: &Cors, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(origin) = request.get(header::ORIGIN) else { return headers };
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if origin.to_str().is_ok_and(|origin| cors.allows(origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    headers
}

/// Answers preflights and marks answers.
pub(crate) async fn apply(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let extra = headers(&app.cors, request.headers());
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight {
        let mut response = StatusCode::NO_CONTENT.into_response();
        if extra.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            let fixed = [
                (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, last-event-id"),
                (header::ACCESS_CONTROL_MAX_AGE, "600"),
            ];
            for (name, value) in fixed {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
        }
        response.headers_mut().extend(extra);
        return response;
    }
    let mut response = next.run(request).await;
    response.headers_mut().extend(extra);
    response
}
