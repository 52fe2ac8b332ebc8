//! Switches: what a packet meets between two hosts.

use rand::Rng;
use sidereal_time::Span;

use crate::link::Jitter;
use crate::random::{Stream, stream};

/// What a switch is like.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchOptions {
    /// Its name.
    pub name: String,
    /// How long a packet stays at least.
    pub delay: Span,
    /// What it waits beyond that.
    pub jitter: Jitter,
    /// Where it is transparent: how it measures the time that a packet stays.
    pub transparent: Option<Residence>,
}

/// How a transparent clock measures residence (IEEE 1588-2019 10.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Residence {
    /// The unit it counts in; whole nanoseconds at least.
    pub granularity: Span,
    /// How wrong its own frequency is, as a fraction.
    pub frequency_offset: f64,
}

/// A switch in a run.
#[derive(Debug, Clone)]
pub struct Switch {
    options: SwitchOptions,
    random: Stream,
}

impl Switch {
    /// The switch in the run `seed`.
    #[must_use]
    pub fn new(options: &SwitchOptions, seed: u64) -> Self {
        let random = stream(seed, &format!("{}/switch", options.name));
        Self { options: options.clone(), random }
    }

    /// Passes one packet: how long it stays, and how much of that the switch tells in the packet.
    pub fn pass(&mut self) -> (Span, Span) {
        let stay = self.options.delay + Span::from_secs_f64(self.options.jitter.draw(&mut self.random));
        let Some(Residence { granularity, frequency_offset }) = self.options.transparent else {
            return (stay, Span::ZERO);
        };
        let counted = stay + Span::from_secs_f64(stay.as_secs_f64() * frequency_offset);
        let granule = granularity.units().max(1);
        // Where within a granule the packet came in, decides whether one more is counted.
        let place = i128::from(self.random.next_u64()) % granule;
        let granules = (counted.units() + place).div_euclid(granule);
        (stay, Span::from_units(granules * granule))
    }
}

/// Adds `residence` to the correctionField of a PTP event message, told by its first byte (IEEE 1588-2019 10.2.1); other
/// messages stay as they are.
pub fn tell_residence(message: &mut [u8], residence: Span) {
    let Some((head, _)) = message.split_first_chunk_mut::<CORRECTION_END>() else { return };
    let [kind, version, ..] = *head;
    let Some(field) = head.last_chunk_mut::<8>().filter(|_| kind & 0x0f <= LAST_EVENT && version & 0x0f == 2) else {
        return;
    };
    let told = i64::try_from(residence.units()).unwrap_or(i64::MAX);
    *field = i64::from_be_bytes(*field).saturating_add(told).to_be_bytes();
}

/// Where the correctionField of a message ends (IEEE 1588-2019 table 35).
const CORRECTION_END: usize = 16;
/// Message types up to this are those of event messages (IEEE 1588-2019 table 36).
const LAST_EVENT: u8 = 3;

#[cfg(test)]
mod tests {
    use super::{Residence, Switch, SwitchOptions, tell_residence};
    use crate::link::Jitter;
    use sidereal_time::Span;

    #[test]
    fn a_plain_switch_tells_nothing_and_a_transparent_one_all_but_its_error() {
        let us = |micros: i128| Span::from_nanos(1000 * micros);
        let jitter = Jitter::Exponential { mean: us(20) };
        let plain = SwitchOptions { name: "s".into(), delay: us(5), jitter, transparent: None };
        let residence = Residence { granularity: Span::from_nanos(8), frequency_offset: 1e-4 };
        let transparent = SwitchOptions { transparent: Some(residence), ..plain.clone() };
        let (mut plain, mut transparent) = (Switch::new(&plain, 1), Switch::new(&transparent, 1));
        let mut told_sum = 0.0;
        let mut stayed_sum = 0.0;
        for _ in 0..10_000 {
            let (stay, told) = plain.pass();
            assert!(stay >= us(5) && told == Span::ZERO);
            let (stay, told) = transparent.pass();
            assert!((told - stay).abs() <= Span::from_nanos(8) + Span::from_secs_f64(2e-4 * stay.as_secs_f64()));
            told_sum += told.as_secs_f64();
            stayed_sum += stay.as_secs_f64();
        }
        assert!((told_sum / stayed_sum - 1.0 - 1e-4).abs() < 2e-5, "granules are told without bias");
    }

    #[test]
    fn residence_is_told_in_event_messages_alone() {
        let message = |kind: u8, version: u8| {
            let mut message = [0_u8; 44];
            (message[0], message[1]) = (0x10 | kind, 0x10 | version);
            message[8..16].copy_from_slice(&(-3_i64 << 16).to_be_bytes());
            message
        };
        let told = |mut message: [u8; 44]| {
            let before = message;
            tell_residence(&mut message, Span::from_nanos(8));
            let field = i64::from_be_bytes(message[8..16].try_into().unwrap());
            message[8..16].copy_from_slice(&before[8..16]);
            assert_eq!(message, before, "nothing else changes");
            field >> 16
        };
        for kind in 0..16 {
            assert_eq!(told(message(kind, 2)), if kind < 4 { 5 } else { -3 });
        }
        assert_eq!(told(message(0, 1)), -3, "another version has another header");
        tell_residence(&mut [0; 15], Span::SECOND);
    }
}
