//! Whoever does not know our nonces or our key measures nothing for us, whatever he sends and when.

use crate::lab::{Random, SYSTEM, context, key, ticks};
use proptest::prelude::*;
use sidereal_ntp::{
    Association, AssociationOptions, Broadcaster, BroadcasterOptions, MAX_MESSAGE_LEN, Poll, PollAdvice, Received,
    Role, Version,
};
use sidereal_time::{Arrived, LocalClock, NtpClock, StampSource};

/// A call of an association.
#[derive(Debug, Clone)]
enum Call {
    Wait(u64),
    Transmit {
        room: usize,
    },
    Transmitted {
        back: u32,
        left: Option<u64>,
    },
    /// Any bytes.
    Receive(Vec<u8>),
    /// What was sent, as another mode, with one byte changed, its three timestamps in any order.
    Reflect {
        mode: u8,
        at: usize,
        bits: u8,
        order: [usize; 3],
        stratum: u8,
    },
    Advise(PollAdvice),
}

fn call() -> impl Strategy<Value = Call> {
    let bytes = prop_oneof![Just(48usize), Just(68), 0..200usize];
    prop_oneof![
        any::<u64>().prop_map(|ns| Call::Wait(ns % 100_000_000_000)),
        Just(Call::Transmit { room: MAX_MESSAGE_LEN }),
        (0..120usize).prop_map(|room| Call::Transmit { room }),
        (0..4u32, any::<Option<u64>>()).prop_map(|(back, left)| Call::Transmitted { back, left }),
        bytes.prop_flat_map(|len| prop::collection::vec(any::<u8>(), len)).prop_map(Call::Receive),
        (1..6u8, 0..48usize, any::<u8>(), prop::array::uniform3(0..4usize), 0..3u8)
            .prop_map(|(mode, at, bits, order, stratum)| Call::Reflect { mode, at, bits, order, stratum }),
        prop_oneof![Just(PollAdvice::Shorter), Just(PollAdvice::Keep), Just(PollAdvice::Longer)].prop_map(Call::Advise),
    ]
}

fn options() -> impl Strategy<Value = AssociationOptions> {
    let roles = prop_oneof![
        Just(Role::Client),
        Just(Role::SymmetricActive),
        Just(Role::SymmetricPassive),
        Just(Role::BroadcastClient)
    ];
    let polls = || (-6..=17i8).prop_map(|exponent| Poll::new(exponent).unwrap());
    (roles, 1..=4u8, 0..=6u32, any::<[bool; 3]>(), polls(), polls(), any::<[Option<u32>; 2]>()).prop_map(
        |(role, version, number, [interleaved, iburst, burst], min_poll, max_poll, [delay, ratio])| {
            AssociationOptions {
                role,
                version: Version::new(version).unwrap(),
                key: (number > 0).then(|| key(number)),
                interleaved,
                over_ptp: None,
                min_poll,
                max_poll,
                iburst,
                burst,
                max_delay: delay.map(|delay| sidereal_time::Span::from_nanos(delay.into())),
                max_delay_ratio: ratio.map(f64::from),
            }
        },
    )
}

struct Bench {
    association: Association,
    random: Random,
    now: u64,
    sent: Vec<u8>,
    sequence: u32,
}

impl Bench {
    fn new(options: &AssociationOptions) -> Self {
        let association = Association::new(options, ticks(0), &mut context(&SYSTEM, None, 0, &mut || 0));
        Self { association, random: Random(1), now: 0, sent: vec![0; 48], sequence: 0 }
    }

    fn receive(&mut self, message: &[u8]) -> Received {
        let arrived = Arrived { ticks: ticks(self.now), source: StampSource::Software };
        let mut random = || self.random.next();
        self.association.receive(message, arrived, ticks(self.now), &mut context(&SYSTEM, None, self.now, &mut random))
    }

    fn call(&mut self, call: &Call) {
        match call {
            Call::Wait(ns) => self.now += ns,
            Call::Transmit { room } => {
                let mut buffer = vec![0; *room];
                let mut random = || self.random.next();
                let mut context = context(&SYSTEM, None, self.now, &mut random);
                if let Some(transmit) = self.association.poll_transmit(ticks(self.now), &mut context, &mut buffer) {
                    self.sent = buffer[..transmit.len].to_vec();
                    self.sequence = transmit.sequence;
                }
                let overdue = |at| super::lab::LOCAL.passed(at, ticks(self.now)) > sidereal_time::Span::ZERO;
                assert!(!self.association.poll_timeout().is_some_and(overdue), "a timer that stays in the past");
            }
            Call::Transmitted { back, left } => {
                let sequence = self.sequence.wrapping_sub(*back);
                self.association.transmitted(sequence, left.map(sidereal_time::Ticks), StampSource::Software);
            }
            Call::Receive(message) => {
                let _ = self.receive(message);
            }
            Call::Reflect { mode, at, bits, order, stratum } => {
                let mut message = self.sent.clone();
                message[0] = message[0] & 0b0011_1000 | mode;
                message[1] = *stratum;
                for (slot, from) in order.iter().enumerate() {
                    let from = from.min(&2) * 8 + 24;
                    let value: [u8; 8] = self.sent[from..from + 8].try_into().unwrap();
                    message[24 + slot * 8..32 + slot * 8].copy_from_slice(&value);
                }
                message[*at] ^= bits;
                let _ = self.receive(&message);
            }
            Call::Advise(advice) => self.association.advise(*advice),
        }
    }
}

proptest! {
    #[test]
    fn any_calls_in_any_order_are_survived(options in options(), calls in prop::collection::vec(call(), 0..60)) {
        let mut bench = Bench::new(&options);
        for call in &calls {
            bench.call(call);
            if let Some(measured) = bench.association.poll_measured() {
                prop_assert!(!measured.reading.window().is_negative() && !measured.dispersion.is_negative());
            }
            let counts = bench.association.counts();
            let ignored = counts.by_name().map(|(_, count)| count).sum::<u64>() - counts.sent - counts.received
                - counts.accepted - counts.measured - counts.measured_interleaved - counts.kisses;
            prop_assert!(counts.accepted + counts.kisses <= counts.received);
            prop_assert!(counts.received <= counts.accepted + counts.kisses + ignored);
            prop_assert!(counts.measured <= counts.accepted);
        }
    }

    #[test]
    fn without_our_nonce_nothing_is_measured(
        options in options(),
        calls in prop::collection::vec(call(), 0..40),
        origins in prop::collection::vec(any::<u64>(), 1..10),
    ) {
        // Broadcasts have no nonce: there the volley is what cannot be forged, and without it nothing is measured.
        let mut bench = Bench::new(&options);
        for (call, origin) in calls.iter().zip(origins.iter().cycle()) {
            match call {
                Call::Receive(message) if message.len() >= 48 => {
                    let mut message = message.clone();
                    message[24..32].copy_from_slice(&origin.to_be_bytes());
                    let _ = bench.receive(&message);
                }
                Call::Receive(_) | Call::Reflect { .. } => {}
                call => bench.call(call),
            }
            prop_assert_eq!(bench.association.poll_measured(), None);
            prop_assert!(!bench.association.is_denied());
            prop_assert_eq!(bench.association.counts().kisses, 0);
        }
    }

    #[test]
    fn without_our_key_nothing_is_measured(
        options in options(),
        number in 1..=6u32,
        calls in prop::collection::vec(call(), 0..60),
    ) {
        // Whoever sees what we send can reflect its nonces, and its MAC under its own header only.
        let mut bench = Bench::new(&AssociationOptions { key: Some(key(number)), ..options });
        for call in &calls {
            match call {
                Call::Reflect { at: 0..24, bits: 0, .. } => {}
                call => bench.call(call),
            }
            prop_assert_eq!(bench.association.poll_measured(), None);
            prop_assert!(!bench.association.is_denied());
        }
    }

    #[test]
    fn a_broadcaster_survives_any_calls(
        version in 1..=4u8,
        number in 0..=6u32,
        interleaved: bool,
        exponent in -6..=17i8,
        calls in prop::collection::vec((any::<u64>(), 0..120usize, any::<Option<u64>>(), 0..3u32), 0..40),
    ) {
        let options = BroadcasterOptions {
            version: Version::new(version).unwrap(),
            key: (number > 0).then(|| key(number)),
            interleaved,
            poll: Poll::new(exponent).unwrap(),
        };
        let local: LocalClock = super::lab::LOCAL;
        let time = NtpClock::new(&local.unknown(ticks(0)), 0, None);
        let (mut broadcaster, mut now) = (Broadcaster::new(&options, ticks(0)), 0_u64);
        for (wait, room, left, back) in calls {
            now += wait % 100_000_000_000;
            let mut random = || 0;
            let mut context = context(&SYSTEM, Some(&time), now, &mut random);
            let mut buffer = vec![0; room];
            if let Some(transmit) = broadcaster.poll_transmit(ticks(now), &mut context, &mut buffer) {
                prop_assert!(transmit.len <= room);
                let sequence = transmit.sequence.wrapping_sub(back);
                broadcaster.transmitted(sequence, left.map(sidereal_time::Ticks), StampSource::Software);
            }
        }
    }
}
