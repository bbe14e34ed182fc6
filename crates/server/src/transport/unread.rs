//! Answers of an HTTP/2 connection that its client has not taken yet.
//!
//! Over HTTP/1.1 one answer at a time waits for its client. Here each stream has one, and a client that asks and does not read would have
//! the server keep all of them. So what the streams of a connection hold is counted, and an answer for which there is no room is
//! `overloaded`. Bodies leave in pieces: hyper asks for the next one when the client has room, and lets go of the body with the last.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::problem;

/// Bytes of answers that one connection may hold: sixty pages of history.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Answers up to here are not counted: all streams together hold no more than 4 MiB of them.
const FREE_BYTES: u64 = 16 * 1024;
/// What leaves at once.
const PIECE_BYTES: usize = 32 * 1024;

/// What the streams of one connection hold.
#[derive(Clone, Debug)]
pub(super) struct Unread(Arc<Semaphore>);

impl Unread {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(HELD_BYTES_MAX)))
    }

    /// Counts an answer until it has left, or refuses it. Streams, whose end nobody knows, are bounded elsewhere.
    pub(super) fn hold(&self, response: Response) -> Response {
        let Some(bytes) = response.body().size_hint().exact().filter(|bytes| *bytes > FREE_BYTES) else {
            return response;
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        match self.0.clone().try_acquire_many_owned(bytes) {
            Ok(place) => response.map(|inner| Body::new(Held { inner, rest: Bytes::new(), _place: place })),
            Err(_) => {
                let message = "too many answers of this connection have not been read";
                problem::response(&Rejection::new(RejectionKind::Overloaded, message).retry_after_ms(1_000))
            }
        }
    }
}

/// A body that leaves in pieces, and its place.
struct Held {
    inner: Body,
    rest: Bytes,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let most = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(most)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        inner.exact().map_or(inner, |bytes| SizeHint::with_exact(bytes + self.rest.len() as u64))
    }
}
