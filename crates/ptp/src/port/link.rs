//! What is known of the delay of the link to the neighbour (IEEE 1588-2019 11.4).

use arrayvec::ArrayVec;
use sidereal_time::Span;

/// Round trips that are remembered.
const LENGTH: usize = 16;
/// Fewer than so many say nothing of how much they differ.
const FEW: usize = 4;

/// The last round trips to the neighbour.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkDelay(ArrayVec<Span, LENGTH>);

impl LinkDelay {
    /// Remembers a round trip.
    pub(crate) fn learn(&mut self, round_trip: Span) {
        if self.0.is_full() {
            self.0.remove(0);
        }
        self.0.push(round_trip);
    }

    /// Half the median of the round trips: neither noise nor a single stamp that was late moves it.
    pub(crate) fn mean(&self) -> Option<Span> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map(|median| median.half())
    }

    /// How much the shortest and the longest of them differ; all of the longest while they are few.
    pub(crate) fn spread(&self) -> Span {
        let longest = self.0.iter().copied().max().unwrap_or_default();
        let shortest = self.0.iter().copied().min().filter(|_| self.0.len() >= FEW).unwrap_or_default();
        longest - shortest
    }

    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}
