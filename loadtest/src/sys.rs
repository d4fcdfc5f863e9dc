//! The system calls that the standard library and mio lack: raw reads and writes, descriptor tables of one's own, a timer
//! finer than a poll's time-out. The only file of this crate with unsafe code.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Resource, Rlimit};
use rustix::thread::UnshareFlags;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use socket2::{Domain, Protocol, Socket, Type};

/// Reads what is there: one raw system call, without glibc's cancellation point.
pub fn recv(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::net::recv(socket, buffer, RecvFlags::empty()).map(|(_, len)| len)
}

/// Writes what the socket takes; zero where it takes nothing now.
pub fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN) => Ok(0),
        sent => sent,
    }
}

/// The error a socket has stored, such as the outcome of a connect.
pub fn stored_error(socket: &OwnedFd) -> Result<(), Errno> {
    rustix::net::sockopt::socket_error(socket)?
}

/// Starts to connect, without blocking and from `source` where one is given. The outcome shows as an event.
///
/// A source's port is bound for this connection alone, so that the range of `ip_local_port_range` does not bound it, and
/// shared with what an earlier connection left in TIME-WAIT.
pub fn connect(address: SocketAddr, source: Option<SocketAddrV4>) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if address.ip().is_loopback() {
        // Nothing is congested here, and pacing (bbr) would cost this side time; a system without reno keeps its own.
        let _ = socket.set_tcp_congestion(b"reno");
    }
    if let Some(source) = source {
        socket.set_reuse_address(true)?;
        socket.bind(&source.into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// The `index`-th source address: 127.0.0.2 and up.
pub fn source_address(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 0, 2)) + index)
}

/// Gives the calling thread a descriptor table of its own, a copy of the process's. What it opens from here on only it
/// can see, and `RLIMIT_NOFILE` counts for it alone.
#[expect(unsafe_code, reason = "descriptors of a table must not reach a thread with another one")]
pub fn unshare_descriptors() -> io::Result<()> {
    // SAFETY: called first thing in a thread, which keeps every descriptor that it opens to itself until it ends; those
    // that were open before are copies that nobody closes here.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FILES) }.map_err(io::Error::from)
}

/// Raises the soft limit of descriptors to the hard one and returns it.
pub fn raise_descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let in_force = if rustix::process::setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    in_force.current.unwrap_or(u64::MAX)
}

/// A timer that makes its descriptor readable at a moment given in nanoseconds: a poll's time-out is cut to milliseconds.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// A timer that isn't set.
    pub fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Timer(rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// Its descriptor, to be registered edge-triggered: it need not be read.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// Rings once, in `nanos` nanoseconds.
    pub fn ring_in(&self, nanos: u64) {
        let nanos = nanos.max(1);
        let at = Timespec { tv_sec: (nanos / 1_000_000_000) as i64, tv_nsec: (nanos % 1_000_000_000) as i64 };
        let once = Itimerspec { it_interval: Timespec::default(), it_value: at };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)
            .expect("a timer of our own takes any time");
    }
}
