//! The past of a channel: positions, where a subscription begins, and gaps.
//!
//! A position is `{"epoch":"k3f9","offset":1042}` in frames and `k3f9-1042` in URLs, with one spelling each.

use realtime_connector_core::id::ChannelKey;
use realtime_connector_core::limits::{REWIND_MAX, SAFE_INTEGER_MAX};
use realtime_connector_core::position::{Epoch, Gap, GapReason, Position, Start};
use realtime_connector_core::rejection::Rejection;

use super::fields::{Object, Value};
use super::session::spelling;
use super::write::Writer;

/// Reads a position out of a URL. `None` for anything but an epoch, a dash and a number of 0 … 2^53 − 1 without leading zeros.
#[must_use]
pub fn parse_position(text: &str) -> Option<Position> {
    let (epoch, offset) = text.rsplit_once('-')?;
    let plain = offset.bytes().all(|byte| byte.is_ascii_digit()) && (offset == "0" || !offset.starts_with('0'));
    let offset = offset.parse().ok().filter(|offset| plain && *offset <= SAFE_INTEGER_MAX)?;
    Some(Position { epoch: Epoch::parse(epoch)?, offset })
}

/// Spells a position for a URL.
#[must_use]
pub fn position_to_string(position: &Position) -> String {
    format!("{}-{}", position.epoch.as_str(), position.offset)
}

/// Where a subscription begins: `since`, `rewind`, or now.
pub(super) fn start(object: &Object<'_>) -> Result<Start, Rejection> {
    let since = object.optional("since", position)?;
    let rewind = object.optional("rewind", |value| value.integer(1, u64::from(REWIND_MAX)))?;
    match (since, rewind) {
        (None, None) => Ok(Start::Now),
        (Some(position), None) => Ok(Start::Since(position)),
        (None, Some(count)) => Ok(Start::Rewind(count as u32)),
        (Some(_), Some(_)) => Err(Rejection::field(object.place("rewind"), "must not stand beside 'since'")),
    }
}

fn position(value: &Value<'_>) -> Result<Position, Rejection> {
    let object = value.object()?;
    object.only("a position", &["epoch", "offset"], &[])?;
    let epoch = object.required("epoch")?;
    let parsed = Epoch::parse(&epoch.text()?);
    let epoch =
        parsed.ok_or_else(|| epoch.refuse(format!("must be 1 to {} ASCII letters and digits", Epoch::BYTES_MAX)))?;
    let offset = object.required("offset")?.integer(0, SAFE_INTEGER_MAX)?;
    Ok(Position { epoch, offset })
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
    if let Some((from, to)) = gap.range {
        writer.integer("from", from);
        writer.integer("to", to);
    }
    writer.text("reason", reason(gap.reason));
    writer.boolean("lost", gap.reason.lost());
    write_position(&mut writer, position);
    writer.end();
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
    }
}
