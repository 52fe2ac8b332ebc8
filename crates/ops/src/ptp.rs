//! The document of `sidereal ptp`. Data sets and their members have the names of IEEE 1588-2019 8.2, in snake case; times
//! are in nanoseconds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The PTP instances, in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ptp {
    /// The instances.
    pub instances: Vec<PtpInstance>,
}

/// A PTP instance, an ordinary clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PtpInstance {
    /// Its name.
    pub name: String,
    /// What its messages travel in: `udp_ipv4`, `udp_ipv6` or `ethernet`.
    pub transport: String,
    /// What is thought of it as a source, in a word: `selected`, `falseticker` and so on, as `sidereal sources` has it.
    pub state: String,
    /// Why, in words.
    pub reason: String,
    /// What the instance is.
    pub default_ds: PtpDefaultDs,
    /// How far its master is.
    pub current_ds: PtpCurrentDs,
    /// Who its master is, and whom that follows.
    pub parent_ds: PtpParentDs,
    /// What the grandmaster says of its timescale.
    pub time_properties_ds: PtpTimePropertiesDs,
    /// What its port is and does.
    pub port_ds: PtpPortDs,
    /// The masters that are heard.
    pub foreign_masters: Vec<PtpForeignMaster>,
    /// What was sent, received, left out and lost, by name; what never occurred is absent.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
}

/// What the instance is (8.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PtpDefaultDs {
    /// clockIdentity.
    pub clock_identity: String,
    /// numberPorts.
    pub number_ports: u16,
    /// clockQuality: how good our clock is now.
    pub clock_quality: PtpClockQuality,
    /// priority1.
    pub priority1: u8,
    /// priority2.
    pub priority2: u8,
    /// domainNumber.
    pub domain_number: u8,
    /// slaveOnly.
    pub slave_only: bool,
    /// sdoId.
    pub sdo_id: u16,
    /// localPriority (ITU-T G.8275.1).
    pub local_priority: u8,
}

/// How good a clock is (7.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PtpClockQuality {
    /// clockClass: 6 is locked to a primary reference, 7 was so until of late, 248 is any other, 255 never leads.
    pub clock_class: u8,
    /// clockAccuracy, as the number that messages carry: 33 (0x21) is within 100 ns, 254 (0xfe) unknown.
    pub clock_accuracy: u8,
    /// offsetScaledLogVariance; 65535 is unknown.
    pub offset_scaled_log_variance: u16,
}

/// How far the master is (8.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PtpCurrentDs {
    /// stepsRemoved: how many links the grandmaster is away; 0 where that is this clock.
    pub steps_removed: u16,
    /// offsetFromMaster: our time less the master's, as last measured, in nanoseconds.
    pub offset_from_master_ns: f64,
    /// meanDelay: of the way from the master, in nanoseconds.
    pub mean_delay_ns: f64,
    /// synchronizationUncertain.
    pub synchronization_uncertain: bool,
}

/// Who the master is, and whom it follows (8.2.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PtpParentDs {
    /// parentPortIdentity: the port that is followed; port 0 of this clock where none is.
    pub parent_port_identity: String,
    /// parentStats.
    pub parent_stats: bool,
    /// observedParentOffsetScaledLogVariance; 65535 where it is not measured.
    pub observed_parent_offset_scaled_log_variance: u16,
    /// observedParentClockPhaseChangeRate; 2147483647 where it is not measured.
    pub observed_parent_clock_phase_change_rate: i32,
    /// grandmasterIdentity.
    pub grandmaster_identity: String,
    /// grandmasterClockQuality.
    pub grandmaster_clock_quality: PtpClockQuality,
    /// grandmasterPriority1.
    pub grandmaster_priority1: u8,
    /// grandmasterPriority2.
    pub grandmaster_priority2: u8,
    /// protocolAddress: where the messages of the port that is followed come from; absent where none is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_address: Option<String>,
    /// synchronizationUncertain, as the parent says.
    pub synchronization_uncertain: bool,
}

/// What the grandmaster says of its timescale (8.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PtpTimePropertiesDs {
    /// currentUtcOffset: TAI - UTC, in seconds.
    pub current_utc_offset: i16,
    /// currentUtcOffsetValid: whether that is known to be right.
    pub current_utc_offset_valid: bool,
    /// leap59: the last minute of this day has 59 seconds.
    pub leap59: bool,
    /// leap61: the last minute of this day has 61 seconds.
    pub leap61: bool,
    /// timeTraceable.
    pub time_traceable: bool,
    /// frequencyTraceable.
    pub frequency_traceable: bool,
    /// ptpTimescale: whether the timescale is TAI, and not one of the grandmaster's own.
    pub ptp_timescale: bool,
    /// timeSource, as the number that messages carry.
    pub time_source: u8,
    /// timeSource in words: `gnss`, `ntp`, `internal_oscillator` and so on.
    pub time_source_name: String,
}

/// What a port is and does (8.2.15).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PtpPortDs {
    /// portIdentity.
    pub port_identity: String,
    /// portState: `MASTER`, `SLAVE`, `LISTENING` and so on, as the standard writes them.
    pub port_state: String,
    /// logMinDelayReqInterval.
    pub log_min_delay_req_interval: i8,
    /// meanLinkDelay, in nanoseconds; 0 where the neighbour is not measured.
    pub mean_link_delay_ns: f64,
    /// logAnnounceInterval.
    pub log_announce_interval: i8,
    /// announceReceiptTimeout.
    pub announce_receipt_timeout: u8,
    /// logSyncInterval.
    pub log_sync_interval: i8,
    /// delayMechanism: `E2E` or `P2P`.
    pub delay_mechanism: String,
    /// logMinPdelayReqInterval.
    pub log_min_pdelay_req_interval: i8,
    /// versionNumber.
    pub version_number: u8,
    /// minorVersionNumber.
    pub minor_version_number: u8,
    /// delayAsymmetry, in nanoseconds.
    pub delay_asymmetry_ns: f64,
    /// portEnable.
    pub port_enable: bool,
    /// masterOnly.
    pub master_only: bool,
}

/// A master that is heard (9.3.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PtpForeignMaster {
    /// Its portIdentity.
    pub port_identity: String,
    /// Whether it has been heard often enough to be followed.
    pub qualified: bool,
    /// Its grandmaster's identity.
    pub grandmaster_identity: String,
    /// Its grandmaster's quality.
    pub grandmaster_clock_quality: PtpClockQuality,
    /// Its grandmaster's priority1.
    pub grandmaster_priority1: u8,
    /// Its grandmaster's priority2.
    pub grandmaster_priority2: u8,
    /// How many links its grandmaster is away from it.
    pub steps_removed: u16,
    /// Where its messages come from; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A PTP instance in short, for `sidereal status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PtpSummary {
    /// Its name.
    pub name: String,
    /// Its domain.
    pub domain_number: u8,
    /// What its messages travel in.
    pub transport: String,
    /// The state of its port.
    pub port_state: String,
    /// The clock that it takes its time from, or gives it to others as: its own identity while it leads.
    pub grandmaster_identity: String,
    /// Our time less the master's, as last measured, in nanoseconds; absent where none is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_from_master_ns: Option<f64>,
}
