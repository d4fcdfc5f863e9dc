//! Descriptors that services watch beside their connections: told to the service that watches them, once, and of no use to others.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::{
    Admission, Config, ConnId, Context, Mount, Mounted, Readiness, Service, Shared, WATCH_NUMBER_MAX,
    WatchId, Worker, WorkerId,
};
use rollcall::internals::sys::epoll::Epoll;
use rollcall::internals::sys::net::{Net, Ready};
use rollcall::internals::time::Tick;
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;

use super::kit::{config, upgrade_request};
use super::script::{Script, mailboxes};

/// Watches the descriptors that it has, and notes what it is told of them.
#[derive(Debug, Default)]
struct Watcher {
    fds: Vec<(OwnedFd, u64)>,
    told: Vec<(u64, Readiness)>,
}

impl Watcher {
    fn of(number: u64) -> Watcher {
        let (fd, _) = UnixStream::pair().unwrap();
        Watcher { fds: vec![(fd.into(), number)], ..Watcher::default() }
    }
}

impl Service for Watcher {
    type Mail = ();
    type Admitted = ();

    fn admit(&mut self, cx: &mut Context<'_, ()>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        self.fds.drain(..).for_each(|(fd, number)| cx.watch(fd, number));
        Admission::accept(())
    }

    fn message(&mut self, _: &mut Context<'_, ()>, _: ConnId, _: Kind, _: &[u8]) {}

    fn ready(&mut self, _: &mut Context<'_, ()>, watched: WatchId, readiness: Readiness) {
        self.told.push((watched.number, readiness));
    }

    /// Has its descriptors watched without a connection.
    fn tick(&mut self, cx: &mut Context<'_, ()>) -> Option<Tick> {
        if self.fds.first().is_some_and(|(_, number)| *number == 77) {
            self.fds.drain(..).for_each(|(fd, number)| cx.watch(fd, number));
        }
        None
    }
}

type Three = Mounted<Mounted<Watcher, Watcher>, Watcher>;

/// Three services beside each other, each of which has had a connection and watches a descriptor.
fn three(script: &Script, numbers: [u64; 3]) -> Worker<Script, Three> {
    let [rest, a, b] = numbers.map(Watcher::of);
    let config = config();
    let shared = Arc::new(Shared::new(1, config.max_connections, config.first_tick));
    let service = rest.mount("/a", a).mount("/b", b);
    let mailboxes: Mailboxes<<Three as Service>::Mail> = mailboxes(1);
    let mut worker = script.worker_of(WorkerId(0), &config, &shared, &mailboxes, service);
    for path in ["/", "/a", "/b"] {
        let id = script.connect();
        script.arrive(id, &upgrade_request(path));
        script.settle(&mut worker);
    }
    worker
}

fn told(worker: &mut Worker<Script, Three>) -> [Vec<(u64, Readiness)>; 3] {
    let service = worker.service();
    [service.rest().rest(), service.rest().service(), service.service()].map(|watcher| watcher.told.clone())
}

#[test]
fn each_service_is_told_of_its_own() {
    let script = Script::new(super::kit::FIRST);
    // The same number in two of them, and the largest that there is.
    let mut worker = three(&script, [5, 5, WATCH_NUMBER_MAX]);
    let tokens = script.watched();
    assert_eq!(tokens.len(), 3);
    assert!(tokens.iter().all(|token| *token != Ready::BELL && token & Ready::WATCHED != 0));
    let readable = Readiness { readable: true, ..Readiness::default() };
    script.tell_token(tokens[1], Ready { readable: true, ..Ready::default() });
    script.settle(&mut worker);
    assert_eq!(told(&mut worker), [vec![], vec![(5, readable)], vec![]]);
    script.tell_token(tokens[0], Ready { writable: true, ..Ready::default() });
    script.tell_token(tokens[2], Ready { read_closed: true, ..Ready::default() });
    script.settle(&mut worker);
    let writable = Readiness { writable: true, ..Readiness::default() };
    assert_eq!(
        told(&mut worker),
        [vec![(5, writable)], vec![(5, readable)], vec![(WATCH_NUMBER_MAX, readable)]]
    );
}

#[test]
fn one_that_can_not_be_watched_is_told_as_failed() {
    let script = Script::new(super::kit::FIRST);
    let (mut worker, _) = script.worker(&config(), Watcher::of(77));
    script.refuse_register();
    script.settle(&mut worker);
    let failed = Readiness { failed: true, ..Readiness::default() };
    assert_eq!(worker.service().told, [(77, failed)]);
}

#[test]
fn connections_never_have_the_token_of_a_descriptor() {
    let script = Script::new(super::kit::FIRST);
    let mut worker = three(&script, [1, 2, 3]);
    for _ in 0..100 {
        let id = script.connect();
        script.settle(&mut worker);
        assert_eq!(script.peer(id, |peer| peer.token.unwrap()) & Ready::WATCHED, 0);
        script.end(id);
        script.settle(&mut worker);
    }
}

#[test]
fn the_real_poll_tells_what_is_there_already_and_what_comes_later() {
    let config = Config::default();
    let shared = Arc::new(Shared::new(1, 10, config.first_tick));
    let mailboxes: Mailboxes<()> = mailboxes(1);
    let net = Epoll::new(Vec::new(), mailboxes[0].waker(), shared.clock()).unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"early").unwrap();
    let service = Watcher { fds: vec![(ours.try_clone().unwrap().into(), 77)], ..Watcher::default() };
    let mut worker = Worker::new(WorkerId(0), &config, shared, mailboxes, net, service, 1);
    let _ = worker.net().now();
    let mut turns = |least: usize| {
        let began = std::time::Instant::now();
        while worker.service().told.iter().filter(|(_, readiness)| readiness.readable).count() < least {
            assert!(began.elapsed() < crate::bounds::PATIENCE);
            worker.turn().unwrap();
        }
    };
    turns(1);
    let _ = Duration::ZERO;
    theirs.write_all(b"late").unwrap();
    turns(2);
}
