//! From measurements to the time that is published.

mod bound;
mod follower;
mod published;
mod suspects;
mod told;

use sidereal_time::{ClockModel, LocalClock, Rate, Span, Ticks};

use self::bound::HardBound;
use self::follower::Follower;
use self::published::{Published, scaled};
use self::suspects::{Believed, FREQUENCY_DOUBT, PLAUSIBLE, Suspect, Suspects};
pub use self::told::{Estimate, IntervalAdvice, Learned, Offered, TrackerState};
use crate::belief::Belief;
use crate::line::span_rounded_up;
use crate::measurement::{FINEST_S, LARGEST_VARIANCE};
use crate::servo::{Servo, sane};
use crate::{Measurement, ServoOptions};

/// How far the frequency learned before may be off at the next start, beyond what it was known to: what another temperature
/// does to a crystal, in s/s.
const RESTART_DOUBT: f64 = 1e-6;
/// How far the frequency that was learned may be from the nominal one, relative: a guest may be told one that is off.
const SAME_COUNTER: f64 = 0.01;
/// The frequency is known once its deviation is below this, in s/s.
const KNOWN_FREQUENCY: f64 = 1e-6;
/// The published model is made anew at least so often, so that its linear growth of the error fits.
const REFRESH: Span = Span::from_secs(16);
/// A measurement older than the newest by more than this tells nothing.
const STALE: Span = Span::from_secs(1_024);
/// Samples within the time constant of a balanced filter: with more of them, the source may be asked less often.
const BALANCE: (f64, f64) = (1.0 / 256.0, 1.0 / 16.0);

/// Measurements are never more wrong alike than this, in seconds.
const LARGEST_COMMON_S: f64 = 1.0;

/// Follows measurements and publishes a clock.
///
/// What is estimated is how far the truth is from the counter's own time, which runs on at a fixed rate. The published clock
/// is slewed to the estimate, or stepped where policy allows; its bound and its uncertainty include what is left to slew.
#[derive(Debug, Clone)]
pub struct Tracker {
    local: LocalClock,
    options: ServoOptions,
    state: TrackerState,
    /// The counter's own time, at the last measurement. Phases are the truth less this, in seconds.
    own: ClockModel,
    /// What is known before the first measurement, and kept when the phase is lost.
    prior: Prior,
    follower: Option<Follower>,
    /// Measurements far from what is allowed, since the last that was not.
    suspects: Suspects,
    /// How many sources must say so before implausible measurements are believed.
    quorum: usize,
    generation: u32,
    /// Measurements that were accepted since the start.
    accepted: u32,
    /// How far all measurements may be wrong alike, in seconds.
    common: f64,
}

#[derive(Debug, Clone, Copy)]
struct Prior {
    frequency: f64,
    frequency_deviation: f64,
    drift: f64,
    wander: Option<f64>,
}

impl Tracker {
    /// A tracker that knows nothing but what was learned before.
    #[must_use]
    pub fn new(local: LocalClock, options: &ServoOptions, learned: Option<&Learned>, now: Ticks) -> Self {
        let learned = learned.copied().and_then(Learned::sane).filter(|learned| {
            // What is further off was learned of another counter.
            (learned.counter_hertz / local.rate.as_hertz() - 1.0).abs() < SAME_COUNTER
        });
        let rate = learned.map_or(local.rate, |learned| Rate::from_hertz(learned.counter_hertz));
        let limit = options.frequency_limit();
        let prior = Prior {
            frequency: 0.0,
            frequency_deviation: learned.map_or(limit.min(1e-4), |l| l.frequency_deviation.hypot(RESTART_DOUBT)),
            drift: learned.map_or(0.0, |learned| learned.aging),
            wander: learned.map(|learned| learned.wander),
        };
        let local = LocalClock { rate, ..local };
        Self {
            local,
            options: *options,
            state: TrackerState::Unlocked,
            own: local.unknown(now),
            prior,
            follower: None,
            suspects: Suspects::new(),
            quorum: 1,
            generation: 0,
            accepted: 0,
            common: 0.0,
        }
    }

    /// From now on `followed` sources are measured: more than half of them must contradict what is believed, and agree with
    /// each other, before they are believed instead.
    pub fn follow(&mut self, followed: usize) {
        self.quorum = followed / 2 + 1;
    }

    /// All measurements may be wrong alike by `common`, in 99.99 of 100 cases: what took their stamps is no better known beside
    /// the counter. Many of them do not make that less, so that [`Self::bound`] and [`Self::uncertainty`] include it.
    pub fn share(&mut self, common: Span) {
        self.common = common.as_secs_f64().clamp(0.0, LARGEST_COMMON_S);
        if let Some(follower) = &mut self.follower {
            follower.common = self.common;
        }
    }

    /// Takes a measurement into account. It may be up to a quarter of an hour older than the newest one.
    pub fn offer(&mut self, measurement: &Measurement, now: Ticks) -> Offered {
        let ticks = measurement.reading.ticks();
        let Some(follower) = &mut self.follower else { return self.begin(measurement, now) };
        let age = self.local.passed(ticks, follower.last);
        if age > STALE {
            return Offered::Stale;
        }
        let dt = (-age).as_secs_f64();
        let before = (follower.clone(), self.own);
        if dt > 0.0 {
            follower.pass(dt, ticks, &mut self.own);
        }
        // An older one is taken for one of now: the time between is short, and the frequency known.
        let late = dt.min(0.0) * follower.belief.mean[1];
        let observation = measurement.observation(&self.own, -late);
        let bound = measurement.bound.as_secs_f64().max(0.0) + FREQUENCY_DOUBT * dt.min(0.0).abs();
        if !follower.belief.allows(&observation, PLAUSIBLE) {
            follower.bound.doubt(observation.phase, bound);
            follower.doubt = (observation.phase - follower.belief.mean[0]).abs();
            follower.republish(&self.own, now);
            return self.suspect(Suspect { ticks, observation, bound, witness: measurement.witness }, now);
        }
        follower.servo.observe(&observation);
        follower.belief = follower.servo.belief();
        if !self.options.allows(&follower.belief) {
            *follower = before.0;
            self.own = before.1;
            return Offered::Insane;
        }
        follower.bound.meet(observation.phase, bound);
        if dt > 0.0 {
            let passed = Span::from_secs_f64(dt);
            follower.interval =
                Some(follower.interval.map_or(passed, |i| Span::from_units((3 * i.units() + passed.units()) / 4)));
        }
        self.suspects.clear();
        self.accept(now)
    }

    /// Ends slews and enters holdover.
    pub fn advance(&mut self, now: Ticks) {
        let Some(follower) = &mut self.follower else { return };
        follower.retarget(&self.own, now, self.options.max_slew());
        if self.local.passed(follower.last, now) >= follower.patience() {
            self.state = TrackerState::Holdover;
        }
    }

    /// When [`Self::advance`] is next needed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Ticks> {
        let follower = self.follower.as_ref()?;
        let made = follower.model.reference_ticks;
        let soonest = |a: Ticks, b: Ticks| if self.local.passed(made, a) < self.local.passed(made, b) { a } else { b };
        let refresh = self.local.later(made, REFRESH);
        let next = follower.published.until().map_or(refresh, |until| soonest(until, refresh));
        let hold = self.local.later(follower.last, follower.patience());
        Some(if self.state == TrackerState::Holdover || self.local.passed(made, hold) <= Span::ZERO {
            next
        } else {
            soonest(next, hold)
        })
    }

    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> TrackerState {
        self.state
    }

    /// The published model: it never goes back but at a step, which begins a new generation; smaller corrections are slewed,
    /// over a sixteenth of a second or, at `max_slew_ppm`, as long as it takes. Its error is [`Self::bound`] at its reference.
    #[must_use]
    pub fn model(&self) -> Option<ClockModel> {
        self.follower.as_ref().map(|follower| follower.model)
    }

    /// The best knowledge at `at`.
    #[must_use]
    pub fn estimate(&self, at: Ticks) -> Option<Estimate> {
        let follower = self.follower.as_ref()?;
        let belief = follower.belief_at(&self.own, at);
        let instant = self.own.instant(at) + Span::from_secs_f64(belief.mean[0]);
        Some(Estimate {
            at: instant,
            rate: scaled(self.own.rate, belief.mean[1]),
            offset_deviation: belief.deviation(0),
            frequency_deviation: belief.deviation(1),
            drift: belief.mean[2],
            wander: follower.servo.wander().frequency,
            correction: instant - follower.model.instant(at),
        })
    }

    /// Hard: how far the published model may be from the truth at `at`. It rests on the bounds of the measurements, and on the
    /// counter to drift by no more than ten deviations of what was learned of it, and twice what lately exceeded this.
    #[must_use]
    pub fn bound(&self, at: Ticks) -> Option<Span> {
        self.follower.as_ref().map(|follower| span_rounded_up(follower.bound_at(&self.own, at)))
    }

    /// How far the published model is from the truth in 99.99 of 100 cases, whatever wander of the counter is still as probable
    /// as that, what is left to slew, and how far the last suspect is off. Never more than [`Self::bound`].
    #[must_use]
    pub fn uncertainty(&self, at: Ticks) -> Option<Span> {
        self.uncertainty_or(at, Span::ZERO)
    }

    /// [`Self::uncertainty`], or `at_least` where that is more. Whether it is costs far less than the uncertainty itself.
    #[must_use]
    pub fn uncertainty_or(&self, at: Ticks, at_least: Span) -> Option<Span> {
        let follower = self.follower.as_ref()?;
        let within = (at_least.as_secs_f64() - follower.doubt).max(0.0);
        let spread = follower.spread_at(&self.own, at, within) + follower.doubt;
        Some(span_rounded_up(spread.min(follower.bound_at(&self.own, at))).max(at_least))
    }

    /// Whether the time may be served as synchronised: there is one, its bound is within `max_bound`, and holdover lasts no
    /// longer than `holdover_limit`.
    #[must_use]
    pub fn is_synchronised(&self, at: Ticks) -> bool {
        let Some(follower) = &self.follower else { return false };
        let held =
            self.state == TrackerState::Holdover && self.local.passed(follower.last, at) > self.options.holdover_limit;
        !held && self.bound(at).is_some_and(|bound| bound <= self.options.max_bound)
    }

    /// Whether a source with measurements of `variance` (in s²) every `interval` should be asked more often: where the clock
    /// wanders, in an interval, by more than a sixteenth of the noise; or less often: by less than a 256th.
    #[must_use]
    pub fn interval_advice(&self, variance: f64, interval: Span) -> IntervalAdvice {
        let Some(follower) = &self.follower else { return IntervalAdvice::Keep };
        let wander = follower.servo.wander().frequency * interval.as_secs_f64().max(0.0).powf(1.5);
        let ratio = wander / sane(variance, FINEST_S * FINEST_S, LARGEST_VARIANCE).sqrt();
        match ratio {
            _ if self.state != TrackerState::Locked => IntervalAdvice::Shorter,
            ratio if ratio > BALANCE.1 => IntervalAdvice::Shorter,
            ratio if ratio < BALANCE.0 => IntervalAdvice::Longer,
            _ => IntervalAdvice::Keep,
        }
    }

    /// No source is left.
    pub fn hold(&mut self, now: Ticks) {
        self.suspects.clear();
        if let Some(follower) = &mut self.follower {
            follower.retarget(&self.own, now, self.options.max_slew());
            self.state = TrackerState::Holdover;
        }
    }

    /// The time scale was moved by `by`: the clock did not change, but what its time is called. The model begins a new
    /// generation.
    pub fn relabel(&mut self, by: Span) {
        self.own.reference += by;
        if let Some(follower) = &mut self.follower {
            self.generation = self.generation.wrapping_add(1);
            follower.published.relabel(by, self.generation);
            follower.model.reference += by;
            follower.model.generation = self.generation;
        }
    }

    /// The counter was suspended or moved: the phase is unknown, the rate is kept.
    pub fn counter_jumped(&mut self, now: Ticks) {
        self.remember(now);
        self.follower = None;
        self.suspects.clear();
        self.state = TrackerState::Unlocked;
        self.own = ClockModel { reference_ticks: now, ..self.own };
    }

    /// What is to be saved, once the frequency is known.
    #[must_use]
    pub fn learned(&self, now: Ticks) -> Option<Learned> {
        let estimate = self.estimate(now).filter(|estimate| estimate.frequency_deviation < KNOWN_FREQUENCY)?;
        Learned {
            counter_hertz: estimate.rate.as_hertz(),
            frequency_deviation: estimate.frequency_deviation,
            wander: estimate.wander,
            aging: estimate.drift,
        }
        .sane()
    }

    /// The first measurement sets the time.
    fn begin(&mut self, measurement: &Measurement, now: Ticks) -> Offered {
        let ticks = measurement.reading.ticks();
        self.own = ClockModel { reference: measurement.reading.at(), reference_ticks: ticks, ..self.own };
        let observation = measurement.observation(&self.own, 0.0);
        let bound = measurement.bound.as_secs_f64().max(FINEST_S);
        let prior = &self.prior;
        let mut belief = Belief::new(
            [0.0, prior.frequency, prior.drift],
            [bound.hypot(observation.variance.sqrt()), prior.frequency_deviation, 0.0],
        );
        belief.observe(&observation);
        self.generation = self.generation.wrapping_add(1);
        let servo = Servo::new(&self.options, belief, prior.wander);
        let rate = scaled(self.own.rate, belief.mean[1]);
        let instant = self.own.instant(now) + Span::from_secs_f64(belief.later(0.0, &servo.wander()).mean[0]);
        let published = Published::new(&self.local, now, instant, rate, self.generation);
        let model = *published.model();
        let mut follower = Follower {
            servo,
            belief,
            bound: HardBound::new(0.0, bound),
            published,
            model,
            last: ticks,
            interval: None,
            doubt: 0.0,
            common: self.common,
        };
        follower.republish(&self.own, now);
        self.follower = Some(follower);
        self.state = TrackerState::Step;
        self.accepted = self.accepted.saturating_add(1);
        Offered::First
    }

    /// Leads the published clock to what is believed now.
    fn accept(&mut self, now: Ticks) -> Offered {
        self.accepted = self.accepted.saturating_add(1);
        let Some(follower) = &mut self.follower else { return Offered::Stale };
        follower.doubt = 0.0;
        let known = follower.belief.deviation(1) < KNOWN_FREQUENCY;
        self.state =
            if known || self.state == TrackerState::Locked { TrackerState::Locked } else { TrackerState::Step };
        let correction = follower.correction(&self.own, now);
        let allowed = self.options.step_updates.is_none_or(|updates| self.accepted <= updates);
        if allowed && self.options.step_threshold.is_some_and(|threshold| correction.abs() > threshold) {
            self.generation = self.generation.wrapping_add(1);
            follower.step(&self.own, now, self.generation);
            self.state = TrackerState::Step;
            return Offered::Stepped { by: correction };
        }
        follower.retarget(&self.own, now, self.options.max_slew());
        Offered::Accepted
    }

    /// Keeps a suspect until enough of its kind say that it is the estimate that is wrong; then begins anew with them.
    fn suspect(&mut self, suspect: Suspect, now: Ticks) -> Offered {
        let Some(follower) = &mut self.follower else { return Offered::Outlier };
        let frequency = follower.belief.mean[1];
        let limit = self.options.frequency_limit();
        let Some(Believed { suspects, frequency_doubt }) =
            self.suspects.push(suspect, frequency, limit, self.quorum, &self.local)
        else {
            return Offered::Outlier;
        };
        let Some(first) = suspects.first() else { return Offered::Outlier };
        let since = self.local.passed(first.ticks, suspect.ticks).as_secs_f64();
        let belief = Belief::new(
            [first.observation.phase, frequency, follower.belief.mean[2]],
            [
                first.bound.hypot(first.observation.variance.sqrt()) + frequency_doubt * since,
                frequency_doubt,
                follower.belief.deviation(2),
            ],
        );
        let mut servo = Servo::new(&self.options, belief, Some(follower.servo.wander().frequency));
        let mut last = first.ticks;
        for suspect in suspects {
            servo.pass(self.local.passed(last, suspect.ticks).as_secs_f64().max(0.0));
            servo.observe(&suspect.observation);
            last = suspect.ticks;
        }
        let belief = servo.belief();
        self.suspects.clear();
        if !self.options.allows(&belief) {
            return Offered::Insane;
        }
        follower.belief = belief;
        follower.servo = servo;
        follower.bound = HardBound::new(suspect.observation.phase, suspect.bound);
        self.accept(now)
    }

    /// Keeps the frequency for when there is a phase again.
    fn remember(&mut self, now: Ticks) {
        let Some(follower) = &self.follower else { return };
        let belief = follower.belief_at(&self.own, now);
        self.prior = Prior {
            frequency: belief.mean[1],
            frequency_deviation: belief.deviation(1).hypot(RESTART_DOUBT),
            drift: belief.mean[2],
            wander: Some(follower.servo.wander().frequency),
        };
    }
}
