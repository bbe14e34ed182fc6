//! An event stream, byte by byte (WHATWG HTML, section 9.2.6), without IO.
//!
//! Lines end with CR, LF or CRLF, wherever the bytes are cut. An event is complete at an empty line.

/// Bytes of one event; a frame is at most 80 KiB, and a stream without an end of line must not fill the memory.
const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// The lines of `data:`, joined.
    pub(super) data: String,
    /// The last `id:` so far, of this event or an earlier one.
    pub(super) last_event_id: Option<String>,
    /// `retry:` in milliseconds, if it came with or before this event.
    pub(super) retry_ms: Option<u64>,
}

/// The stream so far.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    data: Option<String>,
    last_event_id: Option<String>,
    retry_ms: Option<u64>,
    after_cr: bool,
    begun: bool,
}

/// An event longer than [`EVENT_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Parser {
    /// Takes the next bytes; the events that are complete with them.
    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if self.after_cr => {}
                b'\n' | b'\r' => events.extend(self.handle_line()),
                _ => self.line.push(byte),
            }
            self.after_cr = byte == b'\r';
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    fn handle_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        // Only at the very beginning may there be a byte order mark.
        let line = if self.begun { &line } else { line.trim_start_matches('\u{feff}') };
        self.begun = true;
        if line.is_empty() {
            let data = self.data.take()?;
            let (last_event_id, retry_ms) = (self.last_event_id.clone(), self.retry_ms);
            return Some(Event { data, last_event_id, retry_ms });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.last_event_id = Some(value.to_owned()),
            "retry" => self.retry_ms = value.parse().ok().or(self.retry_ms),
            // Comments have an empty field; `event` does not occur with `format=frames`.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a stream as `data@id`, whether its bytes come at once or one by one.
    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        let show = |event: Event| format!("{}@{}", event.data, event.last_event_id.unwrap_or_default());
        let at_once: Vec<_> =
            Parser::default().handle_bytes(stream.as_bytes()).expect("short").into_iter().map(show).collect();
        let mut parser = Parser::default();
        let one_by_one = stream.bytes().flat_map(|byte| parser.handle_bytes(&[byte]).expect("short")).map(show);
        assert_eq!(one_by_one.collect::<Vec<_>>(), at_once, "{stream:?}");
        assert_eq!(at_once, expected, "{stream:?}");
    }

    #[test]
    fn events_are_complete_at_an_empty_line_whatever_ends_the_lines() {
        check("data: a\n\ndata:b\n\n", &["a@", "b@"]);
        check("data: a\r\n\r\ndata: b\r\rdata: c\r\n\n", &["a@", "b@", "c@"]);
        check("data: a\ndata:\ndata:  b\n\n", &["a\n\n b@"]);
        check("\u{feff}data: a\n\n", &["a@"]);
        check("data: a\n", &[]);
        check(": comment\n\nevent: x\n\n\n", &[]);
    }

    #[test]
    fn an_id_stays_until_the_next_one_even_without_data() {
        check("id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\nid\ndata: d\n\n", &["a@1", "b@1", "c@2", "d@"]);
        check("id: a\0b\ndata: x\n\n", &["x@"]);
    }

    #[test]
    fn retry_is_a_number_of_milliseconds() {
        let mut parser = Parser::default();
        let events = parser.handle_bytes(b"retry: 1500\nretry: soon\ndata: x\n\n").expect("short");
        assert_eq!(events[0].retry_ms, Some(1_500));
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let mut parser = Parser::default();
        let chunk = vec![b'x'; 1024 * 1024];
        let given_up = (0..9).any(|_| parser.handle_bytes(&chunk) == Err(TooLong));
        assert!(given_up && parser.line.len() <= EVENT_BYTES_MAX + 1);
    }
}
