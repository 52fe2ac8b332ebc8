//! Keeps a port's queues away from it while its device is replaced, without a lock in the packet path.
//!
//! A generation counter says whether the port is open (even) or closed (odd). Each half of a queue compares it once per
//! call, one load of a line that nobody writes, and acknowledges what it sees. Whoever closes waits for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often the closing side looks whether everybody has acknowledged.
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// Acknowledged by a half that was dropped; no generation gets there, as each costs a replaced device.
const LEFT: u32 = u32::MAX;

/// The side that closes and opens.
#[derive(Debug)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
    acknowledged: Vec<Arc<AtomicU32>>,
}

/// One half of a queue, at the gate.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    acknowledged: Arc<AtomicU32>,
    seen: u32,
    port: u16,
}

#[derive(Debug)]
struct Shared {
    generation: AtomicU32,
    /// DPDK's number of the port; written only while the gate is closed.
    port: AtomicU16,
}

impl Gate {
    /// An open gate to the port of this number.
    pub(crate) fn new(port: u16) -> Self {
        let shared = Shared { generation: AtomicU32::new(0), port: AtomicU16::new(port) };
        Self { shared: Arc::new(shared), acknowledged: Vec::new() }
    }

    /// A seat for one half of a queue. The gate must be open.
    pub(crate) fn seat(&mut self) -> Seat {
        let seen = self.shared.generation.load(Ordering::Acquire);
        let acknowledged = Arc::new(AtomicU32::new(seen));
        self.acknowledged.push(Arc::clone(&acknowledged));
        let port = self.shared.port.load(Ordering::Relaxed);
        Seat { shared: Arc::clone(&self.shared), acknowledged, seen, port }
    }

    pub(crate) fn is_closed(&self) -> bool {
        !self.shared.generation.load(Ordering::Relaxed).is_multiple_of(2)
    }

    /// Closes, and waits until no half uses the port any more. False where that took longer than `patience`; the gate is
    /// then closed all the same, and asking again goes on waiting.
    pub(crate) fn close(&mut self, patience: Duration) -> bool {
        if !self.is_closed() {
            self.shared.generation.fetch_add(1, Ordering::Release);
        }
        let closed = self.shared.generation.load(Ordering::Relaxed);
        let deadline = Instant::now() + patience;
        // The acquiring load sees everything that the half did at the port before.
        let away = |at: &Arc<AtomicU32>| matches!(at.load(Ordering::Acquire), seen if seen == closed || seen == LEFT);
        while !self.acknowledged.iter().all(away) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// Opens to the port of this number.
    pub(crate) fn open(&mut self, port: u16) {
        if self.is_closed() {
            self.shared.port.store(port, Ordering::Relaxed);
            self.shared.generation.fetch_add(1, Ordering::Release);
        }
    }
}

impl Seat {
    /// The port's number if it may be used now. It may be, until the next call.
    #[inline]
    pub(crate) fn port(&mut self) -> Option<u16> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation != self.seen {
            self.follow(generation);
        }
        self.seen.is_multiple_of(2).then_some(self.port)
    }

    #[cold]
    fn follow(&mut self, generation: u32) {
        self.port = self.shared.port.load(Ordering::Relaxed);
        self.seen = generation;
        self.acknowledged.store(generation, Ordering::Release);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.acknowledged.store(LEFT, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::Gate;

    const SOON: Duration = Duration::from_millis(2);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_seat_follows_the_gate() {
        let mut gate = Gate::new(3);
        let mut seat = gate.seat();
        assert_eq!(seat.port(), Some(3));
        assert!(!gate.close(SOON), "the seat has not looked");
        assert_eq!(seat.port(), None);
        assert!(gate.close(SOON));
        assert_eq!(seat.port(), None);
        gate.open(5);
        assert_eq!(seat.port(), Some(5));
    }

    #[test]
    fn a_seat_that_left_is_not_waited_for() {
        let mut gate = Gate::new(0);
        drop(gate.seat());
        assert!(gate.close(SOON));
    }

    #[test]
    fn opening_an_open_gate_changes_nothing() {
        let mut gate = Gate::new(1);
        let mut seat = gate.seat();
        gate.open(2);
        assert_eq!(seat.port(), Some(1));
    }

    /// Nobody is at a port while the gate is closed, and everybody is at the new one afterwards.
    #[test]
    fn closed_means_that_nobody_is_there() {
        static USERS: [AtomicU16; 64] = [const { AtomicU16::new(0) }; 64];
        static STOP: AtomicBool = AtomicBool::new(false);
        let mut gate = Gate::new(0);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let mut seat = gate.seat();
                thread::spawn(move || {
                    while !STOP.load(Ordering::Relaxed) {
                        if let Some(port) = seat.port() {
                            USERS[usize::from(port)].fetch_add(1, Ordering::Relaxed);
                            thread::yield_now();
                            USERS[usize::from(port)].fetch_sub(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for port in 1..64_u16 {
            assert!(gate.close(LONG));
            assert!(USERS.iter().all(|users| users.load(Ordering::Relaxed) == 0));
            gate.open(port);
        }
        STOP.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
