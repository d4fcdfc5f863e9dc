//! Servers as children of this process: built, started, waited for until they accept, and ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take until it accepts.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to end when it is asked to.
const END_TIMEOUT: Duration = Duration::from_secs(3);
/// How long it may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(10);

/// A server that runs; it is ended when this is dropped.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    address: SocketAddr,
    log: PathBuf,
    key: String,
}

impl Child {
    /// Starts a program whose last word is the address to listen on, and waits until it accepts.
    pub fn start(
        name: &str,
        words: &[OsString],
        spawn: impl FnOnce(&mut Command) -> io::Result<std::process::Child>,
    ) -> io::Result<Child> {
        Child::start_at("", name, words, spawn)
    }

    /// The same with something before the address: `wss://`.
    pub fn start_at(
        scheme: &str,
        name: &str,
        words: &[OsString],
        spawn: impl FnOnce(&mut Command) -> io::Result<std::process::Child>,
    ) -> io::Result<Child> {
        let address = free_address()?;
        let log = std::env::temp_dir().join(format!("loadtest-{}-{name}.log", std::process::id()));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(format!("{scheme}{address}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let key = key()?;
        command.env(KEY_VARIABLE, &key);
        let named = |error| io::Error::other(format!("{}: {error}", Path::new(&words[0]).display()));
        let process = spawn(&mut command).map_err(named)?;
        let mut child = Child { process, address, log, key };
        child.wait_until_it_accepts(name)?;
        Ok(child)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The key of its API, where it is a rollcall.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        send(&mut self.process, signal);
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    fn wait_until_it_accepts(&mut self, name: &str) -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < START_TIMEOUT {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                let words = self.last_words();
                return Err(io::Error::other(format!("{name} ended at once ({status}): {words}")));
            }
            thread::sleep(STEP);
        }
        let words = self.last_words();
        Err(io::Error::other(format!("{name} accepts nothing after {START_TIMEOUT:?}: {words}")))
    }

    /// The last line that it said on its standard error.
    pub fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        end(&mut self.process, Signal::TERM);
        let _ = fs::remove_file(&self.log);
    }
}

/// Asks a child of ours to end, and ends it if it does not.
pub fn end(child: &mut std::process::Child, signal: Signal) {
    if send(child, signal) {
        let asked = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && asked.elapsed() < END_TIMEOUT {
            thread::sleep(STEP);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// False where it has ended already.
fn send(child: &mut std::process::Child, signal: Signal) -> bool {
    // A child that was not waited for keeps its number, so no stranger can get the signal.
    let (Ok(None), Some(pid)) = (child.try_wait(), Pid::from_raw(child.id() as i32)) else { return false };
    kill_process(pid, signal).is_ok()
}

/// Where a rollcall finds the key that its API is to have. A flag could be seen by others on the machine.
pub const KEY_VARIABLE: &str = "ROLLCALL_API_KEY";

/// A key for the API of a server that is started here.
pub fn key() -> io::Result<String> {
    let mut random = [0; 24];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// Status and body of a page of a server, for who has the key of its API; `None` where it does not answer.
pub fn get(address: SocketAddr, path: &str, key: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A figure of a rollcall's metrics, over all its labels where the name is without; 0 where there is none.
pub fn figure(metrics: &str, name: &str) -> f64 {
    metrics.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok()).sum()
}

/// Builds the server of the repository at `root`.
pub fn build_rollcall(root: &Path) -> io::Result<()> {
    let flags = ["build", "--release", "--package", "rollcall", "--bin", "rollcall"];
    succeed(Command::new("cargo").args(flags).current_dir(root))
}

/// Runs a command to its end. Says on standard error what it does.
pub fn succeed(command: &mut Command) -> io::Result<()> {
    let said = format!("{command:?}").replace('"', "");
    eprintln!("loadtest: {said}");
    let status = command
        .stdout(io::stderr())
        .status()
        .map_err(|error| io::Error::other(format!("{said}: {error}")))?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{said}: {status}"))) }
}

/// An address that was free a moment ago.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_is_dropped_is_gone() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep is everywhere");
        end(&mut child, Signal::TERM);
        assert!(child.try_wait().expect("it was ours").is_some());
    }
}
