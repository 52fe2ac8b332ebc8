//! The DPDK backend: ports polled by our own threads, without the kernel's network stack.
//!
//! [`Eal`] starts DPDK once per process; [`DpdkPort::open`] attaches a device, real or virtual, and hands out its queues;
//! each thread that polls a queue holds a [`WorkerThread`]. A burst costs one call into DPDK each way, whatever is in it:
//! [`Mbuf`] is the shim's own record, so a [`sidereal_nic::Burst`] of them is passed on as it lies.
//!
//! Stamps, where the driver is one whose ways are known (igb, ixgbe, i40e, ice, ngbe, txgbe): of received packets out of the mbuf or
//! the NIC's register; of packets sent by the first queue out of the one register that such NICs have, which an arbiter hands
//! out ([`sidereal_nic::TxArbiter`]). They are ticks of the NIC's clock, which runs free: [`DpdkClock`] reads it, and whoever knows its
//! model tells the time by that. net_af_packet of DPDK 24.11 and later passes on the kernel's. All others: a reading of the local
//! counter when the burst was found, or just before it is handed over.
#![allow(unsafe_code, reason = "calls DPDK through its C shim")]

mod clock;
mod device;
mod driver;
mod eal;
mod gate;
mod latch;
mod monitor;
mod packet;
mod pool;
mod port;
mod queue;
mod thread;

pub use clock::DpdkClock;
pub use device::{Device, DeviceError};
pub use driver::expected_stamps;
pub use eal::{Eal, EalError, EalOptions, Refusal, dpdk_version};
pub use monitor::{Link, PortMonitor, PortStatus};
pub use packet::Mbuf;
pub use port::{DpdkPort, PortError, PortOptions};
pub use queue::{ANSWERS, DpdkRx, DpdkTx};
pub use thread::{WorkerThread, WorkerThreadError};
