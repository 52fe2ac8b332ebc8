//! What a port does with the messages of each kind: parts of the instance that know nothing of each other.

pub(crate) mod delay;
pub(crate) mod lead;
pub(crate) mod link;
pub(crate) mod pairing;
pub(crate) mod peer;
pub(crate) mod rate;
pub(crate) mod sync;

use sidereal_time::{Arrived, Instant, PtpTimestamp, Span, Tai};

use crate::message::{Correction, Timestamp};
use crate::outcome::IgnoreReason;

/// What is known of when a message went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// Its stamp has not come.
    Awaited,
    /// It left then.
    At(Arrived),
    /// Nobody will ever know.
    Lost,
}

impl From<Option<Arrived>> for Departure {
    fn from(left: Option<Arrived>) -> Self {
        left.map_or(Self::Lost, Self::At)
    }
}

/// The instant in a message, on whichever scale its sender tells.
pub(crate) fn instant(timestamp: Timestamp) -> Result<Instant<Tai>, IgnoreReason> {
    PtpTimestamp::try_from(timestamp).map(PtpTimestamp::to_tai).map_err(|_| IgnoreReason::BadTimestamp)
}

/// How long a correction is.
pub(crate) fn span(correction: Correction) -> Result<Span, IgnoreReason> {
    correction.span().ok_or(IgnoreReason::BadTimestamp)
}

/// `instant` as whole nanoseconds, and what is to be added to them: they go into a message's timestamp and correctionField.
pub(crate) fn told(instant: Instant<Tai>) -> Option<(Timestamp, Span)> {
    let timestamp = PtpTimestamp::from_tai(instant).ok()?;
    Some((timestamp.into(), instant - timestamp.to_tai()))
}
