//! What a worker does with a packet, and why.

use sidereal_ntp::ReplyKind;
use sidereal_ptp::{NoAnswer, NotCarried};
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
    /// It is a PTP message that nobody here wants.
    Ptp(PtpDrop),
    /// It is a PTP message that carries NTP, and not as it should.
    OverPtp(NotCarried),
}

/// Why a PTP message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PtpDrop {
    /// It has no room for a header.
    TooShort,
    /// It is longer than any message that fits a packet of 1500 bytes.
    TooLong,
    /// It is not of version 2.
    Version,
    /// An event message to the port of general ones, or the other way round.
    WrongPort,
    /// It is of a domain that is not spoken here.
    OtherDomain,
    /// A Delay_Resp to the request of another.
    ForAnother,
    /// A Delay_Req, and its PTP Port does not lead.
    NotLeading,
    /// A Delay_Req, and the time is too old to be told.
    StaleClock,
    /// A Delay_Req without a stamp of the NIC, which stamps them, or with one that is not believed.
    Unstamped,
    /// A Delay_Req that the leading port refused.
    NoAnswer(NoAnswer),
    /// The engine was handed as many as it takes.
    TooMany,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::OVER_PTP + NotCarried::ALL.len();

    /// Where the reasons of NTP begin, those of PTP, and those of the one over the other.
    const NTP: usize = sidereal_wire::Fault::COUNT + 1;
    const PTP: usize = Self::NTP + sidereal_ntp::DropReason::ALL.len();
    const OVER_PTP: usize = Self::PTP + PtpDrop::COUNT;

    /// All reasons, in the order of [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        let headers = sidereal_wire::Fault::all().iter().copied().map(Self::Headers);
        let ntp = sidereal_ntp::DropReason::ALL.iter().copied().map(Self::Ntp);
        let over_ptp = NotCarried::ALL.into_iter().map(Self::OverPtp);
        headers.chain([Self::OwnAddress]).chain(ntp).chain(PtpDrop::all().map(Self::Ptp)).chain(over_ptp)
    }

    /// Its name in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Headers(fault) => fault.name(),
            Self::OwnAddress => "own_address",
            Self::Ntp(reason) => reason.name(),
            Self::Ptp(reason) => reason.name(),
            Self::OverPtp(reason) => reason.name(),
        }
    }

    /// Its place among all reasons, below [`Self::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Headers(fault) => fault.index(),
            Self::OwnAddress => sidereal_wire::Fault::COUNT,
            Self::Ntp(reason) => Self::NTP + reason.index(),
            Self::Ptp(reason) => Self::PTP + reason.index(),
            Self::OverPtp(reason) => Self::OVER_PTP + reason as usize,
        }
    }
}

impl PtpDrop {
    /// How many reasons there are.
    const COUNT: usize = Self::OWN.len() + NoAnswer::ALL.len();

    /// Those that the worker finds by itself.
    const OWN: [Self; 10] = [
        Self::TooShort,
        Self::TooLong,
        Self::Version,
        Self::WrongPort,
        Self::OtherDomain,
        Self::ForAnother,
        Self::NotLeading,
        Self::StaleClock,
        Self::TooMany,
        Self::Unstamped,
    ];

    /// All reasons, in the order of [`Self::index`].
    fn all() -> impl Iterator<Item = Self> {
        Self::OWN.into_iter().chain(NoAnswer::ALL.into_iter().map(Self::NoAnswer))
    }

    /// Its name in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooShort => "ptp_too_short",
            Self::TooLong => "ptp_too_long",
            Self::Version => "ptp_version",
            Self::WrongPort => "ptp_wrong_port",
            Self::OtherDomain => "ptp_other_domain",
            Self::ForAnother => "ptp_for_another",
            Self::NotLeading => "ptp_not_leading",
            Self::StaleClock => "ptp_stale_clock",
            Self::TooMany => "ptp_too_many",
            Self::Unstamped => "ptp_delay_req_unstamped",
            Self::NoAnswer(reason) => match reason {
                NoAnswer::NotDelayReq => "ptp_not_delay_req",
                NoAnswer::NoRoom => "ptp_no_room",
                NoAnswer::WrongDomain => "ptp_wrong_domain",
                NoAnswer::WrongSdoId => "ptp_wrong_sdo_id",
                NoAnswer::Reflected => "ptp_reflected",
                NoAnswer::NoTime => "ptp_no_time",
            },
        }
    }

    /// Its place among them.
    const fn index(self) -> usize {
        match self {
            Self::TooShort => 0,
            Self::TooLong => 1,
            Self::Version => 2,
            Self::WrongPort => 3,
            Self::OtherDomain => 4,
            Self::ForAnother => 5,
            Self::NotLeading => 6,
            Self::StaleClock => 7,
            Self::TooMany => 8,
            Self::Unstamped => 9,
            Self::NoAnswer(reason) => Self::OWN.len() + reason as usize,
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
