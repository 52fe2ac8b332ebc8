//! Why a socket or an interface could not be had.

use core::net::{IpAddr, SocketAddr};
use std::io;

/// Why a UDP port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nothing to bind to.
    #[error("no address to bind to")]
    NoAddress,
    /// Somebody else has the port: another server, or another instance of this one.
    #[error("UDP {0} is taken by another socket")]
    Taken(SocketAddr),
    /// The address is none of this host's.
    #[error("{0} is not an address of this host")]
    NoSuchAddress(IpAddr),
    /// There is no such network interface.
    #[error("no network interface {0:?}")]
    NoSuchInterface(String),
    /// Hardware stamps were asked for, and no interface was named whose NIC would take them.
    #[error("hardware timestamps need an interface: which NIC takes them?")]
    NoInterface,
    /// The interface's NIC has no such virtual clock.
    #[error("/dev/ptp{index} is no virtual clock of the interface's NIC")]
    VirtualClock {
        /// Its index.
        index: u32,
    },
    /// The port is below 1024 and the process has no CAP_NET_BIND_SERVICE.
    #[error("no permission to bind to UDP {0}: ports below 1024 need root or CAP_NET_BIND_SERVICE")]
    Permission(SocketAddr),
    /// The kernel does not spread packets over several sockets (SO_ATTACH_REUSEPORT_CBPF).
    #[error("the kernel does not spread packets over queues: {0}; one queue needs no spreading")]
    Spreading(#[source] io::Error),
    /// Anything else the kernel said no to.
    #[error("{call} for UDP {address}: {error}")]
    Call {
        /// The system call or socket option.
        call: &'static str,
        /// The address that was to be bound or asked.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
}

/// Why a TAP interface could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The name is empty, longer than 15 bytes, or has a character that interfaces cannot have.
    #[error("{0:?} cannot be the name of an interface: 1 to 15 bytes without '/', '%' and white space")]
    Name(String),
    /// `/dev/net/tun` cannot be opened.
    #[error("cannot open /dev/net/tun: {0}; it needs the module tun, and root or CAP_NET_ADMIN")]
    Device(#[source] io::Error),
    /// An interface of that name exists and belongs to somebody else.
    #[error("the interface {0:?} exists and is in use")]
    Taken(String),
    /// An address could not be given to the interface.
    #[error("cannot give {address}/{prefix} to {name}: {error}")]
    Address {
        /// The interface.
        name: String,
        /// The address.
        address: IpAddr,
        /// Its prefix length.
        prefix: u8,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
    /// Anything else the kernel said no to.
    #[error("cannot {what} {name}: {error}")]
    Call {
        /// What was tried.
        what: &'static str,
        /// The interface.
        name: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
}
