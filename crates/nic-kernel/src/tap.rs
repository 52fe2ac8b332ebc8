//! The TAP interface: the kernel's end of a port that is ours.

use crate::error::TapError;
use crate::{calls, netlink};
use core::net::IpAddr;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

/// What to make.
#[derive(Debug, Clone)]
pub struct TapOptions {
    /// The interface's name, 1 to 15 bytes.
    pub name: String,
    /// Its MAC address: the port's.
    pub mac: [u8; 6],
    /// The longest packet without its Ethernet header, in bytes: the port's.
    pub mtu: u16,
    /// Its addresses and their prefix lengths: the port's.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// A TAP interface. What is written to it the kernel receives, and what the kernel sends through it is read here, frame by
/// frame. Offloads are off: the kernel computes its checksums itself. The interface goes when this is dropped.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

impl Tap {
    /// Makes the interface, gives it its addresses, and brings it up.
    ///
    /// # Errors
    /// If the name is no good or taken, or the process may not make interfaces.
    pub fn open(options: &TapOptions) -> Result<Self, TapError> {
        let name = interface_name(&options.name)?;
        let call = |what| move |error| TapError::Call { what, name: options.name.clone(), error };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(TapError::Device)?;
        calls::make_tap(file.as_fd(), &name).map_err(|error| match error.raw_os_error() {
            Some(libc::EBUSY | libc::EINVAL) => TapError::Taken(options.name.clone()),
            _ => call("make")(error),
        })?;
        let index = calls::interface_index(&name).map_err(call("find"))?;
        netlink::set_up_link(index, options.mac, options.mtu).map_err(call("set MAC and MTU of, or bring up,"))?;
        for &(address, prefix) in &options.addresses {
            netlink::add_address(index, address, prefix).map_err(|error| TapError::Address {
                name: options.name.clone(),
                address,
                prefix,
                error,
            })?;
        }
        Ok(Self { file })
    }

    /// Reads the next frame that the kernel sends, from the Ethernet header on, into `buffer`; returns its length (a frame
    /// longer than the buffer is cut), or `None` if there is none.
    ///
    /// # Errors
    /// If the interface is down or gone.
    pub fn read_frame(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.file.read(buffer) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets the kernel receive `frame`, from the Ethernet header on. Returns false where the kernel has no room for it.
    ///
    /// # Errors
    /// If the frame is none (shorter than its header), or the interface is down or gone.
    pub fn write_frame(&mut self, frame: &[u8]) -> io::Result<bool> {
        match self.file.write(frame) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM)) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn interface_name(name: &str) -> Result<CString, TapError> {
    let allowed = |byte: u8| !byte.is_ascii_whitespace() && !matches!(byte, 0 | b'/' | b':' | b'%');
    let good = (1..libc::IF_NAMESIZE).contains(&name.len()) && name.bytes().all(allowed) && !matches!(name, "." | "..");
    good.then(|| CString::new(name).ok()).flatten().ok_or_else(|| TapError::Name(name.to_owned()))
}
