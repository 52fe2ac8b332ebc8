//! The engine: what it is told, what it wants done, and what it publishes.

use std::collections::VecDeque;

use sidereal_ntp::{ReferenceId, Stratum, SystemVariables};
use sidereal_servo::{CounterFit, Discipline, FitCounts, Offer};
use sidereal_time::{
    ClockModel, Counter, Instant, LeapTable, LocalClock, NtpClock, NtpShort, NtpTimestamp, Rate, Reading, Span, Tai,
    Ticks, Utc,
};

use crate::leap;
use crate::{Report, Snapshot};

/// How often the reference is read while the model settles.
const BRISK_PERIOD: Span = Span::from_nanos(62_500_000);
/// How often the reference is read from then on.
const STEADY_PERIOD: Span = Span::from_nanos(250_000_000);
/// How long the reference may go without a good reading: 16 steady periods.
const STALE_AFTER: Span = Span::from_secs(4);
/// How old a publication may become: its root dispersion grows with time.
const REPUBLISH_AFTER: Span = Span::SECOND;
/// How often an expired table of leap seconds is complained about.
const REMIND_AFTER: Span = Span::from_secs(86_400);
/// PHI of RFC 5905 §11.1, 15 ppm: how fast the root dispersion grows, in parts per billion.
const PHI_PPB: i128 = 15_000;
/// Reports kept for a caller who does not fetch them; beyond, the oldest are dropped.
const MAX_REPORTS: usize = 32;

/// What the engine says of its reference, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// The stratum served while synchronised.
    pub stratum: Stratum,
    /// What is followed.
    pub reference_id: ReferenceId,
    /// Round-trip delay from the system clock to the primary reference.
    pub root_delay: Span,
    /// How wrong the system clock may be, the delay aside.
    pub root_dispersion: Span,
}

/// What the engine is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// Nothing but that time has passed: what [`Engine::poll_timeout`] asked for.
    Timer,
    /// The system clock was read: the answer to [`Action::ReadSystemClock`].
    Reading(Reading<Utc>),
    /// What the kernel says of how it steers the system clock; best before each reading. Without it, the kernel is
    /// expected to make every leap second.
    Discipline(Discipline),
    /// The configuration has changed.
    Configuration(EngineConfig),
    /// The table of leap seconds has changed.
    LeapTable(LeapTable),
}

/// What the engine wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read the system clock beside the local counter and hand in [`Event::Reading`].
    ReadSystemClock,
    /// Let the workers know.
    Publish(Snapshot),
    /// Tell people.
    Report(Report),
}

/// Whether we know the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronisation {
    /// There is no model yet.
    Acquiring,
    /// The model follows the reference.
    Synchronised,
    /// There is a model, but the reference is silent or talks nonsense.
    Lost,
}

/// How the clock is, for people and programs that ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether we know the time.
    pub synchronisation: Synchronisation,
    /// The counter's model, once there is one.
    pub model: Option<ClockModel>,
    /// The instant by the model.
    pub now: Option<Instant<Tai>>,
    /// How far `now` may be from the reference, either way.
    pub error: Option<Span>,
    /// TAI - UTC at `now`, in seconds.
    pub tai_offset_s: Option<i32>,
    /// What the kernel last said of the system clock.
    pub discipline: Option<Discipline>,
    /// What became of the readings.
    pub readings: FitCounts,
    /// Readings left out because they may have meant either side of a leap second.
    pub ambiguous: u64,
    /// When the table of leap seconds expires, if it says so.
    pub leap_table_expires: Option<Instant<Utc>>,
}

/// The control plane. It keeps a model of the local counter against the system clock and says what replies may say.
///
/// After each [`Self::handle`], carry out what [`Self::poll_action`] gives until it gives nothing, then wait for an event
/// or until [`Self::poll_timeout`]. Memory is bounded, whatever is handed in.
#[derive(Debug, Clone)]
pub struct Engine {
    local: LocalClock,
    config: EngineConfig,
    leap_table: LeapTable,
    fit: CounterFit,
    synchronisation: Synchronisation,
    /// The last reading that the model agrees with.
    last_good: Option<LastReading>,
    discipline: Option<Discipline>,
    said: Said,
    ambiguous: u64,
    snapshot: Snapshot,
    timers: Timers,
    actions: Actions,
}

#[derive(Debug, Clone, Copy)]
struct LastReading {
    utc: Instant<Utc>,
    tai: Instant<Tai>,
}

/// All in ticks of the local counter.
#[derive(Debug, Clone, Copy)]
struct Timers {
    /// When the last event was.
    now: Ticks,
    next_reading: Ticks,
    last_good: Ticks,
    published: Ticks,
    reminded: Option<Ticks>,
}

/// What was wrong when it was last reported: said again only when it changes.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    missed_leap: Option<i8>,
    /// TAI - UTC of the kernel and of the table, in seconds, where they differ.
    tai_offset: Option<(i32, i32)>,
    unlisted_leap: Option<i8>,
}

#[derive(Debug, Clone, Default)]
struct Actions {
    read: bool,
    publish: bool,
    reports: VecDeque<Report>,
}

impl Engine {
    /// An engine that knows nothing of the time: the first thing it wants is a reading.
    #[must_use]
    pub fn new(local: LocalClock, config: EngineConfig, leap_table: LeapTable, now: Ticks) -> Self {
        let fit = CounterFit::new(local.counter, local.width, local.rate);
        let snapshot = Snapshot {
            local: local.unknown(now),
            local_ntp: NtpClock::new(&local.unknown(now), 0, None),
            realtime_ntp: NtpClock::new(&realtime_model(Instant::EPOCH, Instant::EPOCH), 0, None),
            system: SystemVariables { precision: local.precision, ..SystemVariables::UNSYNCHRONISED },
            sequence: 0,
        };
        Self {
            local,
            config,
            leap_table,
            fit,
            synchronisation: Synchronisation::Acquiring,
            last_good: None,
            discipline: None,
            said: Said::default(),
            ambiguous: 0,
            snapshot,
            timers: Timers { now, next_reading: now, last_good: now, published: now, reminded: None },
            actions: Actions { read: false, publish: true, reports: VecDeque::with_capacity(MAX_REPORTS) },
        }
    }

    /// Takes note of `event`, which happened at `now`.
    pub fn handle(&mut self, event: Event, now: Ticks) {
        self.follow_counter(now);
        match event {
            Event::Timer => {}
            Event::Reading(reading) => self.reading(&reading, now),
            Event::Discipline(discipline) => self.discipline(discipline),
            Event::Configuration(config) => {
                self.config = config;
                self.publish(now);
            }
            Event::LeapTable(table) => {
                self.replace_leap_table(table);
                self.publish(now);
            }
        }
        self.run_timers(now);
    }

    /// When to hand in [`Event::Timer`], if nothing else happens before. Where the counter may stop or be set while the
    /// host sleeps, come back after a second at most.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Ticks> {
        Some(self.timers.next_reading)
    }

    /// The next thing to do, if any.
    pub fn poll_action(&mut self) -> Option<Action> {
        if core::mem::take(&mut self.actions.publish) {
            return Some(Action::Publish(self.snapshot));
        }
        if core::mem::take(&mut self.actions.read) {
            return Some(Action::ReadSystemClock);
        }
        self.actions.reports.pop_front().map(Action::Report)
    }

    /// What the workers know, or will as soon as it is published.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot
    }

    /// How the clock is at `now`.
    #[must_use]
    pub fn status(&self, now: Ticks) -> Status {
        let model = self.fit.model();
        let at = model.map(|model| model.instant(now));
        Status {
            synchronisation: self.synchronisation,
            model,
            now: at,
            error: model.map(|model| model.error_at(now)),
            tai_offset_s: at.map(|at| leap::tai_offset_s(&self.leap_table, at)),
            discipline: self.discipline,
            readings: self.fit.counts(),
            ambiguous: self.ambiguous,
            leap_table_expires: self.leap_table.expires(),
        }
    }

    fn reading(&mut self, reading: &Reading<Utc>, now: Ticks) {
        let predicted = self.fit.model().map(|model| model.instant(reading.ticks()));
        let Some(placed) = leap::place(&self.leap_table, reading.at(), predicted) else {
            self.ambiguous += 1;
            return;
        };
        match self.fit.offer(Reading::new(reading.ticks(), placed.tai, reading.window())) {
            Offer::Accepted | Offer::Locked | Offer::Slewed => {}
            Offer::Stepped { by } => self.stepped(by),
            // The model is less certain: the workers should know.
            Offer::Suspected => return self.publish(now),
            Offer::Rejected(_) => return,
        }
        self.timers.last_good = now;
        self.last_good = Some(LastReading { utc: reading.at(), tai: placed.tai });
        self.note_missed_leap(placed.missed);
        if self.synchronisation != Synchronisation::Synchronised {
            self.synchronisation = Synchronisation::Synchronised;
            let error = self.fit.model().map_or(Span::ZERO, |model| model.error_at(now));
            self.report(Report::Synchronised { error });
        }
        self.publish(now);
    }

    /// UTC is what the reference shows. A table that gives another offset for it therefore moves TAI.
    fn replace_leap_table(&mut self, table: LeapTable) {
        let old = core::mem::replace(&mut self.leap_table, table);
        self.timers.reminded = None;
        let Some(last) = self.last_good.as_mut() else { return };
        let by = self.leap_table.utc_to_tai(old.tai_to_utc(last.tai)) - last.tai;
        if by != Span::ZERO {
            last.tai += by;
            self.fit.relabel(by);
            self.report(Report::TaiMoved { by });
        }
    }

    fn stepped(&mut self, by: Span) {
        let generation = self.fit.model().map_or(0, |model| model.generation);
        self.report(Report::Stepped { by, generation });
    }

    fn note_missed_leap(&mut self, missed: Option<i8>) {
        match (self.said.missed_leap, missed) {
            (None, Some(step)) => self.report(Report::LeapSecondMissed { step }),
            (Some(_), None) => self.report(Report::LeapSecondMade),
            _ => {}
        }
        self.said.missed_leap = missed;
    }

    /// Compares what the kernel says with what it said before and with the table.
    fn discipline(&mut self, discipline: Discipline) {
        let before = self.discipline.replace(discipline);
        let max_error = discipline.max_error;
        match (before.is_none_or(|before| before.synchronised), discipline.synchronised) {
            (true, false) => self.report(Report::ReferenceUnsynchronised { max_error }),
            (false, true) => self.report(Report::ReferenceSynchronised { max_error }),
            _ => {}
        }
        let Some(now) = self.last_good.map(|last| last.tai) else { return };
        let differing = discipline.tai_offset_s.and_then(|kernel_s| leap::differing(&self.leap_table, now, kernel_s));
        if self.said.tai_offset != differing {
            self.said.tai_offset = differing;
            if let Some((kernel_s, table_s)) = differing {
                self.report(Report::TaiOffsetDiffers { kernel_s, table_s });
            }
        }
        let step = discipline.leap_step;
        let unlisted = (step != 0 && step != leap::step_today(&self.leap_table, now)).then_some(step);
        if self.said.unlisted_leap != unlisted {
            self.said.unlisted_leap = unlisted;
            if let Some(step) = unlisted {
                self.report(Report::LeapSecondUnlisted { step });
            }
        }
    }

    /// A counter that stands behind where it stood was reset: timers begin anew.
    fn follow_counter(&mut self, now: Ticks) {
        if self.local.passed(self.timers.now, now) < Span::ZERO {
            self.timers.next_reading = now;
            self.timers.last_good = now;
            self.timers.published = now;
            self.timers.reminded = self.timers.reminded.map(|_| now);
        }
        self.timers.now = now;
    }

    fn run_timers(&mut self, now: Ticks) {
        if self.local.passed(self.timers.next_reading, now) >= Span::ZERO {
            self.actions.read = true;
            let period = if self.fit.is_settled() { STEADY_PERIOD } else { BRISK_PERIOD };
            self.timers.next_reading = self.local.later(now, period);
        }
        let silent = self.local.passed(self.timers.last_good, now);
        if self.synchronisation == Synchronisation::Synchronised && silent > STALE_AFTER {
            self.synchronisation = Synchronisation::Lost;
            self.report(Report::Lost { silent });
            self.publish(now);
        }
        if self.local.passed(self.timers.published, now) >= REPUBLISH_AFTER {
            self.publish(now);
        }
        self.remind_of_leap_table(now);
    }

    fn remind_of_leap_table(&mut self, now: Ticks) {
        let due = self.timers.reminded.is_none_or(|reminded| self.local.passed(reminded, now) >= REMIND_AFTER);
        let (true, Some(last), Some(expires)) = (due, self.last_good, self.leap_table.expires()) else { return };
        if last.utc > expires {
            self.timers.reminded = Some(now);
            self.report(Report::LeapTableExpired { ago: last.utc - expires });
        }
    }

    fn report(&mut self, report: Report) {
        if self.actions.reports.len() == MAX_REPORTS {
            self.actions.reports.pop_front();
        }
        self.actions.reports.push_back(report);
    }

    /// Makes the snapshot anew, to be published.
    fn publish(&mut self, now: Ticks) {
        self.timers.published = now;
        self.actions.publish = true;
        self.snapshot.sequence += 1;
        let (Some(model), Some(last)) = (self.fit.model(), self.last_good) else { return };
        let offset_at = |at| leap::tai_offset_s(&self.leap_table, at);
        let next = self.leap_table.next(model.reference);
        self.snapshot.local = model;
        self.snapshot.local_ntp = NtpClock::new(&model, offset_at(model.reference), next);
        self.snapshot.realtime_ntp =
            NtpClock::new(&realtime_model(last.utc, last.tai), offset_at(last.tai), self.unmade_leap(last.tai));
        self.snapshot.system = self.system_variables(&model, last.tai, now);
    }

    fn system_variables(&self, model: &ClockModel, reference: Instant<Tai>, now: Ticks) -> SystemVariables {
        let unsynchronised = SystemVariables { precision: self.local.precision, ..SystemVariables::UNSYNCHRONISED };
        if self.synchronisation != Synchronisation::Synchronised {
            return unsynchronised;
        }
        let at = model.instant(now);
        let grown = Span::from_units((at - reference).abs().units() * PHI_PPB / 1_000_000_000 + 1);
        SystemVariables {
            leap: leap::indicator(&self.leap_table, at),
            stratum: self.config.stratum,
            root_delay: NtpShort::from_span_rounded_up(self.config.root_delay),
            root_dispersion: NtpShort::from_span_rounded_up(self.config.root_dispersion + model.error_at(now) + grown),
            reference_id: self.config.reference_id,
            reference_time: NtpTimestamp::from_utc(self.leap_table.tai_to_utc(reference)),
            ..unsynchronised
        }
    }

    /// The next leap second after `now` that the kernel will not make by itself.
    fn unmade_leap(&self, now: Instant<Tai>) -> Option<(Instant<Tai>, i8)> {
        let discipline = self.discipline?;
        self.leap_table.next(now).filter(|(_, step)| discipline.leap_step != *step)
    }
}

/// CLOCK_REALTIME as a counter of nanoseconds: it showed `utc` at `tai`.
fn realtime_model(utc: Instant<Utc>, tai: Instant<Tai>) -> ClockModel {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks wrap; before 1970 too")]
    let ticks = Ticks(utc.as_nanos_rounded() as u64);
    ClockModel {
        counter: Counter::Realtime,
        width: 64,
        reference_ticks: ticks,
        reference: tai,
        rate: Rate::NANOSECOND,
        error: Span::ZERO,
        drift_ppb: 0,
        generation: 0,
    }
}
