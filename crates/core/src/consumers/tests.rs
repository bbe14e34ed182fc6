//! What must hold of a consumer between any two inputs. The scripts and the simulation are in [`crate::worker`]'s tests.

use super::Consumer;
use super::window::{Item, Place};
use crate::limits;

impl Consumer {
    /// What must hold between any two inputs.
    pub(crate) fn check(&self) {
        self.window.check();
        assert!(self.acked.ranges() <= limits::ACK_RANGES_MAX);
        assert!(self.window.len() <= limits::CONSUMER_WINDOW && self.letters.len() <= limits::DEAD_LETTERS_MAX);
        for member in &self.members {
            let of =
                |item: &&Item| matches!(item.place, Place::Out { .. }) && item.holder.as_ref() == Some(&member.name);
            let held: Vec<u64> =
                self.window.items().map(|it| it.1).filter(of).map(|item| u64::from(item.record.cost())).collect();
            assert_eq!((held.len(), held.iter().sum()), (member.held as usize, member.held_bytes), "{}", member.name);
        }
        let out = self.window.items().filter(|(_, item)| matches!(item.place, Place::Out { .. })).count();
        assert_eq!(out, self.members.iter().map(|member| member.held as usize).sum(), "each delivery has its holder");
        for (offset, item) in self.window.items() {
            assert_eq!(self.acked.contains(offset), item.again, "{offset} is in the window and not done");
            assert!(!self.letters.contains_key(&offset), "{offset} is no dead letter");
        }
        let mut offset = self.acked.next_open(0);
        while offset <= self.scanned {
            assert!(self.window.get(offset).is_some(), "{offset} is not done, and nowhere");
            offset = self.acked.next_open(offset);
        }
    }
}
