//! The clocks of this host: read, watched, and steered to the model.

use sidereal_servo::{Adjustment, Discipline, FrequencyOffset, Steering};
use sidereal_time::{ClockId, ClockModel, Counter, Instant, LeapTable, LocalClock, Rate, Span, Tai, Ticks};

use crate::arming::Arming;
use crate::config::{ClockOptions, ClockScale, MAX_CLOCKS, Steer};
use crate::event::{Action, ClockReading};
use crate::report::{Report, Reports};
use crate::status::ClockStatus;

/// The shortest time between two readings of a clock.
const MIN_READ_PERIOD: Span = Span::from_nanos(62_500_000);
/// How long a rival, or a refusal, is remembered after it was last seen.
const MEMORY: Span = Span::from_secs(300);
/// How often the kernel is told how good a clock is: its own `maxerror` grows by 500 us a second meanwhile.
const ANNOUNCE_PERIOD: Span = Span::from_secs(8);
/// A clock that moves by more than this between two readings, and by more than [`JUMP_PPM`] of the time between, was set.
const JUMP: Span = Span::from_nanos(1_000_000);
/// An impatient daemon slews by a tenth of the time at most; kernels by 500 ppm.
const JUMP_PPM: i128 = 100_000;
/// Around a leap second a clock that shows UTC may stand on either side of it.
const LEAP_DOUBT: Span = Span::from_secs(2);
/// How far apart two readings are whose distance tells the clock's rate.
const RATE_BASE: Span = Span::from_secs(4);

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
pub(crate) struct Clocks(Vec<Clock>);

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    id: ClockId,
    options: ClockOptions,
    steering: Steering,
    look: Option<Look>,
    next_read: Ticks,
    read_wanted: bool,
    /// What the clock is to be told, and what it was told last.
    pending: Option<Adjustment>,
    frequency: FrequencyOffset,
    /// What that was before, in case that the clock refuses.
    frequency_before: FrequencyOffset,
    last_adjustment: Option<Adjustment>,
    /// How far we have set it since it was last read.
    set_by: Span,
    announced: Option<(Ticks, Arming, bool)>,
    announcement: Option<Action>,
    discipline: Option<Discipline>,
    rival: Option<Rival>,
    steps: u64,
    lost: bool,
    /// When it last refused to be steered.
    refused: Option<Ticks>,
}

/// A reading of a clock.
#[derive(Debug, Clone, Copy)]
struct Look {
    ticks: Ticks,
    /// 2^-16 ns since the epoch of the clock's scale.
    shown: i128,
    window: Span,
    /// What it showed less what it should have.
    offset: Option<Span>,
    /// An earlier one, to tell the clock's rate by: since then nobody has changed it, as far as we know.
    base: (Ticks, i128),
}

#[derive(Debug, Clone)]
struct Rival {
    who: Option<String>,
    seen: Ticks,
}

impl Clocks {
    pub(crate) fn new(options: &[ClockOptions], now: Ticks) -> Self {
        let mut clocks: Vec<Clock> =
            (0..).zip(options).take(MAX_CLOCKS).map(|(id, options)| Clock::new(ClockId(id), options, now)).collect();
        if clocks.is_empty() {
            clocks.push(Clock::new(ClockId::SYSTEM, &unsteered_system_clock(), now));
        }
        Self(clocks)
    }

    /// Takes over other options; what is known of a clock that is still the same stays.
    pub(crate) fn configure(&mut self, options: &[ClockOptions], now: Ticks) {
        let old = core::mem::replace(self, Self::new(options, now));
        for (new, old) in self.0.iter_mut().zip(old.0) {
            if new.options.name != old.options.name {
                continue;
            }
            let steering =
                if new.options.steering == old.options.steering { old.steering } else { new.steering.clone() };
            *new = Clock { options: new.options.clone(), steering, next_read: now, ..old };
        }
    }

    pub(crate) fn get_mut(&mut self, id: ClockId) -> Option<&mut Clock> {
        self.0.get_mut(usize::from(id.0))
    }

    /// The system clock.
    pub(crate) fn system(&self) -> Option<&Clock> {
        self.0.first()
    }

    /// Wants the clocks read that are due, those aside that `but` reads at its own pace; forgets rivals.
    pub(crate) fn run(&mut self, local: &LocalClock, but: Option<ClockId>, now: Ticks) {
        for clock in &mut self.0 {
            if Some(clock.id) != but && local.passed(clock.next_read, now) >= Span::ZERO {
                clock.read_wanted = true;
                clock.next_read = local.later(now, clock.options.read_period.max(MIN_READ_PERIOD));
            }
            clock.rival.take_if(|rival| local.passed(rival.seen, now) > MEMORY);
            clock.refused.take_if(|refused| local.passed(*refused, now) > MEMORY);
        }
    }

    /// Whether the kernel is to be told of the system clock, where that is ours to steer.
    pub(crate) fn is_unannounced(&self, arming: Arming, synchronised: bool, local: &LocalClock, now: Ticks) -> bool {
        let ours = self.system().filter(|clock| clock.options.steer == Steer::On);
        ours.is_some_and(|clock| clock.is_unannounced(arming, synchronised, local, now))
    }

    /// Prepares what the kernel is told of the system clock.
    pub(crate) fn announce(&mut self, quality: &Quality, now: Ticks) {
        if let Some(clock) = self.0.first_mut() {
            clock.announce(quality, now);
        }
    }

    /// When the next one is due, those aside that `but` reads.
    pub(crate) fn timeouts(&self, but: Option<ClockId>) -> impl Iterator<Item = Ticks> {
        self.0.iter().filter(move |clock| Some(clock.id) != but).map(|clock| clock.next_read)
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.0.iter_mut().find_map(Clock::poll_action)
    }

    /// The counter was set back: nothing that was read before can be compared.
    pub(crate) fn counter_reset(&mut self, now: Ticks) {
        for clock in &mut self.0 {
            clock.look = None;
            clock.next_read = now;
            clock.announced = None;
            clock.steering = Steering::new(&clock.options.steering);
            if let Some(rival) = &mut clock.rival {
                rival.seen = now;
            }
            clock.refused = None;
        }
    }

    pub(crate) fn status(&self) -> Vec<ClockStatus> {
        self.0.iter().map(Clock::status).collect()
    }
}

impl Clock {
    fn new(id: ClockId, options: &ClockOptions, now: Ticks) -> Self {
        Self {
            id,
            options: options.clone(),
            steering: Steering::new(&options.steering),
            look: None,
            next_read: now,
            read_wanted: false,
            pending: None,
            frequency: FrequencyOffset::ZERO,
            frequency_before: FrequencyOffset::ZERO,
            last_adjustment: None,
            set_by: Span::ZERO,
            announced: None,
            announcement: None,
            discipline: None,
            rival: None,
            steps: 0,
            lost: false,
            refused: None,
        }
    }

    /// Takes note of a reading; says how far somebody else set the clock since the last one, if somebody did.
    pub(crate) fn read(
        &mut self,
        reading: &ClockReading,
        local: &LocalClock,
        target: Option<Target<'_>>,
        reports: &mut Reports,
    ) -> Option<Span> {
        self.found(reports);
        let (shown, scale) = match reading {
            ClockReading::Utc(reading) => (reading.at().units(), ClockScale::Utc),
            ClockReading::Tai(reading) => (reading.at().units(), ClockScale::Tai),
        };
        let before = self.look;
        if before.is_some_and(|before| local.passed(before.ticks, reading.ticks()) <= Span::ZERO) {
            return None;
        }
        let at = target.map(|target| target.model.instant(reading.ticks()));
        let in_doubt =
            scale == ClockScale::Utc && target.zip(at).is_some_and(|(target, at)| is_near_leap(target.table, at));
        let jump = before.and_then(|before| self.jump(&before, reading, shown, local)).filter(|_| !in_doubt);
        let offset = target.zip(at).map(|(target, at)| {
            let right = match scale {
                ClockScale::Utc => target.table.tai_to_utc(at).units(),
                ClockScale::Tai => at.units(),
            };
            Span::from_units(shown - right)
        });
        let base = match before {
            Some(before) if jump.is_none() && !in_doubt && self.set_by == Span::ZERO => {
                before.base_for(reading, shown, local)
            }
            _ => (reading.ticks(), shown),
        };
        self.set_by = Span::ZERO;
        self.look = Some(Look { ticks: reading.ticks(), shown, window: reading.window(), offset, base });
        if let Some(jump) = jump {
            reports.say(Report::ClockJumped { clock: self.options.name.clone(), by: jump });
        }
        if let (Some(target), Some(offset), false) = (target, offset, in_doubt) {
            self.steer(reading, offset, local, &target, reports);
        }
        jump
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
        self.look = None;
        self.pending = None;
    }

    pub(crate) fn refused(&mut self, now: Ticks, reports: &mut Reports) {
        if self.refused.replace(now).is_none() {
            reports.say(Report::SteerFailed { clock: self.options.name.clone() });
        }
        self.set_by = Span::ZERO;
        self.frequency = self.frequency_before;
    }

    pub(crate) fn rival(&mut self, who: Option<String>, now: Ticks, reports: &mut Reports) {
        let known = self.rival.as_ref().is_some_and(|rival| rival.who == who);
        if !known {
            reports.say(Report::Rival { clock: self.options.name.clone(), who: who.clone() });
        }
        self.rival = Some(Rival { who, seen: now });
        self.pending = None;
    }

    /// The clock as a counter of nanoseconds since its epoch, under the model of the local counter: it stood at what it
    /// showed last, and runs as it has of late.
    pub(crate) fn as_counter(&self, model: &ClockModel) -> Option<ClockModel> {
        let look = self.look?;
        let shown = look.shown + self.set_by.units();
        let nanos = Instant::<Tai>::from_units(shown).as_nanos_rounded();
        // The reference is moved to the whole nanosecond that is next to what was shown.
        let rounded = Span::from_units(nanos * Span::from_nanos(1).units() - shown);
        let (base_ticks, base_shown) = look.base;
        let truly = (model.instant(look.ticks) - model.instant(base_ticks)).units() as f64;
        let shown_span = (look.shown - base_shown) as f64;
        let ratio = if shown_span > 0.0 && (truly / shown_span - 1.0).abs() < 0.5 { truly / shown_span } else { 1.0 };
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

    /// Whether, and how, the clock has moved since `before` in a way that neither its rate nor we explain.
    fn jump(&self, before: &Look, reading: &ClockReading, shown: i128, local: &LocalClock) -> Option<Span> {
        let passed = local.passed(before.ticks, reading.ticks());
        let by = Span::from_units(shown - before.shown) - passed - self.set_by;
        let slewed = Span::from_units(passed.units() * JUMP_PPM / 1_000_000);
        (by.abs() > JUMP + slewed + before.window + reading.window()).then_some(by)
    }

    fn steer(
        &mut self,
        reading: &ClockReading,
        offset: Span,
        local: &LocalClock,
        target: &Target<'_>,
        reports: &mut Reports,
    ) {
        if self.options.steer == Steer::Off || !target.synchronised {
            return;
        }
        let adjustment = self.steering.offer(reading.ticks(), offset, reading.window(), local, self.frequency);
        let Some(adjustment) = adjustment else { return };
        let does = self.options.steer == Steer::On && self.rival.is_none();
        if let Adjustment::Step(by) = adjustment
            && (does || !matches!(self.last_adjustment, Some(Adjustment::Step(_))))
        {
            self.steps += 1;
            reports.say(Report::ClockStepped { clock: self.options.name.clone(), by, dry: !does });
        }
        self.last_adjustment = Some(adjustment);
        if !does {
            return;
        }
        self.pending = Some(adjustment);
        match adjustment {
            Adjustment::Step(by) => {
                self.set_by = by;
                self.read_wanted = true;
            }
            Adjustment::Frequency(frequency) => {
                if let Some(look) = &mut self.look {
                    // It runs differently from here on: so does the line through what it shows.
                    look.follow(frequency.as_ppb() - self.frequency.as_ppb(), local);
                }
                (self.frequency_before, self.frequency) = (self.frequency, frequency);
            }
        }
    }

    fn is_unannounced(&self, arming: Arming, synchronised: bool, local: &LocalClock, now: Ticks) -> bool {
        let known = self.announced.is_some_and(|(at, of, was_synchronised)| {
            (of, was_synchronised) == (arming, synchronised) && local.passed(at, now) < ANNOUNCE_PERIOD
        });
        !known && self.rival.is_none() && !self.lost
    }

    fn announce(&mut self, quality: &Quality, now: Ticks) {
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

    fn poll_action(&mut self) -> Option<Action> {
        // What is read after a step has to have been stepped.
        if let Some(adjustment) = self.pending.take() {
            return Some(Action::Steer { clock: self.id, adjustment });
        }
        if core::mem::take(&mut self.read_wanted) {
            return Some(Action::ReadClock(self.id));
        }
        self.announcement.take()
    }

    fn status(&self) -> ClockStatus {
        ClockStatus {
            id: self.id,
            name: self.options.name.clone(),
            steer: self.options.steer,
            offset: self.look.and_then(|look| look.offset),
            window: self.look.map(|look| look.window),
            last_adjustment: self.last_adjustment,
            steps: self.steps,
            rival: self.rival.as_ref().map(|rival| rival.who.clone().unwrap_or_default()),
            lost: self.lost,
        }
    }
}

impl Look {
    /// What a look at `shown` tells the clock's rate by: the same as this one, unless that is long ago, or the clock has
    /// changed its rate since.
    fn base_for(&self, reading: &ClockReading, shown: i128, local: &LocalClock) -> (Ticks, i128) {
        let (base_ticks, base_shown) = self.base;
        let (run, next) = (local.passed(base_ticks, self.ticks), local.passed(self.ticks, reading.ticks()));
        let expected = (self.shown - base_shown) as f64 * (next.as_secs_f64() / run.as_secs_f64());
        let off = ((shown - self.shown) as f64 - expected).abs();
        let granted = (self.window + reading.window()).units() as f64 * (1.0 + next.as_secs_f64() / run.as_secs_f64());
        if run > Span::ZERO && run <= RATE_BASE && off <= granted { self.base } else { (self.ticks, self.shown) }
    }

    /// The clock was told to run `ppb` faster.
    fn follow(&mut self, ppb: f64, local: &LocalClock) {
        let (ticks, shown) = self.base;
        let passed = local.passed(ticks, self.ticks).as_secs_f64();
        self.base = (ticks, shown - Span::from_secs_f64(passed * ppb * 1e-9).units());
    }
}

fn is_near_leap(table: &LeapTable, at: Instant<Tai>) -> bool {
    table.next(at - LEAP_DOUBT).is_some_and(|(leap, _)| leap - at <= LEAP_DOUBT)
}

/// What is known of a system clock of which nothing is configured: it is read and left alone.
fn unsteered_system_clock() -> ClockOptions {
    ClockOptions {
        name: "system".to_owned(),
        steer: Steer::Off,
        scale: ClockScale::Utc,
        steering: sidereal_servo::SteeringOptions::default(),
        read_period: Span::from_nanos(250_000_000),
    }
}
