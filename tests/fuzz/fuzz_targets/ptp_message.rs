//! Any bytes as a PTP message: what is understood of them is written again, and read again it is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_ptp::{Content, Data, Message, TlvWriter};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes) else { return };
    let mut buffer = vec![0; bytes.len()];
    let length = message.write(&mut buffer).unwrap();
    assert_eq!(Message::parse(&buffer[..length]), Ok(message));
    for tlv in message.tlvs.iter() {
        let Ok(content) = tlv.content() else { continue };
        let mut room = vec![0; tlv.value.len() + 8];
        let mut tlvs = TlvWriter::new(&mut room);
        match content {
            Content::Management(management) => {
                let Ok(data) = Data::parse(management.id, management.data) else { continue };
                data.write(management.id, &mut tlvs).unwrap();
                let again = tlvs.finish().iter().next().unwrap();
                let Ok(Content::Management(again)) = again.content() else { panic!("{again:?}") };
                assert_eq!(Data::parse(again.id, again.data), Ok(data));
                continue;
            }
            Content::ManagementErrorStatus(error) => error.write(&mut tlvs).unwrap(),
            Content::RequestUnicast(request) => request.write(&mut tlvs).unwrap(),
            Content::GrantUnicast(grant) => grant.write(&mut tlvs).unwrap(),
            Content::CancelUnicast(cancel) => cancel.write(&mut tlvs).unwrap(),
            Content::AcknowledgeCancelUnicast(cancel) => cancel.write_acknowledgement(&mut tlvs).unwrap(),
            Content::AlternateTimeOffset(offset) => offset.write(&mut tlvs).unwrap(),
            Content::OrganizationExtension(extension) => {
                extension.write(&mut tlvs).unwrap();
                if let Some(information) = extension.follow_up_information() {
                    let mut room = [0; 32];
                    information.write(&mut TlvWriter::new(&mut room)).unwrap();
                }
            }
            Content::PathTrace(path) => {
                assert!(path.iter().all(|identity| path.contains(identity)));
                continue;
            }
            Content::Pad(_) | Content::Authentication(_) | Content::Unknown(_) => continue,
        }
        let again = tlvs.finish().iter().next().unwrap();
        assert_eq!(again.content(), Ok(content));
    }
});
