//! The side file: the newest group that somebody was told of.
//!
//! SQLite ends the write-ahead log at the first frame whose sum is wrong and drops what follows, as if it had never been. That is
//! right for the torn tail of a crash and silent loss for everything else. The store therefore numbers its groups in the database,
//! and after each commit and before any answer writes that number here. When a store opens, a database behind its side file has
//! lost something that was acknowledged.
//!
//! What it costs: one small write per group, and at most one sync per second. A write without a sync outlives the process; the sync
//! is only for the machine. (One sync per group would double what a group costs, to find damage that is both rare and recent.) So:
//!
//! - Process killed, machine alive: both files are as they were written. Every loss is found, down to the last group.
//! - Power lost: the side file on the disk may be up to a second old. A log that lost groups older than that is found. One that lost
//!   only groups of the last second is not, but that takes a disk that lost or damaged what it had said was synced.
//! - It is never ahead of what the database has on the disk, because it is written after the commit: no false alarm on a disk that
//!   keeps its word. On one that does not, the alarm is true.
//! - Database deleted, or an older copy put in its place while the side file stayed: found. Both put back together: a consistent
//!   older state, which nothing in it can tell from the newest.
//!
//! Two places are written in turn, so that one torn write leaves the other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::StoreError;

const MAGIC: &[u8; 8] = b"RTCACKED";
/// Magic, instance, group, CRC32.
const PLACE_BYTES: usize = 8 + 16 + 8 + 4;
/// Places lie in different sectors, whatever the disk's sector is.
const PLACE_STEP: usize = 4_096;

/// Names one database, so that a side file is not taken for that of another.
pub(super) type Instance = [u8; 16];

/// What the side file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acked {
    /// It is new, or was never written.
    Nothing,
    /// The newest acknowledged group of a database.
    Group { instance: Instance, group: u64 },
    /// Neither place is readable.
    Damaged,
}

/// The open side file. It also carries the lock that keeps a second process out.
#[derive(Debug)]
pub(super) struct SideFile {
    file: File,
    /// Written since the last sync.
    dirty: bool,
}

impl SideFile {
    /// Opens or creates it, and takes the lock.
    pub(super) fn open(database: &Path) -> Result<(Self, Acked), StoreError> {
        let path = path(database);
        let io = |what| {
            let path = path.clone();
            move |source| StoreError::Io { path, what, source }
        };
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: database.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
        let acked = read(&mut file).map_err(io("read"))?;
        if acked == Acked::Nothing {
            // Both places have their space from the start, so that a full disk does not stop them later.
            let zeros = [0; 2 * PLACE_STEP];
            file.rewind().and_then(|()| file.write_all(&zeros)).map_err(io("write"))?;
        }
        Ok((Self { file, dirty: false }, acked))
    }

    /// Notes a group. The system has it when this returns, the disk after [`SideFile::sync`].
    pub(super) fn write(&mut self, instance: &Instance, group: u64) -> io::Result<()> {
        let mut place = [0; PLACE_BYTES];
        place[..8].copy_from_slice(MAGIC);
        place[8..24].copy_from_slice(instance);
        place[24..32].copy_from_slice(&group.to_be_bytes());
        let crc = crc32fast::hash(&place[..32]);
        place[32..].copy_from_slice(&crc.to_be_bytes());
        self.file.seek(SeekFrom::Start(group % 2 * PLACE_STEP as u64))?;
        self.file.write_all(&place)?;
        self.dirty = true;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) {
            self.file.sync_data()?;
        }
        Ok(())
    }

    pub(super) const fn is_dirty(&self) -> bool {
        self.dirty
    }
}

impl Drop for SideFile {
    fn drop(&mut self) {
        // Said aloud, because a process that is being started holds a copy of every open file for a moment, and the lock with it.
        // Closing the file ends the lock otherwise.
        drop(self.file.unlock());
    }
}

/// Reads it without the lock, beside a running process.
pub(super) fn peek(database: &Path) -> io::Result<Acked> {
    match File::open(path(database)) {
        Ok(mut file) => read(&mut file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Acked::Nothing),
        Err(error) => Err(error),
    }
}

/// `<database>.acked`
pub(super) fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".acked");
    path.into()
}

fn read(file: &mut File) -> io::Result<Acked> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(2 * PLACE_STEP as u64).read_to_end(&mut bytes)?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(Acked::Nothing);
    }
    let places = [bytes.get(..PLACE_BYTES), bytes.get(PLACE_STEP..PLACE_STEP + PLACE_BYTES)];
    let newest = places.into_iter().flatten().filter_map(parse).max_by_key(|(_, group)| *group);
    Ok(newest.map_or(Acked::Damaged, |(instance, group)| Acked::Group { instance, group }))
}

fn parse(place: &[u8]) -> Option<(Instance, u64)> {
    let (body, crc) = place.split_at(32);
    let fits = body.starts_with(MAGIC) && crc == crc32fast::hash(body).to_be_bytes();
    let instance = body[8..24].try_into().ok()?;
    let group = body[24..].try_into().ok()?;
    fits.then(|| (instance, u64::from_be_bytes(group)))
}
