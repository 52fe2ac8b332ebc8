//! Management messages: who may ask what, and the answer (IEEE 1588-2019 15.3, 15.4).

mod change;
mod tell;

use arrayvec::ArrayVec;
use sidereal_time::Ticks;

use super::{Context, Instance, Transmit};
use crate::address::{Address, Destination};
use crate::identity::{ClockIdentity, PortIdentity};
use crate::management::{Action, Management, ManagementErrorStatus};
use crate::message::{Body, Flags, HEADER_LEN, Header, Message, MessageType};
use crate::octets::Text;
use crate::outcome::IgnoreReason;
use crate::tlv::{Content, TlvWriter, Tlvs};

/// The most bytes that userDescription may have (15.5.3.1.8).
const MAX_USER_DESCRIPTION: u8 = 128;
/// The longest answer, in bytes: the counts of messages fit, and the description of a clock with all of its texts.
pub const MAX_ANSWER_LEN: usize = 512;
/// What a management message has beside its TLV.
const MANAGEMENT_LEN: usize = HEADER_LEN + 14;
/// logMessageInterval where none is told (table 42).
const NO_INTERVAL: i8 = 0x7f;
/// The portNumber that stands for all (15.3.1).
const ALL_PORTS: u16 = PortIdentity::ALL.number;
/// The portNumber of a clock without ports: some ask the clock itself by it.
const WHOLE_CLOCK: u16 = 0;

/// A management message in answer to another.
pub type Answer = ArrayVec<u8, MAX_ANSWER_LEN>;

/// Who sent a management message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Requester {
    /// A program on this host: it may change what can be changed.
    Local,
    /// Somebody on the network who has access: may only ask.
    Network,
}

impl Instance {
    /// Complies with a management message of a program on this host, and gives the answer to it.
    ///
    /// # Errors
    /// Where there is no answer: it is no management message, or not for this instance.
    pub fn manage(&mut self, message: &[u8], now: Ticks, context: &mut Context<'_>) -> Result<Answer, IgnoreReason> {
        self.meet(now, context);
        let message = Message::parse(message)?;
        if message.header.sdo_id != self.options.sdo_id {
            return Err(IgnoreReason::WrongSdoId);
        }
        if message.header.domain != self.options.domain {
            return Err(IgnoreReason::WrongDomain);
        }
        let Body::Management(management) = message.body else { return Err(IgnoreReason::NotAddressed) };
        self.comply(&message.header, &management, message.tlvs, Requester::Local, context)
    }

    /// Answers a management message of the network, where its sender has access: the answer waits to be sent.
    pub(super) fn manage_from_network(
        &mut self,
        header: &Header,
        management: &Management,
        tlvs: Tlvs<'_>,
        from: Option<Address>,
        context: &mut Context<'_>,
    ) -> Result<(), IgnoreReason> {
        let Some(Address::Ip(ip)) = from else { return Err(IgnoreReason::ManagementDenied) };
        if !self.options.management_access.iter().any(|prefix| prefix.contains(&ip)) {
            return Err(IgnoreReason::ManagementDenied);
        }
        if self.answer.is_some() {
            return Err(IgnoreReason::ManagementBusy);
        }
        let answer = self.comply(header, management, tlvs, Requester::Network, context)?;
        let is_unicast = header.flags.has(Flags::UNICAST);
        let to = if is_unicast { Destination::Unicast(Address::Ip(ip)) } else { Destination::Primary };
        self.answer = Some((answer, to));
        Ok(())
    }

    /// Sends the answer that waits.
    pub(super) fn send_answer(&mut self, buffer: &mut [u8]) -> Option<Transmit> {
        let (answer, to) = self.answer.take()?;
        let len = answer.len();
        buffer.get_mut(..len)?.copy_from_slice(&answer);
        self.sequence = self.sequence.wrapping_add(1);
        self.counts.send(MessageType::Management);
        let class = MessageType::Management.class();
        Some(Transmit { len, class, to, sequence: self.sequence, stamp_wanted: false })
    }

    fn comply(
        &mut self,
        header: &Header,
        management: &Management,
        tlvs: Tlvs<'_>,
        requester: Requester,
        context: &mut Context<'_>,
    ) -> Result<Answer, IgnoreReason> {
        if !self.is_target(management.target) {
            return Err(IgnoreReason::NotAddressed);
        }
        let tlv = tlvs.iter().next().ok_or(IgnoreReason::NoManagementTlv)?;
        let Content::Management(asked) = tlv.content()? else { return Err(IgnoreReason::NoManagementTlv) };
        let mut room = [0; MAX_ANSWER_LEN - MANAGEMENT_LEN];
        let mut answer = TlvWriter::new(&mut room);
        let (action, done) = match (management.action, requester) {
            (Action::Get, _) => (Action::Response, self.tell(asked.id, context, &mut answer)),
            (Action::Set, Requester::Local) => {
                let set = self.set(asked);
                (Action::Response, set.and_then(|()| self.tell(asked.id, context, &mut answer)))
            }
            (Action::Command, Requester::Local) => {
                let done = self.command(asked, context);
                (Action::Acknowledge, done.and_then(|data| tell::put(&data, asked.id, &mut answer)))
            }
            (Action::Set | Action::Command, Requester::Network) => return Err(IgnoreReason::ManagementDenied),
            (Action::Response | Action::Acknowledge, _) => return Err(IgnoreReason::NotAddressed),
        };
        let mut failure = [0; 16];
        let tlvs = match done {
            Ok(()) => answer.finish(),
            Err(error) => {
                let status = ManagementErrorStatus { error, id: asked.id, display_data: Text::default() };
                let mut answer = TlvWriter::new(&mut failure);
                status.write(&mut answer).map_or(Tlvs::NONE, |()| answer.finish())
            }
        };
        Ok(self.reply(header, management, action, tlvs))
    }

    /// The message that answers `management`, which came under `header`.
    fn reply(&self, header: &Header, management: &Management, action: Action, tlvs: Tlvs<'_>) -> Answer {
        // As many boundary clocks as the question has passed lie on the way back (15.4.1.3).
        let hops = management.starting_boundary_hops.saturating_sub(management.boundary_hops);
        let message = Message {
            header: Header {
                flags: Flags::NONE.with(Flags::UNICAST, header.flags.has(Flags::UNICAST)),
                ..self.header(MessageType::Management, header.sequence_id, NO_INTERVAL)
            },
            body: Body::Management(Management {
                target: header.source,
                starting_boundary_hops: hops,
                boundary_hops: hops,
                action,
            }),
            tlvs,
        };
        let mut answer = ArrayVec::from([0; MAX_ANSWER_LEN]);
        // It fits: the TLVs have no more room than such a message leaves them.
        let length = message.write(&mut answer).unwrap_or_default();
        answer.truncate(length);
        answer
    }

    /// Whether a message for `target` is for us (15.3.1).
    fn is_target(&self, target: PortIdentity) -> bool {
        let own = self.port_identity();
        (target.clock == own.clock || target.clock == ClockIdentity::ALL)
            && (target.number == own.number || target.number == ALL_PORTS || target.number == WHOLE_CLOCK)
    }
}
