//! What is measured.

use std::io;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::client::Client;
use super::servers::{Peer, Running, Server};
use super::{median, ratio};
use crate::bench::cores::Cores;
use crate::measure::Recorder;
use crate::numbers;

/// How long processes may take to be gone.
const END: Duration = Duration::from_secs(10);

/// The loads.
pub struct Rows<'a> {
    pub cores: &'a Cores,
    pub servers: &'a [Server],
    pub quick: bool,
    pub rounds: usize,
}

/// A line of the table.
pub struct Verdict {
    pub what: String,
    pub found: String,
    cells: [String; 4],
    holds: bool,
    /// It is about time, or memory in comparison.
    compares: bool,
}

/// How a figure is judged.
#[derive(Clone, Copy)]
enum Goal {
    /// At most so many times the peer's.
    AtMost(f64),
    /// At least so many times the peer's.
    AtLeast(f64),
    /// Nothing.
    Nothing,
}

impl Verdict {
    pub fn cells(&self) -> Vec<String> {
        let holds = if self.holds { "holds" } else { "**short**" };
        [vec![self.what.clone()], self.cells.to_vec(), vec![holds.to_owned()]].concat()
    }

    pub fn fails(&self, quick: bool) -> bool {
        !(self.holds || quick && self.compares)
    }

    /// Judges a figure of ours and of the peer.
    fn of(what: &str, figures: &[f64], show: fn(f64) -> String, goal: Goal) -> Verdict {
        let (ours, peer) = (figures[0], figures.get(1).copied());
        let times = peer.map_or(f64::NAN, |peer| ours / peer);
        let (holds, said) = match goal {
            // Without a peer there is nothing to fall short of.
            Goal::AtMost(most) => (times.is_nan() || times <= most, format!("≤ {most:.2}")),
            Goal::AtLeast(least) => (times.is_nan() || times >= least, format!("≥ {least:.1}")),
            Goal::Nothing => (ours <= 0.0, "0".to_owned()),
        };
        let cells = [show(ours), peer.map_or("–".to_owned(), show), ratio(times), said];
        let found = format!("{} of {}", cells[0], cells[1]);
        Verdict { what: what.into(), found, cells, holds, compares: !matches!(goal, Goal::Nothing) }
    }
}

impl Rows<'_> {
    pub fn measure(&self) -> io::Result<Vec<Verdict>> {
        let mut all = Vec::new();
        let cpu = self.each("the cost of a line", |server| self.line_cost(server))?;
        all.push(Verdict::of(
            "`cat`, 200 connections, 20 B lines: server CPU per message",
            &cpu,
            numbers::micros,
            Goal::AtMost(1.0 / 3.0),
        ));
        for (what, command, binary) in self.printers() {
            let rate = self.each(what, |server| self.throughput(server, &command, binary))?;
            let show = |rate| format!("{}/s", numbers::bytes(rate));
            all.push(Verdict::of(what, &rate, show, Goal::AtLeast(3.0)));
        }
        all.extend(self.crowd()?);
        all.extend(self.short()?);
        all.push(self.beside()?);
        Ok(all)
    }

    /// Medians of each server's rounds, in turns.
    fn each(&self, what: &str, measure: impl Fn(&Server) -> io::Result<f64>) -> io::Result<Vec<f64>> {
        let mut found = vec![Vec::new(); self.servers.len()];
        for _ in 0..self.rounds {
            for (server, found) in self.servers.iter().zip(&mut found) {
                eprintln!("loadtest: {what}, {:?}", server.peer);
                found.push(measure(server)?);
            }
        }
        Ok(found.into_iter().map(median).collect())
    }

    /// Microseconds of the server's CPU for a line that goes to `cat` and back.
    fn line_cost(&self, server: &Server) -> io::Result<f64> {
        let running = server.start(self.cores, &["cat"], false, false)?;
        let (connections, duration) = if self.quick { ("20", "500ms") } else { ("200", "5s") };
        let run = self.load(
            &running,
            "/",
            &["echo", "--text", "--connections", connections, "--size", "20", "--duration", duration],
        )?;
        // The guard has no part in it: it has nothing to do once all have started.
        run["server_cpu_us_per_message"]
            .as_f64()
            .ok_or_else(|| io::Error::other("the load says nothing of CPU"))
    }

    /// Runs a scenario of this program, and returns its figures.
    fn load(&self, running: &Running, path: &str, flags: &[&str]) -> io::Result<serde_json::Value> {
        let file = std::env::temp_dir().join(format!("loadtest-exec-{}.json", std::process::id()));
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(&flags[..1])
            .args(["--url", &format!("ws://{}{path}", running.address), "--json"])
            .arg(&file);
        command.args(&flags[1..]).stdout(Stdio::null()).stderr(Stdio::inherit());
        let status = self.cores.on_load(|| command.spawn())?.wait()?;
        let text = std::fs::read_to_string(&file)?;
        let _ = std::fs::remove_file(&file);
        if !status.success() {
            return Err(io::Error::other(format!("loadtest {} on {:?}: {status}", flags[0], running.peer)));
        }
        let run: serde_json::Value = serde_json::from_str(&text)?;
        Ok(run["figures"].clone())
    }

    fn printers(&self) -> [(&'static str, Vec<String>, bool); 2] {
        let bytes = if self.quick { 64_u64 << 20 } else { 1 << 30 };
        let line = "x".repeat(63);
        [
            (
                "1 GiB of bytes (`--binary`) to a client that reads",
                vec!["head".into(), "-c".into(), bytes.to_string(), "/dev/zero".into()],
                true,
            ),
            (
                "1 GiB of 64 B lines to a client that reads",
                vec!["sh".into(), "-c".into(), format!("yes {line} | head -c {bytes}")],
                false,
            ),
        ]
    }

    /// Bytes a second that a client reads of a process that prints without end.
    fn throughput(&self, server: &Server, command: &[String], binary: bool) -> io::Result<f64> {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let running = server.start(self.cores, &command, binary, false)?;
        self.cores.on_load(|| {
            let begun = Instant::now();
            let bytes = Client::connect(running.address, "/")?.drain()?;
            let least = if self.quick { 60_u64 << 20 } else { 1000 << 20 };
            if bytes < least {
                return Err(io::Error::other(format!("{:?} sent {bytes} bytes alone", running.peer)));
            }
            Ok(bytes as f64 / begun.elapsed().as_secs_f64())
        })
    }

    /// Many processes at once: the server's memory, and the time to the first line.
    fn crowd(&self) -> io::Result<Vec<Verdict>> {
        let (mut memory, mut first) =
            (vec![Vec::new(); self.servers.len()], vec![Vec::new(); self.servers.len()]);
        let count = if self.quick { 50 } else { 500 };
        for _ in 0..self.rounds {
            for (at, server) in self.servers.iter().enumerate() {
                eprintln!("loadtest: {count} connections with a process each, {:?}", server.peer);
                let running = server.start(self.cores, &["sh", "-c", "echo hi; exec cat"], false, false)?;
                let before = running.usage()?.resident_bytes;
                let times = self.cores.on_load(|| open(&running, count))?;
                let held = running.usage()?.resident_bytes.saturating_sub(before);
                memory[at].push(held as f64);
                first[at].push(times.0);
                drop(times.1);
            }
        }
        let [memory, first] = [memory, first].map(|all| all.into_iter().map(median).collect::<Vec<_>>());
        let label = format!("{count} connections with a process each: server memory");
        Ok(vec![
            Verdict::of(&label, &memory, numbers::bytes, Goal::AtMost(0.1)),
            Verdict::of(
                "from connect to a process's first line, p99",
                &first,
                numbers::micros,
                Goal::AtMost(1.0),
            ),
        ])
    }

    /// Short connections, and what they leave behind.
    fn short(&self) -> io::Result<Vec<Verdict>> {
        let count = if self.quick { 200 } else { 10_000 };
        let mut left = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        for server in self.servers {
            eprintln!("loadtest: {count} short connections, {:?}", server.peer);
            let running = server.start(self.cores, &["echo", "hi"], false, false)?;
            // A fifth first: what a process keeps for good it has by then.
            let churn = |count| self.cores.on_load(|| churn(running.address, "/", count));
            churn(count / 5)?;
            let before = settled(&running)?;
            let begun = Instant::now();
            churn(count)?;
            let took = begun.elapsed();
            let after = settled(&running)?;
            left[0].push(after.0 as f64);
            left[1].push(after.1.saturating_sub(before.1) as f64);
            // What a server first takes for so many at once it keeps; a leak of 100 bytes each would be more in the long form.
            let grown = after.2.saturating_sub(before.2);
            left[2].push(if grown < 1 << 20 { 0.0 } else { grown as f64 });
            left[3].push(count as f64 / took.as_secs_f64());
        }
        let whole = |value: f64| numbers::grouped(value as u64);
        let of =
            |what: &str| format!("{} short connections (`echo hi`): {what}", numbers::grouped(count as u64));
        Ok(vec![
            Verdict::of(&of("processes left behind"), &left[0], whole, Goal::Nothing),
            Verdict::of(&of("descriptors left behind"), &left[1], whole, Goal::Nothing),
            Verdict::of(&of("memory left behind, from 1 MiB on"), &left[2], numbers::bytes, Goal::Nothing),
            Verdict::of(&of("a second"), &left[3], numbers::whole, Goal::AtLeast(1.0)),
        ])
    }

    /// Echo on the same worker, with and without commands that come and go: the p99 at a fixed rate.
    fn beside(&self) -> io::Result<Verdict> {
        let ours = self.servers.iter().find(|server| server.peer == Peer::Ours);
        let ours = ours.ok_or_else(|| io::Error::other("ours is always measured"))?;
        let duration = if self.quick { "500ms" } else { "5s" };
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            for (found, comes_and_goes) in [(&mut without, false), (&mut with, true)] {
                eprintln!("loadtest: echo beside commands: {comes_and_goes}");
                let running = ours.start(self.cores, &["cat"], false, true)?;
                let over = AtomicBool::new(false);
                let p99 = thread::scope(|scope| {
                    let others = comes_and_goes
                        .then(|| scope.spawn(|| self.cores.on_load(|| come_and_go(&running, &over))));
                    let flags = ["echo", "--connections", "50", "--rate", "5000", "--duration", duration];
                    let run = self.load(&running, "/echo", &flags);
                    over.store(true, Relaxed);
                    if let Some(others) = others {
                        others.join().unwrap_or_else(|_| Err(io::Error::other("a client panicked")))?;
                    }
                    run.map(|figures| figures["p99_us"].as_f64().unwrap_or(f64::NAN))
                })?;
                found.push(p99);
            }
        }
        let (with, without) = (median(with), median(without));
        let mut verdict = Verdict::of(
            "echo beside 20 commands a second that come and go, and without: p99",
            &[with, without],
            numbers::micros,
            Goal::AtMost(1.1),
        );
        verdict.cells[1] = format!("{} without", numbers::micros(without));
        Ok(verdict)
    }
}

/// Opens so many connections, eight at a time; the p99 of the time to a process's first line, and the connections.
fn open(running: &Running, count: usize) -> io::Result<(f64, Vec<Client>)> {
    let next = AtomicUsize::new(0);
    let opened = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let (mut times, mut clients) = (Recorder::warmed(), Vec::new());
                    while next.fetch_add(1, Relaxed) < count {
                        let begun = Instant::now();
                        let mut client = Client::connect(running.address, "/")?;
                        client.message()?;
                        times.record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
                        clients.push(client);
                    }
                    Ok::<_, io::Error>((times, clients))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect::<Vec<_>>()
    });
    let (mut times, mut clients) = (Recorder::warmed(), Vec::new());
    for opened in opened {
        let (its, mut some) = opened?;
        times.add(&its);
        clients.append(&mut some);
    }
    Ok((times.micros_at(0.99), clients))
}

/// Connections that end by themselves, eight at a time.
fn churn(address: std::net::SocketAddr, path: &str, count: usize) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    while next.fetch_add(1, Relaxed) < count {
                        let bytes = Client::connect(address, path)?.drain()?;
                        if bytes != 2 {
                            return Err(io::Error::other(format!("{bytes} bytes in the place of 2")));
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a client does not panic"))
    })
}

/// Connections to commands that come and go, some twenty a second, until it is over.
fn come_and_go(running: &Running, over: &AtomicBool) -> io::Result<()> {
    while !over.load(Relaxed) {
        let client = Client::connect(running.address, "/run")?;
        thread::sleep(Duration::from_millis(50));
        drop(client);
    }
    Ok(())
}

/// Processes, descriptors and resident bytes, when all that ends has ended: they are waited for for a while.
fn settled(running: &Running) -> io::Result<(usize, usize, u64)> {
    let begun = Instant::now();
    let mut last = usize::MAX;
    loop {
        let (commands, descriptors) = (running.commands(), running.descriptors());
        if (commands == 0 && descriptors == last) || begun.elapsed() > END {
            // Memory is measured, and given back, once a second.
            thread::sleep(Duration::from_millis(1_500));
            return Ok((running.commands(), running.descriptors(), running.usage()?.resident_bytes));
        }
        last = descriptors;
        thread::sleep(Duration::from_millis(100));
    }
}
