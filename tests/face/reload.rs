//! Limits that SIGHUP changes: they count from the next turn on, for all workers, and nobody is dropped for it.

use std::fs;
use std::io::BufRead;

use rustix::process::Signal;
use tungstenite::{Message, WebSocket};

use super::binary::{File, Log, Running};
use super::client::{Patient, get, upgrade};

/// A server by a file that changes.
struct Reloaded {
    file: File,
    running: Running,
    log: Log,
}

/// What no step of these tests changes.
const FIXED: &str = "workers = 2\ntrusted-proxy = [\"127.0.0.0/8\"]\n";

impl Reloaded {
    fn start(name: &str) -> Reloaded {
        let file = File::new(name, FIXED);
        let mut running = Running::start(&["--config", file.path()]);
        let log = running.stderr();
        Reloaded { file, running, log }
    }

    /// The settings from now on; returns the log's line about them.
    fn with(&mut self, settings: &str) -> String {
        fs::write(self.file.path(), format!("{FIXED}{settings}\n")).unwrap();
        self.running.signal(Signal::HUP);
        let mut line = String::new();
        while !line.contains("reloaded") {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "the log ended");
        }
        // The workers were rung; what comes after an answer of each of them finds the new limits.
        for _ in 0..20 {
            get(self.running.address, "/healthz");
        }
        line
    }

    fn connect(&self, path: &str) -> Result<WebSocket<Patient>, u16> {
        self.connect_from("203.0.113.1", path)
    }

    fn connect_from(&self, client: &str, path: &str) -> Result<WebSocket<Patient>, u16> {
        upgrade(self.running.address, path, &[("X-Forwarded-For", client)]).map(|(socket, _)| socket)
    }
}

fn echoes(socket: &mut WebSocket<Patient>, bytes: usize) -> bool {
    socket.send(Message::binary(vec![7; bytes])).unwrap();
    socket.read().is_ok_and(|message| message.is_binary() && message.len() == bytes)
}

#[test]
fn limits_on_who_comes_in_change_and_change_back() {
    let mut server = Reloaded::start("limits-in");
    let mut held: Vec<_> = (0..4).map(|_| server.connect("/echo").unwrap()).collect();

    let line = server.with("max-connections = 2");
    assert!(line.ends_with("settings reloaded: max-connections\n"), "{line}");
    assert_eq!(server.connect("/echo").err(), Some(503));
    let ready = server.running.get("/readyz");
    assert!(ready.status == 503 && ready.body.contains("of 2 connections"), "{}", ready.body);

    server.with("max-connections-per-address = 5");
    held.push(server.connect("/echo").unwrap());
    assert_eq!(server.connect("/echo").err(), Some(429));
    held.push(server.connect_from("203.0.113.2", "/echo").unwrap());

    server.with("max-memory = \"1MiB\"");
    assert_eq!(server.connect("/echo").err(), Some(503));
    assert!(server.running.get("/readyz").body.contains("(--max-memory)"));

    let line = server.with("max-header = \"1KiB\"");
    assert!(line.contains("reloaded: max-header, max-memory") || line.contains("max-memory"), "{line}");
    assert_eq!(get(server.running.address, &format!("/{}", "x".repeat(2000))).status, 431);
    server.with("");
    assert_eq!(get(server.running.address, &format!("/{}", "x".repeat(2000))).status, 404);
    held.push(server.connect("/echo").unwrap());
    assert!(held.iter_mut().all(|socket| echoes(socket, 10)), "nobody was dropped");
}

#[test]
fn limits_on_who_is_in_change_too() {
    let mut server = Reloaded::start("limits-of");
    let mut held: Vec<_> = (0..4).map(|_| server.connect("/echo").unwrap()).collect();
    server.with("max-message = \"1KiB\"\nmax-frame = \"1KiB\"");
    assert!(!echoes(&mut held.pop().unwrap(), 2000));
    assert!(held.iter_mut().all(|socket| echoes(socket, 1000)));
    server.with("");
    assert!(held.iter_mut().all(|socket| echoes(socket, 2000)));

    // Of a user's two connections, made before, both stay; a third one finds the new limit.
    let mut first = server.connect("/ws?user=anna").unwrap();
    let mut second = server.connect("/ws?user=anna").unwrap();
    server.with("max-connections-per-user = 1\nmax-commands-per-second = 1");
    let mut third = server.connect("/ws?user=anna").unwrap();
    for old in [&mut first, &mut second] {
        let closed = loop {
            if let Message::Close(close) = old.read().unwrap() {
                break close.unwrap();
            }
        };
        assert_eq!(u16::from(closed.code), 4409);
    }
    // One a second, over four seconds.
    let command = r#"{"seq":1,"cmd":"presence","params":{"users":[]}}"#;
    (0..10).for_each(|_| third.send(Message::text(command)).unwrap());
    let mut refused = 0;
    for _ in 0..10 {
        refused += usize::from(third.read().unwrap().into_text().unwrap().contains("\"code\":429"));
    }
    assert!((3..=6).contains(&refused), "{refused} of 10 were refused");
}

#[test]
fn the_bound_of_data_changes_too() {
    let mut server = Reloaded::start("limits-data");
    let mut anna = server.connect("/ws?user=anna").unwrap();
    let mut tell = |bytes: usize| {
        let data = "x".repeat(bytes);
        let command = format!(r#"{{"seq":1,"cmd":"tell","params":{{"user":"ben","data":"{data}"}}}}"#);
        anna.send(Message::text(command)).unwrap();
        anna.read().unwrap().into_text().unwrap().to_string()
    };
    assert!(tell(2_000).contains("\"code\":404"), "nobody is there");
    let line = server.with("max-data = \"1KiB\"");
    assert!(line.ends_with("settings reloaded: max-data\n"), "{line}");
    let answer = tell(2_000);
    assert!(answer.contains("\"code\":413") && answer.contains("--max-data"), "{answer}");
    assert!(tell(1_000).contains("\"code\":404"));
    server.with("");
    assert!(tell(2_000).contains("\"code\":404"));
}

#[test]
fn what_does_not_fit_changes_nothing_and_what_needs_a_restart_is_named() {
    let mut server = Reloaded::start("limits-bad");
    let line = server.with("max-connections = 100000000\nmax-message = \"1KiB\"\nmax-frame = \"1KiB\"");
    assert!(line.contains("ERROR") && line.contains("takes a restart"), "{line}");
    assert!(echoes(&mut server.connect("/echo").unwrap(), 2000));
    let line = server.with("max-memory = \"8GiB\"\nclose-timeout = \"1s\"\nheartbeat-interval = \"5s\"");
    let live = "reloaded: close-timeout, max-memory; a restart is needed for heartbeat-interval\n";
    assert!(line.ends_with(live), "{line}");
}
