//! What publishers and subscribers note, and a subscriber's notes cut into its connections.

use std::fmt;

/// A place in a channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

/// Who published a message, which of theirs it is, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    pub(crate) publisher: String,
    pub(crate) seq: u64,
    pub(crate) hash: u64,
}

/// What a publisher was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged {
        position: Position,
        duplicate: bool,
    },
    /// Refused before anything was done.
    Refused,
    /// No answer, or one that leaves it open.
    Unknown,
}

/// One attempt to publish. Attempts to publish the same message have the same label.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) channel: String,
    pub(crate) label: Label,
    pub(crate) outcome: Outcome,
}

/// What a subscriber notes of a channel.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// A connection begins, going on from `since` if it said so.
    Came {
        since: Option<Position>,
        position: Position,
        head: u64,
        recovered: Option<bool>,
    },
    Message {
        offset: u64,
        label: Label,
    },
    Gap {
        range: Option<(u64, u64)>,
        lost: bool,
        position: Position,
    },
    /// What was heard so far will not be asked for again.
    Kept,
}

/// What one subscriber heard of one channel, over all its connections.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pub(crate) listener: String,
    pub(crate) channel: String,
    pub(crate) heard: Vec<Heard>,
    /// It stayed until it had heard everything that was acknowledged.
    pub(crate) is_complete: bool,
}

/// Everything that was noted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journals {
    pub(crate) sent: Vec<Sent>,
    pub(crate) heard: Vec<Journal>,
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.listener, self.channel)
    }
}

/// What one connection of a subscriber heard.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    pub(super) since: &'a Option<Position>,
    pub(super) position: Position,
    pub(super) head: u64,
    pub(super) recovered: Option<bool>,
    /// Epoch, offset and what is there.
    pub(super) messages: Vec<(&'a str, u64, &'a Label)>,
    pub(super) gaps: usize,
    pub(super) begins_with_loss: bool,
    /// The last place that the connections before have covered …
    pub(super) last_before: Option<Position>,
    /// … and the last one they would not ask for again.
    pub(super) kept_before: Option<Position>,
}

impl Segment<'_> {
    pub(super) fn count(&self, epoch: &str, offset: u64) -> usize {
        self.messages.iter().filter(|it| (it.0, it.1) == (epoch, offset)).count()
    }
}

impl Journal {
    /// Every message with its place.
    pub(super) fn messages(&self) -> impl Iterator<Item = (Position, &Label)> {
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

    /// Ranges that were told to be lost, with their epoch; without a range everything of other epochs.
    pub(super) fn told_lost(&self) -> Vec<(String, Option<(u64, u64)>)> {
        let told = self.heard.iter().filter_map(|heard| match heard {
            Heard::Gap { range, lost: true, position } => Some((position.epoch.clone(), *range)),
            Heard::Gap { .. } | Heard::Came { .. } | Heard::Message { .. } | Heard::Kept => None,
        });
        told.collect()
    }

    /// One after the other, what each connection heard.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
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
                        last_before: last.clone(),
                        kept_before: kept.clone(),
                    });
                    epoch = &position.epoch;
                    last = Some(position.clone());
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
                    segment.gaps += 1;
                    epoch = &position.epoch;
                    last = Some(position.clone());
                }
            }
        }
        segments.into_iter()
    }
}
