//! The upgrade that makes a connection a WebSocket: whether it may, and what it is from then on.

use crate::conn::Conn;
use crate::conn::http::Manner;
use crate::conn::timing::Timing;
use crate::reactor::config::{Deflate, HeartbeatMode};
use crate::reactor::context::{Context, TAG_MAX};
use crate::reactor::frames;
use crate::reactor::half_closed;
use crate::reactor::ids::ConnId;
use crate::reactor::peer_address;
use crate::reactor::pending;
use crate::reactor::respond::{self, Step};
use crate::reactor::service::{Accept, Admission, Service};
use crate::reactor::terms::with_terms;
use crate::reactor::unserved::StreamEnd;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;
use crate::wire::deflate::offer::{self, Agreement, Mode};
use crate::wire::http::{Head, Refusal};
use crate::wire::upgrade::{self, Upgrade};

const NO_TERMS_LEFT: Refusal =
    Refusal { status: 503, reason: "this worker has too many kinds of connections already" };

/// The first heartbeat of a connection that has just opened.
fn first_beat<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId) {
    let Some(tag) = worker.shard.get(id).map(Conn::tag) else { return };
    let Timing { interval, round, mode, .. } = *worker.shard.terms.timing(tag, &worker.shard.timing);
    let half = interval / 2;
    let at = round.from(worker.shard.now.tick.after(half + worker.shard.random.below(half + 1)));
    if let Some(conn) = worker.shard.get_mut(id) {
        conn.begin_heartbeat((mode != HeartbeatMode::Client).then_some(at));
    }
    worker.shard.arm(id);
}

/// A request that asks to become a WebSocket.
pub(crate) fn upgrade<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    head: &Head<'_>,
    head_len: usize,
) -> Step {
    let upgrade = match Upgrade::check(head) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return respond::refuse(worker, id, head.method, &refusal),
    };
    let reject_reason = peer_address::behind_proxy(worker, id, head);
    if let Some(overload) = worker.shard.overload(reject_reason) {
        let response = worker.shard.refusal(overload);
        respond::respond(worker, id, response, Manner::last(head.method));
        return Step::Refused;
    }
    let deflate = match agree(worker, &upgrade) {
        Ok(deflate) => deflate,
        Err(refusal) => return respond::refuse(worker, id, head.method, &refusal),
    };
    if worker.shard.config.requester_at_upgrade {
        let requester = peer_address::requester(worker, id, head);
        worker.shard.asking.begin(requester, false);
    }
    let admission =
        worker.service.admit(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, &upgrade);
    worker.shard.asking.end();
    match admission {
        Admission::Refuse(response) => respond::refuse_with(worker, id, head.method, response),
        Admission::Accept(accept) => {
            let shard = &mut worker.shard;
            let Some(terms) = shard.terms.number(accept.terms, shard.timing, shard.id) else {
                return respond::refuse(worker, id, head.method, &NO_TERMS_LEFT);
            };
            open(worker, id, (upgrade.key, terms), accept, deflate);
            Step::Upgraded(head_len)
        }
    }
}

/// The input behind an upgrade: frames, and the end of the stream where that was seen while a request before the upgrade
/// was waited for.
pub(crate) fn upgraded<N: Net, S: Service>(worker: &mut Worker<N, S>, id: ConnId, rest: &mut [u8]) {
    let has_ended = worker.shard.get_mut(id).is_some_and(Conn::take_end);
    frames::frames(worker, id, rest);
    if has_ended {
        half_closed::ends(worker, id, StreamEnd::Told);
    }
}

/// The agreement about compression, and the answer's words for it.
fn agree<N: Net, S: Service>(
    worker: &Worker<N, S>,
    upgrade: &Upgrade<'_>,
) -> Result<Option<(Agreement, String)>, Refusal> {
    let mode = match worker.shard.config.deflate {
        Deflate::Off => return Ok(None),
        Deflate::Shared => Mode::Shared,
        Deflate::PerConnection => Mode::PerConnection,
    };
    offer::accept(upgrade.head.values("Sec-WebSocket-Extensions"), mode)
        .map_err(|_| Refusal { status: 400, reason: "Sec-WebSocket-Extensions is no list of extensions" })
}

fn open<N: Net, S: Service>(
    worker: &mut Worker<N, S>,
    id: ConnId,
    (key, terms): (&str, u8),
    accept: Accept<S::Admitted>,
    deflate: Option<(Agreement, String)>,
) {
    let Some(conn) = worker.shard.get_mut(id) else { return };
    let (agreement, extensions) = deflate.unzip();
    conn.open(with_terms(conn.tag(), terms) & !TAG_MAX | accept.tag & TAG_MAX, agreement);
    let (subprotocol, extensions) = (accept.subprotocol.as_deref(), extensions.as_deref());
    worker.shard.append(id, true, |out| upgrade::write_accept(key, subprotocol, extensions, out));
    let counters = worker.shard.counters();
    counters.upgrades.add(1);
    counters.open.add(1);
    worker.shard.introduced.forget(id);
    first_beat(worker, id);
    worker.service.open(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, accept.admitted);
    pending::run(worker);
}
