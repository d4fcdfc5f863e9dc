//! The transport of a connection's bytes: its socket, spoken to until it answers, and between the two the
//! records of [`tls`](crate::reactor::tls), where it has any. Whoever reads and writes does not know which of
//! them it is.

use std::io::{self, IoSlice};

use crate::reactor::ids::ConnId;
use crate::reactor::tls::state::{Secure, TlsState};
use crate::sys::net::Socket;

/// A connection's transport, put together for the length of a call.
#[derive(Debug)]
pub(crate) struct Transport<'t, S> {
    socket: &'t mut S,
    secure: Option<Secure<'t>>,
}

/// The outcome of a read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    /// Bytes that the socket gave; 0: its stream has ended.
    pub(crate) len: usize,
    /// They filled the buffer: there may be more.
    pub(crate) is_full: bool,
}

/// The outcome of a write.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Bytes that the transport took: they are in no need of being kept.
    pub(crate) taken: usize,
    /// Bytes that the socket took.
    pub(crate) sent: usize,
    /// The socket takes no more for now. Records that it did not take are for [`TlsState::left`] to give.
    pub(crate) is_full: bool,
}

impl<'t, S: Socket> Transport<'t, S> {
    #[inline]
    pub(crate) fn new(socket: &'t mut S, tls: Option<&'t mut TlsState>, id: ConnId) -> Transport<'t, S> {
        Transport { socket, secure: tls.and_then(|tls_state| tls_state.secured(id)) }
    }

    /// Reads once: a plain connection's bytes into `buffer`; records stay where [`TlsState::open_read`] finds them.
    #[inline]
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        let buffer = match &mut self.secure {
            None => buffer,
            Some(secure) => secure.records(),
        };
        let len = retry(|| self.socket.read(buffer))?;
        Ok(Read { len, is_full: len == buffer.len() })
    }

    /// Reads into the spare capacity of `onto`, what a plain connection's bytes can be.
    pub(crate) fn read_onto(&mut self, onto: &mut Vec<u8>) -> io::Result<usize> {
        debug_assert!(self.secure.is_none());
        retry(|| self.socket.read_onto(onto))
    }

    /// Writes some of `bytes`. A full socket is no error: it takes nothing.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Sent> {
        if self.secure.is_some() {
            return self.write_records(&[IoSlice::new(bytes)]);
        }
        let taken = write(self.socket, bytes)?;
        Ok(Sent { taken, sent: taken, is_full: taken < bytes.len() })
    }

    /// Writes some of `parts`, in order.
    pub(crate) fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<Sent> {
        if self.secure.is_some() {
            return self.write_records(parts);
        }
        let offered = parts.iter().map(|part| part.len()).sum();
        let taken = none_where_full(retry(|| self.socket.write_vectored(parts)))?;
        Ok(Sent { taken, sent: taken, is_full: taken < offered })
    }

    /// Makes records of the front of `parts`, and writes those.
    fn write_records(&mut self, parts: &[IoSlice<'_>]) -> io::Result<Sent> {
        let Some(secure) = &mut self.secure else { return Ok(Sent::default()) };
        let taken = secure.seal(parts)?;
        let sent = write(self.socket, secure.left())?;
        secure.sent(sent);
        Ok(Sent { taken, sent, is_full: !secure.left().is_empty() })
    }

    /// Records of the last write that the socket did not take.
    pub(crate) fn left(&self) -> &[u8] {
        self.secure.as_ref().map_or(&[], |secure| secure.left())
    }

    /// Writes what was made ready for the socket: records that were not taken before. Returns how many bytes it took.
    pub(crate) fn write_sealed(&mut self, records: &[u8]) -> io::Result<usize> {
        write(self.socket, records)
    }

    /// Writes records that TLS has made by itself: handshakes, tickets, alerts. Returns how many bytes the socket took; an error
    /// will be met by whoever reads or writes next.
    pub(crate) fn write_own(&mut self) -> usize {
        let Some(secure) = &mut self.secure else { return 0 };
        let sent = write(self.socket, secure.left()).unwrap_or(0);
        secure.sent(sent);
        sent
    }

    /// Says that nothing follows, as far as that is said by a record, which is then for [`Transport::write_own`].
    pub(crate) fn close(&mut self) {
        if let Some(secure) = &mut self.secure {
            secure.close();
        }
    }

    /// Ends our stream; the peer's may go on.
    pub(crate) fn finish(&mut self) {
        self.socket.finish();
    }
}

/// Writes some of `bytes`; none where the socket is full.
#[inline]
fn write<S: Socket>(socket: &mut S, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    none_where_full(retry(|| socket.write(bytes)))
}

#[inline]
fn none_where_full(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}

/// A call that a signal cut short is made again.
#[inline]
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
