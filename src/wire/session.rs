//! The frames of one open connection, both roles: messages, control frames, the closing handshake.
//!
//! The session reads from the caller's buffer in place. A message that lies whole in it is handed on where it lies; only
//! half a frame, or the first fragments of a message, are kept (in a box that is gone when the message is complete), and
//! what is kept grows with what has *arrived*, never from a declared length.

pub(crate) mod snapshot;

use serde::{Deserialize, Serialize};

use crate::limits::MessageLimits;
use crate::time::Tick;
use crate::wire::assembly::{Assembly, Data, Frame, Partial, ReadRules, check_data, unmask};
use crate::wire::close::Close;
use crate::wire::error::ProtocolError;
use crate::wire::frame::{self, Header, Opcode, Parsed};
pub use crate::wire::message::{Extension, Kind};
use crate::wire::short;
use crate::wire::utf8;

/// The side of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Reads masked frames, writes plain ones.
    Server,
    /// Reads plain frames, writes masked ones.
    Client,
}

/// A message or a control frame that arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionEvent<'a> {
    /// A whole message. A text's payload has been checked to be UTF-8.
    Message(Kind, &'a [u8]),
    /// A Ping; answer with a Pong that carries the same payload (§5.5.3).
    Ping(&'a [u8]),
    /// A Pong.
    Pong(&'a [u8]),
    /// A Close. Nothing that follows it is read; answer with a Close unless one was sent (§5.5.1).
    Close(Close<'a>),
}

/// The protocol state of one connection. 16 bytes while no message is half received.
#[derive(Debug)]
pub struct Session {
    /// Nothing while between two messages: an idle session owns no heap.
    partial: Option<Box<Partial>>,
    role: Role,
    phase: Phase,
    close_sent: bool,
}

const _: () = assert!(size_of::<Session>() <= 16);

/// The reading half of the session. Closing is two such halves: what was sent is `close_sent`.
///
/// ```text
///            a Close
///    Open ------------> Closed     close_received() and close_sent(): the closing handshake is complete
///      |
///      | a broken rule
///      +--------------> Failed     an error was returned; the caller sends a Close with its code
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Phase {
    /// Frames are read.
    Open,
    /// A Close was read; nothing that follows it is.
    Closed,
    /// A rule was broken; nothing that follows is read.
    Failed,
}

/// An event that a step came to, before it borrows its payload.
struct Found {
    what: What,
    place: PayloadPlace,
}

enum What {
    Message(Kind),
    Control(Opcode),
    /// Nothing: the extension has put the rest off.
    Pause,
}

/// The place of an event's payload.
enum PayloadPlace {
    /// So many bytes at the end of what the step took.
    Input(usize),
    /// In the session's box.
    Kept,
}

/// How many bytes a step took, and what it came to.
type SessionStep = Result<(usize, Option<Found>), ProtocolError>;

impl Session {
    /// An open session; the opening handshake is done.
    #[must_use]
    pub const fn new(role: Role) -> Session {
        Session { partial: None, role, phase: Phase::Open, close_sent: false }
    }

    /// Reads from the front of `input` up to and including the next event. Returns how many bytes were taken, and the
    /// event; with no event, all bytes were taken, or the extension has put the rest off: hand it in again later. Unmasks
    /// in place. After a Close was received or an error returned, everything is taken and nothing comes of it.
    ///
    /// `extension` is the same at every call. An event that had to be put together from several reads or frames keeps
    /// its memory until the next read or [`Session::release`].
    ///
    /// # Errors
    /// The peer broke a rule: send a Close with its code ([`Session::close`]) and read no more.
    pub fn read<'a, 'r>(
        &'a mut self,
        limits: &'r MessageLimits,
        extension: Option<&'r mut dyn Extension>,
        input: &'a mut [u8],
    ) -> Result<(usize, Option<SessionEvent<'a>>), ProtocolError> {
        self.release();
        // RFC 6455 §5.5.1: what follows a Close is discarded; §7.1.7: nor is anything processed after a failure.
        if self.phase != Phase::Open {
            return Ok((input.len(), None));
        }
        if let (None, Role::Server) = (&self.partial, self.role)
            && let Some((kind, end)) = short::unmask(limits, input)
        {
            let payload = &input[short::HEADER_BYTES..end];
            return match kind {
                // RFC 6455 §8.1: text is UTF-8.
                Kind::Text if !utf8::is_valid(payload) => Err(self.fail(ProtocolError::NotUtf8)),
                kind => Ok((end, Some(SessionEvent::Message(kind, payload)))),
            };
        }
        let mut rules = ReadRules { limits, extension };
        let mut at = 0;
        while at < input.len() {
            match self.step(&mut rules, &mut input[at..]) {
                Ok((taken, None)) => at += taken,
                Ok((taken, Some(Found { what: What::Pause, .. }))) => return Ok((at + taken, None)),
                Ok((taken, Some(found))) => {
                    return Ok((at + taken, Some(self.event(&found, &input[..at + taken]))));
                }
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok((at, None))
    }

    /// If a data frame is under way that is its message's last and of which at least `least` bytes are to come: the
    /// message so far, with room for `least` bytes or more, all of them the frame's. Bytes that are read straight into
    /// that room are not copied; say that it was by [`Session::filled`]. A message that an extension decodes has none.
    pub fn spare_capacity(&mut self, least: usize) -> Option<&mut Vec<u8>> {
        self.partial.as_mut().filter(|_| self.phase == Phase::Open)?.spare_capacity(least)
    }

    /// Takes what was appended to [`Session::spare_capacity`], which held `before` bytes: unmasks and checks it. Returns the message
    /// where it is complete.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub fn filled(&mut self, before: usize) -> Result<Option<SessionEvent<'_>>, ProtocolError> {
        let Some(partial) = &mut self.partial else { return Ok(None) };
        match partial.filled(before) {
            Ok(None) => Ok(None),
            Ok(Some(kind)) => {
                Ok(Some(self.event(&Found { what: What::Message(kind), place: PayloadPlace::Kept }, &[])))
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Nothing more is read.
    fn fail(&mut self, error: ProtocolError) -> ProtocolError {
        self.phase = Phase::Failed;
        self.partial = None;
        error
    }

    /// Frees the memory of an event that [`Session::read`] handed on. Call it when the events of one readiness are
    /// handled, so that an idle session holds nothing.
    pub fn release(&mut self) {
        if let Some(partial) = &mut self.partial
            && (partial.release() || self.phase != Phase::Open)
        {
            self.partial = None;
        }
    }

    /// Says that all that has come was read by `now`: half a message that was begun since the last time was begun then.
    /// True where there is such a one.
    pub fn begun(&mut self, now: Tick) -> bool {
        let fresh = self.partial.as_mut().filter(|partial| partial.since.is_none());
        fresh.is_some_and(|partial| partial.since.replace(now).is_none())
    }

    /// Half a message that was begun counts as begun now.
    pub(crate) fn wait_anew(&mut self, now: Tick) {
        if let Some(partial) = &mut self.partial
            && partial.since.is_some()
        {
            partial.since = Some(now);
        }
    }

    /// When the message, or the control frame, that is half received was begun; as of the last [`Session::begun`].
    #[must_use]
    pub fn half_since(&self) -> Option<Tick> {
        self.partial.as_ref()?.since
    }

    /// Appends a Close frame to `out`, masked where `mask` is given, unless one was sent before; says whether it did.
    /// Nothing may be sent after it.
    pub fn close(&mut self, close: &Close<'_>, mask: Option<[u8; 4]>, out: &mut Vec<u8>) -> bool {
        // RFC 6455 §5.5.1: no frame is sent after a Close, another Close included.
        if self.close_sent {
            return false;
        }
        self.close_sent = true;
        let (payload, len) = close.payload();
        frame::write(out, Opcode::Close, &payload[..len], mask);
        true
    }

    /// A Close was sent: nothing more may be.
    #[must_use]
    pub const fn close_sent(&self) -> bool {
        self.close_sent
    }

    /// A Close was received: nothing more will be read.
    #[must_use]
    pub const fn close_received(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Bytes of heap this session holds: half a message, or zero.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.held_bytes())
    }

    /// Reads on from where the last step ended, to the end of a frame or of `input`.
    #[inline]
    fn step(&mut self, rules: &mut ReadRules<'_>, input: &mut [u8]) -> SessionStep {
        let Some(partial) = &mut self.partial else { return self.start(rules, input) };
        match partial.frame {
            Frame::Start => self.start(rules, input),
            Frame::Header { .. } => self.resume_header(rules, input),
            Frame::Control { .. } => self.resume_control(input),
            Frame::Data { .. } => self.resume_data(rules, input),
        }
    }

    // Inlined down to `begin`, so that a header stays in registers: through memory it cost 14 ns of 37 a short frame.
    #[inline(always)]
    fn start(&mut self, rules: &mut ReadRules<'_>, input: &mut [u8]) -> SessionStep {
        match Header::parse(input)? {
            Parsed::Header(header, at) => self.begin(rules, header, at, input),
            Parsed::NeedMore(_) => {
                let mut bytes = [0; _];
                bytes[..input.len()].copy_from_slice(input);
                self.keep().frame = Frame::Header { bytes, len: input.len() };
                Ok((input.len(), None))
            }
        }
    }

    fn resume_header(&mut self, rules: &mut ReadRules<'_>, input: &mut [u8]) -> SessionStep {
        let (at, header) = self.keep().header(input)?;
        let Some(header) = header else { return Ok((at, None)) };
        // The time began with its header.
        let since = self.half_since();
        self.release();
        let step = self.begin(rules, header, at, input);
        if let Some(partial) = &mut self.partial {
            partial.since = since;
        }
        step
    }

    fn resume_control(&mut self, input: &mut [u8]) -> SessionStep {
        let partial = self.keep();
        let (taken, Some(opcode)) = partial.control(input) else { return Ok((input.len(), None)) };
        self.phase = after_control(opcode, &partial.payload)?;
        Ok((taken, Some(Found { what: What::Control(opcode), place: PayloadPlace::Kept })))
    }

    fn resume_data(&mut self, rules: &mut ReadRules<'_>, input: &mut [u8]) -> SessionStep {
        let found = |what| Some(Found { what, place: PayloadPlace::Kept });
        Ok(match self.keep().data(rules, input)? {
            Data::More(taken) => (taken, None),
            Data::PutOff(taken) => (taken, found(What::Pause)),
            Data::Whole(taken, kind) => (taken, found(What::Message(kind))),
        })
    }

    /// A frame whose header is complete and ends at `at` in `input`. Handed on where it lies, if all of it does.
    #[inline(always)]
    fn begin(
        &mut self,
        rules: &mut ReadRules<'_>,
        header: Header,
        at: usize,
        input: &mut [u8],
    ) -> SessionStep {
        let len = self.check(rules, header)?;
        let alone = header.fin && header.reserved == 0 && header.opcode != Opcode::Continuation;
        if !alone || len > input.len() - at {
            return self.begin_part(rules, header, at, input);
        }
        let payload = &mut input[at..at + len];
        unmask(payload, header.mask);
        let what = match header.opcode {
            // RFC 6455 §8.1: text is UTF-8.
            Opcode::Text if !utf8::is_valid(payload) => return Err(ProtocolError::NotUtf8),
            Opcode::Text => What::Message(Kind::Text),
            Opcode::Binary => What::Message(Kind::Binary),
            control => {
                self.phase = after_control(control, payload)?;
                What::Control(control)
            }
        };
        Ok((at + len, Some(Found { what, place: PayloadPlace::Input(len) })))
    }

    /// A frame that did not arrive whole, or is no whole message.
    fn begin_part(
        &mut self,
        rules: &mut ReadRules<'_>,
        header: Header,
        at: usize,
        input: &mut [u8],
    ) -> SessionStep {
        let Header { opcode, reserved, fin, mask: key, len } = header;
        let left = len as usize;
        let partial = self.keep();
        match opcode {
            Opcode::Text => partial.message = Some(Assembly::new(Kind::Text, reserved != 0)),
            Opcode::Binary => partial.message = Some(Assembly::new(Kind::Binary, reserved != 0)),
            Opcode::Continuation => {}
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                partial.frame = Frame::Control { opcode, key, left };
                let (taken, found) = self.resume_control(&mut input[at..])?;
                return Ok((at + taken, found));
            }
        }
        partial.frame = Frame::Data { key, left, fin };
        let (taken, found) = self.resume_data(rules, &mut input[at..])?;
        Ok((at + taken, found))
    }

    fn keep(&mut self) -> &mut Partial {
        self.partial.get_or_insert_default()
    }

    /// The rules that need to know the session. Returns the payload's length, which is within the limits.
    #[inline(always)]
    fn check(&mut self, rules: &ReadRules<'_>, header: Header) -> Result<usize, ProtocolError> {
        match (self.role, header.mask) {
            // RFC 6455 §5.1: a server closes upon a frame that is not masked, a client upon one that is.
            (Role::Server, None) => return Err(ProtocolError::UnmaskedFromClient),
            (Role::Client, Some(_)) => return Err(ProtocolError::MaskedFromServer),
            _ => {}
        }
        // RFC 6455 §5.2: reserved bits are 0 unless an extension gave them a meaning; here always one of a message, told
        // on its first frame.
        let claimed = match (&rules.extension, header.opcode) {
            (Some(extension), Opcode::Text | Opcode::Binary) => extension.reserved(),
            _ => 0,
        };
        if header.reserved & !claimed != 0 {
            return Err(ProtocolError::ReservedBit);
        }
        if header.opcode.is_control() {
            return Ok(header.len as usize);
        }
        let message = self.partial.as_mut().and_then(|partial| partial.message.as_mut());
        check_data(rules.limits, header, message)
    }

    /// Borrows the payload of what was found; `taken` ends where the step did.
    #[inline]
    fn event<'a>(&'a self, found: &Found, taken: &'a [u8]) -> SessionEvent<'a> {
        let payload = match found.place {
            PayloadPlace::Input(len) => &taken[taken.len() - len..],
            PayloadPlace::Kept => self.partial.as_ref().map_or(&[][..], |partial| &partial.payload),
        };
        match found.what {
            What::Message(kind) => SessionEvent::Message(kind, payload),
            What::Control(Opcode::Ping) => SessionEvent::Ping(payload),
            What::Control(Opcode::Pong) => SessionEvent::Pong(payload),
            // A pause is no event and does not get here; a Close was checked when it was found; reading it twice, once in a connection's life, keeps errors out of here.
            What::Control(_) | What::Pause => SessionEvent::Close(Close::parse(payload).unwrap_or_default()),
        }
    }
}

/// The phase after a complete control frame.
fn after_control(opcode: Opcode, payload: &[u8]) -> Result<Phase, ProtocolError> {
    if opcode == Opcode::Close {
        Close::parse(payload)?;
        return Ok(Phase::Closed);
    }
    Ok(Phase::Open)
}
