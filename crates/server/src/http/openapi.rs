//! `GET /api/openapi.json`: this API as an OpenAPI document.
//!
//! Requests and answers are described beside their handlers; the errors, which are the same everywhere, are added here.

use std::sync::LazyLock;

use axum::extract::Request;
use axum::response::Response;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::params::Params;
use super::problem::Refusal;
use super::schemas::Problem;
use super::{
    acks, answer, broadcast, channels, connections, consumers, events, health, history, inbox, info, metrics, purge,
};

/// The document, written once.
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| Document::openapi().to_pretty_json().expect("a document of plain strings"));

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Realtime Connector",
        description = "The HTTP API for servers: publish, look, steer. Pages and devices connect by WebSocket or Server-Sent Events.",
        license(name = "MIT", identifier = "MIT"),
    ),
    paths(
        acks::handle,
        broadcast::handle,
        channels::list,
        channels::get,
        connections::list,
        connections::get,
        connections::end,
        connections::set_meta,
        connections::subscribe,
        connections::unsubscribe,
        consumers::take,
        consumers::list,
        consumers::delete,
        consumers::dead_letters,
        consumers::requeue,
        events::handle,
        history::handle,
        inbox::list,
        inbox::clear,
        purge::handle,
        info::handle,
        handle,
        health::live,
        health::ready,
        metrics::handle,
    ),
    components(schemas(Problem)),
    modifiers(&Key, &Errors),
    tags(
        (name = "messages", description = "Publish and look back"),
        (name = "channels", description = "What is in use"),
        (name = "connections", description = "Who is connected"),
        (name = "consumers", description = "Take messages, ack them, and look after those that fail"),
        (name = "server", description = "The server itself"),
    ),
)]
struct Document;

/// This document
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "server", operation_id = "getOpenApi",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
)]
pub(super) async fn handle(request: Request) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    Ok(answer::with_type("application/json", DOCUMENT.as_str()))
}

/// All but the health checks and `info` ask for the key.
struct Key;

impl Modify for Key {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        // The workspace's authors are no address that anybody could write to.
        document.info.contact = None;
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("One of `auth.apiKeys`. In development mode none is needed."));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("apiKey", SecurityScheme::Http(scheme.build()));
        for (path, item) in &mut document.paths.paths {
            if path.starts_with("/health/") || path == "/api/info" {
                continue;
            }
            for operation in operations(item) {
                operation.security = Some(vec![SecurityRequirement::new("apiKey", [] as [&str; 0])]);
            }
        }
    }
}

/// What any request may be answered with, and what those with a body may be.
struct Errors;

/// Of every request behind the guards.
const ALWAYS: [(&str, &str); 2] =
    [("400", "Malformed; `field` names the place"), ("403", "The `Host` or `Origin` may not use this server")];
/// Of requests with a key.
const WITH_KEY: [(&str, &str); 3] = [
    ("401", "No API key, or an unknown one"),
    ("500", "A mistake of the server; whether it happened is unknown"),
    ("503", "Too much to do right now, or going down; see `Retry-After`"),
];
/// Of requests with a body.
const WITH_BODY: [(&str, &str); 4] = [
    ("408", "The body took longer than 10 s"),
    ("411", "The body has no declared length"),
    ("413", "The body, or a part of it, is too large"),
    ("415", "The body is not `application/json`"),
];

/// Of one request only. Where a status is in the lists above too, this says all that it can mean.
const OF_ONE: [(&str, &str, &str); 9] = [
    (
        "broadcast",
        "403",
        "The `Host` or `Origin` may not use this server; or a field is not served yet (`not_enabled`)",
    ),
    ("broadcast", "409", "The `id` was used for other content in the last 5 minutes"),
    (
        "subscribeConnection",
        "403",
        "The `Host` or `Origin` may not use this server; or the connection is in as many channels as it may be (`limit_exceeded`)",
    ),
    ("consume", "409", "The name is that of a group, or of a consumer that is none"),
    ("ack", "404", "No such consumer, or it was not delivered"),
    ("ack", "409", "Another member has it by now, its time to ack is over, or it is done already; or another `epoch`"),
    ("listDeadLetters", "404", "No such consumer"),
    ("requeue", "404", "No such consumer, or no such dead letter"),
    ("subscribeConnection", "409", "It was unsubscribed again before the subscription began"),
];

impl Modify for Errors {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            if path.starts_with("/health/") {
                continue;
            }
            for operation in operations(item) {
                describe(operation, path);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn describe(operation: &mut Operation, path: &str) {
    add(operation, &ALWAYS);
    if operation.security.is_some() {
        add(operation, &WITH_KEY);
    }
    if operation.request_body.is_some() {
        add(operation, &WITH_BODY);
    }
    if path.contains('{') {
        add(operation, &[("404", "No such connection")]);
    }
    let id = operation.operation_id.clone();
    for (_, status, description) in OF_ONE.iter().filter(|(of, ..)| id.as_deref() == Some(of)) {
        add(operation, &[(status, description)]);
    }
}

fn add(operation: &mut Operation, errors: &[(&str, &str)]) {
    for (status, description) in errors {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description(*description).content("application/problem+json", content);
        operation.responses.responses.insert((*status).to_owned(), RefOr::T(response.build()));
    }
}
