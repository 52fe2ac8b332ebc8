//! The rings, and the stage at their end.

use crate::record::Record;
use crate::target::Target;
use crate::totals::Totals;
use core::sync::atomic::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;

/// How many records of one producer are taken in before the next producer's turn.
pub const MAX_RECORDS_PER_TURN: usize = 256;

/// A pipeline of `producers` rings with room for `capacity` records each, and a stage for targets numbered from 0 to
/// `targets` less one. All memory is allocated here.
#[must_use]
pub fn pipeline(producers: usize, capacity: usize, targets: usize) -> (Vec<Recorder>, Stage) {
    let (recorders, inputs) = (0..producers)
        .map(|_| {
            let (producer, consumer) = RingBuffer::new(capacity);
            let lost = Arc::new(CachePadded::new(AtomicU64::new(0)));
            (Recorder { ring: producer, lost: Arc::clone(&lost) }, Input { ring: consumer, lost })
        })
        .unzip();
    (recorders, Stage { inputs, targets: vec![Target::default(); targets], totals: Totals::new() })
}

/// The producing end of one ring.
#[derive(Debug)]
pub struct Recorder {
    ring: Producer<Record>,
    /// Written here alone.
    lost: Arc<CachePadded<AtomicU64>>,
}

impl Recorder {
    /// Hands a record to the stage; where the ring is full, it is lost and counted. Neither waits nor allocates.
    pub fn record(&mut self, record: Record) {
        if self.ring.push(record).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where all rings end. One thread polls it, as often as rings may not run over.
#[derive(Debug)]
pub struct Stage {
    inputs: Vec<Input>,
    targets: Vec<Target>,
    totals: Totals,
}

#[derive(Debug)]
struct Input {
    ring: Consumer<Record>,
    lost: Arc<CachePadded<AtomicU64>>,
}

impl Stage {
    /// Takes in what has come, at most [`MAX_RECORDS_PER_TURN`] of each producer. Returns how many records that were: none,
    /// where all rings are empty.
    pub fn poll(&mut self) -> usize {
        let Self { inputs, targets, totals } = self;
        let mut taken = 0;
        for input in inputs {
            let waiting = input.ring.slots().min(MAX_RECORDS_PER_TURN);
            // So many are there.
            let Ok(records) = input.ring.read_chunk(waiting) else { continue };
            for record in records {
                match targets.get_mut(record.target() as usize) {
                    Some(target) => totals.take(&target.take(&record)),
                    None => totals.unknown_target += 1,
                }
            }
            taken += waiting;
        }
        taken
    }

    /// What is known of the target of this number; `None` where there is no such target.
    #[must_use]
    pub fn target(&self, number: u32) -> Option<&Target> {
        self.targets.get(number as usize)
    }

    /// Counts and histograms of all targets together.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How many records found their ring full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.inputs.iter().map(|input| input.lost.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Stamps;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sidereal_time::{Exchange, Instant, Span, StampSource, Utc};

    /// A round trip of `delay_ns` with a clock that is `offset_ns` ahead.
    fn record(target: u32, offset_ns: i128, delay_ns: i128) -> Record {
        let at = |nanos| Instant::<Utc>::from_secs(1_800_000_000) + Span::from_nanos(nanos);
        let there = at(offset_ns + delay_ns / 2);
        let exchange = Exchange { t1: at(0), t2: there, t3: there, t4: at(delay_ns) };
        let stamps = Stamps { transmit: StampSource::Kernel, receive: StampSource::Kernel };
        Record::new(target, &exchange, Span::ZERO, stamps)
    }

    #[test]
    fn a_full_ring_loses_counts_and_never_blocks() {
        let (mut recorders, mut stage) = pipeline(1, 4, 1);
        for _ in 0..10 {
            recorders[0].record(record(0, 5, 10));
        }
        assert_eq!((stage.poll(), stage.poll()), (4, 0));
        assert_eq!((stage.lost(), stage.totals().exchanges), (6, 4));
        recorders[0].record(record(0, 5, 10));
        assert_eq!((stage.poll(), stage.lost()), (1, 6));
    }

    #[test]
    fn a_flooding_producer_does_not_keep_the_others_waiting() {
        let (mut recorders, mut stage) = pipeline(2, 10_000, 2);
        for _ in 0..10_000 {
            recorders[0].record(record(0, 0, 10));
        }
        recorders[1].record(record(1, 0, 10));
        assert_eq!(stage.poll(), MAX_RECORDS_PER_TURN + 1);
        assert_eq!(stage.target(1).unwrap().count(), 1);
    }

    #[test]
    fn a_target_that_is_not_there_is_counted() {
        let (mut recorders, mut stage) = pipeline(1, 4, 2);
        recorders[0].record(record(2, 0, 10));
        assert_eq!(stage.poll(), 1);
        assert_eq!((stage.totals().unknown_target, stage.totals().exchanges), (1, 0));
        assert!(stage.target(2).is_none());
    }

    #[test]
    fn the_histograms_tell_offsets_both_ways_and_delays() {
        let (mut recorders, mut stage) = pipeline(1, 256, 1);
        for number in 1..=100 {
            let sign = if number % 2 == 0 { 1 } else { -1 };
            recorders[0].record(record(0, sign * number * 1000, number * 200));
        }
        recorders[0].record(record(0, 1 << 60, -2));
        stage.poll();
        let totals = stage.totals();
        let (offsets, delays) = (totals.offsets().unwrap(), totals.delays().unwrap());
        for (shown, true_value) in [
            (offsets.p50, 50_000_u64),
            (offsets.p99, 99_000),
            (offsets.max, 100_000),
            (delays.p50, 10_000),
            (delays.max, 20_000),
        ] {
            assert!(shown.abs_diff(true_value) * 100 <= true_value, "{shown} is not {true_value}");
        }
        assert_eq!((totals.exchanges, totals.implausible), (101, 1));
    }

    #[test]
    fn threads_lose_nothing_but_what_is_counted() {
        const EACH: u32 = 20_000;
        let (recorders, mut stage) = pipeline(3, 64, 3);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3_u32)
                .zip(recorders)
                .map(|(target, mut recorder)| {
                    scope.spawn(move || (0..EACH).for_each(|_| recorder.record(record(target, 7, 10))))
                })
                .collect();
            while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                stage.poll();
            }
        });
        while stage.poll() > 0 {}
        assert_eq!(stage.totals().exchanges + stage.lost(), u64::from(3 * EACH));
        let counts: u64 = (0..3).map(|target| stage.target(target).unwrap().count()).sum();
        assert_eq!(counts, stage.totals().exchanges);
    }

    proptest! {
        /// Whatever is recorded and however often the stage is polled: each record is taken in, lost, or of nobody.
        #[test]
        fn every_record_is_accounted_for(
            steps in vec(prop_oneof![4 => (0..3_usize, 0..6_u32).prop_map(Some), 1 => Just(None)], 0..300),
        ) {
            let (mut recorders, mut stage) = pipeline(3, 8, 4);
            let mut recorded = 0;
            let mut of_nobody = 0;
            for step in steps {
                match step {
                    Some((producer, target)) => {
                        recorders[producer].record(record(target, 1, 2));
                        recorded += 1;
                        of_nobody += u64::from(target >= 4);
                    }
                    None => { stage.poll(); }
                }
            }
            while stage.poll() > 0 {}
            let totals = stage.totals();
            prop_assert_eq!(totals.exchanges + totals.unknown_target + stage.lost(), recorded);
            prop_assert!(totals.unknown_target <= of_nobody);
            let counts: u64 = (0..4).map(|target| stage.target(target).unwrap().count()).sum();
            prop_assert_eq!(counts, totals.exchanges);
        }
    }
}
