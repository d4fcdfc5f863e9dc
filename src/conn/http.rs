//! The requests of a connection: one that has not come whole, the input behind one that is not answered, and how an answer
//! is to be written.

use std::mem;

use serde::{Deserialize, Serialize};

use crate::limits::{PIPELINE_BYTES_MAX, READ_BUFFER_BYTES};
use crate::wire::http::{self, Body, Chunks, Head, Refusal};

/// The requests of a connection that have not been served.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Http {
    /// From the start of the next request on.
    pub(super) buffer: Vec<u8>,
    pub(super) progress: Progress,
}

/// How far the next request has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Bytes that were searched for the end of the head.
    scanned: usize,
    /// Bytes without which looking again is no use.
    need: usize,
    /// Some of it has come, and it has its deadline.
    pub(super) begun: bool,
    /// Its head was judged, and the client may go on with its body.
    judged: bool,
    /// A chunked body: its data, and how much of the input behind the head it was decoded from.
    chunked: Option<(Chunks, Vec<u8>, usize)>,
    /// The request that was served and is not answered.
    pub(super) waiting: Option<Unanswered>,
    /// The connection's share of the turn was not enough for what is in the buffer.
    pub(super) put_off: bool,
    /// The client has to read before more of what is in the buffer is served.
    pub(super) above_high_watermark: bool,
}

/// A request that was served and is not answered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Unanswered {
    pub(super) serial: u32,
    pub(super) manner: Manner,
    /// Its head has left, and its body is sent piece by piece.
    pub(super) streams: bool,
    /// Its client gives it up where it ends its stream.
    pub(super) held: bool,
}

/// How a response is to be written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Manner {
    pub(crate) head_only: bool,
    pub(crate) keep_alive: bool,
    pub(crate) old: bool,
}

impl Unanswered {
    /// Whether it is the request of that number, and its answer is a stream or isn't.
    pub(super) fn is(&self, serial: u32, streams: bool) -> bool {
        self.serial == serial && self.streams == streams
    }
}

impl Manner {
    pub(crate) fn of(head: &Head<'_>) -> Manner {
        Manner {
            head_only: head.method == "HEAD",
            keep_alive: head.keeps_alive(),
            old: head.minor_version == 0,
        }
    }

    /// The last answer of a connection. RFC 9110 §9.3.2: none to HEAD has a body, a refusal neither.
    pub(crate) fn last(method: &str) -> Manner {
        Manner { head_only: method == "HEAD", keep_alive: false, old: false }
    }
}

impl Http {
    /// The state to hold for requests that have come as far as `rest` and `progress` say, if any.
    pub(crate) fn of(rest: &[u8], progress: Progress) -> Option<Box<Http>> {
        let is_idle = rest.is_empty() && progress.waiting.is_none();
        (!is_idle).then(|| Box::new(Http { buffer: rest.to_vec(), progress }))
    }

    /// Bytes that are no request yet.
    pub(super) fn holding(buffer: Vec<u8>) -> Http {
        Http { buffer, progress: Progress { begun: true, ..Progress::default() } }
    }

    /// Takes out what is held of the next requests, with `input` behind it. [`Http::put_back`] follows.
    pub(crate) fn take(&mut self, input: &[u8]) -> Vec<u8> {
        // It is taken out and put back, not copied: a body in single bytes must not cost its length for each of them.
        let mut buffer = mem::take(&mut self.buffer);
        extend(&mut buffer, input);
        buffer
    }

    /// How far the first of them has come.
    pub(crate) fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// Puts back what was taken out, of which the first `used` bytes are done with. Nothing is left where nothing is to be held.
    pub(crate) fn put_back(mut self: Box<Http>, mut buffer: Vec<u8>, used: usize) -> Option<Box<Http>> {
        if used > 0 {
            buffer.drain(..used);
            buffer.shrink_to_fit();
        }
        self.buffer = buffer;
        let is_idle = self.buffer.is_empty() && self.progress.waiting.is_none();
        (!is_idle).then_some(self)
    }

    /// The bytes of a request that have come.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Its head, where that was judged; else nothing.
    pub(crate) fn judged_head(&self) -> &[u8] {
        // It was whole when it was judged.
        let len = if self.progress.judged { self.progress.scanned + 4 } else { 0 };
        self.buffer.get(..len).unwrap_or_default()
    }

    /// Whether more can't be held before an answer comes. If none is waited for, the request's own limits hold.
    pub(super) fn is_full(&self) -> bool {
        self.progress.waiting.is_some() && self.buffer.len() >= PIPELINE_BYTES_MAX
    }

    /// Whether an answer is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.progress.waiting.is_some()
    }

    /// Whether the answer is sent piece by piece.
    pub(super) fn streams(&self) -> bool {
        self.progress.waiting.is_some_and(|waiting| waiting.streams)
    }

    /// Whether its client gives the answer up where it ends its stream.
    pub(super) fn is_held(&self) -> bool {
        self.progress.waiting.is_some_and(|waiting| waiting.held)
    }

    /// Whether requests wait for the connection's next share of a turn.
    pub(super) fn is_put_off(&self) -> bool {
        self.progress.put_off
    }

    /// Whether requests wait for that, or for the client to read what it was answered.
    pub(super) fn has_unserved(&self) -> bool {
        self.progress.put_off || self.progress.above_high_watermark
    }

    /// Whether no request has begun, nor waits to be answered or served.
    pub(super) fn is_idle(&self) -> bool {
        let Progress { begun, waiting, put_off, above_high_watermark, .. } = &self.progress;
        !begun && waiting.is_none() && !put_off && !above_high_watermark
    }

    /// Whether requests can have come so far: what was written down elsewhere may say anything.
    pub(super) fn is_sound(&self) -> bool {
        let Progress { scanned, chunked, .. } = &self.progress;
        let request = &self.buffer[self.progress.ignored(&self.buffer)..];
        if *scanned > request.len() {
            return false;
        }
        let Some((chunks, _, decoded)) = chunked else { return true };
        let head_len = http::head_len(request, *scanned);
        chunks.is_sound() && head_len.is_some_and(|len| *decoded <= request.len() - len)
    }

    pub(super) fn held_bytes(&self) -> usize {
        let body = self.progress.chunked.as_ref().map_or(0, |(_, body, _)| body.capacity());
        size_of::<Http>() + self.buffer.capacity() + body
    }
}

/// Appends to a buffer, which grows in steps that keep both copying and what is held in reserve within bounds.
fn extend(buffer: &mut Vec<u8>, input: &[u8]) {
    if buffer.capacity() - buffer.len() < input.len() {
        buffer.reserve_exact(input.len().max(buffer.len().min(READ_BUFFER_BYTES)));
    }
    buffer.extend_from_slice(input);
}

/// How many bytes of empty lines stand before the next request.
pub(super) fn empty_lines(input: &[u8]) -> usize {
    2 * input.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count()
}

impl Progress {
    /// Requests are served again.
    pub(crate) fn resume(&mut self) {
        (self.put_off, self.above_high_watermark) = (false, false);
    }

    /// Whether an answer is waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// The connection's share of the turn is used up.
    pub(crate) fn put_off(&mut self) {
        self.put_off = true;
    }

    /// How many bytes at the front of `input` are no request. RFC 9112 §2.2: empty lines before one are ignored; some clients send
    /// one behind a body.
    pub(crate) fn ignored(&self, input: &[u8]) -> usize {
        if self.begun { 0 } else { empty_lines(input) }
    }

    /// Whether `input`, what stands behind those, may hold a request.
    pub(crate) fn is_something(&self, input: &[u8]) -> bool {
        self.begun || !matches!(input, [] | [b'\r'])
    }

    /// Whether as much has come as it takes to get any further.
    pub(crate) fn has_come_on(&self, input: &[u8]) -> bool {
        input.len() >= self.need
    }

    /// The length of the head at the front of `input`; `None` while its end has not come.
    ///
    /// # Errors
    /// 431: it is longer than `max` bytes.
    pub(crate) fn head_len(&mut self, input: &[u8], max: usize) -> Result<Option<usize>, Refusal> {
        match http::head_len(input, self.scanned) {
            Some(len) if len <= max => {
                self.scanned = len.saturating_sub(4);
                Ok(Some(len))
            }
            None if input.len() <= max => {
                self.scanned = input.len();
                Ok(None)
            }
            _ => Err(Refusal { status: 431, reason: "the request head is too large" }),
        }
    }

    /// The body behind a head of `head_len` bytes, of which `behind` is what has come, and how many bytes of that it takes; `None`
    /// while it has not come whole.
    ///
    /// # Errors
    /// It breaks its framing, or comes to more than `limit` bytes.
    pub(crate) fn body<'b>(
        &'b mut self,
        framing: &Body,
        head_len: usize,
        behind: &'b [u8],
        limit: usize,
    ) -> Result<Option<(usize, &'b [u8])>, Refusal> {
        if let Body::Length(len) = *framing {
            let body = behind.get(..len).map(|body| (len, body));
            if body.is_none() {
                self.need = head_len + len;
            }
            return Ok(body);
        }
        let (chunks, body, decoded) = self.chunked.get_or_insert_default();
        let (taken, is_whole) = chunks.read(&behind[*decoded..], body, limit)?;
        *decoded += taken;
        if is_whole {
            return Ok(Some((*decoded, body)));
        }
        // Framing may outweigh the data it frames, but not without end.
        if *decoded > 2 * limit {
            return Err(Refusal { status: 413, reason: "the body is too large" });
        }
        Ok(None)
    }

    /// Whether the head was judged.
    pub(crate) fn is_judged(&self) -> bool {
        self.judged
    }

    /// The head is about to be judged. Says whether it was not before.
    pub(crate) fn judge(&mut self) -> bool {
        !mem::replace(&mut self.judged, true)
    }

    /// The request, the service's number `serial`, was served, and is answered later.
    pub(crate) fn wait(&mut self, serial: u32, manner: Manner) {
        self.waiting = Some(Unanswered { serial, manner, streams: false, held: false });
    }

    /// The answer that is waited for, if any, is of use only while its client is there.
    pub(crate) fn hold(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.held = true;
        }
    }

    /// The same of one whose body is sent piece by piece.
    pub(crate) fn stream(&mut self, serial: u32, manner: Manner) {
        self.waiting = Some(Unanswered { serial, manner, streams: true, held: false });
    }

    /// The request is done with, but for its answer: the next one has yet to begin.
    pub(crate) fn next(&mut self) {
        *self = Progress { waiting: self.waiting, ..Progress::default() };
    }
}
