//! Constants that others have published, and cases worked out by hand.

use sidereal_time::{
    ClockId, ClockModel, Counter, Exchange, Instant, LeapTable, NtpClock, NtpShort, NtpTimestamp, PtpTimestamp, Rate,
    Span, Tai, Ticks, Utc,
};

fn ms(milliseconds: i128) -> Instant<Utc> {
    Instant::from_nanos(milliseconds * 1_000_000)
}

#[test]
fn an_exchange_over_even_paths_between_clocks_that_agree() {
    let sample = Exchange { t1: ms(1_000), t2: ms(1_010), t3: ms(1_015), t4: ms(1_025) }.sample();
    assert_eq!(sample.delay, Span::from_nanos(20_000_000));
    assert_eq!(sample.offset, Span::ZERO);
    assert_eq!(sample.bound, Span::from_nanos(10_000_000));
}

#[test]
fn an_exchange_with_a_server_that_is_ahead() {
    let sample = Exchange { t1: ms(1_000), t2: ms(1_110), t3: ms(1_115), t4: ms(1_025) }.sample();
    assert_eq!(sample.delay, Span::from_nanos(20_000_000));
    assert_eq!(sample.offset, Span::from_nanos(100_000_000));
}

/// RFC 5905 figure 4: the dates with their eras and timestamps.
#[test]
fn ntp_timestamps_of_known_dates() {
    let at = |posix| NtpTimestamp::from_utc(Instant::from_secs(posix));
    // First day of NTP era 0: 1 January 1900.
    assert_eq!(at(-2_208_988_800), NtpTimestamp::UNKNOWN);
    // First day of Unix: 1 January 1970.
    assert_eq!(at(0).to_bits() >> 32, 2_208_988_800);
    // First day of UTC: 1 January 1972.
    assert_eq!(at(63_072_000).to_bits() >> 32, 2_272_060_800);
    // Last day of the 20th century: 31 December 1999.
    assert_eq!(at(946_598_400).to_bits() >> 32, 3_155_587_200);
    // Last day of era 0: 2036-02-07; the era ends at 06:28:16.
    assert_eq!(at(2_085_978_495).to_bits(), 0xffff_ffff_0000_0000);
    assert_eq!(at(2_085_978_496).to_bits(), 0);
    assert_eq!(at(2_085_978_497).to_bits(), 1 << 32);
    // Era 1 ends on 2172-03-15 at 12:56:32.
    assert_eq!(at(2_085_978_496 + (1 << 32) + 5).to_bits(), 5 << 32);
}

#[test]
fn a_timestamp_is_told_in_the_era_of_its_pivot() {
    let timestamp = NtpTimestamp::from_bits(0x8000_0000_8000_0000);
    let told = |pivot_posix| timestamp.near(Instant::from_secs(pivot_posix));
    let in_era_0 = Instant::from_nanos((0x8000_0000_i128 - 2_208_988_800) * 1_000_000_000 + 500_000_000);
    let era = Span::from_secs(1 << 32);
    // 1900, 2026, 2036 on either side of the turn, 2100, 2172.
    assert_eq!(told(-2_208_988_800), in_era_0 - era);
    assert_eq!(told(1_767_225_600), in_era_0);
    assert_eq!(told(2_085_978_495), in_era_0);
    assert_eq!(told(2_085_978_497), in_era_0 + era);
    assert_eq!(told(4_102_444_800), in_era_0 + era);
    assert_eq!(told(6_380_945_793), in_era_0 + era + era);
}

#[test]
fn timestamps_subtract_across_the_turn_of_an_era() {
    let before = NtpTimestamp::from_be_bytes([0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0]);
    let after = NtpTimestamp::from_be_bytes([0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(after.since(before), Span::from_nanos(1_500_000_000));
    assert_eq!(before.since(after), Span::from_nanos(-1_500_000_000));
    assert_eq!(after.to_be_bytes(), [0, 0, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn the_short_format_at_its_edges() {
    let told = |units| NtpShort::from_span_rounded_up(Span::from_units(units)).to_bits();
    // 2^-16 s is 15 258.789 062 5 ns, which is 10^9 units.
    assert_eq!(told(-1), 0);
    assert_eq!(told(0), 0);
    assert_eq!(told(1), 1);
    assert_eq!(told(1_000_000_000), 1);
    assert_eq!(told(1_000_000_001), 2);
    assert_eq!(NtpShort::from_span_rounded_up(Span::SECOND).to_bits(), 1 << 16);
    assert_eq!(NtpShort::from_span_rounded_up(Span::from_secs(65_536)).to_bits(), u32::MAX);
    assert_eq!(told(i128::MAX), u32::MAX);
}

#[test]
fn ptp_timestamps_round_and_carry() {
    let from = |units| PtpTimestamp::from_tai(Instant::from_units(units));
    let new = |seconds, nanoseconds| PtpTimestamp::new(seconds, nanoseconds).unwrap();
    assert_eq!(from(0).unwrap(), new(0, 0));
    assert_eq!(from((1 << 15) - 1).unwrap(), new(0, 0));
    assert_eq!(from(1 << 15).unwrap(), new(0, 1));
    assert_eq!(from(-(1 << 15)).unwrap(), new(0, 0));
    assert!(from(-(1 << 15) - 1).is_err());
    // Less than half a nanosecond before a second.
    assert_eq!(from((1_000_000_000 << 16) - 1).unwrap(), new(1, 0));
    let last = new((1 << 48) - 1, 999_999_999);
    assert_eq!(PtpTimestamp::from_tai(last.to_tai() + Span::from_units((1 << 15) - 1)).unwrap(), last);
    assert!(PtpTimestamp::from_tai(last.to_tai() + Span::from_units(1 << 15)).is_err());
    assert_eq!(last.to_be_bytes(), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3b, 0x9a, 0xc9, 0xff]);
}

#[test]
fn errors_of_ptp_timestamps_name_the_value() {
    assert_eq!(
        PtpTimestamp::new(0, 1_000_000_000).unwrap_err().to_string(),
        "nanoseconds field is 1000000000, not below 10^9"
    );
    assert_eq!(
        PtpTimestamp::new(1 << 48, 0).unwrap_err().to_string(),
        "instant 281474976710656.000000000 TAI is outside the range of a PTP timestamp"
    );
    assert!(PtpTimestamp::new(u64::MAX, 0).is_err());
}

fn model(width: u8, reference_ticks: u64) -> ClockModel {
    ClockModel {
        counter: Counter::Nic(ClockId(1)),
        width,
        reference_ticks: Ticks(reference_ticks),
        reference: Instant::from_secs(1_000),
        rate: Rate::NANOSECOND,
        error: Span::from_nanos(5),
        drift_ppb: 100,
        generation: 1,
    }
}

#[test]
fn a_narrow_counter_wraps() {
    let model = model(32, 0xffff_fff0);
    assert_eq!(model.elapsed(Ticks(0x10)), 0x20);
    assert_eq!(model.elapsed(Ticks(0xffff_ffe0)), -0x10);
    assert_eq!(model.instant(Ticks(0x10)), Instant::from_secs(1_000) + Span::from_nanos(0x20));
    assert_eq!(model.ticks(Instant::from_secs(1_000) + Span::from_nanos(0x20)), Ticks(0x10));
    let bit = self::model(1, 1);
    assert_eq!(bit.elapsed(Ticks(1)), 0);
    assert_eq!(bit.elapsed(Ticks(0)), -1);
}

#[test]
fn the_error_grows_away_from_the_reference_on_both_sides() {
    let model = model(64, 1 << 40);
    let at = |away: i64| model.error_at(Ticks((1_u64 << 40).wrapping_add_signed(away)));
    assert_eq!(at(0).as_nanos_rounded(), 5);
    assert_eq!(at(10_000_000_000).as_nanos_rounded(), 1_005);
    assert_eq!(at(-10_000_000_000).as_nanos_rounded(), 1_005);
}

#[test]
fn the_packet_path_repeats_a_second_as_one_is_inserted() {
    let table = LeapTable::built_in();
    // 2016-12-31 23:59:55 UTC, when TAI was 36 s ahead.
    let reference: Instant<Tai> = table.utc_to_tai(Instant::from_secs(1_483_228_795));
    let model = ClockModel { reference, ..model(64, 0) };
    let clock = NtpClock::new(&model, 36, table.next(reference));
    let second = |nanos| (clock.at(Ticks(nanos)).to_bits() >> 32) - 2_208_988_800;
    assert_eq!(second(4_500_000_000), 1_483_228_799, "23:59:59");
    assert_eq!(second(4_999_999_999), 1_483_228_799, "23:59:59");
    assert_eq!(second(5_000_000_000), 1_483_228_799, "23:59:60");
    assert_eq!(second(5_999_999_999), 1_483_228_799, "23:59:60");
    assert_eq!(second(6_000_000_000), 1_483_228_800, "00:00:00");
}

#[test]
fn spans_print_with_their_sign() {
    assert_eq!(Span::from_nanos(-1).to_string(), "-0.000000001");
    assert_eq!(Span::from_nanos(1_500_000_000).to_string(), "1.500000000");
    assert_eq!(format!("{:?}", Span::from_units(1 << 15)), "0.000000001 s");
    assert_eq!(Instant::<Tai>::from_nanos(1_700_000_000_000_000_001).to_string(), "1700000000.000000001 TAI");
    assert_eq!(Span::from_secs_f64(f64::NAN), Span::ZERO);
    assert_eq!(Span::from_secs_f64(f64::INFINITY).units(), i128::MAX);
    // The largest span prints, too.
    assert!(Span::from_secs_f64(f64::NEG_INFINITY).to_string().starts_with('-'));
}
