//! A clock that the kernel shows as a device, which may be gone for a while.

use sidereal_cpu::LocalCounter;
use sidereal_engine::{ClockReading, Event};
use sidereal_phc::{Access, ClockError, Interference, OffsetMethod, PtpClock, holders};
use sidereal_servo::Adjustment;
use sidereal_time::{ClockId, Rate, Span};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tracing::info;

use super::links::Links;
use crate::config::{Steer, TimeScale};
use crate::stamping::Stamped;

/// A clock that is elsewhere by more than this was set, or reset.
const JUMP: Span = Span::from_nanos(1_000_000);
/// A clock that has gone further than the counter by this part of the time was not merely steered.
const JUMP_DIVISOR: i128 = 8;

/// The clock, and the interfaces whose packets it stamps.
#[derive(Debug)]
pub(super) struct Device {
    id: ClockId,
    path: PathBuf,
    scale: TimeScale,
    access: Access,
    clock: Option<PtpClock>,
    /// Whether it was open before.
    was_open: bool,
    /// Whether we have begun to steer it.
    is_ours: bool,
    /// Whether another device before it is the same clock and steered: it is steered by that one alone.
    is_twin: bool,
    stamped: Vec<Stamped>,
    links: Links,
    last: Option<ClockReading>,
}

impl Device {
    /// The clock at `path`, which stamps the packets of `stamped`. It is opened when it is first read.
    pub(super) fn new(id: ClockId, path: &Path, (steer, scale): (Steer, TimeScale), stamped: Vec<Stamped>) -> Self {
        Self {
            id,
            path: path.to_owned(),
            scale,
            access: if steer == Steer::On { Access::Steer } else { Access::Read },
            clock: None,
            was_open: false,
            is_ours: false,
            is_twin: false,
            links: Links::new(stamped.iter().map(|stamped| stamped.interface.clone())),
            stamped,
            last: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How it is read, once it is open.
    pub(super) fn method(&self) -> Option<OffsetMethod> {
        self.clock.as_ref().map(PtpClock::method)
    }

    /// Reads it, opened first where it is not open: what the engine is to be told. `before` are those that may be the same
    /// clock; `tick` is how long one of the counter is.
    pub(super) fn read<'a>(
        &mut self,
        (counter, tick): (LocalCounter, Rate),
        before: impl Iterator<Item = &'a Self>,
    ) -> Result<Vec<Event<'static>>, ClockError> {
        let is_back = self.clock.is_none() && self.open(counter, before)?;
        let Some(clock) = &self.clock else { return Ok(Vec::new()) };
        let read = match self.scale {
            TimeScale::Tai => clock.read().map(ClockReading::Tai),
            TimeScale::Utc => clock.read().map(ClockReading::Utc),
        };
        if read.as_ref().is_err_and(ClockError::is_gone) {
            self.clock = None;
        }
        let reading = read?;
        let jumped = self.last.replace(reading).is_some_and(|last| has_jumped(&last, &reading, tick));
        if jumped {
            self.links.look_again(Instant::now());
        } else {
            self.links.look(Instant::now());
        }
        let is_reset = is_back || (jumped && self.links.are_unsteady());
        if is_reset {
            info!("{}: the driver has reset it", self.path.display());
            self.stamped.iter().for_each(Stamped::renew);
        }
        let reset = is_reset.then_some(Event::ClockReset { clock: self.id });
        Ok(reset.into_iter().chain([Event::ClockRead { clock: self.id, reading }]).collect())
    }

    /// Steers it.
    pub(super) fn steer(&mut self, adjustment: &Adjustment) -> Result<(), ClockError> {
        if self.is_twin {
            return Ok(());
        }
        self.is_ours = true;
        let Some(clock) = &mut self.clock else { return Ok(()) };
        if let Adjustment::Step(_) = adjustment {
            // What follows is no jump.
            self.last = None;
        }
        clock.adjust(adjustment)
    }

    /// Whether somebody else steers it, where it is ours, and who has it open.
    pub(super) fn interference(&mut self) -> Result<Option<(Interference, Vec<String>)>, ClockError> {
        let Some(clock) = self.clock.as_mut().filter(|_| self.is_ours) else { return Ok(None) };
        let found = clock.interference()?;
        Ok(found.map(|interference| (interference, holders(&self.path).iter().map(ToString::to_string).collect())))
    }

    /// Opens it; says whether it had been gone.
    fn open<'a>(&mut self, counter: LocalCounter, before: impl Iterator<Item = &'a Self>) -> Result<bool, ClockError> {
        let clock = PtpClock::open(&self.path, self.access, counter)?;
        let twin = before
            .filter(|other| other.access == Access::Steer)
            .find(|other| other.clock.as_ref().is_some_and(|other| clock.is_same_as(other)));
        if let Some(twin) = twin {
            info!("{} and {} are one clock: it is steered once", self.path.display(), twin.path.display());
        }
        self.is_twin = twin.is_some();
        self.clock = Some(clock);
        self.last = None;
        Ok(core::mem::replace(&mut self.was_open, true))
    }
}

/// Whether a clock went on between two readings as no clock does that is steered at most.
fn has_jumped(last: &ClockReading, now: &ClockReading, tick: Rate) -> bool {
    let shown = match (last, now) {
        (ClockReading::Tai(last), ClockReading::Tai(now)) => now.at() - last.at(),
        (ClockReading::Utc(last), ClockReading::Utc(now)) => now.at() - last.at(),
        _ => return false,
    };
    let passed = tick.span(now.ticks().0.wrapping_sub(last.ticks().0).cast_signed());
    let granted = JUMP + Span::from_units(passed.abs().units() / JUMP_DIVISOR) + last.window() + now.window();
    (shown - passed).abs() > granted
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_time::{Instant as TimeInstant, Reading, Tai, Ticks};

    fn reading(ticks: u64, at_ns: i128) -> ClockReading {
        let at = TimeInstant::<Tai>::from_nanos(at_ns);
        ClockReading::Tai(Reading::new(Ticks(ticks), at, Span::from_nanos(500)))
    }

    #[test]
    fn a_clock_jumps_where_no_steering_explains_it() {
        let last = reading(1_000, 5_000_000_000);
        for (nanos, jumps) in [(62_500_000, false), (63_500_000, false), (120_000_000, true), (-5_000_000_000, true)] {
            let now = reading(1_000 + 62_500_000, 5_000_000_000 + nanos);
            assert_eq!(has_jumped(&last, &now, Rate::NANOSECOND), jumps, "{nanos}");
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_and_is_not_open() {
        let path = Path::new("/dev/no-such-clock");
        let mut device = Device::new(ClockId(1), path, (Steer::On, TimeScale::Tai), Vec::new());
        let counter = LocalCounter::MonotonicRaw;
        let error = device.read((counter, Rate::NANOSECOND), core::iter::empty()).unwrap_err();
        assert!(error.to_string().contains("/dev/no-such-clock"), "{error}");
        assert_eq!(device.method(), None);
        assert!(device.interference().is_ok_and(|found| found.is_none()));
        device.steer(&Adjustment::Step(Span::SECOND)).unwrap();
    }
}
