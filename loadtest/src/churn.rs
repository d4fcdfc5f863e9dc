//! `loadtest churn`: connections that open, upgrade, close as the protocol says, and are replaced: how many a second, and
//! how long each step takes.
//!
//! A closing handshake counts as done when the server has ended the connection (RFC 6455 §7.1.1: the server ends it
//! first), so TIME-WAIT stays on the server's side.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::clock::nanos;
use crate::engine::link::{End, Link};
use crate::engine::{Client, Counted, Next, Turn};
use crate::measure::{Recorder, Tally};
use crate::numbers::grouped;
use crate::options::{Common, Failure, Need, Setup};
use crate::outcome::{Outcome, Spent};
use crate::progress::{Subject, Watch};
use crate::run_state::{RunState, UNSET};
use crate::scenario::{Done, Scenario, Window};
use crate::units;

/// How often an idle thread looks at the run's state.
const LOOK: u64 = 10_000_000;
/// How often overdue closes are looked for.
const SWEEP: u64 = 100_000_000;
/// The progress line counts these.
const COUNTED: &str = "connections closed";

/// `loadtest churn`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Connections at a time
    #[arg(long, default_value_t = 100)]
    connections: usize,
    #[command(flatten)]
    window: Window,
    /// How long a server may take to end a connection after the closing handshake
    #[arg(long, default_value = "5s", value_parser = units::duration)]
    close_timeout: Duration,
}

/// One thread's part.
#[derive(Debug)]
pub struct ChurnClient<'a> {
    run_state: &'a RunState,
    close_timeout: u64,
    next_sweep: u64,
    close: Recorder,
    done: u64,
    measured: u64,
}

impl ChurnClient<'_> {
    fn sweep(&mut self, turn: &mut Turn<'_, bool>) {
        if turn.now >= self.next_sweep {
            self.next_sweep = turn.now + SWEEP;
            let before = turn.now.saturating_sub(self.close_timeout);
            turn.each_open(|_, link| if link.since < before { Err(End::CloseTimeout) } else { Ok(()) });
        }
    }
}

impl Client for ChurnClient<'_> {
    /// Whether the server's Close has come.
    type State = bool;

    fn opened(&mut self, _: usize, link: &mut Link<bool>, _: u64) -> Result<(), End> {
        link.close()
    }

    fn received(&mut self, _: usize, link: &mut Link<bool>, bytes: &mut [u8], _: u64) -> Result<(), End> {
        link.state |= link.read(bytes, |_, _, _| Ok(()))?.closed.is_some();
        Ok(())
    }

    fn end_of_stream(&mut self, link: &mut Link<bool>, now: u64) -> End {
        if !link.state {
            return End::Eof;
        }
        self.done += 1;
        if now >= self.run_state.from.load(Relaxed) && now < self.run_state.until.load(Relaxed) {
            self.close.record(now - link.since);
            self.measured += 1;
        }
        End::Done
    }

    fn turn(&mut self, turn: &mut Turn<'_, bool>) -> Next {
        self.sweep(turn);
        let until = self.run_state.until.load(Relaxed);
        let over = self.run_state.stopped() || (until != UNSET && turn.now >= until);
        let drained = turn.links.is_empty() || turn.now >= until.saturating_add(self.close_timeout);
        if over && drained { Next::Finished } else { Next::Until(turn.now + LOOK) }
    }

    fn counted(&self) -> Counted {
        Counted { messages: self.done, ..Counted::default() }
    }
}

impl Scenario for Args {
    const NAME: &'static str = "churn";
    type Shared = ();
    type Seen = Spent;
    type Client<'a> = ChurnClient<'a>;

    fn common(&self) -> &Common {
        &self.common
    }

    fn need(&self) -> Result<Need, Failure> {
        Ok(Need { read_buffer: 16 << 10, reopen: true, ..Need::of(self.connections) })
    }

    fn share(&self, _: &mut Setup) -> Result<(), Failure> {
        Ok(())
    }

    fn make<'a>(&'a self, setup: &'a Setup, (): &'a (), _: usize) -> ChurnClient<'a> {
        ChurnClient {
            run_state: &setup.run_state,
            close_timeout: nanos(self.close_timeout),
            next_sweep: 0,
            close: Recorder::default(),
            done: 0,
            measured: 0,
        }
    }

    fn conduct(&self, setup: &Setup, (): &(), watch: &mut Watch<'_>, spent: &mut Spent) {
        let Setup { plan, run_state, .. } = setup;
        run_state.quota.store(plan.connections, Relaxed);
        *spent = self.window.measure(setup, watch, COUNTED, run_state.clock.now());
        run_state.quota.store(0, Relaxed);
        watch.until_count("drain", Subject::Messages(COUNTED), 1, |_| false);
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Args>) -> Result<(), Failure> {
        let (mut close, mut measured) = (Recorder::default(), 0);
        for client in done.clients() {
            close.add(&client.close);
            measured += client.measured;
        }
        let (report, spent) = (&done.report, &done.seen);
        self.window.describe(outcome);
        let rate = spent.per_second(measured);
        outcome.figure("connections_per_second", rate);
        outcome.row("load", format!("{} connections at a time", self.connections));
        outcome.row("rate", format!("{} opened, upgraded and closed a second", grouped(rate as u64)));
        outcome.times("connect", &report.connect);
        outcome.times("upgrade", &report.upgrade);
        outcome.times("close", &close);
        outcome.cpu(spent, "connection", measured);
        outcome.errors(report, &Tally::default());
        outcome.note("Times of connect and upgrade include the warm-up.");
        Ok(())
    }
}
