//! The rows of an inbox beside the log: what is done up to its newest message, for all and by device.
//!
//! - One row for the inbox, one for each known device and one for connections without a device (policy `each`). What lies above a row's
//!   cursor is pending, so that a new message costs no row.
//! - One write is under way at a time, and changes that come meanwhile share the next one. Acks are answered when a write that began after
//!   them is done.
//! - A row belongs to one life of the log. Another life has other messages under the same numbers: its inbox begins with all that is kept.

use super::pending::{Device, Inbox};
use crate::acks::Acked;
use crate::event::Outcome;
use crate::id::{ChannelKey, DeviceId};
use crate::limits;
use crate::position::{Epoch, Offset};
use crate::publish::Origin;
use crate::state::{Change, Table, key};
use crate::time::{Time, UnixMs};

/// Which kind of row: the first part of its key after the channel.
const INBOX: u8 = 0;
const DEVICE: u8 = 1;
const ANONYMOUS: u8 = 2;
/// How values are laid out.
const VERSION: u8 = 1;

/// What must be written, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Saving {
    /// The row of the inbox is out of date.
    pub(super) changed: bool,
    /// That of connections without a device.
    pub(super) anonymous_changed: bool,
    /// Devices whose rows are to go.
    forgotten: Vec<DeviceId>,
    /// Whose deletion is under way.
    forgetting: Vec<DeviceId>,
    under_way: bool,
    /// Acks that the present write answers. Bounded, like those of the next one, by the credits of the askers.
    answers: Vec<(Origin, Outcome)>,
    /// Acks that wait for the next write.
    waiting: Vec<(Origin, Outcome)>,
    /// After a failure: when to try again.
    again_at: Option<Time>,
}

impl Saving {
    pub(super) fn forget(&mut self, device: DeviceId) {
        // Beyond this a row is left over, and goes when the inbox is opened the next time.
        if self.forgotten.len() < 2 * limits::INBOX_DEVICES {
            self.forgotten.push(device);
        }
    }

    pub(super) const fn again_at(&self) -> Option<Time> {
        self.again_at
    }
}

impl Inbox {
    /// Somebody is to be answered when all that has happened is safe.
    pub(crate) fn wait(&mut self, origin: Origin, outcome: Outcome) {
        self.saving.waiting.push((origin, outcome));
    }

    /// Whether there is something to write, or under way.
    pub(crate) fn is_saving(&self) -> bool {
        self.saving.under_way || self.needs_saving()
    }

    fn needs_saving(&self) -> bool {
        let saving = &self.saving;
        saving.changed
            || saving.anonymous_changed
            || !saving.forgotten.is_empty()
            || !saving.waiting.is_empty()
            || self.devices.iter().any(|device| device.changed)
    }

    /// What to write now; `None` while a write is under way, a pause after a failure lasts, or nothing has changed.
    pub(crate) fn take_changes(&mut self, channel: &ChannelKey, epoch: &Epoch, now: Time) -> Option<Vec<Change>> {
        if self.saving.under_way || !self.needs_saving() || self.saving.again_at.is_some_and(|at| at > now) {
            return None;
        }
        let mut changes = Vec::new();
        let put = |parts: &[&[u8]], value: Vec<u8>| Change::Put {
            table: Table::Inbox,
            key: key(channel, parts),
            value: value.into(),
        };
        let cursor = |numbers: &[u64], acked: &Acked| {
            let mut value = vec![VERSION, u8::try_from(epoch.as_str().len()).expect("an epoch is short")];
            value.extend_from_slice(epoch.as_str().as_bytes());
            numbers.iter().for_each(|number| value.extend_from_slice(&number.to_be_bytes()));
            value.extend_from_slice(&acked.to_bytes());
            value
        };
        if self.saving.changed {
            let numbers = [self.announced, self.dropped_up_to, self.untold];
            changes.push(put(&[&[INBOX]], cursor(&numbers, &self.cursor_of_all())));
        }
        if self.saving.anonymous_changed {
            changes.push(put(&[&[ANONYMOUS]], cursor(&[], &self.cursor(None))));
        }
        for (place, device) in self.devices.iter().enumerate().filter(|(_, device)| device.changed) {
            let parts: [&[u8]; 2] = [&[DEVICE], device.id.as_str().as_bytes()];
            changes.push(put(&parts, cursor(&[device.seen.0], &self.cursor(Some(place)))));
        }
        let known = |id: &DeviceId| self.devices.iter().any(|device| device.id == *id);
        let gone: Vec<DeviceId> = self.saving.forgotten.iter().filter(|id| !known(id)).cloned().collect();
        changes.extend(
            gone.iter().map(|id| Change::Delete {
                table: Table::Inbox,
                key: key(channel, &[&[DEVICE], id.as_str().as_bytes()]),
            }),
        );
        for device in self.devices.iter_mut().filter(|device| device.changed) {
            (device.changed, device.noted) = (false, device.seen);
        }
        let answers = std::mem::take(&mut self.saving.waiting);
        self.saving = Saving { under_way: true, forgetting: gone, answers, ..Saving::default() };
        Some(changes)
    }

    /// A write is done, or has failed. Returns whom it answers.
    pub(crate) fn saved(&mut self, done: bool, now: Time) -> Vec<(Origin, Outcome)> {
        let saving = &mut self.saving;
        saving.under_way = false;
        let answers = std::mem::take(&mut saving.answers);
        let forgetting = std::mem::take(&mut saving.forgetting);
        if !done {
            (saving.changed, saving.anonymous_changed) = (true, true);
            saving.again_at = Some(now.after(limits::LOG_RETRY));
            forgetting.into_iter().for_each(|device| saving.forget(device));
            self.devices.iter_mut().for_each(|device| device.changed = true);
        }
        answers
    }

    /// Kept in memory only: nothing is ever written, and nobody waits for it.
    pub(crate) fn skip_saving(&mut self) -> Vec<(Origin, Outcome)> {
        self.devices.iter_mut().for_each(|device| device.changed = false);
        std::mem::take(&mut self.saving).waiting
    }
}

/// What the rows of an inbox say.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) announced: Offset,
    pub(super) dropped_up_to: Offset,
    pub(super) untold: u64,
    pub(super) done: Acked,
    pub(super) anonymous: Acked,
    /// The one seen last first.
    pub(super) devices: Vec<(Device, Acked)>,
    /// Devices whose rows are of no use.
    pub(super) stale: Vec<DeviceId>,
}

impl Rows {
    /// Reads rows of this life of the log. Others, and what this release does not understand, count as absent.
    pub(super) fn read(channel: &ChannelKey, epoch: &Epoch, rows: &[crate::state::Row]) -> Self {
        let prefix = key(channel, &[]).len();
        let mut all = Self::default();
        for (key, value) in rows {
            let Some((kind, name)) = kind_of(key.get(prefix..).unwrap_or_default()) else { continue };
            let value = content(value, epoch);
            match (kind, value) {
                (INBOX, Some(value)) => {
                    if let Some(([announced, dropped_up_to, untold], done)) = numbers::<3>(value) {
                        (all.announced, all.dropped_up_to, all.untold) = (announced, dropped_up_to, untold);
                        all.done = done;
                    }
                }
                (ANONYMOUS, Some(value)) => all.anonymous = Acked::from_bytes(value).unwrap_or_default(),
                (DEVICE, value) => {
                    let Some(id) = name.and_then(|name| DeviceId::parse(name).ok()) else { continue };
                    match value.and_then(numbers::<1>) {
                        Some(([seen], acked)) => {
                            let (seen, noted) = (UnixMs(seen), UnixMs(seen));
                            all.devices.push((Device { id, seen, noted, changed: false }, acked));
                        }
                        None => all.stale.push(id),
                    }
                }
                (_, _) => {}
            }
        }
        all.devices.sort_by_key(|(device, _)| std::cmp::Reverse(device.seen));
        let over = all.devices.split_off(all.devices.len().min(limits::INBOX_DEVICES));
        all.stale.extend(over.into_iter().map(|(device, _)| device.id));
        all
    }
}

/// The kind of a row and the name in it, from its key after the channel.
fn kind_of(rest: &[u8]) -> Option<(u8, Option<&str>)> {
    let (kind, rest) = match rest {
        [1, kind, rest @ ..] => (*kind, rest),
        _ => return None,
    };
    let name = rest.split_first().and_then(|(_, name)| std::str::from_utf8(name).ok());
    Some((kind, name))
}

/// A value without its head, if it is of this release and of this life of the log.
fn content<'a>(value: &'a [u8], epoch: &Epoch) -> Option<&'a [u8]> {
    let (length, rest) = match value {
        [VERSION, length, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    let (life, rest) = rest.split_at_checked(length)?;
    (life == epoch.as_str().as_bytes()).then_some(rest)
}

/// `N` numbers and a cursor.
fn numbers<const N: usize>(value: &[u8]) -> Option<([u64; N], Acked)> {
    let (head, rest) = value.split_at_checked(8 * N)?;
    let mut numbers = [0; N];
    for (number, bytes) in numbers.iter_mut().zip(head.as_chunks::<8>().0) {
        *number = u64::from_be_bytes(*bytes);
    }
    Some((numbers, Acked::from_bytes(rest)?))
}
