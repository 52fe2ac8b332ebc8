//! Broadcasts, told and heard (RFC 5905 §8, RFC 9769 §4).

use crate::lab::{Host, MICROSECOND, Random, SECOND, SYSTEM, World, key, ticks};
use sidereal_ntp::{
    AccessAction, AccessRule, AccessTable, AssociationOptions, Broadcaster, BroadcasterOptions, HEADER_LEN, Header,
    IgnoreReason, Key, Mode, Poll, Received, Role, SystemVariables,
};
use sidereal_time::{NtpShort, NtpTimestamp, Span};

const WAY: u64 = 30 * MICROSECOND;
const LATENCY: u64 = 40 * MICROSECOND;

/// A listener, and a server that broadcasts every second and answers too.
fn world(interleaved: [bool; 2], listener_key: Option<Key>) -> World {
    let key = listener_key.clone();
    let options = AssociationOptions {
        role: Role::BroadcastClient,
        interleaved: interleaved[0],
        key: listener_key,
        ..AssociationOptions::default()
    };
    let told =
        BroadcasterOptions { key, interleaved: interleaved[1], poll: Poll::new(0).unwrap(), ..Default::default() };
    let broadcaster = Some(Broadcaster::new(&told, ticks(0)));
    let server = Host { broadcaster, latency: LATENCY, offset: -2_000_000, ..Host::serving(true) };
    World::new(Host::asking(&options), server, WAY)
}

/// Whether it was asked for.
fn is_answer(world: &World, index: usize) -> bool {
    Header::of(&world.hosts[0].sent[index].1).unwrap().mode() == Mode::Client
}

#[test]
fn a_broadcast_says_what_it_should_and_no_more() {
    let mut world = world([true, true], Some(key(5)));
    world.run_until(3 * SECOND + SECOND / 2);
    let told: Vec<&[u8]> = world.hosts[1].sent.iter().map(|(_, sent)| &sent[..]).collect();
    let told: Vec<&[u8]> = told.into_iter().filter(|sent| sent[0] & 7 == Mode::Broadcast.to_bits()).collect();
    assert_eq!(told.len(), 4);
    for (number, message) in told.iter().enumerate() {
        let header = Header::of(message).unwrap();
        assert_eq!((message.len(), message[0], header.poll()), (HEADER_LEN + 20, 0x25, 0));
        assert_eq!(header.system(), SYSTEM);
        assert!(header.receive().is_unknown());
        let clock = world.hosts[1].clock();
        let left = |number: usize| ticks(number as u64 * SECOND);
        assert_eq!(header.transmit(), clock.at(left(number)));
        // The true time at which the one before left, in interleaved mode.
        let latency = NtpTimestamp::from_bits((LATENCY << 32) / SECOND).to_bits();
        match number.checked_sub(1) {
            None => assert!(header.origin().is_unknown()),
            Some(before) => {
                let difference = header.origin().to_bits() - clock.at(left(before)).to_bits();
                assert!(difference.abs_diff(latency) <= 1, "{difference} {latency}");
            }
        }
    }
}

#[test]
fn who_has_no_time_broadcasts_none() {
    let mut world = world([false, false], None);
    world.hosts[1].has_time = false;
    world.run_until(5 * SECOND);
    assert!(world.hosts[1].sent.is_empty());
    world.hosts[1].has_time = true;
    world.run_until(10 * SECOND);
    assert!(world.hosts[1].sent.len() >= 5);
}

#[test]
fn a_volley_measures_the_delay_and_broadcasts_are_measured_with_it() {
    for keyed in [None, Some(key(5))] {
        let mut world = world([false, false], keyed);
        world.run_until(SECOND / 2);
        assert_eq!(world.hosts[0].received[0], Received::Ignored(IgnoreReason::Uncalibrated));
        world.run_until(60 * SECOND);
        let host = &world.hosts[0];
        assert_eq!(host.sent.len(), 8);
        assert!((0..8).all(|index| is_answer(&world, index)));
        let counts = host.association.as_ref().unwrap().counts();
        assert_eq!((counts.sent, counts.ignored(IgnoreReason::Uncalibrated)), (8, 17));
        // Of the 60 that came, those of the 16 s of the volley are left out.
        assert_eq!(counts.measured, 8 + 60 - 17);
        assert_eq!(host.association.as_ref().unwrap().reach(), 0xff);
        // A volley's readings are off by half the server's latency, broadcasts by that and the other half: both are
        // within the delay.
        world.assert_bounds();
        let window = Span::from_nanos(i128::from(2 * WAY + LATENCY));
        let last = world.hosts[0].measured.last().unwrap();
        assert!((last.reading.window() - window).abs() <= Span::from_nanos(1));
        let error = world.error(0, last) + Span::from_nanos(i128::from(LATENCY / 2));
        assert!(error.abs() <= Span::from_nanos(1), "{error}");
        assert!(last.authenticated == world.hosts[0].measured[0].authenticated && !last.interleaved);
    }
}

#[test]
fn interleaved_broadcasts_tell_when_the_one_before_left() {
    let (mut world, mut count) = (world([true, true], Some(key(5))), 0);
    world.link = Box::new(move |from, at| {
        count += from;
        if from == 1 && count > 30 && count % 3 == 0 { Vec::new() } else { vec![at + WAY] }
    });
    world.run_until(120 * SECOND);
    world.assert_bounds();
    let counts = *world.hosts[0].association().counts();
    assert!(counts.measured_interleaved > 40, "{counts:?}");
    for measured in world.hosts[0].measured.iter().filter(|measured| measured.interleaved) {
        assert!(world.error(0, measured).abs() <= Span::from_nanos(1), "{measured:?}");
        assert!((measured.reading.window() - Span::from_nanos(i128::from(2 * WAY))).abs() <= Span::from_nanos(1));
    }
    // A broadcast after a lost one belongs to that: nothing is measured by it.
    assert!(counts.measured < counts.accepted - 20);
}

#[test]
fn a_listener_of_the_basic_mode_takes_interleaved_broadcasts_for_basic_ones() {
    let mut world = world([false, true], None);
    world.run_until(60 * SECOND);
    world.assert_bounds();
    let counts = world.hosts[0].association().counts();
    assert!(counts.measured_interleaved == 0 && counts.measured > 50);
}

#[test]
fn without_an_answer_to_the_volley_no_broadcast_is_measured() {
    let mut world = world([false, false], None);
    world.hosts[1].server = None;
    world.run_until(200 * SECOND);
    assert!(world.hosts[0].measured.is_empty());
    // Eight requests in 16 s, and 64 s of silence.
    assert!((16..=24).contains(&world.hosts[0].sent.len()), "{}", world.hosts[0].sent.len());
    let rule = AccessRule { action: AccessAction::Deny, require_key: false };
    let mut world = self::world([false, false], None);
    world.hosts[1].policy.access = AccessTable::new([("0.0.0.0/0".parse().unwrap(), rule)]);
    world.run_until(60 * SECOND);
    assert!(world.hosts[0].association().is_denied() && world.hosts[0].sent.len() == 1);
}

#[test]
fn the_delay_is_measured_again_now_and_then() {
    let mut world = world([false, false], None);
    world.run_until(4000 * SECOND);
    assert_eq!(world.hosts[0].sent.len(), 8);
    world.link = Box::new(|_, at| vec![at + 3 * WAY]);
    world.run_until(4200 * SECOND);
    assert_eq!(world.hosts[0].sent.len(), 16);
    let window = Span::from_nanos(i128::from(6 * WAY + LATENCY));
    assert!((world.hosts[0].measured.last().unwrap().reading.window() - window).abs() <= Span::from_nanos(1));
}

#[test]
fn replays_forgeries_and_jumps_are_not_believed() {
    let mut world = world([false, false], Some(key(5)));
    world.run_until(40 * SECOND + SECOND / 2);
    let told: Vec<Vec<u8>> = world.hosts[1].sent.iter().map(|(_, sent)| sent.clone()).collect();
    let told: Vec<Vec<u8>> = told.into_iter().filter(|sent| sent[0] & 7 == 5).collect();
    let last = told.last().unwrap();
    let mut forged = last.clone();
    forged[43] ^= 1;
    let measured = world.hosts[0].measured.len();
    for (message, reason) in [
        (told[10].clone(), IgnoreReason::Replayed),
        (last.clone(), IgnoreReason::Duplicate),
        (forged, IgnoreReason::WrongMac),
        (last[..48].to_vec(), IgnoreReason::MissingMac),
        (last[..47].to_vec(), IgnoreReason::TooShort),
        ([&[0x1d], &last[1..]].concat(), IgnoreReason::WrongVersion),
        ([&[0x21], &last[1..]].concat(), IgnoreReason::WrongMode),
    ] {
        assert_eq!(world.deliver(0, &message), Some(Received::Ignored(reason)));
    }
    let mut zero = [&last[..40], &[0; 28]].concat();
    let _ = key(5).append(Header::of(last).unwrap().version().unwrap(), &mut zero, 48).unwrap();
    assert_eq!(world.deliver(0, &zero), Some(Received::Ignored(IgnoreReason::ZeroTimestamp)));
    assert_eq!(world.hosts[0].measured.len(), measured);
    // The server's clock is set: it is asked again before a broadcast is believed.
    world.hosts[1].offset += 30_000_000;
    world.run_until(41 * SECOND + SECOND / 2);
    assert_eq!(world.hosts[0].association().counts().ignored(IgnoreReason::Jumped), 1);
    world.run_until(80 * SECOND);
    assert_eq!(world.hosts[0].sent.len(), 16);
    let error = world.error(0, world.hosts[0].measured.last().unwrap());
    assert!(error.abs() < Span::from_nanos(100_000), "{error}");
}

#[test]
fn any_network_leaves_broadcasts_within_the_bound_of_the_path() {
    for seed in 0..20 {
        let mut world = world([true, seed % 2 == 0], Some(key(5)));
        let mut random = Random(seed);
        world.hosts[1].stamp_delay = if seed % 3 == 0 { None } else { Some(0) };
        world.link = Box::new(move |_, at| {
            let copies = [0, 1, 1, 1, 1, 1, 1, 2][usize::try_from(random.below(8)).unwrap()];
            (0..copies).map(|_| at + WAY + random.below(20 * MICROSECOND)).collect()
        });
        world.run_until(200 * SECOND);
        for measured in &world.hosts[0].measured {
            // What a broadcast takes longer than the shortest round trip, no listener can know.
            let bound = measured.reading.error() + measured.dispersion + Span::from_nanos(20_000 + i128::from(LATENCY));
            assert!(world.error(0, measured).abs() <= bound, "seed {seed}: {measured:?}");
        }
        assert!(world.hosts[0].measured.len() > 100, "seed {seed}: {}", world.hosts[0].measured.len());
    }
}

#[test]
fn a_broadcast_that_queued_as_long_as_any_of_the_volley_is_within_its_bound() {
    for interleaved in [false, true] {
        const QUEUE: u64 = 300 * MICROSECOND;
        let (mut world, mut count) = (world([interleaved; 2], Some(key(5))), 0);
        // Half of the answers queue, and then every broadcast.
        world.link = Box::new(move |from, at| {
            count += from;
            let queue = if from == 1 && (at > 20 * SECOND || count % 2 == 0) { QUEUE } else { 0 };
            vec![at + WAY + queue]
        });
        world.run_until(60 * SECOND);
        assert!(world.hosts[0].measured.len() > 40);
        world.assert_bounds();
        let last = world.hosts[0].measured.last().unwrap();
        assert!(world.error(0, last).abs() > Span::from_nanos(i128::from(QUEUE) - 100_000));
        // The delay that is told on is that of the path, without the queue.
        assert!(last.reading.window() <= Span::from_nanos(i128::from(2 * WAY + LATENCY) + 1));
    }
}

#[test]
fn interleaved_broadcasts_are_judged_by_both_messages() {
    let mut world = world([true, true], Some(key(5)));
    world.run_until(40 * SECOND + SECOND / 2);
    let mut next = |change: &dyn Fn(&mut Host)| {
        change(&mut world.hosts[1]);
        let (measured, end) = (world.hosts[0].measured.len(), world.now + SECOND);
        world.run_until(end);
        let host = &world.hosts[0];
        let counts = *host.association.as_ref().unwrap().counts();
        (host.measured.get(measured).map(|measured| measured.server), counts)
    };
    let worse = SystemVariables { root_dispersion: NtpShort::from_bits(0x0234_0000), ..SYSTEM };
    assert_eq!(next(&|server| server.system = worse).0, Some(worse));
    assert_eq!(next(&|server| server.system = SYSTEM).0, Some(worse));
    assert_eq!(next(&|_| {}).0, Some(SYSTEM));
    for (system, ignored) in [(SystemVariables::UNSYNCHRONISED, 1), (SYSTEM, 2)] {
        let (measured, counts) = next(&|server| server.system = system);
        assert_eq!((measured, counts.ignored(IgnoreReason::Unsynchronised)), (None, ignored));
    }
    assert_eq!(next(&|_| {}).0, Some(SYSTEM));
    let (measured, counts) = next(&|server| server.offset += 30_000_000);
    assert_eq!((measured, counts.ignored(IgnoreReason::Stepped)), (None, 1));
    // By itself the next one is sound; but the server's clock is not what it was.
    assert_eq!(next(&|_| {}).1.ignored(IgnoreReason::Jumped), 1);
}
