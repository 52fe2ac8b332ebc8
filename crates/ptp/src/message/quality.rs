//! How good a grandmaster says that it is (IEEE 1588-2019 7.6.2).

use core::fmt;

use sidereal_time::Span;

use crate::octets::{Reader, TooLong, Writer};

/// What the best master clock algorithm compares after priority1 (clockQuality, IEEE 1588-2019 5.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClockQuality {
    /// clockClass.
    pub clock_class: ClockClass,
    /// clockAccuracy.
    pub clock_accuracy: ClockAccuracy,
    /// offsetScaledLogVariance (7.6.3.5): 2^8 times the binary logarithm of the PTP variance in s^2, plus 2^15; 0xFFFF is
    /// unknown.
    pub offset_scaled_log_variance: u16,
}

impl ClockQuality {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            clock_class: ClockClass(reader.u8()?),
            clock_accuracy: ClockAccuracy(reader.u8()?),
            offset_scaled_log_variance: reader.u16()?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&[self.clock_class.0, self.clock_accuracy.0])?;
        writer.put(&self.offset_scaled_log_variance.to_be_bytes())
    }
}

/// What a grandmaster's time comes from: the lower, the better (clockClass, IEEE 1588-2019 7.6.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockClass(pub u8);

impl ClockClass {
    /// Locked to a primary reference time source.
    pub const PRIMARY_REFERENCE: Self = Self(6);
    /// Was class 6, holds over within its specification.
    pub const HOLDOVER: Self = Self(7);
    /// Was class 7, no longer within its specification; is never a slave.
    pub const DEGRADED_MASTER: Self = Self(52);
    /// Was class 7, no longer within its specification; may be a slave.
    pub const DEGRADED_SLAVE: Self = Self(187);
    /// None of the others.
    pub const DEFAULT: Self = Self(248);
    /// Never a master.
    pub const SLAVE_ONLY: Self = Self(255);
}

impl fmt::Display for ClockClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How near to the truth a grandmaster is (clockAccuracy, IEEE 1588-2019 table 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockAccuracy(pub u8);

/// The first value with a bound, 1 ps; then come 2.5 ps, 10 ps, 25 ps and so on to 1 s, and last 10 s. Those below 0x20 are new
/// in the 2019 edition.
const FIRST_ACCURACY: u8 = 0x17;
impl ClockAccuracy {
    /// Within 25 ns.
    pub const WITHIN_25_NS: Self = Self(0x20);
    /// Within 100 ns.
    pub const WITHIN_100_NS: Self = Self(0x21);
    /// Within 1 us.
    pub const WITHIN_1_US: Self = Self(0x23);
    /// Within 1 ms.
    pub const WITHIN_1_MS: Self = Self(0x29);
    /// Worse than 10 s.
    pub const BEYOND_10_S: Self = Self(0x31);
    /// Not known.
    pub const UNKNOWN: Self = Self(0xfe);

    /// How far from the truth the clock is at most; `None` where the value claims no limit: worse than 10 s, unknown, reserved
    /// or a profile's own.
    #[must_use]
    pub fn bound(self) -> Option<Span> {
        let tenths_of_ps = match self.0.checked_sub(FIRST_ACCURACY)? {
            step @ 0..25 => [10, 25][usize::from(step % 2)] * 10_i128.pow(u32::from(step / 2)),
            25 => 100_000_000_000_000,
            _ => return None,
        };
        Some(Span::from_units((tenths_of_ps * 65_536 + 9_999) / 10_000))
    }

    /// The best claim that is still true of a clock within `bound` of the truth.
    #[must_use]
    pub fn covering(bound: Span) -> Self {
        (FIRST_ACCURACY..Self::BEYOND_10_S.0)
            .map(Self)
            .find(|accuracy| accuracy.bound().is_some_and(|claimed| bound.abs() <= claimed))
            .unwrap_or(Self::BEYOND_10_S)
    }
}

impl fmt::Display for ClockAccuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// Where a grandmaster's time comes from (timeSource, IEEE 1588-2019 table 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeSource(pub u8);

impl TimeSource {
    /// An atomic clock.
    pub const ATOMIC_CLOCK: Self = Self(0x10);
    /// A satellite navigation system.
    pub const GNSS: Self = Self(0x20);
    /// A radio transmitter on earth.
    pub const TERRESTRIAL_RADIO: Self = Self(0x30);
    /// A serial time code, such as IRIG-B.
    pub const SERIAL_TIME_CODE: Self = Self(0x39);
    /// Another domain or profile of PTP.
    pub const PTP: Self = Self(0x40);
    /// NTP.
    pub const NTP: Self = Self(0x50);
    /// Somebody's hand.
    pub const HAND_SET: Self = Self(0x60);
    /// Something else.
    pub const OTHER: Self = Self(0x90);
    /// A free-running oscillator.
    pub const INTERNAL_OSCILLATOR: Self = Self(0xa0);

    /// The standard's name of it, in lower case; `reserved` where it has none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ATOMIC_CLOCK => "atomic_clock",
            Self::GNSS => "gnss",
            Self::TERRESTRIAL_RADIO => "terrestrial_radio",
            Self::SERIAL_TIME_CODE => "serial_time_code",
            Self::PTP => "ptp",
            Self::NTP => "ntp",
            Self::HAND_SET => "hand_set",
            Self::OTHER => "other",
            Self::INTERNAL_OSCILLATOR => "internal_oscillator",
            _ => "reserved",
        }
    }
}
