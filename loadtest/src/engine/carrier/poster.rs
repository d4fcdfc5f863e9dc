//! Where the commands of a thread's sessions are posted: one connection for all of them, on which request follows request.
//! What they are answered comes to the sessions as events; here only a refusal matters.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::io::Errno;

use crate::engine::carrier::response::Responses;
use crate::engine::link::End;
use crate::measure::Tally;

/// How long its connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of requests that may wait for the socket.
const WAITING_MAX: usize = 64 << 20;

/// One thread's connection for posts, opened at the first.
#[derive(Debug)]
pub struct Poster {
    address: SocketAddr,
    pub host: String,
    socket: Option<TcpStream>,
    /// Requests that the socket has not taken, and how much of them it has.
    waiting: Vec<u8>,
    sent: usize,
    responses: Responses,
    buffer: Vec<u8>,
    /// Posts that were refused, by kind.
    pub refused: Tally,
}

impl Poster {
    pub fn new(address: SocketAddr, host: &str) -> Poster {
        Poster {
            address,
            host: host.to_owned(),
            socket: None,
            waiting: Vec::new(),
            sent: 0,
            responses: Responses::default(),
            buffer: Vec::new(),
            refused: Tally::default(),
        }
    }

    /// Posts a body to a path.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Result<(), End> {
        if self.waiting.len() > WAITING_MAX {
            return Err(End::System(Errno::NOBUFS));
        }
        let (host, len) = (&self.host, body.len());
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len}\r\n\r\n");
        self.waiting.extend_from_slice(head.as_bytes());
        self.waiting.extend_from_slice(body);
        self.turn();
        Ok(())
    }

    /// Writes what waits, and reads what came back.
    pub fn turn(&mut self) {
        if self.socket.is_none() && self.waiting.is_empty() {
            return;
        }
        if let Err(end) = self.exchange() {
            self.refused.add(&format!("a post: {}", end.kind()), 1);
            // What waited goes with its connection; the next post opens another one.
            (self.socket, self.sent, self.responses) = (None, 0, Responses::default());
            self.waiting.clear();
        }
    }

    fn exchange(&mut self) -> Result<(), End> {
        if self.socket.is_none() {
            let socket = TcpStream::connect_timeout(&self.address, CONNECT_TIMEOUT).map_err(system)?;
            socket.set_nonblocking(true).map_err(system)?;
            socket.set_nodelay(true).map_err(system)?;
            self.socket = Some(socket);
            self.buffer.resize(64 << 10, 0);
        }
        let Some(socket) = &mut self.socket else { return Ok(()) };
        while self.sent < self.waiting.len() {
            match socket.write(&self.waiting[self.sent..]) {
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(system(error)),
            }
        }
        if self.sent == self.waiting.len() {
            self.waiting.clear();
            self.sent = 0;
        }
        loop {
            match socket.read(&mut self.buffer) {
                Ok(0) => return Err(End::Eof),
                Ok(len) => self.responses.read(&mut self.buffer[..len], |_| Ok(()))?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(system(error)),
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn system(error: std::io::Error) -> End {
    End::System(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
