//! `GET` and `DELETE /api/inbox`, and acks of inboxes: what waits for a user.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use realtime_connector_core::id::{AppId, ChannelKey, UserId};
use realtime_connector_core::rejection::Rejection;
use realtime_connector_core::worker::InboxCall;
use realtime_connector_wire::json;

use super::answer;
use super::params::Params;
use super::problem::Refusal;
use super::schemas::{Empty, InboxPage};
use crate::app::App;

/// See what waits for a user
///
/// Messages to the user that nobody has acked, oldest first.
#[utoipa::path(
    get, path = "/api/inbox", tag = "messages", operation_id = "getInbox",
    params(
        ("userId" = String, Query, description = "Whose"),
        ("limit" = Option<u32>, Query, description = "Messages of the page, 1 to 1,000; 100 if absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "A page", body = InboxPage)),
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["userId", "limit", "cursor"])?;
    let channel = inbox_of(&params)?;
    let limit = u32::try_from(params.limit()?).expect("limits are small");
    let rest = params.get("cursor").map(json::parse_inbox_cursor).transpose()?;
    let page = app.node.list_inbox(channel, limit, rest).await?;
    let mut out = Vec::new();
    json::write_inbox(&mut out, &page);
    Ok(answer::json_bytes(out))
}

/// Empty a user's inbox
///
/// For all of the user's devices. What is in history stays there.
#[utoipa::path(
    delete, path = "/api/inbox", tag = "messages", operation_id = "clearInbox",
    params(("userId" = String, Query, description = "Whose")),
    responses((status = 200, description = "Nothing waits any more", body = Empty)),
)]
pub(super) async fn clear(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["userId"])?;
    app.node.change_inbox(inbox_of(&params)?, InboxCall::Clear).await?;
    Ok(answer::empty())
}

fn inbox_of(params: &Params) -> Result<ChannelKey, Rejection> {
    let user = params.name("userId", UserId::parse)?;
    let user = user.ok_or_else(|| Rejection::field("userId", "is missing"))?;
    Ok(ChannelKey::user(AppId::default(), user))
}
