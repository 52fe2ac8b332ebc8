//! A socket for one question and its answer, with the times of both.

use crate::DATAGRAM_BYTES;
use crate::calls::{self, Message, Outcome};
use crate::control::{Control, Told};
use crate::error::OpenError;
use crate::name::Name;
use crate::open::{Mode, ask_for_stamps};
use crate::poll::{PollFd, poll};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use sidereal_nic::BURST;
use sidereal_time::Stamp;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// How long the stamp of a sent packet is waited for.
const TX_STAMP_TIMEOUT: Duration = Duration::from_millis(20);

/// A UDP socket connected to one server.
#[derive(Debug)]
pub struct ClientSocket {
    socket: OwnedFd,
    stamps: bool,
    /// The kernel's number of the next packet.
    next_id: u32,
}

/// A received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its length; where that exceeds the buffer, the rest of it is lost.
    pub len: usize,
    /// When it arrived, if the kernel says so.
    pub stamp: Option<Stamp>,
}

impl ClientSocket {
    /// Opens a socket on a port that the kernel chooses at random, which only hears `server`.
    ///
    /// # Errors
    /// If the kernel has no socket, or no route to `server`.
    pub fn connect(server: SocketAddr) -> Result<Self, OpenError> {
        let call = |call| move |error| OpenError::Call { call, address: server, error };
        let (domain, any) = match server {
            SocketAddr::V4(_) => (libc::AF_INET, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            SocketAddr::V6(_) => (libc::AF_INET6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        let socket = calls::socket(domain, libc::SOCK_DGRAM, 0).map_err(call("socket"))?;
        calls::bind(socket.as_fd(), Name::new(any).bytes()).map_err(call("bind"))?;
        calls::connect(socket.as_fd(), Name::new(server).bytes()).map_err(call("connect"))?;
        let stamps = ask_for_stamps(socket.as_fd(), true).is_ok();
        Ok(Self { socket, stamps, next_id: 0 })
    }

    /// Sends a datagram and waits some milliseconds for the time at which it left; `None` if nobody says.
    ///
    /// # Errors
    /// If the kernel does not take it; also ECONNREFUSED, where an earlier one was answered by "port unreachable"; EMSGSIZE,
    /// where it is longer than [`DATAGRAM_BYTES`].
    pub fn send(&mut self, payload: &[u8]) -> io::Result<Option<Stamp>> {
        let mut buffer = [0; DATAGRAM_BYTES];
        let buffer = buffer.get_mut(..payload.len()).ok_or_else(|| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
        buffer.copy_from_slice(payload);
        let mut control = Control::EMPTY;
        if self.stamps {
            control.push_stamp_wish();
        }
        let message = Message { name: &mut [], payload: buffer, control: control.messages() };
        let sent = calls::send(self.socket.as_fd(), Mode::Single, core::iter::once(message));
        if !self.stamps {
            return sent.map(|_| None);
        }
        if let Err(error) = sent {
            // The kernel may or may not have numbered it.
            ask_for_stamps(self.socket.as_fd(), false)?;
            ask_for_stamps(self.socket.as_fd(), true)?;
            self.next_id = 0;
            return Err(error);
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.await_stamp(id)
    }

    /// Waits for the next datagram, `timeout` long at the most, and copies its beginning into `buffer`; `None` if none came.
    ///
    /// # Errors
    /// What the network said of what was sent: ECONNREFUSED, where nothing listens there.
    pub fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Option<Received>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some((len, told)) = self.read(0, buffer)? {
                return Ok(Some(Received { len, stamp: told.stamp }));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut fds = [PollFd::readable(self.socket.as_fd())];
            poll(&mut fds, Some(left))?;
            if fds.iter().any(PollFd::has_error) {
                // A stamp that came too late would end every further wait at once.
                self.read(libc::MSG_ERRQUEUE, &mut [])?;
            }
        }
    }

    fn await_stamp(&self, id: u32) -> io::Result<Option<Stamp>> {
        let deadline = Instant::now() + TX_STAMP_TIMEOUT;
        loop {
            match self.read(libc::MSG_ERRQUEUE, &mut [])? {
                Some((_, told)) if told.stamped_id == Some(id) => return Ok(told.stamp),
                Some(_) => continue,
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Only the error queue is of interest: an answer that is already here must not end the wait.
            poll(&mut [PollFd::errors(self.socket.as_fd())], Some(left))?;
        }
    }

    /// The next message of the socket or, with MSG_ERRQUEUE, of its error queue.
    fn read(&self, flags: core::ffi::c_int, buffer: &mut [u8]) -> io::Result<Option<(usize, Told)>> {
        let mut control = Control::EMPTY;
        let message = Message { name: &mut [], payload: buffer, control: control.room() };
        let mut outcomes = [Outcome::default(); BURST];
        match calls::receive(self.socket.as_fd(), Mode::Single, flags, core::iter::once(message), &mut outcomes) {
            Ok(_) => {
                let [outcome, ..] = outcomes;
                Ok(Some((outcome.len, control.read(outcome.control))))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for ClientSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
