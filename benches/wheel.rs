//! What deadlines cost: filing, filing again, firing and finding the next one, with a million entries in the wheel. Each
//! prints a checksum of what it computed. A first line gives the bytes per entry.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rollcall::internals::time::Tick;
use rollcall::internals::time::wheel::{SPAN_TICKS, Wheel};
use std::hint::black_box;
use std::time::Duration;

/// Operations of one measured batch.
const BATCH: u64 = 1 << 14;
/// Just before the tick wraps.
const START: Tick = Tick(u32::MAX - 1000);

/// Entries that the wheel holds: a million, or few where only the bench itself is tested.
fn entries() -> u64 {
    if std::env::args().any(|arg| arg == "--test") { 1 << 12 } else { 1_000_000 }
}

/// Spreads keys over the wheel's span: the fractional part of multiples of the golden ratio.
fn tick_of(key: u64) -> Tick {
    let spread = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) * u64::from(SPAN_TICKS);
    START.after((spread >> 32) as u32)
}

fn filled(entries: u64) -> Wheel {
    let mut wheel = Wheel::new(START);
    for key in 0..entries {
        wheel.schedule(tick_of(key), key);
    }
    wheel
}

fn report(name: &str, sum: u64) {
    println!("checksum {name}: {sum:016x}");
}

fn schedule(criterion: &mut Criterion) {
    let entries = entries();
    let (empty, full) = (Wheel::new(START).bytes(), filled(entries).bytes());
    println!(
        "wheel: {} bytes empty, {:.1} bytes per entry of {entries}",
        empty,
        (full - empty) as f64 / entries as f64
    );
    let mut group = criterion.benchmark_group("wheel");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("schedule", |bencher| {
        bencher.iter_batched_ref(
            || filled(entries),
            |wheel| {
                for key in 0..BATCH {
                    black_box(wheel.schedule(tick_of(black_box(key)), key));
                }
            },
            BatchSize::PerIteration,
        );
    });
    let sum = (0..BATCH).fold(0_u64, |sum, key| sum.wrapping_mul(31).wrapping_add(u64::from(tick_of(key).0)));
    report("schedule", sum);
    group.finish();
}

/// What a busy connection costs: its entry fires, was heard of meanwhile, and is filed again 25 s ahead.
fn rearm(criterion: &mut Criterion) {
    let mut wheel = filled(entries());
    let mut now = START;
    let mut group = criterion.benchmark_group("wheel");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("re-arm", |bencher| {
        bencher.iter(|| {
            let mut left = BATCH;
            while left > 0 {
                match wheel.pop_due(now) {
                    Some((tick, key)) => {
                        wheel.schedule(black_box(tick).after(2500), key);
                        left -= 1;
                    }
                    None => now = now.after(1),
                }
            }
        });
    });
    group.finish();
    assert_eq!(wheel.len() as u64, entries());
    report("re-arm", wheel.len() as u64);
}

fn fire(criterion: &mut Criterion) {
    let entries = entries();
    let mut group = criterion.benchmark_group("wheel");
    group.throughput(Throughput::Elements(entries));
    group.sample_size(10);
    let drain = |wheel: &mut Wheel| {
        let mut sum = 0_u64;
        for tick in 0..=SPAN_TICKS {
            while let Some((_, key)) = wheel.pop_due(START.after(tick)) {
                sum = sum.wrapping_add(key);
            }
        }
        sum
    };
    group.bench_function("fire", |bencher| {
        bencher.iter_batched_ref(|| filled(entries), drain, BatchSize::PerIteration);
    });
    group.finish();
    let sum = drain(&mut filled(entries));
    assert_eq!(sum, entries * (entries - 1) / 2);
    report("fire", sum);
}

fn next(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel next");
    group.throughput(Throughput::Elements(1));
    for (name, ahead) in [("near", 1), ("half round", SPAN_TICKS / 2), ("far", SPAN_TICKS)] {
        let mut wheel = Wheel::new(START);
        wheel.schedule(START.after(ahead), 1);
        assert_eq!(wheel.next(), Some(START.after(ahead)));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(&wheel).next()));
    }
    let full = filled(entries());
    group.bench_function("a million entries", |bencher| bencher.iter(|| black_box(&full).next()));
    group.bench_function("nothing due", |bencher| {
        let mut wheel = Wheel::new(START);
        wheel.schedule(START.after(SPAN_TICKS), 1);
        bencher.iter(|| wheel.pop_due(black_box(START)));
    });
    group.finish();
    report("next", u64::from(full.next().expect("an entry").0));
}

criterion_group! {
    name = wheel;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20)
        .without_plots();
    targets = schedule, rearm, fire, next
}
criterion_main!(wheel);
