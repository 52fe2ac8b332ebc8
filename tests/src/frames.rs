use std::os::fd::{AsRawFd, OwnedFd};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, sendto, socket};

use crate::{Error, INTERFACE, Namespace, Result};

/// Sends whole Ethernet frames onto the link, as no well-behaved socket would.
pub struct FrameSocket {
    socket: OwnedFd,
    link: LinkAddr,
}

impl FrameSocket {
    /// Opens it at the namespace's end of the link.
    ///
    /// # Errors
    /// The system refuses the socket, or there is no link.
    pub fn open(namespace: &Namespace) -> Result<Self> {
        namespace.inside(|| {
            let link = getifaddrs()
                .map_err(Error::errno("getifaddrs"))?
                .filter(|interface| interface.interface_name == INTERFACE)
                .find_map(|interface| interface.address?.as_link_addr().copied())
                .ok_or_else(|| Error::Unexpected(format!("no {INTERFACE}")))?;
            let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
                .map_err(Error::errno("packet socket"))?;
            Ok(Self { socket, link })
        })?
    }

    /// Sends one frame, from the destination's MAC to the last byte before the frame check sequence.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        sendto(self.socket.as_raw_fd(), frame, &self.link, MsgFlags::empty())
            .map(drop)
            .map_err(Error::errno(format!("a frame of {} bytes", frame.len())))
    }
}
