//! What the protocol costs: unmasking, headers, whole messages, UTF-8 and the opening handshake, beside `memcpy`, the
//! standard library and tungstenite. Each prints a checksum of what it computed.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rollcall::internals::limits::MessageLimits;
use rollcall::internals::wire::frame::{self, Header, Opcode, Parsed};
use rollcall::internals::wire::http::{Fields, Head, head_len};
use rollcall::internals::wire::session::{Role, Session, SessionEvent};
use rollcall::internals::wire::upgrade::{Upgrade, is_upgrade, write_accept};
use rollcall::internals::wire::{mask, utf8};
use std::hint::black_box;
use std::io::{Cursor, Read, Write};
use std::time::Duration;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const SIZES: [usize; 5] = [16, 125, 1 << 10, 16 << 10, 1 << 20];
const LIMITS: MessageLimits =
    MessageLimits { max_message_bytes: 1 << 21, max_frame_bytes: 1 << 21, max_fragments: 1024 };
/// What one read of a socket may bring: short frames come many at a time.
const READ: usize = 64 << 10;

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn report(name: &str, bytes: &[u8]) {
    println!("checksum {name}: {:016x}", checksum(bytes));
}

/// Plain text of `size` bytes.
fn ascii(size: usize) -> Vec<u8> {
    b"The quick brown fox jumps over the lazy dog. ".iter().copied().cycle().take(size).collect()
}

/// `size` bytes of text in several scripts, or a few less.
fn mixed(size: usize) -> Vec<u8> {
    let mut text: String = "Größe, цена, 価格, €12 😀 and plain words. ".chars().cycle().take(size).collect();
    let mut end = size.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.into_bytes()
}

fn unmask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unmask");
    for size in SIZES {
        // A payload starts behind its header: 6, 8 or 14 bytes in.
        let offset =
            Header { fin: true, reserved: 0, opcode: Opcode::Binary, mask: Some(KEY), len: size as u64 }
                .encode()
                .1;
        let mut buffer = ascii(offset + size);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("ours", size), |bencher| {
            bencher.iter(|| mask::apply(black_box(&mut buffer[offset..]), black_box(KEY)));
        });
        group.bench_function(BenchmarkId::new("byte loop", size), |bencher| {
            bencher.iter(|| {
                let key = black_box(KEY);
                for (i, byte) in black_box(&mut buffer[offset..]).iter_mut().enumerate() {
                    *byte ^= key[i % 4];
                }
            });
        });
        let source = ascii(offset + size);
        group.bench_function(BenchmarkId::new("memcpy", size), |bencher| {
            bencher.iter(|| black_box(&mut buffer[offset..]).copy_from_slice(black_box(&source[offset..])));
        });
        mask::apply(&mut buffer[offset..], KEY);
        report(&format!("unmask/{size}"), &buffer);
    }
    group.finish();
}

fn header(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("header");
    for size in SIZES {
        let (bytes, len) =
            Header { fin: true, reserved: 0, opcode: Opcode::Binary, mask: Some(KEY), len: size as u64 }
                .encode();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("ours", size), |bencher| {
            bencher.iter(|| Header::parse(black_box(&bytes[..len])));
        });
        group.bench_function(BenchmarkId::new("tungstenite", size), |bencher| {
            bencher.iter(|| {
                tungstenite::protocol::frame::FrameHeader::parse(&mut Cursor::new(black_box(&bytes[..len])))
            });
        });
        assert!(
            matches!(Header::parse(&bytes[..len]), Ok(Parsed::Header(header, _)) if header.len == size as u64)
        );
        report(&format!("header/{size}"), &bytes[..len]);
    }
    group.finish();
}

/// As many masked frames of `size` bytes as fill a read, or one.
fn frames(payload: &[u8], opcode: Opcode) -> (Vec<u8>, usize) {
    let count = (READ / (payload.len() + 8)).max(1);
    let mut bytes = Vec::new();
    for _ in 0..count {
        frame::write(&mut bytes, opcode, payload, Some(KEY));
    }
    (bytes, count)
}

/// All messages of one read, in place; what a turn of the server does. Returns bytes of payload.
fn receive(session: &mut Session, input: &mut [u8]) -> usize {
    let (mut at, mut total) = (0, 0);
    while at < input.len() {
        let (taken, event) = session.read(&LIMITS, None, &mut input[at..]).expect("valid frames");
        if let Some(SessionEvent::Message(_, payload)) = event {
            total += black_box(payload).len();
        }
        at += taken;
    }
    total
}

/// A stream that reads what it was given and swallows what is written.
struct Given<'b>(Cursor<&'b [u8]>);

impl Read for Given<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Given<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn messages(criterion: &mut Criterion) {
    for (name, opcode) in [("binary message", Opcode::Binary), ("text message", Opcode::Text)] {
        let mut group = criterion.benchmark_group(name);
        for size in SIZES {
            let (bytes, count) = frames(&ascii(size), opcode);
            let mut buffer = bytes.clone();
            group.throughput(Throughput::Bytes((size * count) as u64));
            // Both are given a fresh copy of the bytes, as a read of a socket would.
            group.bench_function(BenchmarkId::new("ours", size), |bencher| {
                let mut session = Session::new(Role::Server);
                bencher.iter(|| {
                    buffer.copy_from_slice(black_box(&bytes));
                    receive(&mut session, &mut buffer)
                });
            });
            group.bench_function(BenchmarkId::new("tungstenite", size), |bencher| {
                let config = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(READ);
                let given = Given(Cursor::new(&bytes[..]));
                let mut socket = tungstenite::WebSocket::from_raw_socket(
                    given,
                    tungstenite::protocol::Role::Server,
                    Some(config),
                );
                bencher.iter(|| {
                    socket.get_mut().0.set_position(0);
                    (0..count).map(|_| black_box(socket.read().expect("a message")).len()).sum::<usize>()
                });
            });
            group.bench_function(BenchmarkId::new("memcpy", size), |bencher| {
                bencher.iter(|| buffer.copy_from_slice(black_box(&bytes)));
            });
            buffer.copy_from_slice(&bytes);
            assert_eq!(receive(&mut Session::new(Role::Server), &mut buffer), size * count);
            report(&format!("{name}/{size}"), &buffer);
        }
        group.finish();
    }
}

fn texts(criterion: &mut Criterion) {
    for (name, text) in [("utf8 ascii", ascii as fn(usize) -> Vec<u8>), ("utf8 mixed", mixed)] {
        let mut group = criterion.benchmark_group(name);
        for size in SIZES {
            let text = text(size);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new("ours", size), |bencher| {
                bencher.iter(|| utf8::is_valid(black_box(&text)));
            });
            group.bench_function(BenchmarkId::new("ours, streaming", size), |bencher| {
                bencher.iter(|| {
                    let mut utf8 = utf8::Utf8::default();
                    utf8.push(black_box(&text)).and_then(|()| utf8.finish())
                });
            });
            group.bench_function(BenchmarkId::new("std", size), |bencher| {
                bencher.iter(|| std::str::from_utf8(black_box(&text)).is_ok());
            });
            assert!(utf8::is_valid(&text));
            report(&format!("{name}/{size}"), &text);
        }
        group.finish();
    }
}

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: example.com:8080\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
Upgrade: websocket\r\nOrigin: https://example.com\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\n\
Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
Sec-WebSocket-Protocol: rollcall.v1\r\n\r\n";

/// From the bytes of a request to those of the answer.
fn shake(request: &[u8], origins: &[String], subprotocols: &[String], out: &mut Vec<u8>) {
    let len = head_len(request, 0).expect("a whole head");
    let mut fields = Fields::new();
    let head = Head::parse(&request[..len], &mut fields).expect("a valid head");
    assert!(is_upgrade(&head));
    let upgrade = Upgrade::check(&head).expect("a valid upgrade");
    assert!(upgrade.origin_allowed(origins, false));
    write_accept(upgrade.key, upgrade.subprotocol(subprotocols), None, out);
}

fn handshake(criterion: &mut Criterion) {
    let origins = ["https://example.com".to_owned()];
    let subprotocols = ["rollcall.v1".to_owned(), "chat".to_owned()];
    let mut out = Vec::with_capacity(1 << 10);
    let mut group = criterion.benchmark_group("handshake");
    group.throughput(Throughput::Elements(1));
    group.bench_function("ours", |bencher| {
        bencher.iter(|| {
            out.clear();
            shake(black_box(REQUEST), &origins, &subprotocols, &mut out);
        });
    });
    group.bench_function("head_len", |bencher| bencher.iter(|| head_len(black_box(REQUEST), 0)));
    group.bench_function("accept_key", |bencher| {
        bencher
            .iter(|| rollcall::internals::wire::upgrade::accept_key(black_box("dGhlIHNhbXBsZSBub25jZQ==")));
    });
    group.bench_function("tungstenite", |bencher| {
        bencher.iter(|| {
            let given = Given(Cursor::new(black_box(REQUEST)));
            tungstenite::accept(given).map(|_| ()).expect("a valid upgrade");
        });
    });
    group.finish();
    report("handshake", &out);
}

criterion_group! {
    name = wire;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .sample_size(20)
        .nresamples(5_000)
        .without_plots();
    targets = unmask, header, messages, texts, handshake
}
criterion_main!(wire);
