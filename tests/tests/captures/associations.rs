//! Our associations in the place of one chronyd: they are given the random numbers that it drew, so that the captured
//! messages of the other one answer them. Both ran on one host, so that every true offset is zero.

use crate::{KEYS, Message, messages};
use core::net::IpAddr;
use sidereal_ntp::{
    Answer, Arrival, Association, AssociationCounts, AssociationOptions, Broadcaster, BroadcasterOptions, Context,
    IgnoreReason, KeyId, KeyTable, MAX_MESSAGE_LEN, Measured, Mode, Moment, Policy, Poll, Received, ReplyHeader, Role,
    Server, ServerLimits, Stratum, SystemVariables,
};
use sidereal_time::{
    Arrived, ClockModel, Counter, Instant, LocalClock, NtpClock, NtpTimestamp, Rate, Span, StampSource, Tai, Ticks, Utc,
};
use std::collections::VecDeque;

/// How far the captures' times are from those of the kernel's stamps: tcpdump's are whole microseconds, and taken some
/// microseconds before or after.
const RESOLUTION: Span = Span::from_nanos(20_000);

/// A counter of UTC in nanoseconds. Its precision is that of a clock that shows whole seconds: below them, peers are told
/// what was drawn at random, which is what the other chronyd wrote.
const LOCAL: LocalClock = LocalClock { counter: Counter::Realtime, width: 64, rate: Rate::NANOSECOND, precision: 0 };

fn utc(ns: u64) -> Instant<Utc> {
    Instant::from_nanos(i128::from(ns))
}

/// An association and what it measured.
struct Replay {
    association: Association,
    numbers: VecDeque<u64>,
    received: Vec<Received>,
    measured: Vec<Measured>,
}

impl Replay {
    fn new(role: Role, interleaved: bool, key: Option<u32>) -> Self {
        let keys = KeyTable::parse(KEYS).unwrap();
        let key = key.map(|number| keys.get(KeyId::new(number).unwrap()).unwrap().clone());
        // So short a poll that a request is due whenever one was captured.
        let (min_poll, max_poll) = (Poll::MIN, Poll::MIN);
        let options =
            AssociationOptions { role, key, interleaved, min_poll, max_poll, iburst: false, ..Default::default() };
        let system = SystemVariables::UNSYNCHRONISED;
        let association = Association::new(
            &options,
            Ticks(0),
            &mut Context { clock: &LOCAL, system: &system, time: None, pivot: utc(0), random: &mut || 0 },
        );
        Self { association, numbers: VecDeque::new(), received: Vec::new(), measured: Vec::new() }
    }

    fn with<T>(&mut self, now: u64, act: impl FnOnce(&mut Association, &mut Context<'_>) -> T) -> T {
        let reference = Instant::<Tai>::from_nanos(i128::from(now));
        let time = NtpClock::new(&ClockModel { reference, ..LOCAL.unknown(Ticks(now)) }, 0, None);
        let system = SystemVariables { stratum: Stratum::PRIMARY, ..SystemVariables::UNSYNCHRONISED };
        let numbers = &mut self.numbers;
        let mut random = || numbers.pop_front().unwrap_or(0);
        let mut context =
            Context { clock: &LOCAL, system: &system, time: Some(&time), pivot: utc(now), random: &mut random };
        let result = act(&mut self.association, &mut context);
        self.numbers.clear();
        result
    }

    /// Sends what is due, with these random numbers, and returns it.
    fn send(&mut self, now: u64, numbers: &[NtpTimestamp]) -> Option<Vec<u8>> {
        self.numbers = numbers.iter().map(|number| number.to_bits()).collect();
        let mut buffer = [0; MAX_MESSAGE_LEN];
        let transmit =
            self.with(now, |association, context| association.poll_transmit(Ticks(now), context, &mut buffer))?;
        self.association.transmitted(transmit.sequence, Some(Ticks(now)), StampSource::Kernel);
        self.measured.extend(self.association.poll_measured());
        Some(buffer[..transmit.len].to_vec())
    }

    fn receive(&mut self, now: u64, message: &[u8]) -> Received {
        let arrived = Arrived { ticks: Ticks(now), source: StampSource::Kernel };
        let received =
            self.with(now, |association, context| association.receive(message, arrived, Ticks(now), context));
        self.received.push(received);
        self.measured.extend(self.association.poll_measured());
        received
    }

    fn counts(&self) -> &AssociationCounts {
        self.association.counts()
    }

    /// Every reading contains the truth, and none took longer than `longest`.
    fn assert_true(&self, place: &str, longest: Span) {
        for measured in &self.measured {
            let reading = &measured.reading;
            let error = reading.at() - utc(reading.ticks().0);
            assert!(error.abs() <= reading.error() + RESOLUTION, "{place}: {error} off: {measured:?}");
            assert!(reading.window() <= longest, "{place}: {measured:?}");
            assert_eq!(measured.server.stratum, Stratum::PRIMARY, "{place}");
        }
    }
}

/// What is the same in both, whatever the implementation: leap indicator aside, version, mode, and the three timestamps.
fn assert_same_request(ours: &[u8], captured: &[u8], place: &str) {
    assert_eq!(ours[0], captured[0], "{place}: version and mode");
    assert_eq!(ours[24..48], captured[24..48], "{place}: timestamps");
    assert_eq!(ours.len(), captured.len(), "{place}: MAC");
}

fn replay_client(capture: &str, interleaved: bool, key: Option<u32>) -> Replay {
    let mut replay = Replay::new(Role::Client, interleaved, key);
    for (number, message) in messages(capture).iter().enumerate() {
        let (place, header, now) = (format!("{capture}, message {number}"), message.header(), message.time_ns);
        if message.is_request() {
            let sent = replay.send(now, &[header.transmit(), header.receive()]);
            assert_same_request(&sent.expect(&place), &message.bytes, &place);
        } else {
            assert_eq!(replay.receive(now, &message.bytes), Received::Accepted, "{place}");
            let again = replay.receive(now, &message.bytes);
            assert_eq!(again, Received::Ignored(IgnoreReason::Duplicate), "{place}");
        }
    }
    replay
}

#[test]
fn captured_servers_are_measured_in_basic_mode() {
    for (capture, key) in
        [("ntp4-basic.pcap", None), ("ntp6-basic.pcap", None), ("ntp4-key1.pcap", Some(1)), ("ntp4-key4.pcap", Some(4))]
    {
        let replay = replay_client(capture, false, key);
        let exchanges = messages(capture).len() / 2;
        assert_eq!(replay.measured.len(), exchanges, "{capture}");
        assert!(replay.measured.iter().all(|measured| measured.authenticated == key.is_some()), "{capture}");
        replay.assert_true(capture, Span::from_nanos(1_000_000));
    }
}

#[test]
fn a_captured_server_is_measured_in_interleaved_mode() {
    const CAPTURE: &str = "ntp4-interleaved.pcap";
    let replay = replay_client(CAPTURE, true, None);
    let exchanges = u64::try_from(messages(CAPTURE).len() / 2).unwrap();
    // The first two replies are basic; each of the others tells when the one before it left.
    assert_eq!((replay.counts().measured, replay.counts().measured_interleaved), (exchanges, exchanges - 2));
    replay.assert_true(CAPTURE, Span::from_nanos(1_000_000));
    let mean = |interleaved: bool| {
        let windows: Vec<f64> = replay
            .measured
            .iter()
            .filter(|measured| measured.interleaved == interleaved)
            .map(|measured| measured.reading.window().as_secs_f64())
            .collect();
        windows.iter().sum::<f64>() / windows.len() as f64
    };
    assert!(mean(true) < mean(false), "true transmit timestamps leave less of the server's own delay in the reading");
}

#[test]
fn a_captured_reply_of_another_key_is_refused() {
    let messages = messages("ntp4-key4.pcap");
    let mut replay = Replay::new(Role::Client, false, Some(1));
    let _ = replay.send(messages[0].time_ns, &[messages[0].header().transmit()]).unwrap();
    let received = replay.receive(messages[1].time_ns, &messages[1].bytes);
    assert_eq!(received, Received::Ignored(IgnoreReason::WrongKey));
}

/// Both sides of a captured pair of peers, each in its turn: what the one sent is told by the capture.
#[test]
fn captured_peers_are_measured_from_both_sides() {
    const CAPTURE: &str = "ntp4-symmetric.pcap";
    let messages = messages(CAPTURE);
    for (role, ours) in
        [(Role::SymmetricActive, Mode::SymmetricActive), (Role::SymmetricPassive, Mode::SymmetricPassive)]
    {
        let mut replay = Replay::new(role, false, Some(4));
        for (number, message) in messages.iter().enumerate() {
            let (place, header, now) = (format!("{role:?}, message {number}"), message.header(), message.time_ns);
            if header.mode() == ours {
                let first = header.receive().is_unknown();
                let numbers = [header.receive(), header.transmit()];
                let sent = replay.send(now, if first { &numbers[1..] } else { &numbers }).expect(&place);
                assert_eq!(sent[24..48], message.bytes[24..48], "{place}: timestamps");
                assert_eq!((sent[0] & 0b111, sent.len()), (ours.to_bits(), message.bytes.len()), "{place}");
            } else {
                let expected = match number {
                    0 => Received::Ignored(IgnoreReason::ZeroOrigin),
                    _ => Received::Accepted,
                };
                assert_eq!(replay.receive(now, &message.bytes), expected, "{place}");
            }
        }
        let asked = messages.len() / 2;
        let expected = if role == Role::SymmetricActive { asked } else { asked - 1 };
        assert_eq!(replay.measured.len(), expected, "{role:?}");
        assert!(replay.measured.iter().all(|measured| measured.authenticated));
    }
}

/// The captured broadcasts, after a volley with our own server, which shows the clock of both.
#[test]
fn captured_broadcasts_are_measured_after_a_volley() {
    const DELAY_NS: u64 = 40_000;
    let captured = messages("ntp4-broadcast.pcap");
    let begin = captured[0].time_ns - 30_000_000_000;
    let mut replay = Replay::new(Role::BroadcastClient, false, None);
    let limits = ServerLimits { interleaved_clients: 1, rate_limit_prefixes: 1, secret: [1, 2] };
    let (mut server, policy) = (Server::new(&limits), Policy::default());
    let first = broadcast_at(begin);
    assert_eq!(replay.receive(begin, &first), Received::Ignored(IgnoreReason::Uncalibrated));
    let mut now = begin;
    while let Some(due) = replay.association.poll_timeout().map(|at| at.0).filter(|at| *at < captured[0].time_ns) {
        now = due.max(now);
        let Some(mut request) = replay.send(now, &[NtpTimestamp::from_bits(now)]) else { continue };
        let time = NtpTimestamp::from_utc(utc(now + DELAY_NS / 2));
        let arrival = Arrival { client: IpAddr::from([10, 77, 0, 2]), receive: time, ticks: Ticks(now) };
        let header = ReplyHeader::new(&captured[0].header().system());
        let len = request.len();
        let answer = server.answer(&mut request, len, &arrival, &Moment { header, transmit: time }, &policy);
        assert!(matches!(answer, Answer::Reply { .. }), "{answer:?}");
        assert_eq!(replay.receive(now + DELAY_NS, &request), Received::Accepted);
    }
    assert_eq!(replay.measured.len(), 8);
    for Message { time_ns, bytes, .. } in &captured {
        assert_eq!(replay.receive(*time_ns, bytes), Received::Accepted);
        assert_eq!(replay.receive(*time_ns, bytes), Received::Ignored(IgnoreReason::Duplicate));
    }
    assert_eq!(replay.measured.len(), 8 + captured.len());
    // A broadcast of chrony takes longer to leave than the volley's delay.
    for measured in &replay.measured {
        let error = measured.reading.at() - utc(measured.reading.ticks().0);
        assert!(error.abs() < Span::from_nanos(200_000), "{error} off: {measured:?}");
    }
}

/// A broadcast of ours that leaves at `now`.
fn broadcast_at(now: u64) -> Vec<u8> {
    let reference = Instant::<Tai>::from_nanos(i128::from(now));
    let time = NtpClock::new(&ClockModel { reference, ..LOCAL.unknown(Ticks(now)) }, 0, None);
    let system = SystemVariables { stratum: Stratum::PRIMARY, ..SystemVariables::UNSYNCHRONISED };
    let mut context = Context { clock: &LOCAL, system: &system, time: Some(&time), pivot: utc(now), random: &mut || 0 };
    let mut buffer = [0; MAX_MESSAGE_LEN];
    let mut broadcaster = Broadcaster::new(&BroadcasterOptions::default(), Ticks(now));
    let transmit = broadcaster.poll_transmit(Ticks(now), &mut context, &mut buffer).unwrap();
    buffer[..transmit.len].to_vec()
}
