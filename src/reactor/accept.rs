//! Accepting connections.

pub(crate) mod acceptor;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

use tracing::{info, warn};

use crate::conn::Conn;
use crate::limits::{ACCEPT_RETRY_TICKS, ACCEPTS_PER_TURN_MAX, REFUSED_CONNECTIONS_MAX};
use crate::reactor::accept::acceptor::Accepting;
use crate::reactor::ending;
use crate::reactor::peer_address;
use crate::reactor::secure;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::{Net, is_exhaustion};

/// Accepts a turn's share of what waits.
pub(crate) fn accept<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    if !worker.acceptor.is_due(worker.shard.now.tick) {
        return;
    }
    let accepting = accept_at_most(worker, ACCEPTS_PER_TURN_MAX);
    worker.acceptor.done(accepting);
    let blocked = matches!(accepting, Accepting::Blocked(_));
    if worker.state().accept_blocked.swap(blocked, Relaxed) != blocked {
        if blocked {
            warn!(
                worker = worker.shard.id.0,
                "out of descriptors, memory or connections: accepting waits for some"
            );
        } else {
            info!(worker = worker.shard.id.0, "accepting again");
        }
    }
}

pub(crate) fn accept_at_most<N: Net, S: Service>(worker: &mut Worker<N, S>, budget: usize) -> Accepting {
    let mut left = budget;
    // Each turn begins at another listener, so that a flood at one doesn't starve the next.
    let listeners = worker.net.listeners();
    let first = worker.shard.random.below(u32::from(listeners));
    for listener in (0..listeners).cycle().skip(first as usize).take(usize::from(listeners)) {
        loop {
            if left == 0 {
                return Accepting::Waiting;
            }
            if worker.shard.shared.connections()
                >= worker.shard.config.max_connections + REFUSED_CONNECTIONS_MAX
            {
                return blocked(worker);
            }
            match worker.net.accept(listener) {
                Ok((socket, peer)) => welcome(worker, socket, peer, listener),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    worker.shard.counters().accept_failures.add(1);
                    if !is_exhaustion(&error) {
                        warn!(worker = worker.shard.id.0, %error, "can't accept");
                    }
                    return blocked(worker);
                }
            }
            left -= 1;
        }
    }
    Accepting::Idle
}

fn blocked<N: Net, S: Service>(worker: &Worker<N, S>) -> Accepting {
    Accepting::Blocked(worker.shard.now.tick.after(ACCEPT_RETRY_TICKS))
}

/// Takes a connection in: its slab entry, its place in the poll, its first deadline.
fn welcome<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    socket: N::Socket,
    peer: Option<IpAddr>,
    listener: u8,
) {
    let now = worker.shard.now.tick;
    let Some(id) = worker.shard.conns.next_id(worker.acceptor.generation()) else { return };
    let mut conn = Conn::new(id.generation, listener, now, now.after(worker.shard.timing.handshake));
    if !peer_address::classify_peer(worker, id, &mut conn, &socket, peer) {
        return;
    }
    if let Err(error) = worker.net.register(&socket, id.to_bits()) {
        worker.shard.counters().accept_failures.add(1);
        warn!(worker = worker.shard.id.0, %error, "can't watch a connection, closing it");
        ending::forget_origin(worker, &conn);
        return;
    }
    if !conn.awaits_preface() && !secure::link(worker, id, listener) {
        worker.shard.counters().accept_failures.add(1);
        ending::forget_origin(worker, &conn);
        return;
    }
    if worker.shard.shared.connection_opened() > worker.shard.config.max_connections {
        conn.find_surplus();
    }
    worker.shard.conns.insert(conn);
    worker.io.put(id, socket);
    let counters = worker.shard.counters();
    counters.accepts.add(1);
    counters.connections.add(1);
    worker.shard.rearm(id);
}
