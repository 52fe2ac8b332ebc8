//! What this machine has to give and take time by.

use schemars::JsonSchema;
use serde::Serialize;
use sidereal_nic_kernel::{HardwareStamping, RxFilter};
use sidereal_ops::PortStatus;

use super::profile::{DpdkDriver, Latency};
use super::system::Clock;
use super::{Machine, Pci, pci_address};
use crate::config::{Config, KernelPort, PortKind, Timestamps};

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
    let device = |pci: Pci| Device { driver: pci.driver.clone(), nic: nic(machine, &pci) };
    let ports = match (running, config) {
        (Some(ports), _) => ports.iter().map(of_running).collect(),
        (None, Some(config)) => config.ports.iter().map(|port| expected(machine, port, &interfaces)).collect(),
        (None, None) => Vec::new(),
    };
    let devices = machine.pci_without_interface().into_iter().map(device).collect();
    Inventory { running: running.is_some(), interfaces, devices, ports }
}

fn interface(machine: &Machine<'_>, name: &str) -> Interface {
    let real = machine.real(name);
    let pci = machine.pci_of(&real);
    let driver = machine.system.driver(&real);
    let offered = machine.system.stamping(name);
    let clock = offered.as_ref().ok().and_then(|offered| offered.phc_index).map(|index| machine.system.clock(index));
    let is_stamped = offered.as_ref().is_ok_and(|offered| !offered.rx_filters.is_empty());
    let stamped = if is_stamped { machine.system.stamped(name) } else { None };
    let kernel_tx = driver.as_ref().is_some_and(|driver| driver.kernel_tx_stamps);
    let statements = statements(offered.as_ref().ok(), clock.as_ref(), kernel_tx);
    let offered = offered.ok();
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

/// What Sidereal makes of an interface by what its NIC offers.
fn statements(
    offered: Option<&HardwareStamping>,
    clock: Option<&Result<Clock, String>>,
    kernel_tx: bool,
) -> Vec<String> {
    let Some(offered) = offered.filter(|offered| offered.is_usable()) else {
        let sent = if kernel_tx {
            "sent ones too, when the driver takes them"
        } else {
            "sent ones by our program: the driver lets the kernel stamp none"
        };
        return vec![
            "no hardware stamps: received packets are stamped by the kernel, and what the NIC and its interrupt take \
             is not known"
                .into(),
            sent.into(),
        ];
    };
    let all = offered.least_filter(RxFilter::Ntp).is_some();
    let mut said = vec![if all {
        "the NIC stamps PTP messages and our own NTP questions, both ways".to_owned()
    } else {
        "the NIC stamps PTP messages alone, both ways: NTP has hardware stamps only over PTP (`over_ptp`)".to_owned()
    }];
    said.push("NTP requests that are answered are stamped by the kernel; replies carry a predicted T3".into());
    match clock {
        Some(Ok(clock)) if !clock.runs => said.push(format!("{} stands still: its stamps mean nothing", clock.device)),
        Some(Ok(clock)) if !clock.virtual_clocks.is_empty() => {
            let virtual_clocks: Vec<String> =
                clock.virtual_clocks.iter().map(|number| format!("/dev/ptp{number}")).collect();
            said.push(format!(
                "{} runs free under virtual clocks and cannot be steered: write `hardware_clock = \"{}\"` to use one",
                clock.device,
                virtual_clocks.join("\" or \"")
            ));
        }
        Some(Ok(clock)) if clock.max_frequency_ppb == 0 => {
            said.push(format!("{} cannot be steered in frequency: a model tells the time of its stamps", clock.device));
        }
        Some(Ok(clock)) => said.push(format!(
            "{} can be set and steered by up to {} ppb (`[[ptp_clock]]`), and read to +-{} ns",
            clock.device,
            clock.max_frequency_ppb,
            clock.window_ns / 2
        )),
        Some(Err(error)) => said.push(format!("its clock cannot be read, so its stamps are not used: {error}")),
        None => {}
    }
    if offered.one_step_sync {
        said.push("it could write the time into Sync messages itself; Sidereal sends Follow_Up instead".into());
    }
    said
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
        latency: known.and_then(|(profile, _)| profile.latency.clone()),
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

/// A port that does not run, and what is to be expected of it.
fn expected(machine: &Machine<'_>, port: &crate::config::Port, interfaces: &[Interface]) -> Port {
    let (backend, device, statements) = match &port.kind {
        PortKind::Kernel(kernel) => {
            ("kernel", kernel.interface.as_ref().map(ToString::to_string), of_kernel(kernel, interfaces))
        }
        PortKind::Dpdk(dpdk) => ("dpdk", Some(dpdk.device.clone()), of_dpdk(machine, &dpdk.device)),
    };
    Port { name: port.name.to_string(), backend: backend.into(), device, statements }
}

fn of_kernel(kernel: &KernelPort, interfaces: &[Interface]) -> Vec<String> {
    let by_kernel = |why: &str| vec![format!("packets are stamped by the kernel: {why}")];
    let Some(interface) = &kernel.interface else {
        return by_kernel("the port names no `interface`, and so no NIC");
    };
    if kernel.timestamps == Timestamps::Software {
        return by_kernel("`timestamps` is \"software\"");
    }
    match interfaces.iter().find(|known| known.name == interface.as_str()) {
        Some(known) => known.statements.clone(),
        None => vec![format!("the interface {interface} is not here")],
    }
}

fn of_dpdk(machine: &Machine<'_>, device: &str) -> Vec<String> {
    let Some(address) = pci_address(device) else {
        return vec!["a virtual device: what it can do is found out when it is opened".into()];
    };
    let Some(pci) = machine.pci(address) else {
        return vec![format!("no PCI device {address} is here")];
    };
    match machine.profiles.find(&pci.id).map(|(profile, _)| &profile.dpdk) {
        Some(Some(dpdk)) => {
            let build = if dpdk.ieee1588_build { ", built with RTE_LIBRTE_IEEE1588" } else { "" };
            vec![format!(
                "by its sources, {} of DPDK {} or later{build}, can stamp received packets: {}; sent ones: {}; clock: {}",
                dpdk.driver, dpdk.since, dpdk.rx_stamps, dpdk.tx_stamps, dpdk.clock
            )]
        }
        Some(None) => vec!["DPDK has no stamps of this NIC".into()],
        None => vec![format!("nothing is known of the NIC {}; what it can do is found out when it is opened", pci.id)],
    }
}
