//! What a person sees while a run goes on, and the values second by second that a report draws: phase, count, rate, errors,
//! the server's memory. A bar on a terminal, a plain line each few seconds elsewhere. Both go to standard error.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::numbers;
use crate::process::{self, Usage};
use crate::result::{Phase, Series};
use crate::run_state::{Counts, RunState};

/// How often conditions are looked at and the bar is drawn.
const LOOK: u64 = 10_000_000;
const SECOND: u64 = 1_000_000_000;
/// Seconds between two plain lines.
const PLAIN_EVERY: u64 = 5;

/// What the bar and the lines count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    Opened,
    Live,
    /// Connections that are more than open, by this name.
    Steps(&'static str),
    /// Whatever the scenario counts, by this name.
    Messages(&'static str),
}

/// The onlooker of one run, in the thread that conducts it.
#[derive(Debug)]
pub struct Watch<'a> {
    run_state: &'a RunState,
    pid: Option<u32>,
    bar: Option<ProgressBar>,
    next_sample: u64,
    last: (u64, Counts),
    last_cpu: Option<(u64, Duration)>,
    samples: Vec<Sample>,
    phases: Vec<Phase>,
    phase_begun: bool,
}

/// Means and highest seconds of a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    /// Percent of a core that the server took.
    pub cpu_mean: f64,
    pub cpu_highest: f64,
    pub pings_mean: f64,
    pub pings_highest: f64,
}

/// The values at one second.
#[derive(Clone, Copy, Debug)]
struct Sample {
    seconds: f64,
    counts: Counts,
    usage: Option<Usage>,
    cpu_percent: Option<f64>,
    messages_per_second: f64,
    opened_per_second: f64,
    pings_per_second: f64,
}

impl<'a> Watch<'a> {
    /// Watches `run_state`, and the server's memory where its pid is known.
    pub fn new(run_state: &'a RunState, pid: Option<u32>) -> Watch<'a> {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:>10} [{bar:30}] {wide_msg}")
                .expect("a template of our own")
                .progress_chars("=> ");
            ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr()).with_style(style)
        });
        let last = (run_state.clock.now(), Counts::default());
        Watch {
            run_state,
            pid,
            bar,
            next_sample: 0,
            last,
            last_cpu: None,
            samples: Vec::new(),
            phases: Vec::new(),
            phase_begun: false,
        }
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
        let begin = self.run_state.clock.now();
        self.begin(phase, moment.saturating_sub(begin));
        loop {
            self.look(phase, subject, Some(begin));
            let now = self.run_state.clock.now();
            if now >= moment {
                return true;
            }
            if self.is_over() {
                return false;
            }
            self.run_state.clock.sleep_until(moment.min(now + LOOK));
        }
    }

    /// From now on the run is in this phase, as a report shows it.
    pub fn enter(&mut self, phase: &str) {
        let seconds = self.run_state.clock.now() as f64 / 1e9;
        self.phases.push(Phase { name: phase.to_owned(), seconds });
    }

    pub fn phases(&self) -> Vec<Phase> {
        self.phases.clone()
    }

    /// The most memory that the server had between two moments, at a full second.
    pub fn peak_memory(&self, from: u64, to: u64) -> u64 {
        self.between(from, to).filter_map(|sample| Some(sample.usage?.resident_bytes)).max().unwrap_or(0)
    }

    /// How busy the seconds between two moments were.
    pub fn busy(&self, from: u64, to: u64) -> Busy {
        let (mean, highest) = (
            |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64,
            |values: &[f64]| values.iter().copied().fold(0.0, f64::max),
        );
        // The first sample's second began before the span.
        let samples: Vec<&Sample> = self.between(from, to).skip(1).collect();
        let cpu: Vec<f64> = samples.iter().filter_map(|sample| sample.cpu_percent).collect();
        let pings: Vec<f64> = samples.iter().map(|sample| sample.pings_per_second).collect();
        Busy {
            cpu_mean: mean(&cpu),
            cpu_highest: highest(&cpu),
            pings_mean: mean(&pings),
            pings_highest: highest(&pings),
        }
    }

    fn between(&self, from: u64, to: u64) -> impl Iterator<Item = &Sample> {
        let (from, to) = (from as f64 / 1e9, to as f64 / 1e9);
        self.samples.iter().filter(move |sample| sample.seconds >= from && sample.seconds <= to)
    }

    /// Takes a last sample and clears the bar.
    pub fn finish(&mut self) {
        self.sample(self.run_state.clock.now(), self.run_state.counts());
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

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
            of("server_cpu", "% of a core", &|sample| sample.cpu_percent),
            of("errors", "1", &|sample| Some(sample.counts.errors as f64)),
            of("server_memory", "bytes", &|sample| Some(sample.usage?.resident_bytes as f64)),
            of("server_anonymous_memory", "bytes", &|sample| Some(sample.usage?.anonymous_bytes as f64)),
        ];
        all.into_iter().filter(|series| series.values.iter().any(|value| *value != 0.0)).collect()
    }

    fn is_over(&self) -> bool {
        self.run_state.stopped() || self.run_state.running.load(std::sync::atomic::Ordering::Relaxed) == 0
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
        let now = self.run_state.clock.now();
        let counts = self.run_state.counts();
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
        let spent = usage.map(|usage| (now, usage.cpu));
        let before_spent = std::mem::replace(&mut self.last_cpu, spent);
        let cpu_percent = spent.zip(before_spent).map(|((now, cpu), (then, before))| {
            100.0 * cpu.saturating_sub(before).as_secs_f64() * 1e9 / (now - then).max(1) as f64
        });
        self.samples.push(Sample {
            seconds: now as f64 / 1e9,
            counts,
            usage,
            cpu_percent,
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
            Subject::Steps(_) => counts.ready,
            Subject::Messages(_) => counts.messages,
        }
    }

    fn line(&self, subject: Subject, counts: &Counts) -> String {
        let last = self.samples.last();
        let count = numbers::grouped(self.count(subject, counts));
        let rate = |get: fn(&Sample) -> f64| numbers::grouped(last.map_or(0.0, get) as u64);
        let mut line = match subject {
            Subject::Opened => format!("{count} opened, {}/s", rate(|sample| sample.opened_per_second)),
            Subject::Live => format!("{count} open, {} pings/s", rate(|sample| sample.pings_per_second)),
            Subject::Steps(name) => format!("{count} {name}"),
            Subject::Messages(name) => {
                format!("{count} {name}, {}/s", rate(|sample| sample.messages_per_second))
            }
        };
        line.push_str(&format!(", {} errors", numbers::grouped(counts.errors)));
        if let Some(usage) = last.and_then(|sample| sample.usage) {
            line.push_str(&format!(", server {}", numbers::bytes(usage.resident_bytes as f64)));
        }
        line
    }
}
