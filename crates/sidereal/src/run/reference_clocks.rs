//! Clocks that are wired to this host: opened, read in time, and opened again when they are back.

use sidereal_cpu::LocalCounter;
use sidereal_engine::{ClockReading, Event, SourceId, SourceStatus};
use sidereal_ntp::LeapIndicator;
use sidereal_phc::{
    Access, ClockError, Edges, PinFunction, Pps, PpsEdge, PtpClock, ReferenceSample, ShmSegment, SockReference,
    SystemClock,
};
use sidereal_time::{Reading, Span, Tai, Ticks};
use std::error::Error;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use tracing::{info, warn};

use super::waiting::Ready;
use crate::config::{Config, Driver, ReferenceClock};

/// How often what only tells its latest value is looked at: pulses and samples come once a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The shortest time between two readings of a clock that can be read at any time.
const READ_MIN: Duration = Duration::from_nanos(62_500_000);
/// How soon a device that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Samples and pulses that are taken of one clock before the others' turn.
const SAMPLES_PER_TURN: usize = 16;

/// All of them.
#[derive(Debug)]
pub(super) struct ReferenceClocks {
    counter: LocalCounter,
    wires: Vec<Wire>,
}

/// One of them.
#[derive(Debug)]
struct Wire {
    name: String,
    driver: Driver,
    period: Duration,
    /// What the engine calls it, once it is known.
    source: Option<SourceId>,
    device: Option<Device>,
    /// When it is looked at next, or opened again.
    next: Instant,
    /// Whether it failed when it was last used: said once.
    failed: bool,
}

#[derive(Debug)]
enum Device {
    Pps(Pps),
    Shm(ShmSegment),
    Sock(SockReference),
    Ptp(Box<PtpClock>),
    Edges(Box<PtpClock>, u32),
}

/// What a clock showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sample {
    Time(ClockReading, LeapIndicator),
    Pulse(Ticks, Span),
}

impl ReferenceClocks {
    /// Those of `config`; they are opened at the first turn.
    pub(super) fn new(counter: LocalCounter, config: &Config) -> Self {
        let now = Instant::now();
        Self { counter, wires: config.reference_clocks.iter().map(|clock| Wire::new(clock, now)).collect() }
    }

    /// Learns what the engine calls them. No two sources have one name.
    pub(super) fn identify(&mut self, sources: &[SourceStatus]) {
        for wire in &mut self.wires {
            wire.source = sources.iter().find(|source| source.name == wire.name).map(|source| source.id);
        }
    }

    /// What to wait for, in the order that [`Self::turn`] wants.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.wires.iter().filter_map(Wire::descriptor)
    }

    /// How long nothing needs to be done here unless a descriptor is ready.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        self.wires.iter().map(|wire| wire.next.saturating_duration_since(now)).min().unwrap_or(Duration::MAX)
    }

    /// What the clocks have shown, of those that are `ready` (in the order of [`Self::descriptors`]) or whose time has come.
    pub(super) fn turn(&mut self, ready: &[Ready], system: &mut SystemClock, now: Instant) -> Vec<Event<'static>> {
        let mut ready = ready.iter();
        let mut events = Vec::new();
        for wire in &mut self.wires {
            let is_ready = wire.descriptor().is_some() && ready.next().is_some_and(|ready| ready.any());
            if !is_ready && now < wire.next {
                continue;
            }
            wire.next = now + wire.period;
            let samples = wire.samples(self.counter, system, now);
            let Some(source) = wire.source else { continue };
            events.extend(samples.into_iter().map(|sample| match sample {
                Sample::Time(reading, leap) => Event::Sampled { source, reading, leap },
                Sample::Pulse(ticks, window) => Event::Pulse { source, ticks, window },
            }));
        }
        events
    }
}

impl Wire {
    fn new(clock: &ReferenceClock, now: Instant) -> Self {
        let period = match clock.driver {
            Driver::Ptp(_) => {
                let poll = Duration::try_from_secs_f64(f64::from(clock.poll.get()).exp2()).unwrap_or(LOOK_EVERY);
                let readings = u32::try_from(clock.filter_length.max(1)).unwrap_or(u32::MAX);
                (poll / readings).clamp(READ_MIN, Duration::from_secs(1))
            }
            _ => LOOK_EVERY,
        };
        Self {
            name: clock.name.to_string(),
            driver: clock.driver.clone(),
            period,
            source: None,
            device: None,
            next: now,
            failed: false,
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.device {
            Some(Device::Sock(sock)) => Some(sock.as_fd()),
            _ => None,
        }
    }

    /// What it has shown since the last turn. One that fails is given up, said to be, and opened again later.
    fn samples(&mut self, counter: LocalCounter, system: &mut SystemClock, now: Instant) -> Vec<Sample> {
        let mut samples = Vec::new();
        let outcome = match &mut self.device {
            Some(device) => device.take(system, &mut samples),
            None => open(&self.driver, counter).map(|device| self.device = Some(device)),
        };
        match outcome {
            Ok(()) => {
                if self.failed {
                    info!(reference_clock = self.name, "it is back");
                }
                self.failed = false;
            }
            Err(error) => {
                if !self.failed {
                    warn!(reference_clock = self.name, "{error}; it is tried again every {} s", RETRY_AFTER.as_secs());
                }
                self.failed = true;
                self.device = None;
                self.next = now + RETRY_AFTER;
            }
        }
        samples
    }
}

fn open(driver: &Driver, counter: LocalCounter) -> Result<Device, Box<dyn Error>> {
    Ok(match driver {
        Driver::Pps(device) => Device::Pps(Pps::open(device.as_path(), PpsEdge::Assert)?),
        Driver::Shm(unit) => Device::Shm(ShmSegment::open(*unit)?),
        Driver::Sock(path) => Device::Sock(SockReference::bind(path.as_path())?),
        Driver::Ptp(device) => Device::Ptp(Box::new(PtpClock::open(device.as_path(), Access::Read, counter)?)),
        Driver::ExternalTimestamp { device, channel, pin } => {
            let mut clock = PtpClock::open(device.as_path(), Access::Steer, counter)?;
            if let Some(pin) = pin {
                clock.set_pin(*pin, PinFunction::ExternalTimestamp, *channel)?;
            }
            clock.request_external_timestamps(*channel, Some(Edges::Rising))?;
            Device::Edges(Box::new(clock), *channel)
        }
    })
}

impl Device {
    fn take(&mut self, system: &mut SystemClock, samples: &mut Vec<Sample>) -> Result<(), Box<dyn Error>> {
        for _ in 0..SAMPLES_PER_TURN {
            let sample = match self {
                Self::Pps(pps) => match pps.fetch()? {
                    // A pulse that has no place on the counter came about a step of the system clock.
                    Some(pulse) => system.locate(pulse.at).ok().map(|at| Sample::Pulse(at.ticks, at.window)),
                    None => None,
                },
                Self::Shm(segment) => segment.take(system).map(Sample::of),
                Self::Sock(socket) => socket.receive(system)?.map(Sample::of),
                Self::Ptp(clock) => {
                    let reading: Reading<Tai> = clock.read()?;
                    samples.push(Sample::Time(ClockReading::Tai(reading), LeapIndicator::None));
                    None
                }
                Self::Edges(clock, channel) => next_edge(clock, *channel)?,
            };
            match sample {
                Some(sample) => samples.push(sample),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// The next edge on `channel`, as a pulse. Those of other channels were asked for by others.
fn next_edge(clock: &mut PtpClock, channel: u32) -> Result<Option<Sample>, ClockError> {
    for _ in 0..SAMPLES_PER_TURN {
        let Some(edge) = clock.external_timestamp()? else { return Ok(None) };
        if edge.channel != channel {
            continue;
        }
        if let Some(at) = clock.locate(edge.at::<Tai>())? {
            return Ok(Some(Sample::Pulse(at.ticks, at.window)));
        }
    }
    Ok(None)
}

impl Sample {
    fn of(sample: ReferenceSample) -> Self {
        match sample {
            ReferenceSample::Pulse { ticks, window } => Self::Pulse(ticks, window),
            ReferenceSample::Time { reading, leap_step } => Self::Time(
                ClockReading::Utc(reading),
                match leap_step {
                    ..=-1 => LeapIndicator::Insert,
                    0 => LeapIndicator::None,
                    1.. => LeapIndicator::Delete,
                },
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;

    fn config(reference_clock: &str) -> Config {
        let port = "[[port]]\nname = 'a'\nbackend = 'kernel'\naddresses = ['::']\n";
        let text = format!("{port}[[reference_clock]]\nname = 'wire'\nreference_id = 'WIRE'\n{reference_clock}");
        Config::parse(&text, Path::new("F")).unwrap()
    }

    fn identified(config: &Config) -> ReferenceClocks {
        let mut clocks = ReferenceClocks::new(LocalCounter::best(), config);
        for wire in &mut clocks.wires {
            wire.source = Some(SourceId(3));
        }
        clocks
    }

    /// A sample as chrony's SOCK takes it: the true time is half a second ahead of the system clock's.
    fn sock_sample(seconds: i64, micros: i64) -> Vec<u8> {
        let fields = [seconds.to_ne_bytes(), micros.to_ne_bytes(), 0.5_f64.to_ne_bytes()];
        let tail = [0_i32, 0, 0, 0x534f_434b].map(i32::to_ne_bytes);
        [fields.concat(), tail.concat()].concat()
    }

    #[test]
    fn samples_of_a_socket_come_in_when_it_is_ready() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let config = config(&format!("kind = 'sock'\npath = '{}'", path.display()));
        let mut clocks = identified(&config);
        let mut system = SystemClock::new(LocalCounter::best());
        let now = Instant::now();
        assert_eq!(clocks.descriptors().count(), 0);
        assert!(clocks.turn(&[], &mut system, now).is_empty());
        assert_eq!(clocks.descriptors().count(), 1, "it is open");
        let sender = UnixDatagram::unbound().unwrap();
        let (seconds, fraction) = crate::leap::now().split();
        let micros = i64::try_from(fraction.as_nanos_rounded()).unwrap() / 1_000;
        let sample = sock_sample(i64::try_from(seconds).unwrap(), micros.min(999_999));
        sender.send_to(&sample, &path).unwrap();
        sender.send_to(b"garbage", &path).unwrap();
        sender.send_to(&sample, &path).unwrap();
        let ready = Ready { readable: true, error: false };
        let events = clocks.turn(&[ready], &mut system, now);
        assert_eq!(events.len(), 2, "{events:?}");
        let Event::Sampled { source: SourceId(3), reading: ClockReading::Utc(reading), leap } = &events[0] else {
            panic!("{events:?}")
        };
        assert_eq!(*leap, LeapIndicator::None);
        let ahead = reading.at() - crate::leap::now();
        assert!((ahead - Span::SECOND.half()).abs() < Span::SECOND.half(), "{ahead}");
    }

    #[test]
    fn what_is_missing_is_tried_again_later_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("later");
        let config = config(&format!("kind = 'sock'\npath = '{}'", folder.join("sock").display()));
        let mut clocks = identified(&config);
        let mut system = SystemClock::new(LocalCounter::best());
        let start = Instant::now();
        clocks.turn(&[], &mut system, start);
        assert!(clocks.wires[0].failed);
        assert_eq!(clocks.idle(start), RETRY_AFTER);
        std::fs::create_dir(&folder).unwrap();
        clocks.turn(&[], &mut system, start + RETRY_AFTER / 2);
        assert_eq!(clocks.descriptors().count(), 0);
        clocks.turn(&[], &mut system, start + RETRY_AFTER);
        assert_eq!(clocks.descriptors().count(), 1);
        assert!(!clocks.wires[0].failed);
        assert!(clocks.idle(start + RETRY_AFTER) <= LOOK_EVERY);
    }
}
