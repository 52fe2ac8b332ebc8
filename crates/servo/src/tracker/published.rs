//! The time that is published: never set but by a step, only made to run faster or slower until it is right.

use sidereal_time::{ClockModel, Instant, LocalClock, Rate, Span, Tai, Ticks};

/// A correction is spread over this, or longer.
const SLEW: Span = Span::from_nanos(62_500_000);
/// Corrections up to this are left to the next one.
const NEGLIGIBLE: Span = Span::from_units(1 << 14);

/// A published model, and how long it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published {
    /// Where it is right, and how fast it runs. Its error is filled in by who knows it.
    model: ClockModel,
    /// The end of the slew, where there is one.
    until: Option<Ticks>,
}

impl Published {
    /// Begins at `now` with `instant`.
    pub(super) fn new(local: &LocalClock, now: Ticks, instant: Instant<Tai>, rate: Rate, generation: u32) -> Self {
        let model =
            ClockModel { reference: instant, rate, error: Span::ZERO, drift_ppb: 0, generation, ..local.unknown(now) };
        Self { model, until: None }
    }

    /// What was told, and will be told until [`Self::retarget`]; without its error.
    pub(super) fn model(&self) -> &ClockModel {
        &self.model
    }

    /// When the slew ends and [`Self::retarget`] should be called.
    pub(super) fn until(&self) -> Option<Ticks> {
        self.until
    }

    /// From `now` on, leads towards a clock that shows `instant` now and runs at `rate`, adding or leaving out at most
    /// `max_slew` of the time (0 to 1).
    pub(super) fn retarget(&mut self, now: Ticks, instant: Instant<Tai>, rate: Rate, max_slew: f64) {
        let shown = self.model.instant(now);
        let correction = instant - shown;
        self.model.reference = shown;
        self.model.reference_ticks = now;
        self.model.rate = rate;
        self.until = None;
        if correction.abs() <= NEGLIGIBLE {
            return;
        }
        let needed = correction.abs().as_secs_f64() / max_slew;
        let duration = Span::from_secs_f64(needed).max(SLEW);
        let ticks = self.model.ticks(shown + duration);
        self.model.rate = scaled(rate, correction.as_secs_f64() / duration.as_secs_f64());
        self.until = Some(ticks);
    }

    /// Moves the time at once.
    pub(super) fn step(&mut self, now: Ticks, instant: Instant<Tai>, rate: Rate, generation: u32) {
        self.model.reference = instant;
        self.model.reference_ticks = now;
        self.model.rate = rate;
        self.model.generation = generation;
        self.until = None;
    }

    /// What time is called was moved by `by`.
    pub(super) fn relabel(&mut self, by: Span, generation: u32) {
        self.model.reference += by;
        self.model.generation = generation;
    }
}

/// `rate` made longer by `relative`.
pub(super) fn scaled(rate: Rate, relative: f64) -> Rate {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates; `relative` is far below one")]
    let change = (rate.to_bits() as f64 * relative).round() as i64;
    Rate::from_bits(rate.to_bits().saturating_add_signed(change))
}
