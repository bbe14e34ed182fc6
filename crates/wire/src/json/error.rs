//! Refusals: how core's kinds become codes, and the objects that carry them.

use realtime_connector_core::rejection::{Close, Rejection, RejectionKind};

use super::session::spelling;
use super::write::Writer;
use crate::codes::{CloseCode, Code};

/// The code of a refusal.
#[must_use]
pub const fn code(kind: RejectionKind) -> Code {
    match kind {
        RejectionKind::BadRequest => Code::BadRequest,
        RejectionKind::Unauthenticated => Code::Unauthenticated,
        RejectionKind::Forbidden => Code::Forbidden,
        RejectionKind::NotEnabled => Code::NotEnabled,
        RejectionKind::LimitExceeded => Code::LimitExceeded,
        RejectionKind::NotFound => Code::NotFound,
        RejectionKind::Conflict => Code::Conflict,
        RejectionKind::TooLarge => Code::TooLarge,
        RejectionKind::RateLimited => Code::RateLimited,
        RejectionKind::Internal => Code::Internal,
        RejectionKind::Overloaded => Code::Overloaded,
        RejectionKind::Unavailable => Code::Unavailable,
        RejectionKind::Timeout => Code::Timeout,
        RejectionKind::StorageFull => Code::StorageFull,
        // The enum may grow for the users of the facade; here clippy names a kind that is missing above.
        _ => Code::Internal,
    }
}

/// The number and words of an end.
#[must_use]
pub const fn close_code(close: Close) -> CloseCode {
    match close {
        Close::Normal => CloseCode::Normal,
        Close::Stopped => CloseCode::Stopped,
        Close::Unauthenticated | Close::ConnectDeadline => CloseCode::Unauthenticated,
        Close::Blocked => CloseCode::Blocked,
        Close::TakenOver => CloseCode::SessionTakenOver,
        Close::ConnectionLimit => CloseCode::ConnectionLimit,
        Close::Protocol => CloseCode::Protocol,
        Close::Overloaded => CloseCode::Overloaded,
        Close::Slow => CloseCode::Slow,
        Close::Drain => CloseCode::Drain,
        Close::Silent => CloseCode::Silent,
        Close::TokenExpired => CloseCode::TokenExpired,
    }
}

/// The HTTP answer to a refused request: status, and a body of type `application/problem+json`.
#[must_use]
pub fn problem_json(rejection: &Rejection) -> (u16, Vec<u8>) {
    let status = code(rejection.kind).status();
    (status, problem_json_as(status, rejection))
}

/// The body of a refusal by HTTP itself, which has a status of its own (405, 406, 408, 411, 414, 415, 426, 431).
#[must_use]
pub fn problem_json_as(status: u16, rejection: &Rejection) -> Vec<u8> {
    let mut body = Vec::with_capacity(128 + rejection.message.len());
    let mut writer = Writer::new(&mut body);
    let code = code(rejection.kind);
    writer.text("code", code.as_str());
    writer.text("message", &rejection.message);
    writer.integer("status", u64::from(status));
    writer.boolean("retryable", code.retryable());
    write_rest(&mut writer, rejection, true);
    writer.end();
    body
}

/// A refusal as an object of its own: one of the `results` of a broadcast.
pub fn write_rejection(out: &mut Vec<u8>, rejection: &Rejection) {
    let mut writer = Writer::new(out);
    write_fields(&mut writer, rejection, true);
    writer.end();
}

/// The fields of an `error` frame; `channel` is left out where it stands beside the error already.
pub(super) fn write_fields(writer: &mut Writer<'_>, rejection: &Rejection, with_channel: bool) {
    let code = code(rejection.kind);
    writer.text("code", code.as_str());
    writer.text("message", &rejection.message);
    writer.boolean("retryable", code.retryable());
    write_rest(writer, rejection, with_channel);
}

fn write_rest(writer: &mut Writer<'_>, rejection: &Rejection, with_channel: bool) {
    writer.integer_if("retryAfterMs", rejection.retry_after_ms.map(u64::from));
    writer.text_if("field", rejection.field.as_deref());
    if with_channel {
        writer.text_if("channel", rejection.channel.as_ref().map(spelling));
    }
    writer.integer_if("limit", rejection.limit);
}
