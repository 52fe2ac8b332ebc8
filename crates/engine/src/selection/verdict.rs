//! What became of a source, and why.

use core::fmt;

use sidereal_ptp::{PortState, Suspicion};
use sidereal_time::Span;

use crate::SourceId;

/// What a selection came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// What became of each candidate, in ascending order of their ids.
    pub verdicts: Vec<(SourceId, Verdict)>,
    /// The sources to follow, best first, and what each counts for: 1 for the one with the shortest distance, less for
    /// the others. A measurement's variance is to be divided by it.
    pub survivors: Vec<(SourceId, f64)>,
    /// The survivor that we name as what we follow.
    pub system_peer: Option<SourceId>,
    /// Why there is no survivor; `None` where there is one.
    pub failure: Option<NoSelection>,
}

/// What became of a source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// In one word.
    pub state: SourceState,
    /// In many.
    pub reason: Reason,
}

/// What became of a source, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceState {
    /// The system peer.
    Selected,
    /// Followed, together with the system peer.
    Combined,
    /// It agrees with the majority, but is further from the others than they scatter.
    Outlier,
    /// Its interval of time misses that on which the majority agrees.
    Falseticker,
    /// No majority agrees on a time, so nobody knows whether this source is right.
    Disputed,
    /// It is not heard.
    Unreachable,
    /// It is heard, but has not been measured.
    Unmeasured,
    /// It says that it does not know the time.
    Unsynchronised,
    /// Its time comes from us.
    Loop,
    /// Its root distance is too long.
    Distant,
    /// Its offsets scatter too much.
    Jittery,
    /// Its last measurement is too old.
    Stale,
    /// The user says that it is not to be used.
    NoSelect,
    /// It is not authenticated, and has to be.
    Unauthenticated,
    /// Sources that are marked `trust` do not vouch for its time.
    Untrusted,
    /// It agrees, but others are preferred.
    Unpreferred,
    /// It agrees, but is not used before something else has come true.
    Waiting,
    /// It is a PTP Port that follows nobody: it leads, or hears no master.
    Idle,
}

impl SourceState {
    /// All states.
    pub const ALL: [Self; 18] = [
        Self::Selected,
        Self::Combined,
        Self::Outlier,
        Self::Falseticker,
        Self::Disputed,
        Self::Unreachable,
        Self::Unmeasured,
        Self::Unsynchronised,
        Self::Loop,
        Self::Distant,
        Self::Jittery,
        Self::Stale,
        Self::NoSelect,
        Self::Unauthenticated,
        Self::Untrusted,
        Self::Unpreferred,
        Self::Waiting,
        Self::Idle,
    ];

    /// Its name in `sources`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Selected => "selected",
            Self::Combined => "combined",
            Self::Outlier => "outlier",
            Self::Falseticker => "falseticker",
            Self::Disputed => "disputed",
            Self::Unreachable => "unreachable",
            Self::Unmeasured => "unmeasured",
            Self::Unsynchronised => "unsynchronised",
            Self::Loop => "loop",
            Self::Distant => "distant",
            Self::Jittery => "jittery",
            Self::Stale => "stale",
            Self::NoSelect => "noselect",
            Self::Unauthenticated => "unauthenticated",
            Self::Untrusted => "untrusted",
            Self::Unpreferred => "unpreferred",
            Self::Waiting => "waiting",
            Self::Idle => "idle",
        }
    }
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a source is in its state. `Display` gives the words; nothing is made of it before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// It is the system peer.
    Best {
        /// Its root distance.
        distance: Span,
        /// How many sources are followed.
        followed: usize,
    },
    /// It is followed beside the system peer.
    Combined {
        /// What it counts for, against 1 of the source with the shortest distance.
        weight: f64,
    },
    /// It is followed although it did not pass, because sources fall out only after some rounds.
    Kept {
        /// The state it is about to fall into.
        state: SourceState,
        /// For how many of its measurements in a row.
        rounds: u32,
        /// How many it takes.
        of: u32,
    },
    /// It is clustered out.
    Outlier {
        /// By how much its time is ahead of the mean of those that are left.
        away: Span,
        /// How much those that are left scatter.
        jitter: Span,
    },
    /// It is wrong, if the majority is right.
    Falseticker {
        /// By how much its time is ahead of the middle of what the majority agrees on.
        away: Span,
        /// Within how much of that middle the majority agrees.
        within: Span,
        /// How many agree.
        agreeing: usize,
        /// How many voted.
        voters: usize,
    },
    /// No majority agrees.
    Disputed {
        /// How many agree at most.
        agreeing: usize,
        /// How many voted.
        voters: usize,
    },
    /// None of its last polls was answered.
    Unreachable,
    /// It has given no measurement.
    Unmeasured,
    /// It says that it does not know the time.
    Unsynchronised {
        /// The stratum that it told.
        stratum: u8,
    },
    /// Its time comes from us.
    Loop,
    /// Its root distance is too long.
    Distant {
        /// What it is.
        distance: Span,
        /// What it may be.
        most: Span,
    },
    /// Its offsets scatter too much.
    Jittery {
        /// By how much: one standard deviation.
        jitter: Span,
        /// How much they may.
        most: Span,
    },
    /// Its last measurement is too old.
    Stale {
        /// How old it is.
        age: Span,
        /// How old it may be.
        most: Span,
    },
    /// The user says that it is not to be used.
    NoSelect,
    /// Only authenticated sources are used.
    AuthenticationRequired,
    /// There are authenticated sources to use.
    AuthenticationPreferred {
        /// How many.
        authenticated: usize,
    },
    /// Its time is outside of what the trusted sources agree on.
    Untrusted {
        /// By how much its time is ahead of the middle of what they agree on.
        away: Span,
        /// Within how much of that middle they agree.
        within: Span,
    },
    /// Others are preferred.
    Unpreferred {
        /// How many.
        preferred: usize,
    },
    /// Too few sources agree.
    TooFew {
        /// How many agree.
        agreeing: usize,
        /// How many have to.
        wanted: usize,
    },
    /// No source that is required is among those that agree.
    RequiredMissing,
    /// It was out, and is not used before it has passed for some rounds.
    Returning {
        /// For how many of its measurements in a row it has passed.
        rounds: u32,
        /// How many it takes.
        of: u32,
    },
    /// Its time is off by what a well-known mistake makes, and that has not lasted for long.
    Mistaken {
        /// What it looks like.
        suspicion: Suspicion,
    },
    /// It follows nobody.
    Idle {
        /// The state of its port.
        port: PortState,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Best { distance, followed: 1 } => {
                write!(f, "the only source to follow, root distance {}", Short(distance))
            }
            Self::Best { distance, followed } => {
                write!(f, "the best of {followed} sources that are followed, root distance {}", Short(distance))
            }
            Self::Combined { weight } => {
                write!(f, "followed beside the best one, counting {:.0} % of the closest source", weight * 100.0)
            }
            Self::Kept { state, rounds, of } => {
                write!(f, "still followed, but {state} in {rounds} of its measurements; at {of} it falls out")
            }
            Self::Outlier { away, jitter } => write!(
                f,
                "{} the mean of the sources that are followed, which scatter by {}",
                Away(away),
                Short(jitter)
            ),
            Self::Falseticker { away, within, agreeing, voters } => {
                write!(f, "{} the majority ({agreeing} of {voters}), which agrees within {}", Away(away), Short(within))
            }
            Self::Disputed { agreeing, voters } => {
                write!(f, "no majority: at most {agreeing} of {voters} sources agree, {} have to", voters / 2 + 1)
            }
            Self::Unreachable => f.write_str("none of its last 8 polls was answered"),
            Self::Unmeasured => f.write_str("there is no measurement of it"),
            Self::Unsynchronised { stratum } => {
                write!(f, "it says that it is not synchronised (stratum {stratum})")
            }
            Self::Loop => f.write_str("its time comes from us"),
            Self::Distant { distance, most } => {
                write!(f, "its root distance is {}, more than {}", Short(distance), Short(most))
            }
            Self::Jittery { jitter, most } => {
                write!(f, "its offsets scatter by {}, more than {}", Short(jitter), Short(most))
            }
            Self::Stale { age, most } => {
                write!(f, "its last measurement is {} old, more than {}", Short(age), Short(most))
            }
            Self::NoSelect => f.write_str("it is marked noselect"),
            Self::AuthenticationRequired => {
                f.write_str("it is not authenticated, and only authenticated sources are used")
            }
            Self::AuthenticationPreferred { authenticated } => {
                write!(f, "it is not authenticated, and {authenticated} authenticated can be used")
            }
            Self::Untrusted { away, within } => {
                write!(f, "{} the trusted sources, which agree within {}", Away(away), Short(within))
            }
            Self::Unpreferred { preferred } => write!(f, "it agrees, but {preferred} preferred can be used"),
            Self::TooFew { agreeing, wanted } => {
                write!(f, "it agrees, but of the {wanted} sources wanted only {agreeing} do")
            }
            Self::RequiredMissing => f.write_str("it agrees, but no required source does"),
            Self::Returning { rounds, of } => {
                write!(f, "it was out, and has passed in {rounds} of {of} measurements since")
            }
            Self::Mistaken { suspicion } => write!(f, "it is off as if {}", mistake(suspicion)),
            Self::Idle { port: PortState::Master } => f.write_str("it leads"),
            Self::Idle { port } => write!(f, "its port is {}: it follows nobody", port.name()),
        }
    }
}

/// Why no source is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSelection {
    /// There are no candidates at all.
    NoSource,
    /// No candidate can be used.
    NoneUsable {
        /// How many candidates there are.
        candidates: usize,
    },
    /// No majority agrees on a time.
    NoMajority {
        /// How many agree at most.
        agreeing: usize,
        /// How many voted.
        voters: usize,
    },
    /// Too few sources agree.
    TooFew {
        /// How many agree.
        agreeing: usize,
        /// How many have to.
        wanted: usize,
    },
    /// No source that is required is among those that agree.
    RequiredMissing,
}

impl fmt::Display for NoSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoSource => f.write_str("there is no source"),
            Self::NoneUsable { candidates } => write!(f, "none of {candidates} sources can be used"),
            Self::NoMajority { agreeing, voters } => {
                write!(f, "no majority: at most {agreeing} of {voters} sources agree on the time")
            }
            Self::TooFew { agreeing, wanted } => write!(f, "{agreeing} sources agree on the time, {wanted} have to"),
            Self::RequiredMissing => f.write_str("no required source agrees with the majority"),
        }
    }
}

/// What must have happened for a time to be so far off.
pub(crate) const fn mistake(suspicion: Suspicion) -> &'static str {
    match suspicion {
        Suspicion::TaiUtcConfused => "TAI and UTC were confused",
        Suspicion::LeapSecond => "a leap second was made at the wrong time",
        Suspicion::FourSecondWrap => "a driver lost 2^32 ns",
    }
}

/// A length of time for people, in the unit that suits it: `50.0 ms`.
struct Short(Span);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        let (value, unit) = match seconds.abs() {
            0.0..1e-6 => (seconds * 1e9, "ns"),
            1e-6..1e-3 => (seconds * 1e6, "us"),
            1e-3..1.0 => (seconds * 1e3, "ms"),
            _ => (seconds, "s"),
        };
        write!(f, "{value:.1} {unit}")
    }
}

/// How far a time is from another, and to which side: `50.0 ms ahead of`.
struct Away(Span);

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0.is_negative() { "behind" } else { "ahead of" };
        write!(f, "{} {side}", Short(self.0.abs()))
    }
}
