//! `loadtest bare`: the least that an echo can cost on this machine, as the measure for servers.
//!
//! One mio poll, registered once and edge-triggered; for a ready connection one raw recv into a shared buffer, the frames turned
//! around in it, one raw send. The byte counts are an echo's: masked frames in, the same payloads in plain frames out. It is
//! no server: one thread, no limits, no time-outs, no checks beyond what turning frames around needs.

use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rollcall::wire::error::ProtocolError;
use rollcall::wire::frame::{Header, Opcode, Parsed};
use rollcall::wire::{mask, upgrade};
use rustix::io::Errno;
use slab::Slab;

use crate::options::Failure;
use crate::sys;

/// Room in front of what is read, for a header whose first bytes came with an earlier read.
const HEADROOM: usize = 16;
const LISTENER: Token = Token(usize::MAX);

/// `loadtest bare`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Bytes of the read buffer
    #[arg(long, default_value = "128KiB", value_parser = crate::units::bytes)]
    buffer: u64,
}

/// Serves until Ctrl-C.
pub fn run(args: &Args) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", args.listen));
    sys::raise_descriptor_limit();
    let mut bare = Bare::bind(args.listen, args.buffer as usize).map_err(failed)?;
    println!("listening on {}", bare.address().map_err(failed)?);
    bare.serve(&crate::options::stop_flag()).map_err(failed)
}

/// The bare loop.
#[derive(Debug)]
pub struct Bare {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    buffer: Vec<u8>,
}

impl Bare {
    /// Listens.
    pub fn bind(address: SocketAddr, buffer: usize) -> std::io::Result<Bare> {
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(4096)?;
        socket.set_nonblocking(true)?;
        // Inherited by what is accepted.
        socket.set_tcp_nodelay(true)?;
        let listener = TcpListener::from(socket);
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
        Ok(Bare { poll, listener, connections: Slab::new(), buffer: vec![0; HEADROOM + buffer.max(1024)] })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is set.
    pub fn serve(&mut self, stop: &Arc<AtomicBool>) -> std::io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !stop.load(Relaxed) {
            match self.poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else {
                    self.ready(event);
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> std::io::Result<()> {
        use rustix::net::{SocketFlags, accept_with};
        loop {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    let descriptor = socket.as_raw_fd();
                    let id = self.connections.insert(Connection::new(socket));
                    let both = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut SourceFd(&descriptor), Token(id), both)?;
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn ready(&mut self, event: &Event) {
        let id = event.token().0;
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !connection.ready(&mut self.buffer, event).unwrap_or(false) {
            self.connections.remove(id);
        }
    }
}

/// Whether the connection goes on.
type Goes = Result<bool, Errno>;

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    /// The request so far; `None` once it is answered.
    request: Option<Vec<u8>>,
    turner: Turner,
    /// What the socket did not take. Nothing is read while there is something.
    rest: Vec<u8>,
}

impl Connection {
    fn new(socket: OwnedFd) -> Connection {
        Connection { socket, request: Some(Vec::new()), turner: Turner::default(), rest: Vec::new() }
    }

    fn ready(&mut self, buffer: &mut [u8], event: &Event) -> Goes {
        let was_blocked = !self.rest.is_empty();
        if was_blocked {
            let sent = sys::send(&self.socket, &self.rest)?;
            self.rest.drain(..sent);
        }
        // What came while it was blocked raised an event that was not used.
        if !self.rest.is_empty() || !(event.is_readable() || was_blocked) {
            return Ok(true);
        }
        self.read(buffer, event.is_read_closed() || was_blocked)
    }

    fn read(&mut self, buffer: &mut [u8], to_the_end: bool) -> Goes {
        loop {
            let len = match sys::recv(&self.socket, &mut buffer[HEADROOM..]) {
                Ok(0) => return Ok(false),
                Err(Errno::AGAIN) => return Ok(true),
                len => len?,
            };
            let end = HEADROOM + len;
            let from = if self.request.is_some() {
                HEADROOM + self.upgrade(&buffer[HEADROOM..end])?
            } else {
                HEADROOM
            };
            let Ok(out) = self.turner.turn(buffer, from..end) else { return Ok(false) };
            if !out.is_empty() {
                let sent = sys::send(&self.socket, &buffer[out.clone()])?;
                self.rest.extend_from_slice(&buffer[out.start + sent..out.end]);
            }
            if self.turner.closed {
                return Ok(false);
            }
            if !self.rest.is_empty() || (end < buffer.len() && !to_the_end) {
                return Ok(true);
            }
        }
    }

    /// Answers the request once it is whole. Returns how many of `bytes` belong to it.
    fn upgrade(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let Some(request) = &mut self.request else { return Ok(0) };
        let before = request.len();
        request.extend_from_slice(bytes);
        let Some(end) = request.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4) else {
            return if request.len() > 16 << 10 { Err(Errno::PROTO) } else { Ok(bytes.len()) };
        };
        let key = key(&request[..end]).ok_or(Errno::PROTO)?;
        let mut response = Vec::new();
        upgrade::write_accept(key, None, None, &mut response);
        sys::send(&self.socket, &response)?;
        self.request = None;
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

/// Turns a client's frames into a server's with the same payloads, in place and as they stream.
#[derive(Debug, Default)]
struct Turner {
    /// The beginning of a header that a read cut.
    header: [u8; 14],
    header_len: usize,
    /// Payload bytes of the frame under way that are to come, and the key for them.
    left: u64,
    key: [u8; 4],
    /// The frame under way is a Close.
    closing: bool,
    /// A Close was turned around.
    closed: bool,
}

impl Turner {
    /// Turns what lies in `input` around; at least [`HEADROOM`] bytes before it are free. Returns where the output lies.
    fn turn(&mut self, buffer: &mut [u8], input: Range<usize>) -> Result<Range<usize>, ProtocolError> {
        let (mut read, end) = (input.start, input.end);
        let mut out: Option<Range<usize>> = None;
        while read < end && !self.closed {
            if self.left == 0 {
                let Some((header, taken)) = self.header(&buffer[read..end])? else { break };
                read += taken;
                let (bytes, len) = self.begin(&header).encode();
                // The first header goes right before its payload, which then need not move.
                let start = out.as_ref().map_or(read - len, |out| out.end);
                buffer[start..start + len].copy_from_slice(&bytes[..len]);
                out = Some(out.map_or(start, |out| out.start)..start + len);
            }
            let part = usize::try_from(self.left).unwrap_or(usize::MAX).min(end - read);
            mask::apply(&mut buffer[read..read + part], self.key);
            self.key = mask::rotate(self.key, part);
            self.left -= part as u64;
            let whole = out.get_or_insert(read..read);
            if whole.end != read {
                buffer.copy_within(read..read + part, whole.end);
            }
            whole.end += part;
            read += part;
            self.closed = self.closing && self.left == 0;
        }
        Ok(out.unwrap_or(input.start..input.start))
    }

    /// The next header and how many bytes of `input` it took; what there is of a cut one is kept.
    fn header(&mut self, input: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        if self.header_len == 0
            && let Parsed::Header(header, len) = Header::parse(input)?
        {
            return Ok(Some((header, len)));
        }
        for (taken, byte) in input.iter().enumerate() {
            self.header[self.header_len] = *byte;
            self.header_len += 1;
            if let Parsed::Header(header, _) = Header::parse(&self.header[..self.header_len])? {
                self.header_len = 0;
                return Ok(Some((header, taken + 1)));
            }
        }
        Ok(None)
    }

    /// Begins a client's frame; returns the header of the server's.
    fn begin(&mut self, header: &Header) -> Header {
        (self.left, self.key) = (header.len, header.mask.unwrap_or_default());
        self.closing = header.opcode == Opcode::Close;
        let opcode = if header.opcode == Opcode::Ping { Opcode::Pong } else { header.opcode };
        Header { opcode, mask: None, ..*header }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollcall::wire::frame;

    fn turned(input: &[u8], chunk: usize) -> Vec<u8> {
        let mut turner = Turner::default();
        let mut output = Vec::new();
        for part in input.chunks(chunk) {
            let mut buffer = vec![0; HEADROOM];
            buffer.extend_from_slice(part);
            let end = buffer.len();
            let out = turner.turn(&mut buffer, HEADROOM..end).unwrap();
            output.extend_from_slice(&buffer[out]);
        }
        output
    }

    #[test]
    fn frames_come_back_plain_however_they_are_cut() {
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for (size, opcode) in [
            (0, Opcode::Text),
            (20, Opcode::Binary),
            (125, Opcode::Ping),
            (126, Opcode::Text),
            (70_000, Opcode::Binary),
        ] {
            let payload: Vec<u8> = (0..size).map(|at| at as u8).collect();
            frame::write(&mut sent, opcode, &payload, Some([1, 2, 3, size as u8]));
            let back = if opcode == Opcode::Ping { Opcode::Pong } else { opcode };
            frame::write(&mut expected, back, &payload, None);
        }
        for chunk in [1, 2, 3, 7, 100, 4096, sent.len()] {
            assert!(turned(&sent, chunk) == expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn nothing_is_turned_around_after_a_close() {
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        frame::write(&mut sent, Opcode::Close, &[3, 232], Some([9; 4]));
        frame::write(&mut sent, Opcode::Text, b"late", Some([9; 4]));
        frame::write(&mut expected, Opcode::Close, &[3, 232], None);
        assert_eq!(turned(&sent, sent.len()), expected);
    }
}
