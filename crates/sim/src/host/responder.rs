//! The real server, and how long its replies take to leave.

use sidereal_ntp::{Answer, Arrival, KeyTable, Moment, Policy, ReplyHeader, Server, ServerLimits, SystemVariables};
use sidereal_time::{Instant, NtpTimestamp, Tai, Ticks, TxToken};

use crate::link::Jitter;
use crate::packet::Datagram;
use crate::random::{Stream, stream};
use crate::scenario::KEYS;
use sidereal_time::Span;

/// Clients that are remembered.
const CLIENTS: usize = 1024;

/// A server with its policy.
#[derive(Debug)]
pub(super) struct Responder {
    server: Server,
    policy: Policy,
    latency: Jitter,
    random: Stream,
}

/// A reply that is about to leave.
pub(super) struct Reply {
    pub(super) datagram: Datagram,
    /// When it truly leaves.
    pub(super) leaves: Instant<Tai>,
    /// Where the server wants to know that.
    pub(super) token: Option<TxToken>,
}

impl Responder {
    /// The server of the host `name` in the run `seed`; everybody may ask.
    pub(super) fn new(latency: Jitter, seed: u64, name: &str) -> Self {
        let limits = ServerLimits { interleaved_clients: CLIENTS, rate_limit_prefixes: 1, secret: [seed, 1] };
        let keys = KeyTable::parse(KEYS).unwrap_or_default();
        let policy = Policy { keys, interleaved: true, ..Policy::default() };
        let random = stream(seed, &format!("{name}/server"));
        Self { server: Server::new(&limits), policy, latency, random }
    }

    /// Answers `datagram`, which came at `receive` by the clock that is served, and at `now` in truth; the reply says
    /// that it leaves at `transmit`.
    pub(super) fn answer(
        &mut self,
        datagram: &Datagram,
        system: &SystemVariables,
        receive: NtpTimestamp,
        transmit: NtpTimestamp,
        now: Instant<Tai>,
    ) -> Option<Reply> {
        let mut buffer = datagram.payload.clone();
        let len = buffer.len();
        let arrival = Arrival { client: datagram.from.ip(), receive, ticks: Ticks(0) };
        let moment = Moment { header: ReplyHeader::new(system), transmit };
        let Answer::Reply { len, token, .. } = self.server.answer(&mut buffer, len, &arrival, &moment, &self.policy)
        else {
            return None;
        };
        buffer.truncate(len);
        let leaves = now + Span::from_secs_f64(self.latency.draw(&mut self.random));
        let datagram = Datagram { from: datagram.to, to: datagram.from, payload: buffer, correction: Span::ZERO };
        Some(Reply { datagram, leaves, token })
    }

    /// When a reply left is known.
    pub(super) fn transmitted(&mut self, token: TxToken, at: NtpTimestamp) {
        self.server.transmitted(token, Some(at));
    }
}
