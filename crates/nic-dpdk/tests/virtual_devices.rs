//! The backend on devices that need neither root nor hardware.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod eal;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use eal::{eal, open};
use sidereal_cpu::LocalCounter;
use sidereal_nic::{BURST, Burst, Content, Packet, RxChecksums, RxQueue, Sent, TxQueue};
use sidereal_nic_dpdk::{DpdkPort, DpdkRx, Link, Mbuf, PortError, PortOptions, WorkerThread};
use sidereal_time::{Counter, StampSource, TxStamp, TxToken};

/// What a ring of net_ring holds, one less than its size.
const RING: usize = 1023;

fn frame(mark: u8) -> Vec<u8> {
    (0..90).map(|at| if at < 60 { at } else { mark }).collect()
}

fn bytes(packet: &mut Mbuf) -> Vec<u8> {
    match packet.content() {
        Content::Frame { buffer, len, .. } => buffer[..len].to_vec(),
        Content::Datagram { .. } => panic!("DPDK hands out frames"),
    }
}

/// Takes what has arrived; net_ring hands over at once.
fn receive(rx: &mut DpdkRx) -> Burst<Mbuf> {
    let mut burst = Burst::new();
    rx.receive(&mut burst);
    burst
}

#[test]
fn a_frame_comes_back_as_its_reply() {
    let mut port = open("net_ring10").unwrap();
    let _thread = WorkerThread::register(eal()).unwrap();
    let (rx, tx) = &mut port.queues[0];
    assert!(tx.originate(&frame(7), None));
    let mut burst = receive(rx);
    assert_eq!(burst.len(), 1);
    assert_eq!(bytes(&mut burst[0]), frame(7));
    assert_eq!(burst[0].stamp(), None);

    let Content::Frame { buffer, len, checksums } = burst[0].content() else { panic!("a frame") };
    assert_eq!((len, checksums), (90, RxChecksums::Unknown));
    assert!(buffer.len() >= 1518, "room for a longer reply: {}", buffer.len());
    buffer[90..120].fill(9);
    let before = LocalCounter::MonotonicRaw.now();
    burst[0].reply(120, Some(TxToken::new(77)));
    assert_eq!(tx.transmit(&mut burst), Sent { sent: 1, refused: 0 });
    assert!(burst.is_empty());
    let after = LocalCounter::MonotonicRaw.now();

    let (token, stamp) = tx.poll_stamp().unwrap();
    assert_eq!(token.redeem(), 77);
    let TxStamp::Stamped(stamp) = stamp else { panic!("{stamp:?}") };
    assert_eq!((stamp.counter, stamp.source), (Counter::MonotonicRaw, StampSource::Software));
    assert!(before.0 <= stamp.ticks.0 && stamp.ticks.0 <= after.0);
    assert_eq!(tx.poll_stamp(), None);

    let mut burst = receive(rx);
    assert_eq!(bytes(&mut burst[0]), [frame(7), vec![9; 30]].concat());
}

#[test]
fn a_burst_is_settled_as_it_is_marked() {
    let mut port = open("net_ring11").unwrap();
    let (rx, tx) = &mut port.queues[0];
    for mark in 0..40 {
        assert!(tx.originate(&frame(mark), None));
    }
    let mut burst = receive(rx);
    assert_eq!(burst.len(), BURST);
    assert_eq!(rx.receive(&mut burst), 0, "the burst is full");
    for packet in burst.iter_mut().step_by(2) {
        packet.reply(80, None);
    }
    assert_eq!(tx.transmit(&mut burst), Sent { sent: 16, refused: 0 });
    // Behind the 8 that waited come the 16 replies, in order.
    let mut burst = receive(rx);
    let marks: Vec<u8> = burst.iter_mut().map(|packet| *bytes(packet).last().unwrap()).collect();
    assert_eq!(marks, (32..40).chain((0..32).step_by(2)).collect::<Vec<u8>>());
}

#[test]
fn what_is_too_short_or_too_long_is_refused() {
    let mut port = open("net_ring12").unwrap();
    let (rx, tx) = &mut port.queues[0];
    let longest = port.capabilities.max_length;
    assert!(!tx.originate(&[0; 16], None));
    assert!(!tx.originate(&vec![0; longest + 1], None));
    assert!(!tx.originate(&vec![0; 70_000], Some(TxToken::new(5))));
    assert_eq!(tx.poll_stamp().map(|(token, stamp)| (token.redeem(), stamp)), Some((5, TxStamp::Lost)));
    let mut tagged = vec![0; longest + 4];
    assert!(!tx.originate(&tagged, None));
    tagged[12..14].copy_from_slice(&[0x81, 0x00]);
    for _ in 0..4 {
        assert!(tx.originate(&tagged, None));
    }
    tagged.push(0);
    assert!(!tx.originate(&tagged, None));
    let mut burst = receive(rx);
    for (key, (packet, length)) in (0..).zip(burst.iter_mut().zip([0, 17, longest + 4, usize::MAX])) {
        packet.reply(length, Some(TxToken::new(key)));
    }
    assert_eq!(tx.transmit(&mut burst), Sent { sent: 2, refused: 2 });
    for (key, taken) in [(0, false), (1, true), (2, true), (3, false)] {
        let (token, stamp) = tx.poll_stamp().unwrap();
        assert_eq!((token.redeem(), matches!(stamp, TxStamp::Stamped(_))), (key, taken));
    }
}

#[test]
fn a_full_ring_refuses_and_no_token_and_no_buffer_is_lost() {
    let mut port = open("net_ring13").unwrap();
    let (rx, tx) = &mut port.queues[0];
    let free = port.monitor.read().buffers_free;
    assert!(tx.originate(&frame(0), None));
    assert!(tx.originate(&frame(1), None));
    let mut burst = receive(rx);
    let mut originated = 0;
    while tx.originate(&frame(2), Some(TxToken::new(1_000))) {
        originated += 1;
    }
    assert_eq!(originated, RING);
    // One place is free again for two replies.
    let mut one = Burst::<Mbuf>::new();
    let mut taken = receive(rx);
    one.extend(taken.pop());
    drop(one);
    assert_eq!(taken.len(), BURST - 1);
    for _ in 0..BURST - 1 {
        assert!(tx.originate(&frame(3), None));
    }
    for (key, packet) in (0..).zip(burst.iter_mut()) {
        packet.reply(60, Some(TxToken::new(key)));
    }
    assert_eq!(tx.transmit(&mut burst), Sent { sent: 1, refused: 1 });
    let mut answers = Vec::new();
    while let Some((token, stamp)) = tx.poll_stamp() {
        answers.push((token.redeem(), matches!(stamp, TxStamp::Stamped(_))));
    }
    let refused: Vec<_> = answers.iter().filter(|(_, taken)| !taken).collect();
    assert_eq!(refused, [&(1_000, false), &(1, false)]);
    assert_eq!(answers.len(), RING + 1 + 2);
    drop(taken);
    while !receive(rx).is_empty() {}
    assert_eq!(port.monitor.read().buffers_free, free);
}

#[test]
fn a_dry_pool_delays_and_recovers() {
    let mut port = open("net_null10").unwrap();
    let (rx, tx) = &mut port.queues[0];
    let status = port.monitor.read();
    assert_eq!(status.buffers_free, status.buffers);
    let mut held = Vec::new();
    loop {
        let burst = receive(rx);
        if burst.is_empty() {
            break;
        }
        held.push(burst);
    }
    // What is left lies in the caches of threads that used the pool before.
    let count = u32::try_from(held.iter().map(Burst::len).sum::<usize>()).unwrap();
    assert!(count > status.buffers / 2, "{count} of {}", status.buffers);
    assert_eq!(port.monitor.read().buffers_free, status.buffers - count);
    for burst in &mut held {
        assert_eq!(tx.transmit(burst), Sent::default());
    }
    assert_eq!(port.monitor.read().buffers_free, status.buffers);
    assert_eq!(receive(rx).len(), BURST);
}

#[test]
fn a_packet_may_outlive_its_port() {
    let mut port = open("net_null11").unwrap();
    let mut burst = receive(&mut port.queues[0].0);
    drop(port);
    for packet in &mut burst {
        assert_eq!(bytes(packet).len(), 64);
    }
    drop(burst);
    let mut port = open("net_null11").unwrap();
    assert_eq!(receive(&mut port.queues[0].0).len(), BURST);
}

#[test]
fn counters_and_link_are_told() {
    let mut port = open("net_null12").unwrap();
    let (rx, tx) = &mut port.queues[0];
    let mut burst = receive(rx);
    burst[0].reply(64, None);
    burst[1].reply(64, None);
    assert_eq!(tx.transmit(&mut burst).sent, 2);
    let status = port.monitor.read();
    assert_eq!((status.counters.rx_packets, status.counters.tx_packets), (32, 2));
    assert_eq!(status.link, Link::Up);
    assert_eq!(rx.missed(), 0);
}

#[test]
fn each_queue_is_its_own() {
    let options = PortOptions { queues: 3, ..PortOptions::new("net_ring14".parse().unwrap(), LocalCounter::best()) };
    let mut port = DpdkPort::open(eal(), &options).unwrap();
    assert_eq!((port.capabilities.queues, port.capabilities.spread_by_address), (3, false));
    for (mark, (_, tx)) in (0..).zip(&mut port.queues) {
        assert!(tx.originate(&frame(mark), None));
    }
    for (mark, (rx, _)) in (0..).zip(&mut port.queues) {
        let mut burst = receive(rx);
        assert_eq!(burst.len(), 1);
        assert_eq!(bytes(&mut burst[0]), frame(mark));
    }
}

#[test]
fn a_queue_works_on_any_thread() {
    let mut port = open("net_ring15").unwrap();
    let (mut rx, mut tx) = port.queues.remove(0);
    let sender = std::thread::spawn(move || {
        let _thread = WorkerThread::register(eal()).unwrap();
        for mark in 0..100 {
            while !tx.originate(&frame(mark), None) {
                std::thread::yield_now();
            }
        }
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut marks = Vec::new();
    while marks.len() < 100 {
        assert!(Instant::now() < deadline, "{} of 100 arrived", marks.len());
        marks.extend(receive(&mut rx).iter_mut().map(|packet| *bytes(packet).last().unwrap()));
    }
    assert_eq!(marks, (0..100).collect::<Vec<u8>>());
    sender.join().unwrap();
}

#[test]
fn a_device_is_opened_once_at_a_time() {
    let first = open("net_null13").unwrap();
    assert!(matches!(open("net_null13,size=100"), Err(PortError::InUse(_))));
    drop(first);
    let mut again = open("net_null13,size=100").unwrap();
    assert_eq!(bytes(&mut receive(&mut again.queues[0].0)[0]).len(), 100, "its new arguments hold");
}

#[test]
fn a_device_that_cannot_be_is_an_error_to_read() {
    for (device, words) in [
        ("net_nonsense0", vec!["net_nonsense0", "attaching"]),
        ("net_af_packet10,iface=sd-none", vec!["iface=sd-none", "attaching", "DPDK says:"]),
        ("net_pcap10,rx_pcap=/nonexistent.pcap", vec!["/nonexistent.pcap", "DPDK says:"]),
        ("0000:ff:1f.7", vec!["0000:ff:1f.7", "attaching"]),
    ] {
        let message = open(device).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
        assert!(!message.contains("nothing"), "{message}");
    }
    let none = PortOptions { queues: 0, ..PortOptions::new("net_null14".parse().unwrap(), LocalCounter::best()) };
    assert!(matches!(DpdkPort::open(eal(), &none), Err(PortError::Options { .. })));
    let long = PortOptions { mtu: 65_530, ..none };
    assert!(matches!(DpdkPort::open(eal(), &long), Err(PortError::Options { .. })));
    open("net_null14").expect("what was refused is not in use");
}

/// Frames of a classic pcap file (little-endian, Ethernet).
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap();
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap());
        let (frame, behind) = rest[16..].split_at(usize::try_from(length).unwrap());
        frames.push(frame.to_vec());
        rest = behind;
    }
    frames
}

#[test]
fn a_capture_is_replayed_and_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures/ntp4-basic.pcap");
    let to = directory.path().join("to.pcap");
    let sent = frames(&from);
    assert!(sent.len() > BURST, "more than one burst");
    let mut port = open(&format!("net_pcap11,rx_pcap={},tx_pcap={}", from.display(), to.display())).unwrap();
    let (rx, tx) = &mut port.queues[0];
    let mut received = Vec::new();
    loop {
        let mut burst = receive(rx);
        if burst.is_empty() {
            break;
        }
        for packet in &mut burst {
            let frame = bytes(packet);
            packet.reply(frame.len(), None);
            received.push(frame);
        }
        tx.transmit(&mut burst);
    }
    assert_eq!(received, sent);
    drop(port);
    assert_eq!(frames(&to), sent);
}
