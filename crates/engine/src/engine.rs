//! The engine: what happens to it, and what it wants done.

mod hear;
mod lead;
mod serve;
mod upkeep;

use sidereal_time::{Arrived, ClockId, ClockModel, Counter, LeapTable, LocalClock, Stamp, StampFault, Ticks};

use self::lead::Lead;
use crate::broadcast::Broadcasts;
use crate::clocks::{Clock, Clocks};
use crate::config::{EngineConfig, Reference};
use crate::event::{Action, Event};
use crate::follow::{Follower, REPUBLISH_AFTER};
use crate::publication::Publication;
use crate::reference::SystemFollower;
use crate::report::Reports;
use crate::saved::Saved;
use crate::sources::Sources;
use crate::status::{PtpStatus, SourceStatus, Status, Synchronisation};
use crate::surroundings::Surroundings;
use crate::{Snapshot, leap};

/// The control plane. It measures its sources, follows those that are believed (or the system clock, where that is the
/// reference), steers the clocks of the host and says what replies may say.
///
/// After each [`Self::handle`], carry out what [`Self::poll_action`] gives until it gives nothing, then wait for an event
/// or until [`Self::poll_timeout`]. Memory is bounded, whatever is handed in.
#[derive(Debug)]
pub struct Engine {
    local: LocalClock,
    config: EngineConfig,
    leap_table: LeapTable,
    /// Follows the system clock, where that is the reference.
    system: SystemFollower,
    /// Follows the sources, where they are; else it only judges them.
    follower: Follower,
    sources: Sources,
    clocks: Clocks,
    broadcasts: Broadcasts,
    here: Surroundings,
    publication: Publication,
    reports: Reports,
    timers: Timers,
    save: Option<Saved>,
    lead: Lead,
}

/// All in ticks of the local counter.
#[derive(Debug, Clone, Copy)]
struct Timers {
    /// When the last event was.
    now: Ticks,
    reminded: Option<Ticks>,
    saved: Ticks,
    /// When the sources were last asked about leap seconds.
    asked_leap: Ticks,
}

impl Engine {
    /// An engine that knows nothing of the time: the first thing it wants is a reading of the system clock.
    #[must_use]
    pub fn new(local: LocalClock, config: EngineConfig, leap_table: LeapTable, now: Ticks) -> Self {
        let mut reports = Reports::default();
        let mut engine = Self {
            local,
            system: SystemFollower::new(&local, now),
            follower: Follower::new(local, &config, &mut reports, now),
            sources: Sources::default(),
            clocks: Clocks::new(&config.clocks, local, now),
            broadcasts: Broadcasts::default(),
            here: Surroundings::new(local, config.seed, leap::latest(&leap_table)),
            publication: Publication::new(&local, now),
            reports,
            timers: Timers { now, reminded: None, saved: now, asked_leap: now },
            save: None,
            lead: Lead::default(),
            config,
            leap_table,
        };
        engine.configure_parts(now);
        engine
    }

    /// Takes note of `event`, which happened at `now`.
    pub fn handle(&mut self, event: Event<'_>, now: Ticks) {
        if now != self.timers.now || matches!(event, Event::Timer) {
            self.sources.begin_turn();
            self.broadcasts.begin_turn();
        }
        self.follow_counter(now);
        let cause = event.arrival();
        match event {
            Event::Timer => {}
            Event::ClockRead { clock, reading } => self.clock_read(clock, &reading, now),
            Event::Discipline { clock, discipline } => self.discipline(clock, discipline),
            Event::Datagram { source, from, payload, arrival, reception } => {
                self.datagram(source, from, payload, (arrival, reception), now);
            }
            Event::Transmitted { packet, left } => self.transmitted(packet, left, now),
            Event::Sampled { source, reading, leap } => self.sampled(source, &reading, leap, now),
            Event::Pulse { source, ticks, window } => self.pulse(source, ticks, window, now),
            Event::Resolved { source, addresses } => {
                self.sources.resolved(source, addresses, &self.local, now, &mut self.reports);
            }
            Event::ResolveFailed { source } => {
                self.sources.resolve_failed(source, &self.local, now, &mut self.reports);
            }
            Event::SendFailed { packet, unreachable } => self.send_failed(packet, unreachable, now),
            Event::PtpReceived { port, from, message, arrival } => {
                self.ptp_received(port, from, message, arrival, now);
            }
            Event::PtpManagement { client, message } => self.ptp_management(client, message, now),
            Event::PtpPort { port, usable } => self.ptp_port(port, usable, now),
            Event::PtpAnswered { port, received, sent } => self.ptp_answered(port, received, sent),
            Event::ClockLost { clock } => self.with_clock(clock, |clock, reports| clock.lost(reports)),
            Event::SteerFailed { clock } => self.with_clock(clock, |clock, reports| clock.refused(now, reports)),
            Event::ClockReset { clock } => self.with_clock(clock, |clock, _| clock.reset()),
            Event::Rival { clock, who } => self.with_clock(clock, |clock, reports| clock.rival(who, now, reports)),
            Event::Configuration(config) => self.configure(*config, now),
            Event::LeapTable(table) => self.replace_leap_table(table, now),
            Event::Stop => self.save(now),
        }
        self.run_timers(cause, now);
    }

    /// Where the local counter stood when a packet was stamped, by the counter itself or by a clock that is read beside it;
    /// `now` is where it stands. Stamps of CLOCK_REALTIME are located by who reads that.
    ///
    /// # Errors
    /// [`StampFault`]: the stamp is not believed. It is counted in [`crate::ClockStatus`].
    pub fn locate(&self, stamp: Stamp, now: Ticks) -> Result<Arrived, StampFault> {
        let ticks = match stamp.counter {
            counter if counter == self.local.counter => stamp.ticks,
            Counter::Nic(id) => self.clocks.get(id).ok_or(StampFault::UnknownClock)?.locate(stamp.ticks, now)?,
            Counter::Tsc | Counter::MonotonicRaw | Counter::Realtime => return Err(StampFault::UnknownClock),
        };
        Ok(Arrived { ticks, source: stamp.source })
    }

    /// When to hand in [`Event::Timer`], if nothing else happens before. Where the counter may stop or be set while the
    /// host sleeps, come back after a second at most.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Ticks> {
        let (local, now) = (&self.local, self.timers.now);
        let reference = match self.config.reference {
            Reference::System(_) => self.system.next_reading(),
            Reference::Sources => self.publication.due(local, REPUBLISH_AFTER),
        };
        let others = self
            .clocks
            .timeouts(self.reference_clock())
            .chain(self.sources.timeouts(&self.here.local))
            .chain(self.broadcasts.timeouts())
            .chain(self.follower.poll_timeout());
        Some(others.fold(reference, |a, b| if local.passed(now, b) < local.passed(now, a) { b } else { a }))
    }

    /// The next thing to do, if any.
    pub fn poll_action(&mut self) -> Option<Action> {
        let now = self.timers.now;
        if let Some(snapshot) = self.publication.poll() {
            return Some(Action::Publish(snapshot));
        }
        let action = self
            .clocks
            .poll_action()
            .or_else(|| self.sources.poll_action(&mut self.here, now))
            .or_else(|| self.broadcasts.poll_action(&mut self.here, now))
            .or_else(|| self.save.take().map(Action::Save));
        action.or_else(|| self.poll_ptp(now)).or_else(|| self.reports.next().map(Action::Report))
    }

    /// What the workers know, or will as soon as it is published.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        *self.publication.snapshot()
    }

    /// How the clock is at `now`.
    #[must_use]
    pub fn status(&self, now: Ticks) -> Status {
        let model = self.model();
        let at = model.map(|model| model.instant(now));
        let (error, uncertainty, following) = match self.config.reference {
            Reference::System(_) => (model.map(|model| model.error_at(now)), None, None),
            Reference::Sources => {
                (self.follower.bound(now), self.follower.uncertainty(now), Some(self.follower.status(now)))
            }
        };
        Status {
            synchronisation: self.synchronisation(),
            model,
            now: at,
            error,
            uncertainty,
            tai_offset_s: at.map(|at| leap::tai_offset_s(&self.leap_table, at)),
            discipline: self.clocks.system().and_then(|clock| clock.discipline()),
            readings: self.system.counts(),
            ambiguous: self.system.ambiguous(),
            leap_table_expires: self.leap_table.expires(),
            following,
            clocks: self.clocks.status(now),
        }
    }

    /// How each source is at `now`.
    #[must_use]
    pub fn sources(&self, now: Ticks) -> Vec<SourceStatus> {
        let model = self.model();
        self.sources.status(&self.follower.yardstick(model.as_ref(), now))
    }

    /// How each PTP Instance is.
    #[must_use]
    pub fn ptp(&self) -> Vec<PtpStatus> {
        self.sources.ptp_status()
    }

    fn model(&self) -> Option<ClockModel> {
        match self.config.reference {
            Reference::System(_) => self.system.model(),
            Reference::Sources => self.follower.model(),
        }
    }

    fn synchronisation(&self) -> Synchronisation {
        match self.config.reference {
            Reference::System(_) => self.system.synchronisation(),
            Reference::Sources => self.follower.synchronisation(),
        }
    }

    /// Whether the time may be served, and steered by.
    fn is_synchronised(&self) -> bool {
        matches!(self.synchronisation(), Synchronisation::Synchronised | Synchronisation::Holdover)
    }

    /// The clock of the host that is itself the reference.
    fn reference_clock(&self) -> Option<ClockId> {
        matches!(self.config.reference, Reference::System(_)).then_some(ClockId::SYSTEM)
    }

    fn with_clock(&mut self, id: ClockId, then: impl FnOnce(&mut Clock, &mut Reports)) {
        if let Some(clock) = self.clocks.get_mut(id) {
            then(clock, &mut self.reports);
            self.clocks.touched();
        }
    }
}
