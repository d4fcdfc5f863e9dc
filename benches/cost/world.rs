//! The worker that is measured: the binary's own service over real sockets on loopback, turned by hand on one thread, with
//! a clock that only moves when it is told to. What happens is the same in every run, so that counts can be compared.

use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::http::{Router, RouterSettings, SiteMail};
use rollcall::internals::presence::Rules;
use rollcall::internals::reactor::counters::Counters;
use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::mailbox::Mailbox;
use rollcall::internals::reactor::{Config, Shared, Worker, WorkerId};
use rollcall::internals::service::presence::{PresenceSettings, SUBPROTOCOL};
use rollcall::internals::sys::epoll::{Epoll, TcpSocket, listen};
use rollcall::internals::sys::net::{Net, Ready};
use rollcall::internals::time::{Now, TICK_MICROS, Tick};
use rollcall::internals::wire::frame::{self, Opcode};
use rustix::event::{EventfdFlags, eventfd};

/// Turns that a step may take before something is wrong.
const TURNS_MAX: usize = 10_000;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Whether turns are counted, and how many were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Counting {
    Off,
    On,
}

/// The real poll and sockets under a clock of its own.
struct Steady {
    epoll: Epoll,
    micros: Rc<Cell<u64>>,
}

impl Net for Steady {
    type Socket = TcpSocket;

    fn now(&self) -> Now {
        let micros = self.micros.get();
        Now {
            tick: Tick((micros / TICK_MICROS) as u32),
            micros,
            unix_millis: 1_800_000_000_000 + micros / 1_000,
        }
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        // Nothing is slept away: who turns the worker knows that something is ready, or due.
        self.epoll.wait(ready, timeout.map(|_| Duration::ZERO).or(Some(Duration::ZERO)))
    }

    fn listeners(&self) -> u8 {
        self.epoll.listeners()
    }

    fn accept(&mut self, listener: u8) -> io::Result<(TcpSocket, Option<IpAddr>)> {
        self.epoll.accept(listener)
    }

    fn is_scarce(&self, socket: &TcpSocket) -> bool {
        self.epoll.is_scarce(socket)
    }

    fn stop_queueing(&mut self) {
        self.epoll.stop_queueing();
    }

    fn stop_listening(&mut self) {
        self.epoll.stop_listening();
    }

    fn register(&mut self, socket: &TcpSocket, token: u64) -> io::Result<()> {
        self.epoll.register(socket, token)
    }

    fn export(&mut self, socket: TcpSocket) -> OwnedFd {
        self.epoll.export(socket)
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<TcpSocket> {
        self.epoll.adopt(socket)
    }
}

/// A worker, its clock, and where it listens.
pub(super) struct World {
    worker: Worker<Steady, Router>,
    shared: Arc<Shared>,
    micros: Rc<Cell<u64>>,
    address: SocketAddr,
    counting: Counting,
    turns: u64,
}

impl World {
    pub(super) fn new() -> World {
        let shared = Arc::new(Shared::new(1, 10_000, Tick(0)));
        let bell = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
        let mailboxes: Mailboxes<SiteMail> = vec![Mailbox::new(bell)].into();
        let listener = listen("127.0.0.1:0".parse().expect("an address")).expect("a listener");
        let address =
            listener.local_addr().ok().and_then(|address| address.as_socket()).expect("its address");
        let epoll = Epoll::new(vec![listener], mailboxes[0].waker(), shared.clock()).expect("a poll");
        let rules = Rules { commands_per_second: 1_000_000, ..Rules::default() };
        let presence = Arc::new(PresenceSettings { rules, ..PresenceSettings::default() });
        let subprotocols = vec![SUBPROTOCOL.to_owned()];
        let settings = Arc::new(RouterSettings { presence, subprotocols, ..RouterSettings::default() });
        let site = Router::new(settings, WorkerId(0), &shared);
        let micros = Rc::new(Cell::new(TICK_MICROS));
        let net = Steady { epoll, micros: micros.clone() };
        let worker = Worker::new(WorkerId(0), &Config::default(), shared.clone(), mailboxes, net, site, 7);
        World { worker, shared, micros, address, counting: Counting::Off, turns: 0 }
    }

    /// Does `act` with its turns counted.
    pub(super) fn counted(&mut self, act: impl FnOnce(&mut World)) {
        self.counting = Counting::On;
        act(self);
        self.counting = Counting::Off;
    }

    /// Turns that were counted.
    pub(super) fn turns(&self) -> u64 {
        self.turns
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.shared.workers()[0].counters
    }

    pub(super) fn advance(&self, time: Duration) {
        self.micros.set(self.micros.get() + time.as_micros() as u64);
    }

    pub(super) fn turn(&mut self) {
        if self.counting == Counting::Off {
            return self.worker.turn().map(drop).expect("a turn");
        }
        self.turns += 1;
        mark();
        counted_turn(&mut self.worker);
        mark();
    }

    /// Turns until a counter has grown by `by` since it was `before`.
    pub(super) fn turn_until(&mut self, figure: impl Fn(&Counters) -> u64, before: u64, by: u64) {
        for _ in 0..TURNS_MAX {
            if figure(self.counters()).wrapping_sub(before) >= by {
                return;
            }
            self.turn();
        }
        panic!("the worker doesn't get there");
    }

    /// Does `act` and turns until a counter has grown by as much.
    pub(super) fn until(&mut self, figure: impl Fn(&Counters) -> u64, by: usize, act: impl FnOnce()) {
        let before = figure(self.counters());
        act();
        self.turn_until(figure, before, by as u64);
    }

    /// As many more clients, connected and not yet upgraded; the worker has not been told of them.
    pub(super) fn dial(&self, count: usize, clients: &mut Vec<Client>) {
        clients.extend((0..count).map(|_| Client::connect(self.address)));
    }

    /// As many clients that have upgraded at `path`.
    pub(super) fn open(&mut self, count: usize, path: impl Fn(usize) -> String) -> Vec<Client> {
        let mut clients = Vec::new();
        self.dial(count, &mut clients);
        self.until(
            |counters| counters.upgrades.get(),
            count,
            || {
                for (i, client) in clients.iter_mut().enumerate() {
                    client.send(request(&path(i)).as_bytes());
                }
            },
        );
        // What the last turn left to find out, it finds out now.
        self.turn();
        clients.iter_mut().for_each(Client::swallow);
        clients
    }
}

/// What callgrind collects: see its `--toggle-collect`.
#[inline(never)]
fn counted_turn(worker: &mut Worker<Steady, Router>) {
    black_box(worker.turn()).map(drop).expect("a turn");
}

/// A system call that nobody else makes: those between two of them are the worker's.
fn mark() {
    black_box(rustix::process::getppid());
}

/// What a browser sends.
pub(super) fn request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: example.com:8080\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
         Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
         Upgrade: websocket\r\nOrigin: https://example.com\r\nSec-WebSocket-Version: 13\r\n\
         Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    )
}

/// A masked frame.
pub(super) fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, opcode, payload, Some(KEY));
    out
}

/// A client's socket, on the worker's own thread: it never waits, and it allocates nothing once it is connected, so that
/// allocations are the worker's.
pub(super) struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_nonblocking(true).expect("an option");
        Client(stream)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("a socket with room");
    }

    /// Reads and forgets what has come.
    pub(super) fn swallow(&mut self) {
        let mut buffer = [0; 64 << 10];
        while matches!(self.0.read(&mut buffer), Ok(1..)) {}
    }

    /// Takes what has come, and answers the Pings in it, of which there is nothing else.
    pub(super) fn pong(&mut self) -> usize {
        let mut buffer = [0; 64];
        match self.0.read(&mut buffer) {
            Ok(len) if len >= 10 && buffer[0] == 0x89 => {
                // Masked with a key of zeros: as it was.
                let mut pong = [0x8a, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                pong[6..].copy_from_slice(&buffer[2..10]);
                self.send(&pong);
                1
            }
            Ok(_) => 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        }
    }
}
