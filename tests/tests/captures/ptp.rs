//! Real messages of ptp4l and pmc: read, they are written again byte for byte, and so is what is appended to them.

use std::collections::BTreeMap;
use std::path::Path;

use sidereal_ptp::{Action, Announce, Body, Content, Data, Flags, ManagementId, Message, TlvError, TlvWriter, Tlvs};
use sidereal_tests::pcap;
use sidereal_time::PtpTimestamp;

/// The PTP messages of a capture with their times in nanoseconds, in order.
fn messages(capture: &str) -> Vec<(u64, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(capture);
    let frames = pcap::frames(&path).into_iter();
    frames.filter_map(|(time_ns, frame)| Some((time_ns, pcap::ptp_message(&frame)?.to_vec()))).collect()
}

/// `bytes` written again from what is understood of them.
fn again(message: &Message<'_>) -> Vec<u8> {
    let mut appended = [0; 1500];
    let mut tlvs = TlvWriter::new(&mut appended);
    for tlv in message.tlvs.iter() {
        match tlv.content().unwrap() {
            Content::RequestUnicast(request) => request.write(&mut tlvs),
            Content::GrantUnicast(grant) => grant.write(&mut tlvs),
            Content::CancelUnicast(cancel) => cancel.write(&mut tlvs),
            Content::AcknowledgeCancelUnicast(cancel) => cancel.write_acknowledgement(&mut tlvs),
            Content::Management(management) => {
                // pmc sends zeros with its questions, as long as the answer will be, with or without values in range.
                match Data::parse(management.id, management.data) {
                    Ok(data) => data.write(management.id, &mut tlvs),
                    Err(error) => {
                        let Body::Management(body) = message.body else { panic!("a management TLV in {message:?}") };
                        assert_eq!(body.action, Action::Get, "{}: {error}", management.id);
                        assert!(management.data.iter().all(|byte| *byte == 0));
                        return Vec::new();
                    }
                }
            }
            content => panic!("ptp4l appended {content:?}"),
        }
        .unwrap();
    }
    let message = Message { tlvs: tlvs.finish(), ..*message };
    let mut buffer = [0; 1500];
    let length = message.write(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

/// Reads every message, writes it again, and says how many there are of each type.
fn all_again(capture: &str) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for (time_ns, bytes) in messages(capture) {
        let message = Message::parse(&bytes).unwrap_or_else(|error| panic!("{capture} at {time_ns}: {error}"));
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let mut buffer = [0; 1500];
        assert_eq!(message.write(&mut buffer), Ok(length), "{capture} at {time_ns}");
        assert_eq!(buffer[..length], bytes[..length], "{capture} at {time_ns}");
        let again = again(&message);
        assert!(again.is_empty() || again == bytes[..length], "{capture} at {time_ns}: {again:02x?} of {bytes:02x?}");
        assert_eq!(message.header.control, message.message_type().control(), "{capture} at {time_ns}");
        *counts.entry(message.message_type().name()).or_default() += 1;
    }
    counts
}

#[test]
fn over_ethernet() {
    let e2e = all_again("ptp-l2-e2e.pcap");
    assert!(["announce", "sync", "follow_up", "delay_req", "delay_resp"].iter().all(|name| e2e[name] > 10), "{e2e:?}");
    let p2p = all_again("ptp-l2-p2p.pcap");
    let peer = ["pdelay_req", "pdelay_resp", "pdelay_resp_follow_up"];
    assert!(peer.iter().all(|name| p2p[name] > 10), "{p2p:?}");
}

#[test]
fn over_udp_with_management() {
    let counts = all_again("ptp-udp4-e2e.pcap");
    assert!(counts["management"] > 20, "{counts:?}");
}

#[test]
fn unicast_with_negotiation() {
    let counts = all_again("ptp-udp4-unicast.pcap");
    assert!(counts["signaling"] > 5, "{counts:?}");
    let bytes = messages("ptp-udp4-unicast.pcap");
    let parsed = || bytes.iter().map(|(_, bytes)| Message::parse(bytes).unwrap());
    let granted =
        parsed().flat_map(|message| message.tlvs.iter().collect::<Vec<_>>()).find_map(|tlv| match tlv.content() {
            Ok(Content::GrantUnicast(grant)) => Some(grant),
            _ => None,
        });
    assert_eq!(granted.unwrap().duration_s, 10);
    assert!(
        parsed()
            .filter(|message| matches!(message.body, Body::Sync(_)))
            .all(|sync| sync.header.flags.has(Flags::UNICAST))
    );
}

#[test]
fn with_the_telecom_profile() {
    all_again("ptp-l2-g82751.pcap");
    let messages = messages("ptp-l2-g82751.pcap");
    assert!(messages.iter().all(|(_, bytes)| Message::parse(bytes).unwrap().header.domain == 24));
}

#[test]
fn times_are_those_of_the_capture() {
    for (time_ns, bytes) in messages("ptp-udp4-e2e.pcap") {
        let Body::FollowUp(timestamp) = Message::parse(&bytes).unwrap().body else { continue };
        let timestamp = PtpTimestamp::try_from(timestamp).unwrap();
        // Software stamps of ptp4l are of UTC, a Follow_Up comes within a tenth of a second.
        let told = timestamp.seconds() * 1_000_000_000 + u64::from(timestamp.nanoseconds());
        assert!(told <= time_ns && time_ns - told < 100_000_000, "{told} told at {time_ns}");
    }
}

#[test]
fn what_ptp4l_says_of_itself_is_understood() {
    let messages = messages("ptp-udp4-e2e.pcap");
    let bodies = || messages.iter().map(|(_, bytes)| Message::parse(bytes).unwrap());
    let announce = bodies().find_map(|message| match message.body {
        Body::Announce(announce) => Some((message.header, announce)),
        _ => None,
    });
    let (header, announce): (_, Announce) = announce.unwrap();
    assert_eq!(announce.grandmaster_identity, header.source.clock);
    assert_eq!((announce.current_utc_offset, announce.steps_removed), (37, 0));
    assert!(!header.flags.has(Flags::PTP_TIMESCALE));
    let answer = |id: ManagementId| {
        let found = messages.iter().find_map(|(_, bytes)| {
            let message = Message::parse(bytes).unwrap();
            let Body::Management(body) = message.body else { return None };
            let Some(Ok(Content::Management(tlv))) = first(message.tlvs) else { return None };
            (body.action == Action::Response && tlv.id == id).then(|| tlv.data.to_vec())
        });
        found.unwrap_or_else(|| panic!("no answer about {id}"))
    };
    let data = answer(ManagementId::DEFAULT_DATA_SET);
    let Ok(Data::DefaultDataSet(default)) = Data::parse(ManagementId::DEFAULT_DATA_SET, &data) else {
        panic!("{data:?}")
    };
    assert_eq!((default.clock_identity, default.priority1), (announce.grandmaster_identity, announce.priority1));
    assert_eq!(default.clock_quality, announce.clock_quality);
    let data = answer(ManagementId::CLOCK_DESCRIPTION);
    let Ok(Data::ClockDescription(description)) = Data::parse(ManagementId::CLOCK_DESCRIPTION, &data) else {
        panic!("{data:?}")
    };
    assert_eq!(description.physical_layer_protocol.to_string(), "IEEE 802.3");
    assert_eq!(description.protocol_address, [10, 77, 0, 1]);
}

fn first(tlvs: Tlvs<'_>) -> Option<Result<Content<'_>, TlvError>> {
    tlvs.iter().next().map(|tlv| tlv.content())
}
