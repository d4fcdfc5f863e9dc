//! Both servers, and how each is told what to run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::bench::cores::Cores;
use crate::child;
use crate::process::{self, Usage};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Ours,
    Websocketd,
}

/// A server's program.
#[derive(Clone, Debug)]
pub struct Server {
    pub peer: Peer,
    pub program: PathBuf,
}

/// One that runs.
pub struct Running {
    process: Child,
    pub address: std::net::SocketAddr,
    pub peer: Peer,
}

impl Server {
    /// Starts it with a command for each connection, on one worker. `beside`: beside echo and presence, at `/run`.
    pub fn start(&self, cores: &Cores, command: &[&str], binary: bool, beside: bool) -> io::Result<Running> {
        let address = child::free_address()?;
        let port = address.port().to_string();
        let mut started = Command::new(&self.program);
        started.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match self.peer {
            Peer::Ours if beside => {
                let served = format!("/run={}", command.join(" "));
                started.args(["--listen", &address.to_string(), "--exec", &served, "--workers", "1"]);
            }
            Peer::Ours => {
                started.args(["exec", "--port", &port, "--workers", "1", "--exec-processes", "20000/0"]);
            }
            Peer::Websocketd => {
                started.args(["--port", &port, "--address", "127.0.0.1", "--loglevel", "fatal"]);
                started.env("GOMAXPROCS", "1");
            }
        }
        if binary {
            started.arg("--binary");
        }
        if !beside {
            started.args(command);
        }
        let process = cores.on_server(|| started.spawn())?;
        let running = Running { process, address, peer: self.peer };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if begun.elapsed() > Duration::from_secs(20) {
                return Err(io::Error::other(format!("{} does not listen", self.program.display())));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }
}

impl Running {
    /// What its own processes used: the server, and the guard of commands where it has one.
    pub fn usage(&self) -> io::Result<Usage> {
        let mut all = process::usage(self.process.id())?;
        if let Some(guard) = self.guard() {
            let guard = process::usage(guard)?;
            all.cpu += guard.cpu;
            all.resident_bytes += guard.resident_bytes;
            all.anonymous_bytes += guard.anonymous_bytes;
        }
        Ok(all)
    }

    fn guard(&self) -> Option<u32> {
        if self.peer != Peer::Ours {
            return None;
        }
        children(self.process.id()).into_iter().next()
    }

    /// Processes that it has started and that are there, zombies too.
    pub fn commands(&self) -> usize {
        match self.guard() {
            Some(guard) => children(guard).len(),
            None => children(self.process.id()).len(),
        }
    }

    /// Descriptors of all its threads: those of workers with tables of their own differ.
    pub fn descriptors(&self) -> usize {
        let count = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count);
        let of = |pid: u32| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.map(|task| count(&task.path().join("fd"))).sum::<usize>()
        };
        of(self.process.id()) + self.guard().map_or(0, of)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        child::end(&mut self.process, Signal::TERM);
    }
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// A program of that name in PATH.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}
