//! Every bound of core, in one place, with its unit and its reason.
//!
//! Bounds that an operator may change have their default here and their value in [`crate::options::Options`].

use std::time::Duration;

/// Bytes of a channel name. Long enough for any path-like name, short enough to print and to index.
pub const CHANNEL_BYTES_MAX: usize = 255;
/// Bytes of a user id. Fits e-mail addresses and any kind of UUID.
pub const USER_ID_BYTES_MAX: usize = 128;
/// Bytes of a message type.
pub const TYPE_BYTES_MAX: usize = 128;
/// Bytes of a message id. Fits two UUIDs and a prefix.
pub const MESSAGE_ID_BYTES_MAX: usize = 128;
/// Bytes of a message key.
pub const KEY_BYTES_MAX: usize = 128;
/// Bytes of a device id.
pub const DEVICE_ID_BYTES_MAX: usize = 64;

/// Bytes of a message's `data`. A notification, not a file; larger payloads belong behind a link.
pub const MESSAGE_BYTES: usize = 64 * 1024;
/// Bytes of metadata on a message or a connection: context, not content.
pub const META_BYTES_MAX: usize = 2 * 1024;
/// Connections that one publish may exclude: in practice the publisher's own tabs.
pub const EXCLUDE_MAX: usize = 16;
/// Records that a subscription may ask to rewind: one history page.
pub const REWIND_MAX: u32 = 1_000;
/// Milliseconds that a subscription may ask to rewind: a year, like [`TTL_MAX`].
pub const REWIND_MS_MAX: u64 = TTL_MAX.as_millis() as u64;
/// Largest integer that every JSON implementation keeps exact: 2^53 − 1.
pub const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

/// Channels one connection may subscribe to.
pub const CHANNELS_PER_CONNECTION: u32 = 256;
/// Records that may wait for one connection before it is caught up from history instead.
pub const OUTBOX_RECORDS: u32 = 128;
/// Bytes that may wait for one connection before it is caught up from history instead.
pub const OUTBOX_BYTES: u32 = 256 * 1024;
/// Replies that may wait for one connection beyond its records before its socket is no longer read.
pub const OUTBOX_REPLIES: u32 = 64;
/// Bytes of replies that may wait for one connection before its socket is no longer read: one answer about the past.
pub const OUTBOX_ANSWER_BYTES: u32 = HISTORY_PAGE_BYTES as u32;
/// Questions about the past of one connection that may be at their homes before its socket is no longer read, and before more by POST
/// are refused. Each is answered with up to [`HISTORY_PAGE_BYTES`]: 4 MiB.
pub const QUESTIONS_IN_FLIGHT: u8 = 8;
/// Commands of one connection that may be at their homes before its socket is no longer read: a full write of answers.
pub const COMMANDS_IN_FLIGHT: u16 = 64;
/// Empty outboxes kept for reuse by one worker (about 1 KiB each): as many as one turn under load touches.
pub const OUTBOX_POOL: usize = 2_048;

/// Records kept per channel for recovery.
pub const HISTORY_RECORDS: u32 = 1_024;
/// Bytes kept per channel for recovery.
pub const HISTORY_BYTES: u32 = 1024 * 1024;
/// How long a record is kept for recovery.
pub const HISTORY_AGE: Duration = Duration::from_secs(600);
/// Bytes of history per node. The oldest idle channels give way first.
pub const HISTORY_TOTAL_BYTES: u64 = 256 * 1024 * 1024;
/// Records a store keeps per channel: a week of one message every six seconds.
pub const RETENTION_RECORDS: u64 = 100_000;
/// Bytes a store keeps per channel: a channel at its bound is read in seconds, and a thousand of them fit a small disk.
pub const RETENTION_BYTES: u64 = 64 * 1024 * 1024;
/// How long a store keeps a record.
pub const RETENTION_AGE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Records in one page of a catch-up: what one vectored write takes.
pub const PAGE_RECORDS: usize = 64;
/// Bytes in one page of a catch-up: what a socket buffer takes without growing.
pub const PAGE_BYTES: usize = 64 * 1024;

/// Records read from the log at once. Blocks begin at multiples of it, so that readers that are close together share them.
pub const BLOCK_RECORDS: u64 = 64;
/// Bytes read from the log at once, or one record.
pub const BLOCK_BYTES: usize = 1024 * 1024;
/// Bytes of blocks a worker keeps for the next reader.
pub const BLOCKS_BYTES: u64 = 16 * 1024 * 1024;
/// How long what a log has said of its floor is taken for the present one: its retention goes in rounds of that length.
pub const FLOOR_AGE: Duration = Duration::from_secs(1);
/// Keys that are replaced during one read of a block, at most; a read takes milliseconds. Of more, an older message may come out of it.
pub const REPLACED_KEYS: usize = 4_096;
/// Messages in one answer about the past, unless it asks for fewer or more.
pub const HISTORY_PAGE: u32 = 100;
/// Messages in one answer about the past, at most.
pub const HISTORY_PAGE_MAX: u32 = 1_000;
/// Bytes of messages after which an answer about the past ends: what a browser takes without stutter.
pub const HISTORY_PAGE_BYTES: usize = 512 * 1024;
/// Epochs in one cursor: that of memory, that of the store, and what accepted losses have left.
pub const CURSOR_EPOCHS: usize = 4;
/// Blocks asked of the logs of a node at once, over all its workers, but one of each: what keeps the threads that read busy, and well below
/// what their queue takes.
pub const LOG_READS: usize = 32;
/// Pause after the log could not be read, before it is asked again.
pub const LOG_RETRY: Duration = Duration::from_millis(500);
/// Longest time to live of a message: a year, like the longest cookie a browser keeps.
pub const TTL_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Rows of one page of a scan.
pub const SCAN_ROWS_MAX: usize = 1_000;
/// Bytes of a key of the state: two names and a position.
pub const STATE_KEY_BYTES_MAX: usize = 1_024;
/// Bytes of a value of the state: a cursor with many holes.
pub const STATE_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Changes in one call.
pub const CHANGES_MAX: usize = 1_024;

/// Offsets in one `ack`: the largest prefetch.
pub const ACK_OFFSETS_MAX: usize = 1_000;
/// Bytes of the reason why a message is given up on: a line of an error, not its stack.
pub const ACK_REASON_BYTES_MAX: usize = 256;
/// Longest wait before a message is delivered again that an `ack` may ask for.
pub const ACK_DELAY_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Bytes of the name of a durable consumer or of its group.
pub const CONSUMER_BYTES_MAX: usize = 128;
/// Holes of one cursor of acked messages: what fits a value of the state.
pub const ACK_RANGES_MAX: usize = 4_000;

/// Messages that wait in one user's inbox: weeks of notifications.
pub const INBOX_MESSAGES: u32 = 1_000;
/// Bytes that wait in one user's inbox: what a phone fetches in a moment when it comes back.
pub const INBOX_BYTES: u32 = 1024 * 1024;
/// How long a message waits in an inbox; a holiday is longer, and what waits that long is stale.
pub const INBOX_AGE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Upper bound of the option `inbox.messages`: its holes must fit [`ACK_RANGES_MAX`].
pub const INBOX_MESSAGES_MAX: u32 = 3_000;
/// Messages a connection that acks by command may have without an ack: a page of a catch-up.
pub const INBOX_OUT_MAX: usize = 64;
/// Devices of one user that are waited for; the one unseen longest gives way.
pub const INBOX_DEVICES: usize = 16;
/// How long a device is waited for after it was seen last.
pub const INBOX_DEVICE_AGE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// A device says so often that it is still there, and its row remembers when it was seen as well as that.
pub const INBOX_SEEN_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// A message that waits for so long is told to the application, which may wake its user in another way.
pub const INBOX_QUEUED_AFTER: Duration = Duration::from_secs(5);
/// What an `inbox` frame costs to queue, in bytes.
pub const INBOX_NEWS_COST: u32 = 256;
/// A Ping follows messages of an inbox so soon: long enough to stand for many, short enough to lose little to a broken connection.
pub const INBOX_PROBE_AFTER: Duration = Duration::from_secs(1);

/// Time to ack a delivery, unless its consumer says otherwise.
pub const ACK_WAIT: Duration = Duration::from_secs(30);
/// Shortest time to ack a delivery: below it a slow network alone would make messages come twice.
pub const ACK_WAIT_MIN: Duration = Duration::from_secs(1);
/// Longest time to ack a delivery. What takes longer says `progress`.
pub const ACK_WAIT_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Deliveries of one message before it is a dead letter.
pub const DELIVERIES_MAX: u8 = 5;
/// Waits before a message that was not done comes again, after its first delivery, its second …; ± a fifth, so that what failed
/// together does not come back together.
pub const REDELIVERY_WAITS: [Duration; DELIVERIES_MAX as usize - 1] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];
/// Deliveries one member may hold without having acked them, unless it says otherwise.
pub const PENDING: u32 = 256;
/// The same, at most.
pub const PENDING_MAX: u32 = 1_000;
/// Bytes of messages one member may hold without having acked them, or one message.
pub const PENDING_BYTES_MAX: u64 = 1024 * 1024;
/// Messages a consumer has taken out of its channel and is not done with: those that are out, that wait to come again, or that wait for
/// an older one with the same key.
pub const CONSUMER_WINDOW: usize = 2_000;
/// Bytes of them, or one message.
pub const CONSUMER_WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of them over all consumers of one worker, or one message each.
pub const CONSUMERS_BYTES: u64 = 64 * 1024 * 1024;
/// Durable consumers of one channel.
pub const CONSUMERS_PER_CHANNEL: usize = 64;
/// Durable consumers of the channels of one worker. Without messages one takes about half a KiB.
pub const CONSUMERS_PER_WORKER: u64 = 16_384;
/// Members of one group, those included that are gone and whose time to ack still runs.
pub const CONSUMER_MEMBERS_MAX: usize = 256;
/// Consumers one connection may be a member of.
pub const CONSUMERS_PER_CONNECTION: usize = 16;
/// A consumer without a member for so long is forgotten.
pub const CONSUMER_LINGER: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Dead letters kept per consumer; the oldest message's goes first.
pub const DEAD_LETTERS_MAX: usize = 1_000;
/// Messages in one answer to a service that consumes without a connection, unless it asks for fewer or more: one screen of work.
pub const TAKE: u32 = 10;
/// Longest time such a service waits for messages; below the time that common proxies wait for an answer.
pub const TAKE_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long a message id is remembered for idempotent publishing.
pub const DEDUP_AGE: Duration = Duration::from_secs(300);
/// Message ids remembered per channel.
pub const DEDUP_IDS: usize = 10_000;
/// Publishes with the same id that wait for the first one's result.
pub const DEDUP_WAITERS: usize = 64;
/// Committed records held per channel until the ones before them arrive.
pub const COMMIT_HOLD: usize = 64;

/// Time a connection has to send its `connect` frame, and its channels then have to answer.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Time for the answer to a token: that of the authenticator, 10 s, and some to come back from it.
pub const ASK_DEADLINE: Duration = Duration::from_secs(12);
/// Time a peer has to show a sign of life after a WebSocket Ping.
pub const PONG_DEADLINE: Duration = Duration::from_secs(10);
/// Time a closing connection has to take its last bytes.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// How much longer than it says an authorisation holds: whoever made it has another clock.
pub const EXPIRY_SKEW: Duration = Duration::from_secs(30);
/// A worker that is late by more than this was frozen, and so were its peers' signs of life.
pub const STALL: Duration = Duration::from_secs(1);
/// WebSocket Ping interval; below the 60 s after which common proxies cut an idle connection.
pub const WEBSOCKET_HEARTBEAT: Duration = Duration::from_secs(30);
/// SSE comment interval; the WHATWG HTML standard (section 9.2.7) advises one every 15 seconds or so.
pub const SSE_HEARTBEAT: Duration = Duration::from_secs(15);
/// Malformed frames within [`STRIKE_WINDOW`] that close a connection.
pub const STRIKES_MAX: u8 = 10;
/// See [`STRIKES_MAX`].
pub const STRIKE_WINDOW: Duration = Duration::from_secs(10);

/// How long a session waits to be continued after its connection ended. Covers a lift, a tunnel and a reboot of the router.
pub const RESUME_WINDOW: Duration = Duration::from_secs(120);
/// Sessions of one worker that wait to be continued; the oldest give way. With a few channels each has about 512 bytes.
pub const RESUMABLE_SESSIONS: usize = 65_536;
/// Bytes of what they leave behind: as many of them as there may be, with few channels each.
pub const RESUMABLE_BYTES: u64 = 32 * 1024 * 1024;
/// Former connections a session remembers, so that what excluded one of them excludes it still.
pub const FORMER_CONNECTIONS: usize = 8;
/// How long a channel without listeners and history is remembered.
pub const CHANNEL_LINGER: Duration = RESUME_WINDOW;

/// Channels at home at one worker. One without history takes about half a KiB, so that names made up at random cost no more than
/// [`HISTORY_TOTAL_BYTES`]; what lies beyond is refused until [`CHANNEL_LINGER`] has cleared some.
pub const CHANNELS_PER_WORKER: usize = 512 * 1024;

/// Requests a worker may have open at one peer. Each reserves the place of its answer.
pub const CREDITS: u32 = 1_280;
/// Upper bound of the option `channels_per_connection`.
pub const CHANNELS_PER_CONNECTION_MAX: u32 = 1_000;
/// Records on their way to one peer before a channel falls behind there.
pub const DELIVERIES: u32 = 4_096;
/// Bytes of records on their way to one peer before a channel falls behind there.
pub const DELIVERY_BYTES: u64 = 16 * 1024 * 1024;

/// Listeners visited between two looks at the clock: about 20 µs of walking.
pub const WALK_STEPS: usize = 1_024;
/// Places inspected by one call for a list before it hands back a cursor, whether or not anything matched.
pub const SCAN_MAX: usize = 10_000;
/// Items in one page of a list.
pub const LIST_MAX: usize = 1_000;
/// Pages of stored channels that one session may be waiting for: each may have to come from the store, and one that is slow holds up
/// none of the others. In memory they are there at once, and one after the other is enough.
pub const STORED_PULLS: usize = 3;
/// Sessions looked at in one turn whose next page finds no credit. They go to the end of the line, so that those of other peers come up
/// without a crowd being rotated whole in every turn.
pub const PULLS_REFUSED: usize = 256;
/// Encoded records a worker keeps for subscribers that catch up.
pub const FRAME_CACHE: usize = 1_024;

// A ring that holds fewer than four outboxes could not catch up a reader that was slow for a moment.
const _: () = assert!(HISTORY_RECORDS >= 4 * OUTBOX_RECORDS && HISTORY_BYTES >= 4 * OUTBOX_BYTES);
// The cursor of an inbox has a hole for each of its messages at most, and what waits out there fits a page.
const _: () = assert!((INBOX_MESSAGES_MAX as usize) < ACK_RANGES_MAX && INBOX_MESSAGES <= INBOX_MESSAGES_MAX);
// Pages that come together are no more than what may wait for one connection anyway.
const _: () = assert!((1 + STORED_PULLS) * PAGE_BYTES <= OUTBOX_BYTES as usize);
// One command asks for all its channels, `$all`, `$user` and the session to continue.
const _: () = assert!(CHANNELS_PER_CONNECTION_MAX + 3 < CREDITS);
// A hole of a cursor is a message in the window, or one that was in that of the process before.
const _: () = assert!(2 * CONSUMER_WINDOW <= ACK_RANGES_MAX && PENDING_MAX as usize <= CONSUMER_WINDOW);
