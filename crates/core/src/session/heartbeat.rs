//! Signs of life, in both directions.
//!
//! - WebSocket: a Ping every interval (the first one jittered); no byte within 10 s after it has left means the peer is gone. A
//!   peer that takes nothing for a whole interval while the Ping waits, and says nothing either, is too slow.
//! - SSE: a comment every interval. No answer exists; a dead peer shows as a failed write (the engine sets a TCP user timeout).
//! - An authorisation that is over ends the session, however lively the peer is. Wall-clock time is looked at once, when the session
//!   opens: a clock that jumps later ends nobody's.
//! - A worker that was frozen itself does not blame its peers: it gives everyone a new period first.

use super::{Phase, Provider, Session};
use crate::limits;
use crate::options::Options;
use crate::rejection::Close;
use crate::time::Time;

/// What a session's deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing yet; look again at the session's deadline.
    Later,
    /// Send a sign of life.
    Beat,
    /// End it.
    Close(Close),
    /// Its last bytes did not leave in time.
    Abort,
}

impl Session {
    pub(crate) fn heartbeat_interval(&self, options: &Options) -> std::time::Duration {
        match self.profile.client.provider {
            Provider::WebSocket => options.websocket_heartbeat,
            Provider::Sse => options.sse_heartbeat,
        }
    }

    /// Notes that bytes came from the peer.
    pub(crate) fn handle_sign_of_life(&mut self, now: Time, options: &Options) {
        self.last_seen = now;
        if self.awaiting_pong {
            self.awaiting_pong = false;
            if !self.ping_queued {
                self.round_trip_ms = u32::try_from(now.since(self.pinged_at).as_millis()).unwrap_or(u32::MAX);
            }
            self.deadline = self.pinged_at.after(self.heartbeat_interval(options));
        }
    }

    /// Notes that the peer took something while a Ping waits, and whether that was among it.
    pub(crate) fn handle_ping_progress(&mut self, now: Time, left: bool) {
        self.pinged_at = now;
        if left {
            self.ping_queued = false;
            if self.awaiting_pong {
                self.deadline = now.after(limits::PONG_DEADLINE);
            }
        }
    }

    /// What is due at `now`. `excused` is true while the worker itself was late.
    pub(crate) fn handle_deadline(&mut self, now: Time, excused: bool, options: &Options) -> Due {
        if matches!(self.phase, Phase::Open) && self.profile.expires().is_some_and(|expires| expires <= now) {
            return Due::Close(Close::TokenExpired);
        }
        if self.deadline > now {
            return Due::Later;
        }
        match self.phase {
            Phase::Waiting | Phase::Asking(_) if excused => self.postpone(now),
            Phase::Waiting | Phase::Asking(_) => Due::Close(Close::ConnectDeadline),
            Phase::Closing(_) => Due::Abort,
            Phase::Connecting(_) if excused => self.postpone(now),
            // Some home does not answer: the log of its channel is away. Later it may.
            Phase::Connecting(_) => Due::Close(Close::Overloaded),
            Phase::Open if self.awaiting_pong && excused => self.postpone(now),
            Phase::Open if self.awaiting_pong && self.ping_queued => {
                let patience = self.pinged_at.after(self.heartbeat_interval(options).max(limits::PONG_DEADLINE));
                if now >= patience {
                    return Due::Close(Close::Slow);
                }
                self.deadline = patience;
                Due::Later
            }
            Phase::Open if self.awaiting_pong => Due::Close(Close::Silent),
            Phase::Open => {
                self.pinged_at = now;
                if self.profile.client.provider == Provider::WebSocket {
                    self.awaiting_pong = true;
                    self.deadline = now.after(limits::PONG_DEADLINE);
                } else {
                    self.deadline = now.after(self.heartbeat_interval(options));
                }
                Due::Beat
            }
        }
    }

    fn postpone(&mut self, now: Time) -> Due {
        self.deadline = now.after(limits::PONG_DEADLINE);
        Due::Later
    }
}
