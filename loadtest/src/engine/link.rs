//! One client connection: its socket, its protocol state and what its scenario keeps for it.
//!
//! An idle link over ws:// owns no heap; the struct is 56 bytes beside the scenario's state. What a socket does not take at once is
//! kept in a box that is gone when it has been written.

use std::os::fd::OwnedFd;

use rollcall::internals::limits::MessageLimits;
use rollcall::internals::wire::close::{Close, CloseCode};
use rollcall::internals::wire::error::ProtocolError;
use rollcall::internals::wire::frame::{self, Opcode};
use rollcall::internals::wire::session::{Kind, Role, Session, SessionEvent};
use rustix::io::Errno;

use crate::engine::carrier;
use crate::engine::codec::Codec;
use crate::engine::tls::Tls;
use crate::refusal;
use crate::sys;
use crate::target;

/// The mask key of every frame: what it hides from, no proxy here is.
pub const MASK: [u8; 4] = [0x5a, 0xc3, 0x96, 0x0f];
/// What a server may send.
pub const LIMITS: MessageLimits =
    MessageLimits { max_message_bytes: 64 << 20, max_frame_bytes: 64 << 20, max_fragments: 1 << 20 };

/// A message as a masked frame.
pub fn text_frame(text: &[u8]) -> Vec<u8> {
    masked(Opcode::Text, text)
}

/// The answer to a Ping with that payload.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    masked(Opcode::Pong, payload)
}

/// A message of either kind as a masked frame.
pub fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame::write(&mut frame, opcode, payload, Some(MASK));
    frame
}

/// How far a link has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The connect is under way.
    Connecting,
    /// The upgrade request was sent.
    Upgrading,
    /// Frames.
    Open,
}

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// We were done with it; the only end that is no error.
    Done,
    /// The server sent a Close.
    Closed(Option<CloseCode>),
    /// The server ended the connection without one.
    Eof,
    System(Errno),
    Handshake(rollcall::internals::wire::client::HandshakeError),
    /// A request was answered with that status.
    Refused(u16),
    /// The server broke a rule of the protocol.
    Protocol(ProtocolError),
    /// It was not open in time.
    OpenTimeout,
    /// The server took too long to end it after the closing handshake.
    CloseTimeout,
    /// No source address has a port left.
    NoPort,
}

impl End {
    /// The kind under which the error is counted.
    pub fn kind(&self) -> String {
        match self {
            End::Done => "done".to_owned(),
            End::Closed(Some(code)) => {
                format!("closed by the server with {}{}", code.0, refusal::of_close(code.0))
            }
            End::Closed(None) => "closed by the server without a code".to_owned(),
            End::Eof => "ended by the server without a Close".to_owned(),
            End::System(Errno::CONNREFUSED) => "connection refused".to_owned(),
            End::System(Errno::CONNRESET) => "connection reset".to_owned(),
            End::System(Errno::PIPE) => "broken pipe".to_owned(),
            End::System(Errno::MFILE) => "out of descriptors".to_owned(),
            End::System(Errno::PROTO) => "TLS failed".to_owned(),
            End::System(Errno::ADDRNOTAVAIL) => "out of local ports".to_owned(),
            End::System(errno) => std::io::Error::from(*errno).to_string().to_lowercase(),
            End::Handshake(error) => format!("server {}", target::describe(error)),
            End::Refused(status) => {
                format!("a request answered with status {status}{}", refusal::of_upgrade(*status))
            }
            End::Protocol(error) => format!("protocol: {error}"),
            End::OpenTimeout => "not open in time".to_owned(),
            End::CloseTimeout => "not closed in time".to_owned(),
            End::NoPort => "out of local ports".to_owned(),
        }
    }

    /// Whether the server ended it for a limit of its own: what was under way is not lost.
    pub fn is_for_a_limit(&self) -> bool {
        matches!(self, End::Closed(Some(code)) if !refusal::of_close(code.0).is_empty())
    }
}

impl From<Errno> for End {
    fn from(errno: Errno) -> End {
        End::System(errno)
    }
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> End {
        End::Protocol(error)
    }
}

/// What a read came to besides messages.
#[derive(Clone, Copy, Default, Debug)]
pub struct Seen {
    /// Pings, each answered.
    pub pings: u64,
    /// The server sent a Close; it has been answered.
    pub closed: Option<Option<CloseCode>>,
}

impl Seen {
    /// The Pings, or the server's Close as the link's end.
    pub fn open(self) -> Result<u64, End> {
        self.closed.map_or(Ok(self.pings), |code| Err(End::Closed(code)))
    }
}

/// One connection.
#[derive(Debug)]
pub struct Link<T> {
    socket: OwnedFd,
    pub(super) phase: Phase,
    /// The protocol state; in use once the phase is [`Phase::Open`].
    pub session: Session,
    /// When the phase began. Free for the scenario's use once the link is open.
    pub since: u64,
    pending: Option<Box<Pending>>,
    tls: Option<Box<Tls>>,
    /// What carries its messages, where no WebSocket does.
    carried: Option<Box<carrier::Session>>,
    pub state: T,
}

/// Bytes to be written (or, while upgrading, half a response), and how many of them are done with.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    sent: usize,
}

impl<T: Default> Link<T> {
    pub(super) fn new(
        socket: OwnedFd,
        tls: Option<Tls>,
        carried: Option<carrier::Session>,
        now: u64,
    ) -> Link<T> {
        Link {
            socket,
            phase: Phase::Connecting,
            session: Session::new(Role::Client),
            since: now,
            pending: None,
            tls: tls.map(Box::new),
            carried: carried.map(Box::new),
            state: T::default(),
        }
    }
}

impl<T> Link<T> {
    /// Whether frames may be sent and received.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Reads once; zero at the end of the stream.
    pub(super) fn recv(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match &mut self.tls {
            None => sys::recv(&self.socket, buffer),
            Some(tls) => tls.recv(&self.socket, buffer),
        }
    }

    /// Writes what TLS has left to write.
    pub(super) fn flush_records(&mut self) -> Result<(), End> {
        self.tls.as_mut().map_or(Ok(()), |tls| Ok(tls.flush(&self.socket)?))
    }

    /// One raw write; what wasn't taken is the caller's to write again, at the next writable event.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, End> {
        match &mut self.tls {
            None => Ok(sys::send(&self.socket, bytes)?),
            Some(tls) => tls.write(&self.socket, bytes),
        }
    }

    /// Makes room for as little as the kernel allows to wait unread from now on.
    pub fn shrink_receive_buffer(&mut self) -> Result<(), End> {
        Ok(rustix::net::sockopt::set_socket_recv_buffer_size(&self.socket, 0)?)
    }

    pub(super) fn is_carried(&self) -> bool {
        self.carried.is_some()
    }

    /// Sends whole frames: what its carrier makes of them, and keeps what the socket does not take.
    pub fn send(&mut self, frames: &[u8]) -> Result<(), End> {
        match &mut self.carried {
            None => self.send_bytes(frames),
            Some(session) => session.send(frames),
        }
    }

    /// Writes bytes as they are, and keeps what the socket does not take.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), End> {
        let sent = if self.pending.is_some() { 0 } else { self.write(bytes)? };
        self.keep(&bytes[sent..]);
        Ok(())
    }

    /// Keeps bytes for the next [`Link::flush`].
    pub fn keep(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.pending.get_or_insert_default().bytes.extend_from_slice(bytes);
        }
    }

    pub fn has_kept(&self) -> bool {
        self.pending.is_some()
    }

    /// Writes what was kept. True where nothing is left.
    pub fn flush(&mut self) -> Result<bool, End> {
        let Some(mut pending) = self.pending.take() else { return Ok(true) };
        pending.sent += self.write(&pending.bytes[pending.sent..])?;
        if pending.sent == pending.bytes.len() {
            return Ok(true);
        }
        self.pending = Some(pending);
        Ok(false)
    }

    /// Takes what was kept, for a response that came in parts.
    pub(super) fn take_kept(&mut self) -> Vec<u8> {
        self.pending.take().map(|pending| pending.bytes).unwrap_or_default()
    }

    /// Sends a Close with code 1000, unless one was sent. What another carrier carries is left by its end.
    pub fn close(&mut self) -> Result<(), End> {
        if self.is_carried() {
            return Ok(());
        }
        let mut frame = Vec::new();
        if self.session.close(&Close::new(CloseCode::NORMAL, ""), Some(MASK), &mut frame) {
            self.send(&frame)?;
        }
        Ok(())
    }

    /// Takes all of `input`: hands each message to `on_message`, answers Pings and a Close.
    pub fn read(
        &mut self,
        input: &mut [u8],
        on_message: impl FnMut(&mut T, Kind, &[u8]) -> Result<(), End>,
    ) -> Result<Seen, End> {
        self.read_by(None, input, on_message)
    }

    /// As [`Link::read`]; where compression was offered, by the codec, which knows this link by a number.
    pub fn read_by(
        &mut self,
        mut codec: Option<(&mut Codec, usize)>,
        mut input: &mut [u8],
        mut on_message: impl FnMut(&mut T, Kind, &[u8]) -> Result<(), End>,
    ) -> Result<Seen, End> {
        if let Some(session) = &mut self.carried {
            let state = &mut self.state;
            let (seen, next) = session.read(input, |message| on_message(state, Kind::Text, message))?;
            next.map_or(Ok(()), |request| self.send_bytes(&request))?;
            return Ok(seen);
        }
        let mut seen = Seen::default();
        while !input.is_empty() {
            let read = match &mut codec {
                None => self.session.read(&LIMITS, None, input)?,
                Some((codec, id)) => codec.read(*id, &mut self.session, input)?,
            };
            let mut answer = None;
            let (taken, event) = read;
            match event {
                Some(SessionEvent::Message(kind, payload)) => on_message(&mut self.state, kind, payload)?,
                Some(SessionEvent::Ping(payload)) => answer = Some(pong(payload)),
                Some(SessionEvent::Close(close)) => seen.closed = Some(close.code),
                Some(SessionEvent::Pong(_)) | None => {}
            }
            input = &mut input[taken..];
            if let Some(pong) = answer {
                seen.pings += 1;
                self.send(&pong)?;
            }
            if seen.closed.is_some() {
                self.close()?;
            }
        }
        self.session.release();
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use rollcall::internals::wire::mask;

    use super::*;

    #[test]
    fn an_idle_link_is_fifty_six_bytes() {
        assert!(size_of::<Link<()>>() <= 56, "{}", size_of::<Link<()>>());
    }

    #[test]
    fn a_pong_carries_its_pings_payload_masked() {
        let mut pong = pong(b"hello");
        assert_eq!(pong[..6], [0x8a, 0x85, MASK[0], MASK[1], MASK[2], MASK[3]]);
        mask::apply(&mut pong[6..], MASK);
        assert_eq!(&pong[6..], b"hello");
    }
}
