//! The API key that a server makes for its run: where it stands, who prints it, what is refused without it, and what the log says.

use std::fs;
use std::io::{BufRead as _, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use super::binary::{Running, complaint, rollcall, stdout};
use super::client::{Answer, Http, bearer, get, get_with, upgrade};

/// A runtime directory of a test's own, that is gone when the test is over.
struct Runtime(PathBuf);

impl Runtime {
    fn new(name: &str) -> Runtime {
        let path = std::env::temp_dir().join(format!("rollcall-{}-key-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Runtime(path)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = rollcall(args);
        command.env("RUNTIME_DIRECTORY", &self.0);
        command
    }

    fn start(&self, args: &[&str]) -> Running {
        Running::of(&mut self.command(&[&["--listen", "127.0.0.1:0"], args].concat()))
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// What `rollcall key` prints.
    fn key(&self, args: &[&str]) -> String {
        let output = self.command(&[&["key"], args].concat()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        stdout(&output).trim().to_owned()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ask(address: SocketAddr, line: &str, lines: &str, body: &str) -> Answer {
    let mut http = Http::connect(address);
    http.send(&format!(
        "{line} HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    http.answer(false)
}

/// Reads the log up to a line that holds `part`; returns all of it.
fn log_until(log: &mut super::binary::Log, part: &str) -> String {
    let mut all = String::new();
    while !all.lines().last().unwrap_or_default().contains(part) {
        assert_ne!(log.read_line(&mut all).unwrap(), 0, "no {part} in\n{all}");
    }
    all
}

#[test]
fn the_key_of_the_run_is_on_the_screen_and_in_a_file_of_the_users_own() {
    let runtime = Runtime::new("file");
    let (mut first, second) = (runtime.start(&[]), runtime.start(&[]));
    let (key, other) = (first.key.clone().unwrap(), second.key.clone().unwrap());
    assert!(key != other && key.len() >= 22, "128 bits in base64");
    assert!(first.screen.contains(&format!("http://{}/#key={key}", first.address)), "{}", first.screen);
    for file in runtime.files() {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    // Of several, one has to be named.
    assert_eq!(runtime.key(&[&first.address.port().to_string()]), key);
    assert_eq!(runtime.key(&[&second.address.to_string()]), other);
    let several = complaint(&runtime.command(&["key"]).output().unwrap(), 2);
    assert!(several.contains(&first.address.to_string()) && !several.contains(&key), "{several}");
    // One that ends takes its file along; one that is killed is not taken for one that runs.
    first.signal(Signal::TERM);
    assert_eq!(first.child.wait().unwrap().code(), Some(0));
    assert_eq!(runtime.files().len(), 1);
    assert_eq!(runtime.key(&[]), other);
    drop(second);
    let none = complaint(&runtime.command(&["key"]).output().unwrap(), 1);
    assert!(none.contains("no server") && none.contains("--api-key-file"), "{none}");
    assert_eq!(runtime.files().len(), 0, "the dead one's file is removed");
}

#[test]
fn without_the_key_nothing_makes_a_request_the_operators() {
    let running = Running::start(&["--max-connections", "1000"]);
    let (address, key) = (running.address, running.key.clone().unwrap());
    let authorized = format!("Authorization: Bearer {key}\r\n");
    for host in [&address.to_string(), "localhost", "127.0.0.1", "[::1]", "presence.example.org"] {
        for line in
            ["GET /api/v1/users", "GET /metrics", "POST /api/v1/broadcast", "POST /api/v1/users/a/disconnect"]
        {
            let lines = format!("Host: {host}\r\n");
            let refused = ask(address, line, &lines, r#"{"data":1}"#);
            assert_eq!(
                (refused.status, refused.field("WWW-Authenticate")),
                (401, Some("Bearer")),
                "{host} {line}"
            );
            assert_eq!(refused.field("Content-Type"), Some("application/json"), "{line}");
            let help = ["rollcall key", "--api-key-file"];
            assert!(help.iter().all(|part| refused.body.contains(part)), "{}", refused.body);
            let admitted = ask(address, line, &format!("{lines}{authorized}"), r#"{"data":1}"#);
            assert!([200, 404].contains(&admitted.status), "{host} {line}: {}", admitted.status);
        }
    }
    // No response carries it.
    for path in ["/", "/page.js", "/rollcall.js", "/healthz", "/readyz", "/metrics", "/api/v1/stats"] {
        for accept in ["*/*", "text/html"] {
            let lines = format!("Host: a\r\nAccept: {accept}\r\n{authorized}");
            let answer = ask(address, &format!("GET {path}"), &lines, "");
            assert!(!format!("{answer:?}").contains(&key), "{path}");
        }
    }
}

#[test]
fn readyz_gives_figures_to_the_operator_alone() {
    let running = Running::start(&["--max-connections", "1"]);
    let (address, key) = (running.address, running.key.clone().unwrap());
    let _held = upgrade(address, "/echo", &[]).unwrap();
    let ready = |authorization: &str| {
        let answer = ask(address, "GET /readyz", &format!("Host: a\r\n{authorization}"), "");
        (answer.status, answer.body)
    };
    assert_eq!(ready(""), (503, "unavailable\n".to_owned()));
    assert_eq!(ready("Authorization: Bearer wrong\r\n"), (503, "unavailable\n".to_owned()));
    let (status, told) = ready(&format!("Authorization: Bearer {key}\r\n"));
    assert!(status == 503 && told.contains("of 1 connections"), "{told}");
    assert_eq!(get(address, "/healthz").body, "ok\n");
}

#[test]
fn a_unix_socket_and_an_admin_address_ask_for_no_key() {
    let runtime = Runtime::new("doors");
    let socket = runtime.0.join("socket");
    let unix = format!("unix:{}", socket.display());
    let _running = runtime.start(&["--listen", &unix]);
    let over_unix = |lines: &str| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for (lines, status) in [
        ("", "200"),
        ("Authorization: Bearer wrong\r\n", "401"),
        ("Origin: https://example.org\r\n", "403"),
        ("X-Forwarded-For: 203.0.113.7\r\n", "401"),
    ] {
        assert_eq!(over_unix(lines), status, "{lines}");
    }

    let running = Running::start(&["--admin-listen", "127.0.0.1:0"]);
    let admin = running.screen.lines().find(|line| line.contains("admin ")).unwrap();
    let admin: SocketAddr =
        admin.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    for (lines, status) in [
        (format!("Host: {admin}\r\n"), 200),
        (format!("Host: {admin}\r\nAuthorization: Bearer wrong\r\n"), 401),
        (format!("Host: {admin}\r\nOrigin: https://example.org\r\n"), 403),
        ("Host: rebound.example.org\r\n".to_owned(), 403),
    ] {
        for path in ["/metrics", "/api/v1/stats"] {
            assert_eq!(ask(admin, &format!("GET {path}"), &lines, "").status, status, "{path} {lines}");
            let public = ask(running.address, &format!("GET {path}"), &lines, "").status;
            assert_eq!(public, 404, "it is on the admin address alone");
        }
    }
}

#[test]
fn writes_and_refused_requests_leave_a_line_that_nobody_can_forge() {
    let mut running = Running::start(&["--workers", "1", "--trusted-proxy", "127.0.0.0/8"]);
    let (address, key) = (running.address, running.key.clone().unwrap());
    let mut log = running.stderr();
    let authorized = format!("Host: a\r\nAuthorization: Bearer {key}\r\nX-Forwarded-For: 203.0.113.7\r\n");
    ask(address, "POST /api/v1/broadcast", &authorized, r#"{"data":"a secret"}"#);
    let line = log_until(&mut log, "api write");
    for part in
        [r#"from="203.0.113.7""#, "by=key 1", r#"method="POST""#, r#"path="/api/v1/broadcast""#, "status=200"]
    {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
    assert!(!line.contains("secret") && !line.contains(&key), "{line}");
    ask(address, "POST /api/v1/rooms/hall/join", &authorized, r#"{"user":"anna"}"#);
    let line = log_until(&mut log, "api write");
    assert!(
        [r#"user="anna""#, r#"room="hall""#, "status=404"].iter().all(|part| line.contains(part)),
        "{line}"
    );
    assert!(!line.contains("for="), "{line}");
    for (path, body, told) in [
        ("rooms/hall/ban", r#"{"user":"anna","for":"10m"}"#, r#"user="anna" room="hall" for=600 status=200"#),
        ("users/ben/disconnect", r#"{"for":90}"#, r#"user="ben" for=90 status=200"#),
    ] {
        ask(address, &format!("POST /api/v1/{path}"), &authorized, body);
        let line = log_until(&mut log, "api write");
        assert!(line.contains(told), "{line}");
    }
    // A path can hold no line end of its own, and one that is encoded stays so.
    let forged = "POST /api/v1/users/x%0a%1b[31mINFO%20api%20write/tell";
    ask(address, forged, &authorized, r#"{"data":1}"#);
    let line = log_until(&mut log, "api write");
    assert!(line.contains("x%0a%1b[31mINFO") && line.contains("status=400"), "{line}");

    for _ in 0..50 {
        let wrong = "Host: a\r\nAuthorization: Bearer guess\r\nX-Forwarded-For: 203.0.113.9\r\n";
        assert_eq!(ask(address, "DELETE /api/v1/users/anna", wrong, "").status, 401);
    }
    let lines = log_until(&mut log, "api refused further requests");
    let refused = lines.lines().filter(|line| line.contains("api refused") && line.contains("from=")).count();
    assert!((5..50).contains(&refused), "{lines}");
    assert!(
        lines.contains(r#"from="203.0.113.9" method="DELETE" path="/api/v1/users/anna" status=401"#),
        "{lines}"
    );
    assert!(!lines.contains("guess"), "{lines}");
}

#[test]
fn whom_a_proxy_header_names_stands_in_the_log() {
    let flags = ["--trusted-proxy", "127.0.0.0/8", "--proxy-protocol"];
    let mut running = Running::start(&flags);
    let mut log = running.stderr();
    let mut http = Http::connect(running.address);
    let line = format!("POST /api/v1/broadcast HTTP/1.1\r\nHost: a\r\n{}\r\n", bearer("wrong"));
    http.send(&format!("PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n{line}"));
    assert_eq!(http.answer(false).status, 401);
    assert!(log_until(&mut log, "api refused").contains(r#"from="203.0.113.7""#));
    // Also of the requests that follow on the same connection.
    http.send(&line);
    assert_eq!(http.answer(false).status, 401);
    assert!(log_until(&mut log, "api refused").contains(r#"from="203.0.113.7""#));
}

#[test]
fn a_log_in_the_place_of_the_screen_has_no_key_in_it() {
    let runtime = Runtime::new("log");
    let flags = ["--listen", "127.0.0.1:0", "--log", "json", "--log-level", "trace"];
    let mut child = runtime.command(&flags).spawn().unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("\"listening\"") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let key = runtime.key(&[]);
    let address = said.split("\"address\":\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    assert_eq!(get_with(address, "/metrics", &key).status, 200);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    log.read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(!said.contains(&key), "{said}");
}
