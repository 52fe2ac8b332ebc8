//! One clock of this host.

use core::cell::Cell;

use sidereal_servo::{Adjustment, CrossOffered, CrossTracker, Discipline, FrequencyOffset, Standing, Steering, Told};
use sidereal_time::{
    ClockId, ClockModel, Counter, CrossModel, Instant, LeapTable, LocalClock, Rate, Span, StampFault, Tai, Ticks,
};

use super::pace::Pace;
use super::{Quality, Target};
use crate::arming::Arming;
use crate::config::{ClockOptions, ClockScale, Steer};
use crate::event::{Action, ClockReading};
use crate::report::{Report, Reports};
use crate::status::ClockStatus;

/// The shortest time between two readings of a clock.
const MIN_READ_PERIOD: Span = Span::from_nanos(7_812_500);
/// How long a rival, or a refusal, is remembered after it was last seen.
const MEMORY: Span = Span::from_secs(300);
/// How often the kernel is told how good a clock is: its own `maxerror` grows by 500 us a second meanwhile.
const ANNOUNCE_PERIOD: Span = Span::from_secs(8);
/// A clock that was set by less than this is not worth a word.
const JUMP: Span = Span::from_nanos(1_000_000);
/// Around a leap second a clock that shows UTC may stand on either side of it.
const LEAP_DOUBT: Span = Span::from_secs(2);

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    id: ClockId,
    options: ClockOptions,
    tracker: CrossTracker,
    steering: Steering,
    look: Option<Look>,
    next_read: Ticks,
    read_wanted: bool,
    /// Something is known that was not when it was last steered, and what it is known by.
    steering_wanted: bool,
    cause: Option<Ticks>,
    pace: Pace,
    /// When it is to be steered again, come what may: its error will be gone then.
    steer_at: Option<Ticks>,
    /// It was set: what it shows now is to be seen first.
    unseen: bool,
    /// What it is to be told.
    pending: Option<Action>,
    /// What it was told last, and before that, in case that it refuses.
    frequency: FrequencyOffset,
    undo: Option<Adjustment>,
    last_adjustment: Option<Adjustment>,
    announced: Option<(Ticks, Arming, bool)>,
    announcement: Option<Action>,
    discipline: Option<Discipline>,
    rival: Option<Rival>,
    steps: u64,
    lost: bool,
    /// When it last refused to be steered.
    refused: Option<Ticks>,
    located: Cell<u64>,
    refusals: [Cell<u64>; StampFault::ALL.len()],
}

/// A reading of a clock.
#[derive(Debug, Clone, Copy)]
struct Look {
    ticks: Ticks,
    window: Span,
    /// What it showed less what it should have.
    offset: Option<Span>,
}

#[derive(Debug, Clone)]
struct Rival {
    who: Option<String>,
    seen: Ticks,
}

impl Clock {
    pub(super) fn new(id: ClockId, options: &ClockOptions, local: LocalClock, now: Ticks) -> Self {
        let (width, nominal) = match options.scale {
            ClockScale::Utc | ClockScale::Tai => (64, Rate::NANOSECOND),
            ClockScale::Free { width, rate } => (width, rate),
        };
        Self {
            id,
            options: options.clone(),
            tracker: CrossTracker::new(id, width, nominal, local),
            steering: Steering::new(&options.steering),
            look: None,
            next_read: now,
            read_wanted: false,
            steering_wanted: false,
            cause: None,
            pace: Pace::new(now),
            steer_at: None,
            unseen: false,
            pending: None,
            frequency: FrequencyOffset::ZERO,
            undo: None,
            last_adjustment: None,
            announced: None,
            announcement: None,
            discipline: None,
            rival: None,
            steps: 0,
            lost: false,
            refused: None,
            located: Cell::default(),
            refusals: Default::default(),
        }
    }

    pub(super) fn id(&self) -> ClockId {
        self.id
    }

    /// Takes over what is known of `old`, if that was the same clock with other options.
    pub(super) fn inherit(&mut self, old: Self, now: Ticks) {
        let new = &self.options;
        if (&new.name, new.scale) != (&old.options.name, old.options.scale) {
            return;
        }
        let steering = if new.steering == old.options.steering { old.steering } else { Steering::new(&new.steering) };
        *self = Self { options: new.clone(), steering, next_read: now, ..old };
    }

    /// Wants to be read where that `is_due` by time; forgets what is long ago.
    pub(super) fn run(&mut self, local: &LocalClock, is_read: bool, now: Ticks) {
        if is_read && local.passed(self.next_read, now) >= Span::ZERO {
            self.read_wanted = true;
            self.next_read = local.later(now, self.options.read_period.max(MIN_READ_PERIOD));
        }
        self.rival.take_if(|rival| local.passed(rival.seen, now) > MEMORY);
        self.refused.take_if(|refused| local.passed(*refused, now) > MEMORY);
    }

    /// Takes note of a reading; says how far somebody else set the clock since the last one, if somebody did.
    pub(crate) fn read(
        &mut self,
        reading: &ClockReading,
        target: Option<Target<'_>>,
        reports: &mut Reports,
    ) -> Option<Span> {
        let offered = self.tracker.offer(reading.as_counter());
        match offered {
            CrossOffered::Stale => return None,
            CrossOffered::Stopped => {
                self.lost(reports);
                return None;
            }
            CrossOffered::Taken | CrossOffered::Doubted | CrossOffered::Jumped(_) => self.found(reports),
        }
        let at = target.map(|target| target.model.instant(reading.ticks()));
        let offset = target.zip(at).and_then(|(target, at)| match reading {
            ClockReading::Utc(reading) => {
                Some(Span::from_units(reading.at().units() - target.table.tai_to_utc(at).units()))
            }
            ClockReading::Tai(reading) => Some(reading.at() - at),
            ClockReading::Free(_) => None,
        });
        self.look = Some(Look { ticks: reading.ticks(), window: reading.window(), offset });
        self.steering_wanted = true;
        match offered {
            CrossOffered::Jumped(by) => {
                self.read_wanted = true;
                let leaps = target.zip(at).is_some_and(|(target, at)| self.may_leap(target.table, at));
                if leaps || by.abs() <= JUMP {
                    return None;
                }
                // Who sets a clock may have made it run differently too.
                self.reassert();
                reports.say(Report::ClockJumped { clock: self.options.name.clone(), by });
                Some(by)
            }
            CrossOffered::Doubted => {
                self.read_wanted = true;
                None
            }
            _ => {
                self.unseen = false;
                None
            }
        }
    }

    /// What the kernel said before.
    pub(crate) fn discipline(&self) -> Option<Discipline> {
        self.discipline
    }

    pub(crate) fn set_discipline(&mut self, discipline: Discipline) {
        self.discipline = Some(discipline);
    }

    pub(crate) fn want_read(&mut self) {
        self.read_wanted = true;
    }

    /// It can be read.
    pub(crate) fn found(&mut self, reports: &mut Reports) {
        if core::mem::take(&mut self.lost) {
            reports.say(Report::ClockFound { clock: self.options.name.clone() });
        }
    }

    pub(crate) fn lost(&mut self, reports: &mut Reports) {
        if !core::mem::replace(&mut self.lost, true) {
            reports.say(Report::ClockLost { clock: self.options.name.clone() });
        }
        self.tracker.lost();
        self.look = None;
        self.pending = None;
        self.steer_at = None;
    }

    /// Nobody knows where it stands, nor how it is steered.
    pub(crate) fn reset(&mut self) {
        self.tracker.restart();
        self.look = None;
        self.steer_at = None;
        self.read_wanted = true;
        self.reassert();
    }

    pub(crate) fn refused(&mut self, now: Ticks, reports: &mut Reports) {
        if self.refused.replace(now).is_none() {
            reports.say(Report::SteerFailed { clock: self.options.name.clone() });
        }
        if let Some(undo) = self.undo.take() {
            self.tracker.adjusted(now, &undo);
            if let Adjustment::Frequency(before) = undo {
                self.frequency = before;
            }
        }
        self.steering.refused();
        self.steer_at = None;
    }

    pub(crate) fn rival(&mut self, who: Option<String>, now: Ticks, reports: &mut Reports) {
        let known = self.rival.as_ref().is_some_and(|rival| rival.who == who);
        if !known {
            reports.say(Report::Rival { clock: self.options.name.clone(), who: who.clone() });
        }
        self.rival = Some(Rival { who, seen: now });
        self.pending = None;
        self.steer_at = None;
    }

    /// The place on the local counter of a stamp that it took.
    pub(crate) fn locate(&self, stamp: Ticks, now: Ticks) -> Result<Ticks, StampFault> {
        let located = self.cross().ok_or(StampFault::UnknownClock).and_then(|model| model.locate(stamp, now));
        let count = match located {
            Ok(_) => Some(&self.located),
            Err(fault) => self.refusals.get(fault as usize),
        };
        count.inspect(|count| count.set(count.get().wrapping_add(1)));
        located
    }

    /// Whether a stamp of it was located.
    pub(super) fn has_located(&self) -> bool {
        self.located.get() > 0
    }

    /// How its stamps are located, where it takes stamps.
    pub(super) fn cross(&self) -> Option<CrossModel> {
        let at = self.look.filter(|_| self.options.stamps)?.ticks;
        self.tracker.model(at)
    }

    /// The clock as a counter of nanoseconds since its epoch, from where it was read last, under the model of the local counter.
    pub(crate) fn as_counter(&self, model: &ClockModel, local: &LocalClock) -> Option<ClockModel> {
        let look = self.look?;
        let estimate = self.tracker.estimate(look.ticks)?;
        let shown = estimate.shown;
        let nanos = Instant::<Tai>::from_units(shown.units()).as_nanos_rounded();
        // The reference is moved to the whole nanosecond that is next to what was shown.
        let rounded = Span::from_units(nanos * Span::from_nanos(1).units() - shown.units());
        // How long a local tick truly is, against how much the clock shows meanwhile.
        let ratio = model.rate.to_bits() as f64 / (local.rate.to_bits().max(1) as f64 * estimate.speed);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks wrap; a rate saturates")]
        let (ticks, rate) = (nanos as u64, (Rate::NANOSECOND.to_bits() as f64 * ratio).round() as u64);
        Some(ClockModel {
            counter: Counter::Realtime,
            width: 64,
            reference_ticks: Ticks(ticks),
            reference: model.instant(look.ticks) + rounded,
            rate: Rate::from_bits(rate),
            error: look.window.half(),
            drift_ppb: 0,
            generation: model.generation,
        })
    }

    /// Its target has changed, by something that arrived at `cause`.
    pub(super) fn want_steering(&mut self, cause: Option<Ticks>) {
        self.steering_wanted = true;
        self.cause = self.cause.or(cause);
    }

    /// Steers it, if there is a reason to; says whether it was told something.
    pub(super) fn steer(&mut self, target: &Target<'_>, local: &LocalClock, now: Ticks, reports: &mut Reports) -> bool {
        let is_due = self.steer_at.is_some_and(|at| local.passed(at, now) >= Span::ZERO);
        if !(self.steering_wanted || is_due) {
            return false;
        }
        let standing = self.standing(target, local, now);
        if standing.is_some() && !self.pace.allows(local, now) {
            self.steering_wanted = true;
            self.steer_at = Some(self.pace.next(local));
            return false;
        }
        self.steering_wanted = false;
        let cause = self.cause.take();
        let told = standing.and_then(|standing| self.steering.decide(&standing));
        let Some(Told { adjustment, lasts }) = told else {
            self.steer_at.take_if(|_| is_due);
            return false;
        };
        let does = self.options.steer == Steer::On && self.rival.is_none();
        if let Adjustment::Step(by) = adjustment
            && (does || !matches!(self.last_adjustment, Some(Adjustment::Step(_))))
        {
            self.steps += 1;
            reports.say(Report::ClockStepped { clock: self.options.name.clone(), by, dry: !does });
        }
        self.last_adjustment = Some(adjustment);
        self.steer_at = lasts.filter(|_| does).map(|lasts| local.later(now, lasts));
        if does {
            self.pace.take(local, now);
            self.tell(adjustment, cause, now);
        } else {
            self.pending = cause.map(|cause| Action::WouldSteer { clock: self.id, cause });
        }
        does
    }

    /// How it stands to the target, where it is to be steered and that is known.
    fn standing(&self, target: &Target<'_>, local: &LocalClock, now: Ticks) -> Option<Standing> {
        let steered = self.options.steer != Steer::Off && target.synchronised && !self.lost && !self.unseen;
        let at = target.model.instant(now);
        if !steered || self.may_leap(target.table, at) {
            return None;
        }
        let right = match self.options.scale {
            ClockScale::Utc => target.table.tai_to_utc(at).units(),
            ClockScale::Tai => at.units(),
            ClockScale::Free { .. } => return None,
        };
        self.tracker.model(now)?;
        let estimate = self.tracker.estimate(now)?;
        let pace = target.model.rate.to_bits() as f64 / local.rate.to_bits().max(1) as f64;
        let even = (pace / (1.0 + estimate.own_frequency) - 1.0) * 1e9;
        Some(Standing {
            error: Span::from_units(estimate.shown.units() - right),
            deviation: estimate.deviation,
            even: FrequencyOffset::from_ppb(even),
            frequency_deviation: estimate.frequency_deviation,
        })
    }

    fn tell(&mut self, adjustment: Adjustment, cause: Option<Ticks>, now: Ticks) {
        self.tracker.adjusted(now, &adjustment);
        self.undo = Some(match adjustment {
            Adjustment::Step(by) => Adjustment::Step(-by),
            Adjustment::Frequency(_) => Adjustment::Frequency(self.frequency),
        });
        match adjustment {
            Adjustment::Step(_) => (self.unseen, self.read_wanted) = (true, true),
            Adjustment::Frequency(frequency) => self.frequency = frequency,
        }
        self.pending = Some(Action::Steer { clock: self.id, adjustment, cause });
    }

    /// Tells it once more how fast to run, if we have told it.
    fn reassert(&mut self) {
        let told = matches!(self.last_adjustment, Some(Adjustment::Frequency(_)));
        if told && self.options.steer == Steer::On && self.rival.is_none() {
            let adjustment = Adjustment::Frequency(self.frequency);
            self.pending = Some(Action::Steer { clock: self.id, adjustment, cause: None });
            self.unseen = true;
        }
    }

    /// Whether it shows UTC, and `at` is near a leap second.
    fn may_leap(&self, table: &LeapTable, at: Instant<Tai>) -> bool {
        self.options.scale == ClockScale::Utc
            && table.next(at - LEAP_DOUBT).is_some_and(|(leap, _)| leap - at <= LEAP_DOUBT)
    }

    /// Whether the kernel is to be told of it, where it is ours to steer.
    pub(super) fn is_unannounced(&self, arming: Arming, synchronised: bool, local: &LocalClock, now: Ticks) -> bool {
        let known = self.announced.is_some_and(|(at, of, was_synchronised)| {
            (of, was_synchronised) == (arming, synchronised) && local.passed(at, now) < ANNOUNCE_PERIOD
        });
        self.options.steer == Steer::On && !known && self.rival.is_none() && !self.lost
    }

    pub(super) fn announce(&mut self, quality: &Quality, now: Ticks) {
        self.announced = Some((now, quality.arming, quality.synchronised));
        let offset = self.look.and_then(|look| look.offset).unwrap_or_default().abs();
        self.announcement = Some(Action::Announce {
            clock: self.id,
            leap_step: quality.arming.leap_step,
            tai_offset_s: quality.arming.tai_offset_s,
            synchronised: quality.synchronised,
            max_error: quality.bound + offset,
            uncertainty: quality.uncertainty + offset,
        });
    }

    pub(super) fn timeouts(&self) -> impl Iterator<Item = Ticks> {
        [Some(self.next_read), self.steer_at].into_iter().flatten()
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        // What is read after a step has to have been stepped.
        if let Some(steer) = self.pending.take() {
            return Some(steer);
        }
        if core::mem::take(&mut self.read_wanted) {
            return Some(Action::ReadClock(self.id));
        }
        self.announcement.take()
    }

    /// The local counter was set back.
    pub(super) fn counter_reset(&mut self, local: LocalClock, now: Ticks) {
        let fresh = Self::new(self.id, &self.options, local, now);
        self.tracker = fresh.tracker;
        self.steering = fresh.steering;
        (self.look, self.steer_at, self.announced, self.refused) = (None, None, None, None);
        (self.next_read, self.pace) = (now, fresh.pace);
        self.unseen = false;
        if let Some(rival) = &mut self.rival {
            rival.seen = now;
        }
    }

    pub(super) fn status(&self, now: Ticks) -> ClockStatus {
        let estimate = self.tracker.estimate(now);
        ClockStatus {
            id: self.id,
            name: self.options.name.clone(),
            steer: self.options.steer,
            scale: self.options.scale,
            offset: self.look.and_then(|look| look.offset),
            window: self.look.map(|look| look.window),
            last_adjustment: self.last_adjustment,
            steps: self.steps,
            own_frequency_ppb: estimate.map(|of| (of.own_frequency * 1e9, of.frequency_deviation * 1e9)),
            deviation: estimate.map(|estimate| Span::from_secs_f64(estimate.deviation)),
            read_noise: self.tracker.noise().map(Span::from_secs_f64),
            cross: self.cross(),
            readings: self.tracker.counts(),
            stamps_located: self.located.get(),
            stamps_refused: self.refusals.each_ref().map(Cell::get),
            rival: self.rival.as_ref().map(|rival| rival.who.clone().unwrap_or_default()),
            lost: self.lost,
        }
    }
}
