//! How the program says what went wrong, and what it has to say.

use std::io::Write as _;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Why the process ends otherwise than well.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) line: String,
    pub(super) code: u8,
}

impl Failure {
    /// It was asked wrongly.
    pub(super) fn usage(line: String) -> Failure {
        Failure { line, code: 2 }
    }

    /// The system refused.
    pub(super) fn system(line: String) -> Failure {
        Failure { line, code: 1 }
    }
}

/// To stdout; whoever doesn't read it is no reason to fail.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
}

/// One line to stderr. Who doesn't read it keeps nobody from ending: after a second the line is given up.
pub(super) fn complain(line: &str) {
    let (line, (written, wait)) = (format!("rollcall: {line}\n"), channel());
    let write = move || {
        let _ = std::io::stderr().write_all(line.as_bytes());
        let _ = written.send(());
    };
    if std::thread::Builder::new().spawn(write).is_ok() {
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }
}
