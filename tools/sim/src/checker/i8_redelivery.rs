//! I8: what was acked to a durable consumer never comes again; what was not comes until it is, or is a dead letter.
//!
//! A [`Duty`] is what was noted of one consumer, in the order of time: what its home hands out, what it hears of that, and what members
//! were answered.
//!
//! - An ack that was answered `ok` is final, and so is a dead letter until somebody requeues it.
//! - Everything else comes until it is over, at most five times. The count goes up by one; deliveries that were given back do not
//!   count, and the end of a process may forget a first one, or count one that was not made.
//! - Nobody is handed what another member holds within its time to ack.
//! - Of messages with one key the older one is over before the younger one is handed out.

use std::collections::{BTreeMap, BTreeSet};

use super::{Journals, Position, Verdict};

/// Deliveries of a message, as core has it.
const DELIVERIES_MAX: u8 = 5;
/// Clocks of workers have milliseconds.
const ROUNDING_US: u64 = 2_000;

/// What a member says of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It need not come again.
    Done,
    /// It has to come again.
    Retry,
    /// It will never succeed.
    Dead,
    /// It is being worked on.
    Progress,
}

/// Something that happened at or to a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A message was handed out.
    Handed {
        /// To which member.
        to: String,
        /// Which.
        place: Position,
        /// How often, as the delivery says.
        attempt: u8,
    },
    /// A message may have come back for want of room: that delivery does not count.
    Bounced {
        /// From whom.
        by: String,
        /// Which, in the present life of the log.
        offset: u64,
    },
    /// A member may have given back what it holds: those deliveries do not count.
    GaveBack {
        /// Who.
        by: String,
    },
    /// A member comes, perhaps in the place of one with its name: what that one holds may come again at once.
    Joined {
        /// Who.
        by: String,
        /// Its time to ack.
        wait_us: u64,
    },
    /// The consumer hears of deliveries.
    Said {
        /// From whom.
        by: String,
        /// Which.
        places: Vec<Position>,
        /// What.
        word: Word,
    },
    /// The same about all that this member was handed up to a place.
    SaidUpTo {
        /// From whom.
        by: String,
        /// Up to where.
        place: Position,
        /// What.
        word: Word,
    },
    /// Whoever said so has been answered `ok`.
    Confirmed {
        /// Which.
        places: Vec<Position>,
        /// What was said.
        word: Word,
    },
    /// The same for all up to a place.
    ConfirmedUpTo {
        /// Who.
        by: String,
        /// Up to where.
        place: Position,
        /// What was said.
        word: Word,
    },
    /// Somebody who has joined is answered.
    Seated {
        /// Who.
        by: String,
    },
    /// A message was given up.
    Died {
        /// Which.
        place: Position,
        /// How often it was delivered.
        attempts: u8,
    },
    /// Somebody wants dead letters back: from now until the answer those of then may come again, as if for the first time.
    Requeues,
    /// They have been answered.
    Requeued,
    /// Messages up to here are being removed on purpose.
    Purges(Position),
    /// The process has ended.
    Crashed,
}

/// A message that the consumer is there for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Of messages with one key one is on its way at a time.
    pub key: Option<String>,
    /// It may go without a word: it expires, was removed, or is told to be lost.
    pub may_go: bool,
}

/// What was noted of one consumer.
#[derive(Clone, Debug, Default)]
pub struct Duty {
    /// Which.
    pub consumer: String,
    /// With the time in microseconds.
    pub happened: Vec<(u64, Happened)>,
    /// Every message of its channel since it exists.
    pub work: BTreeMap<Position, Work>,
    /// Members were there, and said `done` to everything, until nothing came any more.
    pub is_complete: bool,
}

impl Duty {
    /// Whether nothing has to come any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let mut verdict = Verdict::default();
        check_duty(self, &mut verdict);
        verdict.violations.is_empty()
    }
}

/// One message of a consumer.
#[derive(Clone, Debug, Default)]
struct Item {
    attempt: u8,
    /// Deliveries that may not count although they were made.
    returned: u8,
    /// Ends of the process since the last delivery.
    crashes: u8,
    holder: Option<String>,
    held_until_us: u64,
    /// Handed out last to its holder since that one joined, in this life of the process.
    is_fresh: bool,
    is_done: bool,
    is_dead: bool,
    /// Dead, unless that was never written down.
    died: bool,
    said_dead: bool,
    ever_dead: bool,
    may_be_over: bool,
    /// It was a dead letter when somebody wanted some back.
    requeued: bool,
    /// Nobody has been answered that it was given back: after a crash it may be a dead letter still.
    may_stay_dead: bool,
    /// Deliveries before that: a crash may forget death and return alike.
    before_death: u8,
}

#[derive(Debug)]
struct Check<'a> {
    duty: &'a Duty,
    items: BTreeMap<Position, Item>,
    waits_us: BTreeMap<&'a str, u64>,
    /// Members that have joined and have no answer yet, and how often.
    joining: BTreeMap<&'a str, u32>,
    requeues: u32,
    /// What "up to" stood for when it was heard.
    up_to: Vec<(&'a str, &'a Position, Vec<Position>)>,
    purged: Vec<&'a Position>,
    found: Vec<String>,
}

pub(super) fn check(journals: &Journals, verdict: &mut Verdict) {
    journals.duties.iter().for_each(|duty| check_duty(duty, verdict));
}

fn check_duty(duty: &Duty, verdict: &mut Verdict) {
    let mut check = Check {
        duty,
        items: BTreeMap::new(),
        waits_us: BTreeMap::new(),
        joining: BTreeMap::new(),
        requeues: 0,
        up_to: Vec::new(),
        purged: Vec::new(),
        found: Vec::new(),
    };
    for (at_us, happened) in &duty.happened {
        check.take(*at_us, happened);
    }
    if duty.is_complete {
        check.end();
    }
    let count = |of: fn(&Happened) -> bool| duty.happened.iter().filter(|(_, it)| of(it)).count();
    verdict.handed_out += count(|it| matches!(it, Happened::Handed { .. }));
    verdict.handed_out_again += count(|it| matches!(it, Happened::Handed { attempt: 2.., .. }));
    verdict.dead += count(|it| matches!(it, Happened::Died { .. }));
    verdict.violations.extend(check.found.iter().map(|text| format!("I8 {}: {text}", duty.consumer)));
}

impl<'a> Check<'a> {
    fn item(&mut self, place: &Position) -> &mut Item {
        self.items.entry(place.clone()).or_default()
    }

    fn take(&mut self, at_us: u64, happened: &'a Happened) {
        match happened {
            Happened::Handed { to, place, attempt } => self.handed(at_us, to, place, *attempt),
            Happened::Bounced { by, offset } => {
                self.give_back(|place, holder| holder == by && place.offset == *offset);
            }
            Happened::GaveBack { by } => self.give_back(|_, holder| holder == by),
            Happened::Joined { by, wait_us } => {
                self.waits_us.insert(by, *wait_us);
                *self.joining.entry(by).or_default() += 1;
                self.items.values_mut().filter(|item| item.holder.as_ref() == Some(by)).for_each(Item::release);
            }
            Happened::Seated { by } => {
                let joining = self.joining.entry(by).or_default();
                *joining = joining.saturating_sub(1);
                self.items.values_mut().filter(|item| item.holder.as_ref() == Some(by)).for_each(Item::release);
            }
            Happened::Said { by, places, word } => places.iter().for_each(|place| self.said(at_us, by, place, *word)),
            Happened::SaidUpTo { by, place, word } => {
                let own = self.items.iter().filter(|(it, item)| {
                    it.epoch == place.epoch && it.offset <= place.offset && item.holder.as_ref() == Some(by)
                });
                let own: Vec<(Position, bool)> = own.map(|(it, item)| (it.clone(), item.is_fresh)).collect();
                let fresh = own.iter().filter(|(_, is_fresh)| *is_fresh).map(|(it, _)| it.clone()).collect();
                self.up_to.push((by, place, fresh));
                own.iter().for_each(|(it, _)| self.said(at_us, by, it, *word));
                // Also what a consumer of its own had before the process began.
                for (it, item) in &mut self.items {
                    item.may_be_over |= *word == Word::Done && it.epoch == place.epoch && it.offset <= place.offset;
                }
            }
            Happened::Confirmed { places, word } => places.iter().for_each(|place| self.confirmed(place, *word)),
            Happened::ConfirmedUpTo { by, place, word } => {
                if let Some(index) = self.up_to.iter().position(|it| it.0 == by && it.1 == place) {
                    let (.., places) = self.up_to.remove(index);
                    places.iter().for_each(|place| self.confirmed(place, *word));
                }
            }
            Happened::Died { place, attempts } => self.died(place, *attempts),
            Happened::Requeues => {
                self.requeues += 1;
                self.items.values_mut().filter(|item| item.ever_dead).for_each(Item::requeue);
            }
            Happened::Requeued => {
                self.requeues = self.requeues.saturating_sub(1);
                let is_known = self.requeues == 0;
                for item in self.items.values_mut().filter(|_| is_known) {
                    (item.may_stay_dead, item.before_death) = (false, 0);
                }
            }
            Happened::Purges(through) => self.purged.push(through),
            Happened::Crashed => self.crashed(),
        }
    }

    fn handed(&mut self, at_us: u64, to: &str, place: &Position, attempt: u8) {
        let wait_us = self.waits_us.get(to).copied().unwrap_or(0);
        let item = self.item(place);
        let Item { attempt: before, returned, crashes, .. } = *item;
        let is_over = [(item.is_done, "was acked"), (item.is_dead || item.died, "is a dead letter")];
        let is_over = is_over.into_iter().find(|(is_over, _)| *is_over).map(|(_, why)| why);
        let other = item.holder.take().filter(|_| item.held_until_us > at_us + ROUNDING_US);
        let forgets = item.requeued || (crashes > 0 && before <= 1);
        let least = if forgets { 1 } else { (before + 1).saturating_sub(returned).max(1) };
        let known = if crashes > 0 { before.max(item.before_death) } else { before };
        let most = (known + 1).saturating_add(crashes).min(DELIVERIES_MAX);
        (item.attempt, item.returned, item.crashes, item.requeued) = (attempt, 0, 0, false);
        (item.holder, item.held_until_us, item.is_fresh) = (Some(to.to_owned()), at_us + wait_us, true);
        (item.may_be_over, item.said_dead) = (false, false);
        if let Some(why) = is_over {
            self.found.push(format!("{place} {why}, and comes again"));
        }
        // Whoever comes back under that name gets it at once, when their turn comes.
        let is_joining = |it: &String| self.joining.get(it.as_str()).is_some_and(|joining| *joining > 0);
        if let Some(other) = other.filter(|other| !is_joining(other)) {
            self.found.push(format!("{place} goes to {to}, and is with {other}"));
        }
        if !(least..=most).contains(&attempt) {
            self.found.push(format!("{place}: delivery {attempt}, where {least} to {most} is right"));
        }
        self.check_key(place);
    }

    /// Of messages with one key the older ones are over.
    fn check_key(&mut self, place: &Position) {
        let Some(Work { key: Some(key), .. }) = self.duty.work.get(place) else { return };
        let older = self.duty.work.range(..place).filter(|(it, work)| {
            it.epoch == place.epoch && work.key.as_ref() == Some(key) && !work.may_go && !self.is_purged(it)
        });
        let open = older.map(|it| it.0).find(|it| !self.items.get(it).is_some_and(|item| item.may_be_over));
        if let Some(open) = open {
            self.found.push(format!("{place} is handed out before {open}, which has its key, is over"));
        }
    }

    fn is_purged(&self, place: &Position) -> bool {
        self.purged.iter().any(|through| through.epoch == place.epoch && through.offset >= place.offset)
    }

    fn give_back(&mut self, is_meant: impl Fn(&Position, &str) -> bool) {
        for (place, item) in &mut self.items {
            if item.holder.as_ref().is_some_and(|holder| is_meant(place, holder)) {
                item.returned = item.returned.saturating_add(1);
                // What was never looked at is not meant by "up to".
                item.release();
            }
        }
    }

    fn said(&mut self, at_us: u64, by: &str, place: &Position, word: Word) {
        let is_requeueing = self.requeues > 0;
        let item = self.item(place);
        // Another member has it, and is the one to ask.
        let is_elsewhere = item.held_until_us > at_us && item.holder.as_ref().is_some_and(|holder| holder != by);
        if is_elsewhere || (item.attempt == 0 && !is_requeueing) {
            return;
        }
        match word {
            Word::Done => item.may_be_over = true,
            Word::Dead => {
                (item.may_be_over, item.said_dead, item.ever_dead) = (true, true, true);
                item.requeued |= is_requeueing;
            }
            Word::Retry => {}
            Word::Progress => return,
        }
        item.held_until_us = 0;
    }

    fn confirmed(&mut self, place: &Position, word: Word) {
        let is_requeueing = self.requeues > 0;
        let item = self.item(place);
        match word {
            // What was requeued meanwhile is another matter.
            Word::Done => item.is_done = !item.requeued,
            // It may have been requeued and handed out before its letter was known to be written.
            Word::Dead => item.is_dead = item.said_dead && !item.requeued && !is_requeueing,
            Word::Retry | Word::Progress => {}
        }
    }

    fn died(&mut self, place: &Position, attempts: u8) {
        let is_requeueing = self.requeues > 0;
        let item = self.item(place);
        let is_early = attempts < DELIVERIES_MAX && !item.said_dead;
        (item.may_be_over, item.ever_dead, item.died, item.held_until_us) = (true, true, true, 0);
        item.is_fresh = false;
        if is_requeueing {
            item.requeue();
        }
        if is_early {
            self.found.push(format!("{place} is given up after {attempts} deliveries, and nobody has said so"));
        }
    }

    fn crashed(&mut self) {
        self.requeues = 0;
        self.up_to.clear();
        self.joining.clear();
        for item in self.items.values_mut() {
            // A letter that nobody was answered about may not be written.
            (item.held_until_us, item.is_fresh, item.died) = (0, false, false);
            item.may_be_over |= item.may_stay_dead;
            item.crashes = item.crashes.saturating_add(1);
        }
    }

    /// Whatever was there to do is done.
    fn end(&mut self) {
        let left: BTreeSet<&Position> = self
            .duty
            .work
            .iter()
            .filter(|(place, work)| !work.may_go && !self.is_purged(place))
            .map(|(place, _)| place)
            .filter(|place| !self.items.get(place).is_some_and(|item| item.may_be_over))
            .collect();
        if let Some(first) = left.first() {
            let count = left.len();
            self.found.push(format!("{count} messages, the first of them {first}, are neither over nor come again"));
        }
    }
}

impl Item {
    /// Its holder has come anew, and may have to be handed it again.
    fn release(&mut self) {
        (self.held_until_us, self.is_fresh) = (0, false);
    }

    fn requeue(&mut self) {
        self.before_death = self.before_death.max(self.attempt);
        (self.is_dead, self.died, self.requeued, self.may_stay_dead) = (false, false, true, true);
    }
}
