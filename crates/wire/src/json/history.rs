//! The past of a channel: positions, where a subscription begins, gaps, and questions about what was.
//!
//! A position is `{"epoch":"k3f9","offset":1042}` in frames and `k3f9-1042` in URLs, with one spelling each. A place in the past is
//! a position, `{"id":"…"}` or `{"time":…}`, and in URLs a position, `id:…` or `time:…`. The cursor of a page is the rest of its
//! window, spelled `f.k3f9.10.1042`: opaque to clients, and harmless if they make one up.

use realtime_connector_core::command::{Command, History};
use realtime_connector_core::history::{At, Direction, HistoryPage, Query, Rest, Span};
use realtime_connector_core::id::{ChannelKey, ChannelName, MessageId, UserId};
use realtime_connector_core::limits::{HISTORY_PAGE, HISTORY_PAGE_MAX, REWIND_MAX, REWIND_MS_MAX, SAFE_INTEGER_MAX};
use realtime_connector_core::position::{Epoch, Gap, GapReason, Position, Start};
use realtime_connector_core::rejection::Rejection;
use realtime_connector_core::time::UnixMs;

use super::fields::{Object, Shape, Value};
use super::publish::write_message;
use super::session::{listen, spelling};
use super::utf8;
use super::write::{Writer, alternatives, list};

const SERVED: &[&str] = &["channel", "since", "until", "around", "direction", "limit", "cursor"];

/// Which end of the window a place is.
type Side = fn(At, Option<Direction>) -> Span;
const SIDES: [(&str, Side); 3] = [
    ("since", |at, direction| Span::Since(at, direction.unwrap_or(Direction::Forward))),
    ("until", |at, direction| Span::Until(at, direction.unwrap_or(Direction::Backward))),
    ("around", |at, _| Span::Around(at)),
];

/// Reads a position out of a URL. `None` for anything but an epoch, a dash and a number of 0 … 2^53 − 1 without leading zeros.
#[must_use]
pub fn parse_position(text: &str) -> Option<Position> {
    let (epoch, offset) = text.rsplit_once('-')?;
    Some(Position { epoch: Epoch::parse(epoch)?, offset: number(offset)? })
}

/// Spells a position for a URL.
#[must_use]
pub fn position_to_string(position: &Position) -> String {
    format!("{}-{}", position.epoch.as_str(), position.offset)
}

/// Where a subscription begins: `since`, `rewind`, `rewindMs`, or now.
pub(super) fn start(object: &Object<'_>) -> Result<Start, Rejection> {
    let since = object.optional("since", position)?;
    let rewind = object.optional("rewind", |value| value.integer(1, u64::from(REWIND_MAX)))?;
    let rewind_ms = object.optional("rewindMs", |value| value.integer(1, REWIND_MS_MAX))?;
    match (since, rewind, rewind_ms) {
        (None, None, None) => Ok(Start::Now),
        (Some(position), None, None) => Ok(Start::Since(position)),
        (None, Some(count), None) => Ok(Start::Rewind(count as u32)),
        (None, None, Some(ms)) => Ok(Start::RewindMs(ms)),
        (Some(_), Some(_), _) => Err(Rejection::field(object.place("rewind"), "must not stand beside 'since'")),
        (Some(_), None, Some(_)) => Err(Rejection::field(object.place("rewindMs"), "must not stand beside 'since'")),
        (None, Some(_), Some(_)) => Err(Rejection::field(object.place("rewindMs"), "must not stand beside 'rewind'")),
    }
}

pub(super) fn position(value: &Value<'_>) -> Result<Position, Rejection> {
    let object = value.object()?;
    object.only("a position", &["epoch", "offset"], &[])?;
    let epoch = object.required("epoch")?;
    let parsed = Epoch::parse(&epoch.text()?);
    let epoch =
        parsed.ok_or_else(|| epoch.refuse(format!("must be 1 to {} ASCII letters and digits", Epoch::BYTES_MAX)))?;
    let offset = object.required("offset")?.integer(0, SAFE_INTEGER_MAX)?;
    Ok(Position { epoch, offset })
}

pub(super) fn decode(object: &Object<'_>) -> Result<Command, Rejection> {
    object.only("history", SERVED, &[])?;
    let listen = listen(&object.required("channel")?)?;
    let limit = object.optional("limit", |value| value.integer(1, u64::from(HISTORY_PAGE_MAX)))?;
    let limit = limit.map_or(HISTORY_PAGE, |limit| limit as u32);
    let direction = object.optional("direction", |value| {
        parse_direction(&value.text()?).ok_or_else(|| value.refuse(direction_message()))
    })?;
    let mut span = object.optional("cursor", |value| {
        let rest = parse_rest(&value.text()?);
        rest.map(Span::Rest).ok_or_else(|| value.refuse("is no cursor of an earlier answer"))
    })?;
    for (name, side) in SIDES {
        let Some(value) = object.get(name) else { continue };
        if span.is_some() {
            return Err(value.refuse(ALONE));
        }
        span = Some(side(place(&value)?, direction));
    }
    check_direction(direction, span.as_ref())
        .map_err(|message| Rejection::field(object.place("direction"), message))?;
    let span = span.unwrap_or(Span::All(direction.unwrap_or(Direction::Backward)));
    Ok(Command::History(Box::new(History { listen, query: Query { span, limit } })))
}

const ALONE: &str = "must stand alone: one of 'since', 'until', 'around' and 'cursor'";

fn direction_message() -> String {
    format!("must be {}", alternatives(&["forward", "backward"]))
}

fn check_direction(direction: Option<Direction>, span: Option<&Span>) -> Result<(), &'static str> {
    match span {
        Some(Span::Around(_)) if direction.is_some() => Err("means nothing with 'around', which is oldest first"),
        Some(Span::Rest(_)) if direction.is_some() => Err("is part of the cursor"),
        Some(_) | None => Ok(()),
    }
}

fn place(value: &Value<'_>) -> Result<At, Rejection> {
    let object = value.object()?;
    if let Some(id) = object.get("id") {
        object.only("a place in the past", &["id"], &[])?;
        return id.name(MessageId::parse).map(At::Id);
    }
    if let Some(time) = object.get("time") {
        object.only("a place in the past", &["time"], &[])?;
        return time.integer(0, SAFE_INTEGER_MAX).map(|ms| At::Time(UnixMs(ms)));
    }
    position(value).map(At::Position)
}

fn parse_direction(text: &str) -> Option<Direction> {
    match text {
        "forward" => Some(Direction::Forward),
        "backward" => Some(Direction::Backward),
        _ => None,
    }
}

/// Reads a question out of a URL's parameters, which `get` knows.
///
/// # Errors
/// What is wrong with one of them; `field` names it.
pub fn query_of<'p>(get: impl Fn(&'static str) -> Option<&'p str>, limit: u32) -> Result<Query, Rejection> {
    let direction = get("direction")
        .map(|text| parse_direction(text).ok_or_else(|| Rejection::field("direction", direction_message())));
    let direction = direction.transpose()?;
    let cursor = get("cursor").map(|text| {
        let message = "is no cursor of an earlier answer";
        parse_rest(text).map(Span::Rest).ok_or_else(|| Rejection::field("cursor", message))
    });
    let mut span = cursor.transpose()?;
    for (name, side) in SIDES {
        let Some(text) = get(name) else { continue };
        if span.is_some() {
            return Err(Rejection::field(name, ALONE));
        }
        let message = "must be a position like k3f9-1042, or id:… or time:… in milliseconds";
        span = Some(side(parse_place(text).ok_or_else(|| Rejection::field(name, message))?, direction));
    }
    check_direction(direction, span.as_ref()).map_err(|message| Rejection::field("direction", message))?;
    Ok(Query { span: span.unwrap_or(Span::All(direction.unwrap_or(Direction::Backward))), limit })
}

fn parse_place(text: &str) -> Option<At> {
    match text.split_once(':') {
        Some(("id", id)) => MessageId::parse(id).ok().map(At::Id),
        Some(("time", ms)) => number(ms).map(|ms| At::Time(UnixMs(ms))),
        Some(_) => None,
        None => parse_position(text).map(At::Position),
    }
}

/// Digits of 0 … 2^53 − 1, spelled the one way.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| plain && *number <= SAFE_INTEGER_MAX)
}

pub(super) fn parse_rest(text: &str) -> Option<Rest> {
    let mut parts = text.split('.');
    let direction = match parts.next()? {
        "f" => Direction::Forward,
        "b" => Direction::Backward,
        _ => return None,
    };
    let epoch = Epoch::parse(parts.next()?)?;
    let (after, until) = (number(parts.next()?)?, number(parts.next()?)?);
    (parts.next().is_none() && after <= until).then_some(Rest { epoch, after, until, direction })
}

pub(super) fn rest_to_string(rest: &Rest) -> String {
    let direction = match rest.direction {
        Direction::Forward => 'f',
        Direction::Backward => 'b',
    };
    format!("{direction}.{}.{}.{}", rest.epoch.as_str(), rest.after, rest.until)
}

/// What `POST /api/purge` removes.
#[derive(Clone, Debug, PartialEq)]
pub struct Purge {
    /// A channel, or a user; neither is everyone.
    pub channel: Option<ChannelName>,
    /// See `channel`.
    pub user: Option<UserId>,
    /// Up to this one; all there are if absent.
    pub until: Option<Position>,
}

/// Reads the body of `POST /api/purge`: `{channel? | userId?, until?}`.
///
/// # Errors
/// What is wrong with it.
pub fn decode_purge_body(body: &[u8]) -> Result<Purge, Rejection> {
    let object = Object::read(utf8(body)?, Shape::Plain);
    object.check()?;
    object.only("a purge", &["channel", "userId", "until"], &[])?;
    let channel = object.optional("channel", |value| value.name(ChannelName::parse))?;
    let user = object.optional("userId", |value| value.name(UserId::parse))?;
    if channel.is_some() && user.is_some() {
        return Err(Rejection::field("userId", "must not stand beside 'channel': such messages are not kept"));
    }
    Ok(Purge { channel, user, until: object.optional("until", position)? })
}

/// Writes a position as an object of its own field: the answer of `POST /api/purge`.
pub fn write_purged(out: &mut Vec<u8>, position: &Position) {
    let mut writer = Writer::new(out);
    write_position(&mut writer, position);
    writer.end();
}

/// Writes a page as an object of its own: the answer of `GET /api/history`.
pub fn write_history(out: &mut Vec<u8>, page: &HistoryPage, channel: &ChannelKey) {
    let mut writer = Writer::new(out);
    write_history_fields(&mut writer, page, Some(channel));
    writer.end();
}

/// The fields of a page. A gap names its channel where the reader cannot know it from the question.
pub(super) fn write_history_fields(writer: &mut Writer<'_>, page: &HistoryPage, channel: Option<&ChannelKey>) {
    list(writer.field("messages"), &page.records, |out, record| write_message(out, record));
    write_position(writer, &page.position);
    writer.text_if("next", page.next.as_ref().map(rest_to_string).as_deref());
    if let Some(gap) = &page.gap {
        let mut inner = writer.object("gap");
        inner.text_if("channel", channel.map(spelling));
        write_gap_fields(&mut inner, gap);
        inner.end();
    }
}

/// About how long a page will be, in bytes.
pub(super) fn history_bytes(page: &HistoryPage) -> usize {
    page.records.iter().map(|record| super::publish::message_bytes(record)).sum()
}

pub(super) fn write_position(writer: &mut Writer<'_>, position: &Position) {
    let mut inner = writer.object("position");
    inner.text("epoch", position.epoch.as_str());
    inner.integer("offset", position.offset);
    inner.end();
}

pub(super) fn write_gap(out: &mut Vec<u8>, channel: &ChannelKey, gap: &Gap, position: &Position) {
    let mut writer = Writer::frame(out, "gap", None);
    writer.text("channel", spelling(channel));
    write_gap_fields(&mut writer, gap);
    write_position(&mut writer, position);
    writer.end();
}

pub(super) fn write_gap_fields(writer: &mut Writer<'_>, gap: &Gap) {
    if let Some((from, to)) = gap.range {
        writer.integer("from", from);
        writer.integer("to", to);
    }
    writer.text("reason", reason(gap.reason));
    writer.boolean("lost", gap.reason.lost());
}

const fn reason(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Window => "window",
        GapReason::Slow => "slow",
        GapReason::Epoch => "epoch",
        GapReason::Excluded => "excluded",
        GapReason::Expired => "expired",
        GapReason::Replaced => "replaced",
        GapReason::Purged => "purged",
        GapReason::Acked => "acked",
    }
}
