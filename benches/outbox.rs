//! What a full socket costs: queueing what it did not take and giving it out again, owned or shared, and a Pong that
//! overtakes. Each prints a checksum of what it computed.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rollcall::internals::conn::outbox::{Chunk, Outbox};
use rollcall::internals::time::Tick;
use rollcall::internals::wire::frame::{self, Opcode};
use rollcall::internals::wire::session::Kind;
use rollcall::internals::wire::shared::SharedFrame;
use std::hint::black_box;
use std::io::IoSlice;
use std::time::Duration;

const SIZES: [usize; 3] = [20, 1 << 10, 16 << 10];
/// Frames that are queued before the socket has room.
const QUEUED: usize = 64;
/// What a socket takes at once: no multiple of any frame, so that writes end inside of one.
const ROOM: usize = 50_021;

/// FNV-1a.
fn checksum(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn payload_of(size: usize) -> Vec<u8> {
    (0..size).map(|i| i as u8).collect()
}

fn frame_of(size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, Opcode::Binary, &payload_of(size), None);
    bytes
}

/// Gives everything out as a socket would take it; `look` sees what is written.
fn empty(outbox: &mut Outbox, mut look: impl FnMut(&[u8])) -> usize {
    let mut total = 0;
    while !outbox.is_empty() {
        let mut parts = [IoSlice::new(&[]); 64];
        let filled = outbox.parts(&mut parts);
        let mut left = ROOM;
        for part in &parts[..filled] {
            let len = part.len().min(left);
            look(&part[..len]);
            left -= len;
        }
        outbox.advance(ROOM - left, ROOM - left, &[], Tick(1));
        total += ROOM - left;
    }
    total
}

fn queue(criterion: &mut Criterion) {
    for size in SIZES {
        let frame = frame_of(size);
        let shared = SharedFrame::new(Kind::Binary, &payload_of(size)).expect("any bytes are binary");
        let owned = || Chunk::Frames(frame.clone());
        let reference = || Chunk::Shared(shared.clone());
        let mut group = criterion.benchmark_group("outbox");
        group.throughput(Throughput::Elements(QUEUED as u64));
        for (name, chunk) in [("owned", &owned as &dyn Fn() -> Chunk), ("shared", &reference)] {
            let fill = || {
                let mut outbox = Outbox::new(Tick(0));
                (0..QUEUED).for_each(|_| outbox.push(chunk()));
                outbox
            };
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| empty(&mut fill(), |part| _ = black_box(part)));
            });
            let mut hash = 0xcbf2_9ce4_8422_2325;
            assert_eq!(empty(&mut fill(), |part| hash = checksum(hash, part)), frame.len() * QUEUED);
            println!("checksum {name}/{size}: {hash:016x}");
        }
        group.finish();
    }
}

/// A Pong finds its place behind the frame that is cut, with a queue of small frames or of one big one behind it.
fn overtake(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbox overtake");
    group.throughput(Throughput::Elements(1));
    for size in SIZES {
        let frames = frame_of(size).repeat((4096 / (size + 2)).max(2));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                let mut outbox = Outbox::new(Tick(0));
                outbox.push_cut_frames(black_box(&frames), frames.len() / 2);
                outbox.pong(b"payload");
                let mut parts = [IoSlice::new(&[]); 64];
                black_box(outbox.parts(&mut parts))
            });
        });
        println!("checksum overtake/{size}: {:016x}", checksum(0, &frames));
    }
    group.finish();
}

criterion_group! {
    name = outbox;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20)
        .without_plots();
    targets = queue, overtake
}
criterion_main!(outbox);
