//! Who asks.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::OptionError;

/// The clients' addresses: the first hosts of a prefix, one for each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clients {
    prefix: IpNet,
    count: u32,
}

impl Clients {
    /// `count` clients within `prefix`.
    ///
    /// # Errors
    /// Where there are none, or more than the prefix has addresses for hosts.
    pub fn new(prefix: IpNet, count: u32) -> Result<Self, OptionError> {
        let room = Self::room(prefix);
        match count {
            0 => Err(OptionError::NoClients),
            count if u64::from(count) > room => Err(OptionError::PrefixTooSmall { prefix, count, room }),
            count => Ok(Self { prefix: prefix.trunc(), count }),
        }
    }

    /// How many hosts there are in `prefix`, without the network's own and the broadcast address; at most 2^32.
    #[must_use]
    pub fn room(prefix: IpNet) -> u64 {
        let host_bits = prefix.max_prefix_len() - prefix.prefix_len();
        (1_u64 << host_bits.min(32)).saturating_sub(2)
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The address of one, counted from 0.
    #[must_use]
    pub fn address(&self, client: u32) -> IpAddr {
        let host = client.wrapping_add(1);
        match self.prefix {
            IpNet::V4(prefix) => Ipv4Addr::from_bits(prefix.addr().to_bits() | host).into(),
            IpNet::V6(prefix) => Ipv6Addr::from_bits(prefix.addr().to_bits() | u128::from(host)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_an_address_of_its_own_in_the_prefix() {
        for prefix in ["10.77.64.0/18", "fd77:0:0:1::/64"] {
            let prefix: IpNet = prefix.parse().unwrap();
            let clients = Clients::new(prefix, 16_382).unwrap();
            let mut addresses: Vec<IpAddr> = (0..clients.count()).map(|client| clients.address(client)).collect();
            assert!(addresses.iter().all(|address| prefix.contains(address)));
            assert!(!addresses.contains(&prefix.network()) && !addresses.contains(&prefix.broadcast()));
            addresses.sort();
            addresses.dedup();
            assert_eq!(addresses.len(), 16_382);
        }
    }

    #[test]
    fn prefixes_have_room_or_are_refused() {
        let prefix = |text: &str| text.parse::<IpNet>().unwrap();
        assert_eq!(Clients::room(prefix("10.0.0.0/30")), 2);
        assert_eq!(Clients::room(prefix("10.0.0.0/32")), 0);
        assert_eq!(Clients::room(prefix("::/0")), (1 << 32) - 2);
        assert_eq!(Clients::new(prefix("10.0.0.0/30"), 0), Err(OptionError::NoClients));
        assert!(Clients::new(prefix("10.0.0.0/30"), 2).is_ok());
        let error = Clients::new(prefix("10.0.0.0/30"), 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "10.0.0.0/30 has room for 2 clients, not for 3: take a shorter prefix or fewer clients"
        );
    }
}
