//! The families of commands: which process is whose, also where it has left its parent, its group and its session.
//!
//! A descendant of a command whose parent ends becomes the guard's child. It is told from those of other commands by a mark: the
//! limit on the real-time CPU time of a process (`RLIMIT_RTTIME`), which each command is given another one of, some 290,000 years.
//! Every fork and every exec inherits it, and nobody without privileges can raise it again. One who lowers it has a mark
//! that is no living command's, and ends at once when it becomes the guard's child.

use std::collections::HashSet;
use std::io;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getrlimit, kill_process, setrlimit, waitpid,
};

/// The mark of a command and its descendants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mark(u64);

/// Gives out marks, each below the one before, as the kernel wants it of who has no privileges.
#[derive(Debug)]
pub struct Marks(u64);

impl Marks {
    /// Marks below the guard's own.
    #[must_use]
    pub fn new() -> Marks {
        Marks(getrlimit(Resource::Rttime).maximum.unwrap_or(u64::MAX / 2))
    }

    /// The next one.
    pub fn take(&mut self) -> Mark {
        self.0 -= 1;
        Mark(self.0)
    }
}

impl Default for Marks {
    fn default() -> Marks {
        Marks::new()
    }
}

impl Mark {
    /// Marks the calling process, for all time. A system call and nothing else.
    ///
    /// # Errors
    /// As `setrlimit(2)`.
    pub fn take(self) -> io::Result<()> {
        Ok(setrlimit(Resource::Rttime, Rlimit { current: Some(self.0), maximum: Some(self.0) })?)
    }

    /// The mark of a process; `None` where it can't be asked.
    fn of(pid: Pid) -> Option<Mark> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        #[expect(
            unsafe_code,
            reason = "no safe library function asks for another process's limit without setting it"
        )]
        // SAFETY: it writes to `limit`, which is valid for it, and reads nothing.
        let asked = unsafe {
            libc::prlimit(pid.as_raw_nonzero().get(), libc::RLIMIT_RTTIME, std::ptr::null(), &raw mut limit)
        };
        if asked == 0 { Some(Mark(limit.rlim_max)) } else { Mark::shown(pid) }
    }

    /// The mark of a process of another user, as anybody can read it: to ask for it takes CAP_SYS_RESOURCE, which root in a container has
    /// not.
    fn shown(pid: Pid) -> Option<Mark> {
        let text = std::fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).ok()?;
        let values = text.lines().find_map(|line| line.strip_prefix("Max realtime timeout"))?;
        Some(Mark(values.split_ascii_whitespace().nth(1)?.parse().ok()?))
    }
}

/// The children of this process, which has one thread. Some may be missing that come or go meanwhile.
#[must_use]
pub fn children() -> Vec<Pid> {
    let text = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Ends the children of this process that belong to no living command: `roots` are the commands' own processes, `marks` their marks.
/// Says whether there were any, so that more may come to light: the children of those.
pub fn end_strangers(roots: impl Fn(Pid) -> bool, marks: &HashSet<Mark>) -> bool {
    let mut found = false;
    for child in children() {
        let is_theirs = || Mark::of(child).is_some_and(|mark| marks.contains(&mark));
        if !roots(child) && !is_theirs() {
            // It fails where it has just ended.
            found |= kill_process(child, Signal::KILL).is_ok();
        }
    }
    found
}

/// Ends the children of this process that have a mark which it has not itself, and takes their ends. Says whether there were any.
#[must_use]
pub fn end_marked() -> bool {
    let own = Mark(getrlimit(Resource::Rttime).maximum.unwrap_or(u64::MAX));
    let mut found = false;
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in text.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            if Mark::of(child).is_some_and(|mark| mark != own) {
                let _ = kill_process(child, Signal::KILL);
                let _ = waitpid(Some(child), WaitOptions::NOHANG);
                found = true;
            }
        }
    }
    found
}
