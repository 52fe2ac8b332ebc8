//! NTP: how requests are answered, who is asked, and who is told unasked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidereal_ptp::MessageClass;
use std::net::IpAddr;

use super::FilterKind;
use crate::config::numbers::{Poll, Ratio, Share, Whole};
use crate::config::values::{Correction, HostAddress, Length, SourceName};

/// NTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ntp {
    /// The PTP domain whose messages carry NTP, where `over_ptp` says so; 123 by RFC 10030.
    pub over_ptp_domain: Whole<0, 255>,
    /// How NTP requests are answered.
    pub server: NtpServer,
    /// The NTP servers and peers whose time is measured, and followed where `clock.reference` says so.
    pub source: Vec<NtpSource>,
    /// Who the time is sent to unasked.
    pub broadcast: Vec<NtpBroadcast>,
}

impl Default for Ntp {
    fn default() -> Self {
        let over_ptp_domain = Whole::literal::<{ sidereal_ptp::NTP_DOMAIN as u32 }>();
        Self { over_ptp_domain, server: NtpServer::default(), source: Vec::new(), broadcast: Vec::new() }
    }
}

/// How NTP requests are answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NtpServer {
    /// The UDP port that is served.
    pub port: Whole<1, 65535>,
    /// Whether clients that ask for it get the true transmit times of earlier replies (RFC 9769).
    pub interleaved: bool,
    /// Whether requests that PTP carries (RFC 10030), to the UDP port 319, are answered too: NICs that stamp PTP alone stamp them.
    pub over_ptp: bool,
    /// How many interleaved clients each worker remembers.
    pub interleaved_clients: Whole<1, 16_777_216>,
    /// How often one client, or one network of clients, may ask; without this table as often as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

impl Default for NtpServer {
    fn default() -> Self {
        Self {
            port: Whole::literal::<123>(),
            interleaved: true,
            over_ptp: false,
            interleaved_clients: Whole::literal::<262_144>(),
            rate_limit: None,
        }
    }
}

/// How often one client, or one network of clients, may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per second that are answered in the long run, for each prefix.
    pub requests_per_second: Whole<1, 10_000_000>,
    /// Requests that may come at once after a pause.
    pub burst: Whole<1, 1_000_000>,
    /// IPv4 clients that share this many leading bits of their address share the limit.
    pub ipv4_prefix: Whole<1, 32>,
    /// IPv6 clients that share this many leading bits of their address share the limit.
    pub ipv6_prefix: Whole<1, 128>,
    /// How many prefixes each worker remembers.
    pub prefixes: Whole<1, 16_777_216>,
    /// Whether a client above its limit is told so now and then by a kiss-o'-death packet with the code RATE.
    pub kiss_of_death: bool,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            requests_per_second: Whole::literal::<1000>(),
            burst: Whole::literal::<64>(),
            ipv4_prefix: Whole::literal::<32>(),
            ipv6_prefix: Whole::literal::<64>(),
            prefixes: Whole::literal::<65_536>(),
            kiss_of_death: true,
        }
    }
}

/// An NTP server or peer whose time is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NtpSource {
    /// Its address or name. In the mode `broadcast` the address that it sends from.
    pub address: HostAddress,
    /// The name stands for many servers, and so many of them are wanted at a time; those that are no good are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Whole<1, 16>>,
    /// What it is called in `sidereal sources`; its address where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<SourceName>,
    /// Its UDP port.
    #[serde(default = "ntp_port")]
    pub port: Whole<1, 65535>,
    /// How we stand to it.
    #[serde(default)]
    pub mode: NtpMode,
    /// The version of NTP that it is spoken to in.
    #[serde(default = "version_4")]
    pub version: Whole<1, 4>,
    /// The number of the key that it is spoken to with, and must answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyNumber>,
    /// Whether Network Time Security is used (RFC 8915); refused in this release.
    #[serde(default)]
    pub nts: bool,
    /// Whether the true transmit times of its packets are asked for (RFC 9769); where it knows none, the basic mode is used.
    #[serde(default)]
    pub interleaved: bool,
    /// Whether PTP carries what is asked and answered (RFC 10030), from and to the UDP port 319: then NICs that stamp PTP alone
    /// stamp it, and switches that are transparent clocks say how long they kept it.
    #[serde(default)]
    pub over_ptp: bool,
    /// How often it is asked at most, as a power of two of a second: -6 to 17.
    #[serde(default = "min_poll")]
    pub min_poll: Poll,
    /// How often it is asked at least: where the noise is greater than the wander of our clock, less often is better.
    #[serde(default = "max_poll")]
    pub max_poll: Poll,
    /// Whether it is asked some times in quick succession at the start.
    #[serde(default = "yes")]
    pub iburst: bool,
    /// Whether it is asked some times in quick succession at each poll; ask only servers of your own like that.
    #[serde(default)]
    pub burst: bool,
    /// Exchanges that took longer are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Length>,
    /// Exchanges that took so many times as long as the shortest of late are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay_ratio: Option<Ratio>,
    /// What is added to its time, because the path to it is known to be longer one way than the other.
    #[serde(default)]
    pub offset: Correction,
    /// How far the path to it may make its time wrong at most, if you know: the bound is narrower by that, and false where it
    /// is not true. Half the round trip where nothing is said.
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
    /// Whether it is measured and never selected.
    #[serde(default)]
    pub noselect: bool,
}

impl NtpSource {
    /// The UDP port that it is asked at.
    #[must_use]
    pub fn udp_port(&self) -> u16 {
        if self.over_ptp { MessageClass::Event.udp_port() } else { self.port.to_u16() }
    }
}

fn ntp_port() -> Whole<1, 65535> {
    Whole::literal::<123>()
}

fn version_4() -> Whole<1, 4> {
    Whole::literal::<4>()
}

fn min_poll() -> Poll {
    Poll::literal::<6>()
}

fn max_poll() -> Poll {
    Poll::literal::<10>()
}

fn yes() -> bool {
    true
}

/// The number of a key in the file of keys.
pub type KeyNumber = Whole<1, { u32::MAX }>;

/// How we stand to an NTP source (RFC 5905 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NtpMode {
    /// We ask, it answers.
    #[default]
    Client,
    /// Each asks the other; needs a key.
    Symmetric,
    /// Likewise, but we speak when spoken to only; needs a key.
    SymmetricPassive,
    /// It sends to all. The way to it is measured once, by asking it.
    Broadcast,
}

/// Who the time is sent to unasked (RFC 5905 §3, RFC 9769 §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NtpBroadcast {
    /// The broadcast address of a network, or a multicast group.
    pub address: IpAddr,
    /// The UDP port it is sent to.
    #[serde(default = "ntp_port")]
    pub port: Whole<1, 65535>,
    /// How often, as a power of two of a second.
    #[serde(default = "min_poll")]
    pub poll: Poll,
    /// The number of the key that it is sent with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyNumber>,
    /// The version of NTP.
    #[serde(default = "version_4")]
    pub version: Whole<1, 4>,
    /// Whether each packet carries the true transmit time of the one before.
    #[serde(default)]
    pub interleaved: bool,
    /// How many routers a multicast packet may pass, the last network included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Whole<1, 255>>,
}
