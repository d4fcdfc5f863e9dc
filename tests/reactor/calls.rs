//! What an echo costs in system calls, counted between the worker and the real kernel: one read and one write for each
//! readiness, and a wait that all connections that are ready share.

use std::cell::Cell;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::mailbox::Mailbox;
use rollcall::internals::reactor::{Config, Shared, Worker, WorkerId};
use rollcall::internals::service::echo::Echo;
use rollcall::internals::sys::epoll::{Epoll, TcpSocket, listen};
use rollcall::internals::sys::net::{Net, Ready, Socket};
use rollcall::internals::time::{Now, Tick};
use rollcall::internals::wire::frame::Opcode;
use rustix::event::{EventfdFlags, eventfd};

use super::kit::{masked, plain, upgrade_request};

#[derive(Debug, Default)]
struct Calls {
    waits: Cell<usize>,
    reads: Cell<usize>,
    writes: Cell<usize>,
    others: Cell<usize>,
}

impl Calls {
    fn now(&self) -> [usize; 4] {
        [&self.waits, &self.reads, &self.writes, &self.others].map(Cell::get)
    }
}

fn count(call: &Cell<usize>) {
    call.set(call.get() + 1);
}

/// The real world, its calls counted.
#[derive(Debug)]
struct Counted {
    epoll: Epoll,
    calls: Rc<Calls>,
}

#[derive(Debug)]
struct CountedSocket {
    socket: TcpSocket,
    calls: Rc<Calls>,
}

impl Net for Counted {
    type Socket = CountedSocket;

    fn now(&self) -> Now {
        self.epoll.now()
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        count(&self.calls.waits);
        self.epoll.wait(ready, timeout)
    }

    fn listeners(&self) -> u8 {
        self.epoll.listeners()
    }

    fn accept(&mut self, listener: u8) -> io::Result<(CountedSocket, Option<IpAddr>)> {
        count(&self.calls.others);
        let (socket, peer) = self.epoll.accept(listener)?;
        Ok((CountedSocket { socket, calls: self.calls.clone() }, peer))
    }

    fn stop_queueing(&mut self) {
        count(&self.calls.others);
        self.epoll.stop_queueing();
    }

    fn stop_listening(&mut self) {
        count(&self.calls.others);
        self.epoll.stop_listening();
    }

    fn register(&mut self, socket: &CountedSocket, token: u64) -> io::Result<()> {
        count(&self.calls.others);
        self.epoll.register(&socket.socket, token)
    }

    fn export(&mut self, socket: CountedSocket) -> OwnedFd {
        self.epoll.export(socket.socket)
    }

    fn adopt(&mut self, socket: OwnedFd) -> io::Result<CountedSocket> {
        Ok(CountedSocket { socket: self.epoll.adopt(socket)?, calls: self.calls.clone() })
    }
}

impl Socket for CountedSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        count(&self.calls.reads);
        self.socket.read(buffer)
    }

    fn read_onto(&mut self, onto: &mut Vec<u8>) -> io::Result<usize> {
        count(&self.calls.reads);
        self.socket.read_onto(onto)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        count(&self.calls.writes);
        self.socket.write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        count(&self.calls.writes);
        self.socket.write_vectored(parts)
    }

    fn finish(&mut self) {
        count(&self.calls.others);
        self.socket.finish();
    }
}

/// A worker that the test turns by hand, and where it listens.
struct Bench {
    worker: Worker<Counted, Echo>,
    address: SocketAddr,
    calls: Rc<Calls>,
    mailboxes: Mailboxes<()>,
}

impl Bench {
    fn new() -> Bench {
        let shared = Arc::new(Shared::new(1, 1000, Tick(0)));
        let bell = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let mailboxes: Mailboxes<()> = vec![Mailbox::new(bell)].into();
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let epoll = Epoll::new(vec![listener], mailboxes[0].waker(), shared.clock()).unwrap();
        let calls = Rc::new(Calls::default());
        let net = Counted { epoll, calls: calls.clone() };
        let worker = Worker::new(WorkerId(0), &Config::default(), shared, mailboxes.clone(), net, Echo, 7);
        Bench { worker, address, calls, mailboxes }
    }

    /// Turns until the connection has as many bytes to read.
    fn serve(&mut self, stream: &TcpStream, bytes: usize) {
        let mut seen = vec![0; bytes];
        stream.set_nonblocking(true).unwrap();
        while stream.peek(&mut seen).unwrap_or(0) < bytes {
            self.worker.turn().unwrap();
        }
        stream.set_nonblocking(false).unwrap();
    }

    fn open(&mut self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&upgrade_request("/")).unwrap();
        self.serve(&stream, 100);
        let mut response = vec![0; 4096];
        let len = stream.read(&mut response).unwrap();
        assert!(response.starts_with(b"HTTP/1.1 101 ") && response[..len].ends_with(b"\r\n\r\n"));
        stream
    }

    /// What `act` makes the worker call: waits, reads, writes, others.
    fn calls_of(&mut self, act: impl FnOnce(&mut Bench)) -> [usize; 4] {
        // The last turn may have left something to find out: that nobody else waits to be accepted.
        self.mailboxes[0].wake();
        self.worker.turn().unwrap();
        let before = self.calls.now();
        act(self);
        let after = self.calls.now();
        std::array::from_fn(|i| after[i] - before[i])
    }
}

#[test]
fn an_echo_costs_one_wait_one_read_and_one_write() {
    let mut bench = Bench::new();
    let mut stream = bench.open();
    for (size, depth) in [(20, 1), (1 << 10, 1), (16 << 10, 1), (20, 16), (1 << 10, 16)] {
        let sent = masked(Opcode::Binary, &vec![b'e'; size]).repeat(depth);
        let awaited = plain(Opcode::Binary, &vec![b'e'; size]).repeat(depth);
        let calls = bench.calls_of(|bench| {
            for _ in 0..100 {
                stream.write_all(&sent).unwrap();
                bench.worker.turn().unwrap();
                let mut received = vec![0; awaited.len()];
                stream.read_exact(&mut received).unwrap();
                assert!(received == awaited);
            }
        });
        assert_eq!(calls, [100, 100, 100, 0], "waits, reads, writes, others: {size} bytes, {depth} deep");
    }
}

#[test]
fn connections_that_are_ready_together_share_a_wait() {
    let mut bench = Bench::new();
    let mut streams: Vec<TcpStream> = (0..50).map(|_| bench.open()).collect();
    let calls = bench.calls_of(|bench| {
        for stream in &mut streams {
            stream.write_all(&masked(Opcode::Text, b"together")).unwrap();
        }
        bench.worker.turn().unwrap();
    });
    assert_eq!(calls, [1, 50, 50, 0]);
}
