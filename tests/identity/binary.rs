//! The binary with keys: tokens made on the command line, keys read again, and what is said where something is wrong.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tungstenite::Message;

use super::{RSA, SECRET};
use crate::bounds::PATIENCE;
use crate::face::binary::{Running, complaint, run, stdout};
use crate::face::client::{get, upgrade};

/// A directory that is gone when the test is over.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Files {
        let path = std::env::temp_dir().join(format!("rollcall-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Files(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.0.join(name), bytes).unwrap();
        self.path(name)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn comes_in(server: &Running, token: &str) -> Result<(), u16> {
    upgrade(server.address, &format!("/ws?token={token}"), &[]).map(|_| ())
}

#[test]
fn a_secret_and_a_token_are_made_and_let_their_holder_in() {
    let files = Files::new("made");
    let secret = files.path("secret");
    assert!(run(&["token", "--new-secret", &secret]).status.success());
    assert!(complaint(&run(&["token", "--new-secret", &secret]), 1).contains("is there already"));
    let made = |args: &[&str]| {
        let output = run(&[&["token", "--user", "anna", "--token-secret-file", &secret], args].concat());
        assert!(output.status.success(), "{output:?}");
        stdout(&output).trim().to_owned()
    };
    let token = made(&["--ttl", "1m", "--room", "support.*", "--see", "*", "--info", r#"{"a": 1}"#]);
    let server = Running::start(&["--token-secret-file", &secret, "--log-level", "trace"]);
    assert!(server.screen.contains("by a token"), "{}", server.screen);
    assert_eq!(comes_in(&server, &token), Ok(()));
    assert_eq!(comes_in(&server, ""), Err(401));
    assert_eq!(get(server.address, "/healthz").status, 200);
    let line = complaint(&run(&["token", "--user", "a", "--token-secret-file", &secret, "--info", "{"]), 2);
    assert!(line.contains("not JSON"), "{line}");
}

#[test]
fn sighup_reads_the_keys_again_and_a_bad_file_changes_nothing() {
    let files = Files::new("again");
    let secret = files.write("secret", SECRET);
    let token = || {
        let output = run(&["token", "--user", "anna", "--token-secret-file", &secret]);
        stdout(&output).trim().to_owned()
    };
    let old = token();
    let mut server = Running::start(&["--token-secret-file", &secret]);
    let mut log = server.stderr();
    let mut until = |words: &str| {
        let mut lines = String::new();
        while !lines.contains(words) {
            assert_ne!(std::io::BufRead::read_line(&mut log, &mut lines).unwrap(), 0, "{lines}");
        }
        lines
    };
    let (mut anna, _) = upgrade(server.address, &format!("/ws?token={old}"), &[]).unwrap();
    files.write("secret", b"too short");
    server.signal(Signal::HUP);
    let line = until("stay as they were");
    assert!(line.contains("32 are the least") && !line.contains("too short"), "{line}");
    assert_eq!(comes_in(&server, &old), Ok(()));
    files.write("secret", &[b'k'; 40]);
    server.signal(Signal::HUP);
    until("1 key read again");
    assert_eq!(comes_in(&server, &old), Err(401));
    assert_eq!(comes_in(&server, &token()), Ok(()));
    // Those who came to try are gone after a moment; she is not.
    let end = Instant::now() + PATIENCE;
    while !server.get("/metrics").body.contains("rollcall_websockets 1\n") {
        assert!(Instant::now() < end, "nobody is sent away");
        std::thread::sleep(Duration::from_millis(50));
    }
    anna.send(Message::Ping("there".into())).unwrap();
    while !matches!(anna.read().unwrap(), Message::Pong(_)) {}
}

#[test]
fn what_is_wrong_with_a_key_is_said_in_one_line() {
    let files = Files::new("wrong");
    let (short, private) = (files.write("short", b"short"), files.write("private.pem", RSA[1]));
    for (args, part) in [
        (&["--token-secret-file", &*short][..], "32 are the least"),
        (&["config", "check", "--token-secret-file", &short], "32 are the least"),
        (&["config", "check", "--token-public-key", &private], "openssl pkey -pubout"),
        (&["config", "check", "--token-public-key", "/nowhere/key.pem"], "/nowhere/key.pem can't be read"),
        (&["--auth", "late"], "tokens need a key"),
        (&["--listen", "0.0.0.0:0"], "--token-secret-file"),
        (&["token", "--user", "a*", "--token-secret-file", &short], "--user NAME"),
        (&["token", "--token-secret-file", &short], "--user NAME"),
        (&["token", "--user", "anna"], "--new-secret"),
        (&["token", "--user", "anna", "--token-secret-file", &short], "32 are the least"),
        (&["token", "--user", "anna", "--ttl", "0s", "--token-private-key", &private], "at least 1s"),
        (&["token", "--user", "anna", "--see", "a*b", "--token-private-key", &private], "pattern"),
    ] {
        let line = complaint(&run(args), 2);
        assert!(line.contains(part), "{args:?}: {line}");
    }
    let secret = files.write("secret", SECRET);
    assert!(
        run(&["config", "check", "--token-secret-file", &secret, "--listen", "0.0.0.0:0"]).status.success()
    );
    let token = run(&["token", "--user", "anna", "--token-private-key", &private]);
    assert!(stdout(&token).starts_with("eyJ"));
}

#[test]
fn a_token_is_made_for_an_audience_and_comes_in_where_it_is_asked_for() {
    let files = Files::new("audience");
    let secret = files.write("secret", SECRET);
    let made = |args: &[&str]| {
        let output = run(&[&["token", "--user", "anna", "--token-secret-file", &secret], args].concat());
        stdout(&output).trim().to_owned()
    };
    let (plain, ours) = (made(&[]), made(&["--token-audience", "chat", "--token-issuer", "login"]));
    let theirs = made(&["--token-audience", "shop", "--token-issuer", "login"]);
    let strict = ["--token-secret-file", &secret, "--token-audience", "chat", "--token-issuer", "login"];
    let server = Running::start(&strict);
    assert_eq!([&ours, &plain, &theirs].map(|token| comes_in(&server, token)), [Ok(()), Err(401), Err(401)]);
    let server = Running::start(&["--token-secret-file", &secret]);
    assert_eq!([&ours, &plain, &theirs].map(|token| comes_in(&server, token)), [Err(401), Ok(()), Err(401)]);
}

#[test]
fn where_everybody_shows_a_token_there_is_no_echo_unless_it_is_asked_for() {
    let files = Files::new("echo");
    let secret = files.write("secret", SECRET);
    let echoes = |server: &Running| upgrade(server.address, "/echo", &[]).map(|_| ());
    for (flags, echo) in [
        (&["--token-secret-file", &*secret][..], Err(404)),
        (&["--token-secret-file", &secret, "--auth", "late"], Err(404)),
        (&["--token-secret-file", &secret, "--echo", "on"], Ok(())),
        (&["--token-secret-file", &secret, "--auth", "none"], Ok(())),
        (&["--echo", "off"], Err(404)),
        (&[], Ok(())),
    ] {
        let server = Running::start(flags);
        assert_eq!(echoes(&server), echo, "{flags:?}");
        assert_eq!(get(server.address, "/echo").status, if echo.is_ok() { 426 } else { 404 }, "{flags:?}");
        let named = [&server.screen, &get(server.address, "/").body].map(|text| text.contains("/echo"));
        assert_eq!(named, [echo.is_ok(); 2], "{flags:?}: {}", server.screen);
    }
}

#[test]
fn a_secret_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;

    let files = Files::new("exposed");
    let (secret, keys) = (files.write("secret", SECRET), files.write("keys", b"a-key-of-the-api\n"));
    let config = files.write("config.toml", b"api-key = \"a-key-of-the-api\"\n");
    for (flag, path) in [("--token-secret-file", &secret), ("--api-key-file", &keys), ("--config", &config)] {
        for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            let checked = run(&["config", "check", flag, path]);
            let said = String::from_utf8(checked.stderr).unwrap();
            assert!(checked.status.success(), "{said}");
            assert_eq!(said.contains(&format!("chmod 600 {path}")), warned, "{flag} {mode:o}: {said}");
            assert!(!said.contains("a-key-of"), "{said}");
        }
    }
    let mut server = Running::start(&["--config", &config]);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut server.stderr(), &mut line).unwrap();
    assert!(line.contains("WARN") && line.contains("chmod 600"), "{line}");
}
