//! What is made of each message (IEEE 1588-2019 9.5).

use sidereal_time::{Arrived, Instant, Reading, Span, Utc};

use super::{Context, Instance};
use crate::address::Address;
use crate::data_sets::{DelayMechanism, PortState, TimePropertiesDs};
use crate::foreign_masters::{Announced, Heard};
use crate::identity::PortIdentity;
use crate::measured::{MasterClaims, Measured, MeasuredReading};
use crate::message::{Announce, Body, ClockAccuracy, Flags, Header, Message};
use crate::options::{ArbitraryTimescale, MAX_LOG_INTERVAL, MIN_LOG_INTERVAL, interval};
use crate::outcome::IgnoreReason;
use crate::port::delay::DelayTimes;
use crate::port::pairing::Quality;
use crate::port::peer::PeerAnswer;
use crate::port::sync::SyncTimes;
use crate::port::{instant, span};
use crate::tlv::{Content, Tlvs};

/// From so many steps on, an Announce does not count (9.3.2.5).
const TOO_MANY_STEPS: u16 = 255;
/// How far off a master is taken to be that says it is worse than 10 s: nobody follows it.
const USELESS: Span = Span::from_secs(86_400);

impl Instance {
    pub(super) fn judge(
        &mut self,
        message: &[u8],
        from: Option<Address>,
        arrival: Option<Arrived>,
        context: &mut Context<'_>,
    ) -> Result<(), IgnoreReason> {
        let Message { header, body, tlvs } = Message::parse(message)?;
        if header.sdo_id != self.options.sdo_id {
            return Err(IgnoreReason::WrongSdoId);
        }
        if header.domain != self.options.domain {
            return Err(IgnoreReason::WrongDomain);
        }
        self.counts.receive(body.message_type());
        self.check_source(&header, from)?;
        // Management is answered in every state (9.2.5).
        if !self.is_up() && !matches!(body, Body::Management(_)) {
            return Err(IgnoreReason::PortDown);
        }
        match body {
            Body::Announce(announce) => self.announced(&header, &announce, tlvs, from, context),
            Body::Sync(origin) => {
                self.check_master(&header, from)?;
                self.syncs.expire(&self.clock, self.now, &mut self.counts);
                let sync = self.syncs.sync(&header, origin, arrival, self.now)?;
                sync.map_or(Ok(()), |sync| self.measure_sync(sync))
            }
            Body::FollowUp(precise_origin) => {
                self.check_master(&header, from)?;
                self.syncs.expire(&self.clock, self.now, &mut self.counts);
                let sync = self.syncs.follow_up(&header, precise_origin, self.now)?;
                sync.map_or(Ok(()), |sync| self.measure_sync(sync))
            }
            Body::DelayResp { receive_timestamp, requesting } => {
                self.check_mechanism(DelayMechanism::E2e)?;
                self.check_requesting(requesting)?;
                self.check_master(&header, from)?;
                self.heed_interval(&header);
                let received =
                    instant(receive_timestamp)? - span(header.correction)? - self.options.port.egress_latency;
                let delay = self.delays.answered(header.sequence_id, received)?;
                delay.map_or(Ok(()), |delay| self.measure_delay(delay))
            }
            Body::PdelayReq(_) => {
                self.check_mechanism(DelayMechanism::P2p)?;
                self.answer_neighbour(&header, arrival.ok_or(IgnoreReason::ReceiveStampLost)?, context)
            }
            Body::PdelayResp { request_receipt_timestamp, requesting } => {
                self.check_mechanism(DelayMechanism::P2p)?;
                self.check_requesting(requesting)?;
                self.neighbour.response(&header, request_receipt_timestamp, arrival, &self.clock)
            }
            Body::PdelayRespFollowUp { response_origin_timestamp, requesting } => {
                self.check_mechanism(DelayMechanism::P2p)?;
                self.check_requesting(requesting)?;
                self.neighbour.follow_up(&header, response_origin_timestamp, &self.clock)
            }
            Body::DelayReq(_) => Err(IgnoreReason::DelayRequest),
            Body::Signaling { .. } => Err(IgnoreReason::NotNegotiated),
            Body::Management(management) => self.manage_from_network(&header, &management, tlvs, from, context),
        }
    }

    /// Whether a message is of somebody else.
    fn check_source(&self, header: &Header, from: Option<Address>) -> Result<(), IgnoreReason> {
        if header.source.clock != self.options.identity {
            return Ok(());
        }
        match (from, self.options.port.protocol_address) {
            (Some(from), Some(own)) if from != own => Err(IgnoreReason::DuplicateIdentity),
            _ => Err(IgnoreReason::Reflected),
        }
    }

    fn check_mechanism(&self, mechanism: DelayMechanism) -> Result<(), IgnoreReason> {
        if self.options.port.delay_mechanism == mechanism { Ok(()) } else { Err(IgnoreReason::WrongDelayMechanism) }
    }

    fn check_requesting(&self, requesting: PortIdentity) -> Result<(), IgnoreReason> {
        if requesting == self.port_identity() { Ok(()) } else { Err(IgnoreReason::ForAnother) }
    }

    /// Whether a message is of the master that we follow.
    fn check_master(&self, header: &Header, from: Option<Address>) -> Result<(), IgnoreReason> {
        let master = self.master.as_ref().ok_or(IgnoreReason::NotFollowing)?;
        if header.source != master.identity {
            return Err(IgnoreReason::NotOurMaster);
        }
        self.check_address(from)
    }

    /// How often the master wants to be asked at most, where it says so: to who is asked by unicast it does not.
    fn heed_interval(&mut self, header: &Header) {
        let told = Some(header.log_interval).filter(|told| (MIN_LOG_INTERVAL..=MAX_LOG_INTERVAL).contains(told));
        if let (Some(master), Some(told)) = (&mut self.master, told) {
            master.log_min_delay_req_interval = Some(told);
        }
    }

    fn announced(
        &mut self,
        header: &Header,
        announce: &Announce,
        tlvs: Tlvs<'_>,
        from: Option<Address>,
        context: &mut Context<'_>,
    ) -> Result<(), IgnoreReason> {
        if header.flags.has(Flags::ALTERNATE_MASTER) {
            return Err(IgnoreReason::AlternateMaster);
        }
        if self.options.port.master_only {
            return Err(IgnoreReason::MasterOnly);
        }
        if announce.steps_removed >= TOO_MANY_STEPS {
            return Err(IgnoreReason::TooManySteps);
        }
        let path = tlvs.iter().find_map(|tlv| match tlv.content() {
            Ok(Content::PathTrace(path)) => Some(path),
            _ => None,
        });
        let own = self.options.identity;
        if announce.grandmaster_identity == own || path.is_some_and(|path| path.contains(own)) {
            return Err(IgnoreReason::Loop);
        }
        let announce =
            self.options.acceptable_masters.accept(header.source, announce).ok_or(IgnoreReason::NotAcceptable)?;
        let (sequence_id, flags) = (header.sequence_id, header.flags);
        let heard = Heard { source: header.source, from, sequence_id, flags, announce };
        let every = interval(self.options.port.log_announce_interval);
        match self.foreign_masters.announce(&heard, self.now, every, &self.clock) {
            Announced::Noted => {}
            Announced::Duplicate => return Err(IgnoreReason::Duplicate),
            Announced::OtherAddress => return Err(IgnoreReason::DuplicateIdentity),
            Announced::Full => return Err(IgnoreReason::ForeignMastersFull),
        }
        if self.heeded == Some(header.source) || self.port_state == PortState::Listening {
            self.restart_announce_timeout(context);
        }
        self.decide(context);
        if let Some(master) = self.master.as_mut().filter(|master| master.identity == header.source) {
            master.path = path.into_iter().flat_map(|path| path.iter()).take(super::MAX_PATH).collect();
        }
        Ok(())
    }

    /// Remembers to answer a Pdelay_Req.
    fn answer_neighbour(
        &mut self,
        header: &Header,
        arrived: Arrived,
        context: &Context<'_>,
    ) -> Result<(), IgnoreReason> {
        let time = *context.time.unwrap_or(&self.running);
        self.answers.request(PeerAnswer {
            requesting: header.source,
            sequence_id: header.sequence_id,
            correction: header.correction,
            at: time.instant(arrived.ticks) - self.options.port.ingress_latency,
            time,
        })
    }

    fn measure_sync(&mut self, sync: SyncTimes) -> Result<(), IgnoreReason> {
        let port = &self.options.port;
        self.sync_arrived = Some(sync.arrived.ticks);
        let sync = SyncTimes { left: sync.left + port.delay_asymmetry + port.ingress_latency, ..sync };
        let quality = match port.delay_mechanism {
            DelayMechanism::E2e => self.pairing.sync(sync, &self.clock)?,
            DelayMechanism::P2p => {
                let link = self.neighbour.link();
                let mean = link.mean().ok_or(IgnoreReason::DelayUnknown)?;
                Some(self.pairing.over_link(&sync, mean, link.spread(), &self.clock)?)
            }
        };
        quality.map_or(Ok(()), |quality| self.record(&quality))
    }

    pub(super) fn measure_delay(&mut self, delay: DelayTimes) -> Result<(), IgnoreReason> {
        let quality = self.pairing.delay(delay)?;
        quality.map_or(Ok(()), |quality| self.record(&quality))
    }

    /// Tells what was measured, on the timescale that the master keeps.
    fn record(&mut self, quality: &Quality) -> Result<(), IgnoreReason> {
        let master = self.master.as_ref().ok_or(IgnoreReason::NotFollowing)?;
        let reading = quality.reading;
        let time = TimePropertiesDs::following(&master.announce, master.flags);
        let reading = match self.options.arbitrary_timescale {
            _ if time.ptp_timescale => MeasuredReading::Tai(reading),
            ArbitraryTimescale::Tai => MeasuredReading::Tai(reading),
            ArbitraryTimescale::Utc => {
                let utc = Instant::<Utc>::from_units(reading.at().units());
                MeasuredReading::Utc(Reading::new(reading.ticks(), utc, reading.window()))
            }
            ArbitraryTimescale::Refuse => return Err(IgnoreReason::ArbitraryTimescale),
        };
        let quality_claimed = master.announce.clock_quality;
        self.mean_delay = quality.reading.window().half();
        self.counts.measured += 1;
        self.measured = Some(Measured {
            reading,
            dispersion: quality.dispersion,
            master: MasterClaims {
                identity: master.identity,
                grandmaster: master.announce.grandmaster_identity,
                quality: quality_claimed,
                accuracy: self.accuracy(quality_claimed.clock_accuracy),
                steps_removed: master.announce.steps_removed.saturating_add(1),
                time,
            },
        });
        Ok(())
    }

    /// How far off a master is taken to be that claims this accuracy.
    fn accuracy(&self, claimed: ClockAccuracy) -> Span {
        match claimed.bound() {
            Some(bound) => bound,
            None if claimed == ClockAccuracy::BEYOND_10_S => USELESS,
            None => self.options.unknown_accuracy,
        }
    }
}
