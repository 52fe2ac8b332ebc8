//! The clocks of this host: read, watched, and steered to the model.

mod clock;
mod pace;

use sidereal_time::{ClockId, ClockModel, LeapTable, LocalClock, Span, Ticks};

pub(crate) use self::clock::Clock;
use crate::arming::Arming;
use crate::config::{ClockOptions, ClockScale, MAX_CLOCKS, Steer};
use crate::event::Action;
use crate::report::Reports;
use crate::snapshot::NicClocks;
use crate::status::ClockStatus;

/// Our time has changed where it moved by more than this: what is less is rounding.
const UNCHANGED: Span = Span::from_units(1 << 14);

/// What the clocks are steered to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) model: &'a ClockModel,
    pub(crate) table: &'a LeapTable,
    /// Whether the model is good enough to steer by.
    pub(crate) synchronised: bool,
}

/// How good the time is, for the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    pub(crate) arming: Arming,
    pub(crate) synchronised: bool,
    pub(crate) bound: Span,
    pub(crate) uncertainty: Span,
}

/// All of them; the first is the system clock.
#[derive(Debug, Clone)]
pub(crate) struct Clocks {
    all: Vec<Clock>,
    /// The model that they were last steered to.
    followed: Option<ClockModel>,
    /// The workers should know.
    changed: bool,
}

impl Clocks {
    /// `local` is the local counter at its nominal rate.
    pub(crate) fn new(options: &[ClockOptions], local: LocalClock, now: Ticks) -> Self {
        let mut clocks: Vec<Clock> = (0..)
            .zip(options)
            .take(MAX_CLOCKS)
            .map(|(id, options)| Clock::new(ClockId(id), options, local, now))
            .collect();
        if clocks.is_empty() {
            clocks.push(Clock::new(ClockId::SYSTEM, &unsteered_system_clock(), local, now));
        }
        Self { all: clocks, followed: None, changed: false }
    }

    /// Takes over other options; what is known of a clock that is still the same stays.
    pub(crate) fn configure(&mut self, options: &[ClockOptions], local: LocalClock, now: Ticks) {
        let old = core::mem::replace(self, Self::new(options, local, now));
        for (new, old) in self.all.iter_mut().zip(old.all) {
            new.inherit(old, now);
        }
        self.changed = true;
    }

    pub(crate) fn get(&self, id: ClockId) -> Option<&Clock> {
        self.all.get(usize::from(id.0))
    }

    pub(crate) fn get_mut(&mut self, id: ClockId) -> Option<&mut Clock> {
        self.all.get_mut(usize::from(id.0))
    }

    /// Something else is known of one of them: the workers should know.
    pub(crate) fn touched(&mut self) {
        self.changed = true;
    }

    /// The system clock.
    pub(crate) fn system(&self) -> Option<&Clock> {
        self.all.first()
    }

    /// Wants the clocks read that are due, those aside that `but` reads at its own pace; forgets rivals.
    pub(crate) fn run(&mut self, local: &LocalClock, but: Option<ClockId>, now: Ticks) {
        for clock in &mut self.all {
            clock.run(local, Some(clock.id()) != but, now);
        }
    }

    /// Steers those clocks of which, or of whose target, something is known that was not known before: it arrived at `cause`.
    /// The system clock is left alone where it is `but`.
    pub(crate) fn steer(
        &mut self,
        target: &Target<'_>,
        local: &LocalClock,
        but: Option<ClockId>,
        cause: Option<Ticks>,
        now: Ticks,
        reports: &mut Reports,
    ) {
        let changed = self.followed.is_none_or(|followed| differ(&followed, target.model, now));
        if changed {
            self.followed = Some(*target.model);
        }
        for clock in self.all.iter_mut().filter(|clock| Some(clock.id()) != but) {
            if changed {
                clock.want_steering(cause);
            }
            self.changed |= clock.steer(target, local, now, reports);
        }
    }

    /// Whether something has changed that the workers should know, since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// How the stamps of clocks are located.
    pub(crate) fn nics(&self) -> NicClocks {
        NicClocks::new(self.all.iter().filter_map(Clock::cross))
    }

    /// Within what stamps are located, of all clocks whose stamps were asked for; in 99.99 of 100 cases.
    pub(crate) fn stamps_located(&self) -> Span {
        let located = self.all.iter().filter(|clock| clock.has_located()).filter_map(Clock::cross);
        located.map(|model| model.uncertainty).max().unwrap_or_default()
    }

    /// Whether the kernel is to be told of the system clock, where that is ours to steer.
    pub(crate) fn is_unannounced(&self, arming: Arming, synchronised: bool, local: &LocalClock, now: Ticks) -> bool {
        self.system().is_some_and(|clock| clock.is_unannounced(arming, synchronised, local, now))
    }

    /// Prepares what the kernel is told of the system clock.
    pub(crate) fn announce(&mut self, quality: &Quality, now: Ticks) {
        if let Some(clock) = self.all.first_mut() {
            clock.announce(quality, now);
        }
    }

    /// When the next one is due, those aside that `but` reads.
    pub(crate) fn timeouts(&self, but: Option<ClockId>) -> impl Iterator<Item = Ticks> {
        self.all.iter().filter(move |clock| Some(clock.id()) != but).flat_map(Clock::timeouts)
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.all.iter_mut().find_map(Clock::poll_action)
    }

    /// The counter was set back: nothing that was read before can be compared.
    pub(crate) fn counter_reset(&mut self, local: LocalClock, now: Ticks) {
        for clock in &mut self.all {
            clock.counter_reset(local, now);
        }
        self.followed = None;
        self.changed = true;
    }

    pub(crate) fn status(&self, now: Ticks) -> Vec<ClockStatus> {
        self.all.iter().map(|clock| clock.status(now)).collect()
    }
}

fn differ(a: &ClockModel, b: &ClockModel, now: Ticks) -> bool {
    a.rate != b.rate || a.generation != b.generation || (a.instant(now) - b.instant(now)).abs() > UNCHANGED
}

/// What is known of a system clock of which nothing is configured: it is read and left alone.
fn unsteered_system_clock() -> ClockOptions {
    ClockOptions {
        name: "system".to_owned(),
        steer: Steer::Off,
        scale: ClockScale::Utc,
        steering: sidereal_servo::SteeringOptions::default(),
        read_period: Span::from_nanos(250_000_000),
        stamps: false,
    }
}
