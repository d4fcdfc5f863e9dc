//! The flags that every scenario has, and what they come to: a plan, the state of the run, and the server's pid.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rollcall::internals::sys::runtime;
use rollcall::internals::wire::deflate::Offer;

use crate::checks;
use crate::child;
use crate::clock::nanos;
use crate::engine::Plan;
use crate::engine::carrier::Carrier;
use crate::outcome::Results;
use crate::process;
use crate::run_state::RunState;
use crate::sys;
use crate::target::{Allow, Target};
use crate::units;

/// Connections that may be on their way to open at a time, over all threads: below what a server's queue holds.
const OPENING: usize = 512;
/// The least of it that a thread has: enough that a few which land on a slow worker of the server hold up none of the rest.
const OPENING_MIN: usize = 32;

/// Why a command did not go well: its one line, and the exit code that follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The command can't be carried out as it was given: 2.
    Usage(String),
    /// It was carried out, or tried, and did not go well: 1.
    Failed(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Failed(error.to_string())
    }
}

/// The command can't be carried out as it was given.
pub fn usage<T>(line: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Usage(line.into()))
}

/// A number, or `auto`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auto<T> {
    Auto,
    Given(T),
}

impl<T: std::str::FromStr> std::str::FromStr for Auto<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Auto<T>, String> {
        if text == "auto" {
            return Ok(Auto::Auto);
        }
        text.parse().map(Auto::Given).map_err(|_| "a number or `auto` was expected".to_owned())
    }
}

impl<T> Auto<T> {
    fn or_else(self, choose: impl FnOnce() -> T) -> T {
        match self {
            Auto::Auto => choose(),
            Auto::Given(value) => value,
        }
    }
}

/// The flags of every scenario.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// The server's endpoint: ws://HOST:PORT/PATH, or wss:// with --insecure
    #[arg(long)]
    pub url: String,
    /// Threads that put on the load
    #[arg(long, default_value = "auto")]
    pub threads: Auto<usize>,
    /// Source addresses from 127.0.0.2 up (each carries 55,000 connections); 0: as the kernel chooses
    #[arg(long, default_value = "auto")]
    pub source_addresses: Auto<u32>,
    /// Connections opened a second [default: as fast as they open]
    #[arg(long, value_name = "N")]
    pub ramp: Option<f64>,
    /// How long a connection may take to open
    #[arg(long, default_value = "10s", value_parser = units::duration)]
    pub open_timeout: Duration,
    /// Available memory of the machine under which no more connections are opened
    #[arg(long, default_value = "1GiB", value_parser = units::bytes)]
    pub memory_floor: u64,
    /// The server's process [default: who listens on the URL's port]
    #[arg(long)]
    pub pid: Option<u32>,
    /// The key of the server's API [default: $ROLLCALL_API_KEY, or the one that the server made for its run, where it runs as the same
    /// user]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// The server's name in reports [default: the URL]
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    #[command(flatten)]
    pub results: Results,
    #[command(flatten)]
    pub allow: Allow,
}

/// What a scenario needs of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub connections: usize,
    pub read_buffer: usize,
    /// Whether connections that end are replaced.
    pub reopen: bool,
    /// Threads at most; one where the scenario's parts have to know of each other.
    pub threads_max: usize,
    pub deflate: bool,
    pub carrier: Carrier,
}

impl Need {
    /// So many connections that stay, on as many threads as suit them.
    pub fn of(connections: usize) -> Need {
        Need {
            connections,
            read_buffer: 64 << 10,
            reopen: false,
            threads_max: 1024,
            deflate: false,
            carrier: Carrier::Websocket,
        }
    }
}

/// All that a scenario runs with.
#[derive(Debug)]
pub struct Setup {
    pub plan: Plan,
    /// What they and the conductor tell each other.
    pub run_state: RunState,
    /// The server's process, where it is known.
    pub pid: Option<u32>,
    /// The key of its API, where it is known.
    pub key: Option<String>,
}

impl Setup {
    /// The server's version, where it is a rollcall that takes the key.
    pub fn version(&self) -> Option<String> {
        let Target { address, tls: None, .. } = self.plan.target else { return None };
        let (status, metrics) = child::get(address, "/metrics", self.key.as_deref()?)?;
        let (_, info) = metrics.split_once("rollcall_build_info{version=\"").filter(|_| status == 200)?;
        Some(info.split('"').next()?.to_owned())
    }
}

impl Common {
    /// Checks what can be checked before the run, and asks the server once.
    pub fn prepare(&self, need: Need) -> Result<Setup, Failure> {
        self.results.prepare()?;
        let target = Target::parse(&self.url, self.allow).map_err(Failure::Usage)?;
        self.prepare_for(target, self.pid, need)
    }

    /// As [`Common::prepare`], for another target.
    pub fn prepare_for(&self, mut target: Target, pid: Option<u32>, need: Need) -> Result<Setup, Failure> {
        if !need.carrier.is_websocket() && (need.deflate || target.tls.is_some()) {
            return usage("--carrier events and --carrier poll go without --deflate and over ws:// alone");
        }
        target.offer = need.deflate.then(Offer::default);
        target.carrier = need.carrier;
        let plan = self.plan(target, need)?;
        checks::before(&plan, self.memory_floor).map_err(Failure::Usage)?;
        plan.target.probe().map_err(Failure::Failed)?;
        let address = plan.target.address;
        let here = address.ip().is_loopback();
        let pid = pid.or_else(|| here.then(|| process::listening_pid(address.port())).flatten());
        let run_state = RunState::new(plan.threads, stop_flag());
        Ok(Setup { plan, run_state, pid, key: self.key_for(address) })
    }

    /// The key of the API of the server at an address: as given, or as the server has left it for programs of its user.
    fn key_for(&self, address: SocketAddr) -> Option<String> {
        let given = || std::env::var(child::KEY_VARIABLE).ok().filter(|key| !key.is_empty());
        let made = || {
            let here = address.ip().is_loopback();
            let mut running = here.then(runtime::running).unwrap_or_default().into_iter();
            let place = address.to_string();
            running.find(|running| running.listens_at(&place)).map(|running| running.key)
        };
        self.key.clone().or_else(given).or_else(made)
    }

    fn plan(&self, target: Target, need: Need) -> Result<Plan, Failure> {
        if need.connections == 0 {
            return usage("--connections: at least one is needed");
        }
        let limit = sys::raise_descriptor_limit();
        let per_table =
            usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(checks::OWN_DESCRIPTORS).max(1);
        let threads = self.threads.or_else(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            (cores / 2).max(need.connections.div_ceil(per_table)).clamp(1, need.threads_max)
        });
        if threads == 0 || threads > need.threads_max {
            return usage(format!("--threads {threads}: this scenario takes 1 to {}", need.threads_max));
        }
        let threads = threads.min(need.connections);
        let local = target.address.ip().is_loopback() && target.address.is_ipv4();
        let sources = self.source_addresses.or_else(|| auto_sources(need, local));
        Ok(Plan {
            target,
            connections: need.connections,
            threads,
            sources,
            private_tables: need.connections > per_table,
            opening: (OPENING / threads).max(OPENING_MIN),
            ramp_per_second: self.ramp,
            open_timeout: nanos(self.open_timeout),
            read_buffer: need.read_buffer,
            reopen: need.reopen,
            rest: 0,
        })
    }
}

/// Few connections are left to the kernel. Many, and such that come and go, get source ports of our own choice: a port
/// that an earlier connection left in TIME-WAIT rests for a while before it comes round again.
fn auto_sources(need: Need, local: bool) -> u32 {
    match local {
        // Each comes back once, at least, while its first port still rests.
        true if need.reopen => (2 * need.connections.div_ceil(40_000) as u32).max(16),
        true if need.connections > 10_000 => (need.connections.div_ceil(40_000) as u32).max(2),
        _ => 0,
    }
}

/// The flag that Ctrl-C sets. A second Ctrl-C ends the program at once.
pub fn stop_flag() -> Arc<AtomicBool> {
    static STOP: std::sync::OnceLock<Arc<AtomicBool>> = std::sync::OnceLock::new();
    let stop = STOP.get_or_init(|| {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // Without handlers a signal ends the program as it always does.
            let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop));
            let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
        }
        stop
    });
    Arc::clone(stop)
}

/// The flags of a command as it was typed.
#[cfg(test)]
pub fn parsed<A: clap::Args>(line: &[&str]) -> A {
    let command = A::augment_args(clap::Command::new("loadtest"));
    A::from_arg_matches(&command.try_get_matches_from(line).expect("known flags")).expect("they are its own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_given_is_taken_and_another_machines_is_not_here() {
        let common = |flags: &[&str]| parsed::<Common>(&[&["x", "--url", "ws://192.0.2.1/"], flags].concat());
        let address = "192.0.2.1:80".parse().expect("an address");
        assert_eq!(common(&["--key", "some-key"]).key_for(address).as_deref(), Some("some-key"));
        assert_eq!(common(&[]).key_for(address), std::env::var(child::KEY_VARIABLE).ok());
    }
}
