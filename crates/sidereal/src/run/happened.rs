//! What has happened to packets, as the engine is to be told.

use sidereal_engine::{Event, PacketId, SourceId};
use sidereal_ptp::{Address, PortKey};
use sidereal_time::{Arrived, Span, StampSource, Ticks};
use std::io;
use std::net::SocketAddr;

/// What has happened at a socket, or at a port of workers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// A datagram has come for a source.
    Datagram { source: SourceId, from: SocketAddr, payload: Vec<u8>, arrival: Arrived, reception: Span },
    /// A message has come for a PTP Port.
    PtpMessage { port: PortKey, from: Address, message: Vec<u8>, arrival: Option<Arrived> },
    /// What a PTP Port is heard by is there, or gone.
    PtpPort { port: PortKey, usable: bool },
    /// Delay_Req have come to a PTP Port since the last time, and were answered.
    PtpAnswered { port: PortKey, received: u64, sent: u64 },
    /// A packet has left; `None` where nobody knows when.
    Transmitted { packet: PacketId, left: Option<Arrived> },
    /// A packet has not.
    SendFailed { packet: PacketId, unreachable: bool },
}

impl Happened {
    /// As the engine is told.
    pub(super) fn event(&self) -> Event<'_> {
        match self {
            Self::Datagram { source, from, payload, arrival, reception } => {
                Event::Datagram { source: *source, from: *from, payload, arrival: *arrival, reception: *reception }
            }
            Self::PtpMessage { port, from, message, arrival } => {
                Event::PtpReceived { port: *port, from: Some(*from), message, arrival: *arrival }
            }
            Self::PtpPort { port, usable } => Event::PtpPort { port: *port, usable: *usable },
            Self::PtpAnswered { port, received, sent } => {
                Event::PtpAnswered { port: *port, received: *received, sent: *sent }
            }
            Self::Transmitted { packet, left } => Event::Transmitted { packet: *packet, left: *left },
            Self::SendFailed { packet, unreachable } => {
                Event::SendFailed { packet: *packet, unreachable: *unreachable }
            }
        }
    }

    /// A packet has left at `ticks`, by a stamp of `source`.
    pub(super) fn transmitted(packet: PacketId, ticks: Ticks, source: StampSource) -> Self {
        Self::Transmitted { packet, left: Some(Arrived { ticks, source }) }
    }
}

/// Whether there was no way to where something was to be sent.
pub(super) fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}
