//! What holds for every frame.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use sidereal_wire::build::UdpFrame;
use sidereal_wire::{
    Checksums, Envelope, Fault, Headers, Ipv4, Ipv6, LinkDestination, Network, Plain, check, check_to_group, checksum,
    classify, ethernet, turn_around,
};

/// The sum of RFC 1071 by its definition: 16-bit words in a number that cannot overflow, carries folded at the end.
fn slow_sum(data: &[u8]) -> u16 {
    let mut sum: u128 = 0;
    for pair in data.chunks(2) {
        sum += u128::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u128::from(*low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded")
}

/// Whether the checksums of an untagged, well-formed frame are right, by the slow sum.
fn is_right(frame: &[u8]) -> bool {
    let (addresses, udp) = if frame[12..14] == [0x08, 0x00] { (26..34, 34) } else { (22..54, 54) };
    let length = usize::from(u16::from_be_bytes([frame[udp + 4], frame[udp + 5]]));
    let mut pseudo = frame[addresses].to_vec();
    pseudo.extend([0, 17]);
    pseudo.extend(&frame[udp + 4..udp + 6]);
    pseudo.extend(&frame[udp..udp + length]);
    slow_sum(&pseudo) == 0xffff && (udp == 54 || slow_sum(&frame[14..34]) == 0xffff)
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(a, b)| (Ipv4Addr::from(a).into(), Ipv4Addr::from(b).into())),
        any::<(u128, u128)>().prop_map(|(a, b)| (Ipv6Addr::from(a).into(), Ipv6Addr::from(b).into())),
    ]
}

fn built() -> impl Strategy<Value = (UdpFrame, Vec<u8>, Vec<u8>)> {
    (any::<[[u8; 6]; 2]>(), addresses(), any::<(u16, u16)>(), vec(any::<u8>(), 0..300)).prop_map(
        |([source_mac, destination_mac], (source, destination), ports, payload)| {
            let addresses = UdpFrame {
                source_mac,
                destination_mac,
                source: SocketAddr::new(source, ports.0),
                destination: SocketAddr::new(destination, ports.1),
            };
            let mut buffer = vec![0; 400];
            let length = addresses.write(&payload, &mut buffer);
            buffer.truncate(length);
            (addresses, payload, buffer)
        },
    )
}

/// Frames that are nearly right: built ones with some bytes changed, perhaps cut, perhaps with tags.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (built(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), any::<prop::sample::Index>(), 0..4_usize)
        .prop_map(|((_, _, mut frame), changes, cut, tags)| {
            for (at, value) in changes {
                // Most of what can go wrong is in the headers.
                let at = at.index(frame.len().min(70));
                frame[at] = value;
            }
            frame.truncate(frame.len() - cut.index(frame.len()) / 4);
            for _ in 0..tags.min(frame.len() / 14) {
                frame.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
            }
            frame
        })
}

/// Compares what [`Plain`] says of `frame` with what the others say. Returns whether it is plain.
fn plain_agrees<N: Network>(frame: &[u8], payload_len: Option<usize>) -> Result<bool, TestCaseError> {
    let (before, headers) = (frame, classify(frame));
    let mut frame = frame.to_vec();
    let packet = match payload_len {
        Some(len) => Plain::<N>::with_payload(&mut frame, len),
        None => Plain::<N>::of(&mut frame),
    };
    let Some(mut packet) = packet else { return Ok(false) };
    let headers = headers.expect("a UDP frame");
    prop_assert_eq!((headers.vlan, headers.tags), (None, 0));
    let (source, destination) = packet.addresses();
    prop_assert_eq!((source.into(), destination.into()), (headers.source, headers.destination));
    prop_assert_eq!(packet.destination_port(), headers.destination_port);
    prop_assert_eq!(&*packet.payload(), &before[headers.payload()]);
    for checksums in [Checksums::Verify, Checksums::AlreadyGood, Checksums::AlreadyBad] {
        let checked = check(before, &headers, checksums);
        if checked != Err(Fault::DestinationGroup) {
            prop_assert_eq!(packet.check(checksums), checked);
        }
    }
    let len = packet.payload().len();
    let reply_len = len - len / 3;
    let frame_len = packet.turn_around(reply_len);
    frame.truncate(frame_len);
    prop_assert_eq!(frame, turned(before, &headers, reply_len));
    Ok(true)
}

fn turned(frame: &[u8], headers: &Headers, payload_len: usize) -> Vec<u8> {
    let mut reply = frame.to_vec();
    let length = turn_around(&mut reply, headers, payload_len);
    reply.truncate(length);
    reply
}

proptest! {
    #[test]
    fn plain_packets_are_what_they_are_to_the_others(frame in prop_oneof![damaged(), built().prop_map(|(_, _, frame)| frame)]) {
        for len in [None, Some(48), Some(frame.len().saturating_sub(42)), Some(frame.len().saturating_sub(62))] {
            plain_agrees::<Ipv4>(&frame, len)?;
            plain_agrees::<Ipv6>(&frame, len)?;
        }
    }

    #[test]
    fn checksum_is_the_defined_one(data in vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(checksum(&data), !slow_sum(&data));
    }

    #[test]
    fn checksum_of_extremes(length in 0..2000_usize, value in prop_oneof![Just(0), Just(0xff)]) {
        let data = vec![value; length];
        prop_assert_eq!(checksum(&data), !slow_sum(&data));
    }

    #[test]
    fn a_built_frame_is_read_back((addresses, payload, frame) in built()) {
        prop_assert!(is_right(&frame));
        let headers = classify(&frame).expect("a UDP frame");
        prop_assert_eq!(SocketAddr::new(headers.source, headers.source_port), addresses.source);
        prop_assert_eq!(SocketAddr::new(headers.destination, headers.destination_port), addresses.destination);
        prop_assert_eq!(&frame[headers.payload()], &payload[..]);
    }

    #[test]
    fn one_changed_bit_is_noticed((_, _, frame) in built(), bit in any::<prop::sample::Index>()) {
        let headers = classify(&frame).expect("a UDP frame");
        prop_assume!(check(&frame, &headers, Checksums::Verify).is_ok());
        // Both families are covered by a checksum from here on. Left out are the UDP length, which decides what is summed
        // up, and the one change that says that there is no checksum.
        let start = headers.payload().start;
        let bit = bit.index((frame.len() - 34) * 8) + 34 * 8;
        prop_assume!(!(start - 4..start - 2).contains(&(bit / 8)));
        let mut changed = frame.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        prop_assume!(changed[start - 2..start] != [0, 0]);
        let verdict = classify(&changed).map(|headers| check(&changed, &headers, Checksums::Verify));
        prop_assert!(matches!(verdict, Some(Err(_))), "{verdict:?}");
    }

    #[test]
    fn a_reply_goes_back_and_its_checksums_are_right(
        (addresses, _, frame) in built(), payload_len in 0..400_usize, room in 0..100_usize,
    ) {
        let headers = classify(&frame).expect("a UDP frame");
        let buffer = [frame.clone(), vec![0x5a; room]].concat();
        let reply = turned(&buffer, &headers, payload_len);
        let fits = payload_len.min(buffer.len() - headers.payload().start);
        prop_assert_eq!(reply.len(), headers.payload().start + fits);
        prop_assert!(is_right(&reply));

        let back = classify(&reply).expect("a UDP frame");
        prop_assert_eq!(SocketAddr::new(back.source, back.source_port), addresses.destination);
        prop_assert_eq!(SocketAddr::new(back.destination, back.destination_port), addresses.source);
        prop_assert_eq!(&reply[..6], &addresses.source_mac[..]);
        prop_assert_eq!(&reply[6..12], &addresses.destination_mac[..]);
        prop_assert_eq!(&reply[back.payload()], &buffer[headers.payload().start..][..fits]);

        let again = turned(&reply, &back, fits);
        let same = classify(&again).expect("a UDP frame");
        prop_assert_eq!(SocketAddr::new(same.source, same.source_port), addresses.source);
        prop_assert_eq!(SocketAddr::new(same.destination, same.destination_port), addresses.destination);
    }

    #[test]
    fn what_is_good_stays_good_when_turned(frame in damaged()) {
        let Some(headers) = classify(&frame) else { return Ok(()) };
        let verdict = check(&frame, &headers, Checksums::Verify);
        prop_assert!(headers.payload().end <= frame.len());
        let reply = turned(&frame, &headers, headers.payload().len());
        if verdict.is_ok() {
            let back = classify(&reply).expect("a UDP frame");
            prop_assert_eq!(check(&reply, &back, Checksums::Verify), Ok(()));
            prop_assert_eq!((back.vlan, back.tags), (headers.vlan, headers.tags));
            prop_assert_eq!((back.source, back.source_port), (headers.destination, headers.destination_port));
        }
    }

    #[test]
    fn no_bytes_are_too_strange(
        bytes in vec(any::<u8>(), 0..200), kind in 0..6_usize, payload_len in prop_oneof![0..300_usize, Just(usize::MAX)],
        other in vec(any::<u8>(), 0..200),
    ) {
        let mut frame = bytes;
        let starts: [(usize, &[u8]); 6] = [
            (0, &[]),
            (12, &[0x08, 0x00, 0x45]),
            (12, &[0x08, 0x00, 0x4f]),
            (12, &[0x86, 0xdd, 0x60]),
            (12, &[0x81, 0x00, 0x00, 0x01, 0x08, 0x00, 0x45]),
            (12, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 80, 0, 0]),
        ];
        let (at, start) = starts[kind];
        if let Some(place) = frame.get_mut(at..at + start.len()) {
            place.copy_from_slice(start);
        }
        for (at, protocol) in [(23, 17), (27, 17)] {
            if let Some(place) = frame.get_mut(at) { *place = protocol; }
        }
        if let Some(headers) = classify(&frame) {
            for checksums in [Checksums::Verify, Checksums::AlreadyGood, Checksums::AlreadyBad] {
                // Headers of one frame with the bytes of another are a caller's mistake, not a reason to panic.
                let _ = check(&frame, &headers, checksums);
                let _ = check(&other, &headers, checksums);
            }
            prop_assert!(turned(&frame, &headers, payload_len).len() <= frame.len());
            prop_assert!(turned(&other, &headers, payload_len).len() <= other.len());
        }
    }
}

#[test]
fn a_reply_without_a_checksum_in_the_request_has_one() {
    let addresses = UdpFrame {
        source_mac: [2; 6],
        destination_mac: [4; 6],
        source: "10.77.0.2:123".parse().expect("an address"),
        destination: "10.77.0.1:123".parse().expect("an address"),
    };
    let mut buffer = [0; 90];
    assert_eq!(addresses.write(&[0x11; 48], &mut buffer), 90);
    buffer[40..42].fill(0);
    let headers = classify(&buffer).expect("a UDP frame");
    assert_eq!(turn_around(&mut buffer, &headers, 48), 90);
    assert_ne!(buffer[40..42], [0, 0]);
    assert!(is_right(&buffer));
    assert_eq!(buffer[22], 64, "time to live");
}

#[test]
fn a_sum_of_zero_is_sent_as_its_other_form() {
    let addresses = UdpFrame {
        source_mac: [2; 6],
        destination_mac: [4; 6],
        source: "10.77.0.2:123".parse().expect("an address"),
        destination: "10.77.0.1:123".parse().expect("an address"),
    };
    let mut buffer = [0; 64];
    let length = addresses.write(&[0, 0], &mut buffer);
    // A payload that is the complement of the rest of the sum: the old checksum.
    let rest = [buffer[40], buffer[41]];
    assert_eq!(addresses.write(&rest, &mut buffer), length);
    assert_eq!(buffer[40..42], [0xff, 0xff]);
    assert!(is_right(&buffer));
}

#[test]
fn two_families_and_short_buffers_are_refused() {
    let mut addresses = UdpFrame {
        source_mac: [2; 6],
        destination_mac: [4; 6],
        source: "10.77.0.2:123".parse().expect("an address"),
        destination: "10.77.0.1:123".parse().expect("an address"),
    };
    assert_eq!(addresses.write(&[0; 48], &mut [0; 89]), 0);
    assert_eq!(addresses.write(&vec![0; 70_000], &mut vec![0; 80_000]), 0);
    addresses.source = "[fd77::1]:123".parse().expect("an address");
    assert_eq!(addresses.write(&[0; 48], &mut [0; 200]), 0);
}

#[test]
fn the_usual_packet_is_plain() {
    for (source, destination) in [("10.77.0.2:40000", "10.77.0.1:123"), ("[fd77::2]:40000", "[fd77::1]:123")] {
        let addresses = UdpFrame {
            source_mac: [2; 6],
            destination_mac: [4; 6],
            source: source.parse().expect("an address"),
            destination: destination.parse().expect("an address"),
        };
        let mut buffer = [0; 120];
        let length = addresses.write(&[0x23; 48], &mut buffer);
        for len in [None, Some(48)] {
            let is_ipv4 = plain_agrees::<Ipv4>(&buffer[..length], len).expect("agreement");
            let is_ipv6 = plain_agrees::<Ipv6>(&buffer[..length], len).expect("agreement");
            assert_eq!((is_ipv4, is_ipv6), (addresses.source.is_ipv4(), addresses.source.is_ipv6()));
        }
        assert!(!plain_agrees::<Ipv4>(&buffer[..length], Some(47)).expect("agreement"));
    }
}

proptest! {
    /// What an envelope makes is what the builder of whole frames makes, but for the hop limit, wherever the payload lay.
    #[test]
    fn an_envelope_makes_the_frame_that_is_built(
        (addresses, payload, built) in built(), lies_at in 0..200_usize, hop_limit: u8, redirected: bool,
    ) {
        let link = (addresses.source_mac, addresses.destination_mac);
        let envelope = if redirected {
            let sender = Envelope::udp((link.0, [0; 6]), None, addresses.source, addresses.destination, hop_limit);
            let other = SocketAddr::new(addresses.source.ip(), addresses.destination.port());
            let from_itself = Envelope::udp((link.0, [0; 6]), None, addresses.source, other, hop_limit);
            let (sender, from_itself) = (sender.expect("one family"), from_itself.expect("one family"));
            prop_assert_eq!(
                sender.redirected(link.1, addresses.destination.ip()),
                from_itself.clone().redirected(link.1, addresses.destination.ip())
            );
            from_itself.redirected(link.1, addresses.destination.ip())
        } else {
            Envelope::udp(link, None, addresses.source, addresses.destination, hop_limit)
        };
        let envelope = envelope.expect("one family");
        let mut buffer = vec![0x5a; 600];
        buffer[lies_at..lies_at + payload.len()].copy_from_slice(&payload);
        let length = envelope.wrap(&mut buffer, lies_at..lies_at + payload.len());
        let frame = &buffer[..length];
        prop_assert!(is_right(frame));
        let (mut ours, mut expected) = (frame.to_vec(), built);
        if ours[12..14] == [0x08, 0x00] {
            for frame in [&mut ours, &mut expected] {
                frame[22] = 0;
                frame[24..26].fill(0);
            }
        } else {
            (ours[21], expected[21]) = (0, 0);
        }
        prop_assert_eq!(ours, expected);
    }

    #[test]
    fn an_envelope_carries_its_tag(
        (addresses, payload, built) in built(), vlan in 0..4096_u16,
    ) {
        let link = (addresses.source_mac, addresses.destination_mac);
        let envelope = Envelope::udp(link, Some(vlan), addresses.source, addresses.destination, 64).expect("one family");
        let mut buffer = vec![0; 400];
        let start = envelope.header_len();
        buffer[start..start + payload.len()].copy_from_slice(&payload);
        let length = envelope.wrap(&mut buffer, start..start + payload.len());
        let mut tagged = built;
        let [high, low] = vlan.to_be_bytes();
        tagged.splice(12..12, [0x81, 0x00, high, low]);
        prop_assert_eq!(&buffer[..length], &tagged[..]);
        let carried = ethernet(&tagged).expect("an Ethernet header");
        prop_assert_eq!((carried.vlan, carried.payload), ((vlan != 0).then_some(vlan), 18));
    }

    #[test]
    fn an_envelope_writes_nothing_that_does_not_fit(room in 0..200_usize, from in 0..200_usize, len in 0..200_usize) {
        let ends = (SocketAddr::from(([10, 0, 0, 1], 319)), SocketAddr::from(([10, 0, 0, 2], 319)));
        for envelope in [
            Envelope::ethernet([2; 6], [4; 6], None, 0x88f7),
            Envelope::ethernet([2; 6], [4; 6], Some(7), 0x88f7),
            Envelope::udp(([2; 6], [4; 6]), None, ends.0, ends.1, 1).expect("one family"),
        ] {
            let mut buffer = vec![7; room];
            let fits = from + len <= room && envelope.header_len() + len <= room;
            let expected = if fits { envelope.header_len() + len } else { 0 };
            prop_assert_eq!(envelope.wrap(&mut buffer, from..from + len), expected);
            if !fits {
                prop_assert_eq!(buffer, vec![7; room]);
            }
        }
    }

    #[test]
    fn only_the_group_is_forgiven(frame in damaged()) {
        if let Some(headers) = classify(&frame) {
            for checksums in [Checksums::Verify, Checksums::AlreadyGood, Checksums::AlreadyBad] {
                let (strict, forgiving) = (check(&frame, &headers, checksums), check_to_group(&frame, &headers, checksums));
                if strict == Err(Fault::DestinationGroup) {
                    prop_assert_ne!(forgiving, strict);
                } else {
                    prop_assert_eq!(forgiving, strict);
                }
            }
            let (mut copy, len) = (frame.clone(), headers.payload().len());
            let plain = Plain::<Ipv4>::to_group_with_payload(&mut copy, len).map(|packet| packet.check(Checksums::Verify));
            let mut copy = frame.clone();
            let plain = plain.or_else(|| {
                Plain::<Ipv6>::to_group_with_payload(&mut copy, len).map(|packet| packet.check(Checksums::Verify))
            });
            if let Some(plain) = plain {
                prop_assert_eq!(plain, check_to_group(&frame, &headers, Checksums::Verify));
            }
        }
    }

    #[test]
    fn the_link_layer_is_read_of_any_frame(frame in prop_oneof![damaged(), vec(any::<u8>(), 0..80)]) {
        let Some(header) = ethernet(&frame) else { return Ok(()) };
        prop_assert!(header.payload <= frame.len());
        prop_assert_eq!(&frame[..6], &header.destination[..]);
        prop_assert_eq!(&frame[6..12], &header.source[..]);
        prop_assert_eq!(header.link_destination == LinkDestination::Unicast, header.destination[0] & 1 == 0);
        prop_assert_eq!(&frame[header.payload - 2..header.payload], &header.ethertype.to_be_bytes()[..]);
        if header.source[0] & 1 != 0 {
            prop_assert!(matches!(header.fault, Some(Fault::SourceGroup | Fault::StackedVlan)));
        }
    }
}
