//! Wraps a log or a state, and makes it late, refusing and forgetful, from a seed.
//!
//! - **Late**: a call waits here, and so does everything behind it, for some polls. What waits is what a real back end has taken and
//!   not synced.
//! - **Refusing**: a call is answered with an error at once. After [`LogError::Unavailable`] it may have been carried out all the same,
//!   as the contract allows; after any other it was not.
//! - **Forgetful**: [`Faulty::crash`] loses what waits, but for a few of the first: whoever had no answer cannot know.
//!
//! The same seed and the same calls give the same faults.

use std::collections::VecDeque;

use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::Offset;

use crate::{Append, Change, Completion, Locate, Log, LogError, Read, Scan, State, StateCompletion, Wake};

/// What goes wrong, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Decides everything.
    pub seed: u64,
    /// Polls of a hundred at which nothing moves.
    pub late_percent: u8,
    /// Calls of a hundred that are refused.
    pub refuse_percent: u8,
}

/// A splitmix64 sequence.
struct Dice {
    faults: Faults,
    state: u64,
}

impl Dice {
    const fn new(faults: Faults) -> Self {
        Self { faults, state: faults.seed }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    fn is_late(&mut self) -> bool {
        self.below(100) < usize::from(self.faults.late_percent)
    }

    /// The error of a call that is refused, and whether it is carried out nevertheless.
    fn refusal(&mut self) -> Option<(LogError, bool)> {
        if self.below(100) >= usize::from(self.faults.refuse_percent) {
            return None;
        }
        Some(match self.below(4) {
            0 => (LogError::Busy, false),
            1 => (LogError::Full, false),
            2 => (LogError::Unavailable, false),
            _ => (LogError::Unavailable, true),
        })
    }
}

type Call<B> = Box<dyn FnOnce(&mut B) + Send>;

/// An answer of a back end.
pub trait Answer {
    /// What it answers.
    type Asked: Copy + PartialEq;

    /// What it answers.
    fn asked(&self) -> Self::Asked;

    /// The answer to a call that did not work.
    fn failed(asked: Self::Asked, error: LogError) -> Self;
}

impl Answer for Completion {
    /// `None` is an open.
    type Asked = (SlotKey, Option<u64>);

    fn asked(&self) -> Self::Asked {
        match self {
            Self::Opened { home, .. } => (*home, None),
            Self::Failed { home, ticket, .. } => (*home, *ticket),
            Self::Committed { home, ticket, .. }
            | Self::Duplicate { home, ticket, .. }
            | Self::Conflict { home, ticket }
            | Self::Read { home, ticket, .. }
            | Self::Located { home, ticket, .. }
            | Self::Purged { home, ticket, .. } => (*home, Some(*ticket)),
        }
    }

    fn failed((home, ticket): Self::Asked, error: LogError) -> Self {
        Self::Failed { home, ticket, error }
    }
}

impl Answer for StateCompletion {
    type Asked = u64;

    fn asked(&self) -> u64 {
        match self {
            Self::Applied { ticket } | Self::Scanned { ticket, .. } | Self::Failed { ticket, .. } => *ticket,
        }
    }

    fn failed(ticket: u64, error: LogError) -> Self {
        Self::Failed { ticket, error }
    }
}

/// A back end with faults. Holds as many calls as its user has made and not polled.
pub struct Faulty<B, A: Answer> {
    inner: B,
    dice: Dice,
    wake: Wake,
    waiting: VecDeque<Call<B>>,
    refused: VecDeque<A>,
    /// Calls that were refused and carried out: their answers are dropped.
    unheard: Vec<A::Asked>,
}

/// A log with faults.
pub type FaultyLog<L> = Faulty<L, Completion>;
/// A state with faults.
pub type FaultyState<S> = Faulty<S, StateCompletion>;

impl<B, A: Answer> Faulty<B, A> {
    /// Wraps a back end. `wake` is rung where something waits that a poll did not give.
    pub fn new(inner: B, faults: Faults, wake: Wake) -> Self {
        let (waiting, refused) = (VecDeque::new(), VecDeque::new());
        Self { inner, dice: Dice::new(faults), wake, waiting, refused, unheard: Vec::new() }
    }

    /// Loses what waits, but for some of the first calls.
    pub fn crash(mut self) -> B {
        let kept = self.dice.below(self.waiting.len() + 1);
        for call in self.waiting.drain(..kept) {
            call(&mut self.inner);
        }
        self.inner
    }

    fn call(&mut self, asked: A::Asked, call: Call<B>) {
        let Some((error, is_done)) = self.dice.refusal() else {
            return self.waiting.push_back(call);
        };
        self.refused.push_back(A::failed(asked, error));
        if is_done {
            self.unheard.push(asked);
            self.waiting.push_back(call);
        }
    }

    fn poll_with(&mut self, poll: impl Fn(&mut B) -> Option<A>) -> Option<A> {
        if let Some(refused) = self.refused.pop_front() {
            return Some(refused);
        }
        if self.dice.is_late() {
            (self.wake)();
            return None;
        }
        for call in self.waiting.drain(..) {
            call(&mut self.inner);
        }
        loop {
            let answer = poll(&mut self.inner)?;
            match self.unheard.iter().position(|unheard| *unheard == answer.asked()) {
                Some(at) => drop(self.unheard.swap_remove(at)),
                None => return Some(answer),
            }
        }
    }
}

impl<L: Log + 'static> Log for FaultyLog<L> {
    fn open(&mut self, home: SlotKey, channel: &ChannelKey, retention: Retention) {
        let channel = channel.clone();
        self.call((home, None), Box::new(move |log| log.open(home, &channel, retention)));
    }

    fn append(&mut self, home: SlotKey, ticket: u64, append: Append) {
        self.call((home, Some(ticket)), Box::new(move |log| log.append(home, ticket, append)));
    }

    fn read(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, read: Read) {
        let channel = channel.clone();
        self.call((home, Some(ticket)), Box::new(move |log| log.read(home, ticket, &channel, read)));
    }

    fn locate(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, locate: Locate) {
        let channel = channel.clone();
        self.call((home, Some(ticket)), Box::new(move |log| log.locate(home, ticket, &channel, locate)));
    }

    fn purge(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, through: Offset) {
        let channel = channel.clone();
        self.call((home, Some(ticket)), Box::new(move |log| log.purge(home, ticket, &channel, through)));
    }

    fn forget(&mut self, channel: &ChannelKey) {
        let channel = channel.clone();
        self.waiting.push_back(Box::new(move |log| log.forget(&channel)));
    }

    fn poll(&mut self) -> Option<Completion> {
        self.poll_with(L::poll)
    }
}

impl<S: State + 'static> State for FaultyState<S> {
    fn apply(&mut self, ticket: u64, changes: Vec<Change>) {
        self.call(ticket, Box::new(move |state| state.apply(ticket, changes)));
    }

    fn scan(&mut self, ticket: u64, scan: Scan) {
        self.call(ticket, Box::new(move |state| state.scan(ticket, scan)));
    }

    fn poll(&mut self) -> Option<StateCompletion> {
        self.poll_with(S::poll)
    }
}
