//! CLOCK_REALTIME.

use std::io;

use sidereal_cpu::LocalCounter;
use sidereal_servo::{Adjustment, Discipline, FrequencyOffset};
use sidereal_time::{Instant, Reading, Span, Ticks, Utc};

use crate::beside::{self, Beside, GRANULARITY, Look};
use crate::track::Track;
use crate::watch::{Lead, Watch};
use crate::{ClockError, Interference, LocateError, Located, timex};

/// What the clock is called in errors.
const NAME: &str = "CLOCK_REALTIME";
/// How many times the clock is compared with one that nobody steps; the tightest counts.
const COMPARISONS: u32 = 8;

/// The kernel's system clock, CLOCK_REALTIME.
#[derive(Debug, Clone)]
pub struct SystemClock {
    beside: Beside,
    track: Track,
    watch: Watch,
}

/// What the kernel is to tell programs that ask it about its clock (`adjtimex(2)`, `ntp_gettime(3)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// What is added to UTC at the end of this UTC day, in seconds: -1 where a second is inserted, +1 where one is deleted,
    /// else 0. The kernel makes the step by itself.
    pub leap_step: i8,
    /// TAI - UTC in seconds, 0 to 100 000: what CLOCK_TAI is ahead. Where it is unknown or out of range the kernel's own
    /// stays.
    pub tai_offset_s: Option<i32>,
    /// Whether the clock is synchronised. Where it is, the kernel also keeps the machine's real-time clock on it.
    pub synchronised: bool,
    /// The hard bound of the clock's error. The kernel lets it grow by 500 ppm from here, and beyond 16 s holds the clock
    /// unsynchronised: announce again within hours.
    pub max_error: Span,
    /// The statistical part of it.
    pub uncertainty: Span,
}

impl SystemClock {
    /// The system clock as read beside `counter`. This may take 20 ms: the counter's rate is asked for
    /// ([`LocalCounter::nominal_hertz`]).
    #[must_use]
    pub fn new(counter: LocalCounter) -> Self {
        let beside = Beside::new(counter);
        let mut track = Track::new(beside.tick());
        track.mark(look(&beside));
        Self { beside, track, watch: Watch::default() }
    }

    /// The clock between two looks at the counter: of several tries the one with the least time between the two looks.
    /// Half its window is how far the reading may be off.
    #[must_use]
    pub fn read(&self) -> Reading<Utc> {
        look(&self.beside).reading()
    }

    /// Where the counter stood when the clock showed `stamp`: what a stamp of the kernel means. Between two looks at the
    /// clock it is told by the rate that the clock really had, steered or not.
    ///
    /// # Errors
    /// Where the stamp is from the future, too old, or from about a step of the clock.
    pub fn locate(&mut self, stamp: Instant<Utc>) -> Result<Located, LocateError> {
        let now = look(&self.beside);
        self.track.record(now);
        self.track.locate(stamp - Instant::EPOCH, &now)
    }

    /// What the kernel says of how the clock is steered (`adjtimex(2)` with `modes = 0`, which changes nothing).
    ///
    /// # Errors
    /// Where the system call is forbidden, as in some sandboxes.
    pub fn discipline(&self) -> Result<Discipline, ClockError> {
        Ok(timex::discipline(&self.asked()?))
    }

    /// How much faster than by itself the kernel lets the clock run: `freq` and `tick` together.
    ///
    /// # Errors
    /// As [`Self::discipline`].
    pub fn frequency(&self) -> Result<FrequencyOffset, ClockError> {
        Ok(timex::read_system_frequency(&self.asked()?))
    }

    /// Makes the clock ours: ends the slews that others left under way. From here on [`Self::interference`] knows the
    /// frequency. Until the next [`Self::announce`] the kernel calls its clock unsynchronised.
    ///
    /// # Errors
    /// Without CAP_SYS_TIME.
    pub fn take_over(&mut self) -> Result<(), ClockError> {
        for mut cancellation in timex::cancellations() {
            self.tell("take over", &mut cancellation)?;
        }
        let timex = self.asked()?;
        self.watch.set(timex::read_system_frequency(&timex));
        self.watch.stepped(lead());
        Ok(())
    }

    /// Steers the clock. A frequency is set to 2^-16 ppm, and clamped to 10.05 %; a step is made to a nanosecond.
    ///
    /// # Errors
    /// Without CAP_SYS_TIME, or where a step would bring the clock before 1970.
    pub fn adjust(&mut self, adjustment: &Adjustment) -> Result<(), ClockError> {
        self.track.mark(look(&self.beside));
        match *adjustment {
            Adjustment::Frequency(offset) => {
                let mut timex = timex::system_frequency(offset);
                self.tell("set the frequency of", &mut timex)?;
                self.watch.set(timex::read_system_frequency(&timex));
            }
            Adjustment::Step(span) => {
                self.tell("step", &mut timex::step(span))?;
                self.watch.stepped(lead());
                self.track.mark(look(&self.beside));
            }
        }
        Ok(())
    }

    /// Announces leap seconds, TAI, and how good the clock is.
    ///
    /// # Errors
    /// Without CAP_SYS_TIME.
    pub fn announce(&mut self, announcement: &Announcement) -> Result<(), ClockError> {
        self.tell("announce the state of", &mut timex::announcement(announcement))?;
        self.watch.armed(announcement.leap_step);
        Ok(())
    }

    /// Whether somebody else has steered the clock since the last call: only once we have steered it ourselves. The
    /// frequency is compared with what we set; a step is seen because CLOCK_BOOTTIME, which suspend does not stop, is not
    /// stepped with it. A leap second that we announced is none.
    ///
    /// # Errors
    /// As [`Self::discipline`].
    pub fn interference(&mut self) -> Result<Option<Interference>, ClockError> {
        let found = self.frequency()?;
        let interference = self.watch.compare(found, lead());
        if let Some(Interference::Step { .. }) = interference {
            self.track.restart(look(&self.beside));
        }
        Ok(interference)
    }

    fn asked(&self) -> Result<libc::timex, ClockError> {
        let mut timex = timex::empty();
        self.tell("ask the kernel about", &mut timex)?;
        Ok(timex)
    }

    fn tell(&self, action: &'static str, timex: &mut libc::timex) -> Result<(), ClockError> {
        timex::call(libc::CLOCK_REALTIME, timex).map_err(|source| ClockError::new(NAME, action, source))?;
        Ok(())
    }
}

fn look(beside: &Beside) -> Look {
    // It cannot fail: every Linux has the clock.
    beside.look(libc::CLOCK_REALTIME).unwrap_or(Look { ticks: Ticks(0), shown: Span::ZERO, window: Span::ZERO })
}

/// How far CLOCK_REALTIME is ahead of a clock that runs at the same rate and that nobody steps.
fn lead() -> Option<Lead> {
    // CLOCK_BOOTTIME goes on in suspend, as CLOCK_REALTIME does; CLOCK_MONOTONIC is for kernels that lack it.
    [libc::CLOCK_BOOTTIME, libc::CLOCK_MONOTONIC].into_iter().find_map(|clock| {
        let leads = (0..COMPARISONS).map(|_| lead_of(clock)).collect::<io::Result<Vec<Lead>>>().ok()?;
        leads.into_iter().min_by_key(|lead| lead.error)
    })
}

fn lead_of(unstepped: libc::clockid_t) -> io::Result<Lead> {
    let before = beside::read(libc::CLOCK_REALTIME)?;
    let between = beside::read(unstepped)?;
    let after = beside::read(libc::CLOCK_REALTIME)?;
    let half = (after - before).half();
    Ok(Lead { span: before + half - between, error: half.abs() + GRANULARITY })
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use sidereal_cpu::LocalCounter;
    use sidereal_time::{Instant, Span, Ticks, Utc};

    use super::SystemClock;
    use crate::LocateError;

    fn system_time() -> Instant<Utc> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Instant::from_nanos(since.as_nanos().cast_signed())
    }

    #[test]
    fn a_reading_lies_between_what_was_before_and_after() {
        for counter in [LocalCounter::MonotonicRaw, LocalCounter::best()] {
            let clock = SystemClock::new(counter);
            let (utc_before, ticks_before) = (system_time(), counter.now());
            let reading = clock.read();
            let (ticks_after, utc_after) = (counter.now(), system_time());
            assert!((ticks_before.0..=ticks_after.0).contains(&reading.ticks().0), "{counter:?}");
            assert!((utc_before..=utc_after).contains(&reading.at()), "{counter:?}");
            assert!(reading.window() > Span::ZERO && reading.window() < Span::SECOND, "{counter:?}: {reading:?}");
        }
    }

    #[test]
    fn readings_agree_with_each_other_within_their_windows() {
        let clock = SystemClock::new(LocalCounter::MonotonicRaw);
        let first = clock.read();
        for _ in 0..1_000 {
            let next = clock.read();
            let passed = Span::from_nanos(i128::from(next.ticks().0 - first.ticks().0));
            // Whoever steers the clock may slew it by 500 ppm, and by 10 % in an emergency, which this is not.
            let slewed = Span::from_units(passed.units() / 1_000);
            let off = ((next.at() - first.at()) - passed).abs();
            assert!(off <= first.error() + next.error() + slewed, "{off} between {first:?} and {next:?}");
        }
    }

    #[test]
    fn a_stamp_is_found_between_the_counts_before_and_after_it() {
        for counter in [LocalCounter::MonotonicRaw, LocalCounter::best()] {
            let mut clock = SystemClock::new(counter);
            for _ in 0..50 {
                let before = counter.now();
                let stamp = system_time();
                let after = counter.now();
                thread::sleep(Duration::from_millis(1));
                let located = clock.locate(stamp).unwrap();
                let slack = counter.nominal_hertz() * located.window.as_secs_f64();
                let since = |ticks: Ticks| located.ticks.0.wrapping_sub(ticks.0).cast_signed() as f64;
                assert!(
                    since(before) >= -slack && since(after) <= slack,
                    "{counter:?}: {located:?}, {before:?}, {after:?}"
                );
            }
        }
    }

    #[test]
    fn stamps_that_the_clock_never_showed_are_refused() {
        let mut clock = SystemClock::new(LocalCounter::best());
        assert_eq!(clock.locate(system_time() + Span::SECOND), Err(LocateError::Future));
        assert_eq!(clock.locate(system_time() - Span::from_secs(10)), Err(LocateError::Old));
        assert_eq!(clock.locate(Instant::from_secs(i64::MAX)), Err(LocateError::Future));
        assert_eq!(clock.locate(Instant::from_secs(i64::MIN)), Err(LocateError::Old));
    }

    #[test]
    fn the_kernel_says_how_it_steers() {
        let mut clock = SystemClock::new(LocalCounter::MonotonicRaw);
        let said = clock.discipline().unwrap();
        assert!(!said.max_error.is_negative());
        assert!((-1..=1).contains(&said.leap_step));
        // Nobody lets a clock run more than 10.05 % off.
        assert!(clock.frequency().unwrap().as_ppb().abs() <= 100_500_000.0);
        assert_eq!(clock.interference().unwrap(), None, "the clock of this host is not ours");
    }

    #[test]
    fn a_clock_that_nobody_steps_keeps_its_lead() {
        let first = super::lead().unwrap();
        for _ in 0..100 {
            let next = super::lead().unwrap();
            assert!((next.span - first.span).abs() <= first.error + next.error, "{first:?} {next:?}");
        }
    }
}
