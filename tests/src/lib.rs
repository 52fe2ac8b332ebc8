//! A testbed of network namespaces and real peers: two namespaces joined by a veth link, Sidereal in one, the field's
//! own clients in the other, and a capture of what passed between them.
//!
//! [`Net::run`] is the way in: it builds the link, hands it to the test, shows every log if the test fails, and cleans
//! up, also when the test is killed. Nothing in a namespace can touch the host's clock: [`Namespace`] takes the
//! privilege away from every program it starts.
#![forbid(unsafe_code)]

mod capture;
mod chrony;
mod error;
mod frames;
mod janitor;
mod liar;
mod linuxptp;
mod net;
mod ntpd_rs;
mod ntpdig;
mod ntpsec;
pub mod pcap;
mod prefix;
mod process;
mod sidereal;
mod status;
mod transparent_clock;
mod wait;

pub use capture::{Capture, Recording};
pub use chrony::{Chronyd, NtpData, SourceState};
pub use error::{Error, Result};
pub use frames::FrameSocket;
pub use janitor::{Hugepages, Janitor};
pub use liar::Liar;
pub use linuxptp::{Answers, Ptp4l, pmc};
pub use net::{
    CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC, INTERFACE, Link, Namespace, Net, SERVER_IPV4, SERVER_IPV6, SERVER_MAC,
};
pub use ntpd_rs::NtpdRs;
pub use ntpdig::{Dig, ntpdig};
pub use ntpsec::Ntpd;
pub use prefix::program;
pub use process::Process;
pub use sidereal::{Options, Sidereal, Transport, write_private};
pub use status::{Ptp, Source, Sources, Status};
pub use transparent_clock::TransparentClock;
pub use wait::{until, until_some};
