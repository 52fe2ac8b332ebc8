use proptest::prelude::*;

use super::*;
use crate::identity::ClockIdentity;
use crate::message::{Body, Message, SdoId};

const CARRIER: NtpCarrier =
    NtpCarrier { domain: NTP_DOMAIN, source: PortIdentity { clock: ClockIdentity([7; 8]), number: 1 } };

/// The message that carries `ntp`.
fn wrapped(ntp: &[u8]) -> Vec<u8> {
    let mut buffer = [0xcc; MAX_MESSAGE_LEN];
    let len = CARRIER.wrap(9, ntp, &mut buffer).unwrap();
    assert!(buffer[len..].iter().all(|byte| *byte == 0xcc), "wrote behind the message");
    buffer[..len].to_vec()
}

/// The same, as another program may send it.
fn sent(version: u8, kind: MessageType, tlv: TlvType, ntp: &[u8], pad: usize) -> Vec<u8> {
    let mut message = wrapped(ntp);
    (message[0], message[1]) = (kind.bits(), version);
    message[TLV_AT..TLV_AT + 2].copy_from_slice(&tlv.0.to_be_bytes());
    if pad >= TLV_HEADER_LEN {
        message.extend(TlvType::PAD.0.to_be_bytes());
        message.extend(stated(pad - TLV_HEADER_LEN));
        message.resize(message.len() + pad - TLV_HEADER_LEN, 0);
    }
    let len = stated(message.len());
    message[2..4].copy_from_slice(&len);
    message
}

#[test]
fn a_message_is_as_the_standard_has_it() {
    let message = wrapped(&[0x23; 48]);
    assert_eq!(message.len(), 104);
    assert_eq!(message[..8], [0x01, 0x02, 0, 104, 123, 0, 0x04, 0x00]);
    assert_eq!(message[44..56], [0x00, 0x03, 0, 56, 0x00, 0x00, 0x5e, 0x00, 0x00, 0x01, 0, 0]);
    assert_eq!(message[56..], [0x23; 48]);
    // It is a whole message of PTP.
    let parsed = Message::parse(&message).unwrap();
    assert!(matches!(parsed.body, Body::DelayReq { .. }), "{parsed:?}");
    assert_eq!((parsed.header.domain, parsed.header.sdo_id), (NTP_DOMAIN, SdoId::DEFAULT));
    assert_eq!((parsed.header.sequence_id, parsed.header.source), (9, CARRIER.source));
    assert_eq!(parsed.header.flags, Flags::UNICAST);
}

/// A client's request and a server's answer as chrony sends them that has the final form (its master of June 2026), captured.
const CHRONY: [&str; 2] = [
    "010200847b0004000000000000000000000000000000000000000000000000010000000000000000000000000003005400005e000001000023000020\
     000000000000000000000000000000000000000000000000000000000000000000000000d1ed9b5791ed682c010a001c0000000000000000000000\
     00000000000000000000000000",
    "010200847b0004000000000000000000000000000000000000000000000000000000000000000000000000000003005400005e00000100002403fee3\
     00000000000000007f7f0101eeae948a4aa675630baf9683eb3520f7eeae948c0be0264beeae948c0be4b67e010a001c0000000000000000000000\
     00000000000000000000000000",
];

#[test]
fn what_chrony_sends_is_understood() {
    for (hex, first) in CHRONY.into_iter().zip([0x23, 0x24]) {
        let digits: Vec<char> = hex.chars().collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
        let message: Vec<u8> = digits.chunks(2).map(byte).collect();
        assert!(NtpCarrier::carries(&message));
        let carried = CARRIER.unwrap(&message).unwrap();
        assert_eq!((carried.ntp.clone(), carried.len), (56..132, 132));
        assert_eq!((message[56], carried.correction), (first, Correction::ZERO));
        // What we send differs in who sends it, in the number, and in saying that no interval is told.
        let mut ours = wrapped(&message[carried.ntp]);
        for (at, len) in [(20, 10), (30, 2), (33, 1), (32, 1)] {
            ours[at..at + len].copy_from_slice(&message[at..at + len]);
        }
        assert_eq!(ours, message);
    }
}

#[test]
fn what_is_not_for_us_is_told_apart() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(Change, NotCarried); 9] = [
        (|message| message[4] = 0, NotCarried::OtherDomain),
        (|message| message[0] |= 0x10, NotCarried::OtherSdoId),
        (|message| message[5] = 1, NotCarried::OtherSdoId),
        (|message| message[6] = 0, NotCarried::NotUnicast),
        (|message| message[3] += 1, NotCarried::Length),
        (|message| message[3] -= 1, NotCarried::Length),
        (|message| message[47] -= 2, NotCarried::Length),
        (|message| message[46] = 1, NotCarried::Length),
        (|message| message[2..4].copy_from_slice(&[0, 50]), NotCarried::Length),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let mut message = wrapped(&[0x23; 48]);
        change(&mut message);
        assert!(NtpCarrier::carries(&message), "case {number}");
        assert_eq!(CARRIER.unwrap(&message), Err(expected), "case {number}");
    }
}

#[test]
fn everything_else_is_ptp() {
    let changes: [fn(&mut Vec<u8>); 7] = [
        |message| message[0] = MessageType::PdelayReq.bits(),
        |message| message[0] = MessageType::FollowUp.bits(),
        |message| message[1] = 1,
        |message| message[44..46].copy_from_slice(&[0x40, 0]),
        |message| message[50] = 0x5f,
        |message| message[53] = 2,
        |message| message.truncate(NTP_PREFIX_LEN - 1),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut message = wrapped(&[0x23; 48]);
        change(&mut message);
        assert!(!NtpCarrier::carries(&message), "case {number}");
    }
    assert_eq!(CARRIER.unwrap(&[]), Err(NotCarried::Length));
    // The experiment that came before, with a TLV type of its own.
    let mut old = wrapped(&[0x23; 48]);
    old[44..46].copy_from_slice(&[0x20, 0x23]);
    assert!(!NtpCarrier::carries(&old));
}

#[test]
fn what_cannot_be_carried_is_refused() {
    let mut buffer = [0; 2 * MAX_MESSAGE_LEN];
    assert_eq!(CARRIER.wrap(0, &[0; 49], &mut buffer), Err(TooLong));
    assert_eq!(CARRIER.wrap(0, &[0; MAX_MESSAGE_LEN], &mut buffer), Err(TooLong));
    assert_eq!(CARRIER.wrap(0, &[0; 48], &mut [0; 103]), Err(TooLong));
}

prop_compose! {
    fn kinds()(sync: bool, later: bool, other_tlv: bool) -> (u8, MessageType, TlvType) {
        (
            if later { 0x12 } else { 0x02 },
            if sync { MessageType::Sync } else { MessageType::DelayReq },
            if other_tlv { TlvType::ORGANIZATION_EXTENSION_DO_NOT_PROPAGATE } else { TlvType::ORGANIZATION_EXTENSION },
        )
    }
}

proptest! {
    #[test]
    fn what_is_wrapped_is_unwrapped(
        (version, kind, tlv) in kinds(),
        words in proptest::collection::vec(any::<[u8; 4]>(), 0..100),
        correction: i64,
        pad in (0_usize..20).prop_map(|halves| 2 * halves),
        trailer in 0_usize..3,
    ) {
        let ntp = words.concat();
        let mut message = sent(version, kind, tlv, &ntp, pad);
        message[8..16].copy_from_slice(&correction.to_be_bytes());
        let len = message.len();
        message.resize(len + trailer, 0xaa);
        prop_assert!(NtpCarrier::carries(&message));
        let carried = CARRIER.unwrap(&message).unwrap();
        prop_assert_eq!(&message[carried.ntp.clone()], &ntp);
        prop_assert_eq!((carried.len, carried.correction), (len, Correction(correction)));
    }

    /// An answer is a message that carries NTP too, as long as its question, of the same kind, with no correction.
    #[test]
    fn an_answer_is_as_long_as_its_question(
        (version, kind, tlv) in kinds(),
        words in 12_usize..60,
        pad in (0_usize..20).prop_map(|halves| 2 * halves),
        shorter in 0_usize..48,
        room in 0_usize..80,
    ) {
        let mut buffer = sent(version, kind, tlv, &vec![0x23; 4 * words], pad);
        buffer[8..16].copy_from_slice(&77_i64.to_be_bytes());
        let asked = buffer.len();
        buffer.resize(asked + room, 0xbb);
        let question = CARRIER.unwrap(&buffer).unwrap();
        let ntp_len = 4 * words.saturating_sub(shorter).max(12);
        buffer[question.ntp.clone()][..ntp_len].fill(0x24);
        let len = CARRIER.answer(&mut buffer, &question, ntp_len);
        prop_assert!(len == asked || asked - len < TLV_HEADER_LEN);
        prop_assert!(buffer[asked..].iter().all(|byte| *byte == 0xbb), "wrote behind the question");
        let answer = CARRIER.unwrap(&buffer[..len]).unwrap();
        prop_assert_eq!(&buffer[answer.ntp.clone()], &vec![0x24; ntp_len]);
        prop_assert_eq!((answer.len, answer.correction), (len, Correction::ZERO));
        let parsed = Message::parse(&buffer[..len]).unwrap();
        prop_assert_eq!((parsed.message_type(), parsed.header.minor_version), (kind, version >> 4));
        prop_assert_eq!((parsed.header.source, parsed.header.sequence_id), (CARRIER.source, 9));
        prop_assert_eq!(parsed.tlvs.iter().next().unwrap().kind, tlv);
    }

    #[test]
    fn any_bytes_are_taken_apart_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), mend: bool) {
        let mut bytes = bytes;
        if mend && bytes.len() >= NTP_PREFIX_LEN {
            let whole = wrapped(&[]);
            bytes[..2].copy_from_slice(&whole[..2]);
            bytes[4..8].copy_from_slice(&whole[4..8]);
            bytes[44..46].copy_from_slice(&whole[44..46]);
            bytes[48..56].copy_from_slice(&whole[48..56]);
        }
        if let Ok(carried) = CARRIER.unwrap(&bytes) {
            prop_assert!(carried.ntp.end <= carried.len && carried.len <= bytes.len());
        }
    }
}
