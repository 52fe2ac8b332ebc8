//! From the readings of one source to measurements.

pub(crate) mod floor;
mod noise;
mod pick;

use sidereal_time::{ClockModel, LocalClock, Reading, Span, Tai};

use self::floor::Floor;
use self::noise::{Noise, Trend};
use self::pick::Pick;
use crate::{Measurement, Queueing};

/// So many delays are needed before the floor tells anything.
const LEARNING: f64 = 4.0;
/// A delay further above the floor than so many mean ones is no queue but an accident.
const TOO_LONG: f64 = 64.0;
/// Delays up to this far above the floor are never too long.
const NEVER_TOO_LONG_S: f64 = 100e-6;
/// An offset further from the others than its own error and so many of their deviations is an outlier.
const OUTLYING: f64 = 8.0;
/// So many outliers in a row are none: the clock or the source has changed.
const PERSISTENT: u32 = 2;
/// How far the queues of a path are believed before its errors were seen.
const CREDIBLE: f64 = 0.95;

/// Which of a source's readings are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum FilterKind {
    /// All of them: the variance says what each is worth.
    #[default]
    None,
    /// Of each `length` readings the one with the least delay.
    MinimumDelay {
        /// At least 1.
        length: usize,
    },
    /// Of the last `length` readings the one with the median offset.
    MovingMedian {
        /// At least 1.
        length: usize,
    },
    /// Those whose delay is within the lower `quantile` of the last `length`.
    Quantile {
        /// At least 1.
        length: usize,
        /// Above 0 and at most 1.
        quantile: f64,
    },
}

/// How a source's readings are judged.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FilterOptions {
    /// Which readings are passed on.
    pub kind: FilterKind,
    /// How much longer one way to the source may be than the other way back, halved: how far the middle of a round trip
    /// without queues may be off. `None`: by half of the round trip.
    pub asymmetry_limit: Option<Span>,
}

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Filtered {
    /// It, or one held before it, is worth this.
    Passed(Measurement),
    /// It waits for others, or others were better.
    Held,
    /// It is left out.
    Rejected(FilterRejection),
}

/// Why a reading was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterRejection {
    /// Its delay is many times longer than usual.
    DelayTooLong,
    /// Its offset is far from what its own error and the model's allow.
    Outlier,
    /// It is not newer than the last one.
    Repeated,
}

impl FilterRejection {
    /// In snake_case, for counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DelayTooLong => "delay_too_long",
            Self::Outlier => "outlier",
            Self::Repeated => "repeated",
        }
    }
}

/// What a source's readings look like.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SourceStatistics {
    /// Readings that were used, since the last reset.
    pub samples: u64,
    /// The delay without queues, as far as it is known.
    pub floor: Option<Span>,
    /// The delay of the last reading.
    pub delay: Option<Span>,
    /// The offset against the model, smoothed; positive where the source is ahead.
    pub offset: Option<Span>,
    /// The standard deviation of the offsets.
    pub jitter: Span,
    /// The deviation of the source's frequency against the model, in seconds per second.
    pub skew: f64,
}

/// Judges the readings of one source.
///
/// What a reading is worth is told by its delay: what is above the floor, the least delay lately, was spent in queues on
/// either way. The variance is `noise + factor * excess²`; exponential queues have a factor of 1/12, and both are learned from
/// how far readings of that excess were off. The hard bound is half the delay or, where an asymmetry limit is declared, that
/// limit and half of how far the delay may be above the floor, which is not known better than by its samples, whichever is
/// less; and the dispersion.
#[derive(Debug, Clone)]
pub struct SourceFilter {
    options: FilterOptions,
    local: LocalClock,
    pick: Pick,
    last: Option<Reading<Tai>>,
    floor: Option<Floor>,
    noise: Option<Noise>,
    trend: Trend,
    /// The generation of the model that `trend` is against.
    generation: u32,
    /// Outliers in a row.
    outliers: u32,
    samples: u64,
}

impl SourceFilter {
    /// A filter without readings.
    #[must_use]
    pub fn new(options: &FilterOptions, local: LocalClock) -> Self {
        Self {
            options: *options,
            local,
            pick: Pick::new(&options.kind),
            last: None,
            floor: None,
            noise: None,
            trend: Trend::default(),
            generation: 0,
            outliers: 0,
            samples: 0,
        }
    }

    /// Judges a reading. `dispersion` is the hard part of its error that the path does not explain: stamp and clock
    /// precision of both sides, the source's root dispersion and half its root delay. `model` is the published one, to
    /// see outliers by.
    pub fn offer(&mut self, reading: Reading<Tai>, dispersion: Span, model: Option<&ClockModel>) -> Filtered {
        let since = self.last.map(|last| self.local.passed(last.ticks(), reading.ticks()));
        if since.is_some_and(|since| since <= Span::ZERO) {
            return Filtered::Rejected(FilterRejection::Repeated);
        }
        self.last = Some(reading);
        let delay = reading.window().as_secs_f64();
        let floor = self.floor.get_or_insert_with(|| Floor::new(delay));
        let allowed = NEVER_TOO_LONG_S.max(TOO_LONG * floor.mean_excess());
        let too_long = floor.samples() >= LEARNING && floor.excess(delay) > allowed;
        if since.is_some() {
            // What is too long is learned too, but as no longer than what is allowed: it may be the path that has changed.
            floor.learn(delay.min(floor.least() + 2.0 * allowed));
        }
        if too_long {
            return Filtered::Rejected(FilterRejection::DelayTooLong);
        }
        let (excess, usual, edge) = (floor.excess(delay), floor.mean_excess(), floor.edge());
        let most_excess = excess + floor.margin();
        let learned = floor.samples() >= LEARNING;
        if let Some(stepped) = model.filter(|model| model.generation != self.generation) {
            self.generation = stepped.generation;
            self.trend = Trend::default();
        }
        let offset = model.map(|model| (reading.at() - model.instant(reading.ticks())).as_secs_f64());
        if let Some(offset) = offset {
            let residual = offset - self.trend.mean();
            let allowed = excess / 2.0 + OUTLYING * self.trend.deviation().max(edge);
            if self.trend.is_settled() && residual.abs() > allowed {
                self.outliers += 1;
                if self.outliers < PERSISTENT {
                    return Filtered::Rejected(FilterRejection::Outlier);
                }
                self.trend = Trend::default();
            }
            self.outliers = 0;
            if learned && self.trend.is_settled() {
                self.noise.get_or_insert_with(|| Noise::new(usual)).learn(residual, excess, edge);
            }
            self.trend.learn(since.unwrap_or(Span::ZERO).as_secs_f64(), offset);
        }
        self.samples += 1;
        let bound = self.bound(&reading, most_excess) + dispersion;
        let measurement = if learned {
            let credibility = self.noise.as_ref().map_or(CREDIBLE, Noise::credibility);
            let variance =
                self.noise.as_ref().map_or(excess * excess / 12.0 + edge * edge, |noise| noise.variance(excess, edge));
            let queueing = Some(Queueing { excess, edge, credibility });
            Measurement { queueing, ..Measurement::new(reading, variance, bound) }
        } else {
            Measurement::new(reading, delay * delay / 12.0 + edge * edge, bound)
        };
        self.pick.offer(measurement, offset.unwrap_or(0.0))
    }

    /// What the readings look like.
    #[must_use]
    pub fn statistics(&self) -> SourceStatistics {
        SourceStatistics {
            samples: self.samples,
            floor: self.floor.as_ref().map(|floor| Span::from_secs_f64(floor.least())),
            delay: self.last.map(|last| last.window()),
            offset: self.trend.is_begun().then(|| Span::from_secs_f64(self.trend.mean())),
            jitter: Span::from_secs_f64(self.trend.deviation()),
            skew: self.trend.slope(),
        }
    }

    /// Forgets everything: the source's address changed, or its clock was stepped.
    pub fn reset(&mut self) {
        *self = Self::new(&self.options, self.local);
    }

    /// The time scale was moved by `by` under the readings.
    pub fn relabel(&mut self, by: Span) {
        self.last = self.last.map(|last| Reading::new(last.ticks(), last.at() + by, last.window()));
        self.pick.relabel(by);
    }

    /// How far the middle of a reading may be off, by its path alone, with at most so much `excess` over the path's floor.
    fn bound(&self, reading: &Reading<Tai>, excess: f64) -> Span {
        let half = reading.window().half() + Span::from_units(1);
        let excess = excess.min(reading.window().as_secs_f64());
        self.options.asymmetry_limit.map_or(half, |limit| (limit.abs() + Span::from_secs_f64(excess / 2.0)).min(half))
    }
}
