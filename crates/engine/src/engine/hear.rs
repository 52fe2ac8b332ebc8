//! What comes in: readings of clocks, packets, samples, pulses.

use core::net::SocketAddr;

use sidereal_ntp::{LeapIndicator, PollAdvice};
use sidereal_servo::Discipline;
use sidereal_time::{Arrived, ClockId, Span, Ticks};

use super::Engine;
use crate::clocks::Target;
use crate::config::Reference;
use crate::event::{ClockReading, PacketId};
use crate::follow::best_told;
use crate::leap;
use crate::source::SourceId;
use crate::sources::{FIRST_BROADCAST, packet_parts};

impl Engine {
    pub(super) fn clock_read(&mut self, id: ClockId, reading: &ClockReading, now: Ticks) {
        if let (ClockId::SYSTEM, ClockReading::Utc(reading)) = (id, reading) {
            self.here.pivot = reading.at().max(leap::latest(&self.leap_table));
        }
        if self.reference_clock() == Some(id) {
            return self.reference_read(reading, now);
        }
        let (model, synchronised) = (self.model(), self.is_synchronised());
        let target = model.as_ref().map(|model| Target { model, table: &self.leap_table, synchronised });
        let Some(clock) = self.clocks.get_mut(id) else { return };
        let jump = clock.read(reading, target, &mut self.reports);
        self.clocks.touched();
        if let (ClockId::SYSTEM, Some(by)) = (id, jump) {
            self.follower.note_jump(by, now);
        }
    }

    fn reference_read(&mut self, reading: &ClockReading, now: Ticks) {
        self.with_clock(ClockId::SYSTEM, |clock, reports| clock.found(reports));
        if let ClockReading::Utc(reading) = reading
            && self.system.read(reading, &self.leap_table, now, &mut self.reports)
        {
            self.publish(now);
        }
    }

    pub(super) fn discipline(&mut self, id: ClockId, discipline: Discipline) {
        let Some(clock) = self.clocks.get_mut(id) else { return };
        let before = clock.discipline();
        clock.set_discipline(discipline);
        if self.reference_clock() == Some(id) {
            self.system.discipline(before, &discipline, &self.leap_table, &mut self.reports);
        }
    }

    pub(super) fn datagram(
        &mut self,
        id: SourceId,
        from: SocketAddr,
        payload: &[u8],
        arrival: (Arrived, Span),
        now: Ticks,
    ) {
        if let Some(source) = self.sources.get_mut(id) {
            source.receive(from, payload, arrival, now, &mut self.here, &mut self.reports);
            self.hear(id, now);
        }
    }

    pub(super) fn transmitted(&mut self, packet: PacketId, left: Option<Arrived>, now: Ticks) {
        let (whose, incarnation, sequence) = packet_parts(packet);
        if whose >= FIRST_BROADCAST {
            return self.broadcasts.transmitted(whose - FIRST_BROADCAST, incarnation, sequence, left);
        }
        if let Some(source) = self.sources.get_mut(SourceId(whose)) {
            source.transmitted(incarnation, sequence, left, now, &mut self.here);
            self.hear(SourceId(whose), now);
        }
    }

    pub(super) fn send_failed(&mut self, packet: PacketId, unreachable: bool, now: Ticks) {
        let (whose, ..) = packet_parts(packet);
        if let Some(source) = self.sources.get_mut(SourceId(whose)) {
            source.ignore(if unreachable { "network_unreachable" } else { "send_failed" });
        }
        self.transmitted(packet, None, now);
    }

    pub(super) fn sampled(&mut self, id: SourceId, reading: &ClockReading, leap: LeapIndicator, now: Ticks) {
        let model = self.model();
        if let Some(source) = self.sources.get_mut(id) {
            source.sampled(reading, leap, &self.leap_table, model.as_ref());
            self.hear(id, now);
        }
    }

    /// The second of a pulse is known by our own time, or by another source while there is none.
    pub(super) fn pulse(&mut self, id: SourceId, ticks: Ticks, window: Span, now: Ticks) {
        let model = self.model();
        let told = match &model {
            Some(model) => Some((model.instant(ticks), self.bound(ticks))),
            None => best_told(&self.sources, &self.follower.yardstick(None, now), ticks),
        };
        if let Some(source) = self.sources.get_mut(id) {
            source.pulse(ticks, window, told);
            self.hear(id, now);
        }
    }

    /// Takes what a source has to say: judged by itself, judged beside the others, followed.
    pub(super) fn hear(&mut self, id: SourceId, now: Ticks) {
        loop {
            let mut model = self.model();
            let Some(source) = self.sources.get_mut(id) else { return };
            let Some(said) = source.poll_said(&self.here.local) else { return };
            let Some(reading) = source.place(&said, &self.leap_table, model.as_ref()) else { continue };
            let follows_sources = self.config.reference == Reference::Sources;
            if follows_sources && self.follower.doubts_counter(id, &reading, said.bound(), now, &mut self.reports) {
                self.sources.forget_measurements();
                model = None;
            }
            if self.is_mistaken(id, &reading, now) {
                self.follower.select(&mut self.sources, model.as_ref(), now, &mut self.reports);
                continue;
            }
            self.follower.pin(&reading);
            let Some(source) = self.sources.get_mut(id) else { return };
            let Some(measurement) = source.measure(&said, reading, model.as_ref()) else { continue };
            self.follower.select(&mut self.sources, model.as_ref(), now, &mut self.reports);
            if follows_sources {
                self.follower.follow(id, &measurement, &mut self.sources, now, &mut self.reports);
            } else if let Some(source) = self.sources.get_mut(id) {
                // Nobody uses it: it need not be asked often.
                source.advise(PollAdvice::Longer);
            }
        }
    }
}
