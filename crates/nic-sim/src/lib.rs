//! A simulated NIC: two ports joined by memory. What one port sends, the other receives; tests, benchmarks and fuzz targets
//! give one end to a worker and hold the other.
//!
//! Time is what the test says it is ([`SimControl::set_ticks`]), and the faults of real NICs come when they are asked for:
//! missing and late TX stamps, full rings, a link that is down; with a [`SimWire`], a wire of finite speed, a way to it that takes its
//! time, one latch, and packets that are held until their time. Buffers circulate: nothing is allocated once a link is made.
//!
//! ```
//! use sidereal_nic::{Burst, Packet, RxQueue, TxQueue};
//! use sidereal_nic_sim::{SimOptions, link};
//!
//! let (mut test, mut port, _) = link(&SimOptions::default());
//! assert!(test.send(b"a frame"));
//! let mut burst = Burst::new();
//! assert_eq!(port.rx.receive(&mut burst), 1);
//! burst[0].reply(3, None);
//! assert_eq!(port.tx.transmit(&mut burst).sent, 1);
//! let mut buffer = [0; 64];
//! assert_eq!(test.take(&mut buffer).map(|taken| taken.len), Some(3));
//! assert_eq!(&buffer[..3], b"a f");
//! ```
#![forbid(unsafe_code)]

mod control;
mod options;
mod port;
mod tokens;
mod wire;

pub use control::SimControl;
pub use options::{SimOptions, SimPackets, StampFaults, WhenFull};
pub use port::{SimPacket, SimPort, SimRx, SimTx, Taken, link};
pub use wire::{LOST_AFTER, SimWire};
