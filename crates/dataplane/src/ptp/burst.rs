//! The PTP messages among the packets of a burst.

use sidereal_nic::RxChecksums;
use sidereal_ptp::PortKey;
use sidereal_time::{Counter, Rate, Stamp, Ticks};

use super::link::{Answered, Handed, Inlet};
use super::{NicStamps, PtpJudge, PtpMessage, PtpTerms, PtpTime, PtpVerdict, WorkerPtp};
use crate::{Count, DropReason, PtpDrop, WorkerCounters};

/// Deals with the PTP messages of one burst.
#[derive(Debug)]
pub(crate) struct PtpBurst<'a> {
    judge: &'a PtpJudge,
    terms: PtpTerms<'a>,
    nic_stamps: &'a mut NicStamps,
    answered: &'a Answered,
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
        let Self { judge, responders, nic_stamps, answered, inlet, .. } = self;
        let terms = PtpTerms { responders: responders.current(), time, nic_stamps: *nic_stamps };
        PtpBurst { judge, terms, nic_stamps, answered, inlet, found, counters }
    }
}

/// The bit of messageType that general messages have and event messages have not (IEEE 1588-2019 table 36).
const GENERAL_BIT: u8 = 0x8;

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
            PtpVerdict::DelayResp { len, key } => {
                self.counters.add(Count::DelayResponses, 1);
                self.answered.add(key);
                self.note(key, stamp);
                return Some(Some(len));
            }
            PtpVerdict::Unstamped { key } => {
                self.note(key, stamp);
                self.counters.dropped(DropReason::Ptp(PtpDrop::Unstamped));
            }
            PtpVerdict::Engine(message) => {
                let is_event = buffer.get(message.message.start).is_some_and(|kind| kind & GENERAL_BIT == 0);
                let by_nic = is_event && self.note(message.key, stamp);
                self.hand_over(message, buffer, (stamp, by_nic));
            }
            PtpVerdict::Drop(reason) => self.counters.dropped(reason),
        }
        Some(None)
    }

    /// Takes note of the stamp of an event message, or that it has none. Whether it should have had one.
    fn note(&mut self, key: PortKey, stamp: Option<Stamp>) -> bool {
        let Some(transport) = self.judge.transport(key) else { return false };
        let by_nic = stamp.is_some_and(|stamp| matches!(stamp.counter, Counter::Nic(_)));
        self.nic_stamps.note(transport, by_nic);
        self.terms.nic_stamps.are_expected(transport)
    }

    fn hand_over(&mut self, message: PtpMessage, buffer: &[u8], stamp: (Option<Stamp>, bool)) {
        match self.inlet.hand_over(message, buffer, stamp, self.found) {
            Handed::Over => self.counters.add(Count::ToEngine, 1),
            Handed::RingFull => self.counters.add(Count::EngineRingFull, 1),
            Handed::TooMany => self.counters.dropped(DropReason::Ptp(PtpDrop::TooMany)),
        }
    }
}
