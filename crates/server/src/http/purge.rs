//! `POST /api/purge`: remove messages of the past.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use realtime_connector_core::id::{AppId, ChannelKey};
use realtime_connector_wire::json;

use super::params::Params;
use super::problem::Refusal;
use super::schemas::{PurgeAnswer, PurgeBody};
use super::{answer, body};
use crate::app::App;

/// Remove messages
///
/// Those of a channel, of a user (`userId`), or to everyone (neither), up to a position or all there are. Nobody can read them any more
/// when the answer is there; whoever comes to their offsets is told by a gap of reason `purged`, which is no loss.
#[utoipa::path(
    post, path = "/api/purge", tag = "messages", operation_id = "purge",
    request_body = PurgeBody,
    responses((status = 200, description = "Removed", body = PurgeAnswer)),
)]
pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let bytes = body::read(request, body::FRAME_BYTES_MAX).await?;
    let purge = json::decode_purge_body(&bytes)?;
    let app_id = AppId::default();
    let channel = match (purge.channel, purge.user) {
        (Some(name), _) => ChannelKey::named(app_id, name),
        (None, Some(user)) => ChannelKey::user(app_id, user),
        (None, None) => ChannelKey::everyone(app_id),
    };
    let position = app.node.purge(channel, purge.until).await?;
    let mut out = Vec::new();
    json::write_purged(&mut out, &position);
    Ok(answer::json_bytes(out))
}
