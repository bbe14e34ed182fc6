//! What a worker can ask of the writer, one by one.

use std::sync::Arc;

use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::{Epoch, Offset, Position};

use super::channel::{Channel, Keep, signed, unsigned};
use super::clock::Instants;
use super::dedup::{self, Remembered};
use super::error::{Fault, damaged};
use super::request::{Letter, LogMail, Write};
use super::writer::Writer;
use super::{digest, record, values};
use crate::{Append, Completion, StateCompletion, limits};

impl Writer {
    /// Carries out a group inside its transaction.
    pub(super) fn operate(&mut self, now: Instants, group: Vec<Write>) -> Result<Vec<Letter>, Fault> {
        let mut letters = Vec::with_capacity(group.len());
        let mut appended = 0;
        for write in group {
            appended += usize::from(matches!(write, Write::Append { .. }));
            letters.push(self.operate_alone(now, write)?);
        }
        self.sweep_changed(now, limits::SWEEP_PER_GROUP + 2 * appended)?;
        Ok(letters)
    }

    /// Carries out one operation; one that fails is undone alone, unless its fault is everybody's.
    fn operate_alone(&mut self, now: Instants, write: Write) -> Result<Letter, Fault> {
        let sender = write.sender();
        let (noted, high_water) = (self.before.len(), self.meta.high_water);
        self.connection.prepare_cached("SAVEPOINT one")?.execute([])?;
        let fault = match self.dispatch(now, write) {
            Ok(letter) => {
                self.connection.prepare_cached("RELEASE one")?.execute([])?;
                return Ok(letter);
            }
            Err(fault) => fault,
        };
        let is_everybodys = match &fault {
            Fault::Operation(_) => false,
            Fault::Stop(_) | Fault::Busy => true,
            // SQLite may have undone the whole transaction. If it has not, a smaller operation may still have room.
            Fault::Full => self.connection.is_autocommit(),
        };
        if is_everybodys {
            return Err(fault);
        }
        self.suffer(&fault);
        self.connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
        self.connection.prepare_cached("RELEASE one")?.execute([])?;
        self.revert_channels(noted);
        self.meta.high_water = high_water;
        Ok(sender.failed(fault.told()))
    }

    fn dispatch(&mut self, now: Instants, write: Write) -> Result<Letter, Fault> {
        match write {
            Write::Open { mail, home, channel, retention } => self.open(mail, home, &channel, retention),
            Write::Append { mail, home, ticket, append } => {
                let completion = self.append(now, home, ticket, append)?;
                Ok(Letter::Log(mail, completion))
            }
            Write::Purge { mail, home, ticket, channel, through } => {
                let through = self.purge(&channel, through)?;
                Ok(Letter::Log(mail, Completion::Purged { home, ticket, through }))
            }
            Write::Forget { channel } => {
                self.note(&channel);
                self.channels.remove(&channel);
                Ok(Letter::None)
            }
            Write::Apply { mail, ticket, changes } => {
                for change in &changes {
                    values::change(&self.connection, change)?;
                }
                Ok(Letter::State(mail, StateCompletion::Applied { ticket }))
            }
        }
    }

    /// A channel without a row gets none by being opened: names that strangers make up cost nothing on the disk.
    fn open(&mut self, mail: LogMail, home: SlotKey, key: &ChannelKey, retention: Retention) -> Result<Letter, Fault> {
        let channel = self.enter(key, Some(retention))?;
        let (epoch, head, trimmed) = (channel.epoch.clone(), unsigned(channel.head), unsigned(channel.trimmed));
        Ok(Letter::Log(mail, Completion::Opened { home, epoch, head, trimmed }))
    }

    /// The channel as it is, from memory, its row, or nothing. It is noted, so that the caller may change it.
    fn enter(&mut self, key: &ChannelKey, retention: Option<Retention>) -> Result<&mut Channel, Fault> {
        let known = match self.channels.get(key) {
            Some(channel) => Some(channel.clone()),
            None => Channel::find(&self.connection, key)?,
        };
        let mut channel = match known {
            Some(channel) => channel,
            None => {
                let wrong = || damaged("the epoch of new channels is not one");
                let epoch = Epoch::parse(&self.meta.life).ok_or_else(wrong)?;
                Channel::begin(epoch, self.meta.high_water, Keep::from(Retention::default()))
            }
        };
        self.note(key);
        let keep = retention.map_or(channel.keep, Keep::from);
        if keep != channel.keep {
            channel.keep = keep;
            self.dirty.push(key.clone());
        }
        Ok(self.channels.entry(key.clone()).insert(channel).into_mut())
    }

    fn append(&mut self, now: Instants, home: SlotKey, ticket: u64, append: Append) -> Result<Completion, Fault> {
        let Append { mut record, idempotent, replaces } = append;
        let key = record.channel.clone();
        let publisher = idempotent.as_ref().map(dedup::spell);
        let channel = self.enter(&key, None)?.clone();
        if let (Some(id), Some(publisher)) = (channel.id, &publisher)
            && let Some(first) = Remembered::find(&self.connection, id, publisher, record.id.as_str())?
            && first.at_ms > dedup::forgotten_ms(now.store_ms)
        {
            if first.content != digest::content(&record) {
                return Ok(Completion::Conflict { home, ticket });
            }
            let position = Position { epoch: channel.epoch, offset: unsigned(first.seq) };
            return Ok(Completion::Duplicate { home, ticket, position, id: record.id });
        }
        let mut channel = channel;
        let id = match channel.id {
            Some(id) => id,
            None => channel.insert(&self.connection, &key)?,
        };
        channel.head += 1;
        channel.touched_ms = now.store_ms;
        channel.bytes += i64::from(record.cost());
        record.offset = Some(unsigned(channel.head));
        record.epoch = channel.epoch.clone();
        let ttl_ms = record.ttl.map(|ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let expires_ms = ttl_ms.map(|ttl_ms| now.store_ms.saturating_add(ttl_ms));
        record::insert(&self.connection, id, &record, now.store_ms, expires_ms)?;
        if let Some(key) = record.key.as_ref().filter(|_| replaces) {
            record::hollow_older(&self.connection, id, key.as_str(), channel.head)?;
        }
        if let Some(publisher) = &publisher {
            let first = Remembered { content: digest::content(&record), seq: channel.head, at_ms: now.store_ms };
            first.save(&self.connection, id, publisher, record.id.as_str())?;
        }
        let trimmed = unsigned(channel.trimmed);
        self.dirty.push(key.clone());
        self.channels.insert(key, channel);
        Ok(Completion::Committed { home, ticket, record: Arc::from(record), trimmed })
    }

    /// Unreadable at once; the rows go in steps. Returns what was asked for, as far as there is something: what retention took beyond that
    /// is not purged but lost.
    fn purge(&mut self, key: &ChannelKey, through: Offset) -> Result<Offset, Fault> {
        let channel = self.enter(key, None)?;
        channel.trimmed = channel.trimmed.max(signed(through).min(channel.head));
        let purged = unsigned(signed(through).min(channel.trimmed));
        self.dirty.push(key.clone());
        Ok(purged)
    }
}
