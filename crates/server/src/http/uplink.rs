//! `POST /sse/{connectionId}`: what an SSE client says to its session.
//!
//! The body is one frame or an array of up to 64. Frames with a `ref`, and those that fail, are answered here, never in the stream;
//! with nothing to answer the status is 204. Commands reach the worker in order, all of them before the first answer is awaited.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use realtime_connector_core::event::Event;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_wire::json::{self, DecodeLimits};

use super::body;
use super::problem::{self, Refusal};
use crate::app::App;
use crate::transport::request;

/// The handler.
pub(crate) async fn handle(State(app): State<Arc<App>>, Path(connection): Path<String>, request: Request) -> Response {
    match uplink(&app, &connection, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn uplink(app: &App, connection: &str, request: Request) -> Result<Response, Refusal> {
    let (parts, request_body) = request.into_parts();
    // The same answer for an unknown connection and a wrong token: ids are public and must tell nothing.
    let not_found = || Rejection::new(RejectionKind::NotFound, "no such connection, or not its session token");
    let token = request::bearer(&parts.headers)?.ok_or_else(not_found)?;
    let connection = json::parse_connection_id(connection).ok_or_else(not_found)?;
    if !app.node.keys.is_session_token(&token, connection) {
        return Err(not_found().into());
    }
    let bytes = body::json(&parts.headers, request_body, body::BATCH_BYTES_MAX).await?;
    let limits = DecodeLimits { message_bytes: app.config.limits.message_bytes as usize };
    let decoded = json::decode_body(&bytes, &limits)?;
    // `join_all` polls in order, and a command is in the worker's queue after its first poll.
    let sound: Vec<bool> = decoded.frames.iter().map(|frame| frame.result.is_ok()).collect();
    let answers = decoded.frames.into_iter().map(|frame| {
        let (reference, command) = (frame.reference, frame.result.map_err(Box::new));
        async move {
            let answer = app.node.command(connection, command, reference).await;
            answer.unwrap_or_else(|rejection| Event::Error { reference, rejection: Box::new(rejection) })
        }
    });
    let mut answers = join_all(answers).await;
    // Commands find nobody only when the session has ended. A frame that is wrong is refused whether somebody is there or not.
    let mut served = answers.iter().zip(&sound).filter(|(_, sound)| **sound).map(|(answer, _)| answer).peekable();
    if served.peek().is_some() && served.all(is_not_found) && !is_answer_to_one(&answers, decoded.array) {
        return Err(not_found().into());
    }
    answers.retain(is_wanted);
    if answers.is_empty() && !decoded.array {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(spell(app, &answers, decoded.array))
}

fn is_not_found(event: &Event) -> bool {
    matches!(event, Event::Error { rejection, .. } if rejection.kind == RejectionKind::NotFound)
}

/// Whether a single frame asked for its answer by number, and so gets one that is called by it.
fn is_answer_to_one(answers: &[Event], array: bool) -> bool {
    !array && matches!(answers, [Event::Error { reference: Some(_), .. }])
}

/// Whether an answer is given: the client asked for it with a number, or something failed.
const fn is_wanted(event: &Event) -> bool {
    match event {
        Event::Error { .. } => true,
        Event::Ok { reference, .. }
        | Event::Subscribed { reference, .. }
        | Event::Unsubscribed { reference, .. }
        | Event::Pong { reference, .. } => reference.is_some(),
        Event::Connected(_)
        | Event::Message(_)
        | Event::Delivery(_)
        | Event::Consumer(_)
        | Event::Gap { .. }
        | Event::Ping
        | Event::Heartbeat
        | Event::Probe(_)
        | Event::Inbox { .. }
        | Event::Goaway { .. } => false,
    }
}

fn spell(app: &App, answers: &[Event], array: bool) -> Response {
    let (mut status, mut retry_after_ms) = (StatusCode::OK, None);
    let mut bytes = Vec::new();
    if array {
        bytes.push(b'[');
    }
    for (index, event) in answers.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        if let (Event::Error { rejection, .. }, false) = (event, array) {
            let code = json::code(rejection.kind).status();
            status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            retry_after_ms = rejection.retry_after_ms;
        }
        json::write_event(&mut bytes, event, &app.node.keys);
    }
    if array {
        bytes.push(b']');
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    problem::say_when(&mut response, retry_after_ms);
    response
}
