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

/// What to ack: `offsets`, or everything `upTo` one.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the wire crate reads")]
pub(super) struct InboxAckBody {
    /// `$inbox`.
    #[schema(examples("$inbox"))]
    consumer: String,
    /// Whose inbox.
    #[schema(min_length = 1, max_length = 128)]
    user_id: String,
    /// The epoch of the offsets; the present one if absent.
    epoch: Option<String>,
    /// These; at most 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    offsets: Option<Vec<u64>>,
    /// All up to this one.
    up_to: Option<u64>,
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
