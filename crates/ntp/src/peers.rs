//! Who is spoken with by an association, so that the server leaves them to it.

use crate::message::Mode;
use core::net::IpAddr;

/// The most peers; those beyond are left out, and answered like anybody else.
pub const MAX_PEERS: usize = 256;

/// The addresses of symmetric peers and of broadcast servers that are listened to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerTable {
    /// Ascending, each once.
    addresses: Box<[IpAddr]>,
}

impl PeerTable {
    /// A table of these addresses, the first [`MAX_PEERS`] of them.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut addresses: Vec<_> =
            addresses.into_iter().take(MAX_PEERS).map(|address| address.to_canonical()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Self { addresses: addresses.into() }
    }

    /// Whether an association waits for `message` of `sender`: one of its peers that speaks as peers do.
    #[must_use]
    pub fn claim(&self, sender: IpAddr, message: &[u8]) -> bool {
        Self::may_claim(message) && self.addresses.binary_search(&sender).is_ok()
    }

    /// Whether a peer would say this to an association: it asks or answers as peers do (modes 1 and 2), or broadcasts
    /// (mode 5). Nothing else that comes to the server's port is for an association: its requests as a client go out
    /// from ports of their own.
    #[inline]
    #[must_use]
    pub fn may_claim(message: &[u8]) -> bool {
        let mode = message.first().map(|first| Mode::from_bits(*first));
        matches!(mode, Some(Mode::SymmetricActive | Mode::SymmetricPassive | Mode::Broadcast))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    #[test]
    fn only_peers_speak_to_associations_and_only_as_peers_do() {
        let table =
            PeerTable::new(["10.77.0.9", "fd77::9", "::ffff:10.77.0.8", "10.77.0.9"].map(|it| it.parse().unwrap()));
        for peer in ["10.77.0.9", "10.77.0.8", "fd77::9"] {
            let claimed = (0..8).filter(|mode| table.claim(peer.parse().unwrap(), &[0x20 | mode]));
            assert_eq!(claimed.collect::<Vec<_>>(), [1, 2, 5], "{peer}");
            assert!(!table.claim(peer.parse().unwrap(), &[]));
        }
        assert!(!table.claim("10.77.0.7".parse().unwrap(), &[0x25]));
        assert!(!PeerTable::default().claim("10.77.0.9".parse().unwrap(), &[0x25]));
    }

    #[test]
    fn the_table_is_bounded() {
        let address = |number: u32| IpAddr::from(Ipv4Addr::from_bits(number));
        let table = PeerTable::new((0..1000).map(address));
        let claimed = (0..1000).filter(|&number| table.claim(address(number), &[0x25])).count();
        assert_eq!(claimed, MAX_PEERS);
    }
}
