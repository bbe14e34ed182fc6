//! Reads the number of tests from what test programs print.

use std::ops::Add;

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Count {
    /// What a line of output adds; most lines add nothing.
    ///
    /// Known are `test result: …` of cargo, `Summary […]` of nextest, and `# pass N` of node.
    pub(super) fn of_line(line: &str) -> Self {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("test result: ") {
            return Self { passed: before(rest, "passed"), failed: before(rest, "failed") };
        }
        if line.starts_with("Summary [") {
            return Self { passed: before(line, "passed"), failed: before(line, "failed") };
        }
        let node = |word: &str| {
            let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
            rest.strip_prefix(word)?.trim().parse::<u64>().ok()
        };
        Self { passed: node("pass ").unwrap_or(0), failed: node("fail ").unwrap_or(0) }
    }
}

impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// The number that stands before a word.
fn before(text: &str, word: &str) -> u64 {
    let words: Vec<&str> = text.split([' ', ';', ',']).filter(|word| !word.is_empty()).collect();
    let number = words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok());
    number.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_test_programs() {
        let table = [
            ("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s", (12, 0)),
            ("test result: FAILED. 3 passed; 2 failed; 0 ignored", (3, 2)),
            ("     Summary [   0.1s] 5 tests run: 4 passed, 1 failed, 0 skipped", (4, 1)),
            ("# pass 7", (7, 0)),
            ("ℹ fail 2", (0, 2)),
            ("# pass on", (0, 0)),
            ("running 3 tests", (0, 0)),
            ("test a ... ok", (0, 0)),
        ];
        for (line, (passed, failed)) in table {
            assert_eq!(Count::of_line(line), Count { passed, failed }, "{line}");
        }
    }
}
