//! What is read out of the headers of a frame.

use core::net::IpAddr;
use core::ops::Range;

use crate::{Fault, UDP_HEADER};

/// VLAN tags that are stepped over. A frame with more is the kernel's.
pub const MAX_TAGS: u8 = 4;
/// IPv6 extension headers that are stepped over in search of UDP. A packet with more is the kernel's.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// The headers of a UDP packet, as [`crate::classify`] found them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// The VLAN of the outermost tag; `None` without a tag, and for VID 0, which only carries a priority
    /// (IEEE 802.1Q-2022 9.6).
    pub vlan: Option<u16>,
    /// How many VLAN tags there are.
    pub tags: u8,
    /// The sender.
    pub source: IpAddr,
    /// To whom it was sent.
    pub destination: IpAddr,
    /// The sender's port.
    pub source_port: u16,
    /// To which port.
    pub destination_port: u16,
    /// What kind of MAC address it was sent to.
    pub link_destination: LinkDestination,
    /// The first thing that is wrong, checksums aside.
    pub(crate) fault: Option<Fault>,
    /// Where the IP header begins in the frame.
    pub(crate) network: u16,
    /// Where the UDP header begins.
    pub(crate) transport: u16,
    /// Where the UDP payload ends, by the UDP length.
    pub(crate) end: u32,
}

/// What kind of MAC address a frame was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkDestination {
    /// One station.
    Unicast,
    /// Everybody.
    Broadcast,
    /// A group.
    Multicast,
}

impl Headers {
    /// Where the UDP payload lies in the received frame, by the UDP length. Never beyond the end of that frame, whatever the
    /// lengths say: of a packet that [`crate::check()`] refuses it may be cut or empty.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> Range<usize> {
        let end = self.end as usize;
        let start = self.transport as usize + UDP_HEADER;
        if start < end { start..end } else { end..end }
    }
}
