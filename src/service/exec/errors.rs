//! The errors that processes print: lines for the log, with the connection's number, and not more of them than a log
//! can bear.

use crate::limits::exec::{EXEC_LOG_LINE_BYTES_MAX, EXEC_LOG_LINES_PER_SECOND};
use crate::service::exec::lines::{Cut, Lines};
use crate::time::Now;

/// The errors of one process.
#[derive(Debug)]
pub struct ErrorLog {
    conn: u64,
    lines: Lines,
    budget: LineBudget,
}

/// How many lines may be logged.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineBudget {
    /// The second, since the clock started, that `shown` is counted in.
    second: u64,
    shown: u32,
    /// Lines that were not logged since one was.
    pub left_out: u64,
}

impl LineBudget {
    /// Whether a line may be logged; it is counted either way.
    pub fn spend(&mut self, now: Now) -> bool {
        let second = now.micros / 1_000_000;
        if second != self.second {
            *self = LineBudget { second, shown: 0, ..*self };
        }
        let is_shown = self.shown < EXEC_LOG_LINES_PER_SECOND;
        if is_shown {
            self.shown += 1;
        } else {
            self.left_out += 1;
        }
        is_shown
    }
}

impl ErrorLog {
    /// For the process of a connection.
    #[must_use]
    pub fn new(conn: u64) -> ErrorLog {
        ErrorLog { conn, lines: Lines::default(), budget: LineBudget::default() }
    }

    /// Logs lines.
    pub fn say(&mut self, bytes: &[u8], now: Now) {
        let (conn, budget) = (self.conn, &mut self.budget);
        let cut = self.lines.cut(bytes, EXEC_LOG_LINE_BYTES_MAX, |line| {
            if budget.spend(now) {
                show(conn, line, std::mem::take(&mut budget.left_out));
            }
            true
        });
        if cut == Cut::TooLong {
            self.lines.clear();
            if self.budget.spend(now) {
                let start = &bytes[..bytes.len().min(EXEC_LOG_LINE_BYTES_MAX)];
                show(conn, start, std::mem::take(&mut self.budget.left_out));
            }
        }
    }

    /// The process has ended: logs what is left.
    pub fn end(&mut self) {
        if let Some(last) = self.lines.last() {
            show(self.conn, &last, self.budget.left_out);
        } else if self.budget.left_out > 0 {
            tracing::warn!(
                conn = self.conn,
                left_out = self.budget.left_out,
                "a command printed more errors"
            );
        }
    }
}

fn show(conn: u64, line: &[u8], left_out: u64) {
    let text = String::from_utf8_lossy(line);
    // Escaped: a log's reader is not to be told anything by a command.
    let text: String = text
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    match left_out {
        0 => tracing::warn!(conn, "stderr: {text}"),
        _ => tracing::warn!(conn, left_out, "stderr: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Tick;

    #[test]
    fn a_second_has_so_many_lines_and_the_others_are_counted() {
        let mut budget = LineBudget::default();
        let at = |micros| Now { tick: Tick(0), micros, unix_millis: 0 };
        let shown = (0..1_000).filter(|_| budget.spend(at(5_000_000))).count();
        assert_eq!((shown, budget.left_out), (EXEC_LOG_LINES_PER_SECOND as usize, 990));
        assert!(budget.spend(at(6_000_000)));
    }
}
