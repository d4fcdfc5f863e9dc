//! Real workers on real sockets: mail between them, private descriptor tables, a panic in one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::bounds::PATIENCE;
use rollcall::internals::limits::UNSENT_BYTES_MAX;
use rollcall::internals::reactor::{
    Accept, Admission, Cause, Config, ConnId, Context, FdTables, Latency, Server, Service, SharedFrame,
    StartError, WorkerId,
};
use rollcall::internals::sys::epoll::listen;
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::upgrade::Upgrade;
use socket2::{Domain, Socket, Type};
use tungstenite::{Message, WebSocket};

/// Everything that one says, all hear: the members sit on all workers, and each worker encodes nothing twice.
#[derive(Default)]
struct Broadcast {
    members: Vec<ConnId>,
}

impl Broadcast {
    fn publish(&self, cx: &mut Context<'_, SharedFrame>, frame: &SharedFrame) {
        let refused = cx.publish(self.members.iter().copied(), frame);
        assert!(refused.is_empty(), "{refused:?}");
    }
}

impl Service for Broadcast {
    type Mail = SharedFrame;
    type Admitted = ();

    fn admit(&mut self, _: &mut Context<'_, SharedFrame>, _: ConnId, _: &Upgrade<'_>) -> Admission {
        Admission::Accept(Accept::default())
    }

    fn open(&mut self, _: &mut Context<'_, SharedFrame>, conn: ConnId, (): ()) {
        self.members.push(conn);
    }

    fn message(&mut self, cx: &mut Context<'_, SharedFrame>, conn: ConnId, kind: Kind, payload: &[u8]) {
        assert_ne!(payload, b"panic", "as the test asked");
        if payload == b"where am I" {
            let here = cx.worker().to_string();
            return cx.send(conn, Kind::Text, here.as_bytes()).unwrap();
        }
        let frame = SharedFrame::new(kind, payload).unwrap();
        let (here, workers) = (cx.worker().index(), cx.shared().workers().len());
        for worker in (0..workers).filter(|worker| *worker != here) {
            cx.post(WorkerId(worker as u16), frame.clone(), Latency::Now).expect("room in the mailbox");
        }
        self.publish(cx, &frame);
    }

    fn closed(&mut self, _: &mut Context<'_, SharedFrame>, conn: ConnId, _: Cause) {
        self.members.retain(|member| *member != conn);
    }

    fn mail(&mut self, cx: &mut Context<'_, SharedFrame>, _: Option<WorkerId>, frame: SharedFrame) {
        self.publish(cx, &frame);
    }
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn start(workers: usize, fd_tables: FdTables) -> Server {
    let config = Config { workers, fd_tables, drain: Duration::from_millis(200), ..Config::default() };
    Server::start(config, &[any_port()], |_, _| Broadcast::default()).unwrap()
}

fn connect(server: &Server) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.addresses()[0]).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    tungstenite::client("ws://localhost/", stream).unwrap().0
}

/// Members on every worker: asks each where it is until all are taken.
fn members(server: &Server, workers: usize) -> Vec<WebSocket<TcpStream>> {
    let mut members = Vec::new();
    let mut seen = vec![false; workers];
    while members.len() < 4 || seen.iter().any(|seen| !seen) {
        assert!(members.len() < 500, "the kernel spreads connections over all listeners");
        let mut member = connect(server);
        member.send(Message::text("where am I")).unwrap();
        seen[member.read().unwrap().into_text().unwrap().parse::<usize>().unwrap()] = true;
        members.push(member);
    }
    members
}

fn all_hear_all_in_order(workers: usize, fd_tables: FdTables) {
    let server = start(workers, fd_tables);
    let mut members = members(&server, workers);
    for n in 0..200 {
        members[0].send(Message::text(n.to_string())).unwrap();
    }
    for member in &mut members {
        for n in 0..200 {
            assert_eq!(member.read().unwrap(), Message::text(n.to_string()));
        }
    }
    assert_eq!(server.shared().connections(), members.len());
    server.handle().drain();
    for member in &mut members {
        let Message::Close(Some(close)) = member.read().unwrap() else { panic!("a Close") };
        assert_eq!(u16::from(close.code), 1001);
        member.flush().ok();
    }
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn mail_reaches_members_on_other_workers_in_order() {
    all_hear_all_in_order(3, FdTables::Shared);
}

#[test]
fn mail_reaches_members_over_private_descriptor_tables() {
    let server = start(3, FdTables::Private);
    assert!(server.has_private_tables(), "the kernel allows it on this machine");
    drop(server);
    all_hear_all_in_order(3, FdTables::Private);
}

#[test]
fn one_worker_is_enough() {
    all_hear_all_in_order(1, FdTables::Auto);
}

#[test]
fn a_drain_is_heard_whatever_the_worker_is_at() {
    for round in 0..100_u32 {
        let config = Config { drain: Duration::ZERO, ..Config::default() };
        let server = Server::start(config, &[any_port()], |_, _| Broadcast::default()).unwrap();
        let mut member = connect(&server);
        member.send(Message::text("hello")).unwrap();
        // From before the worker wakes for the message until after it has served it.
        (0..round * 40).for_each(|_| std::hint::spin_loop());
        server.handle().drain();
        let since = Instant::now();
        while !matches!(member.read(), Ok(Message::Close(_)) | Err(_)) {}
        assert!(since.elapsed() < Duration::from_secs(5), "round {round}: {:?}", since.elapsed());
        member.flush().ok();
        assert_eq!(server.join(), Ok(()));
    }
}

#[test]
fn a_taken_address_is_an_error_and_not_a_theft() {
    let server = start(2, FdTables::Shared);
    let taken = server.addresses()[0];
    let error = Server::start(Config::default(), &[taken], |_, _| Broadcast::default()).unwrap_err();
    assert!(matches!(error, StartError::AddressInUse(address) if address == taken), "{error}");
    assert!(error.to_string().contains(&taken.to_string()));
}

#[test]
fn a_worker_that_panics_is_named_and_the_others_drain() {
    let server = start(2, FdTables::Shared);
    let mut members = members(&server, 2);
    members[0].send(Message::text("where am I")).unwrap();
    let doomed: u16 = members[0].read().unwrap().into_text().unwrap().parse().unwrap();
    members[0].send(Message::text("panic")).unwrap();
    let (ended, has_ended) = channel();
    thread::spawn(move || ended.send(server.join()));
    assert_eq!(has_ended.recv_timeout(PATIENCE), Ok(Err(WorkerId(doomed))), "half alive");
}

#[test]
fn a_service_that_can_not_be_made_is_a_start_error() {
    let make = |id: WorkerId, _: &_| -> Broadcast {
        assert_ne!(id, WorkerId(1), "as the test asked");
        Broadcast::default()
    };
    let config = Config { workers: 3, ..Config::default() };
    assert!(matches!(Server::start(config, &[any_port()], make), Err(StartError::System(..))));
}

#[test]
fn a_dropped_server_ends_its_workers() {
    let server = start(2, FdTables::Private);
    let mut member = connect(&server);
    drop(server);
    let end = Instant::now() + Duration::from_secs(20);
    member.get_mut().write_all(b"anybody?").ok();
    while !matches!(member.get_mut().read(&mut [0; 64]), Ok(0) | Err(_)) {
        assert!(Instant::now() < end, "the socket stays open");
    }
}

#[test]
fn the_kernel_is_to_hold_little_unsent_of_an_accepted_connection() {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    listener.set_nonblocking(false).unwrap();
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    client.connect(&listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    assert_eq!(accepted.tcp_notsent_lowat().unwrap(), UNSENT_BYTES_MAX);
}
