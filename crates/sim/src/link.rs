//! Links: what happens to a packet on its way.

pub mod presets;

use rand::RngExt;
use rand_distr::{Distribution, Exp1, Gamma, LogNormal, Pareto, Weibull};
use sidereal_time::Span;

use crate::random::{Stream, stream};

/// How long packets wait in queues, over and above the shortest way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Jitter {
    /// Never.
    #[default]
    None,
    /// Exponential: one queue with memoryless service.
    Exponential {
        /// The mean.
        mean: Span,
    },
    /// Gamma: several such queues one after another, or a burstier one (shape below 1).
    Gamma {
        /// The mean.
        mean: Span,
        /// The shape, above zero: 1 is exponential.
        shape: f64,
    },
    /// Weibull: long-tailed where the shape is below 1, as the queues of backbone routers are (K. Papagiannaki et al.,
    /// "Analysis of Measured Single-Hop Delay from an Operational Backbone Network", INFOCOM 2002).
    Weibull {
        /// The scale.
        scale: Span,
        /// The shape, above zero: 1 is exponential.
        shape: f64,
    },
    /// Log-normal.
    LogNormal {
        /// The median.
        median: Span,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// Pareto, shifted to begin at zero: the tail falls as a power (W. Zhang, J. He, "Modeling End-to-End Delay Using Pareto
    /// Distribution", ICIMP 2007).
    Pareto {
        /// The scale: a packet waits longer than that with probability 2^-shape.
        scale: Span,
        /// The power by which the tail falls; at 1 and below there is no mean.
        shape: f64,
    },
}

/// What one direction of a link is like.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DirectionOptions {
    /// The shortest way.
    pub delay: Span,
    /// What is waited beyond it.
    pub jitter: Jitter,
    /// The probability that a packet is lost.
    pub loss: f64,
    /// The probability that a packet arrives twice, the second time after a wait of its own.
    pub duplication: f64,
    /// The probability that a packet is held back by `reordering_delay`, so that others overtake it.
    pub reordering: f64,
    /// How long such a packet is held back.
    pub reordering_delay: Span,
}

/// One direction of a link.
#[derive(Debug, Clone)]
pub struct Direction {
    options: DirectionOptions,
    /// Faults: packets are lost altogether.
    down: bool,
    /// Faults: what every packet needs longer.
    extra: Span,
    /// Faults: by what jitter is multiplied.
    jitter_factor: f64,
    random: Stream,
}

/// When the copies of a packet arrive, counted from when it left: none, one or two.
pub type Passages = arrayvec::ArrayVec<Span, 2>;

impl Direction {
    /// The direction `name` of a link in the run `seed`.
    #[must_use]
    pub fn new(options: &DirectionOptions, seed: u64, name: &str) -> Self {
        let random = stream(seed, &format!("{name}/link"));
        Self { options: *options, down: false, extra: Span::ZERO, jitter_factor: 1.0, random }
    }

    /// Sends one packet.
    pub fn pass(&mut self) -> Passages {
        let options = self.options;
        let mut passages = Passages::new();
        let lost = self.happens(options.loss);
        let copies = if self.happens(options.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let mut delay = options.delay + self.extra + self.wait();
            if self.happens(options.reordering) {
                delay += options.reordering_delay;
            }
            if !lost && !self.down {
                passages.push(if delay.is_negative() { Span::ZERO } else { delay });
            }
        }
        passages
    }

    /// Cuts the link, or mends it.
    pub fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// From now on every packet needs `extra` more; zero as at first.
    pub fn set_extra(&mut self, extra: Span) {
        self.extra = extra;
    }

    /// From now on the waits are `factor` times as long; 1 as at first.
    pub fn set_jitter_factor(&mut self, factor: f64) {
        self.jitter_factor = factor;
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.random.random::<f64>() < probability
    }

    fn wait(&mut self) -> Span {
        Span::from_secs_f64(self.options.jitter.draw(&mut self.random) * self.jitter_factor)
    }
}

impl Jitter {
    /// A wait in seconds; none where a parameter makes no distribution.
    pub(crate) fn draw(&self, random: &mut Stream) -> f64 {
        match *self {
            Self::None => 0.0,
            Self::Exponential { mean } => {
                let unit: f64 = Exp1.sample(random);
                mean.as_secs_f64() * unit
            }
            Self::Gamma { mean, shape } => {
                Gamma::new(shape, mean.as_secs_f64() / shape).map_or(0.0, |gamma| gamma.sample(random))
            }
            Self::Weibull { scale, shape } => {
                Weibull::new(scale.as_secs_f64(), shape).map_or(0.0, |weibull| weibull.sample(random))
            }
            Self::LogNormal { median, sigma } => {
                LogNormal::new(median.as_secs_f64().ln(), sigma).map_or(0.0, |normal| normal.sample(random))
            }
            Self::Pareto { scale, shape } => {
                let scale = scale.as_secs_f64();
                Pareto::new(scale, shape).map_or(0.0, |pareto| pareto.sample(random) - scale)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::presets::Preset;
    use super::{Direction, DirectionOptions, Jitter};
    use sidereal_time::Span;

    const PACKETS: usize = 100_000;

    fn us(micros: i128) -> Span {
        Span::from_nanos(1000 * micros)
    }

    /// Delays in microseconds, ascending.
    fn delays(options: DirectionOptions) -> Vec<f64> {
        let mut direction = Direction::new(&options, 7, "a-b");
        let passages = (0..PACKETS).flat_map(|_| direction.pass());
        let mut delays: Vec<f64> = passages.map(|delay| 1e6 * delay.as_secs_f64()).collect();
        delays.sort_by(f64::total_cmp);
        delays
    }

    fn waits(jitter: Jitter) -> Vec<f64> {
        delays(DirectionOptions { jitter, ..DirectionOptions::default() })
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[track_caller]
    fn near(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 0.03, "{value} instead of {expected}");
    }

    #[test]
    fn every_distribution_has_its_shape() {
        let exponential = waits(Jitter::Exponential { mean: us(50) });
        near(mean(&exponential), 50.0);
        near(exponential[PACKETS / 2], 50.0 * 2_f64.ln());
        near(exponential[PACKETS * 99 / 100], 50.0 * 100_f64.ln());

        let gamma = waits(Jitter::Gamma { mean: us(50), shape: 4.0 });
        near(mean(&gamma), 50.0);
        let variance = mean(&gamma.iter().map(|wait| (wait - 50.0).powi(2)).collect::<Vec<_>>());
        near(variance, 50.0 * 50.0 / 4.0);

        let weibull = waits(Jitter::Weibull { scale: us(50), shape: 0.7 });
        near(weibull[PACKETS / 2], 50.0 * 2_f64.ln().powf(1.0 / 0.7));

        let log_normal = waits(Jitter::LogNormal { median: us(50), sigma: 1.0 });
        near(log_normal[PACKETS / 2], 50.0);
        near(mean(&log_normal), 50.0 * 0.5_f64.exp());

        let pareto = waits(Jitter::Pareto { scale: us(50), shape: 2.0 });
        near(pareto[PACKETS / 2], 50.0 * (2_f64.sqrt() - 1.0));
        near(pareto[PACKETS * 99 / 100], 50.0 * 9.0);

        assert!(waits(Jitter::None).iter().all(|wait| *wait == 0.0));
    }

    #[test]
    fn packets_are_lost_doubled_and_held_back_as_often_as_said() {
        let plain = DirectionOptions { delay: us(10), ..DirectionOptions::default() };
        near(delays(DirectionOptions { loss: 0.2, ..plain }).len() as f64, 0.8 * PACKETS as f64);
        near(delays(DirectionOptions { duplication: 0.2, ..plain }).len() as f64, 1.2 * PACKETS as f64);
        let held = delays(DirectionOptions { reordering: 0.2, reordering_delay: us(90), ..plain });
        near(held.iter().filter(|delay| **delay > 99.0).count() as f64, 0.2 * PACKETS as f64);
    }

    #[test]
    fn faults_come_and_go() {
        let options = DirectionOptions { delay: us(10), jitter: Jitter::None, ..DirectionOptions::default() };
        let mut direction = Direction::new(&options, 7, "a-b");
        direction.set_down(true);
        assert!(direction.pass().is_empty());
        direction.set_down(false);
        direction.set_extra(us(5));
        assert_eq!(direction.pass().as_slice(), [us(15)]);
        direction.set_extra(Span::ZERO);
        assert_eq!(direction.pass().as_slice(), [us(10)]);
        let waiting = DirectionOptions { jitter: Jitter::Exponential { mean: us(50) }, ..options };
        let (mut usual, mut worse) = (Direction::new(&waiting, 1, "a"), Direction::new(&waiting, 1, "a"));
        worse.set_jitter_factor(10.0);
        let [one, ten] = [&mut usual, &mut worse].map(|direction| (direction.pass()[0] - us(10)).as_secs_f64());
        near(ten, 10.0 * one);
    }

    #[test]
    fn presets_get_worse_in_their_order() {
        let of = |preset: Preset| delays(preset.options());
        let [quiet, busy, wan] = Preset::ALL.map(of);
        for place in [1, PACKETS / 2, PACKETS * 99 / 100] {
            assert!(quiet[place] < busy[place] && busy[place] < wan[place]);
        }
        near(mean(&quiet) - quiet[0], 1.0);
        near(mean(&busy) - busy[0], 50.0);
        assert!(wan[0] >= 15_000.0);
    }
}
