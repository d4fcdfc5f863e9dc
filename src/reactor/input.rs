//! Input: reads, and whom the bytes are for.

use std::io;
use std::io::ErrorKind;

use crate::conn::flags::Flag;
use crate::conn::{Conn, Life};
use crate::limits::{LATE_UNITS, READ_ONTO_BYTES_MIN};
use crate::reactor::context::Context;
use crate::reactor::counters::Cause;
use crate::reactor::ending;
use crate::reactor::flush;
use crate::reactor::frames;
use crate::reactor::half_closed;
use crate::reactor::half_read;
use crate::reactor::ids::ConnId;
use crate::reactor::peer_address;
use crate::reactor::pending;
use crate::reactor::request;
use crate::reactor::secure;
use crate::reactor::service::Service;
use crate::reactor::tls::session::{Handshake, Opened};
use crate::reactor::transport::Transport;
use crate::reactor::unserved::StreamEnd;
use crate::reactor::work::parts;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

/// Takes what arrived on a connection that is no WebSocket yet.
fn first_input<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, input: &mut [u8]) {
    if !worker.shard.get(id).is_some_and(Conn::awaits_preface) {
        return request::http_input(worker, id, input);
    }
    let Some(mut rest) = peer_address::preface(worker, id, input) else { return };
    match (rest.is_empty(), worker.shard.is_secure(id)) {
        (true, _) => {}
        (false, true) => open_first_records(worker, id, &mut rest),
        (false, false) => request::http_input(worker, id, &mut rest),
    }
}

/// Reads what has arrived, a turn's share of it. `to_end`: the peer has ended its stream, so that a short read does
/// not mean that there is no more.
pub(crate) fn read<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, to_end: bool) {
    if !secure::awaits_handshake(worker, id) {
        read_on(worker, id, to_end);
    }
}

/// The same for one whose handshake, where it has any before it, may go on.
pub(crate) fn read_on<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, to_end: bool) {
    let mut buffer = worker.io.lend_buffer();
    // Input is served in the order in which it was read.
    while !worker.shard.unserved.has(id)
        && !frames::is_paused(worker, id)
        && read_once(worker, id, &mut buffer, to_end)
    {
        if worker.shard.work.is_spent() {
            worker.list(id);
            break;
        }
    }
    worker.io.return_buffer(buffer);
}

/// Reads once; says whether there may be more to read.
fn read_once<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    buffer: &mut [u8],
    to_end: bool,
) -> bool {
    let is_secure = worker.shard.is_secure(id);
    if !is_secure && let Some(more) = read_onto(worker, id, to_end) {
        return more;
    }
    let Some(mut transport) = worker.transport(id) else { return false };
    let result = transport.read(buffer);
    let more = to_end || result.as_ref().is_ok_and(|read| read.is_full);
    let Some(len) = heard(worker, id, result.map(|read| read.len)) else { return false };
    if is_secure {
        open_records(worker, id, len, buffer);
        return more;
    }
    input(worker, id, &mut buffer[..len]);
    if more && worker.shard.is_secure(id) {
        // Behind a PROXY header TLS has begun: the rest is records.
        worker.list(id);
        return false;
    }
    more
}

/// Takes one read's outcome but for its bytes. Returns how many there are.
fn heard<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    result: io::Result<usize>,
) -> Option<usize> {
    match result {
        Ok(0) => {
            // Over TLS it may be somebody else who ended the stream: what came before was the peer's, and is answered.
            let is_told = worker.shard.tls.as_ref().is_none_or(|tls_state| tls_state.ends_by_its_word(id));
            half_closed::on_end(worker, id, if is_told { Cause::Lost } else { Cause::Reset });
        }
        Ok(len) => {
            on_arrival(worker, id, len);
            return Some(len);
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(_) => ending::remove(worker, id, Cause::Reset),
    }
    None
}

/// Reads behind what has arrived of a big message, where much of it is to come: from the shared buffer it would be
/// copied there. Says whether there may be more to read; `None` where nothing like that is under way.
fn read_onto<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, to_end: bool) -> Option<bool> {
    let message = worker.shard.get_mut(id)?.message_room(READ_ONTO_BYTES_MIN)?;
    let (before, room) = (message.len(), message.capacity() - message.len());
    let socket = worker.io.socket(id)?;
    let result = Transport::new(socket, None, id).read_onto(message);
    let Some(len) = heard(worker, id, result) else { return Some(false) };
    let Some(mut session) = worker.shard.get_mut(id).and_then(Conn::take_session) else {
        return Some(false);
    };
    match session.filled(before) {
        Ok(Some(event)) if frames::reads_frames(worker, id) => frames::act_on(worker, id, &event),
        Ok(_) => {}
        Err(error) => frames::violation(worker, id, error),
    }
    frames::put_back(worker, id, session);
    Some(len == room || to_end)
}

/// Bytes arrived: that is life.
fn on_arrival<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, len: usize) {
    worker.shard.counters().received_bytes.add(len as u64);
    worker.shard.work.charge_read(len);
    let now = worker.shard.now.tick;
    if worker.shard.get_mut(id).is_some_and(|conn| conn.heard(now)) {
        worker.service.suspect(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, false);
        pending::run(worker);
    }
}

fn input<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, bytes: &mut [u8]) {
    match worker.shard.get(id).map(Conn::life) {
        Some(Life::Http) => request_input(worker, id, bytes),
        Some(Life::Open | Life::Closing) => frames::frames(worker, id, bytes),
        Some(Life::Ending | Life::Lingering) | None => {}
    }
}

/// More of a request, or a turn for what waits of earlier input: what is half read then is measured either way.
fn request_input<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, bytes: &mut [u8]) {
    first_input(worker, id, bytes);
    let held = worker.shard.get(id).map_or(0, Conn::half_read_bytes);
    if worker.shard.half_read.concerns(held) {
        half_read::measure_memory(worker, id);
    }
}

/// Goes on with a connection that had more to read than its share, or that was paused.
pub(crate) fn resume<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    if worker.shard.get(id).is_some_and(Conn::holds_request) {
        request_input(worker, id, &mut []);
    }
    if worker.shard.unserved.has(id) && !frames::is_paused(worker, id) {
        let mut rest = worker.shard.unserved.take(id);
        let used = frames::serve_frames(worker, id, &mut rest);
        if used < rest.len() {
            rest.drain(..used);
            frames::put_off(worker, id, rest);
        }
    }
    if !half_closed::has_unserved(worker, id)
        && let Some(end) = worker.shard.unserved.take_end(id)
    {
        return half_closed::ends(worker, id, end);
    }
    if worker.shard.work.is_spent() {
        return worker.list(id);
    }
    // The end of the stream may have been told while nothing was read.
    read(worker, id, true);
}

/// Reads for a deadline that is due: the server may be what was late. Says whether that makes the deadline void, since
/// what came is yet to be served.
pub(crate) fn read_late<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) -> bool {
    worker.shard.work.begin_with(parts(LATE_UNITS));
    read(worker, id, false);
    let spent = worker.served(id);
    worker.budget.read_late(spent);
    let listed = |conn: &Conn| conn.has(Flag::Listed);
    half_closed::has_unserved(worker, id) || worker.shard.get(id).is_some_and(listed)
}

/// Opens the first `len` bytes of records that were read, and serves what they hold; `plain` is where that is put.
fn open_records<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, len: usize, plain: &mut [u8]) {
    if secure::opens_records(worker, id)
        && let Some(tls_state) = &mut worker.shard.tls
    {
        let opened = tls_state.open_read(id, len, plain);
        serve_opened(worker, id, len, opened, plain);
    }
}

/// The same for the first records of a connection, which stand behind a PROXY header.
fn open_first_records<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, records: &mut [u8]) {
    if secure::opens_records(worker, id)
        && let Some(tls_state) = &mut worker.shard.tls
    {
        // Nothing that comes before the end of a handshake holds bytes for the connection.
        let opened = tls_state.open(id, records, &mut []);
        serve_opened(worker, id, records.len(), opened, &mut []);
    }
}

/// Serves what records were opened to, and what TLS has to say beside it.
fn serve_opened<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    read: usize,
    opened: Opened,
    plain: &mut [u8],
) {
    if opened.is_foreign {
        ending::detach(worker, id, false);
        return request::not_tls(worker, id);
    }
    worker.shard.work.charge_records(opened.records, read);
    let counters = worker.shard.counters();
    match opened.handshake {
        Some(Handshake::Full) => counters.tls_full.add(1),
        Some(Handshake::Resumed) => counters.tls_resumed.add(1),
        Some(Handshake::Failed) => counters.tls_failed.add(1),
        None => {}
    }
    flush::emit(worker, id);
    if opened.len > 0 {
        input(worker, id, &mut plain[..opened.len]);
    }
    match opened.failure {
        Some(failure) => half_closed::ends(worker, id, StreamEnd::Broken(failure)),
        None if opened.has_ended => half_closed::ends(worker, id, StreamEnd::Told),
        None => {}
    }
}
