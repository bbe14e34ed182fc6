//! Our own server in dev mode, spoken to in its native protocol.

use std::process::Command;

use super::{Frame, Meaning, Peer, Place, PublishBy, Setup, Transport, contains, post, stream, upgrade};
use crate::child::{self, Running, TempDir};
use crate::failure::{Failure, Result, Trying};
use crate::ws;

/// Most messages in the batch form of `POST /api/broadcast`.
const BATCH_MAX: usize = 100;

/// See the module.
#[derive(Debug)]
pub(super) struct Own {
    publish_by: PublishBy,
}

impl Own {
    /// Published to by HTTP or WebSocket.
    pub(super) fn new(publish_by: PublishBy) -> Self {
        Self { publish_by }
    }
}

impl Peer for Own {
    fn name(&self) -> &'static str {
        "realtime-connector"
    }

    fn transports(&self) -> &'static [Transport] {
        &[Transport::Ws, Transport::Sse]
    }

    fn start(&self, setup: &Setup) -> Result<Running> {
        if !setup.server.exists() {
            return Err(Failure::Skip(format!(
                "{} does not exist (cargo build --release -p realtime-connector-cli)",
                setup.server.display()
            )));
        }
        let program = setup.server.canonicalize().trying("finding the server")?;
        let addr = child::free_addr()?;
        let mut command = Command::new(&program);
        command.arg("serve").arg("--listen").arg(addr.to_string()).args(&setup.server_args);
        let settings = std::env::vars_os().map(|(name, _)| name);
        for name in settings.filter(|name| name.to_string_lossy().starts_with("REALTIME_")) {
            // A developer's own settings must not change what is measured.
            command.env_remove(name);
        }
        let mut ask = Command::new(&program);
        ask.arg("--version");
        let version = child::output(ask, std::time::Duration::from_secs(5), &setup.guard);
        let version = version.ok().and_then(|text| text.lines().next().map(str::to_owned));
        let version = version.unwrap_or_else(|| "version unknown".to_owned());
        Running::start(command, TempDir::new()?, addr, version, &setup.guard)
    }

    fn greets(&self, _transport: Transport) -> bool {
        true
    }

    fn subscribe(&self, place: &Place, transport: Transport, user: Option<usize>) -> Vec<u8> {
        let user = user.map(|number| format!("&userId=user-{number}")).unwrap_or_default();
        let since = place.since.as_ref().map(|position| format!("&since={position}")).unwrap_or_default();
        let query = format!("channel={}{since}{user}", place.channel);
        match transport {
            Transport::Ws => upgrade(place, &format!("/ws?{query}")),
            Transport::Sse => stream(place, &format!("/sse?{query}")),
        }
    }

    fn meaning(&self, _transport: Transport, frame: Frame<'_>) -> Meaning {
        let is = |op: &str| match frame {
            Frame::Text(bytes) => contains(bytes, &format!("\"op\":\"{op}\"")),
            Frame::Event { name, .. } => name.strip_prefix(b"$") == Some(op.as_bytes()),
        };
        let said = || String::from_utf8_lossy(frame.bytes()).into_owned();
        if is("connected") {
            // A refused subscription is an entry with an error inside of it.
            if contains(frame.bytes(), "\"error\"") { Meaning::Refused(said()) } else { Meaning::Ready }
        } else if is("error") {
            Meaning::Refused(said())
        } else if is("gap") {
            Meaning::Gap
        } else {
            Meaning::Nothing
        }
    }

    fn publish_by(&self) -> PublishBy {
        self.publish_by
    }

    fn publish(&self, place: &Place, payloads: &[String], out: &mut Vec<u8>) -> usize {
        let channel = &place.channel;
        if self.publish_by == PublishBy::WebSocket {
            for data in payloads {
                let frame = format!("{{\"op\":\"publish\",\"channel\":\"{channel}\",\"type\":\"x\",\"data\":{data}}}");
                ws::write_text(out, frame.as_bytes());
            }
            return 0;
        }
        let mut posts = 0;
        for batch in payloads.chunks(BATCH_MAX) {
            let messages: Vec<String> = batch
                .iter()
                .map(|data| format!("{{\"type\":\"x\",\"channel\":\"{channel}\",\"data\":{data}}}"))
                .collect();
            let body = match messages.as_slice() {
                [one] => one.clone(),
                several => format!("{{\"messages\":[{}]}}", several.join(",")),
            };
            post(out, place, "/api/broadcast", "application/json", &body);
            posts += 1;
        }
        posts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { addr: ([127, 0, 0, 1], 9).into(), channel: "bench".to_owned(), since: None }
    }

    #[test]
    fn frames_and_events_mean_the_same() {
        let own = Own::new(PublishBy::Http);
        for (op, expected) in [("connected", Meaning::Ready), ("gap", Meaning::Gap), ("ping", Meaning::Nothing)] {
            let text = format!("{{\"op\":\"{op}\"}}");
            assert_eq!(own.meaning(Transport::Ws, Frame::Text(text.as_bytes())), expected);
            let event = Frame::Event { name: format!("${op}").leak().as_bytes(), data: text.as_bytes() };
            assert_eq!(own.meaning(Transport::Sse, event), expected);
        }
        let refused = br#"{"op":"connected","subscriptions":[{"channel":"a","error":{"code":"forbidden"}}]}"#;
        assert!(matches!(own.meaning(Transport::Ws, Frame::Text(refused)), Meaning::Refused(_)));
    }

    #[test]
    fn bursts_are_batched_and_each_batch_is_answered_once() {
        let own = Own::new(PublishBy::Http);
        for (count, posts) in [(1, 1), (64, 1), (100, 1), (101, 2)] {
            let mut out = Vec::new();
            assert_eq!(own.publish(&place(), &vec!["1".to_owned(); count], &mut out), posts, "{count}");
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.matches("POST /api/broadcast ").count(), posts);
            assert_eq!(text.matches("\"data\":1").count(), count);
            assert_eq!(text.contains("\"messages\":["), count > 1);
        }
    }
}
