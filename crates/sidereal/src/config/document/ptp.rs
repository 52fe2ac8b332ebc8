//! PTP: the instances, each with its port.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::FilterKind;
use crate::config::numbers::{LogInterval, Share, Whole};
use crate::config::values::{
    Correction, Identity, Length, MasterIdentity, PortName, Prefix, SourceName, UserDescription,
};

/// A PTP Instance: an ordinary clock in one domain (IEEE 1588-2019), which leads while its clock is the best, and else
/// follows. As a source it is judged as the others are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PtpTable {
    /// What it is called in `sidereal ptp` and `sidereal sources`.
    pub name: SourceName,
    /// What holds where nothing else is said.
    #[serde(default)]
    pub profile: PtpProfile,
    /// domainNumber: instances of different domains do not see each other. 0; 24 of "g8275_1", 44 of "g8275_2".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Whole<0, 255>>,
    /// sdoId: whose use of PTP this is, 0 but for other standards (0x100 is IEEE 802.1AS). Its upper four bits are
    /// transportSpecific of older versions.
    #[serde(default = "zero::<0xfff>")]
    pub sdo_id: Whole<0, 0xfff>,
    /// clockIdentity, sixteen hexadecimal digits; made of the port's MAC address where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// priority1: what the best master clock algorithm compares first, lower is better; "g8275_1" and "g8275_2" do not
    /// compare it.
    #[serde(default = "middle")]
    pub priority1: Whole<0, 255>,
    /// priority2: what it compares among clocks of one quality, lower is better.
    #[serde(default = "middle")]
    pub priority2: Whole<0, 255>,
    /// localPriority of our own clock in the comparison of "g8275_1" and "g8275_2", lower is better.
    #[serde(default = "middle_local")]
    pub local_priority: Whole<1, 255>,
    /// Whether it never leads.
    #[serde(default)]
    pub slave_only: bool,
    /// Whether its Announce messages carry the clocks that they have come by, and those that have come by us are left out.
    #[serde(default)]
    pub path_trace: bool,
    /// The only masters that are followed; all where none is named.
    #[serde(default)]
    pub acceptable_masters: Vec<AcceptableMasterTable>,
    /// What is made of a master whose time scale is its own, not that of PTP.
    #[serde(default)]
    pub arbitrary_timescale: ArbitraryTimescale,
    /// How far off a master is taken to be that does not say how far off it is.
    #[serde(default = "unknown_accuracy")]
    pub unknown_accuracy: Length,
    /// What management clients are told that this clock is: name and place, at most 128 bytes.
    #[serde(default)]
    pub user_description: UserDescription,
    /// Who may read its data sets over the network; nobody where none is named. Nobody may change them but over
    /// `ops.ptp_management`.
    #[serde(default)]
    pub management_access: Vec<Prefix>,
    /// What is added to the masters' time.
    #[serde(default)]
    pub offset: Correction,
    /// How far the path may make their time wrong at most, if you know: the bound is narrower by that, and false where it is
    /// not true. Half the round trip where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asymmetry_limit: Option<Length>,
    /// Which of its measurements are passed on.
    #[serde(default)]
    pub filter: FilterKind,
    /// How many measurements the filter looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_length: Option<Whole<1, 64>>,
    /// Which of them the filter `quantile` passes on: 0 is the shortest delay, 0.5 the middle one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<Share>,
    /// Whether it is preferred where several are good.
    #[serde(default)]
    pub prefer: bool,
    /// Whether nothing is selected while it is not good.
    #[serde(default)]
    pub require: bool,
    /// Whether it is taken to be right: who disagrees with all that are trusted is a falseticker.
    #[serde(default)]
    pub trust: bool,
    /// Whether masters are measured and never selected.
    #[serde(default)]
    pub noselect: bool,
    /// Its PTP Port, exactly one.
    #[serde(default)]
    pub port: Vec<PtpPortTable>,
}

/// The PTP Port of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PtpPortTable {
    /// The name of the `[[port]]` that it speaks on. A kernel port needs an `interface`.
    pub port: PortName,
    /// What its messages travel in: "udp_ipv4", of "g8275_1" "ethernet".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<PtpTransport>,
    /// The VLAN of its messages, on a DPDK port, which must accept it; untagged where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Whole<1, 4094>>,
    /// How the way to others is measured.
    #[serde(default)]
    pub delay_mechanism: DelayMechanism,
    /// minorVersionPTP of what it sends: 1 is that of 2019; 0, that of 2008, is for switches and NICs that know no other.
    #[serde(default = "minor_version_1")]
    pub minor_version: Whole<0, 1>,
    /// logAnnounceInterval, as a power of two of a second: how often it says who it is while it leads. 1; 0 of "enterprise"
    /// and "g8275_2", -3 of "g8275_1".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_announce_interval: Option<LogInterval>,
    /// announceReceiptTimeout: how many of these a master may be silent. 3; 4 of "enterprise", but for `master_only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announce_receipt_timeout: Option<Whole<2, 255>>,
    /// logSyncInterval, as a power of two of a second: how often it tells the time while it leads. 0; -4 of "g8275_1" and
    /// "g8275_2".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_sync_interval: Option<LogInterval>,
    /// logMinDelayReqInterval, as a power of two of a second: how often those who follow may ask. 0; -4 of "g8275_1" and
    /// "g8275_2".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_min_delay_req_interval: Option<LogInterval>,
    /// logMinPdelayReqInterval, as a power of two of a second: how often the way to the neighbour is measured.
    #[serde(default = "each_second")]
    pub log_min_pdelay_req_interval: LogInterval,
    /// masterOnly: whether it never follows.
    #[serde(default)]
    pub master_only: bool,
    /// Whether it asks its master alone, not all: Delay_Req by unicast while Sync comes by multicast. False; true of
    /// "enterprise".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hybrid: Option<bool>,
    /// delayAsymmetry: by how much the way from the master is longer than the mean of both ways.
    #[serde(default)]
    pub delay_asymmetry: Correction,
    /// ingressLatency: how late its stamps of arriving messages are.
    #[serde(default)]
    pub ingress_latency: Correction,
    /// egressLatency: how early its stamps of leaving messages are.
    #[serde(default)]
    pub egress_latency: Correction,
    /// localPriority of the masters that it hears, in the comparison of "g8275_1" and "g8275_2", lower is better.
    #[serde(default = "middle_local")]
    pub local_priority: Whole<1, 255>,
}

/// A master that may be followed (IEEE 1588-2019 17.5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptableMasterTable {
    /// clockIdentity, with `-` and the number of the port where only one is meant: `001122.fffe.334455-1`.
    pub identity: MasterIdentity,
    /// alternatePriority1: what is taken for its priority1; its own where this is 0.
    #[serde(default = "zero::<255>")]
    pub alternate_priority1: Whole<0, 255>,
}

/// What holds where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PtpProfile {
    /// The default profile (IEEE 1588-2019 I.3).
    #[default]
    Default,
    /// Telecommunication with full timing support (ITU-T G.8275.1).
    #[serde(rename = "g8275_1")]
    G8275_1,
    /// Telecommunication with partial timing support (ITU-T G.8275.2), by multicast.
    #[serde(rename = "g8275_2")]
    G8275_2,
    /// Enterprises (RFC 9760).
    Enterprise,
}

/// What PTP messages travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum PtpTransport {
    /// UDP over IPv4 (Annex C)
    UdpIpv4,
    /// UDP over IPv6 (Annex D)
    UdpIpv6,
    /// Ethernet frames (Annex E)
    Ethernet,
}

/// How the way to others is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum DelayMechanism {
    /// To the master and back, through all that is between (11.3)
    #[default]
    E2e,
    /// To the neighbour on the link and back; all that is between must do so too (11.4)
    P2p,
}

impl From<PtpTransport> for sidereal_ptp::Transport {
    fn from(transport: PtpTransport) -> Self {
        match transport {
            PtpTransport::UdpIpv4 => Self::UdpIpv4,
            PtpTransport::UdpIpv6 => Self::UdpIpv6,
            PtpTransport::Ethernet => Self::Ethernet,
        }
    }
}

impl From<DelayMechanism> for sidereal_ptp::DelayMechanism {
    fn from(mechanism: DelayMechanism) -> Self {
        match mechanism {
            DelayMechanism::E2e => Self::E2e,
            DelayMechanism::P2p => Self::P2p,
        }
    }
}

impl From<ArbitraryTimescale> for sidereal_ptp::ArbitraryTimescale {
    fn from(timescale: ArbitraryTimescale) -> Self {
        match timescale {
            ArbitraryTimescale::Refuse => Self::Refuse,
            ArbitraryTimescale::Utc => Self::Utc,
            ArbitraryTimescale::Tai => Self::Tai,
        }
    }
}

/// What is made of a master whose time scale is its own (7.2.1): it counts seconds of whatever it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArbitraryTimescale {
    /// It is not followed.
    #[default]
    Refuse,
    /// It is taken to tell UTC, as masters do that read a system clock.
    Utc,
    /// It is taken to tell TAI, as PTP does.
    Tai,
}

fn zero<const MAX: u32>() -> Whole<0, MAX> {
    Whole::literal::<0>()
}

fn each_second() -> LogInterval {
    LogInterval::literal::<0>()
}

fn middle() -> Whole<0, 255> {
    Whole::literal::<128>()
}

fn middle_local() -> Whole<1, 255> {
    Whole::literal::<128>()
}

fn minor_version_1() -> Whole<0, 1> {
    Whole::literal::<1>()
}

fn unknown_accuracy() -> Length {
    Length(Duration::from_millis(10))
}
