//! The ring of a channel holds at least four outboxes: otherwise a reader that becomes Behind has already lost.

use super::source::blank;
use super::{Finding, Tree};

const PATH: &str = "crates/core/src/limits.rs";
/// A reader is Behind with one full outbox unsent; three more are its time to catch up.
const OUTBOXES_MIN: u64 = 4;

/// Compares records with records and bytes with bytes, by the names of the constants or fields.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(PATH) else { return Vec::new() };
    let values = values(&blank(text));
    let value = |thing: &[&str], unit: &[&str]| {
        let fits =
            |name: &str| thing.iter().any(|part| name.contains(part)) && unit.iter().any(|part| name.contains(part));
        values.iter().find(|entry| fits(&entry.0))
    };
    let mut findings = Vec::new();
    for unit in [&["record", "message"][..], &["bytes"][..]] {
        match (value(&["ring", "history"], unit), value(&["outbox"], unit)) {
            (Some((_, ring)), Some((_, outbox))) if *ring >= OUTBOXES_MIN * outbox => {}
            (Some((ring, ring_max)), Some((outbox, outbox_max))) => {
                let text = format!("{ring} = {ring_max} is less than {OUTBOXES_MIN} × {outbox} = {outbox_max}");
                findings.push(Finding::new(PATH, 0, text));
            }
            _ => findings.push(Finding::new(PATH, 0, format!("no numbers with names of ring and outbox in {unit:?}"))),
        }
    }
    findings
}

/// Names in lower case and numbers of `const NAME: type = number;`, `name: number,` and `name = number;`.
fn values(code: &str) -> Vec<(String, u64)> {
    let mut values = Vec::new();
    for statement in code.split([';', ',', '{', '}', '(', ')']) {
        let Some((head, tail)) = statement.split_once([':', '=']) else { continue };
        let number = tail.rsplit(['=', ':']).next().unwrap_or(tail);
        let name = head.split_whitespace().next_back().unwrap_or("");
        if let Some(number) = product(number) {
            values.push((name.to_lowercase(), number));
        }
    }
    values
}

/// The value of numbers joined by `*` and `<<`.
fn product(text: &str) -> Option<u64> {
    let number = |text: &str| {
        let digits: String = text.trim().chars().filter(|c| *c != '_').collect();
        let digits = digits.trim_end_matches(|c: char| c.is_ascii_alphabetic()).to_owned();
        digits.trim_end_matches(['u', 'i']).parse::<u64>().ok()
    };
    text.split('*').try_fold(1_u64, |total, factor| {
        let mut parts = factor.split("<<");
        let first = number(parts.next()?)?;
        let shifted = parts.try_fold(first, |value, bits| value.checked_shl(u32::try_from(number(bits)?).ok()?))?;
        total.checked_mul(shifted)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn the_ring_holds_four_outboxes() {
        let check = |text: &str, expected: &[&str]| testing::check(check, &[(PATH, text)], expected);
        let bytes = "pub const RING_BYTES_MAX: usize = 1 << 20;\npub const OUTBOX_BYTES_MAX: usize = 256 * 1024;\n";
        check(&format!("{bytes}const RING_RECORDS_MAX: usize = 512;\nconst OUTBOX_RECORDS_MAX: usize = 128;"), &[]);
        check(&format!("{bytes}Limits {{ history_messages_max: 1_024, outbox_records_max: 128 }}"), &[]);
        check(
            &format!("{bytes}const RING_RECORDS_MAX: usize = 511;\nconst OUTBOX_RECORDS_MAX: usize = 128;"),
            &["ring_records_max = 511 is less than 4 × outbox_records_max = 128"],
        );
        check(bytes, &["no numbers"]);
        testing::check(super::check, &[("crates/core/src/lib.rs", "")], &[]);
    }
}
