//! HTTP requests on a connection: heads and bodies that may arrive in parts, pipelined, answered now or later.

pub(crate) mod asking;
mod upgrade;

use crate::conn::http::{Http, Manner, Progress};
use crate::conn::{Conn, Life};
use crate::reactor::context::Context;
use crate::reactor::counters::Deferred;
use crate::reactor::ids::{ConnId, RequestId};
use crate::reactor::peer_address;
use crate::reactor::pending;
use crate::reactor::respond::{self, Step, method_of};
use crate::reactor::service::{Answer, Service};
use crate::reactor::tls::session::{HANDSHAKE, UNEXPECTED};
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::time::Tick;
use crate::wire::http::{Fields, Head, Refusal, Response};
use crate::wire::upgrade::is_upgrade;

/// Takes what arrived on a connection that speaks HTTP.
pub(crate) fn http_input<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, input: &mut [u8]) {
    let Some(held) = worker.shard.get_mut(id).and_then(Conn::take_requests) else { return };
    let Some(mut http) = held else {
        if input.first() == Some(&HANDSHAKE) {
            return not_http(worker, id);
        }
        // A request that arrives whole is served from the worker's buffer: nothing is allocated for it.
        let mut progress = Progress::default();
        if let Some(used) = requests(worker, id, input, &mut progress) {
            keep(worker, id, Http::of(&input[used..], progress));
        }
        return;
    };
    let mut buffer = http.take(input);
    if let Some(used) = requests(worker, id, &mut buffer, http.progress()) {
        keep(worker, id, http.put_back(buffer, used));
    }
}

/// A client that speaks TLS to a port that doesn't: it is told so in its own language.
fn not_http<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let end = worker.shard.now.tick.after(worker.shard.timing.close);
    keep(worker, id, None);
    let Some(conn) = worker.shard.get_mut(id) else { return };
    conn.end_by(end);
    worker.shard.append(id, true, |out| out.extend_from_slice(&UNEXPECTED));
    worker.shard.counters().refuse(400);
    worker.shard.arm(id);
}

/// A client that speaks no TLS to a port that does: it is answered in plain.
pub(crate) fn not_tls<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    respond::refuse(
        worker,
        id,
        "",
        &Refusal { status: 400, reason: "this port speaks TLS: use https:// or wss://" },
    );
}

/// Serves the requests in `input`; returns how much of it is done with, or `None` where what follows was handed on
/// after an upgrade.
fn requests<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    input: &mut [u8],
    progress: &mut Progress,
) -> Option<usize> {
    let mut used = 0;
    progress.resume();
    while used < input.len() && !progress.is_waiting() && serves(worker, id) {
        if worker.shard.pauses.has(id) {
            // It is listed when its service wants it to be read again.
            progress.put_off();
            break;
        }
        if worker.shard.work.is_spent() {
            progress.put_off();
            worker.shard.counters().deferred[Deferred::Input as usize].add(1);
            worker.list(id);
            break;
        }
        used += progress.ignored(&input[used..]);
        if !progress.is_something(&input[used..]) {
            break;
        }
        match request(worker, id, &input[used..], progress) {
            Step::More => break,
            Step::Served(len) => used += len,
            Step::Refused => used = input.len(),
            Step::Upgraded(len) => {
                upgrade::upgraded(worker, id, &mut input[used + len..]);
                return None;
            }
        }
    }
    let begins = worker.shard.now.tick.after(worker.shard.timing.handshake);
    let conn = worker.shard.get_mut(id)?;
    if conn.life() != Life::Http {
        return Some(input.len());
    }
    conn.stop_before(&input[used..], progress, begins);
    Some(used)
}

/// Puts back what is held of requests.
fn keep<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, held: Option<Box<Http>>) {
    let Some(conn) = worker.shard.get_mut(id) else { return };
    let ended = conn.keep_requests(held);
    worker.shard.arm(id);
    if ended {
        respond::http_end(worker, id);
    }
    pending::run(worker);
}

/// Whether requests are served: not while responses pile up that the client doesn't read.
fn serves<N: Net, S: Service>(worker: &Worker<N, S>, id: ConnId) -> bool {
    let serves = |conn: &Conn| conn.life() == Life::Http && !conn.is_above_high_watermark();
    worker.shard.get(id).is_some_and(serves)
}

fn request<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    input: &[u8],
    progress: &mut Progress,
) -> Step {
    if !progress.has_come_on(input) {
        return Step::More;
    }
    let now = worker.shard.now.tick;
    if worker.shard.get(id).is_some_and(|conn| conn.is_late(now)) {
        let refusal = Refusal { status: 408, reason: "the request took too long" };
        return respond::refuse(worker, id, method_of(input), &refusal);
    }
    let max = worker.shard.config.max_head_bytes;
    let head_len = match progress.head_len(input, max) {
        Ok(Some(len)) => len,
        Ok(None) => return Step::More,
        Err(refusal) => return respond::refuse(worker, id, method_of(input), &refusal),
    };
    let mut fields = Fields::new();
    let head = match Head::parse(&input[..head_len], &mut fields) {
        Ok(head) => head,
        Err(refusal) => return respond::refuse(worker, id, method_of(input), &refusal),
    };
    worker.shard.work.charge_head(head_len);
    let step = if is_upgrade(&head) {
        upgrade::upgrade(worker, id, &head, head_len)
    } else {
        plain(worker, id, &head, head_len, input, progress)
    };
    if !matches!(step, Step::More) {
        progress.next();
    }
    step
}

fn plain<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    head: &Head<'_>,
    head_len: usize,
    input: &[u8],
    progress: &mut Progress,
) -> Step {
    let limit = worker.shard.config.max_body_bytes;
    let behind = &input[head_len..];
    let framing = match head.body(limit) {
        Ok(framing) => framing,
        Err(refusal) => return refuse_body(worker, id, head, progress.is_judged(), &refusal),
    };
    let is_judged = progress.is_judged();
    let (len, body) = match progress.body(&framing, head_len, behind, limit) {
        Ok(Some(whole)) => whole,
        Ok(None) => return await_body(worker, id, head, progress),
        Err(refusal) => return refuse_body(worker, id, head, is_judged, &refusal),
    };
    let request = worker.shard.asking.next(id);
    let manner = Manner::of(head);
    let requester = peer_address::requester(worker, id, head);
    worker.shard.asking.begin(requester, true);
    let answer =
        worker.service.request(&mut Context::new(&mut worker.shard, &worker.mailboxes), request, head, body);
    worker.shard.asking.end();
    match answer {
        Answer::Now(response) => respond::respond(worker, id, response, manner),
        Answer::Later { by } => wait(worker, request, progress, (manner, by)),
        Answer::Held { by } => {
            wait(worker, request, progress, (manner, by));
            progress.hold();
        }
        Answer::Stream(ref head) if respond::begin_stream(worker, id, head, manner) => {
            progress.stream(request.serial, manner);
        }
        Answer::Stream(_) => {
            worker.service.abandoned(&mut Context::new(&mut worker.shard, &worker.mailboxes), request);
        }
    }
    // What comes of the call may be the end of an answer that waits: it is found when that was put back.
    if !progress.is_waiting() {
        pending::run(worker);
    }
    Step::Served(head_len + len)
}

/// The answer comes later, unless the service gave it during the call.
fn wait<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    request: RequestId,
    progress: &mut Progress,
    (manner, by): (Manner, Tick),
) {
    let id = request.conn;
    if let Some(response) = worker.shard.left.take_answer(request) {
        return respond::respond(worker, id, response, manner);
    }
    progress.wait(request.serial, manner);
    if let Some(conn) = worker.shard.get_mut(id) {
        conn.await_http(by);
    }
}

/// A body is to come: it is read where the service would take the request. RFC 9110 §10.1.1: a client that expects
/// `100 Continue` holds its body back until it is told to go on.
fn await_body<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    head: &Head<'_>,
    progress: &mut Progress,
) -> Step {
    if !progress.judge() {
        return Step::More;
    }
    if let Some(response) = judge(worker, id, head) {
        return respond::refuse_with(worker, id, head.method, response);
    }
    if head.expects_continue() {
        worker.shard.append(id, true, |out| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
    }
    Step::More
}

/// The service's refusal of a request before its body.
fn judge<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, head: &Head<'_>) -> Option<Response> {
    let request = worker.shard.asking.next(id);
    let requester = peer_address::requester(worker, id, head);
    worker.shard.asking.begin(requester, false);
    let response =
        worker.service.judge(&mut Context::new(&mut worker.shard, &worker.mailboxes), request, head);
    worker.shard.asking.end();
    response
}

/// Refuses a request whose head is good, in the service's words: for its body, unless it would be refused without one.
fn refuse_body<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    head: &Head<'_>,
    is_judged: bool,
    refusal: &Refusal,
) -> Step {
    let judged = if is_judged { None } else { judge(worker, id, head) };
    let response = judged.unwrap_or_else(|| worker.service.refusal(head, refusal));
    respond::refuse_with(worker, id, head.method, response)
}
