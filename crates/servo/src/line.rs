//! A straight line through readings, and how far it may be from the truth.

use sidereal_time::{ClockModel, Rate, Reading, Span, Tai};

/// The most readings that one line is fitted to.
pub(crate) const MAX_POINTS: usize = 64;
/// What a window leaves out, in seconds: both clocks show whole nanoseconds.
const GRANULARITY_S: f64 = 1e-9;
/// The least error that a reading is weighted with, in seconds: below it, windows differ by chance.
const WEIGHT_FLOOR_S: f64 = 5e-9;
/// Below this ratio, residuals follow each other (von Neumann 1941). Noise gives 2, with a deviation of 0.25 for 64 points.
const WHITE_RATIO: f64 = 1.0;
/// A slope is never less certain than this, in seconds per second: what is said where nothing is known.
const MAX_SLOPE_ERROR: f64 = 1.0;

/// A weighted least-squares line, in seconds against the slope that it was fitted with.
///
/// A reading is more than a sample with noise: the clock showed its time within the window. A line that misses a reading
/// by `r` was therefore wrong by at most `r` and half the window *at that reading*, whatever the noise. That is what
/// [`Self::error`] is made of.
pub(crate) struct Line {
    /// The line at the newest reading less that reading.
    pub(crate) offset: f64,
    /// How much faster the clock runs than the slope given, in seconds per second.
    pub(crate) slope: f64,
    /// How far the line may be from the truth at the newest reading, in seconds.
    pub(crate) error: f64,
    /// How much that grows per second, by what the readings leave open alone, in seconds per second.
    pub(crate) slope_error: f64,
    /// Whether the residuals look like noise: where they do not, the clock did not run on a line.
    pub(crate) white: bool,
}

/// A reading seen from the newest one, so that floating point holds small numbers only.
#[derive(Clone, Copy, Default)]
struct Point {
    /// Seconds from the newest reading: never positive.
    x: f64,
    /// Seconds by which the reading leads what the newest one and the given slope say.
    y: f64,
    /// How far `y` may be from the truth, in seconds.
    half_window: f64,
    weight: f64,
}

impl Line {
    /// Fits a line to `readings` (oldest first, at most [`MAX_POINTS`]; what goes beyond is left out). `model` tells the
    /// counter and the slope to start from. The slope's own uncertainty is met with `wander`, in seconds per second.
    /// `None` without a reading.
    pub(crate) fn fit<'a>(
        readings: impl DoubleEndedIterator<Item = &'a Reading<Tai>>,
        model: &ClockModel,
        wander: f64,
    ) -> Option<Self> {
        let mut points = [Point::default(); MAX_POINTS];
        let mut readings = readings.rev().peekable();
        let newest = **readings.peek()?;
        let from_newest = ClockModel { reference_ticks: newest.ticks(), reference: newest.at(), ..*model };
        let mut len = 0;
        for (point, reading) in points.iter_mut().zip(readings) {
            *point = Point::new(reading, &from_newest);
            len += 1;
        }
        // Newest first.
        let points = points.get(..len)?;

        let total: f64 = points.iter().map(|p| p.weight).sum();
        let mean_x = points.iter().map(|p| p.weight * p.x).sum::<f64>() / total;
        let mean_y = points.iter().map(|p| p.weight * p.y).sum::<f64>() / total;
        let xx: f64 = points.iter().map(|p| p.weight * (p.x - mean_x).powi(2)).sum();
        let xy: f64 = points.iter().map(|p| p.weight * (p.x - mean_x) * (p.y - mean_y)).sum();
        let slope = if xx > 0.0 { xy / xx } else { 0.0 };
        let offset = mean_y - slope * mean_x;

        let residual = |p: &Point| p.y - offset - slope * p.x;
        // How far the line may have been from the truth at each reading.
        let miss = |p: &Point| residual(p).abs() + p.half_window;
        let slope_error = slope_error(points, miss);
        let error = points.iter().map(|p| miss(p) - (slope_error + wander) * p.x).fold(f64::INFINITY, f64::min);
        Some(Self { offset, slope, error, slope_error, white: white(points, residual) })
    }

    /// `rate` corrected by the slope.
    pub(crate) fn rate(&self, rate: Rate) -> Rate {
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates; a slope is far below one")]
        let correction = (rate.to_bits() as f64 * self.slope).round() as i64;
        Rate::from_bits(rate.to_bits().saturating_add_signed(correction))
    }
}

impl Point {
    fn new(reading: &Reading<Tai>, newest: &ClockModel) -> Self {
        let expected = newest.instant(reading.ticks());
        let half_window = reading.error().as_secs_f64() + GRANULARITY_S;
        Self {
            x: (expected - newest.reference).as_secs_f64(),
            y: (reading.at() - expected).as_secs_f64(),
            half_window,
            weight: 1.0 / (half_window.powi(2) + WEIGHT_FLOOR_S.powi(2)),
        }
    }
}

/// How wrong the slope may be if the clock ran evenly: the line was within `miss` of the truth at both ends of each
/// interval. Of the newest quarter the best reading is one end; the other is whichever says most.
fn slope_error(points: &[Point], miss: impl Fn(&Point) -> f64) -> f64 {
    let newest = points.get(..points.len().div_ceil(4)).unwrap_or_default();
    let Some(end) = newest.iter().min_by(|a, b| miss(a).total_cmp(&miss(b))) else { return MAX_SLOPE_ERROR };
    let older = points.iter().filter(|p| p.x < end.x);
    older.map(|p| (miss(p) + miss(end)) / (end.x - p.x)).fold(MAX_SLOPE_ERROR, f64::min)
}

/// The ratio of von Neumann: the mean square of successive differences to the mean square, of residuals by their weight.
fn white(points: &[Point], residual: impl Fn(&Point) -> f64) -> bool {
    let z = |p: &Point| residual(p) * p.weight.sqrt();
    let squares: f64 = points.iter().map(|p| z(p).powi(2)).sum();
    let differences: f64 =
        points.windows(2).map(|pair| pair.iter().map(z).reduce(|a, b| a - b).unwrap_or(0.0).powi(2)).sum();
    let within_granularity = points.iter().all(|p| residual(p).abs() <= GRANULARITY_S);
    within_granularity || differences >= WHITE_RATIO * squares
}

/// `seconds` as a span, rounded up to the next nanosecond and capped at `i64::MAX` of them: error bounds are told too
/// large, never too small.
pub(crate) fn span_rounded_up(seconds: f64) -> Span {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as documented")]
    Span::from_nanos(i128::from((seconds * 1e9).ceil() as i64))
}
