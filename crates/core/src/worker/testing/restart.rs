//! A process that is killed and started again.

use std::collections::VecDeque;

use super::client::Stage;
use super::node::{Debt, NODE, Node, Places};
use crate::id::WorkerId;
use crate::worker::{Setup, Worker};

impl Node {
    /// The process is killed and started again: connections, queues and memory are gone, the log of persisted channels and the state
    /// beside it stay.
    pub(crate) fn restart(&mut self) {
        let count = self.workers.len();
        for client in &mut self.clients {
            client.stage = Stage::Gone;
            client.inputs.clear();
            client.socket.clear();
        }
        for queue in &mut self.queues {
            queue.clear();
        }
        self.rooms.iter_mut().for_each(VecDeque::clear);
        self.completions.iter_mut().for_each(VecDeque::clear);
        self.front.iter_mut().for_each(VecDeque::clear);
        self.debts = vec![Debt::default(); count * count];
        self.reads = vec![0; count];
        self.places = (0..count).map(|_| Places::default()).collect();
        self.tickets.clear();
        self.orders.clear();
        self.handed.restart();
        self.log.forget_memory();
        self.restarted = true;
        for id in 0..count {
            let setup = Setup {
                id: WorkerId(u8::try_from(id).expect("few")),
                workers: count,
                node: NODE,
                seed: 99,
                random: self.rng.number(),
                options: self.plan.options.clone(),
            };
            self.workers[id] = Worker::new(setup, self.now);
        }
        (0..count).for_each(|worker| self.carry_out(worker));
        self.settle();
    }
}
