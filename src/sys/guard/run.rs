//! The guard's loop: orders, ends, signals that are due.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process_group, set_child_subreaper, wait,
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use super::family::{Mark, Marks, end_strangers};
use super::ladder::{Ladder, Step};
use super::link::{Link, Received};
use super::message::{Exit, Order, ProcessId, Report};
use super::spawn::spawn;
use crate::limits::exec::EXEC_ORDER_BYTES_MAX;
use crate::time::{Clock, Tick};

/// Looks again for what ended commands have left so long after the last one: the list of children may miss one that is changing hands.
const AGAIN_MICROS: u64 = 50_000;

/// A command's own process.
struct Root {
    worker: u64,
    process: ProcessId,
    mark: Mark,
    patience_millis: u32,
    ending: Option<Ladder>,
}

/// A worker, by its link.
struct Worker {
    link: Link,
    /// Reports that its socket did not take.
    waiting: VecDeque<Report>,
    /// The worker is gone: what it started ends.
    is_gone: bool,
}

struct Guard {
    pid: Pid,
    clock: Clock,
    marks: Marks,
    living: HashSet<Mark>,
    roots: HashMap<Pid, Root>,
    by_process: HashMap<(u64, ProcessId), Pid>,
    workers: HashMap<u64, Worker>,
    next_worker: u64,
    /// The server is gone.
    is_over: bool,
    /// When to look for what ended commands have left.
    look_at: Option<u64>,
    buffer: Box<[u8]>,
}

/// Is the guard, until the socket at its standard input ends and all that it has started with it.
///
/// # Errors
/// The system refuses what it needs.
pub fn run() -> io::Result<()> {
    #[expect(unsafe_code, reason = "a program's standard input is its own")]
    // SAFETY: nobody else in this process uses it.
    let main = Link::of(unsafe { OwnedFd::from_raw_fd(0) });
    rustix::io::fcntl_setfd(&main, rustix::io::FdFlags::CLOEXEC)?;
    close_inherited();
    let pid = getpid();
    set_child_subreaper(Some(pid))?;
    // They are caught and not ignored: what is ignored stays so in commands.
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told))?;
    }
    let (mut ended, ends) = UnixStream::pair()?;
    ended.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGCHLD, ends)?;
    let mut guard = Guard {
        pid,
        clock: Clock::starting_at(Tick(0)),
        marks: Marks::new(),
        living: HashSet::new(),
        roots: HashMap::new(),
        by_process: HashMap::new(),
        workers: HashMap::new(),
        next_worker: 0,
        is_over: false,
        look_at: None,
        buffer: vec![0; EXEC_ORDER_BYTES_MAX].into(),
    };
    while !(guard.is_over && guard.roots.is_empty() && guard.look_at.is_none()) {
        let ready = guard.wait(&main, &ended)?;
        if ready.ended {
            let mut drained = [0; 64];
            while ended.read(&mut drained).is_ok_and(|len| len == drained.len()) {}
            guard.reap();
        }
        if ready.main {
            guard.introduce(&main);
        }
        for worker in ready.workers {
            guard.serve(worker);
        }
        guard.tick();
    }
    Ok(())
}

/// Closes what the server was started with, and did not know of: commands would inherit it.
fn close_inherited() {
    #[expect(unsafe_code, reason = "no safe library function closes descriptors that nobody owns")]
    // SAFETY: nothing in this process, which has just begun, owns one beyond the standard three.
    let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    if closed != 0 {
        eprintln!(
            "the guard of commands could not close inherited descriptors: {}",
            io::Error::last_os_error()
        );
    }
}

struct Ready {
    main: bool,
    ended: bool,
    workers: Vec<u64>,
}

impl Guard {
    fn now(&self) -> u64 {
        self.clock.now().micros
    }

    fn wait(&self, main: &Link, ended: &UnixStream) -> io::Result<Ready> {
        let mut due = self.roots.values().filter_map(|root| root.ending.and_then(|ladder| ladder.at())).min();
        due = due.into_iter().chain(self.look_at).min();
        let timeout = due.map(|at| {
            let micros = at.saturating_sub(self.now()).min(1 << 40);
            let nanos = (micros % 1_000_000) * 1_000;
            Timespec { tv_sec: (micros / 1_000_000).cast_signed(), tv_nsec: nanos.cast_signed() }
        });
        let mut workers: Vec<(u64, &Worker)> = self
            .workers
            .iter()
            .filter(|(_, worker)| !worker.is_gone)
            .map(|(id, worker)| (*id, worker))
            .collect();
        workers.sort_by_key(|(id, _)| *id);
        let mut polled = vec![PollFd::new(ended, PollFlags::IN)];
        if !self.is_over {
            polled.push(PollFd::new(main, PollFlags::IN));
        }
        let first = polled.len();
        polled.extend(workers.iter().map(|(_, worker)| {
            let room = if worker.waiting.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            PollFd::from_borrowed_fd(worker.link.as_fd(), PollFlags::IN | room)
        }));
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {
                return Ok(Ready { main: false, ended: true, workers: Vec::new() });
            }
            Err(error) => return Err(error.into()),
        }
        let is_ready = |at: usize| polled.get(at).is_some_and(|polled| !polled.revents().is_empty());
        Ok(Ready {
            ended: is_ready(0),
            main: !self.is_over && is_ready(1),
            workers: (first..)
                .zip(&workers)
                .filter(|(at, _)| is_ready(*at))
                .map(|(_, (id, _))| *id)
                .collect(),
        })
    }

    /// A worker comes, or the server is gone.
    fn introduce(&mut self, main: &Link) {
        loop {
            match main.receive::<()>(&mut self.buffer) {
                Ok(Received::Message((), descriptors)) => {
                    for link in descriptors {
                        let worker =
                            Worker { link: Link::of(link), waiting: VecDeque::new(), is_gone: false };
                        self.workers.insert(self.next_worker, worker);
                        self.next_worker += 1;
                    }
                }
                Ok(Received::Unreadable) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(Received::End) | Err(_) => {
                    self.is_over = true;
                    for id in self.workers.keys().copied().collect::<Vec<_>>() {
                        self.part(id);
                    }
                    self.look_at = Some(self.now());
                    return;
                }
            }
        }
    }

    /// A worker has orders, or room for reports.
    fn serve(&mut self, id: u64) {
        self.report(id, None);
        while let Some(worker) = self.workers.get(&id).filter(|worker| !worker.is_gone) {
            match worker.link.receive::<Order>(&mut self.buffer) {
                Ok(Received::Message(order, descriptors)) => self.obey(id, order, descriptors),
                Ok(Received::Unreadable) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(Received::End) | Err(_) => self.part(id),
            }
        }
    }

    fn obey(&mut self, worker: u64, order: Order, descriptors: Vec<OwnedFd>) {
        match order {
            Order::Start(process, command) => {
                let (mark, patience_millis) = (self.marks.take(), command.patience_millis);
                // Before it is there: its own children may be the guard's before it is known.
                self.living.insert(mark);
                match spawn(*command, descriptors, mark, self.pid) {
                    Ok(pid) => {
                        let root = Root { worker, process, mark, patience_millis, ending: None };
                        self.roots.insert(pid, root);
                        self.by_process.insert((worker, process), pid);
                        let pid = pid.as_raw_nonzero().get().cast_unsigned();
                        self.report(worker, Some(Report::Started { process, pid }));
                    }
                    Err(error) => {
                        self.living.remove(&mark);
                        let error = error.to_string();
                        self.report(worker, Some(Report::Failed { process, error }));
                    }
                }
            }
            Order::End(process) => {
                if let Some(pid) = self.by_process.get(&(worker, process)).copied() {
                    self.end(pid);
                }
            }
        }
    }

    /// Begins to end a command.
    fn end(&mut self, pid: Pid) {
        let now = self.now();
        if let Some(root) = self.roots.get_mut(&pid) {
            root.ending.get_or_insert_with(|| Ladder::begin(now, root.patience_millis));
        }
    }

    /// A worker is gone: all that it has started ends.
    fn part(&mut self, id: u64) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.is_gone = true;
            worker.waiting.clear();
        }
        let its: Vec<Pid> =
            self.roots.iter().filter(|(_, root)| root.worker == id).map(|(pid, _)| *pid).collect();
        for pid in &its {
            self.end(*pid);
        }
        if its.is_empty() {
            self.workers.remove(&id);
        }
    }

    /// Sends a report behind those that wait.
    fn report(&mut self, id: u64, report: Option<Report>) {
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| !worker.is_gone) else { return };
        worker.waiting.extend(report);
        while let Some(report) = worker.waiting.front() {
            // A worker that is gone is seen by the next read.
            if worker.link.send(report, &[]).is_err() {
                return;
            }
            worker.waiting.pop_front();
        }
    }

    /// Takes those that have ended.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let Some(root) = self.roots.remove(&pid) else { continue };
            self.living.remove(&root.mark);
            self.by_process.remove(&(root.worker, root.process));
            self.report(root.worker, Some(Report::Ended { process: root.process, exit: exit_of(status) }));
            if self.workers.get(&root.worker).is_some_and(|worker| worker.is_gone)
                && !self.roots.values().any(|other| other.worker == root.worker)
            {
                self.workers.remove(&root.worker);
            }
        }
        self.look(true);
    }

    /// Ends what commands have left that have ended, and looks again later where it found something, or `again` is said.
    fn look(&mut self, again: bool) {
        let roots = &self.roots;
        let found = end_strangers(|pid| roots.contains_key(&pid), &self.living);
        self.look_at = (found || again).then_some(self.now() + AGAIN_MICROS);
    }

    /// Takes the steps that are due.
    fn tick(&mut self) {
        let now = self.now();
        let mut due = Vec::new();
        for (pid, root) in &mut self.roots {
            if let Some(ladder) = &mut root.ending
                && let Some(step) = ladder.due(now)
            {
                due.push((*pid, step, root.mark));
            }
        }
        for (pid, step, mark) in due {
            let signal = match step {
                Step::Interrupt => Signal::INT,
                Step::Terminate => Signal::TERM,
                Step::Kill => Signal::KILL,
            };
            // A group that is stopped hears nothing but SIGKILL until it goes on.
            let _ = kill_process_group(pid, signal);
            let _ = kill_process_group(pid, Signal::CONT);
            if step == Step::Kill {
                self.living.remove(&mark);
                self.look(true);
            }
        }
        if self.look_at.is_some_and(|at| now >= at) {
            self.look(false);
        }
    }
}

fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Exit::Status(status),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}
