//! The same between two workers over real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rollcall::internals::reactor::mail::Mailboxes;
use rollcall::internals::reactor::mailbox::Mailbox;
use rollcall::internals::reactor::{Config, ConnId, Shared, Snapshot, Worker, WorkerId};
use rollcall::internals::sys::epoll::{Epoll, listen};
use rollcall::internals::time::Tick;
use rollcall::internals::wire::frame::{Header, Opcode, Parsed};
use rustix::event::{EventfdFlags, eventfd};

use crate::bounds::PATIENCE;
use crate::reactor::kit::{Recorder, masked, upgrade_request};
use crate::reactor::wires::noise;

/// A worker that the test turns by hand, of a server of its own.
struct Bench {
    worker: Worker<Epoll, Recorder>,
    mailboxes: Mailboxes<()>,
    address: SocketAddr,
}

impl Bench {
    fn new() -> Bench {
        let shared = Arc::new(Shared::new(1, 1_000, Tick(0)));
        let bell = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let mailboxes: Mailboxes<()> = vec![Mailbox::new(bell)].into();
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let epoll = Epoll::new(vec![listener], mailboxes[0].waker(), shared.clock()).unwrap();
        let service = Recorder::default();
        let worker =
            Worker::new(WorkerId(0), &Config::default(), shared, mailboxes.clone(), epoll, service, 7);
        Bench { worker, mailboxes, address }
    }

    /// A turn that does not wait.
    fn turn(&mut self) {
        self.mailboxes[0].wake();
        self.worker.turn().unwrap();
    }

    fn conn(&mut self) -> ConnId {
        self.worker.service().conns[0]
    }

    /// The connection goes on at `to`.
    fn hand_over(&mut self, to: &mut Bench) {
        let conn = self.conn();
        let (socket, snapshot) = self.worker.release(conn).unwrap();
        let snapshot = Snapshot::from_bytes(&snapshot.to_bytes()).unwrap();
        to.worker.adopt(socket, snapshot).unwrap();
    }
}

/// A client that reads only when it is told to.
struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    /// Reads until `is_enough`, while the worker turns.
    fn read(&mut self, bench: &mut Bench, is_enough: impl Fn(&[u8]) -> bool) {
        let (mut buffer, until) = (vec![0; 1 << 16], Instant::now() + PATIENCE);
        while !is_enough(&self.unread) {
            assert!(Instant::now() < until, "{} bytes came", self.unread.len());
            bench.turn();
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("it was closed"),
                Ok(len) => self.unread.extend(&buffer[..len]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    /// The next message.
    fn message(&mut self, bench: &mut Bench) -> Vec<u8> {
        loop {
            self.read(bench, |bytes| whole(bytes).is_some());
            let (header, at, end) = whole(&self.unread).unwrap();
            let payload = self.unread.drain(..end).skip(at).collect();
            if header.opcode != Opcode::Ping {
                return payload;
            }
        }
    }
}

/// The frame at the front, where it has come whole: its header, and where that and the frame end.
fn whole(bytes: &[u8]) -> Option<(Header, usize, usize)> {
    let Ok(Parsed::Header(header, at)) = Header::parse(bytes) else { return None };
    let end = at + header.len as usize;
    (bytes.len() >= end).then_some((header, at, end))
}

fn open(bench: &mut Bench) -> Client {
    let mut stream = TcpStream::connect(bench.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream.write_all(&upgrade_request("/")).unwrap();
    let mut client = Client { stream, unread: Vec::new() };
    client.read(bench, |bytes| bytes.ends_with(b"\r\n\r\n"));
    client.unread.clear();
    client
}

#[test]
fn a_client_goes_on_talking_while_its_connection_moves_in_the_middle_of_a_frame() {
    let (mut here, mut there) = (Bench::new(), Bench::new());
    let mut client = open(&mut here);
    for round in 0..20_usize {
        let message = noise(round, 100 + 300 * round);
        let frame = masked(Opcode::Binary, &message);
        let (first, rest) = frame.split_at(frame.len() * round / 20);
        client.stream.write_all(first).unwrap();
        let until = Instant::now() + PATIENCE;
        // Some of it is read by one worker; what was sent and not read goes along in the socket.
        if round % 2 == 0 {
            here.turn();
        }
        here.hand_over(&mut there);
        client.stream.write_all(rest).unwrap();
        assert!(client.message(&mut there) == message, "round {round}");
        assert!(Instant::now() < until);
        std::mem::swap(&mut here, &mut there);
    }
}

#[test]
fn a_backlog_moves_with_its_connection_and_arrives_whole() {
    let (mut here, mut there) = (Bench::new(), Bench::new());
    let mut client = open(&mut here);
    // More than the kernel takes for a client that does not read.
    for _ in 0..4 {
        client.stream.write_all(&masked(Opcode::Text, b"flood")).unwrap();
    }
    let until = Instant::now() + PATIENCE;
    while here.worker.service().sent.len() < 4 * 64 {
        assert!(Instant::now() < until);
        here.turn();
    }
    let queued = here.worker.service().sent.iter().filter(|sent| sent.is_ok()).count();
    assert!(here.worker.held_bytes() > 100_000, "{}", here.worker.held_bytes());
    // Half a message is on its way, too.
    let frame = masked(Opcode::Text, b"the last");
    client.stream.write_all(&frame[..9]).unwrap();
    here.hand_over(&mut there);
    assert_eq!(here.worker.held_bytes(), 0);
    client.stream.write_all(&frame[9..]).unwrap();
    let junk = noise(1, 100_000);
    for number in 0..queued {
        assert!(client.message(&mut there) == junk, "{number} of {queued}");
    }
    assert_eq!(client.message(&mut there), b"the last");
    assert_eq!(there.worker.held_bytes(), 0);
}
