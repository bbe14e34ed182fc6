//! What is printed: nothing that a terminal would obey, columns, colours, times.

use std::io::IsTerminal;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::args::Color;

/// A text from elsewhere as it may be printed: control characters, and those that turn the direction of writing,
/// become visible escapes.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || turns || character == '\u{2028}' || character == '\u{2029}' {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    on: bool,
}

impl Palette {
    pub(crate) fn for_stdout(color: Color) -> Self {
        Self { on: wanted(color, &std::io::stdout()) }
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// The same name always has the same colour.
    pub(crate) fn named(self, text: &str) -> String {
        /// Readable on light and dark backgrounds.
        const COLORS: [&str; 6] = ["32", "34", "35", "36", "92", "94"];
        let sum: usize = text.bytes().fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.paint(COLORS[sum % COLORS.len()], text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether a stream gets colours.
pub(crate) fn wanted(color: Color, stream: &impl IsTerminal) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Columns, as wide as their widest cell; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A number of bytes, in the largest unit that leaves a digit before the point: `1.5 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1_024 {
        return format!("{number} B");
    }
    let (mut value, mut unit) = (number as f64 / 1_024.0, 0);
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1_024.0, unit + 1);
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Time of day of an instant in milliseconds since 1970, UTC: `12:03:04.123`.
pub(crate) fn time_of_day(time_ms: u64) -> String {
    let (seconds, ms) = (time_ms / 1_000, time_ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

/// How long ago an instant in milliseconds since 1970 is, in its two largest units.
pub(crate) fn age(time_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    span(now.saturating_sub(Duration::from_millis(time_ms)))
}

fn span(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_becomes_visible() {
        assert_eq!(printable("grün \x1b[2J\r\n\u{202e}\u{85}x"), "grün \\u{1b}[2J\\r\\n\\u{202e}\\u{85}x");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_have_no_end_spaces() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["A", "B", "C"]), row(["1", "ünf", ""])]), "A  B    C\n1  ünf\n");
    }

    #[test]
    fn bytes_are_short() {
        let table = [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (1 << 30, "1.0 GiB"), (5 << 50, "5120.0 TiB")];
        for (number, expected) in table {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn times_are_short() {
        assert_eq!(time_of_day(1_517_443_384_007), "00:03:04.007");
        let table = [(59, "59s"), (61, "1m 1s"), (3_700, "1h 1m"), (90_000, "1d 1h")];
        for (seconds, expected) in table {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }
}
