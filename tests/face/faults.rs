//! What goes wrong around the binary: its log's disk, its worker, its callbacks, its own end. It says what it is, and nobody
//! suffers more than must be.

use std::fs::{self, File};
use std::io::{BufRead, Read};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rollcall::internals::http::health;
use rollcall::internals::reactor::{Accept, Admission, Answer, ConnId, Context, RequestId, Service};
use rollcall::internals::wire::http::Head;
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;
use rustix::process::Signal;
use tungstenite::{Message, WebSocket};

use super::binary::{self, Log, Running, rollcall};
use super::client::{Patient, get, upgrade};
use crate::bounds::PATIENCE;
use rollcall::internals::cli;

/// What the twin's flags are given in, separated by spaces.
const TWIN: &str = "TWIN_OF_ROLLCALL";

/// The service of the binary's twin: it echoes, and does harm where it is told to.
struct Harm;

impl Service for Harm {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Accept::default())
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, kind: Kind, payload: &[u8]) {
        match payload {
            b"panic" => panic!("as the test asked"),
            b"sleep" => std::thread::sleep(Duration::from_secs(4)),
            b"fill the log" => (0..20_000).for_each(|line| tracing::warn!("line {line} of many")),
            b"where am I" => return cx.send(conn, kind, cx.worker().to_string().as_bytes()).unwrap(),
            _ => {}
        }
        cx.send(conn, kind, payload).unwrap();
    }

    fn request(&mut self, cx: &mut Context<'_, ()>, _: RequestId, _: &Head<'_>, _: &[u8]) -> Answer {
        Answer::Now(health::healthz(cx.shared(), cx.now()))
    }
}

/// The binary with another service, all else being its own: this test, run by [`twin`], is that program.
#[test]
fn program_of_the_twin() {
    let Ok(flags) = std::env::var(TWIN) else { return };
    let args = std::iter::once("rollcall").chain(flags.split(' ')).map(Into::into);
    std::process::exit(cli::run(args, |_, _, _| Harm).into());
}

fn twin(flags: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "face::faults::program_of_the_twin", "--nocapture"])
        .env("RUNTIME_DIRECTORY", binary::RUNTIME)
        .env(TWIN, format!("--listen 127.0.0.1:0 {flags}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn echo(socket: &mut WebSocket<Patient>, text: &str) -> String {
    socket.send(Message::text(text)).unwrap();
    socket.read().unwrap().into_text().unwrap().as_str().to_owned()
}

/// A connection to each of two workers.
fn one_on_each(address: SocketAddr) -> [WebSocket<Patient>; 2] {
    let mut on = [None, None];
    for _ in 0..500 {
        let mut socket = upgrade(address, "/echo", &[]).unwrap().0;
        let worker: usize = echo(&mut socket, "where am I").parse().unwrap();
        on[worker].get_or_insert(socket);
        if on.iter().all(Option::is_some) {
            return on.map(Option::unwrap);
        }
    }
    panic!("the kernel spreads connections over both workers");
}

/// Reads lines up to one that holds `part`.
fn line_with(log: &mut Log, part: &str) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "no {part:?} in\n{all}");
        if line.contains(part) {
            return line;
        }
        all.push_str(&line);
    }
}

/// The exit code, once the process has ended.
fn exit_code(running: &mut Running) -> Option<i32> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = running.child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < end, "half alive: it neither serves nor ends");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_worker_that_panics_is_named_and_the_process_drains_and_ends_with_70() {
    let mut running = Running::of(&mut twin("--workers 2 --drain 300ms --close-timeout 1s"));
    let [mut doomed, mut other] = one_on_each(running.address);
    doomed.send(Message::text("panic")).unwrap();
    let end = other.read();
    assert!(matches!(&end, Ok(Message::Close(Some(close))) if u16::from(close.code) == 1001), "{end:?}");
    while other.read().is_ok() {}
    assert_eq!(exit_code(&mut running), Some(70));
    let mut said = String::new();
    running.stderr().read_to_string(&mut said).unwrap();
    let line = said.lines().find(|line| line.contains("rollcall-0 panicked at")).unwrap_or_default();
    assert!(line.ends_with(": as the test asked"), "{said}");
    assert!(said.contains("rollcall: worker 0 panicked: this is a bug"), "{said}");
}

#[test]
fn a_panic_ends_the_process_also_where_nobody_reads_its_log() {
    let mut running = Running::of(&mut twin("--workers 2 --drain 300ms --close-timeout 1s"));
    let [mut doomed, mut other] = one_on_each(running.address);
    // More than the pipe holds: whoever writes to it now waits for a reader that never comes.
    assert_eq!(echo(&mut other, "fill the log"), "fill the log");
    assert_eq!(echo(&mut other, "and on"), "and on", "a log that is stuck slows no connection");
    doomed.send(Message::text("panic")).unwrap();
    assert_eq!(exit_code(&mut running), Some(70));
}

#[test]
fn a_callback_that_takes_too_long_is_named_with_its_worker() {
    let mut running = Running::of(&mut twin("--workers 2 --drain 0s"));
    let mut log = running.stderr();
    let [_, mut slow] = one_on_each(running.address);
    slow.send(Message::text("sleep")).unwrap();
    let line = line_with(&mut log, "is stuck");
    assert!(
        line.contains("worker 1 is stuck: 2") && line.contains(" ms in one turn, at connections"),
        "{line}"
    );
    assert_eq!(slow.read().unwrap(), Message::text("sleep"));
    assert!(line_with(&mut log, "turns again").contains("worker 1"));
}

#[test]
fn a_full_disk_under_the_log_stops_nothing() {
    let mut command = rollcall(&["--listen", "127.0.0.1:0", "--log-level", "trace", "--drain", "0s"]);
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut running = Running::of(command.stderr(full()));
    for _ in 0..50 {
        let mut socket = upgrade(running.address, "/echo", &[]).unwrap().0;
        assert_eq!(echo(&mut socket, "here"), "here");
    }
    assert_eq!(get(running.address, "/healthz").status, 200);
    running.signal(Signal::TERM);
    assert_eq!(exit_code(&mut running), Some(0));
    // Nor does a complaint that can't be written change what the exit code says.
    assert_eq!(rollcall(&["--lisen"]).stderr(full()).status().unwrap().code(), Some(2));
}

#[test]
fn sighup_reloads_the_log_level_and_drops_nobody() {
    let file = binary::File::new("reloaded", "log-level = \"info\"\ndrain = \"0s\"\n");
    let mut running = Running::start(&["--config", file.path(), "--workers", "1"]);
    let mut log = running.stderr();
    let mut held = upgrade(running.address, "/echo", &[]).unwrap().0;

    fs::write(file.path(), "log-level = \"debug\"\ndrain = \"1s\"\n").unwrap();
    running.signal(Signal::HUP);
    let line = line_with(&mut log, "reloaded");
    assert!(line.contains("settings reloaded: log-level; a restart is needed for drain"), "{line}");
    let _opened_and_logged = upgrade(running.address, "/echo", &[]).unwrap();
    line_with(&mut log, "opened");

    fs::write(file.path(), "log-level = \"loud\"\n").unwrap();
    running.signal(Signal::HUP);
    let line = line_with(&mut log, "reloaded");
    assert!(line.contains("ERROR") && line.contains("goes on as before") && line.contains("loud"), "{line}");

    fs::write(file.path(), "log-level = \"info\"\ndrain = \"0s\"\n").unwrap();
    running.signal(Signal::HUP);
    assert!(line_with(&mut log, "reloaded").ends_with("reloaded: log-level\n"));
    assert_eq!(echo(&mut held, "still here"), "still here");
    running.signal(Signal::TERM);
    assert_eq!(exit_code(&mut running), Some(0));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("draining: 2 connections") && !rest.contains("DEBUG"), "{rest}");
}

#[test]
fn a_flag_outlives_a_reload() {
    let file = binary::File::new("flag", "log-level = \"info\"\n");
    let mut running = Running::start(&["--config", file.path(), "--log-level", "warn", "--drain", "0s"]);
    let mut log = running.stderr();
    fs::write(file.path(), "log-level = \"debug\"\n").unwrap();
    running.signal(Signal::HUP);
    running.signal(Signal::TERM);
    assert_eq!(exit_code(&mut running), Some(0));
    let mut all = String::new();
    log.read_to_string(&mut all).unwrap();
    assert_eq!(all, "", "nothing at info is said");
}

#[test]
fn killed_and_started_again_it_has_its_port_and_its_clients_back() {
    let mut first = Running::start(&["--workers", "2"]);
    let address = first.address;
    let mut held: Vec<_> = (0..20).map(|_| upgrade(address, "/ws?user=anna", &[]).unwrap().0).collect();
    first.signal(Signal::KILL);
    first.child.wait().unwrap();
    // At once, while the kernel still buries the connections of the first.
    let second = Running::of(&mut rollcall(&["--listen", &address.to_string(), "--workers", "2"]));
    assert_eq!(second.address, address);
    for socket in &mut held {
        while socket.read().is_ok() {}
        *socket = upgrade(address, "/echo", &[]).unwrap().0;
        assert_eq!(echo(socket, "back"), "back");
    }
    assert_eq!(get(address, "/healthz").status, 200);
}
