//! Patterns over channel names: `*` stands for one segment, `**` at the end for one or more; segments are split at `:`.
//!
//! Matching is linear in the name. There is no regular expression to blow up.

use std::fmt;

/// Segments of a pattern; more than any sensible name has.
const SEGMENTS_MAX: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    One,
    Rest,
}

/// A parsed pattern.
///
/// ```
/// use realtime_connector_core::pattern::Pattern;
/// let rooms = Pattern::parse("chat:*").unwrap();
/// assert!(rooms.matches("chat:lobby") && !rooms.matches("chat:lobby:typing"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    source: Box<str>,
    segments: Box<[Segment]>,
}

/// Why a string is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The empty string.
    #[error("must not be empty")]
    Empty,
    /// Too many segments.
    #[error("has more than {SEGMENTS_MAX} segments")]
    TooLong,
    /// A star inside a segment.
    #[error("'*' must stand for a whole segment, as in 'chat:*'")]
    PartialStar,
    /// `**` before the end.
    #[error("'**' may only be the last segment")]
    RestNotLast,
    /// A leading `$`.
    #[error("must not begin with '$': $all and $user take no rule")]
    Reserved,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment.
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        if source.is_empty() {
            return Err(PatternError::Empty);
        }
        if source.starts_with('$') {
            return Err(PatternError::Reserved);
        }
        let count = source.split(':').count();
        if count > SEGMENTS_MAX {
            return Err(PatternError::TooLong);
        }
        let segments = source
            .split(':')
            .enumerate()
            .map(|(index, segment)| match segment {
                "*" => Ok(Segment::One),
                "**" if index + 1 == count => Ok(Segment::Rest),
                "**" => Err(PatternError::RestNotLast),
                literal if literal.contains('*') => Err(PatternError::PartialStar),
                literal => Ok(Segment::Literal(literal.into())),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { source: source.into(), segments })
    }

    /// Whether a channel name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = name.split(':');
        for segment in &self.segments {
            let Some(part) = parts.next() else { return false };
            match segment {
                Segment::Literal(literal) if **literal != *part => return false,
                Segment::Literal(_) | Segment::One => {}
                Segment::Rest => return true,
            }
        }
        parts.next().is_none()
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.source, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pattern: name name | name name` – the names before the bar match, those after it do not.
    fn check(script: &str) {
        let (pattern, names) = script.split_once(" = ").expect("pattern = names");
        let pattern = Pattern::parse(pattern).expect(script);
        let (matching, other) = names.split_once('|').expect("a bar");
        for name in matching.split_whitespace() {
            assert!(pattern.matches(name), "{pattern:?} should match {name}");
        }
        for name in other.split_whitespace() {
            assert!(!pattern.matches(name), "{pattern:?} should not match {name}");
        }
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_the_rest() {
        check("orders = orders | order orders: orders:1 Orders");
        check("chat:* = chat:a chat: | chat chat:a:b xchat:a");
        check("chat:** = chat:a chat:a:b chat: | chat");
        check("*:news = a:news :news | news a:b:news");
        check("a:*:** = a:b:c a:b:c:d | a:b a");
        check("* = a | a:b");
        check("** = a a:b | ");
    }

    #[test]
    fn a_pattern_is_refused_for_the_reason_that_applies() {
        let table = [
            ("", PatternError::Empty),
            ("chat*", PatternError::PartialStar),
            ("a:***", PatternError::PartialStar),
            ("**:a", PatternError::RestNotLast),
            ("$all", PatternError::Reserved),
        ];
        for (source, expected) in table {
            assert_eq!(Pattern::parse(source), Err(expected), "{source:?}");
        }
        assert_eq!(Pattern::parse(&"a:".repeat(40)), Err(PatternError::TooLong));
    }
}
