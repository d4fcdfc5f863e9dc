//! Connections over TLS in a worker: how they begin, handshakes that wait for their turn, what TLS has to say beside the bytes
//! of a connection, and how it breaks. The bytes go the way of all others.

use std::sync::Arc;

use tracing::debug;

use crate::conn::{Conn, Life};
use crate::limits::TLS_HANDSHAKES_PER_TURN_MAX;
use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::tls::Acceptor;
use crate::reactor::tls::link::{Failure, Handshake, Opened};
use crate::reactor::transport::Transport;
use crate::reactor::unserved::End;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

impl<N: Net, S: Service> Worker<N, S> {
    /// Makes the connections of one listener speak TLS.
    pub fn secure(&mut self, listener: u8, acceptor: Arc<Acceptor>) {
        self.core.tls.get_or_insert_default().secure(listener, acceptor);
    }

    /// Gives a fresh connection its TLS, where its listener's connections have one. Says whether it can go on.
    pub(crate) fn link(&mut self, key: usize, listener: u8) -> bool {
        self.core.tls.as_mut().is_none_or(|side| side.link(key, listener))
    }

    /// Takes the TLS of a connection that goes, and with it the chance to say so: its socket gets what it takes of that.
    pub(crate) fn unlink(&mut self, id: ConnId, last_words: bool) {
        let Some(side) = self.core.tls.as_mut().filter(|side| side.has(id)) else { return };
        let (has_failed, record) = side.unlink(id, last_words);
        if let Some(socket) = self.sockets.get_mut(id.key as usize) {
            let _ = Transport::new(socket, None, id).write_sealed(&record);
        }
        if has_failed {
            self.core.counters().tls_failed.add(1);
        }
    }

    /// Whether the connection has a handshake before it, which then waits for its turn: it costs as much as a hundred messages.
    pub(crate) fn awaits_handshake(&mut self, id: ConnId) -> bool {
        let Some(side) = self.core.tls.as_mut().filter(|side| side.is_handshaking(id)) else { return false };
        let conn = self.core.conns.get_mut(id.key as usize).filter(|conn| conn.is_of(id.generation));
        if conn.is_some_and(Conn::list) {
            side.wait(id);
        }
        true
    }

    /// Goes on with a turn's share of handshakes, the longest waiting first.
    pub(crate) fn handshakes(&mut self) {
        for _ in 0..TLS_HANDSHAKES_PER_TURN_MAX {
            let Some(id) = self.core.tls.as_mut().and_then(|side| side.next_waiting()) else { return };
            let Some(conn) = self.core.get_mut(id) else { continue };
            conn.unlist();
            self.core.work.begin();
            self.read_on(id, true);
            self.served(id);
        }
    }

    /// Opens the first `len` bytes of records that were read, and serves what they hold; `plain` is where that is put.
    pub(crate) fn open_records(&mut self, id: ConnId, len: usize, plain: &mut [u8]) {
        if self.opens_records(id)
            && let Some(side) = &mut self.core.tls
        {
            let opened = side.open_read(id, len, plain);
            self.opened(id, len, opened, plain);
        }
    }

    /// The same for the first records of a connection, which stand behind a PROXY header.
    pub(crate) fn open_first_records(&mut self, id: ConnId, records: &mut [u8]) {
        if self.opens_records(id)
            && let Some(side) = &mut self.core.tls
        {
            // Nothing that comes before the end of a handshake holds bytes for the connection.
            let opened = side.open(id, records, &mut []);
            self.opened(id, records.len(), opened, &mut []);
        }
    }

    /// Of one that is on its way out nothing is opened any more.
    fn opens_records(&self, id: ConnId) -> bool {
        self.core.get(id).is_some_and(|conn| !matches!(conn.life(), Life::Ending | Life::Lingering))
    }

    fn opened(&mut self, id: ConnId, read: usize, opened: Opened, plain: &mut [u8]) {
        if opened.is_foreign {
            self.unlink(id, false);
            return self.not_tls(id);
        }
        self.core.work.charge_records(opened.records, read);
        let counters = self.core.counters();
        match opened.handshake {
            Some(Handshake::Full) => counters.tls_full.add(1),
            Some(Handshake::Resumed) => counters.tls_resumed.add(1),
            Some(Handshake::Failed) => counters.tls_failed.add(1),
            None => {}
        }
        self.emit(id);
        if opened.len > 0 {
            self.input(id, &mut plain[..opened.len]);
        }
        match opened.failure {
            Some(failure) => self.ends(id, End::Broken(failure)),
            None if opened.has_ended => self.ends(id, End::Told),
            None => {}
        }
    }

    /// Sends records that TLS has made by itself, at once: handshakes, tickets, alerts.
    pub(crate) fn emit(&mut self, id: ConnId) {
        if self.core.tls.as_ref().is_none_or(|side| side.left(id).is_empty()) {
            return;
        }
        if !self.core.get(id).is_some_and(Conn::has_sealed) {
            let Some(mut transport) = self.transport(id) else { return };
            let sent = transport.write_own();
            self.core.counters().sent_bytes.add(sent as u64);
        }
        self.core.hold(id);
    }

    /// The peer broke TLS or gave it up: our alert is on its way, and nothing follows.
    pub(crate) fn broken(&mut self, id: ConnId, failure: &Failure) {
        debug!(conn = id.to_bits(), error = %failure, "TLS failed");
        let end = self.core.now.tick.after(self.core.timing.close);
        let Some(conn) = self.core.get_mut(id) else { return };
        let open = conn.is_open();
        let before = conn.backlog();
        // Behind an alert nothing is read any more.
        conn.keep_sealed();
        let dropped = (before - conn.backlog()) as u64;
        conn.end_by(end);
        if failure.is_theirs() {
            conn.stop_listening();
        }
        let cause = if failure.is_theirs() { Cause::Reset } else { Cause::Protocol };
        self.core.counters().backlog_bytes.sub(dropped);
        if open {
            self.tell_gone(id, cause);
            self.settle();
        }
        self.core.arm(id);
        self.after_write(id);
        self.bury();
    }
}
