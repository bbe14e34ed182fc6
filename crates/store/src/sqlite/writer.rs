//! The thread that writes: groups, and what happens when one fails.
//!
//! - A group is what waits when the one before is done. One transaction, one sync, then all its answers.
//! - Each operation has a savepoint: one that fails is undone alone and told so.
//! - The disk is full: the group is undone, all of it is told [`LogError::Full`], and the next group is tried like any other.
//! - A write or sync fails in any other way, or SQLite finds the file damaged: nothing is written any more, and everything is told [`LogError::Unavailable`]. A sync that
//!   is tried again may say yes about data that the system has already dropped, so it is not tried again. A restart moves the whole
//!   log into the file, by writes and syncs of its own, before it acknowledges anything.
//! - Checkpoints are made here, between groups, and by nobody else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hashbrown::HashMap;
use realtime_connector_core::id::ChannelKey;
use realtime_connector_core::time::Time;
use rusqlite::Connection;

use super::acked::SideFile;
use super::channel::Channel;
use super::clock::{Instants, StoreClock};
use super::error::{Fault, in_doubt};
use super::meta::Meta;
use super::port::Shared;
use super::queue::Taken;
use super::request::{Letter, Write};
use crate::{LogError, limits};

/// Everything the thread owns.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Connection,
    pub(super) side: SideFile,
    pub(super) meta: Meta,
    pub(super) clock: StoreClock,
    /// Channels that workers have open: as many entries as their homes hold, which cost them more than these.
    pub(super) channels: HashMap<ChannelKey, Channel>,
    /// Channels as they were before this group changed them, newest last.
    pub(super) before: Vec<(ChannelKey, Option<Channel>)>,
    /// Channels whose rows this group changes, with repetitions: at most a few per request.
    pub(super) dirty: Vec<ChannelKey>,
    /// Why nothing is written any more.
    pub(super) stopped: Option<LogError>,
    /// There was no space lately.
    pub(super) is_full: bool,
    /// The log of a former process has not been moved into the file yet.
    pub(super) unproven: bool,
    /// When the next round of housekeeping is due.
    pub(super) housekeeping: Time,
    /// The last round had no time for everything.
    pub(super) has_more: bool,
    /// Where it goes on among the channels.
    pub(super) walk: i64,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            let patience = match (self.has_more, self.side.is_dirty()) {
                _ if self.stopped.is_some() => limits::IDLE,
                (true, _) => Duration::ZERO,
                (false, true) => limits::HOUSEKEEPING,
                (false, false) => limits::IDLE,
            };
            match self.shared.writes.take(limits::GROUP_REQUESTS, limits::GROUP_BYTES, patience) {
                Taken::Items(group) => self.handle_group(group),
                Taken::Nothing => {}
                Taken::Closed => return self.finish(),
            }
            self.keep_house();
        }
    }

    fn handle_group(&mut self, group: Vec<Write>) {
        if let Some(error) = &self.stopped {
            return group.into_iter().for_each(|write| write.sender().failed(error.clone()).send());
        }
        let senders: Vec<_> = group.iter().map(Write::sender).collect();
        let now = self.clock.now();
        let work = || self.prove().and_then(|()| self.transact(now, |writer| writer.operate(now, group)));
        // A panic is a bug, but nobody waits forever for an answer because of it.
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Fault::Stop(LogError::Unavailable)));
        match result {
            Ok(letters) => letters.into_iter().for_each(Letter::send),
            Err(fault) => {
                self.suffer(&fault);
                let error = fault.told();
                senders.into_iter().for_each(|sender| sender.failed(error.clone()).send());
            }
        }
    }

    /// Runs a piece of work in one transaction and makes it last. Everything is as before if that fails.
    pub(super) fn transact<T>(
        &mut self,
        now: Instants,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let meta = self.meta.clone();
        self.before.clear();
        self.dirty.clear();
        let result = self.attempt(now, work);
        if let Err(fault) = &result {
            if !self.connection.is_autocommit() {
                // If even this fails, the connection refuses the next BEGIN, and that is told.
                drop(self.connection.execute_batch("ROLLBACK"));
            }
            self.revert_channels(0);
            self.meta = meta;
            self.suffer(fault);
        }
        result
    }

    /// What a fault means for what comes next.
    pub(super) fn suffer(&mut self, fault: &Fault) {
        match fault {
            Fault::Stop(error) => {
                self.stopped = Some(error.clone());
                self.shared.has_stopped.store(true, Ordering::Relaxed);
            }
            Fault::Full => self.is_full = true,
            Fault::Operation(_) | Fault::Busy => {}
        }
    }

    fn attempt<T>(&mut self, now: Instants, work: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let changes = self.connection.total_changes();
        let done = work(self)?;
        self.save_channels()?;
        let is_changed = self.connection.total_changes() != changes;
        if is_changed {
            self.meta.group += 1;
            self.meta.clock_ms = now.store_ms;
            self.meta.wall_ms = i64::try_from(now.now.wall.0).unwrap_or(i64::MAX);
            self.meta.save(&self.connection)?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([]).map_err(in_doubt)?;
        if is_changed && self.side.write(&self.meta.instance, self.meta.group.unsigned_abs()).is_err() {
            // Committed, and no longer to be proven: whoever asked is told that nobody knows.
            return Err(Fault::Stop(LogError::Unavailable));
        }
        Ok(done)
    }

    /// Notes how a channel is before an operation changes it.
    pub(super) fn note(&mut self, key: &ChannelKey) {
        self.before.push((key.clone(), self.channels.get(key).cloned()));
    }

    /// Takes back what was noted after the first `kept` notes.
    pub(super) fn revert_channels(&mut self, kept: usize) {
        for (key, channel) in self.before.drain(kept..).rev() {
            match channel {
                Some(channel) => drop(self.channels.insert(key, channel)),
                None => drop(self.channels.remove(&key)),
            }
        }
    }

    /// Writes the rows of the channels this group changed, each once.
    fn save_channels(&mut self) -> Result<(), Fault> {
        self.dirty.sort_unstable();
        self.dirty.dedup();
        for key in &self.dirty {
            if let Some(channel) = self.channels.get(key) {
                channel.save(&self.connection, key)?;
            }
        }
        Ok(())
    }

    /// Moves what a former process left in the log into the file, once, before anything is acknowledged. What follows in the log
    /// counts only if all before it is on the disk, and a sync that failed may have left a hole there that the system hides.
    fn prove(&mut self) -> Result<(), Fault> {
        if self.unproven {
            if !self.checkpoint("TRUNCATE")? {
                return Err(Fault::Busy);
            }
            self.unproven = false;
        }
        Ok(())
    }

    /// Moves the log into the file when it is long enough, or when there is no space: it can then start over in the space it has.
    pub(super) fn checkpoint_if_due(&mut self) -> Result<(), Fault> {
        let (pages, moved) = self.wal_pages()?;
        if std::mem::take(&mut self.is_full) || pages - moved >= limits::CHECKPOINT_PAGES {
            self.checkpoint("PASSIVE")?;
        }
        Ok(())
    }

    /// Makes a log that is far too long start over: readers that come one after the other may keep it from doing so by itself. They
    /// are waited for, but not for long: an operator's own program may read for hours.
    pub(super) fn shorten_log(&mut self) -> Result<(), Fault> {
        if self.wal_pages()?.0 >= limits::CHECKPOINT_PAGES_HARD {
            self.connection.busy_timeout(limits::CHECKPOINT_PATIENCE)?;
            let done = self.checkpoint("TRUNCATE");
            self.connection.busy_timeout(limits::LOCK_PATIENCE)?;
            done?;
        }
        Ok(())
    }

    /// Pages in the log, and how many of them are in the file. A checkpoint that does nothing tells.
    fn wal_pages(&self) -> Result<(i64, i64), Fault> {
        let mut statement = self.connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
        Ok(statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?)
    }

    /// Whether all of it was done; where somebody else's lock is in the way, as much as can be.
    fn checkpoint(&self, mode: &str) -> Result<bool, Fault> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let blocked: Result<bool, _> = self.connection.prepare_cached(&sql)?.query_row([], |row| row.get(0));
        match blocked.map_err(Fault::from) {
            Ok(blocked) => Ok(!blocked),
            Err(Fault::Busy) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Leaves one file with everything, and a side file that is on the disk.
    fn finish(mut self) {
        if self.stopped.is_none() {
            // What does not work here is done at the next start.
            drop(self.checkpoint("TRUNCATE"));
            drop(self.side.sync());
        }
    }
}
