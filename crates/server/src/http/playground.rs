//! The playground of dev mode: a page at `/` and what it needs under `/playground/`.
//!
//! The files are in the program, in a fixed table: nothing of a request ever becomes a path. They are small and change with the
//! program, so they are revalidated each time and answered with 304 when nothing changed.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{answer, problem};

/// A file of the page.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal is $content_type:literal,)*) => {
        [$(Asset {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../assets/", $name)),
        }),*]
    };
}

/// The page itself, first, and everything it asks for.
static ASSETS: [Asset; 15] = assets![
    "index.html" is "text/html; charset=utf-8",
    "playground/app.js" is "text/javascript; charset=utf-8",
    "playground/canvas.js" is "text/javascript; charset=utf-8",
    "playground/dom.js" is "text/javascript; charset=utf-8",
    "playground/links.js" is "text/javascript; charset=utf-8",
    "playground/log.js" is "text/javascript; charset=utf-8",
    "playground/meters.js" is "text/javascript; charset=utf-8",
    "playground/panel.js" is "text/javascript; charset=utf-8",
    "playground/quakes.js" is "text/javascript; charset=utf-8",
    "playground/snippets.js" is "text/javascript; charset=utf-8",
    "playground/strip.js" is "text/javascript; charset=utf-8",
    "playground/world.js" is "text/javascript; charset=utf-8",
    "playground/style.css" is "text/css; charset=utf-8",
    "playground/icon.svg" is "image/svg+xml",
    "playground/land.json" is "application/json",
];

/// What the page may do: nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A tag per file, in their order: it changes with the content and with nothing else.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    let tag = |asset: &Asset| format!("\"{:016x}\"", fnv1a(asset.bytes));
    ASSETS.iter().map(|asset| HeaderValue::from_str(&tag(asset)).expect("hexadecimal digits in quotes")).collect()
});

/// The routes.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(page)).route("/playground/{file}", get(file))
}

async fn page(headers: HeaderMap) -> Response {
    serve(0, &headers)
}

async fn file(path: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response {
    let Ok(Path(file)) = path else { return problem::not_found().await };
    let index = ASSETS.iter().position(|asset| asset.name.strip_prefix("playground/") == Some(&*file));
    match index {
        Some(index) => serve(index, &headers),
        None => problem::not_found().await,
    }
}

/// The router drops the body for HEAD.
fn serve(index: usize, request: &HeaderMap) -> Response {
    let (asset, tag) = (&ASSETS[index], &TAGS[index]);
    let mut response = if knows(request, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer::with_type(asset.content_type, Body::from(asset.bytes))
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag.clone());
    let fixed = [
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the visitor has this version (RFC 9110, section 13.1.2).
fn knows(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let lines = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes()
    })
}

/// 64-bit FNV-1a: told apart are versions of one file, not forgeries.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_in_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let names = |folder: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
            let files = entries.filter(|path| path.is_file());
            let name = |path: &Path| path.strip_prefix(&root).expect("below").to_str().expect("plain").to_owned();
            files.map(|path| name(&path)).collect()
        };
        let mut there = [names(&root), names(&root.join("playground"))].concat();
        let mut known: Vec<_> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        there.sort();
        known.sort();
        assert_eq!(known, there);
    }
}
