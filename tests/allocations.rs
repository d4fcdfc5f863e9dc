//! What a worker allocates, counted by a global allocator that keeps a count for each thread: nothing for a message, and
//! nothing for an idle connection but its places in the slab, the wheel and the list of sockets. A binary of its own,
//! since there can be one global allocator only.

#![expect(unsafe_code, reason = "a global allocator is unsafe to implement; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rollcall::internals::reactor::tls::{Acceptor, Credentials, Pem};
use rollcall::internals::reactor::{Config, Listen, Server};
use rollcall::internals::service::echo::Echo;
use rollcall::internals::wire::frame::{self, Opcode};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Allocations and reallocations of the worker's thread.
static CALLS: AtomicU64 = AtomicU64::new(0);
/// Bytes that they hold.
static LIVE: AtomicI64 = AtomicI64::new(0);
/// One test at a time has the counts to itself.
static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread is the one that is counted. `const`, and without a destructor: reading it allocates nothing.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

fn count(calls: u64, bytes: i64) {
    if COUNTED.try_with(Cell::get).unwrap_or(false) {
        CALLS.fetch_add(calls, SeqCst);
        LIVE.fetch_add(bytes, SeqCst);
    }
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server with one worker, whose thread is counted.
fn server() -> Server {
    let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(Config::default(), &[listen], |_, _| {
        // A service is made on the thread of its worker.
        COUNTED.set(true);
        Echo
    });
    server.unwrap()
}

fn connect(server: &Server) -> TcpStream {
    upgrade(dial(server))
}

fn dial(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.addresses()[0]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn upgrade<S: Read + Write>(mut stream: S) -> S {
    stream.write_all(REQUEST).unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        response.push(byte[0]);
    }
    assert!(response.starts_with(b"HTTP/1.1 101 "));
    stream
}

/// Sends `depth` messages at once and awaits their echoes, `rounds` times.
fn echo(stream: &mut (impl Read + Write), size: usize, depth: usize, rounds: usize) {
    let payload = vec![b'e'; size];
    let (mut sent, mut awaited) = (Vec::new(), Vec::new());
    for _ in 0..depth {
        frame::write(&mut sent, Opcode::Binary, &payload, Some(KEY));
        frame::write(&mut awaited, Opcode::Binary, &payload, None);
    }
    let mut received = vec![0; awaited.len()];
    for _ in 0..rounds {
        stream.write_all(&sent).unwrap();
        stream.read_exact(&mut received).unwrap();
        assert!(received == awaited);
    }
}

#[test]
fn an_echoed_message_allocates_nothing() {
    let _turn = turn();
    let server = server();
    let mut stream = connect(&server);
    // The allocator is heard at all, and the arena has grown to what these messages need.
    assert!(CALLS.load(SeqCst) > 0, "nothing was counted");
    for size in [20, 1 << 10, 16 << 10] {
        // Sixteen of 16 KiB pass through a socket in parts, and half a message is memory of its own.
        for depth in [1, 16].into_iter().filter(|depth| size * depth <= 16 << 10) {
            echo(&mut stream, size, depth, 50);
            let mut run = || {
                let before = CALLS.load(SeqCst);
                echo(&mut stream, size, depth, 500);
                CALLS.load(SeqCst) - before
            };
            // On a busy machine one of any size may be read in parts: what each message allocates, each run does.
            let mut least = run();
            for _ in 0..20 {
                least = least.min(if least == 0 { 0 } else { run() });
            }
            assert_eq!(least, 0, "for {} messages of {size} bytes, {depth} deep", 500 * depth);
        }
    }
}

#[test]
fn a_fragment_allocates_nothing_of_its_own() {
    const FRAGMENTS: usize = 1000;
    let _turn = turn();
    let server = server();
    let mut stream = connect(&server);
    echo(&mut stream, 2 * FRAGMENTS, 1, 10);
    for payload in [&b""[..], b"x"] {
        let before = CALLS.load(SeqCst);
        let mut frame = Vec::new();
        for n in 0..FRAGMENTS {
            let opcode = if n == 0 { Opcode::Binary } else { Opcode::Continuation };
            frame.clear();
            frame::write(&mut frame, opcode, payload, Some(KEY));
            // Not the message's last, but for the last.
            frame[0] &= if n + 1 < FRAGMENTS { 0x7f } else { 0xff };
            stream.write_all(&frame).unwrap();
        }
        let len = FRAGMENTS * payload.len();
        let mut received = vec![0; len + if len > 125 { 4 } else { 2 }];
        stream.read_exact(&mut received).unwrap();
        // What is kept of the message, and its buffer, which doubles.
        let allocations = CALLS.load(SeqCst) - before;
        assert!(allocations < 32, "{allocations} for {FRAGMENTS} fragments of {} bytes", payload.len());
    }
}

#[test]
fn an_idle_connection_holds_its_places_and_nothing_else() {
    const FIRST: usize = 1000;
    const MORE: usize = 1000;
    /// A slab entry of 64 bytes, a wheel entry of 8 and a socket of 4, each with what a vector keeps in reserve.
    const BYTES_MAX: i64 = 160;
    let _turn = turn();
    let server = server();
    let mut streams: Vec<TcpStream> = (0..FIRST).map(|_| connect(&server)).collect();
    let (live, calls) = (LIVE.load(SeqCst), CALLS.load(SeqCst));
    streams.extend((0..MORE).map(|_| connect(&server)));
    let each = (LIVE.load(SeqCst) - live) / MORE as i64;
    let calls = CALLS.load(SeqCst) - calls;
    assert!((40..=BYTES_MAX).contains(&each), "{each} bytes for each idle connection");
    assert!(calls < 4 * MORE as u64, "{calls} allocations");
    // A message half sent is held; once it has been echoed, nothing of it is.
    let live = LIVE.load(SeqCst);
    let mut message = Vec::new();
    frame::write(&mut message, Opcode::Binary, &[b'x'; 5000], Some(KEY));
    let mut echoed = vec![0; 5004];
    for stream in streams.iter_mut().take(50) {
        stream.write_all(&message[..3000]).unwrap();
    }
    for stream in streams.iter_mut().take(50) {
        stream.write_all(&message[3000..]).unwrap();
        stream.read_exact(&mut echoed).unwrap();
    }
    let kept = LIVE.load(SeqCst) - live;
    assert!(kept < 50 * 300, "{kept} bytes are kept of messages that are done with");
}

/// The same server over TLS, and what its clients go by.
fn secure_server() -> (Server, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = |text: String| Pem { name: String::new(), bytes: text.into_bytes() };
    let pairs = vec![(pem(made.cert.pem()), pem(made.signing_key.serialize_pem()))];
    let acceptor = Acceptor::new(&Credentials { pairs, client_ca: None }).unwrap();
    let listening = vec![Listen::Tls("127.0.0.1:0".parse().unwrap(), Arc::new(acceptor))];
    let server = Server::start_on(Config::default(), listening, |_, _| {
        COUNTED.set(true);
        Echo
    });
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server.unwrap(), Arc::new(client))
}

#[test]
fn an_idle_connection_over_tls_holds_its_keys_and_little_else() {
    const FIRST: usize = 100;
    const MORE: usize = 100;
    /// As they are asked for, without what the allocator adds. Keys expanded in both directions would be 480 more.
    const BYTES_MAX: i64 = 3000;
    let _turn = turn();
    let (server, client) = secure_server();
    let connect = || {
        let session = ClientConnection::new(client.clone(), ServerName::try_from("localhost").unwrap());
        let mut stream = upgrade(StreamOwned::new(session.unwrap(), dial(&server)));
        echo(&mut stream, 5000, 2, 2);
        stream
    };
    let mut streams: Vec<_> = (0..FIRST).map(|_| connect()).collect();
    let live = LIVE.load(SeqCst);
    streams.extend((0..MORE).map(|_| connect()));
    let each = (LIVE.load(SeqCst) - live) / MORE as i64;
    println!("{each} bytes for each idle connection over TLS");
    assert!((1000..=BYTES_MAX).contains(&each), "{each} bytes for each idle connection over TLS");
}
