//! Nothing is allocated once a port is open.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use sidereal_nic::{BURST, Burst, Packet, RxQueue, TxQueue};
use sidereal_nic_kernel::{Mode, Timestamping, UdpOptions, UdpPort};
use sidereal_time::TxToken;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;
use std::num::NonZeroU16;
use std::time::Duration;

/// The system's allocator, counted.
struct Counting;

thread_local! {
    /// Of this thread alone: the harness has another, which may not be done with starting the test.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator can only be written so; it hands everything on to the system's")]
// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps alloc's contract, which is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps dealloc's contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn no_packet_costs_an_allocation() {
    for mode in [Mode::Burst, Mode::Single] {
        let addresses = vec!["0.0.0.0".parse().unwrap(), "::".parse().unwrap()];
        let timestamping = Timestamping::Software;
        let options = UdpOptions {
            addresses,
            port: 0,
            interface: None,
            queues: NonZeroU16::MIN,
            shared: false,
            mode,
            timestamping,
        };
        let port = UdpPort::open(&options).unwrap();
        let (mut rx, mut tx) = port.queues.into_iter().next().unwrap();
        let clients = [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")].map(|(from, to)| {
            let client = UdpSocket::bind(from).unwrap();
            client.connect((to, port.port)).unwrap();
            client
        });
        let mut burst = Burst::new();
        let (mut received, mut answered) = (0, 0);
        let before = ALLOCATIONS.get();
        for _ in 0..200 {
            for client in clients.iter().cycle().take(BURST) {
                client.send(&[0x23; 48]).unwrap();
            }
            rx.wait(Duration::from_millis(10));
            while rx.receive(&mut burst) > 0 {
                received += burst.len();
                for (place, packet) in burst.iter_mut().enumerate() {
                    packet.reply(48, (place % 4 == 0).then(|| TxToken::new(1)));
                }
                tx.transmit(&mut burst);
                while tx.poll_stamp().is_some() {
                    answered += 1;
                }
            }
        }
        let allocations = ALLOCATIONS.get() - before;
        assert!(received >= 190 * BURST && answered > 1000, "{received} received, {answered} tokens answered");
        assert_eq!(allocations, 0, "{mode:?}");
    }
}
