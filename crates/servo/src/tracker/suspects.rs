//! Measurements far from what is believed, kept until it is clear who is wrong.

use sidereal_time::{LocalClock, Ticks};

use crate::belief::Observation;

/// So many that show the same clock, at the frequency that is known, are believed.
const QUORUM: usize = 3;
/// So many that lie on a line are believed at whatever frequency.
const LINE: usize = 6;
/// After so many without one that is plausible, what is believed is given up, whatever they say.
const DEAF: usize = 16;
/// A measurement within so many deviations of where others see it agrees with them.
pub(super) const PLAUSIBLE: f64 = 6.0;
/// How far the frequency may be from what was learned, after a restart or when measurements show that it is not what it
/// was: what a crystal may have drifted, in s/s.
pub(super) const FREQUENCY_DOUBT: f64 = 5e-5;

/// A measurement that is not plausible.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suspect {
    pub(super) ticks: Ticks,
    pub(super) observation: Observation,
    /// Hard, in seconds.
    pub(super) bound: f64,
    /// Whose it is.
    pub(super) witness: u16,
}

/// Suspects in a row, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Suspects(Vec<Suspect>);

/// Suspects that are to be believed, of which there is at least one.
#[derive(Debug)]
pub(super) struct Believed<'a> {
    pub(super) suspects: &'a [Suspect],
    /// How far the frequency that was believed may be off, in s/s.
    pub(super) frequency_doubt: f64,
}

impl Suspects {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(DEAF))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes another, and says which are believed now. `frequency` is the one that is known and `limit` the largest that may be,
    /// in s/s; `quorum` is how many witnesses it takes. Call [`Self::clear`] when some were.
    pub(super) fn push(
        &mut self,
        suspect: Suspect,
        frequency: f64,
        limit: f64,
        quorum: usize,
        local: &LocalClock,
    ) -> Option<Believed<'_>> {
        if self.0.len() >= DEAF {
            self.0.remove(0);
        }
        self.0.push(suspect);
        let witnessed = self.0.iter().rev().scan(Vec::new(), |seen, suspect| {
            if !seen.contains(&suspect.witness) {
                seen.push(suspect.witness);
            }
            Some(seen.len())
        });
        // So many of the newest it takes to hear a quorum of witnesses.
        let enough = witnessed.take_while(|heard| *heard < quorum).count() + 1;
        let last = |n: usize| self.0.len().checked_sub(n.max(enough)).and_then(|first| self.0.get(first..));
        if let Some(suspects) = last(QUORUM).filter(|some| agree(some, frequency, local)) {
            return Some(Believed { suspects, frequency_doubt: FREQUENCY_DOUBT });
        }
        let of_line =
            last(LINE).and_then(|some| Some((some, slope(some, local).filter(|slope| slope.abs() <= limit)?)));
        if let Some((suspects, slope)) = of_line {
            return Some(Believed { suspects, frequency_doubt: FREQUENCY_DOUBT.max((slope - frequency).abs()) });
        }
        let newest = self.0.last().filter(|_| self.0.len() >= DEAF).map(core::slice::from_ref);
        newest.map(|suspects| Believed { suspects, frequency_doubt: FREQUENCY_DOUBT.max(limit) })
    }
}

/// Whether each may show the same clock as the one before.
fn agree(suspects: &[Suspect], frequency: f64, local: &LocalClock) -> bool {
    suspects.iter().zip(suspects.iter().skip(1)).all(|(last, next)| {
        let apart = local.passed(last.ticks, next.ticks).as_secs_f64();
        let off = next.observation.phase - last.observation.phase - frequency * apart;
        let noise = PLAUSIBLE * (last.observation.variance + next.observation.variance).sqrt();
        apart > 0.0 && off.abs() <= noise + FREQUENCY_DOUBT * apart
    })
}

/// The slope of the line that all of them lie on, in s/s, where there is one.
fn slope(suspects: &[Suspect], local: &LocalClock) -> Option<f64> {
    let first = suspects.first()?;
    // Weight, age and phase of each, the latter two seen from the first.
    let points = suspects.iter().map(|suspect| {
        let age = local.passed(first.ticks, suspect.ticks).as_secs_f64();
        (1.0 / suspect.observation.own_variance(), age, suspect.observation.phase - first.observation.phase)
    });
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| points.clone().map(|(weight, age, phase)| weight * f(age, phase)).sum::<f64>();
    let total = sum(&|_, _| 1.0);
    let (mean_age, mean_phase) = (sum(&|age, _| age) / total, sum(&|_, phase| phase) / total);
    let spread = sum(&|age, _| (age - mean_age).powi(2));
    let slope = sum(&|age, phase| (age - mean_age) * (phase - mean_phase)) / spread;
    let lies_on_it = |(weight, age, phase): (f64, f64, f64)| {
        let residual = phase - mean_phase - slope * (age - mean_age);
        residual * residual * weight <= PLAUSIBLE * PLAUSIBLE
    };
    (slope.is_finite() && points.clone().all(lies_on_it)).then_some(slope)
}
