//! From tables that are each right to a configuration that makes sense as a whole.

mod over_ptp;
mod ptp;
mod sources;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use super::document::{Backend, Document, Mode, PortTable, Timestamps};
use super::values::{InterfaceName, Invalid, PortAddress};
use super::{Config, DpdkPort, KernelPort, Port, PortKind};
use ipnet::IpNet;

/// What is wrong, and the path of the key that it is about.
pub(super) struct Fault {
    pub(super) path: String,
    pub(super) invalid: Invalid,
}

/// Collects faults, so that all are told at once.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Fault { path: path.into(), invalid: Invalid::new(what, remedy) });
    }
}

/// The longest root delay and root dispersion that NTP can tell, in seconds (RFC 5905 §6, short format).
const NTP_SHORT_MAX_S: u64 = 65_535;

/// The smallest MTU of a link that carries IPv6, in bytes (RFC 8200 §5).
const IPV6_MTU_MIN: u32 = 1280;

pub(super) fn check(document: Document) -> Result<Config, Vec<Fault>> {
    let mut faults = Faults::default();
    check_clock(&document, &mut faults);
    check_access(&document, &mut faults);
    check_names(&document, &mut faults);
    check_cores(&document, &mut faults);
    if document.mode == Mode::Single {
        check_single(&document, &mut faults);
    }
    let ports: Vec<Port> = document
        .port
        .iter()
        .enumerate()
        .filter_map(|(index, table)| check_port(&format!("port.{index}"), table, &mut faults))
        .collect();
    check_shared_interfaces(&document, &mut faults);
    check_addresses(&document, &mut faults);
    let sources = sources::check(&document, &mut faults);
    let ptp = ptp::check(&document, &mut faults);
    over_ptp::check(&document, &ptp, &mut faults);
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    Ok(Config {
        mode: document.mode,
        ports,
        workers: document.workers,
        dpdk: document.dpdk,
        over_ptp_domain: document.ntp.over_ptp_domain.to_u8(),
        ntp_server: document.ntp.server,
        reference: sources.reference,
        ntp_sources: document.ntp.source,
        ntp_broadcasts: document.ntp.broadcast,
        reference_clocks: sources.reference_clocks,
        ptp,
        selection: document.selection,
        servo: document.servo,
        clock: document.clock,
        ptp_clocks: document.ptp_clock,
        smear: document.smear,
        access: document.access,
        keys: document.keys,
        ops: document.ops,
        state: document.state,
    })
}

fn check_clock(document: &Document, faults: &mut Faults) {
    let clock = &document.clock;
    for (path, length) in [("clock.root_delay", clock.root_delay), ("clock.root_dispersion", clock.root_dispersion)] {
        if length.0.as_secs() >= NTP_SHORT_MAX_S {
            let remedy = format!("write less than {NTP_SHORT_MAX_S} s, the most that NTP can tell");
            faults.add(path, format!("\"{length}\" is too long"), remedy);
        }
    }
}

fn check_access(document: &Document, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for (index, access) in document.access.iter().enumerate() {
        if !seen.insert(access.prefix) {
            let what = format!("\"{}\" is already in an earlier [[access]]", access.prefix);
            faults.add(format!("access.{index}.prefix"), what, "keep one of them");
        }
        if access.require_key && document.keys.is_none() {
            let what = "a key is required and no key is known";
            faults.add(format!("access.{index}.require_key"), what, "add [keys] with the file of keys, or remove this");
        }
    }
}

/// Names that must be unique: of ports, of TAP interfaces, of DPDK devices.
fn check_names(document: &Document, faults: &mut Faults) {
    if document.port.is_empty() {
        faults.add("port", "there is no port", "add a [[port]]; `sidereal config default` shows one");
    }
    let mut names = HashSet::new();
    let mut taps = HashSet::new();
    let mut devices = HashSet::new();
    for (index, port) in document.port.iter().enumerate() {
        if !names.insert(&port.name) {
            let what = format!("a port called \"{}\" stands above", port.name);
            faults.add(format!("port.{index}.name"), what, "give each port a name of its own");
        }
        if port.backend != Backend::Dpdk {
            continue;
        }
        let tap = tap_of(port);
        if !taps.insert(tap.clone()) {
            let what = format!("another port has the TAP interface \"{tap}\"");
            faults.add(format!("port.{index}.tap"), what, "give each port an interface of its own");
        }
        if port.device.as_ref().is_some_and(|device| !devices.insert(device)) {
            let what = format!("another port has the device {:?}", port.device.as_deref().unwrap_or_default());
            faults.add(
                format!("port.{index}.device"),
                what,
                "give each port a device of its own, or more queues to one",
            );
        }
    }
}

fn tap_of(port: &PortTable) -> InterfaceName {
    port.tap.clone().unwrap_or_else(|| InterfaceName::of_tap(&port.name))
}

fn check_cores(document: &Document, faults: &mut Faults) {
    let mut owners = BTreeMap::new();
    for (index, port) in document.port.iter().enumerate() {
        let queues = port.queues.get() as usize;
        if !port.cores.is_empty() && port.cores.len() != queues {
            faults.add(
                format!("port.{index}.cores"),
                format!("{} for {}", plural(port.cores.len(), "core"), plural(queues, "queue")),
                "name one core per queue, or none to leave the workers unpinned",
            );
        }
        for (place, core) in port.cores.iter().enumerate() {
            if let Some(owner) = owners.insert(core.get(), &port.name) {
                let what = format!("core {core} already has a worker of port \"{owner}\"");
                faults.add(format!("port.{index}.cores.{place}"), what, "give each worker a core of its own");
            }
        }
    }
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// One thread does everything: what needs more is refused.
fn check_single(document: &Document, faults: &mut Faults) {
    for (index, port) in document.port.iter().enumerate() {
        if port.backend == Backend::Dpdk {
            let remedy = "write mode = \"appliance\", or backend = \"kernel\"";
            faults.add(
                format!("port.{index}.backend"),
                "\"dpdk\" needs more threads than mode = \"single\" has",
                remedy,
            );
        }
        if port.queues.get() > 1 {
            let what = format!("{} queues need more threads than mode = \"single\" has", port.queues);
            faults.add(format!("port.{index}.queues"), what, "write 1, or mode = \"appliance\"");
        }
        if !port.cores.is_empty() {
            let what = "mode = \"single\" has no worker to pin";
            faults.add(
                format!("port.{index}.cores"),
                what,
                "remove `cores` (taskset pins the program), or write mode = \"appliance\"",
            );
        }
    }
}

fn check_port(path: &str, table: &PortTable, faults: &mut Faults) -> Option<Port> {
    let kind = match table.backend {
        Backend::Dpdk => PortKind::Dpdk(check_dpdk_port(path, table, faults)?),
        Backend::Kernel => PortKind::Kernel(check_kernel_port(path, table, faults)),
    };
    Some(Port {
        name: table.name.clone(),
        queues: table.queues.get() as usize,
        cores: table.cores.iter().map(|core| core.get() as usize).collect(),
        smear: table.smear,
        kind,
    })
}

fn check_dpdk_port(path: &str, table: &PortTable, faults: &mut Faults) -> Option<DpdkPort> {
    if cfg!(not(feature = "dpdk")) {
        let remedy = "write backend = \"kernel\", or build with the Cargo feature `dpdk`";
        faults.add(format!("{path}.backend"), "\"dpdk\" is not part of this build", remedy);
    }
    if table.interface.is_some() {
        let remedy = "remove it; the device says what the port is";
        faults.add(format!("{path}.interface"), "a DPDK port has no kernel interface to bind to", remedy);
    }
    if table.timestamps.is_some() {
        let remedy = "remove it; what a DPDK port stamps is found out when it is opened";
        faults.add(format!("{path}.timestamps"), "`timestamps` is for kernel ports", remedy);
    }
    let mtu = table.mtu.unwrap_or(super::document::Mtu::literal::<1500>());
    let mut addresses = Vec::new();
    for (index, address) in table.addresses.iter().enumerate() {
        match own_address(*address) {
            Ok(net) => addresses.push(net),
            Err(invalid) => faults.add(format!("{path}.addresses.{index}"), invalid.what, invalid.remedy),
        }
    }
    if addresses.is_empty() && table.addresses.is_empty() {
        let remedy = "write addresses = [\"10.77.0.1/24\"], with the port's own address";
        faults.add(format!("{path}.addresses"), "a DPDK port without an address receives nothing", remedy);
    }
    if mtu.get() < IPV6_MTU_MIN && addresses.iter().any(|net| net.addr().is_ipv6()) {
        let remedy = format!("write at least {IPV6_MTU_MIN}, the least that IPv6 asks for");
        faults.add(format!("{path}.mtu"), format!("{mtu} is too small for the port's IPv6 addresses"), remedy);
    }
    let Some(device) = table.device.clone().filter(|device| !device.trim().is_empty()) else {
        let remedy =
            "write a PCI address (device = \"0000:3b:00.0\") or a virtual device (\"net_af_packet0,iface=veth0\")";
        faults.add(format!("{path}.device"), "a DPDK port needs a device", remedy);
        return None;
    };
    #[cfg(feature = "dpdk")]
    if let Err(error) = device.parse::<sidereal_nic_dpdk::Device>() {
        let remedy = "write a PCI address (\"0000:3b:00.0\") or a virtual device with its arguments (\"net_af_packet0,iface=veth0\")";
        faults.add(format!("{path}.device"), error.to_string(), remedy);
    }
    Some(DpdkPort {
        device,
        addresses,
        tap: tap_of(table),
        mtu: mtu.to_u16(),
        vlans: table.vlans.iter().map(|vlan| vlan.to_u16()).collect(),
        hardware_clock: table.hardware_clock.clone(),
    })
}

/// An address that a host can have on a network of its own.
fn own_address(address: PortAddress) -> Result<IpNet, Invalid> {
    let ip = address.address;
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || ip == IpAddr::from([255; 4]) {
        return Err(Invalid::new(
            format!("\"{address}\" is not an address that a host can have"),
            "write the port's own address, such as \"10.77.0.1/24\": DPDK ports do not bind",
        ));
    }
    let Some(prefix_len) = address.prefix_len else {
        return Err(Invalid::new(
            format!("\"{address}\" lacks the length of its prefix"),
            format!("write \"{ip}/{}\", with the length that your network has", if ip.is_ipv4() { 24 } else { 64 }),
        ));
    };
    IpNet::new(ip, prefix_len)
        .map_err(|_| Invalid::new(format!("\"{address}\" is not an address"), "write a shorter prefix length"))
}

fn check_kernel_port(path: &str, table: &PortTable, faults: &mut Faults) -> KernelPort {
    let ours = [
        ("device", table.device.is_some(), "name an interface with `interface` if the port shall be bound to one"),
        ("tap", table.tap.is_some(), "remove it; the kernel gets its own packets without one"),
        ("mtu", table.mtu.is_some(), "remove it; `ip link set mtu` sets it"),
        ("vlans", !table.vlans.is_empty(), "remove it; the kernel gives each VLAN an interface of its own"),
    ];
    for (key, is_written, remedy) in ours {
        if is_written {
            faults.add(format!("{path}.{key}"), format!("`{key}` is for DPDK ports"), remedy);
        }
    }
    if table.addresses.is_empty() {
        let remedy = "write addresses = [\"0.0.0.0\", \"::\"] to bind to all";
        faults.add(format!("{path}.addresses"), "a kernel port without an address receives nothing", remedy);
    }
    for (index, address) in table.addresses.iter().enumerate() {
        let path = format!("{path}.addresses.{index}");
        if address.prefix_len.is_some() {
            let what = format!("\"{address}\" has the length of a prefix, and a socket binds to one address");
            faults.add(path, what, format!("write \"{}\"", address.address));
        } else if address.address.is_multicast() || address.address == IpAddr::from([255; 4]) {
            let remedy = "write one of the host's addresses, \"0.0.0.0\" or \"::\"";
            faults.add(path, format!("\"{address}\" is a group, and requests come to hosts"), remedy);
        }
    }
    check_timestamps(path, table, faults);
    KernelPort {
        bind: table.addresses.iter().map(|address| address.address).collect(),
        interface: table.interface.clone(),
        timestamps: table.timestamps.unwrap_or_default(),
        hardware_clock: table.hardware_clock.clone(),
    }
}

/// Stamps of a NIC are told by one clock: that of the interface.
fn check_timestamps(path: &str, table: &PortTable, faults: &mut Faults) {
    let remedy = "write `interface`, the one whose NIC stamps";
    if table.interface.is_none() {
        if table.timestamps == Some(Timestamps::Hardware) {
            let what = format!("\"hardware\": the port \"{}\" is on no one interface", table.name);
            faults.add(format!("{path}.timestamps"), what, remedy);
        }
        if let Some(clock) = &table.hardware_clock {
            let what = format!("\"{clock}\" stamps nothing: the port \"{}\" is on no one interface", table.name);
            faults.add(format!("{path}.hardware_clock"), what, remedy);
        }
    }
    if let (Some(Timestamps::Software), Some(clock)) = (table.timestamps, &table.hardware_clock) {
        let what = format!("\"{clock}\" is a clock of hardware, and `timestamps` is \"software\"");
        faults.add(format!("{path}.hardware_clock"), what, "remove one of them");
    }
}

/// What passes an interface is stamped by one clock, whatever port it is of.
fn check_shared_interfaces(document: &Document, faults: &mut Faults) {
    let mut seen: BTreeMap<&str, &PortTable> = BTreeMap::new();
    let kernel = |port: &&PortTable| port.backend == Backend::Kernel;
    for (index, port) in document.port.iter().enumerate().filter(|(_, port)| kernel(port)) {
        let Some(interface) = port.interface.as_ref().map(InterfaceName::as_str) else { continue };
        let first = *seen.entry(interface).or_insert(port);
        let stamped = |port: &PortTable| (port.timestamps.unwrap_or_default(), port.hardware_clock.clone());
        if stamped(first) != stamped(port) {
            let what = format!("the port \"{}\" has its packets on {interface} stamped otherwise", first.name);
            let remedy = "write the same `timestamps` and `hardware_clock` for all ports of an interface";
            faults.add(format!("port.{index}.timestamps"), what, remedy);
        }
    }
}

/// No address twice: of kernel ports where no interface tells them apart, of DPDK ports at all.
fn check_addresses(document: &Document, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for (index, port) in document.port.iter().enumerate() {
        for (place, address) in port.addresses.iter().enumerate() {
            if !seen.insert((port.backend == Backend::Dpdk, address.address, port.interface.clone())) {
                let what = format!("\"{}\" stands above already", address.address);
                faults.add(format!("port.{index}.addresses.{place}"), what, "give each port addresses of its own");
            }
        }
    }
}
