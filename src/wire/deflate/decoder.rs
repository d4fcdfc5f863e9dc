//! The extension of a session: what it reads goes through an inflater.
//!
//! A message that lies whole in the caller's buffer borrows an inflater for as long as that takes. One that arrives in parts
//! keeps it; so does one that costs more than a turn's share. Of those there are only so many: the data of the rest is put
//! together first, as their limit allows, and inflated at its end.

use crate::limits::INFLATERS_MAX;
use crate::wire::deflate::inflater::Budget;
use crate::wire::deflate::{DeflateContext, Direction, Inflater, RSV1};
use crate::wire::error::ProtocolError;
use crate::wire::message::Extension;

/// The inflaters of a worker.
#[derive(Debug, Default)]
pub struct Inflaters {
    spare: Option<Box<Inflater>>,
    /// Inflaters that messages keep: at most [`INFLATERS_MAX`].
    kept: usize,
}

/// A message whose end has not been inflated.
#[derive(Debug)]
pub enum UnderWay {
    /// As it arrives.
    Inflating(Box<Inflater>),
    /// At its end.
    Collecting(Vec<u8>),
}

impl UnderWay {
    /// Bytes of heap, without the inflater's.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match self {
            UnderWay::Inflating(_) => INFLATER_BYTES,
            UnderWay::Collecting(data) => data.capacity(),
        }
    }
}

/// About what an inflater takes.
const INFLATER_BYTES: usize = 48 << 10;

impl Inflaters {
    fn take(&mut self) -> Box<Inflater> {
        self.spare.take().unwrap_or_default()
    }

    /// One of two that are not in use is let go.
    fn put(&mut self, inflater: Box<Inflater>) {
        self.spare = Some(inflater);
    }

    /// A message that will not end takes back what it kept.
    pub fn abandon(&mut self, under_way: UnderWay) {
        if let UnderWay::Inflating(inflater) = under_way {
            self.kept -= 1;
            self.put(inflater);
        }
    }

    /// Bytes of heap that belong to no message.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.spare.as_ref().map_or(0, |_| INFLATER_BYTES)
    }
}

/// The extension for one read of one connection.
#[derive(Debug)]
pub struct Decoder<'d> {
    /// The worker's inflaters.
    pub inflaters: &'d mut Inflaters,
    /// The connection's message under way.
    pub under_way: &'d mut Option<UnderWay>,
    /// The context that the connection's peer may refer to.
    pub context: &'d mut DeflateContext,
    /// How the peer compresses.
    pub direction: Direction,
    /// The rest of this turn's budget.
    pub budget: &'d mut Budget,
}

impl Extension for Decoder<'_> {
    fn reserved(&self) -> u8 {
        RSV1
    }

    fn decode(
        &mut self,
        part: &[u8],
        end: bool,
        message: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, ProtocolError> {
        match self.under_way.take() {
            Some(UnderWay::Inflating(inflater)) => {
                self.inflaters.kept -= 1;
                self.inflate(inflater, part, end, message, limit)
            }
            Some(UnderWay::Collecting(data)) => self.collect(data, part, end, message, limit),
            None if end || self.inflaters.kept < INFLATERS_MAX => {
                let mut inflater = self.inflaters.take();
                inflater.begin(self.context.bytes())?;
                self.inflate(inflater, part, end, message, limit)
            }
            None => self.collect(Vec::new(), part, end, message, limit),
        }
    }
}

impl Decoder<'_> {
    /// Goes on with a message; its inflater is put back at its end.
    fn inflate(
        &mut self,
        mut inflater: Box<Inflater>,
        part: &[u8],
        end: bool,
        message: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, ProtocolError> {
        let taken = inflater.push(part, self.context.bytes(), message, limit, self.budget)?;
        if taken < part.len() || !end {
            self.inflaters.kept += 1;
            *self.under_way = Some(UnderWay::Inflating(inflater));
            return Ok(taken);
        }
        inflater.finish(message, limit)?;
        self.inflaters.put(inflater);
        self.passed(message);
        Ok(taken)
    }

    /// Puts a part to those before it, which may come to no more than the message itself may.
    fn collect(
        &mut self,
        mut data: Vec<u8>,
        part: &[u8],
        end: bool,
        message: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, ProtocolError> {
        if part.len() > limit.saturating_sub(data.len()) {
            return Err(ProtocolError::MessageTooBig);
        }
        data.extend_from_slice(part);
        if !end {
            *self.under_way = Some(UnderWay::Collecting(data));
            return Ok(part.len());
        }
        let mut inflater = self.inflaters.take();
        inflater.begin(self.context.bytes())?;
        // At once: it can't be put off, since all of its last part has been taken. The limit bounds it; the turn pays.
        let mut all = Budget::MAX;
        inflater.push(&data, self.context.bytes(), message, limit, &mut all)?;
        *self.budget = self.budget.saturating_sub(Budget::MAX - all);
        inflater.finish(message, limit)?;
        self.inflaters.put(inflater);
        self.passed(message);
        Ok(part.len())
    }

    /// RFC 7692 §7.2.2: the next message may refer to this one, unless its sender said that none will.
    fn passed(&mut self, message: &[u8]) {
        if self.direction.takeover() {
            self.context.push(message, 1 << self.direction.window_bits());
        }
    }
}
