//! One worker: one queue pair, turn by turn.

use arrayvec::ArrayVec;
use sidereal_cpu::LocalCounter;
use sidereal_engine::{SNAPSHOT_WORDS, SmearKind, SmearedClock, Snapshot};
use sidereal_nic::{BURST, Burst, Content, Packet, RxQueue, TxQueue};
use sidereal_ntp::{LeapIndicator, Moment, Policy, ReplyHeader, SystemVariables};
use sidereal_publish::{SeqlockReader, TableReader};
use sidereal_time::{
    Counter, NtpClock, NtpShort, NtpTimestamp, Rate, Span, Stamp, StampSource, Ticks, TxStamp, TxToken,
};
use std::sync::Arc;

use crate::limits::{FRAME_MAX, PTP_SENT_PER_TURN, SNAPSHOT_STALE_S, STAMPS_PER_TURN};
use crate::nic_clock::locate;
use crate::ptp::is_ptp;
use crate::transmit::{Held, Sampling, Transmitter, TxOptions};
use crate::{
    Count, Judge, PtpTime, Residence, Terms, Verdict, WorkerCounters, WorkerLink, WorkerNicClock, WorkerPtp, frame_len,
};

/// Answers what one queue brings.
#[derive(Debug)]
pub struct Worker<R: RxQueue, T: TxQueue<R::Packet>, C: TickSource = LocalCounter> {
    rx: R,
    tx: T,
    burst: Burst<R::Packet>,
    counter: C,
    clock: Clock,
    transmitter: Transmitter,
    policy: TableReader<Policy>,
    judge: Judge,
    counters: Arc<WorkerCounters>,
    residence: Residence,
    link: Option<WorkerLink>,
    ptp: Option<WorkerPtp>,
    nic_clock: Option<WorkerNicClock>,
    frame: Box<[u8; FRAME_MAX]>,
}

/// What a worker is made of.
#[derive(Debug)]
pub struct Parts<R, T, C = LocalCounter> {
    /// Where packets come from.
    pub rx: R,
    /// Where replies go.
    pub tx: T,
    /// The counter that is read once per burst; the snapshot's `local` model must be of this counter.
    pub counter: C,
    /// How the T3 of replies is found.
    pub transmit: TxOptions,
    /// What the engine publishes.
    pub snapshot: SnapshotReader,
    /// Access, keys and limits.
    pub policy: TableReader<Policy>,
    /// Who answers.
    pub judge: Judge,
    /// Where the worker counts.
    pub counters: Arc<WorkerCounters>,
    /// Where it records how long requests stay.
    pub residence: Residence,
    /// Its link to the exception path; without one, packets that are not ours are dropped and counted.
    pub link: Option<WorkerLink>,
    /// Its link to the engine, where its port carries PTP.
    pub ptp: Option<WorkerPtp>,
    /// The clock of its port, where this is the worker of the first queue.
    pub nic_clock: Option<WorkerNicClock>,
}

/// The reader of the engine's snapshot.
pub type SnapshotReader = SeqlockReader<Snapshot, SNAPSHOT_WORDS>;

/// The counter that a worker tells the time between packets by.
pub trait TickSource {
    /// Its value.
    fn now(&self) -> Ticks;
}

impl TickSource for LocalCounter {
    #[inline]
    fn now(&self) -> Ticks {
        Self::now(*self)
    }
}

impl<R: RxQueue, T: TxQueue<R::Packet>, C: TickSource> Worker<R, T, C> {
    /// A worker of these parts. This is where its memory is allocated.
    #[must_use]
    pub fn new(parts: Parts<R, T, C>) -> Self {
        Self {
            rx: parts.rx,
            tx: parts.tx,
            burst: Burst::new(),
            counter: parts.counter,
            clock: Clock::new(parts.snapshot, parts.judge.smear()),
            transmitter: Transmitter::new(parts.transmit),
            policy: parts.policy,
            judge: parts.judge,
            counters: parts.counters,
            residence: parts.residence,
            link: parts.link,
            ptp: parts.ptp,
            nic_clock: parts.nic_clock,
            frame: Box::new([0; FRAME_MAX]),
        }
    }

    /// Where its packets come from: for a thread that waits for several queues at once.
    #[must_use]
    pub const fn rx(&self) -> &R {
        &self.rx
    }

    /// Takes one burst and answers it, sends what the engine and the kernel want sent, and takes back TX stamps. Returns how many
    /// packets were moved: 0 says that there was nothing to do.
    pub fn turn(&mut self) -> usize {
        let received = self.rx.receive(&mut self.burst);
        if received > 0 {
            self.answer(received);
        }
        let originated = self.send_for_engine() + self.send_for_kernel();
        self.take_stamps();
        if let Some(nic_clock) = &mut self.nic_clock {
            nic_clock.serve(received == 0, self.clock.rate(), || self.counter.now());
        }
        if self.residence.exchange() {
            // Somebody reads the statistics: the time to ask for what may cost a system call.
            self.counters.set(Count::Missed, self.rx.missed());
        }
        received + originated
    }

    /// Waits for packets, `at_most` this long: for workers that may sleep.
    pub fn wait(&mut self, at_most: core::time::Duration) {
        self.rx.wait(at_most);
    }

    fn answer(&mut self, received: usize) {
        let now = self.counter.now();
        if self.clock.refresh(now, self.transmitter.spread()) {
            self.counters.add(Count::StaleBursts, 1);
        }
        let found = self.clock.found;
        let rate = self.clock.rate();
        let held = self.transmitter.plan(now, received, rate).and_then(|held| self.clock.hold(&held));
        if let Some((until, _)) = held {
            self.transmitter.hold(until);
        }
        let mut leave_at = held.map(|(_, by_nic)| by_nic);
        let mut departures = self.transmitter.departures(&self.clock.local, received);
        let moment = Moment { header: self.clock.header, transmit: departures.next() };
        let mut terms = Terms { now, moment, policy: self.policy.current() };
        let at = (now, rate);
        let mut ptp = self.ptp.as_mut().map(|ptp| ptp.for_burst(at, self.clock.ptp(now), &self.counters));
        let mut stays = Stays::default();

        for packet in &mut self.burst {
            let by_port = packet.stamp();
            let stamp = by_port.and_then(|stamp| self.clock.read(stamp, || now, &self.counters));
            let receive = stamp.unwrap_or(found);
            let source = by_port.filter(|_| stamp.is_some()).map(|stamp| stamp.source);
            let carried = match packet.content() {
                Content::Frame { buffer, len, checksums } => {
                    self.judge.over_ptp(buffer, len, checksums, (receive, source), &terms)
                }
                Content::Datagram { .. } => None,
            };
            if carried.is_none()
                && let Some(ptp) = &mut ptp
                && let Content::Frame { buffer, len, checksums } = packet.content()
                && let Some(dealt) = ptp.deal(buffer, len, checksums, by_port)
            {
                if let Some(len) = dealt {
                    departures.reply(len, None);
                    if let Some(at) = leave_at.take() {
                        packet.leave_at(at);
                    }
                    packet.reply(len, None);
                    stays.note(stamp);
                    terms.moment.transmit = departures.next();
                } else {
                    departures.passed();
                }
                continue;
            }
            if matches!(carried, Some(Verdict::Reply { .. })) {
                self.counters.add(Count::RepliesOverPtp, 1);
            }
            // A NIC stamps the beginning of a packet, and NTP wants its end (RFC 10030 §2).
            let by_nic = matches!(source, Some(StampSource::Hardware | StampSource::Latch));
            let arrived = |len| if by_nic { departures.arrived(receive, len) } else { receive };
            let verdict = match packet.content() {
                Content::Frame { buffer, len, checksums } => {
                    let verdict =
                        carried.unwrap_or_else(|| self.judge.frame(buffer, len, checksums, arrived(len), &terms));
                    if matches!(verdict, Verdict::Kernel) {
                        let sent = match (&mut self.link, buffer.get(..len)) {
                            (Some(link), Some(frame)) => link.to_kernel.push(frame),
                            _ => false,
                        };
                        self.counters.add(if sent { Count::ToKernel } else { Count::KernelRingFull }, 1);
                    }
                    verdict
                }
                Content::Datagram { buffer, len, flow } => {
                    self.judge.datagram(buffer, len, &flow, arrived(frame_len(flow.source, len)), &terms)
                }
            };
            match verdict {
                Verdict::Reply { len, kind, token } => {
                    self.counters.replied(kind);
                    let key = token.map(TxToken::redeem);
                    departures.reply(len, key);
                    if let Some(at) = leave_at.take() {
                        packet.leave_at(at);
                    }
                    packet.reply(len, key.map(TxToken::new));
                    stays.note(stamp);
                    terms.moment.transmit = departures.next();
                }
                Verdict::Kernel => departures.passed(),
                Verdict::Drop(reason) => {
                    departures.passed();
                    self.counters.dropped(reason);
                }
            }
        }

        if let Some(Sampling { packet, len, token }) = self.transmitter.sampling(&mut departures)
            && let Some(packet) = self.burst.get_mut(packet)
        {
            packet.reply(len, Some(token));
        }
        let leaving = self.counter.now();
        if !self.transmitter.handed_over(leaving, received, &departures) {
            self.counters.add(Count::T3Missed, 1);
        }
        let sent = self.tx.transmit(&mut self.burst);
        self.counters.add(Count::Received, received as u64);
        self.counters.add(Count::Bursts, 1);
        self.counters.add(Count::Sent, sent.sent as u64);
        self.counters.add(Count::Refused, sent.refused as u64);
        if stays.unstamped > 0 {
            self.residence.record(self.clock.nanos(now, leaving), stays.unstamped);
        }
        if !stays.stamped.is_empty() {
            let leaving = self.clock.local(leaving);
            for receive in stays.stamped {
                self.residence.record(nanos_between(receive, leaving), 1);
            }
        }
    }

    /// Sends what the engine wants sent, a few frames in one turn.
    fn send_for_engine(&mut self) -> usize {
        let Some(ptp) = &mut self.ptp else { return 0 };
        let mut sent = 0;
        while sent < PTP_SENT_PER_TURN {
            let transmitter = &mut self.transmitter;
            let Some(taken) = ptp.send_next(|frame, token| {
                transmitter.originated(frame.len(), token.is_some());
                self.tx.originate(frame, token)
            }) else {
                break;
            };
            self.counters.add(if taken { Count::FromEngine } else { Count::Refused }, 1);
            sent += 1;
        }
        sent
    }

    /// Sends what the kernel wants sent, at most a burst in one turn.
    fn send_for_kernel(&mut self) -> usize {
        let Some(link) = &mut self.link else { return 0 };
        let mut sent = 0;
        while sent < BURST {
            let Some(len) = link.from_kernel.pop(&mut self.frame[..]) else { break };
            self.transmitter.originated(len, false);
            if self.tx.originate(self.frame.get(..len).unwrap_or_default(), None) {
                self.counters.add(Count::FromKernel, 1);
            } else {
                self.counters.add(Count::Refused, 1);
            }
            sent += 1;
        }
        sent
    }

    fn take_stamps(&mut self) {
        for _ in 0..STAMPS_PER_TURN {
            let Some((token, stamp)) = self.tx.poll_stamp() else { break };
            let stamp = match stamp {
                TxStamp::Stamped(stamp) => Some(stamp),
                TxStamp::Lost => None,
            };
            let key = token.redeem();
            let known = match &mut self.ptp {
                Some(ptp) if is_ptp(key) => {
                    self.transmitter.returned();
                    ptp.stamped(key, stamp);
                    stamp.is_some()
                }
                _ => {
                    let at = stamp.and_then(|stamp| self.clock.read(stamp, || self.counter.now(), &self.counters));
                    // The kernel's stamps show when a driver took a packet, not when it left.
                    let is_of_nic = |stamp: Stamp| matches!(stamp.source, StampSource::Latch | StampSource::Hardware);
                    let passed = at.filter(|_| stamp.is_some_and(is_of_nic));
                    self.transmitter.stamped(key, passed, &self.clock.local, &self.counters);
                    if Transmitter::is_own(key) {
                        continue;
                    }
                    self.judge.server().transmitted(TxToken::new(key), at);
                    at.is_some()
                }
            };
            self.counters.add(if known { Count::StampsTaken } else { Count::StampsLost }, 1);
        }
    }
}

/// When the requests of a burst that are answered arrived.
#[derive(Debug, Default)]
struct Stays {
    stamped: ArrayVec<NtpTimestamp, BURST>,
    unstamped: u64,
}

impl Stays {
    fn note(&mut self, stamp: Option<NtpTimestamp>) {
        match stamp {
            // One place per packet of the burst: there is room.
            Some(receive) => {
                let _ = self.stamped.try_push(receive);
            }
            None => self.unstamped += 1,
        }
    }
}

/// What a worker knows of the time: the last snapshot, and what its port makes of it.
#[derive(Debug)]
pub(crate) struct Clock {
    reader: SnapshotReader,
    smear: Option<SmearKind>,
    is_stale: bool,
    /// How much too late T3 may be told: part of the root dispersion.
    spread: NtpShort,
    /// What all replies have in common.
    pub(crate) header: ReplyHeader,
    local: NtpClock,
    realtime: NtpClock,
    /// When the last burst was found.
    found: NtpTimestamp,
}

impl Clock {
    pub(crate) fn new(reader: SnapshotReader, smear: Option<SmearKind>) -> Self {
        let snapshot = *reader.get();
        let header = ReplyHeader::new(&snapshot.system);
        let (local, realtime) = (snapshot.local_ntp, snapshot.realtime_ntp);
        let found = NtpTimestamp::UNKNOWN;
        let spread = NtpShort::default();
        let mut clock = Self { reader, smear, is_stale: false, spread, header, local, realtime, found };
        clock.adopt();
        clock
    }

    /// Looks for a newer snapshot, as a burst is found at `now`, and takes over how much too late T3 may be told. Returns whether the one at hand is too old to be believed.
    pub(crate) fn refresh(&mut self, now: Ticks, spread: NtpShort) -> bool {
        let changed = self.reader.refresh();
        let local = &self.reader.get().local;
        let age = local.rate.span(local.elapsed(now));
        let is_stale = age > Span::from_secs(SNAPSHOT_STALE_S);
        if changed || is_stale != self.is_stale || spread != self.spread {
            (self.is_stale, self.spread) = (is_stale, spread);
            self.adopt();
        }
        self.found = self.local(now);
        is_stale
    }

    /// Takes from the snapshot what this port tells.
    fn adopt(&mut self) {
        let snapshot = self.reader.get();
        let mut system = if self.is_stale { SystemVariables::UNSYNCHRONISED } else { snapshot.system };
        (self.local, self.realtime) = (snapshot.local_ntp, snapshot.realtime_ntp);
        if let Some(kind) = self.smear {
            let smeared = snapshot.smeared.of(kind);
            (self.local, self.realtime) = (smeared.local, smeared.realtime);
            if matches!(system.leap, LeapIndicator::Insert | LeapIndicator::Delete) {
                // Who is told of a leap second would make it once more.
                system.leap = LeapIndicator::None;
            }
            if !system.reference_time.is_unknown() {
                system.reference_time = smeared.reference_time;
            }
        }
        let dispersion = system.root_dispersion.to_bits().saturating_add(self.spread.to_bits());
        system.root_dispersion = NtpShort::from_bits(dispersion);
        self.header = ReplyHeader::new(&system);
    }

    /// When a NIC that sends on time can send a burst that shall leave so, by the local counter and by the NIC's clock; `None`
    /// where nothing is known of that.
    fn hold(&self, held: &Held) -> Option<(Ticks, Ticks)> {
        let local = &self.reader.get().local;
        let at = Ticks(held.earliest.0.checked_next_multiple_of(held.granularity)?);
        (held.counter == local.counter).then_some((at, at))
    }

    #[inline]
    pub(crate) fn local(&self, ticks: Ticks) -> NtpTimestamp {
        self.local.at(ticks)
    }

    /// The time of a stamp, of this burst or the one before, where the local counter stands at `now`; `None` for one of a counter
    /// that no model is known of, and for one of a NIC that is not believed, which is counted.
    fn read(&self, stamp: Stamp, now: impl FnOnce() -> Ticks, counters: &WorkerCounters) -> Option<NtpTimestamp> {
        match stamp.counter {
            Counter::Nic(clock) => match locate(&self.reader.get().nics, clock, stamp.ticks, now()) {
                Ok(ticks) => Some(self.local.at(ticks)),
                Err(fault) => {
                    counters.add(Count::of_fault(fault), 1);
                    None
                }
            },
            Counter::Realtime => {
                let at = self.realtime.at(stamp.ticks);
                Some(if self.smear.is_some() { SmearedClock::seen_by(self.found, at) } else { at })
            }
            counter if counter == self.reader.get().local.counter => Some(self.local.at(stamp.ticks)),
            _ => None,
        }
    }

    /// What PTP is told, as a burst is found at `now`; `None` where the snapshot is too old.
    fn ptp(&self, now: Ticks) -> Option<PtpTime<'_>> {
        let Snapshot { local, local_ntp, realtime_ntp, nics, .. } = self.reader.get();
        (!self.is_stale).then_some(PtpTime { local, local_ntp, realtime_ntp, nics, now })
    }

    /// How long a tick of the local counter is.
    fn rate(&self) -> Rate {
        self.reader.get().local.rate
    }

    fn nanos(&self, from: Ticks, to: Ticks) -> u64 {
        nanos_between(self.local(from), self.local(to))
    }
}

/// Nanoseconds from one timestamp to a later one, zero if it is not later.
fn nanos_between(from: NtpTimestamp, to: NtpTimestamp) -> u64 {
    let difference = to.to_bits().wrapping_sub(from.to_bits());
    if difference.cast_signed() < 0 {
        return 0;
    }
    // Half of 2^32 seconds in nanoseconds fit 64 bits.
    u64::try_from((u128::from(difference) * 1_000_000_000) >> 32).unwrap_or(u64::MAX)
}
