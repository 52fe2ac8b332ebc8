//! What DPDK's drivers do about stamps, by their names.
//!
//! DPDK does not tell: which stamps a driver has, where it keeps them, and what its clock counts is found in its source
//! (releases 22.11 to 26.07). What is not in the table gives no stamps. All of it is tried when a port is opened and used; see
//! [`crate::PortStatus::capabilities`].

use sidereal_nic::{RxStamps, Stamped, TxStamps};

/// What a driver does about stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Driver {
    name: &'static str,
    /// Stamps of received packets.
    pub(crate) rx: RxStamps,
    /// Bits of its clock that readings and stamps agree in, where it has one that DPDK's timesync reads; it then stamps sent packets
    /// too, one at a time.
    pub(crate) clock_width: Option<u8>,
    /// Whether the stamps in its mbufs are nanoseconds of a clock that the kernel shows, where the NIC is set up so.
    pub(crate) by_kernel_clock: bool,
}

impl Driver {
    /// What is known of the driver whose name DPDK gives, NUL-terminated.
    pub(crate) fn of(name: &[u8]) -> Self {
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let known = DRIVERS.iter().find(|driver| driver.name.as_bytes() == name).copied();
        known.unwrap_or(Self { name: "", rx: RxStamps::Software, clock_width: None, by_kernel_clock: false })
    }

    /// Stamps of sent packets.
    pub(crate) const fn tx(&self) -> TxStamps {
        if self.clock_width.is_some() { TxStamps::Latch } else { TxStamps::Software }
    }

    /// Whether received packets have stamps in their mbufs, and of a unit that we know.
    pub(crate) const fn stamps_mbufs(&self) -> bool {
        matches!(self.rx, RxStamps::Kernel | RxStamps::Hardware(_))
    }

    /// How many stamps of received packets wait in registers until they are read.
    pub(crate) const fn latches(&self) -> u16 {
        match self.rx {
            RxStamps::Latch(latches, _) => latches as u16,
            _ => 0,
        }
    }
}

/// The stamps of received and of sent packets that are expected of the ports of a driver, before one is open: `net_ice`.
/// `kernel_clock` as in [`crate::PortOptions`]. A DPDK that was not built for them, or is too old, has ports without; that is found out when
/// they are opened and used.
#[must_use]
pub fn expected_stamps(driver: &str, kernel_clock: bool) -> (RxStamps, TxStamps) {
    let driver = Driver::of(driver.as_bytes());
    let rx = if driver.by_kernel_clock == kernel_clock { driver.rx } else { RxStamps::Software };
    (rx, driver.tx())
}

/// The `net_e1000_igb`, `net_ixgbe`, `net_i40e`, `net_ngbe` and `net_txgbe` of a DPDK that was not built with RTE_LIBRTE_IEEE1588
/// have a clock all the same, and no stamps.
///
/// igb and ixgbe (and who is made after it) extend their registers in software, once for readings, once for stamps of
/// received, and once for those of sent packets, each only when it is read: whole wraps get lost, so that the three differ by
/// multiples of the register's range. In as many bits as that range has nanoseconds they agree: 2^40 ns (18 min) in igb (82580, I350; the
/// others have more), 2^36 ns (69 s) in ixgbe (at 10 Gb/s; at less more).
///
/// The stamp in ice's mbufs may be 2^32 ns off after its clock was stepped; who locates it tells
/// ([`sidereal_time::StampFault::Off2To32Ns`]).
///
/// mlx5 keeps its kernel driver, which shows the clock as /dev/ptpN. Its stamps are nanoseconds of that where the firmware's
/// REAL_TIME_CLOCK_ENABLE is set, else ticks of a counter that nobody shows: which of both, only the operator knows
/// ([`crate::PortOptions::kernel_clock`]). It has no TX stamps in DPDK.
///
/// None of these clocks is ever set through DPDK: in most drivers that moves a software counter alone, in igc and hns3 it is a
/// race, and cnxk's may block for 100 ms.
const DRIVERS: [Driver; 8] = [
    // Nanoseconds of CLOCK_REALTIME, from DPDK 24.11 on.
    driver("net_af_packet", RxStamps::Kernel, None),
    driver("net_e1000_igb", RxStamps::Latch(1, Stamped::Ptp), Some(40)),
    driver("net_i40e", RxStamps::Latch(4, Stamped::Ptp), Some(64)),
    driver("net_ice", RxStamps::Hardware(Stamped::All), Some(64)),
    driver("net_ixgbe", RxStamps::Latch(1, Stamped::Ptp), Some(36)),
    driver("net_ngbe", RxStamps::Latch(1, Stamped::Ptp), Some(36)),
    driver("net_txgbe", RxStamps::Latch(1, Stamped::Ptp), Some(36)),
    Driver { by_kernel_clock: true, ..driver("mlx5_pci", RxStamps::Hardware(Stamped::All), None) },
];

const fn driver(name: &'static str, rx: RxStamps, clock_width: Option<u8>) -> Driver {
    Driver { name, rx, clock_width, by_kernel_clock: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_found_by_their_whole_name() {
        let of = |name: &str| {
            let mut field = [0; 32];
            field[..name.len()].copy_from_slice(name.as_bytes());
            Driver::of(&field)
        };
        assert_eq!(of("net_e1000_igb").latches(), 1);
        assert_eq!(of("net_e1000_igb_vf").clock_width, None);
        assert!(of("net_af_packet").stamps_mbufs());
        assert!(!of("net_af_packet_x").stamps_mbufs());
        assert_eq!(expected_stamps("net_ice", false), (RxStamps::Hardware(Stamped::All), TxStamps::Latch));
        assert_eq!(expected_stamps("mlx5_pci", true), (RxStamps::Hardware(Stamped::All), TxStamps::Software));
        assert_eq!(expected_stamps("mlx5_pci", false), (RxStamps::Software, TxStamps::Software));
        assert_eq!(expected_stamps("net_af_packet", false), (RxStamps::Kernel, TxStamps::Software));
        assert_eq!(of("").rx, RxStamps::Software);
        assert_eq!(Driver::of(&[]).rx, RxStamps::Software);
    }
}
