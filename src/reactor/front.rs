//! For whom a connection is: the address that it came from, or the one that a trusted proxy names; and whether that one
//! may have it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering::Relaxed;

use tracing::{debug, warn};

use crate::conn::Conn;
use crate::conn::origin::Over;
use crate::conn::origin::Unwanted;
use crate::conn::origin::Via;
use crate::limits::INTRODUCED_KEPT;
use crate::reactor::addresses::Entered;
use crate::reactor::counters::Cause;
use crate::reactor::ids::ConnId;
use crate::reactor::service::Service;
use crate::reactor::shortage::Shortage;
use crate::reactor::worker::Worker;
use crate::sys::net::{Net, Socket as _};
use crate::wire::forwarded::{self, Source};
use crate::wire::http::{Head, Refusal};
use crate::wire::proxy::{self, Malformed, Preface};

/// As whom a client counts that a proxy can't name, where the proxy has no address itself: behind a Unix socket.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl<N: Net, S: Service> Worker<N, S> {
    /// Looks at a connection that was just accepted. False where it is to be closed unheard.
    pub(crate) fn meet(
        &mut self,
        id: ConnId,
        conn: &mut Conn,
        socket: &N::Socket,
        peer: Option<IpAddr>,
    ) -> bool {
        let scarce = self.net.is_scarce(socket);
        if self.state().scarce.load(Relaxed) != scarce {
            self.state().scarce.store(scarce, Relaxed);
        }
        if scarce {
            conn.find_scarce();
        }
        let met = match peer {
            Some(peer) => {
                debug!(conn = id.to_bits(), %peer, "accepted");
                come_from(conn, self.count(peer))
            }
            // The address of a Unix socket's peer is none: it is a proxy of ours, or a client that is not counted.
            None if self.core.config.trusts_unix => come_from(conn, (Via::Proxy, Entered::Uncounted)),
            None => Ok(()),
        };
        if self.core.config.proxy_protocol {
            conn.expect_preface();
        }
        match met {
            Ok(()) => true,
            Err(over) => {
                let counters = self.core.counters();
                counters.accepts.add(1);
                counters.short[Shortage::from(over).index()].add(1);
                false
            }
        }
    }

    /// Counts a connection for `address`, unless that is exempt.
    fn count(&self, address: IpAddr) -> (Via, Entered) {
        let core = &self.core;
        let address = address.to_canonical();
        if core.config.trusted_proxies.iter().any(|network| network.contains(address)) {
            (Via::Proxy, Entered::Uncounted)
        } else if address.is_loopback() {
            (Via::Client, Entered::Uncounted)
        } else {
            (Via::Client, self.enter(address))
        }
    }

    /// Counts a connection for `address`, whatever that is.
    fn enter(&self, address: IpAddr) -> Entered {
        let core = &self.core;
        core.fleet.addresses().enter(address, core.now.tick, core.config.addresses)
    }

    /// Counts the connection off, where it was counted.
    pub(crate) fn forget_origin(&self, conn: &Conn) {
        if let Some(place) = conn.counted_at() {
            self.core.fleet.addresses().leave(place);
        }
    }

    /// Takes what arrived on a connection that is no WebSocket yet.
    pub(crate) fn first_input(&mut self, id: ConnId, input: &mut [u8]) {
        if self.core.get(id).is_some_and(Conn::awaits_preface) {
            self.preface(id, input);
        } else {
            self.http_input(id, input);
        }
    }

    /// A trusted proxy says for whom it speaks, before anything else. The deadline of the first request is this one's too.
    fn preface(&mut self, id: ConnId, input: &[u8]) {
        let Some(conn) = self.core.get_mut(id) else { return };
        let mut bytes = conn.take_preface();
        bytes.extend_from_slice(input);
        match proxy::read(&bytes) {
            Ok(Preface::More) => conn.keep_preface(bytes),
            Ok(Preface::Header(len, source)) => {
                conn.end_preface();
                let listener = conn.listener();
                if self.is_for(id, source) {
                    let named = match source {
                        Source::Client(client) => Some(client),
                        // It asks for somebody, and is not the proxy itself.
                        Source::Unknown => Some(self.peer(id).unwrap_or(NOBODY)),
                        Source::Proxy => None,
                    };
                    if let Some(named) = named {
                        self.core.introduced.insert(id.key, named);
                    }
                    self.behind_preface(id, listener, &mut bytes[len..]);
                }
            }
            Err(Malformed) => {
                warn!(conn = id.to_bits(), "a trusted proxy sent no PROXY header, ending its connection");
                let reason = "this address has to begin with a PROXY header (--proxy-protocol)";
                self.reject(id, &Refusal { status: 400, reason });
            }
        }
    }

    /// What comes behind a PROXY header: TLS, where the listener speaks it.
    fn behind_preface(&mut self, id: ConnId, listener: u8, rest: &mut [u8]) {
        if !self.link(id.key as usize, listener) {
            return self.remove(id, Cause::Closed);
        }
        match (rest.is_empty(), self.core.is_secure(id)) {
            (true, _) => {}
            (false, true) => self.open_first_records(id, rest),
            (false, false) => self.http_input(id, rest),
        }
    }

    /// Why an upgrade would be refused, judged by whom the request is for where a trusted proxy sent it.
    pub(crate) fn behind_proxy(&mut self, id: ConnId, head: &Head<'_>) -> Unwanted {
        let source = self.forwarded_for(id, head);
        self.settle_source(id, source).unwrap_or_else(Unwanted::Over)
    }

    /// Whom a request is for, where the proxy that sent it is trusted and says so in `X-Forwarded-For`.
    fn forwarded_for(&self, id: ConnId, head: &Head<'_>) -> Source {
        let proxies = &self.core.config.trusted_proxies;
        let trusted = |address| proxies.iter().any(|network| network.contains(address));
        if self.core.get(id).is_none_or(|conn| conn.via() != Via::Proxy) {
            return Source::Proxy;
        }
        forwarded::client(head.elements("X-Forwarded-For"), trusted)
    }

    /// Where a request comes from: as its head, the PROXY header or the socket has it.
    pub(crate) fn requester(&mut self, id: ConnId, head: &Head<'_>) -> Option<IpAddr> {
        if let Source::Client(client) = self.forwarded_for(id, head) {
            return Some(client);
        }
        self.core.introduced.get(&id.key).copied().or_else(|| self.peer(id))
    }

    /// The address at the other end of the socket.
    fn peer(&mut self, id: ConnId) -> Option<IpAddr> {
        self.sockets.get_mut(id.key as usize)?.peer()
    }

    /// Forgets whom a PROXY header named: the connection is a WebSocket now, or gone.
    pub(crate) fn forget_introduction(&mut self, id: ConnId) {
        let introduced = &mut self.core.introduced;
        if !introduced.is_empty() {
            introduced.remove(&id.key);
            if introduced.is_empty() {
                // A herd's table is given back.
                introduced.shrink_to(INTRODUCED_KEPT);
            }
        }
    }

    /// The connection is for `source`. False where it had to be closed.
    fn is_for(&mut self, id: ConnId, source: Source) -> bool {
        let Err(over) = self.settle_source(id, source) else { return true };
        self.core.counters().short[Shortage::from(over).index()].add(1);
        self.remove(id, Cause::Closed);
        false
    }

    /// Counts the connection for whom a proxy says that it is.
    fn settle_source(&mut self, id: ConnId, source: Source) -> Result<Unwanted, Over> {
        match source {
            Source::Proxy => self.settle_again(id),
            Source::Client(client) => {
                debug!(conn = id.to_bits(), peer = %client, "speaks for");
                self.settle_origin(id, |worker| worker.count(client))
            }
            Source::Unknown => {
                // One that can't be judged is never free: all of them together are one address, the proxy's.
                let proxy = self.peer(id).unwrap_or(NOBODY).to_canonical();
                debug!(conn = id.to_bits(), peer = %proxy, "speaks for somebody unknown");
                self.settle_origin(id, |worker| (Via::Proxy, worker.enter(proxy)))
            }
        }
    }

    /// A connection that was kept may ask long after it came: whether its address has too many is asked again.
    fn settle_again(&mut self, id: ConnId) -> Result<Unwanted, Over> {
        let Some(conn) = self.core.get_mut(id) else { return Ok(Unwanted::No) };
        let (via, unwanted) = (conn.via(), conn.unwanted());
        if !conn.may_be_wanted_again() {
            return Ok(unwanted);
        }
        let introduced = self.core.introduced.get(&id.key).copied();
        let Some(address) = introduced.or_else(|| self.peer(id)) else { return Ok(unwanted) };
        self.settle_origin(id, |worker| (via, worker.enter(address.to_canonical())))
    }

    /// Counts the connection as `count` does, and for nobody else any more.
    fn settle_origin(
        &mut self,
        id: ConnId,
        count: impl FnOnce(&Self) -> (Via, Entered),
    ) -> Result<Unwanted, Over> {
        let Some(conn) = self.core.get_mut(id) else { return Ok(Unwanted::No) };
        if let Some(before) = conn.uncount() {
            self.core.fleet.addresses().leave(before);
        }
        let counted = count(self);
        let Some(conn) = self.core.get_mut(id) else { return Ok(Unwanted::No) };
        come_from(conn, counted).map(|()| conn.unwanted())
    }
}

/// Notes for whom a connection is. An error: it is one of a flood, and nowhere counted.
fn come_from(conn: &mut Conn, (via, entered): (Via, Entered)) -> Result<(), Over> {
    let (place, over) = match entered {
        Entered::In(place) => (Some(place), None),
        Entered::Surplus(place, over) => (Some(place), Some(over)),
        Entered::Flood(_) | Entered::Uncounted => (None, None),
    };
    conn.count(via, place, over);
    if let Entered::Flood(over) = entered { Err(over) } else { Ok(()) }
}
