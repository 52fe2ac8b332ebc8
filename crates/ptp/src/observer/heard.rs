//! One master that is observed.

use sidereal_time::{Arrived, Instant, LocalClock, Reading, Span, Tai, Ticks};

use super::Observed;
use crate::address::Address;
use crate::data_sets::TimePropertiesDs;
use crate::message::{Announce, Flags, Header, Timestamp};
use crate::outcome::{IgnoreReason, PortCounts};
use crate::port::Departure;
use crate::port::delay::DelayRequests;
use crate::port::lead::Pace;
use crate::port::pairing::{Pairing, Quality};
use crate::port::sync::{SyncTimes, Syncs};

/// One master that is observed.
#[derive(Debug)]
pub(super) struct Heard {
    shown: Observed,
    syncs: Syncs,
    delays: DelayRequests,
    pairing: Pairing,
    /// When it is asked, once it has sent a Sync.
    request: Option<Pace>,
}

impl Heard {
    /// The one that sent a message with this header.
    pub(super) fn new(header: &Header, from: Option<Address>, clock: &LocalClock) -> Self {
        Self {
            shown: Observed {
                domain: header.domain,
                identity: header.source,
                address: from,
                minor_version: header.minor_version,
                announce: None,
                time_properties: None,
                log_announce_interval: None,
                log_sync_interval: None,
                two_step: None,
                announces: 0,
                syncs: 0,
                readings: 0,
                best: None,
                dispersion: Span::ZERO,
            },
            syncs: Syncs::default(),
            delays: DelayRequests::default(),
            pairing: Pairing::new(clock),
            request: None,
        }
    }

    pub(super) const fn observed(&self) -> Observed {
        self.shown
    }

    /// Whether a message with this header is of this one.
    pub(super) fn is(&self, header: &Header) -> bool {
        (header.domain, header.source) == (self.shown.domain, self.shown.identity)
    }

    pub(super) fn announced(&mut self, header: &Header, announce: Announce) {
        self.shown.announces += 1;
        self.shown.announce = Some(announce);
        self.shown.time_properties = Some(TimePropertiesDs::following(&announce, header.flags));
        self.shown.log_announce_interval = Some(header.log_interval);
    }

    pub(super) fn sync(
        &mut self,
        event: &Event<'_>,
        origin: Timestamp,
        counts: &mut PortCounts,
    ) -> Result<(), IgnoreReason> {
        self.shown.syncs += 1;
        self.shown.two_step = Some(event.header.flags.has(Flags::TWO_STEP));
        self.shown.log_sync_interval = Some(event.header.log_interval);
        self.request.get_or_insert(Pace::new(event.now));
        self.syncs.expire(event.clock, event.now, counts);
        let sync = self.syncs.sync(event.header, origin, event.arrived, event.now)?;
        sync.map_or(Ok(()), |sync| self.measure_sync(sync, event))
    }

    pub(super) fn follow_up(&mut self, event: &Event<'_>, precise_origin: Timestamp) -> Result<(), IgnoreReason> {
        let sync = self.syncs.follow_up(event.header, precise_origin, event.now)?;
        sync.map_or(Ok(()), |sync| self.measure_sync(sync, event))
    }

    pub(super) fn answered(&mut self, header: &Header, received: Instant<Tai>) -> Result<(), IgnoreReason> {
        let Some(delay) = self.delays.answered(header.sequence_id, received)? else { return Ok(()) };
        let quality = self.pairing.delay(delay)?;
        self.record(quality);
        Ok(())
    }

    pub(super) fn transmitted(&mut self, sequence_id: u16, departure: Departure) -> Result<(), IgnoreReason> {
        let Some(delay) = self.delays.transmitted(sequence_id, departure)? else { return Ok(()) };
        let quality = self.pairing.delay(delay)?;
        self.record(quality);
        Ok(())
    }

    /// When it is asked next.
    pub(super) fn next_request(&self) -> Option<Ticks> {
        self.request.map(|request| request.next())
    }

    /// Whether it is to be asked now.
    pub(super) fn is_due(&mut self, interval: Span, now: Ticks, clock: &LocalClock) -> bool {
        self.request.as_mut().is_some_and(|request| request.take(interval, now, clock))
    }

    /// It is asked by request `sequence_id`.
    pub(super) fn asked(&mut self, sequence_id: u16, now: Ticks, clock: &LocalClock, counts: &mut PortCounts) {
        self.delays.expire(clock, now, counts);
        self.delays.sent(sequence_id, now);
    }

    fn measure_sync(&mut self, sync: SyncTimes, event: &Event<'_>) -> Result<(), IgnoreReason> {
        let quality = match event.link {
            Some((mean, spread)) => Some(self.pairing.over_link(&sync, mean, spread, event.clock)?),
            None => self.pairing.sync(sync, event.clock)?,
        };
        self.record(quality);
        Ok(())
    }

    fn record(&mut self, quality: Option<Quality>) {
        let Some(quality) = quality else { return };
        self.shown.readings += 1;
        if self.shown.best.is_none_or(|best: Reading<Tai>| quality.reading.window() <= best.window()) {
            (self.shown.best, self.shown.dispersion) = (Some(quality.reading), quality.dispersion);
        }
    }
}

/// A Sync or Follow_Up, and what it is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) header: &'a Header,
    pub(super) arrived: Option<Arrived>,
    /// The mean and the spread of the link's delay, where that is what is measured.
    pub(super) link: Option<(Span, Span)>,
    pub(super) now: Ticks,
    pub(super) clock: &'a LocalClock,
}
