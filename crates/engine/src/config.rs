//! What the engine is configured with.

use core::net::SocketAddr;

use sidereal_ntp::{AssociationOptions, BroadcasterOptions, Poll, ReferenceId, Stratum};
use sidereal_ptp::InstanceOptions;
use sidereal_servo::{FilterOptions, ServoOptions, SteeringOptions};
use sidereal_time::{Rate, Span};

use crate::wire::WireOptions;
use crate::{Flags, Saved, SelectionOptions, SmearOptions};

/// The most sources that are looked after, the members of pools included; those beyond are left out, and said to be.
pub const MAX_SOURCES: usize = 256;
/// The most clocks that are read or steered, the system clock included; those beyond are left out, and said to be.
pub const MAX_CLOCKS: usize = 32;
/// The most groups that are broadcast to; those beyond are left out, and said to be.
pub const MAX_BROADCASTS: usize = 32;

/// Everything that the engine is configured with.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// What the time is taken from.
    pub reference: Reference,
    /// What is measured: followed with [`Reference::Sources`], else only judged. The first [`MAX_SOURCES`] count.
    pub sources: Vec<SourceOptions>,
    /// Which sources are believed.
    pub selection: SelectionOptions,
    /// How those that are believed are followed.
    pub servo: ServoOptions,
    /// The clocks of this host. The first is the system clock, [`sidereal_time::ClockId::SYSTEM`]; where there is none, it is
    /// read and never steered.
    pub clocks: Vec<ClockOptions>,
    /// Where we serve: a server that is there, or follows who is there, is not followed.
    pub own_addresses: Vec<SocketAddr>,
    /// To whom the time is broadcast.
    pub broadcasts: Vec<BroadcastOptions>,
    /// How ports that smear leap seconds do it.
    pub smear: SmearOptions,
    /// What all randomness comes from: unpredictable, but for simulations. Read when the engine is made.
    pub seed: [u8; 32],
    /// What was saved when the engine last ran. Read when the engine is made.
    pub saved: Option<Saved>,
}

/// What the time is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The system clock, which somebody else keeps. It is never steered.
    System(SystemReference),
    /// The sources.
    Sources,
}

/// What is said of the system clock while it is the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemReference {
    /// The stratum served while synchronised.
    pub stratum: Stratum,
    /// What the system clock follows.
    pub reference_id: ReferenceId,
    /// Round-trip delay from the system clock to the primary reference.
    pub root_delay: Span,
    /// How wrong the system clock may be, the delay aside.
    pub root_dispersion: Span,
}

/// A source of time.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// What people call it.
    pub name: String,
    /// How it tells the time.
    pub kind: SourceKind,
    /// Which of its readings are passed on.
    pub filter: FilterOptions,
    /// What selection makes of it.
    pub flags: Flags,
    /// What is added to its time, because its path is known to be asymmetric, or its cable to be long.
    pub offset: Span,
}

/// How a source tells the time.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are a few hundred at most, made when the configuration is read")]
pub enum SourceKind {
    /// By NTP.
    Ntp {
        /// Where it is.
        address: Address,
        /// How many members are wanted where the address is the name of a pool; `None` where it is one server.
        pool: Option<usize>,
        /// How it is spoken with.
        association: AssociationOptions,
    },
    /// By a wire into this host.
    Reference {
        /// What it gives.
        kind: ReferenceKind,
        /// What it is called where it is followed.
        reference_id: ReferenceId,
        /// The stratum of what is behind the wire: 0 for a receiver of satellites, so that whoever follows it is at
        /// stratum 1.
        stratum: u8,
        /// How often a measurement is made of the readings or edges that came meanwhile.
        poll: Poll,
        /// What the wire and the receiver may delay, either way: how far the time may be off at least.
        delay: Span,
    },
    /// By PTP: a source while its port follows a master. It may lead as well, with the time that the engine has.
    Ptp(Box<InstanceOptions>),
}

impl SourceKind {
    /// What is configured of a reference clock.
    pub(crate) fn wire(&self) -> Option<WireOptions> {
        match *self {
            Self::Reference { kind, reference_id, stratum, poll, delay } => {
                Some(WireOptions { kind, reference_id, stratum, poll, delay })
            }
            Self::Ntp { .. } | Self::Ptp(_) => None,
        }
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Here.
    Socket(SocketAddr),
    /// Where the name says, which is asked for, and asked again when the server is lost.
    Name {
        /// The name.
        name: String,
        /// The UDP port.
        port: u16,
    },
}

/// What a reference clock gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// Whole times, by [`crate::Event::Sampled`]: shared memory, a socket, a PTP hardware clock.
    Sampled,
    /// The beginnings of seconds, by [`crate::Event::Pulse`]: which second it is, another source says.
    Pulse,
}

/// A clock of the host.
#[derive(Debug, Clone)]
pub struct ClockOptions {
    /// What people call it.
    pub name: String,
    /// Whether it is made to follow us.
    pub steer: Steer,
    /// The scale that it is to show.
    pub scale: ClockScale,
    /// How it is steered.
    pub steering: SteeringOptions,
    /// How often it is read; 128 times a second at the most.
    pub read_period: Span,
    /// Whether it takes the stamps of packets: those of the first [`crate::MAX_NIC_CLOCKS`] such clocks can be located.
    pub stamps: bool,
}

/// Whether a clock of the host is made to follow us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steer {
    /// It is read and nothing else.
    Off,
    /// What would be done to it is computed and shown, and not done.
    Dry,
    /// It is steered.
    On,
}

/// The scale that a clock of the host is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockScale {
    /// UTC, as the system clock.
    Utc,
    /// TAI, as the clock of a NIC that speaks PTP.
    Tai,
    /// None: it is a counter that runs free, and is never steered.
    Free {
        /// How many bits it has, 1 to 64.
        width: u8,
        /// How long a tick is, nominally.
        rate: Rate,
    },
}

impl ClockScale {
    /// Its name in `status`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Utc => "utc",
            Self::Tai => "tai",
            Self::Free { .. } => "free",
        }
    }
}

/// A group that the time is broadcast to.
#[derive(Debug, Clone)]
pub struct BroadcastOptions {
    /// The group: a broadcast or multicast address.
    pub to: SocketAddr,
    /// How it is spoken to.
    pub broadcaster: BroadcasterOptions,
}
