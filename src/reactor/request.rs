//! HTTP requests on a connection: heads and bodies that may arrive in parts, pipelined, answered now or later.

mod later;
mod upgrade;

use crate::conn::http::{Http, Manner, Progress};
use crate::conn::{Conn, Life};
use crate::reactor::context::Context;
use crate::reactor::counters::Deferred;
use crate::reactor::ids::{ConnId, RequestId};
use crate::reactor::service::{Answer, Service};
use crate::reactor::tls::link::{HANDSHAKE, UNEXPECTED};
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::http::{Fields, Head, Refusal, Response};
use crate::wire::upgrade::is_upgrade;

/// The method of a request that may not be whole, or no request at all.
fn method_of(input: &[u8]) -> &'static str {
    if input.starts_with(b"HEAD ") { "HEAD" } else { "" }
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

impl<N: Net, S: Service> Worker<N, S> {
    /// Takes what arrived on a connection that speaks HTTP.
    pub(crate) fn http_input(&mut self, id: ConnId, input: &mut [u8]) {
        let Some(held) = self.core.get_mut(id).and_then(Conn::take_requests) else { return };
        let Some(mut http) = held else {
            if input.first() == Some(&HANDSHAKE) {
                return self.not_http(id);
            }
            // A request that arrives whole is served from the worker's buffer: nothing is allocated for it.
            let mut progress = Progress::default();
            if let Some(used) = self.requests(id, input, &mut progress) {
                self.keep(id, Http::of(&input[used..], progress));
            }
            return;
        };
        let mut buffer = http.take(input);
        if let Some(used) = self.requests(id, &mut buffer, http.progress()) {
            self.keep(id, http.put_back(buffer, used));
        }
    }

    /// A client that speaks TLS to a port that doesn't: it is told so in its own language.
    fn not_http(&mut self, id: ConnId) {
        let end = self.core.now.tick.after(self.core.timing.close);
        self.keep(id, None);
        let Some(conn) = self.core.get_mut(id) else { return };
        conn.end_by(end);
        self.core.append(id, true, |out| out.extend_from_slice(&UNEXPECTED));
        self.core.counters().refuse(400);
        self.core.arm(id);
    }

    /// A client that speaks no TLS to a port that does: it is answered in plain.
    pub(crate) fn not_tls(&mut self, id: ConnId) {
        self.refuse(id, "", &Refusal { status: 400, reason: "this port speaks TLS: use https:// or wss://" });
    }

    /// Serves the requests in `input`; returns how much of it is done with, or `None` where what follows was handed on
    /// after an upgrade.
    fn requests(&mut self, id: ConnId, input: &mut [u8], progress: &mut Progress) -> Option<usize> {
        let mut used = 0;
        progress.resume();
        while used < input.len() && !progress.is_waiting() && self.serves(id) {
            if self.core.work.is_spent() {
                progress.put_off();
                self.core.counters().deferred[Deferred::Input as usize].add(1);
                self.list(id);
                break;
            }
            used += progress.ignored(&input[used..]);
            if !progress.is_something(&input[used..]) {
                break;
            }
            match self.request(id, &input[used..], progress) {
                Step::More => break,
                Step::Served(len) => used += len,
                Step::Refused => used = input.len(),
                Step::Upgraded(len) => {
                    self.upgraded(id, &mut input[used + len..]);
                    return None;
                }
            }
        }
        let begins = self.core.now.tick.after(self.core.timing.handshake);
        let conn = self.core.get_mut(id)?;
        if conn.life() != Life::Http {
            return Some(input.len());
        }
        conn.stop_before(&input[used..], progress, begins);
        Some(used)
    }

    /// Puts back what is held of requests.
    fn keep(&mut self, id: ConnId, held: Option<Box<Http>>) {
        let Some(conn) = self.core.get_mut(id) else { return };
        let ended = conn.keep_requests(held);
        self.core.arm(id);
        if ended {
            self.http_end(id);
        }
    }

    /// Whether requests are served: not while responses pile up that the client doesn't read.
    fn serves(&self, id: ConnId) -> bool {
        let serves = |conn: &Conn| conn.life() == Life::Http && !conn.is_stuffed();
        self.core.get(id).is_some_and(serves)
    }

    fn request(&mut self, id: ConnId, input: &[u8], progress: &mut Progress) -> Step {
        if !progress.has_come_on(input) {
            return Step::More;
        }
        let now = self.core.now.tick;
        if self.core.get(id).is_some_and(|conn| conn.is_late(now)) {
            let refusal = Refusal { status: 408, reason: "the request took too long" };
            return self.refuse(id, method_of(input), &refusal);
        }
        let max = self.core.config.max_head_bytes;
        let head_len = match progress.head_len(input, max) {
            Ok(Some(len)) => len,
            Ok(None) => return Step::More,
            Err(refusal) => return self.refuse(id, method_of(input), &refusal),
        };
        let mut fields = Fields::new();
        let head = match Head::parse(&input[..head_len], &mut fields) {
            Ok(head) => head,
            Err(refusal) => return self.refuse(id, method_of(input), &refusal),
        };
        self.core.work.charge_head(head_len);
        let step = if is_upgrade(&head) {
            self.upgrade(id, &head, head_len)
        } else {
            self.plain(id, &head, head_len, input, progress)
        };
        if !matches!(step, Step::More) {
            progress.next();
        }
        step
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
        let framing = match head.body(limit) {
            Ok(framing) => framing,
            Err(refusal) => return self.refuse_body(id, head, progress.is_judged(), &refusal),
        };
        let is_judged = progress.is_judged();
        let (len, body) = match progress.body(&framing, head_len, behind, limit) {
            Ok(Some(whole)) => whole,
            Ok(None) => return self.await_body(id, head, progress),
            Err(refusal) => return self.refuse_body(id, head, is_judged, &refusal),
        };
        // Counted over the worker: an answer that comes too late finds no later request of its number.
        let request = RequestId { conn: id, serial: self.core.next_request };
        self.core.next_request = request.serial.wrapping_add(1);
        let manner = Manner::of(head);
        self.core.requester = self.requester(id, head);
        let answer =
            self.service.request(&mut Context::new(&mut self.core, &self.mailboxes), request, head, body);
        self.core.requester = None;
        match answer {
            Answer::Now(response) => self.respond(id, response, manner),
            Answer::Later => self.wait(request, progress, manner),
        }
        self.settle();
        Step::Served(head_len + len)
    }

    /// The answer comes later, unless the service gave it during the call.
    fn wait(&mut self, request: RequestId, progress: &mut Progress, manner: Manner) {
        let id = request.conn;
        let given = self.core.answers.iter().position(|(answered, _)| *answered == request);
        if let Some((_, response)) = given.and_then(|i| self.core.answers.remove(i)) {
            return self.respond(id, response, manner);
        }
        progress.wait(request.serial, manner);
        let by = self.core.now.tick.after(self.core.timing.answer);
        if let Some(conn) = self.core.get_mut(id) {
            conn.await_http(by);
        }
    }

    /// A body is to come: it is read where the service would take the request. RFC 9110 §10.1.1: a client that expects
    /// `100 Continue` holds its body back until it is told to go on.
    fn await_body(&mut self, id: ConnId, head: &Head<'_>, progress: &mut Progress) -> Step {
        if !progress.judge() {
            return Step::More;
        }
        if let Some(response) = self.judge(id, head) {
            return self.refuse_with(id, head.method, response);
        }
        if head.expects_continue() {
            self.core.append(id, true, |out| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
        Step::More
    }

    /// What the service refuses a request with before it has its body.
    fn judge(&mut self, id: ConnId, head: &Head<'_>) -> Option<Response> {
        // The number that it will have, unless others are served before its body has come.
        let request = RequestId { conn: id, serial: self.core.next_request };
        self.core.requester = self.requester(id, head);
        let response = self.service.judge(&mut Context::new(&mut self.core, &self.mailboxes), request, head);
        self.core.requester = None;
        response
    }

    fn respond(&mut self, id: ConnId, mut response: Response, manner: Manner) {
        let draining = self.core.fleet.is_draining();
        let now = self.core.now.tick;
        let timing = self.core.timing;
        let Some(conn) = self.core.get_mut(id) else { return };
        // Where the client has ended its stream, requests that came before that are still to be answered.
        let keep_alive = manner.keep_alive && !draining;
        conn.answered(keep_alive, now.after(if keep_alive { timing.keep_alive } else { timing.close }));
        if keep_alive && manner.old {
            response = response.with("Connection", "keep-alive");
        }
        self.core.append(id, true, |out| response.write(manner.head_only, keep_alive, out));
        self.core.work.charge_answer(response.body.len());
        self.core.counters().requests.add(1);
        self.core.arm(id);
    }

    fn refuse(&mut self, id: ConnId, method: &str, refusal: &Refusal) -> Step {
        self.refuse_with(id, method, Response::refusal(refusal))
    }

    /// Answers what came in the place of a request, and ends the connection.
    pub(crate) fn reject(&mut self, id: ConnId, refusal: &Refusal) {
        self.refuse(id, "", refusal);
    }

    /// Refuses a request whose head is good, in the service's words: for its body, unless it would be refused without one.
    fn refuse_body(&mut self, id: ConnId, head: &Head<'_>, is_judged: bool, refusal: &Refusal) -> Step {
        let judged = if is_judged { None } else { self.judge(id, head) };
        let response = judged.unwrap_or_else(|| self.service.refusal(head, refusal));
        self.refuse_with(id, head.method, response)
    }

    /// Answers and ends the connection: nothing behind a refused request is ever read as another one.
    fn refuse_with(&mut self, id: ConnId, method: &str, response: Response) -> Step {
        self.core.counters().refuse(response.status);
        self.respond(id, response, Manner::last(method));
        Step::Refused
    }
}
