//! Bodies as the OpenAPI document describes them. The wire crate reads and writes most of them; these types only describe.

use serde::Serialize;
use utoipa::openapi::schema::{OneOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// A schema that is one of others.
macro_rules! one_of {
    ($(#[doc = $doc:literal])* $name:ident: $first:ident or $second:ident) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub(super) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let item = Ref::from_schema_name;
                let (first, second) = (item(stringify!($first)), item(stringify!($second)));
                let description = concat!($($doc),*).trim();
                OneOfBuilder::new().item(first).item(second).description(Some(description)).into()
            }
        }

        impl ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                schemas.push((stringify!($first).to_owned(), $first::schema()));
                schemas.push((stringify!($second).to_owned(), $second::schema()));
                $first::schemas(schemas);
                $second::schemas(schemas);
            }
        }
    };
}

one_of!(
    /// One message, or several.
    BroadcastBody: Message or Batch
);
one_of!(
    /// What became of a message of a batch.
    BatchResult: Published or Refused
);
one_of!(
    /// What became of one message, or of several.
    BroadcastAnswer: Published or BatchResults
);

/// A place in a channel's log: "everything up to and including this".
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Position {
    /// Opaque; offsets of different epochs have nothing to do with each other.
    #[schema(examples("k3f9"))]
    pub(super) epoch: String,
    #[schema(examples(1042))]
    pub(super) offset: u64,
}

/// Messages of the past.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct HistoryPage {
    /// As they were delivered, in the order that was asked for.
    #[schema(value_type = Vec<serde_json::Value>)]
    messages: Vec<serde_json::Value>,
    /// The newest offset this page covers: a subscription `since` here goes on without a hole.
    position: Position,
    /// The `cursor` of the next page; absent at the end.
    next: Option<String>,
    /// What is not there any more.
    gap: Option<Gap>,
}

/// A page of an inbox.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct InboxPage {
    /// As they were delivered, oldest first.
    #[schema(value_type = Vec<serde_json::Value>)]
    messages: Vec<serde_json::Value>,
    /// Messages that wait, on this page or not.
    pending: u32,
    /// Which life of the user's log the offsets belong to.
    epoch: String,
    /// The `cursor` of the next page; absent at the end.
    next: Option<String>,
}

/// Offsets for which there is no message.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct Gap {
    channel: String,
    /// First offset; absent where the epoch changed.
    from: Option<u64>,
    /// Last offset.
    to: Option<u64>,
    #[schema(examples("window"))]
    reason: String,
    /// Whether it is loss, as opposed to a deliberate skip.
    lost: bool,
}

/// What to remove.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) struct PurgeBody {
    #[schema(min_length = 1, max_length = 255)]
    channel: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    /// Up to this one, included; all there are if absent.
    until: Option<Position>,
}

/// Up to where nothing can be read any more.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct PurgeAnswer {
    position: Position,
}

/// Who takes messages, and how.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) struct ConsumeBody {
    #[schema(min_length = 1, max_length = 255)]
    channel: String,
    /// The consumer, or the member of the group.
    #[schema(min_length = 1, max_length = 128)]
    consumer: String,
    /// Its members compete: each message goes to one of them.
    #[schema(min_length = 1, max_length = 128)]
    group: Option<String>,
    /// Where a new consumer begins: `"new"` (if absent), `"all"`, or after a position.
    #[schema(value_type = Option<serde_json::Value>)]
    from: Option<serde_json::Value>,
    /// Messages, at most; 10 if absent.
    #[schema(minimum = 1, maximum = 1_000)]
    limit: Option<u32>,
    /// How long to wait for messages where there are none; not at all if absent.
    #[schema(minimum = 0, maximum = 30_000)]
    wait_ms: Option<u32>,
    /// Time to ack them; 30 s if absent.
    #[schema(minimum = 1_000, maximum = 43_200_000)]
    ack_wait_ms: Option<u32>,
}

/// What there is for a consumer.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct ConsumeAnswer {
    deliveries: Vec<Delivery>,
    /// Everything up to here is done.
    position: Position,
    /// What the channel lost before the consumer got it.
    gap: Option<Gap>,
}

/// A message that has to be acked.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct Delivery {
    /// Which delivery of this message it is; the first one is 1.
    attempt: u8,
    /// As it is delivered to subscribers; its `offset` is what to ack.
    #[schema(value_type = serde_json::Value)]
    message: serde_json::Value,
}

/// What became of deliveries.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) struct AckBody {
    /// The name of the consumer, or `$inbox`.
    #[schema(min_length = 1, max_length = 128)]
    consumer: String,
    /// Of a consumer: its channel.
    #[schema(min_length = 1, max_length = 255)]
    channel: Option<String>,
    /// Of `$inbox`: whose.
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    group: Option<String>,
    /// The epoch of the messages; the present one if absent.
    epoch: Option<String>,
    /// Which; or `upTo`.
    #[schema(min_items = 1, max_items = 1_000)]
    offsets: Option<Vec<u64>>,
    /// All that were delivered to this consumer up to here.
    up_to: Option<u64>,
    /// `done` if absent.
    outcome: Option<AckOutcome>,
    /// With `retry`: not before.
    #[schema(minimum = 0, maximum = 86_400_000)]
    delay_ms: Option<u32>,
    /// With `dead`: at most 256 bytes.
    reason: Option<String>,
}

/// See `outcome`.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) enum AckOutcome {
    Done,
    Retry,
    Dead,
    Progress,
}

/// A durable consumer of a channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Consumer {
    consumer: String,
    /// Whether it is a group.
    group: bool,
    /// Everything up to here is done.
    position: Position,
    /// Members that are there.
    members: u32,
    /// Messages that are not done.
    pending: u64,
    /// Of these, with a member.
    outstanding: u32,
    /// Dead letters.
    dead: u32,
    /// Dead letters dropped because there were more than 1,000.
    dead_dropped: u64,
    /// Messages that the channel lost before they were done.
    lost: u64,
}

/// A message given up on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetter {
    /// Where the message is, as long as its channel keeps it.
    position: Position,
    /// How often it was delivered.
    attempts: u8,
    reason: String,
    /// When it was given up, in milliseconds since 1970.
    time: u64,
}

/// Dead letters to give back.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) struct RequeueBody {
    #[schema(min_length = 1, max_length = 255)]
    channel: String,
    /// The consumer, or the group.
    #[schema(min_length = 1, max_length = 128)]
    consumer: String,
    /// Which; all if absent.
    #[schema(min_items = 1, max_items = 1_000)]
    offsets: Option<Vec<u64>>,
}

/// How many come again.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct RequeueAnswer {
    requeued: u32,
}

/// Nothing to tell: `{}`.
#[derive(Debug, ToSchema)]
pub(super) struct Empty {}

/// A message to publish. Without `channel` and `userId` it goes to everyone, with both to the user's connections in the channel.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) struct Message {
    #[schema(min_length = 1, max_length = 255)]
    channel: Option<String>,
    #[schema(min_length = 1, max_length = 128)]
    user_id: Option<String>,
    /// What kind of event it is.
    #[schema(min_length = 1, max_length = 128, examples("order.created"))]
    r#type: String,
    /// Any JSON; `null` if absent. At most 64 KiB as written, unless configured otherwise.
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<serde_json::Value>,
    /// For idempotence: the same id again within 5 minutes gets the first answer. Made by the server if absent.
    #[schema(min_length = 1, max_length = 128)]
    id: Option<String>,
    /// Groups messages of a channel.
    #[schema(min_length = 1, max_length = 128)]
    key: Option<String>,
    /// At most once, to those listening now; in no history. Always so with both `channel` and `userId`.
    ephemeral: Option<bool>,
    /// Connections that do not get it.
    #[schema(max_items = 16)]
    exclude: Option<Vec<String>>,
    /// At most 2 KiB, for the receivers.
    #[schema(value_type = Option<Object>)]
    meta: Option<serde_json::Value>,
    /// For how long it is worth replaying, in milliseconds.
    #[schema(minimum = 1, maximum = 31_536_000_000_i64)]
    ttl_ms: Option<u64>,
    /// When the answer comes: at once, when the channel has it, or when it is safe on the disk. By default the last where the
    /// channel is stored, which is the only place for it, else the second.
    ack: Option<Ack>,
}

/// See `ack`.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) enum Ack {
    None,
    Node,
    Stored,
}

/// Several messages; each is accepted or refused for itself.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) struct Batch {
    #[schema(max_items = 100)]
    messages: Vec<Message>,
}

/// What became of a message.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct Published {
    /// The message's id.
    id: String,
    /// Absent if ephemeral.
    position: Option<Position>,
    /// The same id and content came before; this is the first one's answer.
    duplicate: Option<bool>,
    /// Connections that listened when it was accepted. Not a receipt; absent with `duplicate`.
    connections: Option<u32>,
    /// It waits in the user's inbox until it is acked.
    queued: Option<bool>,
}

/// A message of a batch that was refused.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct Refused {
    /// A problem, without `status`.
    error: Problem,
}

/// The results of a batch, in the order of its messages.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct BatchResults {
    results: Vec<BatchResult>,
}

/// Which channel.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) struct ChannelBody {
    #[schema(min_length = 1, max_length = 255)]
    channel: String,
}

/// New metadata of a connection, in place of the old.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) struct MetaBody {
    /// At most 2 KiB as written; `null` removes it.
    #[schema(value_type = Option<Object>, required)]
    meta: Option<serde_json::Value>,
}

/// Where a subscription begins.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct Subscribed {
    channel: String,
    /// The next message is the one after this.
    position: Position,
    /// Offset of the newest message.
    head: u64,
    /// What the connection may do here.
    can: Vec<String>,
}

/// Why a request is refused (RFC 9457).
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the wire crate writes")]
pub(super) struct Problem {
    /// A word of the protocol, which tells programs what to do.
    #[schema(examples("bad_request"))]
    code: String,
    /// For people and logs; the wording may change.
    message: String,
    /// The HTTP status.
    status: u16,
    /// Whether the same request can succeed later.
    retryable: bool,
    /// When it may, in milliseconds.
    retry_after_ms: Option<u32>,
    /// The field or parameter at fault.
    field: Option<String>,
    /// The channel it is about.
    channel: Option<String>,
    /// The bound that was hit.
    limit: Option<u64>,
}
