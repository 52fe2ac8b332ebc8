//! The thread that asks the servers of one family and hears their answers.

use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_nic_kernel::{OpenError, UnconnectedSocket};
use sidereal_offsets::{Record, Recorder};
use sidereal_time::{Counter, Instant, Stamp, StampSource, TxStamp, TxToken, Utc};

use super::fleet::{Arrival, Fleet};

/// Datagrams received, and requests sent, before the other has its turn.
const BURST: usize = 64;
/// Room for a header, and extension fields that a server might add.
const REPLY_MAX: usize = 1024;
/// The longest wait, so that a stop is soon heard.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Likewise while stamps are awaited.
const STAMP_WAIT: Duration = Duration::from_millis(10);

/// A fleet, its socket, and the ring that records go to.
pub(super) struct Poller {
    pub(super) fleet: Fleet,
    socket: UnconnectedSocket,
    recorder: Recorder,
}

/// What is left when all has been asked.
pub(super) struct Polled {
    pub(super) fleet: Fleet,
    /// Datagrams that the kernel dropped.
    pub(super) missed: u64,
}

impl Poller {
    /// For servers of the family of `peer`.
    pub(super) fn open(fleet: Fleet, peer: IpAddr, recorder: Recorder) -> Result<Self, OpenError> {
        Ok(Self { fleet, socket: UnconnectedSocket::open(peer)?, recorder })
    }

    /// Asks and hears until all is done, or `stop` is set. Requests are counted in `sent` as they leave; `started` is where the
    /// fleet's clock was 0.
    pub(super) fn run(mut self, started: std::time::Instant, stop: &AtomicBool, sent: &AtomicU64) -> Polled {
        let now_ns = || u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        while !self.fleet.is_done(now_ns()) {
            if stop.load(Ordering::Relaxed) {
                self.fleet.stop();
            }
            self.send(now_ns(), sent);
            self.wait(now_ns());
            self.take_stamps();
            self.receive(now_ns());
        }
        // What is answered and has no stamp of its request yet has it soon, or never.
        while self.socket.is_waiting() {
            self.wait(now_ns());
            self.take_stamps();
        }
        Polled { fleet: self.fleet, missed: self.socket.missed() }
    }

    fn send(&mut self, now_ns: u64, sent: &AtomicU64) {
        for _ in 0..BURST {
            let Some(ask) = self.fleet.request(now_ns, now()) else { return };
            match self.socket.send(ask.to, &ask.message, Some(TxToken::new(ask.token))) {
                Ok(()) => {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => self.fleet.unsent(ask.token),
            }
        }
    }

    fn wait(&self, now_ns: u64) {
        let longest = if self.socket.is_waiting() { STAMP_WAIT } else { LONGEST_WAIT };
        let wait = Duration::from_nanos(self.fleet.until_due_ns(now_ns)).min(longest);
        // It fails only for want of memory; then nothing was waited for.
        let _ = poll(&mut [PollFd::readable(self.socket.as_fd())], Some(wait));
    }

    fn take_stamps(&mut self) {
        self.socket.read_notices();
        while let Some((token, stamp)) = self.socket.poll_stamp() {
            let stamp = match stamp {
                TxStamp::Stamped(stamp) => instant(stamp),
                TxStamp::Lost => None,
            };
            let record = self.fleet.departed(token.redeem(), stamp);
            self.record(record);
        }
    }

    fn receive(&mut self, now_ns: u64) {
        let mut buffer = [0; REPLY_MAX];
        for _ in 0..BURST {
            // An error is told once; the next call receives again.
            let Ok(Some(received)) = self.socket.receive(&mut buffer) else { return };
            let arrival = received.stamp.and_then(instant).unwrap_or_else(|| (now(), StampSource::Software));
            let message = buffer.get(..received.len).unwrap_or(&buffer);
            let (_, record) = self.fleet.receive(received.from, message, arrival, now_ns);
            self.record(record);
        }
    }

    fn record(&mut self, record: Option<Record>) {
        if let Some(record) = record {
            self.recorder.record(record);
        }
    }
}

/// The system clock.
fn now() -> Instant<Utc> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::from_nanos(i128::try_from(since_epoch.as_nanos()).unwrap_or_default())
}

/// The instant of a stamp of the kernel, which counts nanoseconds of CLOCK_REALTIME.
fn instant(stamp: Stamp) -> Option<Arrival> {
    (stamp.counter == Counter::Realtime).then(|| (Instant::from_nanos(stamp.ticks.0.into()), stamp.source))
}
