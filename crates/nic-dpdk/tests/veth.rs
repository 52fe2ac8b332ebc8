//! The backend on a veth pair, both ends held by net_af_packet or net_af_xdp. Needs root: each test runs in a network namespace of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod eal;
mod network;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eal::{eal, open};
use network::{connect, in_its_own_network, ip};
use sidereal_nic::{Burst, Content, Packet, RxQueue, TxQueue};
use sidereal_nic_dpdk::{DpdkPort, DpdkRx, DpdkTx, Link, Mbuf, PortError, WorkerThread};
use sidereal_time::{TxStamp, TxToken};
use sidereal_wire::build::UdpFrame;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
const ARGUMENTS: &str = "framecnt=512,qdisc_bypass=1";

fn ends() -> (DpdkPort, DpdkPort) {
    (
        open(&format!("net_af_packet0,iface=left,{ARGUMENTS}")).unwrap(),
        open(&format!("net_af_packet1,iface=right,{ARGUMENTS}")).unwrap(),
    )
}

fn request(from: &DpdkPort, to: &DpdkPort, payload: &[u8]) -> Vec<u8> {
    let frame = UdpFrame {
        source_mac: from.mac,
        destination_mac: to.mac,
        source: SocketAddr::from(([10, 0, 0, 2], 4000)),
        destination: SocketAddr::from(([10, 0, 0, 1], 123)),
    };
    let mut buffer = vec![0; 1600];
    let length = frame.write(payload, &mut buffer);
    buffer.truncate(length);
    buffer
}

fn bytes(packet: &mut Mbuf) -> Vec<u8> {
    match packet.content() {
        Content::Frame { buffer, len, .. } => buffer[..len].to_vec(),
        Content::Datagram { .. } => panic!("DPDK hands out frames"),
    }
}

/// The next burst; fails where none comes.
fn receive(rx: &mut DpdkRx) -> Burst<Mbuf> {
    let deadline = Instant::now() + PATIENCE;
    let mut burst = Burst::new();
    while rx.receive(&mut burst) == 0 {
        assert!(Instant::now() < deadline, "nothing arrived");
        thread::yield_now();
    }
    burst
}

/// Asks again and again until something comes back: while a link comes up, packets are lost.
fn ask_until_answered(tx: &mut DpdkTx, rx: &mut DpdkRx, request: &[u8]) {
    let deadline = Instant::now() + PATIENCE;
    let mut burst = Burst::new();
    loop {
        tx.originate(request, None);
        thread::sleep(Duration::from_millis(1));
        if rx.receive(&mut burst) > 0 {
            return;
        }
        assert!(Instant::now() < deadline, "no answer");
    }
}

/// Turns around what comes, until told to stop.
fn echo((rx, tx): &mut (DpdkRx, DpdkTx), stop: &AtomicBool) {
    let _thread = WorkerThread::register(eal()).unwrap();
    let mut burst = Burst::new();
    while !stop.load(Ordering::Relaxed) {
        rx.receive(&mut burst);
        for packet in &mut burst {
            let length = bytes(packet).len();
            packet.reply(length, None);
        }
        tx.transmit(&mut burst);
        assert_eq!(tx.poll_stamp(), None);
        thread::yield_now();
    }
}

fn wait_for(port: &mut DpdkPort, link: Link) {
    let deadline = Instant::now() + PATIENCE;
    while port.monitor.read().link != link {
        assert!(Instant::now() < deadline, "the link is not {link}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn packets_pass_both_ways() {
    in_its_own_network("packets_pass_both_ways", || {
        let (mut left, mut right) = ends();
        assert_ne!(left.mac, right.mac);
        assert_eq!(left.monitor.read().link, Link::Up);
        for length in [0, 48, 400, 1472] {
            let request = request(&left, &right, &vec![0x5a; length]);
            assert!(left.queues[0].1.originate(&request, Some(TxToken::new(1))));
            let (token, stamp) = left.queues[0].1.poll_stamp().unwrap();
            assert!(token.redeem() == 1 && matches!(stamp, TxStamp::Stamped(_)));

            let (rx, tx) = &mut right.queues[0];
            let mut burst = receive(rx);
            assert_eq!(bytes(&mut burst[0]), request);
            burst[0].reply(request.len(), None);
            assert_eq!(tx.transmit(&mut burst).sent, 1);
            assert_eq!(bytes(&mut receive(&mut left.queues[0].0)[0]), request);
        }
        let status = left.monitor.read();
        assert_eq!((status.counters.rx_packets, status.counters.tx_packets), (4, 4));
        assert_eq!(status.buffers_free, status.buffers);
    });
}

/// Whether the kernel's interface of this name takes in what is sent to groups that nobody there has joined.
fn takes_groups(interface: &str) -> bool {
    let shown = Command::new("ip").args(["-details", "link", "show", interface]).output().unwrap().stdout;
    let shown = String::from_utf8(shown).unwrap();
    let mut words = shown.split_whitespace();
    let users = words.find(|word| *word == "promiscuity").and_then(|_| words.next()).unwrap();
    users != "0"
}

#[test]
fn what_is_sent_to_the_groups_of_ptp_is_heard() {
    in_its_own_network("what_is_sent_to_the_groups_of_ptp_is_heard", || {
        assert!(!takes_groups("right"), "before the port is open");
        let (mut left, mut right) = ends();
        assert!(takes_groups("right"));
        for group in [
            [0x01, 0x1b, 0x19, 0, 0, 0],
            [0x01, 0x80, 0xc2, 0, 0, 0x0e],
            [0x01, 0x00, 0x5e, 0x00, 0x01, 0x81],
            [0x01, 0x00, 0x5e, 0x00, 0x00, 0x6b],
            [0x33, 0x33, 0x00, 0x00, 0x01, 0x81],
            [0x33, 0x33, 0x00, 0x00, 0x00, 0x6b],
        ] {
            let mut frame = request(&left, &right, &[0x5a; 44]);
            frame[..6].copy_from_slice(&group);
            assert!(left.queues[0].1.originate(&frame, None));
            assert_eq!(bytes(&mut receive(&mut right.queues[0].0)[0]), frame);
        }
    });
}

#[test]
fn packets_pass_both_ways_by_af_xdp() {
    in_its_own_network("packets_pass_both_ways_by_af_xdp", || {
        let mut left = open("net_af_xdp0,iface=left,busy_budget=0").unwrap();
        let mut right = open("net_af_xdp1,iface=right,busy_budget=0").unwrap();
        for length in [0, 48, 1472] {
            let request = request(&left, &right, &vec![0x5a; length]);
            let (rx, tx) = &mut right.queues[0];
            let (back, out) = &mut left.queues[0];
            // Attaching the program has taken the link down and up: the first packets may be lost.
            let deadline = Instant::now() + PATIENCE;
            let mut burst = Burst::new();
            while rx.receive(&mut burst) == 0 {
                assert!(Instant::now() < deadline, "nothing arrived");
                out.originate(&request, None);
                thread::sleep(Duration::from_millis(1));
            }
            for packet in &mut burst {
                assert_eq!(bytes(packet), request);
                packet.reply(request.len(), None);
            }
            assert!(tx.transmit(&mut burst).sent > 0);
            let mut burst = receive(back);
            assert_eq!(bytes(&mut burst[0]), request);
            // Stragglers of this length would be taken for answers to the next.
            thread::sleep(Duration::from_millis(20));
            while rx.receive(&mut burst) + back.receive(&mut burst) > 0 {
                burst.clear();
            }
        }
    });
}

#[test]
fn a_link_that_goes_down_comes_back() {
    in_its_own_network("a_link_that_goes_down_comes_back", || {
        let (mut left, mut right) = ends();
        let request = request(&left, &right, &[0; 48]);
        let stop = AtomicBool::new(false);
        let mut queues = right.queues.remove(0);
        thread::scope(|scope| {
            scope.spawn(|| echo(&mut queues, &stop));
            let (rx, tx) = &mut left.queues[0];
            ask_until_answered(tx, rx, &request);
            ip("link set right down");
            wait_for(&mut right, Link::Down);
            // More than the ring of the driver holds: nobody waits for a link.
            for _ in 0..2000 {
                tx.originate(&request, None);
            }
            ip("link set right up");
            wait_for(&mut right, Link::Up);
            ask_until_answered(tx, rx, &request);
            stop.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_device_that_disappears_is_taken_up_again() {
    in_its_own_network("a_device_that_disappears_is_taken_up_again", || {
        let (mut left, mut right) = ends();
        let stop = AtomicBool::new(false);
        let mut queues = right.queues.remove(0);
        thread::scope(|scope| {
            scope.spawn(|| echo(&mut queues, &stop));
            let first = request(&left, &right, &[0; 48]);
            let (rx, tx) = &mut left.queues[0];
            ask_until_answered(tx, rx, &first);
            let before = right.monitor.read().counters;

            ip("link del left");
            wait_for(&mut left, Link::Gone);
            wait_for(&mut right, Link::Gone);
            let error = right.monitor.recover().unwrap_err();
            assert!(matches!(error, PortError::Refused { .. }), "{error}");
            assert_eq!(right.monitor.read().link, Link::Gone);

            connect();
            right.mac = right.monitor.recover().unwrap();
            assert_eq!(right.monitor.read().link, Link::Up);
            // This thread is the left port's worker, so nobody else can let go of its queues.
            drop(left);
            let mut left = open(&format!("net_af_packet0,iface=left,{ARGUMENTS}")).unwrap();
            let second = request(&left, &right, &[1; 48]);
            let (rx, tx) = &mut left.queues[0];
            ask_until_answered(tx, rx, &second);
            assert!(right.monitor.read().counters.rx_packets > before.rx_packets, "counters go on");
            stop.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_port_whose_worker_stands_still_is_not_pulled_from_under_it() {
    in_its_own_network("a_port_whose_worker_stands_still_is_not_pulled_from_under_it", || {
        let (mut left, _right) = ends();
        ip("link del left");
        assert!(matches!(left.monitor.recover(), Err(PortError::Busy(_))));
        let (rx, tx) = &mut left.queues[0];
        assert_eq!(rx.receive(&mut Burst::new()), 0);
        assert!(!tx.originate(&[0; 60], Some(TxToken::new(3))));
        assert!(matches!(tx.poll_stamp(), Some((_, TxStamp::Lost))));
        connect();
        left.monitor.recover().unwrap();
        let (rx, tx) = &mut left.queues[0];
        assert!(tx.originate(&[0; 60], None));
        assert_eq!(rx.receive(&mut Burst::new()), 0);
    });
}
