//! What the kernel offers a time server: UDP sockets with timestamps ([`UdpPort`]), sockets of
//! our own questions ([`AssociationSocket`], [`ClientSocket`] which waits, and [`UnconnectedSocket`] to ask many), those of a PTP Port ([`PtpSocket`]), and the TAP interface through which a port of ours hands the kernel what is not time ([`Tap`]).
//!
//! Stamps are the kernel's (CLOCK_REALTIME, taken when the driver hands a packet over or takes it) or, where a NIC was made to
//! take them ([`enable_stamping`]), the NIC's ([`Timestamping`]).
#![allow(
    unsafe_code,
    reason = "system calls take pointers; those that do are in `calls`, behind safe functions, and the ring shared with the kernel is in `packet`"
)]

mod association;
mod calls;
mod client;
mod control;
mod datagram;
mod device;
mod driver;
mod error;
mod name;
mod netlink;
mod open;
pub mod packet;
pub mod poll;
mod ptp;
mod stamped;
mod stamping;
mod steering;
mod tap;
mod timestamping;
mod tokens;
mod udp;
mod unconnected;

pub use association::{AssociationSocket, Received};
pub use client::ClientSocket;
pub use datagram::DATAGRAM_BYTES;
pub use device::{real_device, real_device_in};
pub use driver::{DriverInfo, driver_info};
pub use error::{OpenError, TapError};
pub use open::{Mode, UdpOptions, UdpPort, expected_capabilities};
pub use ptp::{Beside, PtpDatagram, PtpError, PtpLink, PtpSocket, hardware_address};
pub use stamping::{
    Enabled, HardwareStamping, StampingConfig, StampingError, enable_stamping, hardware_stamping, stamping,
};
pub use tap::{Tap, TapOptions};
pub use timestamping::{RxFilter, Timestamping};
pub use tokens::StampCounts;
pub use udp::{UdpPacket, UdpRx, UdpTx};
pub use unconnected::UnconnectedSocket;
