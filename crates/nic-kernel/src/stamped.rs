//! A socket whose packets are stamped on both ways, as far as the kernel does it.

use crate::DATAGRAM_BYTES;
use crate::calls::{self, Message, Outcome};
use crate::control::{Control, PacketInfo};
use crate::open::Mode;
use crate::timestamping::Stampers;
use crate::tokens::{Outstanding, StampCounts};
use crate::udp::is_before_numbering;
use sidereal_nic::BURST;
use sidereal_time::{Stamp, TxStamp, TxToken};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a received datagram is known by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    /// How long it was.
    pub(crate) len: usize,
    /// When it came.
    pub(crate) stamp: Option<Stamp>,
    /// To which address it was sent, where the socket asks for that.
    pub(crate) info: Option<PacketInfo>,
    /// By which interface it came, likewise.
    pub(crate) interface: Option<u32>,
}

/// A datagram socket that sends and receives one packet at a time.
///
/// Every token that is sent comes back exactly once by [`Self::poll_stamp`], for as long as the socket lives;
/// [`Self::close`] brings back the rest.
#[derive(Debug)]
pub(crate) struct StampedSocket {
    socket: OwnedFd,
    stampers: Stampers,
    /// Whether the kernel agreed to have its packets stamped.
    stamps: bool,
    outstanding: Outstanding,
    answered: VecDeque<(TxToken, TxStamp)>,
}

impl StampedSocket {
    /// Asks for the kernel's stamps on `socket`; one that has none is no failure. As many as `waiting_max` packets may wait for
    /// theirs; those beyond are sent without.
    pub(crate) fn new(socket: OwnedFd, waiting_max: usize) -> Self {
        let stampers = Stampers::KERNEL;
        let stamps = stampers.ask(socket.as_fd(), true).is_ok();
        let outstanding = Outstanding::new(waiting_max, &stampers);
        Self { socket, stampers, stamps, outstanding, answered: VecDeque::new() }
    }

    /// Has `stampers` stamp its packets, of which none has been sent. A NIC whose stamps are not to be had is a failure.
    pub(crate) fn stamped_by(mut self, stampers: Stampers) -> io::Result<Self> {
        if stampers.has_nic() {
            let socket = self.socket.as_fd();
            stampers.ask(socket, false)?;
            stampers.ask(socket, true)?;
            self.outstanding = Outstanding::new(self.outstanding.room(), &stampers);
            self.stampers = stampers;
            self.stamps = true;
        }
        Ok(self)
    }

    /// What became of stamps so far.
    pub(crate) const fn counts(&self) -> StampCounts {
        self.outstanding.counts()
    }

    /// Sends a datagram to the socket address `name`; to the peer of a connected socket where that is empty. The token, if
    /// there is one, comes back by [`Self::poll_stamp`], also where this fails.
    pub(crate) fn send(&mut self, name: &mut [u8], payload: &[u8], token: Option<TxToken>) -> io::Result<()> {
        self.send_from(None, name, payload, token)
    }

    /// The same from an address of ours, the one that another datagram was sent to.
    pub(crate) fn send_from(
        &mut self,
        source: Option<PacketInfo>,
        name: &mut [u8],
        payload: &[u8],
        token: Option<TxToken>,
    ) -> io::Result<()> {
        let mut sent = self.try_send(source, name, payload, token.is_some());
        if sent.as_ref().is_err_and(is_of_an_earlier_packet) {
            sent = self.try_send(source, name, payload, token.is_some());
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

    /// Receives the next datagram, if one is here: its beginning into `buffer`, its sender's socket address into `name`.
    pub(crate) fn receive(&mut self, name: &mut [u8], buffer: &mut [u8]) -> io::Result<Option<Heard>> {
        let mut control = Control::EMPTY;
        let message = Message { name, payload: buffer, control: control.room() };
        let mut outcomes = [Outcome::default(); BURST];
        match calls::receive(self.socket.as_fd(), Mode::Single, 0, core::iter::once(message), &mut outcomes) {
            Ok(_) => {
                let [outcome, ..] = outcomes;
                let told = control.read(outcome.control);
                Ok(Some(Heard {
                    len: outcome.len,
                    stamp: self.stampers.stamp(&told),
                    info: told.info,
                    interface: told.interface,
                }))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads one notice of a stamp. Only to be called where there is one: simulators that stand in for the kernel answer
    /// with a datagram where there is none.
    pub(crate) fn read_notice(&mut self) {
        let Self { outstanding, answered, socket, stampers, .. } = self;
        let answer = |token, stamp| answered.push_back((token, stamp));
        outstanding.read(socket.as_fd(), Mode::Single, stampers, &mut [Control::EMPTY], answer);
    }

    /// Reads the notices that have come, until there are no more or as many were read as packets may wait. It may be called
    /// where there is none, but not on a simulator.
    pub(crate) fn read_notices(&mut self) {
        let Self { outstanding, answered, socket, stampers, .. } = self;
        let mut notices = [const { Control::EMPTY }; BURST];
        for _ in 0..=outstanding.limit().div_ceil(BURST) {
            let answer = |token, stamp| answered.push_back((token, stamp));
            if outstanding.read(socket.as_fd(), Mode::Burst, stampers, &mut notices, answer) < BURST {
                return;
            }
        }
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

    fn try_send(
        &mut self,
        source: Option<PacketInfo>,
        name: &mut [u8],
        payload: &[u8],
        stamp_wanted: bool,
    ) -> io::Result<()> {
        let mut buffer = [0; DATAGRAM_BYTES];
        let buffer = buffer.get_mut(..payload.len()).ok_or_else(|| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
        buffer.copy_from_slice(payload);
        let mut control = Control::EMPTY;
        if let Some(source) = source {
            control.push_source(source, source.is_link_local());
        }
        let numbered = stamp_wanted && self.asks_for_stamp();
        if numbered {
            control.push_stamp_wish(self.stampers.wish());
        }
        let message = Message { name, payload: buffer, control: control.messages() };
        let sent = calls::send(self.socket.as_fd(), Mode::Single, core::iter::once(message));
        if numbered && sent.as_ref().is_err_and(|error| !is_before_numbering(error)) {
            // The kernel may or may not have numbered it: both begin from 0 again.
            self.give_up();
            self.outstanding.restart();
            let (stampers, socket) = (self.stampers, self.socket.as_fd());
            self.stamps = stampers.ask(socket, false).and_then(|()| stampers.ask(socket, true)).is_ok();
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
