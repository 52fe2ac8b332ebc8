//! What time brings, and other configurations and tables.

use sidereal_time::{ClockId, LeapTable, Span, Ticks};

use super::Engine;
use crate::clocks::Target;
use crate::config::{EngineConfig, MAX_CLOCKS, Reference};
use crate::follow::REPUBLISH_AFTER;
use crate::report::Report;

/// How often an expired table of leap seconds is complained about.
const REMIND_AFTER: Span = Span::from_secs(86_400);
/// How often what was learned is saved.
const SAVE_AFTER: Span = Span::from_secs(3_600);
/// How often the sources are asked about leap seconds.
const ASK_LEAP_AFTER: Span = Span::from_secs(60);

impl Engine {
    pub(super) fn configure(&mut self, config: EngineConfig, now: Ticks) {
        self.save(now);
        self.config = config;
        self.follower.configure(&self.config, now);
        self.clocks.configure(&self.config.clocks, self.local, now);
        self.configure_parts(now);
        self.publish(now);
    }

    /// What is configured alike at the start and later.
    pub(super) fn configure_parts(&mut self, now: Ticks) {
        self.sources.configure(&self.config.sources, &mut self.here, now, &mut self.reports);
        self.broadcasts.configure(&self.config.broadcasts, now, &mut self.reports);
        if self.config.clocks.len() > MAX_CLOCKS {
            self.reports.say(Report::LeftOut { what: "clocks", count: self.config.clocks.len() - MAX_CLOCKS });
        }
    }

    /// UTC is what the sources show. A table that gives another offset for it therefore moves TAI.
    pub(super) fn replace_leap_table(&mut self, table: LeapTable, now: Ticks) {
        let at = self.model().map(|model| model.instant(now));
        let old = core::mem::replace(&mut self.leap_table, table);
        self.timers.reminded = None;
        self.system.replace_leap_table(&old, &self.leap_table, &mut self.reports);
        if let Some(at) = at {
            let by = self.leap_table.utc_to_tai(old.tai_to_utc(at)) - at;
            if by != Span::ZERO {
                self.follower.relabel(by);
                self.sources.relabel(by, now);
                if self.config.reference == Reference::Sources {
                    self.reports.say(Report::TaiMoved { by });
                }
            }
        }
        self.publish(now);
    }

    /// A counter that stands behind where it stood was reset: timers begin anew, and nothing measured before is of use.
    pub(super) fn follow_counter(&mut self, now: Ticks) {
        if self.local.passed(self.timers.now, now) < Span::ZERO {
            self.system.counter_reset(now);
            self.publication.counter_reset(now);
            self.timers.reminded = self.timers.reminded.map(|_| now);
            (self.timers.saved, self.timers.asked_leap) = (now, now);
            self.follower.counter_jumped(now);
            self.sources.counter_reset(&mut self.here, now);
            self.clocks.counter_reset(self.local, now);
            self.broadcasts.configure(&self.config.broadcasts, now, &mut self.reports);
            if self.config.reference == Reference::Sources {
                self.reports.say(Report::CounterJumped { by: None });
            }
        }
        self.timers.now = now;
    }

    /// `cause` is when what has just been taken note of arrived.
    pub(super) fn run_timers(&mut self, cause: Option<Ticks>, now: Ticks) {
        let local = self.local;
        if self.reference_clock().is_some() {
            if self.system.is_due(&local, now)
                && let Some(clock) = self.clocks.get_mut(ClockId::SYSTEM)
            {
                clock.want_read();
            }
            if self.system.check_silence(&local, now, &mut self.reports) {
                self.publish(now);
            }
        }
        self.clocks.run(&local, self.reference_clock(), now);
        self.sources.run(&mut self.here, now, &mut self.reports);
        let model = self.model();
        self.follower.reselect(&mut self.sources, model.as_ref(), now, &mut self.reports);
        self.sources.say_judgements(&local, now, &mut self.reports);
        let mut changed = false;
        if self.config.reference == Reference::Sources {
            self.follower.stamps_located(self.clocks.stamps_located());
            changed = self.follower.run(&self.sources, now, &mut self.reports);
            changed |= self.follower.model().is_some_and(|model| model != self.publication.snapshot().local);
        }
        self.steer(cause, now);
        changed |= self.clocks.take_changed();
        if changed || self.publication.age(&local, now) >= REPUBLISH_AFTER {
            self.publish(now);
        }
        if local.passed(self.timers.asked_leap, now) >= ASK_LEAP_AFTER {
            self.timers.asked_leap = now;
            self.ask_sources_for_leap(now);
        }
        if local.passed(self.timers.saved, now) >= SAVE_AFTER {
            self.save(now);
        }
        self.remind_of_leap_table(now);
    }

    /// Leads the clocks of the host to our time.
    fn steer(&mut self, cause: Option<Ticks>, now: Ticks) {
        let (model, synchronised) = (self.model(), self.is_synchronised());
        let Some(model) = model.as_ref() else { return };
        let target = Target { model, table: &self.leap_table, synchronised };
        let but = self.reference_clock();
        self.clocks.steer(&target, &self.local, but, cause, now, &mut self.reports);
    }

    pub(super) fn save(&mut self, now: Ticks) {
        self.timers.saved = now;
        self.save = self.follower.saved(now).or(self.save.take());
    }

    fn remind_of_leap_table(&mut self, now: Ticks) {
        let due = self.timers.reminded.is_none_or(|reminded| self.local.passed(reminded, now) >= REMIND_AFTER);
        let Some(expires) = self.leap_table.expires().filter(|_| due) else { return };
        let utc = match self.config.reference {
            Reference::System(_) => self.system.last_good().map(|last| last.utc),
            Reference::Sources => self.model().map(|model| self.leap_table.tai_to_utc(model.instant(now))),
        };
        if let Some(utc) = utc.filter(|utc| *utc > expires) {
            self.timers.reminded = Some(now);
            self.reports.say(Report::LeapTableExpired { ago: utc - expires });
        }
    }
}
