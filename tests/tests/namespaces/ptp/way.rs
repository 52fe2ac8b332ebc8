//! The ways of speaking PTP that both Sidereal and linuxptp know.

use sidereal_tests::{Options, Transport};

/// A way of speaking PTP.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// For the names of namespaces.
    pub(super) label: &'static str,
    /// As we call what its messages travel in, and as ptp4l does.
    pub(super) transport: [&'static str; 2],
    pub(super) mechanism: &'static str,
    pub(super) hybrid: bool,
    /// The telecommunication profile of ITU-T G.8275.1: domain 24, and a comparison of its own.
    pub(super) telecom: bool,
}

pub(super) const ETHERNET: Way =
    Way { label: "l2", transport: ["ethernet", "L2"], mechanism: "e2e", hybrid: false, telecom: false };
pub(super) const ETHERNET_P2P: Way = Way { label: "l2p", mechanism: "p2p", ..ETHERNET };
pub(super) const UDP_IPV4: Way = Way { label: "v4", transport: ["udp_ipv4", "UDPv4"], ..ETHERNET };
pub(super) const UDP_IPV4_P2P: Way = Way { label: "v4p", mechanism: "p2p", ..UDP_IPV4 };
pub(super) const UDP_IPV6: Way = Way { label: "v6", transport: ["udp_ipv6", "UDPv6"], ..ETHERNET };
pub(super) const UDP_IPV6_P2P: Way = Way { label: "v6p", mechanism: "p2p", ..UDP_IPV6 };
pub(super) const HYBRID: Way = Way { label: "hyb", hybrid: true, ..UDP_IPV4 };
pub(super) const TELECOM: Way = Way { label: "tel", telecom: true, ..ETHERNET };

impl Way {
    pub(super) const fn domain(self) -> u8 {
        if self.telecom { 24 } else { 0 }
    }

    pub(super) fn ptp4l_leads(self) -> String {
        self.ptp4l("priority1 10\nclockClass 6")
    }

    pub(super) fn ptp4l_follows(self) -> String {
        self.ptp4l("slaveOnly 1\nclockClass 255")
    }

    fn ptp4l(self, more: &str) -> String {
        let telecom = if self.telecom { "dataset_comparison G.8275.x\n" } else { "" };
        format!(
            "network_transport {}\ndelay_mechanism {}\nhybrid_e2e {}\ndomainNumber {}\n{telecom}logAnnounceInterval -2\n\
             logSyncInterval -3\nlogMinDelayReqInterval -3\nlogMinPdelayReqInterval -3\n{more}",
            self.transport[1],
            self.mechanism.to_uppercase(),
            u8::from(self.hybrid),
            self.domain(),
        )
    }

    pub(super) fn options(self, transport: Transport, more: &str) -> Options {
        let profile = if self.telecom { "g8275_1" } else { "default" };
        let tables = format!(
            "[[ptp]]\nname = \"lan\"\nprofile = \"{profile}\"\narbitrary_timescale = \"utc\"\n[[ptp.port]]\nport = \"lan0\"\n\
             transport = \"{}\"\ndelay_mechanism = \"{}\"\nhybrid = {}\nlog_announce_interval = -2\nlog_sync_interval = -3\n\
             log_min_delay_req_interval = -3\nlog_min_pdelay_req_interval = -3\n{more}",
            self.transport[0], self.mechanism, self.hybrid,
        );
        Options { bound: true, tables, ..Options::new(transport) }
    }
}
