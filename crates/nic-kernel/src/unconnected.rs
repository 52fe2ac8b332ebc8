//! A socket that asks many.

use crate::association::{Received, any};
use crate::error::OpenError;
use crate::name::Name;
use crate::open::{bind_to, set_buffer, socket_of};
use crate::stamped::{Heard, StampedSocket};
use crate::udp::Drops;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use sidereal_time::{TxStamp, TxToken};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Packets of the socket that may wait for their stamps. Those beyond are sent without.
const WAITING_MAX: usize = 4096;

/// An unconnected UDP socket with the kernel's stamps: for one that asks thousands of servers, each of which may answer at any
/// time. It hears whoever knows its port: who answers what is for the caller to see. Nothing here waits: it goes to
/// [`crate::poll`].
///
/// Every token that is sent comes back exactly once by [`Self::poll_stamp`], for as long as the socket lives.
#[derive(Debug)]
pub struct UnconnectedSocket {
    socket: StampedSocket,
    drops: Drops,
}

impl UnconnectedSocket {
    /// Opens a socket on a port that the kernel chooses at random (RFC 9109), for peers of the family of `peer`.
    ///
    /// # Errors
    /// If the kernel has no socket.
    pub fn open(peer: IpAddr) -> Result<Self, OpenError> {
        let local = any(SocketAddr::new(peer, 0), 0);
        let socket = socket_of(local)?;
        bind_to(socket.as_fd(), local, false)?;
        // Thousands of answers may come at once.
        set_buffer(socket.as_fd(), libc::SO_RCVBUFFORCE, libc::SO_RCVBUF);
        Ok(Self { socket: StampedSocket::new(socket, WAITING_MAX), drops: Drops::default() })
    }

    /// Sends a datagram. The token, if there is one, comes back by [`Self::poll_stamp`], also where this fails.
    ///
    /// # Errors
    /// If the kernel does not take it: no route, no permission, a full device queue; EMSGSIZE, where it is longer than
    /// [`DATAGRAM_BYTES`](crate::DATAGRAM_BYTES).
    pub fn send(&mut self, to: SocketAddr, payload: &[u8], token: Option<TxToken>) -> io::Result<()> {
        self.socket.send(Name::new(to).bytes(), payload, token)
    }

    /// Receives the next datagram, if one is here, and copies its beginning into `buffer`.
    ///
    /// # Errors
    /// What the kernel says; the next call may succeed.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut name = Name::EMPTY;
        let received = self.socket.receive(name.bytes(), buffer)?;
        let from = name.address().unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
        Ok(received.map(|Heard { len, stamp, interface, .. }| Received { len, from, stamp, interface }))
    }

    /// Reads the notices of stamps that have come.
    pub fn read_notices(&mut self) {
        self.socket.read_notices();
    }

    /// The next token that is answered: its stamp was read, or has not come in 20 ms.
    pub fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)> {
        self.socket.poll_stamp()
    }

    /// Whether tokens are still to be answered, so that [`Self::poll_stamp`] should be asked within some milliseconds.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.socket.is_waiting()
    }

    /// How many datagrams the kernel dropped since the socket was opened, because they were not received in time.
    pub fn missed(&mut self) -> u64 {
        self.drops.update(self.socket.as_fd())
    }
}

impl AsFd for UnconnectedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
