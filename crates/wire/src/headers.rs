//! Finding the UDP ports of a frame.

use core::net::IpAddr;
use core::ops::Range;

use crate::{Fault, UDP_HEADER, plain, walk};

/// VLAN tags that are stepped over. A frame with more is the kernel's.
pub const MAX_TAGS: u8 = 4;
/// IPv6 extension headers that are stepped over in search of UDP. A packet with more is the kernel's.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// The headers of a UDP packet, as [`classify`] found them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// The VLAN of the outermost tag; `None` without a tag, and for VID 0, which only carries a priority
    /// (IEEE 802.1Q-2022 9.6).
    pub vlan: Option<u16>,
    /// How many VLAN tags there are.
    pub tags: u8,
    /// The sender.
    pub source: IpAddr,
    /// To whom it was sent.
    pub destination: IpAddr,
    /// The sender's port.
    pub source_port: u16,
    /// To which port.
    pub destination_port: u16,
    /// What kind of MAC address it was sent to.
    pub link_destination: LinkDestination,
    /// The first thing that is wrong, checksums aside.
    pub(crate) fault: Option<Fault>,
    /// Where the IP header begins in the frame.
    pub(crate) network: u16,
    /// Where the UDP header begins.
    pub(crate) transport: u16,
    /// Where the UDP payload ends, by the UDP length.
    pub(crate) end: u32,
}

/// What kind of MAC address a frame was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkDestination {
    /// One station.
    Unicast,
    /// Everybody.
    Broadcast,
    /// A group.
    Multicast,
}

impl Headers {
    /// Where the UDP payload lies in the received frame, by the UDP length. Never beyond the end of that frame, whatever the
    /// lengths say: of a packet that [`crate::check`] refuses it may be cut or empty.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> Range<usize> {
        let end = self.end as usize;
        let start = self.transport as usize + UDP_HEADER;
        if start < end { start..end } else { end..end }
    }
}

/// Finds the UDP ports of a frame, from its Ethernet header on.
///
/// `Some` is an IPv4 or IPv6 packet with UDP whose ports can be read, first fragments and packets with lying lengths
/// included: if the port is ours, [`crate::check`] judges it. `None` is everything else, which is the kernel's: ARP, TCP,
/// fragments other than the first, encrypted packets, more than [`MAX_TAGS`] tags or [`MAX_EXTENSION_HEADERS`] extension
/// headers, and what is too short to tell.
#[inline(always)]
#[must_use]
pub fn classify(frame: &[u8]) -> Option<Headers> {
    // The plain cases are asked for first, and only for speed: the walk finds the same.
    if let Some(headers) = plain::ipv4(frame) {
        return Some(headers);
    }
    if let Some(headers) = plain::ipv6(frame) {
        return Some(headers);
    }
    // Taken apart and put together again, the result of the walk is a copy, and that of a plain case stays in registers.
    let headers = walk::classify(frame)?;
    Some(Headers { ..headers })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::build::UdpFrame;

    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let changes = vec((0..64_usize, any::<u8>()), 0..4);
        (any::<bool>(), any::<[u8; 4]>(), any::<u16>(), changes, 0..120_usize).prop_map(
            |(v6, [a, b, c, d], port, changes, len)| {
                let (source, destination) = if v6 {
                    (IpAddr::from([a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, c]), IpAddr::from([d; 16]))
                } else {
                    (IpAddr::from([a, b, c, d]), IpAddr::from([d, c, b, a]))
                };
                let frame = UdpFrame {
                    source_mac: [2; 6],
                    destination_mac: [4; 6],
                    source: (source, port).into(),
                    destination: (destination, 123).into(),
                };
                let mut buffer = [0; 120];
                let written = frame.write(&[0x23; 48], &mut buffer);
                for (at, value) in changes {
                    buffer[at] = value;
                }
                buffer[..if len % 2 == 0 { written } else { len }].to_vec()
            },
        )
    }

    proptest! {
        #[test]
        fn plain_frames_are_read_as_the_walk_reads_them(frame in frames()) {
            let walked = walk::classify(&frame);
            prop_assert_eq!(classify(&frame), walked);
        }
    }

    #[test]
    fn the_usual_frame_is_plain() {
        for (source, destination) in [("10.77.0.2:40000", "10.77.0.1:123"), ("[fd77::2]:40000", "[fd77::1]:123")] {
            let frame = UdpFrame {
                source_mac: [2; 6],
                destination_mac: [4; 6],
                source: source.parse().expect("an address"),
                destination: destination.parse().expect("an address"),
            };
            let mut buffer = [0; 120];
            let length = frame.write(&[0x23; 48], &mut buffer);
            assert!(plain::ipv4(&buffer[..length]).or(plain::ipv6(&buffer[..length])).is_some());
        }
    }
}
