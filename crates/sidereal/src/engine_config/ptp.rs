//! From the configuration of PTP instances to what the engine is told of them.

use ipnet::IpNet;
use sidereal_engine::{Flags, SourceKind, SourceOptions};
use sidereal_ptp::{Address, ClockIdentity, InstanceOptions, PortOptions, Transport};
use sidereal_servo::FilterOptions;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{EngineConfigError, addresses_at, filter};
use crate::config::{Config, Port, PortKind, PortName, Ptp};

/// The MAC addresses of ports, of which the identities of clocks are made.
pub(crate) type Macs = HashMap<PortName, [u8; 6]>;

/// The MAC addresses of the kernel ports of `config` that have an interface, and that one an address. Those of DPDK ports are
/// known when they are open.
pub(crate) fn kernel_macs(config: &Config) -> Macs {
    let of_port = |port: &Port| {
        let PortKind::Kernel(kernel) = &port.kind else { return None };
        let mac = sidereal_nic_kernel::hardware_address(kernel.interface.as_ref()?.as_str()).ok()?;
        Some((port.name.clone(), mac))
    };
    config.ports.iter().filter_map(of_port).collect()
}

pub(super) fn ptp_source(ptp: &Ptp, config: &Config, macs: &Macs) -> Result<SourceOptions, EngineConfigError> {
    let mac = macs.get(&ptp.port).copied();
    let identity = ptp.identity.or_else(|| mac.map(ClockIdentity::from_mac));
    let no_mac = || EngineConfigError::NoMac { instance: ptp.name.to_string(), port: ptp.port.to_string() };
    let port = config.ports.iter().find(|port| port.name == ptp.port);
    let options = InstanceOptions {
        identity: identity.ok_or_else(no_mac)?,
        port: PortOptions {
            interface: port.map(interface_name).unwrap_or_default().into(),
            protocol_address: port.and_then(|port| own_address(port, ptp.options.port.transport, mac)),
            ..ptp.options.port.clone()
        },
        ..ptp.options.clone()
    };
    let flags = ptp.flags;
    Ok(SourceOptions {
        name: ptp.name.to_string(),
        kind: SourceKind::Ptp(Box::new(options)),
        filter: FilterOptions {
            kind: filter(ptp.filter, ptp.filter_length, ptp.quantile),
            asymmetry_limit: ptp.asymmetry_limit.map(|limit| limit.as_span()),
        },
        flags: Flags { prefer: flags.prefer, require: flags.require, trust: flags.trust, noselect: flags.noselect },
        offset: ptp.offset.as_span(),
    })
}

/// What the operating system calls the interface of `port`; of a port that it does not know, what we call it.
fn interface_name(port: &Port) -> &str {
    match &port.kind {
        PortKind::Kernel(kernel) => {
            kernel.interface.as_ref().map_or(port.name.as_str(), |interface| interface.as_str())
        }
        PortKind::Dpdk(_) => port.name.as_str(),
    }
}

/// The address that the messages of a PTP Port come from; of several the first that reaches beyond the link, as the kernel
/// has it (RFC 6724 §5).
pub(crate) fn own_address(port: &Port, transport: Transport, mac: Option<[u8; 6]>) -> Option<Address> {
    let family: IpAddr = match transport {
        Transport::Ethernet => return mac.map(Address::Link),
        Transport::UdpIpv4 => Ipv4Addr::UNSPECIFIED.into(),
        Transport::UdpIpv6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let addresses: Vec<IpAddr> = match &port.kind {
        PortKind::Kernel(kernel) => addresses_at(family, kernel.interface.as_ref()),
        PortKind::Dpdk(dpdk) => dpdk.addresses.iter().map(IpNet::addr).collect(),
    };
    let of_link = |address: &IpAddr| matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    let own = addresses.into_iter().filter(|address| address.is_ipv4() == family.is_ipv4());
    own.min_by_key(of_link).map(Address::Ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_config::engine_config;
    use crate::stamping::Stamping;
    use sidereal_engine::Reference;
    use sidereal_ntp::KeyTable;
    use sidereal_ptp::{DelayMechanism, PortKey};
    use sidereal_servo::FilterKind;
    use sidereal_time::Span;
    use std::path::Path;

    const PORT: &str = "[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\ninterface = 'lo'\n";
    const MAC: [u8; 6] = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55];

    fn config(instances: &str) -> Config {
        Config::parse(&format!("{PORT}{instances}"), Path::new("F")).unwrap()
    }

    fn macs() -> Macs {
        [("a".parse().unwrap(), MAC)].into()
    }

    fn instance(name: &str, more: &str, port: &str) -> String {
        format!("[[ptp]]\nname = '{name}'\n{more}\n[[ptp.port]]\nport = 'a'\n{port}\n")
    }

    #[test]
    fn instances_come_last_and_every_key_arrives() {
        let first = instance(
            "lan",
            "offset = '-2us'\nasymmetry_limit = '3us'\nfilter = 'quantile'\nfilter_length = 5\nquantile = 0.25\n\
             prefer = true\nrequire = true\ntrust = true",
            "delay_mechanism = 'p2p'",
        );
        let second = instance("other", "domain = 7\nidentity = '665544.fffe.332211'\nnoselect = true", "");
        let config = config(&format!(
            "{first}{second}[[ntp.source]]\naddress = '10.77.0.9'\n[[reference_clock]]\nname = 'gps'\nkind = 'shm'\n\
             unit = 0\n"
        ));
        let engine = engine_config(&config, &KeyTable::default(), &macs(), &Stamping::default(), None).unwrap();
        assert!(matches!(engine.reference, Reference::Sources));
        let [server, clock, lan, other] = &engine.sources[..] else { unreachable!("{:?}", engine.sources) };
        assert_eq!([&server.name, &clock.name, &lan.name, &other.name], ["10.77.0.9", "gps", "lan", "other"]);

        let SourceKind::Ptp(options) = &lan.kind else { unreachable!("{lan:?}") };
        assert_eq!(options.identity.to_string(), "001122.fffe.334455");
        assert_eq!((options.port.key, options.port.delay_mechanism), (PortKey(0), DelayMechanism::P2p));
        assert_eq!((lan.offset, lan.filter.asymmetry_limit), (Span::from_nanos(-2_000), Some(Span::from_nanos(3_000))));
        assert_eq!(lan.filter.kind, FilterKind::Quantile { length: 5, quantile: 0.25 });
        assert_eq!(lan.flags, Flags { prefer: true, require: true, trust: true, noselect: false });

        let SourceKind::Ptp(options) = &other.kind else { unreachable!("{other:?}") };
        assert_eq!((options.identity.to_string().as_str(), options.domain), ("665544.fffe.332211", 7));
        assert!(options.port.key == PortKey(1) && other.flags.noselect);
    }

    #[test]
    fn an_identity_that_cannot_be_made_is_asked_for() {
        let told = |more: &str| {
            engine_config(
                &config(&instance("lan", more, "")),
                &KeyTable::default(),
                &Macs::new(),
                &Stamping::default(),
                None,
            )
        };
        let error = told("").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the PTP instance \"lan\" has no identity, because the port \"a\" has no MAC address"
        );
        assert!(error.remedy().contains("`identity`"));
        told("identity = '665544.fffe.332211'").unwrap();
    }

    #[test]
    fn messages_come_from_the_address_of_the_port() {
        let kernel = &config("").ports[0];
        let own = |port, transport| own_address(port, transport, Some(MAC));
        assert_eq!(own(kernel, Transport::Ethernet), Some(Address::Link(MAC)));
        assert_eq!(own(kernel, Transport::UdpIpv4), Some(Address::Ip(Ipv4Addr::LOCALHOST.into())));
        let addresses = ["10.0.0.1/24", "fe80::1/64", "fd77::1/64"].map(|net| net.parse().unwrap()).into();
        let dpdk = crate::config::DpdkPort {
            device: "net_null0".into(),
            addresses,
            tap: "sd-a".parse().unwrap(),
            mtu: 1500,
            vlans: Vec::new(),
            hardware_clock: None,
        };
        let dpdk = Port { kind: PortKind::Dpdk(dpdk), ..kernel.clone() };
        assert_eq!(own(&dpdk, Transport::UdpIpv4), Some(Address::Ip("10.0.0.1".parse().unwrap())));
        assert_eq!(own(&dpdk, Transport::UdpIpv6), Some(Address::Ip("fd77::1".parse().unwrap())));
    }
}
