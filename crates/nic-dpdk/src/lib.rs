//! The DPDK backend: ports polled by our own threads, without the kernel's network stack.
//!
//! [`Eal`] starts DPDK once per process; [`DpdkPort::open`] attaches a device, real or virtual, and hands out its queues;
//! each thread that polls a queue holds a [`WorkerThread`]. A burst costs one call into DPDK each way, whatever is in it:
//! [`Mbuf`] is the shim's own record, so a [`sidereal_nic::Burst`] of them is passed on as it lies.
//!
//! Stamps. Of received packets: only from net_af_packet of DPDK 24.11 and later, whose unit is known (the kernel's, in
//! nanoseconds of CLOCK_REALTIME); other drivers' stamps are left off. Of sent packets: a reading of the local counter
//! just before the burst is handed over.
#![allow(unsafe_code, reason = "calls DPDK through its C shim")]

mod device;
mod eal;
mod gate;
mod monitor;
mod packet;
mod pool;
mod port;
mod queue;
mod thread;

pub use device::{Device, DeviceError};
pub use eal::{Eal, EalError, EalOptions, Refusal, dpdk_version};
pub use monitor::{Link, PortMonitor, PortStatus};
pub use packet::Mbuf;
pub use port::{DpdkPort, PortError, PortOptions};
pub use queue::{ANSWERS, DpdkRx, DpdkTx};
pub use thread::{WorkerThread, WorkerThreadError};
