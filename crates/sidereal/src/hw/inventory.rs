//! What this machine has to give and take time by.

use schemars::JsonSchema;
use serde::Serialize;
use sidereal_ops::PortStatus;
use sidereal_phc::PtpClock;

use super::profile::{DpdkDriver, Latency};
use super::system::Clock;
use super::{FOR_PROGRAMS, Machine, Pci, expected};
use crate::config::{self, Config, PortKind};

/// What this machine has to give and take time by.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Inventory {
    /// Whether a running sidereal answered: what it says of its ports was tried, not read.
    pub(crate) running: bool,
    /// The network interfaces of the kernel, but for the loopback one.
    pub(crate) interfaces: Vec<Interface>,
    /// Ethernet devices that the kernel shows no interface of: DPDK's, or nobody's.
    pub(crate) devices: Vec<Device>,
    /// The ports: of the running sidereal, or of the configuration.
    pub(crate) ports: Vec<Port>,
}

/// A network interface.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Interface {
    /// Its name.
    pub(crate) name: String,
    /// The interface whose NIC takes its stamps, where that is another one: below a VLAN, or the active one of a bond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) below: Option<String>,
    /// Whether it is up, as the kernel says.
    pub(crate) link: String,
    /// Its driver; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) driver: Option<String>,
    /// The version of its firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) firmware: Option<String>,
    /// What it is, where it is on the PCI bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nic: Option<Nic>,
    /// The clock that its NIC stamps by; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clock: Option<Clock>,
    /// Which received packets its NIC can be set to stamp.
    pub(crate) rx_filters: Vec<String>,
    /// Which it is set to stamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rx_filter: Option<String>,
    /// Whether its NIC stamps sent packets.
    pub(crate) tx_stamps: bool,
    /// Whether its NIC can write the time into the Sync messages it sends.
    pub(crate) one_step: bool,
    /// What Sidereal makes of it, and what follows, in words.
    pub(crate) statements: Vec<String>,
}

/// A NIC on the PCI bus.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Nic {
    /// Where: `0000:3b:00.0`.
    pub(crate) address: String,
    /// Vendor and device: `8086:1521`.
    pub(crate) id: String,
    /// What it is called; absent where no profile knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The NUMA node it is wired to; absent where there is but one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) numa_node: Option<usize>,
    /// What surprises.
    pub(crate) quirks: Vec<String>,
    /// Who says so of quirks, latency and DPDK's driver.
    pub(crate) sources: Vec<String>,
    /// What packets take between wire and stamp, where a public source tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
    /// What DPDK's driver could do with it, as its sources say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dpdk: Option<DpdkDriver>,
}

/// An Ethernet device without an interface.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Device {
    /// What it is.
    pub(crate) nic: Nic,
    /// What drives it: `vfio-pci` for DPDK; absent where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) driver: Option<String>,
    /// What follows from that, in words.
    pub(crate) statements: Vec<String>,
}

/// A port that time is served on.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Port {
    /// Its name.
    pub(crate) name: String,
    /// Who moves its packets: `kernel` or `dpdk`.
    pub(crate) backend: String,
    /// The device or interface; absent where sockets are bound to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    /// What it can do and what follows, in words: what the running sidereal found, or what is to be expected.
    pub(crate) statements: Vec<String>,
}

/// What `machine` has. `running` are the ports of the sidereal that runs, `config` is for when none does.
pub(crate) fn inventory(machine: &Machine<'_>, config: Option<&Config>, running: Option<&[PortStatus]>) -> Inventory {
    let names = machine.interfaces();
    let interfaces: Vec<Interface> = names.iter().map(|name| interface(machine, name)).collect();
    let ports = match (running, config) {
        (Some(ports), _) => ports.iter().map(of_running).collect(),
        (None, Some(config)) => config.ports.iter().map(|port| not_open(machine, config, port)).collect(),
        (None, None) => Vec::new(),
    };
    let devices = machine.pci_without_interface().iter().map(|pci| device(machine, pci)).collect();
    Inventory { running: running.is_some(), interfaces, devices, ports }
}

fn interface(machine: &Machine<'_>, name: &str) -> Interface {
    let real = machine.real(name);
    let pci = machine.pci_of(&real);
    let driver = machine.system.driver(&real);
    let offered = machine.system.stamping(name).ok();
    let own = offered.as_ref().and_then(|offered| offered.phc_index);
    let clock = own.map(|index| machine.system.clock(&PtpClock::device(index)));
    let is_stamped = offered.as_ref().is_some_and(|offered| !offered.rx_filters.is_empty());
    let stamped = if is_stamped { machine.system.stamped(name) } else { None };
    let statements = expected::of_interface(machine, name, offered.as_ref(), clock.as_ref());
    Interface {
        name: name.to_owned(),
        below: (real != name).then_some(real),
        link: machine.root.text(&format!("/sys/class/net/{name}/operstate")).unwrap_or_else(|| "unknown".into()),
        firmware: driver.as_ref().and_then(|driver| driver.firmware.clone()),
        driver: driver.map(|driver| driver.driver).or_else(|| pci.as_ref()?.driver.clone()),
        nic: pci.map(|pci| nic(machine, &pci)),
        clock: clock.and_then(Result::ok),
        rx_filters: offered.iter().flat_map(|offered| &offered.rx_filters).map(ToString::to_string).collect(),
        rx_filter: stamped.map(|stamped| stamped.filter.to_string()),
        tx_stamps: offered.as_ref().is_some_and(|offered| offered.tx),
        one_step: offered.is_some_and(|offered| offered.one_step_sync || offered.one_step_peer_delay),
        statements,
    }
}

/// A device that the kernel shows no interface of.
fn device(machine: &Machine<'_>, pci: &Pci) -> Device {
    let statement = match pci.driver.as_deref() {
        None => "no driver has it: no port can be on it".to_owned(),
        Some(driver) if FOR_PROGRAMS.contains(&driver) => {
            format!("{driver} gives it to programs: a port of DPDK can be on it")
        }
        Some(driver) => {
            format!("{driver} of the kernel has it: its interface, if it has one, is in another network namespace")
        }
    };
    Device { driver: pci.driver.clone(), nic: nic(machine, pci), statements: vec![statement] }
}

fn nic(machine: &Machine<'_>, pci: &Pci) -> Nic {
    let known = machine.profiles.find(&pci.id);
    let (address, id) = (pci.address.clone(), pci.id.clone());
    Nic {
        address,
        id,
        name: known.map(|(profile, model)| format!("{} ({})", model.name, profile.name)),
        numa_node: pci.numa_node,
        quirks: known.map(|(profile, _)| profile.quirks.clone()).unwrap_or_default(),
        sources: known.map(|(profile, _)| profile.sources.clone()).unwrap_or_default(),
        latency: known
            .and_then(|(profile, _)| profile.latency.clone())
            .filter(|latency| latency.devices.contains(&pci.id)),
        dpdk: known.and_then(|(profile, _)| profile.dpdk.clone()),
    }
}

fn of_running(port: &PortStatus) -> Port {
    Port {
        name: port.name.clone(),
        backend: port.backend.clone(),
        device: port.device.clone(),
        statements: port.capabilities.clone(),
    }
}

/// A port that is not open, and what is to be expected of it.
fn not_open(machine: &Machine<'_>, config: &Config, port: &config::Port) -> Port {
    let (backend, device, statements) = match &port.kind {
        PortKind::Kernel(kernel) => {
            let interface = kernel.interface.as_ref().map(ToString::to_string);
            ("kernel", interface, expected::of_kernel(machine, config, kernel))
        }
        PortKind::Dpdk(dpdk) => ("dpdk", Some(dpdk.device.clone()), expected::of_dpdk(machine, dpdk)),
    };
    Port { name: port.name.to_string(), backend: backend.into(), device, statements }
}
