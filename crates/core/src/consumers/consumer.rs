//! One consumer: what is where, and what happens when its time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::members::{Member, Seat};
use super::stored::{Attempts, Dirt, Letter};
use super::window::{Item, Load, Place, Window};
use super::{ConsumerInfo, DeadLetter, Death, Delivery, Membership, News, Taken};
use crate::acks::Acked;
use crate::id::{ConnectionKey, ConsumerName, WorkerId};
use crate::limits;
use crate::position::{Epoch, Gap, GapReason, Offset, Position};
use crate::time::{Now, Time, UnixMs};

/// What a consumer needs to decide: when it is, and a random number.
pub(crate) type Random<'a> = &'a mut dyn FnMut() -> u64;

#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) name: ConsumerName,
    pub(super) is_group: bool,
    pub(super) epoch: Epoch,
    pub(super) acked: Acked,
    /// Everything up to here that is not done is in the window.
    pub(super) scanned: Offset,
    /// The newest message that was ever handed out.
    pub(super) handed: Offset,
    pub(super) window: Window,
    pub(super) members: Vec<Member>,
    /// What the state says of messages that are not in the window.
    pub(super) known: BTreeMap<Offset, Attempts>,
    /// Dead letters that were given back and are not in the window. They are done as far as the cursor goes.
    pub(super) again: BTreeSet<Offset>,
    pub(super) letters: BTreeMap<Offset, Letter>,
    pub(super) letters_dropped: u64,
    pub(super) lost: u64,
    /// What it has lost and nobody was told of.
    pub(super) gap: Option<Gap>,
    /// When somebody was there last, to the day.
    pub(super) used: UnixMs,
    /// The state does not know of it yet.
    pub(crate) fresh: bool,
    /// A block of the log is on its way.
    pub(crate) reading: bool,
    /// Since the last write.
    pub(super) dirt: Dirt,
    pub(super) deaths: Vec<Death>,
    /// What members have to be told.
    pub(super) news: Vec<(WorkerId, ConnectionKey, Membership, News)>,
    deliveries: u64,
}

/// A message on its way to a member.
#[derive(Debug)]
pub(crate) struct HandedOut {
    pub(crate) to: Option<(WorkerId, ConnectionKey)>,
    pub(crate) delivery: Delivery,
}

impl Consumer {
    /// A new consumer, for which everything up to `floor` is done.
    pub(crate) fn new(name: ConsumerName, is_group: bool, epoch: Epoch, floor: Offset, now: Now) -> Self {
        Self {
            name,
            is_group,
            epoch,
            acked: Acked::up_to(floor),
            scanned: floor,
            handed: floor,
            window: Window::default(),
            members: Vec::new(),
            known: BTreeMap::new(),
            again: BTreeSet::new(),
            letters: BTreeMap::new(),
            letters_dropped: 0,
            lost: 0,
            gap: None,
            used: now.wall,
            fresh: true,
            reading: false,
            dirt: Dirt { cursor: true, ..Dirt::default() },
            deaths: Vec::new(),
            news: Vec::new(),
            deliveries: 0,
        }
    }

    /// The same, with something to tell whoever comes first.
    pub(crate) fn having_lost(self, gap: Option<Gap>) -> Self {
        Self { gap, ..self }
    }

    /// The group that it is.
    pub(crate) fn group(&self) -> Option<ConsumerName> {
        self.is_group.then(|| self.name.clone())
    }

    /// Dead letters above an offset, and whether there are more.
    pub(crate) fn dead_letters(&self, after: Offset, limit: usize) -> (Vec<DeadLetter>, bool) {
        let mut letters = self.letters.range(after + 1..);
        let page = letters.by_ref().take(limit).map(|(offset, letter)| self.show(*offset, letter)).collect();
        (page, letters.next().is_some())
    }

    /// Everything up to here is done.
    pub(crate) fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.acked.floor() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.window.bytes()
    }

    pub(crate) fn info(&self, head: Offset) -> ConsumerInfo {
        let outstanding = self.members.iter().map(|member| member.held).sum();
        let requeued = self.window.up_to(Offset::MAX).filter(|(_, item)| item.again).count() + self.again.len();
        ConsumerInfo {
            name: self.name.clone(),
            is_group: self.is_group,
            position: self.position(),
            members: self.members.iter().filter(|member| member.is_present()).count() as u32,
            pending: self.acked.open_within(1, head) + requeued as u64,
            outstanding,
            dead: self.letters.len() as u32,
            dead_dropped: self.letters_dropped,
            lost: self.lost,
        }
    }

    /// Somebody is there. When that was last, is kept to the day.
    pub(super) fn touch(&mut self, now: Now) {
        const DAY_MS: u64 = 24 * 3_600 * 1_000;
        if now.wall.0 > self.used.0.saturating_add(DAY_MS) {
            self.used = now.wall;
            self.dirt.cursor = true;
        }
    }

    /// Makes a message ready to be handed out.
    pub(super) fn offer(&mut self, offset: Offset) {
        self.window.put(offset, Place::Ready);
    }

    /// All but the first delivery of a message are counted in the state before they are made.
    fn count_ahead(&mut self, offset: Offset) {
        let Some(item) = self.window.get_mut(offset) else { return };
        let count = item.attempts + 1;
        (item.counted, item.stored) = (count, true);
        self.dirt.rows.insert(offset, Some(Attempts { count, until: UnixMs(0) }));
        self.dirt.counting.push(offset);
        self.window.put(offset, Place::Counting);
    }

    /// Nobody is there any more: what was counted and not made, or given back, is counted right for whoever reads the state.
    pub(super) fn correct_counts(&mut self) {
        let handed = self.handed;
        for (offset, item) in self.window.all_mut() {
            let said = if item.stored { item.counted } else { u8::from(offset <= handed && !item.again) };
            if said != item.attempts && !matches!(item.place, Place::Waits { .. }) {
                (item.counted, item.stored) = (item.attempts, true);
                let row = Attempts { count: item.attempts, until: UnixMs(0) };
                self.dirt.rows.insert(offset, Some(row));
            }
        }
    }

    /// The next deliveries of these are counted.
    pub(super) fn counted(&mut self, offsets: &[Offset]) {
        for offset in offsets {
            if self.window.get(*offset).is_some_and(|item| item.place == Place::Counting) {
                self.window.put(*offset, Place::Ready);
            }
        }
    }

    /// Who gets which message next.
    pub(crate) fn next_pair(&mut self, now: Now) -> Option<(usize, Offset)> {
        loop {
            let offset = self.window.first_ready()?;
            let item = self.window.get(offset)?;
            if item.record.is_expired(now.time) {
                self.finish(offset);
                continue;
            }
            // It was delivered as often as may be before a restart.
            if item.attempts >= limits::DELIVERIES_MAX {
                self.bury(offset, "was not acked".into(), now);
                continue;
            }
            let cost = item.record.cost();
            let takers = self.members.iter().enumerate().filter(|(_, member)| member.takes(cost));
            let (index, _) = takers.min_by_key(|(_, member)| (member.held, member.served))?;
            // The first delivery needs no count beforehand, and a count that is there is used.
            if item.attempts == 0 || item.counted > item.attempts {
                return Some((index, offset));
            }
            if !self.has_room_to_count(u64::from(cost)) {
                return None;
            }
            self.count_ahead(offset);
        }
    }

    /// Whether somebody takes one more than are being counted. What nobody takes is not counted: a process that ends would leave counts of
    /// deliveries that were not made.
    fn has_room_to_count(&self, cost: u64) -> bool {
        let ahead = self.window.counting();
        let rooms = self.members.iter().map(Member::room);
        let room = rooms.fold(Load::default(), |sum, room| Load {
            messages: sum.messages + room.messages,
            bytes: sum.bytes + room.bytes,
        });
        ahead.messages == 0 || (ahead.messages < room.messages && ahead.bytes + cost <= room.bytes)
    }

    /// Where a member's deliveries go, and what the next one costs; `None` is a call at the home itself.
    pub(crate) fn route(&self, index: usize, offset: Offset) -> Option<(WorkerId, u32)> {
        match self.members.get(index)?.seat {
            Seat::Session { worker, .. } => Some((worker, self.window.get(offset)?.record.cost())),
            Seat::Calls(_) | Seat::Gone => None,
        }
    }

    pub(crate) fn hand_out(&mut self, (index, offset): (usize, Offset), now: Now) -> Option<HandedOut> {
        let member = self.members.get_mut(index)?;
        let item = self.window.get_mut(offset)?;
        self.deliveries += 1;
        let cost = u64::from(item.record.cost());
        (member.held, member.held_bytes, member.served) = (member.held + 1, member.held_bytes + cost, self.deliveries);
        item.attempts += 1;
        item.holder = Some(member.name.clone());
        let delivery = Delivery { consumer: member.name.clone(), attempt: item.attempts, record: item.record.clone() };
        let to = match &mut member.seat {
            Seat::Session { worker, connection } => Some((*worker, *connection)),
            Seat::Calls(Some(poll)) => {
                poll.bytes += cost;
                poll.deliveries.push(delivery.clone());
                None
            }
            Seat::Calls(None) | Seat::Gone => None,
        };
        let until = now.time.after(member.ack_wait);
        self.window.put(offset, Place::Out { until });
        if offset > self.handed {
            // What is held back for its key was not handed out, although something newer was.
            for (untouched, item) in self.window.untouched(self.handed, offset) {
                item.stored = true;
                self.dirt.rows.insert(untouched, Some(Attempts { count: 0, until: UnixMs(0) }));
            }
            self.dirt.cursor = true;
            self.handed = offset;
        }
        Some(HandedOut { to, delivery })
    }

    /// A message is with nobody any more.
    pub(super) fn drop_hold(&mut self, offset: Offset) {
        let Some(item) = self.window.get(offset) else { return };
        if let (Place::Out { .. }, Some(holder)) = (item.place, &item.holder)
            && let Some(member) = self.members.iter_mut().find(|member| member.name == *holder)
        {
            member.held -= 1;
            member.held_bytes -= u64::from(item.record.cost());
            self.window.put(offset, Place::Behind);
        }
    }

    /// Takes a message out of the window for good.
    pub(super) fn take_out(&mut self, offset: Offset) -> Option<Item> {
        self.drop_hold(offset);
        let (item, next) = self.window.remove(offset)?;
        self.known.remove(&offset);
        if !item.again {
            self.acked.cover(offset, offset);
        }
        self.dirt.cursor = true;
        if item.stored {
            self.dirt.rows.insert(offset, None);
        }
        if let Some(next) = next {
            self.offer_next(next);
        }
        Some(item)
    }

    /// The one before it with its key is gone.
    fn offer_next(&mut self, offset: Offset) {
        self.known.remove(&offset);
        self.offer(offset);
    }

    pub(super) fn finish(&mut self, offset: Offset) {
        self.take_out(offset);
    }

    /// A delivery has failed: the message comes again later, or never.
    pub(super) fn fail(
        &mut self,
        offset: Offset,
        reason: &'static str,
        delay: Option<Duration>,
        now: Now,
        random: Random<'_>,
    ) {
        self.drop_hold(offset);
        let Some(item) = self.window.get_mut(offset) else { return };
        if item.attempts >= limits::DELIVERIES_MAX {
            return self.bury(offset, reason.into(), now);
        }
        let delay = delay.unwrap_or_else(|| {
            let waits = limits::REDELIVERY_WAITS;
            let wait = waits[usize::from(item.attempts.max(1) - 1).min(waits.len() - 1)];
            wait * u32::try_from(80 + random() % 41).expect("at most 120") / 100
        });
        (item.counted, item.stored) = (item.attempts, true);
        let until = UnixMs(now.wall.0 + u64::try_from(delay.as_millis()).unwrap_or(0));
        self.dirt.rows.insert(offset, Some(Attempts { count: item.attempts, until }));
        self.window.put(offset, Place::Waits { until: now.time.after(delay) });
    }

    /// A message is given up.
    pub(super) fn bury(&mut self, offset: Offset, reason: Arc<str>, now: Now) {
        let Some(item) = self.take_out(offset) else { return };
        self.write_letter(offset, item.attempts, reason, Some(item.record.id.clone()), now);
    }

    pub(super) fn write_letter(
        &mut self,
        offset: Offset,
        attempts: u8,
        reason: Arc<str>,
        id: Option<crate::id::MessageId>,
        now: Now,
    ) {
        let letter = Letter { attempts, reason, time: now.wall };
        let told = self.show(offset, &letter);
        self.letters.insert(offset, letter);
        self.dirt.letters.insert(offset);
        if self.letters.len() > limits::DEAD_LETTERS_MAX
            && let Some((oldest, _)) = self.letters.pop_first()
        {
            self.letters_dropped += 1;
            self.dirt.letters.insert(oldest);
        }
        self.dirt.cursor = true;
        self.deaths.push(Death { consumer: self.name.clone(), id, letter: told });
    }

    pub(super) fn show(&self, offset: Offset, letter: &Letter) -> DeadLetter {
        let position = Position { epoch: self.epoch.clone(), offset };
        DeadLetter { position, attempts: letter.attempts, reason: letter.reason.clone(), time: letter.time }
    }

    /// Deals with what is due.
    pub(crate) fn handle_time(&mut self, now: Now, random: Random<'_>) {
        while let Some((at, offset)) = self.window.first_due()
            && at <= now.time
        {
            match self.window.get(offset).map(|item| item.place) {
                Some(Place::Out { .. }) => self.fail(offset, "was not acked in time", None, now, random),
                Some(Place::Waits { .. }) => self.offer(offset),
                Some(Place::Ready | Place::Behind | Place::Counting) | None => break,
            }
        }
        if !self.members.is_empty() {
            self.touch(now);
        }
        self.dismiss();
    }

    /// When it wants to be asked again; never while there is nothing to wait for.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let polls = self.members.iter().filter_map(|member| match &member.seat {
            Seat::Calls(Some(poll)) => Some(poll.until),
            Seat::Session { .. } | Seat::Calls(None) | Seat::Gone => None,
        });
        polls.chain(self.window.first_due().map(|due| due.0)).min()
    }

    /// Calls that have got something, or have waited long enough.
    pub(crate) fn take_answers(&mut self, now: Now) -> Vec<(u64, Taken)> {
        let mut answers = Vec::new();
        // Who does not want to wait still gets what is being read, or counted.
        let under_way = self.reading || self.window.is_counting();
        let grace = if under_way { 2 * limits::LOG_RETRY } else { Duration::ZERO };
        for index in 0..self.members.len() {
            let Seat::Calls(slot) = &mut self.members[index].seat else { continue };
            let Some(poll) = slot.take_if(|poll| !poll.deliveries.is_empty() || poll.until.after(grace) <= now.time)
            else {
                continue;
            };
            let gap = self.take_gap();
            let taken = Taken { deliveries: poll.deliveries, position: self.position(), gap };
            answers.push((poll.ticket, taken));
        }
        if !answers.is_empty() {
            self.touch(now);
            self.dismiss();
        }
        answers
    }

    /// Tells those who are connected of what was lost.
    pub(crate) fn tell_gap(&mut self) {
        if self.gap.is_none() {
            return;
        }
        let seats = self.members.iter().filter_map(|member| match member.seat {
            Seat::Session { worker, connection } => Some((worker, connection, member.name.clone())),
            Seat::Calls(_) | Seat::Gone => None,
        });
        let seats: Vec<_> = seats.collect();
        if seats.is_empty() {
            return;
        }
        let Some(gap) = self.take_gap() else { return };
        let group = self.group();
        for (worker, connection, consumer) in seats {
            let member = Membership { consumer, group: group.clone() };
            let end = Position { epoch: self.epoch.clone(), offset: gap.range.map_or(self.acked.floor(), |it| it.1) };
            self.news.push((worker, connection, member, News::Gap(gap.clone(), end)));
        }
    }

    /// Whether nobody is there, nothing is out and nothing has to be written.
    pub(crate) fn is_idle(&self) -> bool {
        self.members.is_empty() && self.dirt.is_empty()
    }

    pub(crate) fn take_deaths(&mut self) -> Vec<Death> {
        std::mem::take(&mut self.deaths)
    }

    pub(crate) fn take_news(&mut self) -> Vec<(WorkerId, ConnectionKey, Membership, News)> {
        std::mem::take(&mut self.news)
    }

    /// What it has lost and nobody was told of; whoever asks tells it.
    pub(crate) fn take_gap(&mut self) -> Option<Gap> {
        // The row says that nobody was told of another epoch.
        self.dirt.cursor |= self.gap.as_ref().is_some_and(|gap| gap.reason == GapReason::Epoch);
        self.gap.take()
    }
}
