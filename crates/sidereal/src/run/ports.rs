//! Ports, opened as the configuration says.

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{Framing, LinkSpeed, OverPtp, PtpService, Service, TxOptions, TxStrategy};
use sidereal_nic::{Capabilities, HardwareClock};
use sidereal_nic_kernel::{Mode, UdpOptions, UdpPort, UdpRx, UdpTx};
use sidereal_ptp::{Address, ClockIdentity, NtpCarrier, PortIdentity};
use sidereal_time::ClockId;
use std::num::NonZeroU16;

use crate::command::Failure;
use crate::config::{Config, InterfaceName, KernelPort, NtpMode, NtpSource, Port, PortKind, Ptp, SmearKind};
use crate::engine_config::{Macs, kernel_macs, own_address};
use crate::hw::nic_clock;
use crate::stamping::Stamping;

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
    /// How fast that is, as it is found out.
    pub(super) speed: LinkSpeed,
    /// Why its NIC does not stamp, where it was to if it can.
    pub(super) declined: Option<String>,
    /// The clock that its stamps are of, where no device of the kernel shows that.
    pub(super) clock: Option<PortClock>,
}

/// The clock of a port, which the worker of its first queue reads.
pub(super) struct PortClock {
    pub(super) id: ClockId,
    pub(super) clock: Box<dyn HardwareClock>,
}

impl OpenPort {
    /// What it can do, and what follows from that, in words.
    pub(super) fn statements(&self) -> Vec<String> {
        let declined = self.declined.iter().map(|why| format!("the kernel stamps packets, because {why}"));
        statements(&self.capabilities).into_iter().chain(declined).collect()
    }
}

/// What a port with these capabilities can do, and what follows from that, in words.
pub(super) fn statements(capabilities: &Capabilities) -> Vec<String> {
    let strategy = format!("T3 of replies: {}", TxStrategy::of(capabilities, None));
    capabilities.statements().iter().map(ToString::to_string).chain([strategy]).collect()
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

/// Opens a port of the kernel, whose packets are stamped by who does by `stamping`.
pub(super) fn open_kernel(
    (config, stamping): (&Config, &Stamping),
    port: &Port,
    kernel: &KernelPort,
    mode: Mode,
) -> Result<OpenPort, Failure> {
    let interface = kernel.interface.as_ref().map(InterfaceName::as_str);
    let number = |number: usize| u16::try_from(number).ok().and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN);
    let options = UdpOptions {
        addresses: kernel.bind.clone(),
        port: ntp_port(config),
        interface: interface.map(ToOwned::to_owned),
        queues: number(port.queues),
        shared: speaks_from_ntp_port(config),
        mode,
        timestamping: interface.map(|interface| stamping.of(interface)).unwrap_or_default(),
    };
    let opened = UdpPort::open(&options).map_err(|error| {
        let remedy = "stop what else serves there, or change `addresses` or `interface` of the port";
        Failure::Failed(format!("port \"{}\": {error}\n  help: {remedy}", port.name))
    })?;
    Ok(OpenPort {
        queues: Queues::Kernel(opened.queues),
        capabilities: Capabilities {
            clock: interface.and_then(|interface| nic_clock(interface, options.timestamping)),
            ..opened.capabilities
        },
        mac: None,
        link: interface.map_or(Link::None, |interface| Link::Interface(interface.to_owned())),
        speed: LinkSpeed::default(),
        declined: interface.and_then(|interface| stamping.declined(interface)).map(ToOwned::to_owned),
        clock: None,
    })
}

/// What workers of `port`, which has this MAC address if any, and a link of this speed, serve, and under which addresses.
pub(super) fn service(config: &Config, port: &Port, mac: Option<[u8; 6]>, speed: &LinkSpeed) -> Service {
    let (addresses, vlans) = match &port.kind {
        // The kernel knows its own addresses and VLANs.
        PortKind::Kernel(_) => (Vec::new(), Vec::new()),
        PortKind::Dpdk(dpdk) => (dpdk.addresses.iter().map(|net| net.addr()).collect(), dpdk.vlans.clone()),
    };
    let over_ptp = match &port.kind {
        // It comes to the sockets of PTP, which the engine has.
        PortKind::Kernel(_) => None,
        PortKind::Dpdk(_) => over_ptp(config, mac, speed),
    };
    Service { addresses, ntp_port: ntp_port(config), vlans, smear: smear(port), over_ptp }
}

/// How the workers of an open port find T3. No port of ours tells the clock that it would send by.
pub(super) fn transmit(opened: &OpenPort) -> TxOptions {
    TxOptions { strategy: TxStrategy::of(&opened.capabilities, None), link: opened.speed.clone() }
}

/// How leap seconds are smeared on `port`.
pub(super) const fn smear(port: &Port) -> Option<sidereal_engine::SmearKind> {
    match port.smear {
        SmearKind::Off => None,
        SmearKind::Linear => Some(sidereal_engine::SmearKind::Linear),
        SmearKind::Cosine => Some(sidereal_engine::SmearKind::Cosine),
    }
}

/// How NTP over PTP is dealt with on a port with this MAC address and a link of this speed; `None` where nothing is asked and nothing answered.
pub(super) fn over_ptp(config: &Config, mac: Option<[u8; 6]>, speed: &LinkSpeed) -> Option<OverPtp> {
    let serves = config.ntp_server.over_ptp;
    // Sources may come by a reload: then their answers are not to be taken for PTP's own.
    let may_ask = config.ntp_sources.iter().any(|source| source.over_ptp) || !config.ptp.is_empty();
    let clock = mac.map(ClockIdentity::from_mac).unwrap_or_default();
    let carrier = NtpCarrier { domain: config.over_ptp_domain, source: PortIdentity { clock, number: 1 } };
    (serves || may_ask).then(|| OverPtp { carrier, serves, link: speed.clone() })
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

/// Opens every port, those of DPDK by `counter`, those of the kernel with the stamps that `stamping` has.
pub(super) fn open_all(
    config: &Config,
    stamping: &mut Stamping,
    counter: LocalCounter,
) -> Result<Vec<OpenPort>, Failure> {
    #[cfg(feature = "dpdk")]
    let environment = Environment::start(config)?;
    let open = |port: &Port| match &port.kind {
        PortKind::Kernel(kernel) => open_kernel((config, stamping), port, kernel, Mode::Burst),
        #[cfg(feature = "dpdk")]
        PortKind::Dpdk(dpdk) => environment.open(port, dpdk, counter, stamping),
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
