//! The port's state: what the best master clock algorithm decides, and when time changes it (IEEE 1588-2019 9.2, 9.3).

use arrayvec::ArrayVec;
use sidereal_time::{Span, Ticks};

use super::{Context, Instance, Master};
use crate::bmca::{ComparisonSet, Decision, compare, compare_alternate, decide};
use crate::data_sets::{DelayMechanism, PortState, Roles};
use crate::foreign_masters::ForeignMaster;
use crate::fsm::{PortEvent, fsm};
use crate::identity::PortIdentity;
use crate::options::{Bmca, interval};
use crate::outcome::IgnoreReason;
use crate::port::pairing::Pairing;
use crate::port::sync::Syncs;

/// How long a port with several neighbours is faulty: 16 s.
const NEIGHBOURS_FAULT: Span = Span::from_secs(16);

impl Instance {
    /// Says whether the port's link or socket is gone.
    pub fn faulty(&mut self, is: bool, now: Ticks, context: &mut Context<'_>) {
        self.meet(now, context);
        self.broken = is;
        if is {
            self.event(PortEvent::FaultDetected, context);
        } else {
            self.neighbours_until = None;
            self.event(PortEvent::FaultCleared, context);
        }
    }

    /// The local counter has jumped to `now`: nothing that was measured by it holds any longer.
    pub fn counter_reset(&mut self, now: Ticks, context: &mut Context<'_>) {
        self.meet(now, context);
        self.running = super::running(now, context.clock);
        self.initialize(context);
    }

    /// Begins anew (INITIALIZE, 9.2.6.3): at once, or when there is a link again, or leave to.
    pub(crate) fn initialize(&mut self, context: &mut Context<'_>) {
        self.neighbours_until = None;
        if self.broken || !self.enabled {
            self.initialize_quietly();
        } else {
            self.event(PortEvent::Initialize, context);
        }
    }

    /// Enables or disables the port (DESIGNATED_ENABLED, DESIGNATED_DISABLED, 9.2.6.4).
    pub(crate) fn enable(&mut self, is: bool, context: &mut Context<'_>) {
        self.enabled = is;
        self.event(if is { PortEvent::DesignatedEnabled } else { PortEvent::DesignatedDisabled }, context);
        if is && self.broken {
            self.event(PortEvent::FaultDetected, context);
        }
    }

    /// Several neighbours answered one request: the port is faulty for a while (11.4.4).
    pub(super) fn several_neighbours(&mut self, context: &mut Context<'_>) {
        self.neighbours_until = Some(self.clock.later(self.now, NEIGHBOURS_FAULT));
        self.event(PortEvent::FaultDetected, context);
    }

    /// When something is to be done next.
    pub(super) fn timers(&self) -> [Option<Ticks>; 6] {
        let state = self.port_state;
        let is_up = self.is_up();
        [
            self.neighbours_until,
            is_up.then(|| self.decision.next()),
            is_up.then_some(self.announce_timeout).filter(|_| self.awaits_announce()),
            self.qualification.filter(|_| state == PortState::PreMaster),
            (state == PortState::Master).then(|| {
                let (announce, sync) = (self.announce.next(), self.sync.next());
                if self.clock.passed(announce, sync).is_negative() { sync } else { announce }
            }),
            self.asks().then(|| self.request.next()),
        ]
    }

    /// Lets time pass until now.
    pub(super) fn run(&mut self, context: &mut Context<'_>) {
        if self.neighbours_until.is_some_and(|until| self.has_come(until)) {
            self.neighbours_until = None;
            if !self.broken {
                self.event(PortEvent::FaultCleared, context);
            }
        }
        if !self.is_up() {
            return;
        }
        match (self.port_state, context.selected) {
            (PortState::Uncalibrated, true) => self.event(PortEvent::MasterClockSelected, context),
            (PortState::Slave, false) => self.event(PortEvent::SynchronizationFault, context),
            (PortState::Master | PortState::PreMaster, _) if !self.may_lead() => self.decide(context),
            _ => {}
        }
        if self.awaits_announce() && self.has_come(self.announce_timeout) {
            self.counts.announce_timeouts += u64::from(self.heeded.is_some());
            self.heed_nobody();
            self.restart_announce_timeout(context);
            // Where another master is heard, it is heeded at once.
            self.decide(context);
            if self.heeded.is_none() {
                self.event(PortEvent::AnnounceReceiptTimeout, context);
            }
        }
        if self.port_state == PortState::PreMaster && self.qualification.is_some_and(|at| self.has_come(at)) {
            self.event(PortEvent::QualificationTimeout, context);
        }
        let every = interval(self.options.port.log_announce_interval);
        if self.decision.take(every, self.now, &self.clock) {
            self.foreign_masters.expire(self.now, every, &self.clock);
            self.decide(context);
        }
    }

    /// The state decision event (9.2.6.9): what is the port to be, by all that is heard?
    pub(super) fn decide(&mut self, context: &mut Context<'_>) {
        let compare = match self.options.bmca {
            Bmca::Default => compare,
            Bmca::Alternate => compare_alternate,
        };
        let own = self.may_lead().then(|| ComparisonSet::own(&self.default_ds()));
        let best = self.foreign_masters.best(self.port_identity(), self.options.port.local_priority, compare);
        let (best, set) = (best.map(|(master, _)| master.clone()), best.map(|(_, set)| set));
        let Some(decision) = decide(self.port_state, own.as_ref(), set.as_ref(), set.as_ref(), compare) else { return };
        let followed = self.master.as_ref().map(|master| master.identity);
        let new_master = best.as_ref().map(|best| best.source) != followed;
        let steps_removed = best.as_ref().map_or(0, |best| best.announce.steps_removed);
        self.event(decision.event(new_master), context);
        match (self.port_state, best) {
            (PortState::Uncalibrated | PortState::Slave, Some(best)) if decision == Decision::S1 => {
                self.follow(&best, context);
            }
            (PortState::Passive, Some(best)) => self.heed(best.source, context),
            (PortState::PreMaster, _) => {
                let intervals = i128::from(decision.qualification_intervals(steps_removed));
                let every = interval(self.options.port.log_announce_interval);
                let wait = Span::from_units(every.units() * intervals);
                self.qualification.get_or_insert(self.clock.later(self.now, wait));
                if intervals == 0 {
                    self.event(PortEvent::QualificationTimeout, context);
                }
            }
            _ => {}
        }
    }

    /// An Announce came that keeps its sender's place.
    pub(super) fn restart_announce_timeout(&mut self, context: &mut Context<'_>) {
        let every = interval(self.options.port.log_announce_interval);
        let intervals = i128::from(self.options.port.announce_receipt_timeout);
        // Up to one interval more, by lot, so that not everybody becomes a master at the same moment.
        let lot = random_part(every, (context.random)());
        self.announce_timeout = self.clock.later(self.now, Span::from_units(every.units() * intervals) + lot);
    }

    /// Whether the port takes part.
    pub(super) const fn is_up(&self) -> bool {
        !matches!(self.port_state, PortState::Initializing | PortState::Faulty | PortState::Disabled)
    }

    /// Whether the port asks for delays.
    pub(super) const fn asks(&self) -> bool {
        match self.options.port.delay_mechanism {
            DelayMechanism::E2e => self.port_state.follows(),
            DelayMechanism::P2p => self.is_up(),
        }
    }

    pub(super) fn has_come(&self, at: Ticks) -> bool {
        !self.clock.passed(at, self.now).is_negative()
    }

    /// Whether the clock may lead others now.
    const fn may_lead(&self) -> bool {
        !self.options.slave_only && self.state.can_lead && self.has_time
    }

    const fn awaits_announce(&self) -> bool {
        matches!(
            self.port_state,
            PortState::Listening | PortState::Passive | PortState::Uncalibrated | PortState::Slave
        )
    }

    fn event(&mut self, event: PortEvent, context: &mut Context<'_>) {
        let roles = Roles::new(!self.may_lead(), self.options.port.master_only);
        let next = fsm(self.port_state, event, roles);
        if next != self.port_state || event == PortEvent::Initialize {
            self.enter(next, context);
        }
    }

    fn enter(&mut self, next: PortState, context: &mut Context<'_>) {
        self.port_state = next;
        self.follow_ups.forget();
        self.qualification = None;
        if !next.follows() {
            self.master = None;
        }
        match next {
            PortState::Initializing => {
                self.initialize_quietly();
                self.event(PortEvent::Initialized, context);
            }
            PortState::Faulty | PortState::Disabled => self.initialize_quietly(),
            PortState::Listening => self.restart_announce_timeout(context),
            PortState::PreMaster => self.heed_nobody(),
            PortState::Master => {
                self.heed_nobody();
                (self.announce, self.sync) = (super::Pace::new(self.now), super::Pace::new(self.now));
            }
            PortState::Passive | PortState::Uncalibrated | PortState::Slave => {}
        }
    }

    /// Forgets all that was heard and waited for.
    fn initialize_quietly(&mut self) {
        self.foreign_masters.clear();
        (self.master, self.heeded) = (None, None);
        self.stamps.clear();
        self.neighbour.forget(&self.clock);
        self.answers.forget();
        self.forget_times();
        (self.decision, self.request) = (super::Pace::new(self.now), super::Pace::new(self.now));
    }

    /// Lets the Announce of `source` keep us from leading.
    fn heed(&mut self, source: PortIdentity, context: &mut Context<'_>) {
        self.foreign_masters.follow(source);
        if self.heeded.replace(source) != Some(source) {
            self.restart_announce_timeout(context);
        }
    }

    fn heed_nobody(&mut self) {
        self.foreign_masters.forget_parent();
        (self.master, self.heeded) = (None, None);
    }

    /// Follows `best`, anew or still.
    fn follow(&mut self, best: &ForeignMaster, context: &mut Context<'_>) {
        self.heed(best.source, context);
        match self.master.as_mut().filter(|master| master.identity == best.source) {
            Some(master) => (master.announce, master.flags) = (best.announce, best.flags),
            None => {
                self.master = Some(Master {
                    identity: best.source,
                    address: best.from,
                    announce: best.announce,
                    flags: best.flags,
                    path: ArrayVec::new(),
                    log_min_delay_req_interval: None,
                });
                self.forget_times();
                if self.options.port.delay_mechanism == DelayMechanism::E2e {
                    self.schedule_delay_req(context);
                }
            }
        }
    }

    fn forget_times(&mut self) {
        self.syncs = Syncs::default();
        self.delays = super::DelayRequests::default();
        self.pairing = Pairing::new(&self.clock);
        self.sync_arrived = None;
        (self.offset_from_master, self.mean_delay) = (Span::ZERO, Span::ZERO);
    }

    /// The next Delay_Req is sent after a time by lot, up to twice the interval (9.5.11.2).
    pub(super) fn schedule_delay_req(&mut self, context: &mut Context<'_>) {
        let ours = self.options.port.log_min_delay_req_interval;
        let told = self.master.as_ref().and_then(|master| master.log_min_delay_req_interval);
        let every = interval(told.map_or(ours, |told| told.max(ours)));
        let wait = random_part(every + every, (context.random)());
        self.request = super::Pace::new(self.clock.later(self.now, wait));
    }

    /// Whether the messages of our master come from elsewhere now: two share its identity.
    pub(super) fn check_address(&self, from: Option<crate::address::Address>) -> Result<(), IgnoreReason> {
        let known = self.master.as_ref().and_then(|master| master.address);
        match (known, from) {
            (Some(known), Some(from)) if known != from => Err(IgnoreReason::DuplicateIdentity),
            _ => Ok(()),
        }
    }
}

/// A part of `length` by lot.
fn random_part(length: Span, random: u64) -> Span {
    Span::from_units((length.units() * i128::from(random >> 32)) >> 32)
}
