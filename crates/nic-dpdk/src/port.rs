//! Opening a port.

use core::ffi::CStr;
use core::ptr;
use std::ffi::CString;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use dpdk_sys::{CAN_CHECKSUM, CAN_SPREAD, CAN_STAMP, PortConfig, PortCounters, PortInfo, USE_CLOCK};
use sidereal_cpu::LocalCounter;
use sidereal_nic::{Ability, Capabilities, ChecksumOffload, ClockAbilities, ClockReading, RxStamps, TxStamps};
use sidereal_time::{ClockId, Rate};

use crate::clock::{DpdkClock, mask, try_clock};
use crate::device::Device;
use crate::driver::Driver;
use crate::eal::{Eal, Refusal, check, set_up};
use crate::gate::Gate;
use crate::latch::{Latch, StampsShared};
use crate::monitor::{Link, PortMonitor};
use crate::packet::stamped_by;
use crate::pool::{Geometry, Lease};
use crate::queue::{DpdkRx, DpdkTx};

/// An Ethernet header, in bytes: what a frame has beyond the MTU.
const ETHERNET_HEADER: u16 = 14;
/// A VLAN tag, in bytes: what it may have besides.
const VLAN_TAG: u16 = 4;

/// What stamps are said to be of until their clock has a number.
const UNNAMED: ClockId = ClockId(127);

/// How a port is to be opened.
#[derive(Debug, Clone)]
pub struct PortOptions {
    /// The device.
    pub device: Device,
    /// RX/TX queue pairs, at least 1.
    pub queues: u16,
    /// The longest IP packet, in bytes.
    pub mtu: u16,
    /// Descriptors per receive queue; cut to what the driver can have.
    pub rx_descriptors: u16,
    /// Descriptors per send queue; cut to what the driver can have.
    pub tx_descriptors: u16,
    /// The counter that TX stamps are read from, where the NIC takes none.
    pub counter: LocalCounter,
    /// The NIC is set up to stamp received packets by a clock that the kernel shows, in nanoseconds: mlx5 in real-time mode. Say which
    /// one that is by [`DpdkPort::name_clock`].
    pub kernel_clock: bool,
}

impl PortOptions {
    /// One queue, MTU 1500, 1024 descriptors each way.
    #[must_use]
    pub const fn new(device: Device, counter: LocalCounter) -> Self {
        Self { device, queues: 1, mtu: 1500, rx_descriptors: 1024, tx_descriptors: 1024, counter, kernel_clock: false }
    }
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The device is open already.
    #[error("{0} is open already")]
    InUse(Device),
    /// A port has at least one queue, and an MTU below 65518.
    #[error("{device}: {queues} queues with an MTU of {mtu} cannot be: at least 1, and below 65518")]
    Options {
        /// The device.
        device: Device,
        /// The queues asked for.
        queues: u16,
        /// The MTU asked for.
        mtu: u16,
    },
    /// DPDK or its driver refused a step of the set-up.
    #[error("{device}: {step} failed: {source}")]
    Refused {
        /// The device.
        device: Device,
        /// Which step.
        step: String,
        /// What DPDK returned and logged.
        source: Refusal,
    },
    /// Only mlx5 stamps packets by a clock that the kernel shows.
    #[error("{0}: its driver does not stamp packets by a clock of the kernel; mlx5_pci does")]
    NoKernelClock(Device),
    /// A device is replaced once its workers have let go of it, which a running worker does within one turn.
    #[error("{0}: a worker has not let go of the port within a second")]
    Busy(Device),
}

/// A port, open. Its device is closed and removed from DPDK once the monitor and all queues are dropped.
#[derive(Debug)]
pub struct DpdkPort {
    /// One pair for each worker.
    pub queues: Vec<(DpdkRx, DpdkTx)>,
    /// What the port can do.
    pub capabilities: Capabilities,
    /// The clock that its stamps are read from, for the thread of the first queue; `None` where it has none that runs. Say which one it
    /// is by [`Self::name_clock`].
    pub clock: Option<DpdkClock>,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its counters and its link, for a thread that may wait.
    pub monitor: PortMonitor,
}

impl DpdkPort {
    /// Attaches the device and starts it.
    ///
    /// # Errors
    /// Where the device is open already, does not exist, or its driver refuses what is asked for.
    pub fn open(eal: Eal, options: &PortOptions) -> Result<Self, PortError> {
        let PortOptions { device, queues, mtu, .. } = options;
        let room = mtu
            .checked_add(ETHERNET_HEADER + VLAN_TAG)
            .filter(|_| *queues > 0)
            .ok_or_else(|| PortError::Options { device: device.clone(), queues: *queues, mtu: *mtu })?;
        let longest = room - VLAN_TAG;
        let claim = Claim::new(device.clone()).ok_or_else(|| PortError::InUse(device.clone()))?;
        let attached = Attached::new(eal, device)?;
        let info = attached.info()?;
        if options.kernel_clock && !stamps(&info, options) {
            return Err(PortError::NoKernelClock(device.clone()));
        }
        let geometry = Geometry::new(*queues, options.rx_descriptors, options.tx_descriptors, room, info.socket);
        let pool = set_up(|| Lease::new(geometry))
            .map_err(|source| refused(device, "reserving its buffers ([dpdk] memory_mib)", source))?;
        // Declared behind its pool, so that a port that does not start is closed before the pool goes back.
        let attached = attached;
        let config = attached.start(options, &info, &pool)?;
        let driver = Driver::of(&info.driver);
        let tried = driver.clock_width.filter(|_| config.clock == 0);
        let tried = tried.map(|width| try_clock(attached.number, width, options.counter));
        let width = tried.filter(is_usable).map(|clock| clock.width);
        let mut gate = Gate::new(attached.number);
        let (number, handle) = (attached.number, pool.raw());
        let shared = Arc::new(PortShared {
            missed: AtomicU64::new(0),
            stamps: StampsShared::default(),
            attached: Mutex::new(Some(attached)),
            pool,
            options: options.clone(),
            _claim: claim,
        });
        let local = Rate::from_hertz(options.counter.nominal_hertz());
        let queues = (0..*queues)
            .map(|queue| {
                // Without the clock that they are of, stamps say nothing.
                let has_stamps = width.is_some() || driver.clock_width.is_none();
                let (stamp_offset, stamp_flag) = (if has_stamps { config.stamp_offset } else { -1 }, config.stamp_flag);
                // Only the thread of the first queue may read registers.
                let latches = if width.is_some() && queue == 0 { driver.latches() } else { 0 };
                let rx = dpdk_sys::RxQueue {
                    port: number,
                    queue,
                    stamp_offset,
                    stamp_flag,
                    unusable: 0,
                    stamp_mask: mask(width.unwrap_or(64)),
                    latches,
                    callers: if width.is_some() || options.kernel_clock { stamped_by(UNNAMED, latches > 0) } else { 0 },
                    unstamped: 0,
                    events: 0,
                    latched: 0,
                    flushed: 0,
                };
                let tx = dpdk_sys::TxQueue { port: number, queue, longest, reserved: 0, pool: handle };
                let latch = width.filter(|_| queue == 0).map(|width| Latch::new(UNNAMED, width, local));
                (
                    DpdkRx::new(rx, gate.seat(), Arc::clone(&shared)),
                    DpdkTx::new(tx, gate.seat(), options.counter, latch, Arc::clone(&shared)),
                )
            })
            .collect();
        let clock = width.map(|width| DpdkClock::new(gate.seat(), width, Arc::clone(&shared)));
        let capabilities = capabilities(&info, options, longest, tried);
        Ok(Self {
            queues,
            capabilities,
            clock,
            mac: info.mac,
            monitor: PortMonitor::new(eal, gate, shared, info.interface, capabilities),
        })
    }

    /// Says which clock of the host its stamps are of, 1 to 126: until then they are of one that nobody knows.
    ///
    /// Only for a port with a [`Self::clock`], or with [`PortOptions::kernel_clock`].
    pub fn name_clock(&mut self, clock: ClockId) {
        for (rx, tx) in &mut self.queues {
            rx.name_clock(clock);
            tx.name_clock(clock);
        }
    }
}

/// What the queues and the monitor of a port have in common. The last to drop it closes the port.
#[derive(Debug)]
pub(crate) struct PortShared {
    /// Packets that the port lost, as of the monitor's last reading.
    pub(crate) missed: AtomicU64,
    pub(crate) stamps: StampsShared,
    /// `None` while a device that disappeared is not back.
    pub(crate) attached: Mutex<Option<Attached>>,
    pub(crate) pool: Lease,
    pub(crate) options: PortOptions,
    _claim: Claim,
}

/// A device that is one of DPDK's ports. Closed and removed when dropped.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) number: u16,
    device: Device,
}

impl Attached {
    /// Finds the port of a device that EAL attached as it started, or attaches it now.
    pub(crate) fn new(_eal: Eal, device: &Device) -> Result<Self, PortError> {
        let c_string = |text: &str| CString::new(text).unwrap_or_default();
        let (name, arguments) = (c_string(device.name()), c_string(device.arguments()));
        let mut number = 0;
        let mut find = || {
            // SAFETY: EAL is up; a NUL-terminated string and a number to write to.
            check(unsafe { dpdk_sys::shim_port_find(name.as_ptr(), &raw mut number) })
        };
        set_up(|| {
            if find().is_ok() {
                return Ok(());
            }
            let bus = device.bus().as_ptr();
            // SAFETY: EAL is up; three NUL-terminated strings.
            check(unsafe { dpdk_sys::shim_device_attach(bus, name.as_ptr(), arguments.as_ptr()) })?;
            find()
        })
        .map_err(|source| refused(device, "attaching it", source))?;
        Ok(Self { number, device: device.clone() })
    }

    pub(crate) fn info(&self) -> Result<PortInfo, PortError> {
        let mut info = PortInfo::default();
        // SAFETY: the port exists; `info` is to be written.
        set_up(|| check(unsafe { dpdk_sys::shim_port_info(self.number, &raw mut info) }))
            .map_err(|source| refused(&self.device, "asking what it can do", source))?;
        Ok(info)
    }

    /// Configures the port with all that it can do and that we want, and starts it.
    pub(crate) fn start(&self, options: &PortOptions, info: &PortInfo, pool: &Lease) -> Result<PortConfig, PortError> {
        let driver = Driver::of(&info.driver);
        let stamps = if stamps(info, options) { CAN_STAMP } else { 0 };
        let clock = if driver.clock_width.is_some() { USE_CLOCK } else { 0 };
        let mut config = PortConfig {
            pool: pool.raw(),
            queues: options.queues,
            mtu: options.mtu,
            rx_descriptors: options.rx_descriptors,
            tx_descriptors: options.tx_descriptors,
            use_abilities: u32::from(info.abilities & (CAN_CHECKSUM | CAN_SPREAD) | stamps | clock),
            stamp_offset: 0,
            stamp_flag: 0,
            failed: ptr::null(),
            clock: 0,
            reserved: 0,
        };
        // SAFETY: the port exists and is not started; `config` is valid and its pool lives as long as the process.
        set_up(|| check(unsafe { dpdk_sys::shim_port_start(self.number, &raw mut config) })).map_err(|source| {
            let step = if config.failed.is_null() {
                "starting"
            } else {
                // SAFETY: not null, so a string constant of the shim.
                unsafe { CStr::from_ptr(config.failed) }.to_str().unwrap_or_default()
            };
            refused(&self.device, step, source)
        })?;
        Ok(config)
    }

    pub(crate) fn counters(&self) -> Option<PortCounters> {
        let mut counters = PortCounters::default();
        // SAFETY: the port exists; `counters` is to be written.
        let result = unsafe { dpdk_sys::shim_port_counters(self.number, &raw mut counters) };
        (result == 0).then_some(counters)
    }

    pub(crate) fn link(&self, interface: u32) -> Link {
        // SAFETY: takes any numbers.
        match unsafe { dpdk_sys::shim_port_link(self.number, interface) } {
            dpdk_sys::LINK_UP => Link::Up,
            dpdk_sys::LINK_DOWN => Link::Down,
            _ => Link::Gone,
        }
    }

    pub(crate) fn megabits(&self) -> u32 {
        // SAFETY: takes any number.
        unsafe { dpdk_sys::shim_port_megabits(self.number) }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let name = CString::new(self.device.name()).unwrap_or_default();
        // Nothing can be done about a device that does not close; what DPDK logs of it goes to standard error.
        let _ = set_up(|| {
            // SAFETY: no queue of the port is in use: they were dropped, or are kept away by the gate.
            unsafe { dpdk_sys::shim_port_close(self.number) };
            // SAFETY: EAL is up; two NUL-terminated strings.
            unsafe { dpdk_sys::shim_device_detach(self.device.bus().as_ptr(), name.as_ptr()) };
            Ok(())
        });
    }
}

/// The right to be the only user of a device.
#[derive(Debug)]
struct Claim(Device);

static CLAIMS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Claim {
    fn new(device: Device) -> Option<Self> {
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.iter().any(|name| name == device.name()) {
            return None;
        }
        claims.push(device.name().to_owned());
        Some(Self(device))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMS.lock().unwrap_or_else(PoisonError::into_inner).retain(|name| name != self.0.name());
    }
}

fn refused(device: &Device, step: &str, source: Refusal) -> PortError {
    PortError::Refused { device: device.clone(), step: step.to_owned(), source }
}

fn capabilities(info: &PortInfo, options: &PortOptions, longest: u16, clock: Option<ClockAbilities>) -> Capabilities {
    let driver = Driver::of(&info.driver);
    let (has_clock, wants_clock) = (clock.is_some_and(|clock| is_usable(&clock)), driver.clock_width.is_some());
    let rx_stamps = if driver.stamps_mbufs() && !stamps(info, options) { RxStamps::Software } else { driver.rx };
    let (rx_stamps, tx_stamps) = (Ability::claimed(rx_stamps), Ability::claimed(driver.tx()));
    let without = wants_clock && !has_clock;
    Capabilities {
        rx_stamps: if without { rx_stamps.tried(RxStamps::Software) } else { rx_stamps },
        tx_stamps: if without { tx_stamps.tried(TxStamps::Software) } else { tx_stamps },
        send_on_time: Ability::claimed(None),
        clock,
        checksums: ChecksumOffload { rx: info.abilities & CAN_CHECKSUM != 0, by_kernel: false },
        queues: options.queues,
        spread_by_address: options.queues == 1 || info.abilities & CAN_SPREAD != 0,
        max_length: usize::from(longest),
    }
}

/// Whether stamps can be read by a clock.
fn is_usable(clock: &ClockAbilities) -> bool {
    clock.reading.get() == ClockReading::Stamping
}

/// Whether the port writes stamps of a unit that we know into the mbufs of received packets.
fn stamps(info: &PortInfo, options: &PortOptions) -> bool {
    let driver = Driver::of(&info.driver);
    info.abilities & CAN_STAMP != 0 && driver.stamps_mbufs() && driver.by_kernel_clock == options.kernel_clock
}

#[cfg(test)]
mod tests {
    use dpdk_sys::{CAN_CHECKSUM, CAN_SPREAD, CAN_STAMP, PortInfo};
    use sidereal_cpu::LocalCounter;
    use sidereal_nic::{Ability, ClockAbilities, ClockReading, Evidence, RxStamps, Stamped, TxStamps};
    use sidereal_time::Rate;

    use super::{PortOptions, capabilities};

    fn info(driver: &str, abilities: u16) -> PortInfo {
        let mut info = PortInfo { abilities, ..PortInfo::default() };
        info.driver[..driver.len()].copy_from_slice(driver.as_bytes());
        info
    }

    fn options(queues: u16) -> PortOptions {
        PortOptions { queues, ..PortOptions::new("net_null0".parse().unwrap(), LocalCounter::MonotonicRaw) }
    }

    /// A clock that was tried, with this result.
    fn clock(reading: ClockReading) -> Option<ClockAbilities> {
        Some(ClockAbilities {
            step: Ability::claimed(false),
            frequency: Ability::claimed(false),
            reading: Ability::claimed(ClockReading::Stamping).tried(reading),
            width: 40,
            tick: Rate::NANOSECOND,
        })
    }

    #[test]
    fn only_stamps_of_a_known_unit_count() {
        for (driver, abilities, stamps) in [
            ("net_af_packet", CAN_STAMP, RxStamps::Kernel),
            ("net_af_packet", 0, RxStamps::Software),
            ("net_af_packet_x", CAN_STAMP, RxStamps::Software),
            ("net_sfc_efx", CAN_STAMP, RxStamps::Software),
        ] {
            let found = capabilities(&info(driver, abilities), &options(1), 1518, None);
            assert_eq!((found.rx_stamps.get(), found.tx_stamps.get()), (stamps, TxStamps::Software), "{driver}");
        }
    }

    #[test]
    fn mlx5_stamps_by_a_clock_of_the_kernel_or_by_nothing_known() {
        let of = |driver, kernel_clock| {
            let options = PortOptions { kernel_clock, ..options(1) };
            capabilities(&info(driver, CAN_STAMP), &options, 1518, None).rx_stamps.get()
        };
        assert_eq!(of("mlx5_pci", true), RxStamps::Hardware(Stamped::All));
        assert_eq!(of("mlx5_pci", false), RxStamps::Software);
        assert_eq!(of("net_af_packet", true), RxStamps::Software);
    }

    #[test]
    fn a_nic_whose_clock_does_not_run_stamps_nothing() {
        for (driver, abilities, claimed) in [
            ("net_e1000_igb", 0, RxStamps::Latch(1, Stamped::Ptp)),
            ("net_ice", CAN_STAMP, RxStamps::Hardware(Stamped::All)),
        ] {
            let of = |clock| capabilities(&info(driver, abilities), &options(1), 1518, clock);
            let able = of(clock(ClockReading::Stamping));
            assert_eq!((able.rx_stamps.get(), able.tx_stamps.get()), (claimed, TxStamps::Latch));
            for stopped in [None, clock(ClockReading::Stopped), clock(ClockReading::Host)] {
                let unable = of(stopped);
                assert_eq!((unable.rx_stamps.get(), unable.tx_stamps.get()), (RxStamps::Software, TxStamps::Software));
                assert_eq!(unable.rx_stamps.evidence(), Evidence::Refuted(claimed));
            }
        }
    }

    #[test]
    fn one_queue_needs_no_spreading() {
        let of = |driver, abilities, queues| capabilities(&info(driver, abilities), &options(queues), 1518, None);
        assert!(of("net_ring", 0, 1).spread_by_address);
        assert!(!of("net_ring", 0, 2).spread_by_address);
        let able = capabilities(&info("net_ice", CAN_SPREAD | CAN_CHECKSUM), &options(8), 9018, None);
        assert!(able.spread_by_address && able.checksums.rx);
        assert_eq!((able.queues, able.max_length), (8, 9018));
    }
}
