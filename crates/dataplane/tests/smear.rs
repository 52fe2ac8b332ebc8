//! Workers of ports that smear leap seconds: every time in a reply is smeared, and no leap second is announced.
#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod rig;

use rig::{Rig, frame, message, request, snapshot_at};
use sidereal_cpu::LocalCounter;
use sidereal_engine::{SmearKind, SmearOptions, Snapshot};
use sidereal_nic::{RxStamps, TxStamps};
use sidereal_nic_sim::SimOptions;
use sidereal_ntp::{Header, LeapIndicator, SystemVariables};
use sidereal_time::{ClockModel, Counter, Instant, LeapTable, NtpTimestamp, Rate, Span, Tai, Ticks, Utc};

/// 2026-01-01 00:00:00 UTC, before which a second is inserted here.
const MIDNIGHT: Instant<Utc> = Instant::from_secs(1_767_225_600);
/// As NTP counts.
const LEAP_SECONDS: &str = "3692217600 36\n3976214400 37\n";

fn table() -> LeapTable {
    LeapTable::parse(LEAP_SECONDS).unwrap()
}

fn smeared(kind: SmearKind, at: Instant<Tai>) -> Instant<Utc> {
    table().tai_to_utc(at) + SmearOptions::default().smear(kind, &table(), at).offset
}

/// What is published when the local counter stands at `now` and it is `at`, while CLOCK_REALTIME shows UTC.
fn snapshot(now: Ticks, at: Instant<Tai>) -> Snapshot {
    let base = snapshot_at(now);
    let local = ClockModel { reference: at, ..base.local };
    let shown = u64::try_from(table().tai_to_utc(at).as_nanos_rounded()).unwrap();
    let realtime =
        ClockModel { counter: Counter::Realtime, reference_ticks: Ticks(shown), rate: Rate::NANOSECOND, ..local };
    let reference_time = NtpTimestamp::from_utc(table().tai_to_utc(at));
    Snapshot {
        local,
        smeared: SmearOptions::default().clocks(&table(), &local, &realtime, at, at),
        system: SystemVariables { leap: LeapIndicator::Insert, reference_time, ..base.system },
        sequence: base.sequence + 1,
        ..base
    }
}

/// Six hours before the leap second, when a quarter of it has been made by one kind of smear and a seventh by the
/// other.
fn evening() -> Instant<Tai> {
    table().utc_to_tai(MIDNIGHT - Span::from_secs(6 * 3600))
}

/// Whether `later` is not before `earlier`, but for the bits that tell receive from transmit timestamps.
fn in_order(earlier: NtpTimestamp, later: NtpTimestamp) -> bool {
    later.since(earlier) >= Span::from_nanos(-1)
}

#[test]
fn every_time_of_a_reply_is_smeared() {
    let options = SimOptions { rx_stamps: RxStamps::Software, tx_stamps: TxStamps::Software, ..SimOptions::default() };
    for kind in SmearKind::ALL {
        let mut rig = Rig::smearing(&options, Some(kind));
        let now = LocalCounter::MonotonicRaw.now();
        let snapshot = snapshot(now, evening());
        rig.snapshot.publish(&snapshot);
        let reply = rig.ask(&request("10.77.0.2:4000", 1)).expect("a reply");
        let told = |ticks| NtpTimestamp::from_utc(smeared(kind, snapshot.local.instant(ticks)));
        let header = Header::of(&reply[42..]).expect("an NTP header");
        assert!(in_order(told(now), header.receive()), "{kind:?}");
        assert!(in_order(header.receive(), header.transmit()), "{kind:?}");
        assert!(in_order(header.transmit(), told(LocalCounter::MonotonicRaw.now())), "{kind:?}");
        let reference_time = NtpTimestamp::from_be_bytes(reply[42 + 16..42 + 24].try_into().unwrap());
        assert_eq!(reference_time, told(now));
    }
}

#[test]
fn only_ports_that_do_not_smear_announce_a_leap_second() {
    for (smear, expected) in [(None, 1), (Some(SmearKind::Linear), 0), (Some(SmearKind::Cosine), 0)] {
        let mut rig = Rig::smearing(&SimOptions::default(), smear);
        let now = LocalCounter::MonotonicRaw.now();
        rig.snapshot.publish(&snapshot(now, evening()));
        let reply = rig.ask(&request("10.77.0.2:4000", 1)).expect("a reply");
        assert_eq!(reply[42] >> 6, expected, "{smear:?}");
        // That nobody knows the time is said everywhere.
        let lost = SystemVariables::UNSYNCHRONISED;
        rig.snapshot.publish(&Snapshot { system: lost, ..snapshot(now, evening()) });
        let reply = rig.ask(&request("10.77.0.2:4000", 1)).expect("a reply");
        assert_eq!(reply[42] >> 6, 3, "{smear:?}");
        assert_eq!(reply[42 + 16..42 + 24], [0; 8], "the reference time of nothing");
    }
}

/// The kernel repeats 23:59:59, and the last publication is from before: its stamps mean other instants now.
#[test]
fn stamps_of_the_kernel_are_smeared_across_its_step() {
    let options = SimOptions {
        counter: Counter::Realtime,
        rx_stamps: RxStamps::Kernel,
        tx_stamps: TxStamps::Kernel,
        ..SimOptions::default()
    };
    let mut rig = Rig::smearing(&options, Some(SmearKind::Linear));
    let now = LocalCounter::MonotonicRaw.now();
    // Published at 23:59:59.0, now it is 23:59:60.5.
    let published = table().utc_to_tai(MIDNIGHT - Span::SECOND);
    let snapshot = snapshot(Ticks(now.0.wrapping_sub(1_500_000_000)), published);
    rig.snapshot.publish(&snapshot);
    let shown = table().tai_to_utc(snapshot.local.instant(now)).as_nanos_rounded();
    rig.control.set_ticks(Ticks(u64::try_from(shown).unwrap()));
    let expected = NtpTimestamp::from_utc(smeared(SmearKind::Linear, snapshot.local.instant(now)));
    let is_near = |time: NtpTimestamp| time.since(expected).abs() < Span::from_nanos(20_000);
    let mut last_receive = [9; 8];
    let mut interleaved = 0;
    for round in 1..=4u8 {
        let mut message = message(round.into());
        message[24..32].copy_from_slice(&last_receive);
        message[32..40].copy_from_slice(&[round; 8]);
        let reply = rig.ask(&frame("10.77.0.2:4000", &message)).expect("a reply");
        rig.worker.turn();
        let header = Header::of(&reply[42..]).expect("an NTP header");
        assert!(is_near(header.receive()), "{:?} {expected:?}", header.receive());
        if header.origin().to_be_bytes() == [round; 8] {
            interleaved += 1;
            assert!(is_near(header.transmit()), "{:?} {expected:?}", header.transmit());
        }
        last_receive = header.receive().to_be_bytes();
    }
    assert_eq!(interleaved, 3);
}
