//! What keeps this machine from telling time as well as it could.

mod clocks;
mod devices;
mod processors;

use super::finding::{Report, Wrong};
use super::root::Cores;
use super::{Machine, pci_ports};
use crate::config::{Config, Mode, PortKind};

/// Looks at all that `config` asks of `machine`; without one at what concerns any host. `runs_here`: a sidereal answers at
/// its control socket, and is no rival of itself.
pub(crate) fn check(machine: &Machine<'_>, config: Option<&Config>, runs_here: bool) -> Report {
    let mut report = Report::default();
    processors::check(machine, config, &mut report);
    hugepages(machine, config, &mut report);
    devices::check(machine, config, runs_here, &mut report);
    clocks::check(machine, config, runs_here, &mut report);
    report
}

/// Why what a configuration asks for was not looked at.
const NO_CONFIGURATION: &str = "no configuration was given to say what is needed";

/// The cores that workers of ports are pinned to, with the ports' names.
fn worker_cores(config: &Config) -> Vec<(String, Cores)> {
    let ports = config.ports.iter().filter(|_| config.mode == Mode::Appliance);
    ports.map(|port| (port.name.to_string(), port.cores.iter().copied().collect())).collect()
}

/// All of them.
fn all_worker_cores(config: &Config) -> Cores {
    worker_cores(config).into_iter().flat_map(|(_, cores)| cores.0).collect()
}

/// Is there memory for DPDK's packets?
fn hugepages(machine: &Machine<'_>, config: Option<&Config>, report: &mut Report) {
    const CHECK: &str = "hugepages";
    const WHY: &str = "DPDK keeps its packets there, and does not start without";
    let free = free_hugepages_mib(machine);
    let Some(config) = config else {
        return report.unchecked(CHECK, format!("{NO_CONFIGURATION}; {free} MiB are free"));
    };
    let has_dpdk = config.ports.iter().any(|port| matches!(port.kind, PortKind::Dpdk(_)));
    if !has_dpdk || !config.dpdk.hugepages {
        return report.unchecked(CHECK, "the configuration needs none");
    }
    let wanted = u64::from(config.dpdk.memory_mib.get());
    let pages = wanted.div_ceil(2);
    report.checked(
        CHECK,
        (free < wanted).then(|| {
            Wrong::new(
                format!("{free} MiB of huge pages are free, and `dpdk.memory_mib` asks for {wanted} MiB"),
                WHY,
                format!("sysctl vm.nr_hugepages={pages}    # or write `dpdk.hugepages = false`"),
            )
        }),
    );
}

/// The huge pages, of all sizes, that nobody has.
fn free_hugepages_mib(machine: &Machine<'_>) -> u64 {
    const POOLS: &str = "/sys/kernel/mm/hugepages";
    let pools = machine.root.names(POOLS);
    let free_kib = pools.iter().filter_map(|pool| {
        let size: u64 = pool.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let free: u64 = machine.root.number(&format!("{POOLS}/{pool}/free_hugepages"))?;
        free.checked_mul(size)
    });
    free_kib.fold(0, u64::saturating_add) / 1024
}
