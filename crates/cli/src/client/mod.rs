//! HTTP to a running server, for the commands that are clients: one request per connection, plain HTTP/1.1.
//!
//! - What the server answers with an error code is a [`Failure`] that keeps the code and says what to do.
//! - Answers are bounded in size and time; only the event stream may last.

pub(crate) mod connections;
pub(crate) mod publish;
mod sse;
pub(crate) mod tail;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::ServerArgs;
use crate::failure::Failure;
use crate::settings::read_text;

/// Time for the TCP connection: enough for a lost packet or two.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for an answer to begin and, except for streams, to end.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer: a page of 1,000 connections with metadata is below.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What to do when the server wants a key.
const A_KEY: &str = "give one of the server's auth.apiKeys: --api-key, REALTIME_API_KEY or REALTIME_API_KEY_FILE";
/// What to do when it does not know the key.
const OTHER_KEY: &str = "the key is none of the server's auth.apiKeys: look at --api-key, REALTIME_API_KEY and \
                         REALTIME_API_KEY_FILE, in this order";

/// A server, and who we are to it.
#[derive(Debug)]
pub(crate) struct Client {
    host: String,
    port: u16,
    /// As in the `Host` header.
    authority: String,
    /// What the server's paths begin with, behind a proxy; no `/` at the end.
    prefix: String,
    api_key: Option<String>,
}

impl Client {
    /// Reads the address and the key.
    pub(crate) fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let wrong = |reason: &str| Failure::usage("url", format!("the url {:?} {reason}", args.url));
        let url = match args.url.split_once("://") {
            Some(("http", _)) => args.url.clone(),
            Some(("https" | "wss", _)) => {
                return Err(wrong("needs TLS, which is not supported yet")
                    .hint("use http:// on a network you trust, or through a tunnel such as ssh -L"));
            }
            Some(("ws", rest)) => format!("http://{rest}"),
            Some(_) => return Err(wrong("has an unknown scheme").hint("it must begin with http://")),
            None => format!("http://{}", args.url),
        };
        let uri: Uri = url.parse().map_err(|error| wrong(&format!("is not valid: {error}")))?;
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("has a user name").hint("the server knows API keys only: --api-key"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("has no host"));
        }
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            api_key: api_key(args)?,
        })
    }

    /// The server, for messages.
    pub(crate) fn name(&self) -> String {
        format!("http://{}{}", self.authority, self.prefix)
    }

    /// Sends JSON and reads a whole JSON answer.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<String>) -> Result<Bytes, Failure> {
        let response = self.send(method, path, body, &[]).await?;
        let status = response.status();
        let body = timeout(ANSWER_TIMEOUT, Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect()).await;
        let body =
            body.map_err(|_| self.lost("the answer did not end"))?.map_err(|error| self.lost(&error.to_string()))?;
        let body = body.to_bytes();
        if status.is_success() { Ok(body) } else { Err(self.refused(status, &body)) }
    }

    /// Opens an event stream. A refusal is a failure; `None` means the session is over for good.
    async fn open(&self, path: &str, last_event_id: Option<&str>) -> Result<Option<Incoming>, Failure> {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last_event_id.map(|id| ("last-event-id", id)));
        let response = self.send(Method::GET, path, None, &headers).await?;
        let status = response.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let is_stream = |value: &header::HeaderValue| value.as_bytes().starts_with(b"text/event-stream");
        if status.is_success() && response.headers().get(header::CONTENT_TYPE).is_some_and(is_stream) {
            return Ok(Some(response.into_body()));
        }
        let body = timeout(ANSWER_TIMEOUT, Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        Err(self.refused(status, &body))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Incoming>, Failure> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((self.host.as_str(), self.port)))
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(|error| self.unreachable(&error))?;
        // Small requests should not wait for more; without it they are only slower.
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.lost(&error.to_string()))?;
        // It ends with the response; its error is that of the response.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(header::HOST, &self.authority)
            .header(header::USER_AGENT, concat!("realtime-connector/", env!("CARGO_PKG_VERSION")));
        if let Some(key) = &self.api_key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Failure::usage("url", format!("cannot make a request of that: {error}")))?;
        let response = timeout(ANSWER_TIMEOUT, sender.send_request(request)).await;
        response.map_err(|_| self.lost("no answer within 30 s"))?.map_err(|error| self.lost(&error.to_string()))
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        Failure::failed("unreachable", format!("cannot reach {}: {error}", self.name()))
            .hint("start a server with `realtime-connector serve`, or name another with --url or REALTIME_URL")
    }

    fn lost(&self, reason: &str) -> Failure {
        Failure::failed("connection_lost", format!("lost the connection to {}: {reason}", self.name()))
    }

    /// What the server says about a refusal, as `application/problem+json`.
    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let Ok(problem) = serde_json::from_slice::<ProblemBody>(body) else {
            return Failure::failed("unexpected_answer", format!("{} answered {status}", self.name()))
                .hint("is this a Realtime Connector, and is the path right?");
        };
        // Messages about a field are fragments that follow its name.
        let field = problem.field.map(|field| format!("{field} ")).unwrap_or_default();
        let text = format!("{}: {field}{} (HTTP {})", problem.code, problem.message, status.as_u16());
        let failure = Failure::failed(&problem.code, text);
        match (problem.code.as_str(), problem.retry_after_ms) {
            ("unauthenticated" | "token_expired" | "token_revoked", _) => {
                failure.hint(if self.api_key.is_some() { OTHER_KEY } else { A_KEY })
            }
            (_, Some(ms)) => failure.hint(format!("try again in {:.1} s", Duration::from_millis(ms).as_secs_f64())),
            _ => failure,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProblemBody {
    code: String,
    message: String,
    field: Option<String>,
    retry_after_ms: Option<u64>,
}

fn api_key(args: &ServerArgs) -> Result<Option<String>, Failure> {
    let key = match (&args.api_key, std::env::var_os("REALTIME_API_KEY_FILE")) {
        (Some(key), _) => Some(key.clone()),
        (None, Some(file)) => {
            let text = read_text(Path::new(&file));
            let wrong = |error| format!("cannot read {} (REALTIME_API_KEY_FILE): {error}", file.display());
            Some(text.map_err(|error| Failure::usage("api_key", wrong(error)))?.trim().to_owned())
        }
        (None, None) => None,
    };
    match key {
        Some(key) if key.is_empty() => Ok(None),
        Some(key) if !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(Failure::usage("api_key", "the API key has characters that cannot be sent; it is visible ASCII only"))
        }
        key => Ok(key),
    }
}

/// A query: `?a=1&b=2`, or nothing.
fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, String> {
        let args = ServerArgs { url: url.to_owned(), api_key: None };
        Client::new(&args).map_err(|failure| failure.message)
    }

    #[test]
    fn a_url_is_http_with_a_host_and_perhaps_a_prefix() {
        let table = [
            ("http://127.0.0.1:8080", "127.0.0.1 8080 http://127.0.0.1:8080"),
            ("http://example.com/realtime/", "example.com 80 http://example.com/realtime"),
            ("localhost:9000", "localhost 9000 http://localhost:9000"),
            ("ws://localhost:9000", "localhost 9000 http://localhost:9000"),
            ("http://[::1]:80", "::1 80 http://[::1]:80"),
            ("https://example.com", "the url \"https://example.com\" needs TLS, which is not supported yet"),
            ("wss://example.com", "the url \"wss://example.com\" needs TLS, which is not supported yet"),
            ("ftp://example.com", "the url \"ftp://example.com\" has an unknown scheme"),
            ("http://a:b@example.com", "the url \"http://a:b@example.com\" has a user name"),
            ("http://", "the url \"http://\" is not valid: empty string"),
            ("", "the url \"\" is not valid: empty string"),
        ];
        for (url, expected) in table {
            let found = client(url).map(|client| format!("{} {} {}", client.host, client.port, client.name()));
            assert_eq!(found.unwrap_or_else(|message| message), expected, "{url}");
        }
    }

    #[test]
    fn a_query_survives_any_name() {
        assert_eq!(query(&[]), "");
        assert_eq!(query(&[("channel", "a b&c=ü"), ("limit", "1")]), "?channel=a%20b%26c%3D%C3%BC&limit=1");
    }
}
