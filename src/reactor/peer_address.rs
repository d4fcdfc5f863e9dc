//! For whom a connection is: the address that it came from, or the one that a trusted proxy names; and whether that one
//! may have it.

pub(crate) mod introduced;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering::Relaxed;

use tracing::{debug, warn};

use crate::conn::Conn;
use crate::conn::origin::{Over, PeerKind, RejectReason};
use crate::reactor::addresses::Entered;
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::ids::ConnId;
use crate::reactor::overload::Overload;
use crate::reactor::respond;
use crate::reactor::secure;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::{Net, Socket};
use crate::wire::forwarded::Source;
use crate::wire::http::{Head, Refusal};
use crate::wire::proxy::{MalformedPreface, Preface};
use crate::wire::{forwarded, proxy};

/// As whom a client counts that a proxy can't name, where the proxy has no address itself: behind a Unix socket.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Looks at a connection that was just accepted. False where it is to be closed unheard.
pub(crate) fn classify_peer<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    conn: &mut Conn,
    socket: &N::Socket,
    peer: Option<IpAddr>,
) -> bool {
    let scarce = worker.net.is_scarce(socket);
    if worker.state().scarce.load(Relaxed) != scarce {
        worker.state().scarce.store(scarce, Relaxed);
    }
    if scarce {
        conn.find_scarce();
    }
    let met = match peer {
        Some(peer) => {
            debug!(conn = id.to_bits(), %peer, "accepted");
            note_peer(conn, count(worker, peer))
        }
        // The address of a Unix socket's peer is none: it is a proxy of ours, or a client that is not counted.
        None if worker.shard.config.trusts_unix => note_peer(conn, (PeerKind::Proxy, Entered::Uncounted)),
        None => Ok(()),
    };
    if worker.shard.config.proxy_protocol {
        conn.expect_preface();
    }
    match met {
        Ok(()) => true,
        Err(over) => {
            let counters = worker.shard.counters();
            counters.accepts.add(1);
            counters.short[Overload::from(over).index()].add(1);
            false
        }
    }
}

/// Counts a connection for `address`, unless that is exempt.
fn count<N: Net, S: Service>(worker: &Worker<N, S>, address: IpAddr) -> (PeerKind, Entered) {
    let shard = &worker.shard;
    let address = address.to_canonical();
    if shard.config.trusted_proxies.iter().any(|network| network.contains(address)) {
        (PeerKind::Proxy, Entered::Uncounted)
    } else if address.is_loopback() {
        (PeerKind::Client, Entered::Uncounted)
    } else {
        (PeerKind::Client, enter(worker, address))
    }
}

/// Counts a connection for `address`, whatever that is.
fn enter<N: Net, S: Service>(worker: &Worker<N, S>, address: IpAddr) -> Entered {
    let shard = &worker.shard;
    shard.shared.addresses().enter(address, shard.now.tick, shard.config.addresses)
}

/// A trusted proxy says for whom it speaks, before anything else. The deadline of the first request is this one's too. Returns
/// what stands behind that where the connection goes on, with TLS where its listener speaks it.
pub(crate) fn preface<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    input: &[u8],
) -> Option<Vec<u8>> {
    let conn = worker.shard.get_mut(id)?;
    let mut bytes = conn.take_preface();
    bytes.extend_from_slice(input);
    match proxy::read(&bytes) {
        Ok(Preface::More) => {
            conn.keep_preface(bytes);
            None
        }
        Ok(Preface::Header(len, source)) => {
            conn.end_preface();
            let listener = conn.listener();
            if !is_for(worker, id, source) {
                return None;
            }
            let named = match source {
                Source::Client(client) => Some(client),
                // It asks for somebody, and is not the proxy itself.
                Source::Unknown => Some(peer(worker, id).unwrap_or(NOBODY)),
                Source::Proxy => None,
            };
            if let Some(named) = named {
                worker.shard.introduced.insert(id, named);
            }
            if !secure::link(worker, id, listener) {
                ending::remove(worker, id, Cause::Closed);
                return None;
            }
            bytes.drain(..len);
            Some(bytes)
        }
        Err(MalformedPreface) => {
            warn!(conn = id.to_bits(), "a trusted proxy sent no PROXY header, ending its connection");
            let reason = "this address has to begin with a PROXY header (--proxy-protocol)";
            respond::reject(worker, id, &Refusal { status: 400, reason });
            None
        }
    }
}

/// Why an upgrade would be refused, judged by whom the request is for where a trusted proxy sent it.
pub(crate) fn behind_proxy<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    head: &Head<'_>,
) -> RejectReason {
    let source = forwarded_for(worker, id, head);
    rebind_source(worker, id, source).unwrap_or_else(RejectReason::Over)
}

/// The client that a request is for, where the proxy that sent it is trusted and names the client in
/// `X-Forwarded-For`.
fn forwarded_for<N: Net, S: Service>(worker: &Worker<N, S>, id: ConnId, head: &Head<'_>) -> Source {
    let proxies = &worker.shard.config.trusted_proxies;
    let trusted = |address| proxies.iter().any(|network| network.contains(address));
    if worker.shard.get(id).is_none_or(|conn| conn.peer_kind() != PeerKind::Proxy) {
        return Source::Proxy;
    }
    forwarded::client(head.elements("X-Forwarded-For"), trusted)
}

/// The address that a request comes from: as its head, the PROXY header or the socket has it.
pub(crate) fn requester<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    head: &Head<'_>,
) -> Option<IpAddr> {
    if let Source::Client(client) = forwarded_for(worker, id, head) {
        return Some(client);
    }
    worker.shard.introduced.get(id).or_else(|| peer(worker, id))
}

/// The address at the other end of the socket.
fn peer<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) -> Option<IpAddr> {
    worker.io.socket(id)?.peer()
}

/// The connection is for `source`. False where it had to be closed.
fn is_for<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, source: Source) -> bool {
    let Err(over) = rebind_source(worker, id, source) else { return true };
    worker.shard.counters().short[Overload::from(over).index()].add(1);
    ending::remove(worker, id, Cause::Closed);
    false
}

/// Counts the connection for whom a proxy says that it is.
fn rebind_source<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    source: Source,
) -> Result<RejectReason, Over> {
    match source {
        Source::Proxy => rebind_again(worker, id),
        Source::Client(client) => {
            debug!(conn = id.to_bits(), peer = %client, "speaks for");
            rebind_origin(worker, id, |worker| count(worker, client))
        }
        Source::Unknown => {
            // One that can't be judged is never free: all of them together are one address, the proxy's.
            let proxy = peer(worker, id).unwrap_or(NOBODY).to_canonical();
            debug!(conn = id.to_bits(), peer = %proxy, "speaks for somebody unknown");
            rebind_origin(worker, id, |worker| (PeerKind::Proxy, enter(worker, proxy)))
        }
    }
}

/// A connection that was kept may ask long after it came: whether its address has too many is asked again.
fn rebind_again<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) -> Result<RejectReason, Over> {
    let Some(conn) = worker.shard.get_mut(id) else { return Ok(RejectReason::No) };
    let (peer_kind, reject_reason) = (conn.peer_kind(), conn.reject_reason());
    if !conn.may_be_wanted_again() {
        return Ok(reject_reason);
    }
    let introduced = worker.shard.introduced.get(id);
    let Some(address) = introduced.or_else(|| peer(worker, id)) else { return Ok(reject_reason) };
    rebind_origin(worker, id, |worker| (peer_kind, enter(worker, address.to_canonical())))
}

/// Counts the connection as `count` does, and for nobody else any more.
fn rebind_origin<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    count: impl FnOnce(&Worker<N, S>) -> (PeerKind, Entered),
) -> Result<RejectReason, Over> {
    let Some(conn) = worker.shard.get_mut(id) else { return Ok(RejectReason::No) };
    if let Some(before) = conn.uncount() {
        worker.shard.shared.addresses().leave(before);
    }
    let counted = count(worker);
    let Some(conn) = worker.shard.get_mut(id) else { return Ok(RejectReason::No) };
    note_peer(conn, counted).map(|()| conn.reject_reason())
}

/// Notes for whom a connection is. An error: it is one of a flood, and nowhere counted.
fn note_peer(conn: &mut Conn, (peer_kind, entered): (PeerKind, Entered)) -> Result<(), Over> {
    let (place, over) = match entered {
        Entered::In(place) => (Some(place), None),
        Entered::Surplus(place, over) => (Some(place), Some(over)),
        Entered::Flood(_) | Entered::Uncounted => (None, None),
    };
    conn.count(peer_kind, place, over);
    if let Entered::Flood(over) = entered { Err(over) } else { Ok(()) }
}
