//! The clocks of this host: read, steered and watched as the engine wants it.

mod device;
mod resets;

use sidereal_cpu::LocalCounter;
use sidereal_dataplane::EngineNicClock;
use sidereal_engine::{ClockReading, Event};
use sidereal_nic_kernel::Timestamping;
use sidereal_phc::{Announcement, ClockError, Interference, OffsetMethod, Steers, SystemClock, rivals};
use sidereal_servo::Adjustment;
use sidereal_time::{ClockId, Rate};
use std::time::{Duration, Instant};
use tracing::warn;

use self::device::Device;
use crate::stamping::{HostClock, ReadBy, Stamping};

/// How often it is looked whether somebody else steers a clock of ours.
const WATCH_EVERY: Duration = Duration::from_secs(10);

/// How soon the answer of a worker is looked for: nothing wakes the engine.
const ANSWER_WAIT: Duration = Duration::from_millis(1);

/// The system clock, the PTP clocks that the configuration names, and those that stamp packets.
#[derive(Debug)]
pub(super) struct HostClocks {
    counter: LocalCounter,
    /// How long a tick of it is.
    tick: Rate,
    system: SystemClock,
    /// Whether we have begun to steer the system clock.
    system_is_ours: bool,
    others: Vec<(ClockId, Reader)>,
    watched: Instant,
    troubles: Troubles,
}

/// Who reads a clock besides the system's.
#[derive(Debug)]
enum Reader {
    /// We, as a device.
    Device(Box<Device>),
    /// The worker of a port, once that has started.
    Worker(Option<WorkerClock>),
}

/// A clock that a worker reads.
#[derive(Debug)]
struct WorkerClock {
    clock: EngineNicClock,
    /// Whether an answer is to come.
    is_asked: bool,
}

/// What went wrong with a clock and is said once, until it goes well again.
#[derive(Debug, Default)]
struct Troubles(Vec<(ClockId, &'static str)>);

impl HostClocks {
    /// The system clock and those of `stamping`. Those of devices are opened when they are first read.
    pub(super) fn new(counter: LocalCounter, stamping: &Stamping) -> Self {
        let others = (1..=u8::MAX).map(ClockId).zip(stamping.clocks());
        Self {
            counter,
            tick: Rate::from_hertz(counter.nominal_hertz()),
            system: SystemClock::new(counter),
            system_is_ours: false,
            others: others.map(|(id, clock)| (id, Reader::new(id, clock, stamping))).collect(),
            watched: Instant::now(),
            troubles: Troubles::default(),
        }
    }

    /// Has the clock `id` read by the worker at the other end of `clock`.
    pub(super) fn attach(&mut self, id: ClockId, clock: EngineNicClock) {
        if let Some((_, Reader::Worker(worker))) = self.others.iter_mut().find(|(own, _)| *own == id) {
            *worker = Some(WorkerClock { clock, is_asked: false });
        }
    }

    /// How long nothing needs to be done here.
    pub(super) fn idle(&self) -> Duration {
        let is_asked =
            |(_, reader): &(ClockId, Reader)| matches!(reader, Reader::Worker(Some(worker)) if worker.is_asked);
        if self.others.iter().any(is_asked) { ANSWER_WAIT } else { Duration::MAX }
    }

    /// What workers have answered: what the engine is to be told.
    pub(super) fn take_answers(&mut self) -> Vec<Event<'static>> {
        let mut events = Vec::new();
        for (id, reader) in &mut self.others {
            let Reader::Worker(Some(worker)) = reader else { continue };
            while let Some(answer) = worker.clock.poll() {
                worker.is_asked = false;
                events.push(match answer {
                    Some(stamp) => Event::ClockRead { clock: *id, reading: ClockReading::Free(stamp) },
                    None => Event::ClockLost { clock: *id },
                });
            }
        }
        events
    }

    /// The system clock, which tells the place of kernel stamps.
    pub(super) fn system(&mut self) -> &mut SystemClock {
        &mut self.system
    }

    /// Reads a clock: what the engine is to be told. What a worker reads is told later, by [`Self::take_answers`].
    pub(super) fn read(&mut self, clock: ClockId) -> Vec<Event<'static>> {
        if clock == ClockId::SYSTEM {
            let discipline = self.troubles.of(
                clock,
                "leap seconds and the quality of the clock are not known",
                self.system.discipline(),
            );
            let discipline = discipline.map(|discipline| Event::Discipline { clock, discipline });
            let reading = Event::ClockRead { clock, reading: ClockReading::Utc(self.system.read()) };
            return discipline.into_iter().chain([reading]).collect();
        }
        let Some(place) = self.others.iter().position(|(id, _)| *id == clock) else { return Vec::new() };
        let (before, rest) = self.others.split_at_mut(place);
        match rest.first_mut() {
            Some((_, Reader::Device(device))) => {
                let before = before.iter().filter_map(|(_, reader)| reader.device());
                let read = device.read((self.counter, self.tick), before);
                let told = self.troubles.of(clock, "it cannot be read", read);
                told.unwrap_or_else(|| vec![Event::ClockLost { clock }])
            }
            Some((_, Reader::Worker(Some(worker)))) => {
                worker.clock.request();
                worker.is_asked = true;
                Vec::new()
            }
            Some((_, Reader::Worker(None))) | None => Vec::new(),
        }
    }

    /// Steers a clock; what the engine is to be told, where it refuses.
    pub(super) fn steer(&mut self, clock: ClockId, adjustment: &Adjustment) -> Result<(), Event<'static>> {
        let steered = if clock == ClockId::SYSTEM {
            let taken = if self.system_is_ours { Ok(()) } else { self.system.take_over() };
            self.system_is_ours |= taken.is_ok();
            taken.and_then(|()| self.system.adjust(adjustment))
        } else {
            match self.others.iter_mut().find(|(id, _)| *id == clock) {
                Some((_, Reader::Device(device))) => device.steer(adjustment),
                // It runs free.
                Some((_, Reader::Worker(_))) | None => Ok(()),
            }
        };
        self.troubles.of(clock, "it cannot be steered", steered).ok_or(Event::SteerFailed { clock })
    }

    /// How a clock is read, once that is known; nothing of the system clock.
    pub(super) fn method(&self, clock: ClockId) -> Option<&'static str> {
        match &self.others.iter().find(|(id, _)| *id == clock)?.1 {
            Reader::Device(device) => device.method().map(OffsetMethod::name),
            Reader::Worker(_) => Some("worker"),
        }
    }

    /// Tells the kernel how good its clock is.
    pub(super) fn announce(&mut self, clock: ClockId, announcement: &Announcement) {
        if clock == ClockId::SYSTEM {
            let announced = self.system.announce(announcement);
            self.troubles.of(clock, "the kernel cannot be told how good it is", announced);
        }
    }

    /// Who else steers the clocks that are ours, looked for now and then.
    pub(super) fn look_for_rivals(&mut self, now: Instant) -> Vec<Event<'static>> {
        if now.saturating_duration_since(self.watched) < WATCH_EVERY {
            return Vec::new();
        }
        self.watched = now;
        let mut events = Vec::new();
        if self.system_is_ours {
            let found = self.troubles.of(ClockId::SYSTEM, "it cannot be watched", self.system.interference());
            let who = || rivals(Steers::System).iter().map(ToString::to_string).collect::<Vec<_>>();
            events.extend(
                found.flatten().map(|interference| rival(ClockId::SYSTEM, "the system clock", interference, &who())),
            );
        }
        for (id, reader) in &mut self.others {
            let Reader::Device(device) = reader else { continue };
            let found = self.troubles.of(*id, "it cannot be watched", device.interference());
            let name = device.path().display().to_string();
            events.extend(found.flatten().map(|(interference, who)| rival(*id, &name, interference, &who)));
        }
        events
    }
}

impl Reader {
    fn new(id: ClockId, clock: &HostClock, stamping: &Stamping) -> Self {
        match &clock.read_by {
            ReadBy::Device(path, scale) => {
                let is_by = |timestamping: Timestamping| matches!(timestamping, Timestamping::Hardware { clock, .. } if clock == id);
                let stamped = stamping.interfaces().iter().filter(|stamped| is_by(stamped.timestamping)).cloned();
                Self::Device(Box::new(Device::new(id, path.as_path(), (clock.steer, *scale), stamped.collect())))
            }
            ReadBy::Port { .. } => Self::Worker(None),
        }
    }

    fn device(&self) -> Option<&Device> {
        match self {
            Self::Device(device) => Some(device),
            Self::Worker(_) => None,
        }
    }
}

impl Troubles {
    /// The value of `outcome`; an error is said where it was not the last time.
    fn of<T>(&mut self, clock: ClockId, what: &'static str, outcome: Result<T, ClockError>) -> Option<T> {
        let said = self.0.iter().position(|trouble| *trouble == (clock, what));
        match (outcome, said) {
            (Ok(value), said) => {
                if let Some(place) = said {
                    self.0.swap_remove(place);
                }
                Some(value)
            }
            (Err(error), None) => {
                warn!("{error}: {what}");
                self.0.push((clock, what));
                None
            }
            (Err(_), Some(_)) => None,
        }
    }
}

fn rival(clock: ClockId, name: &str, interference: Interference, who: &[String]) -> Event<'static> {
    warn!("somebody else steers {name}: {interference}");
    Event::Rival { clock, who: (!who.is_empty()).then(|| who.join(", ")) }
}
