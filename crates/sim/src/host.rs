//! Hosts: what they do when something happens, and what they want to happen.

mod engine;
mod grandmaster;
mod ptp;
mod reference;
mod responder;

pub(crate) use engine::EngineHost;
pub(crate) use grandmaster::Health;
pub(crate) use reference::ReferenceHost;

use sidereal_engine::{PacketId, SourceId};
use sidereal_ptp::PortKey;
use sidereal_time::{Arrived, Instant, NtpTimestamp, Tai, TxToken};

use crate::packet::Packet;
use crate::truth::Sample;

/// A host in a run.
#[derive(Debug)]
pub(crate) enum Host {
    /// The real server on a good clock.
    Reference(Box<ReferenceHost>),
    /// The real engine and the real server.
    Engine(Box<EngineHost>),
}

/// What a host is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// A packet has arrived.
    Arrival(Packet),
    /// A timer that it asked for has run out.
    Timer,
    /// What became of the stamp of a packet of the engine is known.
    Transmitted(PacketId, Option<Arrived>),
    /// What became of the stamp of a grandmaster's message is known.
    Left(PortKey, u32, Option<Arrived>),
    /// The stamp of a reply is known.
    Replied(TxToken, NtpTimestamp),
    /// A name was looked up.
    Resolved(SourceId, Vec<core::net::SocketAddr>),
}

/// What a host wants to happen.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Packets, and when they leave.
    pub(crate) packets: Vec<(Instant<Tai>, Packet)>,
    /// What it is to be told later.
    pub(crate) later: Vec<(Instant<Tai>, Input)>,
    /// When it next wants [`Input::Timer`], where it wants it at all.
    pub(crate) timer: Option<Instant<Tai>>,
}

impl Host {
    /// Something happens at `now`.
    pub(crate) fn happen(&mut self, input: Input, now: Instant<Tai>, outbox: &mut Outbox) {
        match self {
            Self::Reference(host) => host.happen(input, now, outbox),
            Self::Engine(host) => host.happen(input, now, outbox),
        }
    }

    /// How it is at `now`, the `second` of the run; nothing for a reference, which is not measured.
    pub(crate) fn sample(&mut self, second: u32, now: Instant<Tai>) -> Option<Sample> {
        match self {
            Self::Reference(_) => None,
            Self::Engine(host) => Some(host.sample(second, now)),
        }
    }
}
