//! A NIC's clock beside the local counter.

use crate::model::sign_extend;
use crate::{ClockId, Span, Ticks};

/// A NIC's clock and the local counter, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossStamp {
    /// Where the NIC's clock stood.
    pub nic: Ticks,
    /// Where the local counter stood then,
    pub local: Ticks,
    /// within half of this, either way.
    pub window: Span,
}

/// How a NIC's clock and the local counter stand to each other: where both were at one time, and how fast the one runs by
/// the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossModel {
    /// Which clock.
    pub clock: ClockId,
    /// How many bits the NIC's clock has, 1 to 64.
    pub width: u8,
    /// Where the NIC's clock stood
    pub nic_reference: Ticks,
    /// when the local counter, of 64 bits, stood here.
    pub local_reference: Ticks,
    /// Local ticks in one of the NIC's, as a count of 2^-48: up to 65536.
    pub rate: u64,
    /// How long a second is in local ticks, as near as a nominal frequency tells: what ages of stamps are judged by.
    pub local_second: u64,
    /// How many of the NIC's ticks are 2^32 ns, likewise.
    pub wrap: u64,
    /// How far a place on the local counter may be off, either way: statistical, 99.99 %.
    pub uncertainty: Span,
    /// Counts the steps of the NIC's clock.
    pub generation: u32,
    /// Stamps whose place on the local counter is before this are of before the last step, or of before anybody looked.
    pub since: Ticks,
}

/// Why a stamp of a NIC's clock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StampFault {
    /// The driver had none and said zero.
    #[error("the stamp is zero")]
    Zero,
    /// Nothing is known of the clock that took it.
    #[error("the clock that took the stamp has not been read")]
    UnknownClock,
    /// It lies 2^32 ns beside the present: a driver extended 32 bits of nanoseconds wrongly (ice after a step).
    #[error("the stamp is 2^32 ns off")]
    Off2To32Ns,
    /// The clock has not shown it.
    #[error("the stamp is from the future")]
    Future,
    /// The clock showed it more than a second ago, or before it was stepped.
    #[error("the stamp is old, or from before a step of the clock")]
    Old,
}

impl StampFault {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Zero, Self::UnknownClock, Self::Off2To32Ns, Self::Future, Self::Old];

    /// Its name in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zero => "stamp_zero",
            Self::UnknownClock => "stamp_of_unknown_clock",
            Self::Off2To32Ns => "stamp_off_by_2_32_ns",
            Self::Future => "stamp_from_the_future",
            Self::Old => "stamp_too_old",
        }
    }
}

impl CrossModel {
    /// Where the local counter stood when the NIC's clock stood at `nic`, within half a wrap of the reference; rounded to
    /// nearest.
    #[inline]
    #[must_use]
    pub fn local(&self, nic: Ticks) -> Ticks {
        let unused = 64_u32.wrapping_sub(u32::from(self.width));
        let elapsed = i128::from(sign_extend(nic.0.wrapping_sub(self.nic_reference.0), unused));
        let ticks = (elapsed * i128::from(self.rate) + (1 << 47)) >> 48;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "wrapping is what counters do")]
        Ticks(self.local_reference.0.wrapping_add(ticks as u64))
    }

    /// Where the NIC's clock stands when the local counter stands at `local`; rounded to nearest and wrapped to its width.
    #[must_use]
    pub fn nic(&self, local: Ticks) -> Ticks {
        let elapsed = i128::from(local.0.wrapping_sub(self.local_reference.0).cast_signed());
        let rate = i128::from(self.rate.max(1));
        let ticks = ((elapsed << 48) + rate / 2).div_euclid(rate);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "wrapping is what counters do")]
        let ticks = self.nic_reference.0.wrapping_add(ticks as u64);
        Ticks(ticks & u64::MAX.wrapping_shr(64_u32.wrapping_sub(u32::from(self.width))))
    }

    /// The place of a stamp on the local counter, which stands at `now`.
    ///
    /// # Errors
    /// [`StampFault`]: a stamp is believed if it is at most a second old, and no further ahead than a thousandth of that.
    #[inline]
    pub fn locate(&self, stamp: Ticks, now: Ticks) -> Result<Ticks, StampFault> {
        if stamp.0 == 0 {
            return Err(StampFault::Zero);
        }
        let place = self.local(stamp);
        match self.judge(place, now) {
            Ok(()) => Ok(place),
            Err(fault) => {
                let beside = [stamp.0.wrapping_sub(self.wrap), stamp.0.wrapping_add(self.wrap)];
                let is_off = beside.into_iter().any(|other| self.judge(self.local(Ticks(other)), now).is_ok());
                Err(if is_off { StampFault::Off2To32Ns } else { fault })
            }
        }
    }

    #[inline]
    fn judge(&self, place: Ticks, now: Ticks) -> Result<(), StampFault> {
        let age = now.0.wrapping_sub(place.0).cast_signed();
        let since = place.0.wrapping_sub(self.since.0).cast_signed();
        if age < -(self.local_second / 1000).cast_signed() {
            Err(StampFault::Future)
        } else if age > self.local_second.cast_signed() || since < 0 {
            Err(StampFault::Old)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GHZ: u64 = 1_000_000_000;

    /// A NIC that counts nanoseconds beside a counter of 3 GHz.
    fn model(width: u8) -> CrossModel {
        CrossModel {
            clock: ClockId(1),
            width,
            nic_reference: Ticks(5_000_000_000),
            local_reference: Ticks(60_000_000_000),
            rate: 3 << 48,
            local_second: 3 * GHZ,
            wrap: 1 << 32,
            uncertainty: Span::ZERO,
            generation: 0,
            since: Ticks(59_999_990_000),
        }
    }

    #[test]
    fn bad_stamps_are_told_by_name() {
        let model = model(64);
        let at = |nic: u64| model.locate(Ticks(nic), Ticks(60_000_000_000));
        assert_eq!(at(0), Err(StampFault::Zero));
        assert_eq!(at(5_000_000_000), Ok(Ticks(60_000_000_000)));
        assert_eq!(at(4_999_999_000), Ok(Ticks(59_999_997_000)));
        assert_eq!(at(4_999_996_000), Err(StampFault::Old), "of before a step");
        assert_eq!(at(5_000_000_000 + (1 << 32) - 50), Err(StampFault::Off2To32Ns));
        assert_eq!(at(5_000_000_000 - (1 << 32) - 50), Err(StampFault::Off2To32Ns));
        assert_eq!(at(5_100_000_000), Err(StampFault::Future));
        assert_eq!(at(3_000_000_000), Err(StampFault::Old));
        assert_eq!(at(1_700_000_000_000_000_000), Err(StampFault::Future));
    }

    proptest! {
        #[test]
        fn both_ways_are_one(width in 33_u8..=64, away in -1_000_000_000_i64..1_000_000_000) {
            let model = model(width);
            let local = Ticks(model.local_reference.0.wrapping_add_signed(away * 3));
            prop_assert_eq!(model.local(model.nic(local)), local);
        }

        #[test]
        fn any_stamp_is_judged(
            width in 0_u8..=255, rate: u64, nic: u64, now: u64, reference: u64, second: u64, wrap: u64, since: u64,
        ) {
            let since = Ticks(since);
            let model = CrossModel {
                width, rate, wrap, since, nic_reference: Ticks(reference), local_second: second, ..model(64)
            };
            let _ = model.locate(Ticks(nic), Ticks(now));
            let _ = model.nic(Ticks(now));
        }
    }
}
