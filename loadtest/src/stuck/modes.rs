//! The modes of a room: nobody stuck, the stuck closed at the bound, the stuck losing the oldest messages; how each is
//! measured, and what the server's own figures say of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::bench::{Figures, Row, Subject, flags, timed};
use crate::child::{Child, Launch, figure};
use crate::process;

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

    pub fn row(&self, program: &Path, rounds: usize) -> Row {
        let (members, rate) = (self.members, self.rate);
        // Time for sockets to fill: 128 KiB here, and what the kernel takes on both sides.
        let warmup = Duration::from_secs_f64(200.0 / f64::from(rate));
        let load = format!("--threads 1 --states --size {SIZE} --connections {members} --rate {rate}");
        let always = format!(
            "--workers 1 --max-commands-per-second 1000000 --drop-oldest {DROPS_OLDEST} --max-backlog {}",
            self.max_backlog
        );
        let server = Launch::rollcall(program, always.split(' ').map(Into::into));
        let subject = |mode: Mode| Subject {
            launch: Launch { name: mode.name(), ..server.clone() },
            path: "/ws",
            flags: mode.flags(members),
        };
        Row {
            label: format!("a room of {members}"),
            scenario: "fanout",
            flags: [flags(&load), timed(self.duration, warmup)].concat(),
            subjects: MODES.map(subject).into(),
            rounds,
            ..Row::default()
        }
    }
}

/// How the room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All members read.
    Nobody,
    /// Beside them as many that do not, in a room like any other.
    Closed,
    /// The same in a room that `--drop-oldest` names.
    Dropped,
}

pub const MODES: [Mode; 3] = [Mode::Nobody, Mode::Closed, Mode::Dropped];

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Nobody => "nobody stuck",
            Mode::Closed => "stuck, closed at the bound",
            Mode::Dropped => "stuck, oldest dropped",
        }
    }

    fn flags(self, members: usize) -> Vec<String> {
        let stuck = if self == Mode::Nobody { 0 } else { members };
        let room = if self == Mode::Dropped { DROPS_OLDEST } else { "lobby" };
        flags(&format!("--stuck {stuck} --room {room}"))
    }
}

/// Looks at the server until the load is over: the most of each figure that it had at a look.
pub fn look_on(server: &Child, over: &AtomicBool) -> Figures {
    let mut most = Figures::new();
    while !over.load(Relaxed) {
        let metrics = server.metrics();
        let resident = process::usage(server.pid()).map_or(0, |usage| usage.resident_bytes);
        for (name, value) in [
            ("server_memory_max_bytes", resident as f64),
            ("backlog_max_bytes", figure(&metrics, "rollcall_backlog_bytes ")),
            ("closed_1013", figure(&metrics, "rollcall_closes_total{code=\"1013\"}")),
            (
                "dropped_messages",
                figure(&metrics, "rollcall_messages_withheld_total{policy=\"drop_oldest\"}"),
            ),
            ("replaced_states", figure(&metrics, "rollcall_messages_withheld_total{policy=\"latest_only\"}")),
        ] {
            let highest: &mut f64 = most.entry(name.to_owned()).or_default();
            *highest = highest.max(value);
        }
        thread::sleep(LOOK);
    }
    most
}
