//! `GET /metrics`: the figures of all workers in the text format of OpenMetrics, which Prometheus reads.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::answer;
use super::params::Params;
use super::problem::Refusal;
use crate::app::App;
use crate::metrics;

/// Figures for monitoring
///
/// OpenMetrics text. No label holds anything that a client chose.
#[utoipa::path(
    get, path = "/metrics", tag = "server", operation_id = "getMetrics",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = metrics::CONTENT_TYPE)),
)]
pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let text = metrics::text(&app, app.figures().await?);
    Ok(answer::with_type(metrics::CONTENT_TYPE, text))
}
