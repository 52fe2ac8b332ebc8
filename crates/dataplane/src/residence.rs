//! How long requests stay with us: a histogram that its worker fills and the housekeeping reads, without a lock.
//!
//! Two histograms go round between them. The reader sends an empty one; the worker takes it up at its next turn and sends
//! back the full one. Neither allocates, neither waits.

use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::limits::RESIDENCE_MAX_NS;

/// The worker's half: where it records.
#[derive(Debug)]
pub struct Residence {
    filling: Box<Histogram<u64>>,
    empty: Consumer<Box<Histogram<u64>>>,
    full: Producer<Box<Histogram<u64>>>,
}

/// The reader's half: where the histograms are added up.
#[derive(Debug)]
pub struct ResidenceReader {
    total: Histogram<u64>,
    spare: Option<Box<Histogram<u64>>>,
    empty: Producer<Box<Histogram<u64>>>,
    full: Consumer<Box<Histogram<u64>>>,
}

/// A pair for one worker. Values are nanoseconds up to a second, told apart to 1 %.
#[must_use]
pub fn residence() -> (Residence, ResidenceReader) {
    let (to_worker, from_reader) = RingBuffer::new(1);
    let (to_reader, from_worker) = RingBuffer::new(1);
    (
        Residence { filling: Box::new(histogram()), empty: from_reader, full: to_reader },
        ResidenceReader { total: histogram(), spare: Some(Box::new(histogram())), empty: to_worker, full: from_worker },
    )
}

impl Residence {
    /// Records that `count` requests stayed for `nanos` each.
    pub fn record(&mut self, nanos: u64, count: u64) {
        self.filling.saturating_record_n(nanos.max(1), count);
    }

    /// Hands over what was recorded if the reader has asked for it. Returns whether it has.
    pub fn exchange(&mut self) -> bool {
        let Ok(empty) = self.empty.pop() else { return false };
        let full = core::mem::replace(&mut self.filling, empty);
        // There is room: the reader sends an empty one only after it has taken the last full one.
        let _ = self.full.push(full);
        true
    }
}

impl ResidenceReader {
    /// Takes in what the worker has handed over, asks for the next, and returns all that has been recorded so far (what the
    /// worker recorded since the last call but one).
    pub fn read(&mut self) -> &Histogram<u64> {
        if let Ok(mut full) = self.full.pop() {
            // The bounds are the same, so adding cannot fail.
            let _ = self.total.add(&*full);
            full.reset();
            self.spare = Some(full);
        }
        if let Some(spare) = self.spare.take() {
            // There is room: at most one histogram is ever under way.
            let _ = self.empty.push(spare);
        }
        &self.total
    }
}

fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants that hdrhistogram accepts; a test makes one")]
    Histogram::new_with_bounds(1, RESIDENCE_MAX_NS, 2).expect("constant bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_recorded_arrives_once() {
        let (mut worker, mut reader) = residence();
        let mut recorded = 0;
        for round in 1..=100u64 {
            worker.record(round * 1000, round);
            recorded += round;
            worker.exchange();
            if round % 3 == 0 {
                reader.read();
            }
        }
        for _ in 0..2 {
            reader.read();
            worker.exchange();
        }
        assert_eq!(reader.read().len(), recorded);
    }

    #[test]
    fn a_very_long_stay_counts_as_the_longest() {
        let (mut worker, mut reader) = residence();
        worker.record(u64::MAX, 1);
        reader.read();
        worker.exchange();
        let longest = reader.read().max();
        assert!((RESIDENCE_MAX_NS..RESIDENCE_MAX_NS * 11 / 10).contains(&longest), "{longest}");
    }
}
