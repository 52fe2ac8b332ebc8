//! Nanoseconds of the packet path, by criterion: `cargo bench -p sidereal-bench --bench packet_path`.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtrb::RingBuffer;
use sidereal_bench::{Bench, Kind, PtpBench, PtpKind, clock, model};
use sidereal_cpu::LocalCounter;
use sidereal_dataplane::frame_ring;
use sidereal_time::Ticks;
use std::hint::black_box;

fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reply");
    group.throughput(Throughput::Elements(1));
    for kind in Kind::ALL {
        for clients in [1000, 1_000_000] {
            // A million clients are told apart only where there is state for each.
            if clients > 1000 && kind != Kind::Interleaved {
                continue;
            }
            let mut bench = Bench::new(kind, clients);
            group.bench_function(format!("{}/{clients}", kind.name()), |bencher| bencher.iter(|| bench.answer()));
        }
    }
    group.finish();
}

fn delay_responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("delay_resp");
    group.throughput(Throughput::Elements(1));
    for kind in PtpKind::ALL {
        let mut bench = PtpBench::new(kind, 1000);
        group.bench_function(kind.name(), |bencher| bencher.iter(|| bench.answer()));
    }
    group.finish();
}

fn clocks(criterion: &mut Criterion) {
    let (model, clock) = (model(), clock());
    let mut ticks = 1 << 30;
    criterion.bench_function("clock/model_instant", |bencher| {
        bencher.iter(|| {
            ticks += 100;
            model.instant(black_box(Ticks(ticks)))
        });
    });
    criterion.bench_function("clock/ntp_timestamp", |bencher| {
        bencher.iter(|| {
            ticks += 100;
            clock.at(black_box(Ticks(ticks)))
        });
    });
    criterion.bench_function("clock/counter_read", |bencher| {
        let counter = LocalCounter::best();
        bencher.iter(|| counter.now());
    });
}

fn rings(criterion: &mut Criterion) {
    criterion.bench_function("ring/64_bytes", |bencher| {
        let (mut producer, mut consumer) = RingBuffer::<[u64; 8]>::new(1024);
        bencher.iter(|| {
            let _ = producer.push(black_box([7; 8]));
            consumer.pop()
        });
    });
    criterion.bench_function("ring/exception_frame_90_bytes", |bencher| {
        let (mut sender, mut receiver) = frame_ring(1 << 20);
        let mut buffer = [0; 128];
        bencher.iter(|| {
            sender.push(black_box(&[7; 90]));
            receiver.pop(&mut buffer)
        });
    });
}

criterion_group!(packet_path, replies, delay_responses, clocks, rings);
criterion_main!(packet_path);
