//! What the kernel offers a time server: UDP sockets with timestamps ([`UdpPort`]), sockets of
//! our own questions ([`AssociationSocket`], and [`ClientSocket`] which waits), those of a PTP Port ([`PtpSocket`]), and the TAP interface through which a port of ours hands the kernel what is not time ([`Tap`]).
//!
//! All stamps are the kernel's software stamps: CLOCK_REALTIME, taken when the driver hands a packet over.
#![allow(
    unsafe_code,
    reason = "system calls take pointers; those that do are in `calls`, behind safe functions, and the ring shared with the kernel is in `packet`"
)]

mod association;
mod calls;
mod client;
mod control;
mod datagram;
mod error;
mod name;
mod netlink;
mod open;
pub mod packet;
pub mod poll;
mod ptp;
mod stamped;
mod steering;
mod tap;
mod tokens;
mod udp;

pub use association::{AssociationSocket, Received};
pub use client::ClientSocket;
pub use datagram::DATAGRAM_BYTES;
pub use error::{OpenError, TapError};
pub use open::{Mode, UdpOptions, UdpPort};
pub use ptp::{Beside, PtpDatagram, PtpError, PtpLink, PtpSocket, hardware_address};
pub use tap::{Tap, TapOptions};
pub use udp::{UdpPacket, UdpRx, UdpTx};
