//! `strace` at a running process: it writes down what the process asks of the system, or makes some of it fail.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Traces a process for as long as it lives.
pub(crate) struct Tracer(Child);

impl Tracer {
    /// `None` where no process may be traced.
    pub(crate) fn attach(pid: u32, log: &Path, what: &[&str]) -> Option<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-o"]).arg(log).args(what).args(["-p", &pid.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut tracer = Self(child);
        let began = Instant::now();
        while !is_traced(pid) {
            if tracer.0.try_wait().is_ok_and(|ended| ended.is_some()) {
                return None;
            }
            assert!(began.elapsed() < PATIENCE, "strace does not begin");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(tracer)
    }
}

impl Drop for Tracer {
    /// It lets the process go when it is interrupted; killed, it might leave it stopped.
    fn drop(&mut self) {
        let sent = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        drop(sent.map(|_| self.0.wait()));
    }
}

/// Whether every thread of a process is traced.
fn is_traced(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    let statuses: Vec<String> = statuses.collect();
    !statuses.iter().any(|status| status.lines().any(|line| line == "TracerPid:\t0"))
}
