//! What a connection holds of requests: one that has not come whole, what stands behind one that is not answered, and how an
//! answer is to be written.

use crate::limits::{PIPELINE_BYTES_MAX, READ_BUFFER_BYTES};
use crate::wire::http::{Chunks, Head};

/// What a connection holds of requests that have not been served.
#[derive(Debug, Default)]
pub(crate) struct Http {
    /// From the start of the next request on.
    pub(crate) buffer: Vec<u8>,
    pub(crate) progress: Progress,
}

/// How far the next request has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bytes that were searched for the end of the head.
    pub(crate) scanned: usize,
    /// Bytes without which looking again is no use.
    pub(crate) need: usize,
    /// Some of it has come, and it has its deadline.
    pub(crate) begun: bool,
    /// Its head was judged, and the client may go on with its body.
    pub(crate) judged: bool,
    /// A chunked body: its data, and how much of the input behind the head it was decoded from.
    pub(crate) chunked: Option<(Chunks, Vec<u8>, usize)>,
    /// The request that was served and is not answered.
    pub(crate) waiting: Option<Waiting>,
    /// The connection's share of the turn was not enough for what is in the buffer.
    pub(crate) put_off: bool,
    /// The client has to read before more of what is in the buffer is served.
    pub(crate) stuffed: bool,
}

/// A request that was served and is not answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) serial: u32,
    pub(crate) manner: Manner,
}

/// How a response is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) head_only: bool,
    pub(crate) keep_alive: bool,
    pub(crate) old: bool,
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
    /// Whether more can't be held before an answer comes. Where none is waited for, the request's own limits hold.
    pub(crate) fn is_full(&self) -> bool {
        self.progress.waiting.is_some() && self.buffer.len() >= PIPELINE_BYTES_MAX
    }

    /// Whether an answer is waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.progress.waiting.is_some()
    }

    /// Whether requests wait for the connection's next share of a turn.
    pub(crate) fn is_put_off(&self) -> bool {
        self.progress.put_off
    }

    /// Whether requests wait for that, or for the client to read what it was answered.
    pub(crate) fn has_unserved(&self) -> bool {
        self.progress.put_off || self.progress.stuffed
    }

    /// Whether requests wait for the client to read what it was answered.
    pub(crate) fn is_stuffed(&self) -> bool {
        self.progress.stuffed
    }

    /// Whether no request has begun, nor waits to be answered or served.
    pub(crate) fn is_idle(&self) -> bool {
        let Progress { begun, waiting, put_off, stuffed, .. } = &self.progress;
        !begun && waiting.is_none() && !put_off && !stuffed
    }

    /// Bytes that are no request yet.
    pub(crate) fn holding(buffer: Vec<u8>) -> Http {
        Http { buffer, progress: Progress { begun: true, ..Progress::default() } }
    }

    /// The bytes that [`Http::holding`] holds.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let body = self.progress.chunked.as_ref().map_or(0, |(_, body, _)| body.capacity());
        size_of::<Http>() + self.buffer.capacity() + body
    }

    /// Appends to the buffer, which grows in steps that keep both copying and what is held in reserve within bounds.
    pub(crate) fn extend(buffer: &mut Vec<u8>, input: &[u8]) {
        if buffer.capacity() - buffer.len() < input.len() {
            buffer.reserve_exact(input.len().max(buffer.len().min(READ_BUFFER_BYTES)));
        }
        buffer.extend_from_slice(input);
    }
}
