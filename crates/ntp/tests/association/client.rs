//! The basic mode of the client: what is measured, what is refused.

use crate::lab::{Host, LOCAL, MICROSECOND, MILLISECOND, SECOND, SYSTEM, World, context, key, ticks, utc};
use sidereal_ntp::{
    Association, AssociationOptions, HEADER_LEN, Header, IgnoreReason, LeapIndicator, MAX_MESSAGE_LEN, Mode, Poll,
    Received, Stratum, SystemVariables, Version,
};
use sidereal_time::{Arrived, NtpTimestamp, Span, StampSource};

pub(crate) fn options() -> AssociationOptions {
    let (min_poll, max_poll) = (Poll::new(0).unwrap(), Poll::new(6).unwrap());
    AssociationOptions { min_poll, max_poll, iburst: false, ..AssociationOptions::default() }
}

/// An association that has just asked, and what it asked.
struct Asked {
    association: Association,
    request: Vec<u8>,
    sequence: u32,
}

fn ask(options: &AssociationOptions, now: u64) -> Asked {
    let mut random = crate::lab::Random(now);
    let mut random = || random.next();
    let mut context = context(&SYSTEM, None, now, &mut random);
    let mut association = Association::new(options, ticks(now), &mut context);
    let mut buffer = [0xcc; MAX_MESSAGE_LEN];
    let transmit = association.poll_transmit(ticks(now), &mut context, &mut buffer).unwrap();
    assert!(transmit.fresh_port && transmit.stamp_wanted);
    Asked { association, request: buffer[..transmit.len].to_vec(), sequence: transmit.sequence }
}

impl Asked {
    /// A reply to the request, with times told in true nanoseconds.
    fn reply(&self, receive: u64, transmit: u64) -> Vec<u8> {
        let mut reply = vec![0; HEADER_LEN];
        reply[..4].copy_from_slice(&[self.request[0] & 0b0011_1000 | Mode::Server.to_bits(), 1, 0, 0xe5]);
        reply[12..16].copy_from_slice(b"PPS\0");
        reply[24..32].copy_from_slice(&self.request[40..48]);
        reply[32..40].copy_from_slice(&NtpTimestamp::from_utc(utc(receive)).to_be_bytes());
        reply[40..48].copy_from_slice(&NtpTimestamp::from_utc(utc(transmit)).to_be_bytes());
        reply
    }

    fn sent(&mut self, at: Option<u64>) {
        self.association.transmitted(self.sequence, at.map(ticks), StampSource::Kernel);
    }

    fn receive(&mut self, message: &[u8], at: u64) -> Received {
        let arrived = Arrived { ticks: ticks(at), source: StampSource::Hardware };
        self.association.receive(message, arrived, ticks(at), &mut context(&SYSTEM, None, at, &mut || 0))
    }

    /// Refused as `reason`, once, and nothing measured.
    fn assert_ignored(&mut self, message: &[u8], at: u64, reason: IgnoreReason) {
        let before = self.association.counts().ignored(reason);
        assert_eq!(self.receive(message, at), Received::Ignored(reason));
        assert_eq!(self.association.counts().ignored(reason), before + 1, "{reason:?}");
        assert_eq!(self.association.poll_measured(), None, "{reason:?}");
    }
}

fn signed(mut message: Vec<u8>, number: u32) -> Vec<u8> {
    let version = Header::of(&message).unwrap().version().unwrap();
    let len = message.len();
    message.resize(len + 68, 0);
    let len = key(number).append(version, &mut message, len).unwrap();
    message.truncate(len);
    message
}

/// Equal but for the resolution of NTP timestamps.
fn assert_near(a: Span, b: Span) {
    assert!((a - b).abs() <= Span::from_nanos(1), "{a} is not {b}");
}

#[test]
fn the_seed_case_gives_a_delay_of_20_ms_and_no_offset() {
    let mut asked = ask(&options(), 1000 * MILLISECOND);
    asked.sent(Some(1000 * MILLISECOND));
    let reply = asked.reply(1010 * MILLISECOND, 1015 * MILLISECOND);
    assert_eq!(asked.receive(&reply, 1025 * MILLISECOND), Received::Accepted);
    let measured = asked.association.poll_measured().unwrap();
    assert_eq!(asked.association.poll_measured(), None);
    assert_near(measured.reading.window(), Span::from_nanos(20_000_000));
    assert_eq!(measured.reading.ticks(), ticks(1_012_500_000));
    assert_near(measured.reading.at() - utc(1_012_500_000), Span::ZERO);
    // Both precisions, each rounded up by one unit, and 15 ppm of the 25 ms.
    let precisions = Span::from_units((Span::SECOND.units() >> 27) + (Span::SECOND.units() >> 28) + 2);
    assert_eq!(measured.dispersion, precisions + Span::from_nanos(375));
    assert_eq!(measured.stamps, StampSource::Kernel);
    assert!(!measured.interleaved && !measured.authenticated);
    assert_eq!(asked.association.reach(), 1);
    assert_eq!(asked.association.last_server(), Some(&measured.server));
}

#[test]
fn a_request_tells_nothing_of_its_sender() {
    let first = ask(&options(), SECOND).request;
    assert_eq!(first.len(), HEADER_LEN);
    assert_eq!(first[..4], [0x23, 0, 0, 0]);
    assert_eq!(first[4..40], [0; 36]);
    assert_ne!(first[40..], ask(&options(), 2 * SECOND).request[40..], "transmit timestamps are drawn at random");
}

#[test]
fn a_zero_nonce_is_never_sent() {
    let mut association = Association::new(&options(), ticks(0), &mut context(&SYSTEM, None, 0, &mut || 0));
    let mut buffer = [0; MAX_MESSAGE_LEN];
    let _ = association.poll_transmit(ticks(0), &mut context(&SYSTEM, None, 0, &mut || 0), &mut buffer).unwrap();
    assert!(!Header::of(&buffer).unwrap().transmit().is_unknown());
}

#[test]
fn what_is_no_reply_is_refused_by_its_name() {
    let now = SECOND;
    let mut asked = ask(&options(), now);
    asked.sent(Some(now));
    let good = asked.reply(now + MICROSECOND, now + 2 * MICROSECOND);
    let changed = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    let at = now + 10 * MICROSECOND;
    for (message, reason) in [
        (good[..47].to_vec(), IgnoreReason::TooShort),
        (Vec::new(), IgnoreReason::TooShort),
        ([&good[..], &[0; 7]].concat(), IgnoreReason::MacLength),
        ([&good[..], &[0; 32]].concat(), IgnoreReason::ExtensionFieldLength),
        (changed(0, &[0x1c]), IgnoreReason::WrongVersion),
        (changed(0, &[0x23]), IgnoreReason::WrongMode),
        (changed(0, &[0x25]), IgnoreReason::WrongMode),
        (changed(31, &[good[31] ^ 1]), IgnoreReason::BogusOrigin),
        (changed(24, &[0; 8]), IgnoreReason::BogusOrigin),
        (changed(32, &[0; 8]), IgnoreReason::ZeroTimestamp),
        (changed(40, &[0; 8]), IgnoreReason::ZeroTimestamp),
        (asked.reply(now + 1010, now + 1000), IgnoreReason::TransmitBeforeReceive),
        ([&changed(1, &[0])[..12], b"WHAT", &good[16..]].concat(), IgnoreReason::UnknownKiss),
    ] {
        asked.assert_ignored(&message, at, reason);
    }
    assert_eq!(asked.association.reach(), 0);
    assert_eq!(asked.receive(&good, at), Received::Accepted, "none of it kept the reply from being taken");
    let _ = asked.association.poll_measured().unwrap();
    asked.assert_ignored(&good, at, IgnoreReason::Duplicate);
    let other = asked.reply(now + MICROSECOND, now + 3 * MICROSECOND);
    asked.assert_ignored(&other, at, IgnoreReason::Duplicate);
    let denied = [&changed(1, &[0])[..12], b"DENY", &good[16..]].concat();
    asked.assert_ignored(&denied, at, IgnoreReason::Duplicate);
    assert!(!asked.association.is_denied());
}

#[test]
fn a_late_reply_is_not_taken_for_that_of_the_next_request() {
    let mut asked = ask(&options(), 0);
    asked.sent(Some(0));
    let (late, mut random) = (asked.reply(1000, 2000), crate::lab::Random(99));
    let mut next = |asked: &mut Asked, now: u64| {
        let mut buffer = [0; MAX_MESSAGE_LEN];
        let mut random = || random.next();
        let mut context = context(&SYSTEM, None, now, &mut random);
        let transmit = asked.association.poll_transmit(ticks(now), &mut context, &mut buffer).unwrap();
        (asked.request, asked.sequence) = (buffer[..transmit.len].to_vec(), transmit.sequence);
        asked.sent(Some(now));
    };
    next(&mut asked, 2 * SECOND);
    asked.assert_ignored(&late, 2 * SECOND + 1000, IgnoreReason::Reordered);
    let reply = asked.reply(2 * SECOND + 1000, 2 * SECOND + 2000);
    assert_eq!(asked.receive(&reply, 2 * SECOND + 3000), Received::Accepted);
    assert_near(asked.association.poll_measured().unwrap().reading.window(), Span::from_nanos(2000));
    next(&mut asked, 4 * SECOND);
    asked.assert_ignored(&reply, 4 * SECOND + 1000, IgnoreReason::Duplicate);
    asked.assert_ignored(&late, 4 * SECOND + 1000, IgnoreReason::BogusOrigin);
}

#[test]
fn nothing_is_taken_before_something_was_asked() {
    let reply = ask(&options(), 0).reply(1, 2);
    let association = Association::new(&options(), ticks(0), &mut context(&SYSTEM, None, 0, &mut || 0));
    let mut silent = Asked { association, request: Vec::new(), sequence: 0 };
    silent.assert_ignored(&reply, 3, IgnoreReason::Unasked);
}

#[test]
fn delays_are_never_negative_beyond_precision() {
    let mut asked = ask(&options(), SECOND);
    asked.sent(Some(SECOND));
    // There for 10 µs, away for 9.99 µs: less than both precisions. 9.9 µs are more.
    let reply = asked.reply(SECOND, SECOND + 10 * MICROSECOND);
    assert_eq!(asked.receive(&reply, SECOND + 9_990), Received::Accepted);
    assert_eq!(asked.association.poll_measured().unwrap().reading.window(), Span::ZERO);
    let mut asked = ask(&options(), SECOND);
    asked.sent(Some(SECOND));
    let reply = asked.reply(SECOND, SECOND + 10 * MICROSECOND);
    asked.assert_ignored(&reply, SECOND + 9_900, IgnoreReason::NegativeDelay);
}

#[test]
fn a_late_stamp_is_waited_for_and_a_lost_one_is_not() {
    let mut asked = ask(&options(), SECOND);
    let reply = asked.reply(SECOND + 10 * MICROSECOND, SECOND + 20 * MICROSECOND);
    assert_eq!(asked.receive(&reply, SECOND + 30 * MICROSECOND), Received::Accepted);
    assert_eq!(asked.association.poll_measured(), None);
    asked.association.transmitted(asked.sequence + 1, Some(ticks(0)), StampSource::Kernel);
    assert_eq!(asked.association.poll_measured(), None, "the stamp of another message");
    asked.sent(Some(SECOND));
    assert_near(asked.association.poll_measured().unwrap().reading.window(), Span::from_nanos(20_000));
    asked.sent(Some(SECOND));
    assert_eq!(asked.association.poll_measured(), None, "measured twice");

    for (stamp, reason) in [(true, IgnoreReason::TransmitStampLate), (false, IgnoreReason::TransmitStampLost)] {
        let mut asked = ask(&options(), SECOND);
        let reply = asked.reply(SECOND + 10 * MICROSECOND, SECOND + 20 * MICROSECOND);
        assert_eq!(asked.receive(&reply, SECOND + 30 * MICROSECOND), Received::Accepted);
        let deadline = asked.association.poll_timeout().unwrap();
        assert_eq!(deadline, ticks(SECOND + 30 * MICROSECOND + 250 * MILLISECOND));
        if stamp {
            let mut buffer = [0; MAX_MESSAGE_LEN];
            let mut random = || 1;
            let mut context = context(&SYSTEM, None, SECOND, &mut random);
            assert_eq!(asked.association.poll_transmit(deadline, &mut context, &mut buffer), None);
            asked.sent(Some(SECOND));
        } else {
            asked.sent(None);
        }
        assert_eq!(asked.association.poll_measured(), None);
        assert_eq!(asked.association.counts().ignored(reason), 1);
    }
    let mut asked = ask(&options(), SECOND);
    asked.sent(None);
    let reply = asked.reply(SECOND + 10 * MICROSECOND, SECOND + 20 * MICROSECOND);
    asked.assert_ignored(&reply, SECOND + 30 * MICROSECOND, IgnoreReason::TransmitStampLost);
    assert_eq!(asked.association.reach(), 1, "the server has answered all the same");
}

#[test]
fn delays_over_the_limits_are_not_measured() {
    let limited = AssociationOptions { max_delay: Some(Span::from_nanos(100_000)), ..options() };
    let mut world = World::new(Host::asking(&limited), Host::serving(false), 60 * MICROSECOND);
    world.run_until(SECOND / 2);
    assert_eq!(world.hosts[0].received, [Received::Ignored(IgnoreReason::DelayTooLong)]);
    world.link = Box::new(|_, at| vec![at + 40 * MICROSECOND]);
    world.run_until(3 * SECOND / 2);
    assert_eq!(world.hosts[0].received[1..], [Received::Accepted]);

    let limited = AssociationOptions { max_delay_ratio: Some(2.0), ..options() };
    let mut world = World::new(Host::asking(&limited), Host::serving(false), 20 * MICROSECOND);
    let mut count = 0;
    world.link = Box::new(move |from, at| {
        count += from;
        // Slow now and then, and slow for good from the hundredth request on.
        vec![at + if count > 100 || (from == 1 && count % 10 == 5) { 100 * MICROSECOND } else { 20 * MICROSECOND }]
    });
    world.run_until(100 * SECOND);
    let ratio = |world: &mut World| world.hosts[0].association().counts().ignored(IgnoreReason::DelayRatio);
    let refused = ratio(&mut world);
    assert!((9..=11).contains(&refused), "{refused} refused");
    world.run_until(400 * SECOND);
    let before = ratio(&mut world);
    assert!((30..=80).contains(&before), "a path that has become longer is believed at last: {before}");
    world.run_until(500 * SECOND);
    assert_eq!(ratio(&mut world), before);
}

#[test]
fn an_unsynchronised_server_is_measured_and_says_so() {
    let mut world = World::new(Host::asking(&options()), Host::serving(true), MICROSECOND);
    world.hosts[1].system = SystemVariables::UNSYNCHRONISED;
    world.run_until(SECOND / 2);
    let server = world.hosts[0].measured[0].server;
    assert_eq!((server.leap, server.stratum), (LeapIndicator::Unknown, Stratum::UNSYNCHRONISED));
}

#[test]
fn every_version_and_key_is_spoken() {
    for version in [Version::V3, Version::V4] {
        for number in 1..=6 {
            let keyed = AssociationOptions { version, key: Some(key(number)), ..options() };
            let mut world = World::new(Host::asking(&keyed), Host::serving(true), MICROSECOND);
            world.run_until(SECOND / 2);
            let host = &world.hosts[0];
            assert_eq!(Header::of(&host.sent[0].1).unwrap().version(), Some(version));
            assert!(host.measured[0].authenticated && host.measured[0].server == SYSTEM);
        }
    }
}

#[test]
fn a_reply_without_our_keys_mac_is_refused() {
    let mut asked = ask(&AssociationOptions { key: Some(key(5)), ..options() }, SECOND);
    asked.sent(Some(SECOND));
    let reply = asked.reply(SECOND + MICROSECOND, SECOND + 2 * MICROSECOND);
    let mut wrong = signed(reply.clone(), 5);
    wrong[33] ^= 1;
    let deny = signed([&[0x24, 0][..], &reply[2..12], b"DENY", &reply[16..]].concat(), 1);
    for (message, reason) in [
        (reply.clone(), IgnoreReason::MissingMac),
        ([&reply[..], &[0; 4]].concat(), IgnoreReason::CryptoNak),
        (signed(reply.clone(), 1), IgnoreReason::WrongKey),
        (wrong, IgnoreReason::WrongMac),
        (deny, IgnoreReason::WrongKey),
    ] {
        asked.assert_ignored(&message, SECOND + 3 * MICROSECOND, reason);
    }
    assert_eq!(asked.receive(&signed(reply, 5), SECOND + 3 * MICROSECOND), Received::Accepted);
    assert!(asked.association.poll_measured().unwrap().authenticated);
}

#[test]
fn readings_are_exact_on_a_symmetric_path_and_bounded_on_any() {
    let mut world = World::new(Host::asking(&options()), Host::serving(false), 35 * MICROSECOND);
    world.hosts[1].offset = -123_456_789;
    world.run_until(20 * SECOND);
    for measured in &world.hosts[0].measured {
        assert_near(measured.reading.window(), Span::from_nanos(70_000));
        assert_near(world.error(0, measured), Span::ZERO);
    }
    let mut random = crate::lab::Random(3);
    world.link = Box::new(move |_, at| vec![at + 10 * MICROSECOND + random.below(MILLISECOND)]);
    world.hosts[1].latency = 50 * MICROSECOND;
    world.run_until(200 * SECOND);
    assert!(world.hosts[0].measured.len() > 190, "{}", world.hosts[0].measured.len());
    world.assert_bounds();
}

#[test]
fn counters_with_long_ticks_measure_as_well() {
    // 250 ns, as a counter of 4 MHz has.
    let coarse = sidereal_time::LocalClock { rate: sidereal_time::Rate::from_hertz(4e6), precision: -21, ..LOCAL };
    let mut random = || 5;
    let mut context =
        sidereal_ntp::Context { clock: &coarse, system: &SYSTEM, time: None, pivot: utc(0), random: &mut random };
    let mut association = Association::new(&options(), ticks(0), &mut context);
    let mut buffer = [0; MAX_MESSAGE_LEN];
    let transmit = association.poll_transmit(ticks(0), &mut context, &mut buffer).unwrap();
    let asked = Asked { association, request: buffer.to_vec(), sequence: transmit.sequence };
    let (reply, Asked { mut association, sequence, .. }) = (asked.reply(500, 1000), asked);
    association.transmitted(sequence, Some(ticks(0)), StampSource::Kernel);
    let arrived = Arrived { ticks: ticks(7), source: StampSource::Kernel };
    assert_eq!(association.receive(&reply, arrived, ticks(7), &mut context), Received::Accepted);
    let reading = association.poll_measured().unwrap().reading;
    // 1750 ns here, 500 ns there. The middle is at 875 ns, half a tick from the next one.
    assert_near(reading.window(), Span::from_nanos(1250));
    let tick = if reading.ticks() == ticks(4) { 125 } else { -125 };
    assert_near(reading.at() - utc(750), Span::from_nanos(tick));
}
