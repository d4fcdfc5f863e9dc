//! Each setting alone, at both ends of what it may be and just beyond: the server starts, or says in a line why not. All settings
//! are here, so that one that makes another impossible is met.

use std::io::Read as _;

use super::binary::{complaint, rollcall, run, stdout};

/// What comes of a value.
enum End {
    /// The server starts.
    Starts,
    /// `config check` says that it would: starting takes more than a test has.
    Would,
    /// It says why not: a part of the line.
    Says(&'static str),
}
use End::{Says, Starts, Would};

const DAY: &str = "24h";

/// The ends of a time between `least` and a day.
fn times(least: &'static str, below: &'static str) -> Vec<(&'static str, End)> {
    let mut ends = vec![(least, Starts), (DAY, Starts), ("86400001ms", Says("is not within"))];
    if !below.is_empty() {
        ends.push((below, Says("is not within")));
    }
    ends
}

fn ends(key: &str) -> Option<Vec<(&'static str, End)>> {
    let pairs = "they go in pairs";
    Some(match key {
        "listen" => {
            vec![
                ("127.0.0.2:0", Starts),
                ("0.0.0.0:0", Says("--auth none")),
                ("127.0.0.1:65536", Says("65535")),
            ]
        }
        "admin-listen" => vec![("127.0.0.1:0", Starts), ("0.0.0.0:0", Says("--auth none"))],
        "unix-mode" => vec![("0", Starts), ("0777", Starts), ("1000", Says("no mode"))],
        "tls-cert" | "tls-key" => vec![("/nowhere.pem", Says(pairs))],
        "tls-client-ca" => vec![("/nowhere.pem", Says("no --listen begins with wss://"))],
        "tls-client-user" => vec![("false", Starts), ("true", Says("--tls-client-ca"))],
        "echo" | "page" => vec![("on", Starts), ("off", Starts)],
        "origin" => {
            vec![("null", Starts), ("https://Example.org:443/", Starts), ("*", Says("not what a browser"))]
        }
        "cors-origin" => vec![
            ("https://example.org", Starts),
            ("*", Says("--api-key-file")),
            ("null", Says("--api-key-file")),
        ],
        "subprotocol" => vec![("chat", Starts), ("a b", Says("characters"))],
        "api-key" => vec![("k", Starts), ("two words", Says("without spaces"))],
        "api-key-file" => vec![("/nowhere", Says("can't read"))],
        "auth" => {
            vec![("none", Starts), ("early", Says("tokens need a key")), ("late", Says("tokens need a key"))]
        }
        "token-secret-file" | "token-public-key" => vec![("/nowhere", Says("can't be read"))],
        "token-jwks" => {
            vec![("http://127.0.0.1:1/keys", Starts), ("http://example.org/keys", Says("https:// is needed"))]
        }
        "token-audience" | "token-issuer" => vec![("me", Says("without a key"))],
        "workers" => vec![
            ("1", Starts),
            ("1024", Would),
            ("0", Says("is not within")),
            ("1025", Says("is not within")),
        ],
        "fd-tables" => vec![("auto", Starts), ("private", Starts), ("shared", Starts)],
        "max-connections" => {
            vec![("1", Starts), ("0", Says("is not within")), ("268435457", Says("is not within"))]
        }
        "max-connections-per-address" => {
            vec![("0", Starts), ("268435456", Starts), ("268435457", Says("is not within"))]
        }
        "max-handshakes-per-address" => {
            vec![("0", Starts), ("5000", Starts), ("5001", Says("is not within"))]
        }
        "trusted-proxy" => vec![
            ("0.0.0.0/0", Starts),
            ("::/0", Starts),
            ("unix", Starts),
            ("10.0.0.1/8", Says("beyond its prefix")),
        ],
        "proxy-protocol" => vec![("false", Starts), ("true", Says("from whom?"))],
        "heartbeat" => vec![("server", Starts), ("client", Starts), ("both", Starts)],
        "heartbeat-interval" | "heartbeat-timeout" | "client-silence" => times("100ms", "99ms"),
        "suspect-after" => times("10ms", "9ms"),
        "heartbeat-text" => vec![("", Starts), ("ping", Starts)],
        "heartbeat-key" => vec![("", Starts), ("heart", Starts)],
        "offline-grace" | "drain" => times("0s", ""),
        "poll-gap" => vec![
            ("5s", Starts),
            ("10m", Starts),
            ("4999ms", Says("is not within")),
            ("11m", Says("is not within")),
        ],
        "max-connections-per-user" => {
            vec![("1", Starts), ("200", Starts), ("0", Says("is not within")), ("201", Says("is not within"))]
        }
        "big-room" => vec![("0", Starts), ("10000", Starts), ("10001", Says("is not within"))],
        "max-commands-per-second" => vec![
            ("1", Starts),
            ("1000000", Starts),
            ("0", Says("is not within")),
            ("1000001", Says("is not within")),
        ],
        "auth-timeout" | "handshake-timeout" | "close-timeout" | "message-timeout" => times("100ms", "99ms"),
        "max-message" => vec![
            ("1B", Starts),
            ("64KiB", Starts),
            ("1GiB", Starts),
            ("0B", Says("is not within")),
            ("1025MiB", Says("is not within")),
        ],
        "max-frame" => vec![
            ("1B", Starts),
            ("1MiB", Starts),
            ("0B", Says("is not within")),
            ("2MiB", Says("more than max-message")),
        ],
        "max-data" => vec![
            ("1B", Starts),
            ("1MiB", Starts),
            ("0B", Says("is not within")),
            ("2MiB", Says("more than max-message")),
        ],
        "max-header" => vec![
            ("1KiB", Starts),
            ("128KiB", Starts),
            ("1023B", Says("is not within")),
            ("129KiB", Says("is not within")),
        ],
        "max-fragments" => vec![("1", Starts), ("4294967295", Starts), ("0", Says("at least 1"))],
        "max-backlog" => vec![
            ("64KiB", Starts),
            ("1GiB", Starts),
            ("65535B", Says("is not within")),
            ("1025MiB", Says("is not within")),
        ],
        "deflate" => vec![("off", Starts), ("shared", Starts), ("per-connection", Starts)],
        "max-memory" => vec![("0B", Starts), ("1B", Starts), ("17179869183GiB", Starts)],
        "drop-oldest" => vec![("*", Starts), ("a room", Starts), ("a*b", Says("neither a room's name"))],
        "history" => vec![
            ("*=1", Starts),
            ("a=b=1000000/720h", Starts),
            ("a", Says("is no rule")),
            ("a*b=1", Says("neither a room's name")),
            ("a=0", Says("no number of messages")),
            ("a=1000001", Says("no number of messages")),
            ("a=1/999ms", Says("an age is from")),
            ("a=1/721h", Says("an age is from")),
            ("a=1/5", Says("has no unit")),
        ],
        "history-bytes" => vec![
            ("1MiB", Starts),
            ("1024GiB", Starts),
            ("1023KiB", Says("is not within")),
            ("1025GiB", Says("is not within")),
        ],
        "exec" => vec![
            ("/cat=cat", Starts),
            ("cat", Says("no /PATH=COMMAND")),
            ("/ws=cat", Says("the server's own")),
            ("/cat=", Says("the command is empty")),
            ("/x=no-such-program", Says("no program")),
        ],
        "exec-dir" => vec![("/bin=/usr/bin/../share", Starts), ("/bin=/nowhere", Says("/nowhere"))],
        "exec-alone" => vec![("false", Starts), ("true", Says("without a command"))],
        "exec-binary" => vec![("true", Starts), ("false", Starts)],
        "exec-stderr" => vec![("log", Starts), ("client", Starts)],
        "exec-user" => vec![("0:0", Starts), ("nobody-of-that-name", Says("no user"))],
        "exec-cwd" => vec![("/", Starts), ("/nowhere", Says("/nowhere"))],
        "exec-env" => vec![("PATH", Starts), ("", Starts)],
        "exec-processes" => vec![
            ("1", Starts),
            ("4194304/0", Starts),
            ("0", Says("is no N or N/M")),
            ("4194305", Says("is no N or N/M")),
            ("1/x", Says("is no N or N/M")),
        ],
        "exec-cpu" => times("1s", "999ms"),
        "exec-memory" => vec![("1MiB", Starts), ("1023KiB", Says("is not within"))],
        "exec-files" => vec![("4", Starts), ("3", Says("is not within"))],
        "exec-time" => vec![("10ms", Starts), ("720h", Starts), ("9ms", Says("is not within"))],
        "exec-patience" => vec![("0s", Starts), ("1m", Starts), ("60001ms", Says("is not within"))],
        "log" => vec![("text", Starts), ("json", Would)],
        "log-level" => vec![("error", Starts), ("trace", Starts)],
        _ => return None,
    })
}

/// Starts a server with one setting, sees that it has its screen, and ends it; or what it said instead.
fn starts(flag: &str) -> Result<(), String> {
    let mut command = rollcall(&[flag]);
    // One that listens says where itself; the first one given is the one that counts.
    if !flag.starts_with("--listen=") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    if !flag.starts_with("--workers=") {
        command.args(["--workers", "1"]);
    }
    let mut child = command.spawn().unwrap();
    let (mut screen, mut byte) = (String::new(), [0; 4096]);
    let mut out = child.stdout.take().unwrap();
    while !screen.contains("Ctrl-C") {
        match out.read(&mut byte).unwrap() {
            0 => break,
            len => screen.push_str(&String::from_utf8_lossy(&byte[..len])),
        }
    }
    let has_started = screen.contains("Ctrl-C");
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    if has_started {
        Ok(())
    } else {
        Err(format!("{:?} {screen}{}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

#[test]
fn each_setting_alone_starts_at_both_ends_or_says_why_not() {
    let printed = run(&["config", "print"]);
    let settings = stdout(&printed).lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    for line in settings {
        let key = line.trim_start_matches('#').split(' ').next().unwrap();
        let ends = ends(key).unwrap_or_else(|| panic!("--{key} has no ends here"));
        for (value, end) in ends {
            let flag = format!("--{key}={value}");
            match end {
                Starts => assert_eq!(starts(&flag), Ok(()), "{flag}"),
                Would => {
                    let checked = run(&["config", "check", &flag]);
                    assert!(checked.status.success(), "{flag}: {checked:?}");
                }
                Says(part) => {
                    let line = complaint(&run(&["config", "check", &flag]), 2);
                    assert!(line.contains(part), "{flag}: {line}");
                }
            }
        }
    }
}

#[test]
fn a_frame_may_be_as_long_as_the_message_that_it_is_part_of() {
    for size in ["64KiB", "4MiB"] {
        let flag = format!("--max-message={size}");
        assert!(run(&["config", "check", &flag]).status.success(), "{flag}");
        assert!(
            run(&["config", "check", &flag, &format!("--max-frame={size}")]).status.success(),
            "it has followed"
        );
    }
}
