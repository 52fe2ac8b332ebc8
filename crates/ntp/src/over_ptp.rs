//! The Network Correction extension field (RFC 10030 §3): of messages that PTP carries, how long transparent clocks kept them.
//!
//! The client reads in the PTP header of the answer how long that was kept, and in this field of it how long its request was;
//! both may be taken away from the round trip. Nobody vouches for either, so that the hard bound does not rest on them.
//!
//! Format and formulas are those of draft-ietf-ntp-over-ptp §3, of which RFC 10030 is the last revision.

use crate::extension::Body;
use sidereal_time::{NtpTimestamp, Span};

/// The type of the field (IANA's registry of NTP extension field types: "Network Correction", of RFC 10030).
const FIELD_TYPE: u16 = 0x010a;
/// Its value: the correction, and as many zeros as make it 28 bytes with its header, so that it may be the last one of a
/// message (RFC 10030 §3, RFC 7822 §3).
const VALUE_LEN: usize = 24;
/// Its length with its header.
pub(crate) const FIELD_LEN: usize = 4 + VALUE_LEN;
/// The field's own header: its type and its length.
const FIELD_HEADER: [u8; 4] = {
    let [high, low] = FIELD_TYPE.to_be_bytes();
    let [.., len] = FIELD_LEN.to_be_bytes();
    [high, low, 0, len]
};
/// How wrong the clocks of transparent clocks may be, in parts per million (freq_tc, RFC 10030 §3).
const TRANSPARENT_CLOCK_PPM: i128 = 100;

/// How long a message was kept by transparent clocks, and how long it took to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carriage {
    /// What transparent clocks say in the header of PTP.
    pub correction: Span,
    /// How long it took from where its stamp was taken, the beginning, to its end, where NTP takes timestamps (RFC 10030 §2); zero
    /// where the stamp is of the end, or nobody knows.
    pub reception: Span,
}

impl Carriage {
    /// The network correction of the message: both.
    #[must_use]
    pub fn network_correction(&self) -> Span {
        self.correction + self.reception
    }
}

/// The field in a message, if it has one: what it says.
pub(crate) fn network_correction(body: &Body<'_>) -> Option<Span> {
    let field = body.fields().find(|field| field.field_type == FIELD_TYPE && field.value.len() == VALUE_LEN)?;
    let (bits, _) = field.value.split_first_chunk()?;
    Some(NtpTimestamp::from_be_bytes(*bits).since(NtpTimestamp::UNKNOWN))
}

/// Writes the field from `at` on; returns where it ends. `None` where there is no room.
pub(crate) fn write_network_correction(correction: Span, buffer: &mut [u8], at: usize) -> Option<usize> {
    let field = buffer.get_mut(at..at + FIELD_LEN)?;
    field.fill(0);
    let (head, value) = field.split_first_chunk_mut()?;
    *head = FIELD_HEADER;
    *value.first_chunk_mut()? = NtpTimestamp::UNKNOWN.after(correction).to_be_bytes();
    Some(at + FIELD_LEN)
}

/// What the network did to a round trip: the corrections of both ways, and how long the answer took to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NetworkCorrections {
    pub(crate) request: Span,
    pub(crate) response: Span,
    pub(crate) reception: Span,
}

/// What is to be done about a round trip by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Corrected {
    /// Nothing: no transparent clock was on one of the ways.
    Nothing,
    /// This is not believed, and the round trip counts as it is.
    Refused,
    /// The other clock is ahead by so much more, and the delay is this.
    By {
        /// To be added to the offset.
        offset: Span,
        /// The delay without what the network kept.
        delay: Span,
    },
}

impl NetworkCorrections {
    /// What it makes of a round trip of this `delay` (RFC 10030 §3). Where transparent clocks are on one way alone, nothing is
    /// made of it: it would make the other way look longer.
    ///
    /// The sending of the request, whose duration is not known, is taken to be as long as the reception of the answer: so
    /// much is left, as of a direct link.
    pub(crate) fn apply(&self, delay: Span) -> Corrected {
        let Self { request, response, reception } = *self;
        if request.is_negative() || response.is_negative() {
            return Corrected::Refused;
        }
        if request == Span::ZERO || response <= reception {
            return Corrected::Nothing;
        }
        let kept = request + response - reception - reception;
        let believed = Span::from_units(kept.units() - kept.units() * TRANSPARENT_CLOCK_PPM / 1_000_000);
        if believed.is_negative() || believed > delay {
            return Corrected::Refused;
        }
        Corrected::By { offset: (response - request).half(), delay: delay - believed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{HEADER_LEN, Version};
    use proptest::prelude::*;

    fn us(us: i64) -> Span {
        Span::from_nanos(i128::from(us) * 1000)
    }

    #[test]
    fn the_field_is_as_the_standard_has_it() {
        let mut message = [0xcc; HEADER_LEN + FIELD_LEN];
        let end = write_network_correction(Span::from_nanos(500_000_000), &mut message, HEADER_LEN);
        assert_eq!(end, Some(76));
        assert_eq!(message[48..60], [0x01, 0x0a, 0, 28, 0, 0, 0, 0, 0x80, 0, 0, 0]);
        assert_eq!(message[60..], [0; 16]);
        assert_eq!(write_network_correction(Span::ZERO, &mut message, HEADER_LEN + 1), None);
    }

    #[test]
    fn what_transparent_clocks_kept_is_taken_away() {
        // RFC 10030 §3: 100 us of delay, of which 30 us and 10 us were queues; 1 us is what a direct link takes.
        let corrections = NetworkCorrections { request: us(31), response: us(11), reception: us(1) };
        let Corrected::By { offset, delay } = corrections.apply(us(100)) else { panic!() };
        assert_eq!(offset, us(-10));
        assert_eq!(delay, us(60) + Span::from_nanos(4), "100 ppm of 40 us are left");
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let apply = |request, response, reception| {
            NetworkCorrections { request: us(request), response: us(response), reception: us(reception) }.apply(us(100))
        };
        assert_eq!(apply(-1, 11, 1), Corrected::Refused);
        assert_eq!(apply(11, -1, 1), Corrected::Refused);
        assert_eq!(apply(90, 90, 1), Corrected::Refused, "more than the whole way took");
        assert_eq!(apply(0, 11, 1), Corrected::Nothing);
        assert_eq!(apply(11, 1, 1), Corrected::Nothing);
    }

    proptest! {
        #[test]
        fn a_correction_comes_back_as_it_was_written(nanos in -1_000_000_000_000_i64..1_000_000_000_000) {
            let written = Span::from_nanos(nanos.into());
            let mut message = [0; HEADER_LEN + FIELD_LEN];
            prop_assert_eq!(write_network_correction(written, &mut message, HEADER_LEN), Some(message.len()));
            let read = network_correction(&Body::of(&message, Version::V4).unwrap()).unwrap();
            // To 2^-32 s.
            prop_assert!((read - written).abs() <= Span::from_units(Span::SECOND.units() >> 32));
        }

        /// Whatever the network claims, the truth stays within half of the whole delay and what the offset was moved by.
        #[test]
        fn no_claim_makes_more_of_a_delay_than_there_is(
            request: i64, response: i64, reception in 0_i64..1_000_000, delay in 0_i64..1_000_000_000_000,
        ) {
            let span = |units: i64| Span::from_units(units.into());
            let corrections =
                NetworkCorrections { request: span(request), response: span(response), reception: span(reception) };
            if let Corrected::By { offset, delay: corrected } = corrections.apply(span(delay)) {
                prop_assert!(!corrected.is_negative() && corrected <= span(delay));
                prop_assert!(offset.abs() <= span(delay) + span(reception));
            }
        }
    }
}
