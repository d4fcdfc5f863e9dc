//! What carries a connection's bytes: its socket, spoken to until it answers. What the bytes are, plaintext or the records of
//! [`tls`](crate::reactor::tls), it doesn't know: the two differ above it, so that a plain connection pays for nothing.

use std::io::{self, IoSlice};
use std::net::IpAddr;

use crate::sys::net::Socket;

/// A connection's transport: as large as its socket.
#[derive(Debug)]
pub(crate) struct Transport<S>(pub(crate) S);

impl<S: Socket> Transport<S> {
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| self.0.read(buffer))
    }

    /// Reads into the spare capacity of `onto`.
    pub(crate) fn read_onto(&mut self, onto: &mut Vec<u8>) -> io::Result<usize> {
        retry(|| self.0.read_onto(onto))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| self.0.write(bytes))
    }

    pub(crate) fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        retry(|| self.0.write_vectored(parts))
    }

    /// Where the peer is.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.0.peer()
    }

    /// Ends our stream; the peer's may go on.
    pub(crate) fn finish(&mut self) {
        self.0.finish();
    }
}

/// A call that a signal cut short is made again.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
