//! Sockets of associations: beside the servers that share their port, towards groups, and when the network refuses.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod network;

use network::Namespace;
use sidereal_nic::{Burst, RxQueue, TxQueue};
use sidereal_nic_kernel::poll::{PollFd, poll};
use sidereal_nic_kernel::{AssociationSocket, Mode, OpenError, Timestamping, UdpOptions, UdpPort, UdpRx, UdpTx};
use sidereal_time::{Counter, StampSource, TxStamp, TxToken};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Servers that let associations have their port, too.
fn servers(addresses: &[&str], queues: u16) -> (Vec<(UdpRx, UdpTx)>, u16) {
    let options = UdpOptions {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        port: 0,
        interface: None,
        queues: NonZeroU16::new(queues).unwrap(),
        shared: true,
        mode: Mode::Burst,
        timestamping: Timestamping::Software,
    };
    let port = UdpPort::open(&options).unwrap();
    (port.queues, port.port)
}

fn receive(socket: &mut AssociationSocket, wait: Duration) -> Option<(Vec<u8>, SocketAddr)> {
    let end = Instant::now() + wait;
    let mut buffer = [0; 100];
    loop {
        if let Some(received) = socket.receive(&mut buffer).unwrap() {
            // The kernel begins to stamp what comes a moment after it was first asked to.
            if let Some(stamp) = received.stamp {
                assert_eq!((stamp.counter, stamp.source), (Counter::Realtime, StampSource::Kernel));
            }
            return Some((buffer.get(..received.len).unwrap().to_vec(), received.from));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        poll(&mut [PollFd::readable(socket.as_fd())], Some(left)).unwrap();
    }
}

/// How many datagrams all queues together receive within a moment, at least `expected` of them.
fn received(queues: &mut [(UdpRx, UdpTx)], expected: usize) -> usize {
    let end = Instant::now() + TIMEOUT;
    let mut count = 0;
    let mut quiet = 0;
    while Instant::now() < end && (count < expected || quiet < 3) {
        quiet += 1;
        for (rx, tx) in &mut *queues {
            let mut burst = Burst::new();
            rx.wait(Duration::from_millis(5));
            let here = rx.receive(&mut burst);
            if here > 0 {
                quiet = 0;
            }
            count += here;
            tx.transmit(&mut burst);
        }
    }
    count
}

fn next_stamp(socket: &mut AssociationSocket) -> (u64, TxStamp) {
    let end = Instant::now() + TIMEOUT;
    loop {
        if let Some((token, stamp)) = socket.poll_stamp() {
            return (token.redeem(), stamp);
        }
        assert!(Instant::now() < end, "no token comes back");
        let mut fds = [PollFd::readable(socket.as_fd())];
        poll(&mut fds, Some(Duration::from_millis(20))).unwrap();
        if fds[0].has_error() {
            socket.read_notice();
        }
    }
}

fn bound(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket
}

#[test]
fn each_token_comes_back_with_its_stamp() {
    let peer = bound("127.0.0.1:0");
    let mut socket = AssociationSocket::connect(peer.local_addr().unwrap()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    for key in 0..5 {
        assert!(!socket.is_waiting());
        socket.send(b"question", Some(TxToken::new(key))).unwrap();
        assert!(socket.is_waiting());
        let (returned, stamp) = next_stamp(&mut socket);
        assert!(returned == key && matches!(stamp, TxStamp::Stamped(_)), "{stamp:?}");
        socket.send(b"without", None).unwrap();
    }
    // Not read: what was not answered is lost when the socket is closed.
    socket.send(b"last", Some(TxToken::new(9))).unwrap();
    let left: Vec<u64> = socket
        .close()
        .map(|(token, stamp)| {
            assert_eq!(stamp, TxStamp::Lost);
            token.redeem()
        })
        .collect();
    assert_eq!(left, [9]);
}

#[test]
fn more_than_may_wait_are_sent_and_told_lost() {
    let peer = bound("127.0.0.1:0");
    let mut socket = AssociationSocket::connect(peer.local_addr().unwrap()).unwrap();
    let mut left: Vec<u64> = (0..20).collect();
    for key in 0..20 {
        socket.send(b"question", Some(TxToken::new(key))).unwrap();
    }
    while !left.is_empty() {
        let (key, _) = next_stamp(&mut socket);
        let place = left.iter().position(|waiting| *waiting == key).unwrap();
        left.remove(place);
    }
    for _ in 0..20 {
        peer.recv(&mut [0; 16]).unwrap();
    }
}

#[test]
fn every_question_has_a_port_of_its_own() {
    let peer = bound("127.0.0.1:0");
    let mut ports = std::collections::BTreeSet::new();
    for _ in 0..16 {
        let mut socket = AssociationSocket::connect(peer.local_addr().unwrap()).unwrap();
        socket.send(b"question", None).unwrap();
        ports.insert(peer.recv_from(&mut [0; 16]).unwrap().1.port());
    }
    assert!(ports.len() > 8, "{ports:?}");
}

#[test]
fn a_refusal_is_told_and_costs_no_token() {
    // Where nobody else has the port, and none that the socket itself may be given.
    Namespace::new().enter(|| {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut socket = AssociationSocket::connect_from(0, address, None).unwrap();
        socket.send(b"question", Some(TxToken::new(1))).unwrap();
        assert_eq!(next_stamp(&mut socket).0, 1);
        let _server = UdpSocket::bind(address).unwrap();
        // The refusal of the first one must not keep the second from being sent.
        socket.send(b"question", Some(TxToken::new(2))).unwrap();
        assert!(matches!(next_stamp(&mut socket), (2, TxStamp::Stamped(_))));
    });

    let mut unreachable = Namespace::new().enter(|| {
        let mut socket = AssociationSocket::connect("127.0.0.1:9".parse().unwrap()).unwrap();
        let too_long = socket.send(&[0; 4000], Some(TxToken::new(3))).unwrap_err();
        assert_eq!(too_long.raw_os_error(), Some(libc::EMSGSIZE));
        assert!(matches!(AssociationSocket::connect("192.0.2.1:9".parse().unwrap()), Err(OpenError::Call { .. })));
        socket
    });
    assert_eq!(next_stamp(&mut unreachable), (3, TxStamp::Lost));
    assert!(unreachable.poll_stamp().is_none());
}

#[test]
fn a_peer_is_heard_by_its_association_and_all_others_by_the_servers() {
    for queues in [1, 3] {
        let (here, there) = (Namespace::new(), Namespace::new());
        here.join(&there);
        for last in 3..30 {
            there.ip(&format!("addr add 10.77.0.{last}/24 dev veth0"));
        }
        for (server, peer) in [("10.77.0.1", "10.77.0.2"), ("fd77::1", "fd77::2")] {
            let any = if server.contains(':') { "::" } else { "0.0.0.0" };
            let (peer_socket, strangers) = there.enter(|| {
                let peer_socket = UdpSocket::bind((peer.parse::<IpAddr>().unwrap(), 0)).unwrap();
                peer_socket.set_read_timeout(Some(TIMEOUT)).unwrap();
                let strangers: Vec<UdpSocket> = (2..30)
                    .map(|last| format!("10.77.0.{last}"))
                    .filter(|_| any == "0.0.0.0")
                    .chain((any == "::").then(|| peer.to_owned()))
                    .map(|address| UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap())
                    .collect();
                (peer_socket, strangers)
            });
            let (mut workers, port, mut association, mut listener) = here.enter(|| {
                let (workers, port) = servers(&[any], queues);
                let association =
                    AssociationSocket::connect_from(port, peer_socket.local_addr().unwrap(), None).unwrap();
                let listener = AssociationSocket::listen(port, peer.parse().unwrap()).unwrap();
                (workers, port, association, listener)
            });
            let server = SocketAddr::new(server.parse().unwrap(), port);
            association.send(b"from the port", None).unwrap();
            assert_eq!(peer_socket.recv_from(&mut [0; 100]).unwrap(), (13, server));
            peer_socket.send_to(b"peer", server).unwrap();
            for stranger in &strangers {
                stranger.send_to(b"stranger", server).unwrap();
            }
            let (heard, from) = receive(&mut association, TIMEOUT).unwrap();
            assert_eq!((heard.as_slice(), from), (&b"peer"[..], peer_socket.local_addr().unwrap()));
            assert_eq!(received(&mut workers, strangers.len()), strangers.len(), "{queues} queues, {server}");
            assert_eq!(receive(&mut association, Duration::ZERO), None);
            assert_eq!(receive(&mut listener, Duration::ZERO), None, "a listener takes no request from the servers");

            // The servers go on when the association is gone, and so does the next association.
            let _ = association.close().count();
            peer_socket.send_to(b"late", server).unwrap();
            assert_eq!(received(&mut workers, 1), 1);
        }
    }
}

#[test]
fn broadcasts_and_groups_are_heard_beside_the_servers() {
    let (here, there) = (Namespace::new(), Namespace::new());
    here.join(&there);
    there.ip("route add 224.0.0.0/4 dev veth0");
    for (destination, listened) in [
        ("10.77.0.255", "10.77.0.2"),
        ("255.255.255.255", "10.77.0.2"),
        ("224.0.1.1", "10.77.0.2"),
        ("ff05::101", "fd77::2"),
    ] {
        let any = if destination.contains(':') { "::" } else { "0.0.0.0" };
        let (_workers, port, mut listener) = here.enter(|| {
            let (workers, port) = servers(&[any], 2);
            let listener = AssociationSocket::listen(port, listened.parse().unwrap()).unwrap();
            (workers, port, listener)
        });
        let destination = SocketAddr::new(destination.parse().unwrap(), port);
        if destination.ip() == IpAddr::from([255, 255, 255, 255]) {
            there.ip("route add 255.255.255.255/32 dev veth0");
        }
        // Joining takes its time: what is sent before is not heard.
        let heard = (0..30).find_map(|_| {
            there.enter(|| {
                let (_beside, port) = servers(&[any], 1);
                let mut socket = AssociationSocket::connect_from(port, destination, Some(3)).unwrap();
                socket.send(b"to all", Some(TxToken::new(1))).unwrap();
                assert!(matches!(next_stamp(&mut socket), (1, TxStamp::Stamped(_))), "{destination}");
            });
            receive(&mut listener, Duration::from_millis(100))
        });
        assert_eq!(heard.unwrap().0, b"to all", "{destination}");
    }
}

#[test]
fn a_shared_port_is_still_refused_to_a_second_instance() {
    let (_workers, port) = servers(&["127.0.0.1"], 1);
    let second = UdpOptions {
        addresses: vec!["127.0.0.1".parse().unwrap()],
        port,
        interface: None,
        queues: NonZeroU16::MIN,
        shared: true,
        mode: Mode::Burst,
        timestamping: Timestamping::Software,
    };
    assert!(matches!(UdpPort::open(&second), Err(OpenError::Taken(_))));
}
