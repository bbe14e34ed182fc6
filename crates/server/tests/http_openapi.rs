//! The OpenAPI document: the one that is committed, complete, and true.

mod http_support;

use std::path::Path;

use http_support::{KEY, Server};
use serde_json::Value;

#[tokio::test]
async fn the_document_is_the_committed_one() {
    let server = Server::dev().await;
    let answer = server.get("/api/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let text = String::from_utf8(answer.body).expect("text") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).expect("the document is written");
    }
    let committed = std::fs::read_to_string(&path).expect("the committed document");
    assert!(
        text == committed,
        "tests/openapi.json is not up to date: UPDATE_DOCS=1 cargo test -p realtime-connector --test http_openapi"
    );
}

/// Method and path of everything the document describes, with an id that nobody has.
async fn operations(server: &Server) -> Vec<(String, String, Value)> {
    let document =
        server.request("GET", "/api/openapi.json", &[("authorization", &format!("Bearer {KEY}"))], b"").await.json();
    let paths = document["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            all.push((method.to_uppercase(), path.replace("{connectionId}", "nobody"), operation.clone()));
        }
    }
    assert!(all.len() >= 14, "{all:?}");
    all
}

#[tokio::test]
async fn everything_it_describes_is_served_and_asks_for_a_key_if_it_says_so() {
    let server = Server::with_key().await;
    for (method, path, operation) in operations(&server).await {
        let without = server.request(&method, &path, &[], b"").await;
        let public = operation["security"].is_null();
        assert_eq!(public, path == "/api/info" || path.starts_with("/health/"), "{method} {path}");
        if public {
            assert_eq!(without.status, 200, "{method} {path}");
            continue;
        }
        without.refuses(401, "unauthenticated", None);
        assert_eq!(without.header("www-authenticate"), Some("Bearer"), "{method} {path}");
        let wrong =
            server.request(&method, &path, &[("authorization", "Bearer 0123456789abcdef0123456789abcdeX")], b"").await;
        wrong.refuses(401, "unauthenticated", None);
        // A stream has no end to wait for.
        let method = if path == "/api/events" { "HEAD".to_owned() } else { method };
        let with = server.request(&method, &path, &[("authorization", &format!("Bearer {KEY}"))], b"").await;
        assert!(![401, 405].contains(&with.status), "{method} {path}: {with:?}");
        assert!(
            operation["responses"].get(with.status.to_string()).is_some(),
            "{method} {path} answers {}",
            with.status
        );
    }
}

/// Paths that are not part of this API: the playground's, and what clients connect to, which PROTOCOL.md describes.
#[tokio::test]
async fn it_describes_every_route_of_the_api() {
    let server = Server::dev().await;
    let document = server.get("/api/openapi.json").await.json();
    let router = include_str!("../src/http/mod.rs");
    let routes: Vec<_> = router.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.len() >= 12, "{routes:?}");
    for route in routes {
        assert!(document["paths"].get(route).is_some(), "{route} is not described");
    }
}

#[tokio::test]
async fn every_reference_in_it_leads_somewhere() {
    let server = Server::dev().await;
    let document = server.get("/api/openapi.json").await.json();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("inside the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    if let Some(target) = value.get("$ref").and_then(Value::as_str) {
        references.push(target.to_owned());
    }
    let fields = value.as_object().into_iter().flat_map(|fields| fields.values());
    let items = value.as_array().into_iter().flatten();
    fields.chain(items).for_each(|part| collect(part, references));
}
