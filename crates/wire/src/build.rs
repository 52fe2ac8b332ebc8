//! Frames from nothing, for those who ask: the load generator and tests.

use core::net::{IpAddr, SocketAddr};

use crate::checksum::Sum;
use crate::reply::udp_checksum;
use crate::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, IPV4_HEADER, PROTOCOL_UDP, REPLY_HOP_LIMIT, UDP_HEADER, checksum};

/// The addresses of an untagged UDP frame. Both of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpFrame {
    /// The sender's MAC address.
    pub source_mac: [u8; 6],
    /// The receiver's, or the next hop's.
    pub destination_mac: [u8; 6],
    /// The sender's address and port.
    pub source: SocketAddr,
    /// The receiver's address and port.
    pub destination: SocketAddr,
}

impl UdpFrame {
    /// Writes the frame around `payload` to the start of `buffer`, with right lengths and checksums. Returns its length; 0
    /// where the addresses are of two families, or the frame does not fit the buffer or an IP packet.
    #[must_use]
    pub fn write(&self, payload: &[u8], buffer: &mut [u8]) -> usize {
        self.try_write(payload, buffer).unwrap_or(0)
    }

    fn try_write(&self, payload: &[u8], buffer: &mut [u8]) -> Option<usize> {
        let udp_length = u16::try_from(UDP_HEADER + payload.len()).ok()?;
        let mut writer = Writer { buffer, at: 0 };
        writer.put(&self.destination_mac)?;
        writer.put(&self.source_mac)?;
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let total_length = u16::try_from(IPV4_HEADER + usize::from(udp_length)).ok()?;
                writer.put(&ETHERTYPE_IPV4.to_be_bytes())?;
                let header = writer.at;
                writer.put(&[0x45, 0])?;
                writer.put(&total_length.to_be_bytes())?;
                writer.put(&[0, 0, 0x40, 0, REPLY_HOP_LIMIT, PROTOCOL_UDP, 0, 0])?;
                writer.put(&source.octets())?;
                writer.put(&destination.octets())?;
                let sum = checksum(writer.written(header)?);
                writer.replace(header + 10, sum.to_be_bytes())?;
                self.datagram(writer, 8, udp_length, payload)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                writer.put(&ETHERTYPE_IPV6.to_be_bytes())?;
                writer.put(&[0x60, 0, 0, 0])?;
                writer.put(&udp_length.to_be_bytes())?;
                writer.put(&[PROTOCOL_UDP, REPLY_HOP_LIMIT])?;
                writer.put(&source.octets())?;
                writer.put(&destination.octets())?;
                self.datagram(writer, 32, udp_length, payload)
            }
            _ => None,
        }
    }

    /// Writes header and payload of the datagram; `addresses` is how many bytes of addresses stand just before it.
    fn datagram(&self, mut writer: Writer<'_>, addresses: usize, udp_length: u16, payload: &[u8]) -> Option<usize> {
        let start = writer.at;
        writer.put(&self.source.port().to_be_bytes())?;
        writer.put(&self.destination.port().to_be_bytes())?;
        writer.put(&udp_length.to_be_bytes())?;
        let addresses = Sum::ZERO.add_bytes(writer.written(start - addresses)?.get(..addresses + 4)?);
        writer.put(&udp_checksum(addresses, udp_length, payload))?;
        writer.put(payload)?;
        Some(writer.at)
    }
}

/// Fills a buffer from its start.
struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at + bytes.len();
        self.buffer.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    fn replace(&mut self, at: usize, bytes: [u8; 2]) -> Option<()> {
        self.buffer.get_mut(at..at + 2)?.copy_from_slice(&bytes);
        Some(())
    }

    /// What has been written from `from` on.
    fn written(&self, from: usize) -> Option<&[u8]> {
        self.buffer.get(from..self.at)
    }
}
