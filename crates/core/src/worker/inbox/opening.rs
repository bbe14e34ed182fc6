//! Opening the home of a user whose messages are stored: its inbox is read before anybody is served.

use super::super::Worker;
use super::super::channel::HomeState;
use super::super::input::LogFailure;
use super::super::output::Output;
use crate::history::Block;
use crate::id::SlotKey;
use crate::inbox::Loading;
use crate::limits;
use crate::position::{Epoch, Offset};
use crate::state::{self, Row, Scan, StateOwner, StateTicket, Table};

impl Worker {
    /// The log has said where a channel stands: asks for the rows of its inbox. `false` if the channel has none to read.
    pub(crate) fn begin_loading(&mut self, key: SlotKey, epoch: &Epoch, head: Offset, floor: Offset) -> bool {
        let Some(HomeState::Opening { channel, loading, .. }) = self.homes.get_mut(key) else { return false };
        if self.options.inbox_of(channel).is_none() || self.options.retention(channel).is_none() {
            return false;
        }
        *loading = Some(Box::new(Loading::new(epoch.clone(), head, floor)));
        let scan = Scan {
            table: Table::Inbox,
            prefix: state::key(channel, &[]),
            after: None,
            rows_max: limits::SCAN_ROWS_MAX,
        };
        let ticket = StateTicket { home: key, owner: StateOwner::Inbox, number: 0 };
        self.peers.outputs.push_back(Output::ScanState { ticket, persisted: true, scan });
        true
    }

    pub(crate) fn handle_inbox_rows(&mut self, key: SlotKey, result: Result<(Vec<Row>, bool), LogFailure>) {
        let Some(options) = self.options.inbox else { return };
        let Some(HomeState::Opening { channel, loading: Some(loading), .. }) = self.homes.get_mut(key) else { return };
        match result {
            // More rows than of all devices that are waited for are not needed.
            Ok((rows, _)) => {
                loading.take_rows(channel, &rows, &options);
                self.go_on_loading(key);
            }
            Err(failure) => self.give_up_loading(key, failure),
        }
    }

    /// A block that was read for an inbox. `false` if it was not.
    pub(crate) fn take_inbox_block(&mut self, key: SlotKey, from: Offset, result: &Result<Block, LogFailure>) -> bool {
        let Some(options) = self.options.inbox else { return false };
        let Some(HomeState::Opening { loading: Some(loading), .. }) = self.homes.get_mut(key) else { return false };
        match result {
            Ok(block) => loading.take_block(block, &options),
            // What cannot be read is lost, and every reader will be told.
            Err(LogFailure::Damaged) => {
                let block = Block { damaged: vec![from], reached: from, ..Block::default() };
                loading.take_block(&block, &options);
            }
            Err(failure) => {
                self.give_up_loading(key, *failure);
                return true;
            }
        }
        self.go_on_loading(key);
        true
    }

    fn go_on_loading(&mut self, key: SlotKey) {
        let Some(options) = self.options.inbox else { return };
        let Some(HomeState::Opening { loading, .. }) = self.homes.get_mut(key) else { return };
        let Some(next) = loading.as_ref().map(|loading| loading.wants()) else { return };
        if let Some(from) = next {
            return self.read_log(key, from);
        }
        let Some(loading) = loading.take() else { return };
        let (epoch, head, floor) = (loading.epoch.clone(), loading.head, loading.floor);
        let inbox = loading.finish(&options, self.now.time);
        self.open_ready(key, epoch, head, floor, Some(Box::new(inbox)));
    }

    /// The home stays closed until it is asked for again, as if its log had not been opened.
    fn give_up_loading(&mut self, key: SlotKey, failure: LogFailure) {
        if let Some(HomeState::Opening { loading, .. }) = self.homes.get_mut(key) {
            *loading = None;
        }
        self.handle_log_not_opened(key, failure);
    }
}
