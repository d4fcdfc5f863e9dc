//! Pipes to other processes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

/// This side's end of a pipe. It never blocks. The descriptor is closed with the last clone, in the thread that made it.
#[derive(Clone, Debug)]
pub struct Pipe(Arc<OwnedFd>);

impl Pipe {
    /// A pipe whose reading end stays here; the other end blocks, and is for a process.
    ///
    /// # Errors
    /// As `pipe2(2)`.
    pub fn from_process() -> io::Result<(Pipe, OwnedFd)> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok((Pipe::of(ours)?, theirs))
    }

    /// A pipe whose writing end stays here.
    ///
    /// # Errors
    /// As `pipe2(2)`.
    pub fn to_process() -> io::Result<(Pipe, OwnedFd)> {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok((Pipe::of(ours)?, theirs))
    }

    fn of(ours: OwnedFd) -> io::Result<Pipe> {
        // The two ends are two open files: the process's goes on blocking.
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok(Pipe(Arc::new(ours)))
    }

    /// Reads; 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has arrived.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(&*self.0, &mut *buffer) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Writes some of `bytes`.
    ///
    /// # Errors
    /// `WouldBlock` where the pipe is full, `BrokenPipe` where nobody can read it any more: SIGPIPE is blocked in workers.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&*self.0, bytes) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
