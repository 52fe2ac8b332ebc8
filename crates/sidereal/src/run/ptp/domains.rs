//! The PTP Ports that share an interface, each in a domain of its own: whose a message is, and Delay_Req answered at once.

use core::mem::take;

use sidereal_ptp::{Address, Destination, Flags, MAX_MESSAGE_LEN, NoAnswer, PortKey, Responder, Responders};
use sidereal_time::{Arrived, ClockModel};

use crate::run::happened::Happened;

/// Where the domainNumber is in a message (IEEE 1588-2019 13.3.1).
const DOMAIN_AT: usize = 4;
/// Where the upper half of flagField is.
const FLAGS_AT: usize = 6;

/// The PTP Ports that share an interface.
#[derive(Debug, Default)]
pub(super) struct Domains(Vec<Port>);

#[derive(Debug)]
struct Port {
    key: PortKey,
    domain: u8,
    answers: Answers,
}

/// What became of the Delay_Req that a port answers by itself.
#[derive(Debug, Default)]
struct Answers {
    /// Those that came and those that were sent, since it was last asked.
    received: u64,
    sent: u64,
    not_sent: u64,
    unstamped: u64,
    unanswered: [u64; NoAnswer::ALL.len()],
}

/// A message as it has come.
pub(super) struct Incoming {
    pub(super) buffer: [u8; MAX_MESSAGE_LEN],
    pub(super) len: usize,
    pub(super) from: Address,
    /// When it came; `None` where only a stamp of the NIC would say so, and there is none.
    pub(super) arrival: Option<Arrived>,
    /// When we found it.
    pub(super) found: Arrived,
}

/// By what Delay_Req are answered.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// Who answers.
    pub(super) responders: &'a Responders,
    /// What the time is.
    pub(super) model: &'a ClockModel,
}

/// An answer to be sent, in the buffer of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// The port that answers.
    pub(super) port: PortKey,
    pub(super) to: Destination,
    pub(super) len: usize,
}

impl Domains {
    pub(super) fn add(&mut self, key: PortKey, domain: u8) {
        self.0.push(Port { key, domain, answers: Answers::default() });
    }

    pub(super) fn has(&self, key: PortKey) -> bool {
        self.keys().any(|own| own == key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = PortKey> {
        self.0.iter().map(|port| port.key)
    }

    /// Answers a message, or hands it to the ports of its domain. What is of no port's domain goes to the first one, which
    /// counts it.
    pub(super) fn take(
        &mut self,
        incoming: &mut Incoming,
        terms: Terms<'_>,
        happened: &mut Vec<Happened>,
    ) -> Option<Answer> {
        let Incoming { buffer, len, from, arrival, .. } = incoming;
        let (len, from, arrival) = ((*len).min(buffer.len()), *from, *arrival);
        let domain = buffer.get(..len).and_then(|message| message.get(DOMAIN_AT)).copied();
        let is_request = Responder::is_request(buffer.get(..len).unwrap_or_default());
        if !self.0.iter().any(|port| Some(port.domain) == domain) {
            let message = || buffer.get(..len).unwrap_or_default().to_vec();
            let first = self.0.first();
            happened.extend(first.map(|port| Happened::PtpMessage {
                port: port.key,
                from,
                message: message(),
                arrival,
            }));
            return None;
        }
        for port in self.0.iter_mut().filter(|port| Some(port.domain) == domain) {
            let Some(responder) = terms.responders.of(port.key).filter(|_| is_request) else {
                let message = buffer.get(..len).unwrap_or_default().to_vec();
                happened.push(Happened::PtpMessage { port: port.key, from, message, arrival });
                continue;
            };
            port.answers.received += 1;
            let Some(arrival) = arrival else {
                port.answers.unstamped += 1;
                continue;
            };
            match responder.answer(buffer, len, terms.model.instant(arrival.ticks)) {
                Ok(len) => {
                    // The answer goes by the way that the question came.
                    let is_unicast = buffer[FLAGS_AT] & Flags::UNICAST.0.to_be_bytes()[0] != 0;
                    let to = if is_unicast { Destination::Unicast(from) } else { Destination::Primary };
                    return Some(Answer { port: port.key, to, len });
                }
                Err(reason) => port.answers.unanswered(reason),
            }
        }
        None
    }

    /// An answer of `key` was sent, or could not be.
    pub(super) fn sent(&mut self, key: PortKey, is_sent: bool) {
        if let Some(Port { answers, .. }) = self.0.iter_mut().find(|port| port.key == key) {
            *(if is_sent { &mut answers.sent } else { &mut answers.not_sent }) += 1;
        }
    }

    /// The Delay_Req and answers of each port that had any since this was last asked.
    pub(super) fn take_answered(&mut self) -> impl Iterator<Item = Happened> {
        self.0.iter_mut().filter(|port| port.answers.received > 0).map(|port| {
            let (received, sent) = (take(&mut port.answers.received), take(&mut port.answers.sent));
            Happened::PtpAnswered { port: port.key, received, sent }
        })
    }

    /// What `key` has counted besides, by name.
    pub(super) fn counts(&self, key: PortKey) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().filter(move |port| port.key == key).flat_map(|port| port.answers.by_name())
    }
}

impl Answers {
    fn unanswered(&mut self, reason: NoAnswer) {
        self.unanswered.get_mut(reason as usize).into_iter().for_each(|count| *count += 1);
    }

    fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let unanswered = NoAnswer::ALL.into_iter().zip(self.unanswered);
        unanswered
            .map(|(reason, count)| (reason.name(), count))
            .chain([("delay_resp_not_sent", self.not_sent), ("delay_req_unstamped", self.unstamped)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_ptp::{
        Body, ClockIdentity, Correction, Header, Message, MessageType, PortIdentity, SdoId, Timestamp, Tlvs,
    };
    use sidereal_time::{Counter, Instant, Rate, Span, StampSource, Ticks};

    const ASKER: PortIdentity = PortIdentity { clock: ClockIdentity([7; 8]), number: 3 };
    const LEADER: PortIdentity = PortIdentity { clock: ClockIdentity([9; 8]), number: 1 };
    const FROM: Address = Address::Link([2, 0, 0, 0, 0, 7]);
    const ARRIVAL: Arrived = Arrived { ticks: Ticks(5_000), source: StampSource::Kernel };

    fn model() -> ClockModel {
        ClockModel {
            counter: Counter::MonotonicRaw,
            width: 64,
            reference_ticks: Ticks(1_000),
            reference: Instant::from_secs(1_800_000_000),
            rate: Rate::NANOSECOND,
            error: Span::ZERO,
            drift_ppb: 0,
            generation: 0,
        }
    }

    fn request(domain: u8, flags: Flags, source: PortIdentity) -> Incoming {
        let header = Header {
            sdo_id: SdoId::DEFAULT,
            minor_version: 1,
            domain,
            flags,
            correction: Correction::ZERO,
            message_type_specific: [0; 4],
            source,
            sequence_id: 77,
            control: MessageType::DelayReq.control(),
            log_interval: 0x7f,
        };
        let mut buffer = [0; MAX_MESSAGE_LEN];
        let body = Body::DelayReq(Timestamp::ZERO);
        let len = Message { header, body, tlvs: Tlvs::NONE }.write(&mut buffer).unwrap();
        Incoming { buffer, len, from: FROM, arrival: Some(ARRIVAL), found: ARRIVAL }
    }

    /// Domain 0 listens, domain 24 leads.
    fn domains() -> (Domains, Responders) {
        let mut domains = Domains::default();
        domains.add(PortKey(0), 0);
        domains.add(PortKey(1), 24);
        let responder = Responder {
            key: PortKey(1),
            identity: LEADER,
            domain: 24,
            sdo_id: SdoId::DEFAULT,
            minor_version: 1,
            log_min_delay_req_interval: 0,
            ingress_latency: Span::ZERO,
        };
        (domains, Responders::new([responder]))
    }

    /// What is answered to `incoming`, and which ports are handed it.
    fn take(domains: &mut Domains, responders: &Responders, incoming: &mut Incoming) -> (Option<Answer>, Vec<PortKey>) {
        let mut happened = Vec::new();
        let model = model();
        let answer = domains.take(incoming, Terms { responders, model: &model }, &mut happened);
        let ports = happened.into_iter().map(|happened| match happened {
            Happened::PtpMessage { port, from: FROM, arrival: Some(ARRIVAL), .. } => port,
            other => panic!("{other:?}"),
        });
        (answer, ports.collect())
    }

    fn count(domains: &Domains, key: PortKey, name: &str) -> u64 {
        domains.counts(key).find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn who_leads_answers_with_the_time_of_arrival_by_the_way_of_the_question() {
        let (mut domains, responders) = domains();
        for (flags, to) in [(Flags::NONE, Destination::Primary), (Flags::UNICAST, Destination::Unicast(FROM))] {
            let mut incoming = request(24, flags, ASKER);
            let (answer, handed) = take(&mut domains, &responders, &mut incoming);
            let answer = answer.unwrap();
            assert_eq!((answer.port, answer.to, handed), (PortKey(1), to, vec![]));
            let message = Message::parse(&incoming.buffer[..answer.len]).unwrap();
            assert_eq!((message.header.sequence_id, message.header.source), (77, LEADER));
            let Body::DelayResp { receive_timestamp, requesting } = message.body else { panic!("{message:?}") };
            assert_eq!(requesting, ASKER);
            // 4000 ns after the reference.
            assert_eq!(receive_timestamp.0[6..], 4_000_u32.to_be_bytes());
            domains.sent(answer.port, true);
        }
        let answered: Vec<_> = domains.take_answered().collect();
        assert_eq!(answered, [Happened::PtpAnswered { port: PortKey(1), received: 2, sent: 2 }]);
        assert_eq!(domains.take_answered().count(), 0, "each is told once");
        assert_eq!(count(&domains, PortKey(1), "delay_resp_not_sent"), 0);
        domains.sent(PortKey(1), false);
        assert_eq!(count(&domains, PortKey(1), "delay_resp_not_sent"), 1);
    }

    #[test]
    fn what_is_not_answered_goes_to_the_ports_of_its_domain_or_is_counted() {
        let (mut domains, responders) = domains();
        // Nobody leads in domain 0, and nobody is in domain 3.
        for (domain, port) in [(0, PortKey(0)), (3, PortKey(0))] {
            let handed = take(&mut domains, &responders, &mut request(domain, Flags::NONE, ASKER));
            assert_eq!(handed, (None, vec![port]), "domain {domain}");
        }
        assert_eq!(take(&mut domains, &responders, &mut request(24, Flags::NONE, LEADER)), (None, vec![]));
        assert_eq!(count(&domains, PortKey(1), "reflected"), 1);
        let nobody = Responders::default();
        let handed = take(&mut domains, &nobody, &mut request(24, Flags::NONE, ASKER));
        assert_eq!(handed, (None, vec![PortKey(1)]));
    }

    #[test]
    fn any_bytes_are_taken_by_somebody() {
        let (mut domains, responders) = domains();
        for len in [0, 1, 4, 5, 33, 43, 2000] {
            let mut incoming = request(24, Flags::NONE, ASKER);
            incoming.len = len;
            let (answer, handed) = take(&mut domains, &responders, &mut incoming);
            assert!(answer.is_some() || handed.len() == 1, "{len} bytes");
        }
        let mut none = Domains::default();
        assert_eq!(take(&mut none, &responders, &mut request(24, Flags::NONE, ASKER)), (None, vec![]));
    }
}
