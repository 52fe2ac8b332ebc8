//! The data sets of an ordinary clock, under the names that the standard gives them (IEEE 1588-2019 8.2).

use sidereal_time::Span;

use crate::address::Address;
use crate::identity::{ClockIdentity, PortIdentity};
use crate::message::{Announce, ClockQuality, Flags, SdoId, TimeSource};

/// What a PTP Instance is (defaultDS, IEEE 1588-2019 8.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultDs {
    /// clockIdentity.
    pub clock_identity: ClockIdentity,
    /// numberPorts.
    pub number_ports: u16,
    /// clockQuality: what [`crate::clock_state`] says of the clock now.
    pub clock_quality: ClockQuality,
    /// priority1: the lower, the rather a grandmaster.
    pub priority1: u8,
    /// priority2: the same, among clocks of one quality.
    pub priority2: u8,
    /// domainNumber.
    pub domain_number: u8,
    /// slaveOnly.
    pub slave_only: bool,
    /// sdoId.
    pub sdo_id: SdoId,
    /// instanceEnable: whether it takes part at all.
    pub instance_enable: bool,
    /// localPriority of the alternate best master clock algorithm, 1 to 255 (ITU-T G.8275.1 6.3).
    pub local_priority: u8,
}

/// How far the master is (currentDS, IEEE 1588-2019 8.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CurrentDs {
    /// stepsRemoved: Communication Paths to the grandmaster; 0 where this is one.
    pub steps_removed: u16,
    /// offsetFromMaster: our time less the master's, as found last.
    pub offset_from_master: Span,
    /// meanDelay: of the way to the master.
    pub mean_delay: Span,
    /// synchronizationUncertain.
    pub synchronization_uncertain: bool,
}

/// Who is followed, and whom he follows (parentDS, IEEE 1588-2019 8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParentDs {
    /// parentPortIdentity: the port that sends Sync; of a grandmaster itself, its own clock and port 0.
    pub parent_port_identity: PortIdentity,
    /// parentStats: whether the two that follow are measured.
    pub parent_stats: bool,
    /// observedParentOffsetScaledLogVariance; 0xFFFF where it is not measured.
    pub observed_parent_offset_scaled_log_variance: u16,
    /// observedParentClockPhaseChangeRate, in 2^-40; 0x7FFFFFFF where it is not measured.
    pub observed_parent_clock_phase_change_rate: i32,
    /// grandmasterIdentity.
    pub grandmaster_identity: ClockIdentity,
    /// grandmasterClockQuality.
    pub grandmaster_clock_quality: ClockQuality,
    /// grandmasterPriority1.
    pub grandmaster_priority1: u8,
    /// grandmasterPriority2.
    pub grandmaster_priority2: u8,
    /// protocolAddress: where the parent's messages come from.
    pub protocol_address: Option<Address>,
    /// synchronizationUncertain, as the parent says.
    pub synchronization_uncertain: bool,
}

/// What the grandmaster says of its timescale (timePropertiesDS, IEEE 1588-2019 8.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimePropertiesDs {
    /// currentUtcOffset: TAI - UTC in seconds.
    pub current_utc_offset: i16,
    /// currentUtcOffsetValid: whether that is known to be right.
    pub current_utc_offset_valid: bool,
    /// leap59: the last minute of this UTC day has 59 seconds.
    pub leap59: bool,
    /// leap61: the last minute of this UTC day has 61 seconds.
    pub leap61: bool,
    /// timeTraceable: whether the time is traceable to a primary reference.
    pub time_traceable: bool,
    /// frequencyTraceable: whether the frequency is.
    pub frequency_traceable: bool,
    /// ptpTimescale: whether the timescale is PTP, which is TAI, and not one of the grandmaster's own.
    pub ptp_timescale: bool,
    /// timeSource.
    pub time_source: TimeSource,
}

/// What a PTP Port is and does (portDS, IEEE 1588-2019 8.2.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortDs {
    /// portIdentity.
    pub port_identity: PortIdentity,
    /// portState.
    pub port_state: PortState,
    /// logMinDelayReqInterval: how often at most Delay_Req are sent to this port.
    pub log_min_delay_req_interval: i8,
    /// meanLinkDelay: of the way to the neighbour, by the peer-to-peer mechanism; else zero.
    pub mean_link_delay: Span,
    /// logAnnounceInterval.
    pub log_announce_interval: i8,
    /// announceReceiptTimeout: how many Announce intervals without one lose the master.
    pub announce_receipt_timeout: u8,
    /// logSyncInterval.
    pub log_sync_interval: i8,
    /// delayMechanism.
    pub delay_mechanism: DelayMechanism,
    /// logMinPdelayReqInterval.
    pub log_min_pdelay_req_interval: i8,
    /// versionNumber.
    pub version_number: u8,
    /// minorVersionNumber.
    pub minor_version_number: u8,
    /// delayAsymmetry.
    pub delay_asymmetry: Span,
    /// portEnable.
    pub port_enable: bool,
    /// masterOnly.
    pub master_only: bool,
}

/// What a PTP Port is doing (portState, IEEE 1588-2019 table 20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortState {
    /// It starts; nothing is sent or received.
    Initializing = 1,
    /// Something is broken; only management messages are answered.
    Faulty = 2,
    /// It was told not to take part.
    Disabled = 3,
    /// It waits to hear a master.
    Listening = 4,
    /// It is about to be a master, and waits so that the news of a better one can come round.
    PreMaster = 5,
    /// It leads.
    Master = 6,
    /// It neither leads nor follows: another is better, or the time comes round another way.
    Passive = 7,
    /// It follows, and does not have the time yet.
    Uncalibrated = 8,
    /// It follows.
    Slave = 9,
}

impl PortState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Initializing,
        Self::Faulty,
        Self::Disabled,
        Self::Listening,
        Self::PreMaster,
        Self::Master,
        Self::Passive,
        Self::Uncalibrated,
        Self::Slave,
    ];

    /// As the standard writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Faulty => "FAULTY",
            Self::Disabled => "DISABLED",
            Self::Listening => "LISTENING",
            Self::PreMaster => "PRE_MASTER",
            Self::Master => "MASTER",
            Self::Passive => "PASSIVE",
            Self::Uncalibrated => "UNCALIBRATED",
            Self::Slave => "SLAVE",
        }
    }

    /// Its number in management messages.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether a master is followed, if only to find its time.
    #[must_use]
    pub const fn follows(self) -> bool {
        matches!(self, Self::Uncalibrated | Self::Slave)
    }
}

/// How the delay to the master is measured (delayMechanism, IEEE 1588-2019 table 21).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DelayMechanism {
    /// By asking the master: Delay_Req.
    #[default]
    E2e = 1,
    /// By asking the neighbour: Pdelay_Req.
    P2p = 2,
}

impl DelayMechanism {
    /// As the standard writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::E2e => "E2E",
            Self::P2p => "P2P",
        }
    }

    /// Its number in management messages.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Which roles a PTP Port may take (defaultDS.slaveOnly and portDS.masterOnly, IEEE 1588-2019 8.2.1.4.4, 8.2.15.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Roles {
    /// Both.
    #[default]
    Both,
    /// It never follows.
    MasterOnly,
    /// It never leads.
    SlaveOnly,
}

impl Roles {
    /// The roles of a port with `master_only` of an instance with `slave_only`, which counts more.
    #[must_use]
    pub const fn new(slave_only: bool, master_only: bool) -> Self {
        match (slave_only, master_only) {
            (true, _) => Self::SlaveOnly,
            (false, true) => Self::MasterOnly,
            (false, false) => Self::Both,
        }
    }
}

/// observedParentOffsetScaledLogVariance where nobody measures it (IEEE 1588-2019 8.2.3.4).
const VARIANCE_NOT_MEASURED: u16 = 0xffff;
/// observedParentClockPhaseChangeRate where nobody measures it (IEEE 1588-2019 8.2.3.5).
const PHASE_CHANGE_RATE_NOT_MEASURED: i32 = i32::MAX;

impl ParentDs {
    /// Of a clock that is its own grandmaster, or has none (decisions M1 and M2, IEEE 1588-2019 9.3.5).
    #[must_use]
    pub const fn own(default_ds: &DefaultDs) -> Self {
        Self {
            parent_port_identity: PortIdentity { clock: default_ds.clock_identity, number: 0 },
            parent_stats: false,
            observed_parent_offset_scaled_log_variance: VARIANCE_NOT_MEASURED,
            observed_parent_clock_phase_change_rate: PHASE_CHANGE_RATE_NOT_MEASURED,
            grandmaster_identity: default_ds.clock_identity,
            grandmaster_clock_quality: default_ds.clock_quality,
            grandmaster_priority1: default_ds.priority1,
            grandmaster_priority2: default_ds.priority2,
            protocol_address: None,
            synchronization_uncertain: false,
        }
    }

    /// Of a clock that follows the port `source`, which sent `announce` with `flags` from the address `from` (decision S1,
    /// IEEE 1588-2019 9.3.5).
    #[must_use]
    pub const fn following(source: PortIdentity, announce: &Announce, flags: Flags, from: Option<Address>) -> Self {
        Self {
            parent_port_identity: source,
            parent_stats: false,
            observed_parent_offset_scaled_log_variance: VARIANCE_NOT_MEASURED,
            observed_parent_clock_phase_change_rate: PHASE_CHANGE_RATE_NOT_MEASURED,
            grandmaster_identity: announce.grandmaster_identity,
            grandmaster_clock_quality: announce.clock_quality,
            grandmaster_priority1: announce.priority1,
            grandmaster_priority2: announce.priority2,
            protocol_address: from,
            synchronization_uncertain: flags.has(Flags::SYNCHRONIZATION_UNCERTAIN),
        }
    }
}

impl TimePropertiesDs {
    /// As a master's `announce` with `flags` tells them (decision S1, IEEE 1588-2019 9.3.5).
    #[must_use]
    pub const fn following(announce: &Announce, flags: Flags) -> Self {
        Self {
            current_utc_offset: announce.current_utc_offset,
            current_utc_offset_valid: flags.has(Flags::CURRENT_UTC_OFFSET_VALID),
            leap59: flags.has(Flags::LEAP_59),
            leap61: flags.has(Flags::LEAP_61),
            time_traceable: flags.has(Flags::TIME_TRACEABLE),
            frequency_traceable: flags.has(Flags::FREQUENCY_TRACEABLE),
            ptp_timescale: flags.has(Flags::PTP_TIMESCALE),
            time_source: announce.time_source,
        }
    }

    /// `flags` of an Announce with these properties in them.
    #[must_use]
    pub const fn flags(&self, flags: Flags) -> Flags {
        flags
            .with(Flags::CURRENT_UTC_OFFSET_VALID, self.current_utc_offset_valid)
            .with(Flags::LEAP_59, self.leap59)
            .with(Flags::LEAP_61, self.leap61)
            .with(Flags::TIME_TRACEABLE, self.time_traceable)
            .with(Flags::FREQUENCY_TRACEABLE, self.frequency_traceable)
            .with(Flags::PTP_TIMESCALE, self.ptp_timescale)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{ClockAccuracy, ClockClass, Timestamp};

    const QUALITY: ClockQuality = ClockQuality {
        clock_class: ClockClass::PRIMARY_REFERENCE,
        clock_accuracy: ClockAccuracy::WITHIN_100_NS,
        offset_scaled_log_variance: 0x4e5d,
    };
    const ANNOUNCE: Announce = Announce {
        origin_timestamp: Timestamp([0; 10]),
        current_utc_offset: 38,
        priority1: 1,
        clock_quality: QUALITY,
        priority2: 2,
        grandmaster_identity: ClockIdentity([9; 8]),
        steps_removed: 3,
        time_source: TimeSource::GNSS,
    };

    #[test]
    fn states_have_the_numbers_and_names_of_the_standard() {
        let told = PortState::ALL.map(|state| (state.number(), state.name()));
        let expected = [
            (1, "INITIALIZING"),
            (2, "FAULTY"),
            (3, "DISABLED"),
            (4, "LISTENING"),
            (5, "PRE_MASTER"),
            (6, "MASTER"),
            (7, "PASSIVE"),
            (8, "UNCALIBRATED"),
            (9, "SLAVE"),
        ];
        assert_eq!(told, expected);
        assert_eq!(PortState::ALL.map(PortState::follows).iter().filter(|follows| **follows).count(), 2);
        assert_eq!((DelayMechanism::E2e.number(), DelayMechanism::P2p.number()), (1, 2));
        assert_eq!((DelayMechanism::E2e.name(), DelayMechanism::P2p.name()), ("E2E", "P2P"));
    }

    #[test]
    fn the_parent_is_the_clock_itself_or_who_is_followed() {
        let default_ds = DefaultDs {
            clock_identity: ClockIdentity([1; 8]),
            number_ports: 1,
            clock_quality: QUALITY,
            priority1: 11,
            priority2: 12,
            domain_number: 0,
            slave_only: false,
            sdo_id: SdoId::DEFAULT,
            instance_enable: true,
            local_priority: 128,
        };
        let own = ParentDs::own(&default_ds);
        assert_eq!(own.parent_port_identity.to_string(), "010101.0101.010101-0");
        assert_eq!((own.grandmaster_identity, own.grandmaster_clock_quality), (default_ds.clock_identity, QUALITY));
        assert_eq!((own.grandmaster_priority1, own.grandmaster_priority2), (11, 12));
        let source = PortIdentity { clock: ClockIdentity([5; 8]), number: 4 };
        let from = Some(Address::Link([2; 6]));
        let parent = ParentDs::following(source, &ANNOUNCE, Flags::SYNCHRONIZATION_UNCERTAIN, from);
        assert_eq!((parent.parent_port_identity, parent.protocol_address), (source, from));
        assert_eq!((parent.grandmaster_identity, parent.grandmaster_clock_quality), (ClockIdentity([9; 8]), QUALITY));
        assert_eq!((parent.grandmaster_priority1, parent.grandmaster_priority2), (1, 2));
        assert!(parent.synchronization_uncertain && !own.synchronization_uncertain);
    }

    #[test]
    fn roles_are_what_the_data_sets_leave() {
        assert_eq!(Roles::new(false, false), Roles::Both);
        assert_eq!(Roles::new(false, true), Roles::MasterOnly);
        assert_eq!(Roles::new(true, false), Roles::SlaveOnly);
        assert_eq!(Roles::new(true, true), Roles::SlaveOnly);
    }

    proptest! {
        /// What is told in an Announce is what a follower reads from it, whatever other flags it has.
        #[test]
        fn time_properties_survive_an_announce(flags: u16, others: u16) {
            let time_properties = TimePropertiesDs::following(&ANNOUNCE, Flags(flags));
            prop_assert_eq!((time_properties.current_utc_offset, time_properties.time_source), (38, TimeSource::GNSS));
            let told = time_properties.flags(Flags(others));
            prop_assert_eq!(TimePropertiesDs::following(&ANNOUNCE, told), time_properties);
            prop_assert_eq!((told.0 & 0x3f, told.0 & !0x3f), (flags & 0x3f, others & !0x3f));
        }
    }
}
