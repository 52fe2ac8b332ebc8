//! One round trip and what it measured.

use crate::{Instant, Scale, Span};

/// The four times of one round trip on one scale (RFC 5905 §8, IEEE 1588-2019 11.3): sent, received there, answered there,
/// received back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange<S: Scale> {
    /// T1: the request left, by the asker's clock.
    pub t1: Instant<S>,
    /// T2: the request arrived, by the answerer's clock.
    pub t2: Instant<S>,
    /// T3: the reply left, by the answerer's clock.
    pub t3: Instant<S>,
    /// T4: the reply arrived, by the asker's clock.
    pub t4: Instant<S>,
}

/// What an exchange measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The answerer's clock less the asker's, assuming that both directions take equally long; rounded to nearest.
    pub offset: Span,
    /// The time spent on the way, both directions together.
    pub delay: Span,
    /// How far `offset` may be from the truth by the path alone: half the delay, rounded up.
    pub bound: Span,
}

impl<S: Scale> Exchange<S> {
    /// Offset and delay of the exchange (RFC 5905 §8).
    #[must_use]
    pub fn sample(&self) -> Sample {
        let offset = ((self.t2 - self.t1) + (self.t3 - self.t4)).half();
        let delay = (self.t4 - self.t1) - (self.t3 - self.t2);
        Sample { offset, delay, bound: delay.abs().half() }
    }
}
