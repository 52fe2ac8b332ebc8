//! What a tracker has once there is a time.

use sidereal_time::{ClockModel, Span, Ticks};

use super::bound::HardBound;
use super::published::{Published, scaled};
use crate::belief::Belief;
use crate::line::span_rounded_up;
use crate::servo::Servo;

/// The published error holds for so long without a refresh, in seconds.
const HORIZON_S: [f64; 3] = [1.0, 16.0, 64.0];
/// Without measurements for so many of their usual intervals, and for [`HOLD_AFTER`], it is holdover.
const MISSED_INTERVALS: i128 = 8;
/// See [`MISSED_INTERVALS`].
const HOLD_AFTER: Span = Span::from_secs(64);

/// What there is once there is a time.
#[derive(Debug, Clone)]
pub(super) struct Follower {
    pub(super) servo: Servo,
    /// What `servo` believes at the last measurement.
    pub(super) belief: Belief,
    pub(super) bound: HardBound,
    pub(super) published: Published,
    pub(super) model: ClockModel,
    pub(super) last: Ticks,
    pub(super) interval: Option<Span>,
    /// How far the last suspect was from what is believed, in seconds; zero while there is none.
    pub(super) doubt: f64,
    /// How far all measurements may be wrong alike, in seconds.
    pub(super) common: f64,
}

impl Follower {
    /// Lets `dt` seconds pass, until `ticks`.
    pub(super) fn pass(&mut self, dt: f64, ticks: Ticks, own: &mut ClockModel) {
        self.bound = self.bound_later(dt);
        own.reference = own.instant(ticks);
        own.reference_ticks = ticks;
        self.servo.pass(dt);
        self.belief = self.servo.belief();
        self.last = ticks;
    }

    pub(super) fn belief_at(&self, own: &ClockModel, at: Ticks) -> Belief {
        let dt = own.rate.span(own.elapsed(at)).as_secs_f64();
        if dt >= 0.0 {
            return self.belief.later(dt, &self.servo.wander());
        }
        let [phase, frequency, drift] = self.belief.mean;
        Belief { mean: [phase + frequency * dt, frequency, drift], ..self.belief }
    }

    /// The phase that is published at `at`.
    pub(super) fn shown(&self, own: &ClockModel, at: Ticks) -> f64 {
        (self.published.model().instant(at) - own.instant(at)).as_secs_f64()
    }

    pub(super) fn bound_later(&self, dt: f64) -> HardBound {
        let wander = self.servo.wander();
        let (mean, _) = self.belief.phase_later(dt, &wander);
        let (_, variance) = Belief { covariance: self.belief.without_phase(), ..self.belief }.phase_later(dt, &wander);
        self.bound.later(dt, mean - self.belief.mean[0], variance.max(0.0).sqrt())
    }

    pub(super) fn bound_at(&self, own: &ClockModel, at: Ticks) -> f64 {
        let dt = own.rate.span(own.elapsed(at)).as_secs_f64().max(0.0);
        self.bound_later(dt).around(self.shown(own, at)) + self.common
    }

    /// How far the phase that is published at `at` is from the truth in 99.99 of 100 cases; or `at_least`.
    pub(super) fn spread_at(&self, own: &ClockModel, at: Ticks, at_least: f64) -> f64 {
        let dt = own.rate.span(own.elapsed(at)).as_secs_f64().max(0.0);
        let at_least = (at_least * at_least - self.common * self.common).max(0.0).sqrt();
        self.servo.spread(dt, self.shown(own, at), at_least, &self.belief_at(own, at)).hypot(self.common)
    }

    /// How far what is published at `now` is behind what is believed.
    pub(super) fn correction(&self, own: &ClockModel, now: Ticks) -> Span {
        Span::from_secs_f64(self.belief_at(own, now).mean[0] - self.shown(own, now))
    }

    pub(super) fn retarget(&mut self, own: &ClockModel, now: Ticks, max_slew: f64) {
        let belief = self.belief_at(own, now);
        let instant = own.instant(now) + Span::from_secs_f64(belief.mean[0]);
        self.published.retarget(now, instant, scaled(own.rate, belief.mean[1]), max_slew);
        self.republish(own, now);
    }

    pub(super) fn step(&mut self, own: &ClockModel, now: Ticks, generation: u32) {
        let belief = self.belief_at(own, now);
        let instant = own.instant(now) + Span::from_secs_f64(belief.mean[0]);
        self.published.step(now, instant, scaled(own.rate, belief.mean[1]), generation);
        self.republish(own, now);
    }

    /// Makes the model that is told, with its error as it is from `now` on.
    pub(super) fn republish(&mut self, own: &ClockModel, now: Ticks) {
        let told = self.published.model();
        let (reference, tick) = (told.instant(now), told.rate.as_hertz());
        let error = self.bound_at(own, now);
        let growth = |seconds: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "`as` saturates; a second is few ticks"
            )]
            let ticks = Ticks(now.0.wrapping_add((seconds * tick) as u64));
            (self.bound_at(own, ticks) - error) / seconds
        };
        let growth = HORIZON_S.into_iter().map(growth).fold(0.0, f64::max);
        self.model = ClockModel {
            reference,
            reference_ticks: now,
            error: span_rounded_up(error),
            drift_ppb: parts_per_billion(growth),
            ..*told
        };
    }

    /// How long it waits for the next measurement before it is holdover.
    pub(super) fn patience(&self) -> Span {
        let usual = self.interval.map_or(0, Span::units);
        HOLD_AFTER.max(Span::from_units(usual.saturating_mul(MISSED_INTERVALS)))
    }
}

/// Rounded up; what does not fit becomes the largest that does.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as documented")]
fn parts_per_billion(ratio: f64) -> u32 {
    (ratio * 1e9).ceil() as u32
}
