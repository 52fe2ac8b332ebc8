//! DPDK in hugepages. Needs root: it reserves them where there are too few, and gives them back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod eal;

use std::fs;

use eal::options;
use sidereal_cpu::LocalCounter;
use sidereal_nic::{BURST, Burst, RxQueue};
use sidereal_nic_dpdk::{DpdkPort, Eal, EalOptions, PortOptions};

const RESERVED: &str = "/proc/sys/vm/nr_hugepages";
/// Of 2 MiB each.
const NEEDED: usize = 48;

/// The hugepages that were reserved before.
struct Before(usize);

impl Drop for Before {
    fn drop(&mut self) {
        fs::write(RESERVED, self.0.to_string()).unwrap();
    }
}

#[test]
fn a_port_in_hugepages() {
    let before = Before(fs::read_to_string(RESERVED).unwrap().trim().parse().unwrap());
    fs::write(RESERVED, (before.0 + NEEDED).to_string()).expect("this test reserves hugepages and must run as root");
    let eal = Eal::init(&EalOptions { hugepages: true, memory_mib: 64, ..options() }).unwrap();
    let mut port = DpdkPort::open(eal, &PortOptions::new("net_null0".parse().unwrap(), LocalCounter::best())).unwrap();
    let mut burst = Burst::new();
    assert_eq!(port.queues[0].0.receive(&mut burst), BURST);
    let mapped = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let hugetlb = mapped.lines().find_map(|line| line.strip_prefix("Private_Hugetlb:")).unwrap();
    let kilobytes: usize = hugetlb.trim().trim_end_matches("kB").trim().parse().unwrap();
    assert!(kilobytes >= 16 * 1024, "the pool lies elsewhere: {kilobytes} KiB in hugepages");
}
