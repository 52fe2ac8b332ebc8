//! Nanoseconds of the offset pipeline, by criterion: `cargo bench -p sidereal-bench --bench offsets`. The rings that could
//! carry it stand beside each other.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_queue::ArrayQueue;
use rtrb::RingBuffer;
use sidereal_offsets::{MAX_RECORDS_PER_TURN, Record, Stamps, pipeline};
use sidereal_time::{Exchange, Instant, Span, StampSource, Utc};
use std::hint::black_box;
use std::time::Instant as Now;

/// How many records go into a ring before they are taken out: all in one turn.
const BATCH: u32 = 256;
const _: () = assert!(BATCH as usize == MAX_RECORDS_PER_TURN);

fn record(target: u32) -> Record {
    let at = |nanos: u32| Instant::<Utc>::from_secs(1_800_000_000) + Span::from_nanos(nanos.into());
    let exchange = Exchange { t1: at(0), t2: at(1_000 + target % 777), t3: at(2_000), t4: at(3_000 + target % 555) };
    Record::new(target, &exchange, Span::ZERO, Stamps { transmit: StampSource::Kernel, receive: StampSource::Kernel })
}

/// One push and one pop, on one thread.
fn rings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    let record = record(1);
    group.bench_function("rtrb", |bencher| {
        let (mut producer, mut consumer) = RingBuffer::new(1024);
        bencher.iter(|| {
            let _ = producer.push(black_box(record));
            consumer.pop()
        });
    });
    group.bench_function("crossbeam_array_queue", |bencher| {
        let queue = ArrayQueue::new(1024);
        bencher.iter(|| {
            let _ = queue.push(black_box(record));
            queue.pop()
        });
    });
    group.finish();
}

/// From the four times to the state of a target and the histograms, ring included, on one thread.
fn stage(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stage");
    group.throughput(Throughput::Elements(BATCH.into()));
    for targets in [1000, 100_000_u32] {
        let (mut recorders, mut stage) = pipeline(1, 4096, targets as usize);
        // Each target in its turn, far from the one before: as a cache likes it least.
        let mut next = 0;
        group.bench_function(format!("{targets}_targets"), |bencher| {
            bencher.iter(|| {
                for recorder in &mut recorders {
                    for _ in 0..BATCH {
                        next = (next + 7919) % targets;
                        recorder.record(black_box(record(next)));
                    }
                }
                stage.poll()
            });
        });
        assert_eq!(stage.lost(), 0);
    }
    group.finish();
}

/// How long a batch takes from its first record to the state of its last target: the 99th percentile, printed.
fn latency(_: &mut Criterion) {
    const ROUNDS: usize = 20_000;
    let (mut recorders, mut stage) = pipeline(1, 4096, 1000);
    let mut taken: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = Now::now();
            recorders.iter_mut().for_each(|recorder| (0..BATCH).for_each(|n| recorder.record(record(n))));
            black_box(stage.poll());
            begun.elapsed()
        })
        .collect();
    taken.sort_unstable();
    let at = |share: usize| taken.get(ROUNDS * share / 100).copied().unwrap_or_default();
    println!("latency of {BATCH} records, made and taken in: p50 {:?}, p99 {:?}", at(50), at(99));
}

criterion_group!(offsets, rings, stage, latency);
criterion_main!(offsets);
