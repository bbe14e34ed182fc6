//! The runs that can be asked for, one file each.

pub(crate) mod compare;
pub(crate) mod connect;
pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod persist;
pub(crate) mod recover;
pub(crate) mod slow;

use std::rc::Rc;

use crate::child::Running;
use crate::failure::{Failure, Result};
use crate::peers::{self, Peer, Setup, Transport, Wanted};
use crate::report::{Progress, Report};

/// What every mode is given.
pub(crate) struct Bench {
    /// How servers are started.
    pub(crate) setup: Setup,
    /// Whom to measure, besides the floor.
    pub(crate) against: Vec<Wanted>,
    /// Over what.
    pub(crate) transports: Vec<Transport>,
    /// Where results go.
    pub(crate) report: Report,
    /// What is being done.
    pub(crate) progress: Progress,
    /// The worst ratio to the floor so far.
    pub(crate) worst: Option<(String, f64)>,
}

/// A peer over one transport.
#[derive(Clone)]
pub(crate) struct Entry {
    /// The peer.
    pub(crate) peer: Rc<dyn Peer>,
    /// Over what.
    pub(crate) transport: Transport,
    /// `None` for the floor.
    pub(crate) wanted: Option<Wanted>,
}

impl Entry {
    /// Name in tables.
    pub(crate) fn label(&self) -> String {
        match self.wanted {
            Some(_) => format!("{}, {}", self.peer.name(), self.transport),
            None => self.peer.name().to_owned(),
        }
    }
}

impl Bench {
    /// The floor, then whatever else is to be measured over the wanted transports.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = vec![Entry { peer: peers::floor(), transport: Transport::Ws, wanted: None }];
        for wanted in &self.against {
            let peer = peers::make(*wanted, &self.setup);
            let offered = self.transports.iter().filter(|transport| peer.transports().contains(transport));
            entries.extend(offered.map(|transport| Entry {
                peer: Rc::clone(&peer),
                transport: *transport,
                wanted: Some(*wanted),
            }));
        }
        entries
    }

    /// Starts the server of an entry; `None`, with a line for the user, if it cannot be had on this machine.
    ///
    /// # Errors
    /// It is there but does not start; or it cannot be had and nothing else was asked for.
    pub(crate) fn start(&mut self, entry: &Entry) -> Result<Option<Rc<Running>>> {
        self.progress.stage(&format!("starting {}", entry.label()));
        match entry.peer.start(&self.setup) {
            Ok(running) => Ok(Some(Rc::new(running))),
            Err(Failure::Skip(why)) if self.against.len() > 1 => {
                self.progress.clear();
                self.report.line(&format!("{} skipped: {why}", entry.label()))?;
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Remembers a ratio for `--max-ratio`; the floor's own does not count.
    pub(crate) fn note_ratio(&mut self, label: &str, ratio: f64) {
        if label != "floor" && self.worst.as_ref().is_none_or(|(_, worst)| ratio > *worst) {
            self.worst = Some((label.to_owned(), ratio));
        }
    }
}

/// Arguments of a server of ours that stores everything below a folder.
pub(crate) fn store_at(folder: &std::path::Path) -> [String; 2] {
    ["--set".to_owned(), format!("store.path={}", folder.join("store").display())]
}
