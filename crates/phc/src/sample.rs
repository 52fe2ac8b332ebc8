//! What reference clocks of other programs say, and what is wrong with it.

use sidereal_time::{Reading, Span, Ticks, Utc};

/// What a reference clock said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceSample {
    /// It showed a time.
    Time {
        /// The counter and the time. The window holds what the source's own precision says.
        reading: Reading<Utc>,
        /// What is added to UTC at the end of this UTC day, as the source says, in seconds: -1, 0 or 1.
        leap_step: i8,
    },
    /// A second began, it does not say which.
    Pulse {
        /// Where the counter stood.
        ticks: Ticks,
        /// Half of it is how far `ticks` may be off, either way.
        window: Span,
    },
}

/// Declares [`SampleFault`] with its names and its list from one table.
macro_rules! sample_faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why a sample of a reference clock is not used.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum SampleFault {
            $($(#[$doc])* $variant,)+
        }

        impl SampleFault {
            /// Every fault, in the order of the counters.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name it is counted under.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

sample_faults! {
    /// Not the size of a sample: another format, or the same of a 32-bit program.
    WrongSize = "sample_wrong_size",
    /// The magic number is another.
    WrongMagic = "sample_wrong_magic",
    /// A mode of shared memory that there is not.
    WrongMode = "sample_wrong_mode",
    /// Fractions of a second out of range, or seconds before 1970 or beyond 34 000 years.
    BadTime = "sample_bad_time",
    /// An offset that is not a number, or of more than 34 000 years.
    BadOffset = "sample_bad_offset",
    /// A leap indicator out of range.
    BadLeap = "sample_bad_leap",
    /// The source says that it does not know the time (leap indicator 3).
    Unsynchronised = "sample_unsynchronised",
    /// The writer was changing the sample while it was read.
    Torn = "sample_torn",
    /// The system clock's stamp in it has no place on the counter: from the future, too old, or from about a step.
    Unlocated = "sample_unlocated",
}

/// What became of the samples of a reference clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleCounts {
    /// Samples that were used.
    pub accepted: u64,
    faults: [u64; SampleFault::ALL.len()],
}

impl SampleCounts {
    /// How many samples had this fault.
    #[must_use]
    pub const fn of(&self, fault: SampleFault) -> u64 {
        self.faults[fault as usize]
    }

    /// Every fault with how often it was met, in the order of [`SampleFault::ALL`].
    pub fn faults(&self) -> impl Iterator<Item = (SampleFault, u64)> {
        SampleFault::ALL.into_iter().zip(self.faults)
    }

    pub(crate) const fn count<T>(&mut self, outcome: &Result<T, SampleFault>) {
        match outcome {
            Ok(_) => self.accepted += 1,
            Err(fault) => self.faults[*fault as usize] += 1,
        }
    }
}

/// Seconds that an instant can hold with room to reckon: 34 000 years.
pub(crate) const SECONDS_MAX: i64 = 1 << 40;

/// What NTP's two bits of leap indicator add to UTC (RFC 5905 §7.3), of a source that is synchronised.
pub(crate) const fn leap_step(indicator: i32) -> Result<i8, SampleFault> {
    match indicator {
        0 => Ok(0),
        1 => Ok(-1),
        2 => Ok(1),
        3 => Err(SampleFault::Unsynchronised),
        _ => Err(SampleFault::BadLeap),
    }
}

#[cfg(test)]
mod tests {
    use super::{SampleCounts, SampleFault, leap_step};

    #[test]
    fn faults_are_counted_by_name() {
        let mut counts = SampleCounts::default();
        counts.count(&Ok(()));
        for fault in SampleFault::ALL {
            counts.count::<()>(&Err(fault));
        }
        counts.count::<()>(&Err(SampleFault::Torn));
        assert_eq!(counts.accepted, 1);
        assert_eq!(counts.of(SampleFault::Torn), 2);
        for (fault, count) in counts.faults() {
            assert_eq!(count, if fault == SampleFault::Torn { 2 } else { 1 }, "{}", fault.name());
        }
        let mut names = SampleFault::ALL.map(SampleFault::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SampleFault::ALL.len());
    }

    #[test]
    fn leap_indicators_are_those_of_ntp() {
        assert_eq!([0, 1, 2].map(leap_step), [Ok(0), Ok(-1), Ok(1)]);
        assert_eq!(leap_step(3), Err(SampleFault::Unsynchronised));
        assert_eq!([-1, 4].map(leap_step), [Err(SampleFault::BadLeap); 2]);
    }
}
