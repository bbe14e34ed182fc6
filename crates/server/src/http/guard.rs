//! What is checked before any handler.
//!
//! - Every request says once, and only once, whom it is for, and its head is not larger than any honest one.
//! - A page of another origin is refused unless `cors.allowedOrigins` names it. Requests without `Origin` come from programs, or
//!   from a person who follows a link; both may come in.
//! - In dev mode a Host that is not loopback is refused too, and a peer that is not, or that nobody knows. Loopback alone is no
//!   protection: any page in the developer's browser reaches it, and DNS rebinding makes a foreign name point to it.
//! - `X-Forwarded-*` and their like are never looked at: anybody can send them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use realtime_connector_core::rejection::{Rejection, RejectionKind};

use super::cors;
use super::problem::Refusal;
use crate::app::App;
use crate::transport::request::peer_address;

/// Bytes of a path and its query: names of 256 channels of usual length, and more than browsers and proxies agree on.
const URI_BYTES_MAX: usize = 16 * 1024;
/// Bytes of all headers. Browsers send up to 16 KiB of cookies; common servers stop at 8 to 32 KiB.
const HEADERS_BYTES_MAX: usize = 32 * 1024;

/// Whom a request is for: the one Host, or the authority of HTTP/2 and of absolute URIs.
#[derive(Clone, Debug)]
struct Authority(Option<String>);

/// Refuses heads that are too large, or that leave room for doubt whom they are for.
pub(super) async fn head(mut request: Request, next: Next) -> Response {
    match read_head(&request) {
        Ok(authority) => {
            request.extensions_mut().insert(authority);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn read_head(request: &Request) -> Result<Authority, Refusal> {
    if length(request.uri()) > URI_BYTES_MAX {
        return Err(Refusal::Http(StatusCode::URI_TOO_LONG, "the path and query are longer than 16 KiB"));
    }
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > HEADERS_BYTES_MAX {
        let message = "the headers are larger than 32 KiB";
        return Err(Refusal::Http(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message));
    }
    Ok(authority(request.uri(), headers, request.version())?)
}

fn length(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |text| text.as_str().len())
}

fn authority(uri: &Uri, headers: &HeaderMap, version: Version) -> Result<Authority, Rejection> {
    let bad = |message: &'static str| Rejection::new(RejectionKind::BadRequest, message);
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("there is more than one Host header"));
    }
    let host = host.map(|host| host.to_str().map_err(|_| bad("the Host header is not plain text"))).transpose()?;
    let authority = uri.authority().map(axum::http::uri::Authority::as_str);
    match (authority, host) {
        (Some(authority), Some(host)) if authority != host => {
            Err(bad("the Host header contradicts the authority of the request"))
        }
        (Some(name), _) | (None, Some(name)) if !name.is_empty() => Ok(Authority(Some(name.to_owned()))),
        (_, _) if version == Version::HTTP_10 || version == Version::HTTP_09 => Ok(Authority(None)),
        (_, _) => Err(bad("the Host header is missing")),
    }
}

/// Refuses strangers: foreign origins, and in dev mode foreign hosts.
pub(super) async fn visitor(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match check_visitor(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(rejection) => super::problem::response(&rejection),
    }
}

fn check_visitor(app: &App, request: &Request) -> Result<(), Rejection> {
    let forbidden = |message: &'static str| Rejection::new(RejectionKind::Forbidden, message);
    let host = request.extensions().get::<Authority>().and_then(|authority| authority.0.as_deref());
    if app.dev && !host.is_some_and(|host| cors::is_loopback_authority(&host.to_ascii_lowercase())) {
        return Err(forbidden("dev mode answers only to localhost, 127.0.0.0/8 and [::1] as Host"));
    }
    // A host application may listen anywhere, and a Host can be made up.
    if app.dev {
        let unknown = "dev mode needs the peer's address: serve the application with \
                       into_make_service_with_connect_info::<SocketAddr>()";
        let peer = peer_address(request.extensions()).ok_or_else(|| forbidden(unknown))?;
        if !peer.ip().to_canonical().is_loopback() {
            return Err(forbidden("dev mode answers only to this machine"));
        }
    }
    let allowed = |origin: &axum::http::HeaderValue| {
        origin
            .to_str()
            .is_ok_and(|origin| app.cors.allows(origin) || (!app.dev && host.is_some_and(|host| own(origin, host))))
    };
    if request.headers().get_all(header::ORIGIN).iter().all(allowed) {
        Ok(())
    } else {
        Err(forbidden("this origin is not allowed; name it in cors.allowedOrigins"))
    }
}

/// Whether a page of the server itself asks. Which scheme it was served by only a proxy in front of us knows.
fn own(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    authority == Some(host)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// What a request line, its hosts and its version come to: the authority, or `-` for none, or `400`.
    #[track_caller]
    fn check(uri: &str, hosts: &[&str], version: Version, expected: &str) {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_bytes(host.as_bytes()).expect("a header value"));
        }
        let got = match authority(&uri.parse().expect("a uri"), &headers, version) {
            Ok(Authority(Some(name))) => name,
            Ok(Authority(None)) => "-".to_owned(),
            Err(_) => "400".to_owned(),
        };
        assert_eq!(got, expected, "{uri} {hosts:?} {version:?}");
    }

    #[test]
    fn a_request_is_for_one_host() {
        check("/", &["localhost:8080"], Version::HTTP_11, "localhost:8080");
        check("/", &[], Version::HTTP_11, "400");
        check("/", &[""], Version::HTTP_11, "400");
        check("/", &["a", "a"], Version::HTTP_11, "400");
        check("/", &["\u{fc}"], Version::HTTP_11, "400");
        check("/", &[], Version::HTTP_10, "-");
        check("http://a/", &["a"], Version::HTTP_11, "a");
        check("http://a/", &["b"], Version::HTTP_11, "400");
        check("http://a:8080/", &[], Version::HTTP_2, "a:8080");
    }

    #[test]
    fn only_its_own_origin_is_its_own() {
        for origin in ["https://rt.example", "http://rt.example"] {
            assert!(own(origin, "rt.example"), "{origin}");
        }
        let others = [
            "null",
            "",
            "https://",
            "rt.example",
            "ws://rt.example",
            "HTTPS://rt.example",
            "https://RT.example",
            "https://rt.example.",
            "https://rt.example:8443",
            "https://rt.example.evil.example",
            "https://evilrt.example",
            "https://evil.example/https://rt.example",
            "https://x@rt.example",
            "https://rt.example/",
        ];
        for origin in others {
            assert!(!own(origin, "rt.example"), "{origin}");
        }
    }
}
