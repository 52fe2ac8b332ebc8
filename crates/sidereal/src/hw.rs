//! The hardware of this machine: what its NICs can do, and what keeps it from doing it well.

mod check;
mod expected;
mod finding;
mod inventory;
mod profile;
mod root;
mod system;

use crate::config::{Config, PortKind};

pub(crate) use check::check;
pub(crate) use finding::{Finding, Report};
pub(crate) use inventory::{Interface, Inventory, Port, inventory};
pub(crate) use profile::Profiles;
pub(crate) use root::Root;
pub(crate) use system::{Here, System, nic_clock};

/// What is looked at.
pub(crate) struct Machine<'a> {
    /// Its files.
    pub(crate) root: &'a Root,
    /// What it tells by calls.
    pub(crate) system: &'a dyn System,
    /// What is known of NICs.
    pub(crate) profiles: &'a Profiles,
}

/// A function of the PCI bus.
struct Pci {
    /// `0000:3b:00.0`
    address: String,
    /// Vendor and device: `8086:1521`.
    id: String,
    /// What drives it.
    driver: Option<String>,
    /// The NUMA node that it is wired to, where there are several.
    numa_node: Option<usize>,
}

impl Machine<'_> {
    /// The network interfaces but the loopback one, in order.
    fn interfaces(&self) -> Vec<String> {
        /// ARPHRD_LOOPBACK (linux/if_arp.h).
        const LOOPBACK: u32 = 772;
        let names = self.root.names("/sys/class/net").into_iter();
        names
            .filter(|name| self.root.exists(&format!("/sys/class/net/{name}/ifindex")))
            .filter(|name| self.root.number(&format!("/sys/class/net/{name}/type")) != Some(LOOPBACK))
            .collect()
    }

    /// The interface that takes the packets of `interface`: of a VLAN the one below.
    fn real(&self, interface: &str) -> String {
        sidereal_nic_kernel::real_device_in(&self.root.path("/sys/class/net"), interface)
    }

    /// Whether there is an interface of this name.
    fn has_interface(&self, interface: &str) -> bool {
        self.root.exists(&format!("/sys/class/net/{interface}"))
    }

    /// Whether an interface is made of others: a bridge, a bond, a VLAN.
    fn has_lower(&self, interface: &str) -> bool {
        self.root.names(&format!("/sys/class/net/{interface}")).iter().any(|name| name.starts_with("lower_"))
    }

    /// The PCI function of an interface; `None` where it is on no such bus.
    fn pci_of(&self, interface: &str) -> Option<Pci> {
        let device = self.root.real_path(&format!("/sys/class/net/{interface}/device"))?;
        // A device of virtio is one folder below its PCI function.
        device.ancestors().find_map(|folder| self.pci(folder.file_name()?.to_str()?))
    }

    /// The PCI function of an address; `None` where there is none.
    fn pci(&self, address: &str) -> Option<Pci> {
        let folder = format!("/sys/bus/pci/devices/{address}");
        let hex = |name: &str| Some(self.root.text(&format!("{folder}/{name}"))?.trim_start_matches("0x").to_owned());
        Some(Pci {
            address: address.to_owned(),
            id: format!("{}:{}", hex("vendor")?, hex("device")?),
            driver: self.root.link(&format!("{folder}/driver")),
            // -1 where there are no nodes.
            numa_node: self.root.number(&format!("{folder}/numa_node")),
        })
    }

    /// The Ethernet functions of the PCI bus that the kernel shows no interface of.
    fn pci_without_interface(&self) -> Vec<Pci> {
        /// Network controller, Ethernet.
        const ETHERNET: &str = "0x0200";
        let of_interfaces: Vec<Pci> = self.interfaces().iter().filter_map(|interface| self.pci_of(interface)).collect();
        let of_class = |address: &str| {
            let class = self.root.text(&format!("/sys/bus/pci/devices/{address}/class"));
            class.is_some_and(|class| class.starts_with(ETHERNET))
        };
        let addresses = self.root.names("/sys/bus/pci/devices").into_iter();
        let bare =
            addresses.filter(|address| of_class(address) && of_interfaces.iter().all(|pci| pci.address != *address));
        bare.filter_map(|address| self.pci(&address)).collect()
    }
}

/// Drivers that let a program drive a device.
const FOR_PROGRAMS: [&str; 3] = ["vfio-pci", "uio_pci_generic", "igb_uio"];

/// The PCI address that a DPDK port names; `None` for a virtual device.
fn pci_address(device: &str) -> Option<&str> {
    let name = device.split(',').next().unwrap_or(device);
    name.starts_with(|first: char| first.is_ascii_hexdigit()).then_some(name).filter(|name| name.contains(':'))
}

/// The DPDK ports of `config` that are devices of the PCI bus, with their addresses.
fn pci_ports(config: &Config) -> impl Iterator<Item = (&crate::config::Port, &str)> {
    config.ports.iter().filter_map(|port| match &port.kind {
        PortKind::Dpdk(dpdk) => Some((port, pci_address(&dpdk.device)?)),
        PortKind::Kernel(_) => None,
    })
}

// Configurations with ports of DPDK are no good in a build without it.
#[cfg(feature = "dpdk")]
#[cfg(test)]
mod made_up;
