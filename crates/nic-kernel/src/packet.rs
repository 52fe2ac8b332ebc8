//! Whole Ethernet frames by a packet socket (`packet(7)`): for a load generator, which sends from addresses that are none of
//! this host's. Frames go out past the queueing discipline, and come in through a ring shared with the kernel.

mod ring;

use crate::Mode;
use crate::calls::{self, Message};
use crate::name::LinkName;
use ring::Ring;
use sidereal_nic::BURST;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The longest frame that is sent, in bytes.
pub const FRAME_BYTES: usize = 256;

/// Why a packet socket could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// There is no such network interface.
    #[error("no network interface {0:?}")]
    NoSuchInterface(String),
    /// The interface is none of Ethernet.
    #[error("{0:?} is not an Ethernet interface")]
    NotEthernet(String),
    /// The process may not open packet sockets.
    #[error("no permission to open a packet socket: it needs root or CAP_NET_RAW")]
    Permission,
    /// Anything else the kernel said no to.
    #[error("{call} on {interface}: {error}")]
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

/// Which frames a packet socket receives. Frames that were sent by this host are never among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// UDP over IPv4 without options, not fragmented, from this port.
    UdpOverIpv4 {
        /// The sender's port.
        source_port: u16,
    },
    /// UDP over IPv6 without extension headers, from this port.
    UdpOverIpv6 {
        /// The sender's port.
        source_port: u16,
    },
}

/// A packet socket for each direction.
#[derive(Debug)]
pub struct PacketSocket {
    interface: String,
    mac: [u8; 6],
    tx: OwnedFd,
    outgoing: Outgoing,
    // Before the socket that it belongs to, so that it is unmapped first.
    ring: Ring,
    rx: OwnedFd,
    missed: u64,
}

impl PacketSocket {
    /// Opens both directions on `interface`.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn open(interface: &str, filter: Filter) -> Result<Self, PacketError> {
        let failed = |call| move |error| PacketError::Call { call, interface: interface.to_owned(), error };
        let no_such = || PacketError::NoSuchInterface(interface.to_owned());
        let name = CString::new(interface).map_err(|_| no_such())?;
        let index = calls::interface_index(&name).map_err(|_| no_such())?;
        let socket = || {
            calls::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => PacketError::Permission,
                _ => failed("socket")(error),
            })
        };

        // Of protocol 0: it receives nothing.
        let tx = socket()?;
        calls::set_int(tx.as_fd(), libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)
            .map_err(failed("PACKET_QDISC_BYPASS"))?;
        calls::bind(tx.as_fd(), LinkName::of(index, 0).bytes()).map_err(failed("bind"))?;

        // Filter and ring first, the protocol last: so nothing else slips in.
        let rx = socket()?;
        calls::attach_filter(rx.as_fd(), libc::SO_ATTACH_FILTER, &filter.program())
            .map_err(failed("SO_ATTACH_FILTER"))?;
        let ring = Ring::map(rx.as_fd()).map_err(failed("PACKET_RX_RING"))?;
        calls::bind(rx.as_fd(), LinkName::of(index, filter.ethertype()).bytes()).map_err(failed("bind"))?;

        let mut own = LinkName::EMPTY;
        calls::local_name(tx.as_fd(), own.bytes()).map_err(failed("getsockname"))?;
        let mac = own.ethernet().ok_or_else(|| PacketError::NotEthernet(interface.to_owned()))?;
        Ok(Self { interface: interface.to_owned(), mac, tx, outgoing: Outgoing::new(), ring, rx, missed: 0 })
    }

    /// The MAC address of the interface.
    #[must_use]
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Adds a frame to the burst that is sent next: `write` puts it at the start of the buffer and returns its length.
    /// Returns false, and calls nothing, where the burst is full.
    pub fn push(&mut self, write: impl FnOnce(&mut [u8; FRAME_BYTES]) -> usize) -> bool {
        let Some(frame) = self.outgoing.frames.get_mut(self.outgoing.end) else { return false };
        frame.length = write(&mut frame.bytes).min(FRAME_BYTES);
        self.outgoing.end += 1;
        true
    }

    /// Sends the burst. What the kernel has no room for stays in it. Returns how many frames went out.
    ///
    /// # Errors
    /// Where the interface is down or gone.
    pub fn flush(&mut self) -> Result<usize, PacketError> {
        let Outgoing { frames, start, end } = &mut self.outgoing;
        let waiting = frames.get_mut(*start..*end).unwrap_or_default();
        if waiting.is_empty() {
            return Ok(0);
        }
        let messages = waiting.iter_mut().map(|frame| {
            let payload = frame.bytes.get_mut(..frame.length).unwrap_or_default();
            Message { name: &mut [], payload, control: &mut [] }
        });
        let sent = match calls::send(self.tx.as_fd(), Mode::Burst, messages) {
            Ok(sent) => sent,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::EINTR)) => 0,
            Err(error) => {
                return Err(PacketError::Call { call: "sendmmsg", interface: self.interface.clone(), error });
            }
        };
        *start += sent;
        if start >= end {
            (*start, *end) = (0, 0);
        }
        Ok(sent)
    }

    /// Hands each frame that has come to `each`, `limit` at the most, with the time at which the kernel had it from the
    /// driver: CLOCK_REALTIME in nanoseconds since 1970. Never waits. Returns how many there were.
    pub fn receive(&mut self, limit: usize, each: impl FnMut(&[u8], u64)) -> usize {
        self.ring.receive(limit, each)
    }

    /// Frames that were lost since the socket was opened because the ring was full.
    pub fn missed(&mut self) -> u64 {
        // struct tpacket_stats: packets, drops; both since the last time they were asked for.
        let mut counts = [0; 8];
        let read = calls::option(self.rx.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, &mut counts);
        if let (Ok(8), [_, _, _, _, drops @ ..]) = (read, counts) {
            self.missed += u64::from(u32::from_ne_bytes(drops));
        }
        self.missed
    }
}

/// The burst that is being filled.
#[derive(Debug)]
struct Outgoing {
    frames: Box<[Frame; BURST]>,
    /// The first that is not sent.
    start: usize,
    /// Behind the last that is written.
    end: usize,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    bytes: [u8; FRAME_BYTES],
    length: usize,
}

impl Outgoing {
    fn new() -> Self {
        Self { frames: Box::new([Frame { bytes: [0; FRAME_BYTES], length: 0 }; BURST]), start: 0, end: 0 }
    }
}

impl Filter {
    const fn ethertype(self) -> u16 {
        match self {
            Self::UdpOverIpv4 { .. } => 0x0800,
            Self::UdpOverIpv6 { .. } => 0x86dd,
        }
    }

    /// The program for the kernel's classic BPF machine. The socket is bound to the EtherType already.
    fn program(self) -> Vec<libc::sock_filter> {
        const LOAD_HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
        const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
        const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        const IF_ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
        const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
        /// All of the frame.
        const ACCEPT: u32 = 0xffff;

        let step = |code: u32, jump_if: u8, jump_else: u8, value: u32| libc::sock_filter {
            code: u16::try_from(code).unwrap_or_default(),
            jt: jump_if,
            jf: jump_else,
            k: value,
        };
        let udp = u32::try_from(libc::IPPROTO_UDP).unwrap_or_default();
        match self {
            Self::UdpOverIpv4 { source_port } => vec![
                step(LOAD_BYTE, 0, 0, 14),
                step(IF_EQUAL, 0, 7, 0x45),
                step(LOAD_BYTE, 0, 0, 23),
                step(IF_EQUAL, 0, 5, udp),
                step(LOAD_HALF, 0, 0, 20),
                step(IF_ANY_BIT, 3, 0, 0x3fff),
                step(LOAD_HALF, 0, 0, 34),
                step(IF_EQUAL, 0, 1, source_port.into()),
                step(RETURN, 0, 0, ACCEPT),
                step(RETURN, 0, 0, 0),
            ],
            Self::UdpOverIpv6 { source_port } => vec![
                step(LOAD_BYTE, 0, 0, 20),
                step(IF_EQUAL, 0, 3, udp),
                step(LOAD_HALF, 0, 0, 54),
                step(IF_EQUAL, 0, 1, source_port.into()),
                step(RETURN, 0, 0, ACCEPT),
                step(RETURN, 0, 0, 0),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, PacketError, PacketSocket};

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        for name in ["", "no-such-link", "far-too-long-for-an-interface", "zero\0byte"] {
            let error = PacketSocket::open(name, Filter::UdpOverIpv4 { source_port: 123 }).unwrap_err();
            assert!(matches!(error, PacketError::NoSuchInterface(named) if named == name));
        }
    }

    #[test]
    fn loopback_is_not_ethernet() {
        match PacketSocket::open("lo", Filter::UdpOverIpv6 { source_port: 123 }) {
            Err(PacketError::NotEthernet(name)) => assert_eq!(name, "lo"),
            // Without the privilege nothing more is found out.
            other => assert!(matches!(other, Err(PacketError::Permission)), "{other:?}"),
        }
    }
}
