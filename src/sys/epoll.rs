//! The real world: epoll through mio, TCP sockets through raw system calls.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags};
use rustix::process::{Resource, getrlimit};
use socket2::{Domain, Protocol, SockRef, Socket as Builder, Type};

use crate::limits::{DESCRIPTORS_FLOOR, EVENTS_PER_TURN_MAX, LISTEN_BACKLOG, UNSENT_BYTES_MAX};
use crate::sys::memory;
use crate::sys::net::{Net, Ready, Socket};
use crate::time::{Clock, Now};

/// An accepted TCP connection: 4 bytes.
#[derive(Debug)]
pub struct TcpSocket(OwnedFd);

impl Socket for TcpSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(&self.0, buffer, RecvFlags::empty())?.0)
    }

    fn read_onto(&mut self, onto: &mut Vec<u8>) -> io::Result<usize> {
        Ok(rustix::net::recv(&self.0, rustix::buffer::spare_capacity(onto), RecvFlags::empty())?.0)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.make_way(bytes.len());
        Ok(rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.make_way(parts.iter().map(|part| part.len()).max().unwrap_or(0));
        Ok(rustix::net::sendmsg(&self.0, parts, &mut Default::default(), SendFlags::NOSIGNAL)?)
    }

    fn finish(&mut self) {
        // It fails where the connection is gone, and then there is nothing to finish.
        let _ = rustix::net::shutdown(&self.0, Shutdown::Write);
    }

    fn has_failed(&self) -> bool {
        rustix::net::sockopt::socket_error(&self.0).is_ok_and(|error| error.is_err())
    }

    fn expect_acknowledgement(&self, within: Duration) {
        // A Unix socket knows nothing of it: what is written there has arrived.
        let _ = SockRef::from(&self.0).set_tcp_user_timeout(Some(within));
    }

    fn peer(&self) -> Option<IpAddr> {
        let peer = rustix::net::getpeername(&self.0).ok()??;
        SocketAddr::try_from(peer).ok().map(|peer| peer.ip().to_canonical())
    }
}

impl TcpSocket {
    /// A connection that is sent a piece bigger than the kernel holds unsent is under the kernel's own bound from then
    /// on: in parts, messages of 1 MiB cost twice the time.
    fn make_way(&self, len: usize) {
        if len > UNSENT_BYTES_MAX as usize {
            // A Unix socket has no such bound.
            let _ = SockRef::from(&self.0).set_tcp_notsent_lowat(u32::MAX);
        }
    }
}

/// A poll, its listeners and a clock.
#[derive(Debug)]
pub struct Epoll {
    poll: Poll,
    events: Events,
    listeners: Vec<Builder>,
    clock: Clock,
    /// Descriptors from this number on are the last that the table holds.
    scarce_from: RawFd,
}

impl Epoll {
    /// A poll that also waits for `waker`, and for connections to `listeners` (at most 255).
    ///
    /// # Errors
    /// The system refuses a poll.
    pub fn new(listeners: Vec<Builder>, waker: BorrowedFd<'_>, clock: Clock) -> io::Result<Epoll> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        registry.register(&mut SourceFd(&waker.as_raw_fd()), token(Ready::BELL), Interest::READABLE)?;
        for (listener, i) in listeners.iter().zip(0_u8..) {
            let fd: RawFd = listener.as_raw_fd();
            registry.register(&mut SourceFd(&fd), token(Ready::of_listener(i)), Interest::READABLE)?;
        }
        let events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        let most = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
        let scarce_from = most.map_or(usize::MAX, |most| most.saturating_sub(DESCRIPTORS_FLOOR));
        let scarce_from = RawFd::try_from(scarce_from).unwrap_or(RawFd::MAX);
        Ok(Epoll { poll, events, listeners, clock, scarce_from })
    }
}

impl Net for Epoll {
    type Socket = TcpSocket;

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        ready.clear();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        ready.extend(self.events.iter().map(|event| Ready {
            token: event.token().0 as u64,
            readable: event.is_readable() || event.is_error(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed() || event.is_error(),
            failed: event.is_error(),
        }));
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "255 at most")]
    fn listeners(&self) -> u8 {
        self.listeners.len() as u8
    }

    fn accept(&mut self, listener: u8) -> io::Result<(TcpSocket, Option<IpAddr>)> {
        let Some(listener) = self.listeners.get(usize::from(listener)) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        loop {
            match rustix::net::acceptfrom_with(listener, flags) {
                // The connection died in the queue, or its network did (accept(2)): the next may live.
                Err(
                    Errno::CONNABORTED
                    | Errno::INTR
                    | Errno::NETDOWN
                    | Errno::PROTO
                    | Errno::HOSTDOWN
                    | Errno::HOSTUNREACH
                    | Errno::NETUNREACH,
                ) => {}
                result => {
                    let (socket, peer) = result?;
                    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                    return Ok((TcpSocket(socket), peer.map(|peer| peer.ip().to_canonical())));
                }
            }
        }
    }

    fn is_scarce(&self, socket: &TcpSocket) -> bool {
        // accept(2): the lowest number that is free.
        socket.0.as_raw_fd() >= self.scarce_from
    }

    fn resident_bytes(&self) -> Option<u64> {
        memory::resident_bytes()
    }

    fn stop_queueing(&mut self) {
        for listener in &self.listeners {
            // A second listen only sets the length of the queue. A Unix socket is everybody's: it is shut for new ones.
            let _ = if listener.domain().is_ok_and(|domain| domain == Domain::UNIX) {
                listener.shutdown(std::net::Shutdown::Read)
            } else {
                listener.listen(0)
            };
        }
    }

    fn stop_listening(&mut self) {
        self.listeners.clear();
    }

    fn register(&mut self, socket: &TcpSocket, id: u64) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&socket.0.as_raw_fd()), token(id), interest)
    }

    fn watch(&mut self, descriptor: BorrowedFd<'_>, token_bits: u64) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&descriptor.as_raw_fd()), token(token_bits), interest)
    }

    fn export(&mut self, socket: TcpSocket) -> OwnedFd {
        // It can only fail where the socket is not registered, and then nothing is told of it either.
        let _ = self.poll.registry().deregister(&mut SourceFd(&socket.0.as_raw_fd()));
        socket.0
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<TcpSocket> {
        // Whoever made it, it must not block the worker.
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(TcpSocket(socket))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the crate is built for 64-bit targets only")]
const fn token(id: u64) -> Token {
    Token(id as usize)
}

/// Listens on an address with SO_REUSEPORT, so that each worker has a queue of its own. Connections inherit TCP_NODELAY and
/// TCP_NOTSENT_LOWAT.
///
/// # Errors
/// As `bind(2)` and `listen(2)`.
pub fn listen(address: SocketAddr) -> io::Result<Builder> {
    let socket = bindable(address)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket)
}

/// Fails where anybody listens on the address already, also one who would share it by SO_REUSEPORT.
///
/// # Errors
/// As `bind(2)`.
pub fn probe(address: SocketAddr) -> io::Result<()> {
    bindable(address)?.bind(&address.into())
}

fn bindable(address: SocketAddr) -> io::Result<Builder> {
    let socket = Builder::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Not in the way of connections of an earlier process that are still in TIME_WAIT.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use rustix::event::{EventfdFlags, eventfd};

    use super::*;
    use crate::time::Tick;

    #[test]
    fn the_last_descriptors_of_the_table_are_scarce() {
        let waker = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut epoll = Epoll::new(vec![listener], waker.as_fd(), Clock::starting_at(Tick(0))).unwrap();
        if let Some(most) = getrlimit(Resource::Nofile).current.and_then(|most| RawFd::try_from(most).ok()) {
            assert_eq!(epoll.scarce_from, (most - DESCRIPTORS_FLOOR as RawFd).max(0));
        }
        let _client = TcpStream::connect(address).unwrap();
        let (mut ready, wait) = (Vec::new(), Some(Duration::from_secs(20)));
        epoll.wait(&mut ready, wait).unwrap();
        let (accepted, peer) = epoll.accept(0).unwrap();
        assert_eq!((peer, accepted.peer()), (Some(address.ip()), Some(address.ip())));
        let number = accepted.0.as_raw_fd();
        for (scarce_from, is_scarce) in [(number + 1, false), (number, true), (number - 1, true)] {
            epoll.scarce_from = scarce_from;
            assert_eq!(epoll.is_scarce(&accepted), is_scarce);
        }
    }

    #[test]
    fn who_writes_to_a_broken_connection_is_told_and_not_killed() {
        // A program that embeds the server may have SIGPIPE as it is by default, which is death.
        let signalled = Arc::new(AtomicBool::new(false));
        let handler = signal_hook::flag::register(rustix::process::Signal::PIPE.as_raw(), signalled.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut socket = TcpSocket(listener.accept().unwrap().0.into());
        drop(peer);
        let error = |mut write: Box<dyn FnMut() -> io::Result<usize>>| {
            // The first one only learns that the other side is gone.
            let broken =
                || write().is_err_and(|error| error.raw_os_error() == Some(Errno::PIPE.raw_os_error()));
            if !std::iter::repeat_with(broken).take(1_000_000).any(|broken| broken) {
                panic!("the connection is not broken");
            }
        };
        let mut other = TcpSocket(socket.0.try_clone().unwrap());
        error(Box::new(move || socket.write(b"x")));
        error(Box::new(move || other.write_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"y")])));
        assert!(!signalled.load(SeqCst), "a SIGPIPE");
        signal_hook::low_level::unregister(handler.unwrap());
    }
}
