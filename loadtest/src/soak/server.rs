//! The servers of a soak: built, started with short heartbeats, asked how they are, and ended as an operator would.

use std::ffi::OsString;
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
use crate::keys::Keys;
use crate::measure::Tally;
use crate::outcome::Outcome;
use crate::units::grouped;

/// Heartbeats short enough that many users die in a soak, and that peers who say nothing are soon gone.
const FLAGS: [&str; 14] = [
    "--listen",
    "127.0.0.1:0",
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
    "--drain",
    "1s",
];
/// How long it may take to be rid of everybody, and to end.
const LEAVE_PATIENCE: Duration = Duration::from_secs(60);
const END_PATIENCE: Duration = Duration::from_secs(20);

/// All servers of a soak.
#[derive(Debug)]
pub struct Servers {
    /// The one with all sorts of clients, whose memory is judged.
    pub all: Server,
    /// For large messages over TLS, each compressed by itself.
    pub shared: Server,
    /// The same, each compressed with those before it.
    pub per_connection: Server,
}

impl Servers {
    /// Builds the program and starts them.
    pub fn start(places: &Places) -> io::Result<Servers> {
        let all = Server::start(places)?;
        let keys = Keys::make(&places.program())?;
        let [shared, per_connection] =
            ["shared", "per-connection"].map(|deflate| Server::start_secure(places, &keys, deflate));
        Ok(Servers { all, shared: shared?, per_connection: per_connection? })
    }

    /// Waits until everybody has left each of them, judges it and ends it.
    pub fn finish(self, errors: &mut Tally) {
        for server in [self.all, self.shared, self.per_connection] {
            server.empties(errors);
            server.judge(errors);
            let left = server.end();
            errors.add("a server did not end with 0 after SIGTERM", u64::from(left != Some(0)));
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    /// Behind `wss://`, where it has that too.
    secure: Option<SocketAddr>,
    log: PathBuf,
    key: String,
}

impl Server {
    /// Builds and starts the one that has all sorts of clients: two workers, compression by messages.
    pub fn start(places: &Places) -> io::Result<Server> {
        Kind::Ours.build(places)?;
        let flags = ["--workers", "2", "--deflate", "shared"].map(OsString::from);
        Server::start_with(places, "all", flags.into())
    }

    /// Starts one for large messages over TLS, compressed by this mode; it has to be built.
    pub fn start_secure(places: &Places, keys: &Keys, deflate: &str) -> io::Result<Server> {
        let flags = ["--workers", "1", "--deflate", deflate, "--listen", "wss://127.0.0.1:0"];
        let flags = flags.map(OsString::from).into_iter().chain(keys.flags());
        Server::start_with(places, deflate, flags.collect())
    }

    /// Starts one, and reads from its screen where it listens.
    fn start_with(places: &Places, name: &str, flags: Vec<OsString>) -> io::Result<Server> {
        let program = places.program();
        let log = std::env::temp_dir().join(format!("loadtest-soak-{}-{name}.log", std::process::id()));
        let mut command = Command::new(&program);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ROLLCALL_"))
        {
            command.env_remove(name);
        }
        let key = child::key()?;
        command.env(child::KEY_VARIABLE, &key);
        command
            .args(FLAGS)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        let named = |error| io::Error::other(format!("{}: {error}", program.display()));
        let mut process = command.spawn().map_err(named)?;
        let screen = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut faces: Vec<String> = Vec::new();
        for line in screen.lines().map_while(Result::ok).take_while(|line| !line.contains("workers")) {
            faces.push(line);
        }
        let listens = |scheme: &str| {
            let behind = faces.iter().find_map(|line| line.split_once(&format!(" {scheme}://")));
            behind.and_then(|(_, rest)| rest.split(['/', ' ']).next()?.parse().ok())
        };
        let (address, secure) = (listens("ws"), listens("wss"));
        let Some(address) = address else {
            end(&mut process, Signal::TERM);
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(io::Error::other(format!("rollcall did not start: {}", said.trim())));
        };
        Ok(Server { child: process, address, secure, log, key })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a part of the soak connects that goes this way.
    pub fn url(&self, path: &str) -> String {
        match self.secure {
            None => format!("ws://{}{path}", self.address),
            Some(address) => format!("wss://{address}{path}"),
        }
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

    /// What its own figures say of the run.
    pub fn tell(&self, outcome: &mut Outcome) {
        let metrics = self.get("/metrics").map(|(_, body)| body).unwrap_or_default();
        let figure = |name: &str| figure(&metrics, name);
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
    }

    /// What its own figures and its log complain of.
    pub fn judge(&self, errors: &mut Tally) {
        let metrics = self.get("/metrics").map(|(_, body)| body).unwrap_or_default();
        errors.add("no metrics at the end", u64::from(metrics.is_empty()));
        let refused = figure(&metrics, "rollcall_mail_refused_total");
        errors.add("mail that a full mailbox refused", refused as u64);
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
