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
use super::problem::Refusal;
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
    let answers = decoded.frames.into_iter().map(|frame| {
        let (reference, command) = (frame.reference, frame.result.map_err(Box::new));
        async move {
            let answer = app.node.command(connection, command, reference).await;
            answer.unwrap_or_else(|rejection| Event::Error { reference, rejection: Box::new(rejection) })
        }
    });
    let mut answers = join_all(answers).await;
    if let [Event::Error { rejection, reference: None }] = &*answers
        && rejection.kind == RejectionKind::NotFound
    {
        return Err(not_found().into());
    }
    answers.retain(is_wanted);
    if answers.is_empty() && !decoded.array {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(spell(app, &answers, decoded.array))
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
        | Event::Gap { .. }
        | Event::Ping
        | Event::Heartbeat
        | Event::Goaway { .. } => false,
    }
}

fn spell(app: &App, answers: &[Event], array: bool) -> Response {
    let mut status = StatusCode::OK;
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
        }
        json::write_event(&mut bytes, event, &app.node.keys);
    }
    if array {
        bytes.push(b']');
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
