//! Our own listener: sockets come in, HTTP goes through the router, and what is meant to stay goes to a worker.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tower_service::Service;

use super::request::Peer;
use super::socket::{EdgeSocket, Listener};
use super::takeover::Takeover;
use super::unread::Unread;
use crate::app::App;
use crate::engine::Stream;
use crate::http::answer;

/// Time a client has for the head of a request: a human never needs it, a slow-header attack does.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of a request's head, beyond which nobody parses it. More than the guard allows, so that a head that is only somewhat too
/// large is refused in words.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Streams of one HTTP/2 connection: what browsers and proxies use, and what rapid reset attacks would like to exceed.
const HTTP2_STREAMS_MAX: u32 = 256;
/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long to wait after the system refused a socket, because descriptors have run out.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until told to stop.
pub(crate) async fn run(app: Arc<App>, router: Router, listener: Listener, mut stop: watch::Receiver<bool>) {
    let mut refused = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((socket, address)) => {
                refused = false;
                let Some(place) = app.take_socket() else {
                    tracing::debug!(%address, "no place for one more socket");
                    continue;
                };
                let connection = serve(app.clone(), router.clone(), socket, Peer(address), stop.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Said once: without descriptors this happens ten times a second until some come back.
                if !std::mem::replace(&mut refused, true) {
                    tracing::warn!(%error, "failed to accept connections");
                }
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

async fn serve(app: Arc<App>, router: Router, mut socket: EdgeSocket, peer: Peer, stop: watch::Receiver<bool>) {
    let http2 = tokio::time::timeout(HEADER_DEADLINE, socket.begins_with(HTTP2_PREFACE)).await;
    let result = match http2 {
        // Boxed, because hardly any socket needs the room.
        Ok(Ok(true)) => Box::pin(serve_http2(router, socket, peer, stop)).await,
        Ok(Ok(false)) => serve_http1(app, router, socket, peer, stop).await,
        Ok(Err(_)) | Err(_) => return,
    };
    if let Err(error) = result {
        tracing::debug!(%error, address = %peer.0, "http connection ended");
    }
}

async fn serve_http2(
    router: Router,
    socket: EdgeSocket,
    peer: Peer,
    mut stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error> {
    let unread = Unread::new();
    let service = service_fn(move |request: Request<Incoming>| {
        let (asked, unread) = (call(router.clone(), request, peer, None), unread.clone());
        async move { Ok::<_, std::convert::Infallible>(answer::mark(unread.hold(asked.await?)).await) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
    tokio::select! {
        result = connection.as_mut() => return result,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

async fn serve_http1(
    app: Arc<App>,
    router: Router,
    socket: EdgeSocket,
    peer: Peer,
    mut stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error> {
    let takeover = Takeover::default();
    let note = takeover.clone();
    // Boxed, because taking a connection apart needs a service that may be moved.
    let service =
        service_fn(move |request: Request<Incoming>| Box::pin(call(router.clone(), request, peer, Some(note.clone()))));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE).max_buf_size(HEAD_BYTES_MAX);
    let mut connection = builder.serve_connection(TokioIo::new(socket), service);
    let mut stopping = false;
    let mut stopped = std::pin::pin!(async move { stop.wait_for(|stop| *stop).await.is_ok() });
    let result = poll_fn(|cx| {
        if !stopping && stopped.as_mut().poll(cx).is_ready() {
            stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        match connection.poll_without_shutdown(cx) {
            Poll::Pending if takeover.is_due() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => Poll::Ready(result),
        }
    })
    .await;
    let parts = connection.into_parts();
    let mut socket = parts.io.into_inner();
    match (takeover.take(), result) {
        (Some(handover), Ok(())) => match socket.into_std() {
            Ok((socket, unread)) => {
                let prelude = if unread.is_empty() { parts.read_buf } else { [parts.read_buf, unread].concat().into() };
                app.node.adopt(handover.with(Stream::Socket(socket), prelude));
            }
            Err(error) => tracing::debug!(%error, "failed to take a socket over"),
        },
        (_, result) => {
            // Errors mean the peer is gone, which is what is wanted.
            drop(socket.shutdown().await);
            return result;
        }
    }
    Ok(())
}

async fn call(
    mut router: Router,
    mut request: Request<Incoming>,
    peer: Peer,
    takeover: Option<Takeover>,
) -> Result<Response<Body>, std::convert::Infallible> {
    request.extensions_mut().insert(peer);
    if let Some(takeover) = takeover {
        request.extensions_mut().insert(takeover);
    }
    router.call(request.map(Body::new)).await
}
