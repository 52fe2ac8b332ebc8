//! Opening the sockets of a PTP Port.

use super::{Beside, Channel, PtpError, PtpSocket, ip_address, scoped};
use crate::calls;
use crate::device::bond_index;
use crate::name::{LinkName, Name};
use crate::stamped::StampedSocket;
use crate::timestamping::{Stampers, Timestamping};
use core::ffi::c_int;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use sidereal_ptp::{Destination, MessageClass, Transport};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The `EtherType` of PTP (IEEE 1588-2019 Annex E).
pub(super) const ETHERTYPE: u16 = 0x88f7;
/// Packets of one socket that may wait for their stamps: what several instances send in 200 ms. Those
/// beyond are sent without.
const WAITING_MAX: usize = 64;
/// What the kernel keeps for a socket that is not read for a while, in bytes: the requests of thousands of clients that ask
/// at once, as they do when a master comes back.
const RECEIVE_BUFFER_BYTES: c_int = 4 << 20;

/// The groups that are heard.
const GROUPS: [Destination; 2] = [Destination::Primary, Destination::PeerDelay];

/// What an interface is called, in all ways.
struct Interface<'a> {
    name: &'a str,
    bytes: CString,
    index: u32,
    stampers: Stampers,
}

pub(super) fn open(
    name: &str,
    transport: Transport,
    beside: Beside,
    timestamping: Timestamping,
) -> Result<PtpSocket, PtpError> {
    let interface = Interface::find(name, Stampers::one(timestamping))?;
    let channels = match transport {
        Transport::Ethernet => vec![interface.link_channel()?],
        Transport::UdpIpv4 => interface.udp_channels(Ipv4Addr::UNSPECIFIED.into(), transport, beside)?,
        Transport::UdpIpv6 => interface.udp_channels(Ipv6Addr::UNSPECIFIED.into(), transport, beside)?,
    };
    Ok(PtpSocket { transport, interface: interface.index, bond: bond_index(name), name: interface.bytes, channels })
}

impl<'a> Interface<'a> {
    fn find(name: &'a str, stampers: Stampers) -> Result<Self, PtpError> {
        let no_such = || PtpError::NoSuchInterface(name.to_owned());
        let bytes = CString::new(name).map_err(|_| no_such())?;
        let index = calls::interface_index(&bytes).map_err(|_| no_such())?;
        Ok(Self { name, bytes, index, stampers })
    }

    fn failed(&self, call: &'static str) -> impl FnOnce(io::Error) -> PtpError {
        let interface = self.name.to_owned();
        move |error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => PtpError::Permission(interface),
            Some(libc::ENODEV | libc::ENXIO) => PtpError::NoSuchInterface(interface),
            _ => PtpError::Call { call, interface, error },
        }
    }

    /// A packet socket for all messages.
    fn link_channel(&self) -> Result<Channel, PtpError> {
        super::hardware_address(self.name)?;
        // Of protocol 0 it receives nothing yet.
        let socket = calls::socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0).map_err(self.failed("socket"))?;
        // By this the kernel finds the virtual clocks of the NIC; what is received follows from the address alone.
        self.bind(socket.as_fd())?;
        for group in GROUPS.into_iter().filter_map(Destination::mac_group) {
            // struct packet_mreq: interface, type, length of address, address.
            let mut request = [0; 16];
            request[..4].copy_from_slice(&self.index.to_ne_bytes());
            request[4..6].copy_from_slice(&PACKET_MR_MULTICAST.to_ne_bytes());
            request[6..8].copy_from_slice(&6_u16.to_ne_bytes());
            request[8..14].copy_from_slice(&group);
            calls::set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
                .map_err(self.failed("PACKET_ADD_MEMBERSHIP"))?;
        }
        calls::bind(socket.as_fd(), LinkName::of(self.index, ETHERTYPE).bytes()).map_err(self.failed("bind"))?;
        self.channel(None, socket)
    }

    /// UDP sockets for each class of messages, on all addresses of the interface; beside others, one on each group.
    fn udp_channels(&self, any: IpAddr, transport: Transport, beside: Beside) -> Result<Vec<Channel>, PtpError> {
        let groups: Vec<IpAddr> = GROUPS.into_iter().filter_map(|group| ip_address(transport, group)).collect();
        let mut channels = Vec::new();
        for class in [MessageClass::Event, MessageClass::General] {
            let addresses = match beside {
                Beside::Nobody => {
                    // A socket that does not share its port finds out who is there.
                    self.udp_socket(any, class, false)?;
                    vec![any]
                }
                Beside::Anybody => groups.clone(),
            };
            for address in addresses {
                let socket = self.udp_socket(address, class, true)?;
                for group in groups.iter().filter(|group| address == any || address == **group) {
                    self.join(socket.as_fd(), *group)?;
                }
                channels.push(self.channel(Some(class), socket)?);
            }
        }
        Ok(channels)
    }

    /// A UDP socket that sends and hears by this interface alone.
    fn udp_socket(&self, address: IpAddr, class: MessageClass, share: bool) -> Result<OwnedFd, PtpError> {
        let port = class.udp_port();
        let socket = calls::socket(domain(address), libc::SOCK_DGRAM, 0).map_err(self.failed("socket"))?;
        let fd = socket.as_fd();
        let set = |level, option, value, name| calls::set_int(fd, level, option, value).map_err(self.failed(name));
        self.bind(fd)?;
        match address {
            IpAddr::V4(_) => {
                set(libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, 0, "IP_MULTICAST_LOOP")?;
                set(libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, 1, "IP_MULTICAST_TTL")?;
                // Groups that other programs have joined are theirs.
                set(libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL")?;
                set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1, "IP_PKTINFO")?;
            }
            IpAddr::V6(_) => {
                set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1, "IPV6_V6ONLY")?;
                set(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP, 0, "IPV6_MULTICAST_LOOP")?;
                set(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, 1, "IPV6_MULTICAST_HOPS")?;
                set(libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_ALL, 0, "IPV6_MULTICAST_ALL")?;
                set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO")?;
            }
        }
        set_multicast_interface(fd, address, self.index).map_err(self.failed("IP_MULTICAST_IF"))?;
        if share {
            set(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1, "SO_REUSEADDR")?;
        }
        calls::bind(fd, Name::new(scoped(address, port, self.index)).bytes()).map_err(|error| {
            match error.raw_os_error() {
                Some(libc::EADDRINUSE) => PtpError::Taken { interface: self.name.to_owned(), port },
                _ => self.failed("bind")(error),
            }
        })?;
        Ok(socket)
    }

    fn bind(&self, socket: BorrowedFd<'_>) -> Result<(), PtpError> {
        calls::set_option(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, self.bytes.as_bytes_with_nul())
            .map_err(self.failed("SO_BINDTODEVICE"))
    }

    fn channel(&self, class: Option<MessageClass>, socket: OwnedFd) -> Result<Channel, PtpError> {
        // A smaller buffer than wished is no reason not to speak.
        let _ = calls::set_int(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
            .or_else(|_| calls::set_int(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER_BYTES));
        let socket = StampedSocket::new(socket, WAITING_MAX).stamped_by(self.stampers);
        let socket = socket.map_err(|error| match (error.raw_os_error(), self.stampers.virtual_clock()) {
            (Some(libc::EINVAL), Some(index)) => PtpError::VirtualClock { interface: self.name.to_owned(), index },
            _ => self.failed("SO_TIMESTAMPING")(error),
        })?;
        Ok(Channel { class, socket })
    }

    fn join(&self, socket: BorrowedFd<'_>, group: IpAddr) -> Result<(), PtpError> {
        match group {
            IpAddr::V4(group) => {
                let request = multicast_request(group, self.index);
                calls::set_option(socket, libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &request)
                    .map_err(self.failed("IP_ADD_MEMBERSHIP"))
            }
            IpAddr::V6(group) => {
                // struct ipv6_mreq: group, interface.
                let mut request = [0; 20];
                request[..16].copy_from_slice(&group.octets());
                request[16..].copy_from_slice(&self.index.to_ne_bytes());
                calls::set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, &request)
                    .map_err(self.failed("IPV6_ADD_MEMBERSHIP"))
            }
        }
    }
}

/// From linux/if_packet.h: a group of the link.
const PACKET_MR_MULTICAST: u16 = 0;

fn set_multicast_interface(socket: BorrowedFd<'_>, family: IpAddr, interface: u32) -> io::Result<()> {
    match family {
        IpAddr::V4(_) => {
            let request = multicast_request(Ipv4Addr::UNSPECIFIED, interface);
            calls::set_option(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
        }
        IpAddr::V6(_) => {
            calls::set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, &interface.to_ne_bytes())
        }
    }
}

/// A `struct ip_mreqn`: group, address of the interface, its index.
fn multicast_request(group: Ipv4Addr, interface: u32) -> [u8; 12] {
    let mut request = [0; 12];
    request[..4].copy_from_slice(&group.octets());
    request[8..].copy_from_slice(&interface.to_ne_bytes());
    request
}

const fn domain(address: IpAddr) -> c_int {
    match address {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    }
}
