//! `POST /api/broadcast`: publish from a server, one message or up to 100.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use realtime_connector_core::command::Publish;
use realtime_connector_core::event::Published;
use realtime_connector_core::publish::{PublishResult, Publisher};
use realtime_connector_core::rejection::Rejection;
use realtime_connector_wire::json::{self, Broadcast, DecodeLimits};

use super::body;
use super::problem::Refusal;
use crate::app::App;

/// The handler.
pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request) -> Response {
    match broadcast(&app, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn broadcast(app: &App, request: Request) -> Result<Response, Refusal> {
    let (parts, request_body) = request.into_parts();
    let name = app.api_key(&parts.headers)?;
    let publisher = Publisher::Server(name);
    let bytes = body::json(&parts.headers, request_body, body::BATCH_BYTES_MAX).await?;
    let limits = DecodeLimits { message_bytes: app.config.limits.message_bytes as usize };
    let mut answer = Vec::new();
    match json::decode_broadcast(&bytes, &limits)? {
        Broadcast::One(publish) => {
            let published = app.publish(*publish, publisher).await?;
            json::write_published(&mut answer, &published);
        }
        Broadcast::Many(messages) => {
            // `join_all` polls in order, so messages of one channel keep theirs.
            let publish = |message: Result<Publish, Rejection>| async {
                match message {
                    Ok(publish) => app.publish(publish, publisher.clone()).await,
                    Err(rejection) => Err(rejection),
                }
            };
            let results = join_all(messages.into_iter().map(publish)).await;
            write_results(&mut answer, &results);
        }
    }
    let mut response = Response::new(Body::from(answer));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn write_results(out: &mut Vec<u8>, results: &[PublishResult]) {
    out.extend_from_slice(b"{\"results\":[");
    for (index, result) in results.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_result(out, result.as_ref());
    }
    out.extend_from_slice(b"]}");
}

fn write_result(out: &mut Vec<u8>, result: Result<&Published, &Rejection>) {
    match result {
        Ok(published) => json::write_published(out, published),
        Err(rejection) => {
            out.extend_from_slice(b"{\"error\":");
            out.extend_from_slice(&json::problem_json(rejection).1);
            out.push(b'}');
        }
    }
}
