//! The two sides of what a process reads and writes.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use crate::sys::pipe::Pipe;

/// This side's ends.
#[derive(Debug)]
pub struct Ends {
    /// To its standard input.
    pub input: Pipe,
    /// From its standard output.
    pub output: Pipe,
    /// From its standard error, where that is apart from its output.
    pub errors: Option<Pipe>,
}

/// The process's ends, on their way to the guard.
#[derive(Debug)]
pub struct TheirEnds(Vec<OwnedFd>);

impl Ends {
    /// Pipes for a process.
    ///
    /// # Errors
    /// For want of descriptors.
    pub fn new(errors_apart: bool) -> io::Result<(Ends, TheirEnds)> {
        let (input, its_input) = Pipe::to_process()?;
        let (output, its_output) = Pipe::from_process()?;
        let mut theirs = vec![its_input, its_output];
        let mut errors = None;
        if errors_apart {
            let (ours, its_errors) = Pipe::from_process()?;
            theirs.push(its_errors);
            errors = Some(ours);
        }
        Ok((Ends { input, output, errors }, TheirEnds(theirs)))
    }
}

impl TheirEnds {
    /// No ends: for an order that needs none.
    #[must_use]
    pub const fn none() -> TheirEnds {
        TheirEnds(Vec::new())
    }

    pub(super) fn borrowed(&self) -> Vec<BorrowedFd<'_>> {
        self.0.iter().map(|fd| fd.as_fd()).collect()
    }
}
