//! What is told: the snapshot to the workers, flags to the kernel.

use sidereal_ntp::SystemVariables;
use sidereal_time::{ClockModel, Instant, Span, Tai, Ticks};

use super::Engine;
use crate::arming::arm;
use crate::clocks::Quality;
use crate::config::Reference;
use crate::leap;
use crate::publication::{Contents, Realtime, realtime_model};

impl Engine {
    /// Makes the snapshot anew, to be published, and lets the protocols know what it says.
    pub(super) fn publish(&mut self, now: Ticks) {
        let unsynchronised = SystemVariables { precision: self.local.precision, ..SystemVariables::UNSYNCHRONISED };
        let system = match &self.config.reference {
            Reference::System(reference) => self.system.system_variables(reference, &self.leap_table, now),
            Reference::Sources => self.follower.system_variables(&self.leap_table, now),
        };
        let system = system.map(|system| SystemVariables { precision: self.local.precision, ..system });
        let model = self.model();
        let told = model.and_then(|model| Some((model, self.realtime(&model)?, self.corrected()?)));
        let contents = told.as_ref().map(|(model, realtime, corrected)| Contents {
            model,
            realtime,
            table: &self.leap_table,
            smear: &self.config.smear,
            corrected: *corrected,
            system: system.unwrap_or(unsynchronised),
        });
        self.publication.make(contents.as_ref(), self.clocks.nics(), &unsynchronised, now);
        let snapshot = self.publication.snapshot();
        self.here.local.rate = model.map_or(self.local.rate, |model| model.rate);
        self.here.system = snapshot.system;
        self.here.time = system.map(|_| snapshot.local_ntp);
        self.here.model = system.map(|_| snapshot.local);
        self.tell_truth(now);
        self.announce(now);
    }

    /// How far our time may be off at `at`.
    pub(super) fn bound(&self, at: Ticks) -> Span {
        let bound = match self.config.reference {
            Reference::System(_) => self.system.model().map(|model| model.error_at(at)),
            Reference::Sources => self.follower.bound(at),
        };
        bound.unwrap_or(Span::from_secs(i64::MAX))
    }

    /// CLOCK_REALTIME under our time `model`.
    fn realtime(&self, model: &ClockModel) -> Option<Realtime> {
        let model = match self.config.reference {
            Reference::System(_) => {
                let last = self.system.last_good()?;
                realtime_model(last.utc, last.tai)
            }
            Reference::Sources => {
                let read = self.clocks.system().and_then(|clock| clock.as_counter(model, &self.local));
                read.unwrap_or_else(|| {
                    // It has not been read: it may be right.
                    realtime_model(self.leap_table.tai_to_utc(model.reference), model.reference)
                })
            }
        };
        // The next leap second that the kernel will not make by itself.
        let discipline = self.clocks.system().and_then(|clock| clock.discipline());
        let next = self.leap_table.next(model.reference);
        let unmade = next.filter(|(_, step)| discipline.is_some_and(|discipline| discipline.leap_step != *step));
        Some(Realtime { model, unmade })
    }

    /// When our time was last corrected.
    fn corrected(&self) -> Option<Instant<Tai>> {
        match self.config.reference {
            Reference::System(_) => self.system.last_good().map(|last| last.tai),
            Reference::Sources => self.follower.corrected(),
        }
    }

    /// Tells the kernel how good the system clock is, where we steer it.
    fn announce(&mut self, now: Ticks) {
        if self.config.reference != Reference::Sources {
            return;
        }
        let Some(model) = self.follower.model() else { return };
        let Some(arming) = arm(&self.leap_table, model.instant(now), &[]) else { return };
        let synchronised = self.is_synchronised();
        if !self.clocks.is_unannounced(arming, synchronised, &self.local, now) {
            return;
        }
        let bound = self.bound(now);
        let uncertainty = self.follower.uncertainty(now).unwrap_or_default();
        self.clocks.announce(&Quality { arming, synchronised, bound, uncertainty }, now);
    }

    /// Where the table has expired: listens to what the sources that are followed say of a leap second today, and enters it.
    pub(super) fn ask_sources_for_leap(&mut self, now: Ticks) {
        let Some(model) = self.model().filter(|_| self.config.reference == Reference::Sources) else { return };
        let announced = self.sources.leaps(|id| self.follower.is_followed(id));
        let at = model.instant(now);
        let Some(arming) = arm(&self.leap_table, at, &announced).filter(|arming| arming.unlisted) else { return };
        if let Some(table) = leap::with_unlisted(&self.leap_table, at, arming.leap_step) {
            self.reports.say(crate::Report::LeapSecondHeard { step: arming.leap_step });
            self.replace_leap_table(table, now);
        }
    }
}
