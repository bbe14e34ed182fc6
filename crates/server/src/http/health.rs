//! `GET /health/live` and `GET /health/ready`: for whoever restarts the process, and for load balancers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::problem;
use crate::app::App;

/// Whether the process answers
#[utoipa::path(
    get, path = "/health/live", tag = "server", operation_id = "isLive",
    responses((status = 200, description = "It does", body = String)),
)]
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// Whether connections are welcome
///
/// A store that had to stop writing is a reason for 503 until a restart. A full disk is none: it heals, and no other node would have
/// more space.
#[utoipa::path(
    get, path = "/health/ready", tag = "server", operation_id = "isReady",
    responses(
        (status = 200, description = "They are", body = String),
        (status = 503, description = "Not yet, the server goes down, or its store has stopped writing; the body says which", body = String),
    ),
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.readiness() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => {
            let mut response = (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response();
            problem::say_when(&mut response, None);
            response
        }
    }
}
