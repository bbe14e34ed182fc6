//! What people see: tables (aligned Markdown, so that they can be pasted), bars, progress; and everything as JSON.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::failure::{Result, Trying};

/// Cells of the longest bar.
const BAR_CELLS: usize = 40;
/// Eighths of a cell.
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Collects sections, prints each at once.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sections: Vec<Value>,
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    /// Heads; the first column is left-aligned, the others right.
    pub(crate) columns: Vec<&'static str>,
    /// Cells.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Report {
    /// Prints a section and keeps its JSON.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn section(
        &mut self,
        title: &str,
        table: &Table,
        bars: &[(&str, Vec<(String, f64)>)],
        notes: &[String],
        json: Value,
    ) -> Result<()> {
        let mut text = format!("\n{title}\n\n{}", table.render());
        for (heading, bars) in bars {
            text.push_str(&format!("\n{heading}\n{}", render_bars(bars)));
        }
        for note in notes {
            text.push_str(&format!("\n{note}"));
        }
        writeln!(io::stdout(), "{text}").trying("printing")?;
        self.sections.push(json!({ "title": title, "notes": notes, "result": json }));
        Ok(())
    }

    /// Prints a line of its own.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        writeln!(io::stdout(), "{text}").trying("printing")
    }

    /// Writes everything to a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let all = json!({
            "tool": "bench",
            "version": env!("CARGO_PKG_VERSION"),
            "date": date(),
            "command": std::env::args().skip(1).collect::<Vec<_>>(),
            "machine": machine(),
            "sections": self.sections,
        });
        let text = serde_json::to_string_pretty(&all).expect("a value made of strings and numbers can be written");
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).trying("making the directory of the JSON file")?;
        }
        fs::write(path, text).trying("writing the JSON file")
    }
}

impl Table {
    fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.columns[column].chars().count(), 3]).max().unwrap_or(3)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = line(&mut self.columns.iter().copied());
        let rules: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(column, width)| match column {
                0 => "-".repeat(*width),
                _ => format!("{}:", "-".repeat(width - 1)),
            })
            .collect();
        text.push_str(&line(&mut rules.iter().map(String::as_str)));
        for row in &self.rows {
            text.push_str(&line(&mut row.iter().map(String::as_str)));
        }
        text
    }
}

fn render_bars(bars: &[(String, f64)]) -> String {
    let longest = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let width = bars.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    bars.iter().map(|(label, value)| format!("{label:<width$} {} {value:.2} ×\n", bar(*value, longest))).collect()
}

fn bar(value: f64, longest: f64) -> String {
    if longest <= 0.0 {
        return String::new();
    }
    let eighths = (value / longest * (BAR_CELLS * 8) as f64).round() as usize;
    let mut text = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        text.push(EIGHTHS[eighths % 8]);
    }
    text
}

/// What is being done, on standard error: rewritten in place on a terminal, one line per stage otherwise.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    stage: String,
}

impl Progress {
    /// Silent until something is shown.
    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), stage: String::new() }
    }

    /// Begins a stage.
    pub(crate) fn stage(&mut self, text: &str) {
        text.clone_into(&mut self.stage);
        // Progress that cannot be shown is no reason to stop.
        let _ =
            if self.terminal { write!(io::stderr(), "\r\x1b[K{text}") } else { writeln!(io::stderr(), "… {text}") };
    }

    /// A detail of the stage; only a terminal shows it.
    pub(crate) fn show(&self, detail: &str) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K{} – {detail}", self.stage);
        }
    }

    /// Clears the line before a table.
    pub(crate) fn clear(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// The machine, as figures must be read with it.
pub(crate) fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value_of = |text: String, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        line.and_then(|line| line.split_once(':').map(|(_, value)| value.trim().to_owned())).unwrap_or_default()
    };
    json!({
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "cpu": value_of(read("/proc/cpuinfo"), "model name"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "memory": value_of(read("/proc/meminfo"), "MemTotal"),
        "loadAverage": read("/proc/loadavg").split(' ').next(),
    })
}

/// The same in a line, with a warning where other programs use the machine.
pub(crate) fn machine_line() -> String {
    let machine = machine();
    let text = |key: &str| machine[key].as_str().unwrap_or("?").to_owned();
    let load = text("loadAverage");
    let busy = match load.parse::<f64>() {
        Ok(average) if average > 1.0 => " – other programs are busy here: trust the ratios, not the times",
        Ok(_) | Err(_) => "",
    };
    format!(
        "{}: {} × {}, {}, Linux {}, load average {load}{busy}",
        date(),
        machine["cores"],
        text("cpu"),
        text("memory"),
        text("kernel")
    )
}

/// Today in UTC, `YYYY-MM-DD`.
fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    civil(seconds / 86_400)
}

/// The date of a day since 1970, by the usual count in 400-year eras that begin in March.
fn civil(days: u64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_markdown() {
        let table = Table {
            columns: vec!["who", "µs"],
            rows: vec![vec!["floor".to_owned(), "5.0".to_owned()], vec!["x".to_owned(), "12.25".to_owned()]],
        };
        let expected = "| who   |    µs |\n| ----- | ----: |\n| floor |   5.0 |\n| x     | 12.25 |\n";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn bars_are_drawn_to_the_longest() {
        assert_eq!(bar(2.0, 2.0).chars().count(), BAR_CELLS);
        assert_eq!(bar(1.0, 2.0), "█".repeat(BAR_CELLS / 2));
        assert_eq!(bar(0.0, 2.0), "");
        assert_eq!(bar(1.0 / 320.0, 1.0), "▏");
        assert_eq!(bar(1.0, 0.0), "");
    }

    #[test]
    fn days_become_dates() {
        for (days, date) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (20_780, "2026-11-23"), (20_819, "2027-01-01")]
        {
            assert_eq!(civil(days), date);
        }
    }
}
