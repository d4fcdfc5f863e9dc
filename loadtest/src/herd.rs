//! `loadtest herd`: a server that goes away and comes back, and how its clients do: connections a second as they return,
//! with each client waiting for the `retry_ms` that it was told, or with none doing so.
//!
//! It starts the server itself, on the address of `--url`, ends it with SIGTERM, and starts it anew as soon as the address
//! is free.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::child::{Child, Launch, Ours};
use crate::engine::link::{End, Link};
use crate::engine::{Client, Counted, Next, Turn};
use crate::measure::Tally;
use crate::numbers::grouped;
use crate::options::{Common, Failure, Need, Setup};
use crate::outcome::Outcome;
use crate::progress::{Subject, Watch};
use crate::run_state::{Counts, RunState};
use crate::scenario::{self, Done, Scenario};
use crate::target::Target;
use crate::units;

/// How errors begin of a client that knocks at a server that is not there, or about to go.
const KNOCKS: [&str; 3] =
    ["connection refused", "connection reset", "server refused the upgrade with status 503"];
const LOOK: u64 = 1_000_000;
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// `loadtest herd`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    ours: Ours,
    /// Clients
    #[arg(long, default_value_t = 5000)]
    connections: usize,
    /// The window over which the server closes them
    #[arg(long, default_value = "1s", value_parser = units::duration)]
    drain: Duration,
    /// Come back at once, whatever one was told
    #[arg(long)]
    ignore_retry: bool,
}

/// Starts the server where the one before it listened, which may not have let go of the address yet.
fn start(args: &Args, program: &Path, address: SocketAddr) -> io::Result<Child> {
    let drain = format!("{}ms", args.drain.as_millis());
    let flags = ["--drain".into(), drain.into()];
    let launch = Launch { address: Some(address), ..Launch::rollcall(program, flags) };
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let started = Child::start(&launch, Command::spawn);
        // What accepted may have been the one before.
        std::thread::sleep(Duration::from_millis(50));
        let started = started.and_then(|mut server| match server.ended() {
            None => Ok(server),
            Some(_) => Err(io::Error::other(format!("{address} is taken: {}", server.last_words()))),
        });
        if started.is_ok() || Instant::now() > deadline {
            return started;
        }
    }
}

struct HerdClient<'a> {
    run_state: &'a RunState,
    connections: usize,
    ignore_retry: bool,
    /// When those who were sent away come back.
    away: BinaryHeap<Reverse<u64>>,
    sent_away: u64,
    /// Which of them were told when.
    told: u64,
}

impl Client for HerdClient<'_> {
    /// Milliseconds after which it was told to come back, plus one.
    type State = u32;
    const SUBPROTOCOLS: &'static [&'static str] = &["rollcall.v1"];

    fn opened(&mut self, _: usize, _: &mut Link<u32>, _: u64) -> Result<(), End> {
        Ok(())
    }

    fn received(&mut self, _: usize, link: &mut Link<u32>, bytes: &mut [u8], _: u64) -> Result<(), End> {
        let seen = link.read(bytes, |retry, _, payload| {
            *retry = retry_millis(payload).map_or(*retry, |millis| millis + 1);
            Ok(())
        })?;
        // Sent away in order is no error.
        if seen.closed.is_some() { Err(End::Done) } else { Ok(()) }
    }

    fn closed(&mut self, _: usize, link: &mut Link<u32>, _: &End, now: u64) {
        if self.run_state.stopped() {
            return;
        }
        self.sent_away += 1;
        self.told += u64::from(link.state > 0);
        let wait = if self.ignore_retry { 0 } else { u64::from(link.state.saturating_sub(1)) };
        self.away.push(Reverse(now + wait * 1_000_000));
    }

    fn turn(&mut self, turn: &mut Turn<'_, u32>) -> Next {
        while self.away.peek().is_some_and(|due| due.0 <= turn.now) {
            self.away.pop();
        }
        if self.run_state.stopped() || turn.now >= self.run_state.until.load(Relaxed) {
            return Next::Finished;
        }
        self.run_state.quota.store(self.connections - self.away.len().min(self.connections), Relaxed);
        Next::Until(turn.now + LOOK)
    }

    fn counted(&self) -> Counted {
        Counted { ready: self.sent_away, messages: self.told, ..Counted::default() }
    }
}

/// `"retry_ms":N` of a `goodbye`.
fn retry_millis(payload: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(payload).ok().filter(|text| text.contains(r#""event":"goodbye""#))?;
    let digits = text.split_once(r#""retry_ms":"#)?.1;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Starts the server, and runs the scenario.
pub fn run(args: &Args) -> Result<(), Failure> {
    let target = Target::parse(&args.common.url, args.common.allow).map_err(Failure::Usage)?;
    args.common.results.prepare()?;
    let program = args.ours.program()?;
    let server = Mutex::new(start(args, &program, target.address)?);
    scenario::run(&Herd { args, program, server })
}

/// The scenario, with the server that was started for it.
struct Herd<'s> {
    args: &'s Args,
    program: PathBuf,
    server: Mutex<Child>,
}

impl Scenario for Herd<'_> {
    const NAME: &'static str = "herd";
    type Shared = ();
    /// When the restart began, and when all were back.
    type Seen = Option<(u64, u64)>;
    type Client<'a>
        = HerdClient<'a>
    where
        Self: 'a;

    fn common(&self) -> &Common {
        &self.args.common
    }

    fn need(&self) -> Result<Need, Failure> {
        Ok(Need { read_buffer: 16 << 10, reopen: true, threads_max: 1, ..Need::of(self.args.connections) })
    }

    fn share(&self, setup: &mut Setup) -> Result<(), Failure> {
        // There are two of them, and neither's figures are of use.
        setup.pid = None;
        Ok(())
    }

    fn make<'a>(&'a self, setup: &'a Setup, (): &'a (), _: usize) -> HerdClient<'a> {
        HerdClient {
            run_state: &setup.run_state,
            connections: self.args.connections,
            ignore_retry: self.args.ignore_retry,
            away: BinaryHeap::new(),
            sent_away: 0,
            told: 0,
        }
    }

    fn conduct(&self, setup: &Setup, (): &(), watch: &mut Watch<'_>, back: &mut Self::Seen) {
        let Setup { run_state, plan, .. } = setup;
        let mut server = self.server.lock().expect("nobody else has it");
        let all = plan.connections as u64;
        run_state.quota.store(plan.connections, Relaxed);
        let opened = watch.until_count("open", Subject::Live, all, |counts| counts.live >= all);
        // The second in which they came is not the one in which they come back.
        watch.until_moment("settle", Subject::Live, run_state.clock.now() + 3_000_000_000);
        let begun = run_state.clock.now();
        let mut restarted = None;
        if opened {
            server.signal(Signal::TERM);
            // The old one is kept until it has ended by itself: it sends its clients away.
            restarted = start(self.args, &self.program, plan.target.address).ok();
        }
        let is_back = |counts: &Counts| counts.ready >= all && counts.live >= all;
        let returned = restarted.is_some() && watch.until_count("return", Subject::Live, all, is_back);
        let ended = run_state.clock.now();
        watch.until_moment("settle", Subject::Live, ended + 1_000_000_000);
        run_state.stop.store(true, Relaxed);
        // The new one outlives its clients; the old one has ended by now.
        if let Some(restarted) = restarted {
            *server = restarted;
        }
        *back = returned.then_some((begun, ended));
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Self>) -> Result<(), Failure> {
        let told: u64 = done.clients().map(|client| client.told).sum();
        let Some((begun, all_back)) = done.seen else {
            return Err(Failure::Failed("not all clients came back".to_owned()));
        };
        let mut report = done.report.clone();
        outcome.parameter("drain_s", self.args.drain.as_secs_f64());
        // Both modes of one herd belong into one drawing.
        if self.args.common.target.is_none() {
            outcome.run.target = if self.args.ignore_retry { "at once" } else { "when told" }.to_owned();
        }
        let opened = outcome.run.series.iter().find(|series| series.name == "opened");
        let after = begun as f64 / 1e9 + 0.5;
        let peak = opened.map_or(0.0, |series| {
            let returning = series.seconds.iter().zip(&series.values).filter(|(at, _)| **at > after);
            returning.map(|(_, rate)| *rate).fold(0.0, f64::max)
        });
        // What a server that is not there says is no error of a herd that knocks at once.
        let knocked = report.errors.take(|kind| KNOCKS.iter().any(|knock| kind.starts_with(knock)));
        let seconds = (all_back - begun) as f64 / 1e9;
        outcome.figure("peak_reconnections_per_second", peak);
        outcome.figure("mean_reconnections_per_second", self.args.connections as f64 / seconds);
        outcome.figure("all_back_s", seconds);
        outcome.figure("refused_while_restarting", knocked as f64);
        outcome.figure("told_when", told as f64);
        outcome.row(
            "load",
            format!(
                "{} clients sent away within {:?}",
                grouped(self.args.connections as u64),
                self.args.drain
            ),
        );
        outcome.row("told", format!("{} of them when to come back", grouped(told)));
        outcome
            .row("back", format!("all after {seconds:.1} s, {} a second at the most", grouped(peak as u64)));
        outcome.row("knocked", format!("{} times while nobody was there", grouped(knocked)));
        outcome.times("upgrade", &report.upgrade);
        outcome.errors(&report, &Tally::default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goodbye_says_when_to_come_back() {
        let goodbye = br#"{"event":"goodbye","code":1001,"reason":"drain","retry_ms":1234}"#;
        assert_eq!(retry_millis(goodbye), Some(1_234));
        assert_eq!(retry_millis(br#"{"event":"goodbye","code":4403,"reason":"kicked"}"#), None);
        assert_eq!(retry_millis(br#"{"event":"say","data":"\"retry_ms\":5"}"#), None);
    }
}
