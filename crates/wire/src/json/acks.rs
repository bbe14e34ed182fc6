//! Acks: what became of deliveries, as a frame or as the body of `POST /api/ack`.

use std::sync::Arc;
use std::time::Duration;

use realtime_connector_core::acks::{AckOf, AckOutcome, Acknowledge, Which};
use realtime_connector_core::command::Command;
use realtime_connector_core::id::{ChannelName, ConsumerName};
use realtime_connector_core::limits::{ACK_DELAY_MAX, ACK_REASON_BYTES_MAX, SAFE_INTEGER_MAX};
use realtime_connector_core::position::Epoch;
use realtime_connector_core::rejection::Rejection;

use super::consumers;
use super::fields::{Object, Shape, Value};
use super::inbox::{self, InboxAck};
use super::utf8;
use super::write::alternatives;

const SERVED: &[&str] = &["consumer", "group", "channel", "epoch", "offsets", "upTo", "outcome", "delayMs", "reason"];
/// The name of the own inbox among consumers.
pub(super) const INBOX: &str = "$inbox";

pub(super) fn decode(object: &Object<'_>) -> Result<Command, Rejection> {
    read(object).map(|ack| Command::Ack(Box::new(ack)))
}

/// What `POST /api/ack` says.
#[derive(Clone, Debug, PartialEq)]
pub enum AckBody {
    /// About the inbox of a user.
    Inbox(InboxAck),
    /// About deliveries of a durable consumer.
    Deliveries(Acknowledge),
}

/// Reads the body of `POST /api/ack`, which has the fields of the frame, and `userId` with `$inbox`.
///
/// # Errors
/// What is wrong with it.
pub fn decode_ack_body(body: &[u8]) -> Result<AckBody, Rejection> {
    let object = Object::read(utf8(body)?, Shape::Plain);
    object.check()?;
    if object.required("consumer")?.text()? == INBOX {
        return inbox::read_ack(&object).map(AckBody::Inbox);
    }
    read(&object).map(AckBody::Deliveries)
}

fn read(object: &Object<'_>) -> Result<Acknowledge, Rejection> {
    object.only("ack", SERVED, &[])?;
    let of = of(object)?;
    let epoch = epoch(object)?;
    let which = which(object)?;
    let outcome = outcome(object, &of)?;
    Ok(Acknowledge { of, epoch, which, outcome })
}

pub(super) fn epoch(object: &Object<'_>) -> Result<Option<Epoch>, Rejection> {
    object.optional("epoch", |value| {
        let message = || format!("must be 1 to {} ASCII letters and digits", Epoch::BYTES_MAX);
        Epoch::parse(&value.text()?).ok_or_else(|| value.refuse(message()))
    })
}

fn of(object: &Object<'_>) -> Result<AckOf, Rejection> {
    let consumer = object.required("consumer")?;
    let channel = object.get("channel");
    if consumer.text()? == INBOX {
        let other = channel.or_else(|| object.get("group"));
        return match other {
            None => Ok(AckOf::Inbox),
            Some(channel) => Err(channel.refuse("means nothing with '$inbox', which has a channel of its own")),
        };
    }
    let consumer = consumer.name(ConsumerName::parse)?;
    let group = object.optional("group", |value| value.name(ConsumerName::parse))?;
    Ok(AckOf::Consumer { consumer, group, channel: object.required("channel")?.name(ChannelName::parse)? })
}

pub(super) fn which(object: &Object<'_>) -> Result<Which, Rejection> {
    match (object.get("offsets"), object.get("upTo")) {
        (Some(offsets), None) => consumers::offsets(&offsets).map(Which::Offsets),
        (None, Some(up_to)) => up_to.integer(1, SAFE_INTEGER_MAX).map(Which::UpTo),
        (Some(_), Some(_)) => Err(Rejection::field(object.place("upTo"), "must not stand beside 'offsets'")),
        (None, None) => Err(Rejection::field(object.place("offsets"), "is missing, and so is 'upTo'")),
    }
}

fn outcome(object: &Object<'_>, of: &AckOf) -> Result<AckOutcome, Rejection> {
    let delay = object.optional("delayMs", |value| value.integer(0, ACK_DELAY_MAX.as_millis() as u64))?;
    let reason = object.optional("reason", |value| {
        value.bounded(ACK_REASON_BYTES_MAX)?;
        value.text().map(|text| Arc::from(&*text))
    })?;
    let value = object.get("outcome");
    let word = value.as_ref().map(Value::text).transpose()?;
    let outcome = match word.as_deref().unwrap_or("done") {
        "done" => AckOutcome::Done,
        "retry" => AckOutcome::Retry { delay: delay.map(Duration::from_millis) },
        "dead" => AckOutcome::Dead { reason: reason.clone() },
        "progress" => AckOutcome::Progress,
        _ => {
            let words = alternatives(&["done", "retry", "dead", "progress"]);
            return Err(Rejection::field(object.place("outcome"), format!("must be {words}")));
        }
    };
    if *of == AckOf::Inbox && outcome != AckOutcome::Done {
        return Err(Rejection::field(object.place("outcome"), "must be 'done' for '$inbox'"));
    }
    if delay.is_some() && !matches!(outcome, AckOutcome::Retry { .. }) {
        return Err(Rejection::field(object.place("delayMs"), "means nothing without 'retry'"));
    }
    if reason.is_some() && !matches!(outcome, AckOutcome::Dead { .. }) {
        return Err(Rejection::field(object.place("reason"), "means nothing without 'dead'"));
    }
    Ok(outcome)
}
