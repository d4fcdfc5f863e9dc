//! The edges that must never exist between the layers, checked on the sources: each failure names file, line and what to
//! do instead. The layers are drawn in the crate's documentation.

use super::sources::{self, Named, code, paths};

/// What may not be named where.
struct Rule {
    /// Files and directories that the rule is for.
    within: &'static [&'static str],
    /// Files and directories in them that it isn't for.
    but: &'static [&'static str],
    /// What may not be named there.
    never: Never,
    instead: &'static str,
}

enum Never {
    /// These paths, and what lies below them.
    Below(&'static [&'static str]),
    /// Anything below the first but what lies below one of the others.
    BelowBut(&'static str, &'static [&'static str]),
    /// A path that has this in it, a single word too.
    Having(&'static [&'static str]),
}

/// Where a worker's turn runs.
const DATA_PATH: &[&str] = &[
    "src/conn",
    "src/http",
    "src/identity",
    "src/presence",
    "src/protocol",
    "src/reactor",
    "src/service",
    "src/session",
    "src/wire",
    "src/limits.rs",
    "src/limits",
    "src/slots.rs",
    "src/time",
    "src/json.rs",
    "src/der.rs",
];

const RULES: &[Rule] = &[
    Rule {
        within: &[
            "src/wire",
            "src/conn",
            "src/presence",
            "src/protocol",
            "src/session",
            "src/identity",
            "src/json.rs",
            "src/der.rs",
        ],
        but: &[],
        never: Never::Below(&[
            "std::net",
            "std::thread",
            "std::fs",
            "std::os",
            "std::io::stdout",
            "std::time::Instant",
            "std::time::SystemTime",
            "mio",
            "socket2",
            "rustix",
            "libc",
            "tracing",
        ]),
        instead: "these layers are pure: take bytes and a Tick in, give events and bytes out; the reactor has the socket and the clock",
    },
    Rule {
        within: &["src/wire"],
        but: &[],
        never: Never::BelowBut("crate", &["crate::wire", "crate::limits", "crate::time"]),
        instead: "wire knows only limits and time; pass what it needs as an argument",
    },
    Rule {
        within: &["src/conn"],
        but: &[],
        never: Never::BelowBut("crate", &["crate::conn", "crate::wire", "crate::limits", "crate::time"]),
        instead: "a connection is a machine that knows no worker: tell it what happened, and carry out what it answers",
    },
    Rule {
        within: &["src/presence"],
        but: &[],
        never: Never::BelowBut("crate", &["crate::presence", "crate::limits", "crate::slots", "crate::time"]),
        instead: "presence knows only limits, slots and time; give out an effect and let the service carry it out",
    },
    Rule {
        within: &["src/presence"],
        but: &[],
        never: Never::Below(&["serde_json"]),
        instead: "presence speaks data: what is read and written is the codecs' business, in protocol",
    },
    Rule {
        within: &["src/protocol"],
        but: &[],
        never: Never::BelowBut(
            "crate",
            &[
                "crate::protocol",
                "crate::presence",
                "crate::json",
                "crate::limits",
                "crate::time",
                "crate::wire::close",
            ],
        ),
        instead: "a codec turns bytes into commands and events into bytes; whoever has the connection sends them",
    },
    Rule {
        within: &["src/identity"],
        but: &[],
        never: Never::BelowBut(
            "crate",
            &["crate::identity", "crate::der", "crate::json", "crate::limits", "crate::time"],
        ),
        instead: "identity knows only JSON, DER, limits and time; give out claims and let the service make of them what it goes by",
    },
    Rule {
        within: &["src/session"],
        but: &[],
        never: Never::BelowBut("crate", &["crate::session", "crate::limits", "crate::time"]),
        instead: "a session knows no connection and no worker: take time and the way back of an answer as arguments",
    },
    Rule {
        within: &["src/outbound"],
        but: &[],
        never: Never::BelowBut(
            "crate",
            &["crate::outbound", "crate::identity", "crate::json", "crate::limits", "crate::time"],
        ),
        instead: "outbound asks others and knows no worker: hand what comes to a value that workers read, or to a queue",
    },
    Rule {
        within: &["src"],
        but: &["src/outbound"],
        never: Never::Below(&["ureq", "rustls_native_certs"]),
        instead: "requests to others are made in outbound, on a thread of its own, and block nobody",
    },
    Rule {
        within: &["src/reactor", "src/service", "src/http"],
        but: &[],
        never: Never::Below(&["crate::outbound"]),
        instead: "nothing that runs in a turn asks others; read what outbound has published",
    },
    Rule {
        within: &["src"],
        but: &["src/identity"],
        never: Never::Below(&["jsonwebtoken", "ring::signature", "ring::agreement", "ring::hmac"]),
        instead: "tokens are verified in identity; what others need of them is claims",
    },
    Rule {
        within: &["src/reactor"],
        but: &[],
        never: Never::Below(&[
            "crate::service",
            "crate::http",
            "crate::protocol",
            "crate::presence",
            "crate::session",
            "crate::identity",
        ]),
        instead: "the reactor owns the trait Service and knows nobody who implements it: add a method to the trait",
    },
    Rule {
        within: &["src"],
        but: &["src/reactor/tls"],
        never: Never::Below(&["rustls", "ring::aead"]),
        instead: "TLS lies between the socket and the bytes: ask the Context what it found out",
    },
    Rule {
        within: &["src/reactor/tls"],
        but: &[],
        never: Never::BelowBut("crate::reactor", &["crate::reactor::tls", "crate::reactor::ids"]),
        instead: "TLS is a transport: bytes in, bytes out; what a worker does about a connection stands in secure.rs",
    },
    Rule {
        within: &["src/time/wheel.rs", "src/reactor/mailbox.rs"],
        but: &[],
        never: Never::BelowBut("crate::reactor", &["crate::reactor::ids"]),
        instead: "these move keys and bytes; let the worker hand them in",
    },
    Rule {
        within: &["src/service", "src/http"],
        but: &[],
        never: Never::Below(&[
            "mio",
            "socket2",
            "rustix",
            "libc",
            "std::net",
            "std::os",
            "std::thread",
            "crate::sys",
        ]),
        instead: "a service is policy: send, close and post through its Context",
    },
    Rule {
        within: &["src/service"],
        but: &[],
        never: Never::Below(&["crate::http"]),
        instead: "http hands connections to services, not the other way",
    },
    Rule {
        within: &["src/sys"],
        but: &[],
        never: Never::BelowBut("crate", &["crate::sys", "crate::limits", "crate::time"]),
        instead: "sys is system calls; what they mean is the reactor's",
    },
    Rule {
        within: &["src/limits.rs", "src/limits", "src/json.rs", "src/der.rs", "src/time"],
        but: &[],
        never: Never::BelowBut("crate", &["crate::limits", "crate::time"]),
        instead: "limits, JSON, DER and time stand at the bottom",
    },
    Rule {
        within: &["src"],
        but: &["src/main.rs", "src/cli"],
        never: Never::Below(&["crate::cli", "crate::main"]),
        instead: "the command line calls the rest; take a setting as an argument",
    },
    Rule {
        within: &["src"],
        but: &["src/main.rs", "src/cli", "src/config"],
        never: Never::Below(&["clap", "toml", "crate::config"]),
        instead: "the library takes its own Config; flags and files are the binary's",
    },
    Rule {
        within: &["loadtest"],
        but: &[],
        never: Never::BelowBut(
            "rollcall",
            &[
                "rollcall::internals::wire",
                "rollcall::internals::limits",
                "rollcall::internals::time",
                "rollcall::internals::sys::runtime",
            ],
        ),
        instead: "a load generator that shares more than the codec, and where the API's key is, would measure the server with itself",
    },
    Rule {
        within: &["src"],
        but: &["src/time/mod.rs"],
        never: Never::Having(&["Instant::now", "SystemTime::now"]),
        instead: "take Now as an argument; the worker reads the clock once a turn",
    },
    Rule {
        within: &["src"],
        but: &["src/sys"],
        never: Never::Having(&["unsafe"]),
        instead: "system calls and their unsafe live in src/sys",
    },
    Rule {
        within: DATA_PATH,
        // A mailbox is locked for a push or a swap, an address for one connection that comes or goes.
        but: &["src/reactor/mailbox.rs", "src/reactor/addresses.rs"],
        never: Never::Having(&["Mutex", "RwLock"]),
        instead: "what runs in a turn waits for no lock: post mail, or read what others publish",
    },
    Rule {
        within: DATA_PATH,
        but: &[],
        never: Never::Below(&["std::fs", "std::process"]),
        instead: "what runs in a turn waits for no disk and no process: do it before the workers start, or on a thread of its own",
    },
    Rule {
        within: &["src"],
        but: &["src/sys/guard"],
        never: Never::Below(&["std::process::Child", "std::process::Command", "std::process::Stdio"]),
        instead: "processes are started by the guard, and the guard by the command line",
    },
    Rule {
        within: &["src"],
        but: &[],
        never: Never::Having(&["super::super"]),
        instead: "write crate::…, which these rules can read",
    },
];

/// Every line of `text` that breaks a rule.
fn violations(file: &str, text: &str) -> Vec<String> {
    let applying: Vec<&Rule> = RULES.iter().filter(|rule| rule.is_for(file)).collect();
    let mut found = Vec::new();
    for named in paths(&code(text)) {
        for rule in &applying {
            if rule.never.matches(&named) {
                let path = named.segments.join("::");
                found.push(format!("{file}:{}: `{path}`: {}", named.line, rule.instead));
            }
        }
    }
    found
}

impl Rule {
    fn is_for(&self, file: &str) -> bool {
        let in_any = |places: &[&str]| places.iter().any(|place| is_below(file, place, "/"));
        in_any(self.within) && !in_any(self.but)
    }
}

impl Never {
    fn matches(&self, named: &Named) -> bool {
        let path = named.segments.join("::");
        let is_below = |other: &&str| is_below(&path, other, "::");
        match self {
            Never::Below(paths) => paths.iter().any(is_below),
            Never::BelowBut(top, allowed) => is_below(top) && path != *top && !allowed.iter().any(is_below),
            Never::Having(parts) => {
                parts.iter().any(|part| format!("::{path}::").contains(&format!("::{part}::")))
            }
        }
    }
}

/// Whether `path` is `top` or lies below it.
fn is_below(path: &str, top: &str, separator: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

#[test]
fn no_arrow_points_up() {
    let found: Vec<String> = sources::all(&["src", "loadtest"])
        .iter()
        .flat_map(|source| violations(&source.file, &source.text))
        .collect();
    assert!(found.is_empty(), "{} edges that must not exist:\n{}", found.len(), found.join("\n"));
}

#[test]
fn each_forbidden_edge_is_found() {
    for (file, text) in [
        ("src/wire/frame.rs", "use std::net::TcpStream;"),
        ("src/wire/frame.rs", "use std::{fmt, thread};"),
        ("src/wire/frame.rs", "fn f() { mio::Token(0); }"),
        ("src/wire/frame.rs", "use std::time::{Duration, Instant};"),
        ("src/wire/frame.rs", "use crate::reactor::Config;"),
        ("src/wire/frame.rs", "use crate::{limits::X, sys::Y};"),
        ("src/presence/roster.rs", "use crate::wire::close::Close;"),
        ("src/presence/roster.rs", "use crate::protocol::rollcall_v1::encode;"),
        ("src/presence/roster.rs", "use crate::json::Quoted;"),
        ("src/presence/roster.rs", "serde_json::from_str(text)"),
        ("src/protocol/rollcall_v1/encode.rs", "use crate::reactor::ConnId;"),
        ("src/protocol/rollcall_v1/encode.rs", "use crate::wire::shared::SharedFrame;"),
        ("src/identity/token.rs", "use crate::presence::is_name;"),
        ("src/identity/key.rs", "use std::fs::File;"),
        ("src/session/polls.rs", "use crate::reactor::RequestId;"),
        ("src/service/authenticator.rs", "use jsonwebtoken::decode;"),
        ("src/service/authenticator.rs", "use ring::signature::ED25519;"),
        ("src/service/authenticator.rs", "use crate::outbound::jwks::Fetcher;"),
        ("src/outbound/jwks/mod.rs", "use crate::reactor::Fleet;"),
        ("src/cli/jwks.rs", "ureq::get(url);"),
        ("src/identity/key.rs", "use ring::aead::Algorithm;"),
        ("src/reactor/tls/session.rs", "use crate::reactor::worker::Worker;"),
        ("src/reactor/worker.rs", "use crate::http::Site;"),
        ("src/reactor/worker.rs", "use crate::service::echo::Echo;"),
        ("src/time/wheel.rs", "use crate::reactor::shard::Core;"),
        ("src/conn/outbox.rs", "use crate::reactor::worker;"),
        ("src/conn/mod.rs", "use std::net::IpAddr;"),
        ("src/service/echo.rs", "use mio::Poll;"),
        ("src/service/echo.rs", "use std::net::SocketAddr;"),
        ("src/http/router.rs", "use crate::sys::net::Net;"),
        ("src/sys/epoll.rs", "use crate::reactor::ids::ConnId;"),
        ("src/time/mod.rs", "use crate::wire::http::Head;"),
        ("src/config/settings.rs", "crate::cli::run();"),
        ("src/reactor/config.rs", "use clap::Parser;"),
        ("loadtest/src/echo.rs", "use rollcall::internals::reactor::Server;"),
        ("src/reactor/worker.rs", "let now = Instant::now();"),
        ("src/reactor/worker.rs", "let now = std::time::Instant::now();"),
        ("src/reactor/worker.rs", "unsafe { f() }"),
        ("src/http/router.rs", "struct S(std::sync::Mutex<u8>);"),
        ("src/reactor/server.rs", "use std::sync::{Arc, RwLock};"),
        ("src/service/presence.rs", "use std::fs;"),
        ("src/reactor/worker.rs", "std::process::Command::new(\"x\");"),
        ("src/cli/serve.rs", "use std::process::Command;"),
        ("src/wire/frame.rs", "use super::super::reactor;"),
    ] {
        let found = violations(file, &format!("//! A sample.\n\n{text}\n"));
        assert!(!found.is_empty(), "{file}: {text}: nothing found");
        assert!(found[0].starts_with(&format!("{file}:3: ")), "{found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    for (file, text) in [
        (
            "src/wire/frame.rs",
            "// not std::net\nuse crate::wire::http::Head;\nuse crate::limits::X;\nuse std::time::Duration;",
        ),
        ("src/wire/frame.rs", "const MIO: &str = \"mio::Poll\"; let amio = mios::f();"),
        (
            "src/reactor/worker.rs",
            "use crate::reactor::service::Service;\nuse crate::wire::http::Response;\nuse mio::Poll;",
        ),
        ("src/conn/outbox.rs", "use crate::wire::frame;\nuse crate::time::Tick;"),
        ("src/reactor/mailbox.rs", "use std::sync::Mutex;"),
        ("src/reactor/addresses.rs", "use std::sync::Mutex;"),
        ("src/outbound/jwks/mod.rs", "use std::sync::Mutex;"),
        ("src/cli/serve.rs", "use std::sync::Mutex;\nuse std::fs;"),
        ("src/time/mod.rs", "Instant::now()"),
        ("src/sys/process.rs", "unsafe { f() }"),
        ("src/sys/guard/spawn.rs", "use std::process::Command;"),
        ("src/cli/serve.rs", "use rollcall::internals::reactor::Server;\nuse crate::config::Settings;"),
        ("loadtest/src/echo.rs", "use rollcall::internals::wire::frame;\nInstant::now();"),
        ("src/reactor/worker.rs", "#[expect(unsafe_code, reason = \"…\")]"),
    ] {
        let found = violations(file, text);
        assert!(found.is_empty(), "{found:?}");
    }
}
