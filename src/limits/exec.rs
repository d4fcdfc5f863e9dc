//! The bounds of commands that connections run.

/// Bytes that a worker reads from a process at once, and holds of it at most beside a line that isn't whole. A client that is slower
/// than its process holds the process up.
pub const EXEC_READ_BYTES: usize = 64 << 10;
/// Bytes that a worker reads from all processes in a turn, in the reads that events did not bring about. Past it the others wait
/// for the next turn.
pub const EXEC_TURN_BYTES: usize = 1 << 20;
/// Bytes of a line of a process's errors that the log shows. Past it the line is cut.
pub const EXEC_LOG_LINE_BYTES_MAX: usize = 1 << 10;
/// Lines of errors that the log shows of a process in a second, and at once. Past it they are counted, and the count is logged.
pub const EXEC_LOG_LINES_PER_SECOND: u32 = 10;
/// Programs in the directories of `--exec-dir`. Past it the start is refused.
pub const EXEC_PROGRAMS_MAX: usize = 4096;
/// Directories within one another below `--exec-dir`. Programs that lie deeper are not served.
pub const EXEC_DEPTH_MAX: usize = 8;
/// An order to start a process, with its environment, or a report of one. A request whose headers make more of it gets 431.
pub const EXEC_ORDER_BYTES_MAX: usize = 128 << 10;
/// Descriptors that come with an order.
pub const EXEC_ORDER_DESCRIPTORS: usize = 3;
/// Reports of a worker's processes that wait in the guard for the worker to read. More are not made: each process has three.
pub const EXEC_REPORTS_PER_TURN: usize = 256;
/// Processes at once that can be asked for: the numbers that a kernel gives out by default.
pub const EXEC_PROCESSES_MAX: usize = 1 << 22;
/// How long what a process has printed may take to arrive after it has ended.
pub const EXEC_LAST_WORDS_MILLIS: u64 = 1_000;

const _: () = assert!(EXEC_READ_BYTES <= EXEC_TURN_BYTES);
