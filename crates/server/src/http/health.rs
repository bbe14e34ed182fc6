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
#[utoipa::path(
    get, path = "/health/ready", tag = "server", operation_id = "isReady",
    responses(
        (status = 200, description = "They are", body = String),
        (status = 503, description = "Not yet, or the server goes down", body = String),
    ),
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.is_ready() {
        return "ready\n".into_response();
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, "going down\n").into_response();
    problem::say_when(&mut response, None);
    response
}
