//! What people hear, and what they note of it.

use realtime_connector_core::event::{Connected, Event as Told, Outcome, Subscribed};
use realtime_connector_core::history::HistoryPage;
use realtime_connector_core::id::{Audience, ChannelKey, ChannelName};
use realtime_connector_core::position::{Gap, Position};
use realtime_connector_core::record::Record;
use realtime_connector_core::rejection::{Close, Rejection, RejectionKind};
use realtime_connector_core::worker::Answer;
use realtime_connector_wire::cursor::Cursor;

use super::person::{Kind, Pending, View};
use super::{World, journal_name, shown};
use crate::checker::{self, Heard, Journal};
use crate::model::{label, name};
use crate::node::{Caller, Reply, Up};

impl World {
    /// A frame has reached its client.
    pub(super) fn hear(&mut self, who: usize, event: &Told, cursor: Option<&[u8]>) {
        self.say(|| format!("p{who} hears {}", shown::event(event)));
        match event {
            Told::Connected(connected) => self.hear_connected(who, connected),
            Told::Subscribed { reference, subscribed } => self.hear_subscribed(who, *reference, subscribed),
            Told::Unsubscribed { reference, channel } => self.hear_unsubscribed(who, *reference, channel),
            Told::Message(record) => self.hear_message(who, record),
            Told::Gap { channel, gap, position } => self.hear_gap(who, channel, gap, position),
            Told::Ok { reference, outcome } => self.hear_ok(who, *reference, outcome),
            Told::Error { reference, rejection } => self.hear_error(who, *reference, rejection),
            Told::Pong { reference, .. } => drop(self.take_pending(who, *reference)),
            Told::Heartbeat if self.people[who].kind == Kind::WebSocket => self.send_up(who, Up::Pong),
            Told::Probe(offset) => self.send_up(who, Up::Probed(*offset)),
            Told::Delivery(delivery) => self.hear_delivery(who, delivery),
            Told::Consumer(notice) => self.hear_notice(who, notice),
            Told::Heartbeat | Told::Ping | Told::Inbox { .. } => {}
            Told::Goaway { close, .. } => self.hear_goaway(who, *close),
        }
        if let Some(cursor) = cursor {
            self.take_cursor(who, cursor);
        }
        if self.people[who].kind != Kind::EventSource || cursor.is_some() {
            self.keep(who);
        }
    }

    fn take_cursor(&mut self, who: usize, cursor: &[u8]) {
        let person = &mut self.people[who];
        person.cursor = Some(cursor.to_vec());
        let named = Cursor::decode(cursor);
        for (channel, view) in &mut person.views {
            // What was subscribed by POST may begin behind cursors that are still on their way, also with a place of its former life.
            view.is_named |= match (&view.begins_after, view.journal) {
                (Some(begin), _) => {
                    let named = named.as_ref().and_then(|cursor| cursor.position(channel.fingerprint()));
                    named.is_some_and(|it| it.epoch == begin.epoch && it.offset > begin.offset)
                }
                (None, journal) => journal.is_some(),
            };
        }
    }

    /// What was heard so far will not be asked for again, as far as a cursor says so where there are cursors.
    fn keep(&mut self, who: usize) {
        let person = &self.people[who];
        for (channel, view) in &person.views {
            let (Some(journal), Some(position)) = (view.journal, &view.position) else { continue };
            let named = person.cursor_position(channel);
            let is_kept = person.kind != Kind::EventSource
                || named.is_some_and(|it| it.epoch == position.epoch && it.offset >= position.offset);
            let heard = &mut self.journals.heard[journal].heard;
            if is_kept && !matches!(heard.last(), None | Some(Heard::Kept)) {
                heard.push(Heard::Kept);
            }
        }
    }

    /// An answer to a POST or to a call of the application.
    pub(super) fn hear_reply(&mut self, caller: Caller, reply: Reply) {
        let Caller { person: who, reference } = caller;
        match reply {
            // The answer to a connection that has ended meanwhile is of no use, unless it is about a message.
            Reply::Event(event) if self.people[who].pending.contains_key(&reference) => self.hear_posted(who, &event),
            Reply::Event(_) => {}
            Reply::Answer(answer) => {
                let Some((_, pending)) = self.people[who].pending.remove(&reference) else { return };
                self.say(|| format!("p{who} is answered {}", shown::answer(&answer)));
                match (pending, answer) {
                    (Pending::Publish(attempt), Answer::Published(result)) => self.hear_result(who, attempt, result),
                    (Pending::History(channel, limit), Answer::History(Ok(page))) => {
                        self.hear_page(who, &channel, limit, &page);
                    }
                    (Pending::Walk, Answer::History(Ok(page))) => self.walked = Some(*page),
                    (Pending::Take(channel, member), Answer::Consumers(Ok(done))) => {
                        self.hear_taken(who, &channel, &member, &done);
                    }
                    (Pending::Saying(saying), Answer::Consumers(Ok(_))) => self.confirm(who, &saying),
                    (Pending::Saying(saying), Answer::Consumers(Err(rejection))) => {
                        self.say_again(who, *saying, Some(&rejection));
                    }
                    _ => {}
                }
            }
        }
    }

    fn hear_posted(&mut self, who: usize, event: &Told) {
        self.hear(who, event, None);
    }

    /// What an answer is for.
    pub(super) fn take_pending(&mut self, who: usize, reference: Option<u64>) -> Option<Pending> {
        self.people[who].pending.remove(&reference?).map(|(_, pending)| pending)
    }

    fn hear_connected(&mut self, who: usize, connected: &Connected) {
        let person = &mut self.people[who];
        person.pending.retain(|_, (_, pending)| !matches!(pending, Pending::Connect));
        (person.is_connected, person.resumes) = (true, true);
        person.ids.push(connected.connection);
        let listed: Vec<ChannelKey> = person.views.keys().cloned().collect();
        for subscribed in connected.subscriptions.iter().flatten() {
            self.come(who, subscribed, true);
        }
        // A channel that was refused is not listened to.
        let is_source = self.people[who].kind == Kind::EventSource;
        for channel in listed {
            let came = connected.subscriptions.iter().flatten().any(|it| it.channel == channel);
            if !came && (!is_source || self.people[who].views[&channel].by_post) {
                self.leave(who, &channel);
            }
        }
    }

    fn hear_subscribed(&mut self, who: usize, reference: Option<u64>, subscribed: &Subscribed) {
        if let Some(Pending::Subscribe(_)) = self.take_pending(who, reference) {
            self.come(who, subscribed, false);
        }
    }

    /// A subscription begins, or goes on with a new connection.
    fn come(&mut self, who: usize, subscribed: &Subscribed, with_connection: bool) {
        let Subscribed { channel, position, head, recovered, .. } = subscribed;
        let person = &mut self.people[who];
        if person.kind != Kind::EventSource && !person.views.contains_key(channel) {
            // It was left, and the server has not heard of that, or has taken it over from the connection before.
            let Audience::Named(name) = &channel.audience else { return };
            return self.unsubscribe(who, name.clone());
        }
        let cursor_position = person.cursor_position(channel);
        let by_url = matches!(&channel.audience, Audience::Named(name) if person.url.contains(name));
        let is_source = person.kind == Kind::EventSource;
        let view = person.views.entry(channel.clone()).or_default();
        if is_source && with_connection {
            view.since.clone_from(&cursor_position);
            // Not in any cursor yet, and from the head again: another subscription.
            if !view.is_named && recovered.is_none() {
                view.journal = None;
            }
            view.is_unknown = cursor_position.is_none() && *recovered == Some(false);
            view.is_named = cursor_position.is_some();
            view.by_post = !by_url;
        }
        // A place beyond every head stands for one that is not known, and "before the first" may have moved.
        let known = |it: &Position| it.offset > 0 && it.offset < realtime_connector_core::limits::SAFE_INTEGER_MAX;
        let since = view.since.take();
        let (is_new, floor) = (view.journal.is_none(), view.floor);
        // Whoever named a place has everything up to there, and moves on with messages and gaps.
        view.position = since.clone().or_else(|| Some(position.clone()));
        let since = since.filter(known);
        if let (Some(since), Some(true)) = (&since, recovered)
            && since.offset < floor
            && !self.nodes[person.node].disk.borrow().model.borrow().was_purged(channel, floor)
        {
            let text = format!("{} is recovered from {}, and kept from {floor} on", name(channel), since.offset);
            self.violations.push(format!("I5 p{who}: {text}"));
        }
        let may_be_overtaken = !with_connection && person.kind != Kind::WebSocket;
        view.begins_after = may_be_overtaken.then(|| position.clone());
        let early = std::mem::take(&mut view.early);
        let journal = *view.journal.get_or_insert(self.journals.heard.len());
        if is_new {
            let (listener, channel) = (person.name.clone(), journal_name(person.node, channel));
            let listener = format!("{listener} ({:?})", person.kind);
            self.journals.heard.push(Journal { listener, channel, heard: Vec::new(), is_complete: false });
        }
        let heard = &mut self.journals.heard[journal].heard;
        let came = Heard::Came {
            since: since.as_ref().map(noted),
            position: noted(position),
            head: *head,
            recovered: *recovered,
        };
        heard.push(came);
        for (heard, at) in early {
            self.note(who, channel, heard, at);
        }
    }

    fn hear_unsubscribed(&mut self, who: usize, reference: Option<u64>, channel: &ChannelKey) {
        drop(self.take_pending(who, reference));
        self.people[who].leaving.remove(channel);
        if reference.is_none() {
            self.leave(who, channel);
        }
    }

    /// A channel is not listened to any more; its journal ends without a claim.
    pub(super) fn leave(&mut self, who: usize, channel: &ChannelKey) {
        let view = self.people[who].views.remove(channel);
        if let Some(position) = view.and_then(|view| view.position) {
            self.people[who].left.insert(channel.clone(), position);
        }
    }

    fn hear_message(&mut self, who: usize, record: &Record) {
        let node = self.people[who].node;
        if let Audience::User(user) = &record.channel.audience
            && self.people[who].user.as_ref() != Some(user)
        {
            self.violations.push(format!("I10 p{who} hears a message to {user}"));
        }
        let Some(offset) = record.offset else {
            let listener = format!("link {:?} of {}", self.people[who].link, self.people[who].name);
            let channel = journal_name(node, &record.channel);
            return self.journals.signals.push((listener, channel, label(&record.data)));
        };
        let wrong = self.nodes[node].disk.borrow().model.borrow().check_message(record);
        self.violations.extend(wrong);
        let heard = Heard::Message { offset, label: label(&record.data) };
        let position = Position { epoch: record.epoch.clone(), offset };
        self.note(who, &record.channel, heard, position);
    }

    fn hear_gap(&mut self, who: usize, channel: &ChannelKey, gap: &Gap, position: &Position) {
        let disk = self.nodes[self.people[who].node].disk.borrow();
        // Where the client's position was lost with a gap that never came, the gap is told anew.
        let nowhere = realtime_connector_core::cursor::CursorPositions::NOWHERE;
        let view = self.people[who].views.get(channel);
        // On an event stream the answer that it was left overtakes the frames, and with the view it is forgotten what was known.
        let is_left = view.is_none() && self.people[who].kind == Kind::EventSource;
        let is_unknown = is_left || view.is_some_and(|view| view.is_unknown);
        let is_nowhere = is_unknown || self.people[who].cursor_position(channel).is_some_and(|it| it.offset == nowhere);
        let wrong = disk.model.borrow().check_gap(&self.people[who].ids, channel, gap, position, &disk);
        drop(disk);
        self.violations.extend(wrong.filter(|_| !is_nowhere));
        let heard = Heard::Gap { range: gap.range, lost: gap.reason.lost(), position: noted(position) };
        self.note(who, channel, heard, position.clone());
    }

    /// Notes what a channel says, if it is listened to.
    fn note(&mut self, who: usize, channel: &ChannelKey, heard: Heard, position: Position) {
        let Some(view) = self.people[who].views.get_mut(channel) else { return };
        view.is_unknown = false;
        match view.journal {
            // The answer that says where it begins is still on its way.
            _ if view.position.is_none() => view.early.push((heard, position)),
            Some(_)
                if view
                    .begins_after
                    .as_ref()
                    .is_some_and(|it| it.epoch == position.epoch && it.offset >= position.offset) => {}
            Some(journal) => {
                view.position = Some(position);
                self.journals.heard[journal].heard.push(heard);
            }
            None => {}
        }
    }

    fn hear_ok(&mut self, who: usize, reference: Option<u64>, outcome: &Outcome) {
        match (self.take_pending(who, reference), outcome) {
            (Some(Pending::Publish(attempt)), Outcome::Published(published)) => {
                self.hear_result(who, attempt, Ok(published.clone()));
            }
            (Some(Pending::History(channel, limit)), Outcome::History(page)) => {
                self.hear_page(who, &channel, limit, page);
            }
            (Some(Pending::Saying(saying)), Outcome::Done) => self.confirm(who, &saying),
            _ => {}
        }
    }

    fn hear_error(&mut self, who: usize, reference: Option<u64>, rejection: &Rejection) {
        match self.take_pending(who, reference) {
            Some(Pending::Publish(attempt)) => self.hear_result(who, attempt, Err(rejection.clone())),
            Some(Pending::Subscribe(channel)) => self.leave(who, &channel),
            // By POST, to a connection that is gone: its successor lists its channels anyway.
            Some(Pending::Unsubscribe(channel)) => drop(self.people[who].leaving.remove(&channel)),
            Some(Pending::Connect) if rejection.kind == RejectionKind::BadRequest => {
                self.violations.push(format!("p{who} is refused: {rejection}"));
            }
            Some(Pending::Consume(channel, member)) => {
                self.people[who].consuming.retain(|it| *it != (channel.clone(), member.clone()));
            }
            Some(Pending::Saying(saying)) => self.say_again(who, *saying, Some(rejection)),
            Some(Pending::Connect | Pending::History(..) | Pending::Purge | Pending::Take(..) | Pending::Walk) => {}
            Some(Pending::Other) | None => {}
        }
    }

    fn hear_goaway(&mut self, who: usize, close: Close) {
        let person = &mut self.people[who];
        match close {
            Close::Overloaded | Close::Slow | Close::Drain | Close::Silent | Close::TokenExpired => {}
            // What it has read it still knows, but this session is another one's.
            Close::TakenOver => person.resumes = false,
            Close::Normal
            | Close::Stopped
            | Close::Unauthenticated
            | Close::ConnectDeadline
            | Close::Blocked
            | Close::ConnectionLimit
            | Close::Protocol => person.begins_anew = true,
        }
    }

    /// A page of the past: real messages, in order, and no more than were asked for.
    fn hear_page(&mut self, who: usize, channel: &ChannelKey, limit: u32, page: &HistoryPage) {
        let disk = self.nodes[self.people[who].node].disk.borrow();
        let model = disk.model.borrow();
        let wrong: Vec<String> = page.records.iter().filter_map(|record| model.check_message(record)).collect();
        drop(model);
        drop(disk);
        self.violations.extend(wrong);
        let offsets: Vec<u64> = page.records.iter().filter_map(|record| record.offset).collect();
        let rises = offsets.is_sorted_by(|a, b| a < b) || offsets.is_sorted_by(|a, b| a > b);
        if !rises || offsets.len() > limit as usize || page.records.iter().any(|record| record.channel != *channel) {
            self.violations.push(format!("I4 a page of the past of {channel:?} has {offsets:?}, at most {limit}"));
        }
    }

    pub(super) fn unsubscribe(&mut self, who: usize, name: ChannelName) {
        let channel = ChannelKey::named(Default::default(), name.clone());
        self.leave(who, &channel);
        self.people[who].leaving.insert(channel.clone());
        let command = realtime_connector_core::command::Command::Unsubscribe { channel: name };
        self.send(who, command, Pending::Unsubscribe(channel));
    }

    pub(super) fn begin_view(&mut self, who: usize, channel: ChannelKey, since: Option<Position>) {
        let by_post = self.people[who].kind != Kind::WebSocket;
        self.people[who].views.insert(channel, View { by_post, since, ..View::default() });
    }
}

/// A position as journals have it.
pub(super) fn noted(position: &Position) -> checker::Position {
    checker::Position { epoch: position.epoch.as_str().to_owned(), offset: position.offset }
}
