//! Query parameters of the HTTP API: strict, because a filter with a slip in its name would silently match everything.

use std::borrow::Cow;

use axum::http::Uri;
use realtime_connector_core::id::NameError;
use realtime_connector_core::limits;
use realtime_connector_core::rejection::Rejection;

/// Items of a page where nothing is said.
pub(super) const LIMIT_DEFAULT: usize = 100;
/// Bytes of an unknown parameter's name that are repeated in the error: enough to recognise it.
const ECHO_BYTES_MAX: usize = 64;

/// The parameters of one request, each known and given once.
#[derive(Debug)]
pub(super) struct Params(Vec<(&'static str, String)>);

impl Params {
    /// Reads the query.
    ///
    /// # Errors
    /// Unknown parameters, repeated ones, and escapes that are not UTF-8; `field` names the parameter.
    pub(super) fn read(uri: &Uri, known: &[&'static str]) -> Result<Self, Rejection> {
        let mut params = Self(Vec::new());
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| undecodable("query"))?;
            let Some(name) = known.iter().find(|known| **known == name).copied() else {
                return Err(unknown(&name, known));
            };
            if params.get(name).is_some() {
                return Err(Rejection::field(name, "must be given once"));
            }
            let value = decode(value).ok_or_else(|| undecodable(name))?;
            params.0.push((name, value));
        }
        Ok(params)
    }

    /// Refuses every parameter.
    ///
    /// # Errors
    /// As [`Params::read`].
    pub(super) fn none(uri: &Uri) -> Result<(), Rejection> {
        Self::read(uri, &[]).map(|_| ())
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is a name.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub(super) fn name<T>(
        &self,
        name: &'static str,
        parse: fn(&str) -> Result<T, NameError>,
    ) -> Result<Option<T>, Rejection> {
        let parse = |value| parse(value).map_err(|error| Rejection::name(name, error));
        self.get(name).map(parse).transpose()
    }

    /// How many items a page may have.
    ///
    /// # Errors
    /// Anything but digits, and numbers outside 1 … 1,000.
    pub(super) fn limit(&self) -> Result<usize, Rejection> {
        let Some(value) = self.get("limit") else { return Ok(LIMIT_DEFAULT) };
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = value.parse().ok().filter(|number| digits && (1..=limits::LIST_MAX).contains(number));
        number.ok_or_else(|| Rejection::field("limit", format!("must be an integer from 1 to {}", limits::LIST_MAX)))
    }
}

fn unknown(name: &str, known: &[&str]) -> Rejection {
    let end = (0..=name.len().min(ECHO_BYTES_MAX)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    let message = match known {
        [] => "is not known here: this request has no parameters".to_owned(),
        known => format!("is not known here; known are: {}", known.join(", ")),
    };
    Rejection::field(name[..end].to_owned(), message)
}

pub(crate) fn undecodable(field: impl Into<Cow<'static, str>>) -> Rejection {
    Rejection::field(field, "is not percent-encoded UTF-8")
}

/// Undoes `application/x-www-form-urlencoded`. Names are compared byte for byte, so nothing is repaired on the way.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of `channel`, or the field at fault.
    #[track_caller]
    fn check(query: &str, expected: Result<Option<&str>, &str>) {
        let uri: Uri = format!("/api/channel?{query}").parse().expect("a uri");
        let params = Params::read(&uri, &["channel", "limit"]);
        let got = params.as_ref().map(|params| params.get("channel")).map_err(|it| it.field.as_deref().unwrap_or("-"));
        assert_eq!(got, expected, "{query}");
    }

    #[test]
    fn values_come_out_as_they_were_meant() {
        check("", Ok(None));
        check("&&", Ok(None));
        check("channel=orders", Ok(Some("orders")));
        check("channel", Ok(Some("")));
        check("channel=a%2Fb%20c+d%26e", Ok(Some("a/b c d&e")));
        check("channel=gr%C3%BC%C3%9Fe&limit=5", Ok(Some("grüße")));
        check("channel=a=b", Ok(Some("a=b")));
        check("%63hannel=a", Ok(Some("a")));
    }

    #[test]
    fn nothing_is_guessed() {
        check("chanel=a", Err("chanel"));
        check("Channel=a", Err("Channel"));
        check("channel=a&channel=a", Err("channel"));
        check("channel=%ff", Err("channel"));
        check("channel=%zz", Err("channel"));
        check("channel=%2", Err("channel"));
        check("%ff=a", Err("query"));
        check(&"x".repeat(500), Err(&"x".repeat(ECHO_BYTES_MAX)));
    }

    #[test]
    fn a_limit_is_digits_within_bounds() {
        let limit = |query: &str| {
            let uri: Uri = format!("/?{query}").parse().expect("a uri");
            Params::read(&uri, &["limit"]).and_then(|params| params.limit()).ok()
        };
        assert_eq!(limit(""), Some(LIMIT_DEFAULT));
        assert_eq!(limit("limit=1"), Some(1));
        assert_eq!(limit("limit=1000"), Some(1_000));
        for bad in ["0", "1001", "-1", "+1", "1.0", "1e2", "", "0x5", "99999999999999999999999", " 1"] {
            assert_eq!(limit(&format!("limit={}", bad.replace(' ', "%20"))), None, "{bad}");
        }
    }
}
