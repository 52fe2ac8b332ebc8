use super::*;
use sidereal_loadgen::probe::Probed;
use sidereal_ntp::{LeapIndicator, ReferenceId, Stratum, SystemVariables};
use sidereal_offsets::{Record, Stamps, pipeline};
use sidereal_time::{Exchange, Instant, StampSource, Utc};
use std::time::Duration;

const US: i64 = 1000;

/// Servers whose clocks are off by so much with this bound, in microseconds; without, they never answered.
fn probed(clocks: &[Option<(i64, i64)>]) -> (Vec<Named>, Probed) {
    let (mut recorders, mut stage) = pipeline(1, 64, clocks.len());
    let at = |nanos: i64| Instant::<Utc>::from_secs(1_800_000_000) + Span::from_nanos(nanos.into());
    let stamps = Stamps { transmit: StampSource::Kernel, receive: StampSource::Software };
    for (number, clock) in (0..).zip(clocks) {
        if let Some((offset, bound)) = clock {
            let (there, back) = (at((offset + bound) * US), at(2 * bound * US));
            let exchange = Exchange { t1: at(0), t2: there, t3: there, t4: back };
            recorders[0].record(Record::new(number, &exchange, Span::ZERO, stamps));
        }
    }
    stage.poll();
    let system = SystemVariables {
        leap: LeapIndicator::None,
        stratum: Stratum::new(1).unwrap(),
        reference_id: ReferenceId(*b"GPS\0"),
        ..SystemVariables::UNSYNCHRONISED
    };
    let hosts = (0..).zip(clocks).map(|(number, clock)| Host {
        measured: stage.target(number).unwrap().clone(),
        system: clock.map(|_| system),
        counts: Counts { sent: 1, answered: clock.iter().len() as u64, ..Counts::default() },
    });
    let hosts = hosts.collect();
    let named =
        (0..clocks.len()).map(|number| Named { host: format!("ntp{number}"), address: ([10, 0, 0, 1], 123).into() });
    let totals = stage.totals().clone();
    (named.collect(), Probed { hosts, totals, lost_records: 0, strangers: 0, missed: 0 })
}

fn report(clocks: &[Option<(i64, i64)>], against: Against, alert_us: u64) -> Report {
    let (named, probed) = probed(clocks);
    Report::new(named, Vec::new(), &probed, against, Some(Length(Duration::from_micros(alert_us))))
}

fn named(report: &Report) -> Vec<(&str, Reason)> {
    report.alerts.iter().map(|alert| (alert.host.as_str(), alert.reason)).collect()
}

#[test]
fn an_offset_is_named_where_no_bound_excuses_it() {
    // At the limit; beyond it by 1 us; far off with a bound that excuses it; far off the other way.
    let clocks = [Some((110, 10)), Some((111, 10)), Some((5_000, 4_990)), Some((-200, 10))];
    let report = report(&clocks, Against::System, 100);
    assert_eq!(named(&report), [("ntp3", Reason::Offset), ("ntp1", Reason::Offset)], "the worst first");
    assert_eq!(
        report.alert_lines(),
        "alert: ntp3: off by -200 us, bound 10.0 us\nalert: ntp1: off by +111 us, bound 10.0 us\n"
    );
    assert_eq!(report.failure().unwrap(), "2 servers need attention");
}

#[test]
fn the_median_is_right_where_most_are() {
    let clocks = [Some((5_000, 1)), Some((5_001, 1)), Some((0, 1)), Some((4_999, 1)), Some((5_000, 1))];
    let by_median = report(&clocks, Against::Median, 100);
    assert_eq!((by_median.median_ns, named(&by_median)), (Some(5_000 * US), vec![("ntp2", Reason::Offset)]));
    assert_eq!(by_median.alerts[0].offset_ns, Some(-5_000 * US));
    let by_system: Vec<_> = report(&clocks, Against::System, 100).alerts.into_iter().map(|alert| alert.host).collect();
    assert_eq!(by_system, ["ntp1", "ntp0", "ntp4", "ntp3"]);
}

#[test]
fn who_has_no_time_is_worst_and_named_by_what_it_said_last() {
    let (names, mut probed) = probed(&[Some((0, 1)), None, Some((0, 1)), None, None]);
    probed.hosts[2].system = Some(SystemVariables::UNSYNCHRONISED);
    probed.hosts[3].counts.kiss = 1;
    probed.hosts[4].counts.unsynchronised = 1;
    let unresolved = vec![Unresolved { host: "nowhere".into(), reason: "no such name".into() }];
    let limit = Some(Length(Duration::from_secs(1)));
    let report = Report::new(names, unresolved, &probed, Against::System, limit);
    let expected = [
        ("ntp2", Reason::Unsynchronised),
        ("ntp1", Reason::Unreachable),
        ("ntp3", Reason::Refused),
        ("ntp4", Reason::Unsynchronised),
        ("nowhere", Reason::Unresolved),
    ];
    assert_eq!(named(&report), expected);
    let last = report.hosts.last().unwrap();
    assert_eq!((last.host.as_str(), last.wrong), ("ntp0", None));
    assert_eq!((last.stratum, last.reference_id.as_deref()), (Some(1), Some("GPS")));
    let clock = last.clock.unwrap();
    assert_eq!((clock.transmit_stamp, clock.receive_stamp), ("kernel", "software"));
}

#[test]
fn without_a_limit_only_silence_of_all_is_a_failure() {
    let without = |clocks| {
        let (named, probed) = probed(clocks);
        Report::new(named, Vec::new(), &probed, Against::Median, None)
    };
    let far_off = without(&[Some((1_000_000, 1)), None]);
    assert_eq!((far_off.alerts.len(), far_off.failure()), (0, None));
    let silent = without(&[None, None]);
    assert_eq!(silent.failure().unwrap(), "no usable answer: 2 asked");
    assert!(silent.words(10).starts_with("2 servers, 0 measured: 2 requests, 0 answered, 2 lost\n"));
}

#[test]
fn as_many_are_listed_as_were_asked_for() {
    let report = report(&[Some((1, 1)), Some((30, 1)), Some((2, 1))], Against::System, 100);
    let words = report.words(1);
    let lines: Vec<_> = words.lines().collect();
    assert!(
        lines.last().unwrap().starts_with("ntp1    +30.0 us  1.00 us  2.00 us        1  GPS           1/1  measured"),
        "{words}"
    );
    assert_eq!(lines.len(), 5, "{words}");
}
