//! The TAP interface. Needs root.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod network;

use network::Namespace;
use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_nic_kernel::{Tap, TapError, TapOptions};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const MAC: [u8; 6] = [2, 0x5d, 0, 0, 0, 1];
const PEER: [u8; 6] = [2, 0x5d, 0, 0, 0, 2];
const BROADCAST: [u8; 6] = [0xff; 6];

fn options() -> TapOptions {
    TapOptions {
        name: "sd-tap0".into(),
        mac: MAC,
        mtu: 1400,
        addresses: vec![("10.77.0.1".parse().unwrap(), 24), ("fd77::1".parse().unwrap(), 64)],
    }
}

/// The next frame that fits, among those the kernel sends of its own.
#[track_caller]
fn read(tap: &mut Tap, fits: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(3);
    let mut buffer = [0; 2048];
    while Instant::now() < end {
        match tap.read_frame(&mut buffer).unwrap() {
            Some(len) if fits(&buffer[..len]) => return buffer[..len].to_vec(),
            Some(_) => {}
            None => {
                poll(&mut [PollFd::readable(tap.as_fd())], Some(Duration::from_millis(100))).unwrap();
            }
        }
    }
    panic!("no such frame came");
}

#[test]
fn the_interface_is_as_asked_and_goes_when_dropped() {
    let namespace = Namespace::new();
    let tap = namespace.enter(|| Tap::open(&options()).unwrap());
    let link = namespace.ip("-o link show sd-tap0");
    for part in ["mtu 1400", "link/ether 02:5d:00:00:00:01", "UP"] {
        assert!(link.contains(part), "{part}: {link}");
    }
    let addresses = namespace.ip("-o addr show sd-tap0");
    for part in ["inet 10.77.0.1/24", "inet6 fd77::1/64 scope global nodad"] {
        assert!(addresses.contains(part), "{part}: {addresses}");
    }
    assert!(!addresses.contains("fd77::1/64 scope global tentative"), "{addresses}");
    drop(tap);
    assert!(!namespace.ip("-o link show").contains("sd-tap0"));
}

#[test]
fn the_kernel_answers_what_is_written() {
    let namespace = Namespace::new();
    let mut tap = namespace.enter(|| Tap::open(&options()).unwrap());
    // ARP (RFC 826): who has 10.77.0.1? Tell 10.77.0.2.
    let mut request = [&BROADCAST[..], &PEER, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &PEER, &[10, 77, 0, 2]].concat();
    request.extend([0; 6]);
    request.extend([10, 77, 0, 1]);
    assert!(tap.write_frame(&request).unwrap());
    let reply = read(&mut tap, |frame| frame[12..14] == [8, 6] && frame[20..22] == [0, 2]);
    assert_eq!(reply[..12], [PEER, MAC].concat());
    assert_eq!(reply[22..32], [&MAC[..], &[10, 77, 0, 1]].concat());
}

#[test]
fn what_the_kernel_sends_has_its_checksum() {
    let namespace = Namespace::new();
    let mut tap = namespace.enter(|| Tap::open(&options()).unwrap());
    namespace.ip("neigh add 10.77.0.2 lladdr 02:5d:00:00:00:02 dev sd-tap0");
    namespace.enter(|| UdpSocket::bind("10.77.0.1:0").unwrap().send_to(b"odd", "10.77.0.2:9").unwrap());
    let frame = read(&mut tap, |frame| frame[12..14] == [8, 0] && frame[23] == 17);
    assert_eq!(frame[..12], [PEER, MAC].concat());
    // RFC 768: pseudo header (addresses, protocol, length), header and payload sum up to all ones.
    let mut summed = [&frame[26..34], &[0, 17], &frame[38..40], &frame[34..]].concat();
    summed.resize(summed.len().next_multiple_of(2), 0);
    let sum: u32 = summed.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "checksum offload must be off");
}

#[test]
fn what_cannot_be_made_says_why() {
    for name in ["", ".", "with space", "with/slash", "sixteen-bytes-xx"] {
        let error = Tap::open(&TapOptions { name: name.into(), ..options() }).unwrap_err();
        assert!(matches!(error, TapError::Name(_)), "{name:?}: {error}");
    }
    let namespace = Namespace::new();
    let _tap = namespace.enter(|| Tap::open(&options()).unwrap());
    let taken = namespace.enter(|| Tap::open(&options()).unwrap_err());
    assert!(matches!(taken, TapError::Taken(_)), "{taken}");
    let lo = namespace.enter(|| Tap::open(&TapOptions { name: "lo".into(), ..options() }).unwrap_err());
    assert!(matches!(lo, TapError::Taken(_)), "{lo}");
    let wrong = TapOptions { name: "sd-tap1".into(), addresses: vec![("10.77.1.1".parse().unwrap(), 33)], ..options() };
    let error = namespace.enter(|| Tap::open(&wrong).unwrap_err());
    assert!(matches!(error, TapError::Address { prefix: 33, .. }), "{error}");
}
