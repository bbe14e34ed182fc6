//! `peers`: the table of the comparison again, by one command: latency, saturation and idle memory of all peers.

use serde_json::json;

use super::{Bench, Entry, fanout, idle};
use crate::contest::Score;
use crate::failure::{Failure, Result};
use crate::limits;
use crate::peers::Wanted;
use crate::report::Table;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// One message at a time.
    pub(crate) latency: fanout::Wish,
    /// Bursts.
    pub(crate) saturation: fanout::Wish,
    /// Memory.
    pub(crate) idle: idle::Wish,
}

#[derive(Default)]
struct Line {
    label: String,
    version: String,
    latency: Vec<Score>,
    saturation: Vec<Score>,
    idle: Option<idle::Score>,
}

/// Runs and reports. Each peer has a floor of its own beside it, measured in the same minutes.
///
/// # Errors
/// A message is lost, or something does not fit.
pub(crate) fn run(bench: &mut Bench, wish: &Wish) -> Result<()> {
    limits::fit(wish.idle.connections, bench.setup.descriptors)?;
    let entries = bench.entries();
    let mut lines: Vec<Line> = entries.iter().map(|entry| Line { label: entry.label(), ..Line::default() }).collect();
    for wanted in Wanted::ALL {
        let own: Vec<Entry> =
            entries.iter().filter(|entry| entry.wanted.is_none() || entry.wanted == Some(wanted)).cloned().collect();
        if own.len() < 2 {
            continue;
        }
        for (part, saturation) in [(&wish.latency, false), (&wish.saturation, true)] {
            let scores = fanout::measure(bench, part, &own);
            let scores = if wanted == Wanted::Server { scores? } else { go_on(bench, scores)?.unwrap_or_default() };
            if scores.len() < 2 {
                // The peer cannot be had: the saturation run would only say so again.
                break;
            }
            for score in scores {
                let Some(line) = lines.iter_mut().find(|line| score.label == line.label) else { continue };
                line.version.clone_from(&score.version);
                if saturation { line.saturation.push(score) } else { line.latency.push(score) }
            }
        }
    }
    for (entry, line) in entries.iter().zip(&mut lines) {
        if !line.latency.is_empty() {
            let score = idle::measure(bench, &wish.idle, entry);
            line.idle = if entry.wanted == Some(Wanted::Server) { score? } else { go_on(bench, score)?.flatten() };
        }
    }
    lines.retain(|line| !line.latency.is_empty());
    print(bench, wish, &lines)
}

/// What another server does wrong is a line in the output, not the end of the run.
fn go_on<T>(bench: &mut Bench, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure @ (Failure::Delivery(_) | Failure::Protocol(_) | Failure::Skip(_) | Failure::Io { .. })) => {
            bench.progress.clear();
            bench.report.line(&format!("left out: {failure}"))?;
            Ok(None)
        }
        Err(
            failure @ (Failure::Interrupted
            | Failure::TimeLimit(_)
            | Failure::DoesNotFit(_)
            | Failure::RatioExceeded(_)),
        ) => Err(failure),
    }
}

fn print(bench: &mut Bench, wish: &Wish, lines: &[Line]) -> Result<()> {
    let median =
        |scores: &[Score], of: &dyn Fn(&Score) -> f64| crate::stats::median(&scores.iter().map(of).collect::<Vec<_>>());
    let mut rows = Vec::new();
    let mut bars = [Vec::new(), Vec::new()];
    for line in lines {
        let ratios = [median(&line.latency, &Score::ratio), median(&line.saturation, &Score::ratio)];
        rows.push(vec![
            line.label.clone(),
            format!("{:.2}", ratios[0]),
            format!("{:.2}", median(&line.latency, &Score::cpu_us)),
            format!("{:.2}", ratios[1]),
            format!("{:.3}", median(&line.saturation, &Score::cpu_us)),
            format!("{:.0}", median(&line.latency, &Score::wire_bytes)),
            line.idle.as_ref().map_or("–".to_owned(), |idle| format!("{:.0}", idle.rss())),
        ]);
        for (bars, ratio) in bars.iter_mut().zip(ratios) {
            bars.push((line.label.clone(), ratio));
        }
    }
    let columns = vec![
        "",
        "latency, ratio to send",
        "µs",
        "saturation, ratio to writev",
        "µs ",
        "B on the wire",
        "idle B per connection",
    ];
    let title = format!(
        "peers: latency with {} connections, saturation with {}, idle memory with {}",
        wish.latency.connections, wish.saturation.connections, wish.idle.connections
    );
    let notes: Vec<String> = lines.iter().map(|line| format!("{}: {}", line.label, line.version)).collect();
    let scores = |scores: &[Score]| scores.iter().map(fanout::score_json).collect::<Vec<_>>();
    let json = json!({
        "peers": lines.iter().map(|line| json!({
            "label": line.label,
            "latency": scores(&line.latency),
            "saturation": scores(&line.saturation),
            "idle": line.idle.as_ref().map(idle::score_json),
        })).collect::<Vec<_>>(),
    });
    let [latency, saturation] = bars;
    let bars = [("latency mode, ratio to send", latency), ("saturation, ratio to writev", saturation)];
    bench.report.section(&title, &Table { columns, rows }, &bars, &notes, json)
}
