//! `publish`: one message by `POST /api/broadcast`.

use std::io::{Read, Write};

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Client;
use crate::args::PublishArgs;
use crate::failure::Failure;
use crate::output::printable;

/// Bytes read from standard input; above every limit of a server.
const INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    /// As it was typed: large numbers keep their digits.
    data: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ephemeral: bool,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    position: Option<Position>,
    #[serde(default)]
    duplicate: bool,
    connections: Option<u64>,
}

#[derive(Deserialize)]
struct Position {
    epoch: String,
    offset: u64,
}

/// A message that only needs to be sent.
#[derive(Debug)]
pub(crate) struct Publish<'a> {
    args: &'a PublishArgs,
    client: Client,
    body: String,
}

impl<'a> Publish<'a> {
    /// Checks everything, and reads standard input if the data comes from there.
    pub(crate) fn prepare(args: &'a PublishArgs) -> Result<Self, Failure> {
        let client = Client::new(&args.server)?;
        Ok(Self { args, client, body: body(args)? })
    }

    /// Sends it and says what became of it.
    pub(crate) async fn send(self, out: &mut impl Write) -> Result<(), Failure> {
        let answer = self.client.call(Method::POST, "/api/broadcast", Some(self.body)).await?;
        if self.args.json {
            out.write_all(answer.trim_ascii())?;
            writeln!(out)?;
            return Ok(());
        }
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|error| Failure::failed("unexpected_answer", format!("cannot read the answer: {error}")))?;
        writeln!(out, "{}", sentence(self.args, &answer))?;
        Ok(())
    }
}

fn body(args: &PublishArgs) -> Result<String, Failure> {
    let text = if args.data == "-" { read_input()? } else { args.data.clone() };
    let data: &RawValue = serde_json::from_str(&text).map_err(|error| {
        Failure::usage("data", format!("the data is not JSON: {error}"))
            .hint("a text needs quotes inside those of the shell: '\"hello\"'; an object is '{\"id\": 1}'")
    })?;
    let body = Body {
        kind: &args.kind,
        data,
        channel: args.channel.as_deref(),
        user_id: args.user.as_deref(),
        id: args.id.as_deref(),
        ephemeral: args.ephemeral,
    };
    serde_json::to_string(&body).map_err(|error| Failure::failed("data", error.to_string()))
}

/// What happened, in a line.
fn sentence(args: &PublishArgs, answer: &Answer) -> String {
    let target = match (&args.channel, &args.user) {
        (None, None) => "to everyone".to_owned(),
        (Some(channel), None) => format!("to channel {channel}"),
        (None, Some(user)) => format!("to user {user}"),
        (Some(channel), Some(user)) => format!("to user {user} in channel {channel}"),
    };
    let position =
        answer.position.as_ref().map(|position| format!(", position {}-{}", position.epoch, position.offset));
    let connections = answer.connections.map(|count| {
        let noun = if count == 1 { "connection" } else { "connections" };
        format!(", {count} {noun} at that moment")
    });
    let verb = if answer.duplicate { "was already published" } else { "published" };
    let detail = position.unwrap_or_default() + &connections.unwrap_or_default();
    printable(&format!("{verb} {target}: id {}{detail}", answer.id))
}

fn read_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage("data", "standard input has more than 16 MiB"));
    }
    Ok(text)
}
