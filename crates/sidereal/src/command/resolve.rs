//! Names on the command line.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Which of a name's addresses are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    /// As `--ipv4` and `--ipv6` say it.
    pub(super) const fn of(ipv4: bool, ipv6: bool) -> Self {
        match (ipv4, ipv6) {
            (true, _) => Self::V4,
            (false, true) => Self::V6,
            (false, false) => Self::Any,
        }
    }

    pub(super) const fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// The first address of `host` that is wanted, or why there is none.
pub(super) fn resolve(host: &str, port: u16, family: Family) -> Result<SocketAddr, String> {
    let mut addresses =
        (host, port).to_socket_addrs().map_err(|error| format!("cannot resolve \"{host}\": {error}"))?;
    addresses.find(|address| family.has(address.ip())).ok_or_else(|| match family {
        Family::V6 => format!("\"{host}\" has no IPv6 address"),
        Family::V4 | Family::Any => format!("\"{host}\" has no IPv4 address"),
    })
}
