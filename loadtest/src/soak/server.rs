//! The servers of a soak: started with short heartbeats, asked how they are, and ended as an operator would.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::child::{self, Child, Launch, figure, get};
use crate::keys::Keys;
use crate::measure::Tally;
use crate::numbers::grouped;
use crate::outcome::Outcome;

/// Heartbeats short enough that many users die in a soak, and that peers who say nothing are soon gone.
const FLAGS: &str = "--heartbeat-interval 5s --heartbeat-timeout 4s --suspect-after 2s --handshake-timeout 3s \
    --message-timeout 10s --drain 1s";
/// How long it may take to be rid of everybody, and to end.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(60);
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// All servers of a soak.
#[derive(Debug)]
pub struct Servers {
    /// The one with all sorts of clients, whose memory is judged: two workers, compression by messages.
    pub all: Server,
    /// For large messages over TLS, each compressed by itself.
    pub shared: Server,
    /// The same, each compressed with those before it.
    pub per_connection: Server,
}

impl Servers {
    pub fn start(program: &Path) -> io::Result<Servers> {
        let keys = Keys::make(program)?;
        Ok(Servers {
            all: Server::start(program, "--workers 2 --deflate shared", None)?,
            shared: Server::start(program, "--workers 1 --deflate shared", Some(&keys))?,
            per_connection: Server::start(program, "--workers 1 --deflate per-connection", Some(&keys))?,
        })
    }

    /// Waits until everybody has left each of them, judges it and ends it.
    pub fn finish(self, errors: &mut Tally) {
        for server in [self.all, self.shared, self.per_connection] {
            server.empties(errors);
            server.judge(errors);
            let left = server.child.leave(END_TIMEOUT);
            errors.add("a server did not end with 0 after SIGTERM", u64::from(left != Some(0)));
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Behind `wss://`, where it has that too.
    secure: Option<SocketAddr>,
}

impl Server {
    /// Starts one, behind `wss://` too where there are keys.
    fn start(program: &Path, flags: &str, keys: Option<&Keys>) -> io::Result<Server> {
        let flags = FLAGS.split_ascii_whitespace().chain(flags.split(' '));
        let mut words: Vec<OsString> = flags.map(Into::into).collect();
        let secure = keys.map(|_| child::free_address()).transpose()?;
        if let (Some(address), Some(keys)) = (secure, keys) {
            words.extend(["--listen".into(), format!("wss://{address}").into()]);
            words.extend(keys.flags());
        }
        let launch = Launch::rollcall(program, words);
        Ok(Server { child: Child::start(&launch, std::process::Command::spawn)?, secure })
    }

    pub fn address(&self) -> SocketAddr {
        self.child.address()
    }

    /// Where a part of the soak connects that goes this way.
    pub fn url(&self, path: &str) -> String {
        match self.secure {
            None => format!("ws://{}{path}", self.address()),
            Some(address) => format!("wss://{address}{path}"),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Status and body of a page; `None` where it does not answer.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.address(), path, self.child.key())
    }

    /// Waits until all who came are gone, the one who asks apart. What is left after that is an error.
    pub fn empties(&self, errors: &mut Tally) {
        let begun = Instant::now();
        loop {
            let metrics = self.child.metrics();
            let left = [("connections", 1.0), ("users", 0.0), ("rooms", 0.0), ("backlog_bytes", 0.0)]
                .map(|(what, own)| (what, figure(&metrics, &format!("rollcall_{what} ")) - own));
            if !metrics.is_empty() && left.iter().all(|(_, left)| *left <= 0.0) {
                return;
            }
            if begun.elapsed() > EMPTY_TIMEOUT {
                for (what, left) in left {
                    errors.add(&format!("{what} left when all were gone"), left as u64);
                }
                return;
            }
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// What its own figures say of the run.
    pub fn describe(&self, outcome: &mut Outcome) {
        let metrics = self.child.metrics();
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
    fn judge(&self, errors: &mut Tally) {
        let metrics = self.child.metrics();
        errors.add("no metrics at the end", u64::from(metrics.is_empty()));
        let refused = figure(&metrics, "rollcall_mail_refused_total");
        errors.add("mail that a full mailbox refused", refused as u64);
        let log = self.child.said();
        for line in
            log.lines().filter(|line| ["ERROR", "WARN", "panicked"].iter().any(|word| line.contains(word)))
        {
            // Without its time, so that the same complaint is counted as one kind.
            let words = line.split_once(' ').map_or(line, |(_, words)| words);
            errors.add(&format!("server: {}", words.trim()), 1);
        }
    }
}
