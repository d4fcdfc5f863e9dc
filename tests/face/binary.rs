//! The binary as a newcomer and an operator meet it: what it says, and how it ends.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use tungstenite::Message;

use super::client::{Answer, get, get_with, upgrade};

/// Where servers of tests leave their keys: not among those of who runs the tests.
pub(crate) const RUNTIME: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/runtime");

pub(crate) fn rollcall(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ROLLCALL_")) {
        command.env_remove(name);
    }
    command.env("RUNTIME_DIRECTORY", RUNTIME).env_remove("JOURNAL_STREAM");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    rollcall(args).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The one line on stderr of a run that failed with `code`.
pub(crate) fn complaint(output: &Output, code: i32) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text.strip_prefix("rollcall: ").unwrap_or_else(|| panic!("{text}")).trim_end().to_owned()
}

/// A file that is gone when the test is over.
pub(super) struct File(PathBuf);

impl File {
    pub(super) fn new(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("rollcall-{}-{name}.toml", std::process::id()));
        fs::write(&path, text).unwrap();
        File(path)
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What a server logs.
pub(crate) type Log = BufReader<Said>;

/// How long a server may say nothing to who waits for it.
const SILENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// Its stderr: who waits for a line that does not come is told so.
pub(crate) struct Said(ChildStderr);

impl Read for Said {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&SILENCE))?;
        if ready == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the server says nothing"));
        }
        self.0.read(buffer)
    }
}

/// A server that runs; killed when the test is over.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) screen: String,
    /// The API key that it made, where it was given none.
    pub(crate) key: Option<String>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Running {
        Running::of(&mut rollcall(&[&["--listen", "127.0.0.1:0"], args].concat()))
    }

    /// A server that this command starts; it has to have its screen.
    pub(crate) fn of(command: &mut Command) -> Running {
        let mut child = command.spawn().unwrap();
        let mut screen = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        while !screen.contains("Ctrl-C") {
            assert_ne!(reader.read_line(&mut screen).unwrap(), 0, "it ended: {screen}");
        }
        let url = screen.split("ws://").nth(1).or_else(|| screen.split("wss://").nth(1));
        let address = url.unwrap().split('/').next().unwrap().parse().unwrap();
        let key = screen.split("/#key=").nth(1).and_then(|rest| rest.lines().next()).map(str::to_owned);
        Running { child, address, screen, key }
    }

    /// A page that only the operator may see.
    pub(crate) fn get(&self, path: &str) -> Answer {
        get_with(self.address, path, self.key.as_deref().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn stderr(&mut self) -> Log {
        BufReader::new(Said(self.child.stderr.take().unwrap()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn version_and_help_are_said_on_stdout() {
    let version = run(&["--version"]);
    assert_eq!(stdout(&version), format!("rollcall {}\n", env!("CARGO_PKG_VERSION")));
    let help = run(&["--help"]);
    assert!(help.status.success());
    for part in ["--heartbeat-interval <TIME>", "[default: 25s]", "ROLLCALL_MAX_MESSAGE"] {
        assert!(stdout(&help).contains(part), "{part} is missing in\n{}", stdout(&help));
    }
}

#[test]
fn what_print_says_is_a_file_that_says_the_same() {
    let settings = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(" # ").next().unwrap().trim_end().to_owned()).collect()
    };
    let first = run(&[
        "config",
        "print",
        "--workers=3",
        "--max-message=2MiB",
        "--origin=http://a",
        "--origin=http://b",
    ]);
    let file = File::new("round", stdout(&first));
    let second = run(&["config", "print", "--config", file.path()]);
    assert_eq!(settings(stdout(&first)), settings(stdout(&second)));
    assert!(stdout(&first).contains("max-message = \"2MiB\"") && stdout(&first).contains("# --max-message"));
    assert!(stdout(&second).contains("# file "));
    assert!(run(&["config", "check", "--config", file.path()]).status.success());
}

#[test]
fn the_environment_stands_between_file_and_flag() {
    let file = File::new("between", "workers = 4\ndrain = \"1s\"\nlog-level = \"warn\"\n");
    let output = rollcall(&["config", "print", "--log-level=debug"])
        .env("ROLLCALL_CONFIG", file.path())
        .env("ROLLCALL_DRAIN", "2s")
        .env("ROLLCALL_LOG_LEVEL", "error")
        .output()
        .unwrap();
    for setting in ["workers = 4", "drain = \"2s\"", "log-level = \"debug\""] {
        assert!(stdout(&output).contains(setting), "{setting} is missing in\n{}", stdout(&output));
    }
}

#[test]
fn what_was_asked_wrongly_is_said_in_one_line() {
    let file = File::new("wrong", "# a comment\n\nmax-mesage = \"1MiB\"\n");
    for (args, part) in [
        (&["--lisen", "x"][..], "unexpected argument '--lisen' found; a similar argument exists: '--listen'"),
        (&["serve", "--drain", "5"], "has no unit"),
        (&["--listen", "wss://127.0.0.1:1"], "needs --tls-cert and --tls-key"),
        (&["--listen", "0.0.0.0:0"], "--auth none"),
        (&["--max-frame", "2MiB"], "more than max-message"),
        (&["--config", "/nowhere/rollcall.toml"], "can't read /nowhere/rollcall.toml"),
        (&["--config", file.path()], ".toml:3: unknown setting `max-mesage`; did you mean `max-message`?"),
        (&["config", "check", "--workers", "0"], "--workers: 0 is not within 1 and 1024"),
        (&["config", "check", "--workers", "1", "--max-connections", "268435456"], "raise the limit"),
        (&["config"], "check, print"),
    ] {
        let line = complaint(&run(args), 2);
        assert!(line.contains(part), "{args:?}: {line}");
    }
}

#[test]
fn a_taken_port_is_an_error_and_no_theft() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let running = Running::start(&[]);
    for address in [taken.local_addr().unwrap(), running.address] {
        let line = complaint(&run(&["--listen", &address.to_string()]), 1);
        assert_eq!(
            line,
            format!("{address} is in use by another process; choose another port with --listen")
        );
    }
    assert_eq!(get(running.address, "/healthz").status, 200);
}

#[test]
fn the_screen_says_where_how_many_and_what_next() {
    let running = Running::start(&["--workers", "2", "--max-connections", "1000"]);
    let address = running.address;
    for part in [
        &format!("ws://{address}/ws   ws://{address}/echo   http://{address}/"),
        "2 threads, each with a descriptor table of its own",
        "1,000 connections: as set",
        "silent for 25s: a Ping; unanswered for 20s: dead",
        &format!("curl http://{address}/healthz"),
        &format!("http://{address}/docs"),
        &format!("{} key)\" http://{address}/metrics", env!("CARGO_BIN_EXE_rollcall")),
    ] {
        assert!(running.screen.contains(part), "{part} is missing in\n{}", running.screen);
    }
}

#[test]
fn a_json_log_takes_the_place_of_the_screen() {
    let mut child = rollcall(&["--listen", "127.0.0.1:0", "--log", "json"]).spawn().unwrap();
    let mut line = String::new();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    while !line.contains("listening") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended without listening");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        line.starts_with('{')
            && line.contains("\"message\":\"listening\"")
            && line.contains("\"address\":\"127.0.0.1:"),
        "{line}"
    );
    assert_eq!(stdout(&output), "");
}

#[test]
fn sigterm_sends_everybody_away_and_exits_well() {
    let mut running = Running::start(&["--drain", "200ms", "--workers", "2"]);
    let mut sockets: Vec<_> = (0..8).map(|_| upgrade(running.address, "/echo", &[]).unwrap().0).collect();
    for socket in &mut sockets {
        socket.send(Message::text("here")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("here"));
    }
    running.signal(Signal::TERM);
    for (i, socket) in sockets.iter_mut().enumerate() {
        let end = socket.read();
        assert!(
            matches!(&end, Ok(Message::Close(Some(close))) if u16::from(close.code) == 1001),
            "{i}: {end:?}"
        );
        while socket.read().is_ok() {}
    }
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    running.stderr().read_to_string(&mut log).unwrap();
    assert!(log.contains("draining: 8 connections over 200ms; again to stop at once"), "{log}");
}

#[test]
fn a_second_signal_exits_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut running = Running::start(&["--drain", "1h", "--close-timeout", "1h"]);
        let _held = upgrade(running.address, "/echo", &[]).unwrap();
        let mut stderr = running.stderr();
        let mut log = String::new();
        running.signal(signal);
        while !log.contains("draining: 1 connection over 1h") {
            assert_ne!(stderr.read_line(&mut log).unwrap(), 0, "{log}");
        }
        running.signal(signal);
        assert_eq!(running.child.wait().unwrap().code(), Some(code));
    }
}
