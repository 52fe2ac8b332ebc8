//! rtnetlink, as far as an interface of our own needs it: its MAC, its MTU, its addresses, and up.

use crate::calls;
use core::ffi::c_uint;
use core::net::IpAddr;
use std::io;

/// `struct nlmsghdr`: length, type, flags, sequence number, port.
const HEADER_BYTES: usize = 16;
/// Longer than any answer to what is asked here: an error and the request it is about.
const ANSWER_BYTES: usize = 1024;

/// A request to the kernel, under construction: message header, family header, attributes.
struct Request(Vec<u8>);

/// Gives the interface its MAC address and MTU and brings it up.
pub(crate) fn set_up_link(index: c_uint, mac: [u8; 6], mtu: u16) -> io::Result<()> {
    let mut request = Request::new(libc::RTM_NEWLINK, 0);
    let up = (libc::IFF_UP as u32).to_ne_bytes();
    // struct ifinfomsg: family, pad, type, index, flags, change mask.
    request.push(&[0; 4]);
    request.push(&index.to_ne_bytes());
    request.push(&up);
    request.push(&up);
    request.attribute(libc::IFLA_ADDRESS, &mac);
    request.attribute(libc::IFLA_MTU, &u32::from(mtu).to_ne_bytes());
    request.send()
}

/// Gives the interface an address. IPv6 does not look for duplicates first: the port answers from the address at once.
pub(crate) fn add_address(index: c_uint, address: IpAddr, prefix: u8) -> io::Result<()> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut request = Request::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_REPLACE);
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    request.push(&[u8::try_from(family).unwrap_or_default(), prefix, 0, libc::RT_SCOPE_UNIVERSE]);
    request.push(&index.to_ne_bytes());
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    request.attribute(libc::IFA_LOCAL, &octets);
    request.attribute(libc::IFA_ADDRESS, &octets);
    if address.is_ipv6() {
        request.attribute(libc::IFA_FLAGS, &libc::IFA_F_NODAD.to_ne_bytes());
    }
    request.send()
}

impl Request {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "netlink flags have 16 bits")]
    fn new(kind: u16, flags: libc::c_int) -> Self {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        let mut request = Self(vec![0; HEADER_BYTES]);
        request.put(4, &kind.to_ne_bytes());
        request.put(6, &flags.to_ne_bytes());
        request
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// `struct rtattr`: length, type; data; padded to four bytes.
    fn attribute(&mut self, kind: u16, data: &[u8]) {
        let len = u16::try_from(4 + data.len()).unwrap_or(u16::MAX);
        self.push(&len.to_ne_bytes());
        self.push(&kind.to_ne_bytes());
        self.push(data);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn put(&mut self, at: usize, value: &[u8]) {
        if let Some(place) = self.0.get_mut(at..at + value.len()) {
            place.copy_from_slice(value);
        }
    }

    /// Sends the request and hears what the kernel says of it.
    fn send(mut self) -> io::Result<()> {
        let len = u32::try_from(self.0.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.put(0, &len.to_ne_bytes());
        let mut answer = [0; ANSWER_BYTES];
        let len = calls::ask_netlink(&self.0, &mut answer)?;
        // struct nlmsgerr behind the header: minus the error number, or 0.
        let kind = answer.get(4..).and_then(|rest| rest.first_chunk()).map(|kind| u16::from_ne_bytes(*kind));
        let error = answer.get(..len).and_then(|answer| answer.get(HEADER_BYTES..)).and_then(|rest| rest.first_chunk());
        match (kind, error) {
            (Some(kind), Some(error)) if libc::c_int::from(kind) == libc::NLMSG_ERROR => {
                match i32::from_ne_bytes(*error) {
                    0 => Ok(()),
                    error => Err(io::Error::from_raw_os_error(-error)),
                }
            }
            _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
    }
}
