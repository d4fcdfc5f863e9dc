//! What carries a connection's bytes: the socket itself, and later TLS over it. The frame session above and the socket
//! below know nothing of each other.

use std::io::{self, IoSlice};

use crate::sys::net::Socket;

/// A connection's transport.
#[derive(Debug)]
pub(crate) enum Transport<S> {
    /// Bytes go over the socket as they are.
    Plain(S),
}

impl<S: Socket> Transport<S> {
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Transport::Plain(socket) = self;
        retry(|| socket.read(buffer))
    }

    /// Reads into the spare capacity of `onto`.
    pub(crate) fn read_onto(&mut self, onto: &mut Vec<u8>) -> io::Result<usize> {
        let Transport::Plain(socket) = self;
        retry(|| socket.read_onto(onto))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Transport::Plain(socket) = self;
        retry(|| socket.write(bytes))
    }

    pub(crate) fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Transport::Plain(socket) = self;
        retry(|| socket.write_vectored(parts))
    }

    /// Ends our stream; the peer's may go on.
    pub(crate) fn finish(&mut self) {
        let Transport::Plain(socket) = self;
        socket.finish();
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
