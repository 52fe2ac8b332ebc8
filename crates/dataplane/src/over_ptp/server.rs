//! NTP over PTP answered for whoever holds the sockets of PTP: a worker without a queue.

use core::net::IpAddr;
use sidereal_cpu::LocalCounter;
use sidereal_engine::SmearKind;
use sidereal_ntp::{Arrival, Moment, Policy, Server};
use sidereal_publish::TableReader;
use sidereal_time::{Arrived, NtpShort, StampSource, TxToken};
use std::sync::Arc;

use super::{CarriedArrival, OverPtp};
use crate::worker::Clock;
use crate::{Count, DropReason, SnapshotReader, Terms, Verdict, WorkerCounters};

/// Answers the NTP requests among PTP messages, with a server's state of its own.
#[derive(Debug)]
pub struct OverPtpServer {
    over_ptp: OverPtp,
    server: Server,
    clock: Clock,
    policy: TableReader<Policy>,
    counter: LocalCounter,
    counters: Arc<WorkerCounters>,
}

/// What such a server is made of.
#[derive(Debug)]
pub struct OverPtpParts {
    /// How requests are carried.
    pub over_ptp: OverPtp,
    /// Who answers.
    pub server: Server,
    /// How leap seconds are smeared on its port.
    pub smear: Option<SmearKind>,
    /// What the engine publishes.
    pub snapshot: SnapshotReader,
    /// Access, keys and limits.
    pub policy: TableReader<Policy>,
    /// The counter of the snapshot's `local` model.
    pub counter: LocalCounter,
    /// Where it counts; nobody else may.
    pub counters: Arc<WorkerCounters>,
}

/// What became of a message that carried NTP.
#[derive(Debug)]
pub enum Carried {
    /// The buffer now holds the reply in its first `len` bytes: send it to whom it came from.
    Reply {
        /// Its length.
        len: usize,
        /// Asks for its TX stamp.
        token: Option<TxToken>,
    },
    /// It is not answered, and that is counted.
    Dropped,
}

impl OverPtpServer {
    /// A server of these parts. This is where its memory is allocated.
    #[must_use]
    pub fn new(parts: OverPtpParts) -> Self {
        let OverPtpParts { over_ptp, server, smear, snapshot, policy, counter, counters } = parts;
        Self { over_ptp, server, clock: Clock::new(snapshot, smear), policy, counter, counters }
    }

    /// Answers the PTP message in `buffer[..len]`, which came from `client` in a frame of `frame_len` bytes. `None` of a message
    /// that carries no NTP: it is PTP's own, and not changed.
    pub fn answer(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        client: IpAddr,
        arrived: Arrived,
        frame_len: usize,
    ) -> Option<Carried> {
        let now = self.counter.now();
        // T3 is now, and never too late.
        if self.clock.refresh(now, NtpShort::default()) {
            self.counters.add(Count::StaleBursts, 1);
        }
        let arrival = Arrival { client, receive: self.clock.local(arrived.ticks), ticks: now };
        let came = CarriedArrival { arrival, source: Some(arrived.source), frame_len };
        let moment = Moment { header: self.clock.header, transmit: self.clock.local(now) };
        let terms = Terms { now, moment, policy: self.policy.current() };
        let verdict = self.over_ptp.message(buffer, len, &came, &mut self.server, &terms)?;
        self.counters.add(Count::Received, 1);
        Some(match verdict {
            Verdict::Reply { len, kind, token } => {
                self.counters.replied(kind);
                self.counters.add(Count::RepliesOverPtp, 1);
                Carried::Reply { len, token }
            }
            Verdict::Drop(reason) => {
                self.counters.dropped(reason);
                Carried::Dropped
            }
            // An answer to nobody: our own associations have sockets of their own, which hear it before this.
            Verdict::Kernel => {
                self.counters.dropped(DropReason::Ntp(sidereal_ntp::DropReason::Response));
                Carried::Dropped
            }
        })
    }

    /// A reply was sent, or could not be.
    pub fn sent(&self, is_sent: bool) {
        self.counters.add(if is_sent { Count::Sent } else { Count::Refused }, 1);
    }

    /// What became of the TX stamp of an earlier reply: when it left, `None` where nobody knows.
    pub fn transmitted(&mut self, token: TxToken, left: Option<Arrived>) {
        // Without a stamp of the packet itself it is no truer than what the reply said.
        let left = left.filter(|left| left.source > StampSource::Software);
        self.counters.add(if left.is_some() { Count::StampsTaken } else { Count::StampsLost }, 1);
        self.server.transmitted(token, left.map(|left| self.clock.local(left.ticks)));
    }
}
