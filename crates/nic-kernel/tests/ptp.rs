//! The sockets of PTP Ports, on two ends of a link: groups and unicast, both stamps, and when there is nothing to speak by.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod network;

use network::Namespace;
use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_nic_kernel::{Beside, PtpDatagram, PtpError, PtpLink, PtpSocket, Timestamping, hardware_address};
use sidereal_ptp::{Address, Destination, MessageClass, Transport};
use sidereal_time::{Counter, Stamp, StampSource, TxStamp, TxToken};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(3);
/// How long nothing has to come.
const QUIET: Duration = Duration::from_millis(50);
const ALL: [Transport; 3] = [Transport::UdpIpv4, Transport::UdpIpv6, Transport::Ethernet];
const CLASSES: [MessageClass; 2] = [MessageClass::Event, MessageClass::General];
const GROUPS: [Destination; 2] = [Destination::Primary, Destination::PeerDelay];

/// Two namespaces on one link.
fn link() -> (Namespace, Namespace) {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    (here, there)
}

fn open(namespace: &Namespace, transport: Transport, beside: Beside) -> PtpSocket {
    namespace.enter(|| PtpSocket::open("veth0", transport, beside, Timestamping::Software)).unwrap()
}

/// The address by which messages of `number`'s side come.
fn address(namespace: &Namespace, transport: Transport, number: u8) -> Address {
    match transport {
        Transport::UdpIpv4 => Address::Ip([10, 77, 0, number].into()),
        Transport::UdpIpv6 => Address::Ip(format!("fd77::{number}").parse().unwrap()),
        Transport::Ethernet => Address::Link(namespace.enter(|| hardware_address("veth0")).unwrap()),
    }
}

/// Waits for a descriptor of `socket`: each that is ready, with whether it can be read and whether it has a notice.
fn wait(socket: &PtpSocket, at_most: Duration) -> Vec<(usize, bool, bool)> {
    let mut fds: Vec<PollFd<'_>> = socket.descriptors().map(PollFd::readable).collect();
    poll(&mut fds, Some(at_most)).unwrap();
    fds.iter()
        .enumerate()
        .filter(|(_, fd)| fd.is_ready())
        .map(|(place, fd)| (place, fd.is_readable(), fd.has_error()))
        .collect()
}

/// The next message that comes within `within`.
fn receive(socket: &mut PtpSocket, within: Duration) -> Option<(Vec<u8>, PtpDatagram)> {
    let end = Instant::now() + within;
    let mut buffer = [0; 200];
    loop {
        for (place, ..) in wait(socket, end.saturating_duration_since(Instant::now())) {
            if let Some(received) = socket.receive(place, &mut buffer).unwrap() {
                return Some((buffer.get(..received.len).unwrap().to_vec(), received));
            }
        }
        if Instant::now() >= end {
            return None;
        }
    }
}

/// The next token that is answered.
fn next_stamp(socket: &mut PtpSocket) -> (u64, TxStamp) {
    let end = Instant::now() + TIMEOUT;
    loop {
        if let Some((token, stamp)) = socket.poll_stamp() {
            return (token.redeem(), stamp);
        }
        assert!(Instant::now() < end, "the token never comes back");
        for (place, _, error) in wait(socket, Duration::from_millis(5)) {
            if error {
                socket.read_notice(place);
            }
        }
    }
}

fn system_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

/// That a stamp is of the kernel, between two times.
fn assert_stamp(stamp: Stamp, [after, before]: [u64; 2]) {
    assert_eq!((stamp.counter, stamp.source), (Counter::Realtime, StampSource::Kernel));
    assert!((after..=before).contains(&stamp.ticks.0), "{stamp:?} is not in {after}..={before}");
}

/// The kernel begins to stamp what comes a moment after it was first asked to: until it does.
fn warm_up(from: &mut PtpSocket, to: &mut PtpSocket) {
    let end = Instant::now() + TIMEOUT;
    loop {
        // Not all of an interface comes up at once.
        let _ = from.send(MessageClass::Event, Destination::Primary, b"warm", None);
        if receive(to, QUIET).is_some_and(|(_, received)| received.stamp.is_some()) {
            return;
        }
        assert!(Instant::now() < end, "nothing comes, or never with a stamp");
    }
}

#[test]
fn groups_and_single_ports_are_reached_with_the_times_of_both_ways() {
    let (here, there) = link();
    for transport in ALL {
        let (mut ours, mut theirs) = (open(&here, transport, Beside::Nobody), open(&there, transport, Beside::Nobody));
        let (our_address, their_address) = (address(&here, transport, 1), address(&there, transport, 2));
        warm_up(&mut ours, &mut theirs);
        let mut key = 0;
        for to in [GROUPS[0], GROUPS[1], Destination::Unicast(their_address)] {
            for class in CLASSES {
                key += 1;
                let payload = [u8::try_from(key).unwrap(); 60];
                let begun = system_ns();
                ours.send(class, to, &payload, Some(TxToken::new(key))).unwrap();
                let (message, received) = receive(&mut theirs, TIMEOUT).unwrap();
                assert_eq!(message, payload, "{transport:?}, {to:?}");
                assert_eq!(received.from, our_address, "{transport:?}, {to:?}");
                assert_stamp(received.stamp.unwrap(), [begun, system_ns()]);
                let (returned, stamp) = next_stamp(&mut ours);
                let TxStamp::Stamped(sent) = stamp else { panic!("{transport:?}, {to:?}: {stamp:?}") };
                assert_eq!(returned, key);
                assert_stamp(sent, [begun, received.stamp.unwrap().ticks.0]);
                theirs.send(class, Destination::Unicast(received.from), b"answer", None).unwrap();
                assert_eq!(receive(&mut ours, TIMEOUT).unwrap().0.get(..6), Some(&b"answer"[..]));
            }
        }
        assert!(!ours.is_waiting() && receive(&mut ours, QUIET).is_none(), "our own messages do not come back");
    }
}

#[test]
fn each_class_has_its_udp_port_and_only_this_link_is_heard() {
    let (here, there) = link();
    here.ip("link add other type veth peer name peer");
    here.ip("addr add 10.78.0.1/24 dev other");
    here.ip("link set other up");
    here.ip("link set peer up");
    let mut ours = open(&here, Transport::UdpIpv4, Beside::Nobody);
    let (event, elsewhere) = there.enter(|| {
        let event = UdpSocket::bind(("10.77.0.2", 319)).unwrap();
        event.set_read_timeout(Some(TIMEOUT)).unwrap();
        (event, UdpSocket::bind(("10.77.0.2", 0)).unwrap())
    });
    let to = Destination::Unicast(Address::Ip([10, 77, 0, 2].into()));
    ours.send(MessageClass::General, to, b"general", None).unwrap();
    ours.send(MessageClass::Event, to, b"event", None).unwrap();
    let (len, from) = event.recv_from(&mut [0; 100]).unwrap();
    assert_eq!((len, from), (5, "10.77.0.1:319".parse().unwrap()), "the general one went elsewhere");
    // Whoever answers from another port is heard all the same (Annex C.2 sets the destination's).
    elsewhere.send_to(b"from elsewhere", "10.77.0.1:320").unwrap();
    assert_eq!(receive(&mut ours, TIMEOUT).unwrap().0, b"from elsewhere");
    let by_another = here.enter(|| UdpSocket::bind(("10.78.0.1", 0))).unwrap();
    by_another.send_to(b"by another interface", "10.78.0.1:319").unwrap();
    assert!(receive(&mut ours, QUIET).is_none());
}

#[test]
fn a_taken_port_is_refused_and_listeners_take_nothing_away() {
    let (here, there) = link();
    for transport in [Transport::UdpIpv4, Transport::UdpIpv6] {
        let mut ours = open(&here, transport, Beside::Nobody);
        let second = here.enter(|| PtpSocket::open("veth0", transport, Beside::Nobody, Timestamping::Software));
        assert!(matches!(second, Err(PtpError::Taken { port: 319, .. })), "{second:?}");
        let mut theirs = open(&there, transport, Beside::Nobody);
        let mut listener = open(&here, transport, Beside::Anybody);
        warm_up(&mut theirs, &mut listener);
        while receive(&mut ours, QUIET).is_some() {}
        for (to, listener_hears) in
            [(GROUPS[0], true), (GROUPS[1], true), (Destination::Unicast(address(&here, transport, 1)), false)]
        {
            for class in CLASSES {
                theirs.send(class, to, b"to whom", None).unwrap();
                assert!(receive(&mut ours, TIMEOUT).is_some(), "{transport:?}, {to:?}");
                assert_eq!(receive(&mut listener, QUIET).is_some(), listener_hears, "{transport:?}, {to:?}");
            }
        }
        listener.send(MessageClass::Event, Destination::Primary, b"asks", Some(TxToken::new(1))).unwrap();
        assert!(matches!(next_stamp(&mut listener), (1, TxStamp::Stamped(_))));
        let (_, asked) = receive(&mut theirs, TIMEOUT).unwrap();
        assert_eq!(asked.from, address(&here, transport, 1));
    }
}

#[test]
fn messages_to_groups_go_no_further_than_the_link() {
    let (here, there) = link();
    let capture = there.enter(|| {
        let socket = socket(libc::AF_PACKET, libc::SOCK_DGRAM, i32::from(0x0003_u16.to_be()));
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        socket
    });
    for (transport, at, version) in [(Transport::UdpIpv4, 8, 4), (Transport::UdpIpv6, 7, 6)] {
        let mut ours = open(&here, transport, Beside::Nobody);
        for to in GROUPS {
            ours.send(MessageClass::Event, to, b"no further", None).unwrap();
            let mut frame = [0; 200];
            // Neighbours and group reports are spoken of beside.
            let hops = loop {
                let len = capture.recv(&mut frame).unwrap();
                if frame[0] >> 4 == version && frame[..len].ends_with(b"no further") {
                    break frame[at];
                }
            };
            assert_eq!(hops, 1, "{transport:?}, {to:?}");
        }
    }
}

/// A socket of any kind, as the type that can receive with a timeout.
#[allow(unsafe_code, reason = "the standard library makes no packet sockets")]
fn socket(domain: i32, kind: i32, protocol: i32) -> UdpSocket {
    use std::os::fd::FromRawFd;
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::socket(domain, kind, protocol) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the descriptor is new, and nobody else has it.
    unsafe { UdpSocket::from_raw_fd(fd) }
}

#[test]
fn frames_of_other_vlans_are_not_ours() {
    let (here, there) = link();
    let mut ours = open(&here, Transport::Ethernet, Beside::Nobody);
    let mut theirs = open(&there, Transport::Ethernet, Beside::Nobody);
    warm_up(&mut theirs, &mut ours);
    let raw = there.enter(|| socket(libc::AF_PACKET, libc::SOCK_RAW, 0));
    let index = there.ip("-o link show veth0").split(':').next().unwrap().parse().unwrap();
    for (vlan, is_heard) in [(100_u16, false), (0, true)] {
        let mut frame = vec![0x01, 0x1b, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0x81, 0x00];
        frame.extend(vlan.to_be_bytes());
        frame.extend([0x88, 0xf7]);
        frame.extend([7; 46]);
        send_frame(&raw, index, &frame);
        let heard = receive(&mut ours, if is_heard { TIMEOUT } else { QUIET });
        assert_eq!(heard.is_some(), is_heard, "VLAN {vlan}");
    }
}

#[allow(unsafe_code, reason = "the standard library has no packet sockets")]
fn send_frame(socket: &UdpSocket, interface: i32, frame: &[u8]) {
    use std::os::fd::AsRawFd;
    // SAFETY: a socket address of zeros is an empty one.
    let mut name: libc::sockaddr_ll = unsafe { core::mem::zeroed() };
    name.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
    name.sll_ifindex = interface;
    let (pointer, len) = ((&raw const name).cast(), u32::try_from(size_of_val(&name)).unwrap());
    // SAFETY: both pointers are of values that live as long as the call, with their lengths.
    let sent = unsafe { libc::sendto(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, pointer, len) };
    assert!(sent > 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn what_cannot_be_is_named() {
    let (here, _there) = link();
    here.enter(|| {
        for transport in ALL {
            let missing = PtpSocket::open("no-such-link", transport, Beside::Nobody, Timestamping::Software);
            assert!(matches!(missing, Err(PtpError::NoSuchInterface(name)) if name == "no-such-link"));
        }
        for name in ["no-such-link", "far-too-long-for-an-interface", "", "zero\0byte"] {
            assert!(matches!(hardware_address(name), Err(PtpError::NoSuchInterface(named)) if named == name), "{name}");
        }
        let loopback = PtpSocket::open("lo", Transport::Ethernet, Beside::Nobody, Timestamping::Software);
        assert!(matches!(loopback, Err(PtpError::NotEthernet(name)) if name == "lo"));
        assert!(matches!(hardware_address("lo"), Err(PtpError::NotEthernet(_))));
    });
    // A destination of another transport, and a message that is too long: refused, and the token comes back.
    let (ip, link) = (Address::Ip([10, 77, 0, 2].into()), Address::Link([2; 6]));
    for (transport, other) in [(Transport::UdpIpv4, link), (Transport::UdpIpv6, ip), (Transport::Ethernet, ip)] {
        let mut ours = open(&here, transport, Beside::Nobody);
        for (to, payload, error) in [
            (Destination::Unicast(other), &[0; 44][..], libc::EAFNOSUPPORT),
            (Destination::Primary, &[0; 4000][..], libc::EMSGSIZE),
        ] {
            let refused = ours.send(MessageClass::Event, to, payload, Some(TxToken::new(5))).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(error), "{transport:?}: {refused}");
            assert_eq!(next_stamp(&mut ours), (5, TxStamp::Lost));
        }
    }
}

#[test]
fn a_link_that_goes_down_and_comes_back_is_spoken_by_again() {
    let (here, there) = link();
    for transport in ALL {
        let (mut ours, mut theirs) = (open(&here, transport, Beside::Nobody), open(&there, transport, Beside::Nobody));
        warm_up(&mut ours, &mut theirs);
        assert_eq!(here.enter(|| ours.link()), PtpLink::Up);
        here.ip("link set veth0 down");
        assert_eq!(here.enter(|| ours.link()), PtpLink::Down);
        // The other end learns of it a little later.
        let end = Instant::now() + TIMEOUT;
        while there.enter(|| theirs.link()) != PtpLink::Down {
            assert!(Instant::now() < end, "{transport:?}");
        }
        let _ = ours.send(MessageClass::Event, Destination::Primary, &[1; 44], Some(TxToken::new(1)));
        assert_eq!(next_stamp(&mut ours), (1, TxStamp::Lost), "{transport:?}");
        here.ip("link set veth0 up");
        let end = Instant::now() + TIMEOUT;
        let told = loop {
            let begun = system_ns();
            let sent = ours.send(MessageClass::Event, Destination::Primary, &[2; 44], Some(TxToken::new(2)));
            let told = next_stamp(&mut ours);
            if let (Ok(()), (2, TxStamp::Stamped(stamp))) = (sent, told) {
                break (stamp, begun);
            }
            assert!(Instant::now() < end, "{transport:?}: {told:?}");
        };
        assert_stamp(told.0, [told.1, system_ns()]);
        // Errors of the time without a link may be left to be read.
        let end = Instant::now() + TIMEOUT;
        while receive(&mut theirs, QUIET).is_none_or(|(message, _)| message.first() != Some(&2)) {
            assert!(Instant::now() < end, "{transport:?}");
        }
    }
    let ours = open(&here, Transport::UdpIpv4, Beside::Nobody);
    here.ip("link delete veth0");
    assert_eq!(here.enter(|| ours.link()), PtpLink::Gone);
    here.join(&there);
    assert_eq!(here.enter(|| ours.link()), PtpLink::Gone, "another one of that name");
}
