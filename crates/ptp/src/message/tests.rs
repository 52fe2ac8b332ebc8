use proptest::prelude::*;
use sidereal_time::{PtpTimestamp, Span};

use super::*;
use crate::identity::PortIdentity;
use crate::tlv::{TlvType, TlvWriter};

/// How long the body of each type is.
const fn body_len(message_type: MessageType) -> usize {
    match message_type {
        MessageType::Sync | MessageType::DelayReq | MessageType::FollowUp | MessageType::Signaling => 10,
        MessageType::PdelayReq | MessageType::PdelayResp | MessageType::PdelayRespFollowUp | MessageType::DelayResp => {
            20
        }
        MessageType::Announce => 30,
        MessageType::Management => 14,
    }
}

/// Bytes of a message of `message_type` that is whole, whatever its fields are.
fn whole(message_type: MessageType, mut bytes: Vec<u8>, tlvs: &[(u16, Vec<u8>)]) -> Vec<u8> {
    bytes.truncate(HEADER_LEN + body_len(message_type));
    bytes[0] = bytes[0] & 0xf0 | message_type.bits();
    bytes[1] = bytes[1] & 0xf0 | 2;
    if message_type == MessageType::Management {
        bytes[46] %= 5;
    }
    for (kind, value) in tlvs {
        let padded = value.len().next_multiple_of(2);
        bytes.extend(kind.to_be_bytes());
        bytes.extend(u16::try_from(padded).unwrap().to_be_bytes());
        bytes.extend(value);
        bytes.extend(&[0; 1][..padded - value.len()]);
    }
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

prop_compose! {
    fn any_whole()(
        index in 0..MessageType::ALL.len(),
        bytes in proptest::collection::vec(any::<u8>(), 64),
        tlvs in proptest::collection::vec((0_u16..12, proptest::collection::vec(any::<u8>(), 0..40)), 0..4),
    ) -> Vec<u8> {
        whole(MessageType::ALL[index], bytes, &tlvs)
    }
}

/// Zeros where the standard has reserved bytes.
fn without_reserved(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match MessageType::from_bits(bytes[0]) {
        Some(MessageType::PdelayReq) => bytes[44..54].fill(0),
        Some(MessageType::Announce) => bytes[46] = 0,
        Some(MessageType::Management) => {
            bytes[46] &= 0x0f;
            bytes[47] = 0;
        }
        _ => {}
    }
    bytes
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn a_message_survives_a_round_trip(bytes in any_whole(), room in 0_usize..300) {
        let message = Message::parse(&bytes).unwrap();
        let mut buffer = [0xaa; 300];
        match message.write(&mut buffer[..room]) {
            Ok(length) => prop_assert_eq!(without_reserved(&bytes), &buffer[..length]),
            Err(TooLong) => prop_assert!(room < bytes.len()),
        }
        prop_assert!(buffer[room..].iter().all(|byte| *byte == 0xaa));
    }

    #[test]
    fn a_message_cut_short_is_none(bytes in any_whole(), cut in 0_usize..1000) {
        let shorter = &bytes[..cut % bytes.len()];
        prop_assert_eq!(Message::parse(shorter), Err(ParseError::Truncated));
    }

    #[test]
    fn padding_after_a_message_is_nobodys(bytes in any_whole(), padding: Vec<u8>) {
        let padded = [bytes.clone(), padding].concat();
        prop_assert_eq!(Message::parse(&padded), Message::parse(&bytes));
    }

    #[test]
    fn a_length_that_is_too_short_is_refused(bytes in any_whole(), length in 0_u16..64) {
        let message_type = Message::parse(&bytes).unwrap().message_type();
        let mut bytes = bytes;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        if usize::from(length) < HEADER_LEN + body_len(message_type) {
            prop_assert_eq!(Message::parse(&bytes), Err(ParseError::TooShort(message_type)));
        }
    }

    #[test]
    fn corrections_saturate(a: i64, b: i64) {
        let sum = Correction(a).saturating_add(Correction(b));
        match (Correction(a).span(), Correction(b).span(), sum.span()) {
            (Some(a), Some(b), Some(sum)) => prop_assert_eq!(a + b, sum),
            (Some(a), Some(b), None) => prop_assert!((a + b).units() >= i128::from(i64::MAX) || (a + b).units() < i128::from(i64::MIN)),
            (_, _, sum) => prop_assert_eq!(sum, None),
        }
    }

    #[test]
    fn an_accuracy_covers_the_bound_and_the_next_better_one_does_not(units in 0_i128..1_000_000_000_000_000) {
        let bound = Span::from_units(units);
        let accuracy = ClockAccuracy::covering(bound);
        prop_assert!(accuracy.bound().is_none_or(|claimed| bound <= claimed));
        prop_assert!(ClockAccuracy(accuracy.0 - 1).bound().is_none_or(|claimed| claimed < bound));
    }
}

#[test]
fn the_accuracies_are_those_of_the_table() {
    let nanos = |nanos| Some(Span::from_nanos(nanos));
    for (accuracy, bound) in [
        (0x16, None),
        (0x17, Some(Span::from_units(66))),
        (0x18, Some(Span::from_units(164))),
        (0x1d, nanos(1)),
        (0x20, nanos(25)),
        (0x21, nanos(100)),
        (0x22, nanos(250)),
        (0x23, nanos(1000)),
        (0x24, nanos(2500)),
        (0x29, nanos(1_000_000)),
        (0x2f, nanos(1_000_000_000)),
        (0x30, nanos(10_000_000_000)),
        (0x31, None),
        (0x80, None),
        (0xfe, None),
        (0xff, None),
    ] {
        assert_eq!(ClockAccuracy(accuracy).bound(), bound, "{accuracy:#x}");
    }
    assert_eq!(ClockAccuracy::covering(Span::from_nanos(25)), ClockAccuracy::WITHIN_25_NS);
    assert_eq!(ClockAccuracy::covering(Span::from_nanos(26)), ClockAccuracy::WITHIN_100_NS);
    assert_eq!(ClockAccuracy::covering(Span::from_secs(11)), ClockAccuracy::BEYOND_10_S);
}

#[test]
fn what_is_no_message_is_named() {
    let sync = whole(MessageType::Sync, vec![0; 64], &[]);
    let changed = |at: usize, byte: u8| {
        let mut bytes = sync.clone();
        bytes[at] = byte;
        Message::parse(&bytes).map(|message| message.message_type()).map_err(ParseError::name)
    };
    assert_eq!(changed(0, 0x10), Ok(MessageType::Sync));
    assert_eq!(changed(0, 0x04), Err("unknown_message_type"));
    assert_eq!(changed(0, 0x0b), Err("too_short"));
    assert_eq!(changed(1, 0x01), Err("wrong_version"));
    assert_eq!(changed(3, 45), Err("truncated"));
    let mut management = whole(MessageType::Management, vec![0; 64], &[]);
    management[46] = 5;
    assert_eq!(Message::parse(&management).map_err(ParseError::name), Err("unknown_management_action"));
    let mut broken = whole(MessageType::Sync, vec![0; 64], &[(8, vec![0; 8])]);
    broken[47] = 10;
    assert_eq!(Message::parse(&broken).map_err(ParseError::name), Err("tlv_past_end"));
    broken[47] = 7;
    assert_eq!(Message::parse(&broken).map_err(ParseError::name), Err("tlv_odd_length"));
}

#[test]
fn fields_lie_where_the_standard_puts_them() {
    let mut tlv = [0; 4];
    let mut tlvs = TlvWriter::new(&mut tlv);
    tlvs.put(TlvType::PAD, |_| Ok(())).unwrap();
    let message = Message {
        header: Header {
            sdo_id: SdoId::new(0x123).unwrap(),
            minor_version: 1,
            domain: 24,
            flags: Flags::TWO_STEP.with(Flags::PTP_TIMESCALE, true),
            correction: Correction(0x0102_0304_0506_0708),
            message_type_specific: [9, 10, 11, 12],
            source: PortIdentity::from_be_bytes([1, 2, 3, 4, 5, 6, 7, 8, 0, 1]),
            sequence_id: 0x0d0e,
            control: MessageType::Sync.control(),
            log_interval: -3,
        },
        body: Body::Sync(PtpTimestamp::new(0x0102_0304_0506, 7).unwrap().into()),
        tlvs: tlvs.finish(),
    };
    let mut buffer = [0; 48];
    assert_eq!(message.write(&mut buffer), Ok(48));
    let expected = [
        0x10, 0x12, 0, 48, 24, 0x23, 0x02, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1,
        0x0d, 0x0e, 0, 0xfd, 1, 2, 3, 4, 5, 6, 0, 0, 0, 7, 0x80, 0x08, 0, 0,
    ];
    assert_eq!(buffer, expected);
    assert_eq!(Message::parse(&buffer), Ok(message));
}

#[test]
fn a_correction_that_is_too_big_stays_so() {
    let big = Correction(i64::MAX - 1);
    assert_eq!(big.saturating_add(Correction(1)), Correction::TOO_BIG);
    assert_eq!(Correction::TOO_BIG.saturating_add(Correction(-5)), Correction::TOO_BIG);
    assert_eq!(Correction(i64::MIN).saturating_add(Correction(-1)), Correction::TOO_BIG);
    assert_eq!(Correction::from_span(Span::from_nanos(3)), Correction(3 << 16));
}

#[test]
fn a_timestamp_that_is_none_is_kept_and_refused() {
    let wire = Timestamp([0xff; 10]);
    assert!(PtpTimestamp::try_from(wire).is_err());
    let timestamp = PtpTimestamp::new(1_700_000_000, 999_999_999).unwrap();
    assert_eq!(PtpTimestamp::try_from(Timestamp::from(timestamp)), Ok(timestamp));
}
