//! Servers as children of this process: built, started, waited for until they accept, and ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::{Pid, Signal, kill_process};

use crate::comparison::OURS;

/// How long a server may take until it accepts.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to end when it is asked to.
const END_TIMEOUT: Duration = Duration::from_secs(3);
/// How long it may take to answer: with a million clients a page of figures takes a while.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(10);

/// A server that is to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// Its name, in results and for what goes wrong.
    pub name: &'static str,
    /// Its program and arguments; the address to listen on comes behind them.
    pub words: Vec<OsString>,
    /// Whether that is behind `wss://`.
    pub secure: bool,
    /// What it says on its standard output when it is ready; empty: it is as soon as it accepts.
    pub ready: &'static str,
    /// Where it is to listen; `None`: wherever it is free.
    pub address: Option<SocketAddr>,
}

impl Launch {
    /// A rollcall with these arguments.
    pub fn rollcall(program: &Path, flags: impl IntoIterator<Item = OsString>) -> Launch {
        let words = std::iter::once(program.into()).chain(flags).chain(["--listen".into()]).collect();
        Launch { name: OURS, words, ..Launch::default() }
    }
}

/// A server that runs; it is ended when this is dropped.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    address: SocketAddr,
    log: PathBuf,
    key: String,
}

impl Child {
    /// Starts a server at a free address, and waits until it is ready.
    pub fn start(
        launch: &Launch,
        spawn: impl FnOnce(&mut Command) -> io::Result<std::process::Child>,
    ) -> io::Result<Child> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Relaxed);
        let address = launch.address.map_or_else(free_address, Ok)?;
        let log = std::env::temp_dir().join(format!("loadtest-{}-{number}.log", std::process::id()));
        let said = File::create(&log)?;
        let mut command = Command::new(&launch.words[0]);
        let scheme = if launch.secure { "wss://" } else { "" };
        command.args(&launch.words[1..]).arg(format!("{scheme}{address}"));
        command.stdin(Stdio::null()).stderr(said.try_clone()?);
        // A screen is of use where it says that a server is ready.
        command.stdout(if launch.ready.is_empty() { Stdio::null() } else { said.into() });
        for (name, _) in std::env::vars_os() {
            // A setting of who types the command is none of the measurement.
            if name.to_string_lossy().starts_with("ROLLCALL_") {
                command.env_remove(name);
            }
        }
        let key = key()?;
        command.env(KEY_VARIABLE, &key);
        let named = |error| io::Error::other(format!("{}: {error}", Path::new(&launch.words[0]).display()));
        let process = spawn(&mut command).map_err(named)?;
        let mut child = Child { process, address, log, key };
        child.wait_until_ready(launch)?;
        Ok(child)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The key of its API, where it is a rollcall.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its figures, where it is a rollcall; empty where it does not answer.
    pub fn metrics(&self) -> String {
        get(self.address, "/metrics", &self.key).map(|(_, body)| body).unwrap_or_default()
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        send(&mut self.process, signal);
    }

    /// Asks it to end, as an operator would. Its exit code, where it left by itself within a time.
    pub fn leave(mut self, timeout: Duration) -> Option<i32> {
        self.signal(Signal::TERM);
        ended_within(&mut self.process, timeout)?.code()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    fn wait_until_ready(&mut self, launch: &Launch) -> io::Result<()> {
        let (name, begun) = (launch.name, Instant::now());
        while begun.elapsed() < START_TIMEOUT {
            if self.said().contains(launch.ready) && TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                let words = self.last_words();
                return Err(io::Error::other(format!("{name} ended at once ({status}): {words}")));
            }
            thread::sleep(STEP);
        }
        let words = self.last_words();
        Err(io::Error::other(format!("{name} is not ready after {START_TIMEOUT:?}: {words}")))
    }

    /// What it said on its standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last line that it said on its standard error.
    pub fn last_words(&self) -> String {
        let said = self.said();
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
        ended_within(child, END_TIMEOUT);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// How it ended, where it did so within a time.
fn ended_within(child: &mut std::process::Child, timeout: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < timeout {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(STEP);
    }
    None
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
    exchange(address, &format!("GET {path} HTTP/1.0\r\nAuthorization: Bearer {key}\r\n\r\n")).ok()
}

/// One request, one response: its status and its body.
pub fn exchange(address: SocketAddr, request: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let answer = response.split_once("\r\n\r\n").and_then(|(head, body)| {
        Some((head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    });
    answer.ok_or_else(|| io::Error::other("no HTTP response"))
}

/// A figure of a rollcall's metrics, over all its labels where the name is without; 0 where there is none.
pub fn figure(metrics: &str, name: &str) -> f64 {
    metrics.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok()).sum()
}

/// The flag that says which rollcall is started.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Ours {
    /// A built rollcall [default: the one beside this program or in target/release, else it is built]
    #[arg(long, alias = "server", value_name = "FILE")]
    ours: Option<PathBuf>,
}

impl Ours {
    /// The given one, else the one beside this program or in `target/release` of the repository around the working folder, else it
    /// is built there.
    pub fn program(&self) -> io::Result<PathBuf> {
        if let Some(given) = &self.ours {
            let missing = || io::Error::other(format!("--ours {}: there is no such file", given.display()));
            return given.is_file().then(|| given.clone()).ok_or_else(missing);
        }
        let beside = std::env::current_exe()?.with_file_name("rollcall");
        let root = repository();
        let built = root.as_ref().map(|root| {
            let target =
                std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
            target.join("release/rollcall")
        });
        if let Some(found) = [Some(&beside), built.as_ref()].into_iter().flatten().find(|path| path.is_file())
        {
            eprintln!("loadtest: the server is {}", found.display());
            return Ok(found.clone());
        }
        let (Some(root), Some(built)) = (root, built) else {
            return Err(io::Error::other("there is no rollcall beside this program: say where with --ours"));
        };
        let flags = ["build", "--release", "--package", "rollcall", "--bin", "rollcall"];
        succeed(Command::new("cargo").args(flags).current_dir(root))?;
        Ok(built)
    }
}

/// The repository, above the working folder or this program; `None` where there is none.
pub fn repository() -> Option<PathBuf> {
    let starts = [std::env::current_dir().ok()?, std::env::current_exe().ok()?];
    let mut folders = starts.iter().flat_map(|start| start.ancestors());
    folders.find(|folder| folder.join("loadtest/peers/README.md").is_file()).map(Path::to_owned)
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
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_there_is_not_built() {
        let here = std::env::current_exe().expect("this program has a file");
        let at = |file: &Path| Ours { ours: Some(file.to_owned()) }.program();
        assert_eq!(at(&here).expect("it is there"), here);
        let missing = at(Path::new("/no/such/file")).expect_err("it is not");
        assert!(missing.to_string().starts_with("--ours /no/such/file: "), "{missing}");
    }

    #[test]
    fn a_child_that_is_dropped_is_gone() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep is everywhere");
        end(&mut child, Signal::TERM);
        assert!(child.try_wait().expect("it was ours").is_some());
    }
}
