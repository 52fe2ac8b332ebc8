//! An association and whatever reaches it: any messages, calls in any order, stamps that come late, twice or never.
//!
//! The input is four bytes of options and then calls, each one byte that says which, one of detail, and what it needs.
//! Whoever does not know the nonce that we have just drawn, and the key where there is one, must measure nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_ntp::{
    Association, AssociationOptions, Context, Header, KeyId, KeyTable, MAX_MESSAGE_LEN, Poll, PollAdvice, Role,
    SystemVariables, Version,
};
use sidereal_time::{Arrived, Counter, Instant, LocalClock, NtpClock, Rate, Span, StampSource, Ticks};

const KEYS: &str = "1 MD5 one\n2 SHA512 two\n3 AES128 ASCII:0123456789abcdef\n";
const ROLES: [Role; 4] = [Role::Client, Role::SymmetricActive, Role::SymmetricPassive, Role::BroadcastClient];
const ADVICE: [PollAdvice; 3] = [PollAdvice::Shorter, PollAdvice::Keep, PollAdvice::Longer];
const CLOCK: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -25 };

fuzz_target!(|input: &[u8]| {
    let Some((&[choice, version, polls, limits], mut input)) = input.split_first_chunk() else { return };
    let keys = KeyTable::parse(KEYS).unwrap_or_default();
    let key = KeyId::new(u32::from(version >> 2 & 3)).and_then(|id| keys.get(id));
    let poll = |nibble: u8| Poll::new((nibble & 15).cast_signed() - 6).unwrap_or(Poll::MIN);
    let options = AssociationOptions {
        role: ROLES[usize::from(choice & 3)],
        version: Version::new(1 + (version & 3)).unwrap_or(Version::V4),
        key: key.cloned(),
        interleaved: choice & 4 != 0,
        over_ptp: None,
        min_poll: poll(polls),
        max_poll: poll(polls >> 4),
        iburst: choice & 8 != 0,
        burst: choice & 16 != 0,
        max_delay: (limits & 1 != 0).then_some(Span::SECOND),
        max_delay_ratio: (limits & 2 != 0).then(|| f64::from(limits >> 2)),
    };
    let system = SystemVariables::UNSYNCHRONISED;
    let (mut now, mut drawn) = (u64::MAX - (1 << 40), 1_u64);
    let time = NtpClock::new(&CLOCK.unknown(Ticks(now)), 0, None);
    let mut buffer = [0; MAX_MESSAGE_LEN];
    let (mut sent, mut sequence) = (vec![0; 48], 0);
    let mut random = || {
        drawn = drawn.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        drawn
    };
    let mut context = Context {
        clock: &CLOCK,
        system: &system,
        time: (choice & 32 != 0).then_some(&time),
        pivot: Instant::from_secs(2_085_978_000),
        random: &mut random,
    };
    let mut association = Association::new(&options, Ticks(now), &mut context);

    while let Some((&[call, detail], rest)) = input.split_first_chunk() {
        input = rest;
        let mut knows_nonce = true;
        match call & 7 {
            0 => now = now.wrapping_add(u64::from(detail) << 28),
            1 => {
                let due = association.poll_timeout().filter(|_| detail & 1 != 0);
                now = due.filter(|due| CLOCK.passed(Ticks(now), *due) > Span::ZERO).map_or(now, |due| due.0);
                if let Some(transmit) = association.poll_transmit(Ticks(now), &mut context, &mut buffer) {
                    (sent, sequence) = (buffer[..transmit.len].to_vec(), transmit.sequence);
                }
                let next = association.poll_timeout();
                assert!(next.is_none_or(|next| !CLOCK.passed(Ticks(now), next).is_negative()), "overdue at once");
            }
            2 => {
                let left = (detail & 1 != 0).then(|| Ticks(now.wrapping_sub(u64::from(detail))));
                association.transmitted(sequence.wrapping_sub(u32::from(detail >> 6)), left, StampSource::Kernel);
            }
            3 => association.advise(ADVICE[usize::from(detail % 3)]),
            how => {
                let (bytes, rest) = input.split_at(input.len().min(usize::from(detail)));
                input = rest;
                let mut message = bytes.to_vec();
                knows_nonce = how & 1 != 0;
                if let (Some(header), Some(origin)) = (Header::of(&sent), message.get_mut(24..32)) {
                    let nonce = if how & 2 != 0 { header.transmit() } else { header.receive() };
                    // Without it: what was never drawn, since its lowest bits are those of no timestamp of ours.
                    let told = if knows_nonce { nonce.to_bits() } else { !nonce.to_bits() };
                    origin.copy_from_slice(&told.to_be_bytes());
                }
                if let Some((version, key)) = Header::of(&message).and_then(Header::version).zip(key)
                    && call & 8 != 0
                {
                    let len = message.len();
                    message.resize(len + MAX_MESSAGE_LEN, 0);
                    let signed = key.append(version, &mut message, len).unwrap_or(len);
                    message.truncate(signed);
                } else if key.is_some() {
                    knows_nonce = false;
                }
                let arrived = Arrived { ticks: Ticks(now), source: StampSource::Kernel };
                let _ = association.receive(&message, arrived, Ticks(now), &mut context);
            }
        }
        let measured = association.poll_measured();
        assert!(knows_nonce || options.role == Role::BroadcastClient || measured.is_none(), "forged: {measured:?}");
        if let Some(measured) = measured {
            assert!(!measured.reading.window().is_negative() && !measured.dispersion.is_negative());
            assert!(measured.authenticated == key.is_some());
        }
        let counts = association.counts();
        assert!(counts.accepted + counts.kisses <= counts.received && counts.measured <= counts.accepted);
    }
});
