//! A command per connection: its output are messages, and messages are its input.
//!
//! The connection's end ends the process and everything that has come of it, and the process's end closes the connection. Pipes lead
//! to it, which the worker's own poll watches; a [guard](crate::reactor::processes) beside the server starts and ends it, so that no
//! turn waits for a process. Backpressure goes both ways: a process that doesn't read has its client paused, and what a process
//! prints for a client that doesn't read stays in its pipe.
//!
//! Per process a worker holds three descriptors, one message that its pipe did not take at most, one line that is not whole, and
//! some 300 bytes.
//!
//! | file | |
//! |---|---|
//! | [`settings`] | what is served where, and as whom |
//! | [`counts`] | how many there are |
//! | `coming` | who may run a command; its environment is [`cgi`]'s |
//! | `process`, `key` | one process and its connection; its names |
//! | [`lines`] | bytes to messages |
//! | [`errors`] | what processes print on their standard error |

pub mod cgi;
mod coming;
pub mod counts;
pub mod errors;
mod key;
pub mod lines;
mod process;
pub mod settings;

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::exec::{
    EXEC_LAST_WORDS_MILLIS, EXEC_ORDER_BYTES_MAX, EXEC_READ_BYTES, EXEC_REPORTS_PER_TURN, EXEC_TURN_BYTES,
};
use crate::reactor::processes::{Ends, Link, Order, ProcessId, Received, Report, TheirEnds};
use crate::reactor::{Admission, Cause, ConnId, Context, Readiness, Service, WatchId};
use crate::slots::Slots;
use crate::time::{Now, Tick, ticks};
use crate::wire::close::{Close, CloseCode};
use crate::wire::http::{Refusal, Response};
use crate::wire::session::Kind;
use crate::wire::upgrade::Upgrade;

pub use coming::Coming;
use key::{Key, Role};
use process::{Process, Pumped, close_with};
pub use settings::ExecSettings;

const NO_DESCRIPTORS: &str = "no descriptors left for a command";
const NO_GUARD: &str = "the guard of commands is gone";
const TIME_IS_OVER: &str = "the command's time is over";

/// The commands of one worker's connections, a [`Service`].
#[derive(Debug)]
pub struct Exec {
    settings: Arc<ExecSettings>,
    /// To the guard, from the first connection on.
    link: Option<Link>,
    /// The guard has been there, and is gone for good.
    is_lost: bool,
    /// Orders that the link did not take yet.
    orders: VecDeque<(Order, TheirEnds)>,
    processes: Slots<Process>,
    next_serial: u32,
    /// Processes that may have more to read than an event's share.
    busy: VecDeque<Key>,
    /// The guard has more to report than a turn hears.
    has_reports: bool,
    /// One buffer for every read, from the first connection on.
    buffer: Box<[u8]>,
}

impl Exec {
    /// The commands of one worker.
    #[must_use]
    pub fn new(settings: Arc<ExecSettings>) -> Exec {
        Exec {
            settings,
            link: None,
            is_lost: false,
            orders: VecDeque::new(),
            processes: Slots::default(),
            next_serial: 0,
            busy: VecDeque::new(),
            has_reports: false,
            buffer: Box::default(),
        }
    }

    /// Processes that run, or that are being started or ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    fn get(&mut self, key: Key) -> Option<&mut Process> {
        self.processes.get_mut(key.place as usize).filter(|process| process.serial == key.serial)
    }

    /// The process of a connection.
    fn of_conn(&mut self, cx: &Context<'_, ()>, conn: ConnId) -> Option<(Key, &mut Process)> {
        let place = cx.tag(conn)?;
        let process = self.processes.get_mut(place as usize).filter(|process| process.conn == Some(conn))?;
        Some((Key { place, serial: process.serial }, process))
    }

    /// Whether the guard can be reached. Makes the link where it is not there.
    fn has_link(&mut self, cx: &mut Context<'_, ()>) -> bool {
        if self.is_lost {
            return false;
        }
        if self.link.is_none() {
            let Some(access) = &self.settings.access else { return false };
            let link = match access.link() {
                Ok(link) => link,
                Err(error) => {
                    tracing::error!(%error, "commands can't be started: the guard is out of reach");
                    return false;
                }
            };
            cx.watch(link.clone(), key::LINK);
            self.link = Some(link);
            self.buffer = vec![0; EXEC_READ_BYTES.max(EXEC_ORDER_BYTES_MAX)].into();
        }
        true
    }

    /// Sends an order behind those that wait.
    fn order(&mut self, cx: &mut Context<'_, ()>, order: Order, ends: TheirEnds) {
        self.orders.push_back((order, ends));
        self.send_orders(cx);
    }

    /// A process could not be started.
    fn fail(&mut self, cx: &mut Context<'_, ()>, key: Key, error: &dyn Display) {
        let Some(process) = self.get(key) else { return };
        let conn = process.conn.take();
        self.remove(cx.now(), key);
        if let Some(conn) = conn {
            tracing::warn!(conn = conn.to_bits(), %error, "a command could not be started");
            cx.close(conn, &Close::new(CloseCode::INTERNAL, "the command could not be started"));
        }
    }

    /// Lists a process that may have more to read, once.
    fn list(&mut self, key: Key) {
        if self.get(key).is_some_and(Process::list) {
            self.busy.push_back(key);
        }
    }

    fn send_orders(&mut self, cx: &mut Context<'_, ()>) {
        let Some(link) = &self.link else { return };
        let link = link.clone();
        while let Some((order, ends)) = self.orders.front() {
            let result = link.order(order, ends);
            // The link is told of when it has room; where its other end is gone too.
            if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                return;
            }
            let Some((order, _)) = self.orders.pop_front() else { return };
            match (result, order) {
                (Ok(()), _) => {}
                (Err(error), Order::Start(process, _)) => self.fail(cx, Key::of_id(process), &error),
                (Err(error), Order::End(_)) => {
                    tracing::error!(%error, "an order to the guard of commands is lost");
                }
            }
        }
    }

    /// Takes what the guard reports.
    fn hear_guard(&mut self, cx: &mut Context<'_, ()>) {
        self.has_reports = false;
        let Some(link) = self.link.clone() else { return };
        for _ in 0..EXEC_REPORTS_PER_TURN {
            match link.receive(&mut self.buffer[..EXEC_ORDER_BYTES_MAX]) {
                Ok(Received::Message(report, _)) => self.on_report(cx, report),
                Ok(Received::Unreadable) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(Received::End) | Err(_) => return self.lose_guard(cx),
            }
        }
        // No event tells of those that are left.
        self.has_reports = true;
    }

    fn on_report(&mut self, cx: &mut Context<'_, ()>, report: Report) {
        match report {
            Report::Started { process, pid } => {
                if let Some(process) = self.get(Key::of_id(process)) {
                    let conn = process.conn.map(ConnId::to_bits);
                    tracing::debug!(conn, pid, "a command runs");
                }
            }
            Report::Failed { process, error } => self.fail(cx, Key::of_id(process), &error),
            Report::Ended { process, exit } => {
                let key = Key::of_id(process);
                let Some(process) = self.get(key) else { return };
                process.ended = Some(exit);
                let Some(conn) = process.conn else { return self.remove(cx.now(), key) };
                tracing::debug!(conn = conn.to_bits(), ?exit, "a command has ended");
                cx.timer(conn, Some(cx.now().tick.after(last_words())));
                self.pump(cx, key);
            }
        }
    }

    /// The guard is gone, and with it all commands.
    fn lose_guard(&mut self, cx: &mut Context<'_, ()>) {
        tracing::error!(
            "{NO_GUARD}: somebody has ended it; the server has to be started again to run commands"
        );
        self.link = None;
        self.is_lost = true;
        self.orders.clear();
        let all: Vec<usize> = self.processes.iter().map(|(place, _)| place).collect();
        for place in all {
            let Some(process) = self.processes.try_remove(place) else { continue };
            if let Some(conn) = process.conn {
                cx.close(conn, &Close::new(CloseCode::INTERNAL, NO_GUARD));
            }
        }
    }

    fn remove(&mut self, now: Now, key: Key) {
        if let Some(mut process) = self.processes.try_remove(key.place as usize) {
            // Of its last errors no event may have told yet; the pipe holds no more than that.
            for _ in 0..2 {
                process.pump_errors(&mut self.buffer[..EXEC_READ_BYTES], now);
            }
            process.last_errors();
        }
        if self.processes.is_empty() {
            self.processes.shrink();
            self.busy.shrink_to(0);
        }
    }

    /// Reads what a process has printed, once. Returns how much that was.
    fn pump(&mut self, cx: &mut Context<'_, ()>, key: Key) -> usize {
        let settings = &self.settings;
        let process =
            self.processes.get_mut(key.place as usize).filter(|process| process.serial == key.serial);
        let Some(process) = process else { return 0 };
        let pumped = process.pump(cx, &mut self.buffer[..EXEC_READ_BYTES], settings);
        let mut read = match pumped {
            Pumped::More(read) | Pumped::Waits(read) => read,
            Pumped::TooLong => {
                if let Some(conn) = process.conn {
                    cx.close(conn, &Close::new(CloseCode::TOO_BIG, "the command's line is too long"));
                }
                0
            }
        };
        if process.has_more_errors() {
            read += process.pump_errors(&mut self.buffer[..EXEC_READ_BYTES], cx.now());
        }
        if process.has_more_errors() || matches!(pumped, Pumped::More(_)) {
            self.list(key);
        }
        self.settle(cx, key);
        read
    }

    /// Closes the connection of a process that has ended and said all.
    fn settle(&mut self, cx: &mut Context<'_, ()>, key: Key) {
        let Some(process) = self.get(key) else { return };
        let (Some(exit), Some(conn)) = (process.ended, process.conn) else { return };
        if process.has_said_all() {
            close_with(cx, conn, exit);
        }
    }

    /// Writes the rest of a message that a process's pipe did not take.
    fn feed(&mut self, cx: &mut Context<'_, ()>, key: Key) {
        let Some(process) = self.get(key) else { return };
        if process.write_pending()
            && let Some(conn) = process.conn
        {
            cx.resume(conn);
        }
    }
}

fn last_words() -> u32 {
    ticks(Duration::from_millis(EXEC_LAST_WORDS_MILLIS))
}

impl Service for Exec {
    type Mail = ();
    type Admitted = Box<Coming>;

    fn admit(
        &mut self,
        cx: &mut Context<'_, ()>,
        conn: ConnId,
        upgrade: &Upgrade<'_>,
    ) -> Admission<Box<Coming>> {
        if !self.has_link(cx) {
            return Admission::Refuse(Response::refusal(&Refusal { status: 503, reason: NO_GUARD }));
        }
        match coming::judge(&self.settings, cx, conn, upgrade) {
            Ok(coming) => Admission::accept(Box::new(coming)),
            Err(response) => Admission::Refuse(response),
        }
    }

    fn open(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, coming: Box<Coming>) {
        let Coming { command, ticket } = *coming;
        let (ends, theirs) = match Ends::new(!self.settings.errors_to_client) {
            Ok(both) => both,
            Err(error) => {
                tracing::error!(%error, "{NO_DESCRIPTORS}");
                return cx.close(conn, &Close::new(CloseCode::TRY_AGAIN, NO_DESCRIPTORS));
            }
        };
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1) & ((1 << key::SERIAL_BITS) - 1);
        let (output, errors) = (ends.output.clone(), ends.errors.clone());
        let place = self.processes.insert(Process::new(conn, serial, ends, ticket));
        let key = Key { place: u32::try_from(place).unwrap_or(u32::MAX), serial };
        cx.set_tag(conn, key.place);
        cx.watch(output, key.watch(Role::Output));
        if let Some(errors) = errors {
            cx.watch(errors, key.watch(Role::Errors));
        }
        if let Some(time) = self.settings.time {
            cx.timer(conn, Some(cx.now().tick.after(ticks(time))));
        }
        self.order(cx, Order::Start(key.id(), Box::new(command)), theirs);
    }

    fn message(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, _: Kind, payload: &[u8]) {
        let binary = self.settings.binary;
        let Some((key, process)) = self.of_conn(cx, conn) else { return };
        if !process.takes_input() {
            return cx.count_lost_mail();
        }
        if process.write(payload, binary) {
            return;
        }
        if let Some(input) = process.watch_input() {
            cx.watch(input, key.watch(Role::Input));
        }
        cx.pause(conn);
    }

    fn writable(&mut self, cx: &mut Context<'_, ()>, conn: ConnId) {
        if let Some((key, process)) = self.of_conn(cx, conn)
            && process.unblock()
        {
            self.list(key);
        }
    }

    fn left(&mut self, cx: &mut Context<'_, ()>, conn: ConnId) {
        // Its process reads nothing, and could be waited for for ever: what is left of its messages goes nowhere.
        if let Some((_, process)) = self.of_conn(cx, conn) {
            process.stop_input();
            cx.resume(conn);
        }
    }

    fn ready(&mut self, cx: &mut Context<'_, ()>, watched: WatchId, readiness: Readiness) {
        let key = Key::of_id(ProcessId(watched.number));
        match Role::of_watch(watched.number) {
            Role::Link => {
                self.send_orders(cx);
                self.hear_guard(cx);
            }
            _ if readiness.failed => {
                if let Some(conn) = self.get(key).and_then(|process| process.conn) {
                    cx.close(conn, &Close::new(CloseCode::TRY_AGAIN, NO_DESCRIPTORS));
                }
            }
            Role::Input => self.feed(cx, key),
            Role::Output => {
                let read = self.pump(cx, key);
                cx.charge(u32::try_from(1 + read / 2_048).unwrap_or(u32::MAX));
            }
            Role::Errors => {
                let now = cx.now();
                let buffer = &mut self.buffer[..EXEC_READ_BYTES];
                let process =
                    self.processes.get_mut(key.place as usize).filter(|process| process.serial == key.serial);
                let Some(process) = process else { return };
                let read = process.pump_errors(buffer, now);
                if process.has_more_errors() {
                    self.list(key);
                }
                cx.charge(u32::try_from(1 + read / 2_048).unwrap_or(u32::MAX));
            }
        }
    }

    fn timer(&mut self, cx: &mut Context<'_, ()>, conn: ConnId) {
        let Some((_, process)) = self.of_conn(cx, conn) else { return };
        match process.ended {
            None => cx.close(conn, &Close::new(CloseCode::TIMEOUT, TIME_IS_OVER)),
            // Its client has yet to read the rest.
            Some(_) if process.is_held_up() => cx.timer(conn, Some(cx.now().tick.after(last_words()))),
            Some(exit) => close_with(cx, conn, exit),
        }
    }

    fn closed(&mut self, cx: &mut Context<'_, ()>, conn: ConnId, _: Cause) {
        let Some((key, process)) = self.of_conn(cx, conn) else { return };
        process.part();
        if process.ended.is_some() {
            return self.remove(cx.now(), key);
        }
        self.order(cx, Order::End(key.id()), TheirEnds::none());
    }

    fn tick(&mut self, cx: &mut Context<'_, ()>) -> Option<Tick> {
        if self.has_reports {
            self.hear_guard(cx);
        }
        let mut read = 0;
        for _ in 0..self.busy.len() {
            if read >= EXEC_TURN_BYTES {
                break;
            }
            let Some(key) = self.busy.pop_front() else { break };
            self.get(key).into_iter().for_each(Process::unlist);
            read += self.pump(cx, key);
        }
        (self.has_reports || !self.busy.is_empty()).then(|| cx.now().tick)
    }

    fn measure_memory(&mut self, _: &mut Context<'_, ()>) {
        self.orders.shrink_to(0);
        self.busy.shrink_to(0);
    }
}
