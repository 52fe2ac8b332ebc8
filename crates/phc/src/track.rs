//! Where the counter stood when a steered clock showed a time.

use std::collections::VecDeque;

use sidereal_time::{Rate, Span, Ticks};

use crate::beside::Look;

/// How many looks are remembered: at [`SPACING`], half a second of a clock that is steered all the time.
const ANCHORS: usize = 32;
/// Looks that nothing makes special are remembered this far apart.
const SPACING: Span = Span::from_nanos(15_625_000);
/// How far before the first look a stamp may be: nothing is known of the clock's rate there but that it is no more than
/// 500 ppm off.
const REACH: Span = Span::from_secs(1);
/// Stamps are asked for sooner than this: of two times at which the clock showed one, an older is not meant.
const STAMP_AGE_MAX: Span = Span::from_secs(1);
/// The kernel slews by 10 % at most (`tick`); a clock that went by more than this fraction otherwise was stepped.
const SLEW_MAX_DIVISOR: i128 = 8;
/// 2^-56 ns (a [`Rate`]'s bit) in the unit of a span.
const RATE_BITS_PER_UNIT: u32 = 40;

/// A stamp's place on the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// Where the counter stood when the clock showed the stamp.
    pub ticks: Ticks,
    /// Half of it is how far `ticks` may be off, either way: the windows of the looks that it was reckoned from.
    pub window: Span,
}

/// Why a stamp of a clock has no place on the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LocateError {
    /// The clock has not shown it: whoever took the stamp used another clock, or the clock was set back.
    #[error("the stamp is later than the clock that took it")]
    Future,
    /// Longer ago than the clock has been watched.
    #[error("the stamp is older than what is remembered of the clock")]
    Old,
    /// The clock was stepped about then, and showed the stamp twice within a second, or never.
    #[error("the clock was stepped: it showed the stamp twice or never")]
    Stepped,
}

/// What is remembered of a clock: where it was and when, between which it ran evenly.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    tick: Rate,
    anchors: VecDeque<Look>,
}

impl Track {
    /// Nothing is remembered. `tick` is the nominal length of the counter's tick.
    pub(crate) const fn new(tick: Rate) -> Self {
        Self { tick, anchors: VecDeque::new() }
    }

    /// Remembers a look that is far enough from the one before.
    pub(crate) fn record(&mut self, look: Look) {
        if self.anchors.back().is_none_or(|last| self.passed(last, &look) >= SPACING) {
            self.mark(look);
        }
    }

    /// Remembers a look at which the clock's rate or time is changed.
    pub(crate) fn mark(&mut self, look: Look) {
        if self.anchors.len() == ANCHORS {
            self.anchors.pop_front();
        }
        self.anchors.push_back(look);
    }

    /// Forgets what was before `look`: somebody stepped the clock, nobody knows when.
    pub(crate) fn restart(&mut self, look: Look) {
        self.anchors.clear();
        self.anchors.push_back(look);
    }

    /// Where the counter stood when the clock showed `stamp`, of a clock that was looked at just `now`.
    pub(crate) fn locate(&self, stamp: Span, now: &Look) -> Result<Located, LocateError> {
        let Some(first) = self.anchors.front() else { return self.before(stamp, now) };
        let mut found: Option<Located> = None;
        let mut stepped = false;
        let later = self.anchors.iter().skip(1).chain([now]);
        for (from, to) in self.anchors.iter().zip(later) {
            let step = self.is_stepped(from, to);
            stepped |= step;
            let candidates = if step { self.around_step(from, to, stamp) } else { [between(from, to, stamp), None] };
            for located in candidates.into_iter().flatten() {
                match found {
                    Some(earlier) if !self.are_one(&earlier, &located) && self.is_recent(&earlier, now) => {
                        return Err(LocateError::Stepped);
                    }
                    _ => found = Some(located),
                }
            }
        }
        match found {
            Some(located) => Ok(located),
            None if stamp < first.shown => self.before(stamp, first),
            None if stamp > now.shown => self.before(stamp, now),
            None => Err(if stepped { LocateError::Stepped } else { LocateError::Old }),
        }
    }

    /// A stamp from before `first`, the first look, told at the nominal rate; also one that the window of the look hides.
    fn before(&self, stamp: Span, first: &Look) -> Result<Located, LocateError> {
        let ago = first.shown - stamp;
        if ago < -first.window {
            return Err(LocateError::Future);
        }
        if ago > REACH {
            return Err(LocateError::Old);
        }
        Ok(Located { ticks: self.earlier(first, ago), window: first.window })
    }

    /// The two times that a stamp can have in a stretch in which the clock was stepped: before and after.
    fn around_step(&self, from: &Look, to: &Look, stamp: Span) -> [Option<Located>; 2] {
        let length = to.ticks.0.wrapping_sub(from.ticks.0);
        [from, to].map(|look| {
            let ticks = self.earlier(look, look.shown - stamp);
            let inside = ticks.0.wrapping_sub(from.ticks.0) <= length;
            inside.then_some(Located { ticks, window: look.window })
        })
    }

    fn is_stepped(&self, from: &Look, to: &Look) -> bool {
        let passed = self.passed(from, to);
        let otherwise = ((to.shown - from.shown) - passed).abs();
        otherwise > Span::from_units(passed.units() / SLEW_MAX_DIVISOR) + from.window + to.window
    }

    /// Whether two places are the same but for the windows.
    fn are_one(&self, one: &Located, other: &Located) -> bool {
        let apart = one.ticks.0.wrapping_sub(other.ticks.0).cast_signed();
        self.tick.span(apart).abs() <= one.window + other.window
    }

    /// Whether a stamp from then may be asked for only now.
    fn is_recent(&self, located: &Located, now: &Look) -> bool {
        self.tick.span(now.ticks.0.wrapping_sub(located.ticks.0).cast_signed()) <= STAMP_AGE_MAX
    }

    /// The time from one look to a later one, by the counter.
    fn passed(&self, from: &Look, to: &Look) -> Span {
        self.tick.span(to.ticks.0.wrapping_sub(from.ticks.0).cast_signed())
    }

    /// Where the counter stood `ago` before `look`, at the nominal rate.
    fn earlier(&self, look: &Look, ago: Span) -> Ticks {
        let bits = i128::from(self.tick.to_bits()).max(1);
        // What does not fit is years away, and far outside of every stretch.
        let shifted = ago.units().checked_mul(1 << RATE_BITS_PER_UNIT).unwrap_or(i128::MAX);
        let ticks = i64::try_from(shifted / bits).unwrap_or(i64::MAX);
        Ticks(look.ticks.0.wrapping_sub(ticks.cast_unsigned()))
    }
}

/// Where the counter stood when a clock that ran evenly between two looks showed `stamp`; `None` where that was not between
/// them.
pub(crate) fn between(from: &Look, to: &Look, stamp: Span) -> Option<Located> {
    if !(from.shown..=to.shown).contains(&stamp) {
        return None;
    }
    let length = (to.shown - from.shown).units();
    let ticks = i128::from(to.ticks.0.wrapping_sub(from.ticks.0));
    let part = (stamp - from.shown).units();
    // A clock that did not move between the looks showed the stamp at the later as well as at the earlier.
    let ticks = if length == 0 { ticks } else { ticks.checked_mul(part)? / length };
    let window = from.window.max(to.window);
    Some(Located { ticks: Ticks(from.ticks.0.wrapping_add(u64::try_from(ticks).ok()?)), window })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sidereal_time::{Rate, Span, Ticks};

    use super::{ANCHORS, LocateError, Located, REACH, SPACING, Track};
    use crate::beside::Look;

    const MS: i64 = 1_000_000;

    fn ns(nanos: i64) -> Span {
        Span::from_nanos(nanos.into())
    }

    /// A look at a counter of nanoseconds, within 40 ns.
    fn look(ticks: i64, shown: i64) -> Look {
        Look { ticks: Ticks(ticks.cast_unsigned()), shown: ns(shown), window: ns(40) }
    }

    fn track(looks: &[(i64, i64)]) -> Track {
        let mut track = Track::new(Rate::NANOSECOND);
        looks.iter().for_each(|(ticks, shown)| track.mark(look(*ticks, *shown)));
        track
    }

    fn ticks(located: Result<Located, LocateError>) -> Result<i64, LocateError> {
        located.map(|located| located.ticks.0.cast_signed())
    }

    #[test]
    fn a_slewed_clock_is_followed_exactly() {
        // 500 ppm fast for a second, then 500 ppm slow.
        let track = track(&[(0, 7_000 * MS), (1_000 * MS, 8_000 * MS + 500_000)]);
        let now = look(2_000 * MS, 9_000 * MS);
        assert_eq!(ticks(track.locate(ns(7_500 * MS + 250_000), &now)), Ok(500 * MS));
        assert_eq!(ticks(track.locate(ns(8_500 * MS + 250_000), &now)), Ok(1_500 * MS));
        assert_eq!(track.locate(now.shown, &now), Ok(Located { ticks: now.ticks, window: ns(40) }));
    }

    #[test]
    fn before_the_first_look_the_nominal_rate_serves_for_a_while() {
        let track = track(&[(5_000 * MS, 9_000 * MS)]);
        let now = look(5_001 * MS, 9_001 * MS);
        assert_eq!(ticks(track.locate(ns(8_990 * MS), &now)), Ok(4_990 * MS));
        assert_eq!(track.locate(ns(9_000 * MS - 1) - REACH, &now), Err(LocateError::Old));
        assert_eq!(track.locate(Span::from_units(i128::MIN >> 8), &now), Err(LocateError::Old));
    }

    #[test]
    fn the_future_begins_after_the_window() {
        let track = track(&[(0, 0)]);
        let now = look(MS, MS);
        assert_eq!(ticks(track.locate(ns(MS + 40), &now)), Ok(MS + 40));
        assert_eq!(track.locate(ns(MS + 41), &now), Err(LocateError::Future));
    }

    #[test]
    fn a_step_of_ours_parts_the_times_before_and_after() {
        // Forward by 10 s, with looks right before and after.
        let track = track(&[(0, 0), (100 * MS, 100 * MS), (100 * MS + 1_000, 10_100 * MS + 1_000)]);
        let now = look(200 * MS, 10_200 * MS);
        assert_eq!(ticks(track.locate(ns(50 * MS), &now)), Ok(50 * MS));
        assert_eq!(ticks(track.locate(ns(10_150 * MS), &now)), Ok(150 * MS));
        assert_eq!(track.locate(ns(5_000 * MS), &now), Err(LocateError::Stepped), "never shown");
    }

    #[test]
    fn what_a_clock_showed_twice_has_no_place() {
        // Back by 60 ms: 40 ms to 100 ms come twice.
        let track = track(&[(0, 0), (100 * MS, 100 * MS), (100 * MS + 1_000, 40 * MS + 1_000)]);
        let now = look(200 * MS, 140 * MS);
        assert_eq!(track.locate(ns(70 * MS), &now), Err(LocateError::Stepped));
        assert_eq!(ticks(track.locate(ns(20 * MS), &now)), Ok(20 * MS));
        assert_eq!(ticks(track.locate(ns(130 * MS), &now)), Ok(190 * MS));
    }

    #[test]
    fn of_two_times_one_is_too_long_ago_to_be_meant() {
        // Back by 10 s.
        let track = track(&[(0, 0), (20_000 * MS, 20_000 * MS), (20_000 * MS + 1_000, 10_000 * MS + 1_000)]);
        let at = |now: i64, shown: i64| ticks(track.locate(ns(shown), &look(now, now - 10_000 * MS)));
        assert_eq!(at(20_500 * MS, 10_400 * MS), Ok(20_400 * MS));
        assert_eq!(at(20_500 * MS, 19_800 * MS), Ok(19_800 * MS), "not shown again yet");
    }

    #[test]
    fn a_step_of_somebody_elses_is_found_out() {
        // Some time between 0 and 1 s somebody set the clock forward by 100 s.
        let track = track(&[(0, 0)]);
        let now = look(1_000 * MS, 101_000 * MS);
        assert_eq!(ticks(track.locate(ns(100_900 * MS), &now)), Ok(900 * MS));
        assert_eq!(ticks(track.locate(ns(100 * MS), &now)), Ok(100 * MS));
        assert_eq!(track.locate(ns(50_000 * MS), &now), Err(LocateError::Stepped));
    }

    #[test]
    fn a_clock_that_stands_still_is_where_it_is() {
        let track = track(&[(5, 5), (5, 5)]);
        let now = look(5, 5);
        assert_eq!(ticks(track.locate(ns(5), &now)), Ok(5));
    }

    #[test]
    fn looks_are_kept_apart_and_bounded() {
        let mut track = Track::new(Rate::NANOSECOND);
        for at in 0..1_000 {
            track.record(look(at * MS, at * MS));
        }
        assert_eq!(track.anchors.len(), ANCHORS);
        let apart = track.anchors.iter().zip(track.anchors.iter().skip(1)).map(|(one, other)| other.shown - one.shown);
        assert!(apart.into_iter().all(|apart| apart >= SPACING));
    }

    proptest! {
        #[test]
        fn a_stamp_is_found_where_it_was_taken(
            slews in proptest::collection::vec(-500i64..500, 1..20),
            lengths in proptest::collection::vec(1i64..64 * 1_000 * MS, 20),
            which in any::<proptest::sample::Index>(),
            part in 0i64..=1_000,
        ) {
            let mut at = (1 << 40, 1_700_000_000 * 1_000 * MS);
            let mut looks = vec![at];
            for (slew, length) in slews.iter().zip(&lengths) {
                at = (at.0 + length, at.1 + length + length * slew / 1_000_000);
                looks.push(at);
            }
            let track = track(&looks);
            let from = which.index(slews.len());
            let (from, to) = (looks[from], looks[from + 1]);
            let between = |from: i64, to: i64| from + i64::try_from(i128::from(to - from) * i128::from(part) / 1_000).unwrap();
            let located = track.locate(ns(between(from.1, to.1)), &look(at.0, at.1)).unwrap();
            let off = located.ticks.0.cast_signed() - between(from.0, to.0);
            prop_assert!(off.abs() <= 2, "{off} ns");
        }

        #[test]
        fn whatever_the_looks_are_there_is_an_answer(
            looks in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..6), now: (i64, i64), stamp: i128
        ) {
            let stamp = Span::from_units(stamp >> 40);
            let _ = track(&looks).locate(stamp, &look(now.0, now.1));
        }
    }
}
