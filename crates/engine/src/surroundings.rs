//! What the protocols are told of the host.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sidereal_ntp::{Context, SystemVariables};
use sidereal_ptp::ClockState;
use sidereal_time::{ClockModel, Instant, LocalClock, NtpClock, Utc};

/// What the protocols are told of the host, and where all randomness comes from.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The counter, at its rate as known now.
    pub(crate) local: LocalClock,
    /// What is said of our clock.
    pub(crate) system: SystemVariables,
    /// Our clock, while it shows the time.
    pub(crate) time: Option<NtpClock>,
    /// The same as PTP tells it: the model that is published.
    pub(crate) model: Option<ClockModel>,
    /// About now, within 68 years.
    pub(crate) pivot: Instant<Utc>,
    random: ChaCha12Rng,
}

impl Surroundings {
    pub(crate) fn new(local: LocalClock, seed: [u8; 32], pivot: Instant<Utc>) -> Self {
        let system = SystemVariables { precision: local.precision, ..SystemVariables::UNSYNCHRONISED };
        Self { local, system, time: None, model: None, pivot, random: ChaCha12Rng::from_seed(seed) }
    }

    /// Lets `speak` speak with these surroundings.
    pub(crate) fn with<R>(&mut self, speak: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let mut random = || self.random.next_u64();
        speak(&mut Context {
            clock: &self.local,
            system: &self.system,
            time: self.time.as_ref(),
            pivot: self.pivot,
            random: &mut random,
        })
    }

    /// Lets a PTP Instance speak, which may say `state` of our time; `selected`: we follow it and are locked.
    pub(crate) fn with_ptp<R>(
        &mut self,
        state: &ClockState,
        selected: bool,
        speak: impl FnOnce(&mut sidereal_ptp::Context<'_>) -> R,
    ) -> R {
        let mut random = || self.random.next_u64();
        speak(&mut sidereal_ptp::Context {
            clock: &self.local,
            time: self.model.as_ref(),
            state,
            selected,
            random: &mut random,
        })
    }
}
