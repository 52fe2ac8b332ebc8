//! From ticks to TAI.

use crate::{Counter, Instant, Span, Tai, Ticks};

/// The length of one tick: a count of 2^-40 of the unit of [`Span`] (2^-56 ns), at most 256 ns. Its resolution is
/// 1.4 * 10^-17 of a nanosecond tick: rounding it shifts an hour's extrapolation by less than a ten-thousandth of a
/// nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// One tick is one nanosecond.
    pub const NANOSECOND: Self = Self(1 << 56);

    /// A tick of `bits` * 2^-56 ns.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The count of 2^-56 ns in one tick.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The length of a tick of a counter that runs at `hertz`; saturates at 256 ns (below 3.9 MHz) and at zero.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as documented")]
    pub fn from_hertz(hertz: f64) -> Self {
        Self((1e9 / hertz * (1u64 << 56) as f64).round() as u64)
    }

    /// How often a counter with ticks of this length ticks in a second.
    #[must_use]
    pub fn as_hertz(self) -> f64 {
        1e9 * (1u64 << 56) as f64 / self.0 as f64
    }

    /// The length of `ticks` ticks, rounded to nearest (half up).
    #[must_use]
    pub const fn span(self, ticks: i64) -> Span {
        Span::from_units((ticks as i128 * self.0 as i128 + (1 << 39)) >> 40)
    }
}

/// What is known of a free-running counter: where it stood at one instant, how fast it runs, and how wrong that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockModel {
    /// The counter this is a model of.
    pub counter: Counter,
    /// How many bits the counter has, 1 to 64: ticks are compared modulo 2^width.
    pub width: u8,
    /// Where the counter stood at `reference`.
    pub reference_ticks: Ticks,
    /// When the counter stood at `reference_ticks`.
    pub reference: Instant<Tai>,
    /// The length of one tick.
    pub rate: Rate,
    /// How far `reference` may be from the truth, either way.
    pub error: Span,
    /// How much the error grows in each second away from `reference`, in parts per billion.
    pub drift_ppb: u32,
    /// Counts the steps: readings under different generations must not be subtracted.
    pub generation: u32,
}

impl ClockModel {
    /// Ticks from `reference_ticks` to `ticks`, the short way round: negative for a value from before the reference.
    #[must_use]
    pub const fn elapsed(&self, ticks: Ticks) -> i64 {
        sign_extend(ticks.0.wrapping_sub(self.reference_ticks.0), self.unused_bits())
    }

    /// When the counter stood (or will stand) at `ticks`, within half a wrap of the reference; rounded to nearest.
    #[must_use]
    pub fn instant(&self, ticks: Ticks) -> Instant<Tai> {
        self.reference + self.rate.span(self.elapsed(ticks))
    }

    /// How far [`Self::instant`] may be from the truth at `ticks`, either way; rounded up.
    #[must_use]
    pub fn error_at(&self, ticks: Ticks) -> Span {
        // One unit more than the rounded distance, and one more for the rounding of the instant itself.
        let away = self.rate.span(self.elapsed(ticks)).abs().units() + 1;
        let grown = (away * i128::from(self.drift_ppb)).div_euclid(1_000_000_000) + 2;
        self.error + Span::from_units(grown)
    }

    /// Where the counter stands at `instant`, rounded to nearest and wrapped to its width.
    #[must_use]
    pub fn ticks(&self, instant: Instant<Tai>) -> Ticks {
        let (whole, rest) = self.ticks_to(instant);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "wrapping is what counters do")]
        let ticks = ((whole as u64) << 40).wrapping_add((rest + self.tick() / 2).div_euclid(self.tick()) as u64);
        Ticks(self.reference_ticks.0.wrapping_add(ticks) & u64::MAX.wrapping_shr(self.unused_bits()))
    }

    /// Ticks after the reference from which on [`Self::instant`], were it not rounded, is at or after `instant`; saturates.
    pub(crate) fn ticks_until(&self, instant: Instant<Tai>) -> i64 {
        let (whole, rest) = self.ticks_to(instant);
        let ticks = whole.saturating_mul(1 << 40).saturating_add((rest + self.tick() - 1).div_euclid(self.tick()));
        i64::try_from(ticks).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
    }

    /// The ticks from the reference to `instant`: how many times 2^40, and the rest in 2^-40 of the rate's unit, which is
    /// at least zero and less than 2^40 ticks. In two parts, so that no instant is too far away.
    fn ticks_to(&self, instant: Instant<Tai>) -> (i128, i128) {
        let units = (instant - self.reference).units();
        (units.div_euclid(self.tick()), units.rem_euclid(self.tick()) << 40)
    }

    /// The length of a tick for division: never zero.
    fn tick(&self) -> i128 {
        i128::from(self.rate.to_bits().max(1))
    }

    pub(crate) const fn unused_bits(&self) -> u32 {
        64_u32.wrapping_sub(self.width as u32)
    }
}

/// `difference` of two values of a counter that lacks the upper `unused_bits` of 64 (below 64, else taken modulo 64), the
/// short way round.
#[inline]
pub(crate) const fn sign_extend(difference: u64, unused_bits: u32) -> i64 {
    // Shifting up and back down again extends the sign from the counter's own top bit.
    difference.wrapping_shl(unused_bits).cast_signed().wrapping_shr(unused_bits)
}
