//! The PTP messages among the packets of a burst.

use sidereal_nic::RxChecksums;
use sidereal_time::{Rate, Stamp, Ticks};

use super::link::{Handed, Inlet};
use super::{PtpJudge, PtpMessage, PtpTerms, PtpTime, PtpVerdict, WorkerPtp};
use crate::{Count, DropReason, PtpDrop, WorkerCounters};

/// Deals with the PTP messages of one burst.
#[derive(Debug)]
pub(crate) struct PtpBurst<'a> {
    judge: &'a PtpJudge,
    terms: PtpTerms<'a>,
    inlet: &'a mut Inlet,
    found: (Ticks, Rate),
    counters: &'a WorkerCounters,
}

impl WorkerPtp {
    /// For a burst that was found at these ticks of a counter of this rate, with what is known of the time, if that can be told.
    pub(crate) fn for_burst<'a>(
        &'a mut self,
        found: (Ticks, Rate),
        time: Option<PtpTime<'a>>,
        counters: &'a WorkerCounters,
    ) -> PtpBurst<'a> {
        let terms = PtpTerms { responders: self.responders.current(), time };
        PtpBurst { judge: &self.judge, terms, inlet: &mut self.inlet, found, counters }
    }
}

impl PtpBurst<'_> {
    /// Deals with a frame if it is PTP to one of the ports: the length of the reply, if there is one. `None` of every other one.
    #[inline]
    pub(crate) fn deal(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        checksums: RxChecksums,
        stamp: Option<Stamp>,
    ) -> Option<Option<usize>> {
        match self.judge.frame(buffer, len, checksums, stamp, &self.terms)? {
            PtpVerdict::DelayResp { len } => {
                self.counters.add(Count::DelayResponses, 1);
                return Some(Some(len));
            }
            PtpVerdict::Engine(message) => self.hand_over(message, buffer, stamp),
            PtpVerdict::Drop(reason) => self.counters.dropped(reason),
        }
        Some(None)
    }

    fn hand_over(&mut self, message: PtpMessage, buffer: &[u8], stamp: Option<Stamp>) {
        match self.inlet.hand_over(message, buffer, stamp, self.found) {
            Handed::Over => self.counters.add(Count::ToEngine, 1),
            Handed::RingFull => self.counters.add(Count::EngineRingFull, 1),
            Handed::TooMany => self.counters.dropped(DropReason::Ptp(PtpDrop::TooMany)),
        }
    }
}
