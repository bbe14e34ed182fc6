//! `subscribe` and `unsubscribe`, as frames and as bodies of the HTTP API, and their answers.

use realtime_connector_core::command::{Command, Listen, Ref, Subscribe};
use realtime_connector_core::event::Subscribed;
use realtime_connector_core::id::{ChannelKey, ChannelName};
use realtime_connector_core::permissions::Grants;
use realtime_connector_core::rejection::Rejection;

use super::super::fields::{Object, Shape, Value};
use super::super::history::{start, write_position};
use super::super::utf8;
use super::super::write::{Writer, list, string};
use super::spelling;

const SERVED: &[&str] = &["channel", "since", "rewind", "rewindMs"];
const RESERVED: &[&str] = &["with"];

/// Whether `$all` and `$user` may stand in place of a channel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Specials {
    Allowed,
    Refused,
}

pub(in super::super) fn decode(object: &Object<'_>) -> Result<Command, Rejection> {
    read(object, "subscribe", Specials::Refused).map(Command::Subscribe)
}

/// Reads the body of `POST /api/connections/{id}/subscribe`: the fields of `subscribe`.
///
/// # Errors
/// What is wrong with it.
pub fn decode_body(body: &[u8]) -> Result<Subscribe, Rejection> {
    let object = Object::read(utf8(body)?, Shape::Plain);
    object.check()?;
    read(&object, "this request", Specials::Refused)
}

pub(super) fn read(object: &Object<'_>, what: &str, specials: Specials) -> Result<Subscribe, Rejection> {
    object.only(what, SERVED, RESERVED)?;
    let channel = object.required("channel")?;
    let listen = match specials {
        Specials::Allowed => listen(&channel)?,
        Specials::Refused => Listen::Named(channel.name(ChannelName::parse)?),
    };
    Ok(Subscribe { listen, start: start(object)? })
}

/// A channel's name, `$all` or `$user`.
pub(in super::super) fn listen(channel: &Value<'_>) -> Result<Listen, Rejection> {
    Ok(match &*channel.text()? {
        "$all" => Listen::Everyone,
        "$user" => Listen::OwnUser,
        _ => Listen::Named(channel.name(ChannelName::parse)?),
    })
}

pub(in super::super) fn decode_unsubscribe(object: &Object<'_>) -> Result<Command, Rejection> {
    Ok(Command::Unsubscribe { channel: read_unsubscribe(object, "unsubscribe")? })
}

/// Reads the body of `POST /api/connections/{id}/unsubscribe`: `{"channel":…}`.
///
/// # Errors
/// What is wrong with it.
pub fn decode_unsubscribe_body(body: &[u8]) -> Result<ChannelName, Rejection> {
    let object = Object::read(utf8(body)?, Shape::Plain);
    object.check()?;
    read_unsubscribe(&object, "this request")
}

fn read_unsubscribe(object: &Object<'_>, what: &str) -> Result<ChannelName, Rejection> {
    object.only(what, &["channel"], &[])?;
    object.required("channel")?.name(ChannelName::parse)
}

pub(in super::super) fn write_subscribed(out: &mut Vec<u8>, reference: Option<Ref>, subscribed: &Subscribed) {
    let mut writer = Writer::frame(out, "subscribed", reference);
    write_fields(&mut writer, subscribed);
    writer.end();
}

/// The beginning of a subscription as an object of its own: in `connected`, and in answers of the HTTP API.
pub fn write_body(out: &mut Vec<u8>, subscribed: &Subscribed) {
    let mut writer = Writer::new(out);
    write_fields(&mut writer, subscribed);
    writer.end();
}

fn write_fields(writer: &mut Writer<'_>, subscribed: &Subscribed) {
    writer.text("channel", spelling(&subscribed.channel));
    write_position(writer, &subscribed.position);
    writer.integer("head", subscribed.head);
    if let Some(recovered) = subscribed.recovered {
        writer.boolean("recovered", recovered);
    }
    list(writer.field("can"), capabilities(subscribed.grants), string);
}

fn capabilities(grants: Grants) -> impl Iterator<Item = &'static str> {
    let words = [("subscribe", grants.subscribe), ("publish", grants.publish)];
    words.into_iter().filter(|(_, granted)| *granted).map(|(word, _)| word)
}

pub(in super::super) fn write_unsubscribed(out: &mut Vec<u8>, reference: Option<Ref>, channel: &ChannelKey) {
    let mut writer = Writer::frame(out, "unsubscribed", reference);
    writer.text("channel", spelling(channel));
    writer.end();
}
