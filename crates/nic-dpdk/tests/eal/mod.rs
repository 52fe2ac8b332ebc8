//! DPDK for a test binary: started once, without hugepages.

use std::sync::OnceLock;

use sidereal_cpu::LocalCounter;
use sidereal_nic_dpdk::{DpdkPort, Eal, EalOptions, PortError, PortOptions};

/// Memory for about ten ports of one queue.
const MEMORY_MIB: u32 = 384;

/// What tests tell EAL.
pub(crate) fn options() -> EalOptions {
    let cores = sidereal_cpu::cores().into_iter().filter_map(|core| u16::try_from(core).ok()).collect();
    EalOptions { hugepages: false, memory_mib: MEMORY_MIB, pci: Vec::new(), cores, extra: Vec::new() }
}

/// The process's DPDK.
#[allow(dead_code, reason = "not every test binary shares one")]
pub(crate) fn eal() -> Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    *EAL.get_or_init(|| Eal::init(&options()).unwrap())
}

/// A device as a port of one queue.
#[allow(dead_code, reason = "not every test binary opens one")]
pub(crate) fn open(device: &str) -> Result<DpdkPort, PortError> {
    DpdkPort::open(eal(), &PortOptions::new(device.parse().unwrap(), LocalCounter::MonotonicRaw))
}
