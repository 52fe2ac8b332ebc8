//! NTP that PTP carries (RFC 10030): found among what comes to the port of PTP's event messages, and answered in place.

mod server;

pub use server::{Carried, OverPtpParts, OverPtpServer};

use core::net::IpAddr;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use sidereal_ntp::{Answer, Arrival, Carriage, Header, Mode, Server};
use sidereal_ptp::{NotCarried, NtpCarrier};
use sidereal_time::{Span, StampSource};
use std::sync::Arc;

use crate::{DropReason, Terms, Verdict};

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

/// How fast a link is, told by whoever looks at the port now and then.
#[derive(Debug, Clone, Default)]
pub struct LinkSpeed(Arc<AtomicU32>);

impl LinkSpeed {
    /// What follows a frame on the link and is measured with it: its check sequence, in bytes.
    const CHECK_SEQUENCE: usize = 4;

    /// A link of so many megabits a second; 0 where that is not known.
    #[must_use]
    pub fn of(megabits: u32) -> Self {
        Self(Arc::new(AtomicU32::new(megabits)))
    }

    /// Its speed is now this, likewise.
    pub fn set(&self, megabits: u32) {
        self.0.store(megabits, Relaxed);
    }

    /// In megabits a second; 0 where that is not known.
    #[must_use]
    pub fn megabits(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// How long a frame of `len` bytes that has this stamp took from there to its end, its check sequence not counted in `len`:
    /// what only NICs stamp at the beginning; zero of other stamps, and where the speed is not known.
    #[must_use]
    pub fn reception(&self, source: StampSource, len: usize) -> Span {
        let bits = (len + Self::CHECK_SEQUENCE) as i128 * 8;
        match (source, i128::from(self.0.load(Relaxed))) {
            (StampSource::Hardware | StampSource::Latch, megabits @ 1..) => {
                Span::from_units(bits * Span::from_nanos(1000).units() / megabits)
            }
            _ => Span::ZERO,
        }
    }
}

/// How long the frame of a UDP datagram of `payload` bytes to or from `peer` is, without its check sequence.
#[must_use]
pub const fn frame_len(peer: IpAddr, payload: usize) -> usize {
    const ETHERNET: usize = 14;
    const UDP: usize = 8;
    let ip = if peer.is_ipv4() { 20 } else { 40 };
    ETHERNET + ip + UDP + payload
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
