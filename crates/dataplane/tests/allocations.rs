//! Nothing is allocated once a worker runs.

mod rig;

use rig::{Rig, frame, message, request};
use sidereal_nic::BURST;
use sidereal_nic_sim::SimOptions;
use sidereal_time::Counter;
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

/// Every way a packet can go: plain, interleaved, authenticated, dropped, to the kernel and from it.
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
    frames.extend((0..50).map(|client| request(&format!("10.77.1.{client}:4000"), client)));
    frames.extend((0..50).map(|client| request(&format!("[fd77::{client:x}]:4000"), client)));
    frames
}

#[test]
fn no_packet_costs_an_allocation() {
    let options = SimOptions { counter: Counter::Realtime, ..SimOptions::default() };
    let mut rig = Rig::new(&options);
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
        if round % 100 == 0 {
            rig.residence.read();
        }
    }
    let allocations = ALLOCATIONS.load(Relaxed) - before;
    assert!(moved > 100_000, "only {moved} packets moved");
    assert_eq!(allocations, 0, "{allocations} allocations or frees for {moved} packets");
}
