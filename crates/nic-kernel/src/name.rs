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

#[cfg(test)]
mod tests {
    use super::Name;
    use core::net::SocketAddr;

    #[test]
    fn names_give_their_address_back() {
        for text in ["192.0.2.1:123", "[2001:db8::1]:123", "0.0.0.0:0", "[fe80::1%7]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Name::new(address).address(), Some(address));
        }
        assert_eq!(Name::EMPTY.address(), None);
    }
}
