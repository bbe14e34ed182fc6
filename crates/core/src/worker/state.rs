//! Answers of the state beside the log, to the feature that asked.

use super::Worker;
use super::input::LogFailure;
use crate::state::{Row, StateOwner, StateTicket};

impl Worker {
    pub(crate) fn handle_state_applied(&mut self, ticket: StateTicket, result: Result<(), LogFailure>) {
        match (ticket.owner, result) {
            (StateOwner::Inbox, result) => self.handle_inbox_saved(ticket.home, result),
            (StateOwner::Consumers, result) => self.consumers_applied(ticket.home, result),
        }
    }

    pub(crate) fn handle_state_scanned(&mut self, ticket: StateTicket, result: Result<(Vec<Row>, bool), LogFailure>) {
        match (ticket.owner, result) {
            (StateOwner::Inbox, result) => self.handle_inbox_rows(ticket.home, result),
            (StateOwner::Consumers, result) => self.consumers_scanned(ticket.home, result),
        }
    }
}
