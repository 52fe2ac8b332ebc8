//! What outlives the program.

use serde::{Deserialize, Serialize};
use sidereal_servo::Learned;
use sidereal_time::{Counter, LocalClock};

/// How far a saved frequency may be from the nominal one to be believed: what is nominal may itself have been measured in a
/// hurry, and a crystal is within 100 ppm of what is written on it.
const PLAUSIBLE: f64 = 1e-3;
/// The largest deviation, wander and aging that are believed: no oscillator that anybody puts into a host is so bad.
const WORST_DEVIATION: f64 = 1e-3;
const WORST_WANDER: f64 = 1e-4;
const WORST_AGING: f64 = 1e-6;

/// What was learned of the counter, kept for the next start. Nothing in it is believed before it has been looked at: a file
/// may be full of garbage, or of another host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// The counter: `tsc`, `monotonic_raw`, `realtime` or `nic`.
    pub counter: String,
    /// How often it ticks in a second.
    pub counter_hertz: f64,
    /// How far, relatively, that may be off (one standard deviation).
    pub frequency_deviation: f64,
    /// How its frequency wanders: s/s per square root of a second.
    pub wander: f64,
    /// How its frequency changes: s/s each second.
    pub aging: f64,
}

/// Why what was saved is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavedFault {
    /// It is of another counter.
    OtherCounter,
    /// It holds what is no number, or no number that a clock can have.
    Nonsense,
    /// Its frequency is more than a thousandth from the nominal one.
    OtherFrequency,
}

impl SavedFault {
    /// Why, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::OtherCounter => "it is of another counter",
            Self::Nonsense => "it holds what is no number, or none that a clock can have",
            Self::OtherFrequency => "its frequency is more than 1000 ppm from the nominal one: it is of another host",
        }
    }
}

impl Saved {
    pub(crate) fn new(learned: &Learned, counter: Counter) -> Self {
        Self {
            counter: counter_name(counter).to_owned(),
            counter_hertz: learned.counter_hertz,
            frequency_deviation: learned.frequency_deviation,
            wander: learned.wander,
            aging: learned.aging,
        }
    }

    /// What a tracker can begin with, where it can be true of `local`.
    pub(crate) fn learned(&self, local: &LocalClock) -> Result<Learned, SavedFault> {
        if self.counter != counter_name(local.counter) {
            return Err(SavedFault::OtherCounter);
        }
        let within = |value: f64, most: f64| value.is_finite() && (0.0..=most).contains(&value);
        if !(self.counter_hertz.is_finite()
            && within(self.frequency_deviation, WORST_DEVIATION)
            && within(self.wander, WORST_WANDER)
            && within(self.aging.abs(), WORST_AGING))
        {
            return Err(SavedFault::Nonsense);
        }
        if !within((self.counter_hertz / local.rate.as_hertz() - 1.0).abs(), PLAUSIBLE) {
            return Err(SavedFault::OtherFrequency);
        }
        Ok(Learned {
            counter_hertz: self.counter_hertz,
            frequency_deviation: self.frequency_deviation,
            wander: self.wander,
            aging: self.aging,
        })
    }
}

const fn counter_name(counter: Counter) -> &'static str {
    match counter {
        Counter::Tsc => "tsc",
        Counter::MonotonicRaw => "monotonic_raw",
        Counter::Realtime => "realtime",
        Counter::Nic(_) => "nic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_time::Rate;

    const LOCAL: LocalClock = LocalClock { counter: Counter::Tsc, width: 64, rate: Rate::NANOSECOND, precision: -24 };

    fn good() -> Saved {
        Saved {
            counter: "tsc".to_owned(),
            counter_hertz: 1e9 + 20_000.0,
            frequency_deviation: 1e-8,
            wander: 1e-10,
            aging: -1e-13,
        }
    }

    #[test]
    fn what_was_learned_comes_back() {
        let learned = good().learned(&LOCAL).unwrap();
        assert_eq!(Saved::new(&learned, Counter::Tsc), good());
    }

    #[test]
    fn garbage_is_not_believed() {
        let faults = [
            (Saved { counter: "nic".to_owned(), ..good() }, SavedFault::OtherCounter),
            (Saved { counter_hertz: 1.1e9, ..good() }, SavedFault::OtherFrequency),
            (Saved { counter_hertz: -1e9, ..good() }, SavedFault::OtherFrequency),
            (Saved { counter_hertz: f64::NAN, ..good() }, SavedFault::Nonsense),
            (Saved { frequency_deviation: -1.0, ..good() }, SavedFault::Nonsense),
            (Saved { wander: f64::INFINITY, ..good() }, SavedFault::Nonsense),
            (Saved { aging: 1.0, ..good() }, SavedFault::Nonsense),
        ];
        for (saved, fault) in faults {
            assert_eq!(saved.learned(&LOCAL), Err(fault), "{saved:?}");
        }
    }
}
