//! Leap seconds: when TAI - UTC changes.

use core::iter;

use crate::{Instant, Span, Tai, Utc, ntp::NTP_TO_POSIX_S};

/// One entry of the list of leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeapSecond {
    /// The first UTC second with the new offset.
    pub begins: Instant<Utc>,
    /// TAI - UTC from then on, in seconds.
    pub tai_offset_s: i32,
}

/// Why a leap-second list cannot be read. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeapError {
    /// No entry at all: this is not a leap-second list.
    #[error("no leap second in the list")]
    Empty,
    /// An entry without its second number.
    #[error("line {line}: TAI-UTC is missing")]
    Missing {
        /// The line of the entry.
        line: usize,
    },
    /// Something behind an entry that is not a comment.
    #[error("line {line}: unexpected {value:?} after the entry; comments start with '#'")]
    Trailing {
        /// The line of the entry.
        line: usize,
        /// What stands there, or its beginning.
        value: String,
    },
    /// A number that is none.
    #[error("line {line}: {what} {value:?} is not a whole number in range")]
    Number {
        /// The line it stands in.
        line: usize,
        /// What the number should have told.
        what: &'static str,
        /// What stands there, or its beginning.
        value: String,
    },
    /// A leap second is inserted or deleted at the end of a day; this one is not.
    #[error("line {line}: NTP time {ntp_seconds} is not a midnight")]
    NotMidnight {
        /// The line of the entry.
        line: usize,
        /// The entry's time, in seconds since 1900.
        ntp_seconds: i64,
    },
    /// An entry that does not come after the one before it.
    #[error("line {line}: NTP time {ntp_seconds} is not later than that of the entry before it")]
    Order {
        /// The line of the entry.
        line: usize,
        /// The entry's time, in seconds since 1900.
        ntp_seconds: i64,
    },
    /// An entry that changes TAI - UTC by anything but one second.
    #[error("line {line}: TAI-UTC goes from {from} to {to}; a leap second changes it by one")]
    Step {
        /// The line of the entry.
        line: usize,
        /// TAI - UTC before.
        from: i32,
        /// TAI - UTC from the entry on.
        to: i32,
    },
}

/// All known leap seconds.
///
/// [`Utc`] counts as POSIX does. The second 23:59:60 that is inserted has the number of 23:59:59 once more, and a second
/// 23:59:59 that is deleted leaves its number out: in both cases UTC is stepped, back as 23:59:60 begins, or forward as
/// 23:59:59 would have begun. So a number of UTC may mean two instants or none; what the conversions make of those is said
/// there. Before the first entry (1972-01-01) its offset is used, although UTC ran otherwise then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeapTable {
    first: LeapSecond,
    later: Vec<LeapSecond>,
    expires: Option<Instant<Utc>>,
}

impl LeapTable {
    /// The leap seconds known when this was written: IERS Bulletin C up to number 71.
    #[must_use]
    pub fn built_in() -> Self {
        let (first, later) = BUILT_IN;
        Self {
            first: entry(first),
            later: later.into_iter().map(entry).collect(),
            expires: Some(from_ntp_seconds(BUILT_IN_EXPIRES)),
        }
    }

    /// Reads the format `leap-seconds.list` of IERS and NIST: a line for each entry with its NTP time (seconds since 1900,
    /// eras counted on) and TAI - UTC from then on; `#@` is followed by the NTP time at which the list expires; all else
    /// behind `#` is a comment. The hash (`#h`) is not checked.
    ///
    /// # Errors
    /// Where a line cannot be read, where entries are out of order or step by more than a second, and where there is none.
    pub fn parse(text: &str) -> Result<Self, LeapError> {
        let mut first = None;
        let mut later = Vec::new();
        let mut expires = None;
        for (line, content) in (1..).zip(text.lines()) {
            if let Some(value) = content.strip_prefix("#@") {
                expires = Some(from_ntp_seconds(ntp_seconds(line, "expiry", value.trim())?));
            } else if let Some((ntp_seconds, tai_offset_s)) = parse_entry(line, content)? {
                let entry = entry((ntp_seconds, tai_offset_s));
                match later.last().or(first.as_ref()) {
                    None => first = Some(entry),
                    Some(last) if entry.begins <= last.begins => return Err(LeapError::Order { line, ntp_seconds }),
                    Some(last) if tai_offset_s.abs_diff(last.tai_offset_s) != 1 => {
                        return Err(LeapError::Step { line, from: last.tai_offset_s, to: tai_offset_s });
                    }
                    Some(_) => later.push(entry),
                }
            }
        }
        Ok(Self { first: first.ok_or(LeapError::Empty)?, later, expires })
    }

    /// The entries, in ascending order; at least one.
    pub fn entries(&self) -> impl Iterator<Item = &LeapSecond> {
        iter::once(&self.first).chain(&self.later)
    }

    /// TAI - UTC at `utc`, in seconds. During the number that an inserted second shares with the one before it, and during
    /// the number that a deletion leaves out, this is still the old offset.
    #[must_use]
    pub fn tai_offset(&self, utc: Instant<Utc>) -> i32 {
        self.later.iter().rev().find(|entry| entry.begins <= utc).unwrap_or(&self.first).tai_offset_s
    }

    /// The instant that UTC calls `utc`: the first where there are two. A number that a deletion leaves out is what a
    /// clock that missed the deletion shows.
    #[must_use]
    pub fn utc_to_tai(&self, utc: Instant<Utc>) -> Instant<Tai> {
        Instant::from_units((utc + Span::from_secs(self.tai_offset(utc).into())).units())
    }

    /// What UTC calls `tai`.
    #[must_use]
    pub fn tai_to_utc(&self, tai: Instant<Tai>) -> Instant<Utc> {
        let past = self.changes().take_while(|change| change.at <= tai).last();
        let offset = past.map_or(self.first.tai_offset_s, |change| change.tai_offset_s);
        Instant::from_units((tai - Span::from_secs(offset.into())).units())
    }

    /// The next leap second after `now`: the instant at which UTC is stepped (as 23:59:60 begins, or as a deleted 23:59:59
    /// would begin) and the seconds that are then added to UTC: -1 where one is inserted, +1 where one is deleted.
    #[must_use]
    pub fn next(&self, now: Instant<Tai>) -> Option<(Instant<Tai>, i8)> {
        self.changes().find(|change| change.at > now).map(|change| (change.at, change.utc_step_s))
    }

    /// From when on the list may lack a leap second, if it says so.
    #[must_use]
    pub const fn expires(&self) -> Option<Instant<Utc>> {
        self.expires
    }

    fn changes(&self) -> impl Iterator<Item = Change> {
        self.entries().zip(&self.later).map(|(old, new)| {
            let (old_s, new_s) = (old.tai_offset_s, new.tai_offset_s);
            // The old offset ends one second before the new one's first number where a second is deleted, and with it
            // where one is inserted: either way that number less the smaller offset.
            let at = new.begins + Span::from_secs(old_s.min(new_s).into());
            Change {
                at: Instant::from_units(at.units()),
                tai_offset_s: new_s,
                utc_step_s: if new_s > old_s { -1 } else { 1 },
            }
        })
    }
}

/// A step of UTC.
struct Change {
    at: Instant<Tai>,
    /// TAI - UTC from then on.
    tai_offset_s: i32,
    utc_step_s: i8,
}

/// The end of the year 9999, in seconds since 1900: no list reaches so far, and within it no arithmetic overflows.
const LAST_NTP_SECOND: i64 = 255_611_289_599;
const DAY_S: i64 = 86_400;
/// How much of a wrong value an error quotes, in characters.
const QUOTED: usize = 32;

fn parse_entry(line: usize, content: &str) -> Result<Option<(i64, i32)>, LeapError> {
    let data = content.split('#').next().unwrap_or_default();
    let mut words = data.split_whitespace();
    let Some(time) = words.next() else { return Ok(None) };
    let time = ntp_seconds(line, "NTP time", time)?;
    if time % DAY_S != 0 {
        return Err(LeapError::NotMidnight { line, ntp_seconds: time });
    }
    let offset = words.next().ok_or(LeapError::Missing { line })?;
    let offset = offset.parse().map_err(|_| LeapError::Number { line, what: "TAI-UTC", value: quote(offset) })?;
    match words.next() {
        Some(more) => Err(LeapError::Trailing { line, value: quote(more) }),
        None => Ok(Some((time, offset))),
    }
}

fn ntp_seconds(line: usize, what: &'static str, value: &str) -> Result<i64, LeapError> {
    let seconds = value.parse().ok().filter(|seconds| (0..=LAST_NTP_SECOND).contains(seconds));
    seconds.ok_or_else(|| LeapError::Number { line, what, value: quote(value) })
}

fn quote(value: &str) -> String {
    value.chars().take(QUOTED).collect()
}

fn entry((ntp_seconds, tai_offset_s): (i64, i32)) -> LeapSecond {
    LeapSecond { begins: from_ntp_seconds(ntp_seconds), tai_offset_s }
}

const fn from_ntp_seconds(seconds: i64) -> Instant<Utc> {
    Instant::from_secs(seconds - NTP_TO_POSIX_S)
}

/// 2026-06-28, as the list with Bulletin C 71 says.
const BUILT_IN_EXPIRES: i64 = 3_991_593_600;

/// NTP time and TAI - UTC from then on.
const BUILT_IN: ((i64, i32), [(i64, i32); 27]) = (
    (2_272_060_800, 10), // 1972-01-01
    [
        (2_287_785_600, 11), // 1972-07-01
        (2_303_683_200, 12), // 1973-01-01
        (2_335_219_200, 13), // 1974-01-01
        (2_366_755_200, 14), // 1975-01-01
        (2_398_291_200, 15), // 1976-01-01
        (2_429_913_600, 16), // 1977-01-01
        (2_461_449_600, 17), // 1978-01-01
        (2_492_985_600, 18), // 1979-01-01
        (2_524_521_600, 19), // 1980-01-01
        (2_571_782_400, 20), // 1981-07-01
        (2_603_318_400, 21), // 1982-07-01
        (2_634_854_400, 22), // 1983-07-01
        (2_698_012_800, 23), // 1985-07-01
        (2_776_982_400, 24), // 1988-01-01
        (2_840_140_800, 25), // 1990-01-01
        (2_871_676_800, 26), // 1991-01-01
        (2_918_937_600, 27), // 1992-07-01
        (2_950_473_600, 28), // 1993-07-01
        (2_982_009_600, 29), // 1994-07-01
        (3_029_443_200, 30), // 1996-01-01
        (3_076_704_000, 31), // 1997-07-01
        (3_124_137_600, 32), // 1999-01-01
        (3_345_062_400, 33), // 2006-01-01
        (3_439_756_800, 34), // 2009-01-01
        (3_550_089_600, 35), // 2012-07-01
        (3_644_697_600, 36), // 2015-07-01
        (3_692_217_600, 37), // 2017-01-01
    ],
);
