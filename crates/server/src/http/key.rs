//! The key of the HTTP API, asked for before anything of a request is read.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::problem;
use crate::app::App;

/// The name of the key that a request showed; in the extensions of every request behind [`require`].
#[derive(Clone, Debug)]
pub(super) struct KeyName(pub(super) Arc<str>);

/// Lets requests with a key pass, and in dev mode all.
pub(super) async fn require(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match app.api_key(request.headers()) {
        Ok(name) => {
            request.extensions_mut().insert(KeyName(name));
            next.run(request).await
        }
        Err(rejection) => problem::response(&rejection),
    }
}
