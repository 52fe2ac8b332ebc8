//! What is sent (IEEE 1588-2019 9.5).

use super::{Context, Instance, Stamped, Transmit};
use crate::address::{Destination, MessageClass};
use crate::data_sets::{DelayMechanism, PortState};
use crate::message::{Announce, Body, Correction, Flags, Header, Message, MessageType, Timestamp};
use crate::options::interval;
use crate::outcome::IgnoreReason;
use crate::port::peer::PeerAnswer;
use crate::port::told;
use crate::tlv::{PathTrace, TlvWriter, Tlvs};

/// logMessageInterval where none is told (table 42).
const NO_INTERVAL: i8 = 0x7f;
/// Room for a PATH_TRACE TLV of one clock.
const PATH_TRACE_LEN: usize = 12;

impl Instance {
    /// Writes the next message that is due: what others wait for first.
    pub(super) fn transmit(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Option<Transmit> {
        if self.answer.is_some() && !self.broken {
            return self.send_answer(buffer);
        }
        if !self.is_up() {
            return None;
        }
        if let Some(answer) = self.answers.poll_response() {
            return self.send_pdelay_resp(answer, buffer);
        }
        if let Some(answer) = self.answers.poll_follow_up() {
            return self.send_pdelay_resp_follow_up(&answer, buffer);
        }
        if let Some(follow_up) = self.follow_ups.poll() {
            let (timestamp, rest) = told(follow_up.left)?;
            let log_interval = self.options.port.log_sync_interval;
            let mut header = self.header(MessageType::FollowUp, follow_up.sequence_id, log_interval);
            header.correction = Correction::from_span(rest);
            return self.send(header, Body::FollowUp(timestamp), Destination::Primary, None, buffer);
        }
        if self.port_state == PortState::Master {
            if self.sync.take(interval(self.options.port.log_sync_interval), self.now, &self.clock) {
                return self.send_sync(context, buffer);
            }
            if self.announce.take(interval(self.options.port.log_announce_interval), self.now, &self.clock) {
                return self.send_announce(buffer);
            }
        }
        self.asks().then(|| self.send_request(context, buffer))?
    }

    fn send_sync(&mut self, context: &Context<'_>, buffer: &mut [u8]) -> Option<Transmit> {
        let (timestamp, rest) = told(context.time?.instant(self.now))?;
        self.sequences.sync = self.sequences.sync.wrapping_add(1);
        let sequence_id = self.sequences.sync;
        let mut header = self.header(MessageType::Sync, sequence_id, self.options.port.log_sync_interval);
        let stamped = if self.options.port.one_step {
            header.correction = Correction::from_span(rest);
            None
        } else {
            header.flags = Flags::TWO_STEP;
            Some(Stamped::Sync { sequence_id })
        };
        self.send(header, Body::Sync(timestamp), Destination::Primary, stamped, buffer)
    }

    fn send_announce(&mut self, buffer: &mut [u8]) -> Option<Transmit> {
        self.sequences.announce = self.sequences.announce.wrapping_add(1);
        let (own, time) = (self.default_ds(), self.state.time_properties);
        let log_interval = self.options.port.log_announce_interval;
        let mut header = self.header(MessageType::Announce, self.sequences.announce, log_interval);
        header.flags = time.flags(Flags::NONE);
        let announce = Announce {
            origin_timestamp: Timestamp::ZERO,
            current_utc_offset: time.current_utc_offset,
            priority1: own.priority1,
            clock_quality: own.clock_quality,
            priority2: own.priority2,
            grandmaster_identity: own.clock_identity,
            steps_removed: 0,
            time_source: time.time_source,
        };
        let mut room = [0; PATH_TRACE_LEN];
        let mut tlvs = TlvWriter::new(&mut room);
        if self.options.path_trace {
            PathTrace::write([own.clock_identity], &mut tlvs).ok()?;
        }
        self.send_with(header, Body::Announce(announce), tlvs.finish(), Destination::Primary, None, buffer)
    }

    /// The Delay_Req or Pdelay_Req that is due, if one is.
    fn send_request(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Option<Transmit> {
        // The other side copies correctionField into its answer: so the asymmetry comes back to us (11.6.3, 11.6.4).
        let correction = Correction::from_span(-self.options.port.delay_asymmetry);
        match self.options.port.delay_mechanism {
            DelayMechanism::E2e => {
                if !self.has_come(self.request.next()) {
                    return None;
                }
                self.schedule_delay_req(context);
                self.delays.expire(&self.clock, self.now, &mut self.counts);
                self.sequences.delay_req = self.sequences.delay_req.wrapping_add(1);
                let sequence_id = self.sequences.delay_req;
                let mut header = self.header(MessageType::DelayReq, sequence_id, NO_INTERVAL);
                header.correction = correction;
                let address = self.master.as_ref().and_then(|master| master.address);
                let to = match address.filter(|_| self.options.port.hybrid) {
                    Some(address) => {
                        header.flags = Flags::UNICAST;
                        Destination::Unicast(address)
                    }
                    None => Destination::Primary,
                };
                self.delays.sent(sequence_id, self.now);
                let body = Body::DelayReq(Timestamp::ZERO);
                self.send(header, body, to, Some(Stamped::DelayReq { sequence_id }), buffer)
            }
            DelayMechanism::P2p => {
                let every = interval(self.options.port.log_min_pdelay_req_interval);
                if !self.request.take(every, self.now, &self.clock) {
                    return None;
                }
                self.neighbour.expire(&self.clock, self.now, &mut self.counts);
                self.sequences.pdelay_req = self.sequences.pdelay_req.wrapping_add(1);
                let sequence_id = self.sequences.pdelay_req;
                let mut header = self.header(MessageType::PdelayReq, sequence_id, NO_INTERVAL);
                header.correction = correction;
                self.neighbour.sent(sequence_id, self.now);
                let body = Body::PdelayReq(Timestamp::ZERO);
                self.send(header, body, Destination::PeerDelay, Some(Stamped::PdelayReq { sequence_id }), buffer)
            }
        }
    }

    fn send_pdelay_resp(&mut self, answer: PeerAnswer, buffer: &mut [u8]) -> Option<Transmit> {
        let (request_receipt_timestamp, rest) = told(answer.at)?;
        let mut header = self.header(MessageType::PdelayResp, answer.sequence_id, NO_INTERVAL);
        header.flags = Flags::TWO_STEP;
        header.correction = Correction::from_span(-rest);
        let body = Body::PdelayResp { request_receipt_timestamp, requesting: answer.requesting };
        self.send(header, body, Destination::PeerDelay, Some(Stamped::PdelayResp(answer)), buffer)
    }

    fn send_pdelay_resp_follow_up(&mut self, answer: &PeerAnswer, buffer: &mut [u8]) -> Option<Transmit> {
        let (response_origin_timestamp, rest) = told(answer.at)?;
        let mut header = self.header(MessageType::PdelayRespFollowUp, answer.sequence_id, NO_INTERVAL);
        header.correction = answer.correction.saturating_add(Correction::from_span(rest));
        let body = Body::PdelayRespFollowUp { response_origin_timestamp, requesting: answer.requesting };
        self.send(header, body, Destination::PeerDelay, None, buffer)
    }

    pub(super) fn header(&self, message_type: MessageType, sequence_id: u16, log_interval: i8) -> Header {
        Header {
            sdo_id: self.options.sdo_id,
            minor_version: self.options.port.minor_version,
            domain: self.options.domain,
            flags: Flags::NONE,
            correction: Correction::ZERO,
            message_type_specific: [0; 4],
            source: self.port_identity(),
            sequence_id,
            control: message_type.control(),
            log_interval,
        }
    }

    fn send(
        &mut self,
        header: Header,
        body: Body,
        to: Destination,
        stamped: Option<Stamped>,
        buffer: &mut [u8],
    ) -> Option<Transmit> {
        self.send_with(header, body, Tlvs::NONE, to, stamped, buffer)
    }

    fn send_with(
        &mut self,
        header: Header,
        body: Body,
        tlvs: Tlvs<'_>,
        to: Destination,
        stamped: Option<Stamped>,
        buffer: &mut [u8],
    ) -> Option<Transmit> {
        let message = Message { header, body, tlvs };
        let len = message.write(buffer).ok()?;
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(stamped) = stamped {
            if self.stamps.is_full() {
                self.stamps.remove(0);
                self.counts.ignore(IgnoreReason::TransmitStampLost);
            }
            self.stamps.push((self.sequence, stamped));
        }
        let message_type = message.message_type();
        self.counts.send(message_type);
        let class: MessageClass = message_type.class();
        Some(Transmit { len, class, to, sequence: self.sequence, stamp_wanted: stamped.is_some() })
    }
}
