//! A proportional and integral controller.

use crate::PiOptions;
use crate::belief::{Belief, Observation, Wander};

/// The share of a new square in the mean square of what was missed.
const NEWEST_SHARE: f64 = 1.0 / 16.0;

/// The PI servo of linuxptp, acting on a clock that is only modelled: its time runs on with the frequency that the controller
/// last asked for, and is never set after the start. The first two observations give phase and frequency.
#[derive(Debug, Clone)]
pub(crate) struct Pi {
    options: PiOptions,
    phase: f64,
    frequency: f64,
    integral: f64,
    /// What was missed at the last observations, mean square, in s².
    missed: f64,
    /// Since the last observation, in seconds.
    since: f64,
    observations: u32,
}

impl Pi {
    pub(crate) fn new(options: &PiOptions, belief: &Belief) -> Self {
        Self {
            options: *options,
            phase: belief.mean[0],
            frequency: belief.mean[1],
            integral: belief.mean[1],
            missed: belief.phase_variance(),
            since: 0.0,
            observations: 0,
        }
    }

    pub(crate) fn pass(&mut self, dt: f64) {
        self.phase += self.frequency * dt;
        self.since += dt;
    }

    pub(crate) fn observe(&mut self, observation: &Observation) {
        let missed = observation.phase - self.phase;
        self.observations = self.observations.saturating_add(1);
        if self.observations <= 2 {
            if self.observations == 2 && self.since > 0.0 {
                self.frequency += missed / self.since;
                self.integral = self.frequency;
            }
            self.phase = observation.phase;
            self.missed = observation.variance;
            self.since = 0.0;
            return;
        }
        self.missed += NEWEST_SHARE * (missed * missed - self.missed);
        if self.since <= 0.0 {
            return;
        }
        let gain = |scale: f64, exponent: f64, most: f64| (scale * self.since.powf(exponent)).min(most / self.since);
        let of = &self.options;
        let proportional = gain(of.proportional_scale, of.proportional_exponent, of.proportional_norm_max);
        self.integral += gain(of.integral_scale, of.integral_exponent, of.integral_norm_max) * missed;
        self.frequency = proportional * missed + self.integral;
        self.since = 0.0;
    }

    pub(crate) fn belief(&self) -> Belief {
        let deviation = self.missed.sqrt();
        Belief::new([self.phase, self.frequency, 0.0], [deviation, deviation / self.pace(), 0.0])
    }

    pub(crate) fn wander(&self) -> Wander {
        let frequency = self.missed.sqrt() / self.pace().powf(1.5);
        Wander { phase: 0.0, frequency, drift: 0.0, forgetting: 0.0 }
    }

    /// About how long the controller takes to correct an error, in seconds.
    fn pace(&self) -> f64 {
        (1.0 / self.options.proportional_scale.abs()).clamp(1.0, 1e6)
    }
}
