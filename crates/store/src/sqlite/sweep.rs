//! Housekeeping: what retention, expiry and age remove, in bounded steps.
//!
//! - A channel that took records is trimmed in the same group, a little later than its bound says, down to the bound.
//! - Once a second, or more often while there is much to do, a round: expired records are emptied, old ids forgotten, and some channels visited for their age. A visit goes
//!   through all of them in turn, whether or not anybody has them open.
//! - A channel without records for a day is removed. The highest offset it had is remembered for whoever begins next.

use realtime_connector_core::id::ChannelKey;
use rusqlite::params;

use super::channel::Channel;
use super::clock::Instants;
use super::error::Fault;
use super::writer::Writer;
use super::{dedup, record};
use crate::{LogError, limits};

impl Writer {
    /// What is due between two groups.
    pub(super) fn keep_house(&mut self) {
        let now = self.clock.now();
        if self.stopped.is_some() {
            return;
        }
        let mut done = self.checkpoint_if_due();
        if self.has_more || now.now.time >= self.housekeeping {
            self.housekeeping = now.now.time.after(limits::HOUSEKEEPING);
            let synced = self.side.sync().map_err(|_| Fault::Stop(LogError::Unavailable));
            done = done.and(synced).and_then(|()| self.shorten_log());
            done = done.and_then(|()| self.transact(now, |writer| writer.round(now)));
            // What cannot be done now is no reason to hurry.
            self.has_more &= done.is_ok();
        }
        // Full and busy: the next round tries again. Damage is told to those who read there.
        if let Err(fault @ Fault::Stop(_)) = done {
            self.suffer(&fault);
        }
    }

    fn round(&mut self, now: Instants) -> Result<(), Fault> {
        let forgotten = dedup::sweep(&self.connection, now.store_ms, limits::SWEEP_PER_ROUND)?;
        let hollowed = self.hollow_expired(now)?;
        let mut budget = limits::SWEEP_PER_ROUND;
        self.walk(now, &mut budget)?;
        self.has_more = budget == 0 || forgotten.max(hollowed) == limits::SWEEP_PER_ROUND;
        Ok(())
    }

    fn walk(&mut self, now: Instants, budget: &mut usize) -> Result<(), Fault> {
        let channels = Channel::found_after(&self.connection, self.walk, limits::SWEEP_CHANNELS)?;
        for (id, found) in &channels {
            // Damage is told to whoever comes to it, and found by a check; here it is passed by.
            if let Ok((key, row)) = found {
                tolerant(self.visit_alone(now, key, row, budget))?;
            }
            if *budget == 0 {
                // The same one goes on.
                return Ok(());
            }
            self.walk = *id;
        }
        if channels.len() < limits::SWEEP_CHANNELS {
            self.walk = 0;
        }
        Ok(())
    }

    /// Returns how many were due, up to the bound of a round.
    fn hollow_expired(&self, now: Instants) -> Result<usize, Fault> {
        let sql =
            "SELECT channel, seq FROM record WHERE expires IS NOT NULL AND expires <= ?1 ORDER BY expires LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![now.store_ms, limits::SWEEP_PER_ROUND as i64], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        let expired: Vec<_> = rows.collect::<Result<_, _>>()?;
        for (channel, seq) in &expired {
            tolerant(record::hollow(&self.connection, *channel, *seq))?;
        }
        Ok(expired.len())
    }

    /// A visit that fails is undone alone.
    fn visit_alone(&mut self, now: Instants, key: &ChannelKey, row: &Channel, budget: &mut usize) -> Result<(), Fault> {
        self.connection.prepare_cached("SAVEPOINT visit")?.execute([])?;
        let visited = self.visit(now, key, row, budget);
        if let Err(Fault::Operation(_)) = &visited {
            self.connection.prepare_cached("ROLLBACK TO visit")?.execute([])?;
        }
        if !self.connection.is_autocommit() {
            self.connection.prepare_cached("RELEASE visit")?.execute([])?;
        }
        visited
    }

    /// A look at one channel, open or not.
    fn visit(&mut self, now: Instants, key: &ChannelKey, row: &Channel, budget: &mut usize) -> Result<(), Fault> {
        let is_open = self.channels.contains_key(key);
        let mut channel = self.channels.get(key).unwrap_or(row).clone();
        let is_changed = self.sweep(now, &mut channel, budget)?;
        let pause_ms = now.store_ms.saturating_sub(channel.touched_ms);
        if !is_open && channel.swept == channel.head && pause_ms > limits::CHANNEL_AGE.as_millis() as i64 {
            self.meta.high_water = self.meta.high_water.max(channel.head);
            self.connection.prepare_cached("DELETE FROM channel WHERE id = ?1")?.execute([channel.id])?;
        } else if is_changed && is_open {
            self.note(key);
            self.dirty.push(key.clone());
            self.channels.insert(key.clone(), channel);
        } else if is_changed {
            channel.save(&self.connection, key)?;
        }
        Ok(())
    }

    /// Trims the channels this group has changed, if they are over a bound by more than the slack.
    pub(super) fn sweep_changed(&mut self, now: Instants, mut budget: usize) -> Result<(), Fault> {
        let mut keys = self.dirty.clone();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let Some(channel) = self.channels.get(&key) else { continue };
            if budget == 0 || !is_over(channel) {
                continue;
            }
            let mut channel = channel.clone();
            self.sweep(now, &mut channel, &mut budget)?;
            self.channels.insert(key, channel);
        }
        Ok(())
    }

    /// Removes rows from the old end, step by step: those that cannot be read any more and those over a bound. Returns whether there
    /// were any.
    fn sweep(&self, now: Instants, channel: &mut Channel, budget: &mut usize) -> Result<bool, Fault> {
        let before = channel.swept;
        while *budget > 0 && self.sweep_step(now, channel, budget)? {}
        Ok(channel.swept != before)
    }

    fn sweep_step(&self, now: Instants, channel: &mut Channel, budget: &mut usize) -> Result<bool, Fault> {
        let Some(id) = channel.id else { return Ok(false) };
        let sql = "SELECT seq, cost, stored FROM record WHERE channel = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        let limit = (*budget).min(limits::SWEEP_RECORDS) as i64;
        let (mut swept, mut bytes) = (channel.swept, channel.bytes);
        {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![id, channel.swept, limit])?;
            while let Some(row) = rows.next()? {
                let (seq, cost, stored_ms): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let keep = channel.keep;
                let is_old = now.store_ms.saturating_sub(stored_ms) >= keep.age_ms;
                let is_over = channel.head - swept > keep.records || bytes > keep.bytes;
                if seq > channel.trimmed && !is_old && !is_over {
                    break;
                }
                (swept, bytes) = (seq, bytes - cost);
                *budget -= 1;
            }
        }
        if swept == channel.swept {
            return Ok(false);
        }
        let sql = "DELETE FROM record WHERE channel = ?1 AND seq > ?2 AND seq <= ?3";
        self.connection.prepare_cached(sql)?.execute(params![id, channel.swept, swept])?;
        (channel.swept, channel.bytes, channel.trimmed) = (swept, bytes, channel.trimmed.max(swept));
        Ok(true)
    }
}

/// One damaged row does not keep the others from being swept. It is told to whoever reads it, and found by a check.
fn tolerant(done: Result<(), Fault>) -> Result<(), Fault> {
    match done {
        Err(Fault::Operation(_)) => Ok(()),
        Ok(()) | Err(Fault::Full | Fault::Busy | Fault::Stop(_)) => done,
    }
}

/// Whether trimming is worth its pages.
fn is_over(channel: &Channel) -> bool {
    let over = |now: i64, bound: i64| now > bound.saturating_add(bound / limits::SWEEP_SLACK as i64);
    let rows = channel.head - channel.swept;
    channel.trimmed > channel.swept || over(rows, channel.keep.records) || over(channel.bytes, channel.keep.bytes)
}
