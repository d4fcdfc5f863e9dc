//! A world that a test plays: connections whose bytes, room and errors it scripts, and a clock that it moves.

mod socket;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::mailbox::Mailbox;
use rollcall::internals::reactor::{Config, Service, Shared, Turned, Worker, WorkerId};
use rollcall::internals::sys::net::{Net, Ready};
use rollcall::internals::time::{Now, TICK_MICROS, Tick};
use rustix::event::{EventfdFlags, eventfd};

use socket::ScriptSocket;

/// What a read finds.
#[derive(Clone, Debug)]
pub(super) enum In {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// One connection, seen from the wire.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) inbound: VecDeque<In>,
    pub(super) outbound: Vec<u8>,
    /// Bytes that the socket takes before it is full.
    pub(super) room: usize,
    /// The most that one write takes.
    pub(super) write_most: usize,
    pub(super) reset_on_write: bool,
    /// Calls that a signal cuts short, before any that does something.
    pub(super) interrupts: usize,
    /// Reads that find nothing, though something has arrived; it is told again.
    pub(super) hiccups: usize,
    pub(super) token: Option<u64>,
    /// Where it is; none: a Unix socket.
    pub(super) address: Option<IpAddr>,
    /// Its kernel has to acknowledge within this what it is sent.
    pub(super) acknowledges_within: Option<Duration>,
    /// Its descriptor is among the last.
    pub(super) scarce: bool,
    pub(super) finished: bool,
    pub(super) closed: bool,
    pub(super) reads: usize,
    pub(super) writes: usize,
    /// Reads of all connections when it was last written to.
    pub(super) written_after: usize,
}

impl Peer {
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.inbound.back(), Some(In::Reset))
    }

    /// Bytes that have arrived and were not read.
    pub(super) fn unread(&self) -> usize {
        self.inbound.iter().map(|next| if let In::Bytes(bytes) = next { bytes.len() } else { 0 }).sum()
    }
}

#[derive(Debug, Default)]
struct World {
    micros: u64,
    first: Tick,
    peers: BTreeMap<usize, Peer>,
    queue: VecDeque<Result<usize, i32>>,
    ready: VecDeque<Ready>,
    listening: bool,
    resident: Option<u64>,
    timeout: Option<Duration>,
    /// Events that one wait tells at most.
    events_most: Option<usize>,
    /// The last wait found nothing, and would have waited.
    idle: bool,
    /// Milliseconds by which the wall clock was set ahead.
    set_ahead: u64,
    /// Registrations that fail.
    unregistered: usize,
    /// Tokens of descriptors that are no connections.
    watched: Vec<u64>,
    /// Reads of all connections.
    reads: usize,
    /// Connections that were let go, by their descriptors.
    exported: BTreeMap<RawFd, usize>,
    /// Events told, and waits.
    told: usize,
    waits: usize,
}

/// The world, shared by the test and the worker that lives in it.
#[derive(Clone, Debug)]
pub(super) struct Script(Rc<RefCell<World>>);

impl Script {
    pub(super) fn new(first: Tick) -> Script {
        Script(Rc::new(RefCell::new(World { first, listening: true, ..World::default() })))
    }

    /// A worker, the only one of its fleet, that lives in this world.
    pub(super) fn worker<S: Service>(&self, config: &Config, service: S) -> (Worker<Script, S>, Arc<Shared>) {
        let shared = Arc::new(Shared::new(1, config.max_connections, config.first_tick));
        let worker = self.worker_of(WorkerId(0), config, &shared, &mailboxes(1), service);
        (worker, shared)
    }

    /// A worker among those of a fleet, which lives in this world.
    pub(super) fn worker_of<S: Service>(
        &self,
        id: WorkerId,
        config: &Config,
        shared: &Arc<Shared>,
        mailboxes: &Mailboxes<S::Mail>,
        service: S,
    ) -> Worker<Script, S> {
        Worker::new(id, config, shared.clone(), mailboxes.clone(), self.clone(), service, 42)
    }

    /// Whether the last wait found nothing, and would have waited.
    pub(super) fn is_idle(&self) -> bool {
        self.0.borrow().idle
    }

    /// Sets the wall clock; the time that deadlines go by is another.
    pub(super) fn set_the_clock(&self, millis_ahead: u64) {
        self.0.borrow_mut().set_ahead = millis_ahead;
    }

    /// The next connection can't be watched.
    pub(super) fn refuse_register(&self) {
        self.0.borrow_mut().unregistered += 1;
    }

    /// The tokens of the descriptors that are watched beside the connections, in the order they came.
    pub(super) fn watched(&self) -> Vec<u64> {
        self.0.borrow().watched.clone()
    }

    /// Events told, waits, and reads and writes of all connections, so far.
    pub(super) fn calls(&self) -> [usize; 4] {
        let world = self.0.borrow();
        let sum = |of: fn(&Peer) -> usize| world.peers.values().map(of).sum();
        [world.told, world.waits, sum(|peer| peer.reads), sum(|peer| peer.writes)]
    }

    pub(super) fn advance(&self, time: Duration) {
        self.0.borrow_mut().micros += time.as_micros() as u64;
    }

    pub(super) fn tick(&self) -> Tick {
        self.now().tick
    }

    /// Queues a connection to be accepted; it takes everything that is written to it.
    pub(super) fn connect(&self) -> usize {
        let mut world = self.0.borrow_mut();
        let id = world.peers.len();
        world.peers.insert(id, Peer { room: usize::MAX, write_most: usize::MAX, ..Peer::default() });
        world.queue.push_back(Ok(id));
        world.ready.push_back(Ready { token: Ready::of_listener(0), readable: true, ..Ready::default() });
        id
    }

    /// Queues a connection from an address.
    pub(super) fn connect_from(&self, address: &str) -> usize {
        let id = self.connect();
        self.peer(id, |peer| peer.address = Some(address.parse().unwrap()));
        id
    }

    /// So many bytes are resident.
    pub(super) fn set_resident(&self, bytes: u64) {
        self.0.borrow_mut().resident = Some(bytes);
    }

    /// The next accept fails.
    pub(super) fn refuse_accept(&self, errno: i32) {
        self.0.borrow_mut().queue.push_back(Err(errno));
    }

    pub(super) fn peer<R>(&self, id: usize, look: impl FnOnce(&mut Peer) -> R) -> R {
        look(self.0.borrow_mut().peers.get_mut(&id).unwrap())
    }

    /// Bounds what one wait tells of, as the kernel does.
    pub(super) fn tell_at_most(&self, events: usize) {
        self.0.borrow_mut().events_most = Some(events);
    }

    /// Bytes arrive, and the worker will be told.
    pub(super) fn arrive(&self, id: usize, bytes: &[u8]) {
        self.peer(id, |peer| match peer.inbound.back_mut() {
            Some(In::Bytes(unread)) => unread.extend_from_slice(bytes),
            _ => peer.inbound.push_back(In::Bytes(bytes.to_vec())),
        });
        self.tell(id, Ready { readable: true, ..Ready::default() });
    }

    /// The peer ends its stream.
    pub(super) fn end(&self, id: usize) {
        self.peer(id, |peer| peer.inbound.push_back(In::End));
        self.tell(id, Ready { readable: true, read_closed: true, ..Ready::default() });
    }

    pub(super) fn reset(&self, id: usize) {
        self.peer(id, |peer| peer.inbound.push_back(In::Reset));
        self.tell(id, Ready { readable: true, read_closed: true, failed: true, ..Ready::default() });
    }

    /// The socket has room for so much more, and the worker will be told.
    pub(super) fn make_room(&self, id: usize, room: usize) {
        self.peer(id, |peer| peer.room = room);
        self.tell(id, Ready { writable: true, ..Ready::default() });
    }

    /// An event about a connection; before it was accepted it is told at its registration.
    pub(super) fn tell(&self, id: usize, ready: Ready) {
        let token = self.peer(id, |peer| peer.token);
        if let Some(token) = token {
            self.tell_token(token, ready);
        }
    }

    pub(super) fn tell_token(&self, token: u64, ready: Ready) {
        let mut world = self.0.borrow_mut();
        // What happens to a connection between two waits is one event.
        match world.ready.iter_mut().find(|told| told.token == token) {
            Some(told) => {
                told.readable |= ready.readable;
                told.writable |= ready.writable;
                told.read_closed |= ready.read_closed;
                told.failed |= ready.failed;
            }
            None => world.ready.push_back(Ready { token, ..ready }),
        }
    }

    /// Brings a connection that was let go to another world; returns its number there.
    pub(super) fn carry(&self, socket: &OwnedFd, to: &Script) -> usize {
        let fd = socket.as_raw_fd();
        let id = self.0.borrow_mut().exported.remove(&fd).unwrap();
        let peer = self.peer(id, std::mem::take);
        let mut there = to.0.borrow_mut();
        let id = there.peers.len();
        there.peers.insert(id, peer);
        there.exported.insert(fd, id);
        id
    }

    /// Takes what was written to the connection.
    pub(super) fn written(&self, id: usize) -> Vec<u8> {
        self.peer(id, |peer| std::mem::take(&mut peer.outbound))
    }

    pub(super) fn is_closed(&self, id: usize) -> bool {
        self.peer(id, |peer| peer.closed)
    }

    pub(super) fn is_listening(&self) -> bool {
        self.0.borrow().listening
    }

    /// What the last wait would have waited at most.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.0.borrow().timeout
    }

    /// Turns until nothing is left to do at this moment.
    pub(super) fn settle<S: Service>(&self, worker: &mut Worker<Script, S>) -> Turned {
        for _ in 0..10_000 {
            let turned = worker.turn().unwrap();
            if turned == Turned::Drained || self.0.borrow().idle {
                return turned;
            }
        }
        panic!("the worker spins");
    }

    /// Lets `time` pass as an idle machine would: the worker turns when its wait ends.
    pub(super) fn pass<S: Service>(&self, worker: &mut Worker<Script, S>, time: Duration) -> Turned {
        let end = self.now().micros + time.as_micros() as u64;
        loop {
            if self.settle(worker) == Turned::Drained {
                return Turned::Drained;
            }
            let now = self.now().micros;
            let wait = self.timeout().map_or(u64::MAX, |timeout| timeout.as_micros() as u64);
            if now.saturating_add(wait) > end {
                self.advance(Duration::from_micros(end - now));
                return self.settle(worker);
            }
            self.advance(Duration::from_micros(wait));
        }
    }
}

/// Mailboxes of so many workers.
pub(super) fn mailboxes<M>(workers: usize) -> Mailboxes<M> {
    (0..workers).map(|_| Mailbox::new(eventfd(0, EventfdFlags::NONBLOCK).unwrap())).collect()
}

impl Net for Script {
    type Socket = ScriptSocket;

    fn now(&self) -> Now {
        let world = self.0.borrow();
        Now {
            tick: world.first.after((world.micros / TICK_MICROS) as u32),
            micros: world.micros,
            unix_millis: world.micros / 1_000 + world.set_ahead,
        }
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        world.timeout = timeout;
        world.idle = world.ready.is_empty() && timeout != Some(Duration::ZERO);
        ready.clear();
        let told = world.ready.len().min(world.events_most.unwrap_or(usize::MAX));
        ready.extend(world.ready.drain(..told));
        world.told += told;
        world.waits += 1;
        Ok(())
    }

    fn listeners(&self) -> u8 {
        u8::from(self.0.borrow().listening)
    }

    fn accept(&mut self, _listener: u8) -> io::Result<(ScriptSocket, Option<IpAddr>)> {
        let next = self.0.borrow_mut().queue.pop_front();
        match next {
            None => Err(ErrorKind::WouldBlock.into()),
            Some(Err(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(Ok(id)) => {
                let socket = ScriptSocket { id, world: self.0.clone(), leaves: false };
                let peer = socket.with(|peer| peer.address);
                Ok((socket, peer))
            }
        }
    }

    fn is_scarce(&self, socket: &ScriptSocket) -> bool {
        socket.with(|peer| peer.scarce)
    }

    fn resident_bytes(&self) -> Option<u64> {
        self.0.borrow().resident
    }

    fn stop_queueing(&mut self) {}

    fn stop_listening(&mut self) {
        self.0.borrow_mut().listening = false;
    }

    fn register(&mut self, socket: &ScriptSocket, token: u64) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if world.unregistered > 0 {
            world.unregistered -= 1;
            return Err(ErrorKind::OutOfMemory.into());
        }
        let peer = world.peers.get_mut(&socket.id).unwrap();
        peer.token = Some(token);
        let (readable, writable) = (!peer.inbound.is_empty(), peer.room > 0);
        let read_closed = peer.inbound.iter().any(|next| !matches!(next, In::Bytes(_)));
        let failed = peer.has_failed();
        world.ready.push_back(Ready { token, readable, writable, read_closed, failed });
        Ok(())
    }

    fn watch(&mut self, _: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        if world.unregistered > 0 {
            world.unregistered -= 1;
            return Err(ErrorKind::OutOfMemory.into());
        }
        world.watched.push(token);
        Ok(())
    }

    fn export(&mut self, mut socket: ScriptSocket) -> OwnedFd {
        socket.leaves = true;
        socket.with(|peer| peer.token = None);
        let fd = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        self.0.borrow_mut().exported.insert(fd.as_raw_fd(), socket.id);
        fd
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<ScriptSocket> {
        let mut world = self.0.borrow_mut();
        // The worker may know more to do than this world does.
        world.idle = false;
        let id = world.exported.remove(&socket.as_raw_fd());
        let id = id.ok_or(ErrorKind::NotFound)?;
        Ok(ScriptSocket { id, world: self.0.clone(), leaves: false })
    }
}
