use proptest::prelude::*;

use super::*;
use crate::message::{ClockAccuracy, ClockClass, ClockQuality, Correction};
use crate::octets::Text;
use crate::tlv::{Content, Tlv, TlvType, TlvWriter};
use crate::{ClockIdentity, PortIdentity, PortState};

/// What is sent of `data`: the dataField.
fn sent(id: ManagementId, data: &Data<'_>) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let mut tlvs = TlvWriter::new(&mut buffer);
    data.write(id, &mut tlvs).unwrap();
    let tlvs = tlvs.finish();
    let Some(Ok(Content::Management(tlv))) = tlvs.iter().next().map(Tlv::content) else { panic!("no management TLV") };
    assert_eq!((tlv.id, tlv.data.len() % 2), (id, 0));
    tlv.data.to_vec()
}

proptest! {
    #[test]
    fn what_is_read_is_written_again(id in prop_oneof![0_u16..6, 0x2000_u16..0x2022, 0x6000_u16..0x6002, 0xc000_u16..0xc00c, any::<u16>()], bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let id = ManagementId(id);
        match Data::parse(id, &bytes) {
            Ok(data) => {
                let again = sent(id, &data);
                prop_assert_eq!(Data::parse(id, &again), Ok(data));
            }
            Err(ManagementError::NoSuchId) => prop_assert_eq!(id.name(), None),
            Err(error) => {
                prop_assert!(id.name().is_some());
                let known = matches!(error, ManagementError::NotSupported | ManagementError::WrongLength | ManagementError::WrongValue);
                prop_assert!(known, "{}", error);
            }
        }
    }

    #[test]
    fn what_is_too_short_or_too_long_is_refused(cut in 0_usize..26, more in 1_usize..4) {
        let bytes = sent(ManagementId::PORT_DATA_SET, &Data::PortDataSet(PORT));
        prop_assert_eq!(Data::parse(ManagementId::PORT_DATA_SET, &bytes[..cut]), Err(ManagementError::WrongLength));
        let longer = [bytes, vec![0; 2 * more]].concat();
        prop_assert_eq!(Data::parse(ManagementId::PORT_DATA_SET, &longer), Err(ManagementError::WrongLength));
    }
}

const IDENTITY: PortIdentity = PortIdentity { clock: ClockIdentity([1, 2, 3, 4, 5, 6, 7, 8]), number: 9 };

const PORT: PortDataSet = PortDataSet {
    port_identity: IDENTITY,
    port_state: PortState::Passive,
    log_min_delay_req_interval: -1,
    mean_link_delay: Correction(0x0102_0304_0506_0708),
    log_announce_interval: -2,
    announce_receipt_timeout: 3,
    log_sync_interval: -3,
    delay_mechanism: crate::DelayMechanism::P2p,
    log_min_pdelay_req_interval: -4,
    version_number: 2,
};

#[test]
fn fields_lie_where_the_standard_puts_them() {
    let expected = [1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 7, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 0xfe, 3, 0xfd, 2, 0xfc, 2];
    assert_eq!(sent(ManagementId::PORT_DATA_SET, &Data::PortDataSet(PORT)), expected);

    let default = DefaultDataSet {
        two_step: true,
        slave_only: true,
        number_ports: 1,
        priority1: 2,
        clock_quality: ClockQuality {
            clock_class: ClockClass(6),
            clock_accuracy: ClockAccuracy(0x21),
            offset_scaled_log_variance: 0x4e5d,
        },
        priority2: 3,
        clock_identity: IDENTITY.clock,
        domain_number: 24,
    };
    let expected = [3, 0, 0, 1, 2, 6, 0x21, 0x4e, 0x5d, 3, 1, 2, 3, 4, 5, 6, 7, 8, 24, 0];
    assert_eq!(sent(ManagementId::DEFAULT_DATA_SET, &Data::DefaultDataSet(default)), expected);
}

#[test]
fn counts_are_little_endian_and_text_is_padded() {
    let stats = PortStatsNp { port_identity: IDENTITY, received: [0x0102; 16], sent: [3; 16] };
    let bytes = sent(ManagementId::PORT_STATS_NP, &Data::PortStatsNp(stats));
    assert_eq!((bytes.len(), &bytes[10..14], bytes[138]), (266, &[2, 1, 0, 0][..], 3));

    let properties = PortPropertiesNp {
        port_identity: IDENTITY,
        port_state: PortState::Master,
        timestamping: Timestamping::Hardware,
        interface: Text::of("eth0", 255),
    };
    let bytes = sent(ManagementId::PORT_PROPERTIES_NP, &Data::PortPropertiesNp(properties));
    assert_eq!(bytes[10..], [6, 1, 4, b'e', b't', b'h', b'0', 0]);
    let mut reserved = bytes.clone();
    reserved[11] = 5;
    assert_eq!(Data::parse(ManagementId::PORT_PROPERTIES_NP, &reserved), Err(ManagementError::WrongValue));
    reserved[10] = 0;
    assert_eq!(Data::parse(ManagementId::PORT_PROPERTIES_NP, &reserved), Err(ManagementError::WrongValue));
}

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(Text::of("Zürich", 2).as_bytes(), b"Z");
    assert_eq!(Text::of("Zürich", 3).to_string(), "Zü");
    let bytes = sent(ManagementId::USER_DESCRIPTION, &Data::UserDescription(Text::of("Zürich", 255)));
    assert_eq!(bytes, "\u{7}Zürich".as_bytes());
}

#[test]
fn errors_have_the_numbers_of_the_standard() {
    let errors = [
        (ManagementError::ResponseTooBig, 1),
        (ManagementError::NoSuchId, 2),
        (ManagementError::WrongLength, 3),
        (ManagementError::WrongValue, 4),
        (ManagementError::NotSetable, 5),
        (ManagementError::NotSupported, 6),
        (ManagementError::Unpopulated, 7),
        (ManagementError::General, 0xfffe),
    ];
    for (error, number) in errors {
        let status = ManagementErrorStatus { error, id: ManagementId::PRIORITY1, display_data: Text::of("no", 255) };
        let mut buffer = [0; 64];
        let mut tlvs = TlvWriter::new(&mut buffer);
        status.write(&mut tlvs).unwrap();
        let tlvs = tlvs.finish();
        let [high, low] = u16::to_be_bytes(number);
        assert_eq!(tlvs.as_bytes(), [0, 2, 0, 12, high, low, 0x20, 5, 0, 0, 0, 0, 2, b'n', b'o', 0]);
        assert_eq!(tlvs.iter().next().unwrap().content(), Ok(Content::ManagementErrorStatus(status)));
    }
    // ptp4l appends no text at all.
    let bare = Tlv { kind: TlvType::MANAGEMENT_ERROR_STATUS, value: &[0, 9, 0x20, 5, 0, 0, 0, 0] };
    let Ok(Content::ManagementErrorStatus(status)) = bare.content() else { panic!("{bare:?}") };
    assert_eq!((status.error, status.display_data), (ManagementError::General, Text::default()));
}

#[test]
fn names_are_those_of_the_standard() {
    assert_eq!(ManagementId::TIME_STATUS_NP.to_string(), "TIME_STATUS_NP");
    assert_eq!(ManagementId(0x2004).name(), Some("PORT_DATA_SET"));
    assert_eq!(ManagementId(0xdfff).to_string(), "0xdfff");
}
