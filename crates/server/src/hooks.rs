//! What the engine asks the application: tokens of first frames, which its authenticator verifies.

use std::sync::Arc;

use realtime_connector_core::rejection::{Rejection, RejectionKind};
use tokio::sync::{Semaphore, mpsc};

use crate::auth::{self, Authenticator, Credentials, needs_credentials};
use crate::engine::{AskRequest, Node};

/// Tokens verified at once: more than a pool of database connections serves. Those beyond wait in the engine's queue, which refuses
/// when it is full.
const ASKS_MAX: usize = 256;

/// Verifies the tokens of first frames, each in a task of its own, for as long as their clients wait.
pub(crate) async fn answer_asks(
    node: Arc<Node>,
    authenticator: Arc<dyn Authenticator>,
    mut asks: mpsc::Receiver<AskRequest>,
) {
    let places = Arc::new(Semaphore::new(ASKS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        let Some(mut request) = asks.recv().await else { return };
        let (node, authenticator) = (node.clone(), authenticator.clone());
        tokio::spawn(async move {
            let token = std::mem::take(&mut request.token);
            let mut answer = Answer { node, request, identity: None };
            let credentials = Credentials { token: Some(token), ..Credentials::default() };
            let patience = auth::PATIENCE.saturating_sub(answer.request.asked_at.elapsed());
            let identity = auth::ask(&*authenticator, credentials, patience).await;
            answer.identity = Some(identity.and_then(|identity| identity.ok_or_else(needs_credentials)));
            drop((answer, place));
        });
    }
}

/// The answer to a question, given when it is dropped: an authenticator that panics leaves nobody waiting.
struct Answer {
    node: Arc<Node>,
    request: AskRequest,
    identity: Option<Result<auth::Identity, Rejection>>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let bug = || Err(Rejection::new(RejectionKind::Internal, "the authenticator failed"));
        let identity = self.identity.take().unwrap_or_else(bug);
        self.node.identified(&self.request, identity.map(Box::new).map_err(Box::new));
    }
}
