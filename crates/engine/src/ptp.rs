//! A PTP Instance as a source of time, and as one who tells it.

mod truth;

pub(crate) use truth::{Anchor, Truth, leap_state, of_sources, of_system, state_of};

use core::net::SocketAddr;

use sidereal_ntp::{LeapIndicator, ReferenceId, Stratum};
use sidereal_ptp::{
    Address, ClockClass, ClockState, Destination, IgnoreReason, Instance, InstanceOptions, MAX_MESSAGE_LEN,
    MasterClaims, Measured, MessageClass, PortIdentity, PortState, Received, Responder, Suspicion,
};
use sidereal_time::{Arrived, LocalClock, Span, Ticks};

use crate::identity::Identity;
use crate::report::{Report, Reports};
use crate::selection::{Reason, SourceState, Verdict};
use crate::surroundings::Surroundings;

/// What strata begin with where a grandmaster does not claim to be traceable to a primary reference: the custom for clocks
/// that nobody vouches for.
const UNTRACEABLE: u8 = 9;
/// A place in the reach register stands for so much time at least.
const SHORTEST_REACH: Span = Span::SECOND;
/// How often the state of a port is spoken of at most.
const SAY_STATE: Span = Span::SECOND;
/// How often it is said that a message of one kind is ignored.
const SAY_IGNORED: Span = Span::from_secs(300);
/// How long a jump that looks like a well-known mistake must last before it is believed.
const PATIENCE: Span = Span::from_secs(300);

/// A PTP Instance, and what the engine keeps of it.
#[derive(Debug)]
pub(crate) struct Ptp {
    instance: Instance,
    /// What it was configured with; management may have changed what the instance has.
    options: InstanceOptions,
    /// What it may say of our time, and whether we follow it and are locked.
    state: ClockState,
    selected: bool,
    /// Whether its port followed a master when that was last asked.
    followed: bool,
    /// What the master of the last measurement claims.
    master: Option<MasterClaims>,
    reach: u8,
    /// When a place in the reach register last began.
    reached: Ticks,
    mistake: Option<Mistake>,
    said: Said,
}

/// A well-known mistake that its time looks like.
#[derive(Debug, Clone, Copy)]
struct Mistake {
    suspicion: Suspicion,
    since: Ticks,
    /// Whether that has not lasted long enough to be the time after all.
    is_waited_with: bool,
}

/// What people have been told.
#[derive(Debug, Default)]
struct Said {
    state: Option<(PortState, PortIdentity, Ticks)>,
    ignored: Vec<(IgnoreReason, Ticks)>,
}

/// A message that is to be sent.
pub(crate) struct PtpPacket {
    pub(crate) class: MessageClass,
    pub(crate) to: Destination,
    pub(crate) sequence: u32,
    pub(crate) payload: Vec<u8>,
    pub(crate) stamp_wanted: bool,
}

impl Ptp {
    pub(crate) fn new(options: &InstanceOptions, here: &mut Surroundings, now: Ticks) -> Self {
        let state = state_of(&Truth::default(), options);
        let instance = here.with_ptp(&state, false, |context| Instance::new(options, now, context));
        Self {
            instance,
            options: options.clone(),
            state,
            selected: false,
            followed: false,
            master: None,
            reach: 0,
            reached: now,
            mistake: None,
            said: Said::default(),
        }
    }

    /// What may be said of our time, and whether it is this instance's.
    pub(crate) fn tell(&mut self, state: ClockState, selected: bool) {
        (self.state, self.selected) = (state, selected);
    }

    /// Takes a message; says so where people should know what was made of it.
    pub(crate) fn receive(
        &mut self,
        message: &[u8],
        from: Option<Address>,
        arrival: Option<Arrived>,
        now: Ticks,
        here: &mut Surroundings,
    ) -> Option<IgnoreReason> {
        let Self { instance, state, selected, .. } = self;
        let received =
            here.with_ptp(state, *selected, |context| instance.receive(message, from, arrival, now, context));
        match received {
            Received::Ignored(reason @ (IgnoreReason::NotAcceptable | IgnoreReason::DuplicateIdentity)) => {
                self.is_news(reason, &here.local, now).then_some(reason)
            }
            _ => None,
        }
    }

    /// What became of a message that was sent.
    pub(crate) fn transmitted(&mut self, sequence: u32, left: Option<Arrived>, now: Ticks, here: &mut Surroundings) {
        let Self { instance, state, selected, .. } = self;
        here.with_ptp(state, *selected, |context| instance.transmitted(sequence, left, now, context));
    }

    /// The message that is due, if one is.
    pub(crate) fn poll_transmit(&mut self, now: Ticks, here: &mut Surroundings) -> Option<PtpPacket> {
        let Self { instance, state, selected, .. } = self;
        let mut buffer = [0; MAX_MESSAGE_LEN];
        let transmit = here.with_ptp(state, *selected, |context| instance.poll_transmit(now, context, &mut buffer))?;
        Some(PtpPacket {
            class: transmit.class,
            to: transmit.to,
            sequence: transmit.sequence,
            payload: buffer.get(..transmit.len)?.to_vec(),
            stamp_wanted: transmit.stamp_wanted,
        })
    }

    /// What it answers to a management message of somebody on this host, if that is for it.
    pub(crate) fn manage(&mut self, message: &[u8], now: Ticks, here: &mut Surroundings) -> Option<Vec<u8>> {
        let Self { instance, state, selected, .. } = self;
        let answer = here.with_ptp(state, *selected, |context| instance.manage(message, now, context));
        answer.ok().map(|answer| answer.to_vec())
    }

    /// Its link is gone, or back.
    pub(crate) fn usable(&mut self, usable: bool, now: Ticks, here: &mut Surroundings) {
        let Self { instance, state, selected, .. } = self;
        here.with_ptp(state, *selected, |context| instance.faulty(!usable, now, context));
    }

    /// The counter was set back.
    pub(crate) fn counter_reset(&mut self, now: Ticks, here: &mut Surroundings) {
        let Self { instance, state, selected, .. } = self;
        here.with_ptp(state, *selected, |context| instance.counter_reset(now, context));
        self.reached = now;
        self.mistake = None;
        self.said.state = self.said.state.map(|(state, parent, _)| (state, parent, now));
        self.said.ignored.clear();
    }

    pub(crate) fn poll_timeout(&self) -> Option<Ticks> {
        self.instance.poll_timeout()
    }

    pub(crate) fn poll_measured(&mut self) -> Option<Measured> {
        let measured = self.instance.poll_measured()?;
        self.master = Some(measured.master);
        self.reach |= 1;
        Some(measured)
    }

    /// Whether its master is another one than that of the last measurement.
    pub(crate) fn has_changed_master(&self) -> bool {
        let parent = self.instance.parent_ds().parent_port_identity;
        self.master.is_some_and(|master| master.identity != parent)
    }

    /// Forgets what the master of the last measurement claimed.
    pub(crate) fn forget(&mut self) {
        (self.master, self.mistake, self.reach) = (None, None, 0);
    }

    /// So many Delay_Req came to its port, and so many were answered.
    pub(crate) fn answered(&mut self, received: u64, sent: u64) {
        self.instance.answered(received, sent);
    }

    /// What was found of its offset: our time less the master's.
    pub(crate) fn observed(&mut self, offset_from_master: Span) {
        self.instance.observed(offset_from_master);
    }

    /// Its time looks like this mistake, or like none. Says which is to be waited with, and whether that is new.
    pub(crate) fn suspect(
        &mut self,
        suspicion: Option<Suspicion>,
        local: &LocalClock,
        now: Ticks,
    ) -> Option<(Suspicion, bool)> {
        let before = self.mistake.filter(|mistake| Some(mistake.suspicion) == suspicion);
        let since = before.map_or(now, |before| before.since);
        let is_waited_with = local.passed(since, now) < PATIENCE;
        self.mistake = suspicion.map(|suspicion| Mistake { suspicion, since, is_waited_with });
        self.waited_mistake().map(|suspicion| (suspicion, before.is_none()))
    }

    /// What its time is taken for, while it is not believed for that.
    pub(crate) fn waited_mistake(&self) -> Option<Suspicion> {
        self.mistake.filter(|mistake| mistake.is_waited_with).map(|mistake| mistake.suspicion)
    }

    /// What is made of it where selection is not asked.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.waited_mistake() {
            _ if !self.follows() => {
                Some(Verdict { state: SourceState::Idle, reason: Reason::Idle { port: self.instance.port_state() } })
            }
            Some(suspicion) => {
                Some(Verdict { state: SourceState::Falseticker, reason: Reason::Mistaken { suspicion } })
            }
            None => None,
        }
    }

    /// Lets time pass: what the reach register holds becomes older.
    pub(crate) fn run(&mut self, local: &LocalClock, now: Ticks) {
        let place = self.interval().max(SHORTEST_REACH);
        let places = local.passed(self.reached, now).units() / place.units();
        if places > 0 {
            let by = u32::try_from(places).unwrap_or(u32::MAX);
            self.reach = self.reach.checked_shl(by).unwrap_or(0);
            self.reached = local.later(self.reached, Span::from_units(place.units().saturating_mul(places)));
        }
    }

    /// Says how its port is, where that is news.
    pub(crate) fn say(&mut self, name: &str, local: &LocalClock, now: Ticks, reports: &mut Reports) {
        let (state, parent) = (self.instance.port_state(), self.instance.parent_ds());
        let leader = parent.parent_port_identity;
        let news = match self.said.state {
            None => state != PortState::Listening,
            Some((said, of, at)) => (said, of) != (state, leader) && local.passed(at, now) >= SAY_STATE,
        };
        if news {
            self.said.state = Some((state, leader, now));
            reports.say(Report::PtpPort {
                source: name.to_owned(),
                state,
                master: state.follows().then_some(leader),
                grandmaster: parent.grandmaster_identity,
                clock_class: parent.grandmaster_clock_quality.clock_class,
            });
        }
    }

    /// Whether it has begun to follow, or has ceased to, since this was last asked.
    pub(crate) fn has_turned(&mut self) -> bool {
        let follows = self.follows();
        core::mem::replace(&mut self.followed, follows) != follows
    }

    /// Whether it measures a master's time.
    pub(crate) fn follows(&self) -> bool {
        self.instance.port_state().follows()
    }

    pub(crate) fn responder(&self) -> Option<Responder> {
        self.instance.responder()
    }

    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    pub(crate) fn options(&self) -> &InstanceOptions {
        &self.options
    }

    /// What the master of the last measurement claims.
    pub(crate) fn master(&self) -> Option<&MasterClaims> {
        self.master.as_ref()
    }

    /// Where the master's messages come from.
    pub(crate) fn master_address(&self) -> Option<SocketAddr> {
        match self.instance.parent_ds().protocol_address? {
            Address::Ip(ip) => Some(SocketAddr::new(ip, MessageClass::Event.udp_port())),
            Address::Link(_) => None,
        }
    }

    /// What became of its messages and measurements, by name; what never happened is left out.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        self.instance.counts().by_name().filter(|(_, count)| *count > 0).collect()
    }

    pub(crate) fn reach(&self) -> u8 {
        self.reach
    }

    /// How often it is measured, as a power of two of a second: with each answer of the master, or with each Sync.
    pub(crate) fn log_interval(&self) -> i8 {
        use sidereal_ptp::DelayMechanism::{E2e, P2p};
        let port = self.instance.port_ds();
        match port.delay_mechanism {
            E2e => port.log_min_delay_req_interval,
            P2p => port.log_sync_interval,
        }
    }

    /// The time from one measurement to the next.
    pub(crate) fn interval(&self) -> Span {
        let second = Span::SECOND.units();
        match self.log_interval().clamp(-7, 17) {
            log @ ..0 => Span::from_units(second >> log.unsigned_abs()),
            log => Span::from_units(second << log.unsigned_abs()),
        }
    }

    /// Whether the master claims to know the time.
    pub(crate) fn is_synchronised(&self) -> bool {
        self.master.is_some() && self.follows() && !self.instance.parent_ds().synchronization_uncertain
    }

    /// What the grandmaster says of leap seconds, where it knows them.
    pub(crate) fn leap(&self) -> Option<LeapIndicator> {
        let time = self.master.as_ref()?.time;
        Some(match (time.leap59, time.leap61) {
            _ if !time.current_utc_offset_valid => LeapIndicator::None,
            (false, true) => LeapIndicator::Insert,
            (true, false) => LeapIndicator::Delete,
            (false, false) | (true, true) => LeapIndicator::None,
        })
    }

    /// The master's stratum, as if it spoke NTP: a grandmaster that is traceable to a primary reference is at 1.
    pub(crate) fn stratum(&self) -> Option<Stratum> {
        let master = self.master.as_ref()?;
        let steps = u8::try_from(master.steps_removed.max(1)).unwrap_or(u8::MAX);
        let begin = if is_traceable(master) { 0 } else { UNTRACEABLE };
        Some(Stratum::from_wire(steps.saturating_add(begin).min(Stratum::UNSYNCHRONISED.number())))
    }

    /// The grandmaster, as a reference identifier of NTP.
    pub(crate) fn reference_id(&self) -> Option<ReferenceId> {
        self.master.as_ref().map(|master| Identity::hashed(&master.grandmaster.0))
    }

    /// Whether its time comes from us.
    pub(crate) fn is_looped(&self, identity: &Identity) -> bool {
        self.master
            .as_ref()
            .is_some_and(|master| identity.is_clock(master.grandmaster) || identity.is_clock(master.identity.clock))
    }

    fn is_news(&mut self, reason: IgnoreReason, local: &LocalClock, now: Ticks) -> bool {
        self.said.ignored.retain(|(_, at)| local.passed(*at, now) < SAY_IGNORED);
        let is_news = self.said.ignored.iter().all(|(said, _)| *said != reason);
        if is_news {
            self.said.ignored.push((reason, now));
        }
        is_news
    }
}

/// Whether a grandmaster says that its time comes from a primary reference, or lately did.
pub(crate) fn is_traceable(master: &MasterClaims) -> bool {
    let class = master.quality.clock_class;
    master.time.time_traceable || class == ClockClass::PRIMARY_REFERENCE || class == ClockClass::HOLDOVER
}
