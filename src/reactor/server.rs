//! Starting the workers, draining and ending them.
//!
//! The order matters where each worker has a descriptor table of its own: the bells exist before any thread, so that they
//! have the same number in every table; all workers have their tables before the first of them opens anything, so that
//! no table holds a copy of another worker's socket; and the bells' owner, the mailboxes, is dropped by who made it.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};
use tracing::warn;

use crate::limits::WORKERS_MAX;
use crate::reactor::config::{Config, FdTables};
use crate::reactor::ids::WorkerId;
pub use crate::reactor::listen::{Listen, StartError};
use crate::reactor::live::Limits;
use crate::reactor::mail::{Mail, Mailboxes, Post as _};
use crate::reactor::mailbox::{Latency, Mailbox};
use crate::reactor::service::Service;
use crate::reactor::shared::Shared;
use crate::reactor::worker::{Turned, Worker};
use crate::sys::epoll::{Epoll, listen, probe};
use crate::sys::process::{block_signals, unshare_descriptors};
use crate::sys::unix::UnixSocket;

/// A handle for any thread to a running server.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    ring: Arc<dyn Fn() + Send + Sync>,
    /// `Mailboxes<M>`, for the mail `M` of the server's services.
    mailboxes: Arc<dyn Any + Send + Sync>,
}

/// Why mail was not posted; it comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PostError<M> {
    /// The worker's mailbox has no room for it, by messages or by bytes: it is behind. Try again later, or drop it.
    Full(M),
    /// There is no such worker.
    NoWorker(M),
    /// The server's services have mail of another kind.
    Foreign(M),
}

impl Handle {
    /// Begins to go away: accepts what is queued, then nobody; closes every connection with 1001 over the drain window.
    pub fn drain(&self) {
        self.shared.begin_drain();
        (self.ring)();
    }

    /// Changes limits of all workers at once. Nobody is dropped for it.
    pub fn change(&self, limits: Limits) {
        self.shared.change(limits);
        (self.ring)();
    }

    /// Ends every worker after its present turn, whatever is still open.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
        (self.ring)();
    }

    /// Posts mail to the service of a worker from any thread, and wakes it: [`Service::mail`] is called with it. Services that are
    /// [mounted](crate::reactor::Mount) beside each other have the mail [`Part`](crate::reactor::Part).
    ///
    /// # Errors
    /// See [`PostError`].
    pub fn post<M: Mail>(&self, to: WorkerId, mail: M, latency: Latency) -> Result<(), PostError<M>> {
        let Some(mailboxes) = self.mailboxes.downcast_ref::<Mailboxes<M>>() else {
            return Err(PostError::Foreign(mail));
        };
        let Some(mailbox) = mailboxes.get(to.index()) else { return Err(PostError::NoWorker(mail)) };
        mailboxes.post(None, to, mail, latency).map_err(PostError::Full)?;
        mailbox.wake();
        Ok(())
    }

    /// The state that all workers share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// A running server: its worker threads. Dropping it ends them without a drain.
///
/// Call [`Server::start`] or [`Server::start_on`]; take a [`Server::handle`] to where signals or orders come from; then call
/// [`Server::join`], which returns once [`Handle::drain`] was called and is over, or after [`Handle::stop`].
#[derive(Debug)]
pub struct Server {
    handle: Handle,
    listening: Vec<Listen>,
    addresses: Vec<SocketAddr>,
    private_tables: bool,
    threads: Vec<JoinHandle<()>>,
    ended: Receiver<(WorkerId, bool)>,
    /// Closed last, and by who opened them.
    _sockets: Arc<[UnixSocket]>,
}

impl Server {
    /// [`Server::start_on`] for TCP alone.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start<S: Service + 'static>(
        config: Config,
        listen: &[SocketAddr],
        make: impl Fn(WorkerId, &Arc<Shared>) -> S + Send + Sync + 'static,
    ) -> Result<Server, StartError> {
        Server::start_on(config, listen.iter().copied().map(Listen::Tcp).collect(), make)
    }

    /// Listens everywhere (at most 255 places) and starts the workers, each with the service
    /// that `make` gives for it. Returns when all of them accept connections.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start_on<S: Service + 'static>(
        config: Config,
        listening: Vec<Listen>,
        make: impl Fn(WorkerId, &Arc<Shared>) -> S + Send + Sync + 'static,
    ) -> Result<Server, StartError> {
        for place in &listening {
            if let Some(address) = place.address().filter(|address| address.port() != 0) {
                probe(address).map_err(|error| StartError::listening(place, error))?;
            }
        }
        let sockets: Arc<[UnixSocket]> = listening
            .iter()
            .filter_map(|place| match place {
                Listen::Unix(path, mode) => {
                    Some(UnixSocket::bind(path, *mode).map_err(|error| StartError::listening(place, error)))
                }
                _ => None,
            })
            .collect::<Result<_, _>>()?;
        let workers = config.workers.clamp(1, WORKERS_MAX);
        let private = match config.fd_tables {
            FdTables::Private => true,
            FdTables::Shared => false,
            FdTables::Auto => workers > 1,
        };
        let mailboxes = mailboxes::<S::Mail>(workers)?;
        let shared = Arc::new(Shared::new(workers, config.max_connections, config.first_tick));
        let stop = Arc::new(AtomicBool::new(false));
        let ring = {
            let mailboxes = mailboxes.clone();
            Arc::new(move || mailboxes.iter().for_each(Mailbox::wake))
        };
        let posted: Arc<dyn Any + Send + Sync> = Arc::new(Arc::clone(&mailboxes));
        let (ends, ended) = channel();
        let plan = Arc::new(Plan {
            config,
            shared: shared.clone(),
            stop: stop.clone(),
            mailboxes,
            private,
            sockets: sockets.clone(),
            make,
        });
        let mut server = Server {
            handle: Handle { shared, stop, ring, mailboxes: posted },
            addresses: Vec::new(),
            listening,
            private_tables: private,
            threads: Vec::with_capacity(workers),
            ended,
            _sockets: sockets,
        };
        server.spawn(&plan, workers, &ends)?;
        server.addresses = server.listening.iter().filter_map(Listen::address).collect();
        Ok(server)
    }

    /// Starts the threads. When all have their tables, worker 0 listens first, so that the others know which ports it got.
    fn spawn<S, F>(
        &mut self,
        plan: &Arc<Plan<S::Mail, F>>,
        workers: usize,
        ends: &Sender<(WorkerId, bool)>,
    ) -> Result<(), StartError>
    where
        S: Service + 'static,
        F: Fn(WorkerId, &Arc<Shared>) -> S + Send + Sync + 'static,
    {
        let mut lines = Vec::with_capacity(workers);
        for id in (0..workers).map(worker_id) {
            let (order, ordered) = channel();
            let (reply, replied) = channel();
            let (plan, ends) = (plan.clone(), ends.clone());
            let thread = thread::Builder::new()
                .name(format!("rollcall-{id}"))
                .spawn(move || {
                    let _end = WorkerEnd { id, ends };
                    plan.work(id, &ordered, &reply);
                })
                .map_err(|error| StartError::System("can't start a worker thread", error))?;
            self.threads.push(thread);
            lines.push((order, replied));
        }
        for (_, replied) in &lines {
            self.hear(replied)?;
        }
        for (order, replied) in &lines {
            // A worker that is gone doesn't reply either, which is noticed then.
            let _ = order.send(self.listening.clone());
            self.hear(replied)?;
        }
        Ok(())
    }

    fn hear(&mut self, replied: &Receiver<StartReply>) -> Result<(), StartError> {
        let gone = |_| StartError::System("a worker ended while it started", io::ErrorKind::Other.into());
        match replied.recv().map_err(gone)? {
            StartReply::Table { private } => self.private_tables &= private,
            StartReply::Listening(listening) => self.listening = listening?,
        }
        Ok(())
    }

    /// The addresses that it listens on, in the order given, with port 0 resolved.
    #[must_use]
    pub fn listening(&self) -> &[Listen] {
        &self.listening
    }

    /// The addresses among [`Server::listening`].
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The state that all workers share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        self.handle.shared()
    }

    /// A handle for another thread, while this one waits in [`Server::join`].
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Whether the workers have descriptor tables of their own.
    #[must_use]
    pub fn has_private_tables(&self) -> bool {
        self.private_tables
    }

    /// Waits until every worker has ended. A worker that panics makes the others drain.
    ///
    /// # Errors
    /// The first worker that panicked.
    pub fn join(mut self) -> Result<(), WorkerId> {
        let mut first = Ok(());
        for _ in 0..self.threads.len() {
            let Ok((id, panicked)) = self.ended.recv() else { break };
            if panicked && first.is_ok() {
                first = Err(id);
                self.handle.drain();
            }
        }
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
        first
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.stop();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Says that a worker's thread has ended, however it did.
struct WorkerEnd {
    id: WorkerId,
    ends: Sender<(WorkerId, bool)>,
}

impl Drop for WorkerEnd {
    fn drop(&mut self) {
        let _ = self.ends.send((self.id, thread::panicking()));
    }
}

/// A report of a worker while it starts.
enum StartReply {
    /// It has the table that it will work with.
    Table { private: bool },
    /// It listens, or can't.
    Listening(Result<Vec<Listen>, StartError>),
}

/// The plan that the workers are started with.
struct Plan<M, F> {
    config: Config,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    mailboxes: Mailboxes<M>,
    private: bool,
    sockets: Arc<[UnixSocket]>,
    make: F,
}

impl<M: Send + 'static, F> Plan<M, F> {
    /// A worker's thread.
    fn work<S>(&self, id: WorkerId, ordered: &Receiver<Vec<Listen>>, reply: &Sender<StartReply>)
    where
        S: Service<Mail = M>,
        F: Fn(WorkerId, &Arc<Shared>) -> S,
    {
        block_signals();
        // The thread that started us may have given up: then nobody hears the replies, and no order comes.
        let _ = reply.send(StartReply::Table { private: self.private && self.unshare(id) });
        let Ok(listening) = ordered.recv() else { return };
        let mut worker = match self.build(id, &listening) {
            Ok((listening, worker)) => {
                let _ = reply.send(StartReply::Listening(Ok(listening)));
                worker
            }
            Err(error) => {
                let _ = reply.send(StartReply::Listening(Err(error)));
                return;
            }
        };
        while !self.stop.load(Relaxed) {
            match worker.turn() {
                Ok(Turned::Running) => {}
                Ok(Turned::Drained) => break,
                Err(error) => panic!("worker {id} can't wait for events: {error}"),
            }
        }
    }

    fn unshare(&self, id: WorkerId) -> bool {
        match unshare_descriptors() {
            Ok(()) => true,
            Err(error) => {
                warn!(worker = id.0, %error, "no descriptor table of its own, going on with the shared one");
                false
            }
        }
    }

    fn build<S>(
        &self,
        id: WorkerId,
        listening: &[Listen],
    ) -> Result<(Vec<Listen>, Worker<Epoll, S>), StartError>
    where
        S: Service<Mail = M>,
        F: Fn(WorkerId, &Arc<Shared>) -> S,
    {
        let mut listeners = Vec::with_capacity(listening.len());
        let mut resolved = Vec::with_capacity(listening.len());
        let mut sockets = self.sockets.iter();
        for place in listening {
            let socket = match place.address() {
                Some(address) => listen(address),
                None => sockets.next().map_or(Err(io::ErrorKind::NotFound.into()), UnixSocket::share),
            };
            let socket = socket.map_err(|error| StartError::listening(place, error))?;
            let local = socket.local_addr().ok().and_then(|local| local.as_socket());
            resolved.push(local.map_or_else(|| place.clone(), |local| place.at(local)));
            listeners.push(socket);
        }
        let waker = self.mailboxes[id.index()].waker();
        let net = Epoll::new(listeners, waker, self.shared.clock())
            .map_err(|error| StartError::System("can't make a poll", error))?;
        let service = (self.make)(id, &self.shared);
        let seed = seed(id);
        let mailboxes = self.mailboxes.clone();
        let mut worker = Worker::new(id, &self.config, self.shared.clone(), mailboxes, net, service, seed);
        for (place, listener) in resolved.iter().zip(0_u8..) {
            if let Listen::Tls(_, acceptor) = place {
                worker.secure(listener, acceptor.clone());
            }
        }
        Ok((resolved, worker))
    }
}

/// A seed that differs from process to process and from worker to worker.
fn seed(id: WorkerId) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(id)
}

fn mailboxes<M>(workers: usize) -> Result<Mailboxes<M>, StartError> {
    let waker = || eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC);
    let mailbox = |_| waker().map(Mailbox::new);
    (0..workers)
        .map(mailbox)
        .collect::<Result<Vec<_>, _>>()
        .map(Into::into)
        .map_err(|error| StartError::System("can't make an eventfd", error.into()))
}

#[expect(clippy::cast_possible_truncation, reason = "at most WORKERS_MAX")]
fn worker_id(index: usize) -> WorkerId {
    WorkerId(index as u16)
}
