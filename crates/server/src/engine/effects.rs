//! Carrying out what core wants, and what the front asks for.

use std::time::{Duration, Instant};

use mio::Token;
use realtime_connector_core::event::Event;
use realtime_connector_core::id::{ConnectionId, ConnectionKey};
use realtime_connector_core::publish::Origin;
use realtime_connector_core::rejection::{Lost, Rejection, RejectionKind};
use realtime_connector_core::worker::{Input, Opened, Output};
use realtime_connector_wire::json;
use realtime_connector_wire::websocket;

use super::connection::{Connection, Opening, Rare, Stage, Transport};
use super::front::{Adoption, FrontMessage, Reply, Stream, Waiting};
use super::reading::Until;
use super::worker::WorkerLoop;
use super::{AskRequest, lifecycle};

/// How long a connection that has ended may take for its last bytes and for the peer's end.
const LINGER: Duration = Duration::from_secs(5);

impl WorkerLoop {
    /// Carries out core's outputs until there are none. The memory log answers at once, the store when it is done: see
    /// `take_stored`.
    pub(super) fn carry_out(&mut self) {
        loop {
            while let Some(output) = self.core.poll_output() {
                self.carry(output);
            }
            let Some(input) = self.logs.poll_memory() else { return };
            self.core.handle(self.clock.now(), input);
        }
    }

    fn carry(&mut self, output: Output) {
        match output {
            Output::Peer { to, message } => self.outgoing[usize::from(to.0)].push_back(message),
            Output::OpenLog { home, channel, retention } => self.logs.open(home, &channel, retention),
            Output::Append { home, ticket, record, persist } => self.logs.append(home, ticket, record, persist),
            Output::ReadLog { home, channel, from } => self.logs.read(home, &channel, from),
            Output::LocateInLog { home, channel, ticket, at } => self.logs.locate(home, &channel, ticket, at),
            Output::PurgeLog { home, channel, ticket, through } => self.logs.purge(home, &channel, ticket, through),
            Output::ApplyState { ticket, persisted, changes } => {
                self.logs.states().apply(ticket, persisted, changes);
            }
            Output::ScanState { ticket, persisted, scan } => self.logs.states().scan(ticket, persisted, scan),
            Output::ForgetLog { channel, persisted } => self.logs.forget(&channel, persisted),
            Output::Ask { connection, token } => self.ask(connection, token),
            Output::Close { connection, close, stays_away } => {
                let code = json::close_code(close).number();
                if stays_away {
                    self.node.stopped.note(ConnectionId { key: connection, ..self.id });
                }
                // What `goaway` says, the Close frame says too.
                let reason = self.core.outbox(connection).find_map(|frame| {
                    let Event::Goaway { reason, .. } = frame.event() else { return None };
                    reason.clone()
                });
                if let Some(open) = self.table.get_mut(connection) {
                    open.stage = Stage::Closing(code);
                    open.rare = reason.map(|reason| Box::new(Rare { token: None, reason: Some(reason) }));
                }
                self.core.requeue(connection);
            }
            Output::Abort { connection } => {
                self.forget(connection);
                self.core.handle(self.clock.now(), Input::Closed { connection, lost: Lost::Dropped });
            }
            Output::Replied { ticket, event } => self.answer(ticket, Reply::Event(event)),
            Output::Answered { ticket, answer } => self.answer(ticket, Reply::Answer(answer)),
            Output::Lifecycle(event) => lifecycle(&self.node, event),
        }
    }

    fn answer(&mut self, ticket: u64, reply: Reply) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            // Whoever asked may have gone away, which is their right.
            drop(waiting.sender.send(reply));
        }
    }

    /// Hands a question to the authenticator. Where the handshake had another token, or with no place in the queue, the answer is
    /// known.
    fn ask(&mut self, connection: ConnectionKey, token: String) {
        let shown = self.table.get_mut(connection).and_then(|open| open.rare.as_ref()?.token.as_ref());
        let rejection = if shown.is_some_and(|shown| *shown != token) {
            Rejection::field("token", "contradicts the Authorization header")
        } else {
            let request = AskRequest { worker: self.id.worker, connection, token, asked_at: Instant::now() };
            if self.node.asks.try_send(request).is_ok() {
                return;
            }
            Rejection::new(RejectionKind::Overloaded, "too many tokens wait to be verified").retry_after_ms(1_000)
        };
        self.core.handle(self.clock.now(), Input::Identified { connection, identity: Err(Box::new(rejection)) });
    }

    pub(super) fn handle_front(&mut self, message: FrontMessage) {
        match message {
            FrontMessage::Adopt(adoption) => self.adopt(*adoption),
            FrontMessage::Call { call, reply } => {
                let ticket = self.ticket(reply);
                self.handle(Input::Call { ticket, call });
            }
            FrontMessage::Publish { mut draft, reply } => {
                let ticket = self.ticket(reply);
                draft.origin = Origin::Call { ticket };
                self.handle(Input::Call { ticket, call: realtime_connector_core::worker::Call::Publish(draft) });
            }
            FrontMessage::Command { connection, command, reference, reply } => {
                let ticket = self.ticket(reply);
                let reply = realtime_connector_core::session::Reply::Call { ticket, reference };
                self.core.handle(self.clock.now(), Input::Received { connection });
                self.handle(match command {
                    Ok(command) => Input::Command { connection, command, reply },
                    Err(rejection) => Input::Malformed { connection, rejection, reply },
                });
            }
            FrontMessage::Identified { connection, identity } => {
                if identity.is_ok()
                    && let Some(open) = self.table.get_mut(connection)
                    && open.stage == Stage::Open
                {
                    open.rare = None;
                }
                self.handle(Input::Identified { connection, identity });
            }
        }
    }

    fn ticket(&mut self, waiting: Waiting) -> u64 {
        self.next_ticket += 1;
        self.waiting.insert(self.next_ticket, waiting);
        self.next_ticket
    }

    fn adopt(&mut self, adoption: Adoption) {
        let key = self.table.reserve();
        if let Stream::Pumped(end) = &adoption.stream {
            end.attach(self.door.clone(), key.slot);
        }
        let transport = match Transport::new(adoption.stream, self.poll.registry(), Token(key.slot as usize)) {
            Ok(transport) => transport,
            Err(error) => {
                tracing::debug!(%error, "failed to take over a connection");
                self.node.talking.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
                return self.table.release(key);
            }
        };
        let Adoption { dialect, head, prelude, token, place, .. } = adoption;
        self.table.insert(key, Connection::new(transport, Opening { dialect, head, prelude, token, place }));
        if self.node.echo.is_some() && !dialect.is_sse() {
            self.flush(key);
            return self.read(key, Until::Short);
        }
        let mut identity = adoption.identity;
        if let Some(user) = identity.as_mut().and_then(|identity| identity.user.as_mut()) {
            *user = user.detached();
        }
        let opened = Opened {
            connection: key,
            dialect,
            client: adoption.client,
            identity,
            connect: adoption.connect,
            reference: adoption.reference,
        };
        let connects = opened.connect.is_some();
        self.handle(Input::Opened(Box::new(opened)));
        // With `connected` or a refusal on its way the head leaves in one segment with it; nobody else may wait for it.
        if !connects {
            self.flush(key);
        }
        let Some(connection) = self.table.get_mut(key) else { return };
        // What came with the request, and what a pump holds. Of what a socket has, the poll it has just joined tells.
        if connection.stash.is_some() || !connection.transport.announces_more() {
            self.read(key, Until::Short);
        }
    }

    /// The stream is gone, or ended by the peer without a close.
    pub(super) fn lose(&mut self, key: ConnectionKey, lost: Lost) {
        let Some(connection) = self.table.get_mut(key) else { return };
        let ended = connection.stage.has_ended();
        self.forget(key);
        if !ended {
            self.handle(Input::Closed { connection: key, lost });
        }
    }

    /// Core is done with the connection and its outbox is written: the WebSocket close frame follows, then the end.
    pub(super) fn finish_closing(&mut self, key: ConnectionKey, code: u16) {
        let Some(connection) = self.table.get_mut(key) else { return };
        let mut frame = Vec::new();
        if !connection.dialect.is_sse() {
            let usual =
                || realtime_connector_wire::codes::CloseCode::from_number(code).map_or("", |code| code.reason());
            let said = connection.rare.as_ref().and_then(|rare| rare.reason.as_deref());
            websocket::encode_close(&mut frame, Some(code), said.unwrap_or_else(usual));
        }
        self.linger(key, &frame, Lost::Closed);
    }

    /// Ends the session and lets the stream go once `last` is out and the peer has ended too, or a moment later.
    pub(super) fn linger(&mut self, key: ConnectionKey, last: &[u8], lost: Lost) {
        let Some(connection) = self.table.get_mut(key) else { return };
        connection.stage = Stage::Lingering;
        connection.stash = None;
        if std::mem::take(&mut connection.paused) {
            // Its end may be behind bytes that no edge will announce again.
            self.queue_read(key);
        }
        let Some(connection) = self.table.get_mut(key) else { return };
        drop(connection.pongs.take());
        if !last.is_empty() {
            connection.owe(last);
        }
        self.lingering.push_back((Instant::now() + LINGER, key));
        self.handle(Input::Closed { connection: key, lost });
        if self.table.get_mut(key).is_some_and(|connection| !connection.blocked) {
            self.flush(key);
        }
    }
}
