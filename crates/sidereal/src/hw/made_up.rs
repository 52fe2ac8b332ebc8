//! Made-up machines: a good server, each single thing that can be wrong with it, and hosts without a NIC.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use sidereal_nic_kernel::{DriverInfo, HardwareStamping, RxFilter, StampingConfig};
use sidereal_phc::{Rival, Steers};
use tempfile::TempDir;

use super::system::Clock;
use super::{Inventory, Machine, Profiles, Report, Root, System, check, inventory};
use crate::config::Config;

/// A port of DPDK on an E810, one of the kernel on an I210, spinning workers on cores 2 and 3, both clocks steered.
const CONFIG: &str = "
[[port]]
name = 'fast'
backend = 'dpdk'
device = '0000:3b:00.0'
addresses = ['10.77.0.1/24']
cores = [2]

[[port]]
name = 'lan'
backend = 'kernel'
addresses = ['::']
interface = 'eth1'
timestamps = 'hardware'
cores = [3]

[[ntp.source]]
address = '10.77.0.2'

[clock]
steer = 'on'

[[ptp_clock]]
device = '/dev/ptp0'
steer = 'on'
";

/// A machine, deleted when dropped.
struct Host {
    root: TempDir,
    kernel: Kernel,
}

/// What its kernel answers to calls.
struct Kernel {
    stamping: Result<HardwareStamping, String>,
    filter: RxFilter,
    clock: Result<Clock, String>,
    rivals: Vec<Rival>,
    holds: bool,
}

impl System for Kernel {
    fn stamping(&self, interface: &str) -> Result<HardwareStamping, String> {
        if interface == "eth1" { self.stamping.clone() } else { Err(format!("{interface} has no hardware timestamps")) }
    }

    fn stamped(&self, interface: &str) -> Option<StampingConfig> {
        (interface == "eth1" && self.stamping.is_ok()).then_some(StampingConfig { tx: true, filter: self.filter })
    }

    fn driver(&self, interface: &str) -> Option<DriverInfo> {
        (interface == "eth1").then(|| DriverInfo {
            driver: "igb".into(),
            firmware: Some("3.25".into()),
            kernel_tx_stamps: true,
        })
    }

    fn clock(&self, _index: u32) -> Result<Clock, String> {
        self.clock.clone()
    }

    fn rivals(&self, _clock: Steers) -> Vec<Rival> {
        self.rivals.clone()
    }

    fn holders(&self, _device: &Path) -> Vec<Rival> {
        if self.holds { self.rivals.clone() } else { Vec::new() }
    }
}

impl Host {
    /// Four cores on two nodes, of which 2 and 3 are the workers'; an E810 that vfio-pci has, an I210 that igb has.
    fn good() -> Self {
        let clock = Clock {
            device: "/dev/ptp0".into(),
            name: "igb".into(),
            runs: true,
            max_frequency_ppb: 62_499_999,
            method: "extended".into(),
            window_ns: 1200,
            virtual_clocks: Vec::new(),
            external_timestamps: 2,
            periodic_outputs: 2,
        };
        let stamping = HardwareStamping {
            device: "eth1".into(),
            phc_index: Some(0),
            tx: true,
            one_step_sync: false,
            one_step_peer_delay: false,
            rx_filters: vec![RxFilter::None, RxFilter::All],
            raw: true,
        };
        let kernel = Kernel {
            stamping: Ok(stamping),
            filter: RxFilter::All,
            clock: Ok(clock),
            rivals: Vec::new(),
            holds: false,
        };
        let host = Self { root: tempfile::tempdir().unwrap(), kernel };
        let cpu = "sys/devices/system/cpu";
        host.write(&format!("{cpu}/online"), "0-3");
        host.write(&format!("{cpu}/isolated"), "2-3");
        host.write(&format!("{cpu}/nohz_full"), "2-3");
        for core in 0..4 {
            host.write(&format!("{cpu}/cpu{core}/cpufreq/scaling_governor"), "performance");
            for (state, name, latency, disable) in [(0, "POLL", 0, 0), (1, "C1", 2, 0), (2, "C6", 133, 1)] {
                let folder = format!("{cpu}/cpu{core}/cpuidle/state{state}");
                host.write(&format!("{folder}/name"), name);
                host.write(&format!("{folder}/latency"), &latency.to_string());
                host.write(&format!("{folder}/disable"), &disable.to_string());
            }
        }
        host.write("sys/devices/system/node/node0/cpulist", "0-1");
        host.write("sys/devices/system/node/node1/cpulist", "2-3");
        host.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "512");
        host.write("sys/kernel/iommu_groups/1/type", "DMA");
        host.write("proc/irq/45/effective_affinity_list", "0");
        host.write("proc/irq/45/eth1-TxRx-0/x", "");
        host.pci("0000:3b:00.0", "0x1592", "vfio-pci");
        host.pci("0000:5e:00.0", "0x1533", "igb");
        host.write("sys/class/net/lo/ifindex", "1");
        host.write("sys/class/net/lo/type", "772");
        host.write("sys/class/net/eth1/ifindex", "2");
        host.write("sys/class/net/eth1/type", "1");
        host.write("sys/class/net/eth1/operstate", "up");
        host.write("sys/bus/pci/devices/0000:5e:00.0/net/eth1", "");
        host.link("sys/class/net/eth1/device", "../../../bus/pci/devices/0000:5e:00.0");
        host
    }

    /// A machine that shows nothing at all.
    fn bare() -> Self {
        let kernel = Kernel {
            stamping: Err("none".into()),
            filter: RxFilter::None,
            clock: Err("none".into()),
            rivals: Vec::new(),
            holds: false,
        };
        Self { root: tempfile::tempdir().unwrap(), kernel }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn link(&self, path: &str, to: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(to, path).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.root.path().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }

    /// A network controller of Intel's on node 1.
    fn pci(&self, address: &str, device: &str, driver: &str) {
        let folder = format!("sys/bus/pci/devices/{address}");
        for (name, text) in [("class", "0x020000"), ("vendor", "0x8086"), ("device", device), ("numa_node", "1")] {
            self.write(&format!("{folder}/{name}"), text);
        }
        self.link(&format!("{folder}/driver"), &format!("../../drivers/{driver}"));
    }

    fn clock(&mut self, change: fn(&mut Clock)) {
        change(self.kernel.clock.as_mut().unwrap());
    }

    fn rival(&mut self, name: &str) {
        self.kernel.rivals.push(Rival { name: name.into(), pid: 812, traces: Vec::new() });
    }

    fn look<T>(&self, look: impl FnOnce(&Machine<'_>) -> T) -> T {
        let (root, profiles) = (Root::new(self.root.path().to_owned()), Profiles::embedded());
        look(&Machine { root: &root, system: &self.kernel, profiles: &profiles })
    }

    fn check(&self, config: &str, runs_here: bool) -> Report {
        let config = Config::parse(config, Path::new("F")).unwrap();
        self.look(|machine| check(machine, Some(&config), runs_here))
    }

    fn inventory(&self, config: &str) -> Inventory {
        let config = Config::parse(config, Path::new("F")).unwrap();
        self.look(|machine| inventory(machine, Some(&config), None))
    }
}

#[test]
fn nothing_is_wrong_with_a_good_server() {
    let report = Host::good().check(CONFIG, false);
    assert_eq!(report.findings, []);
    let expected = [
        "pinned_workers",
        "isolated_cores",
        "tickless_cores",
        "interrupts",
        "numa",
        "idle_states",
        "governor",
        "hugepages",
        "iommu",
        "vfio",
        "stamps",
        "stamp_filters",
        "rivals",
    ];
    assert_eq!(report.good, expected);
    assert_eq!(report.unchecked.len(), 1, "{:?}", report.unchecked);
}

/// What is broken, what it is called, what is said of it, and what the remedy says.
type Fault = (fn(&mut Host), &'static str, &'static str, &'static str);

#[test]
fn each_single_fault_is_found_and_nothing_else() {
    let faults: [Fault; 21] = [
        (|h| h.write("sys/devices/system/cpu/isolated", "2"), "isolated_cores", "cores 3", "isolcpus=2-3"),
        (|h| h.remove("sys/devices/system/cpu/isolated"), "isolated_cores", "cores 2-3", "isolcpus=2-3"),
        (|h| h.write("sys/devices/system/cpu/nohz_full", "(null)"), "tickless_cores", "cores 2-3", "nohz_full=2-3"),
        (
            |h| h.write("proc/irq/45/effective_affinity_list", "1-2"),
            "interrupts",
            "interrupt 45 (eth1-TxRx-0) goes to the worker's core 2",
            "echo 0-1 > /proc/irq/45/smp_affinity_list",
        ),
        (
            |h| h.write("sys/bus/pci/devices/0000:3b:00.0/numa_node", "0"),
            "numa",
            "\"fast\" has its NIC 0000:3b:00.0 on node 0, and workers on cores 2",
            "out of 0-1",
        ),
        (
            |h| h.write("sys/bus/pci/devices/0000:5e:00.0/numa_node", "0"),
            "numa",
            "\"lan\" has its NIC 0000:5e:00.0 on node 0, and workers on cores 3",
            "out of 0-1",
        ),
        (
            |h| h.write("sys/devices/system/cpu/cpu1/cpuidle/state2/disable", "0"),
            "idle_states",
            "cores 1 may sleep in C6, out of which they take 133 us",
            "--disable-by-latency 10",
        ),
        (
            |h| h.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave"),
            "governor",
            "cores 0 run under the governor powersave",
            "--governor performance",
        ),
        (
            |h| h.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "255"),
            "hugepages",
            "510 MiB of huge pages are free, and `dpdk.memory_mib` asks for 512",
            "vm.nr_hugepages=256",
        ),
        (|h| h.remove("sys/kernel/mm/hugepages"), "hugepages", "0 MiB", "vm.nr_hugepages=256"),
        (|h| h.remove("sys/kernel/iommu_groups/1"), "iommu", "no IOMMU", "intel_iommu=on"),
        (
            |h| h.pci("0000:3b:00.0", "0x1592", "ice"),
            "vfio",
            "0000:3b:00.0 is driven by ice",
            "--bind=vfio-pci 0000:3b:00.0",
        ),
        (|h| h.remove("sys/bus/pci/devices/0000:3b:00.0/driver"), "vfio", "driven by nothing", "modprobe vfio-pci"),
        (|h| h.remove("sys/bus/pci/devices/0000:3b:00.0"), "vfio", "no PCI device 0000:3b:00.0 is here", "lspci -D"),
        (
            |h| h.kernel.stamping = Err("no permission".into()),
            "stamps",
            "\"lan\" asks for hardware stamps",
            "ethtool -T",
        ),
        (
            |h| h.kernel.stamping.as_mut().unwrap().tx = false,
            "stamps",
            "the NIC of eth1 takes no hardware stamps",
            "`timestamps = \"software\"`",
        ),
        (|h| h.kernel.clock = Err("cannot open /dev/ptp0".into()), "stamps", "cannot open /dev/ptp0", "ethtool -T"),
        (|h| h.clock(|clock| clock.runs = false), "stamps", "/dev/ptp0 stands still", "ethtool -T"),
        (|h| h.clock(|clock| clock.virtual_clocks = vec![1]), "stamps", "runs free under virtual clocks", "ethtool -T"),
        (|h| h.rival("chronyd"), "rivals", "chronyd (process 812) may steer the system clock", "disable --now chronyd"),
        (
            |h| {
                h.pci("0000:5e:00.0", "0x16d7", "bnxt_en");
                h.write("sys/bus/pci/devices/0000:5e:00.0/vendor", "0x14e4");
            },
            "stamp_filters",
            "eth1 is set to stamp every packet",
            "hwstamp_ctl -i eth1 -t 1 -r 12",
        ),
    ];
    for (fault, check, found, remedy) in faults {
        let mut host = Host::good();
        fault(&mut host);
        let report = host.check(CONFIG, false);
        let [finding] = report.findings.as_slice() else { panic!("{found}: {:?}", report.findings) };
        assert_eq!(finding.check, check, "{finding:?}");
        assert!(finding.found.contains(found) && finding.remedy.contains(remedy), "{finding:?}");
        assert!(!finding.why.is_empty());
    }
}

#[test]
fn a_rival_that_has_the_nics_clock_open_is_found_on_both_clocks() {
    let mut host = Host::good();
    host.rival("systemd-timesyn");
    host.kernel.holds = true;
    let report = host.check(CONFIG, false);
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.found.as_str()).collect();
    assert!(found[0].contains("the system clock") && found[1].contains("/dev/ptp0"), "{found:?}");
    assert!(report.findings[0].remedy.contains("systemd-timesyncd"), "{report:?}");
    assert_eq!(host.check(&CONFIG.replace("'on'", "'off'"), false).findings, []);
}

#[test]
fn the_sidereal_that_runs_is_no_rival_and_a_second_one_is() {
    let mut host = Host::good();
    host.rival("sidereal");
    assert_eq!(host.check(CONFIG, true).findings, []);
    assert_eq!(host.check(CONFIG, false).findings.len(), 1);
    host.rival("sidereal");
    assert_eq!(host.check(CONFIG, true).findings.len(), 1);
}

#[test]
fn workers_that_spin_unpinned_are_found() {
    let config = CONFIG.replace("cores = [3]", "");
    let report = Host::good().check(&config, false);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert!(report.findings[0].found.contains("port \"lan\" are pinned to no core"));
    let sleeping = Host::good().check(&format!("{config}\n[workers]\nidle = 'sleep'"), false);
    assert_eq!(sleeping.findings, []);
}

#[test]
fn a_nic_that_the_kernel_shares_with_dpdk_keeps_its_driver() {
    let host = Host::good();
    host.pci("0000:3b:00.0", "0x101d", "mlx5_core");
    host.write("sys/bus/pci/devices/0000:3b:00.0/vendor", "0x15b3");
    host.remove("sys/kernel/iommu_groups/1");
    assert_eq!(host.check(CONFIG, false).findings, []);
    host.pci("0000:3b:00.0", "0x101d", "vfio-pci");
    host.write("sys/bus/pci/devices/0000:3b:00.0/vendor", "0x15b3");
    let report = host.check(CONFIG, false);
    assert!(report.findings[0].remedy.contains("--bind=mlx5_core 0000:3b:00.0"), "{report:?}");
}

#[test]
fn the_firmware_clock_is_not_guessed() {
    let host = Host::good();
    host.pci("0000:5e:00.0", "0x101d", "mlx5_core");
    host.write("sys/bus/pci/devices/0000:5e:00.0/vendor", "0x15b3");
    let report = host.check(CONFIG, false);
    let said = report.unchecked.iter().find(|unchecked| unchecked.check == "firmware_clock").unwrap();
    assert!(said.why.contains("mstconfig -d 0000:5e:00.0 query REAL_TIME_CLOCK_ENABLE"), "{said:?}");
}

#[test]
fn a_host_that_shows_nothing_has_nothing_wrong_that_could_be_seen() {
    let host = Host::bare();
    let report = host.look(|machine| check(machine, None, false));
    assert_eq!((report.findings, report.good), (vec![], vec!["rivals".to_owned()]));
    let inventory = host.look(|machine| inventory(machine, None, None));
    assert!(inventory.interfaces.is_empty() && inventory.devices.is_empty() && inventory.ports.is_empty());
    assert!(!inventory.running);
}

#[test]
fn two_daemons_on_the_system_clock_are_found_without_a_configuration() {
    let mut host = Host::bare();
    host.rival("chronyd");
    assert_eq!(host.look(|machine| check(machine, None, false)).findings, []);
    host.rival("ntpd");
    let report = host.look(|machine| check(machine, None, false));
    assert!(report.findings[0].found.contains("chronyd (process 812), ntpd (process 812)"), "{report:?}");
}

#[test]
fn the_inventory_tells_nics_clocks_and_what_they_are_used_for() {
    let inventory = Host::good().inventory(CONFIG);
    let [eth1] = inventory.interfaces.as_slice() else { panic!("{inventory:?}") };
    let nic = eth1.nic.as_ref().unwrap();
    assert_eq!((eth1.name.as_str(), nic.id.as_str(), nic.numa_node), ("eth1", "8086:1533", Some(1)));
    assert!(nic.name.as_ref().unwrap().starts_with("I210") && nic.latency.is_some());
    assert_eq!((eth1.driver.as_deref(), eth1.firmware.as_deref()), (Some("igb"), Some("3.25")));
    assert_eq!(
        (eth1.rx_filters.as_slice(), eth1.rx_filter.as_deref()),
        (&["none".to_owned(), "all".into()][..], Some("all"))
    );
    assert!(eth1.tx_stamps && !eth1.one_step && eth1.clock.is_some());
    assert!(eth1.statements[2].contains("/dev/ptp0 can be set and steered by up to 62499999 ppb"), "{eth1:?}");
    let [device] = inventory.devices.as_slice() else { panic!("{inventory:?}") };
    assert_eq!((device.nic.id.as_str(), device.driver.as_deref()), ("8086:1592", Some("vfio-pci")));
    let [fast, lan] = inventory.ports.as_slice() else { panic!("{inventory:?}") };
    assert!(fast.statements[0].contains("net_ice of DPDK 22.11 or later"), "{fast:?}");
    assert_eq!(lan.statements, eth1.statements);
}

#[test]
fn what_follows_from_a_clock_is_said() {
    let said = |change: fn(&mut Host)| {
        let mut host = Host::good();
        change(&mut host);
        host.inventory(CONFIG).interfaces[0].statements.join("; ")
    };
    let ptp_alone = said(|h| h.kernel.stamping.as_mut().unwrap().rx_filters = vec![RxFilter::PtpV2Event]);
    assert!(ptp_alone.contains("PTP messages alone") && ptp_alone.contains("over_ptp"), "{ptp_alone}");
    assert!(said(|h| h.clock(|clock| clock.runs = false)).contains("stands still"));
    assert!(said(|h| h.clock(|clock| clock.max_frequency_ppb = 0)).contains("cannot be steered in frequency"));
    assert!(said(|h| h.clock(|clock| clock.virtual_clocks = vec![3])).contains("hardware_clock = \"/dev/ptp3\""));
    assert!(said(|h| h.kernel.clock = Err("denied".into())).contains("cannot be read"));
    let none = said(|h| h.kernel.stamping = Err("none".into()));
    assert!(none.contains("no hardware stamps") && none.contains("sent ones too"), "{none}");
    assert!(said(|h| h.kernel.stamping.as_mut().unwrap().one_step_sync = true).contains("Follow_Up"));
}

#[test]
fn ports_without_hardware_stamps_say_why() {
    let words = |from: &str, to: &str| Host::good().inventory(&CONFIG.replace(from, to)).ports[1].statements[0].clone();
    assert!(words("timestamps = 'hardware'", "timestamps = 'software'").contains("`timestamps` is \"software\""));
    assert!(words("interface = 'eth1'\ntimestamps = 'hardware'", "").contains("names no `interface`"));
    assert!(words("'eth1'", "'eth7'").contains("eth7 is not here"));
}
