//! The steps of a worker's turn for connections over TLS: what they do otherwise than plain ones.

use std::io::{ErrorKind, IoSlice};
use std::mem;
use std::sync::Arc;

use rustls::HandshakeKind;
use tracing::debug;

use crate::limits::{TLS_HANDSHAKES_PER_TURN_MAX, TLS_SEAL_BYTES};
use crate::reactor::arena::{Arena, Dirty};
use crate::reactor::conn::{Beat, Flag, Life};
use crate::reactor::counters::Cause;
use crate::reactor::flush::PARTS_MAX;
use crate::reactor::ids::ConnId;
use crate::reactor::outbox::Outbox;
use crate::reactor::service::Service;
use crate::reactor::tls::acceptor::Acceptor;
use crate::reactor::tls::link::{self, Link};
use crate::reactor::unserved::End;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

impl<N: Net, S: Service> Worker<N, S> {
    /// Makes the connections of one listener speak TLS.
    pub fn secure(&mut self, listener: u8, acceptor: Arc<Acceptor>) {
        self.core.tls.get_or_insert_default().secure(listener, acceptor);
    }

    /// Gives a fresh connection its link, where its listener's connections have one. Says whether it can go on.
    pub(crate) fn link(&mut self, key: usize, listener: u8) -> bool {
        let Some(side) = &mut self.core.tls else { return true };
        let Some(acceptor) = side.acceptor(listener) else { return true };
        match Link::new(acceptor.current()) {
            Ok(link) => side.insert(key, link),
            Err(error) => {
                debug!(%error, "TLS can't begin");
                return false;
            }
        }
        true
    }

    /// Takes the link of a connection that goes, and with it the chance to say so: its socket gets what it takes of that.
    pub(crate) fn unlink(&mut self, id: ConnId, last_words: bool) {
        let Some(side) = &mut self.core.tls else { return };
        let Some(mut link) = side.remove(id) else { return };
        let failed = link.is_handshaking() && link.fail();
        if last_words {
            side.out.clear();
            link.close(&mut side.out);
            if let Some(transport) = self.transports.get_mut(id.key as usize) {
                let _ = transport.write(&side.out);
            }
        }
        if failed {
            self.core.counters().tls_failed.add(1);
        }
    }

    /// As [`Worker::read`]. A handshake waits for its turn: it costs as much as a hundred messages.
    pub(crate) fn read_records(&mut self, id: ConnId, to_end: bool) {
        if self.core.tls_link(id).is_some_and(Link::is_handshaking) {
            let Some(conn) = self.core.get_mut(id).filter(|conn| !conn.flags.has(Flag::Listed)) else {
                return;
            };
            conn.flags.set(Flag::Listed);
            if let Some(side) = &mut self.core.tls {
                side.waiting.push_back(id);
            }
            return;
        }
        self.open_records(id, to_end);
    }

    /// Goes on with a turn's share of handshakes, the longest waiting first.
    pub(crate) fn handshakes(&mut self) {
        for _ in 0..TLS_HANDSHAKES_PER_TURN_MAX {
            let Some(id) = self.core.tls.as_mut().and_then(|side| side.waiting.pop_front()) else { return };
            let Some(conn) = self.core.get_mut(id) else { continue };
            conn.flags.clear(Flag::Listed);
            self.core.work.begin();
            self.open_records(id, true);
            self.served(id);
        }
    }

    fn open_records(&mut self, id: ConnId, to_end: bool) {
        self.read_share(id, |worker| {
            let Some(side) = &mut worker.core.tls else { return false };
            let mut records = mem::take(&mut side.records);
            let more = worker.read_once(id, &mut records, to_end);
            if let Some(side) = &mut worker.core.tls {
                side.records = records;
            }
            more
        });
    }

    /// Reads records once, into `records`; says whether there may be more to read.
    fn read_once(&mut self, id: ConnId, records: &mut [u8], to_end: bool) -> bool {
        match self.transports.get_mut(id.key as usize).map(|socket| socket.read(records)) {
            None => false,
            Some(Ok(0)) => {
                self.cut(id);
                false
            }
            Some(Ok(len)) => {
                self.on_arrival(id, len);
                self.on_records(id, &mut records[..len]) && (to_end || len == records.len())
            }
            Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => false,
            Some(Err(_)) => {
                self.remove(id, Cause::Reset);
                false
            }
        }
    }

    /// Takes records; says whether the connection is to be read on.
    pub(crate) fn on_records(&mut self, id: ConnId, records: &mut [u8]) -> bool {
        let Some(conn) = self.core.get(id) else { return false };
        if matches!(conn.life, Life::Ending | Life::Lingering) {
            return true;
        }
        let mut out = self.take_out();
        let Some(link) = self.core.tls.as_mut().and_then(|side| side.get_mut(id)) else { return false };
        if link.begins() && records[0] != link::HANDSHAKE {
            self.unlink(id, false);
            self.not_tls(id);
            return true;
        }
        let mut plain = mem::take(&mut self.buffer);
        let opened = link.open(records, &mut plain, &mut out);
        let (kind, ended) = (link.finished(), link.has_ended());
        self.core.work.charge_records(opened.records, records.len());
        let failed = opened.error.is_some() && link.is_handshaking() && link.fail();
        self.count_handshake(kind, failed);
        self.emit(id, &out);
        self.put_out(out);
        if opened.len > 0 {
            self.input(id, &mut plain[..opened.len]);
        }
        self.buffer = plain;
        match opened.error {
            Some(error) => self.ends(id, End::Broken(error)),
            None if ended => self.ends(id, End::Told),
            None => {}
        }
        self.core.get(id).is_some()
    }

    fn count_handshake(&mut self, finished: Option<HandshakeKind>, failed: bool) {
        let counters = self.core.counters();
        match finished {
            Some(HandshakeKind::Resumed) => counters.tls_resumed.add(1),
            Some(_) => counters.tls_full.add(1),
            None if failed => counters.tls_failed.add(1),
            None => {}
        }
    }

    /// The socket's stream has ended. Without the peer's word for it, it may be somebody else who ended it: what came before
    /// was the peer's, and is answered.
    fn cut(&mut self, id: ConnId) {
        let ended = self.core.tls_link(id).is_none_or(Link::has_ended);
        self.on_end(id, if ended { Cause::Lost } else { Cause::Reset });
    }

    /// The peer broke TLS or gave it up: our alert is on its way, and nothing follows.
    pub(crate) fn broken(&mut self, id: ConnId, error: &rustls::Error) {
        debug!(conn = id.to_bits(), %error, "TLS failed");
        let end = self.core.now.tick.after(self.core.timing.close);
        let Some(conn) = self.core.get_mut(id) else { return };
        let open = conn.life == Life::Open;
        let before = conn.backlog();
        if let Some(outbox) = conn.outbox.take().filter(|outbox| !outbox.sealed().is_empty()) {
            // Behind an alert nothing is read any more.
            conn.outbox = Some(Box::new(outbox.into_sealed()));
        }
        let dropped = (before - conn.backlog()) as u64;
        conn.life = Life::Ending;
        conn.deadline = end;
        let theirs = matches!(error, rustls::Error::AlertReceived(_));
        if theirs {
            conn.flags.set(Flag::Ended);
        }
        let cause = if theirs { Cause::Reset } else { Cause::Protocol };
        self.core.counters().backlog_bytes.sub(dropped);
        if open {
            self.tell_gone(id, cause);
            self.settle();
        }
        self.core.arm(id);
        self.after_write(id);
        self.bury();
    }

    /// The shared buffer of records that are to leave, empty. Who returns without putting it back costs an allocation.
    fn take_out(&mut self) -> Vec<u8> {
        let mut out = self.core.tls.as_mut().map(|side| mem::take(&mut side.out)).unwrap_or_default();
        out.clear();
        out
    }

    fn put_out(&mut self, out: Vec<u8>) {
        if let Some(side) = &mut self.core.tls {
            side.out = out;
        }
    }

    /// Sends records that rustls has made by itself, at once: handshakes, tickets, alerts.
    fn emit(&mut self, id: ConnId, records: &[u8]) {
        if records.is_empty() {
            return;
        }
        let blocked = self.core.get(id).and_then(|conn| conn.outbox.as_ref());
        let written = if blocked.is_some_and(|outbox| !outbox.sealed().is_empty()) {
            0
        } else {
            let Some(transport) = self.transport(id) else { return };
            // An error will be met by whoever reads or writes next.
            transport.write(records).unwrap_or(0)
        };
        self.core.counters().sent_bytes.add(written as u64);
        self.hold(id, &records[written..]);
    }

    /// Keeps records that the socket did not take.
    fn hold(&mut self, id: ConnId, records: &[u8]) {
        if records.is_empty() {
            return;
        }
        let now = self.core.now.tick;
        let Some(conn) = self.core.get_mut(id) else { return };
        conn.outbox.get_or_insert_with(|| Box::new(Outbox::new(now))).seal(records);
        self.core.counters().backlog_bytes.add(records.len() as u64);
        self.core.arm(id);
    }

    /// Says that nothing follows. Says whether that has left, so that the socket may say the same.
    pub(crate) fn close_records(&mut self, id: ConnId) -> bool {
        if self.core.tls_link(id).is_none() {
            return true;
        }
        let mut out = self.take_out();
        if let Some(link) = self.core.tls.as_mut().and_then(|side| side.get_mut(id)) {
            link.close(&mut out);
        }
        self.emit(id, &out);
        self.put_out(out);
        self.core.get(id).is_some_and(|conn| conn.outbox.is_none())
    }

    /// As `flush_entry` for a plain connection with nothing queued: as much as the socket takes, the rest into the
    /// connection's queue.
    pub(crate) fn seal_entry(&mut self, arena: &mut Arena, entry: usize) {
        let Dirty { conn: id, len, ping_end, .. } = arena.dirty()[entry];
        if self.core.tls_link(id).is_some_and(Link::is_silent) {
            // TLS is broken: behind an alert nothing is read any more.
            return self.after_write(id);
        }
        let mut out = self.take_out();
        let mut pieces = arena.pieces(entry).map(|piece| arena.slice(piece));
        let mut rest: &[u8] = &[];
        let (mut sealed, mut left, mut sent) = (0, 0, 0);
        let mut before = 0;
        let mut failed = false;
        while sealed < len && left == 0 && !failed {
            self.scratch.clear();
            while self.scratch.len() < TLS_SEAL_BYTES {
                if rest.is_empty() {
                    let Some(piece) = pieces.next() else { break };
                    rest = piece;
                }
                let (now, later) = rest.split_at(rest.len().min(TLS_SEAL_BYTES - self.scratch.len()));
                self.scratch.extend_from_slice(now);
                rest = later;
            }
            before = sealed;
            sealed += self.scratch.len();
            match self.write_sealed(id, &mut out) {
                Some(took) => (sent, left) = (sent + took, out.len() - took),
                None => failed = true,
            }
        }
        drop(pieces);
        if !failed {
            self.core.counters().sent_bytes.add(sent as u64);
            self.hold(id, &out[out.len() - left..]);
            if sealed < len {
                self.queue(arena, entry, sealed);
            }
            if left > 0
                && ping_end > before
                && ping_end <= sealed
                && let Some(conn) = self.core.get_mut(id)
                && let Some(outbox) = &mut conn.outbox
            {
                outbox.expect_ping(left);
                conn.set_beat(Beat::Queued);
            }
        }
        self.put_out(out);
        if failed {
            return self.doomed.push((id, Cause::Reset));
        }
        self.after_write(id);
    }

    /// Makes records of `scratch` and writes them; returns how many of their bytes the socket took, `None` where the
    /// connection can't go on.
    fn write_sealed(&mut self, id: ConnId, out: &mut Vec<u8>) -> Option<usize> {
        out.clear();
        let link = self.core.tls.as_mut()?.get_mut(id)?;
        if let Err(error) = link.seal(&self.scratch, out) {
            debug!(conn = id.to_bits(), %error, "TLS can't go on");
            return None;
        }
        match self.transports.get_mut(id.key as usize)?.write(out) {
            Ok(took) => Some(took),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
            Err(_) => None,
        }
    }

    /// As [`Worker::on_writable`]: first the records that wait, then the queue, a few records' worth at a time.
    pub(crate) fn write_records(&mut self, id: ConnId) {
        let now = self.core.now.tick;
        let Some(mut outbox) = self.core.get_mut(id).and_then(|conn| conn.outbox.take()) else { return };
        let mut out = self.take_out();
        let before = outbox.len();
        let (mut sent, mut pinged) = (0, false);
        let alive = loop {
            if !outbox.sealed().is_empty() {
                let Some(transport) = self.transports.get_mut(id.key as usize) else { break false };
                let took = match transport.write(outbox.sealed()) {
                    Ok(took) => took,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(_) => break false,
                };
                sent += took;
                pinged |= outbox.advance_sealed(took, now);
            }
            if !outbox.sealed().is_empty() || outbox.is_empty() {
                break true;
            }
            self.scratch.clear();
            let mut parts = [IoSlice::new(&[]); PARTS_MAX];
            let filled = outbox.parts(&mut parts);
            for part in &parts[..filled] {
                let room = TLS_SEAL_BYTES - self.scratch.len();
                self.scratch.extend_from_slice(&part[..part.len().min(room)]);
            }
            let Some(took) = self.write_sealed(id, &mut out) else { break false };
            sent += took;
            pinged |= outbox.advance_into(self.scratch.len(), took, &out[took..], now);
        };
        self.put_out(out);
        let after = outbox.len();
        let Some(conn) = self.core.get_mut(id) else { return };
        conn.outbox = Some(outbox).filter(|outbox| !outbox.is_empty());
        if pinged && conn.beat() == Beat::Queued {
            conn.set_beat(Beat::Waiting(now));
        }
        let counters = self.core.counters();
        counters.sent_bytes.add(sent as u64);
        counters.backlog_bytes.add(after as u64);
        counters.backlog_bytes.sub(before as u64);
        if !alive {
            return self.remove(id, Cause::Reset);
        }
        self.core.arm(id);
        self.after_write(id);
        self.bury();
        if after == 0 {
            self.relieve(id);
        }
    }
}
