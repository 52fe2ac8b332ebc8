//! What a worker does with a packet, and why.

use sidereal_ntp::ReplyKind;
use sidereal_time::TxToken;

/// What a worker does with a packet.
#[derive(Debug)]
pub enum Verdict {
    /// The buffer now holds the reply in its first `len` bytes: send it back.
    Reply {
        /// The length of the reply: of the frame, or of the datagram's payload.
        len: usize,
        /// What kind of reply it is.
        kind: ReplyKind,
        /// Asks for the reply's TX stamp.
        token: Option<TxToken>,
    },
    /// Not ours: the kernel shall have it.
    Kernel,
    /// Ours, and not worth an answer.
    Drop(DropReason),
}

/// Why a packet that was ours was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Its headers are not as they should be.
    Headers(sidereal_wire::Fault),
    /// It claims to come from one of our own addresses.
    OwnAddress,
    /// The NTP server refused it.
    Ntp(sidereal_ntp::DropReason),
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = sidereal_wire::Fault::COUNT + 1 + sidereal_ntp::DropReason::ALL.len();

    /// All reasons, in the order of [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        let headers = sidereal_wire::Fault::all().iter().copied().map(Self::Headers);
        let ntp = sidereal_ntp::DropReason::ALL.iter().copied().map(Self::Ntp);
        headers.chain([Self::OwnAddress]).chain(ntp)
    }

    /// Its name in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Headers(fault) => fault.name(),
            Self::OwnAddress => "own_address",
            Self::Ntp(reason) => reason.name(),
        }
    }

    /// Its place among all reasons, below [`Self::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Headers(fault) => fault.index(),
            Self::OwnAddress => sidereal_wire::Fault::COUNT,
            Self::Ntp(reason) => sidereal_wire::Fault::COUNT + 1 + reason.index(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_name() {
        let all: Vec<_> = DropReason::all().collect();
        assert_eq!(all.len(), DropReason::COUNT);
        for (place, reason) in all.iter().enumerate() {
            assert_eq!(reason.index(), place, "{reason:?}");
        }
        let mut names: Vec<_> = all.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len(), "two reasons share a name");
    }
}
