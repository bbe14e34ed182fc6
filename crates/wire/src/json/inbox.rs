//! The inbox: `connect.inbox`, the op `inbox`, the event `inbox`, and the bodies of the HTTP API about it.

use realtime_connector_core::command::Command;
use realtime_connector_core::history::{HistoryPage, Rest};
use realtime_connector_core::id::UserId;
use realtime_connector_core::inbox::{InboxCommand, Mode};
use realtime_connector_core::limits::{HISTORY_PAGE, HISTORY_PAGE_MAX};
use realtime_connector_core::position::{Epoch, Offset};
use realtime_connector_core::rejection::Rejection;

use super::acks::{epoch, which};
use super::fields::{Object, Value};
use super::history::{parse_rest, rest_to_string};
use super::publish::write_message;
use super::write::{Writer, alternatives, list};
use realtime_connector_core::acks::Which;

pub(super) fn mode(value: &Value<'_>) -> Result<Mode, Rejection> {
    parse_inbox_mode(&value.text()?).map_err(|rejection| value.refuse(rejection.message))
}

/// Reads how a connection acks, out of a URL.
///
/// # Errors
/// That it is neither of the two words.
pub fn parse_inbox_mode(text: &str) -> Result<Mode, Rejection> {
    match text {
        "auto" => Ok(Mode::Auto),
        "manual" => Ok(Mode::Manual),
        _ => Err(Rejection::field("inbox", format!("must be {}", alternatives(&["auto", "manual"])))),
    }
}

pub(super) fn decode(object: &Object<'_>) -> Result<Command, Rejection> {
    object.only("inbox", &["action", "limit", "cursor"], &[])?;
    let action = object.required("action")?;
    let command = match &*action.text()? {
        "list" => {
            let limit = object.optional("limit", |value| value.integer(1, u64::from(HISTORY_PAGE_MAX)))?;
            let rest = object.optional("cursor", |value| {
                parse_rest(&value.text()?).ok_or_else(|| value.refuse("is no cursor of an earlier answer"))
            })?;
            InboxCommand::List { limit: limit.map_or(HISTORY_PAGE, |limit| limit as u32), rest }
        }
        "clear" => {
            for name in ["limit", "cursor"] {
                if let Some(value) = object.get(name) {
                    return Err(value.refuse("means nothing with 'clear'"));
                }
            }
            InboxCommand::Clear
        }
        _ => return Err(action.refuse(format!("must be {}", alternatives(&["list", "clear"])))),
    };
    Ok(Command::Inbox(command))
}

/// Reads the cursor of an earlier answer.
///
/// # Errors
/// That it is none.
pub fn parse_inbox_cursor(text: &str) -> Result<Rest, Rejection> {
    parse_rest(text).ok_or_else(|| Rejection::field("cursor", "is no cursor of an earlier answer"))
}

/// What `POST /api/ack` says about an inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxAck {
    /// Whose inbox.
    pub user: UserId,
    /// The life of the log that the offsets belong to.
    pub epoch: Option<Epoch>,
    /// What is acked.
    pub which: Which,
}

pub(super) fn read_ack(object: &Object<'_>) -> Result<InboxAck, Rejection> {
    object.only("an ack of '$inbox'", &["consumer", "userId", "epoch", "offsets", "upTo"], &[])?;
    let user = object.required("userId")?.name(UserId::parse)?;
    Ok(InboxAck { user, epoch: epoch(object)?, which: which(object)? })
}

/// Writes a page as an object of its own: the answer of `GET /api/inbox`.
pub fn write_inbox(out: &mut Vec<u8>, page: &HistoryPage) {
    let mut writer = Writer::new(out);
    write_inbox_fields(&mut writer, page);
    writer.end();
}

pub(super) fn write_inbox_fields(writer: &mut Writer<'_>, page: &HistoryPage) {
    list(writer.field("messages"), &page.records, |out, record| write_message(out, record));
    writer.integer("pending", u64::from(page.pending.unwrap_or_default()));
    writer.text("epoch", page.position.epoch.as_str());
    writer.text_if("next", page.next.as_ref().map(rest_to_string).as_deref());
}

pub(super) fn write_event(out: &mut Vec<u8>, pending: u32, cancelled: &[Offset], dropped: u64) {
    let mut writer = Writer::frame(out, "inbox", None);
    writer.integer("pending", u64::from(pending));
    if !cancelled.is_empty() {
        list(writer.field("cancelled"), cancelled, |out, offset| {
            serde_json::to_writer(out, offset).expect("a Vec takes every write")
        });
    }
    writer.integer_if("dropped", (dropped > 0).then_some(dropped));
    writer.end();
}
