//! What arrives: reads, and the frames in them.

use std::io::{self, ErrorKind};
use std::mem;
use std::time::Duration;

use crate::conn::flags::Flag;
use crate::conn::{AtEnd, Conn, Life};
use crate::limits::{LATE_UNITS, READ_ONTO_BYTES_MIN};
use crate::reactor::context::Context;
use crate::reactor::counters::{Cause, Deferred};
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::transport::Transport;
use crate::reactor::unserved::End;
use crate::reactor::work::parts;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::close::{Close, CloseCode};
use crate::wire::error::ProtocolError;
use crate::wire::session::{Event, Session};

impl<N: Net, S: Service> Worker<N, S> {
    /// Reads what has arrived, a turn's share of it. `to_end`: the peer has ended its stream, so that a short read does
    /// not mean that there is no more.
    pub(crate) fn read(&mut self, id: ConnId, to_end: bool) {
        if !self.awaits_handshake(id) {
            self.read_on(id, to_end);
        }
    }

    /// The same for one whose handshake, where it has any before it, may go on.
    pub(crate) fn read_on(&mut self, id: ConnId, to_end: bool) {
        let mut buffer = mem::take(&mut self.buffer);
        // What was read first is served first.
        while !self.core.unserved.has(id) && !self.is_paused(id) && self.read_once(id, &mut buffer, to_end) {
            if self.core.work.is_spent() {
                self.list(id);
                break;
            }
        }
        self.buffer = buffer;
    }

    /// Reads once; says whether there may be more to read.
    fn read_once(&mut self, id: ConnId, buffer: &mut [u8], to_end: bool) -> bool {
        let is_secure = self.core.is_secure(id);
        if !is_secure && let Some(more) = self.read_onto(id, to_end) {
            return more;
        }
        let Some(mut transport) = self.transport(id) else { return false };
        let result = transport.read(buffer);
        let more = to_end || result.as_ref().is_ok_and(|read| read.is_full);
        let Some(len) = self.heard(id, result.map(|read| read.len)) else { return false };
        if is_secure {
            self.open_records(id, len, buffer);
            return more;
        }
        self.input(id, &mut buffer[..len]);
        if more && self.core.is_secure(id) {
            // Behind a PROXY header TLS has begun: the rest is records.
            self.list(id);
            return false;
        }
        more
    }

    /// Takes one read's outcome but for its bytes. Returns how many there are.
    fn heard(&mut self, id: ConnId, result: io::Result<usize>) -> Option<usize> {
        match result {
            Ok(0) => {
                // Over TLS it may be somebody else who ended the stream: what came before was the peer's, and is answered.
                let is_told = self.core.tls.as_ref().is_none_or(|side| side.ends_by_its_word(id));
                self.on_end(id, if is_told { Cause::Lost } else { Cause::Reset });
            }
            Ok(len) => {
                self.on_arrival(id, len);
                return Some(len);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.remove(id, Cause::Reset),
        }
        None
    }

    /// Reads behind what has arrived of a big message, where much of it is to come: from the shared buffer it would be
    /// copied there. Says whether there may be more to read; `None` where nothing like that is under way.
    fn read_onto(&mut self, id: ConnId, to_end: bool) -> Option<bool> {
        let message = self.core.get_mut(id)?.message_room(READ_ONTO_BYTES_MIN)?;
        let (before, room) = (message.len(), message.capacity() - message.len());
        let socket = self.sockets.get_mut(id.key as usize)?;
        let result = Transport::new(socket, None, id).read_onto(message);
        let Some(len) = self.heard(id, result) else { return Some(false) };
        let Some(mut session) = self.core.get_mut(id).and_then(Conn::take_session) else {
            return Some(false);
        };
        match session.filled(before) {
            Ok(Some(event)) if self.reads_frames(id) => self.event(id, &event),
            Ok(_) => {}
            Err(error) => self.violation(id, error),
        }
        self.put_back(id, session);
        Some(len == room || to_end)
    }

    /// Bytes arrived: that is life.
    fn on_arrival(&mut self, id: ConnId, len: usize) {
        self.core.counters().received_bytes.add(len as u64);
        self.core.work.charge_read(len);
        let now = self.core.now.tick;
        if self.core.get_mut(id).is_some_and(|conn| conn.heard(now)) {
            self.service.suspect(&mut Context::new(&mut self.core, &self.mailboxes), id, false);
            self.settle();
        }
    }

    pub(crate) fn input(&mut self, id: ConnId, bytes: &mut [u8]) {
        match self.core.get(id).map(Conn::life) {
            Some(Life::Http) => self.request_input(id, bytes),
            Some(Life::Open | Life::Closing) => self.frames(id, bytes),
            Some(Life::Ending | Life::Lingering) | None => {}
        }
    }

    /// More of a request, or a turn for what waits of earlier input: what is half read then is weighed either way.
    fn request_input(&mut self, id: ConnId, bytes: &mut [u8]) {
        self.first_input(id, bytes);
        let held = self.core.get(id).map_or(0, Conn::half_read_bytes);
        if self.core.half_read.concerns(held) {
            self.weigh_half_read(id);
        }
    }

    /// The peer's stream ends here: that counts when all that came before it has been served.
    pub(crate) fn ends(&mut self, id: ConnId, end: End) {
        if self.has_unserved(id) {
            return self.core.unserved.keep_end(id, end);
        }
        match end {
            End::Told => self.on_end(id, Cause::Lost),
            End::Broken(failure) => self.broken(id, &failure),
        }
    }

    /// The peer has ended its stream, by its word (`Lost`) or not (`Reset`).
    pub(crate) fn on_end(&mut self, id: ConnId, cause: Cause) {
        let Some(conn) = self.core.get_mut(id) else { return };
        if conn.is_open() {
            return self.half_close(id, cause);
        }
        match conn.end_of_stream() {
            AtEnd::Answers => self.http_end(id),
            AtEnd::Writes => {}
            AtEnd::Gone => self.remove(id, Cause::Closed),
        }
    }

    /// Frames, unmasked in place; each message goes to the service as the slice it lies in. What the connection's share of
    /// the turn is not enough for waits for the next.
    pub(crate) fn frames(&mut self, id: ConnId, bytes: &mut [u8]) {
        let used = self.serve_frames(id, bytes);
        if used < bytes.len() {
            self.put_off(id, bytes[used..].to_vec());
        }
    }

    /// Serves frames from the front of `bytes`; returns how many bytes are done with.
    fn serve_frames(&mut self, id: ConnId, bytes: &mut [u8]) -> usize {
        let Some(conn) = self.core.get_mut(id) else { return bytes.len() };
        let Some(mut session) = conn.take_session() else { return bytes.len() };
        let deflate = conn.agreement();
        let limits = self.core.config.messages;
        let mut used = 0;
        while used < bytes.len() && self.reads_frames(id) && !self.core.work.is_spent() {
            let rest = &mut bytes[used..];
            let read = match deflate {
                None => session.read(&limits, None, rest),
                Some(deflate) => {
                    let share = self.core.work.inflatable();
                    let mut left = share;
                    let mut decoder = self.core.deflate.decoder(id, deflate, &mut left);
                    let read = session.read(&limits, Some(&mut decoder), rest);
                    self.core.work.charge_inflated(share - left);
                    read
                }
            };
            match read {
                Ok((len, event)) => {
                    used += len;
                    match event {
                        Some(event) => self.event(id, &event),
                        None => break,
                    }
                }
                Err(error) => {
                    self.violation(id, error);
                    used = bytes.len();
                    break;
                }
            }
        }
        if deflate.is_some() {
            self.core.deflate.release(id);
        }
        self.put_back(id, session);
        if used < bytes.len() && !self.reads_frames(id) {
            used = bytes.len();
        }
        used
    }

    /// Keeps input that the connection's share of this turn was not enough for, and goes on with it in the next.
    fn put_off(&mut self, id: ConnId, rest: Vec<u8>) {
        self.core.unserved.keep(id, rest);
        self.core.counters().deferred[Deferred::Input as usize].add(1);
        self.list(id);
        self.weigh_half_read(id);
    }

    /// Once a backlog has piled up, what lies in the buffer is still served; the next read waits.
    fn reads_frames(&self, id: ConnId) -> bool {
        self.core.get(id).is_some_and(Conn::reads_frames)
    }

    #[inline]
    fn put_back(&mut self, id: ConnId, session: Session) {
        let now = self.core.now.tick;
        let Some(conn) = self.core.get_mut(id) else { return };
        let begins = conn.keep_session(session, now);
        let held = conn.half_read_bytes();
        if begins {
            self.core.arm(id);
        }
        if self.core.half_read.concerns(held) {
            self.weigh_half_read(id);
        }
    }

    fn event(&mut self, id: ConnId, event: &Event<'_>) {
        let open = self.core.get(id).is_some_and(Conn::is_open);
        match *event {
            Event::Message(kind, payload) if open => {
                self.core.work.charge_frame(payload.len());
                self.core.counters().messages_received.add(1);
                self.service.message(&mut Context::new(&mut self.core, &self.mailboxes), id, kind, payload);
                self.settle();
            }
            Event::Ping(payload) if open => {
                self.core.work.charge_frame(0);
                self.core.pong(id, payload);
                // No service is called, but a flood of Pings fills the arena as messages do.
                self.settle();
            }
            Event::Pong(payload) if open => {
                self.core.work.charge_frame(0);
                self.pong(id, payload);
            }
            Event::Close(ref close) => self.closed_by_peer(id, close),
            // RFC 6455 §5.5.1: after its own Close an endpoint may drop what still comes.
            Event::Message(_, payload) | Event::Ping(payload) | Event::Pong(payload) => {
                self.core.work.charge_frame(payload.len());
            }
        }
    }

    /// A Pong with the timestamp of our last Ping gives the round-trip time; any other is life and nothing more.
    fn pong(&mut self, id: ConnId, payload: &[u8]) {
        self.core.counters().pongs_received.add(1);
        let now = self.core.now.micros;
        let sent = <[u8; 8]>::try_from(payload).map(u64::from_be_bytes);
        let Some(conn) = self.core.get_mut(id).filter(|conn| conn.has(Flag::AwaitsPong)) else {
            return;
        };
        let Some(micros) = sent.ok().and_then(|sent| now.checked_sub(sent)) else { return };
        conn.ponged();
        self.core.counters().round_trip.record(micros);
        self.service.pong(
            &mut Context::new(&mut self.core, &self.mailboxes),
            id,
            Duration::from_micros(micros),
        );
        self.settle();
    }

    /// RFC 6455 §5.5.1: a Close is answered with a Close that echoes its code; then the server ends the connection (§7.1.1).
    fn closed_by_peer(&mut self, id: ConnId, close: &Close<'_>) {
        let answer = Close { code: close.code, reason: "" };
        let cause = if close.code == Some(CloseCode::GOODBYE) { Cause::Goodbye } else { Cause::Closed };
        if self.core.leave_open(id, Life::Ending, &answer) {
            self.tell_gone(id, cause);
            self.settle();
        }
        // Where nothing is left to write, the flush will not come by.
        if self.core.get_mut(id).is_some_and(Conn::close_received) {
            self.remove(id, Cause::Closed);
        }
    }

    fn violation(&mut self, id: ConnId, error: ProtocolError) {
        self.end(id, &Close::new(error.close_code(), error.reason()), Cause::Protocol);
    }

    /// Reads no more of a connection: says why, and ends it.
    pub(crate) fn end(&mut self, id: ConnId, close: &Close<'_>, cause: Cause) {
        if self.core.leave_open(id, Life::Ending, close) {
            self.tell_gone(id, cause);
            self.settle();
        } else if self.core.get_mut(id).is_some_and(Conn::give_up_close) {
            self.remove(id, cause);
        }
    }

    /// Whether something that was read waits, for the connection's next share or for its client to read: an end that was read
    /// behind it doesn't count yet.
    pub(crate) fn has_unserved(&self, id: ConnId) -> bool {
        self.core.unserved.has(id) || self.core.get(id).is_some_and(Conn::has_unserved_request)
    }

    /// Whether the connection must not be read now; see [`Conn::pauses`].
    pub(crate) fn is_paused(&mut self, id: ConnId) -> bool {
        self.core.get_mut(id).is_none_or(Conn::pauses)
    }

    /// Goes on with a connection that had more to read than its share, or that was paused.
    pub(crate) fn resume(&mut self, id: ConnId) {
        if self.core.get(id).is_some_and(Conn::holds_request) {
            self.request_input(id, &mut []);
        }
        if self.core.unserved.has(id) && !self.is_paused(id) {
            let mut rest = self.core.unserved.take(id);
            let used = self.serve_frames(id, &mut rest);
            if used < rest.len() {
                rest.drain(..used);
                self.put_off(id, rest);
            }
        }
        if !self.has_unserved(id)
            && let Some(end) = self.core.unserved.take_end(id)
        {
            return self.ends(id, end);
        }
        if self.core.work.is_spent() {
            return self.list(id);
        }
        // The end of the stream may have been told while nothing was read.
        self.read(id, true);
    }

    /// Reads for a deadline that is due: the server may be what was late. Says whether that makes the deadline void, since
    /// what came is yet to be served.
    pub(crate) fn read_late(&mut self, id: ConnId) -> bool {
        self.core.work.begin_with(parts(LATE_UNITS));
        self.read(id, false);
        let spent = self.served(id);
        self.budget.read_late(spent);
        let listed = |conn: &Conn| conn.has(Flag::Listed);
        self.has_unserved(id) || self.core.get(id).is_some_and(listed)
    }

    /// Puts the connection into the list of those to go on with in the next turn.
    pub(crate) fn list(&mut self, id: ConnId) {
        if self.core.get_mut(id).is_some_and(Conn::list) {
            self.unread.push_back(id);
        }
    }
}
