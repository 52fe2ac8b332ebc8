//! The clock of a NIC, read by the worker of its first queue when the engine asks.
//!
//! Drivers expect the thread that polls the queue there, and nobody else. The engine asks some times a second; the worker reads
//! the clock between two looks at the local counter, in a turn without packets if one comes soon.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rtrb::{Consumer, Producer, RingBuffer};
use sidereal_engine::NicClocks;
use sidereal_nic::HardwareClock;
use sidereal_time::{ClockId, CrossStamp, Rate, StampFault, Ticks};
use std::sync::Arc;

use crate::limits::{NIC_CLOCK_ANSWERS, NIC_CLOCK_PUT_OFF, NIC_CLOCK_TRIES};

/// The ends of the worker and of the engine.
#[must_use]
pub fn nic_clock_ring(clock: Box<dyn HardwareClock>) -> (WorkerNicClock, EngineNicClock) {
    let asked = Arc::new(AtomicU32::new(0));
    let (answers, answered) = RingBuffer::new(NIC_CLOCK_ANSWERS);
    let worker = WorkerNicClock { clock, asked: Arc::clone(&asked), served: 0, put_off: 0, answers };
    (worker, EngineNicClock { asked, answers: answered })
}

/// The worker's end, with the clock.
pub struct WorkerNicClock {
    clock: Box<dyn HardwareClock>,
    asked: Arc<AtomicU32>,
    /// How often it was asked when that was last served.
    served: u32,
    /// Turns with packets that went by since.
    put_off: u32,
    answers: Producer<Option<CrossStamp>>,
}

impl WorkerNicClock {
    /// Reads the clock, if the engine has asked, beside the counter `now`, whose ticks have the length `rate`. Where the worker is
    /// not idle that is put off, for some turns.
    #[inline]
    pub(crate) fn serve(&mut self, is_idle: bool, rate: Rate, now: impl Fn() -> Ticks) {
        let asked = self.asked.load(Relaxed);
        if asked == self.served {
            return;
        }
        if !is_idle && self.put_off < NIC_CLOCK_PUT_OFF {
            self.put_off += 1;
            return;
        }
        (self.served, self.put_off) = (asked, 0);
        // There is room, unless the engine has not looked for a second; then it does not miss what is dropped.
        let answer = self.read(rate, now);
        let _ = self.answers.push(answer);
    }

    /// The reading of some that took the shortest.
    fn read(&mut self, rate: Rate, now: impl Fn() -> Ticks) -> Option<CrossStamp> {
        let mut best: Option<(u64, CrossStamp)> = None;
        for _ in 0..NIC_CLOCK_TRIES {
            let before = now();
            let nic = self.clock.read()?;
            let taken = now().0.wrapping_sub(before.0);
            if best.is_none_or(|(shortest, _)| taken < shortest) {
                let local = Ticks(before.0.wrapping_add(taken / 2));
                // Two ticks more: looks and middle are rounded to whole ones.
                let window = rate.span(taken.saturating_add(2).cast_signed());
                best = Some((taken, CrossStamp { nic, local, window }));
            }
        }
        best.map(|(_, stamp)| stamp)
    }
}

impl fmt::Debug for WorkerNicClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerNicClock").field("served", &self.served).finish_non_exhaustive()
    }
}

/// The engine's end.
#[derive(Debug)]
pub struct EngineNicClock {
    asked: Arc<AtomicU32>,
    answers: Consumer<Option<CrossStamp>>,
}

impl EngineNicClock {
    /// Asks for a reading. What has been asked for and not been answered yet is answered by the same one.
    pub fn request(&self) {
        self.asked.fetch_add(1, Relaxed);
    }

    /// The next answer: a reading, or nothing where the clock could not be read. `None` where there is no answer.
    pub fn poll(&mut self) -> Option<Option<CrossStamp>> {
        self.answers.pop().ok()
    }
}

/// Where the local counter stood at a stamp of a NIC's clock, by what is known of `nics`; it stands at `now`.
#[inline]
pub(crate) fn locate(nics: &NicClocks, clock: ClockId, stamp: Ticks, now: Ticks) -> Result<Ticks, StampFault> {
    nics.of(clock).ok_or(StampFault::UnknownClock)?.locate(stamp, now)
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use sidereal_time::Span;
    use std::collections::VecDeque;

    use super::*;

    /// A clock of which some readings fail, and a counter that each look at moves.
    struct Rig(VecDeque<Option<u64>>);

    impl HardwareClock for Rig {
        fn read(&mut self) -> Option<Ticks> {
            self.0.pop_front().flatten().map(Ticks)
        }
    }

    fn ring(readings: impl IntoIterator<Item = Option<u64>>) -> (WorkerNicClock, EngineNicClock) {
        nic_clock_ring(Box::new(Rig(readings.into_iter().collect())))
    }

    /// A counter that shows these, one after the other.
    fn counter(shows: &[u64]) -> impl Fn() -> Ticks + use<> {
        let (shows, next) = (shows.to_vec(), Cell::new(0));
        move || Ticks(shows[next.replace(next.get() + 1)])
    }

    #[test]
    fn nothing_is_read_unless_asked_for() {
        let (mut worker, mut engine) = ring([]);
        worker.serve(true, Rate::NANOSECOND, || panic!("not asked"));
        assert_eq!(engine.poll(), None);
    }

    #[test]
    fn the_quickest_of_some_readings_counts_and_says_how_sure_it_is() {
        let (mut worker, mut engine) = ring([Some(100), Some(200), Some(300)]);
        engine.request();
        engine.request();
        worker.serve(true, Rate::NANOSECOND, counter(&[1000, 1900, 2000, 2100, 3000, 3900]));
        let window = Span::from_nanos(102);
        let expected = CrossStamp { nic: Ticks(200), local: Ticks(2050), window };
        assert_eq!(engine.poll(), Some(Some(expected)));
        assert_eq!(engine.poll(), None, "both were answered");
    }

    #[test]
    fn packets_go_first_for_a_while() {
        let (mut worker, mut engine) = ring([Some(1); 9]);
        engine.request();
        for _ in 0..NIC_CLOCK_PUT_OFF {
            worker.serve(false, Rate::NANOSECOND, || panic!("put off"));
        }
        worker.serve(false, Rate::NANOSECOND, counter(&[0; 6]));
        assert!(engine.poll().is_some_and(|answer| answer.is_some()));
    }

    #[test]
    fn a_clock_that_cannot_be_read_is_an_answer() {
        let (mut worker, mut engine) = ring([Some(1), None]);
        engine.request();
        worker.serve(true, Rate::NANOSECOND, counter(&[0; 6]));
        assert_eq!(engine.poll(), Some(None));
    }

    #[test]
    fn answers_that_nobody_takes_are_dropped() {
        let (mut worker, mut engine) = ring([Some(1); 3 * 100]);
        for _ in 0..100 {
            engine.request();
            worker.serve(true, Rate::NANOSECOND, counter(&[0; 6]));
        }
        assert_eq!(core::iter::from_fn(|| engine.poll()).count(), NIC_CLOCK_ANSWERS);
    }
}
