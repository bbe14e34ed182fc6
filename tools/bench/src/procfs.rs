//! What a server process (with all its threads and children) has used: CPU time and memory, from `/proc`.
//!
//! CPU comes from each thread's `schedstat`, which is exact to the nanosecond; `stat` counts in ticks of 10 ms but also
//! holds threads that have ended, so it is the fallback when one did.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// `USER_HZ`, the unit of `/proc/PID/stat`: 100 on every Linux.
const TICK_NS: u64 = 10_000_000;

/// A server under test: its first process and everything below it.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pids: Vec<u32>,
}

/// CPU time used up to one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpuMark {
    threads_ns: BTreeMap<(u32, u32), u64>,
    ticks_ns: u64,
}

/// Memory at one moment, summed over the tree, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// `VmRSS`.
    pub(crate) rss: u64,
    /// `RssAnon`: without files and shared memory.
    pub(crate) anon: u64,
    /// `VmHWM`: the highest `rss` so far.
    pub(crate) peak: u64,
}

impl Tree {
    /// The process and its descendants as they are now.
    pub(crate) fn of(root: u32) -> Self {
        let mut pids = vec![root];
        let parents = parents();
        let mut at = 0;
        while at < pids.len() {
            let parent = pids[at];
            pids.extend(parents.iter().filter(|(_, above)| **above == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        Self { pids }
    }

    /// Process ids, the root first.
    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Reads the CPU clocks of all threads.
    pub(crate) fn cpu(&self) -> CpuMark {
        let mut mark = CpuMark::default();
        for pid in &self.pids {
            mark.ticks_ns += read(format!("/proc/{pid}/stat").into()).and_then(|text| stat_ns(&text)).unwrap_or(0);
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for task in tasks.flatten() {
                let thread = task.file_name().to_string_lossy().parse().ok();
                let used = read(task.path().join("schedstat")).and_then(|text| schedstat_ns(&text));
                if let (Some(thread), Some(used)) = (thread, used) {
                    mark.threads_ns.insert((*pid, thread), used);
                }
            }
        }
        mark
    }

    /// Reads the memory of all processes.
    pub(crate) fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        for pid in &self.pids {
            let Some(status) = read(format!("/proc/{pid}/status").into()) else { continue };
            sum.rss += status_bytes(&status, "VmRSS:");
            sum.anon += status_bytes(&status, "RssAnon:");
            sum.peak += status_bytes(&status, "VmHWM:");
        }
        sum
    }
}

impl CpuMark {
    /// Nanoseconds of user and system time since an earlier mark, and whether threads ended in between.
    pub(crate) fn since(&self, earlier: &Self) -> (u64, bool) {
        let ended = earlier.threads_ns.keys().any(|thread| !self.threads_ns.contains_key(thread));
        let exact: u64 = self
            .threads_ns
            .iter()
            .map(|(thread, now)| now.saturating_sub(earlier.threads_ns.get(thread).copied().unwrap_or(0)))
            .sum();
        if ended || self.threads_ns.is_empty() {
            return (exact.max(self.ticks_ns.saturating_sub(earlier.ticks_ns)), ended);
        }
        (exact, false)
    }
}

fn read(path: PathBuf) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Parent of each process.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let parent = |pid: u32| {
        let text = read(format!("/proc/{pid}/stat").into())?;
        after_name(&text)?.split(' ').nth(1)?.parse().ok()
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect()
}

/// The fields of `stat` after the name, which may contain blanks and parentheses.
fn after_name(stat: &str) -> Option<&str> {
    stat.rsplit_once(") ").map(|(_, rest)| rest)
}

fn stat_ns(stat: &str) -> Option<u64> {
    // Fields 14 and 15 of the whole line; the name is field 2, the state field 3.
    let mut fields = after_name(stat)?.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * TICK_NS)
}

fn schedstat_ns(text: &str) -> Option<u64> {
    text.split(' ').next()?.parse().ok()
}

fn status_bytes(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_a_name_with_parentheses() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 12 30 0 0 20 0 1 0 9 0 0";
        assert_eq!(stat_ns(line), Some(42 * TICK_NS));
        assert_eq!(stat_ns("7 broken"), None);
    }

    #[test]
    fn our_own_process_has_memory_and_uses_cpu() {
        let tree = Tree::of(std::process::id());
        let before = tree.cpu();
        let mut sum = 0u64;
        while tree.cpu().since(&before).0 == 0 {
            sum = sum.wrapping_add(1);
        }
        let memory = tree.memory();
        assert!(memory.rss >= memory.anon && memory.anon > 0 && memory.peak >= memory.rss, "{memory:?} {sum}");
    }

    #[test]
    fn an_ended_thread_is_noticed_and_its_time_kept() {
        let mark = |threads: &[(u32, u64)], ticks_ns| CpuMark {
            threads_ns: threads.iter().map(|(thread, ns)| ((1, *thread), *ns)).collect(),
            ticks_ns,
        };
        let before = mark(&[(1, 100), (2, 500)], 0);
        assert_eq!(mark(&[(1, 150), (2, 700), (3, 5)], 0).since(&before), (255, false));
        assert_eq!(mark(&[(1, 150)], TICK_NS).since(&before), (TICK_NS, true));
    }
}
