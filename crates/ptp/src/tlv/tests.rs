use proptest::prelude::*;

use super::*;
use crate::identity::ClockIdentity;
use crate::message::MessageType;
use crate::octets::Text;

/// What `write` appends, with its content read again.
fn written(write: impl FnOnce(&mut TlvWriter<'_>) -> Result<(), TooLong>, check: impl FnOnce(&[u8], Content<'_>)) {
    let mut buffer = [0; 256];
    let mut tlvs = TlvWriter::new(&mut buffer);
    write(&mut tlvs).unwrap();
    let tlvs = tlvs.finish();
    let tlv = tlvs.iter().next().unwrap();
    check(tlvs.as_bytes(), tlv.content().unwrap());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        if let Ok(tlvs) = Tlvs::parse(&bytes) {
            let length: usize = tlvs.iter().map(|tlv| TLV_HEADER_LEN + tlv.value.len()).sum();
            prop_assert_eq!(length, bytes.len());
        }
    }

    #[test]
    fn no_content_panics(kind in prop_oneof![0_u16..12, Just(0x4000), Just(0x8000), Just(0x8008), Just(0x8009)], value: Vec<u8>) {
        let kind = TlvType(kind);
        match (Tlv { kind, value: &value }).content() {
            Ok(Content::OrganizationExtension(extension)) => drop(extension.follow_up_information()),
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error, TlvError::Length(kind)),
        }
    }

    #[test]
    fn what_does_not_fit_is_refused(room in 0_usize..40) {
        let mut buffer = [0; 40];
        let mut tlvs = TlvWriter::new(&mut buffer[..room]);
        let fits = PathTrace::write([ClockIdentity([1; 8]); 3], &mut tlvs).is_ok();
        prop_assert_eq!(fits, room >= TLV_HEADER_LEN + 24);
    }
}

#[test]
fn a_path_is_read_in_order() {
    let path = [ClockIdentity([1; 8]), ClockIdentity([2; 8])];
    written(
        |tlvs| PathTrace::write(path, tlvs),
        |bytes, content| {
            assert_eq!(bytes[..5], [0, 8, 0, 16, 1]);
            let Content::PathTrace(read) = content else { panic!("{content:?}") };
            assert!(read.iter().eq(path));
            assert!(read.contains(path[1]) && !read.contains(ClockIdentity([3; 8])));
        },
    );
    let odd = Tlv { kind: TlvType::PATH_TRACE, value: &[0; 12] };
    assert_eq!(odd.content(), Err(TlvError::Length(TlvType::PATH_TRACE)));
}

#[test]
fn an_alternate_timescale_is_padded() {
    let offset = AlternateTimeOffset {
        key: 1,
        current_offset_s: -3600,
        jump_s: 7200,
        time_of_next_jump_s: 0x0102_0304_0506,
        display_name: Text::of("CEST", 10),
    };
    written(
        |tlvs| offset.write(tlvs),
        |bytes, content| {
            let expected =
                [0, 9, 0, 20, 1, 0xff, 0xff, 0xf1, 0xf0, 0, 0, 0x1c, 0x20, 1, 2, 3, 4, 5, 6, 4, b'C', b'E', b'S', b'T'];
            assert_eq!(bytes, expected);
            assert_eq!(content, Content::AlternateTimeOffset(offset));
        },
    );
    let odd = AlternateTimeOffset { display_name: Text::of("MEZ", 10), ..offset };
    written(
        |tlvs| odd.write(tlvs),
        |bytes, content| {
            assert_eq!((bytes.len(), bytes.last()), (TLV_HEADER_LEN + 20, Some(&0)));
            assert_eq!(content, Content::AlternateTimeOffset(odd));
        },
    );
    let late = AlternateTimeOffset { time_of_next_jump_s: 1 << 48, ..offset };
    assert_eq!(late.write(&mut TlvWriter::new(&mut [0; 64])), Err(TooLong));
}

#[test]
fn unicast_negotiation_is_as_it_is_on_the_wire() {
    let message_type = MessageType::Announce;
    let request = RequestUnicast { message_type, log_inter_message_period: -3, duration_s: 300 };
    written(
        |tlvs| request.write(tlvs),
        |bytes, content| {
            assert_eq!(bytes, [0, 4, 0, 6, 0xb0, 0xfd, 0, 0, 1, 0x2c]);
            assert_eq!(content, Content::RequestUnicast(request));
        },
    );
    let grant = GrantUnicast { message_type, log_inter_message_period: 1, duration_s: 10, renewal_invited: true };
    written(
        |tlvs| grant.write(tlvs),
        |bytes, content| {
            assert_eq!(bytes, [0, 5, 0, 8, 0xb0, 1, 0, 0, 0, 10, 0, 1]);
            assert_eq!(content, Content::GrantUnicast(grant));
        },
    );
    let cancel = CancelUnicast { message_type, maintain_request: true, maintain_grant: false };
    written(
        |tlvs| cancel.write(tlvs),
        |bytes, content| {
            assert_eq!(bytes, [0, 6, 0, 2, 0xb2, 0]);
            assert_eq!(content, Content::CancelUnicast(cancel));
        },
    );
    written(
        |tlvs| cancel.write_acknowledgement(tlvs),
        |bytes, content| {
            assert_eq!(bytes, [0, 7, 0, 2, 0xb2, 0]);
            assert_eq!(content, Content::AcknowledgeCancelUnicast(cancel));
        },
    );
    let reserved = Tlv { kind: TlvType::REQUEST_UNICAST_TRANSMISSION, value: &[0x40, 0, 0, 0, 0, 1] };
    assert_eq!(reserved.content(), Err(TlvError::Length(reserved.kind)));
}

#[test]
fn follow_up_information_is_told_from_other_extensions() {
    let information = FollowUpInformation {
        cumulative_scaled_rate_offset: -5,
        gm_time_base_indicator: 6,
        last_gm_phase_change: [7; 12],
        scaled_last_gm_freq_change: 8,
    };
    written(
        |tlvs| information.write(tlvs),
        |bytes, content| {
            assert_eq!(bytes[..10], [0, 3, 0, 28, 0x00, 0x80, 0xc2, 0, 0, 1]);
            let Content::OrganizationExtension(extension) = content else { panic!("{content:?}") };
            assert_eq!(extension.follow_up_information(), Some(information));
            let other = OrganizationExtension { sub_type: [0, 0, 2], ..extension };
            assert_eq!(other.follow_up_information(), None);
            written(|tlvs| other.write(tlvs), |_, content| assert_eq!(content, Content::OrganizationExtension(other)));
        },
    );
}

#[test]
fn unknown_ones_propagate_by_their_number() {
    let propagating = [0x0008, 0x0009, 0x4000, 0x4001, 0x5000, 0x7fff];
    let others = [0x0001, 0x0003, 0x0004, 0x0007, 0x2000, 0x3fff, 0x8000, 0x8008, 0x8009, 0xffff];
    assert!(propagating.iter().all(|kind| TlvType(*kind).propagates()));
    assert!(others.iter().all(|kind| !TlvType(*kind).propagates()));
    let unknown = Tlv { kind: TlvType(0x5000), value: &[1, 2] };
    assert_eq!(unknown.content(), Ok(Content::Unknown(&[1, 2])));
    assert_eq!(Tlv { kind: TlvType::PAD, value: &[0; 6] }.content(), Ok(Content::Pad(6)));
}
