//! A scenario of this program as a child on the load's cores: carried out, watched, and its result read.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rustix::process::Signal;

use crate::bench::cores::Cores;
use crate::child::end;
use crate::result::Run;

/// What a measurement may take beyond its own duration: thousands of connections to open, replies to wait for.
pub const ALLOWANCE: Duration = Duration::from_secs(90);
const STEP: Duration = Duration::from_millis(20);

/// Where and how it is carried out.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// The load's own, if it has any.
    pub cores: Option<&'a Cores>,
    /// Where its result is written to and read from.
    pub scratch: &'a Path,
    pub timeout: Duration,
    /// Set when it is to end early.
    pub stop: &'a AtomicBool,
}

impl Load<'_> {
    /// Runs a command of this program to its end and reads its result.
    pub fn run(&self, command: &mut Command) -> io::Result<Run> {
        let _ = fs::remove_file(self.scratch);
        let said = self.carry_out(command.arg("--json").arg(self.scratch))?;
        let text = fs::read_to_string(self.scratch);
        let _ = fs::remove_file(self.scratch);
        // A run with errors ends with a code of its own, but tells of them in its result.
        let text =
            text.map_err(|_| io::Error::other(said.unwrap_or_else(|| "no result was written".into())))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Returns the last line of its complaints if it was not well.
    fn carry_out(&self, command: &mut Command) -> io::Result<Option<String>> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = match self.cores {
            Some(cores) => cores.on_load(|| command.spawn())?,
            None => command.spawn()?,
        };
        let mut complaints = child.stderr.take().expect("it is piped");
        let reader = thread::spawn(move || io::read_to_string(&mut complaints).unwrap_or_default());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if self.stop.load(Ordering::Relaxed) {
                // What it has measured so far it writes when it is interrupted.
                end(&mut child, Signal::INT);
                return Ok(Some("interrupted".to_owned()));
            }
            if begun.elapsed() > self.timeout {
                end(&mut child, Signal::INT);
                return Err(io::Error::other(format!("not done after {:.0?}", begun.elapsed())));
            }
            thread::sleep(STEP);
        };
        let said = reader.join().unwrap_or_default();
        let last =
            || said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed").to_owned();
        Ok((!status.success()).then(last))
    }
}
