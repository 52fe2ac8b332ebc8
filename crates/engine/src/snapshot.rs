//! What a worker may know.

use sidereal_ntp::{LeapIndicator, ReferenceId, Stratum, SystemVariables};
use sidereal_publish::Words;
use sidereal_time::{
    ClockId, ClockModel, Counter, CrossModel, Instant, NtpClock, NtpShort, NtpTimestamp, Rate, Span, Ticks,
};

use crate::{SmearedClock, SmearedClocks};

/// The fixed part of what a worker may know, published by seqlock each time the engine learns something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The counter that the workers read.
    pub local: ClockModel,
    /// `local` as NTP tells it.
    pub local_ntp: NtpClock,
    /// CLOCK_REALTIME as NTP tells it: what the kernel's stamps are read with. Its ticks are nanoseconds since 1970 as the
    /// clock shows them. It holds from the moment the engine is made, synchronised or not (to a microsecond before the
    /// first good reading).
    pub realtime_ntp: NtpClock,
    /// Both, as ports tell them that smear leap seconds.
    pub smeared: SmearedClocks,
    /// The clocks that stamp packets.
    pub nics: NicClocks,
    /// What a reply says of us.
    pub system: SystemVariables,
    /// Counts the snapshots.
    pub sequence: u64,
}

/// How many clocks that stamp packets there may be.
pub const MAX_NIC_CLOCKS: usize = 4;

/// How the clocks that stamp packets stand to the local counter, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NicClocks([Option<CrossModel>; MAX_NIC_CLOCKS]);

impl NicClocks {
    /// Of `models`, the first [`MAX_NIC_CLOCKS`].
    pub fn new(models: impl IntoIterator<Item = CrossModel>) -> Self {
        let mut clocks = Self::default();
        clocks.0.iter_mut().zip(models).for_each(|(slot, model)| *slot = Some(model));
        clocks
    }

    /// How stamps of `clock` are located.
    #[inline]
    #[must_use]
    pub fn of(&self, clock: ClockId) -> Option<&CrossModel> {
        self.0.iter().flatten().find(|model| model.clock == clock)
    }
}

/// How many words a [`Snapshot`] is told in.
pub const SNAPSHOT_WORDS: usize = MODEL_WORDS + 2 * CLOCK_WORDS + 2 * SMEARED_WORDS + NIC_WORDS + SYSTEM_WORDS + 1;

const MODEL_WORDS: usize = 8;
const CLOCK_WORDS: usize = 5;
const SMEARED_WORDS: usize = 2 * CLOCK_WORDS + 1;
const SYSTEM_WORDS: usize = 3;
const CROSS_WORDS: usize = 8;
const NIC_WORDS: usize = MAX_NIC_CLOCKS * CROSS_WORDS;

/// Any words give a snapshot: an unknown counter becomes [`Counter::Realtime`], and widths, strata and shifts out of range
/// become the nearest within.
impl Words<SNAPSHOT_WORDS> for Snapshot {
    fn to_words(&self) -> [u64; SNAPSHOT_WORDS] {
        let mut words = [0; SNAPSHOT_WORDS];
        let told = model_to_words(&self.local)
            .into_iter()
            .chain(clock_to_words(&self.local_ntp))
            .chain(clock_to_words(&self.realtime_ntp))
            .chain(smeared_to_words(&self.smeared.linear))
            .chain(smeared_to_words(&self.smeared.cosine))
            .chain(self.nics.0.iter().flat_map(cross_to_words))
            .chain(system_to_words(&self.system))
            .chain([self.sequence]);
        words.iter_mut().zip(told).for_each(|(word, told)| *word = told);
        words
    }

    fn from_words(words: [u64; SNAPSHOT_WORDS]) -> Self {
        let mut words = words.into_iter();
        Self {
            local: model_from_words(next(&mut words)),
            local_ntp: clock_from_words(next(&mut words)),
            realtime_ntp: clock_from_words(next(&mut words)),
            smeared: SmearedClocks {
                linear: smeared_from_words(next(&mut words)),
                cosine: smeared_from_words(next(&mut words)),
            },
            nics: NicClocks(core::array::from_fn(|_| cross_from_words(next(&mut words)))),
            system: system_from_words(next(&mut words)),
            sequence: words.next().unwrap_or_default(),
        }
    }
}

/// The next words, as many as are asked for; zeros beyond the last, where there are none.
fn next<const N: usize>(words: &mut impl Iterator<Item = u64>) -> [u64; N] {
    core::array::from_fn(|_| words.next().unwrap_or_default())
}

fn model_to_words(model: &ClockModel) -> [u64; MODEL_WORDS] {
    let [reference_high, reference_low] = halves_of_u128(model.reference.units().cast_unsigned());
    let [error_high, error_low] = halves_of_u128(model.error.units().cast_unsigned());
    let [counter, clock] = counter_to_bytes(model.counter);
    [
        model.reference_ticks.0,
        reference_high,
        reference_low,
        model.rate.to_bits(),
        error_high,
        error_low,
        u64_of_halves(model.drift_ppb, model.generation),
        u64::from_be_bytes([0, 0, 0, 0, 0, clock, counter, model.width]),
    ]
}

fn model_from_words(words: [u64; MODEL_WORDS]) -> ClockModel {
    let [ticks, reference_high, reference_low, rate, error_high, error_low, drift_and_generation, counter_and_width] =
        words;
    let (drift_ppb, generation) = halves_of_u64(drift_and_generation);
    let [.., clock, counter, width] = counter_and_width.to_be_bytes();
    ClockModel {
        counter: counter_from_bytes([counter, clock]),
        width: width.clamp(1, 64),
        reference_ticks: Ticks(ticks),
        reference: Instant::from_units(u128_of_halves(reference_high, reference_low).cast_signed()),
        rate: Rate::from_bits(rate),
        error: Span::from_units(u128_of_halves(error_high, error_low).cast_signed()),
        drift_ppb,
        generation,
    }
}

fn clock_to_words(clock: &NtpClock) -> [u64; CLOCK_WORDS] {
    [
        clock.reference_ticks.0,
        clock.reference.to_bits(),
        clock.rate,
        clock.leap_after.cast_unsigned(),
        u64_of_halves(clock.unused_bits, u32::from(clock.leap_step.cast_unsigned())),
    ]
}

fn clock_from_words([ticks, reference, rate, leap_after, unused_and_step]: [u64; CLOCK_WORDS]) -> NtpClock {
    let (unused_bits, _) = halves_of_u64(unused_and_step);
    let [.., leap_step] = unused_and_step.to_be_bytes();
    NtpClock {
        reference_ticks: Ticks(ticks),
        reference: NtpTimestamp::from_bits(reference),
        rate,
        unused_bits: unused_bits.min(63),
        leap_after: leap_after.cast_signed(),
        leap_step: leap_step.cast_signed(),
    }
}

fn smeared_to_words(clock: &SmearedClock) -> [u64; SMEARED_WORDS] {
    let [l0, l1, l2, l3, l4] = clock_to_words(&clock.local);
    let [r0, r1, r2, r3, r4] = clock_to_words(&clock.realtime);
    [l0, l1, l2, l3, l4, r0, r1, r2, r3, r4, clock.reference_time.to_bits()]
}

fn smeared_from_words(words: [u64; SMEARED_WORDS]) -> SmearedClock {
    let [l0, l1, l2, l3, l4, r0, r1, r2, r3, r4, reference_time] = words;
    SmearedClock {
        local: clock_from_words([l0, l1, l2, l3, l4]),
        realtime: clock_from_words([r0, r1, r2, r3, r4]),
        reference_time: NtpTimestamp::from_bits(reference_time),
    }
}

/// Absent where the first byte of the last word is zero. Uncertainties are told up to 39 hours.
fn cross_to_words(model: &Option<CrossModel>) -> [u64; CROSS_WORDS] {
    let Some(model) = model else { return [0; CROSS_WORDS] };
    let [a, b, c, d] = model.generation.to_be_bytes();
    let uncertainty = model.uncertainty.units().clamp(0, i64::MAX.into());
    [
        model.nic_reference.0,
        model.local_reference.0,
        model.rate,
        model.local_second,
        model.wrap,
        model.since.0,
        u64::try_from(uncertainty).unwrap_or_default(),
        u64::from_be_bytes([1, model.clock.0, model.width, 0, a, b, c, d]),
    ]
}

fn cross_from_words(words: [u64; CROSS_WORDS]) -> Option<CrossModel> {
    let [nic_reference, local_reference, rate, local_second, wrap, since, uncertainty, rest] = words;
    let [present, clock, width, _, a, b, c, d] = rest.to_be_bytes();
    (present != 0).then(|| CrossModel {
        clock: ClockId(clock),
        width: width.clamp(1, 64),
        nic_reference: Ticks(nic_reference),
        local_reference: Ticks(local_reference),
        rate,
        local_second,
        wrap,
        uncertainty: Span::from_units(uncertainty.min(i64::MAX.cast_unsigned()).into()),
        generation: u32::from_be_bytes([a, b, c, d]),
        since: Ticks(since),
    })
}

fn system_to_words(system: &SystemVariables) -> [u64; SYSTEM_WORDS] {
    let [a, b, c, d] = system.reference_id.0;
    [
        u64::from_be_bytes([
            0,
            system.leap.to_bits(),
            system.stratum.number(),
            system.precision.cast_unsigned(),
            a,
            b,
            c,
            d,
        ]),
        u64_of_halves(system.root_delay.to_bits(), system.root_dispersion.to_bits()),
        system.reference_time.to_bits(),
    ]
}

fn system_from_words([identity, root, reference_time]: [u64; SYSTEM_WORDS]) -> SystemVariables {
    let [_, leap, stratum, precision, a, b, c, d] = identity.to_be_bytes();
    let (root_delay, root_dispersion) = halves_of_u64(root);
    SystemVariables {
        leap: LeapIndicator::from_bits(leap),
        stratum: Stratum::from_wire(stratum),
        precision: precision.cast_signed(),
        root_delay: NtpShort::from_bits(root_delay),
        root_dispersion: NtpShort::from_bits(root_dispersion),
        reference_id: ReferenceId([a, b, c, d]),
        reference_time: NtpTimestamp::from_bits(reference_time),
    }
}

fn counter_to_bytes(counter: Counter) -> [u8; 2] {
    match counter {
        Counter::Tsc => [0, 0],
        Counter::MonotonicRaw => [1, 0],
        Counter::Realtime => [2, 0],
        Counter::Nic(ClockId(id)) => [3, id],
    }
}

fn counter_from_bytes(bytes: [u8; 2]) -> Counter {
    match bytes {
        [0, _] => Counter::Tsc,
        [1, _] => Counter::MonotonicRaw,
        [3, id] => Counter::Nic(ClockId(id)),
        _ => Counter::Realtime,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each half is cut off on purpose")]
const fn halves_of_u128(value: u128) -> [u64; 2] {
    [(value >> 64) as u64, value as u64]
}

fn u128_of_halves(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

#[expect(clippy::cast_possible_truncation, reason = "each half is cut off on purpose")]
const fn halves_of_u64(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

fn u64_of_halves(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sidereal_publish::Words;

    use super::{SNAPSHOT_WORDS, Snapshot};

    proptest! {
        /// Every snapshot can be reached from words, so this is the round trip of them all.
        #[test]
        fn words_survive_a_round_trip(words in proptest::collection::vec(any::<u64>(), SNAPSHOT_WORDS)) {
            let snapshot = <Snapshot as Words<SNAPSHOT_WORDS>>::from_words(words.try_into().expect("as many"));
            prop_assert_eq!(Snapshot::from_words(snapshot.to_words()), snapshot);
        }
    }

    #[test]
    fn words_are_not_shared_between_fields() {
        // Each bit of each word changes the snapshot, or no snapshot has it set.
        let base = Snapshot::from_words([0x0101_0101_0101_0101; SNAPSHOT_WORDS]);
        let mut words = base.to_words();
        for word in 0..SNAPSHOT_WORDS {
            words[word] ^= 0x10;
            assert_ne!(Snapshot::from_words(words), base, "word {word}");
            words[word] ^= 0x10;
        }
    }
}
