//! Orders to the guard, and its reports: plain data.

use serde::{Deserialize, Serialize};

/// A process, by the number that the worker has given it. A worker never gives a number twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ProcessId(pub u64);

/// An order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Starts a process. With it come its standard input and output, and where its errors go apart from its output a third
    /// descriptor.
    Start(ProcessId, Box<Command>),
    /// Its client is gone and its input has ended: it has to end as well.
    End(ProcessId),
}

/// The command of a process.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Command {
    /// The program's path.
    pub program: Vec<u8>,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Its environment, all of it.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its working directory; `None`: the server's.
    pub directory: Option<Vec<u8>>,
    /// User and group to run as; `None`: the server's.
    pub user: Option<(u32, u32)>,
    /// Its limits.
    pub limits: ProcessLimits,
    /// Time between the end of its input and the first signal beyond what it always has, in milliseconds.
    pub patience_millis: u32,
}

/// The limits of a process; `None`: as the server's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ProcessLimits {
    /// Seconds of CPU time (`RLIMIT_CPU`).
    pub cpu_seconds: Option<u64>,
    /// Bytes of address space (`RLIMIT_AS`).
    pub memory_bytes: Option<u64>,
    /// Descriptors (`RLIMIT_NOFILE`).
    pub files: Option<u64>,
}

/// A report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Report {
    /// It runs.
    Started {
        /// The process.
        process: ProcessId,
        /// Its number in the system.
        pid: u32,
    },
    /// It could not be started, and will not be spoken of again.
    Failed {
        /// The process.
        process: ProcessId,
        /// Why.
        error: String,
    },
    /// It has ended, and all that it left is being ended.
    Ended {
        /// The process.
        process: ProcessId,
        /// How.
        exit: Exit,
    },
}

/// The end of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// A signal ended it.
    Signal(i32),
}
