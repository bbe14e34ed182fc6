//! The store in a file: SQLite with a write-ahead log, one thread that writes and two that read.
//!
//! - An answer comes after the sync that covers it (`synchronous=FULL`). What is killed or loses power keeps everything it has
//!   acknowledged; a torn tail is cut without a manual step.
//! - Damage is loud: every row has a CRC that every reading checks, a missing offset is damage, and a log that came back shorter
//!   than what was acknowledged does not open (see `acked`). Nothing is skipped silently.
//! - A persisted channel keeps its epoch for as long as nothing acknowledged is lost. Accepting a loss begins a new epoch everywhere.
//! - A failed sync ends writing until a restart; a full disk refuses until there is space. See `writer`.
//! - One process has the store open. An operator may read it with SQLite's own tools meanwhile, and with [`check`] and [`stats`].
//!
//! Files: the database, its `-wal` and `-shm`, and `.acked` beside it. They belong together; a copy of the database alone is complete
//! only after an orderly stop, and opens only with its side file or with [`Options::accept_loss`].
//!
//! The version of SQLite matters: before 3.51.3 two connections that checkpoint at the same time could damage a file. Ours is newer,
//! and only the writer makes checkpoints.

mod acked;
mod channel;
mod clock;
mod dedup;
mod digest;
mod error;
mod inspect;
mod meta;
mod operations;
mod port;
mod queue;
mod reader;
mod record;
mod request;
mod schema;
mod sweep;
mod values;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};

use hashbrown::HashMap;
use rusqlite::Connection;

use crate::{LogError, Wake, limits};
use acked::{Acked, SideFile};
use channel::Channel;
use clock::StoreClock;
use error::Fault;
use meta::Meta;
use port::Shared;
use queue::Queue;
use writer::Writer;

pub use clock::{Clock, system};
pub use error::StoreError;
pub use inspect::{Report, Stats, check, stats};
pub use port::{Pulse, SqliteLog, SqliteState};

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Opens a store that came back shorter than what was acknowledged, or whose side file is gone, and begins a new epoch in every
    /// channel, so that every reader learns of the loss.
    pub accept_loss: bool,
    /// Where the present comes from.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self { accept_loss: false, clock: system() }
    }
}

/// An open store. Dropping it answers what is queued, moves the log into the file and ends its threads.
///
/// ```
/// use std::sync::Arc;
/// use realtime_connector_core::id::{AppId, ChannelKey, SlotKey};
/// use realtime_connector_core::options::Retention;
/// use realtime_connector_store::sqlite::{Options, Sqlite};
/// use realtime_connector_store::{Completion, Log};
///
/// let path = std::env::temp_dir().join(format!("store-doc-{}.db", std::process::id()));
/// let store = Sqlite::open(&path, Options::default()).expect("a new file");
/// let (ring, rung) = std::sync::mpsc::sync_channel(1);
/// let mut log = store.log(Arc::new(move || ring.try_send(()).unwrap_or(())));
/// log.open(SlotKey { slot: 1, generation: 1 }, &ChannelKey::everyone(AppId(0)), Retention::default());
/// rung.recv().expect("the store rings when it has an answer");
/// assert!(matches!(log.poll(), Some(Completion::Opened { head: 0, .. })));
/// # drop(store);
/// # for end in ["", "-wal", "-shm", ".acked"] { drop(std::fs::remove_file(format!("{}{end}", path.display()))); }
/// ```
pub struct Sqlite {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Sqlite {
    /// Opens a store, or makes a new one where there is no file.
    ///
    /// # Errors
    /// See [`StoreError`]: each says what to do.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let (side, acked) = SideFile::open(path)?;
        // SQLite deletes the log of a database that is empty, so that is looked at before SQLite does.
        let is_there = match std::fs::metadata(path) {
            Ok(file) => file.len() > 0,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(source) => return Err(io(path, "look for", source)),
        };
        if !is_there && acked != Acked::Nothing && !options.accept_loss {
            return Err(missing(path, acked));
        }
        let sqlite = |what| move |source| StoreError::Sqlite { path: path.to_owned(), what, source };
        let mut connection = schema::connect(path, true).map_err(sqlite("open"))?;
        let format = schema::format(&connection, path)?;
        if format == 0 && acked != Acked::Nothing && !options.accept_loss {
            return Err(missing(path, acked));
        }
        let lost = if format == 0 { acked != Acked::Nothing } else { lost(path, &connection, acked, &options)? };
        schema::prepare_writer(&connection).map_err(sqlite("prepare"))?;
        schema::migrate(&mut connection, format).map_err(sqlite("migrate"))?;
        sync_folder(path)?;
        let mut meta = Meta::load(&connection).map_err(|fault| broken(path, fault))?;
        verify_channels(&connection).map_err(|fault| broken(path, fault))?;
        if lost {
            begin_again(&mut connection, &mut meta, acked).map_err(|fault| broken(path, fault))?;
        }
        Self::start(path, connection, side, meta, options)
    }

    fn start(
        path: &Path,
        connection: Connection,
        mut side: SideFile,
        meta: Meta,
        options: Options,
    ) -> Result<Self, StoreError> {
        let side_path = acked::path(path);
        side.write(&meta.instance, meta.group.unsigned_abs()).map_err(|source| io(&side_path, "write", source))?;
        let clock = StoreClock::resume(options.clock, meta.clock_ms, meta.wall_ms);
        let shared = Arc::new(Shared {
            writes: Queue::new(limits::WRITES, limits::WRITE_BYTES),
            reads: Queue::new(limits::READS, limits::READ_QUEUE_BYTES),
            has_stopped: AtomicBool::new(false),
        });
        let mut store = Self { shared: shared.clone(), threads: Vec::new() };
        for _ in 0..limits::READERS {
            let connect = schema::connect(path, false);
            let reader =
                connect.map_err(|source| StoreError::Sqlite { path: path.to_owned(), what: "open", source })?;
            let (shared, clock) = (shared.clone(), clock.clone());
            store.spawn("store-reader", path, move || reader::run(&reader, &clock, &shared))?;
        }
        let housekeeping = clock.now().now.time.after(limits::HOUSEKEEPING);
        let writer = Writer {
            shared,
            connection,
            side,
            meta,
            clock,
            channels: HashMap::new(),
            before: Vec::new(),
            dirty: Vec::new(),
            stopped: None,
            is_full: false,
            unproven: true,
            housekeeping,
            has_more: false,
            walk: 0,
        };
        store.spawn("store-writer", path, move || writer.run())?;
        Ok(store)
    }

    fn spawn(&mut self, name: &str, path: &Path, body: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
        self.threads.push(thread.map_err(|source| io(path, "start a thread for", source))?);
        Ok(())
    }

    /// The log of one worker. `wake` is rung, from a thread of the store, when there is an answer.
    #[must_use]
    pub fn log(&self, wake: Wake) -> SqliteLog {
        SqliteLog::new(self.shared.clone(), wake)
    }

    /// Tells whether the store still writes, also after the store is gone.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse::new(self.shared.clone())
    }

    /// The state of one worker. `wake` is rung, from a thread of the store, when there is an answer.
    #[must_use]
    pub fn state(&self, wake: Wake) -> SqliteState {
        SqliteState::new(self.shared.clone(), wake)
    }
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sqlite(…)")
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.shared.writes.close();
        self.shared.reads.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on its own.
            drop(thread.join());
        }
    }
}

fn io(path: &Path, what: &'static str, source: std::io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), what, source }
}

/// The database is gone and its side file is not.
fn missing(path: &Path, acked: Acked) -> StoreError {
    match acked {
        Acked::Group { group, .. } => StoreError::Shorter { path: path.to_owned(), acknowledged: group, found: 0 },
        Acked::Nothing | Acked::Damaged => side_file(path, "it is damaged"),
    }
}

fn side_file(path: &Path, what: &'static str) -> StoreError {
    StoreError::SideFile { path: acked::path(path), what }
}

/// Compares the database with its side file, before anything is written. `Ok(true)`: there is a loss, and it is accepted.
fn lost(path: &Path, connection: &Connection, acked: Acked, options: &Options) -> Result<bool, StoreError> {
    let meta = Meta::load(connection).map_err(|fault| broken(path, fault))?;
    let found = meta.group.unsigned_abs();
    let loss = match acked {
        Acked::Group { instance, .. } if instance != meta.instance => side_file(path, "it belongs to another database"),
        Acked::Group { group, .. } if group > found => {
            StoreError::Shorter { path: path.to_owned(), acknowledged: group, found }
        }
        Acked::Group { .. } => return Ok(false),
        Acked::Damaged => side_file(path, "it is damaged"),
        Acked::Nothing if found == 0 => return Ok(false),
        Acked::Nothing => side_file(path, "it is missing"),
    };
    if options.accept_loss { Ok(true) } else { Err(loss) }
}

fn broken(path: &Path, fault: Fault) -> StoreError {
    match fault {
        Fault::Operation(LogError::Corrupt { what }) | Fault::Stop(LogError::Corrupt { what }) => {
            StoreError::Damaged { path: path.to_owned(), what }
        }
        Fault::Operation(_) | Fault::Stop(_) | Fault::Full | Fault::Busy => {
            let source = std::io::Error::other(fault.told());
            io(path, "read", source)
        }
    }
}

/// Reads every channel's row and finds it by its name. A damaged entry of that index would make a channel look new, with offsets that
/// exist already; at the size of these rows, looking at all of them is cheap.
fn verify_channels(connection: &Connection) -> Result<(), Fault> {
    let mut last = 0;
    loop {
        let channels = Channel::after(connection, last, limits::SWEEP_CHANNELS)?;
        for (key, channel) in &channels {
            last = channel.id.unwrap_or(i64::MAX);
            let found = Channel::find(connection, key)?;
            if found.is_none_or(|found| found.id != channel.id) {
                return Err(error::damaged(format!("channel {last} is not found by its name")));
            }
        }
        if channels.len() < limits::SWEEP_CHANNELS {
            return Ok(());
        }
    }
}

/// A loss was accepted: every channel begins a new epoch, in one transaction.
fn begin_again(connection: &mut Connection, meta: &mut Meta, acked: Acked) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    meta.life = meta::new_life(&transaction)?;
    if let Acked::Group { group, .. } = acked {
        meta.group = meta.group.max(channel::signed(group));
    }
    meta.group += 1;
    let epoch = realtime_connector_core::position::Epoch::parse(&meta.life);
    let epoch = epoch.ok_or_else(|| error::damaged("the new epoch is not one"))?;
    let mut last = 0;
    loop {
        let channels = Channel::after(&transaction, last, limits::SWEEP_CHANNELS)?;
        for (key, mut channel) in channels {
            last = channel.id.unwrap_or(i64::MAX);
            channel.epoch = epoch.clone();
            channel.save(&transaction, &key)?;
        }
        if Channel::after(&transaction, last, 1)?.is_empty() {
            break;
        }
    }
    meta.save(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Makes the names of new files last. SQLite does so too, and takes no notice when that fails.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder: PathBuf = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| io(path, "sync the folder of", source))?;
    }
    Ok(())
}
