//! `loadtest million`: as many named users as a machine holds, from the first connection to the last, in one command.
//!
//! It starts the server, lets everybody in, holds them while heartbeats go round, lets a share fall silent (some of them
//! in the same moment), tells everybody something, lets all leave and come back, and sends the server away: what each
//! of these costs and how long it takes, in one report.
//!
//! | file | subject |
//! |---|---|
//! | [`timeline`] | what happens in which order, and what is noted on the way |
//! | [`admin_client`] | the server's HTTP: its figures, and the message to everybody |
//! | [`result`] | what was noted, as figures, rows and a report |

mod admin_client;
mod result;
mod timeline;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::child::{Child, Launch, Ours};
use crate::comparison::OURS;
use crate::options::{Common, Failure, Need, Setup, usage};
use crate::outcome::Outcome;
use crate::progress::Watch;
use crate::roster::client::RosterClient;
use crate::roster::million::timeline::Seen;
use crate::roster::population::{Population, Share};
use crate::roster::{Orders, Sums, complete};
use crate::scenario::{self, Done, Scenario};
use crate::{checks, files, report, sys, units};

/// `loadtest million`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Named users
    #[arg(long, default_value_t = 1_000_000)]
    users: usize,
    /// The part of them that falls silent
    #[arg(long, default_value = "0.05")]
    share: Share,
    /// How many of these give a last sign of life at the same moment, so that they die together
    #[arg(long, default_value_t = 10_000)]
    together: usize,
    /// A small form: heartbeats of 4 s, time-outs of 3 s, and short waits
    #[arg(long)]
    quick: bool,
    /// How long to hold them all [default: 60s; with --quick 8s]
    #[arg(long, value_parser = units::duration)]
    hold: Option<Duration>,
    /// How long the server has to give memory back when all have left [default: 60s; with --quick 12s]
    #[arg(long, value_parser = units::duration)]
    rest: Option<Duration>,
    /// How long memory may settle before it is read
    #[arg(long, default_value = "2s", value_parser = units::duration)]
    settle: Duration,
    #[command(flatten)]
    ours: Ours,
    /// A further flag of the server, as in --serve=--workers=4; repeatable
    #[arg(long, value_name = "FLAG")]
    serve: Vec<OsString>,
    /// The report's name: NAME.md and NAME-….svg
    #[arg(long, default_value = "million")]
    name: String,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = report::FOLDER)]
    out: PathBuf,
}

/// Connections beside the users: watchers are counted apart, these are requests and what is being refused.
const SPARE_CONNECTIONS: usize = 1_000;
/// What a thread of the load rests between two looks at its sockets: as if its users were somewhat further away.
const REST: u64 = 4_000_000;
/// Users that are sent away in a second.
const GOODBYES_PER_SECOND: usize = 25_000;

impl Args {
    fn population(&self) -> Result<Population, Failure> {
        if self.users < 3 {
            return usage("--users: at least three");
        }
        let doomed = self.share.count(self.users);
        if doomed == 0 {
            return usage("--share: of so few users nobody falls silent");
        }
        Ok(Population {
            doomed: self.share,
            together: Share((self.together as f64 / doomed as f64).min(1.0)),
            overseen: true,
            ..Population::of(self.users)
        })
    }

    fn hold(&self) -> Duration {
        self.hold.unwrap_or(Duration::from_secs(if self.quick { 8 } else { 60 }))
    }

    fn rest(&self) -> Duration {
        self.rest.unwrap_or(Duration::from_secs(if self.quick { 12 } else { 60 }))
    }

    /// The window over which the server sends everybody away: what two cores that the clients share do in it.
    fn drain(&self) -> Duration {
        let seconds = (self.users / GOODBYES_PER_SECOND).max(10) as u64;
        Duration::from_secs(if self.quick { 3 } else { seconds })
    }

    /// Starts the server, unless the URL names one that runs.
    fn server(&self, connections: usize) -> Result<Option<Child>, Failure> {
        if !self.common.url.is_empty() {
            return Ok(None);
        }
        // The server inherits it.
        sys::raise_descriptor_limit();
        let mut words: Vec<OsString> = Vec::new();
        words.extend(["--max-connections".into(), (connections + SPARE_CONNECTIONS).to_string().into()]);
        words.extend(["--drain".into(), format!("{}s", self.drain().as_secs()).into()]);
        if self.quick {
            let flags = [["--heartbeat-interval", "4s"], ["--heartbeat-timeout", "3s"]];
            words.extend(flags.iter().flatten().map(Into::into));
        }
        words.extend(self.serve.iter().cloned());
        let launch = Launch::rollcall(&self.ours.program()?, words);
        Ok(Some(Child::start(&launch, std::process::Command::spawn)?))
    }
}

/// Starts the server unless one runs, and runs the scenario.
pub fn run(args: &Args) -> Result<(), Failure> {
    let population = args.population()?;
    args.common.results.prepare()?;
    files::prepare(&args.out.join(format!("{}.md", args.name)))?;
    let server = args.server(population.connections())?;
    let mut common = args.common.clone();
    if let Some(server) = &server {
        common.url = format!("ws://{}/ws", server.address());
        common.pid = Some(server.pid());
        common.key = Some(server.key().to_owned());
        common.target.get_or_insert_with(|| OURS.to_owned());
    }
    scenario::run(&Million { args, common, server: Mutex::new(server) })
}

/// The scenario, with the server that was started for it.
struct Million<'s> {
    args: &'s Args,
    common: Common,
    server: Mutex<Option<Child>>,
}

impl Scenario for Million<'_> {
    const NAME: &'static str = "million";
    type Shared = Orders;
    type Seen = Seen;
    type Client<'a>
        = RosterClient<'a>
    where
        Self: 'a;

    fn common(&self) -> &Common {
        &self.common
    }

    fn need(&self) -> Result<Need, Failure> {
        // Those who left come back, so what ends is replaced, as far as the quota goes.
        Ok(Need { reopen: true, ..Need::of(self.args.population()?.connections()) })
    }

    fn share(&self, setup: &mut Setup) -> Result<Orders, Failure> {
        setup.plan.rest = if self.args.quick { 0 } else { REST };
        if let Some(lack) = checks::message_to_all(&setup.plan) {
            return usage(lack);
        }
        Ok(Orders::new(self.args.population()?))
    }

    fn make<'a>(&'a self, setup: &'a Setup, orders: &'a Orders, index: usize) -> RosterClient<'a> {
        RosterClient::new(setup, orders, index)
    }

    fn conduct(&self, setup: &Setup, orders: &Orders, watch: &mut Watch<'_>, seen: &mut Seen) {
        if setup.key.is_none() {
            watch.say(
                "hint: without the key of its API (--key) the server gives no figures and tells nobody anything",
            );
        }
        let key = setup.key.clone().unwrap_or_default();
        let mut server = self.server.lock().expect("nobody else has it");
        timeline::conduct(setup, &key, watch, self.args, orders, server.as_mut(), seen);
        orders.finish.store(true, Relaxed);
    }

    fn describe(&self, outcome: &mut Outcome, done: &Done<'_, Self>) -> Result<(), Failure> {
        let (orders, report, seen) = (done.shared, &done.report, &done.seen);
        let mut sums = Sums::of(done.clients(), orders);
        if !seen.full_house {
            complete(done.setup, report, &sums, orders.population.connections() as u64)?;
        }
        for superfluous in ["connections", "url"] {
            outcome.run.parameters.remove(superfluous);
        }
        result::describe(outcome, self.args, orders, seen, report, &mut sums);
        done.note_interruption(outcome);
        outcome.written(result::report(&outcome.run, self.args)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::parsed;

    fn args(flags: &[&str]) -> Args {
        parsed(&[&["million", "--url", ""], flags].concat())
    }

    #[test]
    fn of_the_silent_some_die_together() {
        let population = args(&["--users", "1000000"]).population().expect("valid");
        let together = (0..population.users).filter(|user| population.dies_together(*user)).count();
        assert_eq!((population.doomed.count(population.users), together), (50_000, 10_000));
        let few = args(&["--users", "100"]).population().expect("valid");
        assert!((0..100).all(|user| few.doomed.holds(user) == few.dies_together(user)));
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for flags in [&["--users", "2"][..], &["--users", "10", "--share", "0.01"]] {
            assert!(matches!(args(flags).population(), Err(Failure::Usage(_))), "{flags:?}");
        }
    }
}
