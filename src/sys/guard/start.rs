//! The server's side of the guard: it starts it, and workers get their links to it.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open, set_child_subreaper};

use super::family::end_marked;
use super::link::{Link, pair};

/// How long all processes have to end in when the server does: the whole ladder, and a bit.
const END: Duration = Duration::from_millis(2_000);
const POLL: Duration = Duration::from_millis(5);

/// The guard. When it is dropped everything that it has started ends, which takes a second where something does not want to. It is
/// dropped by who started it, behind the server's workers.
#[derive(Debug)]
pub struct Guard {
    main: Option<Arc<OwnedFd>>,
    process: Child,
}

/// Waits for the guard's end, and ends what commands have left without it: it comes to this process, as the next subreaper above.
fn end_orphans_behind(guard: &OwnedFd) {
    let mut polled = [PollFd::new(guard, PollFlags::IN)];
    while poll(&mut polled, None).is_err_and(|error| error == Errno::INTR) {}
    // Those that are killed hand their own children on.
    while end_marked() {
        thread::sleep(POLL);
    }
}

/// Access to the guard, for workers. They hold it for as long as they live: it is a descriptor of the thread that has started the guard, under
/// the same number in their own tables.
#[derive(Clone, Debug)]
pub struct Access(Arc<OwnedFd>);

impl Guard {
    /// Starts it: `program` is called with `arguments`, and has to call [`run`](super::run) at once. Before workers have descriptor
    /// tables of their own.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(program: &Path, arguments: &[&str]) -> io::Result<Guard> {
        let (ours, theirs) = pair()?;
        // In a group of its own: what is pressed at the terminal is for the server.
        let process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        set_child_subreaper(Some(getpid()))?;
        let pid = Pid::from_child(&process);
        let watched = pidfd_open(pid, PidfdFlags::empty())?;
        let watch = thread::Builder::new().name("guard-watch".to_owned()).stack_size(64 << 10);
        watch.spawn(move || end_orphans_behind(&watched))?;
        Ok(Guard { main: Some(Arc::new(ours)), process })
    }

    /// Access to it, for workers.
    ///
    /// # Panics
    /// Never: it is there until the guard is dropped.
    #[must_use]
    pub fn access(&self) -> Access {
        Access(Arc::clone(self.main.as_ref().expect("it is taken where the guard is dropped")))
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Access {
    /// A link of the calling thread's own.
    ///
    /// # Errors
    /// For want of descriptors, or the guard is gone.
    pub fn link(&self) -> io::Result<Link> {
        let (ours, theirs) = Link::pair()?;
        // The main socket never blocks for long: there are as many of these as workers.
        let main = self.0.as_fd().try_clone_to_owned()?;
        Link::of(main).send(&(), &[theirs.as_fd()])?;
        Ok(ours)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.main.take());
        let polls = END.as_millis() / POLL.as_millis();
        for _ in 0..polls {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
