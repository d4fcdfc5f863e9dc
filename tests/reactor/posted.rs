//! Mail from threads that are no workers.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rollcall::internals::limits::MAILBOX_MAX;
use rollcall::internals::reactor::{
    Accept, Admission, Config, ConnId, Context, Latency, PostError, Server, Service, Shared, WorkerId,
};
use rollcall::internals::wire::close::Close;
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;

use crate::bounds::PATIENCE;

/// The numbers that came, and from whom.
type Noted = Arc<Mutex<Vec<(Option<WorkerId>, u64)>>>;

/// Notes the mail that it gets.
struct Post(Noted, Arc<AtomicU64>);

#[derive(Debug, PartialEq, Eq)]
struct Number(u64);

impl rollcall::internals::reactor::Mail for Number {
    fn bytes(&self) -> usize {
        0
    }
}

impl Service for Post {
    type Mail = Number;
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, Number>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Accept::default())
    }

    fn message(&mut self, cx: &mut Context<'_, Number>, conn: ConnId, _: Kind, _: &[u8]) {
        cx.close(conn, &Close::default());
    }

    fn mail(&mut self, cx: &mut Context<'_, Number>, from: Option<WorkerId>, Number(n): Number) {
        assert_eq!(n % cx.shared().workers().len() as u64, u64::from(cx.worker().0));
        self.0.lock().unwrap().push((from, n));
        self.1.fetch_add(1, SeqCst);
    }
}

#[test]
fn any_thread_posts_to_a_worker_and_wakes_it() {
    for workers in [1, 3] {
        let (noted, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let seen = (noted.clone(), count.clone());
        let make = move |_: WorkerId, _: &Arc<Shared>| Post(seen.0.clone(), seen.1.clone());
        let config = Config { workers, ..Config::default() };
        let server = Server::start(config, &["127.0.0.1:0".parse().unwrap()], make).unwrap();
        let handle = server.handle();
        let threads: Vec<_> = (0..2)
            .map(|thread| {
                let handle = handle.clone();
                std::thread::spawn(move || {
                    for n in (0..1_000).filter(|n| n % 2 == thread) {
                        let to = WorkerId(u16::try_from(n % workers as u64).unwrap());
                        handle.post(to, Number(n), Latency::Now).unwrap();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let until = Instant::now() + PATIENCE;
        while count.load(SeqCst) < 1_000 && Instant::now() < until {
            std::thread::yield_now();
        }
        let mut noted = noted.lock().unwrap().clone();
        noted.sort_by_key(|(_, n)| *n);
        assert!(noted.into_iter().eq((0..1_000).map(|n| (None, n))));
        assert_eq!(handle.post(WorkerId(9), Number(1), Latency::Now), Err(PostError::NoWorker(Number(1))));
        assert_eq!(handle.post(WorkerId(0), (), Latency::Now), Err(PostError::Foreign(())));
    }
}

#[test]
fn a_mailbox_that_is_full_says_so_to_other_threads_too() {
    let (noted, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let seen = (noted.clone(), count.clone());
    let make = move |_: WorkerId, _: &Arc<Shared>| Post(seen.0.clone(), seen.1.clone());
    let server = Server::start(Config::default(), &["127.0.0.1:0".parse().unwrap()], make).unwrap();
    let handle = server.handle();
    // The worker stands still at the first letter that it notes.
    let stopped = noted.lock().unwrap();
    let mut posted = 0;
    let refused = loop {
        match handle.post(WorkerId(0), Number(7), Latency::Now) {
            Ok(()) => posted += 1,
            Err(error) => break error,
        }
        assert!(posted <= 2 * MAILBOX_MAX as u64);
    };
    assert_eq!(refused, PostError::Full(Number(7)));
    assert!(posted >= MAILBOX_MAX as u64);
    drop(stopped);
    let until = Instant::now() + PATIENCE;
    while count.load(SeqCst) < posted && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(count.load(SeqCst), posted);
}
