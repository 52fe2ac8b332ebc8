//! Who we are to those who follow us: by this, servers are known whose time comes from us.

use core::net::{IpAddr, SocketAddr};

use md5::{Digest, Md5};
use sidereal_ntp::ReferenceId;
use sidereal_ptp::ClockIdentity;

use crate::config::{SourceKind, SourceOptions};

/// Where we serve, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    addresses: Vec<SocketAddr>,
    clocks: Vec<ClockIdentity>,
}

impl Identity {
    pub(crate) fn new(addresses: &[SocketAddr], sources: &[SourceOptions]) -> Self {
        let clocks = sources.iter().filter_map(|source| match &source.kind {
            SourceKind::Ptp(instance) => Some(instance.identity),
            SourceKind::Ntp { .. } | SourceKind::Reference { .. } => None,
        });
        Self { addresses: addresses.to_vec(), clocks: clocks.collect() }
    }

    /// Whether whoever follows `id` follows us.
    pub(crate) fn is_called(&self, id: ReferenceId) -> bool {
        self.addresses.iter().any(|address| !address.ip().is_loopback() && Self::reference_id(address.ip()) == id)
    }

    /// Whether it is we who answer at `address`.
    pub(crate) fn is_at(&self, address: SocketAddr) -> bool {
        self.addresses.iter().any(|ours| (ours.ip(), ours.port()) == (address.ip(), address.port()))
    }

    /// Whether it is one of our PTP Instances.
    pub(crate) fn is_clock(&self, clock: ClockIdentity) -> bool {
        self.clocks.contains(&clock)
    }

    /// What is told as the reference identifier by who follows a server at `address`: an IPv4 address, or the first four
    /// bytes of the MD5 of an IPv6 one (RFC 5905 §7.3).
    pub(crate) fn reference_id(address: IpAddr) -> ReferenceId {
        match address.to_canonical() {
            IpAddr::V4(address) => ReferenceId::from_ipv4(address),
            IpAddr::V6(address) => Self::hashed(&address.octets()),
        }
    }

    /// The first four bytes of the MD5 of an identity that is too long.
    pub(crate) fn hashed(identity: &[u8]) -> ReferenceId {
        let [a, b, c, d, ..] = <[u8; 16]>::from(Md5::digest(identity));
        ReferenceId([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_identifiers_are_addresses_or_their_hashes() {
        assert_eq!(Identity::reference_id("192.0.2.1".parse().unwrap()), ReferenceId([192, 0, 2, 1]));
        // md5 of 20010db8000000000000000000000001, by md5sum(1).
        assert_eq!(Identity::reference_id("2001:db8::1".parse().unwrap()).0, [0x39, 0xab, 0x9b, 0x37]);
    }

    #[test]
    fn we_know_ourselves() {
        let us = Identity::new(&["192.0.2.1:123".parse().unwrap(), "127.0.0.1:123".parse().unwrap()], &[]);
        assert!(us.is_called(ReferenceId([192, 0, 2, 1])) && !us.is_called(ReferenceId([192, 0, 2, 2])));
        // Whoever follows a server of his own host says 127.0.0.1: that is seldom us.
        assert!(!us.is_called(ReferenceId([127, 0, 0, 1])));
        assert!(us.is_at("127.0.0.1:123".parse().unwrap()) && !us.is_at("127.0.0.1:1123".parse().unwrap()));
    }
}
