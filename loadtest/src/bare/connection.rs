//! A connection of the bare loop: the upgrade, and the echo.

use std::os::fd::OwnedFd;

use mio::event::Event;
use rollcall::internals::wire::upgrade;
use rustix::io::Errno;

use super::reflector::{HEADROOM, Reflector};
use crate::sys;

/// Whether the connection goes on.
pub type Goes = Result<bool, Errno>;

#[derive(Debug)]
pub struct Connection {
    pub socket: OwnedFd,
    /// Whether its request is answered.
    pub open: bool,
    /// What is not whole yet: the request, later in a fan-out a message.
    pub held: Vec<u8>,
    reflector: Reflector,
    /// What the socket did not take. Nothing is read while there is something.
    rest: Vec<u8>,
}

impl Connection {
    pub fn new(socket: OwnedFd) -> Connection {
        Connection {
            socket,
            open: false,
            held: Vec::new(),
            reflector: Reflector::default(),
            rest: Vec::new(),
        }
    }

    /// Sends what is left over. Then says whether to read, and if so whether until nothing comes.
    pub fn ready(&mut self, event: &Event) -> Result<Option<bool>, Errno> {
        let was_blocked = !self.rest.is_empty();
        if was_blocked {
            let sent = sys::send(&self.socket, &self.rest)?;
            self.rest.drain(..sent);
        }
        // What came while it was blocked raised an event that was not used.
        let reads = self.rest.is_empty() && (event.is_readable() || was_blocked);
        Ok(reads.then_some(event.is_read_closed() || was_blocked))
    }

    /// Sends all of `bytes`, now or behind what is left over.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let sent = if self.rest.is_empty() { sys::send(&self.socket, bytes)? } else { 0 };
        self.rest.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Whether the socket took all.
    pub fn is_clear(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn echo(&mut self, buffer: &mut [u8], to_the_end: bool) -> Goes {
        loop {
            let len = match sys::recv(&self.socket, &mut buffer[HEADROOM..]) {
                Ok(0) => return Ok(false),
                Err(Errno::AGAIN) => return Ok(true),
                len => len?,
            };
            let end = HEADROOM + len;
            let from = if self.open { HEADROOM } else { HEADROOM + self.upgrade(&buffer[HEADROOM..end])? };
            let Ok(out) = self.reflector.turn(buffer, from..end) else { return Ok(false) };
            if !out.is_empty() {
                self.send(&buffer[out])?;
            }
            if self.reflector.closed {
                return Ok(false);
            }
            if !self.rest.is_empty() || (end < buffer.len() && !to_the_end) {
                return Ok(true);
            }
        }
    }

    /// Answers the request once it is whole. Returns how many of `bytes` belong to it.
    pub fn upgrade(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let before = self.held.len();
        self.held.extend_from_slice(bytes);
        let Some(end) = self.held.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4) else {
            return if self.held.len() > 16 << 10 { Err(Errno::PROTO) } else { Ok(bytes.len()) };
        };
        let key = key(&self.held[..end]).ok_or(Errno::PROTO)?;
        let mut response = Vec::new();
        upgrade::write_accept(key, None, None, &mut response);
        sys::send(&self.socket, &response)?;
        self.held = Vec::new();
        self.open = true;
        Ok(end - before)
    }
}

fn key(request: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(request).ok()?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map(|(_, key)| key.trim())
        .next()
}
