//! PTP on a host.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::super::values::Length;
use super::{SourceFilter, eight, is_default, quarter};

/// An ordinary clock in one domain. Keys are those of the configuration, and mean and default to the same; see
/// [`sidereal_ptp::InstanceOptions`] and [`sidereal_ptp::PortOptions`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PtpTable {
    /// What is meant where nothing is said.
    #[serde(skip_serializing_if = "is_default")]
    pub profile: PtpProfile,
    /// The domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<Spanned<u8>>,
    /// The lower, the rather it leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority1: Option<u8>,
    /// The same, among clocks of one quality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority2: Option<u8>,
    /// Whether it never leads.
    #[serde(skip_serializing_if = "is_default")]
    pub slave_only: bool,
    /// Whether it never follows.
    #[serde(skip_serializing_if = "is_default")]
    pub master_only: bool,
    /// The hosts that it may follow; all where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acceptable_masters: Vec<Spanned<String>>,
    /// How good a master is taken to be that claims nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_accuracy: Option<Length>,
    /// What it speaks over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<PtpTransport>,
    /// How delay is measured.
    #[serde(skip_serializing_if = "is_default")]
    pub delay_mechanism: PtpDelayMechanism,
    /// minorVersionPTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor_version: Option<Spanned<u8>>,
    /// Intervals, as powers of two of a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_announce_interval: Option<Spanned<i8>>,
    /// After so many of them a master is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announce_receipt_timeout: Option<Spanned<u8>>,
    /// Of Sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_sync_interval: Option<Spanned<i8>>,
    /// Of Delay_Req.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_min_delay_req_interval: Option<Spanned<i8>>,
    /// Of Pdelay_Req.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_min_pdelay_req_interval: Option<Spanned<i8>>,
    /// Whether Delay_Req are unicast.
    #[serde(skip_serializing_if = "is_default")]
    pub hybrid: bool,
    /// Whether Sync is sent in one step, which takes a NIC that can.
    #[serde(skip_serializing_if = "is_default")]
    pub one_step: bool,
    /// Half of how much longer the way from the master is than the way to it.
    #[serde(skip_serializing_if = "is_default")]
    pub delay_asymmetry: Length,
    /// How late receive stamps are taken.
    #[serde(skip_serializing_if = "is_default")]
    pub ingress_latency: Length,
    /// How early transmit stamps are taken.
    #[serde(skip_serializing_if = "is_default")]
    pub egress_latency: Length,
    /// How asymmetric the path may be; see [`sidereal_servo::FilterOptions`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asymmetry_limit: Option<Length>,
    /// Which readings are used.
    #[serde(skip_serializing_if = "is_default")]
    pub filter: SourceFilter,
    /// How many readings the filter looks at.
    pub filter_length: u16,
    /// The share of readings that a quantile filter lets pass.
    pub quantile: f64,
    /// See [`sidereal_engine::Flags`].
    #[serde(skip_serializing_if = "is_default")]
    pub prefer: bool,
    /// See [`sidereal_engine::Flags`].
    #[serde(skip_serializing_if = "is_default")]
    pub trust: bool,
    /// See [`sidereal_engine::Flags`].
    #[serde(skip_serializing_if = "is_default")]
    pub require: bool,
    /// See [`sidereal_engine::Flags`].
    #[serde(skip_serializing_if = "is_default")]
    pub noselect: bool,
}

impl Default for PtpTable {
    /// An ordinary clock of the default profile, of which nothing is said.
    fn default() -> Self {
        Self {
            profile: PtpProfile::default(),
            domain: None,
            priority1: None,
            priority2: None,
            slave_only: false,
            master_only: false,
            acceptable_masters: Vec::new(),
            unknown_accuracy: None,
            transport: None,
            delay_mechanism: PtpDelayMechanism::default(),
            minor_version: None,
            log_announce_interval: None,
            announce_receipt_timeout: None,
            log_sync_interval: None,
            log_min_delay_req_interval: None,
            log_min_pdelay_req_interval: None,
            hybrid: false,
            one_step: false,
            delay_asymmetry: Length::default(),
            ingress_latency: Length::default(),
            egress_latency: Length::default(),
            asymmetry_limit: None,
            filter: SourceFilter::default(),
            filter_length: eight(),
            quantile: quarter(),
            prefer: false,
            trust: false,
            require: false,
            noselect: false,
        }
    }
}

/// See [`sidereal_ptp::Profile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PtpProfile {
    /// Those of IEEE 1588.
    #[default]
    Default,
    /// ITU-T G.8275.1.
    #[serde(rename = "g8275_1")]
    G8275_1,
    /// ITU-T G.8275.2.
    #[serde(rename = "g8275_2")]
    G8275_2,
}

/// See [`sidereal_ptp::Transport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PtpTransport {
    /// UDP over IPv4.
    UdpIpv4,
    /// UDP over IPv6.
    UdpIpv6,
    /// Ethernet alone.
    Ethernet,
}

/// See [`sidereal_ptp::DelayMechanism`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PtpDelayMechanism {
    /// Between master and follower, whatever is on the way.
    #[default]
    E2e,
    /// Between neighbours.
    P2p,
}
