//! The spelling of values: durations, sizes and addresses, as text and back.
//!
//! - A duration is an integer of milliseconds or a number with a unit: `250ms`, `30s`, `10m`, `2h`, `7d`.
//! - A size is an integer of bytes or a number with a unit of 1024: `512B`, `64KiB`, `1MiB`, `2GiB`.
//! - Both are written with the largest unit that loses nothing, so that what is printed can be read again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Units of durations in milliseconds, largest first.
const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Units of sizes in bytes, largest first.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Splits `30s` into its number and its unit. A space between them is fine.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

fn parse_with(units: &[(&str, u64)], text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text.trim())?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

fn format_with(units: &[(&str, u64)], number: u64) -> String {
    let (name, factor) = units
        .iter()
        .find(|(_, factor)| number != 0 && number.is_multiple_of(*factor))
        .or(units.last())
        .expect("each list of units ends with factor 1");
    format!("{}{name}", number / factor)
}

/// Reads a duration with a unit, in milliseconds.
pub(super) fn parse_duration_ms(text: &str) -> Option<u64> {
    parse_with(&DURATION_UNITS, text)
}

/// Writes milliseconds with the largest unit that loses nothing; zero is `0ms`.
pub(super) fn format_duration_ms(ms: u64) -> String {
    format_with(&DURATION_UNITS, ms)
}

/// Reads a size with a unit, in bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    parse_with(&SIZE_UNITS, text)
}

/// Writes bytes with the largest unit that loses nothing; zero is `0B`.
pub(super) fn format_size(bytes: u64) -> String {
    format_with(&SIZE_UNITS, bytes)
}

/// Milliseconds of a duration; a longer one than fits is cut, and every bound is far below.
pub(super) fn as_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads an address to listen on: `IP:PORT`, `[IPv6]:PORT`, or `localhost:PORT`.
pub(super) fn parse_address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?)),
        None => text.parse().ok(),
    }
}

/// Why a text is not a path of the server, or `None` if it is one.
pub(super) fn path_problem(text: &str) -> Option<&'static str> {
    /// Bytes of a path; far more than anyone types.
    const PATH_BYTES_MAX: usize = 128;
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    if !text.starts_with('/') || text.len() < 2 || text.ends_with('/') {
        Some("a path that begins with '/' and does not end with it")
    } else if text.len() > PATH_BYTES_MAX || !text.bytes().all(safe) || text.contains("//") || text.contains("/.") {
        Some("a path of letters, digits and '-', '_', '.', '~', at most 128 bytes, without empty or dotted segments")
    } else {
        None
    }
}

/// Whether a text is an origin as browsers send it: scheme, host and port, and nothing after them.
pub(super) fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return text == "*" };
    let host_byte = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || b"-.:[]".contains(&byte);
    !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
        && !rest.is_empty()
        && rest.bytes().all(host_byte)
}

/// Whether a text may name a cookie (RFC 6265: a token of RFC 9110).
pub(super) fn is_cookie_name(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(token)
}

/// serde: a [`Duration`] as text with a unit; an integer is read as milliseconds.
pub(super) mod duration {
    use super::{Duration, NumberOrText, as_ms, format_duration_ms, parse_duration_ms};
    use serde::{Deserializer, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration_ms(as_ms(*value)))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let ms = deserializer.deserialize_any(NumberOrText(parse_duration_ms))?;
        ms.map(Duration::from_millis).ok_or_else(|| D::Error::custom("not a duration such as \"30s\""))
    }
}

/// serde: bytes as text with a unit; an integer is read as bytes.
pub(super) mod size {
    use super::{NumberOrText, format_size, parse_size};
    use serde::{Deserializer, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer, T: Copy + Into<u64>>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format_size((*value).into()))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<u64>>(from: D) -> Result<T, D::Error> {
        let bytes = from.deserialize_any(NumberOrText(parse_size))?;
        bytes.and_then(|bytes| T::try_from(bytes).ok()).ok_or_else(|| D::Error::custom("not a size such as \"64KiB\""))
    }
}

/// serde: an optional [`Duration`]; absent is `None`.
pub(super) mod duration_option {
    use super::{Duration, duration};
    use serde::{Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => duration::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        duration::deserialize(from).map(Some)
    }
}

/// serde: optional bytes; absent is `None`.
pub(super) mod size_option {
    use super::size;
    use serde::{Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(value: &Option<u32>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => size::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
        size::deserialize(from).map(Some)
    }
}

/// serde: an optional address; absent is `None`.
pub(super) mod address_option {
    use super::{SocketAddr, parse_address};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer>(value: &Option<SocketAddr>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(from)?;
        parse_address(&text).map(Some).ok_or_else(|| D::Error::custom("not an address such as \"127.0.0.1:8080\""))
    }
}

/// Reads an integer as it is and a text by the function inside.
struct NumberOrText(fn(&str) -> Option<u64>);

impl serde::de::Visitor<'_> for NumberOrText {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a whole number, or a text with a unit")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).ok())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((self.0)(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_a_unit_and_written_with_the_largest_that_loses_nothing() {
        let table = [
            ("250ms", Some(250), "250ms"),
            ("30s", Some(30_000), "30s"),
            ("30 s", Some(30_000), "30s"),
            ("60s", Some(60_000), "1m"),
            ("90s", Some(90_000), "90s"),
            ("10m", Some(600_000), "10m"),
            ("24h", Some(86_400_000), "1d"),
            ("7d", Some(604_800_000), "7d"),
            ("0s", Some(0), "0ms"),
            ("30", None, ""),
            ("30sec", None, ""),
            ("1.5s", None, ""),
            ("-1s", None, ""),
            ("s", None, ""),
            ("", None, ""),
            ("99999999999999999999s", None, ""),
            ("18446744073709551615d", None, ""),
        ];
        for (text, ms, written) in table {
            assert_eq!(parse_duration_ms(text), ms, "{text}");
            assert_eq!(ms.map(format_duration_ms).unwrap_or_default(), written, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_a_unit_of_1024_and_written_the_same_way() {
        let table = [
            ("64KiB", Some(65_536), "64KiB"),
            ("1024KiB", Some(1_048_576), "1MiB"),
            ("2GiB", Some(2_147_483_648), "2GiB"),
            ("100B", Some(100), "100B"),
            ("1000KiB", Some(1_024_000), "1000KiB"),
            ("64KB", None, ""),
            ("64k", None, ""),
            ("KiB", None, ""),
        ];
        for (text, bytes, written) in table {
            assert_eq!(parse_size(text), bytes, "{text}");
            assert_eq!(bytes.map(format_size).unwrap_or_default(), written, "{text}");
        }
    }

    #[test]
    fn an_address_is_an_ip_and_a_port_or_localhost_and_a_port() {
        let table = [
            ("127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("localhost:0", Some("127.0.0.1:0")),
            ("[::1]:8080", Some("[::1]:8080")),
            ("0.0.0.0:80", Some("0.0.0.0:80")),
            (":8080", None),
            ("8080", None),
            ("127.0.0.1", None),
            ("example.com:80", None),
            ("127.0.0.1:99999", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_address(text).map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_path_an_origin_and_a_cookie_name_have_no_room_for_surprises() {
        for (path, valid) in [
            ("/ws", true),
            ("/realtime/ws", true),
            ("/", false),
            ("ws", false),
            ("/ws/", false),
            ("/a//b", false),
            ("/../x", false),
            ("/a?b", false),
            ("/ü", false),
        ] {
            assert_eq!(path_problem(path).is_none(), valid, "{path}");
        }
        for (origin, valid) in [
            ("*", true),
            ("https://example.com", true),
            ("http://localhost:5173", true),
            ("http://[::1]:80", true),
            ("https://example.com/", false),
            ("https://Example.com", false),
            ("example.com", false),
            ("https://", false),
            ("null", false),
        ] {
            assert_eq!(is_origin(origin), valid, "{origin}");
        }
        for (name, valid) in [("session", true), ("__Host-token", true), ("", false), ("a b", false), ("a=b", false)] {
            assert_eq!(is_cookie_name(name), valid, "{name}");
        }
    }
}
