use proptest::prelude::*;

use super::*;

const LEAP: LeapState = LeapState { tai_offset_s: Some(37), step: 0 };
const NTP: TimeBasis = TimeBasis::Network { source: TimeSource::NTP, time_traceable: true, frequency_traceable: true };
const OUT_OF_SPECIFICATION: TimeBasis = TimeBasis::Holdover { of_primary: true, within_specification: false };

fn holdover(of_primary: bool, within_specification: bool) -> TimeBasis {
    TimeBasis::Holdover { of_primary, within_specification }
}

fn nanos(nanos: i128) -> Option<Span> {
    Some(Span::from_nanos(nanos))
}

/// IEEE 1588-2019 table 4, ITU-T G.8275.1 table 2.
#[test]
fn the_class_says_what_the_time_comes_from() {
    use Profile::{Default, G8275_1, G8275_2};
    use Roles::{Both, MasterOnly, SlaveOnly};
    let gnss = TimeBasis::PrimaryReference(TimeSource::GNSS);
    let rows = [
        (gnss, Both, Default, 6),
        (gnss, MasterOnly, G8275_1, 6),
        (gnss, Both, G8275_2, 6),
        (gnss, SlaveOnly, Default, 255),
        (holdover(true, true), Both, Default, 7),
        (holdover(true, true), Both, G8275_1, 7),
        (OUT_OF_SPECIFICATION, Both, Default, 187),
        (OUT_OF_SPECIFICATION, MasterOnly, Default, 52),
        (OUT_OF_SPECIFICATION, Both, G8275_1, 160),
        (OUT_OF_SPECIFICATION, MasterOnly, G8275_2, 160),
        (OUT_OF_SPECIFICATION, SlaveOnly, G8275_1, 255),
        (holdover(false, true), Both, Default, 248),
        (holdover(false, false), MasterOnly, G8275_1, 248),
        (NTP, Both, Default, 248),
        (NTP, MasterOnly, G8275_1, 248),
        (TimeBasis::ThisDomain, Both, Default, 248),
        (TimeBasis::System, Both, Default, 248),
        (TimeBasis::None, Both, Default, 248),
        (TimeBasis::None, SlaveOnly, Default, 255),
    ];
    for (basis, roles, profile, class) in rows {
        let state = clock_state(&basis, nanos(100), None, &LEAP, profile, roles);
        assert_eq!(state.quality.clock_class, ClockClass(class), "{basis:?} {roles:?} {profile:?}");
        assert_eq!(state.can_lead, roles != SlaveOnly && basis != TimeBasis::None, "{basis:?} {roles:?}");
    }
}

#[test]
fn without_a_bound_nothing_better_than_the_default_is_claimed() {
    for basis in [TimeBasis::PrimaryReference(TimeSource::GNSS), holdover(true, true), OUT_OF_SPECIFICATION, NTP] {
        let quality = clock_state(&basis, None, None, &LEAP, Profile::Default, Roles::Both).quality;
        assert_eq!(
            quality,
            ClockQuality {
                clock_class: ClockClass::DEFAULT,
                clock_accuracy: ClockAccuracy::UNKNOWN,
                offset_scaled_log_variance: 0xffff
            }
        );
    }
}

/// IEEE 1588-2019 table 5.
#[test]
fn the_accuracy_covers_the_bound() {
    let rows = [
        (NTP, nanos(25), 0x20),
        (NTP, nanos(26), 0x21),
        (NTP, nanos(900_000), 0x29),
        (NTP, nanos(11_000_000_000), 0x31),
        (TimeBasis::PrimaryReference(TimeSource::GNSS), nanos(99), 0x21),
        (holdover(true, false), nanos(1_000), 0x23),
        (TimeBasis::System, nanos(1_001), 0x24),
        // What it has from a master of this domain it must not claim against that master.
        (TimeBasis::ThisDomain, nanos(25), 0xfe),
        (TimeBasis::None, nanos(25), 0xfe),
        (NTP, None, 0xfe),
    ];
    for (basis, bound, accuracy) in rows {
        let state = clock_state(&basis, bound, Some(1e-9), &LEAP, Profile::Default, Roles::Both);
        assert_eq!(state.quality.clock_accuracy, ClockAccuracy(accuracy), "{basis:?} {bound:?}");
    }
}

/// IEEE 1588-2019 7.6.3.3: 2^8 log2 of the variance in s^2, plus 0x8000.
#[test]
fn the_variance_is_told_as_a_logarithm() {
    let told = |deviation| {
        clock_state(&NTP, nanos(1), deviation, &LEAP, Profile::Default, Roles::Both).quality.offset_scaled_log_variance
    };
    // A variance of 2^-60 s^2, and of 1 s^2.
    assert_eq!(told(Some(3_f64.sqrt() * 0.5_f64.powi(30))), 0x8000 - 60 * 256);
    assert_eq!(told(Some(3_f64.sqrt())), 0x8000);
    // 8 ns: log2(64e-18 / 3) is -55.38.
    assert_eq!(told(Some(8e-9)), 32_768 - 14_177);
    assert_eq!(told(Some(0.0)), 0);
    assert_eq!(told(Some(f64::INFINITY)), 0xfffe);
    assert_eq!(told(Some(f64::NAN)), 0xffff);
    assert_eq!(told(None), 0xffff);
    let following = clock_state(&TimeBasis::ThisDomain, nanos(1), Some(1e-9), &LEAP, Profile::Default, Roles::Both);
    assert_eq!(following.quality.offset_scaled_log_variance, 0xffff);
}

#[test]
fn the_time_properties_say_where_the_time_comes_from_and_no_more() {
    let network = |time_traceable, frequency_traceable| TimeBasis::Network {
        source: TimeSource::PTP,
        time_traceable,
        frequency_traceable,
    };
    let rows = [
        (TimeBasis::PrimaryReference(TimeSource::TERRESTRIAL_RADIO), TimeSource::TERRESTRIAL_RADIO, true, true, true),
        (NTP, TimeSource::NTP, true, true, true),
        (network(false, true), TimeSource::PTP, false, true, true),
        (network(true, false), TimeSource::PTP, true, false, true),
        (TimeBasis::ThisDomain, TimeSource::PTP, false, false, true),
        (holdover(true, true), TimeSource::INTERNAL_OSCILLATOR, true, false, true),
        (holdover(true, false), TimeSource::INTERNAL_OSCILLATOR, false, false, true),
        (holdover(false, true), TimeSource::INTERNAL_OSCILLATOR, false, false, true),
        (TimeBasis::System, TimeSource::OTHER, false, false, true),
        (TimeBasis::None, TimeSource::INTERNAL_OSCILLATOR, false, false, false),
    ];
    for (basis, source, time, frequency, ptp) in rows {
        let told = clock_state(&basis, nanos(1), None, &LEAP, Profile::Default, Roles::Both).time_properties;
        let expected = TimePropertiesDs {
            current_utc_offset: 37,
            current_utc_offset_valid: ptp,
            leap59: false,
            leap61: false,
            time_traceable: time,
            frequency_traceable: frequency,
            ptp_timescale: ptp,
            time_source: source,
        };
        assert_eq!(told, expected, "{basis:?}");
    }
}

/// IEEE 1588-2019 8.2.4.2 to 8.2.4.5.
#[test]
fn leap_seconds_are_told_where_they_are_known() {
    let told = |tai_offset_s, step| {
        let leap = LeapState { tai_offset_s, step };
        let told = clock_state(&NTP, nanos(1), None, &leap, Profile::Default, Roles::Both).time_properties;
        (told.current_utc_offset, told.current_utc_offset_valid, told.leap59, told.leap61)
    };
    assert_eq!(told(Some(36), 1), (36, true, false, true));
    assert_eq!(told(Some(38), -1), (38, true, true, false));
    assert_eq!(told(Some(-1), 0), (-1, true, false, false));
    assert_eq!(told(None, 1), (37, false, false, false));
    assert_eq!(told(Some(40_000), 1), (37, false, false, false));
}

proptest! {
    /// No claim is better than the bound, and a greater bound never makes a better claim.
    #[test]
    fn no_more_is_claimed_than_is_known(bound in 0_i128..20_000_000_000, more in 0_i128..20_000_000_000) {
        for basis in [NTP, TimeBasis::PrimaryReference(TimeSource::GNSS), TimeBasis::System, OUT_OF_SPECIFICATION] {
            let claim = |bound| {
                clock_state(&basis, nanos(bound), None, &LEAP, Profile::Default, Roles::Both).quality.clock_accuracy
            };
            prop_assert!(claim(bound).bound().is_none_or(|claimed| claimed >= Span::from_nanos(bound)));
            prop_assert!(claim(bound + more) >= claim(bound));
        }
    }
}
