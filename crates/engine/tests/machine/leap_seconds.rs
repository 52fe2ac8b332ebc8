//! The engine through leap seconds, with kernels that make them, make them late, or do not know of them.

use crate::host::{self, CONFIG, Host, Kernel, LOCAL};
use sidereal_engine::{Engine, Report};
use sidereal_ntp::{LeapIndicator, Stratum};
use sidereal_time::{Instant, LeapTable, NtpTimestamp, Span, Utc};

const MICROSECOND: Span = Span::from_nanos(1_000);
/// 2017-01-01 00:00:00 UTC, before which 23:59:60 was inserted.
const MIDNIGHT: Instant<Utc> = Instant::from_secs(1_483_228_800);
const STEP: Span = Span::from_nanos(10_000_000);

fn before_midnight(seconds: i64) -> Instant<Utc> {
    MIDNIGHT - Span::from_secs(seconds)
}

/// A table in which a second is deleted at the end of that day instead.
fn deleting() -> LeapTable {
    LeapTable::parse("3550089600 37\n3692217600 36\n").unwrap()
}

/// Looks every 10 ms for `span` whether both clocks tell UTC; gives the largest error of each.
fn watch(host: &mut Host, span: Span) -> (Span, Span) {
    let end = host.tai + span;
    let (mut local_error, mut realtime_error) = (Span::ZERO, Span::ZERO);
    while host.tai < end {
        host.run(STEP);
        let truth = NtpTimestamp::from_utc(host.utc());
        let (local, realtime) = host.told();
        local_error = local_error.max(local.since(truth).abs());
        realtime_error = realtime_error.max(realtime.since(truth).abs());
    }
    (local_error, realtime_error)
}

#[test]
fn a_kernel_that_knows_is_followed_without_a_seam() {
    for table in [LeapTable::built_in(), deleting()] {
        let mut host = Host::new(table, before_midnight(20));
        host.run(Span::from_secs(5));
        let (local, realtime) = watch(&mut host, Span::from_secs(30));
        assert!(local < MICROSECOND && realtime < MICROSECOND, "{local} {realtime}");
        assert_eq!(host.published.unwrap().local.generation, 1);
        assert!(matches!(host.reports[..], [Report::Synchronised { .. }]), "{:?}", host.reports);
    }
}

#[test]
fn a_kernel_that_is_late_is_followed_without_a_seam() {
    for late in [1, 4, 10, 900].map(|n| Span::from_nanos(n * 1_000_000)) {
        let mut host = Host::new(LeapTable::built_in(), before_midnight(20));
        host.kernel = Kernel::Told { late };
        host.run(Span::from_secs(5));
        let (local, _) = watch(&mut host, Span::from_secs(30));
        assert!(local < MICROSECOND, "{late}: {local}");
        assert!(matches!(host.reports[..], [Report::Synchronised { .. }]), "{late}: {:?}", host.reports);
    }
}

#[test]
fn a_kernel_that_does_not_know_is_corrected_until_it_is_set() {
    for table in [LeapTable::built_in(), deleting()] {
        let (_, step) = table.next(table.utc_to_tai(before_midnight(20))).unwrap();
        let mut host = Host::new(table, before_midnight(20));
        host.kernel = Kernel::Untold;
        host.run(Span::from_secs(5));
        let (local, realtime) = watch(&mut host, Span::from_secs(600));
        assert!(local < MICROSECOND && realtime < MICROSECOND, "{local} {realtime}");
        assert!(
            matches!(host.reports[..], [_, Report::LeapSecondMissed { step: missed }] if missed == step),
            "{:?}",
            host.reports
        );
        // Somebody sets the clock. Until the next reading, what the kernel stamps is told a second wrong.
        host.kernel = Kernel::Told { late: Span::ZERO };
        let (local, _) = watch(&mut host, Span::from_secs(1));
        let (_, realtime) = watch(&mut host, Span::from_secs(60));
        assert!(local < MICROSECOND && realtime < MICROSECOND, "{local} {realtime}");
        assert!(matches!(host.reports[..], [_, _, Report::LeapSecondMade]), "{:?}", host.reports);
        assert_eq!(host.published.unwrap().local.generation, 1);
    }
}

#[test]
fn a_clock_that_nobody_sets_is_believed_after_a_day() {
    let mut host = Host::new(LeapTable::built_in(), before_midnight(20));
    host.kernel = Kernel::Untold;
    host.run(Span::from_secs(60));
    host.sleep(Span::from_secs(86_400 - 60 - 20));
    host.run(Span::from_secs(10));
    assert_eq!(host.published.unwrap().local.generation, 1);
    host.run(Span::from_secs(60));
    let steps: Vec<_> = host.reports.iter().filter(|report| matches!(report, Report::Stepped { .. })).collect();
    let [Report::Stepped { by, generation: 2 }] = steps[..] else { panic!("{:?}", host.reports) };
    assert!((*by - Span::SECOND).abs() < MICROSECOND, "{by}");
}

#[test]
fn first_readings_around_the_leap_second_wait_until_they_are_clear() {
    for kernel in [Kernel::Told { late: Span::ZERO }, Kernel::Told { late: Span::from_nanos(4_000_000) }] {
        for start in 0..30_i128 {
            let mut host = Host::new(LeapTable::built_in(), before_midnight(2));
            host.kernel = kernel;
            host.advance(Span::from_nanos(start * 100_000_000));
            // A new engine begins at this very moment.
            host.engine = Engine::new(LOCAL, host::config(CONFIG), host.table.clone(), host.ticks);
            let (mut synchronised, end) = (false, host.tai + Span::from_secs(10));
            while host.tai < end {
                host.run(STEP);
                if host.published.unwrap().system.stratum == Stratum::UNSYNCHRONISED {
                    assert!(!synchronised, "{kernel:?} from {start}: lost it again");
                    continue;
                }
                synchronised = true;
                let (local, _) = host.told();
                let error = local.since(NtpTimestamp::from_utc(host.utc())).abs();
                assert!(error < MICROSECOND, "{kernel:?} from {start}: {error}");
            }
            assert!(synchronised, "{kernel:?} from {start}");
            assert_eq!(host.published.unwrap().local.generation, 1, "{kernel:?} from {start}");
        }
    }
}

#[test]
fn the_last_day_is_announced() {
    for (table, indicator) in [(LeapTable::built_in(), LeapIndicator::Insert), (deleting(), LeapIndicator::Delete)] {
        let mut host = Host::new(table, before_midnight(86_400 + 30));
        host.run(Span::from_secs(20));
        assert_eq!(host.published.unwrap().system.leap, LeapIndicator::None);
        host.run(Span::from_secs(15));
        assert_eq!(host.published.unwrap().system.leap, indicator);
        host.sleep(Span::from_secs(86_370));
        host.run(Span::from_secs(10));
        assert_eq!(host.published.unwrap().system.leap, indicator);
        host.run(Span::from_secs(20));
        assert_eq!(host.published.unwrap().system.leap, LeapIndicator::None);
    }
}
