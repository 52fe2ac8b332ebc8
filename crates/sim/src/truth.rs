//! The truth: how wrong each host was, second by second, and what that comes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidereal_servo::stability;

use crate::limit::median;

/// How a host was at one whole second of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The second, from the beginning of the run.
    pub second: u32,
    /// Whether the host served its time as that of a synchronised clock.
    pub synchronised: bool,
    /// Whether its tracker was locked.
    pub locked: bool,
    /// The published time less the true one, in seconds.
    pub error: f64,
    /// The hard bound of that, in seconds.
    pub bound: f64,
    /// What the statistical uncertainty and the declared asymmetry limits allow, in seconds.
    pub uncertainty: f64,
    /// The time that the system clock shows less the true one, in seconds.
    pub clock_error: f64,
    /// The time that the NIC's clock shows less the true one, in seconds, where it has one of its own.
    pub nic_clock_error: Option<f64>,
    /// The rate of the published time less the true one, as a fraction.
    pub frequency_error: f64,
}

/// What the samples of one host in one run come to. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Statistics {
    /// The host.
    pub name: String,
    /// Root mean square of the error of the published time.
    pub rms_error_s: Option<f64>,
    /// What 99 % of its absolute values do not exceed.
    pub p99_error_s: Option<f64>,
    /// The largest of them.
    pub max_error_s: Option<f64>,
    /// The same of the system clock.
    pub clock_rms_error_s: Option<f64>,
    /// The largest of those.
    pub clock_max_error_s: Option<f64>,
    /// Root mean square of the error of the NIC's clock, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic_clock_rms_error_s: Option<f64>,
    /// The largest of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic_clock_max_error_s: Option<f64>,
    /// Root mean square of the frequency error.
    pub rms_frequency_error: Option<f64>,
    /// When its tracker was locked first.
    pub lock_s: Option<f64>,
    /// Seconds in which it was synchronised: all values are of these, but the next one.
    pub seconds: u64,
    /// Seconds in which it was not.
    pub seconds_unsynchronised: u64,
    /// Seconds in which the truth was outside the hard bound.
    pub seconds_outside_bound: u64,
    /// Seconds in which it was outside uncertainty and declared asymmetry limits together.
    pub seconds_outside_uncertainty: u64,
    /// The median of the bound.
    pub median_bound_s: Option<f64>,
    /// The median of the uncertainty, asymmetry limits included.
    pub median_uncertainty_s: Option<f64>,
    /// Allan deviation of the error: averaging time and value.
    pub adev: Vec<(f64, f64)>,
    /// Time deviation of the error.
    pub tdev: Vec<(f64, f64)>,
    /// Maximum time interval error.
    pub mtie: Vec<(f64, f64)>,
}

/// A statistic that can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// See [`Statistics::rms_error_s`].
    RmsErrorS,
    /// See [`Statistics::p99_error_s`].
    P99ErrorS,
    /// See [`Statistics::max_error_s`].
    MaxErrorS,
    /// See [`Statistics::clock_rms_error_s`].
    ClockRmsErrorS,
    /// See [`Statistics::clock_max_error_s`].
    ClockMaxErrorS,
    /// See [`Statistics::nic_clock_rms_error_s`].
    NicClockRmsErrorS,
    /// See [`Statistics::nic_clock_max_error_s`].
    NicClockMaxErrorS,
    /// See [`Statistics::rms_frequency_error`].
    RmsFrequencyError,
    /// See [`Statistics::lock_s`].
    LockS,
    /// See [`Statistics::seconds`].
    Seconds,
    /// See [`Statistics::seconds_unsynchronised`].
    SecondsUnsynchronised,
    /// See [`Statistics::seconds_outside_bound`].
    SecondsOutsideBound,
    /// The share of the seconds in which the truth was within the bound.
    BoundCoverage,
    /// See [`Statistics::seconds_outside_uncertainty`].
    SecondsOutsideUncertainty,
    /// The share of the seconds in which the truth was within uncertainty and asymmetry limits.
    UncertaintyCoverage,
    /// See [`Statistics::median_bound_s`].
    MedianBoundS,
    /// See [`Statistics::median_uncertainty_s`].
    MedianUncertaintyS,
    /// The median uncertainty, divided by the root mean square of the error.
    UncertaintyOverRms,
}

impl Statistics {
    /// Of the samples of the host `name`, in their order.
    #[must_use]
    pub fn of(name: &str, samples: &[Sample]) -> Self {
        let counted: Vec<Sample> = samples.iter().filter(|sample| sample.synchronised).copied().collect();
        let errors: Vec<f64> = counted.iter().map(|sample| sample.error).collect();
        let sorted = |value: fn(&Sample) -> f64| {
            let mut values: Vec<f64> = counted.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let outside = |allowed: fn(&Sample) -> f64| {
            counted.iter().filter(|sample| sample.error.abs() > allowed(sample)).count() as u64
        };
        let absolute = sorted(|sample| sample.error.abs());
        let of_nic: Vec<f64> = counted.iter().filter_map(|sample| sample.nic_clock_error).collect();
        let percentile = absolute.len().saturating_sub(1) * 99 / 100;
        Self {
            name: name.to_owned(),
            rms_error_s: rms(&errors),
            p99_error_s: absolute.get(percentile).copied(),
            max_error_s: absolute.last().copied(),
            clock_rms_error_s: rms(&sorted(|sample| sample.clock_error)),
            clock_max_error_s: sorted(|sample| sample.clock_error.abs()).last().copied(),
            nic_clock_rms_error_s: rms(&of_nic),
            nic_clock_max_error_s: of_nic.iter().map(|error| error.abs()).max_by(f64::total_cmp),
            rms_frequency_error: rms(&sorted(|sample| sample.frequency_error)),
            lock_s: samples.iter().find(|sample| sample.locked).map(|sample| f64::from(sample.second)),
            seconds: counted.len() as u64,
            seconds_unsynchronised: (samples.len() - counted.len()) as u64,
            seconds_outside_bound: outside(|sample| sample.bound),
            seconds_outside_uncertainty: outside(|sample| sample.uncertainty),
            median_bound_s: median(&sorted(|sample| sample.bound)),
            median_uncertainty_s: median(&sorted(|sample| sample.uncertainty)),
            ..Self::default()
        }
    }

    /// With the measures of stability, which take longer. They look at the error as if it had no gaps.
    #[must_use]
    pub fn with_stability(self, samples: &[Sample]) -> Self {
        let errors: Vec<f64> = samples.iter().filter(|sample| sample.synchronised).map(|sample| sample.error).collect();
        Self {
            adev: stability::adev(&errors, 1.0),
            tdev: stability::tdev(&errors, 1.0),
            mtie: stability::mtie(&errors, 1.0),
            ..self
        }
    }

    /// The value of `statistic`, where there is one.
    #[must_use]
    pub fn value(&self, statistic: Statistic) -> Option<f64> {
        let share = |outside: u64| (self.seconds > 0).then(|| 1.0 - outside as f64 / self.seconds as f64);
        match statistic {
            Statistic::RmsErrorS => self.rms_error_s,
            Statistic::P99ErrorS => self.p99_error_s,
            Statistic::MaxErrorS => self.max_error_s,
            Statistic::ClockRmsErrorS => self.clock_rms_error_s,
            Statistic::ClockMaxErrorS => self.clock_max_error_s,
            Statistic::NicClockRmsErrorS => self.nic_clock_rms_error_s,
            Statistic::NicClockMaxErrorS => self.nic_clock_max_error_s,
            Statistic::RmsFrequencyError => self.rms_frequency_error,
            Statistic::LockS => self.lock_s,
            Statistic::Seconds => Some(self.seconds as f64),
            Statistic::SecondsUnsynchronised => Some(self.seconds_unsynchronised as f64),
            Statistic::SecondsOutsideBound => Some(self.seconds_outside_bound as f64),
            Statistic::BoundCoverage => share(self.seconds_outside_bound),
            Statistic::SecondsOutsideUncertainty => Some(self.seconds_outside_uncertainty as f64),
            Statistic::UncertaintyCoverage => share(self.seconds_outside_uncertainty),
            Statistic::MedianBoundS => self.median_bound_s,
            Statistic::MedianUncertaintyS => self.median_uncertainty_s,
            Statistic::UncertaintyOverRms => Some(self.median_uncertainty_s? / self.rms_error_s?),
        }
    }
}

impl Statistic {
    /// As it is called in scenarios and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RmsErrorS => "rms_error_s",
            Self::P99ErrorS => "p99_error_s",
            Self::MaxErrorS => "max_error_s",
            Self::ClockRmsErrorS => "clock_rms_error_s",
            Self::ClockMaxErrorS => "clock_max_error_s",
            Self::NicClockRmsErrorS => "nic_clock_rms_error_s",
            Self::NicClockMaxErrorS => "nic_clock_max_error_s",
            Self::RmsFrequencyError => "rms_frequency_error",
            Self::LockS => "lock_s",
            Self::Seconds => "seconds",
            Self::SecondsUnsynchronised => "seconds_unsynchronised",
            Self::SecondsOutsideBound => "seconds_outside_bound",
            Self::BoundCoverage => "bound_coverage",
            Self::SecondsOutsideUncertainty => "seconds_outside_uncertainty",
            Self::UncertaintyCoverage => "uncertainty_coverage",
            Self::MedianBoundS => "median_bound_s",
            Self::MedianUncertaintyS => "median_uncertainty_s",
            Self::UncertaintyOverRms => "uncertainty_over_rms",
        }
    }

    /// Whether its values are seconds of error, which people read with a unit.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(
            self,
            Self::RmsErrorS
                | Self::P99ErrorS
                | Self::MaxErrorS
                | Self::ClockRmsErrorS
                | Self::ClockMaxErrorS
                | Self::NicClockRmsErrorS
                | Self::NicClockMaxErrorS
                | Self::LockS
                | Self::MedianBoundS
                | Self::MedianUncertaintyS
        )
    }
}

fn rms(values: &[f64]) -> Option<f64> {
    let squares: f64 = values.iter().map(|value| value * value).sum();
    (!values.is_empty()).then(|| (squares / values.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::{Sample, Statistic, Statistics};

    fn sample(second: u32, error: f64) -> Sample {
        Sample {
            second,
            synchronised: second >= 10,
            locked: second >= 20,
            error,
            bound: 0.5,
            uncertainty: 0.25,
            clock_error: 2.0 * error,
            nic_clock_error: (second < 60).then_some(-3.0 * error),
            frequency_error: 0.0,
        }
    }

    #[test]
    fn seconds_are_counted_once_the_host_is_synchronised() {
        let samples: Vec<Sample> = (0..110).map(|s| sample(s, if s == 50 { -0.4 } else { 0.01 })).collect();
        let statistics = Statistics::of("h", &samples).with_stability(&samples);
        assert_eq!((statistics.seconds, statistics.seconds_unsynchronised), (100, 10));
        assert_eq!((statistics.seconds_outside_bound, statistics.seconds_outside_uncertainty), (0, 1));
        assert_eq!((statistics.max_error_s, statistics.p99_error_s), (Some(0.4), Some(0.01)));
        assert_eq!(statistics.clock_max_error_s, Some(0.8));
        assert!((statistics.nic_clock_max_error_s.unwrap() - 1.2).abs() < 1e-15);
        assert_eq!(statistics.lock_s, Some(20.0));
        let rms = ((0.16 + 99.0 * 1e-4) / 100.0_f64).sqrt();
        assert!((statistics.rms_error_s.unwrap() - rms).abs() < 1e-15);
        assert_eq!(statistics.value(Statistic::UncertaintyCoverage), Some(0.99));
        assert_eq!(statistics.value(Statistic::UncertaintyOverRms), Some(0.25 / statistics.rms_error_s.unwrap()));
        assert!((statistics.mtie[0].1 - 0.41).abs() < 1e-15);
        assert_eq!(Statistics::of("h", &samples[..5]).value(Statistic::MaxErrorS), None);
    }

    #[test]
    fn statistics_are_called_as_they_are_written() {
        for statistic in [Statistic::P99ErrorS, Statistic::SecondsOutsideBound, Statistic::UncertaintyOverRms] {
            let written = toml::Value::try_from(statistic).unwrap();
            assert_eq!(written.as_str(), Some(statistic.name()));
        }
    }
}
