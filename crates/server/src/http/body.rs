//! Request bodies: JSON, bounded in bytes and in time.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use realtime_connector_core::rejection::{Rejection, RejectionKind};

use super::problem::Refusal;

/// Bytes of one frame: the largest message and its envelope.
pub(crate) const FRAME_BYTES_MAX: usize = 80 * 1024;
/// Bytes of a batch.
pub(crate) const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Time for a whole body.
const DEADLINE: Duration = Duration::from_secs(10);

/// Reads the JSON body of a request; see [`json`].
pub(super) async fn read(request: Request, bytes_max: usize) -> Result<Bytes, Refusal> {
    let (parts, body) = request.into_parts();
    json(&parts.headers, body, bytes_max).await
}

/// Reads a JSON body.
///
/// # Errors
/// Other content types, bodies without a length, those beyond `bytes_max` (told before they are read, where the length is declared) and slow ones.
pub(crate) async fn json(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    if !is_json(headers) {
        return Err(Refusal::Http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json"));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Refusal::Http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content encodings are not supported"));
    }
    // HTTP/2 needs no length: its streams end by themselves, and hyper tells such bodies apart.
    if !headers.contains_key(header::CONTENT_LENGTH) && body.size_hint().exact() == Some(0) {
        return Err(Refusal::Http(StatusCode::LENGTH_REQUIRED, "a body is needed, with a Content-Length or in chunks"));
    }
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large(bytes_max).into());
    }
    match tokio::time::timeout(DEADLINE, collect(body, bytes_max)).await {
        Ok(result) => result.map_err(Refusal::Rejection),
        Err(_) => Err(Refusal::Http(StatusCode::REQUEST_TIMEOUT, "the body took longer than 10 s")),
    }
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Rejection> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::new(RejectionKind::BadRequest, "the body ended too soon"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn too_large(bytes_max: usize) -> Rejection {
    Rejection::new(RejectionKind::TooLarge, format!("the body is larger than {bytes_max} bytes"))
        .limit(bytes_max as u64)
}
