//! `/api/ack`: what became of deliveries of a durable consumer, or of what waits in an inbox.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use realtime_connector_core::acks::{AckOf, Acknowledge};
use realtime_connector_core::consumers::{Membership, Order};
use realtime_connector_core::id::{AppId, ChannelKey};
use realtime_connector_core::rejection::Rejection;
use realtime_connector_core::worker::InboxCall;
use realtime_connector_wire::json::{self, AckBody, InboxAck};

use super::params::Params;
use super::problem::Refusal;
use super::schemas::{self, Empty};
use super::{answer, body};
use crate::app::App;

/// Say what became of deliveries
///
/// Of a durable consumer, or of what waits in a user's inbox, for all devices. `{}` once it is as safe as the channel's messages. An ack
/// may be repeated.
#[utoipa::path(
    post, path = "/api/ack", tag = "consumers", operation_id = "ack",
    request_body = schemas::AckBody,
    responses((status = 200, description = "Settled", body = Empty)),
)]
pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let bytes = body::read(request, body::FRAME_BYTES_MAX).await?;
    match json::decode_ack_body(&bytes)? {
        AckBody::Inbox(InboxAck { user, epoch, which }) => {
            let channel = ChannelKey::user(AppId::default(), user);
            app.node.change_inbox(channel, InboxCall::Ack { epoch, which }).await?;
        }
        AckBody::Deliveries(Acknowledge {
            of: AckOf::Consumer { consumer, group, channel },
            epoch,
            which,
            outcome,
        }) => {
            let order = Order::Ack { member: Membership { consumer, group }, epoch, which, outcome };
            app.node.consumers(ChannelKey::named(AppId::default(), channel), order).await?;
        }
        AckBody::Deliveries(Acknowledge { of: AckOf::Inbox, .. }) => {
            return Err(Rejection::field("userId", "is missing").into());
        }
    }
    Ok(answer::empty())
}
