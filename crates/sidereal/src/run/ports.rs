//! Ports, opened as the configuration says.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{Framing, PtpService, Service};
use sidereal_nic::Capabilities;
use sidereal_nic_kernel::{Mode, UdpOptions, UdpPort, UdpRx, UdpTx};
use sidereal_ptp::{Address, ClockIdentity, PortIdentity};
use std::num::NonZeroU16;

use crate::command::Failure;
use crate::config::{Config, KernelPort, NtpMode, NtpSource, Port, PortKind, Ptp, SmearKind};
use crate::engine_config::{Macs, kernel_macs, own_address};

#[cfg(feature = "dpdk")]
pub(super) use self::dpdk::Environment;
pub(super) use self::groups::Memberships;
#[cfg(feature = "dpdk")]
mod dpdk;
mod groups;

/// A port that is open.
pub(super) struct OpenPort {
    pub(super) queues: Queues,
    pub(super) capabilities: Capabilities,
    /// Its Ethernet address, where it has one of its own.
    pub(super) mac: Option<[u8; 6]>,
    pub(super) link: Link,
}

/// The queues of a port, one pair for each worker.
pub(super) enum Queues {
    Kernel(Vec<(UdpRx, UdpTx)>),
    #[cfg(feature = "dpdk")]
    Dpdk(sidereal_nic_dpdk::Eal, Vec<(sidereal_nic_dpdk::DpdkRx, sidereal_nic_dpdk::DpdkTx)>),
}

/// Where a port's link is seen.
pub(super) enum Link {
    /// Nowhere: its sockets are on all interfaces.
    None,
    /// At an interface of the kernel.
    Interface(String),
    /// At the port itself.
    #[cfg(feature = "dpdk")]
    Monitor {
        monitor: Box<sidereal_nic_dpdk::PortMonitor>,
        /// Its Ethernet address when it was opened.
        mac: [u8; 6],
    },
}

/// Opens a port of the kernel.
pub(super) fn open_kernel(config: &Config, port: &Port, kernel: &KernelPort, mode: Mode) -> Result<OpenPort, Failure> {
    let number = |number: usize| u16::try_from(number).ok().and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN);
    let options = UdpOptions {
        addresses: kernel.bind.clone(),
        port: ntp_port(config),
        interface: kernel.interface.as_ref().map(|interface| interface.as_str().to_owned()),
        queues: number(port.queues),
        shared: speaks_from_ntp_port(config),
        mode,
    };
    let opened = UdpPort::open(&options).map_err(|error| {
        let remedy = "stop what else serves there, or change `addresses` or `interface` of the port";
        Failure::Failed(format!("port \"{}\": {error}\n  help: {remedy}", port.name))
    })?;
    let link = kernel.interface.as_ref().map_or(Link::None, |interface| Link::Interface(interface.as_str().to_owned()));
    Ok(OpenPort { queues: Queues::Kernel(opened.queues), capabilities: opened.capabilities, mac: None, link })
}

/// What workers of `port` serve, and under which addresses.
pub(super) fn service(config: &Config, port: &Port) -> Service {
    let (addresses, vlans) = match &port.kind {
        // The kernel knows its own addresses and VLANs.
        PortKind::Kernel(_) => (Vec::new(), Vec::new()),
        PortKind::Dpdk(dpdk) => (dpdk.addresses.iter().map(|net| net.addr()).collect(), dpdk.vlans.clone()),
    };
    let smear = match port.smear {
        SmearKind::Off => None,
        SmearKind::Linear => Some(sidereal_engine::SmearKind::Linear),
        SmearKind::Cosine => Some(sidereal_engine::SmearKind::Cosine),
    };
    Service { addresses, ntp_port: ntp_port(config), vlans, smear }
}

/// The PTP Ports whose messages come by the workers of `port`, a port of DPDK with this MAC address.
pub(super) fn ptp_services(config: &Config, port: &Port, mac: [u8; 6]) -> Result<Vec<PtpService>, Failure> {
    let service = |ptp: &Ptp| {
        let options = &ptp.options.port;
        let address = match own_address(port, options.transport, Some(mac)) {
            Some(Address::Ip(address)) => Some(address),
            _ => None,
        };
        let missing =
            || Failure::Usage(format!("ptp \"{}\": the port \"{}\" has no such address", ptp.name, port.name));
        let framing = Framing::new(options.transport, mac, address, ptp.vlan).ok_or_else(missing)?;
        let clock = ptp.identity.unwrap_or_else(|| ClockIdentity::from_mac(mac));
        let identity = PortIdentity { clock, number: options.number };
        Ok(PtpService { key: options.key, domain: ptp.options.domain, identity, framing })
    };
    config.ptp.iter().filter(|ptp| ptp.port == port.name).map(service).collect()
}

/// The MAC addresses of ports: of the kernel's interfaces, and of ports that are open.
pub(super) fn macs(config: &Config, opened: &[OpenPort]) -> Macs {
    let of_open = config.ports.iter().zip(opened).filter_map(|(port, open)| Some((port.name.clone(), open.mac?)));
    kernel_macs(config).into_iter().chain(of_open).collect()
}

/// Opens every port, those of DPDK by `counter`.
pub(super) fn open_all(config: &Config, counter: LocalCounter) -> Result<Vec<OpenPort>, Failure> {
    #[cfg(feature = "dpdk")]
    let environment = Environment::start(config)?;
    let open = |port: &Port| match &port.kind {
        PortKind::Kernel(kernel) => open_kernel(config, port, kernel, Mode::Burst),
        #[cfg(feature = "dpdk")]
        PortKind::Dpdk(dpdk) => environment.open(port, dpdk, counter),
        #[cfg(not(feature = "dpdk"))]
        PortKind::Dpdk(_) => Err(Failure::Usage(format!("port \"{}\": DPDK is not part of this build", port.name))),
    };
    #[cfg(not(feature = "dpdk"))]
    let _ = counter;
    config.ports.iter().map(open).collect()
}

/// The port that is served, and that peers and broadcasts speak from.
pub(super) fn ntp_port(config: &Config) -> u16 {
    u16::try_from(config.ntp_server.port.get()).unwrap_or(u16::MAX)
}

/// Whether anything but the workers is bound to the NTP port: associations that are not mere clients, and broadcasts.
fn speaks_from_ntp_port(config: &Config) -> bool {
    let is_client = |source: &NtpSource| source.mode == NtpMode::Client;
    !config.ntp_broadcasts.is_empty() || !config.ntp_sources.iter().all(is_client)
}
