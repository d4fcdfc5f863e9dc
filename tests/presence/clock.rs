//! The clock of a [`World`], and what it makes due.

use rollcall::internals::time::Tick;

use super::rig::World;

/// Just before the tick wraps, so that every test that lasts crosses the wrap.
pub(super) const FIRST: Tick = Tick(u32::MAX - 300);
pub(super) const UNIX_MILLIS: u64 = 1_700_000_000_000;

impl World {
    fn move_to(&mut self, ticks: u32) {
        self.now.tick = self.now.tick.after(ticks);
        self.now.micros += u64::from(ticks) * 10_000;
        self.now.unix_millis += u64::from(ticks) * 10;
    }

    /// The clock jumps: whatever was due meanwhile is late.
    pub(super) fn jump(&mut self, ticks: u32) {
        self.note(|| format!("a stall of {ticks} ticks"));
        self.move_to(ticks);
        self.due();
    }

    /// Time passes, and everything due is done at its tick.
    pub(super) fn pass(&mut self, ticks: u32) {
        let end = self.now.tick.after(ticks);
        while self.now.tick.is_before(end) {
            let awake = self.nodes.iter().zip(&self.frozen).filter(|(_, frozen)| !**frozen);
            let next = awake.filter_map(|(node, _)| node.next_due()).fold(end, Tick::min);
            self.move_to(next.since(self.now.tick).max(1));
            self.due();
        }
    }

    pub(super) fn due(&mut self) {
        for worker in 0..self.nodes.len() {
            let is_due = self.nodes[worker].next_due().is_some_and(|due| self.now.tick.has_reached(due));
            if self.frozen[worker] {
                continue;
            }
            self.model.due(self.now, worker as u16);
            if is_due {
                self.note(|| format!("    w{worker} does what is due"));
                self.nodes[worker].due(self.now);
            }
            self.after(worker as u16);
            while self.nodes[worker].resume(self.now) {
                self.after(worker as u16);
            }
        }
    }
}
