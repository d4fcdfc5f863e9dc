//! The world of one worker: a clock, listeners, sockets and their readiness. The worker's logic runs over this trait,
//! so that a test can play short reads, full sockets, resets, stalls and jumps of time.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;

use crate::time::Now;

/// A non-blocking stream socket. Dropping it closes it.
pub trait Socket {
    /// Reads; 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has arrived; anything else ends the connection.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads into the spare capacity of `onto`, behind what it holds.
    ///
    /// # Errors
    /// As [`Socket::read`].
    fn read_onto(&mut self, onto: &mut Vec<u8>) -> io::Result<usize>;

    /// Writes some of `bytes`.
    ///
    /// # Errors
    /// `WouldBlock` where the socket is full; anything else ends the connection.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes some of `parts`, in order.
    ///
    /// # Errors
    /// As [`Socket::write`].
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ends the stream to the peer; what was written before still arrives.
    fn finish(&mut self);

    /// Whether it has failed: what a read would say behind all that has arrived. Asked where it is not to be read.
    fn has_failed(&self) -> bool {
        false
    }

    /// The connection fails where its peer has not acknowledged for so long what was sent to it.
    fn expect_acknowledgement(&self, within: Duration) {
        let _ = within;
    }

    /// The peer's address; `None` where it has none, or is gone.
    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

/// An event: something about a socket has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ready {
    /// The token that it was registered with, or [`Ready::BELL`], or [`Ready::listener`].
    pub token: u64,
    /// There is something to read, or an error.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The peer has ended its stream: read to the end.
    pub read_closed: bool,
    /// The socket has failed: it was reset, or nothing of it is acknowledged.
    pub failed: bool,
}

impl Ready {
    /// In the tokens of descriptors that are no connections. Those of connections don't have it.
    pub const WATCHED: u64 = 1 << 63;
    /// The mailbox's waker.
    pub const BELL: u64 = u64::MAX;
    /// Tokens from here up are the world's own.
    const RESERVED: u64 = u64::MAX - 256;

    /// The token of a listener.
    #[must_use]
    pub const fn of_listener(listener: u8) -> u64 {
        Ready::RESERVED + listener as u64
    }

    /// The listener that has connections waiting, if the event says so.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "255 at most")]
    pub const fn listener(&self) -> Option<u8> {
        if self.token >= Ready::RESERVED && self.token != Ready::BELL {
            Some((self.token - Ready::RESERVED) as u8)
        } else {
            None
        }
    }
}

/// The world of one worker.
pub trait Net {
    /// Its sockets.
    type Socket: Socket;

    /// Reads the clock.
    fn now(&self) -> Now;

    /// Waits until something is ready or `timeout` has passed (for ever without one), and replaces `ready` by what is. Events
    /// are edges: each is told once.
    ///
    /// # Errors
    /// The system refuses to wait: the worker can't go on.
    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()>;

    /// How many listeners there are.
    fn listeners(&self) -> u8;

    /// Accepts a connection, and says where its peer is; `None` where that has no address.
    ///
    /// # Errors
    /// `WouldBlock` where none waits; others may be for want of descriptors or memory.
    fn accept(&mut self, listener: u8) -> io::Result<(Self::Socket, Option<IpAddr>)>;

    /// Whether hardly a descriptor was left when the socket was accepted.
    fn is_scarce(&self, socket: &Self::Socket) -> bool {
        let _ = socket;
        false
    }

    /// Resident bytes of the process, where they are known. Not for every turn.
    fn resident_bytes(&self) -> Option<u64> {
        None
    }

    /// Stops the queues of all listeners from growing; what is queued can still be accepted.
    fn stop_queueing(&mut self);

    /// Closes all listeners.
    fn stop_listening(&mut self);

    /// Tells of the socket's readiness from now on, in both directions, under `token`.
    ///
    /// # Errors
    /// The system has no room for another.
    fn register(&mut self, socket: &Self::Socket, token: u64) -> io::Result<()>;

    /// Tells of the readiness of another descriptor, one that is no connection, in the same way. It is told of until it is closed.
    ///
    /// # Errors
    /// The system has no room for another, or this world knows nothing but sockets.
    fn watch(&mut self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let _ = (descriptor, token);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Lets a socket go: nothing is told of it any more, nothing is sent, and what it holds either way stays there.
    fn export(&mut self, socket: Self::Socket) -> OwnedFd;

    /// Takes a socket in that was let go elsewhere; [`Net::register`] follows, which tells of what is there already.
    ///
    /// # Errors
    /// It is no socket of this world.
    fn adopt(&mut self, socket: OwnedFd) -> io::Result<Self::Socket>;
}

/// Whether an accept failed for want of descriptors or memory: it may work again when some are free.
#[must_use]
pub fn is_exhaustion(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.iter().any(|errno| errno.raw_os_error() == code))
}
