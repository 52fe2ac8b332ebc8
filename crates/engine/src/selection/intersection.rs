//! On which interval of time a majority agrees (RFC 5905 §11.2.1).

use sidereal_time::Span;

/// All offsets from `low` to `high`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) low: Span,
    pub(super) high: Span,
}

impl Interval {
    /// `middle` ± `distance`; a negative distance is none.
    pub(super) fn around(middle: Span, distance: Span) -> Self {
        let distance = distance.units().max(0);
        Self {
            low: Span::from_units(middle.units().saturating_sub(distance)),
            high: Span::from_units(middle.units().saturating_add(distance)),
        }
    }

    pub(super) fn contains(&self, offset: Span) -> bool {
        (self.low..=self.high).contains(&offset)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    pub(super) fn half_width(&self) -> Span {
        Span::from_units(self.high.units().saturating_sub(self.low.units()) / 2)
    }

    pub(super) fn middle(&self) -> Span {
        Span::from_units(self.low.units().saturating_add(self.half_width().units()))
    }
}

/// What a majority of intervals agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agreement {
    /// From the first to the last offset that as many intervals contain as contain any: where the truth lies if as few
    /// voters as possible are wrong. A source that misses it is a falseticker.
    pub(super) closest: Interval,
    /// From the first to the last offset that more than half of the intervals contain: where the truth lies if any
    /// majority of the voters is right. A source that misses it is a falseticker beyond doubt.
    pub(super) widest: Interval,
    /// How many intervals contain the ends of `closest`.
    pub(super) agreeing: usize,
    /// How many intervals there are.
    pub(super) voters: usize,
}

/// No offset is contained in more than half of the intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dissent {
    /// In how many at most.
    pub(super) agreeing: usize,
    /// How many intervals there are.
    pub(super) voters: usize,
}

/// Finds out what the intervals agree on. `edges` is scratch memory, kept so that it is allocated once.
///
/// This is Marzullo's algorithm as RFC 5905 has it, but for one thing: midpoints do not vote. NTP counts them because
/// its root distances are estimates. Ours are hard bounds, and a source whose path is asymmetric has its midpoint
/// outside of what closer sources agree on without being wrong.
pub(super) fn intersect(
    edges: &mut Vec<Edge>,
    intervals: impl Iterator<Item = Interval>,
) -> Result<Agreement, Dissent> {
    edges.clear();
    for interval in intervals {
        edges.push(Edge { at: interval.low, ends: false });
        edges.push(Edge { at: interval.high, ends: true });
    }
    edges.sort_unstable();
    let voters = edges.len() / 2;
    let agreeing = depths(edges.iter().map(|edge| !edge.ends)).max().unwrap_or(0);
    let majority = voters / 2 + 1;
    let closest = hull(edges, agreeing);
    let widest = hull(edges, majority);
    match (closest, widest) {
        (Some(closest), Some(widest)) if agreeing >= majority => Ok(Agreement { closest, widest, agreeing, voters }),
        _ => Err(Dissent { agreeing, voters }),
    }
}

/// An end of an interval. Of those at one place, beginnings come first, so that intervals that touch overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    at: Span,
    ends: bool,
}

/// From the first to the last offset that at least `depth` intervals contain.
fn hull(edges: &[Edge], depth: usize) -> Option<Interval> {
    let rising = depths(edges.iter().map(|edge| !edge.ends));
    let falling = depths(edges.iter().rev().map(|edge| edge.ends));
    let (low, _) = edges.iter().zip(rising).find(|(_, at)| *at >= depth)?;
    let (high, _) = edges.iter().rev().zip(falling).find(|(_, at)| *at >= depth)?;
    Some(Interval { low: low.at, high: high.at })
}

/// In how many intervals one is after each edge, where each edge says whether one enters.
fn depths(enters: impl Iterator<Item = bool>) -> impl Iterator<Item = usize> {
    enters.scan(0_usize, |depth, enters| {
        *depth = if enters { *depth + 1 } else { depth.saturating_sub(1) };
        Some(*depth)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(value: i64) -> Span {
        Span::from_nanos(i128::from(value) * 1_000_000)
    }

    fn agreement(intervals: &[(i64, i64)]) -> Result<Agreement, Dissent> {
        let intervals = intervals.iter().map(|&(low, high)| Interval { low: ms(low), high: ms(high) });
        intersect(&mut Vec::new(), intervals)
    }

    /// Computed by hand with the steps of RFC 5905 §11.2.1: the intervals, and of the interval on which most agree the
    /// ends and how many contain them; then the ends of the widest.
    type Case = (&'static [(i64, i64)], Option<((i64, i64), usize, (i64, i64))>);

    const CASES: [Case; 12] = [
        (&[], None),
        (&[(1, 3)], Some(((1, 3), 1, (1, 3)))),
        (&[(0, 4), (2, 6)], Some(((2, 4), 2, (2, 4)))),
        // They touch in one point, and that is an agreement.
        (&[(0, 2), (2, 4)], Some(((2, 2), 2, (2, 2)))),
        // One of two lies, and nobody knows which.
        (&[(0, 2), (3, 5)], None),
        // Marzullo's example: 10 ± 2, 12 ± 1 and 11 ± 1 agree on 11 to 12.
        (&[(8, 12), (11, 13), (10, 12)], Some(((11, 12), 3, (10, 12)))),
        // And his second: 8 to 12, 11 to 13, 14 to 15 have no point that all contain; two agree on 11 to 12.
        (&[(8, 12), (11, 13), (14, 15)], Some(((11, 12), 2, (11, 12)))),
        // His third, with two places where two of three agree.
        (&[(8, 9), (8, 12), (10, 12)], Some(((8, 12), 2, (8, 12)))),
        // One of four is 50 ms off.
        (&[(-2, 2), (-1, 3), (-3, 1), (48, 52)], Some(((-1, 1), 3, (-1, 1)))),
        // Half of four lie alike: no majority.
        (&[(-2, 2), (-1, 3), (48, 52), (47, 51)], None),
        // Two of five lie, each in its own way.
        (&[(-2, 2), (-1, 3), (-3, 1), (48, 52), (-70, -60)], Some(((-1, 1), 3, (-1, 1)))),
        // The last misses where four agree, but not where three do: a falseticker, though not beyond doubt.
        (&[(-4, 4), (-4, 4), (-1, 1), (-1, 1), (3, 6)], Some(((-1, 1), 4, (-1, 4)))),
    ];

    #[test]
    fn cases_computed_by_hand() {
        for (intervals, expected) in CASES {
            let result = agreement(intervals).ok().map(|found| (found.closest, found.agreeing, found.widest));
            let interval = |(low, high)| Interval { low: ms(low), high: ms(high) };
            let expected = expected.map(|(closest, agreeing, widest)| (interval(closest), agreeing, interval(widest)));
            assert_eq!(result, expected, "{intervals:?}");
        }
    }

    #[test]
    fn who_cannot_agree_is_told_how_many_do() {
        assert_eq!(agreement(&[(0, 2), (1, 3), (5, 6), (7, 8)]), Err(Dissent { agreeing: 2, voters: 4 }));
    }

    fn intervals(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<Interval>> {
        let interval =
            (-1000..1000_i64, 0..300_i64).prop_map(|(middle, distance)| Interval::around(ms(middle), ms(distance)));
        proptest::collection::vec(interval, count)
    }

    proptest! {
        /// The promise of the widest interval, whatever the minority says.
        #[test]
        fn the_truth_is_inside_whenever_a_majority_has_it(
            honest in proptest::collection::vec((-300..=300_i64, 300..400_i64), 1..130),
            liars in intervals(0..127),
            truth in -500..500_i64,
        ) {
            let fewer = liars.len().min(honest.len() - 1);
            let right = honest.iter().map(|&(off, distance)| Interval::around(ms(truth + off), ms(distance)));
            let all = right.chain(liars.into_iter().take(fewer));
            let found = intersect(&mut Vec::new(), all).expect("a majority");
            prop_assert!(found.widest.contains(ms(truth)), "{found:?}");
            prop_assert!(found.widest.low <= found.closest.low && found.closest.high <= found.widest.high);
        }

        /// Against counting at every edge, the definition.
        #[test]
        fn ends_are_those_of_counting(intervals in intervals(1..12)) {
            let depth = |at| intervals.iter().filter(|interval| interval.contains(at)).count();
            let edges: Vec<_> = intervals.iter().flat_map(|interval| [interval.low, interval.high]).collect();
            let deepest = edges.iter().map(|at| depth(*at)).max().unwrap_or(0);
            let result = intersect(&mut Vec::new(), intervals.iter().copied());
            if deepest * 2 <= intervals.len() {
                prop_assert_eq!(result, Err(Dissent { agreeing: deepest, voters: intervals.len() }));
                return Ok(());
            }
            let found = result.expect("a majority");
            prop_assert_eq!(found.agreeing, deepest);
            for (interval, least) in [(found.closest, deepest), (found.widest, intervals.len() / 2 + 1)] {
                let those = || edges.iter().copied().filter(|at| depth(*at) >= least);
                prop_assert_eq!(Some(interval.low), those().min());
                prop_assert_eq!(Some(interval.high), those().max());
            }
        }
    }
}
