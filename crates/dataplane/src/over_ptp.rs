//! NTP that PTP carries (RFC 10030): found among what comes to the port of PTP's event messages, and answered in place.

mod server;

pub use server::{Carried, OverPtpParts, OverPtpServer};

use sidereal_ntp::{Answer, Arrival, Carriage, Header, Mode, Server};
use sidereal_ptp::{NotCarried, NtpCarrier};
use sidereal_time::{Span, StampSource};

use crate::{DropReason, LinkSpeed, Terms, Verdict};

/// How NTP over PTP is dealt with on a port.
#[derive(Debug, Clone)]
pub struct OverPtp {
    /// How it is carried.
    pub carrier: NtpCarrier,
    /// Whether requests are answered; where they are not, answers to our own are still let through.
    pub serves: bool,
    /// How fast the port's link is.
    pub link: LinkSpeed,
}

/// A PTP message as it has come.
#[derive(Debug, Clone, Copy)]
pub struct CarriedArrival {
    /// From whom, and when, by the port's stamp where it has one.
    pub arrival: Arrival,
    /// Who took that stamp.
    pub source: Option<StampSource>,
    /// How long its frame is, in bytes.
    pub frame_len: usize,
}

impl OverPtp {
    /// Judges the PTP message in `buffer[..len]`; a reply is written over it. `None` of a message that carries no NTP, or is of
    /// another domain: it is PTP's own, and not changed.
    pub fn message(
        &self,
        buffer: &mut [u8],
        len: usize,
        came: &CarriedArrival,
        server: &mut Server,
        terms: &Terms<'_>,
    ) -> Option<Verdict> {
        let message = buffer.get(..len).filter(|message| NtpCarrier::carries(message))?;
        let question = match self.carrier.unwrap(message) {
            Ok(question) => question,
            Err(NotCarried::OtherDomain) => return None,
            Err(reason) => return Some(Verdict::Drop(DropReason::OverPtp(reason))),
        };
        // An answer to one of our own associations.
        let is_answer =
            Header::of(message.get(question.ntp.clone())?).is_some_and(|header| header.mode() == Mode::Server);
        if is_answer || !self.serves {
            return Some(Verdict::Kernel);
        }
        let carriage = Carriage {
            correction: question.correction.span().unwrap_or_default(),
            reception: came.source.map_or(Span::ZERO, |source| self.link.reception(source, came.frame_len)),
        };
        let arrival = Arrival { receive: came.arrival.receive.after(carriage.reception), ..came.arrival };
        let request = buffer.get_mut(question.ntp.start..)?;
        let answer =
            server.answer_over_ptp(request, question.ntp.len(), &arrival, &carriage, &terms.moment, terms.policy);
        Some(match answer {
            Answer::Reply { len, kind, token } => {
                Verdict::Reply { len: self.carrier.answer(buffer, &question, len), kind, token }
            }
            Answer::Drop(reason) => Verdict::Drop(DropReason::Ntp(reason)),
        })
    }
}
