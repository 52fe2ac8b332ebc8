//! Instants on a time scale and the spans between them.

use core::cmp::Ordering;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// 2^-16 ns in one nanosecond.
const UNITS_PER_NS: i128 = 1 << 16;
/// 2^-16 ns in one second.
pub(crate) const UNITS_PER_S: i128 = 1_000_000_000 * UNITS_PER_NS;

/// A time scale: what an [`Instant`] counts from and how.
pub trait Scale: sealed::Sealed + Copy + fmt::Debug + 'static {
    /// The scale's name, as it is printed after an instant.
    const NAME: &'static str;
}

/// International Atomic Time, counted from 1970-01-01 00:00:00 TAI, the PTP epoch (IEEE 1588-2019 7.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tai {}

/// Coordinated Universal Time, counted as POSIX counts it from 1970-01-01 00:00:00 UTC: every day has 86 400 seconds, so
/// an inserted leap second has the number of the second before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utc {}

impl Scale for Tai {
    const NAME: &'static str = "TAI";
}
impl Scale for Utc {
    const NAME: &'static str = "UTC";
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Tai {}
    impl Sealed for super::Utc {}
}

/// A point on a time scale: a signed count of 2^-16 ns since the scale's epoch.
///
/// Instants of different scales do not mix:
///
/// ```compile_fail
/// use sidereal_time::{Instant, Tai, Utc};
/// let wrong = Instant::<Tai>::from_secs(0) - Instant::<Utc>::from_secs(0);
/// ```
pub struct Instant<S: Scale> {
    units: i128,
    scale: PhantomData<S>,
}

impl<S: Scale> Instant<S> {
    /// The scale's epoch.
    pub const EPOCH: Self = Self::from_units(0);

    /// The instant `units` of 2^-16 ns after the epoch.
    #[must_use]
    pub const fn from_units(units: i128) -> Self {
        Self { units, scale: PhantomData }
    }

    /// The instant `seconds` after the epoch.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self::from_units(seconds as i128 * UNITS_PER_S)
    }

    /// The instant `nanos` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i128) -> Self {
        Self::from_units(nanos * UNITS_PER_NS)
    }

    /// 2^-16 ns since the epoch.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.units
    }

    /// Nanoseconds since the epoch, rounded to nearest (half up).
    #[must_use]
    pub const fn as_nanos_rounded(self) -> i128 {
        Span::from_units(self.units).as_nanos_rounded()
    }

    /// Whole seconds since the epoch (rounded down) and the rest, which is at least zero and less than a second.
    #[must_use]
    pub const fn split(self) -> (i128, Span) {
        (self.units.div_euclid(UNITS_PER_S), Span::from_units(self.units.rem_euclid(UNITS_PER_S)))
    }
}

impl<S: Scale> Clone for Instant<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Scale> Copy for Instant<S> {}
impl<S: Scale> PartialEq for Instant<S> {
    fn eq(&self, other: &Self) -> bool {
        self.units == other.units
    }
}
impl<S: Scale> Eq for Instant<S> {}
impl<S: Scale> PartialOrd for Instant<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<S: Scale> Ord for Instant<S> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.units.cmp(&other.units)
    }
}
impl<S: Scale> core::hash::Hash for Instant<S> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.units.hash(state);
    }
}

/// Seconds since the epoch with nine decimals, rounded to nearest, and the scale: `1700000000.000000001 TAI`.
impl<S: Scale> fmt::Display for Instant<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Span::from_units(self.units), S::NAME)
    }
}
impl<S: Scale> fmt::Debug for Instant<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<S: Scale> Add<Span> for Instant<S> {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self::from_units(self.units + span.units)
    }
}
impl<S: Scale> AddAssign<Span> for Instant<S> {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}
impl<S: Scale> Sub<Span> for Instant<S> {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self::from_units(self.units - span.units)
    }
}
impl<S: Scale> SubAssign<Span> for Instant<S> {
    fn sub_assign(&mut self, span: Span) {
        *self = *self - span;
    }
}
impl<S: Scale> Sub for Instant<S> {
    type Output = Span;
    fn sub(self, other: Self) -> Span {
        Span::from_units(self.units - other.units)
    }
}

/// A signed length of time: a count of 2^-16 ns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    units: i128,
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self::from_units(0);
    /// One second.
    pub const SECOND: Self = Self::from_secs(1);

    /// `units` of 2^-16 ns.
    #[must_use]
    pub const fn from_units(units: i128) -> Self {
        Self { units }
    }

    /// `seconds` seconds.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self::from_units(seconds as i128 * UNITS_PER_S)
    }

    /// `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i128) -> Self {
        Self::from_units(nanos * UNITS_PER_NS)
    }

    /// `seconds` seconds, as near as floating point tells it; not a number becomes zero, what does not fit becomes the
    /// nearest that does.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates and maps NaN to zero, as documented")]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self::from_units((seconds * UNITS_PER_S as f64).round() as i128)
    }

    /// 2^-16 ns in this span.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.units
    }

    /// Nanoseconds, rounded to nearest (half up).
    #[must_use]
    pub const fn as_nanos_rounded(self) -> i128 {
        // A unit is 2^-16 ns: shifting rounds down, and the last bit that goes tells whether the rest is half or more.
        (self.units >> UNITS_PER_NS.ilog2()) + ((self.units >> (UNITS_PER_NS.ilog2() - 1)) & 1)
    }

    /// Seconds in floating point, for statistics and for people.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.units as f64 / UNITS_PER_S as f64
    }

    /// The length without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self::from_units(self.units.abs())
    }

    /// Half of it, rounded to nearest (half up).
    #[must_use]
    pub const fn half(self) -> Self {
        Self::from_units(self.units.div_euclid(2) + self.units.rem_euclid(2))
    }

    /// Whether it is shorter than nothing.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.units < 0
    }
}

/// Seconds with nine decimals, rounded to nearest: `-0.000000001`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.as_nanos_rounded();
        let sign = if nanos < 0 { "-" } else { "" };
        let nanos = nanos.unsigned_abs();
        write!(f, "{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}
impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} s")
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::from_units(self.units + other.units)
    }
}
impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::from_units(self.units - other.units)
    }
}
impl SubAssign for Span {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl Neg for Span {
    type Output = Self;
    fn neg(self) -> Self {
        Self::from_units(-self.units)
    }
}
