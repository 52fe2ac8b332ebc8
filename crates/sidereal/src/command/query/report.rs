//! What a query found out, as a document and as lines.

use schemars::JsonSchema;
use serde::Serialize;
use sidereal_ntp::client::Reply;
use sidereal_time::StampSource;
use std::fmt;

use super::exchange::Measurement;
use crate::command::words::{nanoseconds, reference_id, source_name};
use crate::leap;
use crate::show::nanos;

/// What is printed: its `schema` says in which version.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "schema")]
pub(in crate::command) enum Document {
    /// What an NTP server answered.
    #[serde(rename = "sidereal.query/1")]
    Query(Report),
    /// The PTP masters that were heard.
    #[serde(rename = "sidereal.query.ptp/1")]
    Ptp(super::masters::Report),
}

/// What an NTP server answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::command) struct Report {
    /// The server, as it was named.
    pub(super) host: String,
    /// The address and UDP port that was asked.
    pub(super) address: String,
    /// How many requests were sent.
    pub(super) sent: u64,
    /// How many of them brought a time that may be followed.
    pub(super) usable: u64,
    /// Of those the one with the shortest delay that can be true (not below zero), whose offset is the best to be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) best: Option<Answer>,
    /// What came of each request, in order.
    pub(super) exchanges: Vec<Outcome>,
}

/// What came of one request.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// A reply with times.
    Answer(Answer),
    /// None, and why.
    Failure(String),
}

/// A reply, and what it measured.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Answer {
    /// The server's clock less ours, in nanoseconds.
    pub(super) offset_ns: i64,
    /// The time on the way, both directions together, in nanoseconds; below zero where a stamp is wrong by at least as much.
    pub(super) delay_ns: i64,
    /// How far the offset may be from the truth, in nanoseconds: half the delay, half the server's root delay, and its
    /// root dispersion.
    pub(super) bound_ns: i64,
    /// Whether the server is synchronised: only then is the offset worth anything.
    pub(super) synchronised: bool,
    /// The server's stratum, 1 to 16; 16 is unsynchronised.
    pub(super) stratum: u8,
    /// What the server follows: four characters at stratum 1, else an address or a hash of one.
    pub(super) reference_id: String,
    /// The leap indicator: `none`, `insert`, `delete` or `unsynchronised`.
    pub(super) leap: &'static str,
    /// The server's root delay, in nanoseconds.
    pub(super) root_delay_ns: i64,
    /// The server's root dispersion, in nanoseconds.
    pub(super) root_dispersion_ns: i64,
    /// The precision of the server's clock, as a power of two of a second.
    pub(super) precision: i8,
    /// Whether the reply carried a MAC that is right.
    pub(super) authenticated: bool,
    /// Who took each stamp.
    pub(super) stamps: Stamps,
}

/// Who took the four stamps of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Stamps {
    /// T1, our request leaving: `kernel` or `software`.
    pub(super) transmit: &'static str,
    /// T4, the reply arriving: `kernel` or `software`.
    pub(super) receive: &'static str,
    /// T3, the server's reply leaving: `predicted` where the reply carries its own time, `measured` where the next one
    /// does (interleaved mode). Who took the server's stamps is not told by NTP.
    pub(super) server_transmit: &'static str,
}

impl Answer {
    pub(super) fn new(
        reply: &Reply,
        measured: &Measurement,
        authenticated: bool,
        [transmit, receive]: [StampSource; 2],
    ) -> Self {
        let system = &reply.system;
        Self {
            offset_ns: nanos(measured.sample.offset),
            delay_ns: nanos(measured.sample.delay),
            bound_ns: nanos(measured.bound),
            synchronised: reply.is_synchronised(),
            stratum: system.stratum.number(),
            reference_id: reference_id(system),
            leap: leap::indicator_name(system.leap),
            root_delay_ns: nanos(system.root_delay.as_span()),
            root_dispersion_ns: nanos(system.root_dispersion.as_span()),
            precision: system.precision,
            authenticated,
            stamps: Stamps {
                transmit: source_name(transmit),
                receive: source_name(receive),
                server_transmit: if reply.interleaved { "measured" } else { "predicted" },
            },
        }
    }
}

impl Answer {
    /// Whether its offset is the better one: the shorter the way, the less can hide in it. A delay below zero shows that a
    /// stamp is wrong by at least as much, and is worse than any that can be true.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        let rank = |answer: &Self| (answer.delay_ns < 0, answer.delay_ns.unsigned_abs());
        rank(self) < rank(other)
    }
}

/// One line.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = nanoseconds(self.offset_ns);
        let sign = if self.offset_ns < 0 { "" } else { "+" };
        write!(
            f,
            "offset {sign}{offset}  delay {}  within {}  stratum {}  {}  leap {}",
            nanoseconds(self.delay_ns),
            nanoseconds(self.bound_ns),
            self.stratum,
            self.reference_id,
            self.leap,
        )?;
        let Stamps { transmit, receive, server_transmit } = self.stamps;
        write!(f, "  stamps {transmit}/{receive}, server's T3 {server_transmit}")?;
        if self.authenticated {
            f.write_str("  authenticated")?;
        }
        if self.synchronised { Ok(()) } else { f.write_str("  NOT SYNCHRONISED") }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => answer.fmt(f),
            Self::Failure(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_ntp::{LeapIndicator, SystemVariables};
    use sidereal_time::{NtpTimestamp, Sample, Span};

    fn answer(stratum: u8, id: [u8; 4], delay_ns: i128) -> Answer {
        let system = SystemVariables {
            leap: LeapIndicator::None,
            stratum: sidereal_ntp::Stratum::new(stratum).unwrap(),
            reference_id: sidereal_ntp::ReferenceId(id),
            ..SystemVariables::UNSYNCHRONISED
        };
        let zero = NtpTimestamp::UNKNOWN;
        let (receive, transmit, network_correction) = (zero, zero, None);
        let reply = Reply { system, poll: 6, receive, transmit, interleaved: false, network_correction };
        let delay = Span::from_nanos(delay_ns);
        let measured =
            Measurement { sample: Sample { offset: Span::ZERO, delay, bound: Span::ZERO }, bound: Span::ZERO };
        Answer::new(&reply, &measured, false, [StampSource::Kernel; 2])
    }

    #[test]
    fn the_shortest_delay_that_can_be_true_is_the_best() {
        let delays = [-1, 40, 7, -9, 12].map(|delay| answer(1, *b"GPS\0", delay));
        let best = delays.iter().reduce(|best, next| if next.is_better_than(best) { next } else { best });
        assert_eq!(best.map(|best| best.delay_ns), Some(7));
        assert!(delays[0].is_better_than(&delays[3]));
    }

    #[test]
    fn a_reference_is_a_name_at_stratum_1_and_an_address_above() {
        assert_eq!(answer(1, *b"GPS\0", 0).reference_id, "GPS");
        assert_eq!(answer(2, *b"ABCD", 0).reference_id, "65.66.67.68");
        let unsynchronised = answer(16, [0; 4], 0);
        assert!(!unsynchronised.synchronised && unsynchronised.to_string().ends_with("NOT SYNCHRONISED"));
    }
}
