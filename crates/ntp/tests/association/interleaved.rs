//! The interleaved mode of the client (RFC 9769 §2).

use crate::client::options;
use crate::lab::{Host, MICROSECOND, MILLISECOND, Random, SECOND, SYSTEM, World, key};
use sidereal_ntp::{AssociationOptions, Header, IgnoreReason, Poll, Received, SystemVariables};
use sidereal_time::{NtpShort, Span};

/// A server that tells its transmit timestamps 40 µs too early, because its messages leave so much later.
const LATENCY: u64 = 40 * MICROSECOND;
const WAY: u64 = 25 * MICROSECOND;

fn world(interleaved_server: bool) -> World {
    let options = AssociationOptions { interleaved: true, key: Some(key(5)), ..options() };
    let mut world = World::new(Host::asking(&options), Host::serving(interleaved_server), WAY);
    world.hosts[1].latency = LATENCY;
    world.hosts[1].offset = 5_000_000;
    world
}

/// Every reading of interleaved mode is exact, all others are off by half the server's latency.
fn assert_exact(world: &World) {
    for measured in &world.hosts[0].measured {
        let latency = if measured.interleaved { 0 } else { i128::from(LATENCY) };
        let window = Span::from_nanos(2 * i128::from(WAY) + latency);
        assert!((measured.reading.window() - window).abs() <= Span::from_nanos(1), "{measured:?}");
        let error = world.error(0, measured);
        assert!((error + Span::from_nanos(latency / 2)).abs() <= Span::from_nanos(1), "{error} {measured:?}");
    }
}

fn counts(world: &World) -> (u64, u64) {
    let counts = world.hosts[0].association.as_ref().unwrap().counts();
    (counts.measured - counts.measured_interleaved, counts.measured_interleaved)
}

#[test]
fn true_transmit_timestamps_are_measured_with_the_exchange_they_belong_to() {
    let mut world = world(true);
    world.run_until(20 * SECOND + SECOND / 2);
    assert_exact(&world);
    // The server remembers a client from its second request on, the first that carries a receive timestamp.
    assert_eq!(counts(&world), (2, 19));
    assert!(world.hosts[0].received.iter().all(|received| *received == Received::Accepted));
    let requests = &world.hosts[0].sent;
    for ((_, request), (_, reply)) in requests[1..].iter().zip(&world.hosts[1].sent) {
        let (request, reply) = (Header::of(request).unwrap(), Header::of(reply).unwrap());
        assert_eq!(request.origin(), reply.receive());
        assert_ne!(request.receive(), request.transmit());
    }
}

#[test]
fn a_server_of_the_basic_mode_is_measured_in_it_until_it_offers_more() {
    let mut world = world(false);
    world.run_until(10 * SECOND + SECOND / 2);
    assert_exact(&world);
    assert_eq!(counts(&world), (11, 0));
    world.hosts[1].policy.interleaved = true;
    world.run_until(20 * SECOND + SECOND / 2);
    assert_exact(&world);
    assert!(counts(&world).1 >= 8, "{:?}", counts(&world));
    world.hosts[1].policy.interleaved = false;
    let interleaved = counts(&world).1;
    world.run_until(30 * SECOND + SECOND / 2);
    assert_exact(&world);
    assert_eq!(counts(&world).1, interleaved);
    assert_eq!(world.hosts[0].association().reach(), 0xff);
}

#[test]
fn every_third_message_lost_makes_no_reading_wrong() {
    for lost_from in [0, 1] {
        let (mut world, mut count) = (world(true), 0);
        world.link = Box::new(move |from, at| {
            count += usize::from(from == lost_from);
            if from == lost_from && count % 3 == 0 { Vec::new() } else { vec![at + WAY] }
        });
        world.run_until(300 * SECOND);
        assert_exact(&world);
        let (basic, interleaved) = counts(&world);
        // A lost reply costs a server's memory of its transmit time; a lost request does not.
        assert!(interleaved >= if lost_from == 0 { 190 } else { 95 }, "{basic} {interleaved}");
    }
}

#[test]
fn after_four_misses_the_next_request_is_basic() {
    let (mut world, mut count) = (world(true), 0);
    world.link = Box::new(move |from, at| {
        count += usize::from(from == 0);
        if (6..10).contains(&count) { Vec::new() } else { vec![at + WAY] }
    });
    world.run_until(20 * SECOND);
    assert_exact(&world);
    let is_basic: Vec<bool> =
        world.hosts[0].sent.iter().map(|(_, request)| Header::of(request).unwrap().origin().is_unknown()).collect();
    assert_eq!(is_basic[..11], [true, false, false, false, false, false, false, false, false, true, false]);
}

#[test]
fn late_stamps_on_our_side_are_waited_for() {
    let mut world = world(true);
    world.hosts[0].stamp_delay = Some(200 * MILLISECOND);
    world.run_until(20 * SECOND + SECOND / 2);
    assert_exact(&world);
    assert_eq!(counts(&world), (2, 19));
    // Too late for the reply of basic mode, early enough for the interleaved one that comes with the next exchange.
    let mut world = self::world(true);
    world.hosts[0].stamp_delay = Some(400 * MILLISECOND);
    world.run_until(20 * SECOND + SECOND / 2);
    assert_exact(&world);
    assert_eq!(counts(&world), (0, 19));
    let late = world.hosts[0].association().counts().ignored(IgnoreReason::TransmitStampLate);
    assert_eq!(late, 2);
}

#[test]
fn stamps_that_the_next_polls_overtake_are_given_up_and_counted() {
    let quick = Poll::new(-6).unwrap();
    let options = AssociationOptions { interleaved: true, min_poll: quick, max_poll: quick, ..options() };
    let mut world = World::new(Host::asking(&options), Host::serving(false), WAY);
    world.hosts[0].stamp_delay = Some(100 * MILLISECOND);
    world.run_until(SECOND);
    assert!(world.hosts[0].measured.is_empty());
    let late = world.hosts[0].association().counts().ignored(IgnoreReason::TransmitStampLate);
    assert!((58..=64).contains(&late), "{late}");
}

#[test]
fn lost_stamps_on_either_side_cost_readings_and_no_more() {
    let mut world = world(true);
    world.hosts[1].stamp_delay = None;
    world.run_until(20 * SECOND);
    assert_exact(&world);
    assert_eq!(counts(&world).1, 0);
    let mut world = self::world(true);
    world.hosts[0].stamp_delay = None;
    world.run_until(20 * SECOND);
    assert_eq!(counts(&world), (0, 0));
    assert!(world.hosts[0].association().counts().ignored(IgnoreReason::TransmitStampLost) >= 20);
}

#[test]
fn any_network_leaves_every_reading_within_its_bound() {
    for seed in 0..30 {
        let mut world = world(true);
        let mut random = Random(seed);
        world.hosts[0].stamp_delay = Some(random.below(400 * MILLISECOND));
        world.link = Box::new(move |_, at| {
            // Lost, slow, doubled: overtaking the next request at times.
            let copies = [0, 1, 1, 1, 1, 1, 2, 3][usize::try_from(random.below(8)).unwrap()];
            let mut slow =
                || at + WAY + random.below(if random.0.is_multiple_of(5) { 3 * SECOND } else { MILLISECOND });
            (0..copies).map(|_| slow()).collect()
        });
        world.run_until(300 * SECOND);
        world.assert_bounds();
        let (basic, interleaved) = counts(&world);
        assert!(basic > 0 && interleaved > 20, "seed {seed}: {basic} {interleaved}");
        let counts = *world.hosts[0].association().counts();
        for reason in [IgnoreReason::Duplicate, IgnoreReason::Reordered, IgnoreReason::BogusOrigin] {
            assert!(counts.ignored(reason) > 0, "seed {seed}: no {reason:?}");
        }
    }
}

/// Fifty years: a server that counts from 1970 until it knows better.
const EPOCH: i64 = 50 * 365 * 86_400 * 1_000_000_000;

#[test]
fn what_a_server_stamped_before_it_was_synchronised_is_not_measured_after() {
    let mut world = world(true);
    world.hosts[1].system = SystemVariables::UNSYNCHRONISED;
    world.hosts[1].offset -= EPOCH;
    world.run_until(10 * SECOND + SECOND / 2);
    let measured = world.hosts[0].measured.len();
    assert!(measured == 11 && world.hosts[0].measured.iter().all(|measured| !measured.server.is_synchronised()));
    world.hosts[1].system = SYSTEM;
    world.hosts[1].offset += EPOCH;
    world.run_until(20 * SECOND + SECOND / 2);
    for measured in &world.hosts[0].measured[measured..] {
        assert!(measured.server.is_synchronised());
        let error = world.error(0, measured);
        assert!(error.abs() <= measured.reading.error() + measured.dispersion, "{error} {measured:?}");
    }
    // The first answer of the clock that was set is measured by itself, at once.
    assert_eq!(world.hosts[0].measured.len(), measured + 10);
}

#[test]
fn a_server_that_loses_its_time_is_not_measured_by_the_header_of_before() {
    let mut world = world(true);
    world.run_until(10 * SECOND + SECOND / 2);
    let measured = world.hosts[0].measured.len();
    world.hosts[1].system = SystemVariables::UNSYNCHRONISED;
    world.run_until(20 * SECOND + SECOND / 2);
    assert!(world.hosts[0].measured[measured..].iter().all(|measured| !measured.server.is_synchronised()));
    assert_eq!(world.hosts[0].measured.len(), measured + 9);
    assert_eq!(world.hosts[0].association().counts().ignored(IgnoreReason::Unsynchronised), 1);
}

#[test]
fn a_measurement_is_as_bad_as_the_worse_of_its_two_headers() {
    let worse = SystemVariables {
        root_delay: NtpShort::from_bits(0x0123_0000),
        root_dispersion: NtpShort::from_bits(0x0234_0000),
        precision: -9,
        ..SYSTEM
    };
    for (before, after) in [(worse, SYSTEM), (SYSTEM, worse)] {
        let mut world = world(true);
        world.hosts[1].system = before;
        world.run_until(10 * SECOND + SECOND / 2);
        world.hosts[1].system = after;
        world.run_until(11 * SECOND + SECOND / 2);
        let last = world.hosts[0].measured.last().unwrap();
        assert!(last.interleaved);
        assert_eq!(last.server, worse);
        assert!(last.dispersion > Span::from_nanos(1_900_000), "{}", last.dispersion);
        world.run_until(12 * SECOND + SECOND / 2);
        assert_eq!(world.hosts[0].measured.last().unwrap().server, after);
    }
}

#[test]
fn a_server_that_is_set_loses_the_exchange_before_that() {
    // At 1 s between polls, 1000 ppm are 1 ms.
    for (step, ignored) in [(2_000_000, 1), (-2_000_000, 1), (EPOCH, 1), (-EPOCH, 1), (900_000, 0), (-900_000, 0)] {
        let mut world = world(true);
        world.run_until(10 * SECOND + SECOND / 2);
        let measured = world.hosts[0].measured.len();
        world.hosts[1].offset += step;
        world.run_until(11 * SECOND + SECOND / 2);
        let counts = *world.hosts[0].association().counts();
        assert_eq!(counts.ignored(IgnoreReason::Stepped), ignored, "{step}");
        assert_eq!(world.hosts[0].measured.len(), measured + 1 - usize::try_from(ignored).unwrap(), "{step}");
        world.run_until(12 * SECOND + SECOND / 2);
        let last = world.hosts[0].measured.last().unwrap();
        assert!(last.interleaved && world.error(0, last).abs() <= Span::from_nanos(1), "{step}: {last:?}");
    }
}
