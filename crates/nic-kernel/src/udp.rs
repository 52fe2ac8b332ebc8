//! The two halves of a UDP queue.

use crate::calls::{self, Outcome};
use crate::control::Control;
use crate::datagram::{Datagram, Reply};
use crate::open::Mode;
use crate::poll::{PollFd, poll};
use crate::timestamping::Stampers;
use crate::tokens::{Outstanding, StampCounts};
use arrayvec::ArrayVec;
use core::net::{Ipv4Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use rtrb::{Consumer, Producer, RingBuffer};
use sidereal_nic::{BURST, Burst, Content, Flow, Packet, RxQueue, Sent, TOKENS, TxQueue};
use sidereal_time::{Stamp, TxStamp, TxToken};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// How many buffers a queue has from the start: those the kernel may write to, and those the worker holds. A worker that
/// holds more has them made for it.
const POOL: usize = 2 * BURST;

/// A received datagram.
#[derive(Debug)]
pub struct UdpPacket(Box<Datagram>);

impl Packet for UdpPacket {
    fn content(&mut self) -> Content<'_> {
        let Datagram { payload, len, flow, .. } = &mut *self.0;
        Content::Datagram { buffer: payload, len: *len, flow: *flow }
    }

    fn stamp(&self) -> Option<Stamp> {
        self.0.stamp
    }

    fn reply(&mut self, len: usize, token: Option<TxToken>) {
        self.0.reply = Some(Reply { len: len.min(self.0.payload.len()), token, stamp_wanted: false });
    }
}

/// One socket of a queue.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) socket: OwnedFd,
    /// What it is bound to.
    pub(crate) local: SocketAddr,
    /// Who stamps its packets; None where the kernel has no stamps.
    pub(crate) stampers: Option<Stampers>,
    /// Set by the receiving half where its waiting was ended by the error queue, which the sending half reads.
    errors_waiting: AtomicBool,
}

impl Endpoint {
    pub(crate) fn new(socket: OwnedFd, local: SocketAddr, stampers: Option<Stampers>) -> Self {
        Self { socket, local, stampers, errors_waiting: AtomicBool::new(false) }
    }

    fn outstanding(&self) -> Outstanding {
        Outstanding::new(TOKENS, &self.stampers.unwrap_or(Stampers::KERNEL))
    }
}

/// Makes the two halves of a queue of these sockets.
pub(crate) fn queue(endpoints: Vec<Endpoint>, mode: Mode) -> (UdpRx, UdpTx) {
    let endpoints: Arc<[Endpoint]> = endpoints.into();
    let (mut returning, returned) = RingBuffer::new(POOL);
    for _ in 0..POOL {
        // The ring was made with a place for each.
        let _ = returning.push(Box::new(Datagram::EMPTY));
    }
    let rx = UdpRx {
        drops: endpoints.iter().map(|_| Drops::default()).collect(),
        endpoints: Arc::clone(&endpoints),
        first: 0,
        mode,
        ready: Vec::with_capacity(BURST),
        returned,
    };
    let tx = UdpTx {
        outstanding: endpoints.iter().map(Endpoint::outstanding).collect(),
        answered: VecDeque::with_capacity((endpoints.len() + 1) * TOKENS),
        asked: false,
        notices: (0..BURST).map(|_| Control::EMPTY).collect(),
        endpoints,
        mode,
        returning,
    };
    (rx, tx)
}

/// The receiving half of a UDP queue.
#[derive(Debug)]
pub struct UdpRx {
    endpoints: Arc<[Endpoint]>,
    /// The socket that is read first: each in its turn, so that a busy one does not starve the others.
    first: usize,
    mode: Mode,
    /// Buffers for the kernel to write to.
    #[expect(clippy::vec_box, reason = "datagrams go round in their boxes")]
    ready: Vec<Box<Datagram>>,
    returned: Consumer<Box<Datagram>>,
    drops: Vec<Drops>,
}

impl UdpRx {
    /// The queue's sockets, to wait for with [`poll`] together with others. Readable where packets wait; an error tells of
    /// TX stamps.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.endpoints.iter().map(|endpoint| endpoint.socket.as_fd())
    }

    fn receive_from(&mut self, index: usize, burst: &mut Burst<UdpPacket>) {
        let Some(endpoint) = self.endpoints.get(index) else { return };
        let room = burst.remaining_capacity();
        while self.ready.len() < room {
            self.ready.push(self.returned.pop().unwrap_or_else(|_| Box::new(Datagram::EMPTY)));
        }
        let mut outcomes = [Outcome::default(); BURST];
        let messages = self.ready.iter_mut().take(room).map(|datagram| datagram.incoming());
        // An error is one of the network, told once; the next call receives again.
        let received = calls::receive(endpoint.socket.as_fd(), self.mode, 0, messages, &mut outcomes).unwrap_or(0);
        for (mut datagram, outcome) in self.ready.drain(..received).zip(outcomes) {
            let told = datagram.control.read(outcome.control);
            let source = datagram.name.address();
            let destination = told.info.map_or(endpoint.local.ip(), |info| info.destination());
            datagram.flow = Flow {
                source: source.map_or(Ipv4Addr::UNSPECIFIED.into(), |source| source.ip()),
                source_port: source.map_or(0, |source| source.port()),
                destination,
                destination_port: endpoint.local.port(),
            };
            datagram.socket = index;
            datagram.len = outcome.len;
            datagram.info = told.info;
            datagram.stamp = endpoint.stampers.and_then(|stampers| stampers.stamp(&told));
            datagram.reply = None;
            burst.push(UdpPacket(datagram));
        }
    }
}

impl RxQueue for UdpRx {
    type Packet = UdpPacket;

    fn receive(&mut self, burst: &mut Burst<UdpPacket>) -> usize {
        let before = burst.len();
        let sockets = self.endpoints.len();
        for turn in 0..sockets {
            if burst.is_full() {
                break;
            }
            self.receive_from((self.first + turn) % sockets, burst);
        }
        self.first = (self.first + 1) % sockets.max(1);
        burst.len() - before
    }

    /// Waits in `poll(2)`.
    fn wait(&mut self, at_most: Duration) {
        /// More addresses than a port is bound to; further ones would wait for the end of the time.
        const WAITED_FOR: usize = 64;
        let mut fds: ArrayVec<PollFd<'_>, WAITED_FOR> = self.sockets().take(WAITED_FOR).map(PollFd::readable).collect();
        // It fails only for want of memory; then nothing has been waited for, and the worker polls on.
        let _ = poll(&mut fds, Some(at_most));
        for (fd, endpoint) in fds.iter().zip(self.endpoints.iter()) {
            if fd.has_error() {
                endpoint.errors_waiting.store(true, Ordering::Relaxed);
            }
        }
    }

    fn missed(&mut self) -> u64 {
        let sockets = self.endpoints.iter().zip(&mut self.drops);
        sockets.map(|(endpoint, drops)| drops.update(endpoint.socket.as_fd())).sum()
    }
}

/// What the kernel dropped at one socket: its own count wraps at 32 bits.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    total: u64,
    last: u32,
}

impl Drops {
    pub(crate) fn update(&mut self, socket: BorrowedFd<'_>) -> u64 {
        const WORD: usize = size_of::<u32>();
        const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
        let mut words = [0; (DROPS + 1) * WORD];
        let len = calls::option(socket, libc::SOL_SOCKET, libc::SO_MEMINFO, &mut words).unwrap_or(0);
        if let (true, Some(count)) = (len >= words.len(), words.last_chunk()) {
            let count = u32::from_ne_bytes(*count);
            self.total += u64::from(count.wrapping_sub(self.last));
            self.last = count;
        }
        self.total
    }
}

/// The sending half of a UDP queue.
#[derive(Debug)]
pub struct UdpTx {
    endpoints: Arc<[Endpoint]>,
    mode: Mode,
    returning: Producer<Box<Datagram>>,
    /// Of each socket.
    outstanding: Vec<Outstanding>,
    answered: VecDeque<(TxToken, TxStamp)>,
    /// Whether the error queues have been read since the last burst, or since the caller last heard that no token is answered.
    asked: bool,
    /// Where the kernel's notices of stamps are read to.
    notices: Vec<Control>,
}

impl TxQueue<UdpPacket> for UdpTx {
    fn transmit(&mut self, burst: &mut Burst<UdpPacket>) -> Sent {
        let mut outcome = Sent::default();
        self.asked = false;
        for index in 0..self.endpoints.len() {
            let mut marked: ArrayVec<&mut Datagram, BURST> = burst
                .iter_mut()
                .map(|packet| &mut *packet.0)
                .filter(|datagram| datagram.socket == index && datagram.reply.is_some())
                .collect();
            self.send_from(index, &mut marked, &mut outcome);
        }
        for packet in burst.drain(..) {
            // Full only where the caller held more packets than the pool has; those beyond are freed.
            let _ = self.returning.push(packet.0);
        }
        outcome
    }

    /// Always refuses: a datagram queue only answers.
    fn originate(&mut self, _frame: &[u8], token: Option<TxToken>) -> bool {
        if let Some(token) = token {
            self.answer(token, TxStamp::Lost);
        }
        false
    }

    fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)> {
        if self.answered.is_empty() && !self.asked {
            self.collect();
            self.asked = true;
        }
        let next = self.answered.pop_front();
        if next.is_none() {
            self.asked = false;
        }
        next
    }
}

impl UdpTx {
    /// What became of the stamps of sent packets so far.
    #[must_use]
    pub fn stamp_counts(&self) -> StampCounts {
        self.outstanding.iter().map(Outstanding::counts).sum()
    }

    /// Sends the replies of one socket.
    fn send_from(&mut self, index: usize, mut rest: &mut [&mut Datagram], outcome: &mut Sent) {
        self.prepare(index, rest);
        while !rest.is_empty() {
            let Some(endpoint) = self.endpoints.get(index) else { return };
            let messages = rest.iter_mut().map(|datagram| datagram.outgoing());
            let result = calls::send(endpoint.socket.as_fd(), self.mode, messages);
            let (sent, refused) = match &result {
                Ok(sent) if *sent > 0 => (*sent, 0),
                // The socket's buffer is full: it is no use to try the others.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, rest.len()),
                _ => (0, 1),
            };
            // The kernel may have numbered the packet that it then did not take.
            let failed_has_number = rest.get(sent).is_some_and(|datagram| datagram.is_stamp_wanted())
                && !result.is_err_and(|error| is_before_numbering(&error));
            let (done, left) = rest.split_at_mut(sent + refused);
            self.account(index, done, sent > 0);
            if failed_has_number {
                self.restart_numbers(index);
            }
            outcome.sent += sent;
            outcome.refused += refused;
            rest = left;
        }
    }

    /// Writes the control messages of the replies.
    fn prepare(&mut self, index: usize, replies: &mut [&mut Datagram]) {
        let (Some(endpoint), Some(outstanding)) = (self.endpoints.get(index), self.outstanding.get(index)) else {
            return;
        };
        let stampers = endpoint.stampers.unwrap_or(Stampers::KERNEL);
        let mut stamps = if endpoint.stampers.is_some() { outstanding.room() } else { 0 };
        for datagram in replies {
            datagram.control.clear();
            // Set only on sockets that are bound to all addresses.
            if let Some(info) = datagram.info {
                datagram.control.push_source(info, datagram.name.is_link_local());
            }
            let Some(reply) = &mut datagram.reply else { continue };
            reply.stamp_wanted = reply.token.is_some() && stamps > 0;
            if reply.stamp_wanted {
                stamps -= 1;
                datagram.control.push_stamp_wish(stampers.wish_like(datagram.stamp));
            }
        }
    }

    /// Sees to the tokens of replies that were sent, or refused.
    fn account(&mut self, index: usize, replies: &mut [&mut Datagram], sent: bool) {
        let mut now_ns = None;
        for reply in replies.iter_mut().filter_map(|datagram| datagram.reply.take()) {
            let Some(token) = reply.token else { continue };
            match self.outstanding.get_mut(index) {
                Some(outstanding) if sent && reply.stamp_wanted => {
                    outstanding.push(token, *now_ns.get_or_insert_with(calls::monotonic_raw_ns));
                }
                _ => self.answer(token, TxStamp::Lost),
            }
        }
    }

    /// Collects the stamps that have come and gives up those that have not come in time.
    fn collect(&mut self) {
        let mut now_ns = None;
        for index in 0..self.endpoints.len() {
            let Some(endpoint) = self.endpoints.get(index) else { return };
            let Some(outstanding) = self.outstanding.get(index) else { return };
            if outstanding.is_empty() && !endpoint.errors_waiting.swap(false, Ordering::Relaxed) {
                continue;
            }
            self.read_stamps(index);
            while let Some(outstanding) = self.outstanding.get_mut(index)
                && !outstanding.is_empty()
                && let Some(token) = outstanding.expired(*now_ns.get_or_insert_with(calls::monotonic_raw_ns))
            {
                self.answer(token, TxStamp::Lost);
            }
        }
    }

    /// Reads the error queue of one socket to its end, or as many notices as packets can wait.
    fn read_stamps(&mut self, index: usize) {
        let at_once = if self.mode == Mode::Single { 1 } else { BURST };
        for _ in 0..=TOKENS {
            let Self { endpoints, outstanding, notices, answered, .. } = self;
            let (Some(endpoint), Some(outstanding)) = (endpoints.get(index), outstanding.get_mut(index)) else {
                return;
            };
            let (Some(stampers), socket) = (endpoint.stampers, endpoint.socket.as_fd()) else { return };
            // Simulators that stand in for the kernel answer from the socket where the error queue is empty.
            if self.mode == Mode::Single && !has_notices(socket) {
                return;
            }
            let room = notices.get_mut(..at_once).unwrap_or_default();
            if outstanding.read(socket, self.mode, &stampers, room, |token, stamp| push(answered, token, stamp))
                < at_once
            {
                return;
            }
        }
    }

    /// Brings the kernel's numbers and ours together again: reads what has come, gives up the rest, and begins from 0.
    fn restart_numbers(&mut self, index: usize) {
        self.read_stamps(index);
        while let Some(token) = self.outstanding.get_mut(index).and_then(Outstanding::give_up) {
            self.answer(token, TxStamp::Lost);
        }
        let (Some(endpoint), Some(outstanding)) = (self.endpoints.get(index), self.outstanding.get_mut(index)) else {
            return;
        };
        outstanding.restart();
        let (Some(stampers), socket) = (endpoint.stampers, endpoint.socket.as_fd()) else { return };
        // Options that could be set once can be set again; where not, stamps find no token and the tokens expire.
        let _ = stampers.ask(socket, false).and_then(|()| stampers.ask(socket, true));
    }

    fn answer(&mut self, token: TxToken, stamp: TxStamp) {
        push(&mut self.answered, token, stamp);
    }
}

fn push(answered: &mut VecDeque<(TxToken, TxStamp)>, token: TxToken, stamp: TxStamp) {
    // There is always room where the caller polls after each burst; a token beyond is dropped, as documented.
    if answered.len() < answered.capacity() {
        answered.push_back((token, stamp));
    }
}

/// Whether something is on the error queue.
fn has_notices(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::readable(socket)];
    // It fails only for want of memory; then the notices wait.
    poll(&mut fds, Some(Duration::ZERO)).is_ok() && fds.iter().any(PollFd::has_error)
}

/// Whether this failure to send comes from the search for a route, before a packet is made and numbered.
pub(crate) fn is_before_numbering(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES))
}
