//! A socket for one question and its answer, which waits for both.

use crate::association::{AssociationSocket, Received};
use crate::error::OpenError;
use crate::poll::{PollFd, poll};
use crate::timestamping::KERNEL_DEADLINE;
use core::net::SocketAddr;
use core::time::Duration;
use sidereal_time::{Stamp, TxStamp, TxToken};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// A UDP socket connected to one server, for a thread that has nothing else to do.
#[derive(Debug)]
pub struct ClientSocket(AssociationSocket);

impl ClientSocket {
    /// Opens a socket on a port that the kernel chooses at random, which only hears `server`.
    ///
    /// # Errors
    /// If the kernel has no socket, or no route to `server`.
    pub fn connect(server: SocketAddr) -> Result<Self, OpenError> {
        AssociationSocket::connect(server).map(Self)
    }

    /// Sends a datagram and waits some milliseconds for the time at which it left; `None` if nobody says.
    ///
    /// # Errors
    /// If the kernel does not take it; EMSGSIZE, where it is longer than [`crate::DATAGRAM_BYTES`].
    pub fn send(&mut self, payload: &[u8]) -> io::Result<Option<Stamp>> {
        let sent = self.0.send(payload, Some(TxToken::new(0)));
        loop {
            match self.0.poll_stamp() {
                Some((_, TxStamp::Stamped(stamp))) => return sent.map(|()| Some(stamp)),
                Some((_, TxStamp::Lost)) => return sent.map(|()| None),
                None => {}
            }
            // Only the error queue is of interest: an answer that is already here must not end the wait.
            let mut fds = [PollFd::errors(self.0.as_fd())];
            poll(&mut fds, Some(KERNEL_DEADLINE))?;
            if fds.iter().any(PollFd::has_error) {
                self.0.read_notice();
            }
        }
    }

    /// Waits for the next datagram, `timeout` long at the most, and copies its beginning into `buffer`; `None` if none came.
    ///
    /// # Errors
    /// What the network said of what was sent: ECONNREFUSED, where nothing listens there.
    pub fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Option<Received>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(received) = self.0.receive(buffer)? {
                return Ok(Some(received));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut fds = [PollFd::readable(self.0.as_fd())];
            poll(&mut fds, Some(left))?;
            if fds.iter().any(PollFd::has_error) {
                // A stamp that came too late would end every further wait at once.
                self.0.read_notice();
            }
        }
    }
}

impl AsFd for ClientSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
