//! How everything is, for people and programs that ask.

use core::net::SocketAddr;

use sidereal_ntp::{LeapIndicator, ReferenceId, Stratum};
use sidereal_ptp::{
    CurrentDs, DefaultDs, ForeignMaster, ParentDs, PortDs, PortKey, Profile, TimePropertiesDs, Transport,
};
use sidereal_servo::{Adjustment, CrossCounts, Discipline, FitCounts, TrackerState};
use sidereal_time::{ClockId, ClockModel, CrossModel, Instant, Span, StampFault, Tai, Utc};

use crate::{ClockScale, SourceId, SourceState, Steer};

/// Whether we know the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronisation {
    /// There is no model yet.
    Acquiring,
    /// The model follows the reference.
    Synchronised,
    /// The sources are gone; what was learned of the counter still tells the time well enough to be served.
    Holdover,
    /// There is a model, but the reference is silent or talks nonsense.
    Lost,
}

/// How the clock is.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Whether we know the time.
    pub synchronisation: Synchronisation,
    /// The counter's model, once there is one.
    pub model: Option<ClockModel>,
    /// The instant by the model.
    pub now: Option<Instant<Tai>>,
    /// How far `now` may be from the reference, either way.
    pub error: Option<Span>,
    /// How far `now` may be from the reference with 99.99 %: without what asymmetric paths hide.
    pub uncertainty: Option<Span>,
    /// TAI - UTC at `now`, in seconds.
    pub tai_offset_s: Option<i32>,
    /// What the kernel last said of the system clock.
    pub discipline: Option<Discipline>,
    /// What became of the readings of the system clock, where that is the reference.
    pub readings: FitCounts,
    /// Readings left out because they may have meant either side of a leap second.
    pub ambiguous: u64,
    /// When the table of leap seconds expires, if it says so.
    pub leap_table_expires: Option<Instant<Utc>>,
    /// How the sources are followed; `None` where the system clock is the reference.
    pub following: Option<FollowingStatus>,
    /// The clocks of this host.
    pub clocks: Vec<ClockStatus>,
}

/// How the sources are followed.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowingStatus {
    /// What the tracker does.
    pub state: TrackerState,
    /// The source whose stratum and reference identifier are told on.
    pub system_peer: Option<SourceId>,
    /// How many sources are followed.
    pub followed: usize,
    /// Why no source is followed, in words, where none is.
    pub failure: Option<String>,
    /// The counter's frequency against its nominal one, in parts per million: positive where it runs fast.
    pub frequency_ppm: Option<f64>,
    /// How uncertain that is (one standard deviation), in parts per million.
    pub frequency_deviation_ppm: Option<f64>,
    /// How the frequency wanders: s/s per square root of a second.
    pub wander: Option<f64>,
}

/// How a clock of the host is.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockStatus {
    /// Which.
    pub id: ClockId,
    /// What people call it.
    pub name: String,
    /// Whether it is made to follow us.
    pub steer: Steer,
    /// What it shows.
    pub scale: ClockScale,
    /// What it showed less what it should have shown, at its last reading.
    pub offset: Option<Span>,
    /// How long that reading took.
    pub window: Option<Span>,
    /// The last adjustment; what would have been done, where it is steered dry.
    pub last_adjustment: Option<Adjustment>,
    /// How often it has been stepped, or would have been.
    pub steps: u64,
    /// How much faster than the local counter it would run by itself, in parts per billion, and the standard deviation of that.
    pub own_frequency_ppb: Option<(f64, f64)>,
    /// How well it is known where it stands: one standard deviation.
    pub deviation: Option<Span>,
    /// How noisy its readings are: one standard deviation.
    pub read_noise: Option<Span>,
    /// How its stamps are located, where it takes stamps and that is known.
    pub cross: Option<CrossModel>,
    /// What became of its readings.
    pub readings: CrossCounts,
    /// Stamps of it that were located by the engine.
    pub stamps_located: u64,
    /// Stamps that were refused, by [`StampFault::ALL`].
    pub stamps_refused: [u64; StampFault::ALL.len()],
    /// Who else steers it, where somebody does; empty where nobody knows who.
    pub rival: Option<String>,
    /// Whether it can no longer be read.
    pub lost: bool,
}

/// How a source is.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceStatus {
    /// Which.
    pub id: SourceId,
    /// What people call it.
    pub name: String,
    /// Where it is, where that is known.
    pub address: Option<SocketAddr>,
    /// `ntp`, `pool`, `ptp`, `sampled` or `pulse`.
    pub kind: &'static str,
    /// `client`, `symmetric_active`, `symmetric_passive` or `broadcast_client`; `e2e` or `p2p`; nothing where it is a wire.
    pub mode: Option<&'static str>,
    /// What selection makes of it.
    pub state: SourceState,
    /// Why, in words.
    pub reason: String,
    /// Its stratum, once it has said so.
    pub stratum: Option<Stratum>,
    /// What it follows, once it has said so.
    pub reference_id: Option<ReferenceId>,
    /// What it says of leap seconds, once it has said so.
    pub leap: Option<LeapIndicator>,
    /// How often it is asked, as a power of two of a second.
    pub poll: i8,
    /// Which of the last eight times it answered: the last is the lowest bit.
    pub reach: u8,
    /// Its time less ours, at its last measurement.
    pub offset: Option<Span>,
    /// The delay of that.
    pub delay: Option<Span>,
    /// How much its offset scatters (one standard deviation).
    pub jitter: Option<Span>,
    /// How wrong its time may be: its root distance.
    pub bound: Option<Span>,
    /// How old that is.
    pub age: Option<Span>,
    /// Whether its last answer was authenticated.
    pub authenticated: bool,
    /// Whether its last answer was interleaved.
    pub interleaved: bool,
    /// What became of its packets and readings, by name.
    pub counts: Vec<(&'static str, u64)>,
    /// Why one of its packets or readings was last ignored.
    pub last_ignored: Option<&'static str>,
}

/// How a PTP Instance is. The data sets are those of IEEE 1588-2019 8.2.
#[derive(Debug, Clone, PartialEq)]
pub struct PtpStatus {
    /// Which source it is.
    pub source: SourceId,
    /// What people call it.
    pub name: String,
    /// Its port.
    pub port: PortKey,
    /// What that speaks over.
    pub transport: Transport,
    /// Whose classes it tells, and whose defaults it has.
    pub profile: Profile,
    /// defaultDS, with what it says of our clock.
    pub default_ds: DefaultDs,
    /// currentDS.
    pub current_ds: CurrentDs,
    /// parentDS.
    pub parent_ds: ParentDs,
    /// timePropertiesDS.
    pub time_properties_ds: TimePropertiesDs,
    /// portDS of its port.
    pub port_ds: PortDs,
    /// The masters that are heard.
    pub foreign_masters: Vec<ForeignMaster>,
    /// What selection makes of it as a source.
    pub state: SourceState,
    /// Why, in words.
    pub reason: String,
    /// What became of its messages and measurements, by name; what never happened is left out.
    pub counts: Vec<(&'static str, u64)>,
}
