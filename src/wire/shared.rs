//! A whole frame, encoded once for all who get it, and compressed once for all who can inflate it.

use std::sync::{Arc, OnceLock};

use crate::limits::DEFLATE_BYTES_MIN;
use crate::wire::deflate::{RSV1, WINDOW_BITS};
use crate::wire::frame::{self, Header, Opcode, Parsed};
use crate::wire::message::Kind;
use crate::wire::utf8;

/// A whole frame. A clone is another reference.
#[derive(Clone, Debug)]
pub struct SharedFrame(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: Vec<u8>,
    /// The same message compressed, by the bits of its window; `None` where that made it no shorter. The form that one
    /// thread has made, all use; two that begin together both do the work, and neither waits.
    deflated: OnceLock<Box<Forms>>,
    /// The same message as an event of an event stream, for all that get it so.
    streamed: OnceLock<Box<str>>,
}

const FORMS: usize = (*WINDOW_BITS.end() - *WINDOW_BITS.start() + 1) as usize;
type Forms = [OnceLock<Option<SharedFrame>>; FORMS];

impl SharedFrame {
    /// Encodes a message; `None` where it is a text that is not UTF-8 (RFC 6455 §8.1).
    #[must_use]
    pub fn new(kind: Kind, payload: &[u8]) -> Option<SharedFrame> {
        let is_good = kind == Kind::Binary || utf8::is_valid(payload);
        is_good.then(|| SharedFrame::of(kind.opcode(), 0, payload))
    }

    /// Encodes a text message.
    #[must_use]
    pub fn text(text: &str) -> SharedFrame {
        SharedFrame::of(Opcode::Text, 0, text.as_bytes())
    }

    fn of(opcode: Opcode, reserved: u8, payload: &[u8]) -> SharedFrame {
        let mut bytes = Vec::with_capacity(payload.len() + crate::limits::FRAME_HEADER_BYTES_MAX);
        frame::write_reserved(&mut bytes, opcode, reserved, payload, None);
        SharedFrame(Arc::new(Inner { bytes, deflated: OnceLock::new(), streamed: OnceLock::new() }))
    }

    /// The frame's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The text of a message that is one, as it was before it was a frame.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        let (opcode, payload) = self.parts()?;
        std::str::from_utf8(payload).ok().filter(|_| opcode == Opcode::Text)
    }

    /// The message's text as an event of an event stream: the first who asks for it has `write` do it. Nothing where it is no text.
    #[must_use]
    pub fn streamed(&self, write: impl FnOnce(&str) -> String) -> &str {
        self.0.streamed.get_or_init(|| self.as_text().map_or_else(Box::default, |text| write(text).into()))
    }

    /// Whether both are one.
    #[must_use]
    pub fn is(&self, other: &SharedFrame) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The frame for a peer that inflates messages with a window of `bits`: compressed, where that makes it shorter. It refers
    /// to nothing before it. The first who asks for a window has `deflate` compress the payload, as
    /// [`Deflater::deflate`](crate::wire::deflate::Deflater::deflate) does.
    #[must_use]
    pub fn deflated(
        &self,
        bits: u8,
        deflate: impl FnOnce(&[u8], &mut Vec<u8>) -> bool,
    ) -> Option<&SharedFrame> {
        let (opcode, payload) = self.parts().filter(|(_, payload)| payload.len() >= DEFLATE_BYTES_MIN)?;
        let forms = self.0.deflated.get_or_init(Box::default);
        let form = forms.get(usize::from(bits.checked_sub(*WINDOW_BITS.start())?))?;
        if form.get().is_none() {
            let mut data = Vec::new();
            let shorter = deflate(payload, &mut data);
            // If another thread was first, its form is as good.
            let _ = form.set(shorter.then(|| SharedFrame::of(opcode, RSV1, &data)));
        }
        form.get()?.as_ref()
    }

    fn parts(&self) -> Option<(Opcode, &[u8])> {
        match Header::parse(self.bytes()) {
            Ok(Parsed::Header(header, at)) => Some((header.opcode, &self.bytes()[at..])),
            _ => None,
        }
    }
}
