//! What the conformance suite does not know of: queues, addresses, failures of the network.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod network;

use network::Namespace;
use sidereal_nic::{Burst, Content, Flow, Packet, RxQueue, Sent, TxQueue};
use sidereal_nic_kernel::{Mode, OpenError, Timestamping, UdpOptions, UdpPacket, UdpPort, UdpRx, UdpTx};
use sidereal_time::{Counter, Stamp, StampSource, TxStamp, TxToken};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TIMEOUT: Duration = Duration::from_secs(3);

fn options(addresses: &[&str]) -> UdpOptions {
    UdpOptions {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        port: 0,
        interface: None,
        queues: NonZeroU16::MIN,
        shared: false,
        mode: Mode::Burst,
        timestamping: Timestamping::Software,
    }
}

fn open_one(addresses: &[&str]) -> (UdpRx, UdpTx, u16) {
    let port = UdpPort::open(&options(addresses)).unwrap();
    let (rx, tx) = port.queues.into_iter().next().unwrap();
    (rx, tx, port.port)
}

fn client(from: &str, server: &str, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((from.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.connect((server.parse::<IpAddr>().unwrap(), port)).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket
}

/// Receives until `count` packets are in the burst.
#[track_caller]
fn gather(rx: &mut UdpRx, count: usize) -> Burst<UdpPacket> {
    let mut burst = Burst::new();
    let end = Instant::now() + TIMEOUT;
    while burst.len() < count {
        assert!(Instant::now() < end, "{} of {count} packets came", burst.len());
        rx.wait(Duration::from_millis(10));
        rx.receive(&mut burst);
    }
    burst
}

fn flow(packet: &mut UdpPacket) -> Flow {
    match packet.content() {
        Content::Datagram { flow, .. } => flow,
        Content::Frame { .. } => panic!("a socket gives no frames"),
    }
}

#[track_caller]
fn next_stamp(tx: &mut UdpTx) -> (u64, TxStamp) {
    let end = Instant::now() + TIMEOUT;
    loop {
        if let Some((token, stamp)) = tx.poll_stamp() {
            return (token.redeem(), stamp);
        }
        assert!(Instant::now() < end, "no token comes back");
    }
}

fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[test]
fn replies_leave_from_the_address_that_was_asked() {
    let namespace = Namespace::new();
    namespace.add_ipv6("fd77::5", 128, "lo");
    namespace.add_ipv6("fd77::6", 128, "lo");
    namespace.enter(|| {
        let (mut rx, mut tx, port) = open_one(&["0.0.0.0", "::"]);
        for server in ["127.0.0.1", "127.0.0.77", "::1", "fd77::5", "fd77::6"] {
            let any = if server.contains(':') { "::" } else { "0.0.0.0" };
            // A connected socket hears only the address that it asked.
            let client = client(any, server, port);
            client.send(b"question").unwrap();
            let mut burst = gather(&mut rx, 1);
            let packet = burst.first_mut().unwrap();
            assert_eq!(flow(packet).destination, server.parse::<IpAddr>().unwrap());
            packet.reply(4, None);
            assert_eq!(tx.transmit(&mut burst), Sent { sent: 1, refused: 0 });
            let mut answer = [0; 16];
            assert_eq!(client.recv(&mut answer).unwrap(), 4, "from {server}");
            assert_eq!(&answer[..4], b"ques");
        }
    });
}

#[test]
fn a_directed_broadcast_is_told_as_one() {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    let (mut rx, mut tx, port) = here.enter(|| open_one(&["0.0.0.0"]));
    there.enter(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_broadcast(true).unwrap();
        for destination in ["10.77.0.255", "255.255.255.255"] {
            let _ = socket.send_to(b"to all", (destination.parse::<IpAddr>().unwrap(), port));
        }
        socket.send_to(b"to one", ("10.77.0.1".parse::<IpAddr>().unwrap(), port)).unwrap();
    });
    let mut burst = gather(&mut rx, 2);
    let destinations: Vec<IpAddr> = burst.iter_mut().map(|packet| flow(packet).destination).collect();
    let broadcast: IpAddr = "255.255.255.255".parse().unwrap();
    assert_eq!(destinations.first(), Some(&broadcast));
    assert_eq!(destinations.last(), Some(&"10.77.0.1".parse().unwrap()));
    tx.transmit(&mut burst);
}

#[test]
fn a_sender_always_meets_the_same_queue_and_senders_are_spread() {
    const QUEUES: u16 = 4;
    const SENDERS: u16 = 200;
    let namespace = Namespace::new();
    namespace.ip("route add local fd77::/64 dev lo");
    namespace.enter(|| {
        std::fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").unwrap();
        let options = UdpOptions { queues: NonZeroU16::new(QUEUES).unwrap(), ..options(&["127.0.0.1", "::1"]) };
        let mut port = UdpPort::open(&options).unwrap();
        assert!(port.capabilities.spread_by_address);
        for server in ["127.0.0.1", "::1"] {
            let mut met = [0; QUEUES as usize];
            for sender in 1..=SENDERS {
                let address = if server == "::1" { format!("fd77::{sender:x}") } else { format!("127.0.2.{sender}") };
                for _ in 0..3 {
                    // Each time from another port.
                    client(&address, server, port.port).send(b"question").unwrap();
                }
                let mut count = 0;
                for (queue, (rx, tx)) in port.queues.iter_mut().enumerate() {
                    let mut burst = Burst::new();
                    if rx.receive(&mut burst) == 0 {
                        continue;
                    }
                    assert_eq!(burst.len(), 3, "{address} met more than one queue");
                    met[queue] += 1;
                    count += 1;
                    tx.transmit(&mut burst);
                }
                assert_eq!(count, 1);
            }
            // A quarter each, within what chance may do.
            assert!(met.iter().all(|met| (25..=80).contains(met)), "{server}: {met:?}");
        }
    });
}

#[test]
fn what_cannot_be_opened_says_why() {
    let (_rx, _tx, port) = open_one(&["127.0.0.1"]);
    for queues in [1, 2] {
        let queues = NonZeroU16::new(queues).unwrap();
        let taken = UdpPort::open(&UdpOptions { port, queues, ..options(&["127.0.0.1"]) });
        assert!(matches!(taken, Err(OpenError::Taken(address)) if address.port() == port), "{taken:?}");
    }
    let shared = UdpPort::open(&UdpOptions { queues: NonZeroU16::new(2).unwrap(), ..options(&["127.0.0.1"]) }).unwrap();
    let second = UdpPort::open(&UdpOptions {
        port: shared.port,
        queues: NonZeroU16::new(2).unwrap(),
        ..options(&["127.0.0.1"])
    });
    assert!(matches!(second, Err(OpenError::Taken(_))), "queues must not be shared with another instance: {second:?}");
    let nowhere = UdpPort::open(&options(&["192.0.2.1"]));
    assert!(matches!(nowhere, Err(OpenError::NoSuchAddress(_))), "{nowhere:?}");
    let nothing = UdpPort::open(&options(&[]));
    assert!(matches!(nothing, Err(OpenError::NoAddress)), "{nothing:?}");
    for interface in ["sd-absent0", "with\0zero"] {
        let absent = UdpPort::open(&UdpOptions { interface: Some(interface.into()), ..options(&["127.0.0.1"]) });
        assert!(absent.is_err(), "{absent:?}");
    }
    let absent = UdpPort::open(&UdpOptions { interface: Some("sd-absent0".into()), ..options(&["fe80::1"]) });
    assert!(matches!(absent, Err(OpenError::NoSuchInterface(_))), "{absent:?}");
}

#[test]
fn a_port_bound_to_an_interface_hears_only_that() {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    let options = UdpOptions { interface: Some("veth0".into()), ..options(&["0.0.0.0", "::"]) };
    let port = here.enter(|| UdpPort::open(&options).unwrap());
    let (mut rx, mut tx) = port.queues.into_iter().next().unwrap();
    here.enter(|| {
        let local = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _ = local.send_to(b"by loopback", ("127.0.0.1", port.port));
    });
    let client = there.enter(|| client("::", "fd77::1", port.port));
    client.send(b"by veth0").unwrap();
    let mut burst = gather(&mut rx, 1);
    assert_eq!(burst.len(), 1);
    assert_eq!(flow(burst.first_mut().unwrap()).source, "fd77::2".parse::<IpAddr>().unwrap());
    tx.transmit(&mut burst);
}

#[test]
fn link_local_clients_are_answered_by_their_link() {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    here.add_ipv6("fe80::77:1", 64, "veth0");
    there.add_ipv6("fe80::77:2", 64, "veth0");
    let (mut rx, mut tx, port) = here.enter(|| open_one(&["::"]));
    let scope = there.ip("-o link show veth0").split(':').next().unwrap().trim().parse().unwrap();
    let client = there.enter(|| {
        let socket = UdpSocket::bind("[::]:0").unwrap();
        socket
            .connect(SocketAddr::V6(std::net::SocketAddrV6::new("fe80::77:1".parse().unwrap(), port, 0, scope)))
            .unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        socket
    });
    client.send(b"question").unwrap();
    let mut burst = gather(&mut rx, 1);
    burst.first_mut().unwrap().reply(8, None);
    assert_eq!(tx.transmit(&mut burst).sent, 1);
    assert_eq!(client.recv(&mut [0; 16]).unwrap(), 8);
}

#[test]
fn stamps_are_of_the_moment() {
    let (mut rx, mut tx, port) = open_one(&["127.0.0.1"]);
    let client = client("127.0.0.1", "127.0.0.1", port);
    // The kernel begins to stamp a moment after it was asked to; until then it stamps when a packet is read.
    std::thread::sleep(Duration::from_millis(50));
    let before = now_ns();
    client.send(b"question").unwrap();
    let mut burst = gather(&mut rx, 1);
    let packet = burst.first_mut().unwrap();
    let Some(received @ Stamp { counter: Counter::Realtime, source: StampSource::Kernel, .. }) = packet.stamp() else {
        panic!("{:?}", packet.stamp())
    };
    packet.reply(8, Some(TxToken::new(7)));
    tx.transmit(&mut burst);
    let (key, TxStamp::Stamped(sent)) = next_stamp(&mut tx) else { panic!("lost") };
    let after = now_ns();
    assert_eq!(key, 7);
    assert_eq!((sent.counter, sent.source), (Counter::Realtime, StampSource::Kernel));
    let order = [before, received.ticks.0, sent.ticks.0, after];
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_reply_that_cannot_leave_does_not_hold_up_the_others() {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    there.ip("addr add 10.88.0.2/32 dev lo");
    here.ip("route add 10.88.0.0/16 via 10.77.0.2");
    let (mut rx, mut tx, port) = here.enter(|| open_one(&["0.0.0.0", "::"]));
    let far = there.enter(|| client("10.88.0.2", "10.77.0.1", port));
    let near = there.enter(|| client("10.77.0.2", "10.77.0.1", port));
    near.send(b"1").unwrap();
    far.send(b"2").unwrap();
    near.send(b"3").unwrap();
    let mut burst = gather(&mut rx, 3);
    here.ip("route delete 10.88.0.0/16");
    for (key, packet) in burst.iter_mut().enumerate() {
        packet.reply(1, Some(TxToken::new(key as u64)));
    }
    assert_eq!(tx.transmit(&mut burst), Sent { sent: 2, refused: 1 });
    let mut answers: Vec<(u64, bool)> =
        (0..3).map(|_| next_stamp(&mut tx)).map(|(key, stamp)| (key, matches!(stamp, TxStamp::Stamped(_)))).collect();
    answers.sort_unstable();
    assert!(matches!(answers[..], [(0, _), (1, false), (2, true)]), "{answers:?}");
    assert_eq!(near.recv(&mut [0; 8]).unwrap(), 1);
    assert_eq!(near.recv(&mut [0; 8]).unwrap(), 1);
}

#[test]
fn stamps_keep_to_their_packets_after_a_failure() {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    here.add_ipv6("fd77::9", 64, "veth0");
    let (mut rx, mut tx, port) = here.enter(|| open_one(&["::"]));
    let gone = there.enter(|| client("::", "fd77::9", port));
    let client = there.enter(|| client("::", "fd77::1", port));
    for round in 0..3_u64 {
        gone.send(b"question").unwrap();
        let mut burst = gather(&mut rx, 1);
        // The address to answer from is gone by the time of the answer.
        here.ip("addr delete fd77::9/64 dev veth0");
        burst.first_mut().unwrap().reply(8, Some(TxToken::new(round)));
        assert_eq!(tx.transmit(&mut burst), Sent { sent: 0, refused: 1 });
        assert_eq!(next_stamp(&mut tx), (round, TxStamp::Lost));
        here.add_ipv6("fd77::9", 64, "veth0");
        for key in [100, 101] {
            client.send(b"question").unwrap();
            let mut burst = gather(&mut rx, 1);
            burst.first_mut().unwrap().reply(8, Some(TxToken::new(key)));
            let before = now_ns();
            tx.transmit(&mut burst);
            let (came, TxStamp::Stamped(stamp)) = next_stamp(&mut tx) else { panic!("lost") };
            assert_eq!(came, key);
            assert!((before..=now_ns()).contains(&stamp.ticks.0), "the stamp of another packet");
        }
    }
}

#[test]
fn what_the_socket_has_no_room_for_is_counted_as_missed() {
    const FLOOD: u64 = 40_000;
    let (mut rx, mut tx, port) = open_one(&["127.0.0.1"]);
    let client = client("127.0.0.1", "127.0.0.1", port);
    for _ in 0..FLOOD {
        client.send(&[0; 48]).unwrap();
    }
    let mut received = 0;
    loop {
        let mut burst = Burst::new();
        let came = rx.receive(&mut burst);
        tx.transmit(&mut burst);
        if came == 0 {
            break;
        }
        received += came as u64;
    }
    let missed = rx.missed();
    assert!(missed > 0, "the flood was too small for this test");
    assert_eq!(received + missed, FLOOD);
    assert_eq!(rx.missed(), missed);
}

#[test]
fn waiting_ends_when_a_packet_comes() {
    let (mut rx, mut tx, port) = open_one(&["127.0.0.1", "::1"]);
    let client = client("::1", "::1", port);
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        client.send(b"question").unwrap();
    });
    let start = Instant::now();
    rx.wait(Duration::from_secs(20));
    assert!(start.elapsed() < Duration::from_secs(10));
    tx.transmit(&mut gather(&mut rx, 1));
    sender.join().unwrap();
}

#[test]
fn stamps_that_come_too_late_do_not_end_every_wait() {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    let (mut rx, mut tx, port) = here.enter(|| open_one(&["0.0.0.0"]));
    let client = there.enter(|| client("10.77.0.2", "10.77.0.1", port));
    client.send(b"question").unwrap();
    let mut burst = gather(&mut rx, 1);
    // Nobody knows the client's MAC address any more, and nobody answers for it: the reply waits in the kernel.
    there.ip("link set veth0 arp off");
    here.ip("neigh flush dev veth0");
    burst.first_mut().unwrap().reply(8, Some(TxToken::new(1)));
    tx.transmit(&mut burst);
    assert_eq!(next_stamp(&mut tx), (1, TxStamp::Lost));
    let mac = there
        .ip("-o link show veth0")
        .split_whitespace()
        .skip_while(|word| *word != "link/ether")
        .nth(1)
        .unwrap()
        .to_owned();
    here.ip(&format!("neigh replace 10.77.0.2 lladdr {mac} dev veth0 nud permanent"));
    // The reply leaves now, and its stamp comes. The worker waits and polls, and soon waits in peace.
    let longest = (0..50)
        .map(|_| {
            let start = Instant::now();
            rx.wait(Duration::from_millis(20));
            assert_eq!(tx.poll_stamp(), None);
            start.elapsed()
        })
        .filter(|took| *took >= Duration::from_millis(19))
        .count();
    assert!(longest >= 40, "only {longest} of 50 waits were not cut short");
}
