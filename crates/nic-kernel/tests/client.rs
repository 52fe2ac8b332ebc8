//! One question and its answer.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use sidereal_nic::{Burst, Packet, RxQueue, TxQueue};
use sidereal_nic_kernel::{ClientSocket, Mode, Timestamping, UdpOptions, UdpPort};
use sidereal_time::{Counter, StampSource, TxStamp, TxToken};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

fn exchange(server: IpAddr) {
    let options = UdpOptions {
        addresses: vec![server],
        port: 0,
        interface: None,
        queues: NonZeroU16::MIN,
        shared: false,
        mode: Mode::Single,
        timestamping: Timestamping::Software,
    };
    let port = UdpPort::open(&options).unwrap();
    let (mut rx, mut tx) = port.queues.into_iter().next().unwrap();
    let mut client = ClientSocket::connect(SocketAddr::new(server, port.port)).unwrap();
    // The kernel begins to stamp a moment after it was asked to.
    std::thread::sleep(Duration::from_millis(50));
    for round in 0..3_u8 {
        let t1 = client.send(&[round; 48]).unwrap().unwrap();
        let mut burst = Burst::new();
        rx.wait(Duration::from_secs(3));
        assert_eq!(rx.receive(&mut burst), 1);
        let packet = burst.first_mut().unwrap();
        let t2 = packet.stamp().unwrap();
        packet.reply(48, Some(TxToken::new(1)));
        tx.transmit(&mut burst);
        let mut answer = [0; 100];
        let received = client.receive(&mut answer, Duration::from_secs(3)).unwrap().unwrap();
        assert_eq!((received.len, answer[47]), (48, round));
        let t4 = received.stamp.unwrap();
        let TxStamp::Stamped(t3) = tx.poll_stamp().unwrap().1 else { unreachable!("loopback loses no stamps") };
        for stamp in [t1, t2, t3, t4] {
            assert_eq!((stamp.counter, stamp.source), (Counter::Realtime, StampSource::Kernel));
        }
        let times = [t1, t2, t3, t4].map(|stamp| stamp.ticks.0);
        assert!(times.is_sorted(), "{times:?}");
    }
}

#[test]
fn the_four_times_are_in_order() {
    exchange("127.0.0.1".parse().unwrap());
    exchange("::1".parse().unwrap());
}

#[test]
fn silence_ends_at_the_timeout() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = ClientSocket::connect(silent.local_addr().unwrap()).unwrap();
    client.send(b"question").unwrap();
    let start = Instant::now();
    assert_eq!(client.receive(&mut [0; 48], Duration::from_millis(50)).unwrap(), None);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_closed_port_is_told_and_the_next_question_is_stamped() {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut client = ClientSocket::connect(address).unwrap();
    client.send(b"question").unwrap();
    let refused = client.receive(&mut [0; 48], Duration::from_secs(3)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let server = UdpSocket::bind(address).unwrap();
    assert!(client.send(b"question").unwrap().is_some());
    server.recv(&mut [0; 48]).unwrap();
}

#[test]
fn only_the_server_is_heard() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = ClientSocket::connect(server.local_addr().unwrap()).unwrap();
    client.send(b"question").unwrap();
    let (_, asker) = server.recv_from(&mut [0; 48]).unwrap();
    stranger.send_to(b"lie", asker).unwrap();
    server.send_to(b"answer", asker).unwrap();
    let received = client.receive(&mut [0; 48], Duration::from_secs(3)).unwrap().unwrap();
    assert_eq!(received.len, 6);
}
