//! The client's half of HTTP/1.1: response heads, chunked bodies, and whole answers to a publish.

use memchr::memmem;

use crate::failure::{Failure, Result};

/// Longest response head taken.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What the head of a response says about what follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Status code.
    pub(crate) status: u16,
    /// `Content-Length`.
    pub(crate) length: Option<usize>,
    /// `Transfer-Encoding: chunked`.
    pub(crate) chunked: bool,
    /// `Sec-WebSocket-Accept`.
    pub(crate) accept: Option<String>,
}

/// Takes a response head off the front: its length with the blank line, and the head; `None` if not complete.
///
/// # Errors
/// Not HTTP, or longer than 16 KiB.
pub(crate) fn head(input: &[u8]) -> Result<Option<(usize, Head)>> {
    let Some(end) = memmem::find(input, b"\r\n\r\n") else {
        if input.len() > HEAD_BYTES_MAX {
            return Err(Failure::Protocol("http: response head above 16 KiB".to_owned()));
        }
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&input[..end]);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status =
        first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let Some(status) = status else {
        return Err(Failure::Protocol(format!("http: not a status line: {first:?}")));
    };
    let mut head = Head { status, length: None, chunked: false, accept: None };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.parse().ok(),
            "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
            "sec-websocket-accept" => head.accept = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(Some((end + 4, head)))
}

/// Takes a whole response (with `Content-Length`, chunked, or bodiless) off the front: its length, status and body.
///
/// # Errors
/// Not HTTP, or a body whose end cannot be known.
pub(crate) fn response(input: &[u8]) -> Result<Option<(usize, u16, Vec<u8>)>> {
    let Some((start, head)) = head(input)? else { return Ok(None) };
    let rest = &input[start..];
    if head.chunked {
        let mut body = Vec::new();
        let mut chunks = Chunks::default();
        let used = chunks.feed(rest, &mut body)?;
        return Ok(chunks.ended().then_some((start + used, head.status, body)));
    }
    let length = match head.length {
        Some(length) => length,
        None if head.status == 204 || head.status == 304 => 0,
        None => return Err(Failure::Protocol(format!("http: answer {} without a length", head.status))),
    };
    Ok(rest.get(..length).map(|body| (start + length, head.status, body.to_vec())))
}

/// Incremental decoder of `Transfer-Encoding: chunked`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunks {
    state: ChunkState,
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkState {
    #[default]
    Size,
    Data(usize),
    DataEnd,
    Trailer,
    Ended,
}

impl Chunks {
    /// True after the last chunk and its trailer.
    pub(crate) fn ended(&self) -> bool {
        self.state == ChunkState::Ended
    }

    /// Decodes as much as there is into `out`; returns how much was used (less than all only at the end of the body).
    ///
    /// # Errors
    /// A chunk size that is no hexadecimal number.
    pub(crate) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize> {
        let mut at = 0;
        while at < input.len() && self.state != ChunkState::Ended {
            if let ChunkState::Data(left) = self.state {
                let take = left.min(input.len() - at);
                out.extend_from_slice(&input[at..at + take]);
                at += take;
                self.state = if take == left { ChunkState::DataEnd } else { ChunkState::Data(left - take) };
                continue;
            }
            let byte = input[at];
            at += 1;
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            self.line_ended()?;
        }
        Ok(at)
    }

    fn line_ended(&mut self) -> Result<()> {
        let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        self.line.clear();
        self.state = match self.state {
            ChunkState::Size => {
                let digits = line.split(';').next().unwrap_or_default().trim();
                match usize::from_str_radix(digits, 16) {
                    Ok(0) => ChunkState::Trailer,
                    Ok(size) => ChunkState::Data(size),
                    Err(_) => return Err(Failure::Protocol(format!("http: bad chunk size {line:?}"))),
                }
            }
            ChunkState::Trailer if line.is_empty() => ChunkState::Ended,
            ChunkState::Trailer => ChunkState::Trailer,
            ChunkState::Data(_) | ChunkState::DataEnd => ChunkState::Size,
            ChunkState::Ended => ChunkState::Ended,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_complete_and_not_before() {
        let wire = b"HTTP/1.1 101 Switching Protocols\r\nSEC-WebSocket-Accept: abc=\r\n\r\nrest";
        assert_eq!(head(&wire[..wire.len() - 5]).unwrap(), None);
        let (length, head) = head(wire).unwrap().unwrap();
        assert_eq!(&wire[length..], b"rest");
        assert_eq!(head, Head { status: 101, length: None, chunked: false, accept: Some("abc=".to_owned()) });
    }

    #[test]
    fn not_http_is_an_error() {
        assert!(head(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(head(&vec![b'a'; HEAD_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn pipelined_answers_are_taken_one_by_one() {
        let wire = b"HTTP/1.1 201 C\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 N\r\n\r\nHTTP/1.1 200 O\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let mut input = &wire[..];
        let mut found = Vec::new();
        while let Some((length, status, body)) = response(input).unwrap() {
            found.push((status, String::from_utf8(body).unwrap()));
            input = &input[length..];
        }
        assert_eq!(found, [(201, "ok".to_owned()), (204, String::new()), (200, "abc".to_owned())]);
        assert!(input.is_empty());
        assert_eq!(response(&wire[..38]).unwrap(), None, "body not complete");
        assert!(response(b"HTTP/1.1 200 O\r\n\r\n").is_err(), "endless body");
    }

    #[test]
    fn chunks_are_decoded_however_they_are_cut() {
        let wire = b"5;ext=1\r\nhello\r\nA\r\n, worlds!!\r\n0\r\nX: y\r\n\r\n";
        for cut in 1..wire.len() {
            let mut chunks = Chunks::default();
            let mut out = Vec::new();
            for part in wire.chunks(cut) {
                chunks.feed(part, &mut out).unwrap();
            }
            assert_eq!(out, b"hello, worlds!!", "cut every {cut}");
            assert!(chunks.ended());
        }
        assert!(Chunks::default().feed(b"zz\r\n", &mut Vec::new()).is_err());
    }
}
