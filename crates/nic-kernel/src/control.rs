//! Control messages: what the kernel tells with a packet, and what it is told.

use core::ffi::c_int;
use core::mem::{offset_of, size_of};
use core::net::{Ipv4Addr, Ipv6Addr};

/// Room for the longest control messages of one packet: a stamp of three `timespec` and IPV6_PKTINFO, or a stamp and the
/// extended error of the error queue.
const CONTROL_BYTES: usize = 192;
/// Control messages start at multiples of this.
const ALIGNMENT: usize = size_of::<usize>();
/// Where the data of a control message begins.
const HEADER_BYTES: usize = size_of::<libc::cmsghdr>().next_multiple_of(ALIGNMENT);
/// `SCM_TSTAMP_SND` of linux/errqueue.h: the stamp was taken when the packet was handed to the device.
const SCM_TSTAMP_SND: u32 = 0;
/// What IP_RECVERR is to packet sockets (linux/if_packet.h).
const PACKET_TX_TIMESTAMP: c_int = 16;

/// A buffer of control messages.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct Control {
    bytes: [u8; CONTROL_BYTES],
    len: usize,
}

/// The address of ours that a packet was sent to and its reply must come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketInfo {
    /// `struct in_pktinfo`.
    V4 {
        /// The address in the packet.
        destination: Ipv4Addr,
        /// The address of ours to answer from: the same unless that is a group or a broadcast address.
        local: Ipv4Addr,
    },
    /// `struct in6_pktinfo`.
    V6 {
        /// The address in the packet.
        destination: Ipv6Addr,
        /// The interface it came by.
        interface: u32,
    },
}

/// What the kernel told with a packet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    /// To which address it was sent.
    pub(crate) info: Option<PacketInfo>,
    /// By which interface it came.
    pub(crate) interface: Option<u32>,
    /// When it passed according to the kernel, in nanoseconds of CLOCK_REALTIME.
    pub(crate) software_ns: Option<u64>,
    /// According to the NIC, in nanoseconds of its clock.
    pub(crate) hardware_ns: Option<u64>,
    /// On the error queue: the number of the packet that the stamp is of.
    pub(crate) stamped_id: Option<u32>,
}

impl Control {
    pub(crate) const EMPTY: Self = Self { bytes: [0; CONTROL_BYTES], len: 0 };

    /// The room for the kernel to write to.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The messages for the kernel to read.
    pub(crate) fn messages(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// Forgets all messages.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Says from which address a packet is to be sent. On IPv6 `interface` says by which interface; 0 leaves that to the
    /// routes.
    pub(crate) fn push_source(&mut self, info: PacketInfo, link_local: bool) {
        match info {
            PacketInfo::V4 { local, .. } => {
                // struct in_pktinfo: interface, local address, destination address.
                let mut data = [0; 12];
                data[4..8].copy_from_slice(&local.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &data);
            }
            PacketInfo::V6 { destination, .. } if destination.is_multicast() => {}
            PacketInfo::V6 { destination, interface } => {
                // struct in6_pktinfo: address, interface.
                let interface = if link_local { interface } else { 0 };
                let mut data = [0; 20];
                data[..16].copy_from_slice(&destination.octets());
                data[16..].copy_from_slice(&interface.to_ne_bytes());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
            }
        }
    }

    /// Asks for a stamp of this one packet (`Stampers::wish`).
    pub(crate) fn push_stamp_wish(&mut self, wish: u32) {
        self.push(libc::SOL_SOCKET, libc::SO_TIMESTAMPING, &wish.to_ne_bytes());
    }

    fn push(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        let end = self.len + (HEADER_BYTES + data.len()).next_multiple_of(ALIGNMENT);
        let Some(message) = self.bytes.get_mut(self.len..end) else { return };
        put(message, offset_of!(libc::cmsghdr, cmsg_len), &(HEADER_BYTES + data.len()).to_ne_bytes());
        put(message, offset_of!(libc::cmsghdr, cmsg_level), &level.to_ne_bytes());
        put(message, offset_of!(libc::cmsghdr, cmsg_type), &kind.to_ne_bytes());
        put(message, HEADER_BYTES, data);
        self.len = end;
    }

    /// What the kernel told in the first `len` bytes. Messages of other kinds, and what follows a broken one, are passed over.
    pub(crate) fn read(&self, len: usize) -> Told {
        let mut told = Told::default();
        let mut rest = self.bytes.get(..len).unwrap_or(&self.bytes);
        while let Some((level, kind, data, next)) = first_message(rest) {
            told.add(level, kind, data);
            rest = next;
        }
        told
    }
}

impl Told {
    fn add(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                if let (Some(local), Some(destination)) = (chunk::<4>(data, 4), chunk::<4>(data, 8)) {
                    self.info = Some(PacketInfo::V4 { destination: destination.into(), local: local.into() });
                }
                self.interface = chunk::<4>(data, 0).map(u32::from_ne_bytes);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                if let (Some(destination), Some(interface)) = (chunk::<16>(data, 0), chunk::<4>(data, 16)) {
                    let interface = u32::from_ne_bytes(interface);
                    self.info = Some(PacketInfo::V6 { destination: destination.into(), interface });
                    self.interface = Some(interface);
                }
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => {
                self.software_ns = stamp_ns(data, SOFTWARE);
                self.hardware_ns = stamp_ns(data, RAW_HARDWARE);
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR)
            | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
            | (libc::SOL_PACKET, PACKET_TX_TIMESTAMP) => {
                self.stamped_id = stamped_id(data);
            }
            _ => {}
        }
    }
}

/// Places in a `struct scm_timestamping` of three `timespec`; what is between is not used any more.
const SOFTWARE: usize = 0;
const RAW_HARDWARE: usize = 2;

/// The `timespec` at `place`. The kernel leaves it zero where no stamp was taken.
fn stamp_ns(data: &[u8], place: usize) -> Option<u64> {
    const WORD: usize = size_of::<libc::c_long>();
    let at = place * 2 * WORD;
    let seconds = libc::c_long::from_ne_bytes(chunk::<WORD>(data, at)?);
    let nanoseconds = libc::c_long::from_ne_bytes(chunk::<WORD>(data, at + WORD)?);
    let ns = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(nanoseconds).ok()?)?;
    (ns != 0).then_some(ns)
}

/// `struct sock_extended_err`: errno, origin, type, code, pad, info, data. Of a stamp, data is the packet's number.
fn stamped_id(data: &[u8]) -> Option<u32> {
    let [origin] = chunk::<1>(data, 4)?;
    let info = u32::from_ne_bytes(chunk::<4>(data, 8)?);
    let number = u32::from_ne_bytes(chunk::<4>(data, 12)?);
    (origin == libc::SO_EE_ORIGIN_TIMESTAMPING && info == SCM_TSTAMP_SND).then_some(number)
}

type Message<'a> = (c_int, c_int, &'a [u8], &'a [u8]);

/// Splits the first message off: its level, kind and data, and what follows.
fn first_message(bytes: &[u8]) -> Option<Message<'_>> {
    let len = usize::from_ne_bytes(chunk(bytes, offset_of!(libc::cmsghdr, cmsg_len))?);
    let level = c_int::from_ne_bytes(chunk(bytes, offset_of!(libc::cmsghdr, cmsg_level))?);
    let kind = c_int::from_ne_bytes(chunk(bytes, offset_of!(libc::cmsghdr, cmsg_type))?);
    let data = bytes.get(HEADER_BYTES..len)?;
    let next = bytes.get(len.checked_next_multiple_of(ALIGNMENT)?..).unwrap_or_default();
    Some((level, kind, data, next))
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..value.len())) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::{CONTROL_BYTES, Control, PacketInfo, Told, first_message};
    use proptest::prelude::*;

    /// What is read of `control` when the kernel has written what we have.
    fn read_back(control: &mut Control) -> Told {
        let len = control.messages().len();
        control.read(len)
    }

    /// The `timespec` of the kernel, an unused one, and that of the NIC.
    fn stamp_bytes(software: [i64; 2], hardware: [i64; 2]) -> Vec<u8> {
        [software, [9, 9], hardware].as_flattened().iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn stamps_and_their_numbers_are_read() {
        let mut control = Control::EMPTY;
        let bytes = stamp_bytes([1_700_000_000, 5], [37, 999_999_999]);
        control.push(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, &bytes);
        // errno ENOMSG, origin: time stamping, type, code, pad, info: sent, data: packet 77.
        let error = [42_u32.to_ne_bytes(), [4, 0, 0, 0], 0_u32.to_ne_bytes(), 77_u32.to_ne_bytes()].concat();
        control.push(libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &error);
        let told = read_back(&mut control);
        assert_eq!(told.software_ns, Some(1_700_000_000_000_000_005));
        assert_eq!(told.hardware_ns, Some(37_999_999_999));
        assert_eq!(told.stamped_id, Some(77));
        assert_eq!(told.info, None);
    }

    #[test]
    fn a_stamp_that_was_not_taken_is_none() {
        let read = |bytes: &[u8]| {
            let mut control = Control::EMPTY;
            control.push(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, bytes);
            let told = read_back(&mut control);
            (told.software_ns, told.hardware_ns)
        };
        for none in [[0, 0], [-1, 0], [i64::MAX, 0], [0, -1]] {
            assert_eq!(read(&stamp_bytes(none, none)), (None, None), "{none:?}");
            assert_eq!(read(&stamp_bytes(none, [0, 1])), (None, Some(1)), "{none:?}");
            assert_eq!(read(&stamp_bytes([0, 1], none)), (Some(1), None), "{none:?}");
        }
        let bytes = stamp_bytes([1, 2], [3, 4]);
        assert_eq!(read(&bytes[..32]), (Some(1_000_000_002), None), "cut off");
        assert_eq!(read(&[]), (None, None));
    }

    #[test]
    fn an_error_of_another_origin_is_no_stamp() {
        // ICMP (origin 2), and a stamp of another kind (info 1: before the queueing discipline).
        for (origin, info) in [(2, 0_u32), (4, 1)] {
            let mut control = Control::EMPTY;
            let error = [111_u32.to_ne_bytes(), [origin, 0, 0, 0], info.to_ne_bytes(), 77_u32.to_ne_bytes()].concat();
            control.push(libc::IPPROTO_IP, libc::IP_RECVERR, &error);
            assert_eq!(read_back(&mut control).stamped_id, None);
        }
    }

    #[test]
    fn groups_are_no_source() {
        let mut control = Control::EMPTY;
        control.push_source(PacketInfo::V6 { destination: "ff02::101".parse().unwrap(), interface: 3 }, true);
        assert_eq!(control.messages(), []);
    }

    proptest! {
        #[test]
        fn sources_are_told_as_they_were_read(v4: [u8; 4], destination: [u8; 4], v6: [u8; 16], interface: u32) {
            let mut control = Control::EMPTY;
            control.push_stamp_wish(3);
            control.push_source(PacketInfo::V4 { destination: destination.into(), local: v4.into() }, false);
            // What is sent names the local address where what is received names it second.
            let info = read_back(&mut control).info;
            prop_assert_eq!(info, Some(PacketInfo::V4 { destination: [0; 4].into(), local: v4.into() }));
            let unicast = PacketInfo::V6 { destination: v6.into(), interface };
            prop_assume!(v6[0] != 0xff);
            control.clear();
            control.push_source(unicast, true);
            prop_assert_eq!(read_back(&mut control).info, Some(unicast));
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes: [u8; 32], lens: [u16; 6], len in 0..2 * CONTROL_BYTES) {
            let mut control = Control::EMPTY;
            control.room().copy_from_slice(&bytes.repeat(CONTROL_BYTES / bytes.len()));
            // Lengths that may be true, so that more than the first message is read.
            for (place, len) in control.room().chunks_mut(32).zip(lens) {
                place[..8].copy_from_slice(&u64::from(len % 80).to_ne_bytes());
            }
            control.read(len);
            let mut rest = control.room().to_vec();
            while let Some((_, _, _, next)) = first_message(&rest) {
                prop_assert!(next.len() < rest.len());
                rest = next.to_vec();
            }
        }
    }
}
