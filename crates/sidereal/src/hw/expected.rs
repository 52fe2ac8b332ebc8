//! What is to be expected of ports that are not open, and of interfaces that none is on, in words.

use sidereal_nic::{Ability, Capabilities, Statement, TxStamps};
use sidereal_nic_kernel::{HardwareStamping, RxFilter, Timestamping, expected_capabilities};
use sidereal_phc::PtpClock;
use sidereal_time::ClockId;
use std::num::NonZeroU16;

use super::system::Clock;
use super::{Machine, Pci, pci_address};
use crate::config::{Config, DpdkPort, KernelPort, Timestamps};
use crate::stamping::wanted;

/// The stamps of a NIC that a port of sockets would have.
pub(super) struct NicStamps {
    /// What of all that comes is stamped at least.
    pub(super) filter: RxFilter,
    /// By which clock it is told.
    pub(super) clock: Clock,
}

impl NicStamps {
    /// Those of `kernel`, a port on `interface`; or why there are none.
    pub(super) fn of(
        machine: &Machine<'_>,
        config: &Config,
        kernel: &KernelPort,
        interface: &str,
    ) -> Result<Self, String> {
        let offered = machine.system.stamping(interface)?;
        let (true, Some(own)) = (offered.is_usable(), offered.phc_index) else {
            return Err(format!("the NIC of {interface} takes no hardware stamps"));
        };
        let named = kernel.hardware_clock.as_ref().map(|clock| clock.as_path().to_owned());
        let device = named.unwrap_or_else(|| PtpClock::device(own));
        let clock = machine.system.clock(&device)?;
        if clock.index.is_some_and(|index| index != own) && clock.virtual_of != Some(own) {
            return Err(format!("{} is no clock of the NIC of {interface}", clock.device));
        }
        let wanted = wanted(config, interface, &offered);
        let filter = offered.least_filter(wanted);
        let filter = filter.ok_or_else(|| format!("the NIC of {interface} cannot stamp {wanted} packets"))?;
        Ok(Self { filter, clock })
    }
}

/// What an interface is good for, whatever is configured: `offered` by its NIC, told by `clock`.
pub(super) fn of_interface(
    machine: &Machine<'_>,
    interface: &str,
    offered: Option<&HardwareStamping>,
    clock: Option<&Result<Clock, String>>,
) -> Vec<String> {
    match (offered.filter(|offered| offered.is_usable()), clock) {
        (Some(offered), Some(Ok(clock))) => {
            let widest = offered.least_filter(RxFilter::Ntp).unwrap_or(RxFilter::PtpV2Event);
            let mut said = by_nic(widest, clock);
            if offered.one_step_sync {
                said.push("it could write the time into Sync messages itself; Sidereal sends Follow_Up instead".into());
            }
            said
        }
        (_, Some(Err(why))) => by_kernel(machine, Some(interface), why),
        _ => by_kernel(machine, Some(interface), "no NIC does"),
    }
}

/// A port of sockets.
pub(super) fn of_kernel(machine: &Machine<'_>, config: &Config, kernel: &KernelPort) -> Vec<String> {
    let Some(interface) = &kernel.interface else {
        return by_kernel(machine, None, "the port names no `interface`, and so no NIC");
    };
    let interface = interface.as_str();
    if !machine.has_interface(interface) {
        return vec![format!("the interface {interface} is not here: the port cannot be opened")];
    }
    if kernel.timestamps == Timestamps::Software {
        return by_kernel(machine, Some(interface), "`timestamps` is \"software\"");
    }
    match NicStamps::of(machine, config, kernel, interface) {
        Ok(NicStamps { filter, clock }) => by_nic(filter, &clock),
        Err(why) if kernel.timestamps == Timestamps::Hardware => {
            vec![format!("sidereal does not start: `timestamps` is \"hardware\", and {why}")]
        }
        Err(why) => by_kernel(machine, Some(interface), &why),
    }
}

/// A port of DPDK.
pub(super) fn of_dpdk(machine: &Machine<'_>, port: &DpdkPort) -> Vec<String> {
    let Some(address) = pci_address(&port.device) else {
        return vec!["a virtual device: what it can do is found out when it is opened".into()];
    };
    let Some(pci) = machine.pci(address) else {
        return vec![format!("no PCI device {address} is here: the port cannot be opened")];
    };
    of_dpdk_nic(machine, port, &pci)
}

#[cfg(not(feature = "dpdk"))]
fn of_dpdk_nic(_machine: &Machine<'_>, _port: &DpdkPort, _pci: &Pci) -> Vec<String> {
    vec!["this program was built without DPDK: the port cannot be opened".into()]
}

#[cfg(feature = "dpdk")]
fn of_dpdk_nic(machine: &Machine<'_>, port: &DpdkPort, pci: &Pci) -> Vec<String> {
    use super::profile::Release;
    use sidereal_nic::RxStamps;
    use sidereal_nic_dpdk::{dpdk_version, expected_stamps};

    let Some((profile, _)) = machine.profiles.find(&pci.id) else {
        return vec![format!("nothing is known of the NIC {}: what it can do is found out when it is opened", pci.id)];
    };
    let by_us = |why: String| {
        let mut said = stamps_by_dpdk(RxStamps::Software, TxStamps::Software);
        said.push(format!("our program stamps packets, because {why}"));
        said
    };
    let Some(dpdk) = &profile.dpdk else { return by_us("DPDK takes no stamps from this NIC".into()) };
    let driver = &dpdk.driver;
    let version = dpdk_version();
    if Release::of_version(version).is_some_and(|linked| linked < dpdk.since) {
        return by_us(format!("{version} takes no stamps from this NIC: {} and later do", dpdk.since));
    }
    let by_kernel_clock = expected_stamps(driver, true).0 != RxStamps::Software;
    let (rx, tx) = expected_stamps(driver, port.hardware_clock.is_some());
    let mut said = match (rx, &port.hardware_clock) {
        (RxStamps::Software, Some(_)) => {
            return vec![format!(
                "the port cannot be opened: {driver} does not stamp by a `hardware_clock` of the kernel"
            )];
        }
        (RxStamps::Software, None) if by_kernel_clock => {
            return by_us(format!("no `hardware_clock` names the clock that {driver} stamps by (hw/dpdk.md)"));
        }
        (RxStamps::Software, None) => return by_us(format!("Sidereal takes no stamps from {driver}")),
        _ => stamps_by_dpdk(rx, tx),
    };
    if dpdk.ieee1588_build {
        said.push(format!(
            "this holds for a DPDK that was built with RTE_LIBRTE_IEEE1588 (hw/dpdk.md); of others, those of distributions \
             among them, {driver} takes no stamps"
        ));
    }
    if let Some(clock) = &port.hardware_clock {
        match machine.system.clock(clock.as_path()) {
            Ok(clock) => said.push(told_by(&clock)),
            Err(why) => said.push(format!("its clock cannot be read: {why}")),
        }
    }
    said
}

#[cfg(feature = "dpdk")]
fn stamps_by_dpdk(rx: sidereal_nic::RxStamps, tx: TxStamps) -> Vec<String> {
    let checksums = sidereal_nic::ChecksumOffload::default();
    let capabilities = Capabilities {
        rx_stamps: Ability::claimed(rx),
        tx_stamps: Ability::claimed(tx),
        checksums,
        ..expected_capabilities(Timestamping::Software, NonZeroU16::MIN)
    };
    words(capabilities.stamp_statements())
}

/// Packets that a NIC stamps by this filter, told by `clock`.
fn by_nic(filter: RxFilter, clock: &Clock) -> Vec<String> {
    let timestamping = Timestamping::Hardware { clock: ClockId(1), bind_phc: None, filter };
    let capabilities = expected_capabilities(timestamping, NonZeroU16::MIN);
    let capabilities = Capabilities { clock: Some(clock.abilities()), ..capabilities };
    let mut said = words(capabilities.stamp_statements());
    said.extend(words(capabilities.clock_statements()));
    said.push(told_by(clock));
    said
}

/// Packets that the kernel stamps, and why.
fn by_kernel(machine: &Machine<'_>, interface: Option<&str>, why: &str) -> Vec<String> {
    let mut capabilities = expected_capabilities(Timestamping::Software, NonZeroU16::MIN);
    if interface.is_some_and(|interface| !kernel_stamps_sent(machine, interface)) {
        capabilities.tx_stamps = Ability::claimed(TxStamps::None);
    }
    let mut said = words(capabilities.stamp_statements());
    said.push(format!("the kernel stamps packets, because {why}"));
    said
}

/// Whether the driver under an interface lets the kernel stamp what is sent.
fn kernel_stamps_sent(machine: &Machine<'_>, interface: &str) -> bool {
    // Of what is sent through others, such as by a bridge, those others take the stamps.
    machine.has_lower(interface)
        || machine.system.driver(&machine.real(interface)).is_none_or(|driver| driver.kernel_tx_stamps)
}

fn words(statements: Vec<Statement>) -> Vec<String> {
    statements.iter().map(ToString::to_string).collect()
}

/// By which clock stamps are told, and what is to be done about it.
fn told_by(clock: &Clock) -> String {
    let device = &clock.device;
    if !clock.virtual_clocks.is_empty() {
        let names: Vec<String> = clock.virtual_clocks.iter().map(|number| format!("\"/dev/ptp{number}\"")).collect();
        let names = names.join(" or ");
        return format!(
            "{device} runs free under virtual clocks: write `hardware_clock = {names}` to steer one of them"
        );
    }
    let over =
        clock.virtual_of.map(|physical| format!(", a virtual clock over /dev/ptp{physical}")).unwrap_or_default();
    format!("stamps are told by {device}{over}")
}
