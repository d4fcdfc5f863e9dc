//! A process that starts: between fork and exec it gets its session, its limits and its mark.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{self, Stdio};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit, setsid,
};
use rustix::thread::set_no_new_privs;

use super::family::Mark;
use super::message::{Command, ProcessLimits};

/// Starts a process; returns its number. `guard` is this process. Where it says so, the process runs its program already.
///
/// # Errors
/// As `fork(2)` and `execve(2)`, and as the system calls between them.
pub(super) fn spawn(command: Command, descriptors: Vec<OwnedFd>, mark: Mark, guard: Pid) -> io::Result<Pid> {
    let mut descriptors = descriptors.into_iter();
    let (Some(input), Some(output)) = (descriptors.next(), descriptors.next()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let errors = match descriptors.next() {
        Some(errors) => errors,
        None => output.try_clone()?,
    };
    let mut process = process::Command::new(OsString::from_vec(command.program));
    process.args(command.arguments.iter().map(|argument| OsStr::from_bytes(argument))).env_clear();
    process.envs(
        command.environment.iter().map(|(name, value)| (OsStr::from_bytes(name), OsStr::from_bytes(value))),
    );
    if let Some(directory) = command.directory {
        process.current_dir(OsString::from_vec(directory));
    }
    if let Some((user, group)) = command.user {
        // As root, the standard library drops the other groups too.
        process.uid(user).gid(group);
    }
    process.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::from(errors));
    let limits = command.limits;
    #[expect(unsafe_code, reason = "what happens between fork and exec is a system call's business")]
    // SAFETY: the closure makes system calls and nothing else, without the C library and without memory; it runs in a fork of a
    // process with one thread.
    unsafe {
        process.pre_exec(move || prepare(limits, mark, guard));
    }
    let child = process.spawn()?;
    // Its end is waited for with everybody else's.
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Runs in the new process, when it has its user already.
fn prepare(limits: ProcessLimits, mark: Mark, guard: Pid) -> io::Result<()> {
    setsid()?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The guard may have ended before that.
    if getppid() != Some(guard) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    set_no_new_privs(true)?;
    mark.take()?;
    let ProcessLimits { cpu_seconds, memory_bytes, files } = limits;
    for (resource, most) in
        [(Resource::Cpu, cpu_seconds), (Resource::As, memory_bytes), (Resource::Nofile, files)]
    {
        let Some(most) = most else { continue };
        let hard = getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
        // SIGXCPU at the soft limit, a second before SIGKILL at the hard one.
        let soft = if resource == Resource::Cpu { hard.saturating_sub(1).max(1) } else { hard };
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })?;
    }
    Ok(())
}
