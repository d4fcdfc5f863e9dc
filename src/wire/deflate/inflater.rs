//! A message inflated (RFC 7692 §7.2.2), part by part, and no further than a limit and a share of time allow.

use flate2::{Decompress, FlushDecompress, Status};

use crate::wire::error::ProtocolError;

/// RFC 7692 §7.2.2: what is put behind a message's data, here with an empty last block behind it, which shows whether what
/// came before was whole.
const TAIL: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
/// Data is inflated in pieces of so many bytes: none comes to more than 1,032 times that.
const PIECE_BYTES: usize = 256;
/// The longest reference back in any window.
const REACH_BYTES: usize = 1 << 15;

/// Room that is made at once for data that has arrived, whatever it comes to.
const ROOM_BYTES: usize = 16 << 10;

/// The rest of a call's budget: bytes taken in and given out.
pub type Budget = usize;

/// A decompressor, for one message at a time, of any connection.
#[derive(Debug)]
pub struct Inflater {
    inflate: Decompress,
    /// Some of the message has come.
    begun: bool,
    /// A last block (BFINAL) has ended; what follows is another stream of the same message.
    ended: bool,
}

impl Default for Inflater {
    fn default() -> Self {
        Inflater::new()
    }
}

impl Inflater {
    /// A decompressor; 48 KB, wherever it is.
    #[must_use]
    pub fn new() -> Inflater {
        Inflater { inflate: Decompress::new(false), begun: false, ended: false }
    }

    /// Begins a message that may refer to `context`.
    ///
    /// # Errors
    /// [`ProtocolError::ExtensionData`] where the library refuses.
    pub fn begin(&mut self, context: &[u8]) -> Result<(), ProtocolError> {
        (self.begun, self.ended) = (false, false);
        self.prime(context)
    }

    /// Inflates the next part behind `message`, until it is used up or the budget is; returns how much of it was taken.
    /// `context` is that of [`Inflater::begin`].
    ///
    /// # Errors
    /// It isn't deflate, or comes to over `limit` bytes.
    pub fn push(
        &mut self,
        part: &[u8],
        context: &[u8],
        message: &mut Vec<u8>,
        limit: usize,
        budget: &mut Budget,
    ) -> Result<usize, ProtocolError> {
        let mut taken = 0;
        while taken < part.len() && *budget > 0 {
            if self.ended {
                self.restart(context, message, budget)?;
            }
            make_room(message, part.len() - taken, limit);
            let piece = &part[taken..part.len().min(taken + PIECE_BYTES)];
            self.begun = true;
            taken += self.step(piece, message, limit, budget)?;
        }
        Ok(taken)
    }

    /// The message's data is complete.
    ///
    /// # Errors
    /// It stops within a block, or comes to over `limit` bytes.
    pub fn finish(&mut self, message: &mut Vec<u8>, limit: usize) -> Result<(), ProtocolError> {
        // Nothing at all for an empty message is what a compressor leaves that had nothing to flush.
        if !self.begun {
            return Ok(());
        }
        let (mut tail, mut free) = (&TAIL[..], Budget::MAX);
        // RFC 7692 §7.2.3.4: a message may end with a last block, and needs nothing behind it.
        while !self.ended {
            tail = &tail[self.step(tail, message, limit, &mut free)?..];
        }
        if tail.is_empty() || tail.len() == TAIL.len() { Ok(()) } else { Err(ProtocolError::ExtensionData) }
    }

    /// Inflates a piece as far as there is room; returns how much of it was taken.
    fn step(
        &mut self,
        piece: &[u8],
        message: &mut Vec<u8>,
        limit: usize,
        budget: &mut Budget,
    ) -> Result<usize, ProtocolError> {
        make_room(message, piece.len(), limit);
        let (taken, made) = (self.inflate.total_in(), message.len());
        let status = self.inflate.decompress_vec(piece, message, FlushDecompress::Sync);
        let status = status.map_err(|_| ProtocolError::ExtensionData)?;
        let (taken, made) = ((self.inflate.total_in() - taken) as usize, message.len() - made);
        *budget = budget.saturating_sub(taken + made);
        if message.len() > limit {
            return Err(ProtocolError::MessageTooBig);
        }
        self.ended = status == Status::StreamEnd;
        if taken + made == 0 && !self.ended {
            // It wants more than there is: a message that stops within a block.
            return Err(ProtocolError::ExtensionData);
        }
        Ok(taken)
    }

    /// RFC 7692 §7.2.3.4: after a last block the message goes on with another, which may refer to all before it. That is dear
    /// for what may be two bytes, and charged.
    fn restart(&mut self, context: &[u8], message: &[u8], budget: &mut Budget) -> Result<(), ProtocolError> {
        self.ended = false;
        let before = &context[context.len() - REACH_BYTES.saturating_sub(message.len()).min(context.len())..];
        let reach = [before, &message[message.len().saturating_sub(REACH_BYTES)..]].concat();
        *budget = budget.saturating_sub(reach.len() + PIECE_BYTES);
        self.prime(&reach)
    }

    fn prime(&mut self, reach: &[u8]) -> Result<(), ProtocolError> {
        self.inflate.reset(false);
        if !reach.is_empty() {
            self.inflate.set_dictionary(reach).map_err(|_| ProtocolError::ExtensionData)?;
        }
        Ok(())
    }
}

/// Room for at least a byte, and for as much as `data` bytes often come to; never for more than a byte over the limit.
fn make_room(message: &mut Vec<u8>, data: usize, limit: usize) {
    if message.len() == message.capacity() {
        let likely = message.len() + 4 * data.clamp(64, ROOM_BYTES / 4);
        let capacity = likely.max(2 * message.capacity()).min(limit + 1).max(message.len() + 1);
        message.reserve_exact(capacity - message.len());
    }
}
