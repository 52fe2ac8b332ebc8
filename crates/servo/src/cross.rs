//! A clock of the host beside the local counter.

mod line;
mod noise;

use sidereal_time::{ClockId, CrossModel, CrossStamp, LocalClock, Rate, Span, Ticks};

use self::line::Line;
use crate::Adjustment;
use crate::belief::Observation;

/// A clock off by more than this, in seconds, and by more than [`JUMP_SHARE`] of the time since it was read, was set.
const JUMP_S: f64 = 1e-3;
/// An impatient daemon slews by a tenth of the time at most; kernels by 500 ppm.
const JUMP_SHARE: f64 = 0.1;
/// A reading further off than so many deviations is doubted.
const PLAUSIBLE: f64 = 8.0;
/// Readings in a row that are doubted, whatever they say, before the last of them is believed.
const PATIENCE: u32 = 3;
/// Two doubted readings agree where they differ by no more than this part of what they are off by.
const AGREEING: f64 = 0.5;
/// What is off by less than this part of the time since the last good reading may have run at another frequency meanwhile.
const SLEWED: f64 = 1e-3;
/// How far a frequency may have changed when a clock was set, in s/s.
const SURPRISE: f64 = 1e-6;
/// The most that is ever doubted of a frequency, in s/s.
const MOST_DOUBT: f64 = 0.5;
/// How far a clock may end up from where we set it, in seconds: many drivers read it, add, and write it back.
const STEP_DOUBT_S: f64 = 1e-4;
/// A clock that shows the same for so long stands still, in seconds.
const STILL_S: f64 = 1e-3;
/// Without a reading for longer, nothing is left to go on.
const LONGEST_GAP: Span = Span::from_secs(1 << 32);
/// Of normal errors, 99.99 % are within so many deviations.
const NORMAL_COVERAGE: f64 = 3.89;
/// Stamps are never older than this.
const OLDEST_STAMP: Span = Span::SECOND;

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossOffered {
    /// It is taken into account.
    Taken,
    /// It is implausible: another one, at once, tells whether it was an accident.
    Doubted,
    /// Somebody set the clock, by so much: forward where that is positive.
    Jumped(Span),
    /// It is not newer than the last one, or than the last adjustment.
    Stale,
    /// The clock stands still.
    Stopped,
}

/// How a clock stands and runs by the local counter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEstimate {
    /// What it shows: its nominal time since it stood at zero.
    pub shown: Span,
    /// The standard deviation of that, in seconds.
    pub deviation: f64,
    /// How much of its nominal time passes, as it is steered, in a second of the local counter's nominal time.
    pub speed: f64,
    /// How much faster than the local counter it would run by itself, in s/s.
    pub own_frequency: f64,
    /// The standard deviation of that, in s/s.
    pub frequency_deviation: f64,
}

/// What a tracker has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CrossCounts {
    /// Readings that were taken.
    pub taken: u64,
    /// Readings that were implausible.
    pub doubted: u64,
    /// How often somebody else set the clock.
    pub jumped: u64,
    /// How often it was found to have run at another frequency, or to have been set by very little.
    pub nudged: u64,
    /// Readings that were not newer than the last.
    pub stale: u64,
    /// Readings that showed it standing still.
    pub stopped: u64,
}

impl CrossCounts {
    /// All, by name.
    #[must_use]
    pub const fn by_name(&self) -> [(&'static str, u64); 6] {
        [
            ("taken", self.taken),
            ("doubted", self.doubted),
            ("jumped", self.jumped),
            ("nudged", self.nudged),
            ("stale", self.stale),
            ("stopped", self.stopped),
        ]
    }
}

/// Follows one clock of the host by its readings beside the local counter.
///
/// What is estimated, by the same Kalman filter that the local counter is tracked with, is how the clock would run by itself:
/// what we adjust is known and does not look like noise. How noisy readings are is learned; one is worth what its window is
/// above the shortest.
#[derive(Debug, Clone)]
pub struct CrossTracker {
    clock: ClockId,
    width: u8,
    nominal: Rate,
    local: LocalClock,
    line: Option<Line>,
    /// The line before the clock was reset: its frequency is still of use.
    kept: Option<Line>,
    /// Whether a reading has agreed with what is believed of the phase.
    confirmed: bool,
    suspect: Option<Suspect>,
    /// Where the clock stood at the last reading that was looked at, and when.
    last: Option<CrossStamp>,
    generation: u32,
    since: Ticks,
    counts: CrossCounts,
}

/// Readings that were doubted, since the last that was not.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    /// How far the last one was off, in seconds.
    away: f64,
    count: u32,
    /// When the last good one was.
    good: Ticks,
}

impl CrossTracker {
    /// A tracker that knows nothing of `clock`, whose counter has `width` bits (1 to 64) and ticks of nominally `nominal`,
    /// but at least a picosecond. `local` must not change while it is tracked.
    #[must_use]
    pub fn new(clock: ClockId, width: u8, nominal: Rate, local: LocalClock) -> Self {
        Self {
            clock,
            width: width.clamp(1, 64),
            nominal: nominal.max(line::FINEST_TICK),
            local,
            line: None,
            kept: None,
            confirmed: false,
            suspect: None,
            last: None,
            generation: 0,
            since: Ticks(0),
            counts: CrossCounts::default(),
        }
    }

    /// Takes a reading into account.
    pub fn offer(&mut self, stamp: CrossStamp) -> CrossOffered {
        let Some(line) = &mut self.line else { return self.begin(stamp) };
        let passed = self.local.passed(line.at(), stamp.local);
        if passed <= Span::ZERO {
            self.counts.stale += 1;
            return CrossOffered::Stale;
        }
        if passed > LONGEST_GAP {
            self.restart();
            return self.begin(stamp);
        }
        let last = self.last.replace(stamp).unwrap_or(stamp);
        let since_last = self.local.passed(last.local, stamp.local).as_secs_f64();
        if stamp.nic == last.nic && since_last > STILL_S {
            self.last = Some(last);
            self.confirmed = false;
            self.counts.stopped += 1;
            return CrossOffered::Stopped;
        }
        let good = self.suspect.map_or(line.at(), |suspect| suspect.good);
        line.pass(&self.local, stamp.local);
        let phase = line.phase_of(stamp.nic);
        let observation = line.observe_noise(phase, stamp.window);
        let belief = line.belief();
        let away = phase - belief.mean[0];
        let granted = JUMP_S
            + JUMP_SHARE * since_last.max(0.0)
            + stamp.window.as_secs_f64().abs()
            + PLAUSIBLE * belief.phase_variance().sqrt();
        if away.abs() > granted {
            return self.jump(stamp, away, since_last, &observation);
        }
        if !belief.allows(&observation, PLAUSIBLE) {
            let suspect = Suspect { away, count: self.suspect.map_or(1, |before| before.count + 1), good };
            let agrees = self
                .suspect
                .is_some_and(|before| (away - before.away).abs() <= AGREEING * away.abs().max(before.away.abs()));
            if !agrees && suspect.count < PATIENCE {
                self.suspect = Some(suspect);
                self.counts.doubted += 1;
                return CrossOffered::Doubted;
            }
            let since_good = self.local.passed(good, stamp.local).as_secs_f64();
            if away.abs() > SLEWED * since_good {
                return self.jump(stamp, away, since_last, &observation);
            }
            self.counts.nudged += 1;
            line.disturb(away, away.abs() / since_good + SURPRISE);
        }
        line.observe(&observation);
        self.counts.taken += 1;
        self.suspect = None;
        self.confirmed = true;
        CrossOffered::Taken
    }

    /// We have made the clock run differently, or set it, when the local counter stood at `at`.
    pub fn adjusted(&mut self, at: Ticks, adjustment: &Adjustment) {
        if let Adjustment::Step(by) = adjustment
            && self.line.is_some()
        {
            self.begin_generation(at, *by);
        }
        let Some(line) = &mut self.line else { return };
        if self.local.passed(line.at(), at) > Span::ZERO {
            line.pass(&self.local, at);
        }
        match adjustment {
            Adjustment::Step(by) => line.step(*by, STEP_DOUBT_S),
            Adjustment::Frequency(frequency) => line.steer(frequency.as_ppb() * 1e-9),
        }
    }

    /// The clock cannot be read: until it can, its stamps cannot be located.
    pub fn lost(&mut self) {
        self.confirmed = false;
    }

    /// The clock was reset: its phase is unknown, and how it is steered too.
    pub fn restart(&mut self) {
        self.kept = self.line.take().or(self.kept.take());
        self.confirmed = false;
        self.suspect = None;
        self.last = None;
    }

    /// How stamps of the clock are located when the local counter stands at `now`; `None` while that is not certain.
    #[must_use]
    pub fn model(&self, now: Ticks) -> Option<CrossModel> {
        let line = self.line.as_ref().filter(|_| self.confirmed)?;
        let deviation = line.at_time(&self.local, now).deviation;
        let (nic_reference, local_reference, rate) = line.reference(&self.local);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        Some(CrossModel {
            clock: self.clock,
            width: self.width,
            nic_reference,
            local_reference,
            rate: (rate * (1_u64 << 48) as f64).round() as u64,
            local_second: self.local.rate.as_hertz().round() as u64,
            wrap: (self.nominal.as_hertz() * 4.294_967_296).round() as u64,
            uncertainty: Span::from_secs_f64(NORMAL_COVERAGE * deviation),
            generation: self.generation,
            since: self.since,
        })
    }

    /// How the clock stands when the local counter stands at `now`, once it has been read.
    #[must_use]
    pub fn estimate(&self, now: Ticks) -> Option<CrossEstimate> {
        self.line.as_ref().map(|line| line.at_time(&self.local, now))
    }

    /// The standard deviation of a reading, as it was learned, in seconds.
    #[must_use]
    pub fn noise(&self) -> Option<f64> {
        self.line.as_ref().map(Line::noise)
    }

    /// What became of the readings.
    #[must_use]
    pub fn counts(&self) -> CrossCounts {
        self.counts
    }

    fn begin(&mut self, stamp: CrossStamp) -> CrossOffered {
        let before = self.kept.take();
        if before.is_some() {
            self.generation = self.generation.wrapping_add(1);
        }
        self.since = stamp.local;
        self.line = Some(Line::begin(stamp, self.width, self.nominal, before));
        self.last = Some(stamp);
        self.counts.taken += 1;
        CrossOffered::Taken
    }

    /// The clock is elsewhere, and stays there as far as we know.
    fn jump(&mut self, stamp: CrossStamp, away: f64, since_last: f64, observation: &Observation) -> CrossOffered {
        let by = Span::from_secs_f64(away);
        // Who jumps twice in a row does not jump, but runs at a rate that nobody knew.
        let doubt = if self.confirmed { SURPRISE } else { (away / since_last).abs().clamp(SURPRISE, MOST_DOUBT) };
        if let Some(line) = &mut self.line {
            line.place(stamp.nic, observation.variance.sqrt(), doubt);
        }
        self.begin_generation(stamp.local, by);
        self.suspect = None;
        if core::mem::replace(&mut self.confirmed, false) {
            self.counts.jumped += 1;
            CrossOffered::Jumped(by)
        } else {
            self.counts.doubted += 1;
            CrossOffered::Doubted
        }
    }

    /// The clock was set `by` ahead at `at`. What it showed before may come up again where it was set back.
    fn begin_generation(&mut self, at: Ticks, by: Span) {
        self.generation = self.generation.wrapping_add(1);
        self.since = self.local.later(at, (-by).max(Span::ZERO).min(OLDEST_STAMP));
    }
}
