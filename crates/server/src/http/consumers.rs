//! `/api/consume`, `/api/consumers`, `/api/dead-letters` and `/api/requeue`: durable consumers, for services without a
//! connection and for those who look after them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use realtime_connector_core::consumers::{Done, Order};
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, ConsumerName};
use realtime_connector_core::limits::SAFE_INTEGER_MAX;
use realtime_connector_core::rejection::Rejection;
use realtime_connector_wire::json;

use super::params::Params;
use super::problem::Refusal;
use super::schemas::{ConsumeAnswer, ConsumeBody, Consumer, DeadLetter, Empty, RequeueAnswer, RequeueBody};
use super::{answer, body, pages::Page};
use crate::app::App;

fn named(name: ChannelName) -> ChannelKey {
    ChannelKey::named(AppId::default(), name)
}

/// Take messages as a durable consumer
///
/// Each message goes to one member of the group, and comes again until it is acked. Where there is none, the answer waits up to `waitMs`
/// and may be empty. A consumer that does not exist begins at `from`.
#[utoipa::path(
    post, path = "/api/consume", tag = "consumers", operation_id = "consume",
    request_body = ConsumeBody,
    responses((status = 200, description = "What there is", body = ConsumeAnswer)),
)]
pub(super) async fn take(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let bytes = body::read(request, body::FRAME_BYTES_MAX).await?;
    let take = json::decode_take_body(&bytes)?;
    let json::Take { channel, member, terms, limit, wait } = take;
    let order = Order::Take { member, terms, limit, wait };
    let Done::Taken(taken) = app.node.consumers(named(channel), order).await? else { return Ok(answer::empty()) };
    let mut out = Vec::new();
    json::write_taken(&mut out, &taken);
    Ok(answer::json_bytes(out))
}

/// List the durable consumers of a channel
#[utoipa::path(
    get, path = "/api/consumers", tag = "consumers", operation_id = "listConsumers",
    params(("channel" = String, Query, description = "The channel")),
    responses((status = 200, description = "All of them; there are at most 64", body = Page<Consumer>)),
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["channel"])?;
    let channel = required(params.name("channel", ChannelName::parse)?, "channel")?;
    let Done::List(items) = app.node.consumers(named(channel), Order::List).await? else { return Ok(answer::empty()) };
    let mut out = Vec::new();
    json::write_consumers(&mut out, &items);
    Ok(answer::json_bytes(out))
}

/// Remove a durable consumer
///
/// With its dead letters. Its members are told. The messages of the channel stay.
#[utoipa::path(
    delete, path = "/api/consumers", tag = "consumers", operation_id = "deleteConsumer",
    params(
        ("channel" = String, Query, description = "The channel"),
        ("consumer" = String, Query, description = "The consumer, or the group"),
    ),
    responses((status = 200, description = "It is gone", body = Empty)),
)]
pub(super) async fn delete(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["channel", "consumer"])?;
    let (channel, consumer) = of(&params)?;
    app.node.consumers(channel, Order::Delete { consumer }).await?;
    Ok(answer::empty())
}

/// List dead letters
///
/// Messages that a consumer has given up, in the order of the channel. The messages themselves are in its history, as long as it is kept.
#[utoipa::path(
    get, path = "/api/dead-letters", tag = "consumers", operation_id = "listDeadLetters",
    params(
        ("channel" = String, Query, description = "The channel"),
        ("consumer" = String, Query, description = "The consumer, or the group"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 1 to 1,000; 100 if absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "A page", body = Page<DeadLetter>)),
)]
pub(super) async fn dead_letters(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["channel", "consumer", "limit", "cursor"])?;
    let (channel, consumer) = of(&params)?;
    let limit = params.limit()?;
    let after = match params.get("cursor") {
        None => 0,
        Some(text) => {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let offset = text.parse().ok().filter(|offset| digits && *offset <= SAFE_INTEGER_MAX);
            offset.ok_or_else(|| Rejection::field("cursor", "must be the 'next' of a page of this list"))?
        }
    };
    let order = Order::DeadLetters { consumer, after, limit };
    let Done::DeadLetters(items, more) = app.node.consumers(channel, order).await? else { return Ok(answer::empty()) };
    let next = items.last().filter(|_| more).map(|item| item.position.offset.to_string());
    let mut out = Vec::new();
    json::write_dead_letters(&mut out, &items, next.as_deref());
    Ok(answer::json_bytes(out))
}

/// Give dead letters back
///
/// To their consumer, as if they had never been delivered.
#[utoipa::path(
    post, path = "/api/requeue", tag = "consumers", operation_id = "requeue",
    request_body = RequeueBody,
    responses((status = 200, description = "They come again", body = RequeueAnswer)),
)]
pub(super) async fn requeue(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let bytes = body::read(request, body::FRAME_BYTES_MAX).await?;
    let json::Requeue { channel, consumer, offsets } = json::decode_requeue_body(&bytes)?;
    let order = Order::Requeue { consumer, offsets };
    let Done::Requeued(count) = app.node.consumers(named(channel), order).await? else { return Ok(answer::empty()) };
    let mut out = Vec::new();
    json::write_requeued(&mut out, count);
    Ok(answer::json_bytes(out))
}

fn of(params: &Params) -> Result<(ChannelKey, ConsumerName), Rejection> {
    let channel = required(params.name("channel", ChannelName::parse)?, "channel")?;
    let consumer = required(params.name("consumer", ConsumerName::parse)?, "consumer")?;
    Ok((named(channel), consumer))
}

fn required<T>(value: Option<T>, name: &'static str) -> Result<T, Rejection> {
    value.ok_or_else(|| Rejection::field(name, "is missing"))
}
