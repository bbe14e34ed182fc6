//! What publishers and subscribers note, and a subscriber's notes cut into its connections.

use std::collections::BTreeSet;
use std::fmt;

use super::{Account, Duty, Gauges};

/// A place in a channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The life of the log.
    pub epoch: String,
    /// Everything up to here.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

/// Who published a message, which of theirs it is, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Who. A publisher that gives a message up, and might still be heard with it, goes on under another name.
    pub publisher: String,
    /// Rises with each of them.
    pub seq: u64,
    /// Of the payload.
    pub hash: u64,
}

/// What a publisher was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is at this place.
    Acknowledged {
        /// Where.
        position: Position,
        /// The answer said that it is not the first one.
        duplicate: bool,
    },
    /// Refused before anything was done.
    Refused,
    /// No answer, or one that leaves it open.
    Unknown,
}

/// One attempt to publish. Attempts to publish the same message have the same label.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where to.
    pub channel: String,
    /// Which message.
    pub label: Label,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a subscriber notes of a channel.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A connection begins, going on from `since` if it said so.
    Came {
        /// The place that it named, where its protocol lets it know.
        since: Option<Position>,
        /// Where it goes on.
        position: Position,
        /// The newest offset at that moment.
        head: u64,
        /// Whether everything after `since` will follow.
        recovered: Option<bool>,
    },
    /// A message of the log.
    Message {
        /// Where it is.
        offset: u64,
        /// What it is.
        label: Label,
    },
    /// No message comes for some offsets.
    Gap {
        /// Which; `None` where the epoch changed.
        range: Option<(u64, u64)>,
        /// Whether that is loss.
        lost: bool,
        /// Where it goes on.
        position: Position,
    },
    /// What was heard so far will not be asked for again.
    Kept,
}

/// What one subscriber heard of one channel, over all its connections.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Who.
    pub listener: String,
    /// In which channel.
    pub channel: String,
    /// In the order of hearing.
    pub heard: Vec<Heard>,
    /// It stayed until it had heard everything that was acknowledged.
    pub is_complete: bool,
}

/// Everything that was noted.
#[derive(Clone, Debug, Default)]
pub struct Journals {
    /// Attempts to publish, with their answers.
    pub sent: Vec<Sent>,
    /// What subscribers heard.
    pub heard: Vec<Journal>,
    /// Messages that are in no log, as they were heard: listener, channel, message.
    pub signals: Vec<(String, String, Label)>,
    /// Channels whose log ends with its process: the same message may be published again in the next epoch.
    pub in_memory: BTreeSet<String>,
    /// Channels that keep so little that a reader may lose what it was promised a moment ago.
    pub tight: BTreeSet<String>,
    /// Epochs in the order in which they began, as far as that is known: nobody hears what was before they came.
    pub epochs: Vec<String>,
    /// What was noted of durable consumers.
    pub duties: Vec<Duty>,
    /// How full the queues of servers were.
    pub gauges: Gauges,
    /// What servers counted, beside what was seen of them.
    pub accounts: Vec<Account>,
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.listener, self.channel)
    }
}

/// What one connection of a subscriber heard.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) since: &'a Option<Position>,
    pub(crate) position: Position,
    pub(crate) head: u64,
    pub(crate) recovered: Option<bool>,
    /// Epoch, offset and what is there.
    pub(crate) messages: Vec<(&'a str, u64, &'a Label)>,
    pub(crate) gaps: usize,
    pub(crate) begins_with_loss: bool,
    /// First of all it is told of offsets that are left out on purpose.
    pub(crate) begins_with_skip: bool,
    /// The last place that the connections before have covered …
    pub(crate) last_before: Option<Position>,
    /// … and the last one they would not ask for again.
    pub(crate) kept_before: Option<Position>,
}

impl Segment<'_> {
    pub(crate) fn count(&self, epoch: &str, offset: u64) -> usize {
        self.messages.iter().filter(|it| (it.0, it.1) == (epoch, offset)).count()
    }
}

impl Journal {
    /// Every message with its place.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (Position, &Label)> {
        let mut epoch = "";
        self.heard.iter().filter_map(move |heard| match heard {
            Heard::Kept => None,
            Heard::Came { position, .. } | Heard::Gap { position, .. } => {
                epoch = &position.epoch;
                None
            }
            Heard::Message { offset, label } => Some((Position { epoch: epoch.to_owned(), offset: *offset }, label)),
        })
    }

    /// Whether it was told that no message comes for a place, by a gap or by not being recovered, and whether that is loss.
    pub(crate) fn was_told(&self, place: &Position) -> Option<bool> {
        let told = self.heard.iter().filter_map(|heard| match heard {
            Heard::Gap { range, lost, position } => {
                let covers = match range {
                    Some((from, to)) => position.epoch == place.epoch && (*from..=*to).contains(&place.offset),
                    // Of the new epoch only what is kept follows.
                    None => position.epoch != place.epoch || place.offset <= position.offset,
                };
                covers.then_some(*lost)
            }
            Heard::Came { position, recovered: Some(false), .. } => {
                (position.epoch != place.epoch || place.offset <= position.offset).then_some(true)
            }
            Heard::Came { .. } | Heard::Message { .. } | Heard::Kept => None,
        });
        told.max()
    }

    /// One after the other, what each connection heard.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let mut segments: Vec<Segment<'_>> = Vec::new();
        let (mut last, mut kept): (Option<Position>, Option<Position>) = (None, None);
        let mut epoch = "";
        for heard in &self.heard {
            match heard {
                Heard::Kept => kept.clone_from(&last),
                Heard::Came { since, position, head, recovered } => {
                    segments.push(Segment {
                        since,
                        position: position.clone(),
                        head: *head,
                        recovered: *recovered,
                        messages: Vec::new(),
                        gaps: 0,
                        begins_with_loss: false,
                        begins_with_skip: false,
                        last_before: last.clone(),
                        kept_before: kept.clone(),
                    });
                    epoch = &position.epoch;
                    // A place that was named stays until a message or a gap follows.
                    last = since.clone().or_else(|| Some(position.clone()));
                }
                Heard::Message { offset, label } => {
                    let Some(segment) = segments.last_mut() else { continue };
                    segment.messages.push((epoch, *offset, label));
                    if let Some(last) = &mut last {
                        last.offset = *offset;
                    }
                }
                Heard::Gap { lost, position, .. } => {
                    let Some(segment) = segments.last_mut() else { continue };
                    segment.begins_with_loss |= *lost && segment.messages.is_empty();
                    segment.begins_with_skip |= !lost && segment.messages.is_empty() && segment.gaps == 0;
                    segment.gaps += 1;
                    epoch = &position.epoch;
                    last = Some(position.clone());
                }
            }
        }
        segments.into_iter()
    }
}
