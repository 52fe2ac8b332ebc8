//! Delay_Req answered in place: as 11.3.2 says, and never anything else.

use proptest::prelude::*;
use sidereal_ptp::{
    Body, ClockIdentity, Correction, DELAY_RESP_LEN, Flags, Header, Message, MessageType, NoAnswer, PortIdentity,
    PortKey, Responder, Responders, SdoId, Timestamp, Tlvs,
};
use sidereal_time::{Instant, PtpTimestamp, Span, Tai};

const RESPONDER: Responder = Responder {
    key: PortKey(3),
    identity: PortIdentity { clock: ClockIdentity([1, 2, 3, 4, 5, 6, 7, 8]), number: 9 },
    domain: 24,
    sdo_id: SdoId::GPTP,
    minor_version: 1,
    log_min_delay_req_interval: -3,
    ingress_latency: Span::from_nanos(100),
};

fn request(flags: Flags, correction: i64, sequence_id: u16) -> (Header, [u8; 128]) {
    let header = Header {
        sdo_id: SdoId::GPTP,
        minor_version: 0,
        domain: 24,
        flags,
        correction: Correction(correction),
        message_type_specific: [1, 2, 3, 4],
        source: PortIdentity { clock: ClockIdentity([9; 8]), number: 1 },
        sequence_id,
        control: 1,
        log_interval: 0x7f,
    };
    let mut buffer = [0xff; 128];
    let body = Body::DelayReq(Timestamp::ZERO);
    assert_eq!(Message { header, body, tlvs: Tlvs::NONE }.write(&mut buffer), Ok(44));
    (header, buffer)
}

proptest! {
    #[test]
    fn an_answer_tells_when_the_request_arrived(
        nanos in 0_i128..1 << 60,
        fraction in 0_i128..1 << 16,
        correction in -(1_i64 << 62)..1 << 62,
        sequence_id: u16,
        unicast: bool,
    ) {
        let received = Instant::<Tai>::from_secs(1) + Span::from_nanos(nanos) + Span::from_units(fraction);
        let (request, mut buffer) = request(Flags::NONE.with(Flags::UNICAST, unicast), correction, sequence_id);
        prop_assert!(Responder::is_request(&buffer[..44]));
        prop_assert_eq!(RESPONDER.answer(&mut buffer, 44, received), Ok(DELAY_RESP_LEN));
        let answer = Message::parse(&buffer[..DELAY_RESP_LEN]).unwrap();
        let Body::DelayResp { receive_timestamp, requesting } = answer.body else { panic!("{answer:?}") };
        prop_assert_eq!((requesting, answer.tlvs), (request.source, Tlvs::NONE));
        // What the follower computes (11.3.2): receiveTimestamp less correctionField, to the last bit.
        let told = PtpTimestamp::try_from(receive_timestamp).unwrap().to_tai() - answer.header.correction.span().unwrap();
        prop_assert_eq!(told, received - RESPONDER.ingress_latency - Span::from_units(i128::from(correction)));
        let expected = Header {
            minor_version: 1,
            flags: request.flags,
            correction: answer.header.correction,
            message_type_specific: [0; 4],
            source: RESPONDER.identity,
            control: MessageType::DelayResp.control(),
            log_interval: if unicast { 0x7f } else { -3 },
            ..request
        };
        prop_assert_eq!(answer.header, expected);
    }

    #[test]
    fn what_is_not_answered_is_left_as_it_was(bytes: [u8; 80], len in 0_usize..=80, at in 0_usize..80) {
        let (_, mut buffer) = request(Flags::NONE, 0, 1);
        buffer[at] = bytes[at];
        for mut buffer in [buffer.first_chunk::<80>().copied().unwrap(), bytes] {
            let before = buffer;
            if RESPONDER.answer(&mut buffer, len, Instant::from_secs(1)).is_err() {
                prop_assert_eq!(buffer, before);
            } else {
                let kind = Message::parse(&before[..len]).map(|message| message.message_type());
                // It is answered without a look at its TLVs.
                prop_assert!(kind.is_err() || kind == Ok(MessageType::DelayReq));
                prop_assert!(Responder::is_request(&before[..len]));
            }
        }
    }
}

#[test]
fn every_reason_not_to_answer_is_named() {
    let at = Instant::from_secs(1);
    let answer = |change: &dyn Fn(&mut [u8; 128])| {
        let (_, mut buffer) = request(Flags::NONE, 0, 1);
        change(&mut buffer);
        RESPONDER.answer(&mut buffer, 44, at)
    };
    assert_eq!(answer(&|_| ()), Ok(54));
    assert_eq!(answer(&|buffer| buffer[0] = 0x10), Err(NoAnswer::NotDelayReq));
    assert_eq!(answer(&|buffer| buffer[1] = 1), Err(NoAnswer::NotDelayReq));
    assert_eq!(answer(&|buffer| buffer[3] = 43), Err(NoAnswer::NotDelayReq));
    assert_eq!(answer(&|buffer| buffer[3] = 45), Err(NoAnswer::NotDelayReq));
    assert_eq!(answer(&|buffer| buffer[4] = 0), Err(NoAnswer::WrongDomain));
    assert_eq!(answer(&|buffer| buffer[5] = 1), Err(NoAnswer::WrongSdoId));
    assert_eq!(
        answer(&|buffer| buffer[20..30].copy_from_slice(&RESPONDER.identity.to_be_bytes())),
        Err(NoAnswer::Reflected)
    );
    let (_, mut buffer) = request(Flags::NONE, 0, 1);
    assert_eq!(RESPONDER.answer(&mut buffer[..53], 44, at), Err(NoAnswer::NoRoom));
    assert_eq!(RESPONDER.answer(&mut buffer, 44, Instant::EPOCH), Err(NoAnswer::NoTime));
    let names: std::collections::BTreeSet<_> = NoAnswer::ALL.into_iter().map(NoAnswer::name).collect();
    assert_eq!(names.len(), NoAnswer::ALL.len());
}

#[test]
fn a_correction_too_big_to_be_told_stays_so() {
    let (_, mut buffer) = request(Flags::NONE, i64::MAX, 1);
    RESPONDER.answer(&mut buffer, 44, Instant::from_secs(1) + Span::from_units(5)).unwrap();
    assert_eq!(Message::parse(&buffer[..54]).unwrap().header.correction, Correction::TOO_BIG);
}

#[test]
fn responders_are_found_by_their_port() {
    let responders = Responders::new([RESPONDER, Responder { key: PortKey(7), ..RESPONDER }]);
    assert_eq!(responders.of(PortKey(7)).map(|responder| responder.key), Some(PortKey(7)));
    assert_eq!(responders.of(PortKey(4)), None);
    assert_eq!(responders.iter().count(), 2);
    assert_eq!(Responders::default().iter().count(), 0);
}
