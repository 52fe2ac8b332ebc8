//! Socket addresses as the kernel lays them out.

use core::ffi::c_int;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// A `struct sockaddr_in6`, whose first bytes may be those of a `struct sockaddr_in`: family, port, address (flow, address,
/// scope).
#[derive(Debug, Clone, Copy)]
#[repr(C, align(4))]
pub(crate) struct Name([u8; 28]);

impl Name {
    /// A place for the kernel to write a name to.
    pub(crate) const EMPTY: Self = Self([0; 28]);

    /// The name of `address`.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut name = Self::EMPTY;
        let [f0, f1, p0, p1, rest @ ..] = &mut name.0;
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both families are small")]
        let family = family as libc::sa_family_t;
        [*f0, *f1] = family.to_ne_bytes();
        [*p0, *p1] = address.port().to_be_bytes();
        match address {
            SocketAddr::V4(v4) => {
                if let Some(address) = rest.first_chunk_mut() {
                    *address = v4.ip().octets();
                }
            }
            SocketAddr::V6(v6) => {
                let [_, _, _, _, a @ .., s0, s1, s2, s3] = rest;
                *a = v6.ip().octets();
                [*s0, *s1, *s2, *s3] = v6.scope_id().to_ne_bytes();
            }
        }
        name
    }

    /// The address, if the family is one we know.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let [f0, f1, p0, p1, rest @ ..] = self.0;
        let port = u16::from_be_bytes([p0, p1]);
        match c_int::from(libc::sa_family_t::from_ne_bytes([f0, f1])) {
            libc::AF_INET => {
                let address = Ipv4Addr::from(*rest.first_chunk::<4>()?);
                Some(SocketAddr::V4(SocketAddrV4::new(address, port)))
            }
            libc::AF_INET6 => {
                let [_, _, _, _, octets @ .., s0, s1, s2, s3] = rest;
                let scope = u32::from_ne_bytes([s0, s1, s2, s3]);
                Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope)))
            }
            _ => None,
        }
    }

    /// The bytes of it, for the kernel to read or to write.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Whether it is a link-local IPv6 address, which says nothing without its interface.
    pub(crate) fn is_link_local(&self) -> bool {
        matches!(self.address().map(|address| address.ip()), Some(IpAddr::V6(address)) if address.is_unicast_link_local())
    }
}

/// A `struct sockaddr_ll` (`packet(7)`): family, protocol, interface, type of hardware, type of packet, length of address,
/// address.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(4))]
pub(crate) struct LinkName([u8; 20]);

impl LinkName {
    /// A place for the kernel to write a name to.
    pub(crate) const EMPTY: Self = Self([0; 20]);

    /// What comes to `interface` with this `EtherType`.
    pub(crate) fn of(interface: u32, ethertype: u16) -> Self {
        let mut name = Self::EMPTY;
        let [f0, f1, p0, p1, i0, i1, i2, i3, ..] = &mut name.0;
        [*f0, *f1] = packet_family().to_ne_bytes();
        [*p0, *p1] = ethertype.to_be_bytes();
        [*i0, *i1, *i2, *i3] = interface.to_ne_bytes();
        name
    }

    /// What leaves `interface` with this `EtherType` for this MAC address.
    pub(crate) fn to(interface: u32, ethertype: u16, mac: [u8; 6]) -> Self {
        let mut name = Self::of(interface, ethertype);
        let [_, _, _, _, _, _, _, _, _, _, _, length, m0, m1, m2, m3, m4, m5, ..] = &mut name.0;
        *length = 6;
        [*m0, *m1, *m2, *m3, *m4, *m5] = mac;
        name
    }

    /// The MAC address, if the interface is of Ethernet.
    pub(crate) const fn ethernet(&self) -> Option<[u8; 6]> {
        let [_, _, _, _, _, _, _, _, h0, h1, _, length, m0, m1, m2, m3, m4, m5, ..] = self.0;
        if u16::from_ne_bytes([h0, h1]) == libc::ARPHRD_ETHER && length == 6 {
            Some([m0, m1, m2, m3, m4, m5])
        } else {
            None
        }
    }

    /// The interface that a frame came by.
    pub(crate) const fn interface(&self) -> u32 {
        let [_, _, _, _, i0, i1, i2, i3, ..] = self.0;
        u32::from_ne_bytes([i0, i1, i2, i3])
    }

    /// Who sent a frame; `None` where it was not for this host: neither for its interface's address, nor for a group or all.
    pub(crate) const fn sender(&self) -> Option<[u8; 6]> {
        let [_, _, _, _, _, _, _, _, _, _, kind, ..] = self.0;
        if kind <= PACKET_MULTICAST { self.ethernet() } else { None }
    }

    /// The bytes of it, for the kernel to read or to write.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// The last of the types of packet that are for this host: 0 is for its interface, 1 for all, 2 for a group; then come those
/// for other hosts, and its own (linux/if_packet.h).
const PACKET_MULTICAST: u8 = 2;

#[expect(clippy::cast_possible_truncation, reason = "the family is a small number")]
const fn packet_family() -> libc::sa_family_t {
    libc::AF_PACKET as libc::sa_family_t
}

#[cfg(test)]
mod tests {
    use super::{LinkName, Name};
    use core::net::SocketAddr;

    #[test]
    fn names_give_their_address_back() {
        for text in ["192.0.2.1:123", "[2001:db8::1]:123", "0.0.0.0:0", "[fe80::1%7]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Name::new(address).address(), Some(address));
        }
        assert_eq!(Name::EMPTY.address(), None);
    }

    #[test]
    fn link_names_are_laid_out_as_the_kernel_reads_them() {
        let name = LinkName::of(7, 0x86dd);
        assert_eq!(name.0[..2], 17_u16.to_ne_bytes());
        assert_eq!(name.0[2..4], [0x86, 0xdd]);
        assert_eq!(name.0[4..8], 7_u32.to_ne_bytes());
        assert_eq!(name.interface(), 7);
        assert_eq!(name.ethernet(), None);
        let mut ethernet = LinkName::to(7, 0x88f7, [2, 0, 0, 0, 0x77, 1]);
        assert_eq!(ethernet.0[11..18], [6, 2, 0, 0, 0, 0x77, 1]);
        ethernet.0[8..10].copy_from_slice(&1_u16.to_ne_bytes());
        assert_eq!(ethernet.ethernet(), Some([2, 0, 0, 0, 0x77, 1]));
    }

    #[test]
    fn frames_for_others_and_of_our_own_have_no_sender() {
        // linux/if_packet.h: host, broadcast, multicast, another host, outgoing.
        for (kind, is_for_us) in [(0, true), (1, true), (2, true), (3, false), (4, false)] {
            let mut name = LinkName::to(7, 0x88f7, [2, 0, 0, 0, 0x77, 1]);
            name.0[8..10].copy_from_slice(&1_u16.to_ne_bytes());
            name.0[10] = kind;
            assert_eq!(name.sender().is_some(), is_for_us, "{kind}");
        }
    }
}
