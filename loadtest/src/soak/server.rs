//! The server of a soak: built, started with two workers and short heartbeats, asked how it is, and ended as an operator
//! would.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::child::{self, end, figure, get};
use crate::compare::servers::{Kind, Places};
use crate::measure::Tally;
use crate::outcome::Outcome;
use crate::units::grouped;

/// Heartbeats short enough that many users die in a soak, and that peers who say nothing are soon gone.
const FLAGS: [&str; 18] = [
    "--listen",
    "127.0.0.1:0",
    "--workers",
    "2",
    "--heartbeat-interval",
    "5s",
    "--heartbeat-timeout",
    "4s",
    "--suspect-after",
    "2s",
    "--handshake-timeout",
    "3s",
    "--message-timeout",
    "10s",
    "--deflate",
    "shared",
    "--drain",
    "1s",
];
/// How long it may take to be rid of everybody, and to end.
const LEAVE_PATIENCE: Duration = Duration::from_secs(60);
const END_PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    key: String,
}

impl Server {
    /// Builds and starts it, and reads from its screen where it listens.
    pub fn start(places: &Places) -> io::Result<Server> {
        Kind::Ours.build(places)?;
        let program = places.program();
        let log = std::env::temp_dir().join(format!("loadtest-soak-{}.log", std::process::id()));
        let mut command = Command::new(&program);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ROLLCALL_"))
        {
            command.env_remove(name);
        }
        let key = child::key()?;
        command.env(child::KEY_VARIABLE, &key);
        command.args(FLAGS).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let named = |error| io::Error::other(format!("{}: {error}", program.display()));
        let mut process = command.spawn().map_err(named)?;
        let screen = BufReader::new(process.stdout.take().expect("it is piped"));
        let address = screen
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split("ws://").nth(1)?.split(['/', ' ']).next()?.parse().ok());
        let Some(address) = address else {
            end(&mut process, Signal::TERM);
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(io::Error::other(format!("rollcall did not start: {}", said.trim())));
        };
        Ok(Server { child: process, address, log, key })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Status and body of a page; `None` where it does not answer.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.address, path, &self.key)
    }

    /// Waits until all who came are gone, the one who asks apart. What is left after that is an error.
    pub fn empties(&self, errors: &mut Tally) {
        let begun = Instant::now();
        loop {
            let metrics = self.get("/metrics").map(|(_, body)| body).unwrap_or_default();
            let left = [("connections", 1.0), ("users", 0.0), ("rooms", 0.0), ("backlog_bytes", 0.0)]
                .map(|(what, own)| (what, figure(&metrics, &format!("rollcall_{what} ")) - own));
            if !metrics.is_empty() && left.iter().all(|(_, left)| *left <= 0.0) {
                return;
            }
            if begun.elapsed() > LEAVE_PATIENCE {
                for (what, left) in left {
                    errors.add(&format!("{what} left when all were gone"), left as u64);
                }
                return;
            }
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// What its own figures and its log say of the run.
    pub fn judge(&self, outcome: &mut Outcome, errors: &mut Tally) {
        let metrics = self.get("/metrics").map(|(_, body)| body).unwrap_or_default();
        let figure = |name: &str| figure(&metrics, name);
        errors.add("no metrics at the end", u64::from(metrics.is_empty()));
        errors.add("mail that a full mailbox refused", figure("rollcall_mail_refused_total") as u64);
        for (name, metric) in [
            ("server_accepts", "rollcall_accepts_total"),
            ("server_upgrades", "rollcall_upgrades_total"),
            ("server_messages_received", "rollcall_messages_received_total"),
            ("server_messages_sent", "rollcall_messages_sent_total"),
            ("server_pings", "rollcall_pings_sent_total"),
            ("server_deaths", "rollcall_ended_total{cause=\"timeout\"}"),
        ] {
            outcome.figure(name, figure(metric));
        }
        let [upgrades, deaths] = ["rollcall_upgrades_total", "rollcall_ended_total{cause=\"timeout\"}"]
            .map(|name| grouped(figure(name) as u64));
        outcome.row("server", format!("{upgrades} upgrades, {deaths} connections found dead"));
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        for line in
            log.lines().filter(|line| ["ERROR", "WARN", "panicked"].iter().any(|word| line.contains(word)))
        {
            // Without its time, so that the same complaint is counted as one kind.
            let words = line.split_once(' ').map_or(line, |(_, words)| words);
            errors.add(&format!("server: {}", words.trim()), 1);
        }
    }

    /// Ends it with SIGTERM. Its exit code, where it left by itself.
    pub fn end(mut self) -> Option<i32> {
        let asked = Instant::now();
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), Pid::from_raw(self.child.id() as i32)) {
            let _ = kill_process(pid, Signal::TERM);
        }
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            if asked.elapsed() > END_PATIENCE {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}
