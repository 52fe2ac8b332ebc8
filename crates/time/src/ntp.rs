//! NTP's own formats of time (RFC 5905 §6) and the fast way from ticks to them.

use crate::instant::UNITS_PER_S;
use crate::model::sign_extend;
use crate::{ClockModel, Instant, Span, Tai, Ticks, Utc};

/// Seconds from the start of NTP era 0, 1900-01-01, to 1970-01-01.
pub(crate) const NTP_TO_POSIX_S: i64 = 2_208_988_800;

/// NTP timestamp format: seconds of the current era in the upper 32 bits, a binary fraction in the lower (RFC 5905 §6).
/// Zero means "unknown". An era lasts 136 years; era 1 begins on 2036-02-07, so an instant is only told together with
/// another one near it ([`Self::near`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NtpTimestamp(u64);

impl NtpTimestamp {
    /// "Unknown or unsynchronized".
    pub const UNKNOWN: Self = Self(0);

    /// The timestamp with these 64 bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The timestamp with these eight bytes of a message, in network order.
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }

    /// The eight bytes of a message, in network order.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Whether it says "unknown".
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        self.0 == 0
    }

    /// `instant`, its era dropped; rounded to nearest (2^-32 s). The instant at which an era begins becomes [`Self::UNKNOWN`]:
    /// the format cannot tell the two apart.
    #[must_use]
    pub const fn from_utc(instant: Instant<Utc>) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "dropping the era is the format")]
        Self((scaled(instant) as u64).wrapping_add((NTP_TO_POSIX_S as u64) << 32))
    }

    /// The instant with this timestamp that is nearest to `pivot`, within 68 years either way; rounded to nearest.
    #[must_use]
    pub const fn near(self, pivot: Instant<Utc>) -> Instant<Utc> {
        let difference = self.0.wrapping_sub(Self::from_utc(pivot).0).cast_signed();
        // Exact, as both the difference and the sum count from the pivot's own timestamp.
        Instant::from_units(units(scaled(pivot) + difference as i128))
    }

    /// The time from `earlier` to this, the short way round (within 68 years); rounded to nearest.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        let difference = self.0.wrapping_sub(earlier.0).cast_signed();
        Span::from_units(units(difference as i128))
    }

    /// The timestamp so much after this, or before it where `span` is negative; rounded to nearest. Spans beyond 68 years come
    /// round.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        let scaled = ((span.units() << 32) + UNITS_PER_S / 2).div_euclid(UNITS_PER_S);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "timestamps go round")]
        Self(self.0.wrapping_add(scaled as u64))
    }
}

/// 2^-32 s since 1970, rounded to nearest (half up).
const fn scaled(instant: Instant<Utc>) -> i128 {
    ((instant.units() << 32) + UNITS_PER_S / 2).div_euclid(UNITS_PER_S)
}

/// A count of 2^-32 s in the unit of [`Span`], rounded to nearest (half up).
const fn units(scaled: i128) -> i128 {
    (scaled * UNITS_PER_S + (1 << 31)) >> 32
}

/// NTP short format: seconds in the upper 16 bits, a binary fraction in the lower (RFC 5905 §6). Root delay and root
/// dispersion are sent so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpShort(u32);

impl NtpShort {
    /// 2^-16 s in the unit of [`Span`], 2^-16 ns.
    const RESOLUTION: i128 = UNITS_PER_S >> 16;

    /// The value with these 32 bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The 32 bits.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// The smallest value not below `span`: an error bound may be told too large, never too small. Negative spans become
    /// zero, those beyond 18 hours the largest value.
    #[must_use]
    pub fn from_span_rounded_up(span: Span) -> Self {
        let units = span.units().clamp(0, i128::from(u32::MAX) * Self::RESOLUTION);
        Self(u32::try_from((units + Self::RESOLUTION - 1) / Self::RESOLUTION).unwrap_or(u32::MAX))
    }

    /// The length it tells, exactly.
    #[must_use]
    pub const fn as_span(self) -> Span {
        Span::from_units(self.0 as i128 * Self::RESOLUTION)
    }
}

/// A [`ClockModel`] laid out for the packet path: from ticks to an NTP timestamp in one multiplication. It is exact to
/// 2^-32 s within some seconds of the reference, and is made anew with every model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtpClock {
    /// The model's reference ticks.
    pub reference_ticks: Ticks,
    /// UTC at the reference, as an NTP timestamp.
    pub reference: NtpTimestamp,
    /// The length of a tick in 2^-80 s (2^-48 of the timestamp's own unit).
    pub rate: u64,
    /// Bits of the counter that are not there: 64 less its width.
    pub unused_bits: u32,
    /// Ticks after the reference from which on the next leap second has begun; `i64::MAX` where none is known.
    pub leap_after: i64,
    /// Seconds to add from then on: -1 where a leap second is inserted, +1 where one is deleted, else 0.
    pub leap_step: i8,
}

impl NtpClock {
    /// `model` as NTP tells it while TAI - UTC is `tai_offset_s`. `leap` is the next leap second: when it begins and what
    /// is then added to UTC.
    #[must_use]
    pub fn new(model: &ClockModel, tai_offset_s: i32, leap: Option<(Instant<Tai>, i8)>) -> Self {
        let utc = Instant::from_units(model.reference.units() - i128::from(tai_offset_s) * UNITS_PER_S);
        // From 2^-56 ns to 2^-80 s: below 2^59, so that the product with any count of ticks fits 128 bits.
        let rate = ((u128::from(model.rate.to_bits()) << 24) + 500_000_000) / 1_000_000_000;
        let (leap_after, leap_step) = leap.map_or((i64::MAX, 0), |(at, step)| (model.ticks_until(at), step));
        Self {
            reference_ticks: model.reference_ticks,
            reference: NtpTimestamp::from_utc(utc),
            rate: u64::try_from(rate).unwrap_or(u64::MAX),
            unused_bits: model.unused_bits(),
            leap_after,
            leap_step,
        }
    }

    /// The NTP timestamp at `ticks`.
    #[inline]
    #[must_use]
    pub const fn at(&self, ticks: Ticks) -> NtpTimestamp {
        let elapsed = sign_extend(ticks.0.wrapping_sub(self.reference_ticks.0), self.unused_bits);
        #[expect(clippy::cast_possible_truncation, reason = "NTP timestamps wrap")]
        let scaled = ((elapsed as i128 * self.rate as i128 + (1 << 47)) >> 48) as i64;
        let mut bits = self.reference.0.wrapping_add_signed(scaled);
        if elapsed >= self.leap_after {
            bits = bits.wrapping_add_signed((self.leap_step as i64) << 32);
        }
        NtpTimestamp(bits)
    }
}
