//! Frames: what a connection that is open has sent, and what each of them brings about.

use std::time::Duration;

use crate::conn::Conn;
use crate::conn::flags::Flag;
use crate::reactor::closing;
use crate::reactor::context::Context;
use crate::reactor::counters::{Cause, Deferred};
use crate::reactor::half_read;
use crate::reactor::ids::ConnId;
use crate::reactor::pending;
use crate::reactor::service::Service;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::close::Close;
use crate::wire::error::ProtocolError;
use crate::wire::session::{Session, SessionEvent};

/// Frames, unmasked in place; each message goes to the service as the slice it lies in. Input beyond the connection's
/// share of the turn waits for the next.
pub(crate) fn frames<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, bytes: &mut [u8]) {
    let used = serve_frames(worker, id, bytes);
    if used < bytes.len() {
        put_off(worker, id, bytes[used..].to_vec());
    }
}

/// Serves frames from the front of `bytes`; returns how many bytes are done with.
pub(crate) fn serve_frames<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    bytes: &mut [u8],
) -> usize {
    let Some(conn) = worker.shard.get_mut(id) else { return bytes.len() };
    let Some(mut session) = conn.take_session() else { return bytes.len() };
    let (deflate, tag) = (conn.agreement(), conn.tag());
    let limits = worker.shard.terms.messages(tag, &worker.shard.config);
    let mut used = 0;
    while used < bytes.len()
        && reads_frames(worker, id)
        && !worker.shard.work.is_spent()
        && !worker.shard.pauses.has(id)
    {
        let rest = &mut bytes[used..];
        let read = match deflate {
            None => session.read(&limits, None, rest),
            Some(deflate) => {
                let share = worker.shard.work.inflatable();
                let mut left = share;
                let mut decoder = worker.shard.deflate.decoder(id, deflate, &mut left);
                let read = session.read(&limits, Some(&mut decoder), rest);
                worker.shard.work.charge_inflated(share - left);
                read
            }
        };
        match read {
            Ok((len, event)) => {
                used += len;
                match event {
                    Some(event) => act_on(worker, id, &event),
                    None => break,
                }
            }
            Err(error) => {
                violation(worker, id, error);
                used = bytes.len();
                break;
            }
        }
    }
    if deflate.is_some() {
        worker.shard.deflate.release(id);
    }
    put_back(worker, id, session);
    if used < bytes.len() && !reads_frames(worker, id) {
        used = bytes.len();
    }
    used
}

/// Keeps input that the connection's share of this turn was not enough for, and goes on with it in the next.
pub(crate) fn put_off<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, rest: Vec<u8>) {
    worker.shard.unserved.keep(id, rest);
    worker.shard.counters().deferred[Deferred::Input as usize].add(1);
    worker.list(id);
    half_read::measure_memory(worker, id);
}

/// Once a backlog has piled up, what lies in the buffer is still served; the next read waits.
pub(crate) fn reads_frames<N: Net, S: Service>(worker: &Worker<N, S>, id: ConnId) -> bool {
    worker.shard.get(id).is_some_and(Conn::reads_frames)
}

#[inline]
pub(crate) fn put_back<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, session: Session) {
    let now = worker.shard.now.tick;
    let Some(conn) = worker.shard.get_mut(id) else { return };
    let begins = conn.keep_session(session, now);
    let held = conn.half_read_bytes();
    if begins {
        worker.shard.arm(id);
    }
    if worker.shard.half_read.concerns(held) {
        half_read::measure_memory(worker, id);
    }
}

/// Acts on what was read.
pub(crate) fn act_on<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, event: &SessionEvent<'_>) {
    let open = worker.shard.get(id).is_some_and(Conn::is_open);
    match *event {
        SessionEvent::Message(kind, payload) if open => {
            worker.shard.work.charge_frame(payload.len());
            worker.shard.counters().messages_received.add(1);
            worker.service.message(
                &mut Context::new(&mut worker.shard, &worker.mailboxes),
                id,
                kind,
                payload,
            );
            pending::run(worker);
        }
        SessionEvent::Ping(payload) if open => {
            worker.shard.work.charge_frame(0);
            worker.shard.pong(id, payload);
            // No service is called, but a flood of Pings fills the arena as messages do.
            pending::run(worker);
        }
        SessionEvent::Pong(payload) if open => {
            worker.shard.work.charge_frame(0);
            pong(worker, id, payload);
        }
        SessionEvent::Close(ref close) => closing::closed_by_peer(worker, id, close),
        // RFC 6455 §5.5.1: after its own Close an endpoint may drop what still comes.
        SessionEvent::Message(_, payload) | SessionEvent::Ping(payload) | SessionEvent::Pong(payload) => {
            worker.shard.work.charge_frame(payload.len());
        }
    }
}

/// A Pong with the timestamp of our last Ping gives the round-trip time; any other is life and nothing more.
fn pong<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, payload: &[u8]) {
    worker.shard.counters().pongs_received.add(1);
    let now = worker.shard.now.micros;
    let sent = <[u8; 8]>::try_from(payload).map(u64::from_be_bytes);
    let Some(conn) = worker.shard.get_mut(id).filter(|conn| conn.has(Flag::AwaitsPong)) else {
        return;
    };
    let Some(micros) = sent.ok().and_then(|sent| now.checked_sub(sent)) else { return };
    conn.ponged();
    worker.shard.counters().round_trip.record(micros);
    worker.service.pong(
        &mut Context::new(&mut worker.shard, &worker.mailboxes),
        id,
        Duration::from_micros(micros),
    );
    pending::run(worker);
}

pub(crate) fn violation<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, error: ProtocolError) {
    closing::end(worker, id, &Close::new(error.close_code(), error.reason()), Cause::Protocol);
}

/// Whether the connection must not be read now; see [`Conn::pauses`].
pub(crate) fn is_paused<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) -> bool {
    worker.shard.pauses.has(id) || worker.shard.get_mut(id).is_none_or(Conn::pauses)
}
