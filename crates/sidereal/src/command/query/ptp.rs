//! The masters that are heard on an interface, each asked how far it is: no clock is touched, and nobody is led.

use sidereal_cpu::LocalCounter;
use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_nic_kernel::{Beside, PtpSocket, Timestamping};
use sidereal_phc::SystemClock;
use sidereal_ptp::{
    ClockIdentity, DelayMechanism, MAX_MESSAGE_LEN, Observed, Observer, ObserverOptions, PortIdentity, SdoId, Transport,
};
use sidereal_time::{Arrived, Instant, LeapTable, LocalClock, Reading, Span, StampSource, Tai, TxStamp, TxToken, Utc};
use std::time::Duration;

use crate::command::Failure;
use crate::counter::{by_kernel, local_clock};

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The interface.
    pub(super) interface: String,
    /// What the masters speak over.
    pub(super) transport: Transport,
    /// Their domain; `None` for all.
    pub(super) domain: Option<u8>,
    /// Their sdoId.
    pub(super) sdo_id: SdoId,
    /// How their distance is measured.
    pub(super) delay_mechanism: DelayMechanism,
    /// Whether each is asked at its own address: nobody else on this host may then speak PTP there.
    pub(super) hybrid: bool,
    /// minorVersionPTP of the questions.
    pub(super) minor_version: u8,
    /// From one question to the next.
    pub(super) interval: Duration,
    /// How long is listened.
    pub(super) duration: Duration,
}

/// A master, and how far it is from the system clock of this host.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    /// What was observed.
    pub(super) observed: Observed,
    /// What its time is less that of the system clock: as TAI where its timescale is PTP, else as UTC. `None` where it did not
    /// answer.
    pub(super) offset: Option<Span>,
    /// How far that may be off, what the master's own time is off left aside.
    pub(super) bound: Option<Span>,
}

/// How often the system clock is looked at, to know how it ran.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How soon stamps are looked for while some are missing.
const STAMP_WAIT: Duration = Duration::from_millis(5);
/// Messages of one socket that are taken before the others' turn.
const MESSAGES_PER_TURN: usize = 64;

/// Listens and asks for as long as `question` says.
pub(super) fn observe(question: &Question, leap_table: &LeapTable) -> Result<Vec<Sighting>, Failure> {
    let mut observation = Observation::new(question)?;
    let end = std::time::Instant::now() + question.duration;
    while let Some(left) = end.checked_duration_since(std::time::Instant::now()) {
        observation.turn(left)?;
    }
    Ok(observation.sightings(leap_table))
}

/// An observation under way.
struct Observation {
    counter: LocalCounter,
    local: LocalClock,
    clock: SystemClock,
    socket: PtpSocket,
    observer: Observer,
    /// How the system clock ran.
    looks: Vec<Reading<Utc>>,
    looked: std::time::Instant,
}

impl Observation {
    fn new(question: &Question) -> Result<Self, Failure> {
        let beside = if question.hybrid { Beside::Nobody } else { Beside::Anybody };
        let socket = PtpSocket::open(&question.interface, question.transport, beside, Timestamping::Software)
            .map_err(|error| Failure::Failed(error.to_string()))?;
        let counter = LocalCounter::best();
        let (local, clock) = (local_clock(counter), SystemClock::new(counter));
        let options = ObserverOptions {
            identity: PortIdentity { clock: identity()?, number: 1 },
            domain: question.domain,
            sdo_id: question.sdo_id,
            delay_mechanism: question.delay_mechanism,
            hybrid: question.hybrid,
            minor_version: question.minor_version,
            interval: Span::from_nanos(i128::try_from(question.interval.as_nanos()).unwrap_or(i128::MAX)),
        };
        let observer = Observer::new(&options, counter.now(), &local);
        let looks = vec![clock.read()];
        Ok(Self { counter, local, clock, socket, observer, looks, looked: std::time::Instant::now() })
    }

    /// Asks whom it is time to ask, and takes what has come, within `left`.
    fn turn(&mut self, left: Duration) -> Result<(), Failure> {
        self.ask()?;
        let stamps = if self.socket.is_waiting() { STAMP_WAIT } else { Duration::MAX };
        let mut fds: Vec<PollFd<'_>> = self.socket.descriptors().map(PollFd::readable).collect();
        let at_most = left.min(stamps).min(LOOK_EVERY).min(self.until_asking());
        poll(&mut fds, Some(at_most)).map_err(|error| Failure::Failed(format!("cannot wait for messages: {error}")))?;
        let ready: Vec<(bool, bool)> = fds.iter().map(|fd| (fd.has_error(), fd.is_readable())).collect();
        for (place, (has_error, is_readable)) in ready.into_iter().enumerate() {
            if has_error {
                self.socket.read_notice(place);
            }
            if is_readable {
                self.receive(place)?;
            }
        }
        self.take_stamps();
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = std::time::Instant::now();
            self.looks.push(self.clock.read());
        }
        Ok(())
    }

    fn ask(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; MAX_MESSAGE_LEN];
        while let Some(transmit) = self.observer.poll_transmit(self.counter.now(), &self.local, &mut buffer) {
            let message = buffer.get(..transmit.len).unwrap_or_default();
            let token = TxToken::new(transmit.sequence.into());
            self.socket
                .send(transmit.class, transmit.to, message, Some(token))
                .map_err(|error| Failure::Failed(format!("cannot ask: {error}")))?;
        }
        Ok(())
    }

    fn until_asking(&self) -> Duration {
        let Some(next) = self.observer.poll_timeout() else { return Duration::MAX };
        let left = self.local.passed(self.counter.now(), next).max(Span::ZERO);
        Duration::from_nanos(u64::try_from(left.as_nanos_rounded()).unwrap_or(u64::MAX))
    }

    fn receive(&mut self, place: usize) -> Result<(), Failure> {
        let mut buffer = [0; MAX_MESSAGE_LEN];
        for _ in 0..MESSAGES_PER_TURN {
            let received = self.socket.receive(place, &mut buffer);
            let received = received.map_err(|error| Failure::Failed(format!("cannot listen: {error}")))?;
            let Some(received) = received else { break };
            let now = self.counter.now();
            let located = received.stamp.and_then(|stamp| by_kernel(&mut self.clock, stamp));
            let arrival = located.unwrap_or(Arrived { ticks: now, source: StampSource::Software });
            // What is cut is no message, which is counted.
            let message = buffer.get(..received.len).unwrap_or(&buffer);
            self.observer.receive(message, Some(received.from), Some(arrival), now, &self.local);
        }
        Ok(())
    }

    fn take_stamps(&mut self) {
        while let Some((token, stamp)) = self.socket.poll_stamp() {
            let left = match stamp {
                TxStamp::Stamped(stamp) => by_kernel(&mut self.clock, stamp),
                TxStamp::Lost => None,
            };
            let sequence = u32::try_from(token.redeem()).unwrap_or_default();
            self.observer.transmitted(sequence, left, &self.local);
        }
    }

    fn sightings(mut self, leap_table: &LeapTable) -> Vec<Sighting> {
        self.looks.push(self.clock.read());
        self.observer.masters().map(|observed| self.sighting(observed, leap_table)).collect()
    }

    fn sighting(&self, observed: Observed, leap_table: &LeapTable) -> Sighting {
        let compared = observed.best.and_then(|best| {
            let (utc, error) = system_at(&self.looks, &best, &self.local)?;
            let is_tai = observed.time_properties.is_some_and(|properties| properties.ptp_timescale);
            // A timescale of the master's own has no epoch that we know; where it is a host's clock, it is that of UTC.
            let ours = if is_tai { leap_table.utc_to_tai(utc) } else { Instant::<Tai>::EPOCH + (utc - Instant::EPOCH) };
            Some((best.at() - ours, best.error() + observed.dispersion + error))
        });
        Sighting { observed, offset: compared.map(|(offset, _)| offset), bound: compared.map(|(_, bound)| bound) }
    }
}

/// What the system clock showed when the counter stood where `reading` has it, and how far that may be off: told between the
/// two looks at it that are the nearest, at the rate that it ran at between them.
fn system_at(looks: &[Reading<Utc>], reading: &Reading<Tai>, local: &LocalClock) -> Option<(Instant<Utc>, Span)> {
    let is_before = |look: &Reading<Utc>| !local.passed(look.ticks(), reading.ticks()).is_negative();
    let last = looks.len().checked_sub(1).filter(|last| *last > 0)?;
    let place = looks.partition_point(is_before).clamp(1, last);
    let (before, after) = (looks.get(place - 1)?, looks.get(place)?);
    let whole = local.passed(before.ticks(), after.ticks()).as_secs_f64();
    let part = local.passed(before.ticks(), reading.ticks()).as_secs_f64();
    if whole <= 0.0 {
        return None;
    }
    let passed = Span::from_secs_f64((after.at() - before.at()).as_secs_f64() * part / whole);
    Some((before.at() + passed, before.error().max(after.error())))
}

/// One that nobody else has: drawn at random, and said to be none of a manufacturer's (IEEE 802c).
fn identity() -> Result<ClockIdentity, Failure> {
    let random = getrandom::u64().map_err(|error| Failure::Failed(format!("no random numbers: {error}")))?;
    let mut identity = random.to_be_bytes();
    identity[0] = identity[0] & !0x03 | 0x02;
    Ok(ClockIdentity(identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_time::{Counter, Rate, Ticks};

    #[test]
    fn the_system_clock_is_told_between_two_looks() {
        let local = LocalClock { counter: Counter::Tsc, width: 64, rate: Rate::NANOSECOND, precision: -20 };
        let utc = |nanos: i128| Instant::<Utc>::from_secs(1_800_000_000) + Span::from_nanos(nanos);
        let look = |ticks: u64, at: i128, window: i128| Reading::new(Ticks(ticks), utc(at), Span::from_nanos(window));
        // It runs 10 % fast from 1000 to 2000, and 10 % slow from there to 3000.
        let looks = [look(1000, 0, 40), look(2000, 1100, 60), look(3000, 2000, 20)];
        let told = |ticks| {
            let reading = Reading::new(Ticks(ticks), Instant::<Tai>::EPOCH, Span::ZERO);
            let (at, error) = system_at(&looks, &reading, &local).unwrap();
            ((at - utc(0)).as_nanos_rounded(), error.as_nanos_rounded())
        };
        assert_eq!(told(1500), (550, 30));
        assert_eq!(told(2000), (1100, 30));
        assert_eq!(told(2500), (1550, 30));
        assert_eq!(told(3500), (2450, 30), "after the last look as between the last two");
        assert_eq!(told(900), (-110, 30));
        let one = looks.get(..1).unwrap();
        assert!(system_at(one, &Reading::new(Ticks(0), Instant::<Tai>::EPOCH, Span::ZERO), &local).is_none());
    }
}
