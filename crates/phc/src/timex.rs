//! What a clock is told and what it says of itself, as `clock_adjtime(2)` writes it. Pure but for [`call`].

use std::io;

use sidereal_servo::{Discipline, FrequencyOffset};
use sidereal_time::Span;

/// `freq` counts 2^-16 parts per million: this many in one part per billion.
const FREQ_PER_PPB: f64 = 65.536;
/// The kernel takes no larger `freq` for the system clock: 500 ppm (`MAXFREQ` of `timex.h`).
const SYSTEM_FREQ_MAX: i64 = 500 << 16;
/// The nominal `tick`, in microseconds: USER_HZ is 100 on everything that this is built for.
const TICK: i64 = 10_000;
/// The kernel takes a `tick` within 10 % of the nominal one.
const TICK_RANGE: i64 = TICK / 10;
/// What one microsecond of `tick` adds to the clock's rate: 100 ppm, as `freq`.
const FREQ_PER_TICK: i64 = 100 << 16;
/// The largest frequency offset that the system clock takes, `tick` and `freq` together.
const SYSTEM_MAX: i64 = TICK_RANGE * FREQ_PER_TICK + SYSTEM_FREQ_MAX;
/// The largest TAI - UTC that the kernel takes.
const TAI_OFFSET_MAX: i32 = 100_000;
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A `timex` that asks for nothing.
pub(crate) fn empty() -> libc::timex {
    // SAFETY: all fields are integers (and padding), for which zero is a value.
    unsafe { core::mem::zeroed() }
}

/// `clock_adjtime(2)`; returns the state of leap seconds, `TIME_OK` to `TIME_ERROR`.
pub(crate) fn call(clock: libc::clockid_t, timex: &mut libc::timex) -> io::Result<libc::c_int> {
    // SAFETY: `timex` is a timex to read from and to write to.
    let state = unsafe { libc::clock_adjtime(clock, timex) };
    if state < 0 { Err(io::Error::last_os_error()) } else { Ok(state) }
}

/// The frequency of CLOCK_REALTIME. Up to 500 ppm `freq` says it all; beyond, `tick` takes the hundreds of ppm, up to
/// 10.05 %, which is where larger offsets end. `tick` is always written: nobody else's is left in it.
pub(crate) fn system_frequency(offset: FrequencyOffset) -> libc::timex {
    let freq = freq(offset, SYSTEM_MAX);
    let ticks = if freq.abs() <= SYSTEM_FREQ_MAX {
        0
    } else {
        let nearest = (freq.abs() + FREQ_PER_TICK / 2) / FREQ_PER_TICK;
        freq.signum() * nearest.min(TICK_RANGE)
    };
    let mut timex = empty();
    timex.modes = libc::ADJ_FREQUENCY | libc::ADJ_TICK;
    timex.tick = TICK + ticks;
    timex.freq = freq - ticks * FREQ_PER_TICK;
    timex
}

/// The frequency of CLOCK_REALTIME as the kernel tells it: `tick` and `freq` together.
pub(crate) fn read_system_frequency(timex: &libc::timex) -> FrequencyOffset {
    let ticks = timex.tick.saturating_sub(TICK).saturating_mul(FREQ_PER_TICK);
    from_freq(ticks.saturating_add(timex.freq))
}

/// The frequency of a PTP clock, whose driver takes offsets up to `max_ppb` either way.
pub(crate) fn device_frequency(offset: FrequencyOffset, max_ppb: u32) -> libc::timex {
    let mut timex = empty();
    timex.modes = libc::ADJ_FREQUENCY;
    timex.freq = freq(offset, max_freq(max_ppb));
    timex
}

/// The frequency of a PTP clock as its driver was last told.
pub(crate) fn read_device_frequency(timex: &libc::timex) -> FrequencyOffset {
    from_freq(timex.freq)
}

/// A step by `span`, rounded to whole nanoseconds: all that the kernel takes.
pub(crate) fn step(span: Span) -> libc::timex {
    let nanos = span.as_nanos_rounded();
    let mut timex = empty();
    timex.modes = libc::ADJ_SETOFFSET | libc::ADJ_NANO;
    // The nanoseconds are never negative; a step back has its sign in the seconds alone.
    timex.time.tv_sec = saturated(nanos.div_euclid(NANOS_PER_SECOND));
    timex.time.tv_usec = saturated(nanos.rem_euclid(NANOS_PER_SECOND));
    timex
}

/// A PTP clock's phase, to be shifted by `span` without a step, by a servo in the device.
pub(crate) fn phase(span: Span) -> libc::timex {
    let mut timex = empty();
    timex.modes = libc::ADJ_OFFSET | libc::ADJ_NANO;
    timex.offset = saturated(span.as_nanos_rounded());
    timex
}

/// The end of what earlier steering left under way, in two calls: a slew by `adjtime(3)`, and an offset that the kernel's
/// own phase-locked loop works off. The second leaves the loop switched on, with nothing to do; the next
/// [`announcement`] switches it off.
pub(crate) fn cancellations() -> [libc::timex; 2] {
    let [mut slew, mut offset] = [empty(), empty()];
    slew.modes = libc::ADJ_OFFSET_SINGLESHOT;
    offset.modes = libc::ADJ_STATUS | libc::ADJ_OFFSET | libc::ADJ_NANO;
    offset.status = libc::STA_PLL | libc::STA_UNSYNC;
    [slew, offset]
}

/// What is told to programs that ask the kernel about its clock. Errors are rounded up to whole microseconds.
pub(crate) fn announcement(announced: &super::Announcement) -> libc::timex {
    let mut timex = empty();
    timex.modes = libc::ADJ_STATUS | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR;
    timex.maxerror = micros_up(announced.max_error);
    timex.esterror = micros_up(announced.uncertainty);
    timex.status = match announced.leap_step {
        ..0 => libc::STA_INS,
        0 => 0,
        1.. => libc::STA_DEL,
    };
    if !announced.synchronised {
        timex.status |= libc::STA_UNSYNC;
    }
    if let Some(tai_offset_s) = announced.tai_offset_s.filter(|offset| (0..=TAI_OFFSET_MAX).contains(offset)) {
        timex.modes |= libc::ADJ_TAI;
        timex.constant = tai_offset_s.into();
    }
    timex
}

/// What the kernel says of how the system clock is steered.
pub(crate) fn discipline(timex: &libc::timex) -> Discipline {
    let flag = |bit| timex.status & bit != 0;
    Discipline {
        synchronised: !flag(libc::STA_UNSYNC),
        max_error: Span::from_nanos(i128::from(timex.maxerror) * 1_000),
        tai_offset_s: (timex.tai != 0).then_some(timex.tai),
        leap_step: match (flag(libc::STA_INS), flag(libc::STA_DEL)) {
            (true, _) => -1,
            (false, true) => 1,
            (false, false) => 0,
        },
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the clamp follows")]
fn freq(offset: FrequencyOffset, max: i64) -> i64 {
    ((offset.as_ppb() * FREQ_PER_PPB).round() as i64).clamp(-max, max)
}

fn from_freq(freq: i64) -> FrequencyOffset {
    FrequencyOffset::from_ppb(freq as f64 / FREQ_PER_PPB)
}

/// The largest `freq` that a driver takes whose limit is `ppb`: it compares after rounding towards zero.
#[expect(clippy::cast_possible_truncation, reason = "a u32 times 65.536 is far below 2^63")]
fn max_freq(ppb: u32) -> i64 {
    (f64::from(ppb) * FREQ_PER_PPB).floor() as i64
}

fn micros_up(span: Span) -> libc::c_long {
    let unit = Span::from_nanos(1_000).units();
    saturated((span.units().max(0) + (unit - 1)) / unit)
}

fn saturated(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sidereal_servo::FrequencyOffset;
    use sidereal_time::Span;

    use super::{
        announcement, cancellations, device_frequency, discipline, empty, phase, read_device_frequency,
        read_system_frequency, step, system_frequency,
    };
    use crate::Announcement;

    const SYNCHRONISED: Announcement = Announcement {
        leap_step: 0,
        tai_offset_s: Some(37),
        synchronised: true,
        max_error: Span::from_nanos(1_001),
        uncertainty: Span::from_nanos(2_000),
    };

    #[test]
    fn up_to_500_ppm_the_frequency_alone_says_it() {
        for (ppb, freq) in [(0.0, 0), (1.0, 66), (-1.0, -66), (500_000.0, 32_768_000), (-500_000.0, -32_768_000)] {
            let timex = system_frequency(FrequencyOffset::from_ppb(ppb));
            assert_eq!((timex.modes, timex.tick, timex.freq), (libc::ADJ_FREQUENCY | libc::ADJ_TICK, 10_000, freq));
        }
    }

    #[test]
    fn beyond_500_ppm_the_tick_takes_the_hundreds() {
        for (ppm, tick, freq_ppm) in [
            (501.0, 10_005, 1),
            (-501.0, 9_995, -1),
            (999.0, 10_010, -1),
            (100_000.0, 11_000, 0),
            (-100_400.0, 9_000, -400),
            (100_500.0, 11_000, 500),
            (1e9, 11_000, 500),
            (f64::NEG_INFINITY, 9_000, -500),
        ] {
            let timex = system_frequency(FrequencyOffset::from_ppb(ppm * 1e3));
            assert_eq!((timex.tick, timex.freq), (tick, freq_ppm << 16), "{ppm} ppm");
        }
    }

    #[test]
    fn a_device_is_told_no_more_than_it_takes() {
        for (ppb, max, freq) in [(100.0, 62_499_999, 6_554), (2e9, 1_000, 65_536), (-2e9, 1_000, -65_536), (5.0, 0, 0)]
        {
            let timex = device_frequency(FrequencyOffset::from_ppb(ppb), max);
            assert_eq!((timex.modes, timex.freq), (libc::ADJ_FREQUENCY, freq), "{ppb} of {max}");
        }
    }

    #[test]
    fn a_step_back_has_its_sign_in_the_seconds() {
        for (nanos, seconds, rest) in [
            (0, 0, 0),
            (1, 0, 1),
            (-1, -1, 999_999_999),
            (-1_500_000_000, -2, 500_000_000),
            (2_000_000_001, 2, 1),
            (i128::MAX >> 20, i64::MAX, (i128::MAX >> 20).rem_euclid(1_000_000_000)),
        ] {
            let timex = step(Span::from_nanos(nanos));
            assert_eq!(timex.modes, libc::ADJ_SETOFFSET | libc::ADJ_NANO);
            assert_eq!((timex.time.tv_sec, i128::from(timex.time.tv_usec)), (seconds, rest), "{nanos} ns");
        }
        assert_eq!(step(Span::from_units(0x7fff)).time.tv_usec, 0);
        assert_eq!(step(Span::from_units(0x8000)).time.tv_usec, 1);
    }

    #[test]
    fn a_phase_is_told_in_nanoseconds() {
        let timex = phase(Span::from_nanos(-250));
        assert_eq!((timex.modes, timex.offset), (libc::ADJ_OFFSET | libc::ADJ_NANO, -250));
    }

    #[test]
    fn an_announcement_sets_every_flag_and_rounds_errors_up() {
        let timex = announcement(&SYNCHRONISED);
        assert_eq!(timex.modes, libc::ADJ_STATUS | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR | libc::ADJ_TAI);
        assert_eq!((timex.status, timex.maxerror, timex.esterror, timex.constant), (0, 2, 2, 37));
        let leap = |leap_step| announcement(&Announcement { leap_step, ..SYNCHRONISED }).status;
        assert_eq!((leap(-1), leap(1)), (libc::STA_INS, libc::STA_DEL));
        let lost = announcement(&Announcement { synchronised: false, leap_step: -1, ..SYNCHRONISED });
        assert_eq!(lost.status, libc::STA_UNSYNC | libc::STA_INS);
    }

    #[test]
    fn an_offset_of_tai_that_is_unknown_or_impossible_is_not_told() {
        for tai_offset_s in [None, Some(-1), Some(100_001)] {
            let timex = announcement(&Announcement { tai_offset_s, ..SYNCHRONISED });
            assert_eq!(timex.modes & libc::ADJ_TAI, 0, "{tai_offset_s:?}");
        }
    }

    #[test]
    fn what_was_left_under_way_is_set_to_nothing() {
        let [slew, offset] = cancellations();
        assert_eq!((slew.modes, slew.offset), (libc::ADJ_OFFSET_SINGLESHOT, 0));
        assert_eq!((offset.modes & libc::ADJ_OFFSET, offset.offset), (libc::ADJ_OFFSET, 0));
        assert_eq!(offset.status & libc::STA_PLL, libc::STA_PLL, "the kernel takes an offset only for its loop");
    }

    #[test]
    fn what_the_kernel_says_is_understood() {
        let mut timex = empty();
        timex.maxerror = 1_500;
        let said = discipline(&timex);
        assert!(said.synchronised);
        assert_eq!((said.tai_offset_s, said.leap_step), (None, 0));
        assert_eq!(said.max_error, Span::from_nanos(1_500_000));
        timex.status = libc::STA_UNSYNC | libc::STA_INS;
        timex.tai = 37;
        let said = discipline(&timex);
        assert!(!said.synchronised);
        assert_eq!((said.tai_offset_s, said.leap_step), (Some(37), -1));
        timex.status = libc::STA_DEL;
        assert_eq!(discipline(&timex).leap_step, 1);
    }

    proptest! {
        #[test]
        fn the_system_clock_is_told_a_frequency_to_half_a_unit(ppb in -100_500_000.0f64..100_500_000.0) {
            let timex = system_frequency(FrequencyOffset::from_ppb(ppb));
            prop_assert!((9_000..=11_000).contains(&timex.tick), "{}", timex.tick);
            prop_assert!(timex.freq.abs() <= 500 << 16, "{}", timex.freq);
            let off = read_system_frequency(&timex).as_ppb() - ppb;
            prop_assert!(off.abs() <= 0.500_001 / 65.536, "{off} ppb");
        }

        #[test]
        fn a_device_is_told_a_frequency_to_half_a_unit(ppb in -32_000_000.0f64..32_000_000.0) {
            let timex = device_frequency(FrequencyOffset::from_ppb(ppb), 32_767_999);
            let off = read_device_frequency(&timex).as_ppb() - ppb;
            prop_assert!(off.abs() <= 0.500_001 / 65.536, "{off} ppb");
        }

        #[test]
        fn a_step_is_told_to_half_a_nanosecond(units in any::<i64>()) {
            let timex = step(Span::from_units(units.into()));
            prop_assert!((0..1_000_000_000).contains(&timex.time.tv_usec));
            let told = Span::from_secs(timex.time.tv_sec) + Span::from_nanos(timex.time.tv_usec.into());
            prop_assert!((told.units() - i128::from(units)).abs() <= 1 << 15);
        }

        #[test]
        fn anything_that_the_kernel_says_is_understood(
            freq: i64, tick: i64, status: i32, tai: i32, maxerror: i64
        ) {
            let mut timex = empty();
            (timex.freq, timex.tick, timex.status, timex.tai, timex.maxerror) = (freq, tick, status, tai, maxerror);
            prop_assert!(read_system_frequency(&timex).as_ppb().is_finite());
            prop_assert!((-1..=1).contains(&discipline(&timex).leap_step));
        }
    }
}
