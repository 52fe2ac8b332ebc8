//! A socket whose packets are stamped on both ways, as far as the kernel does it.

use crate::DATAGRAM_BYTES;
use crate::calls::{self, Message, Outcome};
use crate::control::Control;
use crate::open::{Mode, ask_for_stamps};
use crate::tokens::Outstanding;
use crate::udp::is_before_numbering;
use sidereal_nic::BURST;
use sidereal_time::{Stamp, TxStamp, TxToken};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A datagram socket that sends and receives one packet at a time.
///
/// Every token that is sent comes back exactly once by [`Self::poll_stamp`], for as long as the socket lives;
/// [`Self::close`] brings back the rest.
#[derive(Debug)]
pub(crate) struct StampedSocket {
    socket: OwnedFd,
    stamps: bool,
    outstanding: Outstanding,
    answered: VecDeque<(TxToken, TxStamp)>,
}

impl StampedSocket {
    /// Asks for stamps on `socket`. As many as `waiting_max` packets may wait for theirs; those beyond are sent without.
    pub(crate) fn new(socket: OwnedFd, waiting_max: usize) -> Self {
        let stamps = ask_for_stamps(socket.as_fd(), true).is_ok();
        Self { socket, stamps, outstanding: Outstanding::new(waiting_max), answered: VecDeque::new() }
    }

    /// Sends a datagram to the socket address `name`; to the peer of a connected socket where that is empty. The token, if
    /// there is one, comes back by [`Self::poll_stamp`], also where this fails.
    pub(crate) fn send(&mut self, name: &mut [u8], payload: &[u8], token: Option<TxToken>) -> io::Result<()> {
        let mut sent = self.try_send(name, payload, token.is_some());
        if sent.as_ref().is_err_and(is_of_an_earlier_packet) {
            sent = self.try_send(name, payload, token.is_some());
        }
        let Some(token) = token else { return sent };
        if sent.is_ok() && self.asks_for_stamp() {
            self.outstanding.push(token, calls::monotonic_raw_ns());
        } else {
            self.refuse(Some(token));
        }
        sent
    }

    /// Sends nothing: the token comes back.
    pub(crate) fn refuse(&mut self, token: Option<TxToken>) {
        self.answered.extend(token.map(|token| (token, TxStamp::Lost)));
    }

    /// Receives the next datagram, if one is here: its beginning into `buffer`, its sender's socket address into `name`. Says
    /// how long it was, and when it came.
    pub(crate) fn receive(&mut self, name: &mut [u8], buffer: &mut [u8]) -> io::Result<Option<(usize, Option<Stamp>)>> {
        let mut control = Control::EMPTY;
        let message = Message { name, payload: buffer, control: control.room() };
        let mut outcomes = [Outcome::default(); BURST];
        match calls::receive(self.socket.as_fd(), Mode::Single, 0, core::iter::once(message), &mut outcomes) {
            Ok(_) => {
                let [outcome, ..] = outcomes;
                Ok(Some((outcome.len, control.read(outcome.control).stamp)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads one notice of a stamp. Only to be called where there is one: simulators that stand in for the kernel answer
    /// with a datagram where there is none.
    pub(crate) fn read_notice(&mut self) {
        let Self { outstanding, answered, socket, .. } = self;
        let answer = |token, stamp| answered.push_back((token, stamp));
        outstanding.read(socket.as_fd(), Mode::Single, &mut [Control::EMPTY], answer);
    }

    /// The next token that is answered: its stamp was read, or has not come in time.
    pub(crate) fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)> {
        if self.answered.is_empty() && !self.outstanding.is_empty() {
            let token = self.outstanding.expired(calls::monotonic_raw_ns())?;
            return Some((token, TxStamp::Lost));
        }
        self.answered.pop_front()
    }

    /// Whether tokens are still to be answered.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.answered.is_empty() || !self.outstanding.is_empty()
    }

    /// Closes the socket; the tokens that were not answered are lost.
    pub(crate) fn close(mut self) -> impl Iterator<Item = (TxToken, TxStamp)> {
        self.give_up();
        self.answered.into_iter()
    }

    fn asks_for_stamp(&self) -> bool {
        self.stamps && self.outstanding.room() > 0
    }

    fn try_send(&mut self, name: &mut [u8], payload: &[u8], stamp_wanted: bool) -> io::Result<()> {
        let mut buffer = [0; DATAGRAM_BYTES];
        let buffer = buffer.get_mut(..payload.len()).ok_or_else(|| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
        buffer.copy_from_slice(payload);
        let mut control = Control::EMPTY;
        let numbered = stamp_wanted && self.asks_for_stamp();
        if numbered {
            control.push_stamp_wish();
        }
        let message = Message { name, payload: buffer, control: control.messages() };
        let sent = calls::send(self.socket.as_fd(), Mode::Single, core::iter::once(message));
        if numbered && sent.as_ref().is_err_and(|error| !is_before_numbering(error)) {
            // The kernel may or may not have numbered it: both begin from 0 again.
            self.give_up();
            self.outstanding.restart();
            let socket = self.socket.as_fd();
            self.stamps = ask_for_stamps(socket, false).and_then(|()| ask_for_stamps(socket, true)).is_ok();
        }
        sent.map(drop)
    }

    fn give_up(&mut self) {
        while let Some(token) = self.outstanding.give_up() {
            self.answered.push_back((token, TxStamp::Lost));
        }
    }
}

impl AsFd for StampedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether this failure to send is what the network said of what was sent before.
fn is_of_an_earlier_packet(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECONNREFUSED)
}
