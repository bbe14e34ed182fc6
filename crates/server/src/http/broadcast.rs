//! `POST /api/broadcast`: publish from a server, one message or up to 100.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::join_all;
use realtime_connector_core::command::Publish;
use realtime_connector_core::event::Published;
use realtime_connector_core::publish::{PublishResult, Publisher};
use realtime_connector_core::rejection::Rejection;
use realtime_connector_wire::json::{self, Broadcast, DecodeLimits};

use super::key::KeyName;
use super::params::Params;
use super::problem::Refusal;
use super::schemas::{BroadcastAnswer, BroadcastBody};
use super::{answer, body};
use crate::app::App;

/// Publish
///
/// One message, or up to 100 in one request. In a batch each message is accepted or refused for itself, and the status is 200.
#[utoipa::path(
    post, path = "/api/broadcast", tag = "messages", operation_id = "broadcast",
    request_body = BroadcastBody,
    responses((status = 200, description = "Accepted", body = BroadcastAnswer)),
)]
pub(super) async fn handle(
    State(app): State<Arc<App>>,
    Extension(KeyName(name)): Extension<KeyName>,
    request: Request,
) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let publisher = Publisher::Server(name);
    let bytes = body::read(request, body::BATCH_BYTES_MAX).await?;
    let limits = DecodeLimits { message_bytes: app.config.limits.message_bytes as usize };
    let mut out = Vec::new();
    match json::decode_broadcast(&bytes, &limits)? {
        Broadcast::One(publish) => {
            let published = app.publish(*publish, publisher).await?;
            json::write_published(&mut out, &published);
        }
        Broadcast::Many(messages) => {
            // `join_all` polls in order, so messages of one channel keep theirs.
            let publish = |message: Result<Publish, Rejection>| async {
                match message {
                    Ok(publish) => app.publish(publish, publisher.clone()).await,
                    Err(rejection) => Err(rejection),
                }
            };
            let results = join_all(messages.into_iter().map(publish)).await;
            write_results(&mut out, &results);
        }
    }
    Ok(answer::json_bytes(out))
}

fn write_results(out: &mut Vec<u8>, results: &[PublishResult]) {
    out.extend_from_slice(b"{\"results\":[");
    for (index, result) in results.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_result(out, result.as_ref());
    }
    out.extend_from_slice(b"]}");
}

fn write_result(out: &mut Vec<u8>, result: Result<&Published, &Rejection>) {
    match result {
        Ok(published) => json::write_published(out, published),
        Err(rejection) => {
            out.extend_from_slice(b"{\"error\":");
            json::write_rejection(out, rejection);
            out.push(b'}');
        }
    }
}
