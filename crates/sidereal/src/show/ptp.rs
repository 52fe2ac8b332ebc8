//! From what the engine knows of its PTP instances to what the operator is shown.

use sidereal_engine::PtpStatus;
use sidereal_ops::{
    Ptp, PtpClockQuality, PtpCurrentDs, PtpDefaultDs, PtpForeignMaster, PtpInstance, PtpParentDs, PtpPortDs,
    PtpSummary, PtpTimePropertiesDs,
};
use sidereal_ptp::{
    Address, ClockQuality, CurrentDs, DefaultDs, ForeignMaster, ParentDs, PortDs, TimePropertiesDs, Transport,
};
use sidereal_time::Span;

/// The document of `sidereal ptp`.
pub(crate) fn ptp(instances: &[PtpStatus]) -> Ptp {
    Ptp { instances: instances.iter().map(instance).collect() }
}

/// An instance in short, for the document of `sidereal status`.
pub(crate) fn summary(status: &PtpStatus) -> PtpSummary {
    let state = status.port_ds.port_state;
    PtpSummary {
        name: status.name.clone(),
        domain_number: status.default_ds.domain_number,
        transport: transport_name(status.transport).into(),
        port_state: state.name().into(),
        grandmaster_identity: status.parent_ds.grandmaster_identity.to_string(),
        offset_from_master_ns: state.follows().then(|| exact_nanos(status.current_ds.offset_from_master)),
    }
}

/// In nanoseconds with their fractions, as management messages have them.
pub(crate) fn exact_nanos(span: Span) -> f64 {
    span.units() as f64 / Span::from_nanos(1).units() as f64
}

/// The name that the configuration has for it.
pub(crate) const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::UdpIpv4 => "udp_ipv4",
        Transport::UdpIpv6 => "udp_ipv6",
        Transport::Ethernet => "ethernet",
    }
}

/// An address, for people.
pub(crate) fn address_words(address: Address) -> String {
    match address {
        Address::Ip(address) => address.to_string(),
        Address::Link(mac) => mac.map(|byte| format!("{byte:02x}")).join(":"),
    }
}

fn instance(status: &PtpStatus) -> PtpInstance {
    let occurred = status.counts.iter().filter(|(_, count)| *count > 0);
    PtpInstance {
        name: status.name.clone(),
        transport: transport_name(status.transport).into(),
        state: status.state.word().into(),
        reason: status.reason.clone(),
        default_ds: default_ds(&status.default_ds),
        current_ds: current_ds(&status.current_ds),
        parent_ds: parent_ds(&status.parent_ds),
        time_properties_ds: time_properties_ds(&status.time_properties_ds),
        port_ds: port_ds(&status.port_ds),
        foreign_masters: status.foreign_masters.iter().map(foreign_master).collect(),
        counts: occurred.map(|(name, count)| ((*name).into(), *count)).collect(),
    }
}

fn default_ds(set: &DefaultDs) -> PtpDefaultDs {
    PtpDefaultDs {
        clock_identity: set.clock_identity.to_string(),
        number_ports: set.number_ports,
        clock_quality: clock_quality(set.clock_quality),
        priority1: set.priority1,
        priority2: set.priority2,
        domain_number: set.domain_number,
        slave_only: set.slave_only,
        sdo_id: set.sdo_id.number(),
        local_priority: set.local_priority,
    }
}

pub(crate) fn clock_quality(quality: ClockQuality) -> PtpClockQuality {
    PtpClockQuality {
        clock_class: quality.clock_class.0,
        clock_accuracy: quality.clock_accuracy.0,
        offset_scaled_log_variance: quality.offset_scaled_log_variance,
    }
}

fn current_ds(set: &CurrentDs) -> PtpCurrentDs {
    PtpCurrentDs {
        steps_removed: set.steps_removed,
        offset_from_master_ns: exact_nanos(set.offset_from_master),
        mean_delay_ns: exact_nanos(set.mean_delay),
        synchronization_uncertain: set.synchronization_uncertain,
    }
}

fn parent_ds(set: &ParentDs) -> PtpParentDs {
    PtpParentDs {
        parent_port_identity: set.parent_port_identity.to_string(),
        parent_stats: set.parent_stats,
        observed_parent_offset_scaled_log_variance: set.observed_parent_offset_scaled_log_variance,
        observed_parent_clock_phase_change_rate: set.observed_parent_clock_phase_change_rate,
        grandmaster_identity: set.grandmaster_identity.to_string(),
        grandmaster_clock_quality: clock_quality(set.grandmaster_clock_quality),
        grandmaster_priority1: set.grandmaster_priority1,
        grandmaster_priority2: set.grandmaster_priority2,
        protocol_address: set.protocol_address.map(address_words),
        synchronization_uncertain: set.synchronization_uncertain,
    }
}

pub(crate) fn time_properties_ds(set: &TimePropertiesDs) -> PtpTimePropertiesDs {
    PtpTimePropertiesDs {
        current_utc_offset: set.current_utc_offset,
        current_utc_offset_valid: set.current_utc_offset_valid,
        leap59: set.leap59,
        leap61: set.leap61,
        time_traceable: set.time_traceable,
        frequency_traceable: set.frequency_traceable,
        ptp_timescale: set.ptp_timescale,
        time_source: set.time_source.0,
        time_source_name: set.time_source.name().into(),
    }
}

fn port_ds(set: &PortDs) -> PtpPortDs {
    PtpPortDs {
        port_identity: set.port_identity.to_string(),
        port_state: set.port_state.name().into(),
        log_min_delay_req_interval: set.log_min_delay_req_interval,
        mean_link_delay_ns: exact_nanos(set.mean_link_delay),
        log_announce_interval: set.log_announce_interval,
        announce_receipt_timeout: set.announce_receipt_timeout,
        log_sync_interval: set.log_sync_interval,
        delay_mechanism: set.delay_mechanism.name().into(),
        log_min_pdelay_req_interval: set.log_min_pdelay_req_interval,
        version_number: set.version_number,
        minor_version_number: set.minor_version_number,
        delay_asymmetry_ns: exact_nanos(set.delay_asymmetry),
        port_enable: set.port_enable,
        master_only: set.master_only,
    }
}

fn foreign_master(master: &ForeignMaster) -> PtpForeignMaster {
    let announce = &master.announce;
    PtpForeignMaster {
        port_identity: master.source.to_string(),
        qualified: master.qualified(),
        grandmaster_identity: announce.grandmaster_identity.to_string(),
        grandmaster_clock_quality: clock_quality(announce.clock_quality),
        grandmaster_priority1: announce.priority1,
        grandmaster_priority2: announce.priority2,
        steps_removed: announce.steps_removed,
        address: master.from.map(address_words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_engine::{SourceId, SourceState};
    use sidereal_ptp::{
        ClockAccuracy, ClockClass, ClockIdentity, DelayMechanism, PortIdentity, PortKey, PortState, Profile, SdoId,
        TimeSource,
    };

    const MASTER: ClockIdentity = ClockIdentity([0x66, 0x55, 0x44, 0xff, 0xfe, 0x33, 0x22, 0x11]);

    fn status(port_state: PortState) -> PtpStatus {
        let quality = ClockQuality {
            clock_class: ClockClass::DEFAULT,
            clock_accuracy: ClockAccuracy::UNKNOWN,
            offset_scaled_log_variance: 0xffff,
        };
        let default_ds = DefaultDs {
            clock_identity: ClockIdentity::from_mac([0, 0x11, 0x22, 0x33, 0x44, 0x55]),
            number_ports: 1,
            clock_quality: quality,
            priority1: 1,
            priority2: 2,
            domain_number: 24,
            slave_only: true,
            sdo_id: SdoId::GPTP,
            instance_enable: true,
            local_priority: 3,
        };
        let time_properties_ds = TimePropertiesDs {
            current_utc_offset: 37,
            current_utc_offset_valid: true,
            leap59: false,
            leap61: true,
            time_traceable: true,
            frequency_traceable: false,
            ptp_timescale: true,
            time_source: TimeSource::GNSS,
        };
        let port_ds = PortDs {
            port_identity: PortIdentity { clock: default_ds.clock_identity, number: 1 },
            port_state,
            log_min_delay_req_interval: -1,
            mean_link_delay: Span::from_units(0x8000),
            log_announce_interval: -2,
            announce_receipt_timeout: 3,
            log_sync_interval: -3,
            delay_mechanism: DelayMechanism::P2p,
            log_min_pdelay_req_interval: -4,
            version_number: 2,
            minor_version_number: 0,
            delay_asymmetry: Span::from_nanos(-6),
            port_enable: true,
            master_only: false,
        };
        PtpStatus {
            source: SourceId(1),
            name: "lan".into(),
            port: PortKey(0),
            transport: Transport::Ethernet,
            profile: Profile::Default,
            default_ds,
            current_ds: CurrentDs {
                steps_removed: 4,
                offset_from_master: Span::from_units(-0x2_8000),
                mean_delay: Span::from_nanos(5),
                synchronization_uncertain: false,
            },
            parent_ds: ParentDs {
                parent_port_identity: PortIdentity { clock: MASTER, number: 7 },
                grandmaster_identity: MASTER,
                protocol_address: Some(Address::Link([2, 0, 0, 0, 0, 0x0a])),
                ..ParentDs::own(&default_ds)
            },
            time_properties_ds,
            port_ds,
            foreign_masters: Vec::new(),
            state: SourceState::Selected,
            reason: "why".into(),
            counts: vec![("received_sync", 3), ("received_announce", 0)],
        }
    }

    #[test]
    fn a_document_has_the_data_sets_as_the_engine_has_them() {
        let document = ptp(&[status(PortState::Slave)]);
        let [instance] = &document.instances[..] else { unreachable!("{document:?}") };
        assert_eq!((instance.transport.as_str(), instance.state.as_str()), ("ethernet", "selected"));
        let own = &instance.default_ds;
        assert_eq!((own.clock_identity.as_str(), own.sdo_id, own.domain_number), ("001122.fffe.334455", 0x100, 24));
        assert_eq!((instance.current_ds.offset_from_master_ns, instance.port_ds.mean_link_delay_ns), (-2.5, 0.5));
        let parent = &instance.parent_ds;
        assert_eq!(parent.parent_port_identity, "665544.fffe.332211-7");
        assert_eq!(parent.protocol_address.as_deref(), Some("02:00:00:00:00:0a"));
        assert_eq!(instance.time_properties_ds.time_source_name, "gnss");
        assert_eq!((instance.port_ds.port_state.as_str(), instance.port_ds.delay_mechanism.as_str()), ("SLAVE", "P2P"));
        assert_eq!(instance.counts, [("received_sync".to_owned(), 3)].into(), "what never occurred is absent");
    }

    #[test]
    fn an_offset_is_from_a_master_that_is_followed() {
        assert_eq!(summary(&status(PortState::Uncalibrated)).offset_from_master_ns, Some(-2.5));
        let leading = summary(&status(PortState::Master));
        assert_eq!((leading.offset_from_master_ns, leading.domain_number), (None, 24));
        assert_eq!(leading.grandmaster_identity, "665544.fffe.332211");
    }
}
