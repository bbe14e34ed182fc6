//! `GET /api/info`: what a client needs to know to connect. Pages have no API key, so it needs none and tells nothing secret.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use super::params::Params;
use super::problem::Refusal;
use crate::app::App;
use crate::config::Provider;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info {
    name: &'static str,
    version: &'static str,
    /// Version of the native protocol.
    protocol: u32,
    /// What a client uses when it does not choose.
    #[schema(value_type = String, examples("websocket", "sse"))]
    provider: Provider,
    providers: Providers,
    /// Everything is allowed, and only loopback may come.
    dev: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Providers {
    websocket: Endpoint,
    sse: Endpoint,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    enabled: bool,
    path: String,
    /// How often the server gives a sign of life.
    heartbeat_ms: u64,
}

/// What a client needs to know to connect
#[utoipa::path(
    get, path = "/api/info", tag = "server", operation_id = "getInfo",
    responses((status = 200, description = "What is served and where", body = Info)),
)]
pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let providers = &app.config.providers;
    let ms = |interval: std::time::Duration| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    Ok(answer::json(&Info {
        name: "realtime-connector",
        version: env!("CARGO_PKG_VERSION"),
        protocol: 1,
        provider: app.config.provider,
        providers: Providers {
            websocket: Endpoint {
                enabled: providers.websocket.enabled,
                path: providers.websocket.path.clone(),
                heartbeat_ms: ms(providers.websocket.heartbeat_interval),
            },
            sse: Endpoint {
                enabled: providers.sse.enabled,
                path: providers.sse.path.clone(),
                heartbeat_ms: ms(providers.sse.heartbeat_interval),
            },
        },
        dev: app.dev,
    }))
}
