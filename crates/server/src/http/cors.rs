//! Cross-origin requests: an allow-list of exact origins.
//!
//! In dev mode pages of loopback on any port are allowed. An origin is allowed as a whole, byte for byte, or not at all; `null`
//! never is, not even where `*` allows any page. `Access-Control-Allow-Credentials` is never sent, so no foreign page can read what
//! a visitor's cookies open. Browsers ask nobody before a WebSocket, though, and send the cookie along: an origin on the list is
//! trusted with its visitors' identity, and `*` together with `auth.cookie` is refused by the configuration.

use std::net::Ipv4Addr;
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
    /// `*` is among them.
    any: bool,
    loopback: bool,
}

impl Cors {
    pub(crate) fn new(allowed: &[String], dev: bool) -> Self {
        Self { allowed: allowed.to_vec(), any: allowed.iter().any(|origin| origin == "*"), loopback: dev }
    }

    /// Whether pages of this origin may use the server.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        (self.any && origin.contains("://"))
            || self.allowed.iter().any(|allowed| allowed == origin && origin != "*")
            || (self.loopback && is_loopback_origin(origin))
    }
}

/// `http://localhost:3000` and the like; any port, a host of loopback.
fn is_loopback_origin(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    is_loopback_authority(authority)
}

/// `localhost`, a literal of 127.0.0.0/8, or `[::1]`, with or without a port. A literal cannot be made to point elsewhere.
pub(super) fn is_loopback_authority(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix("[::1]") {
        Some(rest) => ("[::1]", rest),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_loopback = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        && (["localhost", "[::1]"].contains(&host) || is_loopback())
}

/// The headers for an allowed origin; none for others.
pub(crate) fn headers(cors: &Cors, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(origin) = request.get(header::ORIGIN) else { return headers };
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    // Echoed as it came and never `*`, which would be for everybody.
    if origin.to_str().is_ok_and(|origin| cors.allows(origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    headers
}

/// Answers preflights and marks answers.
pub(super) async fn apply(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(allowed: &[&str], dev: bool) -> Cors {
        Cors::new(&allowed.iter().map(|&origin| origin.to_owned()).collect::<Vec<_>>(), dev)
    }

    #[test]
    fn an_origin_is_allowed_byte_for_byte() {
        let cors = cors(&["https://ok.example"], false);
        assert!(cors.allows("https://ok.example"));
        let others = [
            "",
            "*",
            "null",
            "https://ok.example.evil.example",
            "https://evilok.example",
            "HTTPS://OK.EXAMPLE",
            "https://OK.example",
            "https://ok.example.",
            "https://ok.example:8443",
            "https://ok.example:443",
            "http://ok.example",
            "https://ok.example/",
            "https://ok.example ",
            "https://ok.example, https://evil.example",
            "http://localhost:3000",
        ];
        for origin in others {
            assert!(!cors.allows(origin), "{origin:?}");
        }
    }

    #[test]
    fn any_page_is_any_page_with_an_origin() {
        let cors = cors(&["*"], false);
        assert!(cors.allows("https://anything.example"));
        for origin in ["null", "", "*"] {
            assert!(!cors.allows(origin), "{origin:?}");
        }
    }

    #[test]
    fn dev_mode_allows_pages_of_loopback() {
        let cors = cors(&[], true);
        let good = [
            "http://localhost",
            "http://localhost:3000",
            "https://127.0.0.1:8443",
            "http://[::1]:80",
            "http://127.0.0.2",
        ];
        for origin in good {
            assert!(cors.allows(origin), "{origin:?}");
        }
        let bad = [
            "null",
            "http://localhost.",
            "http://localhost:",
            "http://localhost:3000.evil.example",
            "http://localhost.evil",
            "http://evil-localhost",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example",
            "http://127.0.0.2.",
            "http://127.1",
            "http://127.0.0.256",
            "http://0127.0.0.1",
            "http://2130706433",
            "http://[::1]80",
            "http://[::1",
            "http://128.0.0.1",
            "HTTP://localhost",
            "http://LOCALHOST",
            "file://localhost",
            "http://localhost/",
            "http://localhost:80a",
            "http://localhost:123456",
            "http://0.0.0.0",
            "http://evil.example",
        ];
        for origin in bad {
            assert!(!cors.allows(origin), "{origin:?}");
        }
    }
}
