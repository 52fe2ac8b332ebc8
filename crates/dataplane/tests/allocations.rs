//! Nothing is allocated once a worker runs.

mod messages;
mod rig;

use messages::{Way, delay_req};
use rig::{Rig, frame, message, ptp_port, request};
use sidereal_dataplane::Count;
use sidereal_nic::BURST;
use sidereal_nic_sim::SimOptions;
use sidereal_ptp::{
    Destination, MAX_MESSAGE_LEN, MessageClass, MessageType, NtpCarrier, PortKey, Responder, Responders, SdoId,
    Transport,
};
use sidereal_time::{Counter, Span};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The system's allocator, counted.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator can only be written so; it hands everything on to the system's")]
// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps alloc's contract, which is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps dealloc's contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps realloc's contract, which is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Every way a packet can go: plain, interleaved, authenticated, carried by PTP, dropped, to the kernel and from it, PTP that is
/// answered, dropped, and for the engine.
fn traffic() -> Vec<Vec<u8>> {
    let mut interleaved = message(1);
    interleaved[24..32].fill(7);
    interleaved[32..40].fill(8);
    let mut wrong_key = message(1).to_vec();
    wrong_key.extend([0, 0, 0, 4]);
    wrong_key.extend([0; 16]);
    let mut frames = vec![
        frame("10.77.0.2:4000", &interleaved),
        frame("10.77.0.2:4000", &wrong_key),
        frame("10.77.0.2:4000", &[0; 300]),
        vec![0xff; 60],
    ];
    for way in [Way::Ipv4, Way::Ipv6, Way::Ethernet] {
        for unicast in [false, true] {
            frames.push(way.request(&delay_req(0, 1, unicast), unicast));
        }
        frames.push(way.request(&delay_req(1, 1, false), false));
        frames.push(way.frame(MessageType::Announce, &messages::message(MessageType::Announce, 0, 64), false));
    }
    frames.extend([carried(123), carried(0), carried(9)]);
    frames.extend((0..50).map(|client| request(&format!("10.77.1.{client}:4000"), client)));
    frames.extend((0..50).map(|client| request(&format!("[fd77::{client:x}]:4000"), client)));
    frames
}

/// A request that PTP carries in `domain`.
fn carried(domain: u8) -> Vec<u8> {
    let mut buffer = [0; MAX_MESSAGE_LEN];
    let carrier = NtpCarrier { domain, source: messages::CLIENT };
    let len = carrier.wrap(0, &message(1), &mut buffer).unwrap_or(0);
    Way::Ipv4.frame(MessageType::DelayReq, &buffer[..len], true)
}

#[test]
fn no_packet_costs_an_allocation() {
    let options = SimOptions { counter: Counter::Realtime, ..SimOptions::default() };
    let ports = [Transport::UdpIpv4, Transport::UdpIpv6, Transport::Ethernet];
    let ports: Vec<_> = (0..).zip(ports).map(|(key, transport)| ptp_port(key, 0, transport, None)).collect();
    let responders = ports.iter().map(|port| Responder {
        key: port.key,
        identity: port.identity,
        domain: port.domain,
        sdo_id: SdoId::DEFAULT,
        minor_version: 1,
        log_min_delay_req_interval: 0,
        ingress_latency: Span::ZERO,
    });
    let responders = Responders::new(responders);
    let mut rig = Rig::over_ptp(&options, rig::over_ptp(true), ports);
    rig.responders.replace(responders);
    let sync = messages::message(MessageType::Sync, 0, 44);
    let mut heard = [0; MAX_MESSAGE_LEN];
    let mut answered = 0u64;
    let frames = traffic();
    let mut buffer = [0; 2048];
    let mut moved = 0u64;
    let before = ALLOCATIONS.load(Relaxed);
    for round in 0..1000 {
        for burst in frames.chunks(BURST) {
            for frame in burst {
                assert!(rig.client.send(frame));
            }
            moved += rig.worker.turn() as u64;
            while rig.client.take(&mut buffer).is_some() {}
            while rig.for_kernel.pop(&mut buffer).is_some() {}
        }
        assert!(rig.of_kernel.push(&frames[3]));
        while rig.engine.receive(&mut heard).is_some() {}
        assert!(rig.engine.send(PortKey(0), MessageClass::Event, Destination::Primary, &sync, Some(round)));
        answered += u64::from(rig.engine.poll_stamp().is_some());
        if round % 100 == 0 {
            rig.residence.read();
        }
    }
    let allocations = ALLOCATIONS.load(Relaxed) - before;
    assert_eq!(rig.counters.read().count(Count::RepliesOverPtp), 1000);
    assert!(answered > 900, "only {answered} stamps came back to the engine");
    assert!(moved > 100_000, "only {moved} packets moved");
    assert_eq!(allocations, 0, "{allocations} allocations or frees for {moved} packets");
}
