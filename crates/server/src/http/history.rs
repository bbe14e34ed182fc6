//! `GET /api/history`: messages of the past.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, UserId};
use realtime_connector_core::limits::HISTORY_PAGE;
use realtime_connector_core::rejection::Rejection;
use realtime_connector_wire::json;

use super::answer;
use super::params::Params;
use super::problem::Refusal;
use super::schemas::HistoryPage;
use crate::app::App;

/// Read history
///
/// Messages of a channel, of a user (`userId`), or to everyone (neither), as far as they are kept: newest first, unless a start or a
/// direction says otherwise. A place in the past is a position such as `k3f9-1042`, `id:` and a message id, or `time:` and
/// milliseconds since 1970.
#[utoipa::path(
    get, path = "/api/history", tag = "messages", operation_id = "getHistory",
    params(
        ("channel" = Option<String>, Query, description = "Of this channel"),
        ("userId" = Option<String>, Query, description = "To this user"),
        ("since" = Option<String>, Query, description = "What came after this message or position, or at this time and later; oldest first"),
        ("until" = Option<String>, Query, description = "What came up to here, included; newest first"),
        ("around" = Option<String>, Query, description = "Some before and some after; oldest first"),
        ("direction" = Option<String>, Query, description = "`forward` is oldest first, `backward` newest first"),
        ("limit" = Option<u32>, Query, description = "Messages of the page, 1 to 1,000; 100 if absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before, in place of a start"),
    ),
    responses((status = 200, description = "A page", body = HistoryPage)),
)]
pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    const KNOWN: [&str; 8] = ["channel", "userId", "since", "until", "around", "direction", "limit", "cursor"];
    let params = Params::read(request.uri(), &KNOWN)?;
    let channel = match (params.name("channel", ChannelName::parse)?, params.name("userId", UserId::parse)?) {
        (Some(name), None) => ChannelKey::named(AppId::default(), name),
        (None, Some(user)) => ChannelKey::user(AppId::default(), user),
        (None, None) => ChannelKey::everyone(AppId::default()),
        (Some(_), Some(_)) => {
            return Err(
                Rejection::field("userId", "must not stand beside 'channel': such messages are not kept").into()
            );
        }
    };
    const { assert!(HISTORY_PAGE as usize == super::params::LIMIT_DEFAULT) };
    let limit = u32::try_from(params.limit()?).expect("limits are small");
    let query = json::query_of(|name| params.get(name), limit)?;
    let page = app.node.history(channel.clone(), query).await?;
    let mut out = Vec::new();
    json::write_history(&mut out, &page, &channel);
    Ok(answer::json_bytes(out))
}
