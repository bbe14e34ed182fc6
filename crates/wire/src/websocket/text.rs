//! Text that arrives in pieces: checked piece by piece, refused at the first byte that cannot belong to UTF-8.

use super::Violation;

/// A text under construction. A character that is cut by the end of a piece waits in `tail`, so that `text` is always
/// valid and no byte is checked twice.
#[derive(Debug, Default)]
pub(super) struct TextBuffer {
    text: String,
    tail: [u8; 4],
    tail_len: usize,
}

impl TextBuffer {
    /// Adds the next bytes; memory grows by doubling, but never above `bytes_max`, the most the text can still become.
    ///
    /// # Errors
    /// [`Violation::InvalidUtf8`] as soon as the text cannot become valid any more.
    pub(super) fn push(&mut self, bytes: &[u8], bytes_max: usize) -> Result<(), Violation> {
        let bytes = self.complete_tail(bytes, bytes_max)?;
        let (whole, cut) = bytes.split_at(bytes.len() - cut_character_len(bytes));
        let valid = simdutf8::basic::from_utf8(whole).map_err(|_| Violation::InvalidUtf8)?;
        self.push_valid(valid, bytes_max);
        for &byte in cut {
            self.push_tail(byte)?;
        }
        Ok(())
    }

    /// Whether the text is complete as it stands: no character is cut.
    pub(super) fn is_complete(&self) -> bool {
        self.tail_len == 0
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Bytes received so far, the cut character included.
    pub(super) fn len(&self) -> usize {
        self.text.len() + self.tail_len
    }

    pub(super) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Completes the character the last piece was cut in and returns what is left of `bytes`.
    fn complete_tail<'b>(&mut self, mut bytes: &'b [u8], bytes_max: usize) -> Result<&'b [u8], Violation> {
        while self.tail_len > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { break };
            bytes = rest;
            self.push_tail(byte)?;
            let tail = self.tail;
            if let Ok(character) = std::str::from_utf8(&tail[..self.tail_len]) {
                self.tail_len = 0;
                self.push_valid(character, bytes_max);
            }
        }
        Ok(bytes)
    }

    /// Adds a byte to the cut character, which never grows beyond four bytes: by then it is complete or wrong.
    fn push_tail(&mut self, byte: u8) -> Result<(), Violation> {
        self.tail[self.tail_len] = byte;
        self.tail_len += 1;
        match std::str::from_utf8(&self.tail[..self.tail_len]) {
            Err(error) if error.error_len().is_some() => Err(Violation::InvalidUtf8),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn push_valid(&mut self, valid: &str, bytes_max: usize) {
        let len = self.text.len();
        self.text.reserve_exact(grown(self.text.capacity(), len + valid.len(), bytes_max) - len);
        self.text.push_str(valid);
    }
}

/// The capacity a buffer should have that holds `capacity` now and must hold `needed`: twice as much, but not more than
/// `bytes_max`.
pub(super) fn grown(capacity: usize, needed: usize, bytes_max: usize) -> usize {
    if needed <= capacity { capacity } else { capacity.saturating_mul(2).min(bytes_max).max(needed) }
}

/// Length of the unfinished character at the end of `bytes`, 0 to 3. Wrong bytes count as finished: the check of the
/// rest finds them.
fn cut_character_len(bytes: &[u8]) -> usize {
    for (behind, byte) in bytes.iter().rev().take(3).enumerate() {
        let character_len = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x00..=0x7f | 0xc0..=0xc1 | 0xf5..=0xff => 1,
        };
        return if behind + 1 < character_len { behind + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::TextBuffer;

    /// Every two-way and three-way cut must give what the standard library says of the whole.
    #[track_caller]
    fn check(bytes: &[u8]) {
        let whole = std::str::from_utf8(bytes).ok();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut buffer = TextBuffer::default();
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let pushed = pieces.iter().try_for_each(|piece| buffer.push(piece, bytes.len()));
                let seen = (pushed.is_ok() && buffer.is_complete()).then_some(buffer.as_str());
                assert_eq!(seen, whole, "{bytes:x?} cut at {first} and {second}");
                assert!(buffer.capacity() <= bytes.len());
            }
        }
    }

    #[test]
    fn any_cut_judges_like_the_whole() {
        check("".as_bytes());
        check("$¢€𤭢 κόσμε \u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}".as_bytes());
        check(b"\xed\xa0\x80");
        check(b"a\xf4\x90\x80\x80");
        check(b"\xc0\xaf");
        check(b"\xe0\x9f\xbf");
        check(b"\xf0\x8f\xbf\xbf");
        check(b"abc\xf8\x88\x80\x80\x80");
        check(b"\x80");
        check(b"\xe2\x82");
        check(b"\xff");
        check(b"\xc3\xc3");
    }

    #[test]
    fn the_first_bad_byte_is_refused_at_once() {
        for (good, bad) in [(&b"\xf4"[..], 0x90), (b"\xed", 0xa0), (b"\xe0", 0x80), (b"ok", 0xc1), (b"\xe2\x82", 0x20)]
        {
            let mut buffer = TextBuffer::default();
            assert_eq!(buffer.push(good, 16), Ok(()), "{good:x?}");
            assert!(buffer.push(&[bad], 16).is_err(), "{good:x?} then {bad:x}");
        }
    }
}
