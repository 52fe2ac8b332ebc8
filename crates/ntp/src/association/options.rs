//! What an association is to do: its role, its polls, its filters.

use crate::mac::Key;
use crate::message::Version;
use sidereal_time::Span;

/// How often a source is asked: a power of two of a second, from 2^-6 s (16 ms) to 2^17 s (36 h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Poll(i8);

impl Poll {
    /// 2^-6 s.
    pub const MIN: Self = Self(-6);
    /// 2^17 s, MAXPOLL of RFC 5905 §7.2.
    pub const MAX: Self = Self(17);
    /// 2^6 s, 64 s: a usual minimum for servers across the network.
    pub const MINUTE: Self = Self(6);
    /// 2^10 s, 17 minutes: a usual maximum.
    pub const USUAL_MAX: Self = Self(10);

    /// 2^`exponent` s, where that is within [`Self::MIN`] and [`Self::MAX`].
    #[must_use]
    pub const fn new(exponent: i8) -> Option<Self> {
        if exponent >= Self::MIN.0 && exponent <= Self::MAX.0 { Some(Self(exponent)) } else { None }
    }

    /// 2^`exponent` s, or the nearest that there is: what another host says of its poll is taken so.
    #[must_use]
    pub(crate) const fn nearest(exponent: i8) -> Self {
        if exponent < Self::MIN.0 {
            Self::MIN
        } else if exponent > Self::MAX.0 {
            Self::MAX
        } else {
            Self(exponent)
        }
    }

    /// The exponent.
    #[must_use]
    pub const fn exponent(self) -> i8 {
        self.0
    }

    /// The time from one poll to the next, exactly.
    #[must_use]
    pub const fn as_span(self) -> Span {
        // All exponents are between -6 and 17: one second has 16 + 9 factors of two, so that neither shift loses a bit.
        let second = Span::SECOND.units();
        Span::from_units(if self.0 < 0 { second >> -self.0 } else { second << self.0 })
    }

    /// The next longer poll, or the longest.
    pub(crate) const fn longer(self) -> Self {
        Self::nearest(self.0 + 1)
    }

    /// The next shorter poll, or the shortest.
    pub(crate) const fn shorter(self) -> Self {
        Self::nearest(self.0 - 1)
    }
}

/// What an association is to its other side (RFC 5905 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It asks a server.
    Client,
    /// It asks a peer, and may be asked by it. Tells its own time.
    SymmetricActive,
    /// It answers one peer, and measures it when that asks again.
    SymmetricPassive,
    /// It listens to broadcasts, and asks their server now and then how far away it is.
    BroadcastClient,
}

/// How an association behaves.
#[derive(Debug, Clone)]
pub struct AssociationOptions {
    /// What it is to its other side.
    pub role: Role,
    /// The version it speaks; messages of others are ignored.
    pub version: Version,
    /// The key of every message, in both directions. Messages without its MAC are then ignored.
    pub key: Option<Key>,
    /// Whether to ask for interleaved mode (RFC 9769). Who does not offer it is measured in basic mode.
    pub interleaved: bool,
    /// The PTP domain by whose messages its own are carried (RFC 10030), where they are; then the corrections of transparent
    /// clocks are asked for. For clients.
    pub over_ptp: Option<u8>,
    /// The shortest poll, from which it begins; not longer than `max_poll`, else that one.
    pub min_poll: Poll,
    /// The longest poll.
    pub max_poll: Poll,
    /// Whether to begin with eight requests two seconds apart, and likewise when a source answers again that had been lost.
    pub iburst: bool,
    /// Whether every poll is eight requests two seconds apart.
    pub burst: bool,
    /// Exchanges that take longer are not measured.
    pub max_delay: Option<Span>,
    /// Nor are those that take longer than this many times the shortest of the last ones; at least 1.
    pub max_delay_ratio: Option<f64>,
}

impl Default for AssociationOptions {
    /// A client of version 4 without a key, in basic mode, that begins with a burst and polls every 64 to 1024 s.
    fn default() -> Self {
        Self {
            role: Role::Client,
            version: Version::V4,
            key: None,
            interleaved: false,
            over_ptp: None,
            min_poll: Poll::MINUTE,
            max_poll: Poll::USUAL_MAX,
            iburst: true,
            burst: false,
            max_delay: None,
            max_delay_ratio: None,
        }
    }
}

/// Whether a source should be asked more often, by whoever uses its measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PollAdvice {
    /// The clock's own wander outweighs the noise of the measurements.
    Shorter,
    /// Both are alike.
    Keep,
    /// Noise outweighs wander: asking more rarely loses nothing.
    Longer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_powers_of_two_within_their_bounds() {
        assert_eq!((Poll::new(-7), Poll::new(18)), (None, None));
        assert_eq!(Poll::new(0).unwrap().as_span(), Span::SECOND);
        assert_eq!(Poll::new(17).unwrap().as_span(), Span::from_secs(131_072));
        assert_eq!(Poll::new(-6).unwrap().as_span(), Span::from_nanos(15_625_000));
        for exponent in i8::MIN..=i8::MAX {
            let poll = Poll::nearest(exponent);
            assert_eq!(Poll::new(poll.exponent()), Some(poll));
            assert!(poll.longer() >= poll && poll.shorter() <= poll);
        }
    }
}
