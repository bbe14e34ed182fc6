//! Patterns over event types: `*` stands for one segment, `**` at the end for one or more; segments are split at `.`.
//!
//! The rules are those of channel patterns, which are split at `:`; only the dot differs.

use std::fmt;

/// Segments of a pattern; more than any sensible type has.
const SEGMENTS_MAX: usize = 32;

/// Why a string is not a pattern of event types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The empty string, or an empty segment.
    #[error("has an empty segment")]
    Empty,
    /// Too many segments.
    #[error("has more than {SEGMENTS_MAX} segments")]
    TooLong,
    /// A star inside a segment.
    #[error("'*' must stand for a whole segment, as in 'order.*'")]
    PartialStar,
    /// `**` before the end.
    #[error("'**' may only be the last segment")]
    RestNotLast,
}

/// A checked pattern.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Box<str>);

impl Pattern {
    /// Checks a pattern.
    pub(crate) fn parse(source: &str) -> Result<Self, PatternError> {
        let segments: Vec<&str> = source.split('.').take(SEGMENTS_MAX + 1).collect();
        if segments.len() > SEGMENTS_MAX {
            return Err(PatternError::TooLong);
        }
        for (index, segment) in segments.iter().enumerate() {
            match *segment {
                "" => return Err(PatternError::Empty),
                "**" if index + 1 < segments.len() => return Err(PatternError::RestNotLast),
                "*" | "**" => {}
                literal if literal.contains('*') => return Err(PatternError::PartialStar),
                _ => {}
            }
        }
        Ok(Self(source.into()))
    }

    /// Whether an event type matches.
    pub(crate) fn matches(&self, event_type: &str) -> bool {
        let mut parts = event_type.split('.');
        for segment in self.0.split('.') {
            let Some(part) = parts.next() else { return false };
            match segment {
                "**" => return true,
                "*" => {}
                literal if literal == part => {}
                _ => return false,
            }
        }
        parts.next().is_none()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pattern = types that match | types that do not`.
    #[track_caller]
    fn check(script: &str) {
        let (pattern, types) = script.split_once(" = ").expect("pattern = types");
        let pattern = Pattern::parse(pattern).expect(script);
        let (matching, other) = types.split_once('|').expect("a bar");
        for name in matching.split_whitespace() {
            assert!(pattern.matches(name), "{pattern} should match {name}");
        }
        for name in other.split_whitespace() {
            assert!(!pattern.matches(name), "{pattern} should not match {name}");
        }
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_the_rest() {
        check("order = order | orders order.created Order");
        check("order.* = order.created | order order.created.eu reorder.created");
        check("order.** = order.created order.created.eu | order orders.created");
        check("*.created = order.created user.created | order.deleted created a.b.created");
        check("*.*.eu = a.b.eu | a.eu a.b.c.eu");
        check("* = order | order.created");
        check("** = order order.created a.b.c.d | ");
    }

    #[test]
    fn a_pattern_is_refused_for_the_reason_that_applies() {
        let table = [
            ("", PatternError::Empty),
            ("order.", PatternError::Empty),
            ("a..b", PatternError::Empty),
            ("order*", PatternError::PartialStar),
            ("a.***", PatternError::PartialStar),
            ("**.a", PatternError::RestNotLast),
        ];
        for (source, expected) in table {
            assert_eq!(Pattern::parse(source), Err(expected), "{source:?}");
        }
        assert_eq!(Pattern::parse(&vec!["a"; 33].join(".")), Err(PatternError::TooLong));
        assert!(Pattern::parse(&vec!["a"; 32].join(".")).is_ok());
    }
}
