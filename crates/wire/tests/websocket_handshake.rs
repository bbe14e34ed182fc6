//! The opening handshake: which requests become a WebSocket, and what the others are told.

use realtime_connector_wire::websocket::handshake::{
    Accepted, HttpVersion, NATIVE_JSON, Refusal, Request, accept, accept_key, client_key,
};

/// The key and answer of RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8; 28] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const GET: Request<'static> = Request { method: "GET", version: HttpVersion::Http11, protocol: None };
const GOOD: &[(&str, &str)] =
    &[("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-version", "13"), ("sec-websocket-key", KEY)];

fn ask(request: Request<'_>, headers: &[(&str, &str)]) -> Result<Accepted, Refusal> {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    accept(&request, headers, &["newer", NATIVE_JSON])
}

/// A good request with some headers changed (`None` takes one away) or added.
fn ask_with(changes: &[(&str, Option<&str>)]) -> Result<Accepted, Refusal> {
    let mut headers: Vec<(&str, &str)> = GOOD.to_vec();
    headers.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    headers.extend(changes.iter().filter_map(|(name, value)| Some((*name, (*value)?))));
    ask(GET, &headers)
}

#[track_caller]
fn refused(outcome: Result<Accepted, Refusal>, refusal: Refusal, status: u16) {
    assert_eq!(outcome, Err(refusal));
    assert_eq!(refusal.status(), status);
}

#[test]
fn the_example_of_the_rfc() {
    assert_eq!(ask(GET, GOOD), Ok(Accepted { accept: Some(*ACCEPT), subprotocol: None }));
    assert_eq!(accept_key(KEY.as_bytes()), *ACCEPT);
    assert_eq!(client_key(*b"the sample nonce"), *KEY.as_bytes());
}

#[test]
fn header_names_and_tokens_in_any_case_and_in_lists() {
    let headers = [
        ("Upgrade", "h2c, WebSocket"),
        ("CONNECTION", "keep-alive ,\tUPGRADE"),
        ("Sec-WebSocket-Version", " 13 "),
        ("Sec-WebSocket-Key", KEY),
        ("Content-Length", "0"),
    ];
    assert_eq!(ask(GET, &headers).map(|accepted| accepted.accept), Ok(Some(*ACCEPT)));
    // A list may be spread over several headers.
    let mut headers = GOOD.to_vec();
    headers.insert(0, ("connection", "keep-alive"));
    headers.insert(0, ("upgrade", "h2c"));
    assert!(ask(GET, &headers).is_ok());
}

#[test]
fn the_key_is_16_bytes_in_base64_and_comes_once() {
    refused(ask_with(&[("sec-websocket-key", None)]), Refusal::KeyMissing, 400);
    let bad = [
        "",
        "x",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZSE=",
        "dGhlIHNhbXBsZSBub25jZSEh",
        "dGhlIHNhbXBsZSBub25j ==",
        "dGhlIHNhbXBsZS_ub25jZQ==",
        "dGhl=HNhbXBsZSBub25jZQ==",
    ];
    for key in bad {
        refused(ask_with(&[("sec-websocket-key", Some(key))]), Refusal::KeyInvalid, 400);
    }
    let twice = [("sec-websocket-key", Some(KEY)), ("sec-websocket-key", Some(KEY))];
    refused(ask_with(&twice), Refusal::KeyInvalid, 400);
}

#[test]
fn only_version_13() {
    for version in [None, Some("8"), Some("0"), Some(""), Some("13, 8"), Some("013"), Some("thirteen")] {
        refused(ask_with(&[("sec-websocket-version", version)]), Refusal::Version, 426);
    }
    assert!(Refusal::Version.headers().contains(&("sec-websocket-version", "13")));
    // An old client hears of the version even when its key is unusable too.
    let old = [("sec-websocket-version", None), ("sec-websocket-key", None), ("sec-websocket-key1", Some("4 @1"))];
    refused(ask_with(&old), Refusal::Version, 426);
}

#[test]
fn not_an_upgrade() {
    for upgrade in [None, Some(""), Some("h2c"), Some("websocket2"), Some("web socket")] {
        refused(ask_with(&[("upgrade", upgrade)]), Refusal::NotUpgrade, 426);
    }
    assert!(Refusal::NotUpgrade.headers().contains(&("upgrade", "websocket")));
    for connection in [None, Some(""), Some("keep-alive"), Some("close"), Some("upgrade, close"), Some("up grade")] {
        refused(ask_with(&[("connection", connection)]), Refusal::Connection, 400);
    }
    for method in ["POST", "HEAD", "OPTIONS", "CONNECT", "get", ""] {
        refused(ask(Request { method, ..GET }, GOOD), Refusal::Method, 405);
    }
    assert_eq!(Refusal::Method.headers(), [("allow", "GET")]);
    refused(ask(Request { version: HttpVersion::Http10, ..GET }, GOOD), Refusal::HttpVersion, 400);
}

#[test]
fn a_body_would_be_taken_for_frames() {
    for (name, value) in [("content-length", "5"), ("content-length", "+0"), ("transfer-encoding", "chunked")] {
        refused(ask_with(&[(name, Some(value))]), Refusal::Body, 400);
    }
}

#[test]
fn a_subprotocol_is_chosen_only_when_offered() {
    let chosen = |offers: &[&str]| {
        let changes: Vec<_> = offers.iter().map(|offer| ("sec-websocket-protocol", Some(*offer))).collect();
        ask_with(&changes).map(|accepted| accepted.subprotocol)
    };
    let native = Ok(Some(NATIVE_JSON));
    assert_eq!(chosen(&[]), Ok(None));
    assert_eq!(chosen(&[""]), Ok(None));
    assert_eq!(chosen(&[" , ,, "]), Ok(None));
    assert_eq!(chosen(&["chat"]), Ok(None));
    assert_eq!(chosen(&[NATIVE_JSON]), native);
    assert_eq!(chosen(&["chat, realtime-connector.v1+json ,superchat"]), native);
    assert_eq!(chosen(&["chat", "", NATIVE_JSON]), native);
    // Names are compared byte for byte, and the server's order decides.
    assert_eq!(chosen(&["Realtime-Connector.v1+json"]), Ok(None));
    assert_eq!(chosen(&["realtime-connector.v1+jsonx, xrealtime-connector.v1+json"]), Ok(None));
    assert_eq!(chosen(&[NATIVE_JSON, "newer"]), Ok(Some("newer")));
    assert_eq!(chosen(&["newer", NATIVE_JSON]), Ok(Some("newer")));
    // Long headers: one element with thousands of spaces inside, and a thousand elements.
    assert_eq!(chosen(&[&format!("b{}x", " ".repeat(7_000))]), Ok(None));
    let many: Vec<String> = (0..1_000).map(|i| format!("protocol-{i}")).collect();
    assert_eq!(chosen(&[&many.join(", ")]), Ok(None));
    assert_eq!(chosen(&[&format!("{}, {NATIVE_JSON}", many.join(","))]), native);
}

#[test]
fn extensions_are_declined_by_silence() {
    for offer in ["permessage-deflate", "permessage-deflate; server_max_window_bits=99", "", ";;;=", "x; y=\"z"] {
        let accepted = ask_with(&[("sec-websocket-extensions", Some(offer))]);
        assert_eq!(accepted, Ok(Accepted { accept: Some(*ACCEPT), subprotocol: None }), "{offer}");
    }
}

#[test]
fn header_values_that_are_not_text_are_no_match() {
    let mut headers: Vec<(&str, &[u8])> = GOOD.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    headers.push(("sec-websocket-protocol", b"\xff\xfe, \x80"));
    headers.push(("x-anything", b"\xff"));
    assert!(accept(&GET, headers.clone(), &[NATIVE_JSON]).is_ok());
    headers.retain(|(name, _)| *name != "sec-websocket-key");
    headers.push(("sec-websocket-key", &[0xff; 24]));
    assert_eq!(accept(&GET, headers, &[NATIVE_JSON]), Err(Refusal::KeyInvalid));
}

#[test]
fn over_http_2_by_extended_connect() {
    let connect = Request { method: "CONNECT", version: HttpVersion::Http2, protocol: Some("websocket") };
    let headers = [("sec-websocket-version", "13"), ("sec-websocket-protocol", NATIVE_JSON)];
    assert_eq!(ask(connect, &headers), Ok(Accepted { accept: None, subprotocol: Some(NATIVE_JSON) }));
    // A key changes nothing.
    assert_eq!(ask(connect, GOOD), Ok(Accepted { accept: None, subprotocol: None }));

    refused(ask(connect, &[]), Refusal::Version, 426);
    refused(ask(Request { protocol: None, ..connect }, &headers), Refusal::Method, 405);
    refused(ask(Request { protocol: Some("connect-udp"), ..connect }, &headers), Refusal::ConnectProtocol, 501);
    refused(ask(Request { method: "GET", protocol: None, ..connect }, GOOD), Refusal::NotExtendedConnect, 400);
    refused(ask(Request { method: "POST", protocol: None, ..connect }, GOOD), Refusal::Method, 405);
}
