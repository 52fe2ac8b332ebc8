//! What the protocols are told of the host.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sidereal_ntp::{Context, SystemVariables};
use sidereal_time::{Instant, LocalClock, NtpClock, Utc};

/// What the protocols are told of the host, and where all randomness comes from.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The counter, at its rate as known now.
    pub(crate) local: LocalClock,
    /// What is said of our clock.
    pub(crate) system: SystemVariables,
    /// Our clock, while it shows the time.
    pub(crate) time: Option<NtpClock>,
    /// About now, within 68 years.
    pub(crate) pivot: Instant<Utc>,
    random: ChaCha12Rng,
}

impl Surroundings {
    pub(crate) fn new(local: LocalClock, seed: [u8; 32], pivot: Instant<Utc>) -> Self {
        let system = SystemVariables { precision: local.precision, ..SystemVariables::UNSYNCHRONISED };
        Self { local, system, time: None, pivot, random: ChaCha12Rng::from_seed(seed) }
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
}
