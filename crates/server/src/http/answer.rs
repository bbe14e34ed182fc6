//! Answers of the HTTP API: JSON, never kept by a cache, never taken for anything else by a browser.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    json_bytes(serde_json::to_vec(value).expect("answers are plain data"))
}

/// What is JSON already.
pub(super) fn json_bytes(bytes: Vec<u8>) -> Response {
    with_type("application/json", bytes)
}

/// There is nothing to tell.
pub(super) fn empty() -> Response {
    json_bytes(b"{}".to_vec())
}

/// An answer of any type.
pub(super) fn with_type(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Marks whatever leaves the server and does not say itself how long it is good: caches may keep a 204 or a 404 otherwise.
pub(crate) async fn mark(mut response: Response) -> Response {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    response
}
