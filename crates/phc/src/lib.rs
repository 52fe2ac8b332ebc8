//! Clocks that the kernel can read and steer, and reference clocks that other programs and devices put beside them.
//!
//! | clock | type | what it gives |
//! |---|---|---|
//! | CLOCK_REALTIME | [`SystemClock`] | readings, steering, announcements, the place of kernel stamps on the counter |
//! | `/dev/ptpN` | [`PtpClock`] | readings, steering, external timestamps, pins |
//! | `/dev/ppsN` | [`Pps`] | pulses (RFC 2783) |
//! | NTP's shared memory | [`ShmSegment`] | samples of another program |
//! | a UNIX datagram socket | [`SockReference`] | samples of other programs |
//!
//! Readings stand beside the local counter ([`sidereal_cpu::LocalCounter`]), which nobody steers. Only libc's functions are
//! used, so that a simulator that preloads libc sees them all.
//!
//! A clock has one writer. [`Interference`] says that there is another, and [`rivals`] who it may be.
#![allow(unsafe_code, reason = "clock_gettime, clock_adjtime, ioctl and shmat have no safe wrapper in libc")]

mod beside;
mod device;
mod error;
mod ioctl;
mod pps;
mod ptp;
mod rival;
mod sample;
mod shm;
mod sock;
mod system;
mod timex;
mod track;
mod watch;

pub use error::ClockError;
pub use pps::{Pps, PpsEdge, PpsInfo, Pulse};
pub use ptp::{Access, Edges, ExternalTimestamp, OffsetMethod, Pin, PinFunction, PtpCapabilities, PtpClock};
pub use rival::{Rival, Steers, holders, rivals};
pub use sample::{ReferenceSample, SampleCounts, SampleFault};
pub use shm::{SHM_BYTES, ShmError, ShmImage, ShmSample, ShmSegment};
pub use sock::{SOCK_BYTES, SockReference, SockSample};
pub use system::{Announcement, SystemClock};
pub use track::{LocateError, Located};
pub use watch::Interference;
