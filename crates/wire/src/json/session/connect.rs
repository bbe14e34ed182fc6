//! `connect` and `connected`.

use realtime_connector_core::command::{Command, Connect, Listen, Subscribe};
use realtime_connector_core::event::{Connected, Subscribed};
use realtime_connector_core::id::{DeviceId, UserId};
use realtime_connector_core::limits::CHANNELS_PER_CONNECTION_MAX;
use realtime_connector_core::rejection::{Rejection, RejectionKind};

use super::super::Secrets;
use super::super::error::write_fields;
use super::super::fields::{Object, Value};
use super::super::inbox::mode;
use super::super::publish::meta;
use super::super::write::{Writer, list, string};
use super::subscribe::{self, Specials};
use super::{connection_id_to_string, spelling};

const PROTOCOL: u64 = 1;
/// The parts of the protocol that have a word and that this release always serves.
const FEATURES: [&str; 4] = ["history", "ttl", "rewind_ms", "consume"];
/// The part that is served where some channels are stored.
const STORED: &str = "stored";
/// The part that is served where messages to users wait.
const INBOX: &str = "inbox";

const SERVED: &[&str] = &["token", "resume", "deviceId", "meta", "subscriptions", "inbox", "pings", "extensions"];

/// The channels any configuration allows, `$all` and `$user`.
const SUBSCRIPTIONS_MAX: usize = CHANNELS_PER_CONNECTION_MAX as usize + 2;

pub(in super::super) fn decode(object: &Object<'_>) -> Result<Command, Rejection> {
    object.only("connect", SERVED, &[])?;
    // Whatever a newer client says there is for servers that know it.
    object.optional("extensions", Value::is_object)?;
    Ok(Command::Connect(Box::new(Connect {
        token: object.optional("token", Value::secret)?,
        resume: object.optional("resume", Value::secret)?,
        former: None,
        positions: None,
        device: object.optional("deviceId", |value| value.name(DeviceId::parse))?,
        meta: object.optional("meta", meta)?,
        subscriptions: object.optional("subscriptions", subscriptions)?.unwrap_or_default(),
        inbox: object.optional("inbox", mode)?.unwrap_or_default(),
        pings: object.optional("pings", Value::boolean)?.unwrap_or(false),
    })))
}

fn subscriptions(value: &Value<'_>) -> Result<Vec<Subscribe>, Rejection> {
    let Some(values) = value.list(SUBSCRIPTIONS_MAX)? else {
        let message = format!("must be at most {SUBSCRIPTIONS_MAX} subscriptions");
        let rejection = Rejection::new(RejectionKind::LimitExceeded, message).limit(SUBSCRIPTIONS_MAX as u64);
        return Err(rejection.at(value.field.clone()));
    };
    let mut subscriptions = Vec::with_capacity(values.len());
    let mut specials: Vec<Listen> = Vec::new();
    for value in &values {
        let subscribe = subscribe::read(&value.object()?, "a subscription", Specials::Allowed)?;
        // They are heard once, so they can have one position only. Named channels are answered one by one.
        if !matches!(subscribe.listen, Listen::Named(_)) {
            if specials.contains(&subscribe.listen) {
                return Err(Rejection::field(format!("{}.channel", value.field), "is listed more than once"));
            }
            specials.push(subscribe.listen.clone());
        }
        subscriptions.push(subscribe);
    }
    Ok(subscriptions)
}

pub(in super::super) fn write_connected(out: &mut Vec<u8>, connected: &Connected, secrets: &dyn Secrets) {
    let mut writer = Writer::frame(out, "connected", connected.reference);
    writer.integer("protocol", PROTOCOL);
    let features = FEATURES
        .into_iter()
        .chain(connected.stores.then_some(STORED))
        .chain(connected.inbox.then_some(INBOX))
        .collect::<Vec<_>>();
    list(writer.field("features"), &features, |out, word| string(out, word));
    writer.text("connectionId", &connection_id_to_string(connected.connection));
    writer.text("sessionToken", &secrets.session_token(connected.connection));
    writer.text_if("userId", connected.user.as_ref().map(UserId::as_str));
    writer.boolean("resumed", connected.resumed);
    writer.integer_if("expiresAt", connected.expires_at.map(|at| at.0));
    writer.integer("heartbeatMs", u64::from(connected.heartbeat_ms));
    let mut limits = writer.object("limits");
    limits.integer("messageBytes", u64::from(connected.message_bytes));
    limits.integer("channels", u64::from(connected.channels));
    limits.end();
    writer.integer("time", connected.time.0);
    list(writer.field("subscriptions"), &connected.subscriptions, write_outcome);
    writer.end();
}

fn write_outcome(out: &mut Vec<u8>, outcome: &Result<Subscribed, Rejection>) {
    match outcome {
        Ok(subscribed) => subscribe::write_body(out, subscribed),
        Err(rejection) => {
            let mut writer = Writer::new(out);
            writer.text_if("channel", rejection.channel.as_ref().map(spelling));
            let mut error = writer.object("error");
            write_fields(&mut error, rejection, false);
            error.end();
            writer.end();
        }
    }
}
