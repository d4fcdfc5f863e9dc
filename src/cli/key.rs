//! The API key that a server makes for its run, and `rollcall key`, which prints it for those who run as the same user.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use crate::limits::RUN_KEY_BYTES;
use crate::reactor::Listen;
use crate::sys::runtime::{self, Running, RuntimeFile};
use clap::Args;

use super::random;
use crate::cli::failure::{Failure, say};

#[derive(Args)]
pub(super) struct KeyArgs {
    /// Which server, where several run: its port, or an address that it listens on
    #[arg(value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Prints the key of a running server.
pub(super) fn print(args: &KeyArgs) -> Result<(), Failure> {
    choose(runtime::running(), args.listen.as_deref()).map(|running| say(&running.key))
}

/// The server that is meant.
fn choose(running: Vec<Running>, listen: Option<&str>) -> Result<Running, Failure> {
    let places = |running: &[Running]| {
        let first = |running: &Running| running.listening.first().cloned().unwrap_or_default();
        running.iter().map(first).collect::<Vec<_>>().join(", ")
    };
    if running.is_empty() {
        let line = "no server of this user runs with a key that it made itself; one with --api-key or --api-key-file takes those";
        return Err(Failure::system(line.to_owned()));
    }
    let all = places(&running);
    let meant = |running: &Running| listen.is_none_or(|listen| running.listens_at(listen));
    let mut found: Vec<Running> = running.into_iter().filter(meant).collect();
    match (found.pop(), found.is_empty(), listen) {
        (Some(only), true, _) => Ok(only),
        (None, _, listen) => {
            let listen = listen.unwrap_or_default();
            Err(Failure::system(format!(
                "no server with a key that it made itself is at {listen}; there are: {all}"
            )))
        }
        (Some(_), false, _) => Err(Failure::usage(format!(
            "several servers run: say which, as in `rollcall key 8080`; they are at {all}"
        ))),
    }
}

/// A key that was made for a run, and the file that programs of the same user find it in.
pub(super) struct RunKey {
    pub(super) key: String,
    file: Option<RuntimeFile>,
}

impl RunKey {
    /// Makes one.
    pub(super) fn make() -> Result<RunKey, Failure> {
        loop {
            let key = random::text::<RUN_KEY_BYTES>().map_err(Failure::system)?;
            // Such a one would be taken for a flag where it is given to a program.
            if !key.starts_with('-') {
                return Ok(RunKey { key, file: None });
            }
        }
    }

    /// Leaves it where `rollcall key` finds it. A server that can't serves all the same, and says so in the log.
    pub(super) fn publish(&mut self, listening: &[Listen]) {
        let places: Vec<String> = listening.iter().map(ToString::to_string).collect();
        let directories = runtime::directories_here();
        let Some(directory) = directories.first() else { return };
        match RuntimeFile::create(directory, &self.key, &places) {
            Ok(file) => self.file = Some(file),
            Err(error) => tracing::warn!(
                "`rollcall key` can't print this server's key: no file in {}: {error}",
                directory.display()
            ),
        }
    }

    /// Whether `rollcall key` finds it.
    pub(super) fn is_published(&self) -> bool {
        self.file.is_some()
    }
}

/// Whether what is printed goes to systemd's journal, where a key may not stand: `JOURNAL_STREAM` names the journal's stream by
/// device and inode, and is inherited by programs whose output goes elsewhere.
pub(super) fn is_printed_to_journal() -> bool {
    let stream = || {
        let out = File::from(std::io::stdout().as_fd().try_clone_to_owned().ok()?);
        let metadata = out.metadata().ok()?;
        Some(format!("{}:{}", metadata.dev(), metadata.ino()))
    };
    std::env::var("JOURNAL_STREAM").is_ok_and(|journal| stream() == Some(journal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(process: u32, listening: &[&str]) -> Running {
        let listening = listening.iter().map(|&place| place.to_owned()).collect();
        Running { process, listening, key: format!("key-{process}") }
    }

    #[test]
    fn the_server_that_is_meant_is_the_only_one_or_the_one_at_an_address() {
        let one = running(1, &["127.0.0.1:8080", "unix:/run/a.sock"]);
        let two = running(2, &["0.0.0.0:9090"]);
        let chosen = |all: &[&Running], listen: Option<&str>| {
            choose(all.iter().map(|&running| running.clone()).collect(), listen).map(|running| running.key)
        };
        assert_eq!(chosen(&[&one], None).unwrap(), "key-1");
        for (listen, key) in [("8080", "key-1"), ("unix:/run/a.sock", "key-1"), ("127.0.0.1:9090", "key-2")] {
            assert_eq!(chosen(&[&one, &two], Some(listen)).unwrap(), key, "{listen}");
        }
        for (all, listen, code, part) in [
            (&[][..], None, 1, "--api-key-file"),
            (&[], Some("8080"), 1, "--api-key-file"),
            (&[&one, &two], None, 2, "127.0.0.1:8080, 0.0.0.0:9090"),
            (&[&one, &two], Some("80"), 1, "there are: 127.0.0.1:8080"),
        ] {
            let failure = chosen(all, listen).unwrap_err();
            assert!(failure.code == code && failure.line.contains(part), "{failure:?}");
            assert!(!failure.line.contains("key-1"), "{failure:?}");
        }
    }
}
