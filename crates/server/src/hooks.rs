//! What the engine asks the application: tokens of first frames, which its authenticator verifies.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::auth::{Authenticator, Credentials, needs_credentials};
use crate::engine::{AskRequest, Node};

/// Verifies the tokens of first frames, each in a task of its own.
pub(crate) async fn answer_asks(
    node: Arc<Node>,
    authenticator: Arc<dyn Authenticator>,
    mut asks: mpsc::Receiver<AskRequest>,
) {
    while let Some(request) = asks.recv().await {
        let (node, authenticator) = (node.clone(), authenticator.clone());
        tokio::spawn(async move {
            let credentials = Credentials { token: Some(request.token.clone()), ..Credentials::default() };
            let identity = match authenticator.authenticate(credentials).await {
                Ok(Some(identity)) => Ok(Box::new(identity)),
                Ok(None) => Err(Box::new(needs_credentials())),
                Err(rejection) => Err(Box::new(rejection)),
            };
            node.identified(&request, identity);
        });
    }
}
