//! How deep a JSON text nests, found without recursion.
//!
//! The values of clients are passed on as they came and never parsed here; this bound protects the parsers of those who get
//! them, many of which recurse.

/// Levels of objects and lists within a client's value. Some common parsers stop at 128 levels or at 127 of the whole frame, and
/// need their bound lifted or the value kept as text for the last few; most take a thousand and more.
pub const DEPTH_MAX: usize = 128;

/// Whether a valid JSON text has more than [`DEPTH_MAX`] levels.
#[must_use]
pub fn is_deep(text: &str) -> bool {
    // Most texts do not have that many brackets at all, wherever they stand, and counting them is fast.
    memchr::memchr2_iter(b'[', b'{', text.as_bytes()).nth(DEPTH_MAX).is_some() && depth(text) > DEPTH_MAX
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{depth, is_deep};

    #[test]
    fn brackets_in_strings_do_not_nest() {
        let table = [
            ("null", 0),
            ("[]", 1),
            ("[[],[[]],{}]", 3),
            (r#"{"a":{"b":[1]}}"#, 3),
            (r#"["[[[[","\"[[","\\",[]]"#, 2),
            (r#""\\\"[""#, 0),
        ];
        for (text, expected) in table {
            assert_eq!(depth(text), expected, "{text}");
        }
    }

    #[test]
    fn the_bound_is_exact() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(!is_deep(&nested(128)));
        assert!(is_deep(&nested(129)));
        assert!(is_deep(&nested(100_000)));
        assert!(!is_deep(&format!("[{}]", vec!["[]"; 1_000].join(","))));
    }
}
