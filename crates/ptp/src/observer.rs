//! All masters that are heard on a link, and how far each is off, by somebody who follows none and never leads.

mod heard;

use arrayvec::ArrayVec;
use sidereal_time::{Arrived, ClockModel, LocalClock, Reading, Span, Tai, Ticks};

use crate::address::{Address, Destination};
use crate::data_sets::{DelayMechanism, TimePropertiesDs};
use crate::identity::PortIdentity;
use crate::instance::Transmit;
use crate::message::{Announce, Body, Correction, Flags, Header, Message, MessageType, SdoId, Timestamp};
use crate::outcome::{IgnoreReason, PortCounts, Received};
use crate::port::lead::Pace;
use crate::port::peer::PeerRequests;
use crate::port::{Departure, instant, span};
use crate::tlv::Tlvs;
use heard::{Event, Heard};

/// Masters that are observed at a time.
const MAX_OBSERVED: usize = 32;
/// Requests whose stamps are waited for.
const MAX_STAMPS: usize = 64;

/// logMessageInterval where none is told (table 42).
const NO_INTERVAL: i8 = 0x7f;

/// What is observed, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObserverOptions {
    /// Who asks: an identity that nobody else on the link has.
    pub identity: PortIdentity,
    /// The domain that is observed; `None`: all.
    pub domain: Option<u8>,
    /// The sdoId that is observed.
    pub sdo_id: SdoId,
    /// How delays are measured.
    pub delay_mechanism: DelayMechanism,
    /// Whether Delay_Req go to each master's own address.
    pub hybrid: bool,
    /// minorVersionPTP of what is sent, 0 or 1.
    pub minor_version: u8,
    /// From one request to a master to the next.
    pub interval: Span,
}

/// One master, as it was observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// domainNumber.
    pub domain: u8,
    /// Its port.
    pub identity: PortIdentity,
    /// Where it speaks from, where that is known.
    pub address: Option<Address>,
    /// minorVersionPTP of its messages.
    pub minor_version: u8,
    /// What it announced last.
    pub announce: Option<Announce>,
    /// What it says of its timescale.
    pub time_properties: Option<TimePropertiesDs>,
    /// logMessageInterval of its Announce.
    pub log_announce_interval: Option<i8>,
    /// logMessageInterval of its Syncs.
    pub log_sync_interval: Option<i8>,
    /// Whether its Syncs come in two steps.
    pub two_step: Option<bool>,
    /// Announce that were heard.
    pub announces: u64,
    /// Syncs that were heard.
    pub syncs: u64,
    /// Readings of its clock.
    pub readings: u64,
    /// The one of them with the least delay: its own time, on whichever timescale it keeps.
    pub best: Option<Reading<Tai>>,
    /// How far that may be off beyond half its delay.
    pub dispersion: Span,
}

impl Observed {
    /// How far the master is ahead of the time that `model` tells, by the best reading.
    #[must_use]
    pub fn offset(&self, model: &ClockModel) -> Option<Span> {
        self.best.map(|reading| reading.at() - model.instant(reading.ticks()))
    }

    /// The delay of the way to the master, as the mean of both directions, by the best reading.
    #[must_use]
    pub fn mean_delay(&self) -> Option<Span> {
        self.best.map(|reading| reading.window().half())
    }
}

/// Hears all masters of a link, and asks each how far away it is. Driven as an [`crate::Instance`] is.
#[derive(Debug)]
pub struct Observer {
    options: ObserverOptions,
    masters: ArrayVec<Heard, MAX_OBSERVED>,
    neighbour: PeerRequests,
    /// Of Pdelay_Req.
    request: Pace,
    clock: LocalClock,
    sequence_id: u16,
    sequence: u32,
    stamps: ArrayVec<(u32, u16), MAX_STAMPS>,
    counts: PortCounts,
}

impl Observer {
    /// One that begins at `now`.
    #[must_use]
    pub fn new(options: &ObserverOptions, now: Ticks, clock: &LocalClock) -> Self {
        Self {
            options: *options,
            masters: ArrayVec::new(),
            neighbour: PeerRequests::new(Span::ZERO, Span::ZERO, clock),
            request: Pace::new(now),
            clock: *clock,
            sequence_id: 0,
            sequence: 0,
            stamps: ArrayVec::new(),
            counts: PortCounts::NONE,
        }
    }

    /// When [`Self::poll_transmit`] is to be called next; `None` where only a message can bring something new.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Ticks> {
        let earlier = |a: Ticks, b: Ticks| if self.clock.passed(a, b).is_negative() { b } else { a };
        match self.options.delay_mechanism {
            DelayMechanism::P2p => self.masters.first().map(|_| self.request.next()),
            DelayMechanism::E2e => self.masters.iter().filter_map(Heard::next_request).reduce(earlier),
        }
    }

    /// Writes the request that is due at `now`, if one is. To be called until it gives `None`.
    pub fn poll_transmit(&mut self, now: Ticks, clock: &LocalClock, buffer: &mut [u8]) -> Option<Transmit> {
        self.clock = *clock;
        let sequence_id = self.sequence_id.wrapping_add(1);
        let interval = self.options.interval;
        let (domain, body, flags, to) = match self.options.delay_mechanism {
            DelayMechanism::P2p => {
                let domain = self.masters.first()?.observed().domain;
                if !self.request.take(interval, now, clock) {
                    return None;
                }
                self.neighbour.expire(clock, now, &mut self.counts);
                self.neighbour.sent(sequence_id, now);
                (domain, Body::PdelayReq(Timestamp::ZERO), Flags::NONE, Destination::PeerDelay)
            }
            DelayMechanism::E2e => {
                let master =
                    self.masters.iter_mut().find_map(|master| master.is_due(interval, now, clock).then_some(master))?;
                master.asked(sequence_id, now, clock, &mut self.counts);
                let body = Body::DelayReq(Timestamp::ZERO);
                match master.observed().address.filter(|_| self.options.hybrid) {
                    Some(address) => (master.observed().domain, body, Flags::UNICAST, Destination::Unicast(address)),
                    None => (master.observed().domain, body, Flags::NONE, Destination::Primary),
                }
            }
        };
        self.sequence_id = sequence_id;
        self.send(domain, body, flags, to, buffer)
    }

    /// What became of message `sequence`: it left at `left`, `None` where nobody knows. To be called once for each
    /// [`Transmit`].
    pub fn transmitted(&mut self, sequence: u32, left: Option<Arrived>, clock: &LocalClock) {
        let Some(index) = self.stamps.iter().position(|(of, _)| *of == sequence) else { return };
        let (_, sequence_id) = self.stamps.remove(index);
        let departure = Departure::from(left);
        let result = match self.options.delay_mechanism {
            DelayMechanism::P2p => self.neighbour.transmitted(sequence_id, departure, clock),
            DelayMechanism::E2e => {
                self.masters.iter_mut().try_for_each(|master| master.transmitted(sequence_id, departure))
            }
        };
        result.err().into_iter().for_each(|reason| self.counts.ignore(reason));
    }

    /// Takes a message that came from `from`, at `arrival` where that is known; `now` is not before it.
    pub fn receive(
        &mut self,
        message: &[u8],
        from: Option<Address>,
        arrival: Option<Arrived>,
        now: Ticks,
        clock: &LocalClock,
    ) -> Received {
        self.clock = *clock;
        let received = self.judge(message, from, arrival, now);
        received.err().into_iter().for_each(|reason| self.counts.ignore(reason));
        received.into()
    }

    /// The masters that were heard so far, in the order in which they were.
    pub fn masters(&self) -> impl ExactSizeIterator<Item = Observed> {
        self.masters.iter().map(Heard::observed)
    }

    /// What has been counted.
    #[must_use]
    pub const fn counts(&self) -> &PortCounts {
        &self.counts
    }

    fn judge(
        &mut self,
        message: &[u8],
        from: Option<Address>,
        arrival: Option<Arrived>,
        now: Ticks,
    ) -> Result<(), IgnoreReason> {
        let Message { header, body, .. } = Message::parse(message)?;
        if header.sdo_id != self.options.sdo_id {
            return Err(IgnoreReason::WrongSdoId);
        }
        if self.options.domain.is_some_and(|domain| domain != header.domain) {
            return Err(IgnoreReason::WrongDomain);
        }
        self.counts.receive(body.message_type());
        if header.source == self.options.identity {
            return Err(IgnoreReason::Reflected);
        }
        match body {
            Body::Announce(announce) => {
                self.meet(&header, from)?;
                self.known(&header)?.announced(&header, announce);
                Ok(())
            }
            Body::Sync(origin) => {
                self.meet(&header, from)?;
                let event = Event { header: &header, arrived: arrival, link: self.link(), now, clock: &self.clock };
                let master = self.masters.iter_mut().find(|master| master.is(&header));
                master.ok_or(IgnoreReason::NotOurMaster)?.sync(&event, origin, &mut self.counts)
            }
            Body::FollowUp(precise_origin) => {
                let event = Event { header: &header, arrived: None, link: self.link(), now, clock: &self.clock };
                let master = self.masters.iter_mut().find(|master| master.is(&header));
                master.ok_or(IgnoreReason::NotOurMaster)?.follow_up(&event, precise_origin)
            }
            Body::DelayResp { receive_timestamp, requesting } => {
                self.check_requesting(requesting)?;
                let received = instant(receive_timestamp)? - span(header.correction)?;
                self.known(&header)?.answered(&header, received)
            }
            Body::PdelayResp { request_receipt_timestamp, requesting } => {
                self.check_requesting(requesting)?;
                self.neighbour.response(&header, request_receipt_timestamp, arrival, &self.clock)
            }
            Body::PdelayRespFollowUp { response_origin_timestamp, requesting } => {
                self.check_requesting(requesting)?;
                self.neighbour.follow_up(&header, response_origin_timestamp, &self.clock)
            }
            Body::DelayReq(_) | Body::PdelayReq(_) => Err(IgnoreReason::ForAnother),
            Body::Signaling { .. } | Body::Management(_) => Err(IgnoreReason::NotAddressed),
        }
    }

    fn check_requesting(&self, requesting: PortIdentity) -> Result<(), IgnoreReason> {
        if requesting == self.options.identity { Ok(()) } else { Err(IgnoreReason::ForAnother) }
    }

    /// What is known of the link, where delays are measured from neighbour to neighbour: its mean, and its spread of late.
    fn link(&self) -> Option<(Span, Span)> {
        let link = self.neighbour.link();
        link.mean().filter(|_| self.options.delay_mechanism == DelayMechanism::P2p).map(|mean| (mean, link.spread()))
    }

    fn known(&mut self, header: &Header) -> Result<&mut Heard, IgnoreReason> {
        self.masters.iter_mut().find(|master| master.is(header)).ok_or(IgnoreReason::NotOurMaster)
    }

    /// Remembers the sender of a message, where it is new and there is room.
    fn meet(&mut self, header: &Header, from: Option<Address>) -> Result<(), IgnoreReason> {
        if self.masters.iter().any(|master| master.is(header)) {
            return Ok(());
        }
        let heard = Heard::new(header, from, &self.clock);
        self.masters.try_push(heard).map_err(|_| IgnoreReason::ForeignMastersFull)
    }

    fn send(&mut self, domain: u8, body: Body, flags: Flags, to: Destination, buffer: &mut [u8]) -> Option<Transmit> {
        let message_type = body.message_type();
        let header = Header {
            sdo_id: self.options.sdo_id,
            minor_version: self.options.minor_version,
            domain,
            flags,
            correction: Correction::ZERO,
            message_type_specific: [0; 4],
            source: self.options.identity,
            sequence_id: self.sequence_id,
            control: message_type.control(),
            log_interval: NO_INTERVAL,
        };
        let len = Message { header, body, tlvs: Tlvs::NONE }.write(buffer).ok()?;
        self.sequence = self.sequence.wrapping_add(1);
        if self.stamps.is_full() {
            self.stamps.remove(0);
            self.counts.ignore(IgnoreReason::TransmitStampLost);
        }
        self.stamps.push((self.sequence, self.sequence_id));
        self.counts.send(message_type);
        Some(Transmit { len, class: MessageType::class(message_type), to, sequence: self.sequence, stamp_wanted: true })
    }
}
