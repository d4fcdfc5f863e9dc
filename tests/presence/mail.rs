//! The mail of a server without sockets: a queue for each ordered pair of its nodes, delivered one message at a time as a test says.

use std::collections::VecDeque;

use super::rig::World;
use super::sent_away::barred;

impl World {
    /// Whether no message is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty) && self.held.iter().all(VecDeque::is_empty)
    }

    pub(super) fn lane(&self, from: u16, to: u16) -> usize {
        usize::from(from) * self.nodes.len() + usize::from(to)
    }

    /// Sender and receiver of all mail that can be delivered now.
    pub(super) fn mail(&self) -> Vec<usize> {
        let to = |lane: usize| lane % self.nodes.len();
        (0..self.queues.len())
            .filter(|lane| !self.queues[*lane].is_empty() && !self.frozen[to(*lane)])
            .collect()
    }

    /// Delivers the oldest message of a pair.
    pub(super) fn deliver(&mut self, lane: usize) {
        let (from, to) = (lane / self.nodes.len(), lane % self.nodes.len());
        let Some(message) = self.receive(lane) else { return };
        self.note(|| format!("    w{from} -> w{to} {message:?}"));
        self.arrives(to as u16, &message);
        self.orders_arrive(to as u16, &message);
        let barred = barred(&message);
        self.nodes[to].mail(self.now, message);
        if let Some((slot, room)) = barred {
            self.barred(to as u16, slot, &room);
        }
        self.after(to as u16);
    }

    /// Posts what was held back where there is room by now.
    pub(super) fn post_held(&mut self) {
        for lane in 0..self.held.len() {
            if !self.full[lane % self.nodes.len()] {
                let held = std::mem::take(&mut self.held[lane]);
                held.into_iter().for_each(|message| self.send_on(lane, message));
            }
        }
    }

    /// Delivers everything that can be.
    pub(super) fn settle(&mut self) {
        self.post_held();
        while let Some(lane) = self.mail().first().copied() {
            self.deliver(lane);
        }
    }
}
