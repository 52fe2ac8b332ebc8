//! C shim over the system's libdpdk and its raw declarations.
//!
//! DPDK's fast path is inline C and its structures change from release to release. The shim (`csrc/`) is compiled against
//! the installed headers and shows Rust only plain records of its own: a burst costs one call, and nothing here depends on
//! the release. This file mirrors `csrc/shim.h`; both sides assert the layout at compile time.
//!
//! Results of type [`c_int`] are 0 or a negative errno unless said otherwise.
#![allow(unsafe_code, reason = "declares the functions of a C library")]

use core::ffi::{c_char, c_int, c_void};
use core::mem::{offset_of, size_of};

/// Packets per burst at the most.
pub const BURST: usize = 32;
/// The shortest frame that is sent, in bytes: with less some NICs (i40e) take the driver for malicious and stop.
pub const SHORTEST: usize = 17;

/// [`Packet::flags`]: the port found the checksums of IP and UDP right.
pub const CHECKSUMS_GOOD: u16 = 0x01;
/// [`Packet::flags`]: the port found one of the checksums wrong.
pub const CHECKSUMS_BAD: u16 = 0x02;
/// [`Packet::flags`]: [`Packet::stamp`] holds what the port wrote.
pub const STAMPED: u16 = 0x04;
/// [`Packet::flags`], set by the caller: send the first [`Packet::send_length`] bytes.
pub const SEND: u16 = 0x08;
/// [`Packet::flags`], set by [`shim_settle`]: the port took the packet.
pub const SENT: u16 = 0x10;
/// [`Packet::flags`], the caller's own: [`Packet::token`] is in use.
pub const TOKEN: u16 = 0x20;
/// [`Packet::flags`], set by the caller: the NIC shall stamp the packet as it leaves; [`shim_tx_latch`] reads that.
pub const WANT_STAMP: u16 = 0x40;
/// [`Packet::flags`], the caller's own: [`RxQueue::callers`], on packets with a stamp.
pub const CALLERS: u16 = 0xff00;

/// [`PortInfo::abilities`]: verifies the checksums of IPv4 and UDP.
pub const CAN_CHECKSUM: u16 = 0x1;
/// [`PortInfo::abilities`]: spreads IPv4 and IPv6 packets over queues by address alone.
pub const CAN_SPREAD: u16 = 0x2;
/// [`PortInfo::abilities`]: writes a stamp into each received packet.
pub const CAN_STAMP: u16 = 0x4;
/// [`PortConfig::use_abilities`], to be tried because no port says it: has a clock, and stamps PTP by it.
pub const USE_CLOCK: u16 = 0x8;

/// [`shim_port_link`]: there, but no packets pass.
pub const LINK_DOWN: c_int = 0;
/// [`shim_port_link`]: packets pass.
pub const LINK_UP: c_int = 1;
/// [`shim_port_link`]: the device or the interface below it was removed.
pub const LINK_GONE: c_int = 2;

/// A received frame in one piece, and what shall become of it.
#[repr(C)]
#[derive(Debug)]
pub struct Packet {
    /// DPDK's buffer, owned by whoever holds the record.
    pub mbuf: *mut c_void,
    /// The first byte of the frame.
    pub data: *mut u8,
    /// When it arrived, in the port's unit; valid with [`STAMPED`].
    pub stamp: u64,
    /// The caller's own.
    pub token: u64,
    /// Bytes received.
    pub length: u16,
    /// Bytes from `data` to the end of the buffer.
    pub room: u16,
    /// Bytes to send; valid with [`SEND`].
    pub send_length: u16,
    /// [`CHECKSUMS_GOOD`] and its neighbours.
    pub flags: u16,
}

/// The receiving half of a queue.
#[repr(C)]
#[derive(Debug)]
pub struct RxQueue {
    /// DPDK's number of the port.
    pub port: u16,
    /// The queue's number.
    pub queue: u16,
    /// Where in an mbuf the stamp is; negative: the port writes none.
    pub stamp_offset: i32,
    /// The mbuf flag that says that the stamp was written.
    pub stamp_flag: u64,
    /// Frames released in [`shim_receive`]: in several pieces that do not fit into one buffer.
    pub unusable: u64,
    /// The bits of a stamp that count.
    pub stamp_mask: u64,
    /// Registers in which the port keeps stamps until they are read; 0: none.
    pub latches: u16,
    /// The caller's own flags of packets with a stamp, within [`CALLERS`].
    pub callers: u16,
    /// Event messages in a row that came without a stamp.
    pub unstamped: u32,
    /// Event messages of PTP over Ethernet that came, where there are latches,
    pub events: u64,
    /// packets whose stamp was in one,
    pub latched: u64,
    /// and stamps that were taken out although their packets never came.
    pub flushed: u64,
}

/// The sending half of a queue.
#[repr(C)]
#[derive(Debug)]
pub struct TxQueue {
    /// DPDK's number of the port.
    pub port: u16,
    /// The queue's number.
    pub queue: u16,
    /// The longest frame without a VLAN tag that the port takes, in bytes. One with a tag may be longer by that.
    pub longest: u16,
    /// Zero.
    pub reserved: u16,
    /// The pool that frames which are not replies take their buffers from.
    pub pool: *mut c_void,
}

/// What became of the packets of a burst that were marked to be sent.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    /// Handed to the port.
    pub sent: u16,
    /// Not taken, and freed.
    pub refused: u16,
}

/// What a port is and can do.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct PortInfo {
    /// The driver's name, NUL-terminated.
    pub driver: [u8; 32],
    /// The MAC address.
    pub mac: [u8; 6],
    /// Receive queues it can have.
    pub max_rx_queues: u16,
    /// Send queues it can have.
    pub max_tx_queues: u16,
    /// [`CAN_CHECKSUM`], [`CAN_SPREAD`], [`CAN_STAMP`].
    pub abilities: u16,
    /// Index of the kernel's interface below it; 0: none.
    pub interface: u32,
    /// NUMA node; negative: unknown.
    pub socket: i32,
}

/// How a port is to be started, and what came of it.
#[repr(C)]
#[derive(Debug)]
pub struct PortConfig {
    /// Where received packets get their buffers.
    pub pool: *mut c_void,
    /// RX/TX queue pairs.
    pub queues: u16,
    /// Longest IP packet, in bytes.
    pub mtu: u16,
    /// Descriptors per receive queue; adjusted to what the port can have.
    pub rx_descriptors: u16,
    /// Descriptors per send queue; adjusted to what the port can have.
    pub tx_descriptors: u16,
    /// Which of its abilities to switch on.
    pub use_abilities: u32,
    /// Out: for [`RxQueue::stamp_offset`].
    pub stamp_offset: i32,
    /// Out: for [`RxQueue::stamp_flag`].
    pub stamp_flag: u64,
    /// Out: the step that failed, a static string.
    pub failed: *const c_char,
    /// Out: 0 where the clock was started, else a negative errno.
    pub clock: c_int,
    /// Zero.
    pub reserved: u32,
}

/// A port's counters since it was opened.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets lost because no descriptor was free.
    pub rx_missed: u64,
    /// Packets received broken.
    pub rx_errors: u64,
    /// Packets lost because the pool was dry.
    pub rx_no_buffer: u64,
    /// Packets that failed to be sent.
    pub tx_errors: u64,
}

// As in shim.h.
const _: () = {
    assert!(size_of::<Packet>() == 40);
    assert!(offset_of!(Packet, data) == 8);
    assert!(offset_of!(Packet, stamp) == 16);
    assert!(offset_of!(Packet, token) == 24);
    assert!(offset_of!(Packet, length) == 32);
    assert!(offset_of!(Packet, room) == 34);
    assert!(offset_of!(Packet, send_length) == 36);
    assert!(offset_of!(Packet, flags) == 38);
    assert!(size_of::<RxQueue>() == 64);
    assert!(offset_of!(RxQueue, stamp_offset) == 4);
    assert!(offset_of!(RxQueue, stamp_flag) == 8);
    assert!(offset_of!(RxQueue, unusable) == 16);
    assert!(offset_of!(RxQueue, stamp_mask) == 24);
    assert!(offset_of!(RxQueue, latches) == 32);
    assert!(offset_of!(RxQueue, callers) == 34);
    assert!(offset_of!(RxQueue, events) == 40);
    assert!(offset_of!(RxQueue, latched) == 48);
    assert!(offset_of!(RxQueue, flushed) == 56);
    assert!(size_of::<TxQueue>() == 16);
    assert!(offset_of!(TxQueue, longest) == 4);
    assert!(offset_of!(TxQueue, pool) == 8);
    assert!(size_of::<Settled>() == 4);
    assert!(size_of::<PortInfo>() == 52);
    assert!(offset_of!(PortInfo, mac) == 32);
    assert!(offset_of!(PortInfo, max_rx_queues) == 38);
    assert!(offset_of!(PortInfo, abilities) == 42);
    assert!(offset_of!(PortInfo, interface) == 44);
    assert!(offset_of!(PortInfo, socket) == 48);
    assert!(size_of::<PortConfig>() == 48);
    assert!(offset_of!(PortConfig, queues) == 8);
    assert!(offset_of!(PortConfig, use_abilities) == 16);
    assert!(offset_of!(PortConfig, stamp_offset) == 20);
    assert!(offset_of!(PortConfig, stamp_flag) == 24);
    assert!(offset_of!(PortConfig, failed) == 32);
    assert!(offset_of!(PortConfig, clock) == 40);
    assert!(size_of::<PortCounters>() == 64);
};

unsafe extern "C" {
    /// Fills at most `room` records at `packets` (and at most [`BURST`]) and returns how many. Never waits.
    pub fn shim_receive(queue: *mut RxQueue, packets: *mut Packet, room: u16) -> u16;

    /// Sends the packets marked [`SEND`] in order and marks those taken [`SENT`]; frees all others. Refused are frames too
    /// short or too long and what finds no room. Every mbuf of the burst belongs to DPDK afterwards. `count` is at most
    /// [`BURST`].
    pub fn shim_settle(queue: *const TxQueue, packets: *mut Packet, count: u16) -> Settled;

    /// Frees one buffer.
    pub fn shim_release(mbuf: *mut c_void);

    /// Copies `length` bytes at `frame` into a buffer of the queue's pool, for [`shim_send`]. Null: no buffer, or the frame is
    /// too short or too long.
    pub fn shim_prepare(queue: *const TxQueue, frame: *const u8, length: u16) -> *mut c_void;

    /// Has what [`shim_prepare`] returned be stamped as it leaves.
    pub fn shim_want_stamp(prepared: *mut c_void);

    /// Sends what [`shim_prepare`] returned, which is DPDK's afterwards. 1: taken; 0: no room.
    pub fn shim_send(queue: *const TxQueue, prepared: *mut c_void) -> c_int;

    /// Where the clock of the port stands, in nanoseconds. This and the next are for the thread of the first queue alone.
    pub fn shim_clock_read(port: u16, nanoseconds: *mut u64) -> c_int;

    /// Takes the stamp of a sent packet out of its register. Negative where there is none.
    pub fn shim_tx_latch(port: u16, nanoseconds: *mut u64) -> c_int;

    /// From here on keeps what DPDK logs instead of writing it to standard error.
    pub fn shim_log_capture();

    /// Ends the capture and copies what was kept, NUL-terminated; what does not fit is lost from the end. Returns its
    /// length without the NUL.
    pub fn shim_log_take(text: *mut c_char, size: usize) -> usize;

    /// Ends the capture and writes what was kept to standard error after all.
    pub fn shim_log_flush();

    /// Starts EAL, its own threads confined to `cores`. The calling thread's affinity is as before when this returns.
    pub fn shim_eal_init(argc: c_int, argv: *mut *mut c_char, cores: *const u16, core_count: usize) -> c_int;

    /// DPDK's name and release, a static string.
    pub fn shim_eal_version() -> *const c_char;

    /// Makes the calling thread known to DPDK, so that it has a cache in each pool.
    pub fn shim_thread_register() -> c_int;

    /// Undoes [`shim_thread_register`].
    pub fn shim_thread_unregister();

    /// Adds a device to the bus `bus` (`pci` or `vdev`).
    pub fn shim_device_attach(bus: *const c_char, name: *const c_char, arguments: *const c_char) -> c_int;

    /// Removes a device.
    pub fn shim_device_detach(bus: *const c_char, name: *const c_char) -> c_int;

    /// A pool of `buffers` buffers with room for frames of `buffer_size` bytes, `cache` of them kept by each thread. Null
    /// and `*error` set where that fails. A negative `socket` is any NUMA node.
    pub fn shim_pool_create(
        name: *const c_char,
        buffers: u32,
        cache: u32,
        buffer_size: u16,
        socket: c_int,
        error: *mut c_int,
    ) -> *mut c_void;

    /// How many buffers of a pool are free.
    pub fn shim_pool_available(pool: *const c_void) -> u32;

    /// The port of the device of this name.
    pub fn shim_port_find(name: *const c_char, port: *mut u16) -> c_int;

    /// What the port is and can do.
    pub fn shim_port_info(port: u16, info: *mut PortInfo) -> c_int;

    /// Configures and starts a port.
    pub fn shim_port_start(port: u16, config: *mut PortConfig) -> c_int;

    /// Stops and closes a port.
    pub fn shim_port_close(port: u16) -> c_int;

    /// Reads a port's counters.
    pub fn shim_port_counters(port: u16, counters: *mut PortCounters) -> c_int;

    /// [`LINK_UP`], [`LINK_DOWN`] or [`LINK_GONE`]. `interface` as in [`PortInfo::interface`].
    pub fn shim_port_link(port: u16, interface: u32) -> c_int;

    /// How fast a port's link is, in megabits a second; 0 where the driver does not say.
    pub fn shim_port_megabits(port: u16) -> u32;
}
