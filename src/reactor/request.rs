//! HTTP requests on a connection: heads and bodies that may arrive in parts, pipelined, answered now or later; and the
//! upgrade that makes the connection a WebSocket.

use std::mem;

use crate::limits::PIPELINE_BYTES_MAX;
use crate::reactor::arena::NONE;
use crate::reactor::conn::{Life, Protocol};
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ids::{ConnId, RequestId};
use crate::reactor::service::{Accept, Admission, Answer, Service};
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::http::{self, Body, Chunks, Fields, Head, Refusal, Response};
use crate::wire::session::{Role, Session};
use crate::wire::upgrade::{self, Upgrade};

/// What a connection holds of requests that have not been served.
#[derive(Debug, Default)]
pub(crate) struct Http {
    /// From the start of the next request on.
    buffer: Vec<u8>,
    progress: Progress,
}

/// How far the next request has come.
#[derive(Debug, Default)]
struct Progress {
    /// Bytes that were searched for the end of the head.
    scanned: usize,
    /// Bytes without which looking again is no use.
    need: usize,
    /// The client was told to go on with its body.
    continued: bool,
    /// A chunked body: its data, and how much of the input behind the head it was decoded from.
    chunked: Option<(Chunks, Vec<u8>, usize)>,
    /// The request that was served and is not answered.
    waiting: Option<Waiting>,
    /// The number of the next request.
    serial: u32,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    serial: u32,
    manner: Manner,
}

/// How a response is to be written.
#[derive(Clone, Copy, Debug)]
struct Manner {
    head_only: bool,
    keep_alive: bool,
    old: bool,
}

impl Manner {
    fn of(head: &Head<'_>) -> Manner {
        Manner {
            head_only: head.method == "HEAD",
            keep_alive: head.keeps_alive(),
            old: head.minor_version == 0,
        }
    }

    const LAST: Manner = Manner { head_only: false, keep_alive: false, old: false };
}

/// What became of a request.
enum Step {
    /// It is not complete.
    More,
    /// Served from the first so many bytes.
    Served(usize),
    /// The connection is a WebSocket from that byte on.
    Upgraded(usize),
    /// Refused: nothing of the input is a request any more.
    Refused,
}

impl Http {
    /// Whether more can't be held before an answer comes.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= PIPELINE_BYTES_MAX
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let body = self.progress.chunked.as_ref().map_or(0, |(_, body, _)| body.capacity());
        size_of::<Http>() + self.buffer.capacity() + body
    }

    fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.progress.waiting.is_none()
    }
}

impl<N: Net, S: Service> Worker<N, S> {
    /// Takes what arrived on a connection that speaks HTTP.
    pub(crate) fn http_input(&mut self, id: ConnId, input: &mut [u8]) {
        let Some(conn) = self.core.get_mut(id) else { return };
        let held = match mem::replace(&mut conn.protocol, Protocol::Taken) {
            Protocol::Http(held) => held,
            other => {
                conn.protocol = other;
                return;
            }
        };
        match held {
            // A request that arrives whole is served from the worker's buffer: nothing is allocated for it.
            None => {
                let mut progress = Progress::default();
                self.requests(id, input, &mut progress, None);
            }
            Some(mut http) => {
                let mut buffer = mem::take(&mut http.buffer);
                buffer.extend_from_slice(input);
                let mut progress = mem::take(&mut http.progress);
                self.requests(id, &mut buffer, &mut progress, Some(http));
            }
        }
    }

    /// Serves the requests in `input`, puts back what is left of them, or hands on what follows an upgrade.
    fn requests(&mut self, id: ConnId, input: &mut [u8], progress: &mut Progress, held: Option<Box<Http>>) {
        let mut used = 0;
        let was_idle = held.as_ref().is_none_or(|http| http.is_idle());
        while used < input.len() && progress.waiting.is_none() && self.speaks_http(id) {
            match self.request(id, &input[used..], progress) {
                Step::More => break,
                Step::Served(len) => used += len,
                Step::Refused => used = input.len(),
                Step::Upgraded(len) => {
                    used += len;
                    return self.frames(id, &mut input[used..]);
                }
            }
        }
        if !self.speaks_http(id) {
            used = input.len();
        }
        let rest = &input[used..];
        let now = self.core.now.tick;
        let begins = now.after(self.core.timing.handshake);
        let Some(conn) = self.core.get_mut(id) else { return };
        if rest.is_empty() && progress.waiting.is_none() {
            conn.protocol = Protocol::Http(None);
        } else {
            if conn.flags.served && was_idle && progress.waiting.is_none() {
                // The next request has begun: it has as long as the first.
                conn.deadline = begins;
            }
            let mut http = held.unwrap_or_default();
            http.buffer = rest.to_vec();
            http.progress = mem::take(progress);
            conn.protocol = Protocol::Http(Some(http));
        }
        self.core.arm(id);
        if self.core.get(id).is_some_and(|conn| conn.flags.ended) {
            self.http_end(id);
        }
    }

    fn speaks_http(&self, id: ConnId) -> bool {
        self.core.get(id).is_some_and(|conn| conn.life == Life::Http)
    }

    fn request(&mut self, id: ConnId, input: &[u8], progress: &mut Progress) -> Step {
        if input.len() < progress.need {
            return Step::More;
        }
        let now = self.core.now.tick;
        let late = self.core.get(id).is_some_and(|conn| !conn.flags.served && now.has_reached(conn.deadline));
        if late {
            return self.refuse(id, &Refusal { status: 408, reason: "the request took too long" });
        }
        let max = self.core.config.max_head_bytes;
        let head_len = match http::head_len(input, progress.scanned) {
            Some(len) if len <= max => len,
            None if input.len() <= max => {
                progress.scanned = input.len();
                return Step::More;
            }
            _ => return self.refuse(id, &Refusal { status: 431, reason: "the request head is too large" }),
        };
        progress.scanned = head_len.saturating_sub(4);
        let mut fields = Fields::new();
        let head = match Head::parse(&input[..head_len], &mut fields) {
            Ok(head) => head,
            Err(refusal) => return self.refuse(id, &refusal),
        };
        let step = if upgrade::is_upgrade(&head) {
            self.upgrade(id, &head, head_len)
        } else {
            self.plain(id, &head, head_len, input, progress)
        };
        if !matches!(step, Step::More) {
            let (waiting, serial) = (progress.waiting, progress.serial);
            *progress = Progress { waiting, serial, ..Progress::default() };
        }
        step
    }

    fn upgrade(&mut self, id: ConnId, head: &Head<'_>, head_len: usize) -> Step {
        let upgrade = match Upgrade::check(head) {
            Ok(upgrade) => upgrade,
            Err(refusal) => return self.refuse(id, &refusal),
        };
        let surplus = self.core.get(id).is_some_and(|conn| conn.flags.surplus);
        if surplus || self.core.fleet.is_draining() {
            let reason = if surplus { "the server is full" } else { "the server is going away" };
            let response = Response::refusal(&Refusal { status: 503, reason }).with("Retry-After", "1");
            return self.refuse_with(id, response);
        }
        match self.service.admit(&mut Context { core: &mut self.core }, id, &upgrade) {
            Admission::Refuse(response) => self.refuse_with(id, response),
            Admission::Accept(accept) => {
                self.open(id, upgrade.key, &accept);
                Step::Upgraded(head_len)
            }
        }
    }

    fn open(&mut self, id: ConnId, key: &str, accept: &Accept) {
        let Some(conn) = self.core.get_mut(id) else { return };
        conn.life = Life::Open;
        conn.tag = accept.tag;
        conn.protocol = Protocol::Frames(Session::new(Role::Server));
        self.core
            .append(id, true, |out| upgrade::write_accept(key, accept.subprotocol.as_deref(), None, out));
        let counters = self.core.counters();
        counters.upgrades.add(1);
        counters.open.add(1);
        self.first_beat(id);
        self.service.open(&mut Context { core: &mut self.core }, id);
        self.settle();
    }

    fn plain(
        &mut self,
        id: ConnId,
        head: &Head<'_>,
        head_len: usize,
        input: &[u8],
        progress: &mut Progress,
    ) -> Step {
        let limit = self.core.config.max_body_bytes;
        let behind = &input[head_len..];
        let (len, body) = match head.body(limit) {
            Err(refusal) => return self.refuse(id, &refusal),
            Ok(Body::Length(len)) if behind.len() >= len => (len, &behind[..len]),
            Ok(Body::Length(len)) => {
                progress.need = head_len + len;
                return self.await_body(id, head, progress);
            }
            Ok(Body::Chunked) => {
                let (chunks, body, decoded) = progress.chunked.get_or_insert_default();
                match chunks.read(&behind[*decoded..], body, limit) {
                    Err(refusal) => return self.refuse(id, &refusal),
                    Ok((taken, false)) => {
                        *decoded += taken;
                        // Framing may outweigh the data it frames, but not without end.
                        if *decoded > 2 * limit {
                            return self
                                .refuse(id, &Refusal { status: 413, reason: "the body is too large" });
                        }
                        return self.await_body(id, head, progress);
                    }
                    Ok((taken, true)) => (*decoded + taken, body.as_slice()),
                }
            }
        };
        let request = RequestId { conn: id, serial: progress.serial };
        let manner = Manner::of(head);
        let answer = self.service.request(&mut Context { core: &mut self.core }, request, head, body);
        progress.serial = progress.serial.wrapping_add(1);
        match answer {
            Answer::Now(response) => self.respond(id, response, manner),
            Answer::Later => self.wait(id, progress, Waiting { serial: request.serial, manner }),
        }
        self.settle();
        Step::Served(head_len + len)
    }

    /// The answer comes later, unless the service gave it during the call.
    fn wait(&mut self, id: ConnId, progress: &mut Progress, waiting: Waiting) {
        let request = RequestId { conn: id, serial: waiting.serial };
        if let Some(i) = self.core.answers.iter().position(|(answered, _)| *answered == request) {
            let (_, response) = self.core.answers.swap_remove(i);
            return self.respond(id, response, waiting.manner);
        }
        progress.waiting = Some(waiting);
        let by = self.core.now.tick.after(self.core.timing.answer);
        if let Some(conn) = self.core.get_mut(id) {
            conn.deadline = by;
        }
    }

    /// RFC 9110 §10.1.1: a client that expects `100 Continue` holds its body back until it is told to go on.
    fn await_body(&mut self, id: ConnId, head: &Head<'_>, progress: &mut Progress) -> Step {
        if head.expects_continue() && !mem::replace(&mut progress.continued, true) {
            self.core.append(id, true, |out| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
        Step::More
    }

    fn respond(&mut self, id: ConnId, mut response: Response, manner: Manner) {
        let draining = self.core.fleet.is_draining();
        let now = self.core.now.tick;
        let timing = self.core.timing;
        let Some(conn) = self.core.get_mut(id) else { return };
        let keep_alive = manner.keep_alive && !conn.flags.ended && !draining;
        conn.flags.served = true;
        if keep_alive {
            conn.deadline = now.after(timing.keep_alive);
        } else {
            conn.life = Life::Ending;
            conn.deadline = now.after(timing.close);
        }
        if keep_alive && manner.old {
            response = response.with("Connection", "keep-alive");
        }
        self.core.append(id, true, |out| response.write(manner.head_only, keep_alive, out));
        self.core.counters().requests.add(1);
        self.core.arm(id);
    }

    fn refuse(&mut self, id: ConnId, refusal: &Refusal) -> Step {
        self.refuse_with(id, Response::refusal(refusal))
    }

    /// Answers and ends the connection: nothing behind a refused request is ever read as another one.
    fn refuse_with(&mut self, id: ConnId, response: Response) -> Step {
        self.core.counters().refuse(response.status);
        self.respond(id, response, Manner::LAST);
        Step::Refused
    }

    /// An answer that came later.
    pub(crate) fn answer(&mut self, request: RequestId, response: Response) {
        let id = request.conn;
        let Some(conn) = self.core.get_mut(id) else { return };
        let Protocol::Http(Some(http)) = &mut conn.protocol else { return };
        let Some(waiting) = http.progress.waiting.take_if(|waiting| waiting.serial == request.serial) else {
            return;
        };
        self.respond(id, response, waiting.manner);
        // What came behind the request is served in the next turn.
        self.list(id);
    }

    /// A request, its answer or the next request has been waited for long enough.
    pub(crate) fn request_due(&mut self, id: ConnId) {
        let Some(conn) = self.core.get_mut(id) else { return };
        let Protocol::Http(held) = &mut conn.protocol else { return };
        match held {
            None => self.remove(id, Cause::Timeout),
            Some(http) => match http.progress.waiting.take() {
                Some(waiting) => {
                    let response = Response::text(503, "the answer took too long").with("Retry-After", "1");
                    self.respond(id, response, waiting.manner);
                    self.list(id);
                }
                None => {
                    self.refuse(id, &Refusal { status: 408, reason: "the request took too long" });
                }
            },
        }
    }

    /// The client has ended its stream: what it asked for is still answered.
    pub(crate) fn http_end(&mut self, id: ConnId) {
        let end = self.core.now.tick.after(self.core.timing.close);
        let Some(conn) = self.core.get_mut(id) else { return };
        let waits = match &conn.protocol {
            Protocol::Http(Some(http)) => http.progress.waiting.is_some(),
            Protocol::Http(None) => false,
            Protocol::Frames(_) | Protocol::Taken => return,
        };
        if waits {
            return;
        }
        if conn.outbox.is_none() && conn.dirty == NONE {
            return self.remove(id, Cause::Closed);
        }
        if conn.life == Life::Http {
            conn.life = Life::Ending;
            conn.deadline = end;
            self.core.arm(id);
        }
    }
}
