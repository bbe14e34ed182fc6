//! `GET /api/info`: what a client needs to know to connect.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::app::App;
use crate::config::Provider;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Info {
    version: &'static str,
    protocol: u32,
    /// What a client uses when it does not choose.
    provider: Provider,
    providers: Providers,
    dev: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Providers {
    websocket: Endpoint,
    sse: Endpoint,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    enabled: bool,
    path: String,
    heartbeat_ms: u64,
}

/// The handler.
pub(crate) async fn handle(State(app): State<Arc<App>>) -> Json<Info> {
    let providers = &app.config.providers;
    let ms = |interval: std::time::Duration| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    Json(Info {
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
    })
}
