//! The API of the binary: its door, its manners over HTTP, and every line that the manual shows.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tungstenite::Message;

use super::binary::{File, Running, complaint, rollcall, run};
use super::client::{Answer, Http, bearer, upgrade};

/// A request with further lines in its head.
fn ask(address: SocketAddr, line: &str, lines: &str, body: &str) -> Answer {
    let mut http = Http::connect(address);
    let host = if lines.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    http.send(&format!("{line} HTTP/1.1\r\n{host}{lines}{length}\r\n{body}"));
    http.answer(line.starts_with("HEAD"))
}

/// The sentence of a refusal.
fn error(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
    body["error"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

#[test]
fn every_line_of_the_manual_works() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("left out: there is no curl here to run the manual's lines with");
        return;
    }
    let chapter = include_str!("../../src/manual/api.md");
    let lines: Vec<&str> = chapter.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(lines.len() >= 12, "{lines:?}");
    let runtime = std::env::temp_dir().join(format!("rollcall-{}-manual", std::process::id()));
    let mut command = rollcall(&["--listen", "127.0.0.1:0", "--workers", "3"]);
    let running = Running::of(command.env("RUNTIME_DIRECTORY", &runtime));
    let path = Path::new(env!("CARGO_BIN_EXE_rollcall")).parent().unwrap().to_str().unwrap().to_owned();
    let path = format!("{path}:{}", std::env::var("PATH").unwrap_or_default());
    let (mut anna, _) =
        upgrade(running.address, "/ws?user=anna", &[("Sec-WebSocket-Protocol", "rollcall.v1")]).unwrap();
    anna.send(Message::text(r#"{"seq":1,"cmd":"join","params":{"room":"lobby"}}"#)).unwrap();
    while !anna.read().unwrap().to_text().unwrap().contains("\"seq\":1") {}
    for line in lines {
        let command = line.replace("127.0.0.1:8080", &running.address.to_string());
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{command} -sS --max-time 20")]);
        let output = shell.env("PATH", &path).env("RUNTIME_DIRECTORY", &runtime).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let body: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"));
        assert!(output.status.success() && body["error"].is_null(), "{line}: {text}");
    }
    loop {
        match anna.read().unwrap() {
            Message::Close(Some(close)) => break assert_eq!(u16::from(close.code), 4403),
            _ => continue,
        }
    }
    let _ = fs::remove_dir_all(&runtime);
}

#[test]
fn a_page_reads_the_answer_where_its_origin_is_named() {
    let running = Running::start(&["--cors-origin", "http://localhost:3000"]);
    let stats = "GET /api/v1/stats";
    let page = "Origin: http://localhost:3000\r\nSec-Fetch-Site: cross-site\r\n";
    let refused = ask(running.address, stats, page, "");
    assert!(refused.status == 401 && error(&refused).contains("rollcall key"), "{refused:?}");
    assert_eq!(refused.field("Access-Control-Allow-Origin"), Some("http://localhost:3000"), "and why");
    let key = bearer(running.key.as_deref().unwrap());
    let listed = ask(running.address, stats, &format!("{page}{key}"), "");
    assert_eq!(listed.status, 200);
    assert_eq!(listed.field("Access-Control-Allow-Origin"), Some("http://localhost:3000"));
    assert_eq!(listed.field("Vary"), Some("Origin"));
    let other = ask(running.address, stats, &format!("Origin: https://example.org\r\n{key}"), "");
    assert_eq!(other.field("Access-Control-Allow-Origin"), None);
    let lines = format!("Content-Type: text/plain\r\n{key}");
    let form = ask(running.address, "POST /api/v1/broadcast", &lines, r#"{"data":1}"#);
    assert!(form.status == 415 && error(&form).contains("application/json"), "{form:?}");
}

#[test]
fn a_browser_that_asks_first_is_told_what_a_page_may() {
    let running = Running::start(&["--cors-origin", "https://app.example", "--api-key", "some-key"]);
    let asks = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n";
    for (origin, may) in [("https://app.example", true), ("https://other.example", false)] {
        let lines = format!("Origin: {origin}\r\n{asks}");
        let answer = ask(running.address, "OPTIONS /api/v1/users/anna/tell", &lines, "");
        assert_eq!((answer.status, answer.field("Vary")), (204, Some("Origin")));
        assert_eq!(answer.field("Access-Control-Allow-Origin"), may.then_some(origin));
        assert_eq!(answer.field("Access-Control-Allow-Methods"), may.then_some("POST, OPTIONS"));
        assert_eq!(answer.field("Access-Control-Allow-Headers").is_some(), may);
    }
    let refused = ask(running.address, "GET /api/v1/users", "Origin: https://app.example\r\n", "");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.field("Access-Control-Allow-Origin"), Some("https://app.example"), "a page sees why");
}

#[test]
fn http_is_spoken_as_elsewhere() {
    let running = Running::start(&[]);
    let address = running.address;
    let key = bearer(running.key.as_deref().unwrap());
    let ask = |line: &str, lines: &str| ask(address, line, &format!("{key}{lines}"), "");
    let json = "Content-Type: application/json\r\n";
    let get = ask("GET /api/v1/users", "");
    let head = ask("HEAD /api/v1/users", "");
    assert_eq!((head.status, head.field("Content-Length")), (200, get.field("Content-Length")));
    let wrong = ask("DELETE /api/v1/users", "");
    assert_eq!((wrong.status, wrong.field("Allow")), (405, Some("GET, HEAD, OPTIONS")));
    assert!(error(&wrong).contains("DELETE"));
    assert_eq!(ask("OPTIONS /api/v1/broadcast", "").field("Allow"), Some("POST, OPTIONS"));
    for path in ["users/anna", "rooms/r"] {
        let line = format!("OPTIONS /api/v1/{path}");
        assert_eq!(ask(&line, "").field("Allow"), Some("GET, HEAD, DELETE, OPTIONS"));
    }
    let (get, head) =
        (ask("GET /api/v1/rooms/r/history", ""), ask("HEAD /api/v1/rooms/r/history?limit=1", ""));
    assert_eq!(
        (get.status, head.status, head.field("Content-Length")),
        (404, 404, get.field("Content-Length"))
    );
    for (line, status) in [
        ("GET /api/v1/users/a%2", 400),
        ("GET /api/v1/users/a%2Fb", 404),
        ("GET /api/v1/users/a%2A", 400),
        ("GET /api/v1/users?limit=x", 400),
        ("GET /api", 404),
        ("GET /api/v1/nothing", 404),
        ("OPTIONS /api/v1/nothing", 404),
    ] {
        let answer = ask(line, "");
        assert_eq!(answer.status, status, "{line}");
        error(&answer);
    }
    let too_large = format!("{json}Content-Length: 9999999\r\n");
    let answer = ask("POST /api/v1/broadcast", &too_large);
    assert_eq!(answer.status, 413);
    error(&answer);

    let mut http = Http::connect(address);
    let host = format!("Host: {address}\r\n{key}");
    http.send(&format!(
        "POST /api/v1/broadcast HTTP/1.1\r\n{host}{json}Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    ));
    assert_eq!(http.answer(false).status, 100);
    http.send("5\r\n{\"dat\r\n5\r\na\":1}\r\n0\r\n\r\n");
    assert_eq!(http.answer(false).body, "{\"delivered\":0,\"missed\":0,\"done\":true}\n");
    // Pipelined requests are answered in their order, though the first needs homes and the second none.
    http.send(&format!("GET /api/v1/rooms HTTP/1.1\r\n{host}\r\nGET /healthz HTTP/1.1\r\n{host}\r\n"));
    assert_eq!(http.answer(false).body, "{\"rooms\":[],\"next\":null}\n");
    assert_eq!(http.answer(false).body, "ok\n");
}

#[test]
fn with_admin_addresses_it_is_there_only() {
    let running = Running::start(&["--admin-listen", "127.0.0.1:0"]);
    assert_eq!(ask(running.address, "GET /api/v1/stats", "", "").status, 404);
    let admin = running.screen.lines().find(|line| line.contains("admin")).unwrap();
    let admin = admin.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    assert_eq!(ask(admin, "GET /api/v1/stats", "", "").status, 200);
}

#[test]
fn keys_are_asked_for_reloaded_and_never_shown() {
    let file = File::new("keys", "# operators\nfirst-secret\nsecond-secret\n");
    let mut running =
        Running::start(&["--api-key-file", file.path(), "--api-key", "third-secret", "--log-level", "trace"]);
    let address = running.address;
    let status = |key: &str| {
        let lines = format!("Host: example.org\r\nAuthorization: Bearer {key}\r\n");
        ask(address, "GET /api/v1/stats", &lines, "").status
    };
    assert_eq!(
        ["first-secret", "second-secret", "third-secret", "wrong-secret"].map(status),
        [200, 200, 200, 401]
    );
    let none = ask(address, "GET /api/v1/stats", "", "");
    assert_eq!((none.status, none.field("WWW-Authenticate")), (401, Some("Bearer")));
    assert!(error(&none).contains("Authorization: Bearer"));
    assert_eq!(running.key, None, "none is made beside those that were given");
    // A file that can't be read leaves everything as it was.
    fs::write(file.path(), "# nothing left\n").unwrap();
    running.signal(Signal::HUP);
    let mut log = String::new();
    let mut stderr = running.stderr();
    while !log.contains("stay as they were") {
        assert_ne!(std::io::BufRead::read_line(&mut stderr, &mut log).unwrap(), 0, "{log}");
    }
    assert_eq!(status("first-secret"), 200);
    fs::write(file.path(), "fourth-secret\n").unwrap();
    running.signal(Signal::HUP);
    let end = Instant::now() + Duration::from_secs(30);
    while status("fourth-secret") != 200 {
        assert!(Instant::now() < end, "the new key never works");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(["first-secret", "third-secret"].map(status), [401, 200]);
    running.signal(Signal::TERM);
    std::io::Read::read_to_string(&mut stderr, &mut log).unwrap();
    assert!(!log.contains("secret"), "{log}");
    assert!(!running.screen.contains("secret"));
}

#[test]
fn a_key_is_in_no_message() {
    let print = rollcall(&["config", "print", "--api-key", "top-secret"]).output().unwrap();
    let text = String::from_utf8(print.stdout).unwrap();
    assert!(text.contains("#api-key =") && text.contains("--api-key; not shown"), "{text}");
    assert!(!text.contains("top-secret"));
    let number = File::new("number", "api-key = 4711\n");
    let list = File::new("list", "good\nhalf secret\n");
    for (args, part) in [
        (&["config", "check", "--api-key", "top secret"][..], "without spaces"),
        (&["config", "check", "--config", number.path()], "api-key: a key stands in quotes"),
        (&["config", "check", "--api-key-file", list.path()], "line 2"),
        (&["config", "check", "--api-key-file", "/nowhere/keys"], "can't read /nowhere/keys"),
        (&["config", "check", "--cors-origin", "*"], "--api-key-file"),
        (&["config", "check", "--cors-origin", "example.org"], "--cors-origin: `example.org`"),
    ] {
        let line = complaint(&run(args), 2);
        assert!(
            line.contains(part) && !line.contains("secret") && !line.contains("4711"),
            "{args:?}: {line}"
        );
    }
}
