//! The NICs: can DPDK have them, and do they stamp what is to be stamped?

use sidereal_nic_kernel::RxFilter;

use super::{Machine, NO_CONFIGURATION, Report, Wrong, pci_ports};
use crate::config::{Config, KernelPort, PortKind, Timestamps};

/// Drivers that let a program drive a device.
const FOR_PROGRAMS: [&str; 3] = ["vfio-pci", "uio_pci_generic", "igb_uio"];

pub(super) fn check(machine: &Machine<'_>, config: Option<&Config>, report: &mut Report) {
    match config {
        Some(config) if pci_ports(config).next().is_some() => {
            iommu(machine, config, report);
            vfio(machine, config, report);
        }
        other => {
            let why = other.map_or(NO_CONFIGURATION, |_| "no port is a PCI device of DPDK's");
            report.unchecked("iommu", why);
            report.unchecked("vfio", why);
        }
    }
    match config {
        Some(config) => stamps(machine, config, report),
        None => report.unchecked("stamps", NO_CONFIGURATION),
    }
    filters(machine, report);
    firmware(machine, report);
}

/// Whether DPDK drives `address` beside the kernel.
fn is_shared(machine: &Machine<'_>, address: &str) -> bool {
    let pci = machine.pci(address);
    pci.is_some_and(|pci| machine.profiles.find(&pci.id).is_some_and(|(profile, _)| profile.bifurcated))
}

/// Is there an IOMMU between the NIC and the memory?
fn iommu(machine: &Machine<'_>, config: &Config, report: &mut Report) {
    let has_one = !machine.root.names("/sys/kernel/iommu_groups").is_empty();
    let needs_one = pci_ports(config).any(|(_, address)| !is_shared(machine, address));
    let wrong = (needs_one && !has_one).then(|| {
        Wrong::new(
            "no IOMMU is in use: /sys/kernel/iommu_groups is empty",
            "vfio-pci does not give a device away without, because it could write to any memory",
            "switch VT-d or AMD-Vi on in the firmware, and on Intel add `intel_iommu=on iommu=pt` to the kernel's command line",
        )
    });
    report.checked("iommu", wrong);
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

/// Can the NICs stamp that are to?
fn stamps(machine: &Machine<'_>, config: &Config, report: &mut Report) {
    let named = config.ports.iter().filter_map(|port| match &port.kind {
        PortKind::Kernel(kernel) if kernel.timestamps == Timestamps::Hardware => {
            Some((port, kernel, kernel.interface.as_ref()?.as_str()))
        }
        PortKind::Kernel(KernelPort { .. }) | PortKind::Dpdk(_) => None,
    });
    let wrong = named.filter_map(|(port, kernel, interface)| {
        let cannot = match machine.system.stamping(interface) {
            Err(error) => Some(error),
            Ok(offered) if !offered.is_usable() => Some(format!("the NIC of {interface} takes no hardware stamps")),
            Ok(offered) => {
                let clock = machine.system.clock(offered.phc_index.unwrap_or_default());
                match clock {
                    Err(error) => Some(error),
                    Ok(clock) if !clock.runs => Some(format!("{} stands still", clock.device)),
                    Ok(clock) if !clock.virtual_clocks.is_empty() && kernel.hardware_clock.is_none() => Some(format!(
                        "{} runs free under virtual clocks, and no `hardware_clock` names one",
                        clock.device
                    )),
                    Ok(_) => None,
                }
            }
        };
        cannot.map(|what| {
            Wrong::new(
                format!("port \"{}\" asks for hardware stamps: {what}", port.name),
                "sidereal does not start, or its stamps cannot be steered by",
                "ethtool -T INTERFACE    # shows who can; or write `timestamps = \"software\"`",
            )
        })
    });
    let wrong: Vec<Wrong> = wrong.collect();
    report.checked("stamps", wrong);
}

/// Does a NIC stamp all packets whose driver suffers from it?
fn filters(machine: &Machine<'_>, report: &mut Report) {
    const CHECK: &str = "stamp_filters";
    let mut stamping = 0_usize;
    let mut wrong = Vec::new();
    for interface in machine.interfaces() {
        let Some(set) = machine.system.stamped(&interface) else { continue };
        stamping += 1;
        let dear = machine.pci_of(&interface).and_then(|pci| machine.profiles.find(&pci.id));
        if set.filter == RxFilter::All && dear.is_some_and(|(profile, _)| profile.all_filter_is_dear) {
            wrong.push(Wrong::new(
                format!("{interface} is set to stamp every packet"),
                "users of this driver have seen it take a fifth of all processor time, in a lock",
                format!(
                    "hwstamp_ctl -i {interface} -t 1 -r 12    # PTP alone; sidereal asks for no more than it needs"
                ),
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
    let nics = machine.interfaces().into_iter().filter_map(|interface| {
        let pci = machine.pci_of(&interface)?;
        let setting = machine.profiles.find(&pci.id)?.0.firmware_clock.clone()?;
        Some((interface, pci.address, setting))
    });
    let nics: Vec<_> = nics.collect();
    if nics.is_empty() {
        return report.unchecked(CHECK, "no NIC here has such a setting");
    }
    for (interface, address, setting) in nics {
        report.unchecked(
            CHECK,
            format!(
                "{interface}: `mstconfig -d {address} query {setting}` shows it; with True(1), stamps are nanoseconds of a \
                 clock that is steered (`mstconfig -d {address} set {setting}=1`, then a cold start)"
            ),
        );
    }
}
