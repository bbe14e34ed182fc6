//! `/api/channels` and `/api/channel`: what is in use.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use realtime_connector_core::id::{AppId, Audience, ChannelKey, ChannelName};
use realtime_connector_core::rejection::Rejection;
use realtime_connector_core::worker::{Answer, Call, ChannelInfo};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer;
use super::pages::{self, List, Page, Source};
use super::params::Params;
use super::problem::Refusal;
use super::schemas::Position;
use crate::app::App;

/// A channel as its home shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Channel {
    channel: String,
    /// Connections that listen.
    connections: u32,
    /// Its newest message; absent while nobody uses the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

impl Channel {
    /// `None` for channels without a name: `$all` and users' own.
    fn new(info: ChannelInfo) -> Option<Self> {
        let Audience::Named(name) = info.channel.audience else { return None };
        let position = Position { epoch: info.position.epoch.as_str().to_owned(), offset: info.position.offset };
        Some(Self { channel: name.as_str().to_owned(), connections: info.connections, position: Some(position) })
    }
}

/// List channels in use
///
/// Those with listeners or history. `$all` and users' own channels are not among them.
#[utoipa::path(
    get, path = "/api/channels", tag = "channels", operation_id = "listChannels",
    params(
        ("limit" = Option<u32>, Query, description = "Items of the page, 1 to 1,000; 100 if absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<Channel>)),
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["limit", "cursor"])?;
    let source = Source {
        list: List::Channels,
        call: |after, limit| Call::Channels { app: AppId::default(), after, limit },
        take: |answer| {
            let Answer::Channels { items, next } = answer else { return None };
            Some((items, next))
        },
    };
    let page = pages::collect(&app, &params, source).await?;
    let items: Vec<_> = page.items.into_iter().filter_map(Channel::new).collect();
    Ok(answer::json(&Page { items, next: page.next }))
}

/// Get a channel
///
/// A channel needs no creation: one that nobody uses has no connections and no position.
#[utoipa::path(
    get, path = "/api/channel", tag = "channels", operation_id = "getChannel",
    params(("channel" = String, Query, description = "Its name")),
    responses((status = 200, description = "The channel", body = Channel)),
)]
pub(super) async fn get(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["channel"])?;
    let name = params.name("channel", ChannelName::parse)?;
    let name = name.ok_or_else(|| Rejection::field("channel", "is missing"))?;
    let key = ChannelKey::named(AppId::default(), name.clone());
    let said = app.node.call(app.node.home(&key), Call::Channel(key)).await?;
    let found = if let Answer::Channel(Some(info)) = said { Channel::new(*info) } else { None };
    let nobody = || Channel { channel: name.as_str().to_owned(), connections: 0, position: None };
    Ok(answer::json(&found.unwrap_or_else(nobody)))
}
