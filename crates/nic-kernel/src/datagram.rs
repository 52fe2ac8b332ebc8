//! A datagram and its buffer.

use crate::calls::Message;
use crate::control::{Control, PacketInfo};
use crate::name::Name;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use sidereal_nic::Flow;
use sidereal_time::{Stamp, TxToken};

/// The size of a buffer: no request of any time protocol is longer.
pub const DATAGRAM_BYTES: usize = 2048;

/// One datagram with everything the kernel wants to know or tells of it. Lives in a box that goes round between the
/// receiving and the sending half.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) payload: [u8; DATAGRAM_BYTES],
    pub(crate) control: Control,
    /// The peer.
    pub(crate) name: Name,
    /// Which socket of the queue it belongs to.
    pub(crate) socket: usize,
    /// How long it is; more than the buffer where that was too short.
    pub(crate) len: usize,
    pub(crate) info: Option<PacketInfo>,
    pub(crate) flow: Flow,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) reply: Option<Reply>,
}

/// What is to be sent in a datagram's place.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) len: usize,
    pub(crate) token: Option<TxToken>,
    /// Whether the kernel is asked for a stamp.
    pub(crate) stamp_wanted: bool,
}

impl Datagram {
    pub(crate) const EMPTY: Self = Self {
        payload: [0; DATAGRAM_BYTES],
        control: Control::EMPTY,
        name: Name::EMPTY,
        socket: 0,
        len: 0,
        info: None,
        flow: Flow {
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            source_port: 0,
            destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            destination_port: 0,
        },
        stamp: None,
        reply: None,
    };

    /// For the kernel to write to.
    pub(crate) fn incoming(&mut self) -> Message<'_> {
        Message { name: self.name.bytes(), payload: &mut self.payload, control: self.control.room() }
    }

    /// Whether the kernel is asked for a stamp of the reply.
    pub(crate) fn is_stamp_wanted(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.stamp_wanted)
    }

    /// For the kernel to read the reply from.
    pub(crate) fn outgoing(&mut self) -> Message<'_> {
        let len = self.reply.as_ref().map_or(0, |reply| reply.len);
        let payload = self.payload.get_mut(..len).unwrap_or_default();
        Message { name: self.name.bytes(), payload, control: self.control.messages() }
    }
}

impl PacketInfo {
    /// The destination as [`Flow`] tells it: a directed broadcast as 255.255.255.255.
    pub(crate) fn destination(&self) -> IpAddr {
        match *self {
            Self::V4 { destination, local } if destination == local || destination.is_multicast() => destination.into(),
            Self::V4 { .. } => Ipv4Addr::BROADCAST.into(),
            Self::V6 { destination, .. } => Ipv6Addr::into(destination),
        }
    }

    /// Whether it is an address of the link alone, which the interface completes.
    pub(crate) const fn is_link_local(&self) -> bool {
        matches!(self, Self::V6 { destination, .. } if destination.is_unicast_link_local())
    }
}
