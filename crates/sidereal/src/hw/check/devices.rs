//! The NICs: can DPDK have them, and do they stamp what is to be stamped?

use sidereal_nic_kernel::RxFilter;
use std::collections::BTreeSet;

use super::{Machine, NO_CONFIGURATION, Report, Wrong, pci_ports};
use crate::config::{Config, KernelPort, Port, PortKind, Timestamps};
use crate::hw::FOR_PROGRAMS;
use crate::hw::expected::NicStamps;

pub(super) fn check(machine: &Machine<'_>, config: Option<&Config>, runs_here: bool, report: &mut Report) {
    match config {
        Some(config) if pci_ports(config).next().is_some() => {
            iommu(machine, config, report);
            vfio(machine, config, report);
        }
        Some(_) => {
            for check in ["iommu", "vfio"] {
                report.unchecked(check, "no port is a PCI device of DPDK's");
            }
        }
        None => {
            let iommu = if has_iommu(machine) { "one is in use" } else { "none is in use" };
            report.unchecked("iommu", format!("{NO_CONFIGURATION}; {iommu}"));
            let loaded = if machine.root.exists("/sys/bus/pci/drivers/vfio-pci") { "loaded" } else { "not loaded" };
            report.unchecked("vfio", format!("{NO_CONFIGURATION}; vfio-pci is {loaded}"));
        }
    }
    match config {
        Some(config) => stamps(machine, config, report),
        None => report.unchecked("stamps", NO_CONFIGURATION),
    }
    filters(machine, config.filter(|_| runs_here), report);
    firmware(machine, report);
}

/// Whether DPDK drives `address` beside the kernel.
fn is_shared(machine: &Machine<'_>, address: &str) -> bool {
    let pci = machine.pci(address);
    pci.is_some_and(|pci| machine.profiles.find(&pci.id).is_some_and(|(profile, _)| profile.bifurcated))
}

/// Is there an IOMMU between the NIC and the memory?
fn iommu(machine: &Machine<'_>, config: &Config, report: &mut Report) {
    let needs_one = pci_ports(config).any(|(_, address)| !is_shared(machine, address));
    let wrong = (needs_one && !has_iommu(machine)).then(|| {
        Wrong::new(
            "no IOMMU is in use: /sys/kernel/iommu_groups is empty",
            "vfio-pci does not give a device away without, because it could write to any memory",
            "switch VT-d or AMD-Vi on in the firmware, and on Intel add `intel_iommu=on iommu=pt` to the kernel's command line",
        )
    });
    report.checked("iommu", wrong);
}

fn has_iommu(machine: &Machine<'_>) -> bool {
    !machine.root.names("/sys/kernel/iommu_groups").is_empty()
}

/// Are the devices of DPDK's ports there, and its own?
fn vfio(machine: &Machine<'_>, config: &Config, report: &mut Report) {
    let wrong = pci_ports(config).filter_map(|(port, address)| {
        let Some(pci) = machine.pci(address) else {
            return Some(Wrong::new(
                format!("port \"{}\": no PCI device {address} is here", port.name),
                "the port cannot be opened",
                "lspci -D    # shows the addresses; write the right one as `device`",
            ));
        };
        let driver = pci.driver.as_deref();
        if is_shared(machine, address) {
            let stays = machine.profiles.find(&pci.id).map_or("", |(profile, _)| profile.kernel_driver.as_str());
            return (driver != Some(stays)).then(|| {
                Wrong::new(
                    format!("port \"{}\": {address} is driven by {}", port.name, driver.unwrap_or("nothing")),
                    format!("DPDK drives this NIC beside the kernel's driver {stays}, which must stay"),
                    format!("dpdk-devbind.py --bind={stays} {address}"),
                )
            });
        }
        let is_free = driver.is_some_and(|driver| FOR_PROGRAMS.contains(&driver));
        (!is_free).then(|| {
            Wrong::new(
                format!("port \"{}\": {address} is driven by {}", port.name, driver.unwrap_or("nothing")),
                "DPDK can drive a device only that the kernel has given away",
                format!("modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci {address}"),
            )
        })
    });
    let wrong: Vec<Wrong> = wrong.collect();
    report.checked("vfio", wrong);
}

/// The ports of sockets on named interfaces whose packets a NIC may stamp.
fn stamped_ports(config: &Config) -> impl Iterator<Item = (&Port, &KernelPort, &str)> {
    config.ports.iter().filter_map(|port| match &port.kind {
        PortKind::Kernel(kernel) if kernel.timestamps != Timestamps::Software => {
            Some((port, kernel, kernel.interface.as_ref()?.as_str()))
        }
        PortKind::Kernel(_) | PortKind::Dpdk(_) => None,
    })
}

/// Can the NICs stamp that are to?
fn stamps(machine: &Machine<'_>, config: &Config, report: &mut Report) {
    let must = stamped_ports(config).filter(|(_, kernel, _)| kernel.timestamps == Timestamps::Hardware);
    let wrong = must.filter_map(|(port, kernel, interface)| {
        let cannot = match NicStamps::of(machine, config, kernel, interface) {
            Err(why) => why,
            Ok(NicStamps { clock, .. }) if !clock.runs => format!("{} stands still", clock.device),
            Ok(NicStamps { clock, .. }) if !clock.virtual_clocks.is_empty() => {
                format!("{} runs free under virtual clocks, and no `hardware_clock` names one", clock.device)
            }
            Ok(_) => return None,
        };
        Some(Wrong::new(
            format!("port \"{}\" asks for hardware stamps: {cannot}", port.name),
            "sidereal does not start, or its stamps cannot be steered by",
            format!("ethtool -T {interface}    # shows what it can; or write `timestamps = \"software\"`"),
        ))
    });
    let wrong: Vec<Wrong> = wrong.collect();
    report.checked("stamps", wrong);
}

/// Does a NIC stamp all packets whose driver suffers from it? Does one stamp less than the sidereal that runs with `config` needs?
fn filters(machine: &Machine<'_>, config: Option<&Config>, report: &mut Report) {
    const CHECK: &str = "stamp_filters";
    let mut stamping = 0_usize;
    let mut wrong = Vec::new();
    for interface in machine.interfaces() {
        let Some(set) = machine.system.stamped(&interface) else { continue };
        stamping += 1;
        let known = machine.pci_of(&machine.real(&interface)).and_then(|pci| machine.profiles.find(&pci.id));
        if set.filter == RxFilter::All && known.is_some_and(|(profile, _)| profile.all_filter_is_dear) {
            wrong.push(Wrong::new(
                format!("{interface} is set to stamp every packet"),
                "users of this driver have seen it take a fifth of all processor time, in a lock",
                format!(
                    "hwstamp_ctl -i {interface} -t 1 -r 12    # PTP alone; sidereal asks for no more than it needs"
                ),
            ));
        }
    }
    let ports = config.into_iter().flat_map(|config| stamped_ports(config).map(move |port| (config, port)));
    for (config, (port, kernel, interface)) in ports {
        let Ok(NicStamps { filter: needed, .. }) = NicStamps::of(machine, config, kernel, interface) else { continue };
        let Some(set) = machine.system.stamped(interface) else { continue };
        if !(set.tx && set.filter.serves(needed)) {
            let sent = if set.tx { "" } else { " and nothing that is sent" };
            wrong.push(Wrong::new(
                format!("{interface} is set to stamp {}{sent}, and port \"{}\" needs {needed}", set.filter, port.name),
                "somebody has set it since sidereal did: packets come without stamps, and what they measure is lost",
                "systemctl restart sidereal    # and have the other program, such as ptp4l, leave this NIC alone",
            ));
        }
    }
    if stamping == 0 {
        return report.unchecked(CHECK, "no NIC here is one that stamps packets");
    }
    report.checked(CHECK, wrong);
}

/// Does the firmware stamp by the clock that can be steered? Only its vendor's tool can tell.
fn firmware(machine: &Machine<'_>, report: &mut Report) {
    const CHECK: &str = "firmware_clock";
    let addresses = machine.interfaces().into_iter().filter_map(|interface| Some(machine.pci_of(&interface)?.address));
    let addresses: BTreeSet<String> =
        addresses.chain(machine.pci_without_interface().into_iter().map(|pci| pci.address)).collect();
    let settings = addresses.into_iter().filter_map(|address| {
        let setting = machine.profiles.find(&machine.pci(&address)?.id)?.0.firmware_clock.as_deref()?;
        Some((address, setting))
    });
    let settings: Vec<_> = settings.collect();
    if settings.is_empty() {
        return report.unchecked(CHECK, "no NIC here has such a setting");
    }
    let (mut wrong, mut told) = (Vec::new(), 0_usize);
    for (address, setting) in settings {
        let mends = format!("mstconfig -d {address} set {setting}=1    # then a cold start");
        match machine.system.firmware_setting(&address, setting) {
            None => report.unchecked(
                CHECK,
                format!(
                    "`mstconfig -d {address} query {setting}` tells (package mstflint); where it is False(0): {mends}"
                ),
            ),
            Some(is_on) => {
                told += 1;
                wrong.extend((!is_on).then(|| {
                    Wrong::new(
                        format!("{address} has {setting} off"),
                        "its stamps are ticks of a counter that nobody can steer, and no nanoseconds of its clock",
                        mends,
                    )
                }));
            }
        }
    }
    if told > 0 {
        report.checked(CHECK, wrong);
    }
}
