//! Messages and requests of which not all has come. Each may be as long as its own limit has it; this bounds what they hold
//! together, over all connections of all workers.
//!
//! The one that wants more past the bound ends, and no other: to find the one that holds most takes a walk over all connections,
//! and no worker can end another's.

pub(crate) mod held;

use std::sync::atomic::Ordering::Relaxed;

use crate::conn::Conn;
use crate::conn::frames::Half;
use crate::reactor::closing;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;
use crate::reactor::respond;
use crate::reactor::service::Service;
use crate::reactor::shard::Shard;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::close::{Close, CloseCode};
use crate::wire::http::Refusal;

const TOO_MUCH: &str = "too much is half received at once: send it again later";

/// Bytes of what was read of a connection and is not served.
fn bytes_of(shard: &Shard, id: ConnId) -> usize {
    let conn = shard.get(id).map_or(0, Conn::half_read_bytes);
    conn + shard.deflate.half_bytes(id) + shard.unserved.bytes_of(id)
}

/// Bytes that would be free without the connection: its backlog, what it shares with others included, and what was read
/// of it.
pub(crate) fn burden(shard: &Shard, id: ConnId) -> usize {
    let conn = shard.get(id).map_or(0, Conn::burden);
    let tls = shard.tls.as_ref().map_or(0, |tls_state| tls_state.held_bytes_of(id));
    conn + tls + shard.deflate.bytes_of(id) + shard.unserved.bytes_of(id)
}

/// A connection's half-read input may have changed: one that wants more than there is ends.
pub(crate) fn measure_memory<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let bytes = bytes_of(&worker.shard, id);
    let shard = &mut worker.shard;
    let all = &shard.shared.half_read;
    let has_grown = shard.half_read.set(id, bytes, all);
    let most = shard.config.half_read_bytes_max.max(2 * shard.config.messages.max_message_bytes);
    let is_over = has_grown && all.load(Relaxed) > most;
    match shard.get(id).filter(|_| is_over).map(Conn::half) {
        // The input behind a request that is not answered has a bound of its own; a refusal would be taken for the answer.
        None | Some(Half::Behind) => return,
        Some(Half::Request) => respond::refuse_half(worker, id, &Refusal { status: 503, reason: TOO_MUCH }),
        Some(Half::Message) => {
            let close = Close::new(CloseCode::TRY_AGAIN, TOO_MUCH);
            if worker.shard.get(id).is_some_and(Conn::is_open) {
                worker.service.farewell(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, &close);
            }
            closing::end(worker, id, &close, Cause::Slow);
        }
    }
    forget(worker, id);
}

/// The connection is read no more: lets go of what was read and not served.
pub(crate) fn forget<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let shard = &mut worker.shard;
    let Some(conn) = shard.get_mut(id) else { return };
    conn.forget_half();
    shard.deflate.remove(id);
    shard.unserved.forget(id);
    shard.half_read.forget(id, &shard.shared.half_read);
}
