//! One round trip on its way to the stage.

use sidereal_time::{Exchange, Instant, Sample, Scale, Span, StampSource};

/// The four times of a round trip, with whom, and how well it was stamped: 64 bytes, a cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// T1 to T4.
    times: [Time; 4],
    /// How far the target's clock may be from the truth by what it says, in units of 2^-16 ns.
    remote_error: i64,
    target: u32,
    stamps: Stamps,
}

/// Who took our stamps of a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamps {
    /// Of T1, our request leaving.
    pub transmit: StampSource,
    /// Of T4, the answer arriving.
    pub receive: StampSource,
}

/// A record is copied into a ring and out of it, each time one cache line.
const _: () = assert!(size_of::<Record>() <= 64);

impl Record {
    /// The record of `exchange` with a target, which is known by its number, and whose own clock may be wrong by
    /// `remote_error` (of an NTP server: half its root delay, and its root dispersion). Kept up to 39 hours; a longer one is cut
    /// to that.
    #[must_use]
    pub fn new<S: Scale>(target: u32, exchange: &Exchange<S>, remote_error: Span, stamps: Stamps) -> Self {
        let Exchange { t1, t2, t3, t4 } = exchange;
        let remote_error = remote_error.units().clamp(0, i64::MAX.into());
        Self {
            times: [t1, t2, t3, t4].map(|instant| Time::new(*instant)),
            remote_error: i64::try_from(remote_error).unwrap_or(i64::MAX),
            target,
            stamps,
        }
    }

    /// The number of the target.
    #[must_use]
    pub const fn target(&self) -> u32 {
        self.target
    }

    /// Who took our stamps.
    #[must_use]
    pub const fn stamps(&self) -> Stamps {
        self.stamps
    }

    /// The four times, on the scale that they were given on.
    #[must_use]
    pub fn exchange<S: Scale>(&self) -> Exchange<S> {
        let [t1, t2, t3, t4] = self.times.map(Time::instant);
        Exchange { t1, t2, t3, t4 }
    }

    /// What the round trip measured. The bound is how far the offset may be from what the true time would have shown: half
    /// the delay, and what the target says of its own clock.
    #[must_use]
    pub fn sample(&self) -> Sample {
        // An offset is the same on every scale.
        let sample = self.exchange::<sidereal_time::Utc>().sample();
        Sample { bound: sample.bound + Span::from_units(self.remote_error.into()), ..sample }
    }
}

/// An instant in the low 96 bits of its units of 2^-16 ns: 19 million years to both sides of the epoch, where NTP's eras and
/// PTP's 48 bits of seconds end in less than nine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time([u8; 12]);

impl Time {
    /// The first instant that has no room, counted from the epoch.
    const END: i128 = 1 << 95;

    /// An instant beyond the range becomes its end.
    fn new<S: Scale>(instant: Instant<S>) -> Self {
        let [kept @ .., _, _, _, _] = instant.units().clamp(-Self::END, Self::END - 1).to_le_bytes();
        Self(kept)
    }

    fn instant<S: Scale>(self) -> Instant<S> {
        let mut bytes = [0; 16];
        bytes[4..].copy_from_slice(&self.0);
        // The shift brings the sign down.
        Instant::from_units(i128::from_le_bytes(bytes) >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sidereal_time::Utc;

    const STAMPS: Stamps = Stamps { transmit: StampSource::Kernel, receive: StampSource::Hardware };

    fn exchange(times: [i128; 4]) -> Exchange<Utc> {
        let [t1, t2, t3, t4] = times.map(Instant::from_units);
        Exchange { t1, t2, t3, t4 }
    }

    #[test]
    fn times_out_of_range_and_errors_out_of_range_become_the_end_of_it() {
        let record = Record::new(0, &exchange([i128::MIN, i128::MAX, 0, 1]), Span::from_units(i128::MAX), STAMPS);
        let Exchange { t1, t2, .. } = record.exchange::<Utc>();
        assert_eq!((t1.units(), t2.units()), (-Time::END, Time::END - 1));
        assert_eq!(record.remote_error, i64::MAX);
        assert_eq!(Record::new(0, &exchange([0; 4]), Span::from_units(-1), STAMPS).remote_error, 0);
    }

    proptest! {
        #[test]
        fn what_is_recorded_is_read_again(
            times in prop::array::uniform4(-Time::END..Time::END), remote_error in 0..i64::MAX, target: u32,
        ) {
            let exchange = exchange(times);
            let record = Record::new(target, &exchange, Span::from_units(remote_error.into()), STAMPS);
            prop_assert_eq!(record.exchange::<Utc>(), exchange);
            prop_assert_eq!((record.target(), record.stamps()), (target, STAMPS));
            let (recorded, direct) = (record.sample(), exchange.sample());
            prop_assert_eq!((recorded.offset, recorded.delay), (direct.offset, direct.delay));
            prop_assert_eq!((recorded.bound - direct.bound).units(), i128::from(remote_error));
        }
    }
}
