//! Every conversion against the same in exact arithmetic.

use num_bigint::BigInt;
use proptest::prelude::*;
use sidereal_time::{
    ClockId, ClockModel, Counter, Exchange, Instant, NtpClock, NtpShort, NtpTimestamp, PtpTimestamp, PtpTimestampError,
    Rate, Span, Tai, Ticks, Utc,
};

/// 2^-16 ns in one second.
const UNITS_PER_S: i128 = 1_000_000_000 << 16;
const NTP_TO_POSIX_S: i128 = 2_208_988_800;

fn big(value: impl Into<BigInt>) -> BigInt {
    value.into()
}

/// The largest whole number not above `numerator / denominator`; the denominator is positive.
fn floor(numerator: BigInt, denominator: impl Into<BigInt>) -> BigInt {
    let denominator = denominator.into();
    let quotient = &numerator / &denominator;
    if &quotient * &denominator > numerator { quotient - 1 } else { quotient }
}

fn ceil(numerator: BigInt, denominator: impl Into<BigInt>) -> BigInt {
    -floor(-numerator, denominator)
}

/// The nearest whole number, of two the larger.
fn nearest(numerator: BigInt, denominator: impl Into<BigInt>) -> BigInt {
    let denominator = denominator.into();
    floor(numerator * 2 + &denominator, denominator * 2)
}

/// The number from zero to `modulus` that is as much modulo `modulus`.
fn modulo(value: BigInt, modulus: &BigInt) -> BigInt {
    &value - floor(value.clone(), modulus.clone()) * modulus
}

/// The number from `-modulus / 2` up to below `modulus / 2` that is as much modulo `modulus`.
fn short_way(value: BigInt, modulus: &BigInt) -> BigInt {
    let half = modulus / 2;
    modulo(value + &half, modulus) - half
}

fn pow2(exponent: u32) -> BigInt {
    big(1) << exponent
}

/// Any units that arithmetic on instants leaves room for: beyond what 48 bits of PTP seconds tell.
fn units() -> impl Strategy<Value = i128> {
    prop_oneof![
        -(1_i128 << 94)..1_i128 << 94,
        // The next two hundred years, where eras and leap seconds are.
        0..200 * 366 * 86_400 * UNITS_PER_S,
        // Close to whole seconds, and so to every rounding edge.
        (-10_000_000_000_i128..10_000_000_000, -3_i128..=3).prop_map(|(s, off)| s * UNITS_PER_S + off),
        // Close to half nanoseconds.
        (-(1_i128 << 60)..1_i128 << 60, -1_i128..=1).prop_map(|(ns, off)| (ns << 16) + (1 << 15) + off),
    ]
}

fn tai() -> impl Strategy<Value = Instant<Tai>> {
    units().prop_map(Instant::from_units)
}

fn utc() -> impl Strategy<Value = Instant<Utc>> {
    units().prop_map(Instant::from_units)
}

fn bits() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..4_u64,
        (0..4_u64).prop_map(|n| u64::MAX - n),
        (0..4_u64).prop_map(|n| (1 << 63) - 2 + n)
    ]
}

fn mask(width: u8) -> u64 {
    u64::MAX >> (64 - width)
}

fn model(rate: impl Strategy<Value = u64>) -> impl Strategy<Value = ClockModel> {
    (1..=64_u8, bits(), tai(), rate, 0..1_u64 << 60, any::<u32>()).prop_map(
        |(width, reference_ticks, reference, rate, error, drift_ppb)| ClockModel {
            counter: Counter::Nic(ClockId(1)),
            width,
            reference_ticks: Ticks(reference_ticks & mask(width)),
            reference,
            rate: Rate::from_bits(rate),
            error: Span::from_units(error.into()),
            drift_ppb,
            generation: 0,
        },
    )
}

/// Ticks from 1/16 ns to 16 ns long.
fn real_rate() -> impl Strategy<Value = u64> {
    prop_oneof![1_u64 << 52..1 << 60, Just(1 << 56)]
}

fn exact_elapsed(model: &ClockModel, ticks: Ticks) -> BigInt {
    short_way(big(ticks.0) - big(model.reference_ticks.0), &pow2(model.width.into()))
}

proptest! {
    #[test]
    fn seconds_and_nanoseconds_become_units(seconds: i64, nanos in -(1_i128 << 100)..1_i128 << 100) {
        prop_assert_eq!(big(Span::from_secs(seconds).units()), big(seconds) * UNITS_PER_S);
        prop_assert_eq!(big(Instant::<Tai>::from_secs(seconds).units()), big(seconds) * UNITS_PER_S);
        prop_assert_eq!(big(Span::from_nanos(nanos).units()), big(nanos) << 16);
        prop_assert_eq!(Span::from_nanos(nanos).as_nanos_rounded(), nanos);
    }

    #[test]
    fn units_become_nanoseconds(units in prop_oneof![units(), any::<i128>(), Just(i128::MAX), Just(i128::MIN)]) {
        let exact = nearest(big(units), pow2(16));
        prop_assert_eq!(big(Span::from_units(units).as_nanos_rounded()), exact.clone());
        prop_assert_eq!(big(Instant::<Utc>::from_units(units).as_nanos_rounded()), exact.clone());
        prop_assert_eq!(big(Span::from_units(units).half().units()), nearest(big(units), 2));

        let printed = Span::from_units(units).to_string();
        let (_, decimals) = printed.split_once('.').unwrap();
        prop_assert_eq!(decimals.len(), 9);
        prop_assert_eq!(printed.replace('.', "").parse::<BigInt>().unwrap(), exact);
    }

    #[test]
    fn seconds_split_off(units in units()) {
        let (seconds, rest) = Instant::<Tai>::from_units(units).split();
        prop_assert_eq!(big(seconds), floor(big(units), UNITS_PER_S));
        prop_assert!((0..UNITS_PER_S).contains(&rest.units()));
        prop_assert_eq!(seconds * UNITS_PER_S + rest.units(), units);
    }

    #[test]
    fn floating_point_keeps_its_precision(units in -(1_i128 << 100)..1_i128 << 100) {
        let there_and_back = Span::from_secs_f64(Span::from_units(units).as_secs_f64()).units();
        prop_assert!((there_and_back - units).abs() <= (units.abs() >> 51) + 1);
    }

    #[test]
    fn a_sample_is_exact(t1 in tai(), t2 in tai(), t3 in tai(), t4 in tai()) {
        let sample = Exchange { t1, t2, t3, t4 }.sample();
        let [t1, t2, t3, t4] = [t1, t2, t3, t4].map(|t| big(t.units()));
        prop_assert_eq!(big(sample.offset.units()), nearest(&t2 - &t1 + &t3 - &t4, 2));
        let delay = (t4 - t1) - (t3 - t2);
        prop_assert_eq!(big(sample.delay.units()), delay.clone());
        prop_assert_eq!(big(sample.bound.units()), ceil(delay.max(big(0)).max(-big(sample.delay.units())), 2));
    }

    #[test]
    fn utc_becomes_an_ntp_timestamp(instant in utc()) {
        let since_1970 = nearest(big(instant.units()) << 32, UNITS_PER_S);
        let exact = modulo(since_1970 + (big(NTP_TO_POSIX_S) << 32), &pow2(64));
        prop_assert_eq!(big(NtpTimestamp::from_utc(instant).to_bits()), exact);
    }

    #[test]
    fn an_ntp_timestamp_near_a_pivot_is_told(bits in bits(), pivot in utc()) {
        let pivot_bits = nearest(big(pivot.units()) << 32, UNITS_PER_S) + (big(NTP_TO_POSIX_S) << 32);
        let told_bits = &pivot_bits + short_way(big(bits) - &pivot_bits, &pow2(64));
        let exact = nearest((told_bits - (big(NTP_TO_POSIX_S) << 32)) * UNITS_PER_S, pow2(32));
        let told = NtpTimestamp::from_bits(bits).near(pivot);
        prop_assert_eq!(big(told.units()), exact);
        prop_assert_eq!(NtpTimestamp::from_utc(told).to_bits(), bits);
        prop_assert!((told - pivot).abs() <= Span::from_secs(1 << 31) + Span::from_nanos(1));
    }

    #[test]
    fn an_instant_comes_back_through_its_ntp_timestamp(
        instant in utc(),
        away_s in -(1_i64 << 31) + 1..(1_i64 << 31) - 1,
    ) {
        let pivot = instant + Span::from_secs(away_s);
        let back = NtpTimestamp::from_utc(instant).near(pivot);
        // Half of 2^-32 s, and half a unit for the way back.
        prop_assert!((back - instant).units().abs() <= (UNITS_PER_S >> 33) + 1);
    }

    #[test]
    fn ntp_timestamps_subtract(earlier in bits(), later in bits()) {
        let exact = nearest(short_way(big(later) - big(earlier), &pow2(64)) * UNITS_PER_S, pow2(32));
        let span = NtpTimestamp::from_bits(later).since(NtpTimestamp::from_bits(earlier));
        prop_assert_eq!(big(span.units()), exact);
    }

    #[test]
    fn the_short_format_never_tells_too_little(
        units in prop_oneof![0..1_i128 << 63, any::<i128>(), 0..5_i128, (0..1_i128 << 33).prop_map(|n| n * 1_000_000_000)],
    ) {
        let exact = ceil(big(units).max(big(0)) << 16, UNITS_PER_S).min(big(u32::MAX));
        let told = NtpShort::from_span_rounded_up(Span::from_units(units));
        prop_assert_eq!(big(told.to_bits()), exact);
        prop_assert!(told.as_span().units() >= units || told.to_bits() == u32::MAX);
    }

    #[test]
    fn the_short_format_tells_spans(bits: u32) {
        let span = NtpShort::from_bits(bits).as_span();
        prop_assert_eq!(big(span.units()) << 16, big(bits) * UNITS_PER_S);
        prop_assert_eq!(NtpShort::from_span_rounded_up(span).to_bits(), bits);
    }

    #[test]
    fn ticks_become_instants(model in model(bits()), ticks in bits()) {
        // Whatever a wider register holds above the counter's own bits does not count.
        let elapsed = exact_elapsed(&model, Ticks(ticks));
        prop_assert_eq!(big(model.elapsed(Ticks(ticks))), elapsed.clone());
        let exact = big(model.reference.units()) + nearest(elapsed * model.rate.to_bits(), pow2(40));
        prop_assert_eq!(big(model.instant(Ticks(ticks)).units()), exact);
    }

    #[test]
    fn instants_become_ticks(model in model(bits()), instant in tai()) {
        let rate = model.rate.to_bits().max(1);
        let elapsed = nearest((big(instant.units()) - big(model.reference.units())) << 40, rate);
        let exact = modulo(elapsed + model.reference_ticks.0, &pow2(model.width.into()));
        prop_assert_eq!(big(model.ticks(instant).0), exact);
    }

    #[test]
    fn ticks_come_back_through_their_instant(model in model(real_rate()), ticks in bits()) {
        let ticks = Ticks(ticks & mask(model.width));
        prop_assert_eq!(model.ticks(model.instant(ticks)), ticks);
    }

    #[test]
    fn the_error_grows_and_is_never_told_too_small(model in model(bits()), ticks in bits()) {
        let scale = pow2(40) * 1_000_000_000;
        let away = exact_elapsed(&model, Ticks(ticks)) * model.rate.to_bits();
        let grown = away.clone().max(-away) * model.drift_ppb;
        let told = big(model.error_at(Ticks(ticks)).units()) - big(model.error.units());
        prop_assert!(&told * &scale >= grown);
        // A drift of up to 4.3 per unit multiplies what rounding the distance up has added.
        prop_assert!(told * &scale <= grown + scale * 9);
    }

    #[test]
    fn hertz_become_rates(hertz in 4e6..1e11_f64) {
        let back = Rate::from_hertz(hertz).as_hertz();
        prop_assert!((back / hertz - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_packet_path_agrees_with_the_model(
        model in model(real_rate()),
        tai_offset_s in -100..100_i32,
        away in -10_000_000_000_i64..10_000_000_000,
    ) {
        let ticks = Ticks(model.reference_ticks.0.wrapping_add_signed(away) & mask(model.width));
        let utc = model.instant(ticks) - Span::from_secs(tai_offset_s.into());
        let expected = NtpTimestamp::from_utc(Instant::from_units(utc.units())).to_bits();
        let told = NtpClock::new(&model, tai_offset_s, None).at(ticks).to_bits();
        prop_assert!(told.wrapping_sub(expected).cast_signed().abs() <= 1, "{told:#x}, not {expected:#x}");
    }

    #[test]
    fn the_packet_path_leaps_at_the_first_tick_that_is_late_enough(
        model in model(prop_oneof![bits(), real_rate()]),
        at in tai(),
    ) {
        let exact = ceil((big(at.units()) - big(model.reference.units())) << 40, model.rate.to_bits().max(1));
        let clock = NtpClock::new(&model, 37, Some((at, -1)));
        prop_assert_eq!(big(clock.leap_after), exact.clamp(big(i64::MIN), big(i64::MAX)));
    }

    #[test]
    fn an_instant_becomes_a_ptp_timestamp(instant in tai()) {
        let nanos = nearest(big(instant.units()), pow2(16));
        let in_range = nanos >= big(0) && nanos < (big(1_000_000_000) << 48);
        match PtpTimestamp::from_tai(instant) {
            Ok(timestamp) => {
                prop_assert!(in_range);
                prop_assert_eq!(big(timestamp.seconds()) * 1_000_000_000 + timestamp.nanoseconds(), nanos);
                prop_assert!((timestamp.to_tai() - instant).units().abs() <= 1 << 15);
            }
            Err(error) => {
                prop_assert!(!in_range);
                prop_assert_eq!(error, PtpTimestampError::Range(instant));
            }
        }
    }

    #[test]
    fn ptp_timestamps_keep_their_bytes(seconds in prop_oneof![bits(), 0..1_u64 << 48], nanoseconds in prop_oneof![any::<u32>(), 999_999_990..1_000_000_010_u32]) {
        match PtpTimestamp::new(seconds, nanoseconds) {
            Ok(timestamp) => {
                prop_assert!(seconds < 1 << 48 && nanoseconds < 1_000_000_000);
                let bytes = timestamp.to_be_bytes();
                let exact = (big(seconds) << 32) + nanoseconds;
                prop_assert_eq!(BigInt::from_bytes_be(num_bigint::Sign::Plus, &bytes), exact);
                prop_assert_eq!(PtpTimestamp::from_be_bytes(bytes), Ok(timestamp));
                prop_assert_eq!(PtpTimestamp::from_tai(timestamp.to_tai()), Ok(timestamp));
            }
            Err(PtpTimestampError::Nanoseconds(told)) => {
                prop_assert_eq!(told, nanoseconds);
                prop_assert!(nanoseconds >= 1_000_000_000);
            }
            Err(PtpTimestampError::Range(_)) => prop_assert!(seconds >= 1 << 48),
        }
    }

    #[test]
    fn any_ten_bytes_are_a_ptp_timestamp_or_refused(bytes: [u8; 10]) {
        let nanoseconds = u32::from_be_bytes([bytes[6], bytes[7], bytes[8], bytes[9]]);
        match PtpTimestamp::from_be_bytes(bytes) {
            Ok(timestamp) => prop_assert_eq!(timestamp.to_be_bytes(), bytes),
            Err(error) => {
                prop_assert!(nanoseconds >= 1_000_000_000);
                prop_assert_eq!(error, PtpTimestampError::Nanoseconds(nanoseconds));
            }
        }
    }
}
