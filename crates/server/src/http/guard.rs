//! What is checked before any handler: in dev mode, that the request is really local.
//!
//! Loopback alone is no protection: any page in the developer's browser reaches it, and DNS rebinding makes a foreign name point
//! to it. So a Host or Origin that is not loopback is refused.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use realtime_connector_core::rejection::{Rejection, RejectionKind};

use super::{cors, problem};
use crate::app::App;

/// Refuses what may not come in.
pub(crate) async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match refusal(&app, &request) {
        Some(rejection) => problem::response(&rejection),
        None => next.run(request).await,
    }
}

fn refusal(app: &App, request: &Request) -> Option<Rejection> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().map(str::to_owned),
        (None, _) => request.uri().authority().map(ToString::to_string),
        (Some(_), Some(_)) => return Some(Rejection::new(RejectionKind::BadRequest, "more than one Host header")),
    };
    let Some(host) = host else {
        return Some(Rejection::new(RejectionKind::BadRequest, "the Host header is missing or unreadable"));
    };
    let forbidden = |message: &'static str| Some(Rejection::new(RejectionKind::Forbidden, message));
    if app.dev && !cors::is_loopback_authority(&host) {
        return forbidden("dev mode answers only to localhost, 127.0.0.1 and [::1] as Host");
    }
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    if origins.any(|origin| !origin.to_str().is_ok_and(|origin| app.cors.allows(origin) || own(app, origin, &host))) {
        return forbidden("this origin is not allowed; name it in cors.allowedOrigins");
    }
    None
}

/// Whether a page of the server itself asks.
fn own(app: &App, origin: &str, host: &str) -> bool {
    !app.dev && origin.split_once("://").is_some_and(|(_, authority)| authority == host)
}
