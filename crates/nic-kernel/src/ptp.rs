//! The sockets of a PTP Port on an interface of the kernel.

mod open;

use crate::calls;
use crate::control::PacketInfo;
use crate::name::{LinkName, Name};
use crate::stamped::StampedSocket;
use crate::timestamping::Timestamping;
use crate::tokens::StampCounts;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};
use sidereal_ptp::{Address, Destination, MessageClass, Transport};
use sidereal_time::{Stamp, TxStamp, TxToken};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use self::open::ETHERTYPE;

/// Why a PTP Port has no sockets.
#[derive(Debug, thiserror::Error)]
pub enum PtpError {
    /// There is no such network interface.
    #[error("no network interface {0:?}")]
    NoSuchInterface(String),
    /// The interface has no MAC address.
    #[error("{0:?} is not an Ethernet interface")]
    NotEthernet(String),
    /// Another program speaks PTP there: another instance of this one, or ptp4l.
    #[error("UDP port {port} on {interface} is taken by another program")]
    Taken {
        /// The interface.
        interface: String,
        /// 319 or 320.
        port: u16,
    },
    /// The interface's NIC has no such virtual clock.
    #[error("/dev/ptp{index} is no virtual clock of the NIC of {interface}")]
    VirtualClock {
        /// The interface.
        interface: String,
        /// Its index.
        index: u32,
    },
    /// The process may not open such sockets.
    #[error("no permission to speak PTP on {0}: it needs root, or CAP_NET_BIND_SERVICE and CAP_NET_RAW")]
    Permission(String),
    /// Anything else the kernel said no to.
    #[error("{call} for PTP on {interface}: {error}")]
    Call {
        /// The system call or socket option.
        call: &'static str,
        /// The interface.
        interface: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
}

/// Who else may have sockets of PTP on the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nobody: a port that is taken is refused. Those who [only listen in](Self::Anybody) may come later.
    Nobody,
    /// Anybody. Over UDP only what is sent to groups is heard, so that nothing is taken away from who is there already.
    Anybody,
}

/// The sockets of a PTP Port: over UDP one for event and one for general messages, over Ethernet one for both. Messages go
/// out and come in by one interface alone; those to groups go no further than the link, and do not come back.
///
/// Nothing here waits. Every token that is sent comes back exactly once by [`Self::poll_stamp`], for as long as the sockets
/// live; [`Self::close`] brings back the rest.
#[derive(Debug)]
pub struct PtpSocket {
    transport: Transport,
    name: CString,
    /// The interface's index.
    interface: u32,
    /// That of the bond that it is in, whose name its frames come under.
    bond: Option<u32>,
    channels: Vec<Channel>,
}

/// One socket of a PTP Port.
#[derive(Debug)]
struct Channel {
    /// The class of the messages it is for; `None` for both.
    class: Option<MessageClass>,
    socket: StampedSocket,
}

/// How the interface of a PTP Port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PtpLink {
    /// It can be spoken by.
    Up,
    /// It is down, or nobody is at the other end.
    Down,
    /// It is gone, or another one has its name: other sockets are needed.
    Gone,
}

/// A received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PtpDatagram {
    /// Its length with what follows it in its frame; where that exceeds the buffer, the rest of it is lost.
    pub len: usize,
    /// Who sent it.
    pub from: Address,
    /// The UDP port that it was sent from; 0 over Ethernet.
    pub from_port: u16,
    /// The one host or group that it was sent to, if the kernel says so; 255.255.255.255 for all of an IPv4 network.
    pub to: Option<IpAddr>,
    /// The class of the socket that it came to; `None` over Ethernet, where one is for both.
    pub class: Option<MessageClass>,
    /// When it arrived, if whoever is to stamp says so: not what a NIC was to stamp and did not.
    pub stamp: Option<Stamp>,
}

impl PtpSocket {
    /// Opens the sockets for `transport` on `interface`, which hear all domains. Where `timestamping` is of hardware, the
    /// interface was made to stamp ([`crate::enable_stamping`]).
    ///
    /// # Errors
    /// [`PtpError`].
    pub fn open(
        interface: &str,
        transport: Transport,
        beside: Beside,
        timestamping: Timestamping,
    ) -> Result<Self, PtpError> {
        open::open(interface, transport, beside, timestamping)
    }

    /// What to wait for with [`crate::poll`]: readable where messages wait; an error tells of TX stamps.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.channels.iter().map(|channel| channel.socket.as_fd())
    }

    /// How the interface is.
    #[must_use]
    pub fn link(&self) -> PtpLink {
        let socket = self.channels.first().map(|channel| channel.socket.as_fd());
        let is_same = calls::interface_index(&self.name).is_ok_and(|index| index == self.interface);
        match socket.filter(|_| is_same).and_then(|socket| calls::interface_flags(socket, &self.name).ok()) {
            Some(flags) if flags & libc::IFF_UP != 0 && flags & libc::IFF_RUNNING != 0 => PtpLink::Up,
            Some(_) => PtpLink::Down,
            None => PtpLink::Gone,
        }
    }

    /// Sends a message. The token, if there is one, comes back by [`Self::poll_stamp`], also where this fails.
    ///
    /// # Errors
    /// If the kernel does not take it: the interface is down or gone, there is no route, a queue is full; EMSGSIZE, where it
    /// is longer than [`DATAGRAM_BYTES`](crate::DATAGRAM_BYTES); EAFNOSUPPORT, where `to` is of another transport.
    pub fn send(
        &mut self,
        class: MessageClass,
        to: Destination,
        payload: &[u8],
        token: Option<TxToken>,
    ) -> io::Result<()> {
        let channel = self.channels.iter_mut().find(|channel| channel.class.is_none_or(|own| own == class));
        let channel = channel.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        if let Some(mac) = link_address(self.transport, to) {
            return channel.socket.send(LinkName::to(self.interface, ETHERTYPE, mac).bytes(), payload, token);
        }
        if let Some(address) = ip_address(self.transport, to) {
            let name = scoped(address, class.udp_port(), self.interface);
            return channel.socket.send(Name::new(name).bytes(), payload, token);
        }
        channel.socket.refuse(token);
        Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
    }

    /// Sends a message to whom `asked` came from, at the port that it was sent from, and from the address that it was sent to.
    /// The token, if there is one, comes back by [`Self::poll_stamp`], also where this fails.
    ///
    /// # Errors
    /// As [`Self::send`]; EAFNOSUPPORT over Ethernet.
    pub fn answer(
        &mut self,
        class: MessageClass,
        asked: &PtpDatagram,
        payload: &[u8],
        token: Option<TxToken>,
    ) -> io::Result<()> {
        let channel = self.channels.iter_mut().find(|channel| channel.class.is_none_or(|own| own == class));
        let channel = channel.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        let Address::Ip(to) = asked.from else {
            channel.socket.refuse(token);
            return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
        };
        let source = asked.to.filter(|own| own.is_ipv4() == to.is_ipv4()).map(|own| match own {
            IpAddr::V4(own) => PacketInfo::V4 { destination: own, local: own },
            IpAddr::V6(own) => PacketInfo::V6 { destination: own, interface: self.interface },
        });
        let name = scoped(to, asked.from_port, self.interface);
        channel.socket.send_from(source, Name::new(name).bytes(), payload, token)
    }

    /// Whether it is on the interface with this index, for `transport`.
    #[must_use]
    pub fn is_on(&self, interface: u32, transport: Transport) -> bool {
        self.interface == interface && self.transport == transport
    }

    /// Receives the next message that has come to the descriptor at `place`, and copies its beginning into `buffer`.
    ///
    /// # Errors
    /// If the interface is down or gone.
    pub fn receive(&mut self, place: usize, buffer: &mut [u8]) -> io::Result<Option<PtpDatagram>> {
        let Some(channel) = self.channels.get_mut(place) else { return Ok(None) };
        loop {
            let (mut ip, mut link) = (Name::EMPTY, LinkName::EMPTY);
            let name = if channel.class.is_some() { ip.bytes() } else { link.bytes() };
            let Some(heard) = channel.socket.receive(name, buffer)? else { return Ok(None) };
            let from = if channel.class.is_some() {
                ip.address().map(|address| (Address::Ip(address.ip()), address.port()))
            } else {
                // A socket of a NIC also has what comes for the VLANs on it, under their names.
                let is_ours = link.interface() == self.interface || Some(link.interface()) == self.bond;
                link.sender().filter(|_| is_ours).map(|sender| (Address::Link(sender), 0))
            };
            // What is for other hosts or other VLANs is passed over.
            if let Some((from, from_port)) = from {
                let to = heard.info.as_ref().map(PacketInfo::destination);
                let (class, len, stamp) = (channel.class, heard.len, heard.stamp);
                return Ok(Some(PtpDatagram { len, from, from_port, to, class, stamp }));
            }
        }
    }

    /// Reads one notice of a stamp at the descriptor at `place`. Only to be called where
    /// [`crate::poll::PollFd::has_error`] said that there is one.
    pub fn read_notice(&mut self, place: usize) {
        if let Some(channel) = self.channels.get_mut(place) {
            channel.socket.read_notice();
        }
    }

    /// The next token that is answered: its stamp was read, or has not come in time: 20 ms, 200 ms from a NIC.
    pub fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)> {
        self.channels.iter_mut().find_map(|channel| channel.socket.poll_stamp())
    }

    /// Whether tokens are still to be answered, so that [`Self::poll_stamp`] should be asked within some milliseconds.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.channels.iter().any(|channel| channel.socket.is_waiting())
    }

    /// What became of the stamps of sent messages so far.
    #[must_use]
    pub fn stamp_counts(&self) -> StampCounts {
        self.channels.iter().map(|channel| channel.socket.counts()).sum()
    }

    /// Closes the sockets; the tokens that were not answered are lost.
    pub fn close(self) -> impl Iterator<Item = (TxToken, TxStamp)> {
        self.channels.into_iter().flat_map(|channel| channel.socket.close())
    }
}

/// The MAC address of `interface`, of which PTP makes identities.
///
/// # Errors
/// Where there is no such interface, or it is none of Ethernet.
pub fn hardware_address(interface: &str) -> Result<[u8; 6], PtpError> {
    let no_such = || PtpError::NoSuchInterface(interface.to_owned());
    let name = CString::new(interface).map_err(|_| no_such())?;
    let call = |call| move |error| PtpError::Call { call, interface: interface.to_owned(), error };
    let socket = calls::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).map_err(call("socket"))?;
    match calls::hardware_address(socket.as_fd(), &name) {
        Ok((libc::ARPHRD_ETHER, address)) => Ok(address),
        Ok(_) => Err(PtpError::NotEthernet(interface.to_owned())),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Err(no_such()),
        Err(error) => Err(call("SIOCGIFHWADDR")(error)),
    }
}

/// The IP address of a destination, where the transport has such.
fn ip_address(transport: Transport, to: Destination) -> Option<IpAddr> {
    match (transport, to) {
        (Transport::UdpIpv4, Destination::Unicast(Address::Ip(address @ IpAddr::V4(_))))
        | (Transport::UdpIpv6, Destination::Unicast(Address::Ip(address @ IpAddr::V6(_)))) => Some(address),
        (Transport::UdpIpv4, _) => to.ipv4_group().map(IpAddr::V4),
        (Transport::UdpIpv6, _) => to.ipv6_group().map(IpAddr::V6),
        (Transport::Ethernet, _) => None,
    }
}

/// The MAC address of a destination, where the transport has such.
fn link_address(transport: Transport, to: Destination) -> Option<[u8; 6]> {
    match (transport, to) {
        (Transport::Ethernet, Destination::Unicast(Address::Link(address))) => Some(address),
        (Transport::Ethernet, _) => to.mac_group(),
        (Transport::UdpIpv4 | Transport::UdpIpv6, _) => None,
    }
}

/// A socket address; link-local ones are completed by the interface.
fn scoped(address: IpAddr, port: u16, interface: u32) -> SocketAddr {
    match address {
        IpAddr::V4(address) => (address, port).into(),
        IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, interface).into(),
    }
}
