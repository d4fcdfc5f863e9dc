//! The binary, at an address that it keeps over a restart.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::chromium::until;

/// A server that runs; killed when the test is over.
pub(super) struct Server {
    child: Child,
    flags: Vec<String>,
    pub(super) address: SocketAddr,
}

impl Server {
    pub(super) fn start(flags: &[&str]) -> Server {
        Server::start_at("127.0.0.1:0", flags)
    }

    /// At an address of any kind.
    pub(super) fn start_at(listen: &str, flags: &[&str]) -> Server {
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (child, address) = start(listen, &flags).unwrap();
        Server { child, flags, address }
    }

    /// A page on it; the page at `/` is handed the API's key.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}{}", self.address, handed(path))
    }

    /// The same where it speaks TLS.
    pub(super) fn secure_url(&self, path: &str) -> String {
        format!("https://{}{path}{}", self.address, handed(path))
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it in order, as an operator would.
    pub(super) fn stop(&mut self) {
        self.signal(Signal::TERM);
        assert!(self.child.wait().unwrap().success());
    }

    /// From the next start on it has these.
    pub(super) fn flags_are(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|&flag| flag.to_owned()).collect();
    }

    /// The same again, at the same address.
    pub(super) fn again(&mut self) {
        let address = self.address.to_string();
        (self.child, _) = until("the address is free again", || start(&address, &self.flags));
    }
}

/// The key of its API, the same over restarts.
pub(super) const KEY: &str = "key-of-the-browser-tests";

/// What the address of a page has behind it.
fn handed(path: &str) -> String {
    let is_page = (path == "/" || path.starts_with("/?")) && !path.contains('#');
    if is_page { format!("#key={KEY}") } else { String::new() }
}

/// `None` where it ends at once.
fn start(listen: &str, flags: &[String]) -> Option<(Child, SocketAddr)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ROLLCALL_")) {
        command.env_remove(name);
    }
    command.args(["--listen", listen, "--api-key", KEY]).args(flags);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut screen = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    while !screen.contains("Ctrl-C") {
        if reader.read_line(&mut screen).unwrap() == 0 {
            let _ = child.wait();
            return None;
        }
    }
    let page = screen.split("  http").nth(1).unwrap().split_once("://").unwrap().1;
    let address = page.split('/').next().unwrap().parse().unwrap();
    Some((child, address))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
