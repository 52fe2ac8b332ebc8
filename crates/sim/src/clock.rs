//! The system clock of a host: on the host's oscillator, steered as a kernel steers it.

use sidereal_servo::{Adjustment, Discipline};
use sidereal_time::{Instant, Scale, Span, Utc};

/// The largest frequency offset that the kernel takes, in parts per billion (`adjtimex(2)`).
const MAX_FREQUENCY_PPB: f64 = 500_000.0;
/// Units of the kernel's `freq` in one part per billion.
const SCALED_PPM_PER_PPB: f64 = 65.536;
/// A day of UTC without a leap second.
const DAY: i128 = 86_400;

/// What a clock shows that is steered as a kernel steers one. What it is asked and told goes by the phase of its oscillator.
#[derive(Debug, Clone, Copy)]
pub struct SteeredClock<S: Scale> {
    phase: Span,
    shown: Instant<S>,
    /// A fraction.
    frequency: f64,
}

impl<S: Scale> SteeredClock<S> {
    /// A clock that shows `shown` at `phase`, and that nobody steers.
    #[must_use]
    pub const fn new(shown: Instant<S>, phase: Span) -> Self {
        Self { phase, shown, frequency: 0.0 }
    }

    /// What it shows at `phase`.
    pub fn read(&mut self, phase: Span) -> Instant<S> {
        let elapsed = phase - self.phase;
        self.shown += elapsed + Span::from_secs_f64(elapsed.as_secs_f64() * self.frequency);
        self.phase = phase;
        self.shown
    }

    /// Steers it from `phase` on.
    pub fn adjust(&mut self, adjustment: Adjustment, phase: Span) {
        self.read(phase);
        match adjustment {
            Adjustment::Step(by) => self.shown += by,
            Adjustment::Frequency(offset) => {
                let ppb = offset.as_ppb().clamp(-MAX_FREQUENCY_PPB, MAX_FREQUENCY_PPB);
                self.frequency = (ppb * SCALED_PPM_PER_PPB).round() / SCALED_PPM_PER_PPB * 1e-9;
            }
        }
    }
}

/// A clock that shows UTC, and makes leap seconds. What it is asked and told goes by the phase of the host's oscillator, which
/// never goes back.
#[derive(Debug, Clone)]
pub struct SystemClock {
    steered: SteeredClock<Utc>,
    /// When the armed leap second is made, by the clock itself, and what is then added.
    leap: Option<(Instant<Utc>, i8)>,
    discipline: Discipline,
}

impl SystemClock {
    /// A clock that shows `shown` at `phase`, and that nobody steers.
    #[must_use]
    pub const fn new(shown: Instant<Utc>, phase: Span) -> Self {
        let discipline =
            Discipline { synchronised: false, max_error: Span::from_secs(16), tai_offset_s: None, leap_step: 0 };
        Self { steered: SteeredClock::new(shown, phase), leap: None, discipline }
    }

    /// What it shows at `phase`.
    pub fn read(&mut self, phase: Span) -> Instant<Utc> {
        self.advance(phase);
        self.steered.shown
    }

    /// Steers it from `phase` on.
    pub fn adjust(&mut self, adjustment: Adjustment, phase: Span) {
        self.advance(phase);
        self.steered.adjust(adjustment, phase);
    }

    /// Takes note of what its owner says: the leap second at the end of the clock's day, and how good it is.
    pub fn announce(&mut self, discipline: Discipline, phase: Span) {
        self.advance(phase);
        if discipline.leap_step != self.discipline.leap_step {
            let (seconds, _) = self.steered.shown.split();
            let midnight = Instant::from_nanos((seconds.div_euclid(DAY) + 1) * DAY * 1_000_000_000);
            self.leap = match discipline.leap_step {
                0 => None,
                // A second is inserted when the day is over, and deleted a second before.
                step if step < 0 => Some((midnight, step)),
                step => Some((midnight - Span::SECOND, step)),
            };
        }
        self.discipline = discipline;
    }

    /// It shows `shown` at `phase`, whatever it showed before: the oscillator's phase has jumped and it has not.
    pub const fn resume(&mut self, shown: Instant<Utc>, phase: Span) {
        (self.steered.shown, self.steered.phase) = (shown, phase);
    }

    /// What the kernel says of it.
    #[must_use]
    pub const fn discipline(&self) -> Discipline {
        self.discipline
    }

    fn advance(&mut self, phase: Span) {
        self.steered.read(phase);
        if let Some((at, step)) = self.leap
            && self.steered.shown >= at
        {
            self.steered.shown += Span::from_secs(step.into());
            self.leap = None;
            // The kernel forgets the order once it is carried out, and keeps TAI - UTC right.
            self.discipline.leap_step = 0;
            self.discipline.tai_offset_s = self.discipline.tai_offset_s.map(|offset| offset - i32::from(step));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SystemClock;
    use sidereal_servo::{Adjustment, Discipline, FrequencyOffset};
    use sidereal_time::{Instant, Span};

    #[test]
    fn it_is_stepped_and_slewed_in_the_kernels_units() {
        let mut clock = SystemClock::new(Instant::from_secs(1000), Span::ZERO);
        clock.adjust(Adjustment::Step(Span::from_secs(-3)), Span::from_secs(1));
        assert_eq!(clock.read(Span::from_secs(1)), Instant::from_secs(998));
        clock.adjust(Adjustment::Frequency(FrequencyOffset::from_ppb(1e9)), Span::from_secs(1));
        assert_eq!(clock.read(Span::from_secs(11)), Instant::from_secs(1008) + Span::from_nanos(5_000_000));
        clock.adjust(Adjustment::Frequency(FrequencyOffset::from_ppb(0.02)), Span::from_secs(11));
        let units = |from, to| {
            (clock.clone().read(Span::from_secs(to)) - clock.clone().read(Span::from_secs(from))).as_secs_f64()
        };
        assert!((units(11, 1_000_011) - 1e6 * (1.0 + 1e-9 / 65.536)).abs() < 1e-9);
    }

    #[test]
    fn leap_seconds_are_made_at_the_end_of_the_day() {
        for (step, before, after) in [(-1, 86_399, 86_399), (1, 86_398, 86_400)] {
            let mut clock = SystemClock::new(Instant::from_secs(86_390), Span::ZERO);
            let armed = Discipline { leap_step: step, tai_offset_s: Some(37), ..clock.discipline() };
            clock.announce(armed, Span::ZERO);
            let leaps_at = before + 1 - 86_390;
            assert_eq!(clock.read(Span::from_secs(leaps_at) - Span::from_units(1)).split().0, i128::from(before));
            assert_eq!(clock.read(Span::from_secs(leaps_at)).split().0, i128::from(after));
            assert_eq!(clock.discipline().tai_offset_s, Some(37 - i32::from(step)));
            assert_eq!(clock.read(Span::from_secs(leaps_at + 100_000)).split().0, i128::from(after) + 100_000);
        }
    }
}
