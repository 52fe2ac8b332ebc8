//! What a jump of a master looks like.

use sidereal_time::Span;

/// How near to a known mistake a jump is one: 10 ms, far more than a path's noise.
const TOLERANCE: Span = Span::from_nanos(10_000_000);
/// 2^32 ns.
const FOUR_SECOND_WRAP: Span = Span::from_nanos(1 << 32);

/// A well-known mistake that a jump of a master's time looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suspicion {
    /// By TAI - UTC: the master, or what feeds it, took one for the other.
    TaiUtcConfused,
    /// By one second: a leap second made too early, too late or the wrong way.
    LeapSecond,
    /// By 2^32 ns, 4.29 s: drivers that extend 32 bits of stamp the wrong way.
    FourSecondWrap,
}

impl Suspicion {
    /// In snake_case, for counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TaiUtcConfused => "tai_utc_confused",
            Self::LeapSecond => "leap_second",
            Self::FourSecondWrap => "four_second_wrap",
        }
    }
}

/// The mistake that a `jump` of a master's time looks like, if any; in either direction, to within 10 ms. `tai_offset_s` is
/// TAI - UTC where it is known.
#[must_use]
pub fn suspicion(jump: Span, tai_offset_s: Option<i32>) -> Option<Suspicion> {
    let is = |length: Span| (jump.abs() - length.abs()).abs() <= TOLERANCE;
    let offset =
        tai_offset_s.map(|seconds| Span::from_secs(i64::from(seconds))).filter(|offset| offset.abs() > Span::SECOND);
    if offset.is_some_and(is) {
        Some(Suspicion::TaiUtcConfused)
    } else if is(Span::SECOND) {
        Some(Suspicion::LeapSecond)
    } else if is(FOUR_SECOND_WRAP) {
        Some(Suspicion::FourSecondWrap)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_mistakes_are_known_in_both_directions_and_nothing_else_is() {
        let noise = Span::from_nanos(3_000_000);
        for sign in [1, -1] {
            let jump = |nanos: i128| Span::from_nanos(sign * nanos) + noise;
            assert_eq!(suspicion(jump(37_000_000_000), Some(37)), Some(Suspicion::TaiUtcConfused));
            assert_eq!(suspicion(jump(1_000_000_000), Some(37)), Some(Suspicion::LeapSecond));
            assert_eq!(suspicion(jump(4_294_967_296), Some(37)), Some(Suspicion::FourSecondWrap));
            assert_eq!(suspicion(jump(37_000_000_000), None), None);
            assert_eq!(suspicion(jump(36_000_000_000), Some(37)), None);
            assert_eq!(suspicion(jump(100_000_000), Some(37)), None);
        }
        assert_eq!(suspicion(Span::ZERO, Some(0)), None);
    }
}
