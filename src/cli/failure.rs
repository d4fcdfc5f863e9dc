//! How the program says what went wrong, and what it has to say.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

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

/// Whether the log is asked for as JSON: what reads it can't read a line of text either.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// The form of the log, as the settings have it.
pub(super) fn complain_as_json(is_json: bool) {
    AS_JSON.store(is_json, Ordering::Relaxed);
}

/// The form of the log as flags and environment have it, for mistakes in these themselves: then nothing else knows it.
pub(super) fn foresee_form(args: &[OsString]) {
    let json = OsStr::new("json");
    let of_flag = args.windows(2).any(|pair| pair[0] == "--log" && pair[1] == json);
    let in_one = args.iter().any(|arg| arg == "--log=json");
    complain_as_json(of_flag || in_one || std::env::var_os("ROLLCALL_LOG").is_some_and(|form| form == json));
}

/// One line to stderr. Who doesn't read it keeps nobody from ending: after a second the line is given up.
pub(super) fn complain(line: &str) {
    print(&if AS_JSON.load(Ordering::Relaxed) {
        as_json("ERROR", line)
    } else {
        format!("rollcall: {line}")
    });
}

/// A line about what is allowed and unwise.
pub(super) fn warn(line: &str) {
    print(&if AS_JSON.load(Ordering::Relaxed) { as_json("WARN", line) } else { format!("rollcall: {line}") });
}

/// In the form of the log's lines.
fn as_json(level: &str, line: &str) -> String {
    let mut time = String::new();
    // Writing to a String can't fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    serde_json::json!({ "timestamp": time, "level": level, "message": line }).to_string()
}

fn print(line: &str) {
    let (line, (written, wait)) = (format!("{line}\n"), channel());
    let write = move || {
        let _ = std::io::stderr().write_all(line.as_bytes());
        let _ = written.send(());
    };
    if std::thread::Builder::new().spawn(write).is_ok() {
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }
}
