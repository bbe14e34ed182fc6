//! What is left of a connector whose configuration says `enabled: false`: it takes everything, sends nothing, and says so.

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{any, get};
use realtime_connector_core::event::Published;
use realtime_connector_core::id::MessageId;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::time::{Now, UnixMs};
use realtime_connector_core::worker::publishing::fresh_id;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Config;
use crate::http::{answer, health, problem};

/// 503 to everything but the question whether the process lives.
pub(crate) fn router() -> Router {
    Router::new().route("/health/live", get(health::live)).fallback(refuse).layer(map_response(answer::mark))
}

/// The same for a host application: only what a connector that works would answer.
pub(crate) fn mounted(config: &Config) -> Router {
    let (websocket, sse) = (&config.providers.websocket.path, &config.providers.sse.path);
    let below = [format!("{sse}/{{connection}}"), "/api/{*rest}".into(), "/health/ready".into(), "/metrics".into()];
    let mut router = Router::new().route("/health/live", get(health::live));
    for path in [websocket, sse].into_iter().chain(&below) {
        router = router.route(path, any(refuse));
    }
    router.route_layer(map_response(answer::mark))
}

/// Answers so until told to stop.
pub(crate) async fn serve(listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    if let Err(error) = axum::serve(listener, router()).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the listener ended");
    }
}

async fn refuse() -> Response {
    let message = "this server is switched off: `enabled` is false in its configuration";
    problem::response(&Rejection::new(RejectionKind::Unavailable, message))
}

/// The answer to a publish that reaches nobody.
pub(crate) fn published(id: Option<MessageId>) -> Published {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let wall = UnixMs(u64::try_from(wall.as_millis()).unwrap_or(0));
    let id = id.unwrap_or_else(|| fresh_id(Now { wall, ..Now::default() }, crate::engine::random_u64()));
    Published { id, position: None, duplicate: false, connections: 0, queued: false }
}
