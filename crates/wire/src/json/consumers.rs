//! Durable consumers: `consume`, the frames that members get, and the bodies of services without a connection.

use std::time::Duration;

use realtime_connector_core::command::{Command, Consume};
use realtime_connector_core::consumers::{
    ConsumerInfo, DeadLetter, Delivery, From, Joined, Membership, News, Notice, Taken, Terms,
};
use realtime_connector_core::id::{ChannelName, ConsumerName};
use realtime_connector_core::limits::{
    ACK_OFFSETS_MAX, ACK_WAIT_MAX, ACK_WAIT_MIN, PENDING_MAX, SAFE_INTEGER_MAX, TAKE, TAKE_WAIT_MAX,
};
use realtime_connector_core::position::Offset;
use realtime_connector_core::rejection::{Rejection, RejectionKind};

use super::fields::{Object, Shape, Value};
use super::history::{position, write_gap_fields, write_position};
use super::publish::{message_bytes, write_message};
use super::session::spelling;
use super::utf8;
use super::write::{Writer, list};

const SERVED: &[&str] = &["channel", "consumer", "group", "from", "ackWaitMs", "maxPending", "stop"];

pub(super) fn decode(object: &Object<'_>) -> Result<Command, Rejection> {
    object.only("consume", SERVED, &[])?;
    let channel = object.required("channel")?.name(ChannelName::parse)?;
    let member = member(object)?;
    let stop = object.optional("stop", Value::boolean)?.unwrap_or(false);
    if stop {
        let other = ["from", "ackWaitMs", "maxPending"].into_iter().find(|name| object.get(name).is_some());
        if let Some(name) = other {
            return Err(Rejection::field(object.place(name), "means nothing with 'stop'"));
        }
    }
    let mut terms = terms(object)?;
    if let Some(count) = object.optional("maxPending", |value| value.integer(1, u64::from(PENDING_MAX)))? {
        terms.pending_max = count as u32;
    }
    Ok(Command::Consume(Box::new(Consume { channel, member, terms: (!stop).then_some(terms) })))
}

fn member(object: &Object<'_>) -> Result<Membership, Rejection> {
    let consumer = object.required("consumer")?.name(ConsumerName::parse)?;
    let group = object.optional("group", |value| value.name(ConsumerName::parse))?;
    Ok(Membership { consumer, group })
}

fn terms(object: &Object<'_>) -> Result<Terms, Rejection> {
    let mut terms = Terms { from: object.optional("from", from)?.unwrap_or_default(), ..Terms::default() };
    let (min, max) = (ACK_WAIT_MIN.as_millis() as u64, ACK_WAIT_MAX.as_millis() as u64);
    if let Some(ms) = object.optional("ackWaitMs", |value| value.integer(min, max))? {
        terms.ack_wait = Duration::from_millis(ms);
    }
    Ok(terms)
}

fn from(value: &Value<'_>) -> Result<From, Rejection> {
    if value.raw.starts_with('{') {
        return position(value).map(From::Position);
    }
    let message = "must be 'new', 'all' or a position";
    match value.text().as_deref() {
        Ok("new") => Ok(From::New),
        Ok("all") => Ok(From::All),
        Ok(_) | Err(_) => Err(value.refuse(message)),
    }
}

/// The body of `POST /api/consume`.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    /// Of which channel.
    pub channel: ChannelName,
    /// As whom.
    pub member: Membership,
    /// How.
    pub terms: Terms,
    /// Messages, at most.
    pub limit: u32,
    /// How long to wait where there is none.
    pub wait: Duration,
}

/// Reads the body of `POST /api/consume`: `{channel, consumer, group?, from?, ackWaitMs?, limit?, waitMs?}`.
///
/// # Errors
/// What is wrong with it.
pub fn decode_take_body(body: &[u8]) -> Result<Take, Rejection> {
    let object = Object::read(utf8(body)?, Shape::Plain);
    object.check()?;
    let known = &["channel", "consumer", "group", "from", "ackWaitMs", "limit", "waitMs"];
    object.only("a consume", known, &[])?;
    let channel = object.required("channel")?.name(ChannelName::parse)?;
    let member = member(&object)?;
    let terms = Terms { pending_max: PENDING_MAX, ..terms(&object)? };
    let limit = object.optional("limit", |value| value.integer(1, u64::from(PENDING_MAX)))?;
    let wait = object.optional("waitMs", |value| value.integer(0, TAKE_WAIT_MAX.as_millis() as u64))?;
    let (limit, wait) = (limit.map_or(TAKE, |limit| limit as u32), Duration::from_millis(wait.unwrap_or(0)));
    Ok(Take { channel, member, terms, limit, wait })
}

/// The body of `POST /api/requeue`.
#[derive(Clone, Debug, PartialEq)]
pub struct Requeue {
    /// Of which channel.
    pub channel: ChannelName,
    /// Of which consumer.
    pub consumer: ConsumerName,
    /// Which; all if absent.
    pub offsets: Option<Vec<Offset>>,
}

/// Reads the body of `POST /api/requeue`: `{channel, consumer, offsets?}`.
///
/// # Errors
/// What is wrong with it.
pub fn decode_requeue_body(body: &[u8]) -> Result<Requeue, Rejection> {
    let object = Object::read(utf8(body)?, Shape::Plain);
    object.check()?;
    object.only("a requeue", &["channel", "consumer", "offsets"], &[])?;
    let channel = object.required("channel")?.name(ChannelName::parse)?;
    let consumer = object.required("consumer")?.name(ConsumerName::parse)?;
    Ok(Requeue { channel, consumer, offsets: object.optional("offsets", offsets)? })
}

pub(super) fn offsets(value: &Value<'_>) -> Result<Vec<Offset>, Rejection> {
    let Some(values) = value.list(ACK_OFFSETS_MAX)? else {
        let message = format!("must be at most {ACK_OFFSETS_MAX} offsets");
        let rejection = Rejection::new(RejectionKind::TooLarge, message).limit(ACK_OFFSETS_MAX as u64);
        return Err(rejection.at(value.field.clone()));
    };
    if values.is_empty() {
        return Err(value.refuse("must be at least one offset"));
    }
    values.iter().map(|value| value.integer(1, SAFE_INTEGER_MAX)).collect()
}

pub(super) fn write_joined_fields(writer: &mut Writer<'_>, joined: &Joined) {
    write_position(writer, &joined.position);
    if let Some(gap) = &joined.gap {
        let mut inner = writer.object("gap");
        write_gap_fields(&mut inner, gap);
        inner.end();
    }
}

pub(super) fn write_delivery(out: &mut Vec<u8>, delivery: &Delivery) {
    let mut writer = Writer::frame(out, "delivery", None);
    writer.text("consumer", delivery.consumer.as_str());
    write_delivery_fields(&mut writer, delivery);
    writer.end();
}

fn write_delivery_fields(writer: &mut Writer<'_>, delivery: &Delivery) {
    writer.integer("attempt", u64::from(delivery.attempt));
    write_message(writer.field("message"), &delivery.record);
}

/// About how long a delivery will be, in bytes.
pub(super) fn delivery_bytes(delivery: &Delivery) -> usize {
    /// Names of the fields, and the attempt.
    const FIXED_BYTES: usize = 64;
    FIXED_BYTES + delivery.consumer.as_str().len() + message_bytes(&delivery.record)
}

pub(super) fn write_notice(out: &mut Vec<u8>, notice: &Notice) {
    let mut writer = Writer::frame(out, "consumer", None);
    writer.text("channel", spelling(&notice.channel));
    writer.text("consumer", notice.member.consumer.as_str());
    writer.text_if("group", notice.member.group.as_ref().map(ConsumerName::as_str));
    match &notice.news {
        News::Ended(rejection) => {
            let mut inner = writer.object("ended");
            inner.text("code", super::error::code(rejection.kind).as_str());
            inner.text("message", &rejection.message);
            inner.end();
        }
        News::Gap(gap, position) => {
            let mut inner = writer.object("gap");
            write_gap_fields(&mut inner, gap);
            inner.end();
            write_position(&mut writer, position);
        }
    }
    writer.end();
}

/// Writes what a service gets: the answer of `POST /api/consume`.
pub fn write_taken(out: &mut Vec<u8>, taken: &Taken) {
    let mut writer = Writer::new(out);
    list(writer.field("deliveries"), &taken.deliveries, |out, delivery| {
        let mut writer = Writer::new(out);
        write_delivery_fields(&mut writer, delivery);
        writer.end();
    });
    write_joined_fields(&mut writer, &Joined { position: taken.position.clone(), gap: taken.gap.clone() });
    writer.end();
}

/// Writes the consumers of a channel: the answer of `GET /api/consumers`.
pub fn write_consumers(out: &mut Vec<u8>, items: &[ConsumerInfo]) {
    let mut writer = Writer::new(out);
    list(writer.field("items"), items, |out, item| {
        let mut writer = Writer::new(out);
        writer.text("consumer", item.name.as_str());
        writer.boolean("group", item.is_group);
        write_position(&mut writer, &item.position);
        writer.integer("members", u64::from(item.members));
        writer.integer("pending", item.pending);
        writer.integer("outstanding", u64::from(item.outstanding));
        writer.integer("dead", u64::from(item.dead));
        writer.integer("deadDropped", item.dead_dropped);
        writer.integer("lost", item.lost);
        writer.end();
    });
    writer.raw("next", b"null");
    writer.end();
}

/// Writes a page of dead letters: the answer of `GET /api/dead-letters`.
pub fn write_dead_letters(out: &mut Vec<u8>, items: &[DeadLetter], next: Option<&str>) {
    let mut writer = Writer::new(out);
    list(writer.field("items"), items, |out, item| {
        let mut writer = Writer::new(out);
        write_position(&mut writer, &item.position);
        writer.integer("attempts", u64::from(item.attempts));
        writer.text("reason", &item.reason);
        writer.integer("time", item.time.0);
        writer.end();
    });
    match next {
        Some(next) => writer.text("next", next),
        None => writer.raw("next", b"null"),
    }
    writer.end();
}

/// Writes how many dead letters were given back: the answer of `POST /api/requeue`.
pub fn write_requeued(out: &mut Vec<u8>, count: u32) {
    let mut writer = Writer::new(out);
    writer.integer("requeued", u64::from(count));
    writer.end();
}
