//! A free-running counter fitted to a clock.

use std::collections::VecDeque;

use sidereal_time::{ClockModel, Counter, Instant, Rate, Reading, Span, Tai, Ticks};

use crate::line::{Line, MAX_POINTS, span_rounded_up};

/// How many readings must agree before there is a model, or before what they all say outweighs the model there is.
const QUORUM: usize = 4;
/// The fewest readings whose residuals are asked whether they are noise.
const MIN_JUDGED: usize = 16;
/// A reading whose window is longer than this many typical ones was interrupted.
const WIDE: i128 = 8;
/// Windows up to this long are never too wide, whatever is typical.
const NEVER_WIDE: Span = Span::from_nanos(1_000);
/// How much a rate may change before readings that show it are held back as suspects: PHI of RFC 5905 §11.1, 15 ppm.
const TOLERANCE: f64 = 15e-6;
/// How far from the known rate the clock may seem to run between readings that are held to agree: a guest may be told a
/// rate that is a quarter off, or wake up on a host of another rate, and an impatient daemon slews by a tenth.
const PLAUSIBLE_SLEW: f64 = 0.5;
/// What a crystal in a room wanders within [`MAX_AGE`], in seconds per second.
const WANDER: f64 = 50e-9;
/// Readings older than this are left out, if others are left.
const MAX_AGE: Span = Span::from_secs(64);
/// How much of the unrest that was seen is still expected one reading later: half of it after 44 readings.
const CALMING: f64 = 0.984_375;
/// How much more unrest is expected than was seen.
const UNREST_MARGIN: f64 = 2.0;
/// A reading that took longer than this tells nothing.
const USELESS: Span = Span::SECOND;
/// The most unrest that is believed, in seconds per second.
const MAX_UNREST: f64 = 1.0;

/// Fits a [`ClockModel`] of a free-running counter to readings of a clock.
///
/// The model is a weighted least-squares line through the latest readings that lie on one: up to 64, fewer after the
/// clock's rate has changed. Its error is hard as long as the rate changes by no more than the model's drift says: at each
/// reading the clock was within half the window, so that the line's miss there is known and not estimated. The drift is
/// what the readings leave open, what a crystal wanders, and twice the unrest seen lately.
///
/// A new model continues the old one only within the errors of both: at the reading where it takes over, time as told may
/// go back by as much as their sum. With windows of 60 ns and noise all over them it is under 10 ns for 99 in 100 models;
/// on a quiet host it is a fraction of a nanosecond, far less than reading the counter takes. After a slew that had to be
/// confirmed ([`Offer::Slewed`]) it may be as much as the clock was slewed meanwhile; all else begins a new generation.
///
/// Memory is fixed; a reading costs some microseconds.
#[derive(Debug, Clone)]
pub struct CounterFit {
    /// The latest fit, of which `error` leaves out `doubt`, and `drift_ppb` leaves out `unrest`.
    model: ClockModel,
    /// The rate as told at first.
    nominal: Rate,
    /// Readings the model is fitted to, oldest first. Empty: there is no model.
    readings: VecDeque<Reading<Tai>>,
    /// Readings that contradict the model but not each other, oldest first.
    suspects: VecDeque<Reading<Tai>>,
    /// How far the last suspect is from the model, its window included.
    doubt: Span,
    /// About the median of the windows of all readings.
    typical_window: Option<Span>,
    /// Drift that was seen and not foreseen, decaying, in seconds per second.
    unrest: f64,
    counts: FitCounts,
}

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It agrees with the others: the model is new.
    Accepted,
    /// It contradicts the model, or there is none yet: it waits for others that say the same.
    Suspected,
    /// Enough readings agree: this is the first model.
    Locked,
    /// Enough readings agree that the rate has changed: the model is new, and continues the old one.
    Slewed,
    /// Enough readings agree that the clock or the counter has jumped: the model is new and of a new generation.
    Stepped {
        /// What the new model says less what the old one says, at this reading.
        by: Span,
    },
    /// It is left out.
    Rejected(Rejection),
}

/// Why a reading was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Its window is many times longer than usual: it was interrupted.
    Wide,
    /// It is not newer than the last one, and says nothing else.
    Repeated,
}

/// What became of all readings so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FitCounts {
    /// Readings that a model was fitted to.
    pub accepted: u64,
    /// [`Rejection::Wide`].
    pub wide: u64,
    /// [`Rejection::Repeated`].
    pub repeated: u64,
    /// Suspects that no other reading agreed with.
    pub outliers: u64,
    /// Changes of rate too large to be taken from one reading.
    pub slews: u64,
    /// Jumps of the clock or of the counter.
    pub steps: u64,
}

impl CounterFit {
    /// A fit without readings of `counter`, which has `width` bits (1 to 64; others are taken as the nearest of these)
    /// and ticks of about `nominal`, within a quarter.
    ///
    /// Readings must come at least four times in a wrap of the counter.
    #[must_use]
    pub fn new(counter: Counter, width: u8, nominal: Rate) -> Self {
        let model = ClockModel {
            counter,
            width: width.clamp(1, 64),
            reference_ticks: Ticks(0),
            reference: Instant::EPOCH,
            rate: nominal,
            error: Span::ZERO,
            drift_ppb: u32::MAX,
            generation: 0,
        };
        Self {
            model,
            nominal,
            readings: VecDeque::with_capacity(MAX_POINTS),
            suspects: VecDeque::with_capacity(QUORUM),
            doubt: Span::ZERO,
            typical_window: None,
            unrest: 0.0,
            counts: FitCounts::default(),
        }
    }

    /// Takes a reading into account.
    pub fn offer(&mut self, reading: Reading<Tai>) -> Offer {
        if self.is_wide(reading.window()) {
            self.counts.wide += 1;
            return Offer::Rejected(Rejection::Wide);
        }
        if self.readings.is_empty() {
            return self.suspect(reading);
        }
        let passed = self.model.elapsed(reading.ticks());
        let disagreement = (reading.at() - self.model.instant(reading.ticks())).abs();
        let allowed = reading.error() + self.model.error_at(reading.ticks());
        let excess = (disagreement - allowed).as_secs_f64();
        let passed_s = self.model.rate.span(passed).as_secs_f64();
        if passed <= 0 && excess <= 0.0 {
            self.counts.repeated += 1;
            return Offer::Rejected(Rejection::Repeated);
        }
        if passed <= 0 || excess > TOLERANCE * passed_s {
            self.doubt = disagreement + reading.error();
            return self.suspect(reading);
        }
        self.accept(reading, excess > 0.0);
        Offer::Accepted
    }

    /// The model, once there is one. While readings contradict it, its error covers what they say.
    #[must_use]
    pub fn model(&self) -> Option<ClockModel> {
        (!self.readings.is_empty()).then(|| ClockModel {
            error: self.model.error + self.doubt,
            drift_ppb: self.model.drift_ppb.saturating_add(parts_per_billion(self.unrest)),
            ..self.model
        })
    }

    /// Moves the time scale by `by` under the readings: the clock did not change, but what its time is called. The model,
    /// if there is one, begins a new generation.
    pub fn relabel(&mut self, by: Span) {
        for reading in self.readings.iter_mut().chain(&mut self.suspects) {
            *reading = Reading::new(reading.ticks(), reading.at() + by, reading.window());
        }
        self.model.reference += by;
        if !self.readings.is_empty() {
            self.model.generation = self.model.generation.wrapping_add(1);
        }
    }

    /// Whether the model rests on enough readings that contradict neither it nor each other: there is no hurry for more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.readings.len() >= MIN_JUDGED && self.suspects.is_empty()
    }

    /// What became of all readings so far.
    #[must_use]
    pub fn counts(&self) -> FitCounts {
        self.counts
    }

    /// Compares `window` with the typical one and moves that a little, towards the median.
    fn is_wide(&mut self, window: Span) -> bool {
        let typical = *self.typical_window.get_or_insert(window);
        let units = typical.units();
        let moved = if window > typical { units + units / 4 + 1 } else { units - units / 5 };
        self.typical_window = Some(Span::from_units(moved));
        window > USELESS || (window > NEVER_WIDE && window.units() > units.saturating_mul(WIDE))
    }

    /// Fits the model anew, with `reading`. A reading that shows a new rate makes the older ones worthless.
    fn accept(&mut self, reading: Reading<Tai>, rate_moved: bool) {
        self.dismiss_suspects();
        self.counts.accepted += 1;
        self.learn_unrest(self.unforeseen_drift(&reading));
        if self.readings.len() == MAX_POINTS {
            self.readings.pop_front();
        }
        self.readings.push_back(reading);
        if rate_moved {
            self.keep_newest(QUORUM);
        }
        self.fit();
    }

    /// Keeps `reading` until enough of its kind say that it is the model that is wrong.
    fn suspect(&mut self, reading: Reading<Tai>) -> Offer {
        if self.suspects.back().is_some_and(|last| !self.follows(last, &reading)) {
            self.counts.outliers += self.suspects.len() as u64;
            self.suspects.clear();
        }
        self.suspects.push_back(reading);
        if self.suspects.len() < QUORUM {
            return Offer::Suspected;
        }
        let previous = (!self.readings.is_empty()).then_some(self.model);
        self.counts.accepted += self.suspects.len() as u64;
        self.doubt = Span::ZERO;
        self.readings.clear();
        self.readings.extend(self.suspects.drain(..));
        self.fit();
        let Some(previous) = previous else {
            self.model.generation += 1;
            return Offer::Locked;
        };
        if continues(&self.model, &previous) {
            self.counts.slews += 1;
            self.learn_unrest((self.model.rate.to_bits() as f64 / previous.rate.to_bits() as f64 - 1.0).abs());
            Offer::Slewed
        } else {
            self.counts.steps += 1;
            self.model.generation = self.model.generation.wrapping_add(1);
            Offer::Stepped { by: self.model.reference - previous.instant(self.model.reference_ticks) }
        }
    }

    /// Whether `next` may come after `last` if neither the clock nor the counter jumped between the two.
    fn follows(&self, last: &Reading<Tai>, next: &Reading<Tai>) -> bool {
        let from_last = ClockModel { reference_ticks: last.ticks(), reference: last.at(), ..self.model };
        let passed = from_last.elapsed(next.ticks());
        let off = (next.at() - from_last.instant(next.ticks())).abs() - last.error() - next.error();
        passed > 0 && off.as_secs_f64() <= self.model.rate.span(passed).as_secs_f64() * PLAUSIBLE_SLEW
    }

    fn dismiss_suspects(&mut self) {
        self.counts.outliers += self.suspects.len() as u64;
        self.suspects.clear();
        self.doubt = Span::ZERO;
    }

    /// How much the model has drifted until `reading`, its error at the reference and the window granted.
    fn unforeseen_drift(&self, reading: &Reading<Tai>) -> f64 {
        let passed_s = self.model.rate.span(self.model.elapsed(reading.ticks())).as_secs_f64();
        let off = (reading.at() - self.model.instant(reading.ticks())).abs() - self.model.error - reading.error();
        off.as_secs_f64() / passed_s
    }

    /// Expects more of the drift that was seen, in seconds per second.
    fn learn_unrest(&mut self, seen: f64) {
        self.unrest = (self.unrest * CALMING).max(seen.clamp(0.0, MAX_UNREST) * UNREST_MARGIN);
    }

    /// Fits the model to the readings, leaving out the oldest until what is left lies on a line.
    fn fit(&mut self) {
        self.drop_outrun();
        while let Some(line) = Line::fit(self.readings.iter(), &self.model, WANDER + self.unrest) {
            let len = self.readings.len();
            if !line.white && len >= MIN_JUDGED {
                self.keep_newest(len - len / 4);
                continue;
            }
            let Some(newest) = self.readings.back() else { return };
            self.model = ClockModel {
                reference_ticks: newest.ticks(),
                reference: newest.at() + Span::from_secs_f64(line.offset),
                rate: self.sane(line.rate(self.model.rate)),
                error: span_rounded_up(line.error),
                drift_ppb: parts_per_billion(line.slope_error + WANDER),
                ..self.model
            };
            return;
        }
    }

    /// Leaves out readings so old that the rate may have changed or a narrow counter wrapped since: those from a quarter of
    /// a wrap ago.
    fn drop_outrun(&mut self) {
        let Some(newest) = self.readings.back().map(Reading::at) else { return };
        let quarter_wrap = self.model.rate.span((u64::MAX >> (64 - u32::from(self.model.width)) >> 2).cast_signed());
        self.readings.retain(|reading| newest - reading.at() <= quarter_wrap);
        let young = self.readings.iter().filter(|reading| newest - reading.at() <= MAX_AGE).count();
        self.keep_newest(young.max(QUORUM));
    }

    /// `rate`, or what is nearest to it between half and twice the nominal one.
    fn sane(&self, rate: Rate) -> Rate {
        let nominal = self.nominal.to_bits();
        rate.clamp(Rate::from_bits(nominal / 2), Rate::from_bits(nominal.saturating_mul(2)))
    }

    fn keep_newest(&mut self, len: usize) {
        self.readings.drain(..self.readings.len().saturating_sub(len));
    }
}

/// Rounded up, and at least zero; not a number becomes zero, what does not fit becomes the largest that does.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as documented")]
fn parts_per_billion(ratio: f64) -> u32 {
    (ratio * 1e9).ceil() as u32
}

/// Whether `new` meets `old` where that was last known to be right, so that only the rate changed since.
fn continues(new: &ClockModel, old: &ClockModel) -> bool {
    let gap = (new.instant(old.reference_ticks) - old.reference).abs();
    let away = (new.reference - new.instant(old.reference_ticks)).as_secs_f64();
    let allowed = old.error + new.error_at(old.reference_ticks) + Span::from_secs_f64(away * TOLERANCE);
    away > 0.0 && gap <= allowed
}
