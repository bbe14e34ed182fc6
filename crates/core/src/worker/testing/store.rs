//! What a node asks of its store, with the failures that a plan wants.

use super::node::Node;
use super::state::MemoryState;
use crate::history::Block;
use crate::id::{ChannelKey, SlotKey};
use crate::limits;
use crate::options::Retention;
use crate::position::Offset;
use crate::worker::{Input, LogFailure, NotAppended, Output};

impl Node {
    /// Asks the log or the state, whose answer waits for its turn. Gives back what is neither's.
    pub(super) fn ask_store(&mut self, worker: usize, output: Output) -> Option<Output> {
        match output {
            Output::OpenLog { home, channel, retention } => {
                let input = self.open_log(home, &channel, retention);
                self.completions[worker].push_back(input);
            }
            Output::Append { home, ticket, record, persist } => {
                let input = if persist.is_some() && self.log_fails() {
                    let outcome = NotAppended::Failed(LogFailure::Busy);
                    Input::NotAppended { home, ticket, outcome }
                } else {
                    let floor = self.log.floor(&record.channel);
                    Input::Committed { home, ticket: Some(ticket), record: self.log.append(*record), floor }
                };
                self.completions[worker].push_back(input);
            }
            Output::ReadLog { home, channel, from } => {
                self.reads[worker] += 1;
                self.reads_most = self.reads_most.max(self.reads.iter().sum());
                let result = if self.log_fails() { Err(LogFailure::Busy) } else { self.read_log(&channel, from) };
                self.completions[worker].push_back(Input::LogRead { home, from, result });
            }
            Output::PurgeLog { home, ticket, through, .. } => {
                let result = if self.log_fails() { Err(LogFailure::Busy) } else { Ok(through) };
                self.completions[worker].push_back(Input::Purged { home, ticket, result });
            }
            Output::LocateInLog { home, channel, ticket, at } => {
                let result = if self.log_fails() { Err(LogFailure::Busy) } else { Ok(self.log.locate(&channel, &at)) };
                self.completions[worker].push_back(Input::Located { home, ticket, result });
            }
            Output::ApplyState { ticket, persisted, changes } => {
                let result = self.when_state_works(persisted, |state| state.apply(changes));
                self.completions[worker].push_back(Input::StateApplied { ticket, result });
            }
            Output::ScanState { ticket, persisted, scan } => {
                let result = self.when_state_works(persisted, |state| state.scan(&scan));
                self.completions[worker].push_back(Input::StateScanned { ticket, result });
            }
            Output::ForgetLog { channel, .. } => self.log.forget(&channel),
            other @ (Output::Peer { .. }
            | Output::Ask { .. }
            | Output::Close { .. }
            | Output::Abort { .. }
            | Output::Replied { .. }
            | Output::Answered { .. }
            | Output::Lifecycle(_)) => return Some(other),
        }
        None
    }

    /// A channel in memory has no state here.
    fn when_state_works<T: Default>(
        &mut self,
        persisted: bool,
        work: impl FnOnce(&mut MemoryState) -> T,
    ) -> Result<T, LogFailure> {
        match persisted {
            true if self.log_fails() => Err(LogFailure::Busy),
            true => Ok(work(&mut self.state)),
            false => Ok(T::default()),
        }
    }

    fn log_fails(&mut self) -> bool {
        self.plan.log_failures > 0 && self.rng.percent(self.plan.log_failures)
    }

    fn open_log(&mut self, home: SlotKey, channel: &ChannelKey, retention: Option<Retention>) -> Input {
        let epoch = self.log.epoch().clone();
        if retention.is_none() {
            let head = self.log.open(channel);
            return Input::LogOpened { home, epoch, head, floor: head };
        }
        if self.log_fails() {
            return Input::LogNotOpened { home, failure: LogFailure::Unavailable };
        }
        Input::LogOpened { home, epoch, head: self.log.open_persisted(channel), floor: self.log.floor(channel) }
    }

    fn read_log(&mut self, channel: &ChannelKey, from: Offset) -> Result<Block, LogFailure> {
        let latest = self.plan.options.rule(channel).is_some_and(|rule| rule.latest_per_key);
        let most = limits::BLOCK_RECORDS as usize;
        let max = if self.plan.steady { most } else { 1 + self.rng.below(20) };
        self.log.read(channel, from, latest, max)
    }
}
