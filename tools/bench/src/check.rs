//! Confirms that every message of a round arrived on every connection once and in order.
//!
//! A round is complete when each connection has its last message; what was skipped on the way is then known to be
//! missing or merely late, and late is wrong too.

use crate::payload::Label;

/// What is wrong with a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Never came before the round ended.
    Missing {
        /// Connection.
        conn: usize,
        /// First message that is missing.
        label: Label,
        /// How many are missing in this stretch.
        count: u32,
    },
    /// Came twice, or again after its round.
    Duplicate {
        /// Connection.
        conn: usize,
        /// The repeated message.
        label: Label,
    },
    /// Came after a later one.
    Reordered {
        /// Connection.
        conn: usize,
        /// The late message.
        label: Label,
    },
    /// Carries a round that was never published.
    Foreign {
        /// Connection.
        conn: usize,
        /// The unknown message.
        label: Label,
    },
}

/// Faults kept for the report; more than these tell nothing new.
const FAULTS_KEPT: usize = 8;

/// State of the current round on all connections.
#[derive(Debug)]
pub(crate) struct Checker {
    round: u32,
    burst: u32,
    next: Vec<u32>,
    open: usize,
    skipped: Vec<(usize, u32)>,
    faults: Vec<Fault>,
    fault_count: u64,
}

impl Checker {
    /// For this many connections, before the first round.
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            round: 0,
            burst: 0,
            next: vec![0; connections],
            open: 0,
            skipped: Vec::new(),
            faults: Vec::new(),
            fault_count: 0,
        }
    }

    /// More connections, from the next round on.
    pub(crate) fn grow(&mut self, connections: usize) {
        self.next.resize(connections, 0);
    }

    /// Starts the next round of `burst` messages and returns its number.
    pub(crate) fn begin(&mut self, burst: u32) -> u32 {
        self.round += 1;
        self.burst = burst;
        self.next.fill(0);
        self.open = if burst == 0 { 0 } else { self.next.len() };
        self.round
    }

    /// Notes an arrival; true if it was the last message of the round on this connection.
    pub(crate) fn arrived(&mut self, conn: usize, label: Label) -> bool {
        if label.round != self.round || label.seq >= self.burst {
            let foreign = label.round > self.round || label.round == 0 || label.round == self.round;
            self.fault(if foreign { Fault::Foreign { conn, label } } else { Fault::Duplicate { conn, label } });
            return false;
        }
        let next = self.next[conn];
        if label.seq < next {
            match self.skipped.iter().position(|skipped| *skipped == (conn, label.seq)) {
                Some(at) => {
                    self.skipped.swap_remove(at);
                    self.fault(Fault::Reordered { conn, label });
                }
                None => self.fault(Fault::Duplicate { conn, label }),
            }
            return false;
        }
        self.skipped.extend((next..label.seq).map(|seq| (conn, seq)));
        self.next[conn] = label.seq + 1;
        let last = label.seq + 1 == self.burst;
        self.open -= usize::from(last);
        last
    }

    /// True when each connection has the last message of the round.
    pub(crate) fn complete(&self) -> bool {
        self.open == 0
    }

    /// Connections that still wait for the end of the round.
    pub(crate) fn waiting(&self) -> usize {
        self.open
    }

    /// Ends the round: whatever has not come is missing.
    pub(crate) fn finish(&mut self) {
        for (conn, seq) in std::mem::take(&mut self.skipped) {
            self.fault(Fault::Missing { conn, label: Label { round: self.round, seq }, count: 1 });
        }
        if self.open > 0 {
            for conn in 0..self.next.len() {
                let seq = self.next[conn];
                if seq < self.burst {
                    let label = Label { round: self.round, seq };
                    self.fault(Fault::Missing { conn, label, count: self.burst - seq });
                }
            }
        }
        self.open = 0;
    }

    /// The verdict so far, in words, if anything is wrong.
    pub(crate) fn verdict(&self) -> Option<String> {
        let first: Vec<String> = self.faults.iter().map(|fault| format!("{fault:?}")).collect();
        (self.fault_count > 0).then(|| format!("{} faults, first: {}", self.fault_count, first.join("; ")))
    }

    fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push(fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two connections, rounds of three messages; arrivals are `conn:seq`, `/` ends a round.
    fn check(script: &str, expected: &[Fault]) {
        let mut checker = Checker::new(2);
        let mut round = checker.begin(3);
        for word in script.split(' ') {
            if word == "/" {
                checker.finish();
                round = checker.begin(3);
                continue;
            }
            let (place, back) = word.split_once('-').unwrap_or((word, "0"));
            let (conn, seq) = place.split_once(':').unwrap();
            let label = Label { round: round - back.parse::<u32>().unwrap(), seq: seq.parse().unwrap() };
            checker.arrived(conn.parse().unwrap(), label);
        }
        checker.finish();
        assert_eq!(checker.faults, expected, "{script}");
        assert_eq!(checker.verdict().is_some(), !expected.is_empty(), "{script}");
    }

    fn at(round: u32, seq: u32) -> Label {
        Label { round, seq }
    }

    #[test]
    fn complete_rounds_are_fine() {
        check("0:0 0:1 1:0 0:2 1:1 1:2 / 0:0 0:1 0:2 1:0 1:1 1:2", &[]);
    }

    #[test]
    fn a_lost_message_is_found_in_the_middle_and_at_the_end() {
        check("0:0 0:2 1:0 1:1 1:2", &[Fault::Missing { conn: 0, label: at(1, 1), count: 1 }]);
        check("0:0 0:1 0:2 1:0", &[Fault::Missing { conn: 1, label: at(1, 1), count: 2 }]);
        check("0:0 0:1 0:2", &[Fault::Missing { conn: 1, label: at(1, 0), count: 3 }]);
    }

    #[test]
    fn a_repeated_message_is_found_in_its_round_and_after_it() {
        check("0:0 0:0 0:1 0:2 1:0 1:1 1:2", &[Fault::Duplicate { conn: 0, label: at(1, 0) }]);
        check(
            "0:0 0:1 0:2 1:0 1:1 1:2 / 1:2-1 0:0 0:1 0:2 1:0 1:1 1:2",
            &[Fault::Duplicate { conn: 1, label: at(1, 2) }],
        );
    }

    #[test]
    fn a_late_message_is_reordered_not_missing() {
        check("0:1 0:0 0:2 1:0 1:1 1:2", &[Fault::Reordered { conn: 0, label: at(1, 0) }]);
    }

    #[test]
    fn a_message_nobody_published_is_foreign() {
        check("0:0 0:1 0:2 1:0 1:1 1:2 1:7", &[Fault::Foreign { conn: 1, label: at(1, 7) }]);
    }

    #[test]
    fn the_round_is_complete_with_the_last_message_of_the_last_connection() {
        let mut checker = Checker::new(2);
        let round = checker.begin(1);
        assert!(checker.arrived(1, at(round, 0)));
        assert!(!checker.complete());
        assert_eq!(checker.waiting(), 1);
        assert!(checker.arrived(0, at(round, 0)));
        assert!(checker.complete());
    }
}
