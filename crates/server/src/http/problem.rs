//! Errors of the HTTP API: problem JSON (RFC 9457) with the words of the protocol.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_wire::json;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// With a code of the protocol.
    Rejection(Rejection),
    /// For a reason that only HTTP knows: `bad_request` with a status of its own.
    Http(StatusCode, &'static str),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejection(rejection)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Rejection(rejection) => response(&rejection),
            Self::Http(status, message) => with_status(status, message),
        }
    }
}

/// The answer to a refused request.
pub(crate) fn response(rejection: &Rejection) -> Response {
    let (status, body) = json::problem_json(rejection);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = problem(status, body);
    say_when(&mut response, rejection.retry_after_ms);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        close(&mut response);
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Says when to come back: at the moment that is known, and at any rate where the status promises that it is said.
pub(crate) fn say_when(response: &mut Response, retry_after_ms: Option<u32>) {
    /// In milliseconds: what clients that are told nothing begin with.
    const DEFAULT_MS: u32 = 1_000;
    let promised = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status());
    if let Some(ms) = retry_after_ms.or(promised.then_some(DEFAULT_MS)) {
        let seconds = HeaderValue::from(u64::from(ms.div_ceil(1_000)));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
}

/// Ends the connection after this answer: whoever has too much to do needs its descriptor back. HTTP/2 leaves the header out.
pub(crate) fn close(response: &mut Response) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// A refusal that only HTTP knows: `bad_request` with a status of its own.
pub(crate) fn with_status(status: StatusCode, message: &str) -> Response {
    let rejection = Rejection::new(RejectionKind::BadRequest, message.to_owned());
    problem(status, json::problem_json_as(status.as_u16(), &rejection))
}

/// No such path.
pub(crate) async fn not_found() -> Response {
    response(&Rejection::new(RejectionKind::NotFound, "no such path"))
}

/// A path that knows other methods; the router adds `Allow`.
pub(crate) async fn method_not_allowed() -> Response {
    with_status(StatusCode::METHOD_NOT_ALLOWED, "this path does not know the method")
}

fn problem(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
