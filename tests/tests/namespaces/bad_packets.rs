//! What is wrong is dropped, counted under its name, and stops nothing.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use sidereal_tests::{
    CLIENT_IPV4, CLIENT_IPV6, CLIENT_MAC, Capture, FrameSocket, Net, Options, Result, SERVER_IPV4, SERVER_IPV6,
    SERVER_MAC, Sidereal, Transport, until_some,
};
use sidereal_wire::build::UdpFrame;
use sidereal_wire::checksum;

use crate::request::{exchange, request, socket};

const DEADLINE: Duration = Duration::from_secs(10);
const NTP_PORT: u16 = 123;
const CLIENT_PORT: u16 = 40000;

/// Where things stand in an untagged IPv4 frame without options, and in an IPv6 one.
const IPV4: usize = 14;
const IPV4_LENGTH: usize = IPV4 + 2;
const IPV4_CHECKSUM: usize = IPV4 + 10;
const IPV4_UDP: usize = IPV4 + 20;
const IPV6_NEXT_HEADER: usize = 14 + 6;
const IPV6_UDP: usize = 14 + 40;

/// A frame to the server's NTP port, and the name under which it is dropped.
type Case = (&'static str, Vec<u8>);

#[test]
fn bad_frames_are_counted_over_dpdk() -> Result<()> {
    Net::run("bad-frames", Transport::Dpdk.link(), |net| {
        let server = Sidereal::start(net, &Options::new(Transport::Dpdk))?;
        let capture = Capture::start(net.client())?;
        let frames = FrameSocket::open(net.client())?;
        for (reason, frame) in bad_frames().into_iter().chain(bad_messages().into_iter().map(framed)) {
            let before = server.status()?;
            frames.send(&frame)?;
            until_some(&format!("a drop as {reason}"), DEADLINE, || {
                let after = server.status().map_err(|error| error.to_string())?;
                let counted = after.drops(reason) == before.drops(reason) + 1;
                if counted && after.all_drops() == before.all_drops() + 1 { Ok(()) } else { Err(after.to_string()) }
            })?;
        }
        let good = exchange(&socket(net.client(), CLIENT_IPV4.into())?, &request())?;
        assert!(good.is_some(), "no answer after the bad frames");
        let recording = capture.stop()?;
        let replies =
            recording.count(&format!("eth.src == {} && udp.srcport == {NTP_PORT} && !icmp", colons(SERVER_MAC)))?;
        assert_eq!(replies, 1, "only the good request is answered");
        assert_eq!(recording.count("icmp.type == 3")?, 0, "the kernel saw none of them");
        server.stop()
    })
}

#[test]
fn bad_messages_are_counted_over_kernel_sockets() -> Result<()> {
    bad_messages_are_counted(Transport::Kernel)
}

#[test]
fn bad_messages_are_counted_in_single_mode() -> Result<()> {
    bad_messages_are_counted(Transport::Single)
}

fn bad_messages_are_counted(transport: Transport) -> Result<()> {
    Net::run("bad-messages", transport.link(), |net| {
        let server = Sidereal::start(net, &Options::new(transport))?;
        let client = socket(net.client(), CLIENT_IPV4.into())?;
        // Longer than a frame: the kernel puts it together again.
        let too_long = ("ntp_too_long", vec![0x23; 3000]);
        for (reason, message) in bad_messages().into_iter().chain([too_long]) {
            let before = server.status()?.drops(reason);
            client.send(&message).map_err(sidereal_tests::Error::io("send"))?;
            until_some(&format!("a drop as {reason}"), DEADLINE, || {
                let status = server.status().map_err(|error| error.to_string())?;
                if status.drops(reason) == before + 1 { Ok(()) } else { Err(status.to_string()) }
            })?;
        }
        assert!(exchange(&client, &request())?.is_some(), "no answer after the bad messages");
        assert_eq!(server.status()?.all_replies(), 1);
        server.stop()
    })
}

/// Requests that are wrong above UDP.
fn bad_messages() -> Vec<Case> {
    let first_byte = |byte: u8| {
        let mut message = request();
        message[0] = byte;
        message.to_vec()
    };
    let followed_by = |tail: &[u8]| [&request()[..], tail].concat();
    let mut unknown_key = vec![0; 20];
    unknown_key[3] = 99;
    // An extension field that says 0x104 bytes in a message that has 28 left for it.
    let mut long_field = vec![0; 28];
    long_field[..4].copy_from_slice(&[0x04, 0x04, 0x01, 0x04]);
    vec![
        ("ntp_too_short", request()[..47].to_vec()),
        ("ntp_unknown_version", first_byte(0x03)),
        ("ntp_unknown_version", first_byte(0x2b)),
        ("ntp_unknown_version", first_byte(0x3b)),
        ("ntp_reserved_mode", first_byte(0x20)),
        ("ntp_symmetric_unauthenticated", first_byte(0x21)),
        ("ntp_symmetric_passive", first_byte(0x22)),
        ("ntp_response", first_byte(0x24)),
        ("ntp_broadcast", first_byte(0x25)),
        ("ntp_control", first_byte(0x26)),
        ("ntp_private", first_byte(0x27)),
        ("ntp_mac_length", followed_by(&[0; 5])),
        ("ntp_crypto_nak", followed_by(&[0; 4])),
        ("ntp_unknown_key", followed_by(&unknown_key)),
        ("ntp_extension_field_length", followed_by(&long_field)),
    ]
}

/// Requests that are wrong below NTP.
fn bad_frames() -> Vec<Case> {
    let v4 = |source: Ipv4Addr, port: u16, destination: Ipv4Addr| {
        frame(SocketAddr::new(source.into(), port), IpAddr::V4(destination), &request())
    };
    let v6 = |source: Ipv6Addr| frame(SocketAddr::new(source.into(), CLIENT_PORT), SERVER_IPV6.into(), &request());
    let good = v4(CLIENT_IPV4, CLIENT_PORT, SERVER_IPV4);
    let good_v6 = v6(CLIENT_IPV6);
    // `bytes` at `at` of the good frame, its IPv4 header checksum made good again.
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = good.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        seal_ipv4(frame)
    };

    let mut header_checksum = good.clone();
    header_checksum[IPV4_CHECKSUM] ^= 0x55;
    let mut udp_checksum = good.clone();
    udp_checksum[IPV4_UDP + 8 + 40] ^= 0x55;
    let mut no_checksum_v6 = good_v6.clone();
    no_checksum_v6[IPV6_UDP + 6..IPV6_UDP + 8].fill(0);
    let mut udp_checksum_v6 = good_v6.clone();
    udp_checksum_v6[IPV6_UDP + 8 + 40] ^= 0x55;
    // Four bytes of no-operation options: a header of six words.
    let mut options = good.clone();
    options.splice(IPV4_UDP..IPV4_UDP, [1; 4]);
    options[IPV4] = 0x46;
    options[IPV4_LENGTH + 1] += 4;
    // A destination options header with padding only.
    let mut extension_v6 = good_v6.clone();
    extension_v6.splice(IPV6_UDP..IPV6_UDP, [17, 0, 1, 4, 0, 0, 0, 0]);
    extension_v6[IPV6_NEXT_HEADER] = 60;
    extension_v6[14 + 5] += 8;
    // A fragment header: offset 0, more to come. IPv4 fragments never reach net_af_packet: its socket reassembles them.
    let mut fragment_v6 = good_v6;
    fragment_v6.splice(IPV6_UDP..IPV6_UDP, [17, 0, 0, 1, 0, 0, 0, 7]);
    fragment_v6[IPV6_NEXT_HEADER] = 44;
    fragment_v6[14 + 5] += 8;
    // Two tags of 802.1Q before the EtherType; the outer one has a priority and no VLAN, and is welcome alone.
    let mut stacked = good.clone();
    stacked.splice(12..12, [0x81, 0, 0x20, 0, 0x81, 0, 0, 6]);
    let mut broadcast_mac = good.clone();
    broadcast_mac[..6].fill(0xff);

    vec![
        ("ipv4_header_checksum", header_checksum),
        ("udp_checksum", udp_checksum),
        ("udp_checksum", udp_checksum_v6),
        ("missing_udp_checksum", no_checksum_v6),
        ("ipv4_options", seal_ipv4(options)),
        ("ipv6_extension_header", extension_v6),
        ("stacked_vlan", stacked),
        ("first_fragment", fragment_v6),
        ("truncated_frame", with(IPV4_LENGTH, &[0x01, 0x00])),
        ("ip_length", with(IPV4_LENGTH, &[0, 24])),
        ("udp_length", with(IPV4_UDP + 4, &[0, 7])),
        ("udp_length", with(IPV4_UDP + 4, &[0x04, 0x00])),
        ("source_port_zero", v4(CLIENT_IPV4, 0, SERVER_IPV4)),
        ("source_group", v4(Ipv4Addr::new(224, 0, 1, 1), CLIENT_PORT, SERVER_IPV4)),
        ("source_group", v4(Ipv4Addr::BROADCAST, CLIENT_PORT, SERVER_IPV4)),
        ("source_group", v4(Ipv4Addr::LOCALHOST, CLIENT_PORT, SERVER_IPV4)),
        ("source_group", v6(Ipv6Addr::UNSPECIFIED)),
        ("destination_group", v4(CLIENT_IPV4, CLIENT_PORT, Ipv4Addr::new(224, 0, 1, 1))),
        ("destination_group", v4(CLIENT_IPV4, CLIENT_PORT, Ipv4Addr::BROADCAST)),
        ("destination_group", broadcast_mac),
        ("own_address", v4(SERVER_IPV4, CLIENT_PORT, SERVER_IPV4)),
        ("own_address", v6(SERVER_IPV6)),
    ]
}

fn framed((reason, message): Case) -> Case {
    (reason, frame(SocketAddr::new(CLIENT_IPV4.into(), CLIENT_PORT), SERVER_IPV4.into(), &message))
}

fn frame(source: SocketAddr, destination: IpAddr, message: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 1600];
    let destination = SocketAddr::new(destination, NTP_PORT);
    let len = UdpFrame { source_mac: CLIENT_MAC, destination_mac: SERVER_MAC, source, destination }
        .write(message, &mut buffer);
    buffer.truncate(len);
    buffer
}

/// Writes the right header checksum into an untagged IPv4 frame.
fn seal_ipv4(mut frame: Vec<u8>) -> Vec<u8> {
    let header = usize::from(frame[IPV4] & 0xf) * 4;
    frame[IPV4_CHECKSUM..IPV4_CHECKSUM + 2].fill(0);
    let sum = checksum(&frame[IPV4..IPV4 + header]);
    frame[IPV4_CHECKSUM..IPV4_CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn colons(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
