//! One process and its connection.

use std::io::ErrorKind;

use crate::reactor::processes::{Ends, Exit, Pipe};
use crate::reactor::{ConnId, Context, SendError};
use crate::service::exec::counts::Ticket;
use crate::service::exec::errors::ErrorLog;
use crate::service::exec::lines::{Cut, Lines};
use crate::service::exec::settings::ExecSettings;
use crate::time::Now;
use crate::wire::close::{Close, CloseCode};
use crate::wire::session::Kind;

/// A process, from the order to start it to the report of its end.
#[derive(Debug)]
pub(super) struct Process {
    /// Its connection; `None`: it is gone, and the process is being ended.
    pub(super) conn: Option<ConnId>,
    pub(super) serial: u32,
    pub(super) ended: Option<Exit>,
    /// Its standard input. `None`: its client is gone, or the process reads no more.
    input: Option<Pipe>,
    input_watched: bool,
    /// The rest of a message that the pipe did not take: its connection is paused.
    pending: Vec<u8>,
    /// `None`: all of it has been read.
    output: Option<Pipe>,
    lines: Lines,
    /// Bytes that were read and could not be sent.
    held: Vec<u8>,
    /// Its client has to read before more is read of the process.
    blocked: bool,
    errors: Option<Pipe>,
    /// Of which no event tells: there are more than one read took.
    has_more_errors: bool,
    error_log: ErrorLog,
    is_listed: bool,
    _ticket: Ticket,
}

/// The outcome of reading once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pumped {
    /// So many bytes, and there may be more at once.
    More(usize),
    /// So many, and something will tell when there are more.
    Waits(usize),
    /// A line is longer than a message may be.
    TooLong,
}

impl Process {
    pub(super) fn new(conn: ConnId, serial: u32, ends: Ends, ticket: Ticket) -> Process {
        let Ends { input, output, errors } = ends;
        Process {
            conn: Some(conn),
            serial,
            ended: None,
            input: Some(input),
            input_watched: false,
            pending: Vec::new(),
            output: Some(output),
            lines: Lines::default(),
            held: Vec::new(),
            blocked: false,
            errors,
            has_more_errors: false,
            is_listed: false,
            error_log: ErrorLog::new(conn.to_bits()),
            _ticket: ticket,
        }
    }

    /// Whether messages can be written to it.
    pub(super) fn takes_input(&self) -> bool {
        self.input.is_some()
    }

    /// Writes a message, as it is or as a line. Says whether the pipe took all of it; the rest is written by
    /// [`Process::write_pending`].
    pub(super) fn write(&mut self, payload: &[u8], binary: bool) -> bool {
        self.pending.extend_from_slice(payload);
        if !binary {
            self.pending.push(b'\n');
        }
        self.write_pending()
    }

    /// Writes what is pending; says whether nothing is left.
    pub(super) fn write_pending(&mut self) -> bool {
        let Some(input) = &self.input else { return true };
        let mut written = 0;
        while written < self.pending.len() {
            match input.write(&self.pending[written..]) {
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.pending.drain(..written);
                    return false;
                }
                Err(_) => {
                    // It reads no more. Whether it goes on is its own business.
                    self.input = None;
                    break;
                }
            }
        }
        self.pending.clear();
        // Big messages are rare: the buffer of a small one serves the next.
        self.pending.shrink_to(KEPT);
        true
    }

    /// The pipe to be watched where it has not been yet.
    pub(super) fn watch_input(&mut self) -> Option<Pipe> {
        if std::mem::replace(&mut self.input_watched, true) { None } else { self.input.clone() }
    }

    /// Reads what it has printed, once, and sends it.
    pub(super) fn pump(
        &mut self,
        cx: &mut Context<'_, ()>,
        buffer: &mut [u8],
        settings: &ExecSettings,
    ) -> Pumped {
        let Some(conn) = self.conn else { return Pumped::Waits(0) };
        if self.blocked || cx.backlog(conn) > 0 {
            self.blocked = true;
            return Pumped::Waits(0);
        }
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            if let Err(stopped) = self.send(cx, conn, &held, settings) {
                return stopped;
            }
        }
        let Some(output) = &self.output else { return Pumped::Waits(0) };
        match output.read(buffer) {
            Ok(0) => self.end_output(cx, conn),
            Ok(len) => match self.send(cx, conn, &buffer[..len], settings) {
                Err(stopped) => stopped,
                Ok(()) if len == buffer.len() => Pumped::More(len),
                Ok(()) => Pumped::Waits(len),
            },
            Err(error) if error.kind() == ErrorKind::WouldBlock => Pumped::Waits(0),
            Err(_) => self.end_output(cx, conn),
        }
    }

    /// Sends what was read. What can't be sent now is held.
    fn send(
        &mut self,
        cx: &mut Context<'_, ()>,
        conn: ConnId,
        bytes: &[u8],
        settings: &ExecSettings,
    ) -> Result<(), Pumped> {
        let mut refusal = None;
        if settings.binary {
            refusal = cx.send(conn, Kind::Binary, bytes).err();
            if refusal.is_some() {
                self.held = bytes.to_vec();
            }
        } else {
            let take = |line: &[u8]| {
                refusal = send_line(cx, conn, line).err();
                refusal.is_none()
            };
            match self.lines.cut(bytes, settings.message_bytes_max, take) {
                Cut::All => {}
                Cut::TooLong => return Err(Pumped::TooLong),
                Cut::Refused(held) => self.held = held,
            }
        }
        match refusal {
            None => Ok(()),
            Some(SendError::Backlogged) => {
                self.blocked = true;
                Err(Pumped::Waits(bytes.len()))
            }
            // Nothing tells when a turn has room again.
            Some(SendError::TurnFull) => Err(Pumped::More(bytes.len())),
            Some(SendError::Gone | SendError::NotUtf8) => {
                self.held = Vec::new();
                Err(Pumped::Waits(bytes.len()))
            }
        }
    }

    /// Nothing else will come of its output.
    fn end_output(&mut self, cx: &mut Context<'_, ()>, conn: ConnId) -> Pumped {
        self.output = None;
        match self.lines.last() {
            Some(last) if matches!(send_line(cx, conn, &last), Err(SendError::TurnFull)) => {
                self.held = last;
                Pumped::More(0)
            }
            _ => Pumped::Waits(0),
        }
    }

    /// Its client has read all that was queued. Says whether that was waited for.
    pub(super) fn unblock(&mut self) -> bool {
        std::mem::take(&mut self.blocked)
    }

    /// Whether its client has to read first.
    pub(super) fn is_held_up(&self) -> bool {
        self.blocked || !self.held.is_empty()
    }

    /// Whether all that it has printed has been sent.
    pub(super) fn has_said_all(&self) -> bool {
        self.output.is_none() && self.held.is_empty()
    }

    /// Reads what it has printed as errors, once. Returns how much that was.
    pub(super) fn pump_errors(&mut self, buffer: &mut [u8], now: Now) -> usize {
        let Some(errors) = &self.errors else { return 0 };
        self.has_more_errors = false;
        match errors.read(buffer) {
            Ok(len) if len > 0 => {
                self.error_log.say(&buffer[..len], now);
                self.has_more_errors = len == buffer.len();
                return len;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => self.errors = None,
        }
        0
    }

    /// It is listed as busy. Says whether it was not.
    pub(super) fn list(&mut self) -> bool {
        !std::mem::replace(&mut self.is_listed, true)
    }

    /// It is listed no more.
    pub(super) fn unlist(&mut self) {
        self.is_listed = false;
    }

    /// Whether there are more errors to read, of which no event tells.
    pub(super) fn has_more_errors(&self) -> bool {
        self.has_more_errors
    }

    /// Logs what is left of its errors.
    pub(super) fn last_errors(&mut self) {
        self.error_log.end();
    }

    /// Nothing else is written to it.
    pub(super) fn stop_input(&mut self) {
        self.input = None;
        self.pending = Vec::new();
    }

    /// Its client is gone: its input ends, and what it prints from here on is for nobody.
    pub(super) fn part(&mut self) {
        self.conn = None;
        self.stop_input();
        self.held = Vec::new();
        self.lines.clear();
    }
}

/// Sends a line. Bytes that are not UTF-8 are shown as such: a text that holds them would end the connection.
fn send_line(cx: &mut Context<'_, ()>, conn: ConnId, line: &[u8]) -> Result<(), SendError> {
    match cx.send(conn, Kind::Text, line) {
        Err(SendError::NotUtf8) => cx.send_text(conn, &String::from_utf8_lossy(line)),
        sent => sent,
    }
}

/// Closes the connection of a command that has ended.
pub(super) fn close_with(cx: &mut Context<'_, ()>, conn: ConnId, exit: Exit) {
    match exit {
        Exit::Status(0) => cx.close(conn, &Close::new(CloseCode::NORMAL, "")),
        Exit::Status(status) => {
            let reason = format!("the command exited with status {status}");
            cx.close(conn, &Close::new(CloseCode::INTERNAL, &reason));
        }
        Exit::Signal(signal) => {
            cx.close(conn, &Close::new(CloseCode::INTERNAL, &format!("signal {signal} ended the command")));
        }
    }
}

/// Bytes of a buffer that outlast a message.
const KEPT: usize = 256;
