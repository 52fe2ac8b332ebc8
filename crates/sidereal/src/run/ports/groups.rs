//! Membership in the groups of PTP on ports of DPDK.
//!
//! The workers hear what is sent to a group, whoever has joined it; but switches that look into IGMP and MLD (RFC 4541) pass
//! it on only to where somebody has. The kernel says so on the TAP interface, as it does for its own sockets.

use nix::net::if_::if_nametoindex;
use sidereal_dataplane::PtpService;
use sidereal_ptp::{Destination, Transport};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use tracing::warn;

use crate::config::{DpdkPort, Port};

/// Sockets that have joined the groups: nothing is sent to them, and who drops them leaves.
#[derive(Debug, Default)]
pub(in crate::run) struct Memberships {
    _sockets: Vec<UdpSocket>,
}

impl Memberships {
    /// Joins the groups of the PTP Ports that `port` carries without a VLAN tag: the TAP interface has none.
    pub(in crate::run) fn join(port: &Port, dpdk: &DpdkPort, services: &[PtpService]) -> Self {
        let untagged = || services.iter().map(|service| &service.framing).filter(|framing| framing.vlan().is_none());
        let speaks = |transport| untagged().any(|framing| framing.transport() == transport);
        let joined =
            [speaks(Transport::UdpIpv4).then(|| join_ipv4(dpdk)), speaks(Transport::UdpIpv6).then(|| join_ipv6(dpdk))];
        let mut memberships = Self::default();
        for joined in joined.into_iter().flatten() {
            match joined {
                Ok(socket) => memberships._sockets.push(socket),
                Err(error) => warn!(
                    port = %port.name,
                    %error,
                    "the groups of PTP cannot be joined: switches that snoop may keep their messages back"
                ),
            }
        }
        memberships
    }
}

const GROUPS: [Destination; 2] = [Destination::Primary, Destination::PeerDelay];

fn join_ipv4(dpdk: &DpdkPort) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let own = dpdk.addresses.iter().find_map(|net| match net {
        ipnet::IpNet::V4(net) => Some(net.addr()),
        ipnet::IpNet::V6(_) => None,
    });
    for group in GROUPS.into_iter().filter_map(Destination::ipv4_group) {
        socket.join_multicast_v4(&group, &own.unwrap_or(Ipv4Addr::UNSPECIFIED))?;
    }
    Ok(socket)
}

fn join_ipv6(dpdk: &DpdkPort) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0))?;
    let index = if_nametoindex(dpdk.tap.as_str())?;
    for group in GROUPS.into_iter().filter_map(Destination::ipv6_group) {
        socket.join_multicast_v6(&group, index)?;
    }
    Ok(socket)
}
