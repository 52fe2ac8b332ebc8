//! The clocks of this host, as the operator is shown them.

use sidereal_engine::{ClockStatus, Steer};
use sidereal_ops::{FollowerStatus, TickModel};
use sidereal_servo::Adjustment;
use sidereal_time::{ClockModel, CrossModel, Span, StampFault};
use std::collections::BTreeMap;

use super::nanos;
use crate::command::words::nanoseconds;

/// How a clock is that is known to the engine, whose time is that of `model`. How it is read is for others to say.
pub(super) fn follower(clock: &ClockStatus, model: Option<&ClockModel>) -> FollowerStatus {
    let seconds_as_nanos = |span: Span| span.as_secs_f64() * 1e9;
    FollowerStatus {
        name: clock.name.clone(),
        steer: match clock.steer {
            Steer::Off => "off",
            Steer::Dry => "dry",
            Steer::On => "on",
        }
        .into(),
        lost: clock.lost,
        offset_ns: clock.offset.map(nanos),
        frequency_ppb: match clock.last_adjustment {
            Some(Adjustment::Frequency(frequency)) => Some(frequency.as_ppb()),
            Some(Adjustment::Step(_)) | None => None,
        },
        window_ns: clock.window.map(nanos),
        method: None,
        own_frequency_ppb: clock.own_frequency_ppb.map(|(ppb, _)| ppb),
        own_frequency_deviation_ppb: clock.own_frequency_ppb.map(|(_, deviation)| deviation),
        deviation_ns: clock.deviation.map(seconds_as_nanos),
        read_noise_ns: clock.read_noise.map(seconds_as_nanos),
        readings: occurred(clock.readings.by_name()),
        stamps: occurred(stamps(clock)),
        model: clock.cross.zip(model).map(|(cross, model)| tick_model(&cross, model)),
        steps: clock.steps,
        rx_to_correction_ns: None,
        last_adjustment: clock.last_adjustment.map(|adjustment| adjustment_words(adjustment, clock.steer)),
        rival: clock.rival.as_ref().map(|who| if who.is_empty() { "nobody knows who".into() } else { who.clone() }),
    }
}

/// What the ticks of a clock mean by our time.
fn tick_model(cross: &CrossModel, model: &ClockModel) -> TickModel {
    let local_in_a_tick = cross.rate.max(1) as f64 / (1_u64 << 48) as f64;
    let tai_ns = model.instant(cross.local_reference).as_nanos_rounded();
    TickModel {
        nic_ticks: cross.nic_reference.0,
        tai_ns: i64::try_from(tai_ns).unwrap_or(if tai_ns < 0 { i64::MIN } else { i64::MAX }),
        local_ticks: cross.local_reference.0,
        nic_hertz: model.rate.as_hertz() / local_in_a_tick,
    }
}

fn stamps(clock: &ClockStatus) -> impl Iterator<Item = (&'static str, u64)> {
    let refused = StampFault::ALL.into_iter().map(StampFault::name).zip(clock.stamps_refused);
    core::iter::once(("stamps_located", clock.stamps_located)).chain(refused)
}

fn occurred(counts: impl IntoIterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    let occurred = counts.into_iter().filter(|(_, count)| *count > 0);
    occurred.map(|(name, count)| (name.into(), count)).collect()
}

fn adjustment_words(adjustment: Adjustment, steer: Steer) -> String {
    let done = steer == Steer::On;
    match adjustment {
        Adjustment::Step(by) => {
            format!("{} by {}", if done { "stepped" } else { "would be stepped" }, nanoseconds(nanos(by)))
        }
        Adjustment::Frequency(frequency) => {
            format!("frequency {} {:+.1} ppb", if done { "set to" } else { "would be" }, frequency.as_ppb())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_servo::{CrossCounts, FrequencyOffset};
    use sidereal_time::{ClockId, Counter, Instant, Rate, Ticks};

    fn clock(steer: Steer, last_adjustment: Option<Adjustment>, rival: Option<&str>) -> ClockStatus {
        ClockStatus {
            id: ClockId(1),
            name: "/dev/ptp1".into(),
            steer,
            scale: sidereal_engine::ClockScale::Utc,
            offset: Some(Span::from_nanos(-40)),
            window: None,
            last_adjustment,
            steps: 3,
            own_frequency_ppb: Some((20_000.5, 0.25)),
            deviation: Some(Span::from_nanos(2)),
            read_noise: None,
            cross: None,
            readings: CrossCounts { taken: 9, ..CrossCounts::default() },
            stamps_located: 7,
            stamps_refused: [0, 2, 0, 0, 0],
            rival: rival.map(Into::into),
            lost: false,
        }
    }

    #[test]
    fn followers_say_what_was_done_or_would_have_been() {
        let step = Some(Adjustment::Step(Span::from_nanos(1_500_000)));
        let frequency = Some(Adjustment::Frequency(FrequencyOffset::from_ppb(-12.34)));
        for (steer, adjustment, words, ppb) in [
            (Steer::On, step, "stepped by 1.50 ms", None),
            (Steer::Dry, step, "would be stepped by 1.50 ms", None),
            (Steer::On, frequency, "frequency set to -12.3 ppb", Some(-12.34)),
            (Steer::Dry, frequency, "frequency would be -12.3 ppb", Some(-12.34)),
        ] {
            let shown = follower(&clock(steer, adjustment, Some("")), None);
            assert_eq!((shown.last_adjustment.as_deref(), shown.frequency_ppb), (Some(words), ppb));
            assert_eq!((shown.offset_ns, shown.rival.as_deref()), (Some(-40), Some("nobody knows who")));
        }
        assert_eq!(follower(&clock(Steer::Off, None, Some("chronyd")), None).rival.as_deref(), Some("chronyd"));
    }

    #[test]
    fn what_is_known_of_stamps_and_readings_is_counted_by_name() {
        let shown = follower(&clock(Steer::Off, None, None), None);
        assert_eq!(shown.stamps, occurred([("stamps_located", 7), ("stamp_of_unknown_clock", 2)]));
        assert_eq!(shown.readings, occurred([("taken", 9)]));
        assert_eq!((shown.own_frequency_ppb, shown.own_frequency_deviation_ppb), (Some(20_000.5), Some(0.25)));
        assert!((shown.deviation_ns.unwrap() - 2.0).abs() < 1e-3 && shown.model.is_none());
    }

    #[test]
    fn our_time_of_a_raw_tick_follows_from_the_model() {
        // A counter of 2 GHz that truly has 10 ppm more, and a clock of nanoseconds that runs 20 ppm fast by it.
        let model = ClockModel {
            counter: Counter::Tsc,
            width: 64,
            reference_ticks: Ticks(1_000),
            reference: Instant::from_secs(1_800_000_000),
            rate: Rate::from_hertz(2_000_020_000.0),
            error: Span::ZERO,
            drift_ppb: 0,
            generation: 0,
        };
        let rate = (2.0 / 1.00002 * (1_u64 << 48) as f64).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "2^49 or so")]
        let cross = CrossModel {
            clock: ClockId(1),
            width: 64,
            nic_reference: Ticks(5_000_000_000),
            local_reference: Ticks(1_000 + 2_000_020_000),
            rate: rate as u64,
            local_second: 2_000_000_000,
            wrap: 1 << 32,
            uncertainty: Span::ZERO,
            generation: 0,
            since: Ticks(0),
        };
        let shown = follower(&ClockStatus { cross: Some(cross), ..clock(Steer::Off, None, None) }, Some(&model));
        let TickModel { nic_ticks, tai_ns, local_ticks, nic_hertz } = shown.model.unwrap();
        assert_eq!((nic_ticks, tai_ns, local_ticks), (5_000_000_000, 1_800_000_001_000_000_000, 2_000_021_000));
        assert!((nic_hertz - 1e9 * 1.00001 * 1.00002).abs() < 0.01, "{nic_hertz}");
        let at = nic_ticks + 1_000_000_000;
        let by_model = tai_ns as f64 + (at - nic_ticks) as f64 / nic_hertz * 1e9;
        let by_us = model.instant(cross.local(Ticks(at))).as_nanos_rounded() as f64;
        assert!((by_model - by_us).abs() < 512.0, "doubles of this size are 256 ns apart");
        assert!(follower(&ClockStatus { cross: Some(cross), ..clock(Steer::Off, None, None) }, None).model.is_none());
    }
}
