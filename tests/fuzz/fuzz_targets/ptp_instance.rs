//! A PTP Instance and whatever reaches it: any messages, calls in any order, stamps that come late, twice or never, a host
//! that loses its time and finds it again.
//!
//! The input is eight bytes of options and then calls, each one byte that says which, one of detail, and what it needs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_ptp::{
    Address, ArbitraryTimescale, ClockIdentity, Context, DelayMechanism, Destination, Instance, InstanceOptions,
    LeapState, MAX_FOREIGN_MASTERS, MAX_LOG_INTERVAL, MAX_MESSAGE_LEN, MIN_LOG_INTERVAL, MeasuredReading, Message,
    MessageType, PortState, Profile, Roles, TimeBasis, TimeSource, clock_state,
};
use sidereal_time::{Arrived, ClockModel, Counter, Instant, LocalClock, Rate, Span, StampSource, Ticks};

const OURS: ClockIdentity = ClockIdentity([2, 0, 0, 0xff, 0xfe, 0, 0, 1]);
const PROFILES: [Profile; 3] = [Profile::Default, Profile::G8275_1, Profile::G8275_2];
const TIMESCALES: [ArbitraryTimescale; 3] =
    [ArbitraryTimescale::Refuse, ArbitraryTimescale::Utc, ArbitraryTimescale::Tai];
const CLOCK: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -25 };
/// What one call can have to say: answers and Follow_Ups that wait, and one of each kind of its own.
const MAX_MESSAGES: usize = 64;

fuzz_target!(|input: &[u8]| {
    let Some((&[choice, profile, announce, sync, delay, timeout, quality, sub], mut input)) = input.split_first_chunk()
    else {
        return;
    };
    let log = |byte: u8| byte.cast_signed().clamp(MIN_LOG_INTERVAL - 1, MAX_LOG_INTERVAL + 1);
    let mut options = InstanceOptions::of(PROFILES[usize::from(profile % 3)]);
    options.identity = OURS;
    options.slave_only = choice & 1 != 0;
    options.path_trace = choice & 2 != 0;
    options.arbitrary_timescale = TIMESCALES[usize::from(profile / 3 % 3)];
    let port = &mut options.port;
    port.protocol_address = (choice & 4 != 0).then_some(Address::Link([1; 6]));
    port.delay_mechanism = if choice & 8 != 0 { DelayMechanism::P2p } else { DelayMechanism::E2e };
    port.master_only = choice & 16 != 0;
    port.hybrid = choice & 32 != 0;
    port.one_step = choice & 64 != 0;
    port.log_announce_interval = log(announce);
    port.log_sync_interval = log(sync);
    port.log_min_delay_req_interval = log(delay);
    port.log_min_pdelay_req_interval = log(delay);
    port.announce_receipt_timeout = timeout;
    port.delay_asymmetry = Span::from_units(i128::from(sub.cast_signed()) << 12);

    let leap = LeapState { tai_offset_s: Some(37), step: 0 };
    let truth = |basis: &TimeBasis| {
        let bound = Some(Span::from_nanos(1 << (quality & 31)));
        clock_state(
            basis,
            bound,
            None,
            &leap,
            options.profile,
            Roles::new(options.slave_only, options.port.master_only),
        )
    };
    let (mut now, mut drawn) = (u64::MAX - (1 << 40), 1_u64);
    let model = ClockModel { reference: Instant::from_secs(1_800_000_000), ..CLOCK.unknown(Ticks(now)) };
    let (locked, lost) = (truth(&TimeBasis::PrimaryReference(TimeSource::GNSS)), truth(&TimeBasis::None));
    let mut random = || {
        drawn = drawn.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        drawn
    };
    let mut context =
        Context { clock: &CLOCK, time: Some(&model), state: &locked, selected: false, random: &mut random };
    let mut instance = Instance::new(&options, Ticks(now), &mut context);
    let mut buffer = [0; MAX_MESSAGE_LEN];
    let (mut last, mut last_sequence) = (Vec::new(), 0);

    while let Some((&[call, detail], rest)) = input.split_first_chunk() {
        input = rest;
        let arrived = (detail & 0x80 == 0).then_some(Arrived { ticks: Ticks(now), source: StampSource::Kernel });
        match call & 7 {
            0 => now = now.wrapping_add(u64::from(detail) << 26),
            1 => {
                let due = instance.poll_timeout().filter(|_| detail & 1 != 0);
                now = due.filter(|due| CLOCK.passed(Ticks(now), *due) > Span::ZERO).map_or(now, |due| due.0);
                let mut messages = 0;
                loop {
                    let transmit = instance.poll_transmit(Ticks(now), &mut context, &mut buffer);
                    let Some(transmit) = transmit else { break };
                    messages += 1;
                    assert!(messages <= MAX_MESSAGES, "talks without end");
                    let bytes = buffer.get(..transmit.len).expect("a message is as long as its buffer at most");
                    let message = Message::parse(bytes).expect("what is sent is well-formed");
                    assert_eq!(message.message_type().class(), transmit.class);
                    assert!(options.port.hybrid || !matches!(transmit.to, Destination::Unicast(_)));
                    let leads = matches!(
                        message.message_type(),
                        MessageType::Sync | MessageType::FollowUp | MessageType::Announce
                    );
                    assert!(!leads || instance.port_state() == PortState::Master, "leads unasked");
                    (last, last_sequence) = (bytes.to_vec(), transmit.sequence);
                }
                let next = instance.poll_timeout();
                assert!(next.is_none_or(|next| !CLOCK.passed(Ticks(now), next).is_negative()), "overdue at once");
            }
            2 => {
                let sequence = last_sequence.wrapping_sub(u32::from(detail & 7));
                instance.transmitted(sequence, arrived, Ticks(now), &mut context);
            }
            3 => match detail & 7 {
                0 => (context.time, context.state) = (None, &lost),
                1 => (context.time, context.state) = (Some(&model), &locked),
                2 | 3 => context.selected = detail & 1 != 0,
                4 => instance.counter_reset(Ticks(now), &mut context),
                5 => instance.observed(Span::from_nanos(i128::from(detail))),
                _ => instance.faulty(detail & 1 != 0, Ticks(now), &mut context),
            },
            how => {
                let (bytes, rest) = input.split_at(input.len().min(usize::from(detail & 0x7f)));
                input = rest;
                let mut message = bytes.to_vec();
                if how & 1 != 0 {
                    dress(&mut message, &last, &options);
                }
                let from = (call & 8 != 0).then_some(Address::Link([call >> 4; 6]));
                let _ = instance.receive(&message, from, arrived, Ticks(now), &mut context);
            }
        }
        if let Some(measured) = instance.poll_measured() {
            assert!(instance.port_state().follows(), "measures nobody");
            let window = match measured.reading {
                MeasuredReading::Tai(reading) => reading.window(),
                MeasuredReading::Utc(reading) => reading.window(),
            };
            assert!(!window.is_negative() && !measured.dispersion.is_negative());
        }
        assert!(instance.foreign_masters().len() <= MAX_FOREIGN_MASTERS);
        assert!(instance.responder().is_none() || instance.port_state() == PortState::Master);
        assert!(context.state.can_lead || instance.port_state() != PortState::Slave || !options.port.master_only);
        let _ = (instance.current_ds(), instance.parent_ds(), instance.time_properties_ds(), instance.port_ds());
        assert_eq!(instance.default_ds().clock_identity, OURS);
    }
});

/// Makes of arbitrary bytes a message of this domain and version, from one of a few masters, that answers what was sent last.
fn dress(message: &mut [u8], last: &[u8], options: &InstanceOptions) {
    let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let Some((header, body)) = message.split_first_chunk_mut::<34>() else { return };
    header[0] &= 0x0f;
    header[1] = header[1] & 0xf0 | 2;
    header[2..4].copy_from_slice(&len.to_be_bytes());
    (header[4], header[5]) = (options.domain, 0);
    // Corrections of less than an hour, and one of a few identities.
    header[8..11].fill(0);
    header[20] &= 1;
    header[21..29].fill(3);
    header[29] = 1;
    if let Some(sequence_id) = last.get(30..32).filter(|_| header[33] & 1 != 0) {
        header[30..32].copy_from_slice(sequence_id);
    }
    if let Some(requesting) = body.get_mut(10..20).filter(|_| matches!(header[0], 3 | 9 | 10)) {
        requesting.copy_from_slice(last.get(20..30).unwrap_or(&[0; 10]));
    }
}
