//! The HTTP side: the router, and one file per resource.

pub(crate) mod body;
mod broadcast;
pub(crate) mod cors;
mod guard;
mod health;
mod info;
pub(crate) mod problem;
mod uplink;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{any, get, post};

use crate::app::App;
use crate::transport::{sse, ws};

/// Everything the server answers, as one router.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let providers = &app.config.providers;
    let mut router = Router::new();
    if providers.websocket.enabled {
        router = router.route(&providers.websocket.path, any(ws::handle));
    }
    if providers.sse.enabled {
        let path = providers.sse.path.trim_end_matches('/');
        router = router
            .route(&providers.sse.path, get(sse::handle).post(sse::handle))
            .route(&format!("{path}/{{connection}}"), post(uplink::handle));
    }
    router
        .route("/api/broadcast", post(broadcast::handle))
        .route("/api/info", get(info::handle))
        .layer(middleware::from_fn_with_state(app.clone(), guard::check))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), cors::apply))
        .with_state(app.clone())
}
