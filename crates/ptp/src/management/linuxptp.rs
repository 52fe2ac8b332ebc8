//! Data sets that are not the standard's, as `pmc` of linuxptp reads them.

use crate::data_sets::PortState;
use crate::identity::{ClockIdentity, PortIdentity};
use crate::management::ManagementError;
use crate::management::data_sets::port_state;
use crate::message::{ClockQuality, TimeSource};
use crate::octets::{Reader, Text, TooLong, Writer};

/// The offset from the master and who is grandmaster (TIME_STATUS_NP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeStatusNp {
    /// master_offset: our time less the master's, in nanoseconds.
    pub master_offset_ns: i64,
    /// ingress_time: when the last Sync arrived, in nanoseconds of our time; 0 where there was none.
    pub ingress_time_ns: i64,
    /// cumulativeScaledRateOffset of 802.1AS, in 2^-41.
    pub cumulative_scaled_rate_offset: i32,
    /// scaledLastGmPhaseChange of 802.1AS.
    pub scaled_last_gm_phase_change: i32,
    /// gmTimeBaseIndicator of 802.1AS.
    pub gm_time_base_indicator: u16,
    /// lastGmPhaseChange of 802.1AS, as it is on the wire.
    pub last_gm_phase_change: [u8; 12],
    /// gmPresent: whether somebody else is grandmaster.
    pub gm_present: bool,
    /// gmIdentity.
    pub gm_identity: ClockIdentity,
}

/// What a grandmaster claims (GRANDMASTER_SETTINGS_NP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrandmasterSettingsNp {
    /// clockQuality.
    pub clock_quality: ClockQuality,
    /// currentUtcOffset, in seconds.
    pub utc_offset: i16,
    /// The flags of timePropertiesDS, as the second octet of flagField has them.
    pub time_flags: u8,
    /// timeSource.
    pub time_source: TimeSource,
}

/// The interface of a port and what stamps it has (PORT_PROPERTIES_NP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortPropertiesNp<'a> {
    /// portIdentity.
    pub port_identity: PortIdentity,
    /// portState.
    pub port_state: PortState,
    /// timestamping.
    pub timestamping: Timestamping,
    /// interface: its name.
    pub interface: Text<'a>,
}

/// What stamps a port has, in linuxptp's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timestamping {
    /// SOFTWARE.
    Software = 0,
    /// HARDWARE.
    Hardware = 1,
    /// LEGACY_HW.
    LegacyHardware = 2,
    /// ONESTEP: it writes the time into Sync itself.
    OneStep = 3,
    /// P2P1STEP: it writes the time into Pdelay_Resp too.
    PeerToPeerOneStep = 4,
}

/// How many messages of each type passed, by messageType (PORT_STATS_NP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortStatsNp {
    /// portIdentity.
    pub port_identity: PortIdentity,
    /// Received.
    pub received: [u64; 16],
    /// Sent.
    pub sent: [u64; 16],
}

impl TimeStatusNp {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            master_offset_ns: reader.i64()?,
            ingress_time_ns: reader.i64()?,
            cumulative_scaled_rate_offset: reader.i32()?,
            scaled_last_gm_phase_change: reader.i32()?,
            gm_time_base_indicator: reader.u16()?,
            last_gm_phase_change: reader.array()?,
            gm_present: reader.i32()? != 0,
            gm_identity: reader.clock()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&self.master_offset_ns.to_be_bytes())?;
        writer.put(&self.ingress_time_ns.to_be_bytes())?;
        writer.put(&self.cumulative_scaled_rate_offset.to_be_bytes())?;
        writer.put(&self.scaled_last_gm_phase_change.to_be_bytes())?;
        writer.put(&self.gm_time_base_indicator.to_be_bytes())?;
        writer.put(&self.last_gm_phase_change)?;
        writer.put(&i32::from(self.gm_present).to_be_bytes())?;
        writer.put(&self.gm_identity.0)
    }
}

impl GrandmasterSettingsNp {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            clock_quality: ClockQuality::parse(reader)?,
            utc_offset: reader.i16()?,
            time_flags: reader.u8()?,
            time_source: TimeSource(reader.u8()?),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        self.clock_quality.write(writer)?;
        writer.put(&self.utc_offset.to_be_bytes())?;
        writer.put(&[self.time_flags, self.time_source.0])
    }
}

impl<'a> PortPropertiesNp<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self, ManagementError> {
        let short = ManagementError::WrongLength;
        Ok(Self {
            port_identity: reader.port().ok_or(short)?,
            port_state: port_state(reader.u8().ok_or(short)?)?,
            timestamping: Timestamping::from_number(reader.u8().ok_or(short)?)?,
            interface: Text::parse(reader).ok_or(short)?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&self.port_identity.to_be_bytes())?;
        writer.put(&[self.port_state.number(), self.timestamping as u8])?;
        self.interface.write(writer)
    }
}

impl Timestamping {
    fn from_number(number: u8) -> Result<Self, ManagementError> {
        let all = [Self::Software, Self::Hardware, Self::LegacyHardware, Self::OneStep, Self::PeerToPeerOneStep];
        all.get(usize::from(number)).copied().ok_or(ManagementError::WrongValue)
    }
}

/// The counts alone are little-endian.
impl PortStatsNp {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let port_identity = reader.port()?;
        let mut counts = || {
            let mut counts = [0; 16];
            for count in &mut counts {
                *count = u64::from_le_bytes(reader.array()?);
            }
            Some(counts)
        };
        Some(Self { port_identity, received: counts()?, sent: counts()? })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&self.port_identity.to_be_bytes())?;
        self.received.iter().chain(&self.sent).try_for_each(|count| writer.put(&count.to_le_bytes()))
    }
}
