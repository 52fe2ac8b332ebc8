//! One frame made by hand for each fault, and for each kind of frame that is not ours to judge.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use sidereal_wire::build::UdpFrame;
use sidereal_wire::{Checksums, Fault, check, checksum, classify};

const IPV4: usize = 14;
const IPV6: usize = 14;
const UDP4: usize = 34;
const UDP6: usize = 54;

fn frame(source: &str, destination: &str) -> Vec<u8> {
    let addresses = UdpFrame {
        source_mac: [2, 0, 0, 0, 0, 2],
        destination_mac: [2, 0, 0, 0, 0, 1],
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
    };
    let mut buffer = [0; 128];
    let length = addresses.write(&[0x23; 48], &mut buffer);
    assert_ne!(length, 0);
    buffer[..length].to_vec()
}

fn ipv4() -> Vec<u8> {
    frame("10.77.0.2:40000", "10.77.0.1:123")
}

fn ipv6() -> Vec<u8> {
    frame("[fd77::2]:40000", "[fd77::1]:123")
}

/// Makes the IPv4 header checksum right again.
fn seal(mut frame: Vec<u8>) -> Vec<u8> {
    let end = IPV4 + usize::from(frame[IPV4] & 15) * 4;
    frame[IPV4 + 10..IPV4 + 12].fill(0);
    let sum = checksum(&frame[IPV4..end]).to_be_bytes();
    frame[IPV4 + 10..IPV4 + 12].copy_from_slice(&sum);
    frame
}

fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

fn inserted(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    [&frame[..at], bytes, &frame[at..]].concat()
}

/// An IPv6 packet with one extension header before UDP.
fn extended(kind: u8, header: &[u8]) -> Vec<u8> {
    let longer = u16::try_from(56 + header.len()).expect("a short header").to_be_bytes();
    let frame = with(with(ipv6(), IPV6 + 6, &[kind]), IPV6 + 4, &longer);
    inserted(&frame, UDP6, header)
}

fn verdict(frame: &[u8]) -> Result<(), Fault> {
    let headers = classify(frame).expect("a frame with ports");
    assert_eq!(headers.destination_port, 123);
    check(frame, &headers, Checksums::Verify)
}

#[test]
fn each_fault_has_its_frame() {
    let options = |frame: Vec<u8>| {
        let frame = with(frame, IPV4, &[0x46]);
        let frame = with(frame, IPV4 + 2, &80_u16.to_be_bytes());
        seal(inserted(&frame, UDP4, &[0x94, 0x04, 0, 0]))
    };
    let cases: Vec<(&str, Vec<u8>, Fault)> = vec![
        ("two customer tags", inserted(&ipv4(), 12, &[0x81, 0, 0, 5, 0x81, 0, 0, 6]), Fault::StackedVlan),
        ("a service and a customer tag", inserted(&ipv6(), 12, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6]), Fault::StackedVlan),
        ("a service tag", inserted(&ipv4(), 12, &[0x88, 0xa8, 0, 5]), Fault::StackedVlan),
        ("more fragments", seal(with(ipv4(), IPV4 + 6, &[0x20, 0])), Fault::FirstFragment),
        ("more fragments, IPv6", extended(44, &[17, 0, 0, 1, 0, 0, 0, 9]), Fault::FirstFragment),
        ("router alert", options(ipv4()), Fault::Ipv4Options),
        ("hop by hop options", extended(0, &[17, 0, 1, 4, 0, 0, 0, 0]), Fault::Ipv6ExtensionHeader),
        ("destination options", extended(60, &[17, 0, 1, 4, 0, 0, 0, 0]), Fault::Ipv6ExtensionHeader),
        ("an atomic fragment", extended(44, &[17, 0, 0, 0, 0, 0, 0, 9]), Fault::Ipv6ExtensionHeader),
        ("authenticated", extended(51, &[17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]), Fault::Ipv6ExtensionHeader),
        ("no room for UDP", seal(with(ipv4(), IPV4 + 2, &27_u16.to_be_bytes())), Fault::IpLength),
        ("total length 0", seal(with(ipv4(), IPV4 + 2, &[0, 0])), Fault::IpLength),
        ("no room for UDP, IPv6", with(ipv6(), IPV6 + 4, &7_u16.to_be_bytes()), Fault::IpLength),
        ("total length beyond the frame", seal(with(ipv4(), IPV4 + 2, &77_u16.to_be_bytes())), Fault::TruncatedFrame),
        ("payload length beyond the frame", with(ipv6(), IPV6 + 4, &[0xff, 0xff]), Fault::TruncatedFrame),
        ("cut in the payload", ipv4()[..60].to_vec(), Fault::TruncatedFrame),
        ("cut behind the ports", ipv4()[..UDP4 + 4].to_vec(), Fault::TruncatedFrame),
        ("cut behind the ports, IPv6", ipv6()[..UDP6 + 4].to_vec(), Fault::TruncatedFrame),
        ("shorter than its header", with(ipv4(), UDP4 + 4, &7_u16.to_be_bytes()), Fault::UdpLength),
        ("longer than the packet", with(ipv4(), UDP4 + 4, &57_u16.to_be_bytes()), Fault::UdpLength),
        ("length 0, IPv6", with(ipv6(), UDP6 + 4, &[0, 0]), Fault::UdpLength),
        ("length of padding", [with(ipv4(), UDP4 + 4, &57_u16.to_be_bytes()), vec![0; 8]].concat(), Fault::UdpLength),
        ("port 0", frame("10.77.0.2:0", "10.77.0.1:123"), Fault::SourcePortZero),
        ("from a group", frame("224.0.1.1:123", "10.77.0.1:123"), Fault::SourceGroup),
        ("from everybody", frame("255.255.255.255:123", "10.77.0.1:123"), Fault::SourceGroup),
        ("from nobody", frame("0.0.0.0:123", "10.77.0.1:123"), Fault::SourceGroup),
        ("from loopback", frame("127.0.0.1:123", "10.77.0.1:123"), Fault::SourceGroup),
        ("from a group, IPv6", frame("[ff02::101]:123", "[fd77::1]:123"), Fault::SourceGroup),
        ("from nobody, IPv6", frame("[::]:123", "[fd77::1]:123"), Fault::SourceGroup),
        ("from loopback, IPv6", frame("[::1]:123", "[fd77::1]:123"), Fault::SourceGroup),
        ("from a mapped address", frame("[::ffff:10.0.0.1]:123", "[fd77::1]:123"), Fault::SourceGroup),
        ("from a group MAC address", with(ipv4(), 6, &[3]), Fault::SourceGroup),
        ("to a group", frame("10.77.0.2:123", "224.0.1.1:123"), Fault::DestinationGroup),
        ("to everybody", frame("10.77.0.2:123", "255.255.255.255:123"), Fault::DestinationGroup),
        ("to a group, IPv6", frame("[fd77::2]:123", "[ff02::101]:123"), Fault::DestinationGroup),
        ("to the broadcast MAC address", with(ipv4(), 0, &[0xff; 6]), Fault::DestinationGroup),
        ("to a group MAC address", with(ipv6(), 0, &[0x33, 0x33]), Fault::DestinationGroup),
        ("no checksum over IPv6", with(ipv6(), UDP6 + 6, &[0, 0]), Fault::MissingUdpChecksum),
        ("another hop count", with(ipv4(), IPV4 + 8, &[63]), Fault::Ipv4HeaderChecksum),
        ("another payload", with(ipv4(), UDP4 + 20, &[0]), Fault::UdpChecksum),
        ("another payload, IPv6", with(ipv6(), UDP6 + 55, &[0]), Fault::UdpChecksum),
    ];
    for (what, frame, fault) in &cases {
        assert_eq!(verdict(frame), Err(*fault), "{what}");
        let headers = classify(frame).expect("a frame with ports");
        assert!(headers.payload().end <= frame.len(), "{what}");
        let with_offload = check(frame, &headers, Checksums::AlreadyGood);
        let is_checksum = matches!(fault, Fault::Ipv4HeaderChecksum | Fault::UdpChecksum);
        assert_eq!(with_offload, if is_checksum { Ok(()) } else { Err(*fault) }, "{what}, checksums vouched for");
        assert_eq!(check(frame, &headers, Checksums::AlreadyBad), Err(*fault), "{what}, doubted");
    }
    for fault in Fault::all() {
        assert!(cases.iter().any(|(_, _, named)| named == fault), "no frame for {}", fault.name());
    }
}

#[test]
fn what_is_allowed_is_good() {
    let tag = [0x81, 0x00, 0xa0, 0x05];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("IPv4", ipv4()),
        ("IPv6", ipv6()),
        ("one tag", inserted(&ipv4(), 12, &tag)),
        ("one tag, IPv6", inserted(&ipv6(), 12, &tag)),
        ("no checksum over IPv4", with(ipv4(), UDP4 + 6, &[0, 0])),
        ("padding", [ipv4(), vec![0xaa; 20]].concat()),
        ("padding, IPv6", [ipv6(), vec![0xaa; 20]].concat()),
        ("don't fragment and the reserved bit", seal(with(ipv4(), IPV4 + 6, &[0xc0, 0]))),
        ("type of service", seal(with(ipv4(), IPV4 + 1, &[0xb8]))),
        ("class E", frame("240.0.0.1:123", "10.77.0.1:123")),
        ("odd length", {
            // The same datagram, one byte shorter: length and pseudo header lose 1 each, the payload its last byte.
            let mut frame = ipv4();
            frame.pop();
            let frame = with(with(frame, IPV4 + 2, &75_u16.to_be_bytes()), UDP4 + 4, &55_u16.to_be_bytes());
            let sum = u16::from_be_bytes([frame[UDP4 + 6], frame[UDP4 + 7]]);
            seal(with(frame, UDP4 + 6, &(sum + 2 + 0x23).to_be_bytes()))
        }),
    ];
    for (what, frame) in &cases {
        assert_eq!(verdict(frame), Ok(()), "{what}");
    }
}

#[test]
fn tags_are_read() {
    let vlan = |bytes: &[u8]| classify(&inserted(&ipv4(), 12, bytes)).map(|headers| (headers.vlan, headers.tags));
    assert_eq!(vlan(&[]), Some((None, 0)));
    assert_eq!(vlan(&[0x81, 0, 0xa0, 0x05]), Some((Some(5), 1)));
    assert_eq!(vlan(&[0x81, 0, 0x70, 0x00]), Some((None, 1)), "a tag that only carries a priority");
    assert_eq!(vlan(&[0x81, 0, 0x0f, 0xff, 0x81, 0, 0, 1]), Some((Some(0xfff), 2)));
    assert_eq!(vlan(&[0x81, 0, 0, 1].repeat(4)), Some((Some(1), 4)));
    assert_eq!(vlan(&[0x81, 0, 0, 1].repeat(5)), None);
}

#[test]
fn everything_else_is_the_kernels() {
    let chain = |count: u8| {
        let mut headers = [0, 0, 1, 4, 0, 0, 0, 0].repeat(count.into());
        let last = headers.len() - 8;
        headers[last] = 17;
        extended(0, &headers)
    };
    assert!(classify(&chain(8)).is_some());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("ARP", with(ipv4(), 12, &[0x08, 0x06])),
        ("TCP", with(ipv4(), IPV4 + 9, &[6])),
        ("ICMPv6", with(ipv6(), IPV6 + 6, &[58])),
        ("a later fragment", with(ipv4(), IPV4 + 6, &[0x00, 0x01])),
        ("a later fragment with more to come", with(ipv4(), IPV4 + 6, &[0x20, 0xb9])),
        ("a later fragment, IPv6", extended(44, &[17, 0, 0, 8, 0, 0, 0, 9])),
        ("encrypted", extended(50, &[17, 0, 0, 0, 0, 0, 0, 0])),
        ("no next header", extended(59, &[17, 0, 0, 0, 0, 0, 0, 0])),
        ("nine extension headers", chain(9)),
        ("version 6 in IPv4's EtherType", with(ipv4(), IPV4, &[0x65])),
        ("version 4 in IPv6's EtherType", with(ipv6(), IPV6, &[0x45])),
        ("a header of 16 bytes", with(ipv4(), IPV4, &[0x44])),
        ("options beyond the frame", with(ipv4(), IPV4, &[0x4f])[..60].to_vec()),
        ("cut in the ports", ipv4()[..UDP4 + 3].to_vec()),
        ("cut in the ports, IPv6", ipv6()[..UDP6 + 3].to_vec()),
        ("an extension header beyond the frame", extended(0, &[17, 255, 1, 4, 0, 0, 0, 0])),
        ("cut in a tag", inserted(&ipv4(), 12, &[0x81, 0, 0, 5])[..17].to_vec()),
    ];
    for (what, frame) in &cases {
        assert_eq!(classify(frame), None, "{what}");
    }
}

#[test]
fn names_and_places_are_distinct() {
    for (place, fault) in Fault::all().iter().enumerate() {
        assert_eq!(fault.index(), place);
        assert!(Fault::all()[..place].iter().all(|other| other.name() != fault.name()));
    }
    assert_eq!(Fault::all().len(), Fault::COUNT);
}
