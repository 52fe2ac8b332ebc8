//! The packets that nearly all are: untagged, from one host, no options, no fragments, the usual length.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::checksum::Sum;
use crate::reply::{turn_ipv4, turn_ipv6, turn_link, turn_udp};
use crate::{
    Checksums, ETHERNET_HEADER, Fault, IPV4_HEADER, IPV6_HEADER, PROTOCOL_UDP, UDP_HEADER, UDP_OVER_IPV4,
    UDP_OVER_IPV6, check, eight, field, four,
};

/// A plain UDP packet in its buffer.
///
/// It says the same as [`crate::classify`], [`crate::check()`] and [`crate::turn_around`] do of such a packet, only faster:
/// its headers stand at fixed places and its addresses are of one kind, so that nothing has to be carried from one step to
/// the next. Whatever is not plain, or only might not be, is left to those three.
#[derive(Debug)]
pub struct Plain<'a, N: Network> {
    link: &'a mut [u8; ETHERNET_HEADER],
    packet: &'a mut N::Header,
    udp: &'a mut [u8; UDP_HEADER],
    payload: &'a mut [u8],
}

impl<'a, N: Network> Plain<'a, N> {
    /// The packet in `frame`, from its Ethernet header on, if it is plain: [`crate::classify`] finds it, and
    /// [`crate::check()`] finds no other fault than [`Fault::DestinationGroup`] or a checksum. Its destination is not looked
    /// at, as its reader compares it with his own addresses anyway.
    #[inline]
    #[must_use]
    pub fn of(frame: &'a mut [u8]) -> Option<Self> {
        let payload_len = usize::from(N::udp_length(frame)?).checked_sub(UDP_HEADER)?;
        Self::with_payload(frame, payload_len)
    }

    /// The same for packets with a payload of `payload_len` bytes only. Where that is a constant all lengths are, which spares
    /// every check of them from here to the reply.
    #[inline(always)]
    #[must_use]
    pub fn with_payload(frame: &'a mut [u8], payload_len: usize) -> Option<Self> {
        Self::between(frame, payload_len, SOURCE_GROUP_BIT | DESTINATION_GROUP_BIT)
    }

    /// The same for packets that may be to a group's MAC address too, as [`crate::check_to_group`] has it.
    #[inline(always)]
    #[must_use]
    pub fn to_group_with_payload(frame: &'a mut [u8], payload_len: usize) -> Option<Self> {
        Self::between(frame, payload_len, SOURCE_GROUP_BIT)
    }

    /// The packet if its MAC addresses have none of these bits.
    #[inline(always)]
    fn between(frame: &'a mut [u8], payload_len: usize, group_bits: u64) -> Option<Self> {
        if !N::is_plain(frame, u16::try_from(UDP_HEADER + payload_len).ok()?, group_bits) {
            return None;
        }
        let (link, rest) = frame.split_first_chunk_mut()?;
        let (packet, rest) = N::split(rest)?;
        let (udp, rest) = rest.split_first_chunk_mut()?;
        Some(Self { link, packet, udp, payload: rest.get_mut(..payload_len)? })
    }

    /// The sender and to whom it was sent.
    #[inline(always)]
    #[must_use]
    pub fn addresses(&self) -> (N::Address, N::Address) {
        N::addresses(self.packet)
    }

    /// The sender's MAC address.
    #[inline(always)]
    #[must_use]
    pub const fn source_mac(&self) -> [u8; 6] {
        let [_, _, _, _, _, _, a, b, c, d, e, f, _, _] = *self.link;
        [a, b, c, d, e, f]
    }

    /// To which port.
    #[inline(always)]
    #[must_use]
    pub const fn destination_port(&self) -> u16 {
        field(self.udp, 2)
    }

    /// The UDP payload.
    #[inline(always)]
    #[must_use]
    pub const fn payload(&mut self) -> &mut [u8] {
        self.payload
    }

    /// Whether its checksums are right.
    ///
    /// # Errors
    /// The [`Fault`] that [`crate::check()`] would name.
    #[inline(always)]
    pub fn check(&self, checksums: Checksums) -> Result<(), Fault> {
        N::check(self.packet, self.udp, self.payload, checksums)
    }

    /// Makes the packet its own reply, as [`crate::turn_around`] does. A `payload_len` beyond that of the request is cut to
    /// it. Returns the length of the frame.
    #[inline(always)]
    #[must_use]
    pub fn turn_around(self, payload_len: usize) -> usize {
        let payload = self.payload.get(..payload_len).unwrap_or(self.payload);
        let Ok(udp_length) = u16::try_from(UDP_HEADER + payload.len()) else { return 0 };
        let Some(addresses) = N::turn(self.packet, udp_length) else { return 0 };
        turn_link(self.link);
        turn_udp(self.udp, payload, addresses, udp_length);
        ETHERNET_HEADER + size_of::<N::Header>() + UDP_HEADER + payload.len()
    }
}

/// What UDP is carried over: [`Ipv4`] or [`Ipv6`]. Its `Address` is an [`Ipv4Addr`] or an [`Ipv6Addr`].
pub trait Network: sealed::Layout {
    /// Where the UDP payload begins in the frame of a plain packet.
    const PAYLOAD: usize;
}

impl Network for Ipv4 {
    const PAYLOAD: usize = UDP_OVER_IPV4 + UDP_HEADER;
}

impl Network for Ipv6 {
    const PAYLOAD: usize = UDP_OVER_IPV6 + UDP_HEADER;
}

/// IPv4 (RFC 791).
#[derive(Debug)]
pub enum Ipv4 {}

/// IPv6 (RFC 8200).
#[derive(Debug)]
pub enum Ipv6 {}

mod sealed {
    use core::fmt::Debug;
    use core::net::IpAddr;

    use crate::checksum::Sum;
    use crate::{Checksums, Fault, UDP_HEADER};

    /// Where things are in a plain packet, and what is done with them there.
    pub trait Layout {
        type Address: Copy + Eq + Into<IpAddr>;
        /// The header of the network layer.
        type Header: Debug;

        /// What the datagram says of its length, if the frame reaches so far.
        fn udp_length(frame: &[u8]) -> Option<u16>;

        /// Whether all headers of `frame` are plain ones before a datagram of this length, and its MAC addresses have none of
        /// these bits.
        fn is_plain(frame: &[u8], udp_length: u16, group_bits: u64) -> bool;

        fn split(packet: &mut [u8]) -> Option<(&mut Self::Header, &mut [u8])>;

        /// The sender and the receiver.
        fn addresses(packet: &Self::Header) -> (Self::Address, Self::Address);

        fn check(
            packet: &Self::Header,
            udp: &[u8; UDP_HEADER],
            payload: &[u8],
            checksums: Checksums,
        ) -> Result<(), Fault>;

        fn turn(packet: &mut Self::Header, udp_length: u16) -> Option<Sum>;
    }
}

impl sealed::Layout for Ipv4 {
    type Address = Ipv4Addr;
    type Header = [u8; IPV4_HEADER];

    #[inline(always)]
    fn udp_length(frame: &[u8]) -> Option<u16> {
        frame.first_chunk::<{ UDP_OVER_IPV4 + UDP_HEADER }>().map(|header| field(header, UDP_OVER_IPV4 + 4))
    }

    #[inline(always)]
    fn is_plain(frame: &[u8], udp_length: u16, group_bits: u64) -> bool {
        let Some(header) = frame.first_chunk::<{ UDP_OVER_IPV4 + UDP_HEADER }>() else { return false };
        let Ok(total_length) = u16::try_from(IPV4_HEADER + usize::from(udp_length)) else { return false };
        let [high, low] = total_length.to_be_bytes();
        // EtherType, version and header length, total length; no fragment, UDP.
        eight(header, 12) & eight_bytes([0xff, 0xff, 0xff, 0, 0xff, 0xff, 0, 0])
            == eight_bytes([0x08, 0x00, 0x45, 0, high, low, 0, 0])
            && four(header, 20) & four_bytes([0x3f, 0xff, 0, 0xff]) == four_bytes([0, 0, 0, PROTOCOL_UDP])
            && eight(header, 0) & group_bits == 0
            && field(header, UDP_OVER_IPV4 + 4) == udp_length
            && field(header, UDP_OVER_IPV4) != 0
            && matches!(header[26], 1..=223)
            && header[26] != LOOPBACK
    }

    #[inline(always)]
    fn split(packet: &mut [u8]) -> Option<(&mut Self::Header, &mut [u8])> {
        packet.split_first_chunk_mut()
    }

    #[inline(always)]
    fn addresses(packet: &Self::Header) -> (Self::Address, Self::Address) {
        let address = |at| Ipv4Addr::from_octets(four(packet, at).to_ne_bytes());
        (address(12), address(16))
    }

    #[inline(always)]
    fn check(packet: &Self::Header, udp: &[u8; UDP_HEADER], payload: &[u8], checksums: Checksums) -> Result<(), Fault> {
        check::ipv4(packet, udp, payload, checksums)
    }

    #[inline(always)]
    fn turn(packet: &mut Self::Header, udp_length: u16) -> Option<Sum> {
        turn_ipv4(packet, udp_length)
    }
}

impl sealed::Layout for Ipv6 {
    type Address = Ipv6Addr;
    type Header = [u8; IPV6_HEADER];

    #[inline(always)]
    fn udp_length(frame: &[u8]) -> Option<u16> {
        frame.first_chunk::<{ UDP_OVER_IPV6 + UDP_HEADER }>().map(|header| field(header, UDP_OVER_IPV6 + 4))
    }

    #[inline(always)]
    fn is_plain(frame: &[u8], udp_length: u16, group_bits: u64) -> bool {
        let Some(header) = frame.first_chunk::<{ UDP_OVER_IPV6 + UDP_HEADER }>() else { return false };
        let [high, low] = udp_length.to_be_bytes();
        // EtherType, version, payload length; UDP.
        eight(header, 12) & eight_bytes([0xff, 0xff, 0xf0, 0, 0, 0, 0xff, 0xff]) == eight_bytes([0x86, 0xdd, 0x60, 0, 0, 0, high, low])
            && header[20] == PROTOCOL_UDP
            && eight(header, 0) & group_bits == 0
            && field(header, UDP_OVER_IPV6 + 4) == udp_length
            && field(header, UDP_OVER_IPV6) != 0
            // Neither ::/8, where the special addresses are, nor multicast.
            && matches!(header[22], 1..=0xfe)
    }

    #[inline(always)]
    fn split(packet: &mut [u8]) -> Option<(&mut Self::Header, &mut [u8])> {
        packet.split_first_chunk_mut()
    }

    #[inline(always)]
    fn addresses(packet: &Self::Header) -> (Self::Address, Self::Address) {
        let address = |at: usize| {
            let mut octets = [0; 16];
            octets.copy_from_slice(&packet[at..at + 16]);
            Ipv6Addr::from_octets(octets)
        };
        (address(8), address(24))
    }

    #[inline(always)]
    fn check(packet: &Self::Header, udp: &[u8; UDP_HEADER], payload: &[u8], checksums: Checksums) -> Result<(), Fault> {
        check::ipv6(packet, udp, payload, checksums)
    }

    #[inline(always)]
    fn turn(packet: &mut Self::Header, udp_length: u16) -> Option<Sum> {
        turn_ipv6(packet, udp_length)
    }
}

/// The first byte of IPv4 loopback addresses (RFC 1122 §3.2.1.3).
const LOOPBACK: u8 = 127;

/// Eight bytes as [`eight`] reads them.
#[inline(always)]
const fn eight_bytes(bytes: [u8; 8]) -> u64 {
    u64::from_ne_bytes(bytes)
}

/// Four bytes as [`four`] reads them.
const fn four_bytes(bytes: [u8; 4]) -> u32 {
    u32::from_ne_bytes(bytes)
}

/// The bit of the first eight bytes of a frame that says that its destination is a group of stations.
const DESTINATION_GROUP_BIT: u64 = eight_bytes([1, 0, 0, 0, 0, 0, 0, 0]);
/// The bit there that says so of its source.
const SOURCE_GROUP_BIT: u64 = eight_bytes([0, 0, 0, 0, 0, 0, 1, 0]);
