//! `connections`: who is connected, by `GET /api/connections`, page by page.

use std::io::Write;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, query};
use crate::args::ConnectionsArgs;
use crate::failure::Failure;
use crate::output::{age, printable, table};

/// Connections asked for at once; the server gives at most 1,000.
const PAGE: u32 = 1_000;
/// Channels of a connection that are named; the others are counted.
const CHANNELS_SHOWN: usize = 3;

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next: Option<String>,
}

/// Lists.
pub(crate) async fn run(args: &ConnectionsArgs, out: &mut impl Write) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let wanted = args.limit as usize;
    let mut items: Vec<Value> = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let limit = PAGE.min(args.limit - u32::try_from(items.len()).unwrap_or(args.limit)).to_string();
        let mut pairs = vec![("limit", limit.as_str())];
        pairs.extend(args.channel.as_deref().map(|channel| ("channel", channel)));
        pairs.extend(args.user.as_deref().map(|user| ("userId", user)));
        pairs.extend(next.as_deref().map(|cursor| ("cursor", cursor)));
        let answer = client.call(Method::GET, &format!("/api/connections{}", query(&pairs)), None).await?;
        let page: Page = serde_json::from_slice(&answer)
            .map_err(|error| Failure::failed("unexpected_answer", format!("cannot read the answer: {error}")))?;
        items.extend(page.items);
        items.truncate(wanted);
        // A filtered page may be empty although more follow; only the cursor says.
        let repeated = page.next.is_some() && page.next == next;
        next = page.next;
        if next.is_none() || repeated || items.len() == wanted {
            break;
        }
    }
    if args.json {
        writeln!(out, "{:#}", json!({ "items": items, "next": next }))?;
        return Ok(());
    }
    if items.is_empty() {
        writeln!(out, "No connections.")?;
        return Ok(());
    }
    let heading = ["ID", "USER", "PROVIDER", "ADDRESS", "SINCE", "CHANNELS"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(heading).chain(items.iter().map(row)).collect();
    out.write_all(table(&rows).as_bytes())?;
    if next.is_some() {
        writeln!(out, "… and more: --limit shows up to 100000")?;
    }
    Ok(())
}

fn row(item: &Value) -> Vec<String> {
    let text = |name: &str| item[name].as_str().map_or_else(|| "-".to_owned(), printable);
    let since = item["connectedAt"].as_u64().map_or_else(|| "-".to_owned(), age);
    vec![text("connectionId"), text("userId"), text("provider"), text("address"), since, channels(&item["channels"])]
}

/// The channels of a connection: the first few by name.
fn channels(value: &Value) -> String {
    let Value::Array(channels) = value else {
        return value.as_u64().map_or_else(|| "-".to_owned(), |count| count.to_string());
    };
    let names: Vec<_> = channels.iter().filter_map(Value::as_str).take(CHANNELS_SHOWN).map(printable).collect();
    let more = channels.len().saturating_sub(CHANNELS_SHOWN);
    match (names.is_empty(), more) {
        (true, _) => "-".to_owned(),
        (false, 0) => names.join(" "),
        (false, more) => format!("{} +{more}", names.join(" ")),
    }
}
