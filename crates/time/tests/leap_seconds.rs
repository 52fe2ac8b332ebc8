//! The list of leap seconds, read and applied.

use proptest::prelude::*;
use sidereal_time::{
    ClockModel, Counter, Instant, LeapError, LeapTable, NtpClock, NtpTimestamp, Rate, Span, Tai, Ticks, Utc,
};

/// The list as IERS published it with Bulletin C 71; it is in the public domain.
const PUBLISHED: &str = include_str!("leap-seconds.list");
const NTP_TO_POSIX_S: i64 = 2_208_988_800;
const DAY_S: i64 = 86_400;

fn utc(posix: i64) -> Instant<Utc> {
    Instant::from_secs(posix)
}

fn tai(seconds: i64) -> Instant<Tai> {
    Instant::from_secs(seconds)
}

#[test]
fn the_published_list_is_the_one_built_in() {
    assert_eq!(LeapTable::parse(PUBLISHED), Ok(LeapTable::built_in()));
}

#[test]
fn the_list_of_this_system_begins_with_the_one_built_in() {
    // Not every system has one; where there is one, it may know more.
    let Ok(text) = std::fs::read_to_string("/usr/share/zoneinfo/leap-seconds.list") else { return };
    let known: Vec<_> = LeapTable::parse(&text).unwrap().entries().copied().collect();
    let built_in: Vec<_> = LeapTable::built_in().entries().copied().collect();
    assert!(known.starts_with(&built_in));
}

#[test]
fn built_in_are_28_entries_that_begin_in_january_or_july() {
    let table = LeapTable::built_in();
    assert_eq!(table.entries().count(), 28);
    for (entry, offset) in table.entries().zip(10..) {
        assert_eq!(entry.tai_offset_s, offset);
        let (posix, rest) = entry.begins.split();
        assert_eq!((posix % i128::from(DAY_S), rest), (0, Span::ZERO));
        // Days since 1972-01-01, in four-year cycles of which the first year is the leap year.
        let day = (posix / i128::from(DAY_S) - 730) % 1_461;
        let day_of_year = if day < 366 { day } else { (day - 366) % 365 };
        let july = if day < 366 { 182 } else { 181 };
        assert!(day_of_year == 0 || day_of_year == july, "TAI-UTC = {offset}");
    }
    assert_eq!(table.expires(), Some(utc(1_782_604_800)), "2026-06-28");
}

#[test]
fn an_inserted_second_repeats_a_number() {
    let table = LeapTable::built_in();
    // 2017-01-01 00:00:00 UTC; the second before it was 23:59:60.
    let midnight = 1_483_228_800;
    for (tai_s, posix) in [
        (midnight + 34, midnight - 2), // 23:59:58
        (midnight + 35, midnight - 1), // 23:59:59
        (midnight + 36, midnight - 1), // 23:59:60
        (midnight + 37, midnight),     // 00:00:00
    ] {
        assert_eq!(table.tai_to_utc(tai(tai_s)), utc(posix));
    }
    assert_eq!(table.utc_to_tai(utc(midnight - 1)), tai(midnight + 35), "the first of the two");
    assert_eq!(table.utc_to_tai(utc(midnight)), tai(midnight + 37));
    assert_eq!(table.tai_offset(utc(midnight) - Span::from_units(1)), 36);
    assert_eq!(table.tai_offset(utc(midnight)), 37);
    assert_eq!(table.next(tai(midnight + 36) - Span::from_units(1)), Some((tai(midnight + 36), -1)));
    assert_eq!(table.next(tai(midnight + 36)), None);
}

#[test]
fn a_deleted_second_leaves_a_number_out() {
    let table = LeapTable::parse("2208988800 10\n2209075200 9\n").unwrap();
    // 1970-01-02 00:00:00; the second before it is 23:59:58.
    let midnight = DAY_S;
    for (tai_s, posix) in [(midnight + 7, midnight - 3), (midnight + 8, midnight - 2), (midnight + 9, midnight)] {
        assert_eq!(table.tai_to_utc(tai(tai_s)), utc(posix));
    }
    assert_eq!(table.utc_to_tai(utc(midnight - 2)), tai(midnight + 8));
    assert_eq!(table.utc_to_tai(utc(midnight)), tai(midnight + 9));
    assert_eq!(table.utc_to_tai(utc(midnight - 1)), tai(midnight + 9), "what a clock that missed it shows");
    assert_eq!(table.next(tai(0)), Some((tai(midnight + 9), 1)));
}

#[test]
fn before_the_first_entry_its_offset_holds() {
    let table = LeapTable::built_in();
    assert_eq!(table.tai_offset(utc(0)), 10);
    assert_eq!(table.tai_to_utc(tai(10)), utc(0));
    assert_eq!(table.next(tai(0)), Some((tai(78_796_800 + 10), -1)), "1972-06-30 23:59:60");
}

#[test]
fn a_list_may_come_without_expiry_or_with_windows_line_ends() {
    let table = LeapTable::parse("#$ 1\r\n\r\n2272060800\t10\t# 1 Jan 1972\r\n2287785600 11 #1 Jul 1972\r\n").unwrap();
    assert_eq!(table.entries().count(), 2);
    assert_eq!(table.expires(), None);
}

#[test]
fn errors_name_line_and_value() {
    let cases = [
        ("", "no leap second in the list"),
        ("# comment\n#@ 3991593600\n", "no leap second in the list"),
        ("\n2272060800\n", "line 2: TAI-UTC is missing"),
        ("2272060800 # 10", "line 1: TAI-UTC is missing"),
        ("2272060800 ten", "line 1: TAI-UTC \"ten\" is not a whole number in range"),
        ("2272060800 2147483648", "line 1: TAI-UTC \"2147483648\" is not a whole number in range"),
        ("soon 10", "line 1: NTP time \"soon\" is not a whole number in range"),
        ("-86400 10", "line 1: NTP time \"-86400\" is not a whole number in range"),
        ("255611289600 10", "line 1: NTP time \"255611289600\" is not a whole number in range"),
        ("#@ never", "line 1: expiry \"never\" is not a whole number in range"),
        ("#@", "line 1: expiry \"\" is not a whole number in range"),
        ("2272060801 10", "line 1: NTP time 2272060801 is not a midnight"),
        ("2272060800 10 1 Jan 1972", "line 1: unexpected \"1\" after the entry; comments start with '#'"),
        ("2272060800 10\n2272060800 11", "line 2: NTP time 2272060800 is not later than that of the entry before it"),
        (
            "2287785600 10\n2303683200 11\n2272060800 12",
            "line 3: NTP time 2272060800 is not later than that of the entry before it",
        ),
        ("2272060800 10\n2287785600 10", "line 2: TAI-UTC goes from 10 to 10; a leap second changes it by one"),
        (
            "2272060800 -2147483648\n2287785600 2147483647",
            "line 2: TAI-UTC goes from -2147483648 to 2147483647; a leap second changes it by one",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(LeapTable::parse(text).unwrap_err().to_string(), message, "{text:?}");
    }
    let long = LeapTable::parse(&"x".repeat(1_000_000)).unwrap_err();
    assert!(matches!(long, LeapError::Number { line: 1, value, .. } if value.len() == 32));
}

/// Lists of up to six entries one to three days apart, inserted or deleted.
fn lists() -> impl Strategy<Value = Vec<(i64, i32)>> {
    let steps = prop::collection::vec((1..=3_i64, prop_oneof![Just(1), Just(-1)]), 0..6);
    (25_567..100_000_i64, -50..50, steps).prop_map(|(day, offset, steps)| {
        let mut entries = vec![(day, offset)];
        for (days, step) in steps {
            let (day, offset) = entries[entries.len() - 1];
            entries.push((day + days, offset + step));
        }
        entries
    })
}

fn print(list: &[(i64, i32)]) -> String {
    list.iter().map(|(ntp_day, offset)| format!("{}\t{offset}\n", ntp_day * DAY_S)).collect()
}

/// What UTC calls the TAI second `tai_s`, counted day by day from the first entry: a day that ends in an inserted second is
/// longer, one that ends in a deletion shorter.
fn label(list: &[(i64, i32)], tai_s: i64) -> i64 {
    let (mut ntp_day, mut offset) = list[0];
    let mut begins = ntp_day * DAY_S - NTP_TO_POSIX_S + i64::from(offset);
    loop {
        let next = list.iter().find(|(day, _)| *day == ntp_day + 1).map_or(offset, |(_, offset)| *offset);
        let length = DAY_S + i64::from(next - offset);
        let second = tai_s - begins;
        if second < length {
            return ntp_day * DAY_S - NTP_TO_POSIX_S + second.min(DAY_S - 1);
        }
        (ntp_day, offset, begins) = (ntp_day + 1, next, begins + length);
    }
}

proptest! {
    #[test]
    fn any_text_is_a_list_or_an_error(text in ".{0,200}") {
        if let Ok(table) = LeapTable::parse(&text) {
            prop_assert!(table.entries().count() > 0);
        }
    }

    #[test]
    fn any_lines_are_a_list_or_an_error(
        lines in prop::collection::vec(("(#[@$h]?)?", "[0-9]{0,13}", "[ \t]?", "-?[0-9]{0,11}", "( #?x)?"), 0..8),
    ) {
        let text: String = lines.iter().map(|(a, b, c, d, e)| format!("{a}{b}{c}{d}{e}\n")).collect();
        if let Ok(table) = LeapTable::parse(&text) {
            let entries: Vec<_> = table.entries().copied().collect();
            prop_assert!(entries.is_sorted_by(|a, b| a.begins < b.begins));
            prop_assert!(entries.windows(2).all(|two| two[0].tai_offset_s.abs_diff(two[1].tai_offset_s) == 1));
        }
    }

    #[test]
    fn a_list_is_read_as_it_was_written(list in lists()) {
        let table = LeapTable::parse(&print(&list)).unwrap();
        let read: Vec<_> = table.entries().map(|entry| (entry.begins, entry.tai_offset_s)).collect();
        let written: Vec<_> = list.iter().map(|(day, offset)| (utc(day * DAY_S - NTP_TO_POSIX_S), *offset)).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn utc_is_what_counting_the_days_gives(list in lists(), entry: prop::sample::Index, away_s in -5..=5_i64, part in 0..1_000_000_000_i128 << 16) {
        let table = LeapTable::parse(&print(&list)).unwrap();
        let (day, offset) = list[entry.index(list.len())];
        let tai_s = (day * DAY_S - NTP_TO_POSIX_S + i64::from(offset) + away_s)
            .max(list[0].0 * DAY_S - NTP_TO_POSIX_S + i64::from(list[0].1));
        let part = Span::from_units(part);
        let told = table.tai_to_utc(tai(tai_s) + part);
        prop_assert_eq!(told, utc(label(&list, tai_s)) + part);

        // The way back: the first of two instants of the same number.
        let back = table.utc_to_tai(told);
        let first = if label(&list, tai_s - 1) == label(&list, tai_s) { tai_s - 1 } else { tai_s };
        prop_assert_eq!(back, tai(first) + part);
    }

    #[test]
    fn leap_seconds_follow_each_other_to_the_last(list in lists()) {
        let table = LeapTable::parse(&print(&list)).unwrap();
        let mut now = tai(-10_000_000_000);
        let mut offset = list[0].1;
        for (day, next_offset) in &list[1..] {
            let (at, step) = table.next(now).unwrap();
            prop_assert_eq!(i32::from(step), offset - next_offset);
            // UTC jumps there, and arrives at (or, repeating, one second before) the entry's own beginning.
            let begins = utc(day * DAY_S - NTP_TO_POSIX_S);
            let after = if step < 0 { begins - Span::SECOND } else { begins };
            prop_assert_eq!(table.tai_to_utc(at), after);
            let just_before = Span::from_units(1);
            prop_assert_eq!(
                table.tai_to_utc(at) - table.tai_to_utc(at - just_before),
                just_before + Span::from_secs(step.into())
            );
            (now, offset) = (at, *next_offset);
        }
        prop_assert_eq!(table.next(now), None);
    }

    #[test]
    fn the_packet_path_leaps_as_the_table_does(
        list in lists(),
        rate in 1_u64 << 54..1 << 58,
        width in 40..=64_u8,
        reference_ticks: u64,
        reference_away_ns in -5_000_000_000..5_000_000_000_i128,
        away_ns in -5_000_000_000..5_000_000_000_i128,
    ) {
        prop_assume!(list.len() > 1);
        let table = LeapTable::parse(&print(&list)).unwrap();
        let (at, _) = table.next(tai(-10_000_000_000)).unwrap();
        // Made before the leap second or after it, read before it or after it.
        let reference = at + Span::from_nanos(reference_away_ns);
        let model = ClockModel {
            counter: Counter::Tsc,
            width,
            reference_ticks: Ticks(reference_ticks & (u64::MAX >> (64 - width))),
            reference,
            rate: Rate::from_bits(rate),
            error: Span::ZERO,
            drift_ppb: 0,
            generation: 0,
        };
        let offset = (reference.units() - table.tai_to_utc(reference).units()) / Span::SECOND.units();
        let clock = NtpClock::new(&model, i32::try_from(offset).unwrap(), table.next(reference));
        let ticks = model.ticks(at + Span::from_nanos(away_ns));
        let instant = model.instant(ticks);
        // Within the rounding of the instant either side may be right; and a model made after the leap second no longer
        // knows how UTC was told before it.
        prop_assume!((instant - at).units().abs() > 1 && (reference < at || instant >= at));
        let expected = NtpTimestamp::from_utc(table.tai_to_utc(instant)).to_bits();
        let told = clock.at(ticks).to_bits();
        prop_assert!(told.wrapping_sub(expected).cast_signed().abs() <= 1, "{told:#x}, not {expected:#x}");
    }
}
