//! Leap seconds: what is announced, and what a system clock makes of them.
//!
//! A kernel that was told of a leap second repeats 23:59:59 (or leaves it out), to within a tick; one that was not goes on,
//! and is a second off until somebody sets it. The number it shows may therefore mean either of two instants, a second
//! apart, and only what the counter says tells which.

use sidereal_ntp::LeapIndicator;
use sidereal_time::{Instant, LeapTable, Span, Tai, Utc};

/// How long a system clock may take to make a leap second. What is still off after that is believed.
const GRACE: Span = Span::from_secs(86_400);
/// How long before a leap second it is announced: the last day (RFC 5905 §7.3: the end of the current month at most).
const ANNOUNCED: Span = Span::from_secs(86_400);
/// How long before and after the step a reading may mean either instant, if nothing else tells: the second that is
/// repeated or left out, and a second for a kernel that is late.
const DOUBT_BEFORE: Span = Span::from_secs(1);
const DOUBT_AFTER: Span = Span::from_secs(2);

/// A reading of the system clock as an instant of TAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) tai: Instant<Tai>,
    /// The leap second that the clock has not made although it is past, as what should have been added to UTC.
    pub(crate) missed: Option<i8>,
}

/// The instant at which the system clock showed `utc`. Near a leap second that is the one closer to `predicted`; without
/// a prediction there is none in the seconds of doubt.
pub(crate) fn place(table: &LeapTable, utc: Instant<Utc>, predicted: Option<Instant<Tai>>) -> Option<Placed> {
    let by_table = table.utc_to_tai(utc);
    let placed = Placed { tai: by_table, missed: None };
    let near = table.next(by_table - GRACE).filter(|(at, _)| by_table >= *at - DOUBT_BEFORE);
    let Some((at, step)) = near else { return Some(placed) };
    let Some(predicted) = predicted else {
        return (by_table >= at + DOUBT_AFTER).then_some(placed);
    };
    let step_span = Span::from_secs(step.into());
    let other = if by_table < at { by_table - step_span } else { by_table + step_span };
    if (predicted - by_table).abs() <= (predicted - other).abs() {
        return Some(placed);
    }
    let missed = (by_table >= at + DOUBT_AFTER).then_some(step);
    Some(Placed { tai: other, missed })
}

/// What is announced at `now`.
pub(crate) fn indicator(table: &LeapTable, now: Instant<Tai>) -> LeapIndicator {
    match table.next(now) {
        Some((at, step)) if at - now <= ANNOUNCED => {
            if step < 0 {
                LeapIndicator::Insert
            } else {
                LeapIndicator::Delete
            }
        }
        _ => LeapIndicator::None,
    }
}

/// What is added to UTC at the end of the day of `now`, in seconds; 0 where nothing is.
pub(crate) fn step_today(table: &LeapTable, now: Instant<Tai>) -> i8 {
    table.next(now).filter(|(at, _)| *at - now <= ANNOUNCED).map_or(0, |(_, step)| step)
}

/// TAI - UTC at `now`, in seconds; during an inserted second already the new one, as UTC is stepped when it begins.
pub(crate) fn tai_offset_s(table: &LeapTable, now: Instant<Tai>) -> i32 {
    let offset = Span::from_units(now.units() - table.tai_to_utc(now).units());
    i32::try_from(offset.as_nanos_rounded() / 1_000_000_000).unwrap_or(0)
}

/// `kernel_s` and the table's TAI - UTC at `now`, in seconds, where they differ for more than the moment of a leap second.
pub(crate) fn differing(table: &LeapTable, now: Instant<Tai>, kernel_s: i32) -> Option<(i32, i32)> {
    let table_s = tai_offset_s(table, now);
    let soon_s = tai_offset_s(table, now + DOUBT_AFTER);
    (kernel_s != table_s && kernel_s != soon_s).then_some((kernel_s, table_s))
}

/// When the newest entry of `table` begins: whatever a clock shows, it is later.
pub(crate) fn latest(table: &LeapTable) -> Instant<Utc> {
    table.entries().last().map_or(Instant::EPOCH, |entry| entry.begins)
}

/// `table` with a leap second that it lacks, at the end of the UTC day of `now`; it still expires when it did.
pub(crate) fn with_unlisted(table: &LeapTable, now: Instant<Tai>, step: i8) -> Option<LeapTable> {
    /// From 1900 to 1970, in seconds: what the format counts from.
    const SINCE_1900_S: i128 = 2_208_988_800;
    const DAY_S: i128 = 86_400;
    let ntp_seconds = |at: Instant<Utc>| at.split().0 + SINCE_1900_S;
    let midnight = (table.tai_to_utc(now).split().0.div_euclid(DAY_S) + 1) * DAY_S;
    let mut text = table.expires().map_or_else(String::new, |at| format!("#@ {}\n", ntp_seconds(at)));
    for entry in table.entries() {
        text.push_str(&format!("{} {}\n", ntp_seconds(entry.begins), entry.tai_offset_s));
    }
    // An insertion steps UTC back, and TAI - UTC up.
    let offset_s = tai_offset_s(table, now) - i32::from(step);
    text.push_str(&format!("{} {offset_s}\n", midnight + SINCE_1900_S));
    LeapTable::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_second_that_was_heard_of_is_entered() {
        let table = LeapTable::parse("#@ 3960057600\n3692217600 37\n").unwrap();
        // 2026-12-31, at noon.
        let noon = Instant::<Utc>::from_secs(1_798_718_400);
        let now = table.utc_to_tai(noon);
        for (step, offset_s) in [(-1, 38), (1, 36)] {
            let more = with_unlisted(&table, now, step).unwrap();
            assert_eq!(more.expires(), table.expires());
            assert_eq!(more.tai_to_utc(now), noon);
            let (at, listed) = more.next(now).unwrap();
            assert_eq!((listed, tai_offset_s(&more, at)), (step, offset_s));
            assert_eq!(more.tai_offset(noon + Span::from_secs(43_200)), offset_s);
        }
    }
}
