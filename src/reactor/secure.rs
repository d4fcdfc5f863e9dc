//! Connections over TLS in a worker: how they begin, handshakes that wait for their turn, what TLS has to say beside the bytes
//! of a connection, and how it breaks. The bytes go the way of all others.

use tracing::debug;

use crate::conn::{Conn, Life};
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::flush;
use crate::reactor::ids::ConnId;
use crate::reactor::pending;
use crate::reactor::service::Service;
use crate::reactor::tls::session::TlsFailure;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

/// Gives a fresh connection its TLS, where its listener's connections have one. Says whether it can go on.
pub(crate) fn link<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, listener: u8) -> bool {
    worker.shard.tls.as_mut().is_none_or(|tls_state| tls_state.attach(id.key as usize, listener))
}

/// Whether the connection has a handshake before it, which then waits for its turn: it costs as much as a hundred messages.
pub(crate) fn awaits_handshake<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) -> bool {
    let Some(tls_state) = worker.shard.tls.as_mut().filter(|tls_state| tls_state.is_handshaking(id)) else {
        return false;
    };
    let conn = worker.shard.conns.get_mut(id);
    if conn.is_some_and(Conn::list) {
        tls_state.wait(id);
    }
    true
}

/// Of one that is on its way out nothing is opened any more.
pub(crate) fn opens_records<N: Net, S: Service>(worker: &Worker<N, S>, id: ConnId) -> bool {
    worker.shard.get(id).is_some_and(|conn| !matches!(conn.life(), Life::Ending | Life::Lingering))
}

/// The peer broke TLS or gave it up: our alert is on its way, and nothing follows.
pub(crate) fn broken<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, failure: &TlsFailure) {
    debug!(conn = id.to_bits(), error = %failure, "TLS failed");
    let end = worker.shard.now.tick.after(worker.shard.timing.close);
    let Some(conn) = worker.shard.get_mut(id) else { return };
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
    worker.shard.counters().backlog_bytes.sub(dropped);
    if open {
        ending::tell_gone(worker, id, cause);
        pending::run(worker);
    }
    worker.shard.arm(id);
    flush::after_write(worker, id);
    flush::bury(worker);
}
