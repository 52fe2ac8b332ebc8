//! The system clock as the reference: found, followed, lost.

use sidereal_ntp::SystemVariables;
use sidereal_servo::{CounterFit, Discipline, FitCounts, Offer};
use sidereal_time::{
    ClockModel, Instant, LeapTable, LocalClock, NtpShort, NtpTimestamp, Reading, Span, Tai, Ticks, Utc,
};

use crate::config::SystemReference;
use crate::leap;
use crate::report::{Report, Reports};
use crate::status::Synchronisation;

/// How often the reference is read while the model settles.
const BRISK_PERIOD: Span = Span::from_nanos(62_500_000);
/// How often the reference is read from then on.
const STEADY_PERIOD: Span = Span::from_nanos(250_000_000);
/// How long the reference may go without a good reading: 16 steady periods.
const STALE_AFTER: Span = Span::from_secs(4);
/// PHI of RFC 5905 §11.1, 15 ppm: how fast the root dispersion grows, in parts per billion.
const PHI_PPB: i128 = 15_000;

/// Follows the system clock by a fit of the local counter to it.
#[derive(Debug, Clone)]
pub(crate) struct SystemFollower {
    fit: CounterFit,
    synchronisation: Synchronisation,
    /// The last reading that the model agrees with.
    last_good: Option<LastReading>,
    last_good_at: Ticks,
    next_reading: Ticks,
    said: Said,
    ambiguous: u64,
}

/// A reading of the system clock, and what it means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastReading {
    pub(crate) utc: Instant<Utc>,
    pub(crate) tai: Instant<Tai>,
}

/// What was wrong when it was last reported: said again only when it changes.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    missed_leap: Option<i8>,
    /// TAI - UTC of the kernel and of the table, in seconds, where they differ.
    tai_offset: Option<(i32, i32)>,
    unlisted_leap: Option<i8>,
}

impl SystemFollower {
    pub(crate) fn new(local: &LocalClock, now: Ticks) -> Self {
        Self {
            fit: CounterFit::new(local.counter, local.width, local.rate),
            synchronisation: Synchronisation::Acquiring,
            last_good: None,
            last_good_at: now,
            next_reading: now,
            said: Said::default(),
            ambiguous: 0,
        }
    }

    /// Takes a reading into account; says whether the workers should know.
    pub(crate) fn read(
        &mut self,
        reading: &Reading<Utc>,
        table: &LeapTable,
        now: Ticks,
        reports: &mut Reports,
    ) -> bool {
        let predicted = self.fit.model().map(|model| model.instant(reading.ticks()));
        let Some(placed) = leap::place(table, reading.at(), predicted) else {
            self.ambiguous += 1;
            return false;
        };
        match self.fit.offer(Reading::new(reading.ticks(), placed.tai, reading.window())) {
            Offer::Accepted | Offer::Locked | Offer::Slewed => {}
            Offer::Stepped { by } => {
                let generation = self.fit.model().map_or(0, |model| model.generation);
                reports.say(Report::Stepped { by, generation });
            }
            // The model is less certain: the workers should know.
            Offer::Suspected => return true,
            Offer::Rejected(_) => return false,
        }
        self.last_good_at = now;
        self.last_good = Some(LastReading { utc: reading.at(), tai: placed.tai });
        self.note_missed_leap(placed.missed, reports);
        if self.synchronisation != Synchronisation::Synchronised {
            self.synchronisation = Synchronisation::Synchronised;
            let error = self.fit.model().map_or(Span::ZERO, |model| model.error_at(now));
            reports.say(Report::Synchronised { error });
        }
        true
    }

    /// UTC is what the reference shows. A table that gives another offset for it therefore moves TAI.
    pub(crate) fn replace_leap_table(&mut self, old: &LeapTable, new: &LeapTable, reports: &mut Reports) {
        let Some(last) = self.last_good.as_mut() else { return };
        let by = new.utc_to_tai(old.tai_to_utc(last.tai)) - last.tai;
        if by != Span::ZERO {
            last.tai += by;
            self.fit.relabel(by);
            reports.say(Report::TaiMoved { by });
        }
    }

    /// Compares what the kernel says with what it said before and with the table.
    pub(crate) fn discipline(
        &mut self,
        before: Option<Discipline>,
        discipline: &Discipline,
        table: &LeapTable,
        reports: &mut Reports,
    ) {
        let max_error = discipline.max_error;
        match (before.is_none_or(|before| before.synchronised), discipline.synchronised) {
            (true, false) => reports.say(Report::ReferenceUnsynchronised { max_error }),
            (false, true) => reports.say(Report::ReferenceSynchronised { max_error }),
            _ => {}
        }
        let Some(now) = self.last_good.map(|last| last.tai) else { return };
        let differing = discipline.tai_offset_s.and_then(|kernel_s| leap::differing(table, now, kernel_s));
        if self.said.tai_offset != differing {
            self.said.tai_offset = differing;
            if let Some((kernel_s, table_s)) = differing {
                reports.say(Report::TaiOffsetDiffers { kernel_s, table_s });
            }
        }
        let step = discipline.leap_step;
        let unlisted = (step != 0 && step != leap::step_today(table, now)).then_some(step);
        if self.said.unlisted_leap != unlisted {
            self.said.unlisted_leap = unlisted;
            if let Some(step) = unlisted {
                reports.say(Report::LeapSecondUnlisted { step });
            }
        }
    }

    /// Whether the reference is to be read now.
    pub(crate) fn is_due(&mut self, local: &LocalClock, now: Ticks) -> bool {
        let due = local.passed(self.next_reading, now) >= Span::ZERO;
        if due {
            let period = if self.fit.is_settled() { STEADY_PERIOD } else { BRISK_PERIOD };
            self.next_reading = local.later(now, period);
        }
        due
    }

    /// Notices that the reference is silent; says whether the workers should know.
    pub(crate) fn check_silence(&mut self, local: &LocalClock, now: Ticks, reports: &mut Reports) -> bool {
        let silent = local.passed(self.last_good_at, now);
        let lost = self.synchronisation == Synchronisation::Synchronised && silent > STALE_AFTER;
        if lost {
            self.synchronisation = Synchronisation::Lost;
            reports.say(Report::Lost { silent });
        }
        lost
    }

    /// The counter was set back: timers begin anew.
    pub(crate) fn counter_reset(&mut self, now: Ticks) {
        self.next_reading = now;
        self.last_good_at = now;
    }

    pub(crate) fn model(&self) -> Option<ClockModel> {
        self.fit.model()
    }

    pub(crate) fn last_good(&self) -> Option<LastReading> {
        self.last_good
    }

    pub(crate) fn next_reading(&self) -> Ticks {
        self.next_reading
    }

    pub(crate) fn synchronisation(&self) -> Synchronisation {
        self.synchronisation
    }

    pub(crate) fn counts(&self) -> FitCounts {
        self.fit.counts()
    }

    pub(crate) fn ambiguous(&self) -> u64 {
        self.ambiguous
    }

    /// What replies say of the reference; `None` while it is not followed.
    pub(crate) fn system_variables(
        &self,
        reference: &SystemReference,
        table: &LeapTable,
        now: Ticks,
    ) -> Option<SystemVariables> {
        let (model, last) = (self.fit.model()?, self.last_good?);
        if self.synchronisation != Synchronisation::Synchronised {
            return None;
        }
        let at = model.instant(now);
        let grown = Span::from_units((at - last.tai).abs().units() * PHI_PPB / 1_000_000_000 + 1);
        Some(SystemVariables {
            leap: leap::indicator(table, at),
            stratum: reference.stratum,
            root_delay: NtpShort::from_span_rounded_up(reference.root_delay),
            root_dispersion: NtpShort::from_span_rounded_up(reference.root_dispersion + model.error_at(now) + grown),
            reference_id: reference.reference_id,
            reference_time: NtpTimestamp::from_utc(table.tai_to_utc(last.tai)),
            ..SystemVariables::UNSYNCHRONISED
        })
    }

    fn note_missed_leap(&mut self, missed: Option<i8>, reports: &mut Reports) {
        match (self.said.missed_leap, missed) {
            (None, Some(step)) => reports.say(Report::LeapSecondMissed { step }),
            (Some(_), None) => reports.say(Report::LeapSecondMade),
            _ => {}
        }
        self.said.missed_leap = missed;
    }
}
