//! What management messages are told (IEEE 1588-2019 15.5.3).

use core::net::IpAddr;

use arrayvec::ArrayVec;
use sidereal_time::{PtpTimestamp, StampSource};

use super::super::MAX_PATH;
use super::{Context, Instance};
use crate::address::{Address, Transport};
use crate::data_sets::DelayMechanism;
use crate::grandmaster::Profile;
use crate::management::{
    ClockDescription, CurrentDataSet, Data, DefaultDataSet, GrandmasterSettingsNp, ManagementError, ManagementId,
    ParentDataSet, PortDataSet, PortPropertiesNp, PortStatsNp, TRACEABILITY_FLAGS, TimeStatusNp, Timestamping,
    UTC_FLAGS,
};
use crate::message::{Flags, MessageType};
use crate::octets::Text;
use crate::outcome::PortCounts;
use crate::tlv::{PathTrace, TlvWriter};

/// physicalLayerProtocol of every port there is.
const ETHERNET: &str = "IEEE 802.3";
/// manufacturer;model;serial number (15.5.3.1.2).
const PRODUCT: &str = "Sidereal;;";
/// hardware;firmware;software.
const REVISION: &str = concat!(";;", env!("CARGO_PKG_VERSION"));
/// neighborPropDelayThresh where there is no threshold.
const NO_THRESHOLD: u32 = u32::MAX;

impl Instance {
    /// Appends the data of `id` to `tlvs`.
    pub(super) fn tell(
        &self,
        id: ManagementId,
        context: &Context<'_>,
        tlvs: &mut TlvWriter<'_>,
    ) -> Result<(), ManagementError> {
        let options = &self.options;
        let time = self.time_properties_ds();
        let time_flags = time.flags(Flags::NONE);
        let port = &options.port;
        let path: ArrayVec<[u8; 8], MAX_PATH>;
        let address: ArrayVec<u8, 16>;
        let data = match id {
            ManagementId::NULL_MANAGEMENT => Data::Nothing,
            ManagementId::CLOCK_DESCRIPTION => {
                address = port.protocol_address.map(octets).unwrap_or_default();
                Data::ClockDescription(self.description(&address))
            }
            ManagementId::USER_DESCRIPTION => Data::UserDescription(self.user_description()),
            ManagementId::DEFAULT_DATA_SET => {
                Data::DefaultDataSet(DefaultDataSet::new(&self.default_ds(), !port.one_step))
            }
            ManagementId::CURRENT_DATA_SET => Data::CurrentDataSet(CurrentDataSet::from(&self.current_ds())),
            ManagementId::PARENT_DATA_SET => Data::ParentDataSet(ParentDataSet::from(&self.parent_ds())),
            ManagementId::TIME_PROPERTIES_DATA_SET => Data::TimePropertiesDataSet(time),
            ManagementId::PORT_DATA_SET => Data::PortDataSet(PortDataSet::from(&self.port_ds())),
            ManagementId::PRIORITY1 => Data::Number(options.priority1),
            ManagementId::PRIORITY2 => Data::Number(options.priority2),
            ManagementId::DOMAIN => Data::Number(options.domain),
            ManagementId::SLAVE_ONLY => Data::Flag(options.slave_only),
            ManagementId::LOG_ANNOUNCE_INTERVAL => Data::LogInterval(port.log_announce_interval),
            ManagementId::ANNOUNCE_RECEIPT_TIMEOUT => Data::Number(port.announce_receipt_timeout),
            ManagementId::LOG_SYNC_INTERVAL => Data::LogInterval(port.log_sync_interval),
            ManagementId::VERSION_NUMBER => Data::Number(self.port_ds().version_number),
            ManagementId::TIME => {
                let now = context.time.ok_or(ManagementError::Unpopulated)?.instant(self.now);
                Data::Time(PtpTimestamp::from_tai(now).map_err(|_| ManagementError::Unpopulated)?.into())
            }
            ManagementId::CLOCK_ACCURACY => Data::ClockAccuracy(self.default_ds().clock_quality.clock_accuracy),
            ManagementId::UTC_PROPERTIES => Data::UtcProperties(time.current_utc_offset, time_flags.only(UTC_FLAGS)),
            ManagementId::TRACEABILITY_PROPERTIES => Data::TraceabilityProperties(time_flags.only(TRACEABILITY_FLAGS)),
            ManagementId::TIMESCALE_PROPERTIES => {
                Data::TimescaleProperties(time_flags.only(Flags::PTP_TIMESCALE), time.time_source)
            }
            ManagementId::PATH_TRACE_LIST => {
                path = self.path_trace().iter().take(MAX_PATH).map(|identity| identity.0).collect();
                Data::PathTraceList(PathTrace::of(&path))
            }
            ManagementId::PATH_TRACE_ENABLE => Data::Flag(options.path_trace),
            ManagementId::MASTER_ONLY => Data::Flag(port.master_only),
            ManagementId::DELAY_MECHANISM => Data::DelayMechanism(port.delay_mechanism),
            ManagementId::LOG_MIN_PDELAY_REQ_INTERVAL => Data::LogInterval(port.log_min_pdelay_req_interval),
            ManagementId::TIME_STATUS_NP => Data::TimeStatusNp(self.time_status(context)),
            ManagementId::GRANDMASTER_SETTINGS_NP => Data::GrandmasterSettingsNp(GrandmasterSettingsNp {
                clock_quality: self.state.quality,
                utc_offset: self.state.time_properties.current_utc_offset,
                time_flags: self.state.time_properties.flags(Flags::NONE).second_octet(),
                time_source: self.state.time_properties.time_source,
            }),
            ManagementId::PORT_DATA_SET_NP => Data::PortDataSetNp(NO_THRESHOLD, self.neighbour.link().mean().is_some()),
            ManagementId::PORT_PROPERTIES_NP => Data::PortPropertiesNp(PortPropertiesNp {
                port_identity: self.port_identity(),
                port_state: self.port_state,
                timestamping: self.timestamping(),
                interface: Text::of(&port.interface, u8::MAX),
            }),
            ManagementId::PORT_STATS_NP => Data::PortStatsNp(PortStatsNp {
                port_identity: self.port_identity(),
                received: by_number(&self.counts, PortCounts::received),
                sent: by_number(&self.counts, PortCounts::sent),
            }),
            id if id.name().is_some() => return Err(ManagementError::NotSupported),
            _ => return Err(ManagementError::NoSuchId),
        };
        put(&data, id, tlvs)
    }

    fn description<'a>(&'a self, address: &'a [u8]) -> ClockDescription<'a> {
        let port = &self.options.port;
        let is_link = port.transport == Transport::Ethernet;
        ClockDescription {
            clock_type: ClockDescription::ORDINARY_CLOCK,
            physical_layer_protocol: Text::of(ETHERNET, u8::MAX),
            physical_address: if is_link { address } else { &[] },
            network_protocol: match port.transport {
                Transport::UdpIpv4 => 1,
                Transport::UdpIpv6 => 2,
                Transport::Ethernet => 3,
            },
            protocol_address: address,
            manufacturer_identity: [0; 3],
            product_description: Text::of(PRODUCT, u8::MAX),
            revision_data: Text::of(REVISION, u8::MAX),
            user_description: self.user_description(),
            profile_identity: match (self.options.profile, port.delay_mechanism) {
                (Profile::Default, DelayMechanism::E2e) => [0x00, 0x1b, 0x19, 0x00, 0x01, 0x00],
                (Profile::Default, DelayMechanism::P2p) => [0x00, 0x1b, 0x19, 0x00, 0x02, 0x00],
                (Profile::G8275_1, _) => [0x00, 0x19, 0xa7, 0x01, 0x02, 0x03],
                (Profile::G8275_2, _) => [0x00, 0x19, 0xa7, 0x02, 0x01, 0x02],
            },
        }
    }

    fn user_description(&self) -> Text<'_> {
        Text::of(&self.options.user_description, super::MAX_USER_DESCRIPTION)
    }

    /// Nothing is known of 802.1AS: its fields are zeros.
    fn time_status(&self, context: &Context<'_>) -> TimeStatusNp {
        let nanos = |nanos: i128| i64::try_from(nanos).unwrap_or_default();
        let arrived = context.time.zip(self.sync_arrived).map(|(time, ticks)| time.instant(ticks));
        TimeStatusNp {
            master_offset_ns: nanos(self.current_ds().offset_from_master.as_nanos_rounded()),
            ingress_time_ns: arrived.map_or(0, |arrived| nanos(arrived.as_nanos_rounded())),
            cumulative_scaled_rate_offset: 0,
            scaled_last_gm_phase_change: 0,
            gm_time_base_indicator: 0,
            last_gm_phase_change: [0; 12],
            gm_present: self.master.is_some(),
            gm_identity: self.parent_ds().grandmaster_identity,
        }
    }

    /// By the last stamp that came.
    fn timestamping(&self) -> Timestamping {
        match self.stamp_source {
            Some(StampSource::Latch | StampSource::Hardware) if self.options.port.one_step => Timestamping::OneStep,
            Some(StampSource::Latch | StampSource::Hardware) => Timestamping::Hardware,
            Some(StampSource::Software | StampSource::Kernel) | None => Timestamping::Software,
        }
    }
}

pub(super) fn put(data: &Data<'_>, id: ManagementId, tlvs: &mut TlvWriter<'_>) -> Result<(), ManagementError> {
    data.write(id, tlvs).map_err(|_| ManagementError::ResponseTooBig)
}

fn by_number(counts: &PortCounts, count: impl Fn(&PortCounts, MessageType) -> u64) -> [u64; 16] {
    core::array::from_fn(|number| {
        let kind = MessageType::ALL.into_iter().find(|kind| usize::from(kind.bits()) == number);
        kind.map_or(0, |kind| count(counts, kind))
    })
}

fn octets(address: Address) -> ArrayVec<u8, 16> {
    match address {
        Address::Link(mac) => mac.into_iter().collect(),
        Address::Ip(IpAddr::V4(ip)) => ip.octets().into_iter().collect(),
        Address::Ip(IpAddr::V6(ip)) => ip.octets().into_iter().collect(),
    }
}
