//! The PTP ports of a host: what they hear and send, and who answers Delay_Req on them.

use sidereal_ptp::{Destination, InstanceOptions, MessageType, PortKey, Responder, Responders, Transport};
use sidereal_time::{Arrived, Instant, PtpTimestamp, Span, StampSource, Tai};

use crate::link::Jitter;
use crate::packet::{Packet, PtpPacket};
use crate::random::{Stream, stream};
use crate::scenario::{HostOptions, host_at_ptp};

/// Where the originTimestamp of a Sync is (IEEE 1588-2019 table 43).
const ORIGIN_TIMESTAMP: core::ops::Range<usize> = 34..44;
/// Where domainNumber is in a header, and the first octet of flagField (table 35).
const DOMAIN: usize = 4;
const FLAGS: usize = 6;
const TWO_STEP: u8 = 0x02;
const UNICAST: u8 = 0x04;
/// What a Delay_Resp has more than its Delay_Req.
const ROOM: usize = 64;

/// All of a host.
#[derive(Debug)]
pub(super) struct PtpPorts {
    number: usize,
    ports: Vec<Port>,
    responders: Responders,
    latency: Jitter,
    random: Stream,
}

#[derive(Debug, Clone, Copy)]
struct Port {
    key: PortKey,
    transport: Transport,
    domain: u8,
}

impl PtpPorts {
    /// Those of the host with this number in the run `seed`.
    pub(super) fn new(number: usize, host: &HostOptions, seed: u64) -> Self {
        let port = |options: &InstanceOptions| Port {
            key: options.port.key,
            transport: options.port.transport,
            domain: options.domain,
        };
        Self {
            number,
            ports: host.ptp.iter().map(port).collect(),
            responders: Responders::default(),
            latency: host.reply_latency,
            random: stream(seed, &format!("{}/ptp", host.name)),
        }
    }

    /// The port that hears `packet`: of its transport and domain.
    pub(super) fn hearer(&self, packet: &PtpPacket) -> Option<PortKey> {
        let domain = packet.message.get(DOMAIN)?;
        let hears = |port: &&Port| port.transport == packet.transport && port.domain == *domain;
        self.ports.iter().find(hears).map(|port| port.key)
    }

    /// From now on these answer.
    pub(super) fn publish(&mut self, responders: Responders) {
        self.responders = responders;
    }

    /// Answers `packet`, if it is a Delay_Req and the port leads; it came at `received` by the clock that is told, and at `now`
    /// in truth. Gives the answer, and when it leaves.
    pub(super) fn answer(
        &mut self,
        port: PortKey,
        packet: &PtpPacket,
        received: Instant<Tai>,
        now: Instant<Tai>,
    ) -> Option<(Instant<Tai>, Packet)> {
        let responder = self.responders.of(port).filter(|_| Responder::is_request(&packet.message))?;
        let len = packet.message.len();
        let mut message = packet.message.to_vec();
        message.resize(len + ROOM, 0);
        let len = responder.answer(&mut message, len, received).ok()?;
        message.truncate(len);
        let unicast = message.get(FLAGS).is_some_and(|flags| flags & UNICAST != 0);
        let to = unicast.then_some(packet.from);
        let leaves = now + Span::from_secs_f64(self.latency.draw(&mut self.random));
        Some((leaves, self.packet(packet.transport, to, message)))
    }

    /// `message` of `port` as it leaves; nothing for an address that no host has.
    pub(super) fn leaving(&self, port: PortKey, to: Destination, message: Vec<u8>) -> Option<Packet> {
        let transport = self.ports.iter().find(|known| known.key == port)?.transport;
        let to = match to {
            Destination::Primary | Destination::PeerDelay => None,
            Destination::Unicast(address) => Some(host_at_ptp(address)?),
        };
        Some(self.packet(transport, to, message))
    }

    fn packet(&self, transport: Transport, to: Option<usize>, message: Vec<u8>) -> Packet {
        Packet::Ptp(PtpPacket { from: self.number, to, transport, message: message.into() })
    }
}

/// Whether the NIC is to write the time into `message` as it leaves: a Sync without a Follow_Up.
pub(super) fn is_one_step(message: &[u8]) -> bool {
    let is_sync = message.first().is_some_and(|kind| kind & 0x0f == MessageType::Sync.bits());
    is_sync && message.get(FLAGS).is_some_and(|flags| flags & TWO_STEP == 0)
}

/// Writes when a Sync leaves, as a NIC does: whole nanoseconds.
pub(super) fn write_origin(message: &mut [u8], at: Instant<Tai>) {
    if let (Some(field), Ok(timestamp)) = (message.get_mut(ORIGIN_TIMESTAMP), PtpTimestamp::from_tai(at)) {
        field.copy_from_slice(&timestamp.to_be_bytes());
    }
}

/// A stamp as PTP takes it: of the hardware, or none.
pub(super) fn of_hardware(stamp: Arrived) -> Option<Arrived> {
    (stamp.source > StampSource::Software).then_some(stamp)
}
