//! When an association asks: polls, bursts, kiss codes, advice, reachability.

use crate::client::options;
use crate::lab::{Host, MICROSECOND, SECOND, World, key};
use core::num::NonZeroU32;
use sidereal_ntp::{
    AccessAction, AccessRule, AccessTable, AssociationOptions, HEADER_LEN, IgnoreReason, KissCode, Poll, PollAdvice,
    RateLimit, RateLimitOptions, Received,
};

fn poll(exponent: i8) -> Poll {
    Poll::new(exponent).unwrap()
}

fn world(options: &AssociationOptions) -> World {
    World::new(Host::asking(options), Host::serving(false), 10 * MICROSECOND)
}

/// The times between the requests, in seconds.
fn intervals(world: &World) -> Vec<f64> {
    let sent = &world.hosts[0].sent;
    sent.windows(2).map(|pair| (pair[1].0 - pair[0].0) as f64 / 1e9).collect()
}

/// Within the spread of 2^-6.
fn is_about(interval: f64, expected: f64) -> bool {
    (interval / expected - 1.0).abs() <= 1.0 / 64.0 + 1e-9
}

#[test]
fn polls_come_at_their_interval_and_spread_a_little() {
    for exponent in [-6, -1, 0, 3, 6] {
        let mut world = world(&AssociationOptions { min_poll: poll(exponent), ..options() });
        let interval = poll(exponent).as_span();
        world.run_until(100 * u64::try_from(interval.as_nanos_rounded()).unwrap());
        let intervals = intervals(&world);
        assert!((96..=104).contains(&intervals.len()), "{}", intervals.len());
        assert!(intervals.iter().all(|seconds| is_about(*seconds, interval.as_secs_f64())), "{intervals:?}");
        assert!(intervals.windows(2).any(|pair| pair[0] != pair[1]), "clients stay in step");
        assert_eq!(world.hosts[0].association().poll(), poll(exponent));
    }
}

#[test]
fn a_minimum_above_the_maximum_is_the_maximum() {
    let wrong = AssociationOptions { min_poll: poll(9), max_poll: poll(3), ..options() };
    assert_eq!(world(&wrong).hosts[0].association().poll(), poll(3));
}

#[test]
fn bursts_are_eight_requests_two_seconds_apart() {
    let six = AssociationOptions { min_poll: poll(6), iburst: true, ..options() };
    let mut one = world(&six);
    one.run_until(250 * SECOND);
    let expected: Vec<f64> = [2.0; 7].into_iter().chain([64.0; 3]).collect();
    assert!(intervals(&one).iter().zip(&expected).all(|(a, b)| is_about(*a, *b)), "{:?}", intervals(&one));
    assert_eq!(intervals(&one).len(), expected.len());

    let mut many = world(&AssociationOptions { burst: true, ..six });
    many.run_until(250 * SECOND);
    let expected = [[2.0; 7].as_slice(), &[64.0]].concat().repeat(3);
    assert!(intervals(&many).iter().zip(&expected).all(|(a, b)| is_about(*a, *b)), "{:?}", intervals(&many));
    assert!(intervals(&many).len() > 20);

    let mut quick = world(&AssociationOptions { iburst: true, burst: true, ..options() });
    quick.run_until(20 * SECOND);
    assert!(intervals(&quick).iter().all(|interval| is_about(*interval, 1.0)), "a burst that is slower than the poll");
}

#[test]
fn a_source_that_is_lost_is_asked_more_rarely_and_quickly_when_it_is_back() {
    let mut world = world(&AssociationOptions { iburst: true, ..options() });
    world.run_until(20 * SECOND);
    assert_eq!(world.hosts[0].association().reach(), 0xff);
    world.link = Box::new(|_, _| Vec::new());
    world.run_until(24 * SECOND);
    assert_eq!(world.hosts[0].association().reach() & 0b1111, 0);
    world.run_until(400 * SECOND);
    assert_eq!((world.hosts[0].association().reach(), world.hosts[0].association().poll()), (0, poll(6)));
    world.link = Box::new(|_, at| vec![at + 10 * MICROSECOND]);
    let before = world.hosts[0].measured.len();
    world.run_until(470 * SECOND);
    assert_eq!(world.hosts[0].association().poll(), poll(0));
    assert!(world.hosts[0].measured.len() >= before + 8);
}

#[test]
fn advice_moves_the_poll_when_enough_of_it_agrees() {
    let mut world = world(&options());
    let association = world.hosts[0].association();
    let mut advise = |advice: PollAdvice, times: u8| {
        (0..times).for_each(|_| association.advise(advice));
        association.poll().exponent()
    };
    assert_eq!(advise(PollAdvice::Longer, 5), 0);
    assert_eq!(advise(PollAdvice::Keep, 1), 0);
    assert_eq!(advise(PollAdvice::Longer, 1), 0, "five, less one, and one");
    assert_eq!(advise(PollAdvice::Longer, 1), 1);
    assert_eq!(advise(PollAdvice::Longer, 5), 1);
    assert_eq!(advise(PollAdvice::Shorter, 1), 1, "one in the other direction outweighs the five");
    assert_eq!(advise(PollAdvice::Longer, 5), 1);
    assert_eq!(advise(PollAdvice::Longer, 100), 6, "not above the maximum");
    assert_eq!(advise(PollAdvice::Shorter, 1), 6);
    assert_eq!(advise(PollAdvice::Shorter, 1), 5);
    assert_eq!(advise(PollAdvice::Shorter, 100), 0, "not below the minimum");
}

#[test]
fn a_clock_that_jumps_is_asked_often_again() {
    let mut world = world(&options());
    (0..100).for_each(|_| world.hosts[0].association().advise(PollAdvice::Longer));
    world.run_until(200 * SECOND);
    assert_eq!(world.hosts[0].association().poll(), poll(6));
    // 500 ppm of 64 s are 32 ms.
    world.hosts[1].offset += 20_000_000;
    world.run_until(300 * SECOND);
    assert_eq!(world.hosts[0].association().poll(), poll(6));
    world.hosts[1].offset += 50_000_000;
    let before = world.hosts[0].sent.len();
    world.run_until(370 * SECOND);
    assert_eq!(world.hosts[0].association().poll(), poll(0));
    world.run_until(390 * SECOND);
    assert!(world.hosts[0].sent.len() > before + 15, "the next request does not wait for the old poll");
}

fn rate_limited() -> RateLimit {
    let options =
        RateLimitOptions { requests_per_second: 1, burst: 1, ipv4_prefix: 32, ipv6_prefix: 128, kiss_of_death: true };
    RateLimit::new(&options, 1_000_000_000).unwrap()
}

#[test]
fn a_rate_kiss_lengthens_the_poll_for_a_while() {
    for keyed in [None, Some(key(5))] {
        let mut world = world(&AssociationOptions { min_poll: poll(-2), key: keyed, ..options() });
        world.hosts[1].policy.rate_limit = Some(rate_limited());
        world.run_until(60 * SECOND);
        let kisses = world.hosts[0].received.iter().filter(|got| **got == Received::Kiss(KissCode::Rate)).count();
        let association = world.hosts[0].association();
        assert_eq!(association.counts().kisses, u64::try_from(kisses).unwrap());
        assert!(kisses >= 2, "{kisses}");
        assert!(association.poll() >= poll(0), "{:?}", association.poll());
        assert!(!association.is_denied());
        let settled = association.poll();
        (0..100).for_each(|_| world.hosts[0].association().advise(PollAdvice::Shorter));
        assert_eq!(world.hosts[0].association().poll(), settled, "advice undid what the server had asked for");
        world.hosts[1].policy.rate_limit = None;
        world.run_until(200 * SECOND);
        (0..100).for_each(|_| world.hosts[0].association().advise(PollAdvice::Shorter));
        assert_eq!(world.hosts[0].association().poll(), poll(-2), "forgotten at last");
    }
}

#[test]
fn a_rate_kiss_ends_a_burst_and_may_exceed_the_maximum() {
    let mut world = world(&AssociationOptions { max_poll: poll(0), iburst: true, ..options() });
    world.hosts[1].policy.rate_limit = Some(rate_limited());
    world.run_until(30 * SECOND);
    assert_eq!(world.hosts[0].association().poll(), poll(1));
}

#[test]
fn denied_means_silence() {
    for (action, code) in [(AccessAction::Deny, KissCode::Deny), (AccessAction::Restrict, KissCode::Restrict)] {
        let mut world = world(&options());
        let rule = AccessRule { action, require_key: false };
        world.hosts[1].policy.access = AccessTable::new([("10.0.0.0/8".parse().unwrap(), rule)]);
        world.run_until(30 * SECOND);
        assert_eq!((world.hosts[0].sent.len(), &world.hosts[0].received[..]), (1, &[Received::Kiss(code)][..]));
        let association = world.hosts[0].association();
        assert!(association.is_denied() && association.poll_timeout().is_none());
        let reply = world.hosts[1].sent[0].1.clone();
        assert_eq!(world.deliver(0, &reply), Some(Received::Ignored(IgnoreReason::Denied)));
    }
}

#[test]
fn a_forged_kiss_is_ignored() {
    for code in KissCode::ALL {
        let mut world = world(&options());
        world.link = Box::new(|_, _| Vec::new());
        world.run_until(SECOND / 2);
        let mut kiss = vec![0; HEADER_LEN];
        kiss[0] = 0xe4;
        kiss[12..16].copy_from_slice(&code.reference_id().0);
        for nonce in [0, NonZeroU32::MAX.get()] {
            kiss[24..28].copy_from_slice(&nonce.to_be_bytes());
            assert_eq!(world.deliver(0, &kiss), Some(Received::Ignored(IgnoreReason::BogusOrigin)));
        }
        assert!(!world.hosts[0].association().is_denied());
        assert_eq!(world.hosts[0].association().poll(), poll(0));
    }
}
