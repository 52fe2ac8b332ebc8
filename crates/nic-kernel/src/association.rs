//! Sockets for what we ask others: one peer each, with the times of both ways.

use crate::calls;
use crate::error::OpenError;
use crate::name::Name;
use crate::open::{bind_to, bind_to_interface, socket_of, stamps_refused};
use crate::stamped::{Heard, StampedSocket};
use crate::timestamping::{Stampers, Timestamping};
use crate::tokens::StampCounts;
use core::ffi::c_int;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use sidereal_ptp::MessageClass;
use sidereal_time::{Stamp, TxStamp, TxToken};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Packets of one socket that may wait for their stamps: an association sends few. Those beyond are sent without.
const WAITING_MAX: usize = 8;

/// The groups of NTP (IANA): one of IPv4, and those of the link and of the site of IPv6.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 1);
const GROUPS_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x101), Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x101)];

/// A UDP socket for one association. Nothing here waits: descriptors go to [`crate::poll`] together with others, and it
/// makes no calls but the plainest (`socket(domain, SOCK_DGRAM, 0)`, `sendmsg`, `recvmsg`), which simulators have too.
///
/// Every token that is sent comes back exactly once by [`Self::poll_stamp`], for as long as the socket lives;
/// [`Self::close`] brings back the rest.
#[derive(Debug)]
pub struct AssociationSocket(StampedSocket);

/// A received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its length; where that exceeds the buffer, the rest of it is lost.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// When it arrived, if the kernel says so.
    pub stamp: Option<Stamp>,
    /// The index of the interface that it came by, where the socket shares its port with PTP.
    pub interface: Option<u32>,
}

impl AssociationSocket {
    /// A socket on a port that the kernel chooses at random (RFC 9109), which hears only `peer`.
    ///
    /// # Errors
    /// If the kernel has no socket, or no route to `peer`.
    pub fn connect(peer: SocketAddr) -> Result<Self, OpenError> {
        let socket = socket_of(peer)?;
        bind_to(socket.as_fd(), any(peer, 0), false)?;
        Self::connected(socket, peer)
    }

    /// A socket on `port`, which hears only `peer`, and hears it before all others: a connected socket is the better
    /// match. Servers that share the port must have been opened before, with [`crate::UdpOptions::shared`]. `peer` may
    /// also be a group or a broadcast address that is only sent to; `ttl` is how far, where the route does not say.
    ///
    /// # Errors
    /// If the port is taken by others or not to be had, or there is no route to `peer`.
    pub fn connect_from(port: u16, peer: SocketAddr, ttl: Option<u8>) -> Result<Self, OpenError> {
        let call = |call| move |error| OpenError::Call { call, address: peer, error };
        let socket = socket_of(peer)?;
        let fd = socket.as_fd();
        bind_to(fd, any(peer, port), true)?;
        if peer.is_ipv4() {
            // No other way tells the broadcast address of a network from that of a host.
            calls::set_int(fd, libc::SOL_SOCKET, libc::SO_BROADCAST, 1).map_err(call("SO_BROADCAST"))?;
        }
        if let Some(ttl) = ttl {
            for (level, option) in ttl_options(peer.ip()) {
                calls::set_int(fd, level, option, c_int::from(ttl)).map_err(call("IP_TTL"))?;
            }
        }
        Self::connected(socket, peer)
    }

    /// A socket on the port of PTP's event messages, 319, which hears only `peer`, and hears it before the sockets of PTP
    /// ([`crate::PtpSocket`]), which may have the port too: what it hears may be for them.
    ///
    /// # Errors
    /// If the port is taken by others or not to be had, or there is no route to `peer`.
    pub fn connect_from_ptp(peer: SocketAddr) -> Result<Self, OpenError> {
        let call = |call| move |error| OpenError::Call { call, address: peer, error };
        let socket = socket_of(peer)?;
        let fd = socket.as_fd();
        // As the sockets of PTP share it.
        calls::set_int(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1).map_err(call("SO_REUSEADDR"))?;
        // Without it nobody knows which of them.
        let _ = match peer {
            SocketAddr::V4(_) => calls::set_int(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
            SocketAddr::V6(_) => calls::set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
        };
        bind_to(fd, any(peer, MessageClass::Event.udp_port()), false)?;
        Self::connected(socket, peer)
    }

    /// A socket on `port` that hears what is sent to all, as broadcast or to NTP's own groups (224.0.1.1; ff02::101 and
    /// ff05::101), where `server` would send it; who sent it, the caller has to look at. The same servers may share the
    /// port.
    ///
    /// # Errors
    /// If the port is taken by others or not to be had, there is no route to `server`, or a group cannot be joined.
    pub fn listen(port: u16, server: IpAddr) -> Result<Self, OpenError> {
        let address = SocketAddr::new(server, port);
        let call = |call| move |error| OpenError::Call { call, address, error };
        let socket = socket_of(address)?;
        let fd = socket.as_fd();
        bind_to(fd, any(address, port), true)?;
        if server.is_ipv6() {
            for group in GROUPS_V6 {
                // struct ipv6_mreq: group, index of the interface; 0 leaves that to the routes.
                let mut request = [0; 20];
                request[..16].copy_from_slice(&group.octets());
                calls::set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, &request)
                    .map_err(call("IPV6_ADD_MEMBERSHIP"))?;
            }
        } else if let IpAddr::V4(local) = Self::connect(address)?.local()?.ip() {
            // struct ip_mreq: group, address of the interface.
            let mut request = [0; 8];
            request[..4].copy_from_slice(&GROUP_V4.octets());
            request[4..].copy_from_slice(&local.octets());
            calls::set_option(fd, libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &request)
                .map_err(call("IP_ADD_MEMBERSHIP"))?;
        }
        Ok(Self::new(socket))
    }

    /// Has it speak by `interface` alone, whose NIC may stamp its packets ([`crate::enable_stamping`]); to be called before
    /// anything is sent. Where the routes lead to the peer by another interface, nothing reaches it.
    ///
    /// # Errors
    /// If there is no such interface, or its NIC's stamps are not to be had.
    pub fn by_interface(self, interface: &str, timestamping: Timestamping) -> Result<Self, OpenError> {
        let local = self.local()?;
        bind_to_interface(self.0.as_fd(), interface, local)?;
        let stampers = Stampers::best(timestamping);
        self.0.stamped_by(stampers).map(Self).map_err(stamps_refused(&stampers, local))
    }

    /// Its own address.
    fn local(&self) -> Result<SocketAddr, OpenError> {
        let mut name = Name::EMPTY;
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        calls::local_name(self.0.as_fd(), name.bytes()).map_err(|error| OpenError::Call {
            call: "getsockname",
            address: nowhere,
            error,
        })?;
        Ok(name.address().unwrap_or(nowhere))
    }

    fn connected(socket: OwnedFd, peer: SocketAddr) -> Result<Self, OpenError> {
        calls::connect(socket.as_fd(), Name::new(peer).bytes()).map_err(|error| OpenError::Call {
            call: "connect",
            address: peer,
            error,
        })?;
        Ok(Self::new(socket))
    }

    fn new(socket: OwnedFd) -> Self {
        Self(StampedSocket::new(socket, WAITING_MAX))
    }

    /// Sends a datagram to the peer. The token, if there is one, comes back by [`Self::poll_stamp`], also where this
    /// fails.
    ///
    /// # Errors
    /// If the kernel does not take it: no route, a full device queue; EMSGSIZE, where it is longer than
    /// [`DATAGRAM_BYTES`](crate::DATAGRAM_BYTES).
    pub fn send(&mut self, payload: &[u8], token: Option<TxToken>) -> io::Result<()> {
        self.0.send(&mut [], payload, token)
    }

    /// Receives the next datagram, if one is here, and copies its beginning into `buffer`.
    ///
    /// # Errors
    /// What the network said of what was sent: ECONNREFUSED, where nothing listens there.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut name = Name::EMPTY;
        let received = self.0.receive(name.bytes(), buffer)?;
        let from = name.address().unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
        Ok(received.map(|Heard { len, stamp, interface, .. }| Received { len, from, stamp, interface }))
    }

    /// Reads one notice of a stamp. Only to be called where [`crate::poll::PollFd::has_error`] said that there is one:
    /// simulators that stand in for the kernel answer with a datagram where there is none.
    pub fn read_notice(&mut self) {
        self.0.read_notice();
    }

    /// The next token that is answered: its stamp was read, or has not come in time: 20 ms, 200 ms from a NIC.
    pub fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)> {
        self.0.poll_stamp()
    }

    /// Whether tokens are still to be answered, so that [`Self::poll_stamp`] should be asked within some milliseconds.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.is_waiting()
    }

    /// What became of the stamps of sent packets so far.
    #[must_use]
    pub const fn stamp_counts(&self) -> StampCounts {
        self.0.counts()
    }

    /// Closes the socket; the tokens that were not answered are lost.
    pub fn close(self) -> impl Iterator<Item = (TxToken, TxStamp)> {
        self.0.close()
    }
}

impl AsFd for AssociationSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// All addresses of the family of `peer`.
pub(crate) fn any(peer: SocketAddr, port: u16) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
    }
}

/// Level and name of the options that say how far a packet to `address` may go.
fn ttl_options(address: IpAddr) -> [(c_int, c_int); 2] {
    match address {
        IpAddr::V4(_) => [(libc::IPPROTO_IP, libc::IP_TTL), (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL)],
        IpAddr::V6(_) => {
            [(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS), (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS)]
        }
    }
}
