//! What a kernel that steps its own clock at a leap second is told of it, and when.
//!
//! A kernel steps at the end of the UTC day in which it is armed, by its own clock, and counts its TAI - UTC on by
//! itself (`adjtimex(2)`: `STA_INS`, `STA_DEL`, `ADJ_TAI`). So it must not be armed a day early, nor be told a new TAI
//! - UTC or be disarmed around the step, when its clock may stand on the other side of it than ours.
//!
//! Smearing is a matter of the ports that smear: the clocks of the host show UTC, leap second and all.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sidereal_ntp::LeapIndicator;
use sidereal_time::{Instant, LeapTable, Span, Tai, Utc};

/// How far our clock and the kernel's may be apart around a step.
const DOUBT: Span = Span::from_secs(2);
/// How long after the day has begun a kernel is armed: by then its clock shows that day too.
const ARMED_AFTER: Span = Span::from_secs(60);
const DAY_S: i128 = 86_400;

/// What to tell a clock that shows UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arming {
    /// What it is to add to UTC at the end of this UTC day, in seconds: -1 where a leap second is inserted (`STA_INS`),
    /// +1 where one is deleted (`STA_DEL`), else 0.
    pub leap_step: i8,
    /// TAI - UTC, in seconds.
    pub tai_offset_s: i32,
    /// Whether only the sources know of this leap second. The table is then to be replaced: by itself it takes the time
    /// after the leap second to be a second off.
    pub unlisted: bool,
}

/// What a clock that shows UTC is to be told at `now`; `None` within two seconds of a step, when it is to be left
/// alone.
///
/// The table decides for as long as it has not expired: until then its publisher knows every leap second. After that
/// the sources are listened to, on the last day of each month (ITU-R TF.460-6): the kernel is armed for what more than
/// half of `announced` say, which is what each source that is followed says of leap seconds.
#[must_use]
pub fn arm(table: &LeapTable, now: Instant<Tai>, announced: &[LeapIndicator]) -> Option<Arming> {
    let next = table.next(now - DOUBT - DOUBT);
    if next.is_some_and(|(at, _)| (at - now).abs() <= DOUBT) {
        return None;
    }
    let utc = table.tai_to_utc(now);
    let tai_offset_s = table.tai_offset(utc);
    let (today, passed) = day(utc);
    if passed < ARMED_AFTER {
        return Some(Arming { leap_step: 0, tai_offset_s, unlisted: false });
    }
    let listed = table.next(now).filter(|(at, _)| day(table.tai_to_utc(*at - Span::from_units(1))).0 == today);
    if let Some((_, leap_step)) = listed {
        return Some(Arming { leap_step, tai_offset_s, unlisted: false });
    }
    let may_be_lacking = table.expires().is_none_or(|expires| utc >= expires);
    let leap_step = if may_be_lacking && is_last_of_month(utc) { majority_step(announced) } else { 0 };
    Some(Arming { leap_step, tai_offset_s, unlisted: leap_step != 0 })
}

/// Which UTC day `utc` is in, counted from 1970-01-01, and how much of it has passed.
fn day(utc: Instant<Utc>) -> (i128, Span) {
    let (seconds, rest) = utc.split();
    let day = seconds.div_euclid(DAY_S);
    (day, rest + Span::from_nanos(seconds.rem_euclid(DAY_S) * 1_000_000_000))
}

fn is_last_of_month(utc: Instant<Utc>) -> bool {
    let (seconds, _) = utc.split();
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let date = at.map(|at| at.to_zoned(TimeZone::UTC).date());
    date.is_some_and(|date| date == date.last_of_month())
}

/// What more than half of the sources say is added to UTC.
fn majority_step(announced: &[LeapIndicator]) -> i8 {
    let is_said = |said| announced.iter().filter(|indicator| **indicator == said).count() * 2 > announced.len();
    if is_said(LeapIndicator::Insert) {
        -1
    } else if is_said(LeapIndicator::Delete) {
        1
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2016-12-31 00:00:00 UTC: a second was inserted at the end of this day.
    const DAY_OF_INSERTION: i64 = 1_483_142_400;
    const DAY: i64 = 86_400;

    fn utc(seconds: i64) -> Instant<Utc> {
        Instant::from_secs(seconds)
    }

    /// A list with one deletion, at the end of 2030-06-30, and an expiry.
    fn with_deletion(expires: i64) -> LeapTable {
        let ntp = |posix: i64| posix + 2_208_988_800;
        let text = format!("#@ {}\n{} 37\n{} 36\n", ntp(expires), ntp(DAY_OF_INSERTION + DAY), ntp(1_909_094_400));
        LeapTable::parse(&text).unwrap()
    }

    fn armed(table: &LeapTable, at: Instant<Utc>) -> Option<(i8, i32)> {
        arm(table, table.utc_to_tai(at), &[]).map(|arming| (arming.leap_step, arming.tai_offset_s))
    }

    #[test]
    fn an_insertion_is_armed_on_its_day_alone() {
        let table = LeapTable::built_in();
        let day = DAY_OF_INSERTION;
        assert_eq!(armed(&table, utc(day - 1)), Some((0, 36)));
        // The kernel's clock may still show the day before.
        assert_eq!(armed(&table, utc(day)), Some((0, 36)));
        assert_eq!(armed(&table, utc(day + 60)), Some((-1, 36)));
        assert_eq!(armed(&table, utc(day + DAY - 3)), Some((-1, 36)));
        let step = table.utc_to_tai(utc(day + DAY)) - Span::SECOND;
        for (after_s, expected) in [(-3, Some((-1, 36))), (-2, None), (0, None), (2, None), (3, Some((0, 37)))] {
            let arming = arm(&table, step + Span::from_secs(after_s), &[]);
            assert_eq!(arming.map(|arming| (arming.leap_step, arming.tai_offset_s)), expected, "{after_s} s after");
        }
        assert_eq!(armed(&table, utc(day + DAY + 3600)), Some((0, 37)));
    }

    #[test]
    fn a_deletion_is_armed_on_its_day_alone() {
        let table = with_deletion(2_000_000_000);
        let midnight = 1_909_094_400;
        // A second before the day begins the step is a day away to the second: arming now would delete the wrong one.
        assert_eq!(armed(&table, utc(midnight - DAY - 1)), Some((0, 37)));
        assert_eq!(armed(&table, utc(midnight - DAY + 60)), Some((1, 37)));
        assert_eq!(armed(&table, utc(midnight - 4)), Some((1, 37)));
        let step = table.utc_to_tai(utc(midnight)) - Span::from_units(1);
        assert_eq!(arm(&table, step, &[]), None);
        assert_eq!(armed(&table, utc(midnight + 3)), Some((0, 36)));
    }

    #[test]
    fn sources_are_listened_to_once_the_table_has_expired() {
        use LeapIndicator::{Delete, Insert, None as Nothing, Unknown};
        let noon = |day: i64| utc(day * DAY + DAY / 2);
        // 2030-01-30 to 2030-02-01 are the days 21944 to 21946.
        let heard = |expires: i64, day: i64, announced: &[LeapIndicator]| {
            let table = with_deletion(expires * DAY);
            let arming = arm(&table, table.utc_to_tai(noon(day)), announced).unwrap();
            assert_eq!(arming.unlisted, arming.leap_step != 0);
            arming.leap_step
        };
        assert_eq!(heard(21_900, 21_945, &[Insert, Insert, Nothing]), -1);
        assert_eq!(heard(21_900, 21_945, &[Delete, Insert, Delete]), 1);
        assert_eq!(heard(21_900, 21_945, &[Insert]), -1);
        // Half is no majority, and nobody none.
        assert_eq!(heard(21_900, 21_945, &[Insert, Nothing]), 0);
        assert_eq!(heard(21_900, 21_945, &[Insert, Delete, Unknown]), 0);
        assert_eq!(heard(21_900, 21_945, &[]), 0);
        // Not the last day of a month.
        assert_eq!(heard(21_900, 21_944, &[Insert, Insert]), 0);
        assert_eq!(heard(21_900, 21_946, &[Insert, Insert]), 0);
        // The table knows better.
        assert_eq!(heard(22_000, 21_945, &[Insert, Insert]), 0);
    }

    #[test]
    fn the_table_is_believed_before_the_sources() {
        let table = LeapTable::built_in();
        let now = table.utc_to_tai(utc(DAY_OF_INSERTION + DAY / 2));
        let arming = arm(&table, now, &[LeapIndicator::Delete; 3]);
        assert_eq!(arming, Some(Arming { leap_step: -1, tai_offset_s: 36, unlisted: false }));
    }
}
