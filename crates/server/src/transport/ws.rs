//! `GET /ws`: the WebSocket handshake, and how its stream gets to a worker.
//!
//! - Our own listener, HTTP/1.1: the socket moves before any response exists; 101 is written by hand, in one segment with the first
//!   frame.
//! - HTTP/2 (RFC 8441) and routers mounted in a host application: a task pumps the upgraded stream.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use hyper::ext::Protocol as ExtendedProtocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::session::Provider;
use realtime_connector_wire::websocket::handshake::{self, Accepted, HttpVersion, NATIVE_JSON, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::request::{self, Query};
use super::takeover::Takeover;
use super::{Handover, pump, socket};
use crate::app::App;
use crate::auth;
use crate::engine::Stream;
use crate::http::{cors, problem};

/// Bytes pumped at once: what the pump's buffer holds.
const CHUNK_BYTES: usize = 16 * 1024;

/// The handler of the WebSocket endpoint.
pub(crate) async fn handle(State(app): State<Arc<App>>, mut request: Request) -> Response {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let (parts, _) = request.into_parts();
    let accepted = match accept(&parts) {
        Ok(accepted) => accepted,
        Err(refusal) => return refuse(refusal),
    };
    let handover = match prepare(&app, &parts).await {
        Ok(handover) => handover,
        Err(rejection) => return problem::response(&rejection),
    };
    let headers = switching(&accepted);
    if let Some(takeover) = parts.extensions.get::<Takeover>() {
        let head = head(&headers, &cors::headers(&app.cors, &parts.headers));
        takeover.request(Handover { head, ..handover });
        // The driver drops this future together with hyper's connection.
        return std::future::pending().await;
    }
    let Some(upgrade) = upgrade else { return refuse(Refusal::NotUpgrade) };
    tokio::spawn(pump_upgraded(app, upgrade, handover));
    let mut response = Response::new(Body::empty());
    if accepted.accept.is_some() {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    }
    *response.headers_mut() = headers;
    response
}

/// The headers of the answer to a good request.
fn switching(accepted: &Accepted) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(accept) = accepted.accept {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let accept = HeaderValue::from_bytes(&accept).expect("base64 is a header value");
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(subprotocol) = accepted.subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    headers
}

/// The head of the answer on a socket of our own.
fn head(switching: &HeaderMap, cors: &HeaderMap) -> Bytes {
    let mut head = BytesMut::with_capacity(256);
    head.put_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in switching.iter().chain(cors) {
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    head.put_slice(b"\r\n");
    head.freeze()
}

fn accept(parts: &axum::http::request::Parts) -> Result<Accepted, Refusal> {
    let version = match parts.version {
        Version::HTTP_2 => HttpVersion::Http2,
        Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Http10,
    };
    let protocol = parts.extensions.get::<ExtendedProtocol>().map(ExtendedProtocol::as_str);
    let opening = handshake::Request { method: parts.method.as_str(), version, protocol };
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    handshake::accept(&opening, headers, &[NATIVE_JSON])
}

fn refuse(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).expect("refusals have valid statuses");
    let mut response = problem::with_status(status, &refusal.to_string()).into_response();
    for (name, value) in refusal.headers() {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    response
}

async fn prepare(
    app: &App,
    parts: &axum::http::request::Parts,
) -> Result<Handover, realtime_connector_core::rejection::Rejection> {
    let place = app.take_place()?;
    let query = Query::parse(parts)?;
    let credentials = request::credentials(app, parts, &query)?;
    let connects = query.connects();
    let token = if connects { None } else { credentials.token.clone() };
    let identity = auth::ask(&*app.authenticator, credentials, auth::PATIENCE).await?;
    let connect = connects.then(|| query.connect(app.config.limits.channels_per_connection as usize)).transpose()?;
    if connects && identity.is_none() {
        return Err(auth::needs_credentials());
    }
    let client = app.user_agents.client(parts, Provider::WebSocket);
    let dialect = Dialect::WebSocketJson;
    Ok(Handover { head: Bytes::new(), dialect, client, identity, connect, reference: None, token, place })
}

/// Copies bytes between an upgraded stream and its worker until either ends.
async fn pump_upgraded(app: Arc<App>, upgrade: OnUpgrade, handover: Handover) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%error, "failed to upgrade"),
    };
    let upgraded = match take_socket(upgraded) {
        Ok((Ok(socket), prelude)) => return app.node.adopt(handover.with(Stream::Socket(socket), prelude)),
        Ok((Err(error), _)) => return tracing::debug!(%error, "failed to take a socket over"),
        Err(upgraded) => upgraded,
    };
    let (worker, task) = pump::pair();
    app.node.adopt(handover.with(Stream::Pumped(worker), Bytes::new()));
    let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
    let inbound = async {
        let mut chunk = vec![0; CHUNK_BYTES];
        while task.ready_for_inbound().await {
            match read.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(count) => task.inbound(&chunk[..count]),
            }
        }
    };
    let outbound = async {
        while let Some(bytes) = task.outbound().await {
            if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                break;
            }
        }
        // Errors mean the stream has ended already, which is what is wanted.
        drop(write.shutdown().await);
    };
    tokio::select! {
        () = inbound => {}
        () = outbound => {}
    }
}

/// A socket and the bytes that were read from it beyond the request.
type Taken = (std::io::Result<std::net::TcpStream>, Bytes);

/// The plain socket of a host application's upgraded HTTP/1.1 connection, if it is one.
fn take_socket(upgraded: Upgraded) -> Result<Taken, Upgraded> {
    use hyper_util::server::conn::auto::upgrade::downcast;
    let (io, read) = match upgraded.downcast::<TokioIo<tokio::net::TcpStream>>() {
        Ok(parts) => (parts.io, parts.read_buf),
        Err(upgraded) => {
            let parts = downcast::<TokioIo<tokio::net::TcpStream>>(upgraded)?;
            (parts.io, parts.read_buf)
        }
    };
    let taken = io.into_inner().into_std().and_then(|taken| socket::prepare(&taken).map(|()| taken));
    Ok((taken, read))
}
