//! What is made of the readings of one source.
#![allow(dead_code, reason = "the simulation is shared with other tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers of its own choice"
)]

mod simulated;

use sidereal_servo::{FilterKind, FilterOptions, FilterRejection, Filtered, Measurement, SourceFilter};
use sidereal_time::{ClockModel, Counter, LocalClock, Rate, Reading, Span, Tai, Ticks};
use simulated::Random;

const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -25 };
const FLOOR_S: f64 = 20e-6;

/// A source that is asked each second, and a model that is right.
struct Asked {
    random: Random,
    filter: SourceFilter,
    model: ClockModel,
    second: u64,
}

impl Asked {
    fn new(kind: FilterKind) -> Self {
        let filter = SourceFilter::new(&FilterOptions { kind, asymmetry_limit: None }, LOCAL);
        Self { random: Random(1), filter, model: LOCAL.unknown(Ticks(0)), second: 0 }
    }

    /// A reading with these waits on the two ways, ahead by `offset`.
    fn reading(&mut self, forward: f64, backward: f64, offset: f64) -> Reading<Tai> {
        self.second += 1;
        let ticks = Ticks(self.second * 1_000_000_000);
        let at = self.model.instant(ticks) + Span::from_secs_f64((forward - backward) / 2.0 + offset);
        Reading::new(ticks, at, Span::from_secs_f64(FLOOR_S + forward + backward))
    }

    fn offer(&mut self, forward: f64, backward: f64, offset: f64) -> Filtered {
        let reading = self.reading(forward, backward, offset);
        self.filter.offer(reading, Span::from_nanos(100), Some(&self.model))
    }

    /// So many readings with exponential waits.
    fn run(&mut self, jitter: f64, count: u32, offset: f64) -> Vec<Filtered> {
        let mut waits = || self.random.exponential(jitter);
        let waits: Vec<[f64; 2]> = (0..count).map(|_| [waits(), waits()]).collect();
        waits.into_iter().map(|[forward, backward]| self.offer(forward, backward, offset)).collect()
    }
}

fn passed(filtered: &[Filtered]) -> Vec<Measurement> {
    let passed = filtered.iter().filter_map(|filtered| match filtered {
        Filtered::Passed(measurement) => Some(*measurement),
        _ => None,
    });
    passed.collect()
}

#[test]
fn the_variance_grows_with_the_delay_above_the_floor() {
    let mut asked = Asked::new(FilterKind::None);
    asked.run(5e-6, 1_000, 0.0);
    let Filtered::Passed(quick) = asked.offer(0.5e-6, 0.5e-6, 0.0) else { panic!() };
    let Filtered::Passed(slow) = asked.offer(20e-6, 20e-6, 0.0) else { panic!() };
    // Uniform within half the excess.
    assert!((slow.variance / (40e-6_f64.powi(2) / 12.0) - 1.0).abs() < 0.5, "{:e}", slow.variance);
    assert!(quick.variance < slow.variance / 100.0);
    assert!(slow.queueing.unwrap().credibility > 0.9);
    assert!((slow.queueing.unwrap().excess - 40e-6).abs() < 1e-6);
    let statistics = asked.filter.statistics();
    assert!((statistics.floor.unwrap().as_secs_f64() - FLOOR_S).abs() < 1e-6);
    assert_eq!(statistics.delay, Some(Span::from_secs_f64(FLOOR_S + 40e-6)));
    let jitter = statistics.jitter.as_secs_f64();
    assert!((2e-6..8e-6).contains(&jitter), "{jitter:e}");
    assert_eq!(statistics.samples, 1_002);
}

#[test]
fn gaussian_noise_is_not_taken_for_queues() {
    let mut asked = Asked::new(FilterKind::None);
    for _ in 0..1_000 {
        let waits = [asked.random.normal(), asked.random.normal()].map(|noise| 50e-6 + 5e-6 * noise);
        asked.offer(waits[0], waits[1], 0.0);
    }
    let Filtered::Passed(slow) = asked.offer(55e-6, 55e-6, 0.0) else { panic!() };
    assert!(slow.queueing.unwrap().credibility < 0.1, "{slow:?}");
    assert!((slow.variance / (5e-6_f64.powi(2) / 2.0) - 1.0).abs() < 0.5, "{:e}", slow.variance);
}

#[test]
fn the_bound_is_half_the_delay_or_what_is_declared() {
    // What is declared counts above the floor, which is not known better than by so many delays.
    for (asymmetry_limit, least, most) in [(None, 30e-6, 30e-6), (Some(1e-6), 21e-6, 22e-6), (Some(1e-3), 30e-6, 30e-6)]
    {
        let mut asked = Asked::new(FilterKind::None);
        let options =
            FilterOptions { kind: FilterKind::None, asymmetry_limit: asymmetry_limit.map(Span::from_secs_f64) };
        asked.filter = SourceFilter::new(&options, LOCAL);
        asked.offer(0.0, 0.0, 0.0);
        asked.run(5e-6, 1_000, 0.0);
        let Filtered::Passed(measurement) = asked.offer(20e-6, 20e-6, 0.0) else { panic!() };
        let bound = measurement.bound.as_secs_f64() - 100e-9;
        assert!(bound > least - 2e-9 && bound < most + 2e-9, "{asymmetry_limit:?}: {}", measurement.bound);
    }
}

#[test]
fn what_is_declared_bounds_the_error_before_the_floor_is_known_too() {
    for seed in 1..=1_000 {
        let mut asked = Asked::new(FilterKind::None);
        asked.random = Random(seed * 0x9e37_79b9);
        let options = FilterOptions { kind: FilterKind::None, asymmetry_limit: Some(Span::ZERO) };
        asked.filter = SourceFilter::new(&options, LOCAL);
        for measurement in passed(&asked.run(1e-3, 100, 0.0)) {
            let error = measurement.reading.at() - asked.model.instant(measurement.reading.ticks());
            assert!(error.abs() <= measurement.bound, "seed {seed}: {error} {}", measurement.bound);
        }
    }
}

#[test]
fn a_longer_path_becomes_the_floor_and_a_shorter_one_at_once() {
    let mut asked = Asked::new(FilterKind::None);
    asked.run(5e-6, 500, 0.0);
    for _ in 0..100 {
        let waits = [asked.random.exponential(5e-6), asked.random.exponential(5e-6)];
        asked.offer(waits[0] + 200e-6, waits[1], 100e-6);
    }
    let floor = asked.filter.statistics().floor.unwrap().as_secs_f64();
    assert!((floor - FLOOR_S - 200e-6).abs() < 3e-6, "{floor:e}");
    asked.run(5e-6, 20, 0.0);
    let floor = asked.filter.statistics().floor.unwrap().as_secs_f64();
    assert!((floor - FLOOR_S).abs() < 10e-6, "{floor:e}");
    // More jitter is not a longer path.
    asked.run(50e-6, 500, 0.0);
    let floor = asked.filter.statistics().floor.unwrap().as_secs_f64();
    assert!((floor - FLOOR_S).abs() < 10e-6, "{floor:e}");
}

#[test]
fn what_is_wild_is_left_out_once() {
    let mut asked = Asked::new(FilterKind::None);
    asked.run(5e-6, 100, 0.0);
    assert_eq!(asked.offer(1e-6, 1e-6, 50e-3), Filtered::Rejected(FilterRejection::Outlier));
    assert!(matches!(asked.offer(1e-6, 1e-6, 0.0), Filtered::Passed(_)));
    // A source that was set is one that differs from now on.
    assert_eq!(asked.offer(1e-6, 1e-6, 50e-3), Filtered::Rejected(FilterRejection::Outlier));
    assert!(matches!(asked.offer(1e-6, 1e-6, 50e-3), Filtered::Passed(_)));
    assert_eq!(asked.offer(1.0, 1.0, 50e-3), Filtered::Rejected(FilterRejection::DelayTooLong));
    let reading = asked.reading(1e-6, 1e-6, 50e-3);
    assert!(matches!(asked.filter.offer(reading, Span::ZERO, None), Filtered::Passed(_)));
    assert_eq!(asked.filter.offer(reading, Span::ZERO, None), Filtered::Rejected(FilterRejection::Repeated));
    assert_eq!(FilterRejection::DelayTooLong.name(), "delay_too_long");
}

#[test]
fn offset_and_skew_are_told() {
    let mut asked = Asked::new(FilterKind::None);
    for second in 0..100 {
        asked.offer(1e-6, 1e-6, 10e-3 + 1e-6 * f64::from(second));
    }
    let statistics = asked.filter.statistics();
    assert!((statistics.skew - 1e-6).abs() < 1e-8, "{:e}", statistics.skew);
    assert!((statistics.offset.unwrap().as_secs_f64() - 10.08e-3).abs() < 20e-6);
    asked.filter.reset();
    assert_eq!(asked.filter.statistics(), SourceFilter::new(&FilterOptions::default(), LOCAL).statistics());
}

#[test]
fn the_least_delay_of_each_few_is_picked() {
    let mut asked = Asked::new(FilterKind::MinimumDelay { length: 8 });
    let filtered = asked.run(5e-6, 80, 0.0);
    let delays: Vec<Span> = passed(&filtered).iter().map(|measurement| measurement.reading.window()).collect();
    assert_eq!(delays.len(), 10);
    let mut all = Asked::new(FilterKind::None);
    let all: Vec<Span> =
        passed(&all.run(5e-6, 80, 0.0)).iter().map(|measurement| measurement.reading.window()).collect();
    let least: Vec<Span> = all.chunks(8).map(|eight| *eight.iter().min().unwrap()).collect();
    assert_eq!(delays, least);
}

#[test]
fn the_quickest_part_is_picked() {
    let mut asked = Asked::new(FilterKind::Quantile { length: 64, quantile: 0.25 });
    asked.run(5e-6, 100, 0.0);
    let filtered = asked.run(5e-6, 1_000, 0.0);
    let share = passed(&filtered).len();
    assert!((200..320).contains(&share), "{share}");
}

#[test]
fn the_median_offset_is_picked() {
    let mut asked = Asked::new(FilterKind::MovingMedian { length: 5 });
    asked.run(5e-6, 500, 0.0);
    let picked = passed(&asked.run(5e-6, 500, 0.0));
    assert!((50..400).contains(&picked.len()), "{}", picked.len());
    assert!(picked.windows(2).all(|pair| pair[0].reading.ticks().0 < pair[1].reading.ticks().0));
    let offsets = |measurements: &[Measurement]| {
        let square = |m: &Measurement| (m.reading.at() - asked.model.instant(m.reading.ticks())).as_secs_f64().powi(2);
        (measurements.iter().map(square).sum::<f64>() / measurements.len() as f64).sqrt()
    };
    let median = offsets(&picked);
    let mut all = Asked::new(FilterKind::None);
    let all = offsets(&passed(&all.run(5e-6, 500, 0.0)));
    assert!(median < 0.8 * all, "{median:e} {all:e}");
}

#[test]
fn a_moved_time_scale_moves_what_is_held() {
    let mut asked = Asked::new(FilterKind::MinimumDelay { length: 2 });
    let first = asked.reading(0.0, 0.0, 0.0);
    asked.filter.offer(first, Span::ZERO, None);
    asked.filter.relabel(Span::SECOND);
    let second = asked.reading(1e-6, 1e-6, 1.0);
    let Filtered::Passed(picked) = asked.filter.offer(second, Span::ZERO, None) else { panic!() };
    assert_eq!((picked.reading.ticks(), picked.reading.at()), (first.ticks(), first.at() + Span::SECOND));
}
