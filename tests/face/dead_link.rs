//! An event stream whose other end is gone without a word: in a network of its own, that is shut down below both.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::binary::{Running, rollcall};

/// A comment is sent every 15 s, and the kernel waits 10 s for the acknowledgement.
const BOUND: Duration = Duration::from_secs(25);
/// What the machine may take on top.
const SLACK: Duration = Duration::from_secs(15);

/// Killed when the test is over.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether this user may make networks, which it needs root for as a rule. Said on the screen where not.
fn may_make_networks() -> bool {
    let made = Command::new("unshare").args(["-n", "ip", "link", "set", "lo", "up"]).output();
    let may = made.is_ok_and(|output| output.status.success());
    if !may {
        // Past the harness, which shows nothing of what passes.
        let _ = io::stderr().write_all(b"left out, for no network can be made here: a dead link\n");
    }
    may
}

#[test]
fn a_stream_on_a_dead_link_is_found_within_the_bound() {
    if !may_make_networks() {
        return;
    }
    let socket = std::env::temp_dir().join(format!("rollcall-{}-dead-link", std::process::id()));
    let listen = format!("unix:{}", socket.display());
    let server = rollcall(&["--listen", "127.0.0.1:0", "--listen", &listen, "--offline-grace", "0s"]);
    let mut command = Command::new("unshare");
    let script = "ip link set lo up && exec \"$0\" \"$@\"";
    command.args(["-n", "sh", "-c", script]).arg(server.get_program()).args(server.get_args());
    for (name, value) in server.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::of(&mut command);
    let inside = |program: &str| {
        let mut command = Command::new("nsenter");
        command.args(["-t", &running.child.id().to_string(), "-n", program]);
        command
    };

    let mut watcher = Command::new("curl");
    watcher.args(["-sN", "--unix-socket", socket.to_str().unwrap()]);
    watcher.arg("http://here/events?user=watcher&watch=anna");
    let child = watcher.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut watcher = Client(child);
    let mut lines = BufReader::new(watcher.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |what: &str| lines.by_ref().find(|line| line.contains(what)).expect("it is told");
    next(r#"{"seq":0,"body":{"code":200,"#);
    let url = format!("http://{}/events?user=anna", running.address);
    let mut stream = inside("curl");
    stream.args(["-sN", "--noproxy", "*", &url]).stdin(Stdio::null()).stdout(Stdio::null());
    let _stream = Client(stream.spawn().unwrap());
    next(r#""user":"anna","state":"online""#);

    let begun = Instant::now();
    assert!(inside("ip").args(["link", "set", "lo", "down"]).status().unwrap().success());
    next(r#""user":"anna","state":"offline""#);
    assert!(begun.elapsed() < BOUND + SLACK, "after {:?}", begun.elapsed());
    let _ = fs::remove_file(&socket);
}
