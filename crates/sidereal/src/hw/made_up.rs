//! Made-up machines: a good server, each single thing that can be wrong with it, and hosts without a NIC.

mod checks;
mod inventories;

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
    firmware: Option<bool>,
    tx_by_kernel: bool,
    is_root: bool,
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
            kernel_tx_stamps: self.tx_by_kernel,
        })
    }

    fn clock(&self, device: &Path) -> Result<Clock, String> {
        let known = |clock: &Clock| Path::new(&clock.device) == device;
        self.clock
            .as_ref()
            .map_err(Clone::clone)
            .cloned()
            .and_then(|clock| if known(&clock) { Ok(clock) } else { Err(format!("cannot open {}", device.display())) })
    }

    fn rivals(&self, _clock: Steers) -> Vec<Rival> {
        self.rivals.clone()
    }

    fn holders(&self, _device: &Path) -> Vec<Rival> {
        if self.holds { self.rivals.clone() } else { Vec::new() }
    }

    fn sees_open_files(&self) -> bool {
        self.is_root
    }

    fn firmware_setting(&self, _address: &str, setting: &str) -> Option<bool> {
        assert_eq!(setting, "REAL_TIME_CLOCK_ENABLE");
        self.firmware
    }
}

impl Host {
    /// Four cores on two nodes, of which 2 and 3 are the workers'; an E810 that vfio-pci has, an I210 that igb has.
    fn good() -> Self {
        let clock = Clock {
            device: "/dev/ptp0".into(),
            index: Some(0),
            virtual_of: None,
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
            firmware: None,
            tx_by_kernel: true,
            is_root: true,
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
            firmware: None,
            tx_by_kernel: true,
            is_root: true,
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
