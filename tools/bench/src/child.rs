//! A server under test as a child process with a directory of its own; both are gone when the value is dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, Trying};
use crate::guard::Guard;
use crate::procfs::Tree;

/// From start to the first accepted connection.
const START_PATIENCE: Duration = Duration::from_secs(15);
/// From SIGTERM to SIGKILL: a draining server may take a while, a run does not wait for it.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// Of the server's own output, shown when it fails.
const LOG_LINES_SHOWN: usize = 12;

/// A directory that is removed on drop.
#[derive(Debug)]
pub(crate) struct TempDir {
    path: PathBuf,
}

impl TempDir {
    /// A fresh one below the system's temporary directory.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new() -> Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    /// A fresh one below another.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn below(place: &Path) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("realtime-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = place.join(name);
        fs::create_dir(&path).trying("making a temporary directory")?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Left-over files in the temporary directory are no reason to fail a run that is over.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    dir: TempDir,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// Name and version, for the report.
    pub(crate) version: String,
}

impl Running {
    /// Starts `command` in `dir` and waits until something listens on `addr`.
    ///
    /// # Errors
    /// It cannot be started, ends, or does not listen within 15 s; its last lines are in the error.
    pub(crate) fn start(
        mut command: Command,
        dir: TempDir,
        addr: SocketAddr,
        version: String,
        guard: &Guard,
    ) -> Result<Self> {
        let log = File::create(dir.path().join("output.txt")).trying("making a log file")?;
        let log_too = log.try_clone().trying("making a log file")?;
        // An open standard input is how the floor notices that we are gone.
        command.stdin(Stdio::piped()).stdout(log).stderr(log_too).current_dir(dir.path());
        let what = format!("starting {}", command.get_program().to_string_lossy());
        let child = command.spawn().trying(&what)?;
        let mut running = Self { child, dir, addr, version };
        let started = Instant::now();
        while TcpStream::connect(addr).is_err() {
            let ended = running.child.try_wait().trying("waiting for the server")?;
            if ended.is_some() || started.elapsed() > START_PATIENCE {
                let state = ended.map_or("does not listen".to_owned(), |status| format!("ended: {status}"));
                return Err(Failure::Protocol(format!("{what}: it {state}\n{}", running.log_tail())));
            }
            guard.sleep(Duration::from_millis(50))?;
        }
        // Workers of a forking server appear a moment after the listener.
        guard.sleep(Duration::from_millis(300))?;
        Ok(running)
    }

    /// All its processes.
    pub(crate) fn tree(&self) -> Tree {
        Tree::of(self.child.id())
    }

    /// The last lines it wrote.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.dir.path().join("output.txt")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pids = self.tree();
        signal("TERM", pids.pids().first().copied());
        let started = Instant::now();
        while started.elapsed() < STOP_PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Killing only the first would leave the workers of a forking server behind.
        for pid in pids.pids() {
            signal("KILL", Some(*pid));
        }
        let _ = self.child.wait();
    }
}

/// Sends a signal through the shell: the standard library only knows SIGKILL, and only for the first process.
fn signal(name: &str, pid: Option<u32>) {
    if let Some(pid) = pid {
        let _ = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).stderr(Stdio::null()).status();
    }
}

/// A loopback address nothing listens on.
///
/// # Errors
/// No port is free.
pub(crate) fn free_addr() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).trying("looking for a free port")?;
    listener.local_addr().trying("looking for a free port")
}

/// Runs a short helper program and returns its output, standard error included.
///
/// # Errors
/// `Skip` if the program is not there, fails, or takes longer than `patience`.
pub(crate) fn output(mut command: Command, patience: Duration, guard: &Guard) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let dir = TempDir::new()?;
    let path = dir.path().join("output.txt");
    let log = File::create(&path).trying("making a log file")?;
    let log_too = log.try_clone().trying("making a log file")?;
    let child = command.stdin(Stdio::null()).stdout(log).stderr(log_too).spawn();
    let mut child = child.map_err(|error| Failure::Skip(format!("{program} cannot be run: {error}")))?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().trying("waiting for a helper program")? {
            break status;
        }
        let waited = guard.sleep(Duration::from_millis(20));
        if waited.is_err() || started.elapsed() > patience {
            let _ = child.kill();
            let _ = child.wait();
            waited?;
            return Err(Failure::Skip(format!("{program} took longer than {} s", patience.as_secs())));
        }
    };
    let text = fs::read_to_string(&path).unwrap_or_default();
    if !status.success() {
        let last = text.lines().last().unwrap_or_default();
        return Err(Failure::Skip(format!("{program} failed ({status}): {last}")));
    }
    Ok(text)
}
