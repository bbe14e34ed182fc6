//! The beginning of a session.

use crate::command::Ref;
use crate::cursor::EpochPositions;
use crate::event::Subscribed;
use crate::position::Start;
use crate::rejection::Rejection;

/// The first subscriptions of a session, collected for its `connected` frame.
#[derive(Debug)]
pub(crate) struct Connecting {
    pub(crate) reference: Option<Ref>,
    /// In the order asked; `None` until the home has answered.
    pub(crate) outcomes: Vec<Option<Result<Subscribed, Rejection>>>,
    /// The worker of a former session has been asked for it: until it answers, nobody knows under which name this one acts.
    pub(crate) taking_over: bool,
    /// Where it begins in its user's channel, once that session has been found.
    pub(crate) own: Option<(Option<u32>, Start)>,
    /// It continues a former session.
    pub(crate) resumed: bool,
    /// What the client's cursor says of channels that only the former session knows, if it has one.
    pub(crate) positions: Option<Vec<EpochPositions>>,
    /// Answers outstanding, those of `$all` and `$user` included.
    pub(crate) pending: usize,
}
