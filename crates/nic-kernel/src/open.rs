//! Opening a UDP port.

use crate::error::OpenError;
use crate::name::Name;
use crate::timestamping::{RxFilter, Stampers, Timestamping};
use crate::udp::{self, Endpoint, UdpRx, UdpTx};
use crate::{DATAGRAM_BYTES, calls, steering};
use core::ffi::c_int;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};
use core::num::NonZeroU16;
use sidereal_nic::{Ability, Capabilities, ChecksumOffload, RxStamps, Stamped, TxStamps};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The size of the kernel's own buffers, per socket: about 5000 requests, what comes in some ten milliseconds.
const SOCKET_BUFFER_BYTES: c_int = 4 << 20;

/// How a UDP port is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Bursts, by `recvmmsg(2)` and `sendmmsg(2)`.
    Burst,
    /// One packet at a time, by `recvmsg(2)` and `sendmsg(2)`.
    Single,
}

/// What to open.
#[derive(Debug, Clone)]
pub struct UdpOptions {
    /// The addresses to bind to. `0.0.0.0` and `::` are all addresses of their family, and only of theirs.
    pub addresses: Vec<IpAddr>,
    /// The UDP port; 0 lets the kernel choose one.
    pub port: u16,
    /// The network interface to bind to: packets that come by others are not seen.
    pub interface: Option<String>,
    /// How many queues share the port. All packets of a sender go to the same one.
    pub queues: NonZeroU16,
    /// Whether other sockets of this process are to be bound to the port later: [`crate::AssociationSocket`].
    pub shared: bool,
    /// How the port is served.
    pub mode: Mode,
    /// Who stamps its packets. The NIC only where the port is bound to an interface, which was made to stamp
    /// ([`crate::enable_stamping`]).
    pub timestamping: Timestamping,
}

/// An open UDP port.
#[derive(Debug)]
pub struct UdpPort {
    /// Its queues. Each has a socket for every address. They refuse replies that IPv4 would have to fragment on their way out.
    pub queues: Vec<(UdpRx, UdpTx)>,
    /// What it can do. A kernel (or a simulator of one) without stamps is served with what it has.
    pub capabilities: Capabilities,
    /// The UDP port, also where the kernel chose it.
    pub port: u16,
}

impl UdpPort {
    /// Opens the port.
    ///
    /// # Errors
    /// If an address cannot be bound, or the kernel refuses an option that the port cannot work without; hardware stamps
    /// without an interface are refused too.
    pub fn open(options: &UdpOptions) -> Result<Self, OpenError> {
        if options.interface.is_none() && options.timestamping != Timestamping::Software {
            return Err(OpenError::NoInterface);
        }
        let mut names = Vec::new();
        for address in &options.addresses {
            names.push(socket_address(*address, options)?);
        }
        if names.is_empty() {
            return Err(OpenError::NoAddress);
        }
        if options.shares() {
            // SO_REUSEPORT would also share the port with another instance; a socket without it finds that one out.
            for &name in &names {
                bind(name, options, false)?;
            }
        }
        let mut port = options.port;
        let mut stamps = true;
        let mut queues = Vec::new();
        for _ in 0..options.queues.get() {
            let mut endpoints = Vec::new();
            for &(mut name) in &names {
                name.set_port(port);
                let endpoint = open_endpoint(name, options)?;
                port = endpoint.local.port();
                stamps &= endpoint.stampers.is_some();
                endpoints.push(endpoint);
            }
            queues.push(endpoints);
        }
        if let (Some(endpoints), true) = (queues.first(), options.shares()) {
            // Also where there is one queue: what else is bound to the port gets no request by chance.
            for endpoint in endpoints {
                steering::by_source_address(endpoint.socket.as_fd(), endpoint.local.is_ipv4(), options.queues)
                    .map_err(OpenError::Spreading)?;
            }
        }
        let mut capabilities = expected_capabilities(options.timestamping, options.queues);
        if !stamps {
            capabilities.rx_stamps = Ability::claimed(RxStamps::Software);
            capabilities.tx_stamps = Ability::claimed(TxStamps::Software);
        }
        let queues = queues.into_iter().map(|endpoints| udp::queue(endpoints, options.mode)).collect();
        Ok(Self { queues, capabilities, port })
    }
}

impl UdpOptions {
    /// Whether several sockets are to have one address.
    fn shares(&self) -> bool {
        self.shared || self.queues.get() > 1
    }
}

/// What sockets can do whose packets are stamped so: what is to be expected of a port that is not open.
#[must_use]
pub fn expected_capabilities(timestamping: Timestamping, queues: NonZeroU16) -> Capabilities {
    let (rx_stamps, tx_stamps) = match timestamping {
        Timestamping::Software => (RxStamps::Kernel, TxStamps::Kernel),
        Timestamping::Hardware { filter, .. } if filter.serves(RxFilter::Ntp) => {
            (RxStamps::Hardware(Stamped::All), TxStamps::Hardware)
        }
        Timestamping::Hardware { .. } => (RxStamps::Hardware(Stamped::Ptp), TxStamps::Hardware),
    };
    Capabilities {
        rx_stamps: Ability::claimed(rx_stamps),
        tx_stamps: Ability::claimed(tx_stamps),
        send_on_time: Ability::claimed(None),
        clock: None,
        checksums: ChecksumOffload { rx: false, by_kernel: true },
        queues: queues.get(),
        spread_by_address: true,
        max_length: DATAGRAM_BYTES,
    }
}

/// What it means that the kernel refuses stamps on the socket of `address`.
pub(crate) fn stamps_refused(stampers: &Stampers, address: SocketAddr) -> impl FnOnce(io::Error) -> OpenError {
    let virtual_clock = stampers.virtual_clock();
    move |error| match (error.raw_os_error(), virtual_clock) {
        (Some(libc::EINVAL), Some(index)) => OpenError::VirtualClock { index },
        _ => OpenError::Call { call: "SO_TIMESTAMPING", address, error },
    }
}

/// A link-local address is completed by the interface.
fn socket_address(address: IpAddr, options: &UdpOptions) -> Result<SocketAddr, OpenError> {
    Ok(match (address, &options.interface) {
        (IpAddr::V6(address), Some(interface)) if address.is_unicast_link_local() => {
            let scope = calls::interface_index(&interface_name(interface)?)
                .map_err(|_| OpenError::NoSuchInterface(interface.clone()))?;
            SocketAddrV6::new(address, options.port, 0, scope).into()
        }
        (address, _) => SocketAddr::new(address, options.port),
    })
}

fn interface_name(name: &str) -> Result<CString, OpenError> {
    CString::new(name).map_err(|_| OpenError::NoSuchInterface(name.to_owned()))
}

fn open_endpoint(name: SocketAddr, options: &UdpOptions) -> Result<Endpoint, OpenError> {
    let call = |call| move |error| OpenError::Call { call, address: name, error };
    let socket = bind(name, options, options.shares())?;
    let mut local = Name::EMPTY;
    calls::local_name(socket.as_fd(), local.bytes()).map_err(call("getsockname"))?;
    let local = local.address().unwrap_or(name);
    if name.ip().is_unspecified() {
        let (level, option, option_name) = match name {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO, "IP_PKTINFO"),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO"),
        };
        calls::set_int(socket.as_fd(), level, option, 1).map_err(call(option_name))?;
    }
    let stampers = Stampers::best(options.timestamping);
    let asked = stampers.ask(socket.as_fd(), true);
    let stamps = asked.is_ok();
    if stampers.has_nic() {
        asked.map_err(stamps_refused(&stampers, name))?;
    }
    if name.is_ipv4() {
        // Replies are not to be fragmented: then the kernel need not choose an identification for each, an eighth of all the
        // work of a reply, and nobody can slip a fragment of his own into one. Nor is a path MTU believed that anybody may
        // claim. One that is longer than the interface's MTU is refused; no reply of a time protocol is.
        let _ = calls::set_int(socket.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE);
    }
    set_buffer(socket.as_fd(), libc::SO_RCVBUFFORCE, libc::SO_RCVBUF);
    set_buffer(socket.as_fd(), libc::SO_SNDBUFFORCE, libc::SO_SNDBUF);
    Ok(Endpoint::new(socket, local, stamps.then_some(stampers)))
}

fn bind(name: SocketAddr, options: &UdpOptions, share: bool) -> Result<OwnedFd, OpenError> {
    let socket = socket_of(name)?;
    let fd = socket.as_fd();
    if let Some(interface) = &options.interface {
        bind_to_interface(fd, interface, name)?;
    }
    bind_to(fd, name, share)?;
    Ok(socket)
}

/// Binds the socket of `address` to an interface.
pub(crate) fn bind_to_interface(socket: BorrowedFd<'_>, interface: &str, address: SocketAddr) -> Result<(), OpenError> {
    let name = interface_name(interface)?;
    calls::set_option(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_bytes_with_nul()).map_err(|error| {
        match error.raw_os_error() {
            Some(libc::ENODEV) => OpenError::NoSuchInterface(interface.to_owned()),
            _ => OpenError::Call { call: "SO_BINDTODEVICE", address, error },
        }
    })
}

/// A UDP socket of the family of `address`.
pub(crate) fn socket_of(address: SocketAddr) -> Result<OwnedFd, OpenError> {
    let call = |call| move |error| OpenError::Call { call, address, error };
    let domain = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let socket = calls::socket(domain, libc::SOCK_DGRAM, 0).map_err(call("socket"))?;
    if address.is_ipv6() {
        calls::set_int(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1).map_err(call("IPV6_V6ONLY"))?;
    }
    Ok(socket)
}

/// Binds to `name`; with `share`, together with other sockets of this process.
pub(crate) fn bind_to(socket: BorrowedFd<'_>, name: SocketAddr, share: bool) -> Result<(), OpenError> {
    let call = |call| move |error| OpenError::Call { call, address: name, error };
    if share {
        calls::set_int(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).map_err(call("SO_REUSEPORT"))?;
    }
    calls::bind(socket, Name::new(name).bytes()).map_err(|error| match error.raw_os_error() {
        Some(libc::EADDRINUSE) => OpenError::Taken(name),
        Some(libc::EADDRNOTAVAIL) => OpenError::NoSuchAddress(name.ip()),
        Some(libc::EACCES) => OpenError::Permission(name),
        _ => call("bind")(error),
    })
}

/// Beyond the system's limit where we may, else up to it. A smaller buffer than wished is no reason not to serve.
pub(crate) fn set_buffer(socket: BorrowedFd<'_>, beyond_limit: c_int, within_limit: c_int) {
    if calls::set_int(socket, libc::SOL_SOCKET, beyond_limit, SOCKET_BUFFER_BYTES).is_err() {
        let _ = calls::set_int(socket, libc::SOL_SOCKET, within_limit, SOCKET_BUFFER_BYTES);
    }
}
