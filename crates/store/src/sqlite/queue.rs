//! The bounded queues between workers and the threads of the store, and the mailboxes back.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Wake;

/// First in, first out; bounded in entries and bytes.
pub(super) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    filled: Condvar,
    entries_max: usize,
    bytes_max: usize,
}

struct Inner<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
}

/// What a taker finds.
pub(super) enum Taken<T> {
    Items(Vec<T>),
    /// Nothing came in time.
    Nothing,
    /// Nothing is left and nothing will come.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(entries_max: usize, bytes_max: usize) -> Self {
        let inner = Mutex::new(Inner { items: VecDeque::new(), bytes: 0, closed: false });
        Self { inner, filled: Condvar::new(), entries_max, bytes_max }
    }

    /// `false` if there is no room. An item larger than the bound still fits into an empty queue.
    pub(super) fn push(&self, item: T, bytes: usize) -> bool {
        let inner = lock(&self.inner);
        let full = inner.items.len() >= self.entries_max || (inner.bytes > 0 && inner.bytes + bytes > self.bytes_max);
        if full || inner.closed {
            return false;
        }
        self.put(inner, item, bytes);
        true
    }

    /// Takes an item beyond the bound. For what has no answer and cannot come more often than something that had room.
    pub(super) fn push_owed(&self, item: T) {
        self.put(lock(&self.inner), item, 0);
    }

    fn put(&self, mut inner: MutexGuard<'_, Inner<T>>, item: T, bytes: usize) {
        inner.items.push_back((item, bytes));
        inner.bytes += bytes;
        drop(inner);
        self.filled.notify_one();
    }

    /// Takes what is there, up to both bounds and at least one; waits only if nothing is.
    pub(super) fn take(&self, entries_max: usize, bytes_max: usize, patience: Duration) -> Taken<T> {
        let mut inner = lock(&self.inner);
        if inner.items.is_empty() && !inner.closed {
            let waited = self.filled.wait_timeout(inner, patience);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < entries_max {
            let Some((_, size)) = inner.items.front() else { break };
            if !taken.is_empty() && bytes + size > bytes_max {
                break;
            }
            bytes += size;
            taken.extend(inner.items.pop_front().map(|(item, _)| item));
        }
        inner.bytes -= bytes;
        match (taken.is_empty(), inner.closed) {
            (false, _) => Taken::Items(taken),
            (true, false) => Taken::Nothing,
            (true, true) => Taken::Closed,
        }
    }

    /// Nothing more is taken in; what is there is still given out.
    pub(super) fn close(&self) {
        lock(&self.inner).closed = true;
        self.filled.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.inner).closed
    }
}

/// Where a worker's answers arrive. It holds at most what the worker may have outstanding.
pub(super) struct Mailbox<C> {
    letters: Mutex<VecDeque<C>>,
    wake: Wake,
}

impl<C> Mailbox<C> {
    pub(super) fn new(wake: Wake) -> Arc<Self> {
        Arc::new(Self { letters: Mutex::new(VecDeque::new()), wake })
    }

    /// Rings for the first letter only: a worker that was rung empties the box.
    pub(super) fn put(&self, letter: C) {
        let mut letters = lock(&self.letters);
        let first = letters.is_empty();
        letters.push_back(letter);
        drop(letters);
        if first {
            (self.wake)();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.letters).is_empty()
    }

    /// Moves everything that is there.
    pub(super) fn empty_into(&self, letters: &mut VecDeque<C>) {
        let mut waiting = lock(&self.letters);
        if letters.is_empty() {
            std::mem::swap(letters, &mut waiting);
        } else {
            letters.append(&mut waiting);
        }
    }
}

/// A thread that panicked has left plain values behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `push 3` and `owe 3`, an item of so many bytes, with whether it was taken; `take ENTRIES BYTES` with the sizes given out.
    fn check(script: &str) {
        let queue = Queue::new(3, 10);
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (command, expected) = line.split_once("=>").unwrap_or((line, ""));
            let words: Vec<&str> = command.split_whitespace().collect();
            let number = |at: usize| words[at].parse::<usize>().unwrap();
            let answer = match words[0] {
                "push" => queue.push(number(1), number(1)).to_string(),
                "owe" => {
                    queue.push_owed(number(1));
                    String::new()
                }
                "close" => {
                    queue.close();
                    String::new()
                }
                _ => match queue.take(number(1), number(2), Duration::ZERO) {
                    Taken::Items(items) => items.iter().map(usize::to_string).collect::<Vec<_>>().join(" "),
                    Taken::Nothing => "nothing".to_owned(),
                    Taken::Closed => "closed".to_owned(),
                },
            };
            assert_eq!(answer, expected.trim(), "{line}");
        }
    }

    #[test]
    fn a_queue_is_bounded_in_entries_and_bytes() {
        check(
            "push 1 => true
             push 2 => true
             push 3 => true
             push 1 => false
             take 9 99 => 1 2 3
             push 6 => true
             push 5 => false
             push 4 => true
             take 9 99 => 6 4
             push 99 => true
             push 1 => false",
        );
    }

    #[test]
    fn a_group_is_bounded_and_holds_at_least_one() {
        check(
            "push 4 => true
             push 4 => true
             push 1 => true
             take 2 99 => 4 4
             push 8 => true
             take 9 5 => 1
             take 9 5 => 8
             take 9 5 => nothing",
        );
    }

    #[test]
    fn what_is_owed_has_room_and_a_closed_queue_empties() {
        check(
            "push 1 => true
             push 2 => true
             push 3 => true
             owe 7
             close
             push 1 => false
             take 9 99 => 1 2 3 7
             take 9 99 => closed",
        );
    }
}
