//! How a process is asked to end: its input has ended, then it is told by signals, less and less politely. Pure.

/// A step of the ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// SIGINT, to its process group.
    Interrupt,
    /// SIGTERM, to its process group.
    Terminate,
    /// SIGKILL, to all that has come of it.
    Kill,
}

/// Microseconds from the end of the input to SIGINT, from there to SIGTERM, and from there to SIGKILL.
const STEPS: [(Step, u64); 3] =
    [(Step::Interrupt, 100_000), (Step::Terminate, 250_000), (Step::Kill, 500_000)];

/// A process's place on the ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ladder {
    next: usize,
    at: u64,
}

impl Ladder {
    /// Begins at `now`, in microseconds, with so much more patience than usual before the first signal.
    #[must_use]
    pub const fn begin(now: u64, patience_millis: u32) -> Ladder {
        Ladder { next: 0, at: now + STEPS[0].1 + patience_millis as u64 * 1_000 }
    }

    /// The step that is due at `now`.
    pub fn due(&mut self, now: u64) -> Option<Step> {
        let (step, _) = *STEPS.get(self.next).filter(|_| now >= self.at)?;
        self.next += 1;
        self.at = now + STEPS.get(self.next).map_or(0, |(_, after)| *after);
        Some(step)
    }

    /// When the next step is due; `None`: all have been taken.
    #[must_use]
    pub const fn at(&self) -> Option<u64> {
        if self.next < STEPS.len() { Some(self.at) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_come_in_order_and_in_time() {
        let mut ladder = Ladder::begin(1_000_000, 50);
        assert_eq!((ladder.due(1_149_999), ladder.at()), (None, Some(1_150_000)));
        assert_eq!(ladder.due(1_150_000), Some(Step::Interrupt));
        assert_eq!((ladder.due(1_399_999), ladder.due(1_400_000)), (None, Some(Step::Terminate)));
        assert_eq!((ladder.due(1_899_999), ladder.at()), (None, Some(1_900_000)));
        assert_eq!((ladder.due(1_900_000), ladder.at()), (Some(Step::Kill), None));
        assert_eq!(ladder.due(9_000_000), None);
    }
}
