//! The standard data sets as management messages carry them (IEEE 1588-2019 15.5.3.3, 15.5.3.7).

use crate::data_sets::{CurrentDs, DefaultDs, DelayMechanism, ParentDs, PortDs, PortState, TimePropertiesDs};
use crate::identity::{ClockIdentity, PortIdentity};
use crate::management::ManagementError;
use crate::message::{ClockQuality, Correction, Flags, TimeSource};
use crate::octets::{Reader, TooLong, Writer};

/// defaultDS (DEFAULT_DATA_SET, IEEE 1588-2019 15.5.3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultDataSet {
    /// twoStepFlag.
    pub two_step: bool,
    /// slaveOnly.
    pub slave_only: bool,
    /// numberPorts.
    pub number_ports: u16,
    /// priority1.
    pub priority1: u8,
    /// clockQuality.
    pub clock_quality: ClockQuality,
    /// priority2.
    pub priority2: u8,
    /// clockIdentity.
    pub clock_identity: ClockIdentity,
    /// domainNumber.
    pub domain_number: u8,
}

/// currentDS (CURRENT_DATA_SET, IEEE 1588-2019 15.5.3.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentDataSet {
    /// stepsRemoved.
    pub steps_removed: u16,
    /// offsetFromMaster.
    pub offset_from_master: Correction,
    /// meanDelay.
    pub mean_delay: Correction,
}

/// parentDS (PARENT_DATA_SET, IEEE 1588-2019 15.5.3.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParentDataSet {
    /// parentPortIdentity.
    pub parent_port_identity: PortIdentity,
    /// parentStats.
    pub parent_stats: bool,
    /// observedParentOffsetScaledLogVariance.
    pub observed_parent_offset_scaled_log_variance: u16,
    /// observedParentClockPhaseChangeRate.
    pub observed_parent_clock_phase_change_rate: i32,
    /// grandmasterPriority1.
    pub grandmaster_priority1: u8,
    /// grandmasterClockQuality.
    pub grandmaster_clock_quality: ClockQuality,
    /// grandmasterPriority2.
    pub grandmaster_priority2: u8,
    /// grandmasterIdentity.
    pub grandmaster_identity: ClockIdentity,
}

/// portDS (PORT_DATA_SET, IEEE 1588-2019 15.5.3.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortDataSet {
    /// portIdentity.
    pub port_identity: PortIdentity,
    /// portState.
    pub port_state: PortState,
    /// logMinDelayReqInterval.
    pub log_min_delay_req_interval: i8,
    /// meanLinkDelay.
    pub mean_link_delay: Correction,
    /// logAnnounceInterval.
    pub log_announce_interval: i8,
    /// announceReceiptTimeout.
    pub announce_receipt_timeout: u8,
    /// logSyncInterval.
    pub log_sync_interval: i8,
    /// delayMechanism.
    pub delay_mechanism: DelayMechanism,
    /// logMinPdelayReqInterval.
    pub log_min_pdelay_req_interval: i8,
    /// versionNumber, below 16. The bits above it are not kept, and are sent as zeros: there are readers that take all eight
    /// for the version.
    pub version_number: u8,
}

const TWO_STEP: u8 = 1;
const SLAVE_ONLY: u8 = 2;
const PARENT_STATS: u8 = 1;
const VERSION_NUMBER: u8 = 0x0f;

impl DefaultDataSet {
    /// Of a clock whose port sends in two steps, or in one.
    #[must_use]
    pub const fn new(default_ds: &DefaultDs, two_step: bool) -> Self {
        Self {
            two_step,
            slave_only: default_ds.slave_only,
            number_ports: default_ds.number_ports,
            priority1: default_ds.priority1,
            clock_quality: default_ds.clock_quality,
            priority2: default_ds.priority2,
            clock_identity: default_ds.clock_identity,
            domain_number: default_ds.domain_number,
        }
    }

    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let [flags, _reserved] = reader.array()?;
        let data_set = Self {
            two_step: flags & TWO_STEP != 0,
            slave_only: flags & SLAVE_ONLY != 0,
            number_ports: reader.u16()?,
            priority1: reader.u8()?,
            clock_quality: ClockQuality::parse(reader)?,
            priority2: reader.u8()?,
            clock_identity: reader.clock()?,
            domain_number: reader.u8()?,
        };
        reader.u8()?;
        Some(data_set)
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        let two_step = if self.two_step { TWO_STEP } else { 0 };
        let slave_only = if self.slave_only { SLAVE_ONLY } else { 0 };
        writer.put(&[two_step | slave_only, 0])?;
        writer.put(&self.number_ports.to_be_bytes())?;
        writer.put(&[self.priority1])?;
        self.clock_quality.write(writer)?;
        writer.put(&[self.priority2])?;
        writer.put(&self.clock_identity.0)?;
        writer.put(&[self.domain_number, 0])
    }
}

impl From<&CurrentDs> for CurrentDataSet {
    fn from(current_ds: &CurrentDs) -> Self {
        Self {
            steps_removed: current_ds.steps_removed,
            offset_from_master: Correction::from_span(current_ds.offset_from_master),
            mean_delay: Correction::from_span(current_ds.mean_delay),
        }
    }
}

impl CurrentDataSet {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            steps_removed: reader.u16()?,
            offset_from_master: Correction(reader.i64()?),
            mean_delay: Correction(reader.i64()?),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&self.steps_removed.to_be_bytes())?;
        writer.put(&self.offset_from_master.0.to_be_bytes())?;
        writer.put(&self.mean_delay.0.to_be_bytes())
    }
}

impl From<&ParentDs> for ParentDataSet {
    fn from(parent_ds: &ParentDs) -> Self {
        Self {
            parent_port_identity: parent_ds.parent_port_identity,
            parent_stats: parent_ds.parent_stats,
            observed_parent_offset_scaled_log_variance: parent_ds.observed_parent_offset_scaled_log_variance,
            observed_parent_clock_phase_change_rate: parent_ds.observed_parent_clock_phase_change_rate,
            grandmaster_priority1: parent_ds.grandmaster_priority1,
            grandmaster_clock_quality: parent_ds.grandmaster_clock_quality,
            grandmaster_priority2: parent_ds.grandmaster_priority2,
            grandmaster_identity: parent_ds.grandmaster_identity,
        }
    }
}

impl ParentDataSet {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let parent_port_identity = reader.port()?;
        let [flags, _reserved] = reader.array()?;
        Some(Self {
            parent_port_identity,
            parent_stats: flags & PARENT_STATS != 0,
            observed_parent_offset_scaled_log_variance: reader.u16()?,
            observed_parent_clock_phase_change_rate: reader.i32()?,
            grandmaster_priority1: reader.u8()?,
            grandmaster_clock_quality: ClockQuality::parse(reader)?,
            grandmaster_priority2: reader.u8()?,
            grandmaster_identity: reader.clock()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&self.parent_port_identity.to_be_bytes())?;
        writer.put(&[if self.parent_stats { PARENT_STATS } else { 0 }, 0])?;
        writer.put(&self.observed_parent_offset_scaled_log_variance.to_be_bytes())?;
        writer.put(&self.observed_parent_clock_phase_change_rate.to_be_bytes())?;
        writer.put(&[self.grandmaster_priority1])?;
        self.grandmaster_clock_quality.write(writer)?;
        writer.put(&[self.grandmaster_priority2])?;
        writer.put(&self.grandmaster_identity.0)
    }
}

/// timePropertiesDS (15.5.3.6.1): its flags have the places that they have in a header.
pub(super) fn parse_time_properties(reader: &mut Reader<'_>) -> Option<TimePropertiesDs> {
    let current_utc_offset = reader.i16()?;
    let [flags, time_source] = reader.array()?;
    let flags = Flags(u16::from(flags));
    Some(TimePropertiesDs {
        current_utc_offset,
        current_utc_offset_valid: flags.has(Flags::CURRENT_UTC_OFFSET_VALID),
        leap59: flags.has(Flags::LEAP_59),
        leap61: flags.has(Flags::LEAP_61),
        time_traceable: flags.has(Flags::TIME_TRACEABLE),
        frequency_traceable: flags.has(Flags::FREQUENCY_TRACEABLE),
        ptp_timescale: flags.has(Flags::PTP_TIMESCALE),
        time_source: TimeSource(time_source),
    })
}

pub(super) fn write_time_properties(time: &TimePropertiesDs, writer: &mut Writer<'_>) -> Result<(), TooLong> {
    writer.put(&time.current_utc_offset.to_be_bytes())?;
    writer.put(&[time.flags(Flags::NONE).second_octet(), time.time_source.0])
}

impl From<&PortDs> for PortDataSet {
    fn from(port_ds: &PortDs) -> Self {
        Self {
            port_identity: port_ds.port_identity,
            port_state: port_ds.port_state,
            log_min_delay_req_interval: port_ds.log_min_delay_req_interval,
            mean_link_delay: Correction::from_span(port_ds.mean_link_delay),
            log_announce_interval: port_ds.log_announce_interval,
            announce_receipt_timeout: port_ds.announce_receipt_timeout,
            log_sync_interval: port_ds.log_sync_interval,
            delay_mechanism: port_ds.delay_mechanism,
            log_min_pdelay_req_interval: port_ds.log_min_pdelay_req_interval,
            version_number: port_ds.version_number,
        }
    }
}

impl PortDataSet {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, ManagementError> {
        let short = ManagementError::WrongLength;
        Ok(Self {
            port_identity: reader.port().ok_or(short)?,
            port_state: port_state(reader.u8().ok_or(short)?)?,
            log_min_delay_req_interval: reader.i8().ok_or(short)?,
            mean_link_delay: Correction(reader.i64().ok_or(short)?),
            log_announce_interval: reader.i8().ok_or(short)?,
            announce_receipt_timeout: reader.u8().ok_or(short)?,
            log_sync_interval: reader.i8().ok_or(short)?,
            delay_mechanism: delay_mechanism(reader.u8().ok_or(short)?)?,
            log_min_pdelay_req_interval: reader.i8().ok_or(short)?,
            version_number: reader.u8().ok_or(short)? & VERSION_NUMBER,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&self.port_identity.to_be_bytes())?;
        writer.put(&[self.port_state.number(), self.log_min_delay_req_interval.cast_unsigned()])?;
        writer.put(&self.mean_link_delay.0.to_be_bytes())?;
        writer.put(&[
            self.log_announce_interval.cast_unsigned(),
            self.announce_receipt_timeout,
            self.log_sync_interval.cast_unsigned(),
            self.delay_mechanism.number(),
            self.log_min_pdelay_req_interval.cast_unsigned(),
            self.version_number & VERSION_NUMBER,
        ])
    }
}

/// The state with this number.
pub(super) fn port_state(number: u8) -> Result<PortState, ManagementError> {
    PortState::ALL.into_iter().find(|state| state.number() == number).ok_or(ManagementError::WrongValue)
}

/// The delay mechanism with this number, where it is one that is spoken here.
pub(super) fn delay_mechanism(number: u8) -> Result<DelayMechanism, ManagementError> {
    [DelayMechanism::E2e, DelayMechanism::P2p]
        .into_iter()
        .find(|mechanism| mechanism.number() == number)
        .ok_or(ManagementError::WrongValue)
}
