//! Whatever is offered, nothing panics or loses its senses.

use proptest::prelude::*;
use sidereal_servo::{
    Adjustment, CounterFit, FilterKind, FilterOptions, Filtered, FrequencyOffset, IntervalAdvice, Learned, Measurement,
    Queueing, ServoKind, ServoOptions, SourceFilter, Standing, Steering, SteeringOptions, Tracker, stability,
};
use sidereal_time::{ClockId, Counter, Instant, LocalClock, Rate, Reading, Span, Tai, Ticks};

/// Readings of all sizes, and runs of readings that agree about a wild rate.
fn readings() -> impl Strategy<Value = Vec<(u64, i128, i128)>> {
    let any_reading = (any::<u64>(), any::<i128>(), any::<i128>());
    let near = (any::<u32>(), any::<u32>(), 0_u32..100_000_000)
        .prop_map(|(ticks, at, window)| (ticks.into(), i128::from(at) << 16, window.into()));
    prop::collection::vec(prop_oneof![any_reading, near], 0..200)
}

proptest! {
    #[test]
    fn any_readings_are_survived(width in any::<u8>(), rate in any::<u64>(), readings in readings(), probe in any::<u64>()) {
        let mut fit = CounterFit::new(Counter::Nic(ClockId(1)), width, Rate::from_bits(rate));
        let mut offered = 0;
        for (ticks, at, window) in readings {
            fit.offer(Reading::new(Ticks(ticks), Instant::from_units(at), Span::from_units(window)));
            offered += 1;
            if let Some(model) = fit.model() {
                prop_assert!(!model.error_at(Ticks(probe)).is_negative());
                prop_assert!(model.rate.to_bits() >= rate / 2 && model.rate.to_bits() <= rate.saturating_mul(2));
            }
        }
        let counts = fit.counts();
        prop_assert!(counts.accepted + counts.wide + counts.repeated + counts.outliers <= offered);
        prop_assert!(offered - (counts.accepted + counts.wide + counts.repeated + counts.outliers) < 4);
    }
}

fn kinds() -> impl Strategy<Value = ServoKind> {
    prop_oneof![Just(ServoKind::Pi), Just(ServoKind::Regression), Just(ServoKind::Kalman)]
}

fn filters() -> impl Strategy<Value = FilterKind> {
    let length = prop_oneof![any::<usize>(), 0_usize..8];
    prop_oneof![
        Just(FilterKind::None),
        length.clone().prop_map(|length| FilterKind::MinimumDelay { length }),
        length.clone().prop_map(|length| FilterKind::MovingMedian { length }),
        (length, any::<f64>()).prop_map(|(length, quantile)| FilterKind::Quantile { length, quantile }),
    ]
}

/// Numbers of all kinds, and those that may be meant.
fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), 0.0..1e-3, Just(f64::NAN), Just(0.0), Just(1e-12)]
}

/// Readings of all kinds, and those of a clock that is nearly right, some seconds apart.
fn clock_readings() -> impl Strategy<Value = Vec<Reading<Tai>>> {
    let any_reading = (any::<u64>(), any::<i128>(), any::<i128>())
        .prop_map(|(ticks, at, window)| Reading::new(Ticks(ticks), Instant::from_units(at), Span::from_units(window)));
    let near = (0_u64..1_000, -1_000_000_i128..1_000_000, 0_i128..1_000_000).prop_map(|(seconds, off, window)| {
        let at = Instant::from_nanos(i128::from(seconds) * 1_000_000_000 + off);
        Reading::new(Ticks(seconds * 1_000_000_000), at, Span::from_nanos(window))
    });
    prop_oneof![
        prop::collection::vec(prop_oneof![1 => any_reading, 9 => near.clone()], 0..100),
        prop::collection::vec(near, 0..200).prop_map(|mut readings| {
            readings.sort_by_key(|reading| reading.ticks().0);
            readings
        }),
    ]
}

fn local(width: u8, rate: u64) -> LocalClock {
    LocalClock { counter: Counter::Nic(ClockId(1)), width, rate: Rate::from_bits(rate), precision: -20 }
}

fn rates() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), Just(Rate::NANOSECOND.to_bits())]
}

proptest! {
    #[test]
    fn any_measurements_are_survived(
        kind in kinds(),
        filter in filters(),
        width in prop_oneof![any::<u8>(), Just(64)],
        rate in rates(),
        readings in clock_readings(),
        numbers in prop::collection::vec(numbers(), 8),
        dispersion in any::<i128>(),
        late in any::<u64>(),
    ) {
        let local = local(width, rate);
        let options = ServoOptions {
            kind,
            max_slew_ppm: numbers[0],
            max_frequency_ppm: if numbers[1] < 1e-6 { 500.0 } else { numbers[1] },
            ..ServoOptions::default()
        };
        let learned = Learned { counter_hertz: 1e9, frequency_deviation: numbers[2], wander: numbers[3], aging: numbers[4] };
        let mut tracker = Tracker::new(local, &options, Some(&learned), Ticks(0));
        let mut source = SourceFilter::new(&FilterOptions { kind: filter, asymmetry_limit: None }, local);
        for (i, reading) in readings.into_iter().enumerate() {
            let now = if i % 7 == 6 { Ticks(late) } else { reading.ticks() };
            let filtered = source.offer(reading, Span::from_units(dispersion >> 40), tracker.model().as_ref());
            if let Filtered::Passed(measurement) = filtered {
                prop_assert!(measurement.variance.is_finite() && measurement.variance > 0.0, "{measurement:?}");
                tracker.offer(&measurement.weighted(numbers[5]), now);
            }
            let queueing = Queueing { excess: numbers[6], edge: numbers[7], credibility: numbers[5] };
            let wild = Measurement { queueing: Some(queueing), ..Measurement::new(reading, numbers[6], reading.error()) };
            if i % 5 == 4 {
                tracker.offer(&wild, now);
            }
            match i % 31 {
                30 => tracker.hold(now),
                20 => tracker.counter_jumped(now),
                10 => tracker.relabel(Span::SECOND),
                _ => tracker.advance(now),
            }
            for at in [now, Ticks(late)] {
                let bound = tracker.bound(at).unwrap_or(Span::ZERO);
                let uncertainty = tracker.uncertainty(at).unwrap_or(Span::ZERO);
                prop_assert!(!uncertainty.is_negative() && bound >= uncertainty, "{bound} {uncertainty}");
                if let Some(estimate) = tracker.estimate(at) {
                    let numbers =
                        [estimate.offset_deviation, estimate.frequency_deviation, estimate.drift, estimate.wander];
                    prop_assert!(numbers.iter().all(|number| number.is_finite()), "{estimate:?}");
                }
            }
            prop_assert_eq!(tracker.model().is_some(), tracker.poll_timeout().is_some());
            prop_assert!(source.statistics().skew.is_finite());
            prop_assert!(tracker.learned(now).is_none_or(|learned| learned.counter_hertz.is_finite()));
            let _: IntervalAdvice = tracker.interval_advice(numbers[0], Span::SECOND);
        }
    }

    #[test]
    fn any_clock_is_steered_within_its_limit(
        limit in numbers(),
        standings in prop::collection::vec((any::<i64>(), numbers(), numbers(), numbers()), 0..100),
    ) {
        let options = SteeringOptions { max_frequency_ppb: limit, step_threshold: None };
        let mut steering = Steering::new(&options);
        for (error, deviation, even, frequency_deviation) in standings {
            let even = FrequencyOffset::from_ppb(even);
            let error = Span::from_units(error.into());
            if let Some(told) = steering.decide(&Standing { error, deviation, even, frequency_deviation }) {
                if let Adjustment::Frequency(told) = told.adjustment {
                    prop_assert!(told.as_ppb().is_finite());
                    prop_assert!(told.as_ppb().abs() <= limit.abs().clamp(0.0, 1e9) || limit.is_nan());
                }
                prop_assert!(told.lasts.is_none_or(|lasts| lasts > Span::ZERO));
            }
        }
    }

    #[test]
    fn any_phases_have_a_stability(phase in prop::collection::vec(-1.0..1.0, 0..300), tau in 1e-3..1e3) {
        for values in [stability::adev(&phase, tau), stability::tdev(&phase, tau), stability::mtie(&phase, tau)] {
            prop_assert!(values.iter().all(|(tau, value)| tau.is_finite() && value.is_finite() && *value >= 0.0));
            prop_assert!(values.windows(2).all(|pair| pair[1].0 == 2.0 * pair[0].0));
        }
    }
}
