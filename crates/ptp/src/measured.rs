//! What following a master gives: readings of its clock, and what it claims of them.

use sidereal_time::{Reading, Span, Tai, Utc};

use crate::data_sets::TimePropertiesDs;
use crate::identity::{ClockIdentity, PortIdentity};
use crate::message::ClockQuality;

/// A reading of a master's clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Time by the master, in the middle between a Sync and a Delay_Req, or at a Sync; its window is the delay there and back.
    pub reading: MeasuredReading,
    /// How far the reading may be off beyond its window: the granularity and quality of the stamps, 15 ppm of the time between
    /// the messages it is made of, and how much the delays of the link differed of late where those of one Sync cannot be told.
    /// How far the master itself is off is not in it.
    pub dispersion: Span,
    /// What the master says of itself.
    pub master: MasterClaims,
}

/// A reading on the time scale that the master tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MeasuredReading {
    /// The PTP timescale, or an arbitrary one that is known to be TAI.
    Tai(Reading<Tai>),
    /// An arbitrary timescale that is known to be UTC.
    Utc(Reading<Utc>),
}

/// What a master says of itself and of its grandmaster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MasterClaims {
    /// The port that is followed (parentDS.parentPortIdentity).
    pub identity: PortIdentity,
    /// parentDS.grandmasterIdentity.
    pub grandmaster: ClockIdentity,
    /// parentDS.grandmasterClockQuality.
    pub quality: ClockQuality,
    /// How far from the truth it claims to be at most, or is taken to be where it claims nothing.
    pub accuracy: Span,
    /// currentDS.stepsRemoved as seen from here: Communication Paths to the grandmaster.
    pub steps_removed: u16,
    /// timePropertiesDS as received.
    pub time: TimePropertiesDs,
}
