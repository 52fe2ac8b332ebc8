//! What management messages carry (dataField, IEEE 1588-2019 15.5.3).

use crate::data_sets::{DelayMechanism, TimePropertiesDs};
use crate::management::data_sets::{delay_mechanism, parse_time_properties, write_time_properties};
use crate::management::{
    ClockDescription, CurrentDataSet, DefaultDataSet, GrandmasterSettingsNp, ManagementError, ManagementId,
    ParentDataSet, PortDataSet, PortPropertiesNp, PortStatsNp, TimeStatusNp,
};
use crate::message::{ClockAccuracy, Flags, TimeSource, Timestamp};
use crate::octets::{Reader, Text, TooLong, Writer};
use crate::tlv::{PathTrace, TlvType, TlvWriter};

/// The data of one managementId that is spoken here, read. Reserved fields are not kept, and are sent as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// NULL_MANAGEMENT, ENABLE_PORT, DISABLE_PORT: none.
    Nothing,
    /// CLOCK_DESCRIPTION.
    ClockDescription(ClockDescription<'a>),
    /// USER_DESCRIPTION: at most 128 characters.
    UserDescription(Text<'a>),
    /// INITIALIZE: initializationKey, of which 0 is INITIALIZE_EVENT.
    Initialize(u16),
    /// DEFAULT_DATA_SET.
    DefaultDataSet(DefaultDataSet),
    /// CURRENT_DATA_SET.
    CurrentDataSet(CurrentDataSet),
    /// PARENT_DATA_SET.
    ParentDataSet(ParentDataSet),
    /// TIME_PROPERTIES_DATA_SET.
    TimePropertiesDataSet(TimePropertiesDs),
    /// PORT_DATA_SET.
    PortDataSet(PortDataSet),
    /// One number: PRIORITY1, PRIORITY2, DOMAIN, ANNOUNCE_RECEIPT_TIMEOUT, VERSION_NUMBER.
    Number(u8),
    /// An interval, as a power of two of a second: LOG_ANNOUNCE_INTERVAL, LOG_SYNC_INTERVAL, LOG_MIN_PDELAY_REQ_INTERVAL.
    LogInterval(i8),
    /// Yes or no: SLAVE_ONLY, PATH_TRACE_ENABLE, MASTER_ONLY.
    Flag(bool),
    /// TIME.
    Time(Timestamp),
    /// CLOCK_ACCURACY.
    ClockAccuracy(ClockAccuracy),
    /// UTC_PROPERTIES: currentUtcOffset in seconds, and the flags leap61, leap59 and currentUtcOffsetValid.
    UtcProperties(i16, Flags),
    /// TRACEABILITY_PROPERTIES: the flags timeTraceable and frequencyTraceable.
    TraceabilityProperties(Flags),
    /// TIMESCALE_PROPERTIES: the flag ptpTimescale, and timeSource.
    TimescaleProperties(Flags, TimeSource),
    /// PATH_TRACE_LIST.
    PathTraceList(PathTrace<'a>),
    /// DELAY_MECHANISM.
    DelayMechanism(DelayMechanism),
    /// TIME_STATUS_NP.
    TimeStatusNp(TimeStatusNp),
    /// GRANDMASTER_SETTINGS_NP.
    GrandmasterSettingsNp(GrandmasterSettingsNp),
    /// PORT_DATA_SET_NP: neighborPropDelayThresh in nanoseconds, and asCapable.
    PortDataSetNp(u32, bool),
    /// PORT_PROPERTIES_NP.
    PortPropertiesNp(PortPropertiesNp<'a>),
    /// PORT_STATS_NP.
    PortStatsNp(PortStatsNp),
}

/// The flags of UTC_PROPERTIES.
pub(crate) const UTC_FLAGS: Flags =
    Flags::LEAP_61.with(Flags::LEAP_59, true).with(Flags::CURRENT_UTC_OFFSET_VALID, true);
/// The flags of TRACEABILITY_PROPERTIES.
pub(crate) const TRACEABILITY_FLAGS: Flags = Flags::TIME_TRACEABLE.with(Flags::FREQUENCY_TRACEABLE, true);

impl<'a> Data<'a> {
    /// The dataField `bytes` of a message about `id`.
    ///
    /// # Errors
    /// [`ManagementError::NoSuchId`] or [`ManagementError::NotSupported`] where `id` is not spoken here, else
    /// [`ManagementError::WrongLength`] or [`ManagementError::WrongValue`].
    pub fn parse(id: ManagementId, bytes: &'a [u8]) -> Result<Self, ManagementError> {
        let mut reader = Reader::new(bytes);
        let data = Self::fields(id, &mut reader)?;
        // Text of an odd length is followed by a byte of padding.
        if reader.rest().len() > usize::from(bytes.len().is_multiple_of(2)) {
            Err(ManagementError::WrongLength)
        } else {
            Ok(data)
        }
    }

    fn fields(id: ManagementId, reader: &mut Reader<'a>) -> Result<Self, ManagementError> {
        let data = match id {
            ManagementId::NULL_MANAGEMENT | ManagementId::ENABLE_PORT | ManagementId::DISABLE_PORT => {
                Some(Self::Nothing)
            }
            ManagementId::CLOCK_DESCRIPTION => ClockDescription::parse(reader).map(Self::ClockDescription),
            ManagementId::USER_DESCRIPTION => Text::parse(reader).map(Self::UserDescription),
            ManagementId::INITIALIZE => reader.u16().map(Self::Initialize),
            ManagementId::DEFAULT_DATA_SET => DefaultDataSet::parse(reader).map(Self::DefaultDataSet),
            ManagementId::CURRENT_DATA_SET => CurrentDataSet::parse(reader).map(Self::CurrentDataSet),
            ManagementId::PARENT_DATA_SET => ParentDataSet::parse(reader).map(Self::ParentDataSet),
            ManagementId::TIME_PROPERTIES_DATA_SET => parse_time_properties(reader).map(Self::TimePropertiesDataSet),
            ManagementId::PORT_DATA_SET => Some(Self::PortDataSet(PortDataSet::parse(reader)?)),
            ManagementId::PRIORITY1
            | ManagementId::PRIORITY2
            | ManagementId::DOMAIN
            | ManagementId::ANNOUNCE_RECEIPT_TIMEOUT
            | ManagementId::VERSION_NUMBER => padded(reader).map(Self::Number),
            ManagementId::LOG_ANNOUNCE_INTERVAL
            | ManagementId::LOG_SYNC_INTERVAL
            | ManagementId::LOG_MIN_PDELAY_REQ_INTERVAL => {
                padded(reader).map(|byte| Self::LogInterval(byte.cast_signed()))
            }
            ManagementId::SLAVE_ONLY | ManagementId::PATH_TRACE_ENABLE | ManagementId::MASTER_ONLY => {
                padded(reader).map(|flags| Self::Flag(flags & 1 != 0))
            }
            ManagementId::TIME => reader.array().map(|bytes| Self::Time(Timestamp(bytes))),
            ManagementId::CLOCK_ACCURACY => padded(reader).map(|byte| Self::ClockAccuracy(ClockAccuracy(byte))),
            ManagementId::UTC_PROPERTIES => reader
                .i16()
                .zip(padded(reader))
                .map(|(offset, flags)| Self::UtcProperties(offset, Flags(u16::from(flags)).only(UTC_FLAGS))),
            ManagementId::TRACEABILITY_PROPERTIES => padded(reader)
                .map(|flags| Self::TraceabilityProperties(Flags(u16::from(flags)).only(TRACEABILITY_FLAGS))),
            ManagementId::TIMESCALE_PROPERTIES => reader.array().map(|[flags, time_source]| {
                Self::TimescaleProperties(Flags(u16::from(flags)).only(Flags::PTP_TIMESCALE), TimeSource(time_source))
            }),
            ManagementId::PATH_TRACE_LIST => {
                reader.slice(reader.rest().len()).and_then(PathTrace::parse).map(Self::PathTraceList)
            }
            ManagementId::DELAY_MECHANISM => {
                let number = padded(reader).ok_or(ManagementError::WrongLength)?;
                Some(Self::DelayMechanism(delay_mechanism(number)?))
            }
            ManagementId::TIME_STATUS_NP => TimeStatusNp::parse(reader).map(Self::TimeStatusNp),
            ManagementId::GRANDMASTER_SETTINGS_NP => {
                GrandmasterSettingsNp::parse(reader).map(Self::GrandmasterSettingsNp)
            }
            ManagementId::PORT_DATA_SET_NP => reader
                .u32()
                .zip(reader.u32())
                .map(|(threshold, as_capable)| Self::PortDataSetNp(threshold, as_capable != 0)),
            ManagementId::PORT_PROPERTIES_NP => Some(Self::PortPropertiesNp(PortPropertiesNp::parse(reader)?)),
            ManagementId::PORT_STATS_NP => PortStatsNp::parse(reader).map(Self::PortStatsNp),
            id if id.name().is_some() => return Err(ManagementError::NotSupported),
            _ => return Err(ManagementError::NoSuchId),
        };
        data.ok_or(ManagementError::WrongLength)
    }

    /// Appends a MANAGEMENT TLV about `id` to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub fn write(&self, id: ManagementId, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        tlvs.put(TlvType::MANAGEMENT, |value| {
            value.put(&id.0.to_be_bytes())?;
            self.write_fields(value)
        })
    }

    fn write_fields(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        match self {
            Self::Nothing => Ok(()),
            Self::ClockDescription(description) => description.write(writer),
            Self::UserDescription(text) => text.write(writer),
            Self::Initialize(key) => writer.put(&key.to_be_bytes()),
            Self::DefaultDataSet(data_set) => data_set.write(writer),
            Self::CurrentDataSet(data_set) => data_set.write(writer),
            Self::ParentDataSet(data_set) => data_set.write(writer),
            Self::TimePropertiesDataSet(data_set) => write_time_properties(data_set, writer),
            Self::PortDataSet(data_set) => data_set.write(writer),
            Self::Number(number) => writer.put(&[*number, 0]),
            Self::LogInterval(exponent) => writer.put(&[exponent.cast_unsigned(), 0]),
            Self::Flag(flag) => writer.put(&[u8::from(*flag), 0]),
            Self::Time(timestamp) => writer.put(&timestamp.0),
            Self::ClockAccuracy(accuracy) => writer.put(&[accuracy.0, 0]),
            Self::UtcProperties(offset, flags) => {
                writer.put(&offset.to_be_bytes())?;
                writer.put(&[flags.second_octet(), 0])
            }
            Self::TraceabilityProperties(flags) => writer.put(&[flags.second_octet(), 0]),
            Self::TimescaleProperties(flags, time_source) => writer.put(&[flags.second_octet(), time_source.0]),
            Self::PathTraceList(path) => path.iter().try_for_each(|identity| writer.put(&identity.0)),
            Self::DelayMechanism(mechanism) => writer.put(&[mechanism.number(), 0]),
            Self::TimeStatusNp(status) => status.write(writer),
            Self::GrandmasterSettingsNp(settings) => settings.write(writer),
            Self::PortDataSetNp(threshold, as_capable) => {
                writer.put(&threshold.to_be_bytes())?;
                writer.put(&u32::from(*as_capable).to_be_bytes())
            }
            Self::PortPropertiesNp(properties) => properties.write(writer),
            Self::PortStatsNp(stats) => stats.write(writer),
        }
    }
}

/// A byte that a reserved one follows.
fn padded(reader: &mut Reader<'_>) -> Option<u8> {
    reader.array().map(|[byte, _reserved]| byte)
}
