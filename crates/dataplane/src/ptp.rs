//! PTP on the packet path: Delay_Req answered by the worker, everything else handed to the engine and back.

mod burst;
mod framing;
mod judge;
mod link;
mod next_hops;
mod nic_stamps;
mod time;

use core::net::IpAddr;
use sidereal_ptp::{Address, PortIdentity, PortKey};
use sidereal_time::{Stamp, Ticks};

pub use self::framing::Framing;
pub(crate) use self::judge::may_be_ptp;
pub use self::judge::{PtpJudge, PtpMessage, PtpVerdict};
pub(crate) use self::link::is_ptp;
pub use self::link::{EnginePtp, WorkerPtp, ptp_link};
pub use self::nic_stamps::NicStamps;
pub use self::time::PtpTime;

/// A PTP Port that a port carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PtpService {
    /// Which one it is.
    pub key: PortKey,
    /// The domain of its PTP Instance.
    pub domain: u8,
    /// Its portIdentity: answers to others are left to them.
    pub identity: PortIdentity,
    /// How its messages travel.
    pub framing: Framing,
}

/// What a worker knows of PTP as it judges a burst.
#[derive(Debug, Clone, Copy)]
pub struct PtpTerms<'a> {
    /// Who answers Delay_Req.
    pub responders: &'a sidereal_ptp::Responders,
    /// The time; `None` where it is too old to be told.
    pub time: Option<PtpTime<'a>>,
    /// Which event messages the NIC stamps: one without a stamp has no time of arrival then.
    pub nic_stamps: NicStamps,
}

/// A message that a worker has handed to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PtpFrame {
    /// The PTP Port it is for.
    pub key: PortKey,
    /// Who sent it.
    pub from: Address,
    /// The length of the message, which is at the start of the buffer.
    pub len: usize,
    /// When it arrived, if the port said so.
    pub stamp: Option<Stamp>,
    /// Whether nothing but a stamp says when it arrived: it is an event message, and the NIC stamps those.
    pub by_nic: bool,
    /// Where the local counter stood when the worker found it.
    pub found: Ticks,
}

/// The IP address in `address`, if it is one.
const fn ip(address: Address) -> Option<IpAddr> {
    match address {
        Address::Ip(ip) => Some(ip),
        Address::Link(_) => None,
    }
}
