//! The link layer alone, for what is carried by Ethernet without IP.

use crate::walk::Link;
use crate::{Fault, LinkDestination, MAC_ADDRESS};

/// The Ethernet header of a frame with its tags, as [`ethernet`] found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EthernetHeader {
    /// The receiver's MAC address.
    pub destination: [u8; MAC_ADDRESS],
    /// The sender's.
    pub source: [u8; MAC_ADDRESS],
    /// What kind of MAC address it was sent to.
    pub link_destination: LinkDestination,
    /// The VLAN of the outermost tag; `None` without a tag, and for VID 0, which only carries a priority
    /// (IEEE 802.1Q-2022 9.6).
    pub vlan: Option<u16>,
    /// What the frame carries.
    pub ethertype: u16,
    /// [`Fault::StackedVlan`] or [`Fault::SourceGroup`], the first of them, where the frame cannot be answered.
    pub fault: Option<Fault>,
    /// Where the payload begins in the frame. It ends with the frame, padding included (IEEE 802.3-2022 3.2.8).
    pub payload: usize,
}

/// Reads the Ethernet header of `frame` and its tags. `None` is a frame that is too short for them, or has more than
/// [`crate::MAX_TAGS`] tags.
#[must_use]
pub fn ethernet(frame: &[u8]) -> Option<EthernetHeader> {
    let link = Link::of(frame)?;
    let (destination, rest) = frame.split_first_chunk()?;
    let group = link.source_is_group.then_some(Fault::SourceGroup);
    Some(EthernetHeader {
        destination: *destination,
        source: *rest.first_chunk()?,
        link_destination: link.destination,
        vlan: link.vlan,
        ethertype: link.ethertype,
        fault: link.fault.or(group),
        payload: link.end,
    })
}
