//! Looks at Rust text without compiling it: blanks what is no code, finds functions.
//!
//! It knows comments, strings, characters and braces, and nothing of the grammar: enough to measure and to search, and
//! small enough to be seen through.

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Line of the word `fn`, from 1.
    pub(super) line: usize,
    /// Lines from the word `fn` to the closing brace.
    pub(super) lines: usize,
}

/// The text with comments and the insides of literals turned into spaces; lines and columns stay.
pub(super) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end == at {
            at += 1;
            continue;
        }
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    // Whole literals were replaced by ASCII, so what is left is still UTF-8.
    String::from_utf8(out).expect("only whole literals and comments were replaced")
}

/// The end of the comment or literal that begins at `at`, or `at` when none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    match bytes[at] {
        b'/' if bytes.get(at + 1) == Some(&b'/') => find(bytes, at, b"\n"),
        b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment_end(bytes, at),
        b'"' => string_end(bytes, at),
        b'\'' => character_end(bytes, at),
        b'r' if !follows_word(bytes, at) => raw_string_end(bytes, at),
        _ => at,
    }
}

/// Whether the byte before belongs to an identifier; `b` and `c` of `br"…"` and `cr"…"` do not count.
fn follows_word(bytes: &[u8], at: usize) -> bool {
    let is_word = |index: usize| bytes[index].is_ascii_alphanumeric() || bytes[index] == b'_';
    match at {
        0 => false,
        1 => is_word(0) && !matches!(bytes[0], b'b' | b'c'),
        _ => is_word(at - 1) && (is_word(at - 2) || !matches!(bytes[at - 1], b'b' | b'c')),
    }
}

fn find(bytes: &[u8], from: usize, needle: &[u8]) -> usize {
    let place = bytes[from..].windows(needle.len()).position(|window| window == needle);
    place.map_or(bytes.len(), |offset| from + offset)
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut index) = (0_usize, at);
    while index < bytes.len() {
        if bytes[index..].starts_with(b"/*") {
            depth += 1;
            index += 2;
        } else if bytes[index..].starts_with(b"*/") {
            depth -= 1;
            index += 2;
            if depth == 0 {
                return index;
            }
        } else {
            index += 1;
        }
    }
    index
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut index = at + 1;
    while index < bytes.len() {
        match bytes[index] {
            b'\\' => index += 2,
            b'"' => return index + 1,
            _ => index += 1,
        }
    }
    bytes.len()
}

fn raw_string_end(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let quote = at + 1 + hashes;
    if bytes.get(quote) != Some(&b'"') {
        return at;
    }
    let mut needle = vec![b'"'];
    needle.resize(1 + hashes, b'#');
    (find(bytes, quote + 1, &needle) + needle.len()).min(bytes.len())
}

/// The end of a character; a lifetime or a loop label is none.
fn character_end(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at + 1) == Some(&b'\\') {
        // The byte after the backslash may be a quote itself.
        return (find(bytes, at + 3, b"'") + 1).min(bytes.len());
    }
    // A character is at most four bytes of UTF-8.
    let close = bytes[at + 1..].iter().take(5).position(|byte| *byte == b'\'');
    match close {
        Some(width) if width > 0 && std::str::from_utf8(&bytes[at + 1..=at + width]).is_ok_and(one_character) => {
            at + width + 2
        }
        _ => at,
    }
}

fn one_character(text: &str) -> bool {
    text.chars().count() == 1
}

/// Every function with a body, in the order of the text. `code` is blanked text.
pub(super) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(&code[at..]) {
            let line = 1 + code[..at].matches('\n').count();
            let lines = 1 + code[at..at + end].matches('\n').count();
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// Offset of the closing brace of the body; none for a signature that ends with `;`.
fn body_end(code: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' if braces == 0 => brackets += 1,
            b')' | b']' if braces == 0 => brackets = brackets.saturating_sub(1),
            b';' if braces == 0 && brackets == 0 => return None,
            b'{' if brackets == 0 || braces > 0 => braces += 1,
            b'}' if braces > 0 => {
                braces -= 1;
                if braces == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_removes_what_is_no_code() {
        let table = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"x("}\"{") y"#, "x(      ) y"),
            ("x(r#\"}\"{\"#) y", "x(        ) y"),
            ("x(br\"}\") y", "x(b    ) y"),
            ("for 'a in '{' .. '\\'' x", "for 'a in     ..      x"),
            ("var\"s\"", "var   "),
            ("'ä' z", "     z"),
            ("x<'a, 'b>", "x<'a, 'b>"),
            ("\"never ends", "           "),
        ];
        for (text, code) in table {
            assert_eq!(blank(text), code, "{text}");
        }
    }

    #[test]
    fn functions_are_measured_from_the_word_to_the_brace() {
        let check = |text: &str, expected: &[(&str, usize, usize)]| {
            let found: Vec<_> = functions(&blank(text)).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
            let expected: Vec<_> = expected.iter().map(|(n, line, lines)| ((*n).to_owned(), *line, *lines)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("fn a() {}", &[("a", 1, 1)]);
        check("\npub fn a(\n  x: u8,\n) {\n  if x { y }\n}\n", &[("a", 2, 5)]);
        check("trait T {\n  fn a();\n  fn b() { \"}\" }\n}", &[("b", 3, 1)]);
        check("fn a(f: fn(u8) -> u8, x: [u8; 3]) {\n  fn b() {\n  }\n}", &[("a", 1, 4), ("b", 2, 2)]);
        check("let often = 1; // fn no() {}", &[]);
    }
}
