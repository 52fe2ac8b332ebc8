//! The processors: are the workers' cores theirs alone, and quick to wake?

use std::collections::BTreeMap;

use super::{NO_CONFIGURATION, Report, Wrong, all_worker_cores, pci_ports, worker_cores};
use crate::config::{Config, Idle, Mode, PortKind};
use crate::hw::Machine;
use crate::hw::root::Cores;

const PROCESSORS: &str = "/sys/devices/system/cpu";
/// What a core may take to wake before stamps of the kernel suffer from it, in microseconds.
const WAKING_US: u32 = 10;

pub(super) fn check(machine: &Machine<'_>, config: Option<&Config>, report: &mut Report) {
    match config {
        Some(config) if config.mode == Mode::Appliance => {
            pinned(config, report);
            alone(machine, config, report);
            tickless(machine, config, report);
            interrupts(machine, config, report);
            numa(machine, config, report);
        }
        Some(_) => {
            for check in OF_WORKERS {
                report.unchecked(check, "mode \"single\" has no workers of its own");
            }
        }
        None => {
            for check in OF_WORKERS {
                let seen = seen(machine, check).map(|seen| format!("; {seen}")).unwrap_or_default();
                report.unchecked(check, format!("{NO_CONFIGURATION}{seen}"));
            }
        }
    }
    idle_states(machine, config, report);
    governor(machine, report);
}

/// What is looked at where there are workers.
const OF_WORKERS: [&str; 5] = ["pinned_workers", "isolated_cores", "tickless_cores", "interrupts", "numa"];

/// What there is to be said of such a check without knowing the workers.
fn seen(machine: &Machine<'_>, check: &str) -> Option<String> {
    let cores = |file: &str| {
        let cores = machine.root.cores(&format!("{PROCESSORS}/{file}"));
        if cores.is_empty() { format!("{file}: no core") } else { format!("{file}: cores {cores}") }
    };
    match check {
        "isolated_cores" => Some(cores("isolated")),
        "tickless_cores" => Some(cores("nohz_full")),
        "numa" => Some(format!("nodes of memory: {}", nodes(machine).len().max(1))),
        _ => None,
    }
}

/// Do workers stay where they are?
fn pinned(config: &Config, report: &mut Report) {
    let spins = config.workers.idle == Idle::Spin;
    let loose = worker_cores(config).into_iter().filter(|(_, cores)| spins && cores.is_empty());
    let wrong = loose.map(|(port, _)| {
        Wrong::new(
            format!("the workers of port \"{port}\" are pinned to no core"),
            "the scheduler moves a spinning worker about and puts others beside it, for milliseconds at a time",
            format!("write `cores = [...]` in the [[port]] \"{port}\": one core for each queue"),
        )
    });
    report.checked("pinned_workers", wrong);
}

/// Does the scheduler keep others away from them?
fn alone(machine: &Machine<'_>, config: &Config, report: &mut Report) {
    let Some(cores) = Split::of(machine, config, "isolated_cores", report) else { return };
    let shared = cores.workers.without(&machine.root.cores(&format!("{PROCESSORS}/isolated")));
    let wrong = (!shared.is_empty()).then(|| {
        Wrong::new(
            format!("the scheduler may run others on the workers' cores {shared}"),
            "a packet that comes meanwhile waits for a time slice, milliseconds, and its reply says nothing of that",
            cores.remedy(|workers, _| {
                format!("add `isolcpus={workers}` to the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub, update-grub)")
            }),
        )
    });
    report.checked("isolated_cores", wrong);
}

/// Does the kernel's tick leave them alone?
fn tickless(machine: &Machine<'_>, config: &Config, report: &mut Report) {
    let Some(cores) = Split::of(machine, config, "tickless_cores", report) else { return };
    let ticking = cores.workers.without(&machine.root.cores(&format!("{PROCESSORS}/nohz_full")));
    let wrong = (!ticking.is_empty()).then(|| {
        Wrong::new(
            format!("the kernel's timer interrupts the workers' cores {ticking}"),
            "each tick holds a worker up for some microseconds, 100 to 1000 times a second",
            cores.remedy(|workers, _| {
                format!("add `nohz_full={workers} rcu_nocbs={workers}` to the kernel's command line")
            }),
        )
    });
    report.checked("tickless_cores", wrong);
}

/// The cores that workers are pinned to, and those that are left to all else.
struct Split {
    workers: Cores,
    others: Cores,
}

impl Split {
    /// `None`, which is reported as of `check`, where no worker is pinned.
    fn of(machine: &Machine<'_>, config: &Config, check: &str, report: &mut Report) -> Option<Self> {
        let workers = all_worker_cores(config);
        if workers.is_empty() {
            report.unchecked(check, "no worker is pinned to a core");
            return None;
        }
        let others = machine.root.cores(&format!("{PROCESSORS}/online")).without(&workers);
        Some(Self { workers, others })
    }

    /// What keeps others away from the workers: a command about the cores of both, where there are some for the others.
    fn remedy(&self, command: impl FnOnce(&Cores, &Cores) -> String) -> String {
        if self.others.is_empty() {
            return "leave a core without a worker: all that are here have one".into();
        }
        command(&self.workers, &self.others)
    }
}

/// Do interrupts of devices go elsewhere?
fn interrupts(machine: &Machine<'_>, config: &Config, report: &mut Report) {
    const INTERRUPTS: &str = "/proc/irq";
    let Some(cores) = Split::of(machine, config, "interrupts", report) else { return };
    let mut numbers: Vec<u32> = machine.root.names(INTERRUPTS).iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    let hits = numbers.into_iter().filter_map(|number| {
        let folder = format!("{INTERRUPTS}/{number}");
        // Of interrupts that nobody handles it matters not where they would go.
        let is_handler = |name: &String| machine.root.path(&format!("{folder}/{name}")).is_dir();
        let handler = machine.root.names(&folder).into_iter().find(is_handler)?;
        // Where the kernel does not say to which one of those that are allowed, it may be any.
        let goes_to = Some(machine.root.cores(&format!("{folder}/effective_affinity_list")));
        let goes_to = goes_to.filter(|cores| !cores.is_empty());
        let goes_to = goes_to.unwrap_or_else(|| machine.root.cores(&format!("{folder}/smp_affinity_list")));
        let hit: Cores = goes_to.0.iter().copied().filter(|core| cores.workers.contains(*core)).collect();
        (!hit.is_empty()).then(|| (number, format!("{number} ({handler}) to {hit}")))
    });
    let (numbers, told): (Vec<u32>, Vec<String>) = hits.unzip();
    let wrong = (!told.is_empty()).then(|| {
        let numbers = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        Wrong::new(
            format!("interrupts go to the workers' cores: {}", told.join(", ")),
            "a worker that is interrupted answers late, by microseconds",
            cores.remedy(|_, others| {
                format!(
                    "for irq in {numbers}; do echo {others} > /proc/irq/$irq/smp_affinity_list; done    # and stop irqbalance, \
                     which moves them back"
                )
            }),
        )
    });
    report.checked("interrupts", wrong);
}

/// Are NICs and their workers on one side of the machine?
fn numa(machine: &Machine<'_>, config: &Config, report: &mut Report) {
    let nodes = nodes(machine);
    if nodes.len() < 2 {
        return report.unchecked("numa", "this machine has one node of memory");
    }
    let devices = pci_ports(config).filter_map(|(port, address)| Some((port, machine.pci(address)?)));
    let interfaces = config.ports.iter().filter_map(|port| match &port.kind {
        PortKind::Kernel(kernel) => Some((port, machine.pci_of(&machine.real(kernel.interface.as_ref()?.as_str()))?)),
        PortKind::Dpdk(_) => None,
    });
    let wrong = devices.chain(interfaces).filter_map(|(port, pci)| {
        let near = nodes.iter().find(|(number, _)| Some(*number) == pci.numa_node)?;
        let far = port.cores.iter().copied().collect::<Cores>().without(&near.1);
        (!far.is_empty()).then(|| {
            Wrong::new(
                format!(
                    "port \"{}\" has its NIC {} on node {}, and workers on cores {far} of another",
                    port.name, pci.address, near.0
                ),
                "each packet crosses between the processors: about 100 ns more and less even, each way",
                format!("choose `cores` of the port out of {}", near.1),
            )
        })
    });
    let wrong: Vec<Wrong> = wrong.collect();
    report.checked("numa", wrong);
}

/// The nodes of memory, and the cores of each.
fn nodes(machine: &Machine<'_>) -> Vec<(usize, Cores)> {
    const NODES: &str = "/sys/devices/system/node";
    let node = |name: String| {
        let number = name.strip_prefix("node")?.parse().ok()?;
        Some((number, machine.root.cores(&format!("{NODES}/{name}/cpulist"))))
    };
    machine.root.names(NODES).into_iter().filter_map(node).collect()
}

/// Do cores that wait for packets sleep lightly?
fn idle_states(machine: &Machine<'_>, config: Option<&Config>, report: &mut Report) {
    const CHECK: &str = "idle_states";
    let awake = config.filter(|config| config.workers.idle == Idle::Spin).map(all_worker_cores).unwrap_or_default();
    let cores = machine.root.cores(&format!("{PROCESSORS}/online")).without(&awake);
    if cores.is_empty() && !awake.is_empty() {
        return report.unchecked(CHECK, "every core has a worker that spins");
    }
    let mut deep: BTreeMap<(u32, String), Cores> = BTreeMap::new();
    let mut known = false;
    for &core in &cores.0 {
        let folder = format!("{PROCESSORS}/cpu{core}/cpuidle");
        for state in machine.root.names(&folder) {
            let state = format!("{folder}/{state}");
            let Some(latency) = machine.root.number::<u32>(&format!("{state}/latency")) else { continue };
            known = true;
            let is_off = machine.root.number::<u8>(&format!("{state}/disable")) == Some(1);
            if latency > WAKING_US && !is_off {
                let name = machine.root.text(&format!("{state}/name")).unwrap_or_default();
                deep.entry((latency, name)).or_default().0.insert(core);
            }
        }
    }
    if !known {
        return report.unchecked(CHECK, "the kernel has no idle states here: a hypervisor decides, or none are used");
    }
    let wrong = deep.into_iter().next_back().map(|((latency, name), cores)| {
        Wrong::new(
            format!("cores {cores} may sleep in {name}, out of which they take {latency} us to wake"),
            "a stamp of the kernel's, and the thread that waits for a packet, come later by as much, now and then",
            format!("cpupower idle-set --disable-by-latency {WAKING_US}    # or intel_idle.max_cstate=1 on the kernel's command line"),
        )
    });
    report.checked(CHECK, wrong);
}

/// Do cores keep their frequency?
fn governor(machine: &Machine<'_>, report: &mut Report) {
    const CHECK: &str = "governor";
    let online = machine.root.cores(&format!("{PROCESSORS}/online"));
    let mut others: BTreeMap<String, Cores> = BTreeMap::new();
    let mut known = false;
    for &core in &online.0 {
        let governor = machine.root.text(&format!("{PROCESSORS}/cpu{core}/cpufreq/scaling_governor"));
        known |= governor.is_some();
        if let Some(governor) = governor.filter(|governor| governor != "performance") {
            others.entry(governor).or_default().0.insert(core);
        }
    }
    if !known {
        return report.unchecked(CHECK, "the kernel does not scale frequencies here");
    }
    let wrong = others.into_iter().map(|(governor, cores)| {
        Wrong::new(
            format!("cores {cores} run under the governor {governor}"),
            "what takes 1 us takes 3 us after a pause: the way to the wire is longer for the first packets than for the rest",
            "cpupower frequency-set --governor performance",
        )
    });
    report.checked(CHECK, wrong);
}
