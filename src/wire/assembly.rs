//! The state of a session from one read to the next: half a header, half a control frame, a message under
//! way.
//!
//! Every buffer here grows with what has arrived. A declared length only *caps* the doubling of a buffer; it never
//! makes one.

use serde::{Deserialize, Serialize};

use crate::limits::{FRAME_HEADER_BYTES_MAX, MessageLimits};
use crate::time::Tick;
use crate::wire::error::ProtocolError;
use crate::wire::frame::{Header, Opcode, Parsed};
use crate::wire::mask;
use crate::wire::message::{Extension, Kind};
use crate::wire::utf8::Utf8;

/// The rules that hold for one call of `read`.
pub(super) struct ReadRules<'r> {
    pub(super) limits: &'r MessageLimits,
    pub(super) extension: Option<&'r mut dyn Extension>,
}

/// The box of a session that is in the middle of something.
#[derive(Debug, Default)]
pub(super) struct Partial {
    /// The state of the frame in which the last read ended.
    pub(super) frame: Frame,
    /// The message of which not all frames have arrived.
    pub(super) message: Option<Assembly>,
    /// The payload of a control frame as it arrives, or of the event that was last handed on.
    pub(super) payload: Vec<u8>,
    /// When it was begun, where that was said.
    pub(super) since: Option<Tick>,
}

/// The states in which a read may end. Control frames may come between the data frames of a message; a
/// message may not.
///
/// ```text
///             part of a header                      all of it: data                the last byte
///    Start --------------------> Header --------------------------------> Data ------------------> Start
///      |                            | all of it: control                    ^
///      |                            +--------------------> Control ---------|--------------------> Start
///      | a header with part of its payload                    ^             |
///      +------------------------------------------------------+-------------+
/// ```
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) enum Frame {
    /// Between two frames.
    #[default]
    Start,
    /// In a header, of which `bytes[..len]` have arrived: `0 < len < 14`.
    Header { bytes: [u8; FRAME_HEADER_BYTES_MAX], len: usize },
    /// In a control frame: `left` bytes are to come, masked with `key`.
    Control { opcode: Opcode, key: Option<[u8; 4]>, left: usize },
    /// In a data frame: `left` bytes are to come, masked with `key`; `fin` where it is its message's last.
    Data { key: Option<[u8; 4]>, left: usize, fin: bool },
}

impl Partial {
    /// Frees the payload of an event that was handed on. True where nothing else is kept either.
    pub(super) fn release(&mut self) -> bool {
        if !matches!(self.frame, Frame::Control { .. }) {
            self.payload = Vec::new();
        }
        matches!(self.frame, Frame::Start) && self.message.is_none()
    }

    pub(super) fn held_bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.data.capacity());
        size_of::<Partial>() + self.payload.capacity() + message
    }

    /// Goes on with a header: takes no more bytes than belong to it.
    pub(super) fn header(&mut self, input: &[u8]) -> Result<(usize, Option<Header>), ProtocolError> {
        let Frame::Header { mut bytes, mut len } = self.frame else { return Ok((0, None)) };
        let mut taken = 0;
        loop {
            let want = match Header::parse(&bytes[..len])? {
                Parsed::Header(header, _) => {
                    self.frame = Frame::Start;
                    return Ok((taken, Some(header)));
                }
                Parsed::NeedMore(want) => want,
            };
            let more = (want - len).min(input.len() - taken);
            if more == 0 {
                self.frame = Frame::Header { bytes, len };
                return Ok((taken, None));
            }
            bytes[len..len + more].copy_from_slice(&input[taken..taken + more]);
            len += more;
            taken += more;
        }
    }

    /// Goes on with a control frame, into `payload`. Returns how many bytes it took, and the opcode at its end.
    pub(super) fn control(&mut self, input: &mut [u8]) -> (usize, Option<Opcode>) {
        let Frame::Control { opcode, key, left } = self.frame else { return (0, None) };
        let part = first(input, left);
        let key = unmask(part, key);
        self.payload.extend_from_slice(part);
        let left = left - part.len();
        self.frame = if left == 0 { Frame::Start } else { Frame::Control { opcode, key, left } };
        (part.len(), (left == 0).then_some(opcode))
    }

    /// Goes on with a data frame, into `message`, or into `payload` once that is whole.
    pub(super) fn data(
        &mut self,
        rules: &mut ReadRules<'_>,
        input: &mut [u8],
    ) -> Result<Data, ProtocolError> {
        let (Frame::Data { key, left, fin }, Some(message)) = (self.frame, &mut self.message) else {
            return Ok(Data::More(0));
        };
        let part = first(input, left);
        let after = unmask(part, key);
        let taken = message.push(rules, part, left, fin)?;
        if taken < part.len() {
            // The rest will come again, and be unmasked again.
            let key = key.map(|key| mask::rotate(key, taken));
            unmask(&mut part[taken..], key);
            self.frame = Frame::Data { key, left: left - taken, fin };
            return Ok(Data::PutOff(taken));
        }
        let kind = self.move_on(after, left - taken, fin)?;
        Ok(kind.map_or(Data::More(taken), |kind| Data::Whole(taken, kind)))
    }

    /// The end of the data frame is `left` bytes away. Returns the message's kind where this was its last byte: it lies
    /// in `payload` then.
    fn move_on(
        &mut self,
        key: Option<[u8; 4]>,
        left: usize,
        fin: bool,
    ) -> Result<Option<Kind>, ProtocolError> {
        self.frame = if left > 0 { Frame::Data { key, left, fin } } else { Frame::Start };
        let Some(message) = self.message.as_mut().filter(|_| left == 0 && fin) else { return Ok(None) };
        // RFC 6455 §8.1: a text may not end within a character, though its fragments may.
        message.utf8.finish().map_err(|_| ProtocolError::NotUtf8)?;
        let kind = message.kind;
        self.payload = std::mem::take(&mut message.data);
        self.message = None;
        Ok(Some(kind))
    }

    /// See [`Session::spare_capacity`](crate::wire::session::Session::spare_capacity).
    pub(super) fn spare_capacity(&mut self, least: usize) -> Option<&mut Vec<u8>> {
        let (Frame::Data { left, fin: true, .. }, Some(message)) = (self.frame, &mut self.message) else {
            return None;
        };
        if left < least || message.encoded {
            return None;
        }
        let end = message.data.len() + left;
        message.reserve(least, end);
        // Never room for more than the frame: what follows it is not of this message.
        (message.data.capacity() <= end).then_some(&mut message.data)
    }

    /// See [`Session::filled`](crate::wire::session::Session::filled).
    pub(super) fn filled(&mut self, before: usize) -> Result<Option<Kind>, ProtocolError> {
        let (Frame::Data { key, left, fin }, Some(message)) = (self.frame, &mut self.message) else {
            return Ok(None);
        };
        let part = message.data.get_mut(before..).unwrap_or_default();
        let (len, key) = (part.len(), unmask(part, key));
        message.check(before)?;
        self.move_on(key, left.saturating_sub(len), fin)
    }
}

/// The rules for a data frame beside the message that is under way, of which it becomes a part.
#[inline(always)]
pub(super) fn check_data(
    limits: &MessageLimits,
    header: Header,
    message: Option<&mut Assembly>,
) -> Result<usize, ProtocolError> {
    let (kept, fragments) = match (header.opcode, &message) {
        // RFC 6455 §5.4: a continuation needs a message to continue.
        (Opcode::Continuation, None) => return Err(ProtocolError::NothingToContinue),
        // An extension's output is not known from the header; it is held to the limit as it is decoded.
        (Opcode::Continuation, Some(message)) => {
            (if message.encoded { 0 } else { message.data.len() }, message.fragments)
        }
        // RFC 6455 §5.4: fragments of one message must not be interleaved with those of another.
        (_, Some(_)) => return Err(ProtocolError::MessageInterrupted),
        (_, None) => (0, 0),
    };
    if header.len > limits.max_frame_bytes as u64 {
        return Err(ProtocolError::FrameTooBig);
    }
    let len = header.len as usize;
    if header.reserved == 0 && len > limits.max_message_bytes.saturating_sub(kept) {
        return Err(ProtocolError::MessageTooBig);
    }
    if fragments >= limits.max_fragments {
        return Err(ProtocolError::TooManyFragments);
    }
    if let Some(message) = message {
        message.fragments += 1;
    }
    Ok(len)
}

/// The outcome of part of a data frame, after how many bytes.
pub(super) enum Data {
    /// It goes on.
    More(usize),
    /// The extension takes no more of it now.
    PutOff(usize),
    /// That was the last of a message of this kind.
    Whole(usize, Kind),
}

fn first(input: &mut [u8], len: usize) -> &mut [u8] {
    let len = len.min(input.len());
    &mut input[..len]
}

/// Unmasks in place; returns the key for what follows.
pub(super) fn unmask(part: &mut [u8], key: Option<[u8; 4]>) -> Option<[u8; 4]> {
    let key = key?;
    mask::apply(part, key);
    Some(mask::rotate(key, part.len()))
}

/// A message as it is put together from its frames.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) kind: Kind,
    /// An extension claimed its first frame, and decodes what arrives.
    pub(super) encoded: bool,
    utf8: Utf8,
    /// Frames so far, at most `max_fragments`.
    pub(super) fragments: u32,
    /// At most `max_message_bytes`.
    pub(super) data: Vec<u8>,
}

impl Assembly {
    pub(super) fn new(kind: Kind, encoded: bool) -> Assembly {
        Assembly { kind, encoded, utf8: Utf8::default(), fragments: 1, data: Vec::new() }
    }

    /// One of which that has come already; `None` where it is a text that is not the beginning of any UTF-8.
    pub(super) fn resumed(kind: Kind, encoded: bool, fragments: u32, data: Vec<u8>) -> Option<Assembly> {
        let mut message = Assembly { kind, encoded, utf8: Utf8::default(), fragments, data };
        message.data.shrink_to_fit();
        message.check(0).ok()?;
        Some(message)
    }

    /// Adds the next `part`, unmasked, of a frame of which `left` bytes, `part` included, had not arrived before. Returns
    /// how much of it was added: all, but where an extension puts the rest off.
    fn push(
        &mut self,
        rules: &mut ReadRules<'_>,
        part: &[u8],
        left: usize,
        fin: bool,
    ) -> Result<usize, ProtocolError> {
        let before = self.data.len();
        let limit = rules.limits.max_message_bytes;
        let mut taken = part.len();
        if self.encoded {
            let extension = rules.extension.as_mut().ok_or(ProtocolError::ExtensionData)?;
            taken = extension.decode(part, fin && part.len() == left, &mut self.data, limit)?;
            if self.data.len() > limit {
                return Err(ProtocolError::MessageTooBig);
            }
        } else {
            self.reserve(part.len(), if fin { before + left } else { limit });
            self.data.extend_from_slice(part);
        }
        self.check(before)?;
        Ok(taken)
    }

    /// Checks what has been added behind `before`.
    fn check(&mut self, before: usize) -> Result<(), ProtocolError> {
        // RFC 6455 §8.1: text is UTF-8; a byte that can't be fails now, not when the message is complete.
        if self.kind == Kind::Text && self.utf8.push(self.data.get(before..).unwrap_or_default()).is_err() {
            return Err(ProtocolError::NotUtf8);
        }
        Ok(())
    }

    /// Makes room for `more` bytes: doubles, but never past `end` unless these bytes are.
    fn reserve(&mut self, more: usize, end: usize) {
        let need = self.data.len() + more;
        if need > self.data.capacity() {
            let capacity = need.max(end.min(2 * self.data.capacity()));
            self.data.reserve_exact(capacity - self.data.len());
        }
    }
}
