//! Peers: active with active, active with passive, and with our server (RFC 5905 §8, RFC 9769 §3).

use crate::lab::{Host, MICROSECOND, MILLISECOND, Random, SECOND, SYSTEM, World, key};
use sidereal_ntp::{
    AssociationOptions, Header, IgnoreReason, KissCode, LeapIndicator, Mode, Poll, Received, ReferenceId, Role,
    Stratum, SystemVariables,
};
use sidereal_time::{NtpShort, NtpTimestamp, Span};

const WAY: u64 = 30 * MICROSECOND;
const LATENCY: u64 = 40 * MICROSECOND;

fn peer(role: Role, interleaved: bool) -> Host {
    let (min_poll, max_poll) = (Poll::new(0).unwrap(), Poll::new(3).unwrap());
    let key = Some(key(5));
    let options = AssociationOptions {
        role,
        key,
        interleaved,
        min_poll,
        max_poll,
        iburst: false,
        ..AssociationOptions::default()
    };
    Host { latency: LATENCY, ..Host::asking(&options) }
}

/// Two peers, the second 3 ms ahead.
fn world(other: Role, interleaved: [bool; 2]) -> World {
    let (a, b) = (peer(Role::SymmetricActive, interleaved[0]), peer(other, interleaved[1]));
    World::new(a, Host { offset: 3_000_000, ..b }, WAY)
}

/// Lets the second peer begin later: those who begin together would cross each other's messages.
fn take_turns(world: &mut World) {
    let late = world.hosts[1].association.take();
    world.run_until(SECOND / 3);
    world.hosts[1].association = late;
}

fn counts(world: &World, host: usize) -> (u64, u64) {
    let counts = world.hosts[host].association.as_ref().unwrap().counts();
    (counts.measured - counts.measured_interleaved, counts.measured_interleaved)
}

#[test]
fn active_and_passive_measure_each_other() {
    let mut world = world(Role::SymmetricPassive, [false; 2]);
    world.run_until(60 * SECOND);
    for host in 0..2 {
        let (basic, interleaved) = counts(&world, host);
        assert!(basic >= 55 && interleaved == 0, "host {host}: {basic} {interleaved}");
        assert_eq!(world.hosts[host].association().reach(), 0xff);
        for measured in &world.hosts[host].measured {
            // The sender's latency lies between the transmit timestamp that it tells and its leaving.
            let window = Span::from_nanos(i128::from(2 * WAY + LATENCY));
            assert!((measured.reading.window() - window).abs() <= Span::from_nanos(20), "{measured:?}");
            assert!(measured.authenticated);
        }
    }
    world.assert_bounds();
    let modes = |host: usize| world.hosts[host].sent.iter().map(|(_, sent)| Header::of(sent).unwrap().mode());
    assert!(modes(0).all(|mode| mode == Mode::SymmetricActive));
    assert!(modes(1).all(|mode| mode == Mode::SymmetricPassive));
    assert_eq!(world.hosts[1].sent.len(), world.hosts[0].sent.len(), "one answer to each message");
}

#[test]
fn interleaved_peers_measure_true_transmit_times() {
    let mut world = world(Role::SymmetricPassive, [true, false]);
    world.run_until(60 * SECOND);
    for host in 0..2 {
        let (_, interleaved) = counts(&world, host);
        assert!(interleaved >= 50, "host {host}: {:?}", counts(&world, host));
        for measured in world.hosts[host].measured.iter().filter(|measured| measured.interleaved) {
            // 20 ns: the noise below each clock's precision.
            assert!(world.error(host, measured).abs() <= Span::from_nanos(20), "{measured:?}");
            let window = measured.reading.window() - Span::from_nanos(i128::from(2 * WAY));
            assert!(window.abs() <= Span::from_nanos(20), "{measured:?}");
        }
    }
    world.assert_bounds();
}

#[test]
fn two_active_peers_measure_each_other() {
    for interleaved in [false, true] {
        let mut world = world(Role::SymmetricActive, [interleaved; 2]);
        take_turns(&mut world);
        world.run_until(120 * SECOND);
        world.assert_bounds();
        for host in 0..2 {
            let (basic, measured_interleaved) = counts(&world, host);
            assert!(basic + measured_interleaved >= 80, "host {host}: {basic} {measured_interleaved}");
            assert_eq!(measured_interleaved > 20, interleaved, "host {host}: {basic} {measured_interleaved}");
        }
    }
}

#[test]
fn peers_without_the_time_say_so_and_are_measured_all_the_same() {
    let mut world = world(Role::SymmetricPassive, [false; 2]);
    world.hosts[1].has_time = false;
    world.run_until(20 * SECOND);
    let measured = world.hosts[0].measured.last().unwrap();
    assert_eq!((measured.server.leap, measured.server.stratum), (LeapIndicator::Unknown, Stratum::UNSYNCHRONISED));
    assert!(measured.reading.window() < Span::from_nanos(200_000));
    let measured = world.hosts[1].measured.last().unwrap();
    assert_eq!(measured.server.reference_id, ReferenceId(*b"PPS\0"));
}

#[test]
fn our_server_answers_an_active_peer() {
    let mut world = World::new(peer(Role::SymmetricActive, true), Host::serving(true), WAY);
    world.hosts[1].offset = 7_000_000;
    let link: crate::lab::Link = Box::new(|_, at| vec![at + WAY]);
    world.link = link;
    world.serves_peers = true;
    world.run_until(30 * SECOND);
    assert!(counts(&world, 0).0 >= 28, "{:?}", counts(&world, 0));
    world.assert_bounds();
}

#[test]
fn what_a_peer_must_not_say_is_refused_by_its_name() {
    let mut world = world(Role::SymmetricPassive, [false; 2]);
    world.run_until(5 * SECOND + SECOND / 2);
    let (_, last) = world.hosts[1].sent.last().unwrap().clone();
    let changed = |at: usize, bytes: &[u8]| {
        let mut bad = last[..48].to_vec();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        let mut signed = [&bad[..], &[0; 20]].concat();
        let version = Header::of(&bad).unwrap().version().unwrap();
        let _ = key(5).append(version, &mut signed, 48).unwrap();
        signed
    };
    let later = |seconds: u64| {
        let transmit = Header::of(&last).unwrap().transmit().to_bits();
        NtpTimestamp::from_bits(transmit.wrapping_add(seconds << 32)).to_be_bytes()
    };
    let measured = world.hosts[0].measured.len();
    for (message, reason) in [
        (last[..40].to_vec(), IgnoreReason::TooShort),
        (last[..48].to_vec(), IgnoreReason::MissingMac),
        (last[..56].to_vec(), IgnoreReason::MacLength),
        (last[..52].to_vec(), IgnoreReason::WrongMac),
        ([&last[..48], &[0; 4]].concat(), IgnoreReason::CryptoNak),
        (last.clone(), IgnoreReason::Duplicate),
        (changed(0, &[0x1a]), IgnoreReason::WrongVersion),
        (changed(0, &[0x24]), IgnoreReason::WrongMode),
        (changed(40, &[0; 8]), IgnoreReason::ZeroTimestamp),
        (changed(32, &[0; 8]), IgnoreReason::ZeroTimestamp),
        (
            changed(1, &[b"\0\xe7\xe7\0\0\0\0\0\0\0\0DENY", &last[16..40], &later(1)].concat()),
            IgnoreReason::BogusOrigin,
        ),
        (world.hosts[1].sent[2].1.clone(), IgnoreReason::Replayed),
        (changed(40, &later(u64::from(u32::MAX))), IgnoreReason::Replayed),
        (changed(24, &[[1; 8], [2; 8], later(1)].concat()), IgnoreReason::BogusOrigin),
        (changed(24, &[[0; 8], [0; 8], later(2)].concat()), IgnoreReason::ZeroOrigin),
        (changed(40, &later(3)), IgnoreReason::Duplicate),
    ] {
        assert_eq!(world.deliver(0, &message), Some(Received::Ignored(reason)));
    }
    let (_, reflected) = world.hosts[0].sent.last().unwrap().clone();
    assert_eq!(world.deliver(0, &reflected), Some(Received::Ignored(IgnoreReason::Reflected)));
    assert_eq!(world.hosts[0].measured.len(), measured);
    assert!(!world.hosts[0].association().is_denied());
    let passive = changed(0, &[0x22]);
    assert_eq!(world.deliver(1, &passive), Some(Received::Ignored(IgnoreReason::WrongMode)));
}

#[test]
fn a_peers_kiss_is_heeded_with_our_nonce() {
    let mut world = world(Role::SymmetricPassive, [false; 2]);
    world.link = Box::new(|_, _| Vec::new());
    world.run_until(SECOND / 2);
    let request = world.hosts[0].sent[0].1.clone();
    let mut kiss =
        [&[0xe2, 0, 0, 0xe5, 0, 0, 0, 0, 0, 0, 0, 0][..], b"RSTR", &[0; 8], &request[40..48], &[7; 36]].concat();
    let _ = key(5).append(Header::of(&kiss).unwrap().version().unwrap(), &mut kiss, 48).unwrap();
    assert_eq!(world.deliver(0, &kiss), Some(Received::Kiss(KissCode::Restrict)));
    assert!(world.hosts[0].association().is_denied());
}

#[test]
fn a_peer_whose_clock_is_set_back_is_heard_again() {
    let mut world = world(Role::SymmetricPassive, [false; 2]);
    world.run_until(10 * SECOND);
    world.hosts[1].offset -= 1_000_000_000_000;
    let before = world.hosts[0].measured.len();
    world.run_until(60 * SECOND);
    assert!(world.hosts[0].measured.len() > before + 30);
    assert!(world.error(0, world.hosts[0].measured.last().unwrap()).abs() < Span::from_nanos(100_000));
}

#[test]
fn any_network_leaves_every_reading_of_peers_within_its_bound() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let other = if seed % 2 == 0 { Role::SymmetricActive } else { Role::SymmetricPassive };
        let mut world = world(other, [seed % 4 < 2, seed % 8 < 4]);
        world.random = Random(seed << 8);
        for host in &mut world.hosts {
            host.stamp_delay = Some(random.below(300 * MILLISECOND));
        }
        world.link = Box::new(move |_, at| {
            let copies = [0, 1, 1, 1, 1, 1, 1, 2][usize::try_from(random.below(8)).unwrap()];
            let mut slow =
                || at + WAY + random.below(if random.0.is_multiple_of(7) { 2 * SECOND } else { MILLISECOND });
            (0..copies).map(|_| slow()).collect()
        });
        world.run_until(300 * SECOND);
        world.assert_bounds();
        for host in 0..2 {
            let (basic, interleaved) = counts(&world, host);
            assert!(basic + interleaved > 10, "seed {seed}, host {host}: {basic} {interleaved}");
        }
    }
}

#[test]
fn interleaved_peers_are_judged_by_both_messages() {
    for other in [Role::SymmetricPassive, Role::SymmetricActive] {
        let mut world = world(other, [true, true]);
        take_turns(&mut world);
        world.run_until(40 * SECOND + SECOND / 2);
        assert!(world.hosts[0].measured.last().unwrap().interleaved);
        let ignored = |world: &World, reason| world.hosts[0].association.as_ref().unwrap().counts().ignored(reason);
        // It counts from another time until it knows better, and says so.
        world.hosts[1].system = SystemVariables::UNSYNCHRONISED;
        world.hosts[1].offset -= 1_000_000_000_000_000;
        world.run_until(60 * SECOND);
        let measured = world.hosts[0].measured.len();
        world.hosts[1].system = SYSTEM;
        world.hosts[1].offset += 1_000_000_000_000_000;
        world.run_until(100 * SECOND);
        assert!(ignored(&world, IgnoreReason::Unsynchronised) > 0, "{other:?}");
        let exact = |world: &World, from: usize| {
            let host = &world.hosts[0];
            assert!(host.measured.len() > from + 3, "{other:?}: {}", host.measured.len() - from);
            for measured in host.measured[from..].iter().filter(|measured| measured.server.is_synchronised()) {
                assert!(world.error(0, measured).abs() <= Span::from_nanos(20_020), "{other:?}: {measured:?}");
            }
        };
        exact(&world, measured);
        assert!(world.hosts[0].measured.last().unwrap().interleaved);
        // It is set, and says nothing; what is left out is said by the clock of before.
        for step in [40_000_000_000, -40_000_000_000] {
            let (measured, stepped) = (world.hosts[0].measured.len(), ignored(&world, IgnoreReason::Stepped));
            world.hosts[1].offset += step;
            world.run_until(world.now + 150 * SECOND);
            assert!(ignored(&world, IgnoreReason::Stepped) > stepped, "{other:?} {step}");
            exact(&world, measured);
        }
        let worse = SystemVariables { root_dispersion: NtpShort::from_bits(0x0234_0000), ..SYSTEM };
        world.hosts[1].system = worse;
        world.run_until(world.now + 60 * SECOND);
        world.hosts[1].system = SYSTEM;
        let measured = world.hosts[0].measured.len();
        world.run_until(world.now + 60 * SECOND);
        let first = &world.hosts[0].measured[measured];
        assert!(first.interleaved && first.server.root_dispersion == worse.root_dispersion, "{other:?}: {first:?}");
    }
}
