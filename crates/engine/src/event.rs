//! What the engine is told, and what it wants done.

use core::net::SocketAddr;

use arrayvec::ArrayVec;
use sidereal_ntp::{LeapIndicator, MAX_MESSAGE_LEN};
use sidereal_ptp::{Destination, MessageClass, NTP_PREFIX_LEN, PortKey, Responders};
use sidereal_servo::{Adjustment, Discipline};
use sidereal_time::{Arrived, ClockId, CrossStamp, LeapTable, Reading, Span, Tai, Ticks, Utc};

use crate::{EngineConfig, Report, Saved, Snapshot, SourceId};

/// What the engine is told.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// Nothing but that time has passed: what [`crate::Engine::poll_timeout`] asked for.
    Timer,
    /// A clock of the host was read: the answer to [`Action::ReadClock`].
    ClockRead {
        /// Which.
        clock: ClockId,
        /// What it showed.
        reading: ClockReading,
    },
    /// What the kernel says of how it steers a clock; best before each reading. Without it, the kernel is expected to make
    /// every leap second.
    Discipline {
        /// Which clock.
        clock: ClockId,
        /// What the kernel says.
        discipline: Discipline,
    },
    /// A datagram has come from a source.
    Datagram {
        /// The source whose socket it came to.
        source: SourceId,
        /// Who sent it.
        from: SocketAddr,
        /// What it says.
        payload: &'a [u8],
        /// When it came.
        arrival: Arrived,
        /// How long it took from then to its end: by a stamp of a NIC, which is of the beginning, how long its frame is at the
        /// speed of the link. Zero of other stamps, and where that is not known.
        reception: Span,
    },
    /// What became of a packet: for each [`Outgoing`] that was sent, and each [`PtpOutgoing`] whose stamp is wanted, this comes
    /// exactly once.
    Transmitted {
        /// Which.
        packet: PacketId,
        /// When it left; `None` where nobody knows.
        left: Option<Arrived>,
    },
    /// A reference clock showed a time.
    Sampled {
        /// Which.
        source: SourceId,
        /// What it showed.
        reading: ClockReading,
        /// What it says of leap seconds, and whether it knows the time.
        leap: LeapIndicator,
    },
    /// A second has begun, by a reference clock that does not say which.
    Pulse {
        /// Which.
        source: SourceId,
        /// Where the counter stood.
        ticks: Ticks,
        /// How long reading it took.
        window: Span,
    },
    /// The addresses that a name stands for: the answer to [`Action::Resolve`].
    Resolved {
        /// The source that asked.
        source: SourceId,
        /// The addresses, best first.
        addresses: Vec<SocketAddr>,
    },
    /// A name could not be resolved: the other answer.
    ResolveFailed {
        /// The source that asked.
        source: SourceId,
    },
    /// A PTP message has come to a port.
    PtpReceived {
        /// The port.
        port: PortKey,
        /// Who sent it, where that is known.
        from: Option<sidereal_ptp::Address>,
        /// What it says, without the headers below.
        message: &'a [u8],
        /// When it came, where that is known.
        arrival: Option<Arrived>,
    },
    /// Somebody on this host manages PTP by a message of it.
    PtpManagement {
        /// Who: answers go to him.
        client: u64,
        /// What he says.
        message: &'a [u8],
    },
    /// The link of a PTP Port, or what it is heard by, is gone or back.
    PtpPort {
        /// The port.
        port: PortKey,
        /// Whether it can be used.
        usable: bool,
    },
    /// Who holds a PTP Port's sockets has answered Delay_Req by its responder.
    PtpAnswered {
        /// Which port.
        port: PortKey,
        /// How many Delay_Req came since this was last said.
        received: u64,
        /// How many Delay_Resp were sent since.
        sent: u64,
    },
    /// A packet could not be sent: nothing more is to be said of it.
    SendFailed {
        /// Which.
        packet: PacketId,
        /// Whether there is no way to where it should go (ENETUNREACH, EHOSTUNREACH, ECONNREFUSED).
        unreachable: bool,
    },
    /// A clock of the host can no longer be read, or is gone. A reading says that it is back.
    ClockLost {
        /// Which.
        clock: ClockId,
    },
    /// A clock of the host refused to be steered.
    SteerFailed {
        /// Which.
        clock: ClockId,
    },
    /// A clock of the host was reset, as drivers do when a link goes down and up or a device is opened again: nobody knows
    /// where it stands, nor how fast it was told to run.
    ClockReset {
        /// Which.
        clock: ClockId,
    },
    /// Somebody else steers a clock of the host.
    Rival {
        /// Which.
        clock: ClockId,
        /// Who, if it is known.
        who: Option<String>,
    },
    /// The configuration has changed.
    Configuration(Box<EngineConfig>),
    /// The table of leap seconds has changed.
    LeapTable(LeapTable),
    /// The program is about to end: what has been learned is to be saved.
    Stop,
}

impl Event<'_> {
    /// When what may be measured by it arrived, where it did.
    pub(crate) fn arrival(&self) -> Option<Ticks> {
        match self {
            Self::Datagram { arrival, .. } => Some(arrival.ticks),
            Self::PtpReceived { arrival, .. } => arrival.map(|arrival| arrival.ticks),
            Self::Sampled { reading, .. } => Some(reading.ticks()),
            Self::Pulse { ticks, .. } => Some(*ticks),
            _ => None,
        }
    }
}

/// A clock and the counter, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockReading {
    /// Of a clock that shows UTC.
    Utc(Reading<Utc>),
    /// Of a clock that shows TAI.
    Tai(Reading<Tai>),
    /// Of a clock that shows no scale.
    Free(CrossStamp),
}

impl ClockReading {
    /// Where the counter stood.
    #[must_use]
    pub const fn ticks(&self) -> Ticks {
        match self {
            Self::Utc(reading) => reading.ticks(),
            Self::Tai(reading) => reading.ticks(),
            Self::Free(stamp) => stamp.local,
        }
    }

    /// How long the reading took.
    #[must_use]
    pub const fn window(&self) -> Span {
        match self {
            Self::Utc(reading) => reading.window(),
            Self::Tai(reading) => reading.window(),
            Self::Free(stamp) => stamp.window,
        }
    }

    /// The clock as a counter: of nanoseconds since its epoch, where it shows a scale.
    pub(crate) fn as_counter(&self) -> CrossStamp {
        let nanos = match self {
            Self::Utc(reading) => reading.at().as_nanos_rounded(),
            Self::Tai(reading) => reading.at().as_nanos_rounded(),
            Self::Free(stamp) => return *stamp,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks wrap; before 1970 too")]
        let nic = Ticks(nanos as u64);
        CrossStamp { nic, local: self.ticks(), window: self.window() }
    }
}

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, moved once; a box would allocate for each snapshot")]
pub enum Action {
    /// Read a clock beside the local counter and hand in [`Event::ClockRead`], or [`Event::ClockLost`].
    ReadClock(ClockId),
    /// Let the workers know.
    Publish(Snapshot),
    /// Tell people.
    Report(Report),
    /// Have a socket that hears `from`: on the NTP port, connected to it. Asked for where a source may speak first.
    Listen {
        /// Whose socket it is.
        source: SourceId,
        /// Who is heard.
        from: SocketAddr,
    },
    /// Send a packet, and hand in [`Event::Transmitted`], or [`Event::SendFailed`].
    Send(Outgoing),
    /// Send a PTP message; where its stamp is wanted, hand in [`Event::Transmitted`], or [`Event::SendFailed`].
    SendPtp(PtpOutgoing),
    /// Let those who answer Delay_Req know which ports lead, and as whom. Said when it has changed.
    PublishResponders(Responders),
    /// Give somebody on this host the answer to [`Event::PtpManagement`].
    AnswerManagement {
        /// To whom.
        client: u64,
        /// A PTP message.
        payload: Vec<u8>,
    },
    /// The socket of this source is no longer needed.
    Close {
        /// Whose socket it is.
        source: SourceId,
    },
    /// Find the addresses of a name and hand in [`Event::Resolved`], or [`Event::ResolveFailed`]. However long it takes,
    /// nobody waits for it.
    Resolve {
        /// Who asks.
        source: SourceId,
        /// The name.
        name: String,
        /// The port that the addresses are to have.
        port: u16,
    },
    /// Steer a clock of the host, at once.
    Steer {
        /// Which.
        clock: ClockId,
        /// How.
        adjustment: Adjustment,
        /// When the measurement arrived that is the cause, where one is.
        cause: Option<Ticks>,
    },
    /// Nothing: a clock of the host would be steered now, were it ours to steer.
    WouldSteer {
        /// Which.
        clock: ClockId,
        /// When the measurement arrived that is the cause.
        cause: Ticks,
    },
    /// Tell the kernel how good a clock is that we steer (`clock_adjtime(2)`: status, leap second, TAI offset, errors).
    Announce {
        /// Which.
        clock: ClockId,
        /// What is to be added to UTC at the end of this UTC day, in seconds: -1 where a leap second is inserted, +1 where
        /// one is deleted, else 0.
        leap_step: i8,
        /// TAI - UTC, in seconds.
        tai_offset_s: i32,
        /// Whether the clock is synchronised.
        synchronised: bool,
        /// How wrong it may be: hard.
        max_error: Span,
        /// How wrong it may be: statistical, 99.99 %.
        uncertainty: Span,
    },
    /// Keep this for the next start.
    Save(Saved),
}

/// The longest packet, in bytes: an NTP message that PTP carries.
pub const MAX_DATAGRAM_LEN: usize = NTP_PREFIX_LEN + MAX_MESSAGE_LEN;

/// Which packet: unique as long as the engine lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub u64);

/// A packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What it is called in [`Event::Transmitted`].
    pub packet: PacketId,
    /// Who is asked, and whose socket hears the answer; `None` where it is broadcast and nobody answers.
    pub source: Option<SourceId>,
    /// Where it goes.
    pub to: SocketAddr,
    /// Where it comes from.
    pub from: Endpoint,
    /// What it says.
    pub payload: ArrayVec<u8, MAX_DATAGRAM_LEN>,
    /// Whether a stamp better than the time of the call is worth waiting for.
    pub stamp_wanted: bool,
}

/// A PTP message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PtpOutgoing {
    /// What it is called in [`Event::Transmitted`].
    pub packet: PacketId,
    /// The port that it leaves by.
    pub port: PortKey,
    /// Whether its own time is measured.
    pub class: MessageClass,
    /// Where it goes.
    pub to: Destination,
    /// What it says, without the headers below.
    pub payload: Vec<u8>,
    /// Whether it is to be told when it left.
    pub stamp_wanted: bool,
}

/// The port that a packet comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// A new one, drawn at random (RFC 9109): the source's socket before is closed.
    Fresh,
    /// The NTP port.
    Ntp,
    /// The port of PTP's event messages, 319.
    PtpEvent,
}
