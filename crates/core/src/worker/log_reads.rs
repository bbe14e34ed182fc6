//! Blocks read from the logs of stored channels: how many at once, in which order, and what becomes of those who wait for them.
//!
//! - A worker has few of them at the log at a time. The others wait in line here, one after the other as answers come, so that a crowd
//!   that comes back to thousands of channels is served as fast as the disk is, and is refused nothing.
//! - Where the log cannot answer, subscriptions ask again after a pause, and nobody is told a lie meanwhile. Questions about the past and
//!   attach requests are refused, because somebody waits for the answer.

use std::collections::VecDeque;
use std::mem;

use super::Worker;
use super::channel::{HomeState, Parked, ready};
use super::history::Reader;
use super::input::LogFailure;
use super::output::Output;
use super::peers::{Pull, Refusal};
use crate::history::Block;
use crate::id::SlotKey;
use crate::limits;
use crate::position::Offset;
use crate::time::Time;

#[derive(Debug)]
pub(crate) struct LogReads {
    /// At the log.
    asked: usize,
    asked_max: usize,
    /// In line. Bounded by those who wait for the blocks, and so by the credits of the askers and the front's permits.
    line: VecDeque<(SlotKey, Offset)>,
    /// Pulls that the log could not serve. Bounded by the credits of the askers.
    unserved: Vec<Pull>,
    /// When they are asked for again.
    again_at: Option<Time>,
}

impl LogReads {
    pub(crate) fn new(workers: usize) -> Self {
        let asked_max = (limits::LOG_READS / workers).max(1);
        Self { asked: 0, asked_max, line: VecDeque::new(), unserved: Vec::new(), again_at: None }
    }

    pub(crate) const fn next_deadline(&self) -> Option<Time> {
        self.again_at
    }

    #[cfg(test)]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.asked == 0 && self.line.is_empty() && self.unserved.is_empty()
    }
}

impl Worker {
    /// Asks the log for a block that somebody waits for, when its turn has come.
    pub(crate) fn read_log(&mut self, home: SlotKey, from: Offset) {
        self.log_reads.line.push_back((home, from));
        self.settle_log_reads();
    }

    fn settle_log_reads(&mut self) {
        while self.log_reads.asked < self.log_reads.asked_max
            && let Some((key, from)) = self.log_reads.line.pop_front()
        {
            let channel = match self.homes.get_mut(key) {
                Some(HomeState::Ready(home)) => Some(home.channel.clone()),
                Some(HomeState::Opening { channel, loading: Some(_), .. }) => Some(channel.clone()),
                Some(HomeState::Opening { .. }) | None => None,
            };
            if let Some(channel) = channel {
                self.log_reads.asked += 1;
                self.peers.outputs.push_back(Output::ReadLog { home: key, channel, from });
            } else {
                let waiting = self.blocks.failed(key, from);
                waiting.into_iter().for_each(|reader| self.serve(reader));
            }
        }
    }

    pub(crate) fn handle_log_read(&mut self, key: SlotKey, from: Offset, result: Result<Block, LogFailure>) {
        self.log_reads.asked -= 1;
        if self.take_inbox_block(key, from, &result) {
            return self.settle_log_reads();
        }
        let home = ready(&mut self.homes, key);
        let waiting = match (home, result) {
            (Some(home), Ok(block)) => {
                let before = home.ring.bytes();
                home.learn_floor(block.floor, self.now.time);
                self.history_bytes = self.history_bytes + home.ring.bytes() - before;
                self.blocks.arrived(key, from, block)
            }
            // What cannot be read stays so: it is lost, and every reader is told.
            (Some(home), Err(LogFailure::Damaged)) => {
                let floor = home.ring.floor();
                home.learn_floor(floor, self.now.time);
                self.blocks.arrived(key, from, Block { records: Vec::new(), damaged: vec![from], reached: from, floor })
            }
            (Some(_), Err(failure)) => {
                self.handle_unread(key, from, failure);
                Vec::new()
            }
            (None, _) => self.blocks.failed(key, from),
        };
        // They find the block before the budget is looked at, even if it is the only one there is room for.
        waiting.into_iter().for_each(|reader| self.serve(reader));
        self.blocks.fit();
        self.settle_log_reads();
    }

    /// Lets one look again that has waited for a block.
    fn serve(&mut self, reader: Reader) {
        match reader {
            Reader::Pull(pull) => self.handle_pull(pull),
            Reader::History(reading) => self.read_on(reading),
            Reader::Consumer { home, name } => self.consumer_read(home, &name, false),
            Reader::Attach(attach) => self.at_home(&attach.channel.clone(), Parked::Attach(attach)),
        }
    }

    fn handle_unread(&mut self, key: SlotKey, from: Offset, failure: LogFailure) {
        for reader in self.blocks.failed(key, from) {
            match reader {
                Reader::Pull(pull) => {
                    self.log_reads.unserved.push(pull);
                    self.log_reads.again_at.get_or_insert(self.now.time.after(limits::LOG_RETRY));
                }
                Reader::History(reading) => self.fail_reading(*reading, failure),
                Reader::Consumer { home, name } => self.consumer_read(home, &name, true),
                Reader::Attach(attach) => self.refuse_attach(*attach, Refusal::Log(failure)),
            }
        }
    }

    /// Asks again for what the log could not do before.
    pub(crate) fn settle_unserved(&mut self) {
        if self.log_reads.again_at.is_some_and(|at| at <= self.now.time) {
            self.log_reads.again_at = None;
            let unserved = mem::take(&mut self.log_reads.unserved);
            unserved.into_iter().for_each(|pull| self.handle_pull(pull));
        }
    }
}
