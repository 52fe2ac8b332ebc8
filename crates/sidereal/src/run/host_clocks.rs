//! The clocks of this host: read, steered and watched as the engine wants it.

use sidereal_cpu::LocalCounter;
use sidereal_engine::{ClockReading, Event};
use sidereal_phc::{
    Access, Announcement, ClockError, Interference, OffsetMethod, PtpClock, Steers, SystemClock, holders, rivals,
};
use sidereal_servo::Adjustment;
use sidereal_time::{Arrived, ClockId, Counter, Instant as TimeInstant, Stamp, Tai};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tracing::{info, warn};

use crate::config::{Steer, TimeScale};
use crate::counter::Locate;
use crate::stamping::Stamping;

/// How often it is looked whether somebody else steers a clock of ours.
const WATCH_EVERY: Duration = Duration::from_secs(10);

/// The system clock, the PTP clocks that the configuration names, and those that stamp packets.
#[derive(Debug)]
pub(super) struct HostClocks {
    counter: LocalCounter,
    system: SystemClock,
    /// Whether we have begun to steer the system clock.
    system_is_ours: bool,
    devices: Vec<Device>,
    watched: Instant,
    troubles: Troubles,
}

/// A PTP clock, which may be gone for a while.
#[derive(Debug)]
struct Device {
    id: ClockId,
    path: PathBuf,
    scale: TimeScale,
    access: Access,
    clock: Option<PtpClock>,
    /// Whether we have begun to steer it.
    is_ours: bool,
    /// Whether another device before it is the same clock and steered: it is steered by that one alone.
    is_twin: bool,
    stamps: StampCounts,
}

/// What became of the stamps of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct StampCounts {
    located: u64,
    /// The driver had none and said zero.
    zero: u64,
    /// The clock has not shown them, or too long ago, or it was stepped about then.
    without_place: u64,
    /// The clock could not be read.
    unreadable: u64,
}

/// What is known of a clock besides what the engine knows.
#[derive(Debug, Clone)]
pub(super) struct SeenClock {
    pub(super) id: ClockId,
    /// How it is read, once it is open.
    pub(super) method: Option<OffsetMethod>,
    /// What became of its stamps, by name.
    pub(super) stamps: Vec<(&'static str, u64)>,
}

/// What went wrong with a clock and is said once, until it goes well again.
#[derive(Debug, Default)]
struct Troubles(Vec<(ClockId, &'static str)>);

impl HostClocks {
    /// The system clock and those of `stamping`. Those of devices are opened when they are first read.
    pub(super) fn new(counter: LocalCounter, stamping: &Stamping) -> Self {
        let now = Instant::now();
        let ids = (1..=u8::MAX).map(ClockId);
        let devices = ids.zip(stamping.clocks()).map(|(id, ptp)| Device {
            id,
            path: ptp.device.as_path().to_owned(),
            scale: ptp.scale,
            access: if ptp.steer == Steer::On { Access::Steer } else { Access::Read },
            clock: None,
            is_ours: false,
            is_twin: false,
            stamps: StampCounts::default(),
        });
        Self {
            counter,
            system: SystemClock::new(counter),
            system_is_ours: false,
            devices: devices.collect(),
            watched: now,
            troubles: Troubles::default(),
        }
    }

    /// The system clock, which tells the place of kernel stamps.
    pub(super) fn system(&mut self) -> &mut SystemClock {
        &mut self.system
    }

    /// Reads a clock: what the engine is to be told.
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
        let Some(place) = self.devices.iter().position(|device| device.id == clock) else { return Vec::new() };
        let (before, rest) = self.devices.split_at_mut(place);
        let Some(device) = rest.first_mut() else { return Vec::new() };
        let reading = self.troubles.of(clock, "it cannot be read", device.read(self.counter, before));
        vec![reading.map_or(Event::ClockLost { clock }, |reading| Event::ClockRead { clock, reading })]
    }

    /// Steers a clock; what the engine is to be told, where it refuses.
    pub(super) fn steer(&mut self, clock: ClockId, adjustment: &Adjustment) -> Option<Event<'static>> {
        let steered = if clock == ClockId::SYSTEM {
            let taken = if self.system_is_ours { Ok(()) } else { self.system.take_over() };
            self.system_is_ours |= taken.is_ok();
            taken.and_then(|()| self.system.adjust(adjustment))
        } else {
            let device = self.devices.iter_mut().find(|device| device.id == clock)?;
            if device.is_twin {
                return None;
            }
            device.is_ours = true;
            device.clock.as_mut()?.adjust(adjustment)
        };
        let steered = self.troubles.of(clock, "it cannot be steered", steered);
        steered.is_none().then_some(Event::SteerFailed { clock })
    }

    /// How a clock is read, and what became of its stamps, by name; nothing where it never had any.
    pub(super) fn seen(&self) -> Vec<SeenClock> {
        let seen = |device: &Device| SeenClock {
            id: device.id,
            method: device.clock.as_ref().map(|clock| clock.method()),
            stamps: device.stamps.by_name().filter(|(_, count)| *count > 0).collect(),
        };
        self.devices.iter().map(seen).collect()
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
            let who = || rivals(Steers::System).iter().map(ToString::to_string).collect();
            events.extend(
                found.flatten().map(|interference| rival(ClockId::SYSTEM, "the system clock", interference, who)),
            );
        }
        for device in self.devices.iter_mut().filter(|device| device.is_ours) {
            let Some(clock) = &mut device.clock else { continue };
            let found = self.troubles.of(device.id, "it cannot be watched", clock.interference());
            let who = || holders(&device.path).iter().map(ToString::to_string).collect();
            let name = device.path.display().to_string();
            events.extend(found.flatten().map(|interference| rival(device.id, &name, interference, who)));
        }
        events
    }
}

/// Stamps of the kernel by the system clock, those of NICs by their clocks.
impl Locate for HostClocks {
    fn locate(&mut self, stamp: Stamp) -> Option<Arrived> {
        let Counter::Nic(id) = stamp.counter else { return Locate::locate(&mut self.system, stamp) };
        let device = self.devices.iter_mut().find(|device| device.id == id)?;
        device.locate(stamp)
    }
}

impl Device {
    fn locate(&mut self, stamp: Stamp) -> Option<Arrived> {
        if stamp.ticks.0 == 0 {
            self.stamps.zero += 1;
            return None;
        }
        let at = TimeInstant::<Tai>::from_nanos(stamp.ticks.0.into());
        match self.clock.as_mut().map(|clock| clock.locate(at)) {
            Some(Ok(Some(located))) => {
                self.stamps.located += 1;
                Some(Arrived { ticks: located.ticks, source: stamp.source })
            }
            Some(Ok(None)) => {
                self.stamps.without_place += 1;
                None
            }
            // What is wrong with it is said when it is read in its turn.
            Some(Err(_)) | None => {
                self.stamps.unreadable += 1;
                None
            }
        }
    }

    /// Reads it, opened first where it is not open. `before` are those that may be the same clock.
    fn read(&mut self, counter: LocalCounter, before: &[Self]) -> Result<ClockReading, ClockError> {
        let clock = match &mut self.clock {
            Some(clock) => clock,
            None => {
                let clock = PtpClock::open(&self.path, self.access, counter)?;
                let twin = before
                    .iter()
                    .filter(|other| other.access == Access::Steer)
                    .find(|other| other.clock.as_ref().is_some_and(|other| clock.is_same_as(other)));
                if let Some(twin) = twin {
                    info!("{} and {} are one clock: it is steered once", self.path.display(), twin.path.display());
                }
                self.is_twin = twin.is_some();
                self.clock.insert(clock)
            }
        };
        let read = match self.scale {
            TimeScale::Tai => clock.read().map(ClockReading::Tai),
            TimeScale::Utc => clock.read().map(ClockReading::Utc),
        };
        if read.as_ref().is_err_and(ClockError::is_gone) {
            self.clock = None;
        }
        read
    }
}

impl StampCounts {
    fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self { located, zero, without_place, unreadable } = *self;
        [
            ("stamps_located", located),
            ("stamp_zero", zero),
            ("stamp_without_place", without_place),
            ("stamp_of_unknown_clock", unreadable),
        ]
        .into_iter()
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

fn rival(clock: ClockId, name: &str, interference: Interference, who: impl Fn() -> Vec<String>) -> Event<'static> {
    let who = who().join(", ");
    warn!("somebody else steers {name}: {interference}");
    Event::Rival { clock, who: (!who.is_empty()).then_some(who) }
}
