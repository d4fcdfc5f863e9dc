//! The manners of a room: nobody stuck, the stuck closed at the bound, the stuck losing the oldest messages; how each is
//! measured, and what the server's own figures say of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::Bench;
use crate::child::{Child, figure, get};
use crate::compare::load::Load;
use crate::process;
use crate::result::Run;

/// Bytes of what is said: at the usual rate a backlog of 1 MiB is full within the measurement.
const SIZE: &str = "2KiB";
/// The room whose stuck members lose the oldest messages.
const DROPS_OLDEST: &str = "ticker";
/// Between two looks at the server.
const LOOK: Duration = Duration::from_millis(250);

/// The room that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Members that read, and that do not.
    pub members: usize,
    /// Messages a second.
    pub rate: u32,
    pub duration: Duration,
    /// The server's `--max-backlog`.
    pub max_backlog: u64,
}

impl Room {
    /// What the report says of it.
    pub fn parameters(&self) -> BTreeMap<String, serde_json::Value> {
        [
            ("members", self.members.into()),
            ("rate", self.rate.into()),
            ("duration_s", self.duration.as_secs_f64().into()),
            ("max_backlog", self.max_backlog.into()),
        ]
        .map(|(name, value): (&str, serde_json::Value)| (name.to_owned(), value))
        .into()
    }

    /// Time for sockets to fill: 128 KiB here, and what the kernel takes on both sides.
    fn warmup(&self) -> Duration {
        Duration::from_secs_f64(200.0 / f64::from(self.rate))
    }
}

/// How the room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// All members read.
    Nobody,
    /// Beside them as many that do not, in a room like any other.
    Closed,
    /// The same in a room that `--drop-oldest` names.
    Dropped,
}

pub const MANNERS: [Manner; 3] = [Manner::Nobody, Manner::Closed, Manner::Dropped];

impl Manner {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Manner::Nobody => "nobody stuck",
            Manner::Closed => "stuck, closed at the bound",
            Manner::Dropped => "stuck, oldest dropped",
        }
    }

    /// Measures it on a server of its own.
    pub(super) fn measure(self, bench: &Bench) -> io::Result<Run> {
        let room = &bench.room;
        let flags = ["--workers", "1", "--max-commands-per-second", "1000000", "--drop-oldest", DROPS_OLDEST];
        let mut words: Vec<OsString> = vec![bench.program.clone().into()];
        words.extend(flags.map(Into::into));
        words.extend(["--max-backlog", &room.max_backlog.to_string(), "--listen"].map(Into::into));
        let server = Child::start("rollcall", &words, |command| bench.cores.on_server(|| command.spawn()))?;
        let mut command = Command::new(std::env::current_exe()?);
        let millis = |duration: Duration| format!("{}ms", duration.as_millis());
        command
            .args(["fanout", "--url", &format!("ws://{}/ws", server.address())])
            .args(["--pid", &server.pid().to_string(), "--threads", "1", "--states", "--size", SIZE])
            .args(["--connections", &room.members.to_string(), "--rate", &room.rate.to_string()])
            .args(["--stuck", &if self == Manner::Nobody { 0 } else { room.members }.to_string()])
            .args(["--room", if self == Manner::Dropped { DROPS_OLDEST } else { "lobby" }])
            .args(["--warmup", &millis(room.warmup()), "--duration", &millis(room.duration)]);
        let load = Load {
            cores: Some(&bench.cores),
            scratch: &bench.scratch,
            patience: bench.patience,
            stop: &bench.stop,
        };
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let looks = scope.spawn(|| look_on(&server, &over));
            let run = load.run(&mut command);
            over.store(true, Relaxed);
            let most = looks.join().expect("looking on does not panic");
            let mut run = run?;
            most.tell(&mut run);
            Ok(run)
        })
    }
}

/// The most of each that the server had at a look.
#[derive(Debug, Default)]
struct Most {
    resident: f64,
    backlog: f64,
    closed: f64,
    dropped: f64,
    replaced: f64,
}

impl Most {
    fn tell(&self, run: &mut Run) {
        for (name, value) in [
            ("server_memory_max_bytes", self.resident),
            ("backlog_max_bytes", self.backlog),
            ("closed_1013", self.closed),
            ("dropped_messages", self.dropped),
            ("replaced_states", self.replaced),
        ] {
            run.figures.insert(name.to_owned(), value);
        }
    }
}

/// Looks at the server until the load is over.
fn look_on(server: &Child, over: &AtomicBool) -> Most {
    let mut most = Most::default();
    while !over.load(Relaxed) {
        let metrics =
            get(server.address(), "/metrics", server.key()).map(|(_, body)| body).unwrap_or_default();
        let resident = process::usage(server.pid()).map_or(0, |usage| usage.resident_bytes);
        most.resident = most.resident.max(resident as f64);
        for (most, name) in [
            (&mut most.backlog, "rollcall_backlog_bytes "),
            (&mut most.closed, "rollcall_closes_total{code=\"1013\"}"),
            (&mut most.dropped, "rollcall_messages_withheld_total{policy=\"drop_oldest\"}"),
            (&mut most.replaced, "rollcall_messages_withheld_total{policy=\"latest_only\"}"),
        ] {
            *most = most.max(figure(&metrics, name));
        }
        thread::sleep(LOOK);
    }
    most
}
