//! What a person sees while a run goes on, and the values second by second that a report draws: phase, count, rate, errors,
//! the server's memory. A bar on a terminal, a plain line each few seconds elsewhere. Both go to standard error.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::board::{Board, Counts};
use crate::process;
use crate::result::Series;
use crate::units;

/// How often conditions are looked at and the bar is drawn.
const LOOK: u64 = 10_000_000;
const SECOND: u64 = 1_000_000_000;
/// Seconds between two plain lines.
const PLAIN_EVERY: u64 = 5;

/// What the bar and the lines count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// Connections opened.
    Opened,
    /// Connections open.
    Live,
    /// Connections that are more than open: joined, say.
    Ready,
    /// The same, by another name.
    Steps(&'static str),
    /// Whatever the scenario counts, by this name.
    Messages(&'static str),
}

/// The onlooker of one run, in the thread that conducts it.
#[derive(Debug)]
pub struct Watch<'a> {
    board: &'a Board,
    pid: Option<u32>,
    bar: Option<ProgressBar>,
    memory: u64,
    next_sample: u64,
    last: (u64, Counts),
    samples: Vec<Sample>,
    phase_begun: bool,
}

/// The values at one second.
#[derive(Clone, Copy, Debug)]
struct Sample {
    seconds: f64,
    counts: Counts,
    memory: Option<(u64, u64)>,
    messages_per_second: f64,
    opened_per_second: f64,
    pings_per_second: f64,
}

impl<'a> Watch<'a> {
    /// Watches `board`, and the server's memory where its pid is known.
    pub fn new(board: &'a Board, pid: Option<u32>) -> Watch<'a> {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:>10} [{bar:30}] {wide_msg}")
                .expect("a template of our own")
                .progress_chars("=> ");
            ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr()).with_style(style)
        });
        let last = (board.clock.now(), Counts::default());
        Watch { board, pid, bar, memory: 0, next_sample: 0, last, samples: Vec::new(), phase_begun: false }
    }

    /// Looks on until `done` says so, or Ctrl-C or the end of all threads; then false. `goal` is where the bar is full.
    pub fn until_count(
        &mut self,
        phase: &str,
        subject: Subject,
        goal: u64,
        mut done: impl FnMut(&Counts) -> bool,
    ) -> bool {
        self.begin(phase, goal);
        loop {
            let counts = self.look(phase, subject, None);
            if done(&counts) {
                return true;
            }
            if self.is_over() {
                return false;
            }
            std::thread::sleep(Duration::from_nanos(LOOK));
        }
    }

    /// Looks on until a moment; false where Ctrl-C or the end of all threads came before it.
    pub fn until_moment(&mut self, phase: &str, subject: Subject, moment: u64) -> bool {
        let begin = self.board.clock.now();
        self.begin(phase, moment.saturating_sub(begin));
        loop {
            self.look(phase, subject, Some(begin));
            let now = self.board.clock.now();
            if now >= moment {
                return true;
            }
            if self.is_over() {
                return false;
            }
            self.board.clock.sleep_until(moment.min(now + LOOK));
        }
    }

    /// Takes a last sample and clears the bar.
    pub fn finish(&mut self) {
        self.sample(self.board.clock.now(), self.board.counts());
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Says a line beside the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// The values second by second; those that were always zero are left out.
    pub fn series(&self) -> Vec<Series> {
        let of = |name: &str, unit: &str, value: &dyn Fn(&Sample) -> Option<f64>| {
            let points = self.samples.iter().filter_map(|sample| Some((sample.seconds, value(sample)?)));
            let (seconds, values) = points.unzip();
            Series { name: name.to_owned(), unit: unit.to_owned(), seconds, values }
        };
        let all = [
            of("connections", "1", &|sample| Some(sample.counts.live as f64)),
            of("opened", "1/s", &|sample| Some(sample.opened_per_second)),
            of("messages", "1/s", &|sample| Some(sample.messages_per_second)),
            of("heartbeats", "1/s", &|sample| Some(sample.pings_per_second)),
            of("errors", "1", &|sample| Some(sample.counts.errors as f64)),
            of("server_memory", "bytes", &|sample| sample.memory.map(|(resident, _)| resident as f64)),
            of("server_anonymous_memory", "bytes", &|sample| sample.memory.map(|(_, own)| own as f64)),
        ];
        all.into_iter().filter(|series| series.values.iter().any(|value| *value != 0.0)).collect()
    }

    fn is_over(&self) -> bool {
        self.board.stopped() || self.board.running.load(std::sync::atomic::Ordering::Relaxed) == 0
    }

    fn begin(&mut self, phase: &str, goal: u64) {
        self.phase_begun = true;
        if let Some(bar) = &self.bar {
            bar.set_prefix(phase.to_owned());
            bar.set_length(goal.max(1));
            bar.set_position(0);
        }
    }

    fn look(&mut self, phase: &str, subject: Subject, timed_since: Option<u64>) -> Counts {
        let now = self.board.clock.now();
        let counts = self.board.counts();
        let sampled = now >= self.next_sample;
        if sampled {
            self.sample(now, counts);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(timed_since.map_or(self.count(subject, &counts), |since| now - since));
            if sampled || self.phase_begun {
                bar.set_message(self.line(subject, &counts));
            }
        } else if self.phase_begun || (sampled && (now / SECOND).is_multiple_of(PLAIN_EVERY)) {
            eprintln!("{:>5.0} s  {phase:<10} {}", now as f64 / 1e9, self.line(subject, &counts));
        }
        self.phase_begun = false;
        counts
    }

    fn sample(&mut self, now: u64, counts: Counts) {
        let (then, before) = std::mem::replace(&mut self.last, (now, counts));
        let per_second = |new: u64, old: u64| (new - old) as f64 * 1e9 / (now - then).max(1) as f64;
        let usage = self.pid.and_then(|pid| process::usage(pid).ok());
        self.memory = usage.map_or(0, |usage| usage.resident_bytes);
        self.samples.push(Sample {
            seconds: now as f64 / 1e9,
            counts,
            memory: usage.map(|usage| (usage.resident_bytes, usage.anonymous_bytes)),
            messages_per_second: per_second(counts.messages, before.messages),
            opened_per_second: per_second(counts.opened, before.opened),
            pings_per_second: per_second(counts.pings, before.pings),
        });
        self.next_sample = (now / SECOND + 1) * SECOND;
    }

    fn count(&self, subject: Subject, counts: &Counts) -> u64 {
        match subject {
            Subject::Opened => counts.opened,
            Subject::Live => counts.live,
            Subject::Ready | Subject::Steps(_) => counts.ready,
            Subject::Messages(_) => counts.messages,
        }
    }

    fn line(&self, subject: Subject, counts: &Counts) -> String {
        let last = self.samples.last();
        let count = units::grouped(self.count(subject, counts));
        let rate = |get: fn(&Sample) -> f64| units::grouped(last.map_or(0.0, get) as u64);
        let mut line = match subject {
            Subject::Opened => format!("{count} opened, {}/s", rate(|sample| sample.opened_per_second)),
            Subject::Live => format!("{count} open, {} pings/s", rate(|sample| sample.pings_per_second)),
            Subject::Ready => format!("{count} joined"),
            Subject::Steps(name) => format!("{count} {name}"),
            Subject::Messages(name) => {
                format!("{count} {name}, {}/s", rate(|sample| sample.messages_per_second))
            }
        };
        line.push_str(&format!(", {} errors", units::grouped(counts.errors)));
        if self.memory > 0 {
            line.push_str(&format!(", server {}", units::size(self.memory as f64)));
        }
        line
    }
}
