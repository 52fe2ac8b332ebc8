//! Links as they are found, each with where its numbers come from.

use sidereal_time::Span;

use super::{DirectionOptions, Jitter};

/// A kind of link; both directions are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// A local network with little traffic: 10 us for cables, two gigabit ports and the hosts, and 1 us of waiting, about
    /// what a frame of 114 bytes waits for another one of its size on gigabit Ethernet (IEEE 802.3: 0.9 us).
    QuietLan,
    /// A local network under load: a mean wait of 50 us is four full frames of 1538 bytes on gigabit Ethernet (12.3 us
    /// each) that are already in the queue. The exponential shape is that of a queue with memoryless service; queues of
    /// backbone routers have longer tails, for which there is [`Jitter::Weibull`].
    BusyLan,
    /// A path through the internet: 15 ms each way (3000 km of fibre), 1 ms of waiting and 0.1 % of loss. End-to-end delay
    /// beyond its minimum is gamma distributed (A. Mukherjee, "On the Dynamics and Significance of Low Frequency Components
    /// of Internet Load", 1994; D. N. Lam et al., "A Mathematical Model of Shifted Gamma Distribution for Internet Traffic
    /// Packet Delay"), nearly exponential over minutes (A. M. Sukhov et al., arXiv:1003.0190); a shape of 0.8 is a little
    /// burstier.
    Wan,
}

impl Preset {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::QuietLan, Self::BusyLan, Self::Wan];

    /// Its name in scenarios.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QuietLan => "quiet_lan",
            Self::BusyLan => "busy_lan",
            Self::Wan => "wan",
        }
    }

    /// Its numbers.
    #[must_use]
    pub const fn options(self) -> DirectionOptions {
        let none = DirectionOptions {
            delay: Span::from_nanos(10_000),
            jitter: Jitter::None,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            reordering_delay: Span::ZERO,
        };
        match self {
            Self::QuietLan => DirectionOptions { jitter: Jitter::Exponential { mean: Span::from_nanos(1000) }, ..none },
            Self::BusyLan => {
                DirectionOptions { jitter: Jitter::Exponential { mean: Span::from_nanos(50_000) }, ..none }
            }
            Self::Wan => DirectionOptions {
                delay: Span::from_nanos(15_000_000),
                jitter: Jitter::Gamma { mean: Span::from_nanos(1_000_000), shape: 0.8 },
                loss: 0.001,
                ..none
            },
        }
    }
}
