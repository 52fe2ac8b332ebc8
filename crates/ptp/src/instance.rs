//! A PTP Instance: an ordinary clock, which has one port and leads or follows on it (IEEE 1588-2019 clause 9).
//!
//! An [`Instance`] is told what arrives and when, and says what is to be sent and when. Its driver sends what
//! [`Instance::poll_transmit`] writes, reports with [`Instance::transmitted`] when it left, hands in what comes with
//! [`Instance::receive`], and fetches with [`Instance::poll_measured`], after each of the last two, what was measured.

mod manage;
mod receive;
mod shown;
mod state;
mod transmit;

pub use manage::{Answer, MAX_ANSWER_LEN};

use arrayvec::ArrayVec;
use sidereal_time::{Arrived, ClockModel, Instant, LocalClock, Span, StampSource, Tai, Ticks};

use crate::address::{Address, Destination, MessageClass};
use crate::data_sets::{DelayMechanism, PortState};
use crate::foreign_masters::ForeignMasters;
use crate::grandmaster::ClockState;
use crate::identity::{ClockIdentity, PortIdentity};
use crate::measured::Measured;
use crate::message::{Announce, Flags};
use crate::options::InstanceOptions;
use crate::outcome::{IgnoreReason, PortCounts, Received};
use crate::port::Departure;
use crate::port::delay::DelayRequests;
use crate::port::lead::{FollowUp, FollowUps, Pace};
use crate::port::pairing::Pairing;
use crate::port::peer::{PeerAnswer, PeerAnswers, PeerRequests};
use crate::port::sync::Syncs;
use crate::responder::Responder;

/// Messages whose stamps are waited for; the oldest is given up for one more.
const MAX_STAMPS: usize = 64;
/// Where a time of our own begins: a day after the epoch, before which no timestamp can be.
const FIRST_RUNNING: Instant<Tai> = Instant::from_secs(86_400);
/// The longest path trace that is remembered: 16 clocks.
const MAX_PATH: usize = 16;

/// What an instance is told of the host at each call.
pub struct Context<'a> {
    /// The counter of all ticks, at its rate as known now.
    pub clock: &'a LocalClock,
    /// The time as it is published, if there is one: what a leader tells.
    pub time: Option<&'a ClockModel>,
    /// What may truly be said of that time.
    pub state: &'a ClockState,
    /// Whether the host follows this instance, and is locked: then a port that follows is SLAVE, else UNCALIBRATED.
    pub selected: bool,
    /// Random numbers that nobody else can guess.
    pub random: &'a mut dyn FnMut() -> u64,
}

/// A message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Its length in bytes.
    pub len: usize,
    /// Whether its own time counts: decides the UDP port.
    pub class: MessageClass,
    /// Where it goes.
    pub to: Destination,
    /// Its number, for [`Instance::transmitted`].
    pub sequence: u32,
    /// Whether its stamp is waited for.
    pub stamp_wanted: bool,
}

/// One PTP Instance, and its port.
#[derive(Debug)]
pub struct Instance {
    options: InstanceOptions,
    /// As told last.
    now: Ticks,
    clock: LocalClock,
    state: ClockState,
    has_time: bool,
    port_state: PortState,
    /// portDS.portEnable.
    enabled: bool,
    /// Whether the link or the socket is gone.
    broken: bool,
    /// Until when several neighbours on the link are a fault.
    neighbours_until: Option<Ticks>,
    foreign_masters: ForeignMasters,
    /// Whom we follow.
    master: Option<Master>,
    /// Whose Announce keep us from leading: of our master, or, while we are PASSIVE, of the better clock.
    heeded: Option<PortIdentity>,
    /// When those, or in LISTENING any, will not have come for too long.
    announce_timeout: Ticks,
    /// When PRE_MASTER becomes MASTER.
    qualification: Option<Ticks>,
    decision: Pace,
    announce: Pace,
    sync: Pace,
    /// Of Delay_Req or Pdelay_Req.
    request: Pace,
    sequences: Sequences,
    /// The number of the last message, and what is known of those whose stamps have not come.
    sequence: u32,
    stamps: ArrayVec<(u32, Stamped), MAX_STAMPS>,
    follow_ups: FollowUps,
    syncs: Syncs,
    delays: DelayRequests,
    pairing: Pairing,
    neighbour: PeerRequests,
    answers: PeerAnswers,
    /// What neighbours are told while there is no time: it only runs, as T3 - T2 is all that matters to them.
    running: ClockModel,
    measured: Option<Measured>,
    offset_from_master: Span,
    mean_delay: Span,
    /// When the last Sync that was measured arrived, and who took the last stamp.
    sync_arrived: Option<Ticks>,
    stamp_source: Option<StampSource>,
    /// The answer to a management message of the network, and where it goes.
    answer: Option<(Answer, Destination)>,
    counts: PortCounts,
}

/// The port that is followed.
#[derive(Debug, Clone)]
struct Master {
    identity: PortIdentity,
    /// Where it speaks from, as first heard.
    address: Option<Address>,
    announce: Announce,
    flags: Flags,
    /// Its path trace, without us.
    path: ArrayVec<ClockIdentity, MAX_PATH>,
    /// logMinDelayReqInterval that it tells.
    log_min_delay_req_interval: Option<i8>,
}

/// The last sequenceId of each kind of message (IEEE 1588-2019 7.3.7).
#[derive(Debug, Clone, Copy, Default)]
struct Sequences {
    announce: u16,
    sync: u16,
    delay_req: u16,
    pdelay_req: u16,
}

/// What becomes of a stamp.
#[derive(Debug, Clone, Copy)]
enum Stamped {
    Sync { sequence_id: u16 },
    DelayReq { sequence_id: u16 },
    PdelayReq { sequence_id: u16 },
    PdelayResp(PeerAnswer),
}

impl Instance {
    /// An instance that begins at `now`, in LISTENING.
    #[must_use]
    pub fn new(options: &InstanceOptions, now: Ticks, context: &mut Context<'_>) -> Self {
        let port = &options.port;
        let mut instance = Self {
            options: options.clone(),
            now,
            clock: *context.clock,
            state: *context.state,
            has_time: context.time.is_some(),
            port_state: PortState::Initializing,
            enabled: true,
            broken: false,
            neighbours_until: None,
            foreign_masters: ForeignMasters::default(),
            master: None,
            heeded: None,
            announce_timeout: now,
            qualification: None,
            decision: Pace::new(now),
            announce: Pace::new(now),
            sync: Pace::new(now),
            request: Pace::new(now),
            sequences: Sequences::default(),
            sequence: 0,
            stamps: ArrayVec::new(),
            follow_ups: FollowUps::default(),
            syncs: Syncs::default(),
            delays: DelayRequests::default(),
            pairing: Pairing::new(context.clock),
            neighbour: PeerRequests::new(
                port.ingress_latency + port.egress_latency,
                port.delay_asymmetry,
                context.clock,
            ),
            answers: PeerAnswers::default(),
            running: running(now, context.clock),
            measured: None,
            offset_from_master: Span::ZERO,
            mean_delay: Span::ZERO,
            sync_arrived: None,
            stamp_source: None,
            answer: None,
            counts: PortCounts::NONE,
        };
        instance.initialize(context);
        instance
    }

    /// What it was made with, as management messages have changed it since.
    #[must_use]
    pub const fn options(&self) -> &InstanceOptions {
        &self.options
    }

    /// When [`Self::poll_transmit`] is to be called next, even if it will have nothing to send; `None` where only a message,
    /// or a call of [`Self::faulty`], can bring something new. Changes with every call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Ticks> {
        if self.broken {
            return None;
        }
        if self.answer.is_some() {
            return Some(self.now);
        }
        if self.port_state == PortState::Disabled {
            return None;
        }
        if self.follow_ups.is_waiting() || self.answers.is_waiting() {
            return Some(self.now);
        }
        let earlier = |a: Ticks, b: Ticks| if self.clock.passed(a, b).is_negative() { b } else { a };
        self.timers().into_iter().flatten().reduce(earlier)
    }

    /// Writes the message that is due at `now`, if one is. `buffer` holds [`crate::MAX_MESSAGE_LEN`] bytes, or nothing is
    /// sent. To be called until it gives `None`.
    pub fn poll_transmit(&mut self, now: Ticks, context: &mut Context<'_>, buffer: &mut [u8]) -> Option<Transmit> {
        self.meet(now, context);
        self.run(context);
        self.transmit(context, buffer)
    }

    /// What became of message `sequence`: it left at `left`, `None` where nobody knows. To be called once for each
    /// [`Transmit`] with `stamp_wanted`, however late.
    pub fn transmitted(&mut self, sequence: u32, left: Option<Arrived>, now: Ticks, context: &mut Context<'_>) {
        self.meet(now, context);
        self.stamp_source = left.map(|left| left.source).or(self.stamp_source);
        let Some(index) = self.stamps.iter().position(|(of, _)| *of == sequence) else { return };
        let (_, stamped) = self.stamps.remove(index);
        if let Err(reason) = self.stamp(stamped, Departure::from(left), context) {
            self.counts.ignore(reason);
        }
    }

    /// Takes a message that came from `from`, at `arrival` where that is known; `now` is not before it.
    pub fn receive(
        &mut self,
        message: &[u8],
        from: Option<Address>,
        arrival: Option<Arrived>,
        now: Ticks,
        context: &mut Context<'_>,
    ) -> Received {
        self.meet(now, context);
        self.stamp_source = arrival.map(|arrival| arrival.source).or(self.stamp_source);
        let received = self.judge(message, from, arrival, context);
        match received {
            Ok(()) => self.counts.accepted += 1,
            Err(IgnoreReason::SeveralNeighbours) => self.several_neighbours(context),
            Err(_) => {}
        }
        received.err().into_iter().for_each(|reason| self.counts.ignore(reason));
        received.into()
    }

    /// What the last call of [`Self::receive`] or [`Self::transmitted`] measured.
    #[must_use]
    pub fn poll_measured(&mut self) -> Option<Measured> {
        self.measured.take()
    }

    /// What answers Delay_Req, while this instance leads and its delay mechanism is end to end.
    #[must_use]
    pub fn responder(&self) -> Option<Responder> {
        let port = &self.options.port;
        (self.port_state == PortState::Master && port.delay_mechanism == DelayMechanism::E2e).then(|| Responder {
            key: port.key,
            identity: self.port_identity(),
            domain: self.options.domain,
            sdo_id: self.options.sdo_id,
            minor_version: port.minor_version,
            log_min_delay_req_interval: port.log_min_delay_req_interval,
            ingress_latency: port.ingress_latency,
        })
    }

    /// portDS.portState.
    #[must_use]
    pub const fn port_state(&self) -> PortState {
        self.port_state
    }

    /// Its [`crate::Responder`] has taken `received` Delay_Req since this was last said, and sent as many Delay_Resp as `sent` says.
    pub fn answered(&mut self, received: u64, sent: u64) {
        self.counts.answered(received, sent);
    }

    /// What has been counted.
    #[must_use]
    pub const fn counts(&self) -> &PortCounts {
        &self.counts
    }

    /// Tells what our time less the master's was found to be, for currentDS.
    pub const fn observed(&mut self, offset_from_master: Span) {
        self.offset_from_master = offset_from_master;
    }

    fn meet(&mut self, now: Ticks, context: &Context<'_>) {
        (self.now, self.clock, self.state) = (now, *context.clock, *context.state);
        self.has_time = context.time.is_some();
    }

    /// portDS.portIdentity.
    const fn port_identity(&self) -> PortIdentity {
        PortIdentity { clock: self.options.identity, number: self.options.port.number }
    }

    /// Uses the stamp of a message.
    fn stamp(&mut self, stamped: Stamped, departure: Departure, context: &Context<'_>) -> Result<(), IgnoreReason> {
        match (stamped, departure) {
            (Stamped::DelayReq { sequence_id }, departure) => {
                let delay = self.delays.transmitted(sequence_id, departure)?;
                delay.map_or(Ok(()), |delay| self.measure_delay(delay))
            }
            (Stamped::PdelayReq { sequence_id }, departure) => {
                self.neighbour.transmitted(sequence_id, departure, &self.clock)
            }
            (Stamped::Sync { sequence_id }, Departure::At(left)) => {
                let Some(time) = context.time else { return Ok(()) };
                let left = time.instant(left.ticks) + self.options.port.egress_latency;
                let owed = self.port_state == PortState::Master && self.follow_ups.owe(FollowUp { sequence_id, left });
                if owed { Ok(()) } else { Err(IgnoreReason::Stale) }
            }
            (Stamped::PdelayResp(answer), Departure::At(left)) => {
                self.answers.transmitted(answer, left, self.options.port.egress_latency)
            }
            (_, Departure::Lost | Departure::Awaited) => Err(IgnoreReason::TransmitStampLost),
        }
    }
}

/// A time of our own, which says nothing but how much of it has passed since `now`.
fn running(now: Ticks, clock: &LocalClock) -> ClockModel {
    ClockModel { reference: FIRST_RUNNING, ..clock.unknown(now) }
}
