//! The start screen: where the server listens, how much it holds, and what to try next.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::http::router::Off;
use crate::reactor::{Heartbeat, HeartbeatMode, Listen};
use crate::service::authenticator::{Auth, Authenticator};
use crate::service::exec::ExecSettings;

use super::key::RunKey;
use crate::config::capacity::{Capacity, count};
use crate::config::units::{Span, grouped};

/// The facts that the screen shows.
pub(super) struct Started<'a> {
    /// The public listeners, then the admin's.
    pub(super) listening: &'a [Listen],
    pub(super) public: usize,
    pub(super) capacity: &'a Capacity,
    /// As it came out: a system may refuse private tables.
    pub(super) private: bool,
    pub(super) heartbeat: Heartbeat,
    pub(super) authenticator: &'a Authenticator,
    /// The paths that are not served.
    pub(super) off: Off,
    /// The commands that are served.
    pub(super) exec: Option<&'a ExecSettings>,
    /// The API's key, where it was made for this run.
    pub(super) key: Option<&'a RunKey>,
    /// That key is printed, and not only where `rollcall key` finds it.
    pub(super) shows_key: bool,
    /// How this program was called.
    pub(super) program: String,
}

/// Bytes of memory that an idle connection takes: the kernel's socket, file and epoll entry, and ours.
const CONNECTION_BYTES: u64 = 4_050 + 160;

/// One readable screen.
pub(super) fn screen(started: &Started<'_>) -> String {
    let mut text = format!("rollcall {}\n\n", env!("CARGO_PKG_VERSION"));
    let (public, admin) = started.listening.split_at(started.public);
    for place in public {
        line(&mut text, "listening", &faces(place, started));
    }
    for place in admin {
        line(&mut text, "admin", &admin_face(place));
    }
    if let Some(exec) = started.exec {
        line(&mut text, "commands", &commands(exec));
    }
    for (name, value) in api(started, public, admin) {
        line(&mut text, name, &value);
    }
    text.push_str(&capacity(started.capacity));
    if started.capacity.private && !started.private {
        line(&mut text, "", "the system refuses private tables: all workers share one, and its limit");
    }
    line(&mut text, "heartbeat", &heartbeat(&started.heartbeat));
    line(&mut text, "identity", identity(started.authenticator));
    if !started.off.page
        && let Some(page) = public.iter().find_map(page)
    {
        line(&mut text, "manual", &format!("{page}docs"));
    }
    text.push_str("\nTry\n");
    let _ = writeln!(text, "  {}", health_command(&public[0]));
    let _ = writeln!(text, "  {}", curl_command(started, admin.first()));
    text.push_str("Ctrl-C sends everybody away in order; twice stops at once.\n");
    text
}

/// How many connections it can hold, and why.
pub(super) fn capacity(capacity: &Capacity) -> String {
    let mut text = String::new();
    let tables = match (capacity.private, capacity.workers) {
        (true, 1) => ", with a descriptor table of its own",
        (true, _) => ", each with a descriptor table of its own",
        (false, 1) => "",
        (false, _) => ", one descriptor table",
    };
    line(&mut text, "workers", &format!("{}{tables}", count(capacity.workers, "thread")));
    let held = capacity.max_connections as u64;
    line(&mut text, "holds", &format!("{} connections: {}", grouped(held), capacity.reason));
    line(
        &mut text,
        "",
        &format!("with all of them idle about {} of memory, most of it the kernel's", memory(held)),
    );
    text
}

/// How the API is reached: the page's address with the key, where that was made for this run.
fn api(started: &Started<'_>, public: &[Listen], admin: &[Listen]) -> Vec<(&'static str, String)> {
    if !admin.is_empty() {
        return vec![("API", "on the admin address, without a key".to_owned())];
    }
    let Some(made) = started.key else {
        return vec![("API", "with a key of --api-key or --api-key-file".to_owned())];
    };
    let found = if made.is_published() { ": `rollcall key` prints it" } else { "" };
    let page = public.iter().find_map(page).filter(|_| started.shows_key && !started.off.page);
    match page {
        Some(page) => vec![
            ("page", format!("{page}#key={}", made.key)),
            ("API", format!("with the key behind the #, made for this run{found}")),
        ],
        None => vec![("API", format!("with a key made for this run{found}"))],
    }
}

/// The page's address on a listener, to be opened on this machine.
fn page(place: &Listen) -> Option<String> {
    match place {
        Listen::Tcp(address) => Some(format!("http://{}/", reachable(*address))),
        Listen::Tls(address, _) => Some(format!("https://{}/", reachable(*address))),
        Listen::Unix(..) => None,
    }
}

fn heartbeat(heartbeat: &Heartbeat) -> String {
    let Heartbeat { mode, interval, timeout, client_silence, .. } = *heartbeat;
    let pinged = format!("silent for {}: a Ping; unanswered for {}: dead", Span(interval), Span(timeout));
    match mode {
        HeartbeatMode::Server => pinged,
        HeartbeatMode::Both => format!("{pinged}; the page's own heartbeats are heard too"),
        HeartbeatMode::Client => format!("no Pings; silent for {}: dead", Span(client_silence)),
    }
}

const fn identity(authenticator: &Authenticator) -> &'static str {
    match (authenticator.certificates, authenticator.auth) {
        (false, Auth::None) => "everybody is taken at their word: /ws?user=NAME",
        (false, Auth::Early) => "by a token, with the upgrade: `rollcall token` makes one",
        (false, Auth::Late) => "by a token, with the upgrade or soon after: `rollcall token` makes one",
        (true, Auth::None) => "by a client certificate; who shows none is taken at their word: /ws?user=NAME",
        (true, Auth::Early) if authenticator.keys.is_none() => {
            "by a client certificate: its common name is the user"
        }
        (true, Auth::Early) => {
            "by a client certificate, or a token with the upgrade: `rollcall token` makes one"
        }
        (true, Auth::Late) => "by a client certificate, or a token: `rollcall token` makes one",
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "  {name:<10} {value}");
}

/// The faces that a listener serves.
fn faces(place: &Listen, started: &Started<'_>) -> String {
    let (s, address) = match place {
        Listen::Tcp(address) => ("", address),
        Listen::Tls(address, _) => ("s", address),
        Listen::Unix(path, mode) => return format!("unix:{}   mode {mode:04o}", path.display()),
    };
    if started.exec.is_some_and(|exec| exec.alone) {
        return format!("ws{s}://{address}/   http{s}://{address}/{}", everywhere(*address));
    }
    let echo = if started.off.echo { String::new() } else { format!("ws{s}://{address}/echo   ") };
    format!("ws{s}://{address}/ws   {echo}http{s}://{address}/{}", everywhere(*address))
}

/// The paths of commands, and how many may run.
fn commands(exec: &ExecSettings) -> String {
    let mut paths: Vec<&str> = exec.mounts.iter().map(|mount| mount.path.as_str()).collect();
    let more = paths.len().saturating_sub(4);
    paths.truncate(4);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let most = grouped(exec.processes.all as u64);
    format!("at {}{more}, {most} at once; for programs and for pages of this origin", paths.join(" "))
}

fn admin_face(place: &Listen) -> String {
    match place {
        Listen::Tcp(address) => format!("http://{address}/metrics{}", everywhere(*address)),
        Listen::Tls(address, _) => format!("https://{address}/metrics{}", everywhere(*address)),
        Listen::Unix(path, mode) => format!("unix:{}   mode {mode:04o}", path.display()),
    }
}

/// The command that asks whether all is well.
fn health_command(place: &Listen) -> String {
    match place {
        Listen::Tcp(address) => format!("curl http://{}/healthz", reachable(*address)),
        Listen::Tls(address, _) => format!("curl --insecure https://{}/healthz", reachable(*address)),
        Listen::Unix(path, _) => format!("curl --unix-socket {} http://localhost/healthz", path.display()),
    }
}

/// The command that shows the metrics: without a key on the admin address and on a Unix socket.
fn curl_command(started: &Started<'_>, admin: Option<&Listen>) -> String {
    let bearer = match (admin, started.key) {
        (Some(_), _) => String::new(),
        (None, Some(_)) => format!(r#" -H "Authorization: Bearer $({} key)""#, started.program),
        (None, None) => r#" -H "Authorization: Bearer KEY""#.to_owned(),
    };
    match admin.unwrap_or(&started.listening[0]) {
        Listen::Tcp(address) => format!("curl{bearer} http://{}/metrics", reachable(*address)),
        // Whether its certificate is one that curl trusts, nobody here knows.
        Listen::Tls(address, _) => format!("curl --insecure{bearer} https://{}/metrics", reachable(*address)),
        Listen::Unix(path, _) => {
            format!("curl --unix-socket {} http://localhost/metrics", path.display())
        }
    }
}

/// A word where an address stands for all of the machine's.
fn everywhere(address: SocketAddr) -> &'static str {
    if address.ip().is_unspecified() { "   (all addresses)" } else { "" }
}

/// The address to type on this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn memory(connections: u64) -> String {
    let bytes = connections * CONNECTION_BYTES;
    match bytes {
        0..10_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        _ => format!("{} GB", bytes.div_ceil(1_000_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_finds_what_to_type() {
        let capacity = Capacity {
            workers: 2,
            private: true,
            max_connections: 38_557,
            most: 38_557,
            reason: "why".to_owned(),
        };
        let listening = ["0.0.0.0:8080", "[::1]:9000"].map(|address| Listen::Tcp(address.parse().unwrap()));
        let started = Started {
            listening: &listening,
            public: 1,
            capacity: &capacity,
            private: false,
            heartbeat: Heartbeat::default(),
            authenticator: &Authenticator::default(),
            off: Off::default(),
            exec: None,
            key: Some(&RunKey::make().unwrap()),
            shows_key: true,
            program: "rollcall".to_owned(),
        };
        let text = screen(&started);
        for part in [
            "ws://0.0.0.0:8080/ws   ws://0.0.0.0:8080/echo   http://0.0.0.0:8080/   (all addresses)",
            "http://[::1]:9000/metrics",
            "2 threads, each with a descriptor table of its own",
            "38,557 connections: why",
            "about 163 MB of memory",
            "the system refuses private tables",
            "silent for 25s: a Ping; unanswered for 20s: dead",
            "taken at their word",
            "curl http://127.0.0.1:8080/healthz",
            "manual     http://127.0.0.1:8080/docs",
            "curl http://[::1]:9000/metrics",
            "on the admin address, without a key",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(text.lines().count() <= 18 && text.lines().all(|line| line.len() <= 110), "{text}");
    }

    #[test]
    fn the_key_of_the_run_stands_behind_the_page_and_in_no_command() {
        let capacity =
            Capacity { workers: 2, private: true, max_connections: 9, most: 9, reason: "why".to_owned() };
        let (made, authenticator) = (RunKey::make().unwrap(), Authenticator::default());
        let listening = [Listen::Tcp("0.0.0.0:8080".parse().unwrap())];
        let started = |key, shows_key| Started {
            listening: &listening,
            public: 1,
            capacity: &capacity,
            private: true,
            heartbeat: Heartbeat::default(),
            authenticator: &authenticator,
            off: Off::default(),
            exec: None,
            key,
            shows_key,
            program: "target/release/rollcall".to_owned(),
        };
        let text = screen(&started(Some(&made), true));
        for part in [
            &format!("page       http://127.0.0.1:8080/#key={}\n", made.key),
            "with the key behind the #, made for this run\n",
            r#"curl -H "Authorization: Bearer $(target/release/rollcall key)" http://127.0.0.1:8080/metrics"#,
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert_eq!(text.matches(&made.key).count(), 1, "{text}");
        assert!(!screen(&started(Some(&made), false)).contains(&made.key));
        let given = screen(&started(None, true));
        assert!(!given.contains("#key=") && given.contains("Bearer KEY"), "{given}");
    }
}
