//! The HTTP side: the router, and one file per resource.

mod acks;
pub(crate) mod answer;
pub(crate) mod body;
mod broadcast;
mod channels;
mod connections;
mod consumers;
pub(crate) mod cors;
mod events;
mod guard;
pub(crate) mod health;
mod history;
mod inbox;
mod info;
mod key;
mod metrics;
mod openapi;
mod pages;
pub(crate) mod params;
mod playground;
pub(crate) mod problem;
mod purge;
mod schemas;
mod uplink;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{any, get, post};

use crate::app::App;
use crate::transport::{sse, ws};

/// Everything the server answers on a listener of its own, as one router.
pub(crate) fn router(app: &Arc<App>) -> Router {
    routes(app)
        .fallback(problem::not_found)
        .layer(from_fn_with_state(app.clone(), cors::apply))
        .layer(from_fn(guard::head))
        .layer(map_response(answer::mark))
        .with_state(app.clone())
}

/// The same for a host application. What is not ours is the host's: no fallback, and no layer around the one it gets.
pub(crate) fn mounted(app: &Arc<App>) -> Router {
    routes(app)
        .route_layer(from_fn_with_state(app.clone(), cors::apply))
        .route_layer(from_fn(guard::head))
        .route_layer(map_response(answer::mark))
        .with_state(app.clone())
}

/// Every path that is known. Layers here are around routes only: `layer` would wrap the fallback of a host too.
fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let mut router = providers(app).merge(api(app));
    if app.playground {
        router = router.merge(playground::router());
    }
    router
        .route_layer(from_fn_with_state(app.clone(), guard::visitor))
        // Whoever restarts the process asks by any name.
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .method_not_allowed_fallback(problem::method_not_allowed)
}

/// What clients connect to.
fn providers(app: &Arc<App>) -> Router<Arc<App>> {
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
}

/// What servers call, and what looks at them. Everything needs a key, but for what pages must know before they connect.
fn api(app: &Arc<App>) -> Router<Arc<App>> {
    let require_key = || from_fn_with_state(app.clone(), key::require);
    let events = Router::new().route("/api/events", get(events::handle)).route_layer(require_key());
    let connection = get(connections::get).delete(connections::end).patch(connections::set_meta);
    Router::new()
        .route("/api/ack", post(acks::handle))
        .route("/api/broadcast", post(broadcast::handle))
        .route("/api/channel", get(channels::get))
        .route("/api/channels", get(channels::list))
        .route("/api/connections", get(connections::list))
        .route("/api/connections/{connectionId}", connection)
        .route("/api/connections/{connectionId}/subscribe", post(connections::subscribe))
        .route("/api/connections/{connectionId}/unsubscribe", post(connections::unsubscribe))
        .route("/api/consume", post(consumers::take))
        .route("/api/consumers", get(consumers::list).delete(consumers::delete))
        .route("/api/dead-letters", get(consumers::dead_letters))
        .route("/api/history", get(history::handle))
        .route("/api/inbox", get(inbox::list).delete(inbox::clear))
        .route("/api/purge", post(purge::handle))
        .route("/api/requeue", post(consumers::requeue))
        .route("/api/openapi.json", get(openapi::handle))
        .route("/metrics", get(metrics::handle))
        .route_layer(require_key())
        .route("/api/info", get(info::handle))
        .merge(events)
}
