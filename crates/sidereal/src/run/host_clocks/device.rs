//! A clock that the kernel shows as a device, which may be gone for a while.

use sidereal_cpu::LocalCounter;
use sidereal_engine::{ClockReading, Event};
use sidereal_phc::{Access, ClockError, Interference, OffsetMethod, PtpClock, holders};
use sidereal_servo::Adjustment;
use sidereal_time::{ClockId, Rate};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tracing::{info, warn};

use super::resets::Resets;
use crate::config::{Steer, TimeScale};
use crate::stamping::Stamped;

/// The clock, and the interfaces whose packets it stamps.
#[derive(Debug)]
pub(super) struct Device {
    id: ClockId,
    path: PathBuf,
    scale: TimeScale,
    access: Access,
    clock: Option<PtpClock>,
    /// Whether it was gone since it was last read.
    was_gone: bool,
    /// Whether we have begun to steer it.
    is_ours: bool,
    /// Whether another device before it is the same clock and steered: it is steered by that one alone.
    is_twin: bool,
    stamped: Vec<Stamped>,
    resets: Resets,
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
            was_gone: false,
            is_ours: false,
            is_twin: false,
            resets: Resets::new(stamped.iter().map(|stamped| stamped.interface.clone())),
            stamped,
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
        if self.clock.is_none() {
            self.open(counter, before)?;
        }
        let Some(clock) = &self.clock else { return Ok(Vec::new()) };
        let read = match self.scale {
            TimeScale::Tai => clock.read().map(ClockReading::Tai),
            TimeScale::Utc => clock.read().map(ClockReading::Utc),
        };
        if read.as_ref().is_err_and(ClockError::is_gone) {
            (self.clock, self.was_gone) = (None, true);
        }
        let reading = read?;
        let is_reset = self.resets.notice(reading, tick, Instant::now()) | core::mem::take(&mut self.was_gone);
        if is_reset {
            warn!("{}: its driver has reset it", self.path.display());
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
            self.resets.forget();
        }
        clock.adjust(adjustment)
    }

    /// Whether somebody else steers it, where it is ours, and who has it open.
    pub(super) fn interference(&mut self) -> Result<Option<(Interference, Vec<String>)>, ClockError> {
        let Some(clock) = self.clock.as_mut().filter(|_| self.is_ours) else { return Ok(None) };
        let found = clock.interference()?;
        Ok(found.map(|interference| (interference, holders(&self.path).iter().map(ToString::to_string).collect())))
    }

    fn open<'a>(&mut self, counter: LocalCounter, before: impl Iterator<Item = &'a Self>) -> Result<(), ClockError> {
        let clock = PtpClock::open(&self.path, self.access, counter)?;
        let twin = before
            .filter(|other| other.access == Access::Steer)
            .find(|other| other.clock.as_ref().is_some_and(|other| clock.is_same_as(other)));
        if let Some(twin) = twin {
            info!("{} and {} are one clock: it is steered once", self.path.display(), twin.path.display());
        }
        self.is_twin = twin.is_some();
        self.clock = Some(clock);
        self.resets.forget();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_time::Span;

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
