//! Answers to requests: at once, later, or that the time was up.

use std::time::Duration;

use crate::conn::http::Manner;
use crate::conn::requests::RequestDue;
use crate::conn::{AtEnd, Conn};
use crate::limits::STREAM_USER_TIMEOUT_MILLIS;
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::ids::{ConnId, RequestId};
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::{Net, Socket};
use crate::wire::http::{Fields, Head, LAST_CHUNK, Refusal, Response, write_piece};

pub(crate) fn respond<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    mut response: Response,
    manner: Manner,
) {
    let draining = worker.shard.shared.is_draining();
    let now = worker.shard.now.tick;
    let timing = worker.shard.timing;
    let Some(conn) = worker.shard.get_mut(id) else { return };
    // When the client has ended its stream, requests that came before are still answered.
    let keep_alive = manner.keep_alive && !draining;
    conn.answered(keep_alive, now.after(if keep_alive { timing.keep_alive } else { timing.close }));
    if keep_alive && manner.old {
        response = response.with("Connection", "keep-alive");
    }
    worker.shard.append(id, true, |out| response.write(manner.head_only, keep_alive, out));
    worker.shard.work.charge_answer(response.body.len());
    worker.shard.counters().requests.add(1);
    worker.shard.arm(id);
}

pub(crate) fn refuse<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    method: &str,
    refusal: &Refusal,
) -> Step {
    refuse_with(worker, id, method, Response::refusal(refusal))
}

/// Answers what came in the place of a request, and ends the connection.
pub(crate) fn reject<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, refusal: &Refusal) {
    refuse(worker, id, "", refusal);
}

/// Answers and ends the connection: nothing behind a refused request is ever read as another one.
pub(crate) fn refuse_with<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    method: &str,
    response: Response,
) -> Step {
    worker.shard.counters().refuse(response.status);
    respond(worker, id, response, Manner::last(method));
    Step::Refused
}

/// The outcome of reading a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It is not complete.
    More,
    /// Served from the first so many bytes.
    Served(usize),
    /// The connection is a WebSocket from that byte on.
    Upgraded(usize),
    /// Refused: nothing of the input is a request any more.
    Refused,
}

/// The method of a request that may not be whole, or no request at all.
pub(crate) fn method_of(input: &[u8]) -> &'static str {
    if input.starts_with(b"HEAD ") { "HEAD" } else { "" }
}

/// An answer that came later.
pub(crate) fn answer<N: Net, S: Service>(worker: &mut Worker<N, S>, request: RequestId, response: Response) {
    let id = request.conn;
    let waiting = worker.shard.get_mut(id).and_then(|conn| conn.take_waiting(request.serial));
    let Some(manner) = waiting else { return };
    respond(worker, id, response, manner);
    // Input behind the request is served in the next turn.
    worker.list(id);
}

/// The head of an answer in pieces. Says whether more follows, which it does not to a request with HEAD.
pub(crate) fn begin_stream<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    head: &Response,
    manner: Manner,
) -> bool {
    // RFC 9112 §6.1: a client of HTTP/1.0 knows no chunks.
    let keep_alive = manner.keep_alive && !manner.old && !worker.shard.shared.is_draining();
    let now = worker.shard.now.tick;
    let Some(conn) = worker.shard.get_mut(id) else { return false };
    conn.begin_stream(now);
    if let Some(socket) = worker.io.socket(id) {
        socket.expect_acknowledgement(Duration::from_millis(STREAM_USER_TIMEOUT_MILLIS));
    }
    worker.shard.append(id, true, |out| {
        head.write_stream(!manner.old, keep_alive, out);
        if !manner.head_only {
            write_piece(!manner.old, &head.body, out);
        }
    });
    worker.shard.work.charge_answer(head.body.len());
    worker.shard.counters().requests.add(1);
    if manner.head_only {
        finish_answer(worker, id, keep_alive);
    }
    !manner.head_only
}

/// An answer in pieces is whole.
pub(crate) fn end_stream<N: Net, S: Service>(worker: &mut Worker<N, S>, request: RequestId) {
    let id = request.conn;
    let streamed = worker.shard.get_mut(id).and_then(|conn| conn.end_stream(request.serial));
    let Some(manner) = streamed else { return };
    if !manner.old {
        worker.shard.append(id, true, |out| out.extend_from_slice(LAST_CHUNK));
    }
    let keep_alive = manner.keep_alive && !manner.old && !worker.shard.shared.is_draining();
    finish_answer(worker, id, keep_alive);
    worker.list(id);
}

/// All of an answer is queued.
fn finish_answer<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, keep_alive: bool) {
    let (now, timing) = (worker.shard.now.tick, worker.shard.timing);
    if let Some(conn) = worker.shard.get_mut(id) {
        conn.answered(keep_alive, now.after(if keep_alive { timing.keep_alive } else { timing.close }));
    }
    worker.shard.arm(id);
}

/// A request, its answer or the next request has been waited for long enough.
pub(crate) fn request_due<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let asked_at = worker.calls.called();
    if worker.shard.pauses.has(id) {
        worker.shard.excuse_request(id);
        // Its answer is late nevertheless.
        if !worker.shard.get(id).is_some_and(Conn::awaits_answer) {
            return;
        }
    }
    let Some(conn) = worker.shard.get_mut(id) else { return };
    match conn.request_due(asked_at) {
        RequestDue::Nothing => {}
        RequestDue::Gone => ending::remove(worker, id, Cause::Timeout),
        RequestDue::Unanswered(manner, serial) => {
            let request = RequestId { conn: id, serial };
            worker.service.abandoned(&mut Context::new(&mut worker.shard, &worker.mailboxes), request);
            let response = Response::text(503, "the answer took too long").with("Retry-After", "1");
            respond(worker, id, response, manner);
            worker.list(id);
        }
        RequestDue::Half => {
            let method = method_of(conn.request_bytes());
            refuse(worker, id, method, &Refusal { status: 408, reason: "the request took too long" });
        }
    }
}

/// Refuses a request of which not all has come, in the service's words where its head has, and ends the connection: the client
/// may come back with it.
pub(crate) fn refuse_half<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, refusal: &Refusal) {
    let Some(Some(http)) = worker.shard.get_mut(id).and_then(Conn::take_requests) else { return };
    let mut fields = Fields::new();
    let response = match Head::parse(http.judged_head(), &mut fields) {
        Ok(head) => worker.service.refusal(&head, refusal),
        Err(_) => Response::refusal(refusal),
    };
    let has_time = response.fields.iter().any(|(name, _)| *name == "Retry-After");
    let seconds = worker.shard.retry_millis().div_ceil(1000);
    let response = if has_time { response } else { response.with("Retry-After", seconds.to_string()) };
    refuse_with(worker, id, method_of(http.bytes()), response);
}

/// The client has ended its stream: what it asked for is still answered.
pub(crate) fn http_end<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let now = worker.shard.now.tick;
    let end = now.after(worker.shard.timing.close);
    let Some(conn) = worker.shard.get_mut(id) else { return };
    match conn.end_requests(now, end) {
        AtEnd::Gone => ending::remove(worker, id, Cause::Closed),
        AtEnd::Answers | AtEnd::Writes => worker.shard.arm(id),
    }
}
