//! Instruction counts of the packet path, by callgrind: `cargo bench -p sidereal-bench --bench instructions`. They repeat
//! exactly, whatever else the machine does. Each count is of [`REPLIES`] replies; `requests_alone` is the part of it that is the
//! benchmark itself.
#![allow(missing_docs, unused_qualifications, reason = "what gungraun's macros make")]

use gungraun::{library_benchmark, library_benchmark_group, main};
use sidereal_bench::{Bench, Kind, PtpBench, PtpKind, clock, model};
use sidereal_time::Ticks;
use std::hint::black_box;

/// How many replies or conversions a count is of: enough that the call around them does not show.
const REPLIES: usize = 1000;

fn bench(kind: Kind) -> Bench {
    Bench::new(kind, 100)
}

#[library_benchmark]
#[bench::plain(bench(Kind::Plain))]
#[bench::ipv6(bench(Kind::Ipv6))]
#[bench::cmac(bench(Kind::Cmac))]
#[bench::interleaved(bench(Kind::Interleaved))]
#[bench::rate_limited(bench(Kind::RateLimited))]
fn replies(mut bench: Bench) -> Bench {
    for _ in 0..REPLIES {
        black_box(bench.answer());
    }
    // Given back so that freeing it is not counted.
    bench
}

// What is counted with every reply and is not part of it.
#[library_benchmark]
#[bench::plain(bench(Kind::Plain))]
fn requests_alone(mut bench: Bench) -> Bench {
    for _ in 0..REPLIES {
        black_box(bench.arrive());
    }
    bench
}

fn ptp_bench(kind: PtpKind) -> PtpBench {
    PtpBench::new(kind, 100)
}

#[library_benchmark]
#[bench::multicast(ptp_bench(PtpKind::Multicast))]
#[bench::hybrid(ptp_bench(PtpKind::Hybrid))]
#[bench::ethernet(ptp_bench(PtpKind::Ethernet))]
fn delay_responses(mut bench: PtpBench) -> PtpBench {
    for _ in 0..REPLIES {
        black_box(bench.answer());
    }
    bench
}

// What is counted with every Delay_Resp and is not part of it.
#[library_benchmark]
#[bench::multicast(ptp_bench(PtpKind::Multicast))]
fn delay_requests_alone(mut bench: PtpBench) -> PtpBench {
    for _ in 0..REPLIES {
        black_box(bench.arrive());
    }
    bench
}

#[library_benchmark]
fn model_instants() {
    let model = model();
    for ticks in 0..REPLIES as u64 {
        black_box(model.instant(black_box(Ticks(ticks))));
    }
}

#[library_benchmark]
fn ntp_timestamps() {
    let clock = clock();
    for ticks in 0..REPLIES as u64 {
        black_box(clock.at(black_box(Ticks(ticks))));
    }
}

library_benchmark_group!(
    name = packet_path;
    benchmarks = replies, requests_alone, delay_responses, delay_requests_alone, model_instants, ntp_timestamps
);
main!(library_benchmark_groups = packet_path);
