//! Descriptors that services own beside their connections: pipes to processes, and the like. The service reads and writes them, and
//! bounds how many there are; the worker only tells it when they are ready, as edges, in the same poll as its sockets.
//!
//! A service that has more to read than is fair keeps a list of its own, and goes on in its [`tick`](crate::reactor::Service::tick).

pub mod ids;
pub(crate) mod unwatched;

use crate::reactor::context::Context;
use crate::reactor::service::Service;
use crate::reactor::watches::ids::{Readiness, WatchId};
use crate::reactor::watches::unwatched::Unwatched;
use crate::reactor::worker::Worker;
use crate::sys::net::{Net, Ready};

/// Watches a descriptor from now on.
pub(crate) fn watch<N: Net, S: Service>(worker: &mut Worker<N, S>, unwatched: &Unwatched) {
    if worker.net.watch(unwatched.descriptor.as_fd(), unwatched.id.token()).is_err() {
        tell(worker, unwatched.id, Readiness { failed: true, ..Readiness::default() });
    }
}

/// A descriptor is ready.
#[cold]
pub(crate) fn on_ready<N: Net, S: Service>(worker: &mut Worker<N, S>, event: Ready) {
    let readiness =
        Readiness { readable: event.readable || event.read_closed, writable: event.writable, failed: false };
    tell(worker, WatchId::of_token(event.token), readiness);
}

fn tell<N: Net, S: Service>(worker: &mut Worker<N, S>, id: WatchId, readiness: Readiness) {
    worker.service.ready(&mut Context::new(&mut worker.shard, &worker.mailboxes), id, readiness);
    worker.calls.recall(worker.shard.now.tick);
}
