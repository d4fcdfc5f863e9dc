//! A connection's requests: what is held of them, taken out while they are served, and what follows from an answer, a deadline or the
//! end of the stream.

use std::mem;

use crate::conn::flags::Flag;
use crate::conn::http::{Http, Manner, Progress, empty_lines};
use crate::conn::{AtEnd, Conn, Life, Protocol};
use crate::time::Tick;

/// So long that it is looked at again before the ticks wrap.
const NEVER: u32 = u32::MAX / 4;

/// The consequence when a connection's time for a request, its answer or the next one is up.
#[derive(Debug)]
pub(crate) enum RequestDue {
    /// Nothing yet.
    Nothing,
    /// It asks for nothing, and goes.
    Gone,
    /// The answer to the request of that number is missing: it is told so.
    Unanswered(Manner, u32),
    /// Its request has not come whole.
    Half,
}

impl Conn {
    /// Takes out what is held of requests, to serve more of them; [`Conn::keep_requests`] follows. `None` where it has no
    /// requests.
    pub(crate) fn take_requests(&mut self) -> Option<Option<Box<Http>>> {
        match mem::replace(&mut self.protocol, Protocol::Taken) {
            Protocol::Http(held) => Some(held),
            other => {
                self.protocol = other;
                None
            }
        }
    }

    /// Puts back what is held of requests. Says whether the client has ended its stream behind them.
    pub(crate) fn keep_requests(&mut self, held: Option<Box<Http>>) -> bool {
        self.protocol = Protocol::Http(held);
        self.flags.has(Flag::Ended)
    }

    /// No more requests are served before `rest`. If one begins there, it is waited for until `by`, as long as the first; but
    /// while responses pile up that the client doesn't read, it waits for that.
    pub(crate) fn stop_before(&mut self, rest: &[u8], progress: &mut Progress, by: Tick) {
        let rest = &rest[empty_lines(rest)..];
        if matches!(rest, [] | [b'\r']) || progress.waiting.is_some() || progress.put_off {
            return;
        }
        if self.is_above_high_watermark() {
            progress.above_high_watermark = true;
            self.flags.set(Flag::Paused);
        } else if !mem::replace(&mut progress.begun, true) && self.flags.has(Flag::Served) {
            self.deadline = by;
        }
    }

    /// Takes what has come of its PROXY header.
    pub(crate) fn take_preface(&mut self) -> Vec<u8> {
        match mem::replace(&mut self.protocol, Protocol::Http(None)) {
            Protocol::Http(Some(http)) => http.buffer,
            _ => Vec::new(),
        }
    }

    /// Keeps what has come of its PROXY header.
    pub(crate) fn keep_preface(&mut self, buffer: Vec<u8>) {
        let held = (!buffer.is_empty()).then(|| Box::new(Http::holding(buffer)));
        self.protocol = Protocol::Http(held);
    }

    /// An answer to the request of that number has come: how it is to be written. `None` where it isn't waited for.
    pub(crate) fn take_waiting(&mut self, serial: u32) -> Option<Manner> {
        let Protocol::Http(Some(http)) = &mut self.protocol else { return None };
        let waiting = http.progress.waiting.take_if(|waiting| waiting.is(serial, false))?;
        Some(waiting.manner)
    }

    /// How the body of the request of that number is written, which is sent piece by piece; `None` where none is.
    pub(crate) fn stream(&self, serial: u32) -> Option<Manner> {
        let Protocol::Http(Some(http)) = &self.protocol else { return None };
        http.progress.waiting.filter(|waiting| waiting.is(serial, true)).map(|waiting| waiting.manner)
    }

    /// The same of one that ends.
    pub(crate) fn end_stream(&mut self, serial: u32) -> Option<Manner> {
        let Protocol::Http(Some(http)) = &mut self.protocol else { return None };
        Some(http.progress.waiting.take_if(|waiting| waiting.is(serial, true))?.manner)
    }

    /// The number of the request that waits for its answer, or for more of it.
    pub(crate) fn unanswered(&self) -> Option<u32> {
        let Protocol::Http(Some(http)) = &self.protocol else { return None };
        http.progress.waiting.map(|waiting| waiting.serial)
    }

    /// Whether an answer is sent piece by piece.
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(Some(http)) if http.streams())
    }

    /// The head of such an answer has been sent: there is no time by which it has to end.
    pub(crate) const fn begin_stream(&mut self, now: Tick) {
        self.flags.set(Flag::Served);
        self.deadline = now.after(NEVER);
    }

    /// A request, its answer or the next request has been waited for long enough. `asked_at`: when the service was last asked for
    /// answers.
    pub(crate) fn request_due(&mut self, asked_at: Tick) -> RequestDue {
        let http = match &mut self.protocol {
            Protocol::Http(Some(http)) => http,
            Protocol::Http(None) => return RequestDue::Gone,
            Protocol::Frames(_) | Protocol::Taken => return RequestDue::Nothing,
        };
        let is_early = http.is_waiting() && !asked_at.has_reached(self.deadline);
        // It came in time, and waits for its share of a turn; or the server may be what was late, and the service about to answer
        // in this very turn: it goes first.
        if http.is_put_off() || is_early {
            return RequestDue::Nothing;
        }
        if http.streams() {
            self.deadline = self.deadline.after(NEVER);
            return RequestDue::Nothing;
        }
        match http.progress.waiting.take() {
            Some(waiting) => RequestDue::Unanswered(waiting.manner, waiting.serial),
            // An empty line is no request.
            None if !http.progress.begun => RequestDue::Gone,
            None => RequestDue::Half,
        }
    }

    /// It was not to be read: what it would have asked for in that time is waited for until `by`. Says whether anything of it is
    /// waited for, and not its answer.
    pub(crate) fn excuse_request(&mut self, by: Tick) -> bool {
        let waits = self.life == Life::Http && !self.awaits_answer();
        if waits {
            self.deadline = by;
        }
        waits
    }

    /// The bytes of its request that have come.
    pub(crate) fn request_bytes(&self) -> &[u8] {
        match &self.protocol {
            Protocol::Http(Some(http)) => http.bytes(),
            _ => &[],
        }
    }

    /// The client has ended its stream: what it asked for is still answered, and where that is done it ends when it has been written,
    /// by `by` at most. Nobody is left to read an answer that may go on for ever, or that is held. Says what follows.
    pub(crate) fn end_requests(&mut self, now: Tick, by: Tick) -> AtEnd {
        let waits = match &self.protocol {
            Protocol::Http(Some(http)) if http.streams() || http.is_held() && !self.has_output() => {
                return AtEnd::Gone;
            }
            Protocol::Http(Some(http)) => http.is_waiting() || http.has_unserved(),
            Protocol::Http(None) => false,
            Protocol::Frames(_) | Protocol::Taken => true,
        };
        if waits {
            if matches!(&self.protocol, Protocol::Http(Some(http)) if http.is_held()) {
                // What it was answered before leaves; what it waits for has no more time.
                self.await_http(now);
            }
            return AtEnd::Answers;
        }
        if !self.has_output() {
            return AtEnd::Gone;
        }
        if self.life == Life::Http {
            self.end_by(by);
        }
        AtEnd::Writes
    }

    /// Whether a request of it waits for the service's answer.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(Some(http)) if http.is_waiting())
    }

    /// Whether it holds something of requests.
    #[inline]
    pub(crate) const fn holds_request(&self) -> bool {
        matches!(self.protocol, Protocol::Http(Some(_)))
    }

    /// Whether requests that were read wait, for its next share of a turn or for its client to read.
    #[inline]
    pub(crate) fn has_unserved_request(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(Some(http)) if http.has_unserved())
    }

    /// Whether its requests are answered, and nothing is waited for but that its peer takes the answers.
    pub(crate) fn is_answered(&self) -> bool {
        let is_above_high_watermark = match &self.protocol {
            Protocol::Http(http) => http.as_ref().is_some_and(|http| http.progress.above_high_watermark),
            Protocol::Frames(_) | Protocol::Taken => false,
        };
        (is_above_high_watermark || self.is_idle()) && self.flags.has(Flag::Served)
    }

    /// Whether no request of it is under way: half an empty line behind an answered one is none.
    pub(crate) fn is_idle(&self) -> bool {
        match &self.protocol {
            Protocol::Http(http) => http.as_ref().is_none_or(|http| http.is_idle()),
            Protocol::Frames(_) | Protocol::Taken => false,
        }
    }

    /// Whether it holds a request of which not all has come, and none that waits for its answer.
    pub(crate) fn has_half_request(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(Some(http)) if !http.is_idle() && !http.is_waiting())
    }
}
