//! Follows every call of the service: connections that it ended, answers that it gave, and much that it sent.

pub(crate) mod left;

use crate::reactor::ending;
use crate::reactor::flush;
use crate::reactor::respond;
use crate::reactor::service::Service;
use crate::reactor::watches;
use crate::reactor::worker::Worker;
use crate::sys::net::Net;

/// Follows every call of the service: tells it which connections ended, writes answers, and makes room where a lot
/// was sent.
#[inline]
pub(crate) fn run<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    // It is asked after every message, and there is hardly ever anything.
    if worker.shard.arena.is_flush_requested() || !worker.shard.left.is_empty() {
        run_all(worker);
    }
}

fn run_all<N: Net, S: Service>(worker: &mut Worker<N, S>) {
    while let Some((id, cause)) = worker.shard.left.next_gone() {
        ending::tell_gone(worker, id, cause);
    }
    while let Some((request, response)) = worker.shard.left.next_answer() {
        match response {
            Some(response) => respond::answer(worker, request, response),
            None => respond::end_stream(worker, request),
        }
    }
    while let Some(unwatched) = worker.shard.left.next_unwatched() {
        watches::watch(worker, &unwatched);
    }
    if worker.shard.arena.is_flush_requested() {
        flush::flush(worker);
    }
}
