//! Leap smearing: UTC that spreads a leap second over hours instead of stepping. It is wrong by up to half a second
//! meanwhile, on purpose, for clients that cannot live with a step.
//!
//! By default a smear runs from noon to noon UTC around the leap second: then smeared clocks of different makers agree
//! (the linear one is <https://developers.google.com/time/smear>). Where a second is inserted, the window's 86 400
//! seconds of smeared UTC last 86 401 s; where one is deleted, 86 399 s.

use core::f64::consts::PI;

use sidereal_time::{ClockModel, Instant, LeapTable, NtpClock, NtpTimestamp, Rate, Span, Tai};

/// How a leap second is spread over the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmearKind {
    /// Evenly: smeared UTC runs at one rate from the beginning of the window to its end, 11.6 ppm off in a day's
    /// window.
    Linear,
    /// Along half a wave of the cosine: the rate changes without steps, and is 18.2 ppm off at most in a day's window.
    Cosine,
}

impl SmearKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Linear, Self::Cosine];
}

/// How leap seconds are smeared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmearOptions {
    window: Span,
}

impl SmearOptions {
    /// The shortest window: the cosine's rate is then 436 ppm off at most, and an NTP client follows no more than 500
    /// ppm.
    pub const MIN_WINDOW: Span = Span::from_secs(3600);
    /// The longest window: those of two leap seconds, a month apart at least, must not meet.
    pub const MAX_WINDOW: Span = Span::from_secs(10 * 86_400);

    /// Smears over `window` of smeared UTC, half of it before the leap second and half of it after; `None` where it is
    /// shorter than [`Self::MIN_WINDOW`] or longer than [`Self::MAX_WINDOW`].
    #[must_use]
    pub fn new(window: Span) -> Option<Self> {
        (Self::MIN_WINDOW..=Self::MAX_WINDOW).contains(&window).then_some(Self { window })
    }

    /// How long the smear takes, in smeared UTC.
    #[must_use]
    pub const fn window(&self) -> Span {
        self.window
    }

    /// How smeared UTC stands to UTC at `at`.
    #[must_use]
    pub fn smear(&self, kind: SmearKind, table: &LeapTable, at: Instant<Tai>) -> Smear {
        let half = self.window.half();
        // A second more than half a window, as the window of an insertion ends half of it after the inserted second.
        let Some((leap, step)) = table.next(at - half - Span::SECOND) else { return Smear::NONE };
        let step_span = Span::from_secs(step.into());
        // The midnight of UTC that the leap second comes before, by the seconds counted up to it.
        let midnight = if step < 0 { leap } else { leap + step_span };
        let begins = midnight - half;
        let length = self.window - step_span;
        let passed = at - begins;
        if passed <= Span::ZERO || passed >= length {
            return Smear::NONE;
        }
        let length_s = length.as_secs_f64();
        let part = passed.as_secs_f64() / length_s;
        let (done, pace) = match kind {
            SmearKind::Linear => (part, 1.0),
            SmearKind::Cosine => ((1.0 - (PI * part).cos()) / 2.0, (PI * part).sin() * PI / 2.0),
        };
        let made = if at >= leap { step_span } else { Span::ZERO };
        Smear { offset: Span::from_secs_f64(f64::from(step) * done) - made, slope: f64::from(step) * pace / length_s }
    }

    /// The clocks to publish at `now`, which is the present by `local`. `local` and `realtime` are the models of the
    /// local counter and of CLOCK_REALTIME (a counter of nanoseconds) that the snapshot's other clocks are made from;
    /// `reference` is when our time was last corrected.
    ///
    /// To be called for every publication: each clock is a tangent. A second later it is off by less than 1 ns inside a
    /// day's window, and, where the window begins or ends in that second, by 12 us.
    #[must_use]
    pub fn clocks(
        &self,
        table: &LeapTable,
        local: &ClockModel,
        realtime: &ClockModel,
        reference: Instant<Tai>,
        now: Instant<Tai>,
    ) -> SmearedClocks {
        let clock = |kind| {
            let smear = self.smear(kind, table, now);
            let corrected = table.tai_to_utc(reference) + self.smear(kind, table, reference).offset;
            SmearedClock {
                local: tangent(smear, table, local, now),
                realtime: tangent(smear, table, realtime, now),
                reference_time: NtpTimestamp::from_utc(corrected),
            }
        };
        SmearedClocks { linear: clock(SmearKind::Linear), cosine: clock(SmearKind::Cosine) }
    }
}

/// From noon to noon.
impl Default for SmearOptions {
    fn default() -> Self {
        Self { window: Span::from_secs(86_400) }
    }
}

/// How smeared UTC stands to UTC at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smear {
    /// What is added to UTC, at most half a second either way. It steps with UTC at the leap second, the other way, so
    /// that the sum does not.
    pub offset: Span,
    /// How fast the offset grows, in seconds per second, the steps aside: negative where a second is inserted.
    pub slope: f64,
}

impl Smear {
    /// No leap second is near.
    const NONE: Self = Self { offset: Span::ZERO, slope: 0.0 };
}

/// What a worker tells the time with on a port that smears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmearedClock {
    /// The local counter.
    pub local: NtpClock,
    /// CLOCK_REALTIME, for the kernel's stamps. Where the kernel makes a leap second, stamps are told a second off from
    /// then until the next publication: [`Self::seen_by`] makes up for it.
    pub realtime: NtpClock,
    /// When our time was last corrected, as replies say it.
    pub reference_time: NtpTimestamp,
}

impl SmearedClock {
    /// `stamp`, told with whole seconds too many or too few, of a packet that has been seen by `now`: moved by as many
    /// whole seconds as bring it between seven eighths of a second before `now` and one eighth after it, as far as the
    /// two clocks may differ.
    #[inline]
    #[must_use]
    pub const fn seen_by(now: NtpTimestamp, stamp: NtpTimestamp) -> NtpTimestamp {
        const SECOND: u64 = 1 << 32;
        let ahead = stamp.to_bits().wrapping_sub(now.to_bits());
        let whole = ahead.wrapping_add(SECOND / 8 * 7) & !(SECOND - 1);
        NtpTimestamp::from_bits(stamp.to_bits().wrapping_sub(whole))
    }
}

/// The clocks of ports that smear, one for each [`SmearKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmearedClocks {
    /// For [`SmearKind::Linear`].
    pub linear: SmearedClock,
    /// For [`SmearKind::Cosine`].
    pub cosine: SmearedClock,
}

impl SmearedClocks {
    /// Clocks that smear nothing, for while there is no time to smear.
    #[must_use]
    pub const fn plain(local: NtpClock, realtime: NtpClock) -> Self {
        let clock = SmearedClock { local, realtime, reference_time: NtpTimestamp::UNKNOWN };
        Self { linear: clock, cosine: clock }
    }

    /// That of `kind`.
    #[must_use]
    pub const fn of(&self, kind: SmearKind) -> &SmearedClock {
        match kind {
            SmearKind::Linear => &self.linear,
            SmearKind::Cosine => &self.cosine,
        }
    }
}

/// `model` in smeared UTC, as a line through `now`.
fn tangent(smear: Smear, table: &LeapTable, model: &ClockModel, now: Instant<Tai>) -> NtpClock {
    let ticks = model.ticks(now);
    // The tick next to `now`, not `now` itself, is where the line must be right.
    let at = model.instant(ticks);
    let smeared = table.tai_to_utc(now) + (at - now) + smear.offset;
    #[expect(clippy::cast_possible_truncation, reason = "a rate times less than a thousandth fits; `as` saturates")]
    let change = (model.rate.to_bits() as f64 * smear.slope).round() as i64;
    let rate = Rate::from_bits(model.rate.to_bits().saturating_add_signed(change));
    // Smeared UTC is told as if it were TAI, with no offset to UTC and no leap second.
    let told = ClockModel { reference_ticks: ticks, reference: Instant::from_units(smeared.units()), rate, ..*model };
    NtpClock::new(&told, 0, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sidereal_time::{Counter, Ticks, Utc};

    use super::*;

    /// 2017-01-01 00:00:00 UTC, before which a second was inserted.
    const AFTER_INSERTION: i64 = 1_483_228_800;
    /// 2030-07-01 00:00:00 UTC, before which this table has one deleted.
    const AFTER_DELETION: i64 = 1_909_094_400;

    fn table() -> LeapTable {
        let ntp = |posix: i64| posix + 2_208_988_800;
        let entries = [(AFTER_INSERTION - 86_400 * 549, 36), (AFTER_INSERTION, 37), (AFTER_DELETION, 36)];
        let lines = entries.map(|(posix, offset)| format!("{} {offset}\n", ntp(posix)));
        LeapTable::parse(&lines.concat()).unwrap()
    }

    fn utc(seconds: i64) -> Instant<Utc> {
        Instant::from_secs(seconds)
    }

    fn smeared(options: &SmearOptions, kind: SmearKind, table: &LeapTable, at: Instant<Tai>) -> Instant<Utc> {
        table.tai_to_utc(at) + options.smear(kind, table, at).offset
    }

    /// By hand for noon to noon around the insertion of 2016-12-31: 86 401 s long, so that a quarter of a second is
    /// lost after 21 600.25 s, and half of one in the middle of 23:59:60.
    #[test]
    fn from_noon_to_noon() {
        let (options, table) = (SmearOptions::default(), table());
        let at = |utc_s, more_ms: i64| table.utc_to_tai(utc(utc_s)) + Span::from_nanos(i128::from(more_ms) * 1_000_000);
        let offset = |kind, at| options.smear(kind, &table, at).offset;
        let ms = |value: i64| Span::from_nanos(i128::from(value) * 1_000_000);
        let noon = AFTER_INSERTION - 43_200;
        for kind in SmearKind::ALL {
            assert_eq!(offset(kind, at(noon, 0)), Span::ZERO);
            assert!(offset(kind, at(noon, 1000)) < Span::ZERO);
            // 23:59:60.5, when UTC has been stepped already.
            let middle = at(AFTER_INSERTION, -500);
            assert_eq!(offset(kind, middle), ms(500));
            assert_eq!(smeared(&options, kind, &table, middle), utc(AFTER_INSERTION));
            assert_eq!(offset(kind, at(AFTER_INSERTION + 43_200, 0)), Span::ZERO);
            assert!(offset(kind, at(AFTER_INSERTION + 43_199, 0)) > Span::ZERO);
        }
        assert_eq!(offset(SmearKind::Linear, at(noon + 21_600, 250)), ms(-250));
        // (1 - cos 45 degrees) / 2.
        let quarter = offset(SmearKind::Cosine, at(noon + 21_600, 250)).as_secs_f64();
        assert!((quarter + 0.146_446_609_407).abs() < 1e-11, "{quarter}");
        assert_eq!(options.smear(SmearKind::Linear, &table, at(noon + 9, 0)).slope, -1.0 / 86_401.0);
    }

    #[test]
    fn a_deletion_makes_smeared_time_run_fast() {
        let (options, table) = (SmearOptions::default(), table());
        // The day has 86 399 seconds: from noon it takes 43 199.5 to the middle.
        let noon = table.utc_to_tai(utc(AFTER_DELETION - 43_200));
        let smear = |at| options.smear(SmearKind::Linear, &table, at);
        assert_eq!(smear(noon).offset, Span::ZERO);
        assert_eq!(smear(noon + Span::from_secs(43_199)).slope, 1.0 / 86_399.0);
        let middle = noon + Span::from_nanos(43_199_500_000_000);
        assert_eq!(smeared(&options, SmearKind::Linear, &table, middle), utc(AFTER_DELETION));
        assert_eq!(
            smeared(&options, SmearKind::Linear, &table, noon + Span::from_secs(86_399)),
            utc(AFTER_DELETION + 43_200)
        );
    }

    #[test]
    fn windows_have_bounds() {
        assert_eq!(SmearOptions::new(Span::from_secs(86_400)), Some(SmearOptions::default()));
        assert_eq!(SmearOptions::new(Span::from_secs(3599)), None);
        assert_eq!(SmearOptions::new(Span::from_secs(864_001)), None);
    }

    /// A window, a kind of smear, and an instant within a day of the window around one of the two leap seconds.
    fn cases() -> impl Strategy<Value = (SmearOptions, SmearKind, Instant<Tai>)> {
        let midnight = prop_oneof![Just(AFTER_INSERTION), Just(AFTER_DELETION)];
        (3600..=864_000_i64, proptest::sample::select(&SmearKind::ALL[..]), midnight, -1.0..1.0_f64).prop_map(
            |(window_s, kind, midnight, place)| {
                let reach = (window_s as f64 / 2.0 + 86_400.0) * place;
                let at = table().utc_to_tai(utc(midnight)) + Span::from_secs_f64(reach);
                (SmearOptions::new(Span::from_secs(window_s)).unwrap(), kind, at)
            },
        )
    }

    /// The instants around which something begins or ends, as seconds from midnight in parts of half a window.
    fn corners() -> impl Strategy<Value = (SmearOptions, SmearKind, Instant<Tai>)> {
        (cases(), -1..=1_i64, -2.0..2.0_f64).prop_map(|((options, kind, at), corner, away_s)| {
            let table = table();
            let midnight = if table.tai_to_utc(at) < utc(1_700_000_000) { AFTER_INSERTION } else { AFTER_DELETION };
            let corner = utc(midnight) + Span::from_units(options.window().half().units() * i128::from(corner));
            (options, kind, table.utc_to_tai(corner) + Span::from_secs_f64(away_s))
        })
    }

    proptest! {
        /// Smeared time never stands, never jumps and never runs off by more than an NTP client follows; the steps of
        /// UTC are gone.
        #[test]
        fn smeared_time_is_continuous(
            (options, kind, at) in prop_oneof![cases(), corners()],
            passed_ns in 0..10_000_000_000_i64,
        ) {
            let table = table();
            let passed = Span::from_nanos(passed_ns.into());
            let told = smeared(&options, kind, &table, at + passed) - smeared(&options, kind, &table, at);
            let off = (told - passed).abs();
            // 500 ppm, and the rounding of both.
            prop_assert!(off <= Span::from_units(passed.units() / 2000 + 2), "{told} s in {passed} s");
            prop_assert!(told >= Span::ZERO);
        }

        /// It is within half a second of UTC, exactly UTC outside the window, and the slope is that of the offset.
        #[test]
        fn offset_and_slope_belong_together((options, kind, at) in cases()) {
            let table = table();
            let smear = options.smear(kind, &table, at);
            prop_assert!(smear.offset.abs() <= Span::from_nanos(500_100_000), "{smear:?}");
            let told = table.tai_to_utc(at);
            let away = |midnight| (told - utc(midnight)).abs();
            let is_outside = away(AFTER_INSERTION).min(away(AFTER_DELETION)) > options.window().half() + Span::SECOND;
            prop_assert!(!is_outside || smear == Smear::NONE, "{smear:?}");
            let step = Span::from_nanos(1_000_000);
            let offset = |at| smeared(&options, kind, &table, at) - Instant::from_units(at.units());
            let by_difference = (offset(at + step) - offset(at - step)).as_secs_f64() / 2e-3;
            // Where the window begins or ends in these two milliseconds, half of it may be missing.
            let is_none = |at| options.smear(kind, &table, at) == Smear::NONE;
            let is_alike = (by_difference - smear.slope).abs() <= 1e-9;
            prop_assert!(is_alike || is_none(at - step) || is_none(at + step), "{by_difference} {smear:?}");
        }

        /// What workers tell is smeared UTC, now and a second later, whatever the counter.
        #[test]
        fn clocks_tell_smeared_time(
            (options, kind, at) in cases(),
            away_ns in -3_600_000_000_000..3_600_000_000_000_i64,
            later_us in 0..=1_000_000_i64,
        ) {
            let table = table();
            let local = ClockModel {
                counter: Counter::Tsc,
                width: 64,
                reference_ticks: Ticks(77),
                reference: at + Span::from_nanos(away_ns.into()),
                rate: Rate::from_hertz(2.4e9),
                error: Span::ZERO,
                drift_ppb: 0,
                generation: 1,
            };
            let realtime = ClockModel { counter: Counter::Realtime, rate: Rate::NANOSECOND, ..local };
            let clocks = options.clocks(&table, &local, &realtime, at, at);
            let clock = clocks.of(kind);
            prop_assert_eq!(clock.reference_time, NtpTimestamp::from_utc(smeared(&options, kind, &table, at)));
            let then = at + Span::from_nanos(i128::from(later_us) * 1000);
            let expected = NtpTimestamp::from_utc(smeared(&options, kind, &table, then));
            let is_none = |at| options.smear(kind, &table, at) == Smear::NONE;
            let window_s = options.window().as_secs_f64();
            // A kink is as steep as the window is short, and a curve as curved.
            let most = if is_none(at) == is_none(then) { 2.6 / window_s.powi(2) } else { 1.0 / (window_s - 1.0) };
            for (clock, model) in [(&clock.local, &local), (&clock.realtime, &realtime)] {
                let off = clock.at(model.ticks(then)).since(expected).as_secs_f64().abs();
                prop_assert!(off < most + 2e-9, "{off} {most}");
            }
        }

        /// Stamps of a clock that is whole seconds off come out as those of one that is not.
        #[test]
        fn whole_seconds_are_made_up_for(at: u64, off_s in -3..=3_i64, away_ns in -874_999_999..124_999_999_i64) {
            let at = NtpTimestamp::from_bits(at);
            let stamp = NtpTimestamp::from_bits(at.to_bits().wrapping_add_signed((away_ns << 32) / 1_000_000_000));
            let told = NtpTimestamp::from_bits(stamp.to_bits().wrapping_add_signed(off_s << 32));
            prop_assert_eq!(SmearedClock::seen_by(at, told), stamp);
        }
    }

    /// The kernel repeats 23:59:59 while a model of before the leap second is at hand, and the reverse.
    #[test]
    fn stamps_around_the_step_of_the_kernel() {
        let (options, table) = (SmearOptions::default(), table());
        let local = ClockModel {
            counter: Counter::MonotonicRaw,
            width: 64,
            reference_ticks: Ticks(0),
            reference: table.utc_to_tai(utc(AFTER_INSERTION)) - Span::from_secs(2),
            rate: Rate::NANOSECOND,
            error: Span::ZERO,
            drift_ppb: 0,
            generation: 1,
        };
        let shown = u64::try_from(AFTER_INSERTION - 1).unwrap() * 1_000_000_000;
        let realtime = ClockModel { counter: Counter::Realtime, reference_ticks: Ticks(shown), ..local };
        // A second later the kernel steps back; half a second after that it shows again what it showed a second before.
        let clocks = options.clocks(&table, &local, &realtime, local.reference, local.reference);
        let clock = clocks.of(SmearKind::Linear);
        let found = clock.local.at(Ticks(1_500_000_000));
        let stamp = clock.realtime.at(Ticks(shown + 500_000_000));
        assert_eq!(found.since(stamp).as_nanos_rounded() / 1_000_000, 999);
        assert!(SmearedClock::seen_by(found, stamp).since(found).as_nanos_rounded().abs() < 20_000);
    }
}
