//! Pools of packet buffers.

use core::ffi::{c_int, c_void};
use std::ffi::CString;
use std::io;
use std::sync::{Mutex, PoisonError};

use sidereal_nic::BURST;

use crate::eal::check;

/// Buffers that each thread keeps to itself, at the most half as many again (`rte_mempool.h`).
const CACHE: u32 = 256;
/// The rings of net_af_xdp have this many descriptors, whatever is asked for.
const DRIVER_RING: u16 = 2048;
/// The least room in a buffer, in bytes. net_af_packet wants room for all that its default slot can hold.
const ROOM_MIN: u16 = 2048;

/// What a pool is made for. Pools of the same geometry can stand in for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    buffers: u32,
    room: u16,
    /// NUMA node; negative: any.
    socket: i32,
}

impl Geometry {
    /// Enough buffers that the pool cannot run dry while every ring is full, every worker holds a burst from two ports,
    /// and every thread's cache is full.
    pub(crate) fn new(queues: u16, rx_descriptors: u16, tx_descriptors: u16, room: u16, socket: i32) -> Self {
        let rings = u32::from(rx_descriptors.max(DRIVER_RING)) + u32::from(tx_descriptors.max(DRIVER_RING));
        let bursts = 2 * u32::try_from(BURST).unwrap_or(u32::MAX);
        let cache = CACHE + CACHE / 2;
        let needed = u32::from(queues) * (rings + bursts + cache) + cache;
        // A ring holds one less than its size, and its size is a power of two.
        Self { buffers: (needed + 1).next_power_of_two() - 1, room: room.max(ROOM_MIN), socket }
    }
}

#[derive(Debug, Clone, Copy)]
struct Pool {
    raw: *mut c_void,
    geometry: Geometry,
}

impl Pool {
    /// Buffers that are free now.
    fn available(self) -> u32 {
        // SAFETY: the pool exists as long as the process; counting needs no lock.
        unsafe { dpdk_sys::shim_pool_available(self.raw) }
    }

    fn is_full(self) -> bool {
        self.available() == self.geometry.buffers
    }
}

// SAFETY: DPDK's pools may be used by all threads at once.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

#[derive(Debug)]
struct Shelf {
    made: u32,
    returned: Vec<Pool>,
}

static SHELF: Mutex<Shelf> = Mutex::new(Shelf { made: 0, returned: Vec::new() });

/// A pool on loan to a port.
///
/// A pool is never freed: a packet may outlive its port, and its buffer must have a pool to go home to. What is returned is
/// lent again to the next port that needs the same.
#[derive(Debug)]
pub(crate) struct Lease(Pool);

impl Lease {
    /// A pool of this geometry with all its buffers: one that was returned, or a new one. EAL must be up. Some drivers
    /// (net_ring) keep for ever what is in their rings when they are closed; such a pool is not used again.
    pub(crate) fn new(geometry: Geometry) -> io::Result<Self> {
        let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = shelf.returned.iter().position(|pool| pool.geometry == geometry && pool.is_full()) {
            return Ok(Self(shelf.returned.swap_remove(at)));
        }
        let name = CString::new(format!("sidereal_{}", shelf.made)).unwrap_or_default();
        let mut error: c_int = 0;
        // SAFETY: EAL is up; `name` and `error` are valid for the call.
        let raw = unsafe {
            dpdk_sys::shim_pool_create(
                name.as_ptr(),
                geometry.buffers,
                CACHE,
                geometry.room,
                geometry.socket,
                &raw mut error,
            )
        };
        check(error)?;
        shelf.made += 1;
        Ok(Self(Pool { raw, geometry }))
    }

    /// DPDK's handle. Valid as long as the process runs.
    pub(crate) const fn raw(&self) -> *mut c_void {
        self.0.raw
    }

    /// Buffers that are free now.
    pub(crate) fn available(&self) -> u32 {
        self.0.available()
    }

    /// Buffers in all.
    pub(crate) const fn buffers(&self) -> u32 {
        self.0.geometry.buffers
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        SHELF.lock().unwrap_or_else(PoisonError::into_inner).returned.push(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::Geometry;

    #[test]
    fn a_pool_holds_what_its_rings_bursts_and_caches_hold() {
        // 2048 + 2048 + 64 + 384, and 384 for the thread that opens the port.
        assert_eq!(Geometry::new(1, 1024, 1024, 1518, -1), Geometry { buffers: 8191, room: 2048, socket: -1 });
        // 4 x (4096 + 2048 + 64 + 384) + 384 = 26752.
        assert_eq!(Geometry::new(4, 4096, 512, 9018, 1), Geometry { buffers: 32767, room: 9018, socket: 1 });
    }
}
