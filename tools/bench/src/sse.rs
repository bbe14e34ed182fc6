//! Reads `text/event-stream`: one event at a time from the front of a buffer.
//!
//! Lines end in LF, CR or CRLF; comments and unknown fields are passed over; a CR at the very end of the buffer is not
//! yet a line end, because its LF may follow.

use std::borrow::Cow;

/// One block between blank lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// `event:`, empty if absent.
    pub(crate) name: &'a [u8],
    /// All `data:` lines joined by LF; `None` for a block without data (comment, `id:` or `retry:` only).
    pub(crate) data: Option<Cow<'a, [u8]>>,
    /// `id:`, if present.
    pub(crate) id: Option<&'a [u8]>,
}

/// Takes one block off the front: its length and the event, or `None` if it is not complete.
pub(crate) fn next(input: &[u8]) -> Option<(usize, Event<'_>)> {
    let mut event = Event::default();
    let mut at = 0;
    loop {
        let (line, length) = line(&input[at..])?;
        at += length;
        if line.is_empty() {
            return Some((at, event));
        }
        field(&mut event, line);
    }
}

fn line(input: &[u8]) -> Option<(&[u8], usize)> {
    let end = memchr::memchr2(b'\n', b'\r', input)?;
    if input[end] == b'\n' {
        return Some((&input[..end], end + 1));
    }
    let after = *input.get(end + 1)?;
    Some((&input[..end], end + 1 + usize::from(after == b'\n')))
}

fn field<'a>(event: &mut Event<'a>, line: &'a [u8]) {
    let (name, value) = match memchr::memchr(b':', line) {
        Some(colon) => (&line[..colon], &line[colon + 1..]),
        None => (line, &line[line.len()..]),
    };
    let value = value.strip_prefix(b" ").unwrap_or(value);
    match name {
        b"event" => event.name = value,
        b"id" => event.id = Some(value),
        b"data" => match &mut event.data {
            None => event.data = Some(Cow::Borrowed(value)),
            Some(before) => {
                let joined = before.to_mut();
                joined.push(b'\n');
                joined.extend_from_slice(value);
            }
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks as `name|data|id`, `-` for what is absent.
    fn check(stream: &str, expected: &[&str]) {
        let mut input = stream.as_bytes();
        let mut found = Vec::new();
        while let Some((length, event)) = next(input) {
            let show =
                |part: Option<&[u8]>| part.map_or("-".into(), |bytes| String::from_utf8_lossy(bytes).into_owned());
            found.push(format!("{}|{}|{}", show(Some(event.name)), show(event.data.as_deref()), show(event.id)));
            input = &input[length..];
        }
        assert_eq!(found, expected, "{stream:?}");
    }

    #[test]
    fn events_with_every_line_end() {
        for end in ["\n", "\r\n"] {
            let stream = ["event: x", "data: 1", "id: a-1", "", "data:2", "", ""].join(end);
            check(&stream, &["x|1|a-1", "|2|-"]);
        }
        check("event: x\rdata: 1\r\rdata: 2\r\r:", &["x|1|-", "|2|-"]);
    }

    #[test]
    fn data_lines_are_joined_and_only_one_blank_is_dropped() {
        check("data: a\ndata:  b\ndata\n\n", &["|a\n b\n|-"]);
    }

    #[test]
    fn comments_ids_and_retries_have_no_data() {
        check(": hi\n\nretry: 5\n\nid: c\n\n", &["|-|-", "|-|-", "|-|c"]);
    }

    #[test]
    fn an_incomplete_block_waits() {
        for open in ["", "data: 1", "data: 1\n", "data: 1\r\n\r"] {
            check(open, &[]);
        }
    }
}
