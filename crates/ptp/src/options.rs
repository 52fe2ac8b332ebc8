//! How a PTP Instance and its port behave.

use ipnet::IpNet;
use sidereal_time::Span;

use crate::acceptable::AcceptableMasters;
use crate::address::{Address, PortKey, Transport};
use crate::data_sets::DelayMechanism;
use crate::grandmaster::Profile;
use crate::identity::ClockIdentity;
use crate::message::SdoId;

/// The shortest interval between messages that is kept: 2^-7 s, 128 a second.
pub const MIN_LOG_INTERVAL: i8 = -7;
/// The longest: 2^6 s.
pub const MAX_LOG_INTERVAL: i8 = 6;

/// Which best master clock algorithm compares data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Bmca {
    /// That of IEEE 1588-2019 9.3.
    #[default]
    Default,
    /// The alternate one of ITU-T G.8275.1 and G.8275.2, which knows local priorities.
    Alternate,
}

/// What to make of a master whose timescale is not PTP (ptpTimescale FALSE, IEEE 1588-2019 7.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ArbitraryTimescale {
    /// It tells no time that is known: its port is followed, its readings are not used.
    #[default]
    Refuse,
    /// It tells UTC.
    Utc,
    /// It tells TAI.
    Tai,
}

/// How a PTP Instance behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceOptions {
    /// defaultDS.clockIdentity.
    pub identity: ClockIdentity,
    /// defaultDS.domainNumber.
    pub domain: u8,
    /// defaultDS.sdoId.
    pub sdo_id: SdoId,
    /// defaultDS.priority1.
    pub priority1: u8,
    /// defaultDS.priority2.
    pub priority2: u8,
    /// defaultDS.localPriority of the alternate algorithm, 1 to 255.
    pub local_priority: u8,
    /// defaultDS.slaveOnly: it never leads.
    pub slave_only: bool,
    /// Which algorithm compares data sets.
    pub bmca: Bmca,
    /// Whose clockClasses are told.
    pub profile: Profile,
    /// Whether a PATH_TRACE TLV is sent with Announce (IEEE 1588-2019 16.2). One that is received is heeded either way.
    pub path_trace: bool,
    /// Who may be followed (IEEE 1588-2019 17.5).
    pub acceptable_masters: AcceptableMasters,
    /// What to make of a master whose timescale is not PTP.
    pub arbitrary_timescale: ArbitraryTimescale,
    /// How good a master is taken to be that claims no clockAccuracy.
    pub unknown_accuracy: Span,
    /// userDescription (IEEE 1588-2019 15.5.3.1.8).
    pub user_description: String,
    /// From where management messages are answered; those of the network may only ask, never change.
    pub management_access: Vec<IpNet>,
    /// Its one port.
    pub port: PortOptions,
}

/// How a PTP Port behaves. Intervals are binary logarithms of seconds; what is beyond [`MIN_LOG_INTERVAL`] and
/// [`MAX_LOG_INTERVAL`] is taken as the nearest of these.
#[derive(Debug, Clone, PartialEq)]
pub struct PortOptions {
    /// Which port of the configuration this is.
    pub key: PortKey,
    /// portDS.portIdentity.portNumber, from 1.
    pub number: u16,
    /// The interface that it is on, as the operating system calls it: for those who ask by management messages.
    pub interface: String,
    /// What it speaks over.
    pub transport: Transport,
    /// Its own address, where it is known: tells our messages that come back from those of somebody with our identity.
    pub protocol_address: Option<Address>,
    /// portDS.delayMechanism.
    pub delay_mechanism: DelayMechanism,
    /// minorVersionPTP of what is sent, 0 or 1: some devices of the 2008 edition refuse 1.
    pub minor_version: u8,
    /// portDS.logAnnounceInterval.
    pub log_announce_interval: i8,
    /// portDS.announceReceiptTimeout: Announce intervals without Announce after which a master is given up; 2 to 255.
    pub announce_receipt_timeout: u8,
    /// portDS.logSyncInterval.
    pub log_sync_interval: i8,
    /// portDS.logMinDelayReqInterval: what a leader allows, and how often at most a follower asks.
    pub log_min_delay_req_interval: i8,
    /// portDS.logMinPdelayReqInterval.
    pub log_min_pdelay_req_interval: i8,
    /// portDS.masterOnly: it never follows.
    pub master_only: bool,
    /// Whether Delay_Req is sent to the master's own address (IEEE 1588-2019 16.9, RFC 9760 §6).
    pub hybrid: bool,
    /// Whether Sync is sent in one step: only where the port writes the time into a message as it leaves.
    pub one_step: bool,
    /// portDS.delayAsymmetry: half of how much longer the way from the master is than the way to it (IEEE 1588-2019 7.4.2).
    pub delay_asymmetry: Span,
    /// From when a message passes the reference plane to when its receive stamp is taken (IEEE 1588-2019 7.3.4).
    pub ingress_latency: Span,
    /// From when its transmit stamp is taken to when a message passes the reference plane.
    pub egress_latency: Span,
    /// portDS.localPriority of the alternate algorithm, 1 to 255.
    pub local_priority: u8,
}

impl Default for InstanceOptions {
    fn default() -> Self {
        Self::of(Profile::Default)
    }
}

impl InstanceOptions {
    /// What the profile says where nothing else is said (IEEE 1588-2019 I.3, ITU-T G.8275.1 annex A, G.8275.2 annex A).
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        let telecom = profile != Profile::Default;
        Self {
            identity: ClockIdentity::default(),
            domain: match profile {
                Profile::Default => 0,
                Profile::G8275_1 => 24,
                Profile::G8275_2 => 44,
            },
            sdo_id: SdoId::DEFAULT,
            priority1: 128,
            priority2: 128,
            local_priority: 128,
            slave_only: false,
            bmca: if telecom { Bmca::Alternate } else { Bmca::Default },
            profile,
            path_trace: false,
            acceptable_masters: AcceptableMasters::default(),
            arbitrary_timescale: ArbitraryTimescale::Refuse,
            unknown_accuracy: Span::from_nanos(10_000_000),
            user_description: String::new(),
            management_access: Vec::new(),
            port: PortOptions::of(profile),
        }
    }
}

impl PortOptions {
    /// What the profile says where nothing else is said.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        let (transport, log_announce_interval, log_sync_interval, log_min_delay_req_interval) = match profile {
            Profile::Default => (Transport::UdpIpv4, 1, 0, 0),
            Profile::G8275_1 => (Transport::Ethernet, -3, -4, -4),
            Profile::G8275_2 => (Transport::UdpIpv4, 0, -4, -4),
        };
        Self {
            key: PortKey(0),
            number: 1,
            interface: String::new(),
            transport,
            protocol_address: None,
            delay_mechanism: DelayMechanism::E2e,
            minor_version: 1,
            log_announce_interval,
            announce_receipt_timeout: 3,
            log_sync_interval,
            log_min_delay_req_interval,
            log_min_pdelay_req_interval: 0,
            master_only: false,
            hybrid: false,
            one_step: false,
            delay_asymmetry: Span::ZERO,
            ingress_latency: Span::ZERO,
            egress_latency: Span::ZERO,
            local_priority: 128,
        }
    }
}

impl Default for PortOptions {
    fn default() -> Self {
        Self::of(Profile::Default)
    }
}

/// 2^`exponent` s, or the nearest interval that is kept.
pub(crate) fn interval(exponent: i8) -> Span {
    // The exponents are between -7 and 6, and a second has 25 factors of two: neither shift loses a bit.
    let second = Span::SECOND.units();
    match exponent.clamp(MIN_LOG_INTERVAL, MAX_LOG_INTERVAL) {
        exponent @ ..0 => Span::from_units(second >> exponent.unsigned_abs()),
        exponent => Span::from_units(second << exponent.unsigned_abs()),
    }
}
