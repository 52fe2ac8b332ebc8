//! The engine and its reference: found, followed, lost, jumping, reconfigured.

use crate::host::{self, CONFIG, Host, LOCAL};
use sidereal_engine::{Action, Engine, Event, Report, Severity, Synchronisation, SystemReference};
use sidereal_ntp::{LeapIndicator, Stratum};
use sidereal_servo::Discipline;
use sidereal_time::{ClockId, Instant, LeapTable, NtpShort, NtpTimestamp, Reading, Span, Ticks};

const MICROSECOND: Span = Span::from_nanos(1_000);

fn millis(n: i128) -> Span {
    Span::from_nanos(n * 1_000_000)
}

#[test]
fn begins_unsynchronised_and_wants_a_reading() {
    let mut engine = Engine::new(LOCAL, host::config(CONFIG), LeapTable::built_in(), Ticks(5));
    let Some(Action::Publish(snapshot)) = engine.poll_action() else { panic!("nothing published") };
    assert_eq!((snapshot.system.leap, snapshot.system.stratum), (LeapIndicator::Unknown, Stratum::UNSYNCHRONISED));
    assert_eq!(snapshot.system.precision, LOCAL.precision);
    assert_eq!(engine.poll_timeout(), Some(Ticks(5)));
    engine.handle(Event::Timer, Ticks(5));
    assert_eq!(engine.poll_action(), Some(Action::ReadClock(ClockId::SYSTEM)));
    assert_eq!(engine.poll_action(), None);
    assert_eq!(engine.status(Ticks(5)).synchronisation, Synchronisation::Acquiring);
}

#[test]
fn synchronises_within_a_quarter_of_a_second() {
    let mut host = Host::ordinary();
    host.run(millis(180));
    assert_eq!(host.published.unwrap().system.stratum, Stratum::UNSYNCHRONISED);
    host.run(millis(70));
    let system = host.published.unwrap().system;
    assert_eq!((system.leap, system.stratum), (LeapIndicator::None, CONFIG.stratum));
    assert_eq!(system.reference_id, CONFIG.reference_id);
    assert_eq!(system.root_delay.as_span().as_nanos_rounded() / 10_000, 100);
    assert!(matches!(host.reports[..], [Report::Synchronised { error }] if error < MICROSECOND), "{:?}", host.reports);
    assert_eq!(host.reports[0].severity(), Severity::Notice);
}

#[test]
fn both_clocks_tell_utc() {
    let mut host = Host::ordinary();
    for _ in 0..100 {
        host.run(millis(333));
        let truth = NtpTimestamp::from_utc(host.utc());
        let (local, realtime) = host.told();
        assert!(local.since(truth).abs() < MICROSECOND, "{:?}", local.since(truth));
        assert!(realtime.since(truth).abs() < MICROSECOND, "{:?}", realtime.since(truth));
    }
    let status = host.engine.status(host.ticks);
    assert!((status.now.unwrap() - host.tai).abs() <= status.error.unwrap());
    assert_eq!((status.synchronisation, status.tai_offset_s), (Synchronisation::Synchronised, Some(37)));
}

#[test]
fn reads_briskly_at_first_and_steadily_then() {
    let mut host = Host::ordinary();
    host.run(Span::SECOND);
    assert!((16..=17).contains(&host.asked), "{}", host.asked);
    host.run(millis(1_000));
    host.asked = 0;
    host.run(Span::from_secs(100));
    assert!((399..=401).contains(&host.asked), "{}", host.asked);
}

#[test]
fn root_dispersion_is_what_is_configured_and_what_is_measured_and_grows() {
    let mut host = Host::ordinary();
    host.run(Span::from_secs(20));
    let fresh = host.published.unwrap().system.root_dispersion;
    assert!(fresh >= NtpShort::from_span_rounded_up(CONFIG.root_dispersion));
    assert!(fresh < NtpShort::from_span_rounded_up(CONFIG.root_dispersion + Span::from_nanos(20_000)), "{fresh:?}");
    host.silent = true;
    host.run(millis(3_900));
    let system = host.published.unwrap().system;
    // The last publication is up to a second old.
    let grown = CONFIG.root_dispersion + Span::from_nanos(15_000 * 29 / 10);
    assert!(system.root_dispersion >= NtpShort::from_span_rounded_up(grown), "{:?}", system.root_dispersion);
    let age = NtpTimestamp::from_utc(host.utc()).since(system.reference_time);
    assert!(age > millis(3_600) && age < millis(4_200), "{age}");
}

#[test]
fn a_silent_reference_is_lost_and_found() {
    let mut host = Host::ordinary();
    host.run(Span::from_secs(10));
    host.silent = true;
    host.run(Span::from_secs(3));
    assert_eq!(host.published.unwrap().system.stratum, CONFIG.stratum);
    host.run(Span::from_secs(2));
    let system = host.published.unwrap().system;
    assert_eq!((system.leap, system.stratum), (LeapIndicator::Unknown, Stratum::UNSYNCHRONISED));
    assert!(
        matches!(host.reports[..], [_, Report::Lost { silent }] if silent > Span::from_secs(4)),
        "{:?}",
        host.reports
    );
    assert_eq!(host.engine.status(host.ticks).synchronisation, Synchronisation::Lost);
    host.run(Span::from_secs(3_600));
    host.silent = false;
    host.run(Span::SECOND);
    assert_eq!(host.published.unwrap().system.stratum, CONFIG.stratum);
    assert!(matches!(host.reports[..], [_, _, Report::Synchronised { .. }]), "{:?}", host.reports);
    assert_eq!(host.published.unwrap().local.generation, 1);
}

#[test]
fn a_reference_that_talks_nonsense_is_lost() {
    let mut host = Host::ordinary();
    host.run(Span::from_secs(10));
    for n in 0..60_i64 {
        host.off = Span::from_secs(10 + (n * 5) % 13);
        host.run(millis(100));
    }
    assert!(matches!(host.reports[..], [_, Report::Lost { .. }]), "{:?}", host.reports);
    let (local, _) = host.told();
    assert!(local.since(NtpTimestamp::from_utc(host.utc())).abs() < MICROSECOND);
}

#[test]
fn a_reference_that_jumps_is_followed_and_reported() {
    for off in [Span::from_secs(-7), millis(20), Span::from_secs(86_400)] {
        let mut host = Host::ordinary();
        host.run(Span::from_secs(10));
        host.off = off;
        host.run(Span::SECOND);
        let [_, Report::Stepped { by, generation: 2 }] = host.reports[..] else { panic!("{:?}", host.reports) };
        assert!((by - off).abs() < MICROSECOND, "{by} for {off}");
        assert_eq!(host.published.unwrap().local.generation, 2);
        let (local, realtime) = host.told();
        let shown = NtpTimestamp::from_utc(host.system_clock());
        assert!(local.since(shown).abs() < MICROSECOND && realtime.since(shown).abs() < MICROSECOND);
    }
}

#[test]
fn a_counter_that_is_reset_does_not_stop_the_engine() {
    let mut host = Host::ordinary();
    host.run(Span::from_secs(10));
    host.ticks = Ticks(3);
    host.handle(Event::Timer);
    host.run(Span::SECOND);
    assert!(matches!(host.reports[..], [_, Report::Stepped { .. }]), "{:?}", host.reports);
    let (local, _) = host.told();
    assert!(local.since(NtpTimestamp::from_utc(host.utc())).abs() < MICROSECOND);
}

#[test]
fn a_new_configuration_is_published_at_once() {
    let mut host = Host::ordinary();
    host.run(Span::from_secs(5));
    let before = host.published.unwrap();
    let other = SystemReference { stratum: Stratum::new(5).unwrap(), ..CONFIG };
    host.handle(Event::Configuration(Box::new(host::config(other))));
    let after = host.published.unwrap();
    assert_eq!((after.system.stratum.number(), after.local), (5, before.local));
    assert!(after.sequence > before.sequence);
}

#[test]
fn a_table_with_another_offset_moves_tai_and_not_utc() {
    let mut host = Host::ordinary();
    host.run(Span::from_secs(10));
    let before = host.published.unwrap();
    host.handle(Event::LeapTable(LeapTable::parse("3692217600 38\n").unwrap()));
    let after = host.published.unwrap();
    assert_eq!((after.local.generation, after.local.reference), (2, before.local.reference + Span::SECOND));
    for _ in 0..100 {
        let truth = NtpTimestamp::from_utc(host.utc());
        let (local, realtime) = host.told();
        assert!(local.since(truth).abs() < MICROSECOND && realtime.since(truth).abs() < MICROSECOND);
        host.run(millis(70));
    }
    assert!(matches!(host.reports[..], [_, Report::TaiMoved { by: Span::SECOND }]), "{:?}", host.reports);
    assert_eq!(host.engine.status(host.ticks).tai_offset_s, Some(38));
}

#[test]
fn an_expired_table_is_complained_about_daily_and_no_more() {
    let table = LeapTable::parse("#@ 3692217600\n3692217600 37\n").unwrap();
    let mut host = Host::new(table, Instant::from_secs(1_500_000_000));
    for _ in 0..3 {
        host.run(Span::from_secs(20));
        // Half a day without a single timer, twice.
        host.sleep(Span::from_secs(43_200 - 20));
        host.run(Span::from_secs(20));
        host.sleep(Span::from_secs(43_200 - 20));
    }
    let complaints = host.reports.iter().filter(|report| matches!(report, Report::LeapTableExpired { .. })).count();
    assert_eq!(complaints, 3);
    assert_eq!(host.published.unwrap().system.stratum, CONFIG.stratum);
    assert!(
        host.reports.iter().any(|report| report.to_string().contains("expired 194 days ago")),
        "{:?}",
        host.reports[1]
    );
    host.handle(Event::LeapTable(LeapTable::parse("3692217600 37\n").unwrap()));
    host.reports.clear();
    host.sleep(Span::from_secs(2 * 86_400));
    host.run(Span::from_secs(1));
    assert!(!host.reports.iter().any(|report| matches!(report, Report::LeapTableExpired { .. })), "{:?}", host.reports);
}

#[test]
fn what_the_kernel_says_of_itself_is_reported_once() {
    let mut host = Host::ordinary();
    host.run(Span::from_secs(5));
    host.reports.clear();
    let good = Discipline { synchronised: true, max_error: MICROSECOND, tai_offset_s: Some(37), leap_step: 0 };
    let bad = Discipline { synchronised: false, tai_offset_s: Some(35), leap_step: -1, ..good };
    for discipline in [good, bad, bad, bad, good, good] {
        host.handle(host::discipline(discipline));
    }
    assert_eq!(
        host.reports,
        [
            Report::ReferenceUnsynchronised { max_error: MICROSECOND },
            Report::TaiOffsetDiffers { kernel_s: 35, table_s: 37 },
            Report::LeapSecondUnlisted { step: -1 },
            Report::ReferenceSynchronised { max_error: MICROSECOND },
        ]
    );
}

#[test]
fn reports_that_nobody_fetches_do_not_pile_up() {
    let mut host = Host::ordinary();
    let reading = Reading::new(host.ticks, host.system_clock(), Span::ZERO);
    host.handle(host::read(reading));
    for n in 0..1_000 {
        let synchronised = n % 2 == 0;
        let discipline = Discipline { synchronised, max_error: Span::ZERO, tai_offset_s: None, leap_step: 0 };
        host.engine.handle(host::discipline(discipline), host.ticks);
    }
    let mut actions = 0;
    while host.engine.poll_action().is_some() {
        actions += 1;
    }
    assert!((30..40).contains(&actions), "{actions}");
}
