//! When a message is due: at once (closed loop), or by a schedule that knows nothing of the server (open loop).
//!
//! In an open loop a latency counts from the moment the message was *intended* to go, so that a server that stalls is charged for
//! every message that had to wait behind the stall, and not only for the few that were in flight ("coordinated omission").

/// A schedule: message `seq` of connection `index` is due at `start + (seq * connections + index) * step`.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: u64,
    step: f64,
    connections: u64,
}

impl Schedule {
    /// `rate` messages a second in all from `start` on, dealt to `connections` in turn.
    pub fn new(rate: f64, connections: usize, start: u64) -> Schedule {
        Schedule { start, step: 1e9 / rate, connections: connections as u64 }
    }

    /// When message `seq` of connection `index` is intended to go.
    pub fn intended(&self, index: usize, seq: u64) -> u64 {
        self.start + ((seq * self.connections + index as u64) as f64 * self.step) as u64
    }

    /// How many messages of connection `index` are intended to have gone before `moment`.
    pub fn due_before(&self, index: usize, moment: u64) -> u64 {
        let Some(elapsed) = moment.checked_sub(self.start) else { return 0 };
        // The estimate may be off by one where the division rounds; the schedule itself decides.
        let turns = (elapsed as f64 / self.step - index as f64) / self.connections as f64;
        let estimate = if turns < 0.0 { 0 } else { turns as u64 };
        (estimate.saturating_sub(1)..estimate + 2)
            .find(|&seq| self.intended(index, seq) >= moment)
            .unwrap_or(estimate + 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_dealt_evenly_over_connections() {
        let schedule = Schedule::new(1_000.0, 4, 5_000_000);
        assert_eq!(schedule.intended(0, 0), 5_000_000);
        assert_eq!(schedule.intended(3, 0), 8_000_000);
        assert_eq!(schedule.intended(0, 1), 9_000_000);
        assert_eq!(schedule.intended(2, 10), 47_000_000);
    }

    #[test]
    fn messages_due_add_up_to_the_rate() {
        for rate in [7.0, 333.3, 50_000.0, 1_234_567.0] {
            let schedule = Schedule::new(rate, 13, 1_000);
            for second in 1..5u64 {
                let moment = 1_000 + second * 1_000_000_000;
                let due: u64 = (0..13).map(|index| schedule.due_before(index, moment)).sum();
                assert!((due as f64 - rate * second as f64).abs() <= 1.0, "{rate}: {due} in {second} s");
            }
        }
    }

    #[test]
    fn what_is_due_before_a_moment_is_intended_before_it() {
        let schedule = Schedule::new(99_999.0, 3, 77);
        for moment in (0..3_000_000).step_by(997) {
            for index in 0..3 {
                let due = schedule.due_before(index, moment);
                assert!(schedule.intended(index, due) >= moment);
                assert!(due == 0 || schedule.intended(index, due - 1) < moment);
            }
        }
    }
}
