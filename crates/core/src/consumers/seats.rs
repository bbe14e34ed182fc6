//! Who comes, who goes, and what becomes of what they hold.

use super::members::{Member, Poll, Seat};
use super::window::{Item, Place};
use super::{Consumer, Membership, News, Terms};
use crate::id::{ConnectionKey, ConsumerName, WorkerId};
use crate::limits;
use crate::position::Offset;
use crate::rejection::{Rejection, RejectionKind};
use crate::time::Now;

impl Consumer {
    /// Somebody becomes a member, or is one and changes its terms. Whoever had its name before is told.
    pub(crate) fn seat(
        &mut self,
        member: &Membership,
        terms: &Terms,
        seat: Seat,
        now: Now,
    ) -> Result<Option<Poll>, Rejection> {
        if member.group.is_some() != self.is_group {
            let message =
                if self.is_group { "is the name of a group" } else { "is the name of a consumer, not of a group" };
            let field = if self.is_group { "consumer" } else { "group" };
            return Err(Rejection::new(RejectionKind::Conflict, message).at(field));
        }
        self.touch(now);
        let found = self.members.iter().position(|it| it.name == member.consumer);
        let index = match found {
            Some(index) => index,
            None if self.members.len() >= limits::CONSUMER_MEMBERS_MAX => {
                let message = "the group has as many members as one may have";
                let rejection = Rejection::new(RejectionKind::LimitExceeded, message);
                return Err(rejection.at("consumer").limit(limits::CONSUMER_MEMBERS_MAX as u64));
            }
            None => {
                self.members.push(Member {
                    name: member.consumer.clone(),
                    seat: Seat::Gone,
                    ack_wait: terms.ack_wait,
                    pending_max: terms.pending_max,
                    held: 0,
                    held_bytes: 0,
                    slow: false,
                    served: 0,
                });
                self.members.len() - 1
            }
        };
        let it = &mut self.members[index];
        (it.ack_wait, it.pending_max) = (terms.ack_wait, terms.pending_max);
        let stays = match (&it.seat, &seat) {
            (Seat::Session { worker, connection }, Seat::Session { worker: to, connection: who }) => {
                (worker, connection) == (to, who)
            }
            (Seat::Calls(_), Seat::Calls(_)) => true,
            (Seat::Session { .. } | Seat::Calls(_) | Seat::Gone, _) => false,
        };
        if !stays {
            it.slow = false;
        }
        let former = std::mem::replace(&mut it.seat, seat);
        if !stays {
            self.give_back(&member.consumer, false, now);
        }
        match former {
            Seat::Session { worker, connection } if !stays => {
                let message = "somebody else takes its messages under this name";
                let rejection = Rejection::new(RejectionKind::Conflict, message);
                self.news.push((worker, connection, member.clone(), News::Ended(rejection)));
                Ok(None)
            }
            Seat::Calls(poll) => Ok(poll),
            Seat::Session { .. } | Seat::Gone => Ok(None),
        }
    }

    /// A connection is no member any more. What it holds is given back at once if it says so, or when its time is over.
    pub(crate) fn unseat(
        &mut self,
        name: &ConsumerName,
        worker: WorkerId,
        connection: ConnectionKey,
        gives_back: bool,
        now: Now,
    ) {
        let Some(member) = self.members.iter_mut().find(|it| it.name == *name) else { return };
        if !member.is_seated(worker, connection) {
            return;
        }
        member.seat = Seat::Gone;
        if gives_back {
            self.give_back(name, true, now);
        }
        self.touch(now);
        self.dismiss();
    }

    /// Those who are not there and hold nothing are no members.
    pub(super) fn dismiss(&mut self) {
        let were_there = !self.members.is_empty();
        self.members.retain(|member| member.held > 0 || member.is_present());
        if were_there && self.members.is_empty() {
            self.correct_counts();
        }
    }

    /// What a member holds comes again at once. Deliveries it never looked at do not count.
    fn give_back(&mut self, name: &ConsumerName, unseen: bool, now: Now) {
        let of = |item: &Item| matches!(item.place, Place::Out { .. }) && item.holder.as_ref() == Some(name);
        let held: Vec<Offset> = self.window.up_to(Offset::MAX).filter(|(_, it)| of(it)).map(|it| it.0).collect();
        for offset in held {
            self.take_back(offset, unseen, now);
        }
    }

    fn take_back(&mut self, offset: Offset, unseen: bool, now: Now) {
        self.drop_hold(offset);
        let Some(item) = self.window.get_mut(offset) else { return };
        item.attempts -= u8::from(unseen);
        if item.attempts >= limits::DELIVERIES_MAX {
            return self.bury(offset, "its consumer went away with it".into(), now);
        }
        self.offer(offset);
    }

    /// A connection has no room for what it was sent: it was not delivered, and nothing more is until there is.
    pub(crate) fn bounce(
        &mut self,
        name: &ConsumerName,
        worker: WorkerId,
        connection: ConnectionKey,
        offset: Offset,
        now: Now,
    ) {
        let Some(member) = self.members.iter_mut().find(|it| it.name == *name) else { return };
        if !member.is_seated(worker, connection) {
            return;
        }
        member.slow = true;
        let holds = |item: &Item| matches!(item.place, Place::Out { .. }) && item.holder.as_ref() == Some(name);
        if self.window.get(offset).is_some_and(holds) {
            self.take_back(offset, true, now);
        }
    }

    /// The connection of a member has room again.
    pub(crate) fn wake(&mut self, name: &ConsumerName, worker: WorkerId, connection: ConnectionKey) {
        if let Some(member) = self.members.iter_mut().find(|it| it.name == *name)
            && member.is_seated(worker, connection)
        {
            member.slow = false;
        }
    }

    /// Everybody has to go: those who are connected are told, and calls that wait are handed back.
    pub(crate) fn end_all(&mut self, rejection: &Rejection) -> Vec<Poll> {
        let group = self.group();
        let mut polls = Vec::new();
        for member in std::mem::take(&mut self.members) {
            match member.seat {
                Seat::Session { worker, connection } => {
                    let member = Membership { consumer: member.name, group: group.clone() };
                    self.news.push((worker, connection, member, News::Ended(rejection.clone())));
                }
                Seat::Calls(poll) => polls.extend(poll),
                Seat::Gone => {}
            }
        }
        polls
    }

    /// Whether anybody takes a message, however small.
    pub(crate) fn has_takers(&self) -> bool {
        self.members.iter().any(|member| member.takes(0))
    }
}
