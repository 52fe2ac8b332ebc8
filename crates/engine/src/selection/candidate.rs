//! What is known of a source when sources are selected, and what is asked of them.

use sidereal_time::Span;

use crate::SourceId;

/// What the user says of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// While it agrees with the majority, only sources with this flag are followed.
    pub prefer: bool,
    /// No source is followed unless one with this flag agrees with the majority.
    pub require: bool,
    /// Only sources with this flag vote on the truth, while at least one of them can.
    pub trust: bool,
    /// It is measured and judged, but neither votes nor is followed.
    pub noselect: bool,
}

/// What a source looks like at the moment of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which one: every source once.
    pub id: SourceId,
    /// By how much its time is ahead of the model.
    pub offset: Span,
    /// Its root distance (RFC 5905 §11.1), hard, grown with its age: the truth lies within `offset` ± `distance`.
    pub distance: Span,
    /// How its offsets scatter, one standard deviation.
    pub jitter: Span,
    /// The stratum it tells: 0 and 1 for what is a primary reference itself.
    pub stratum: u8,
    /// Whether it has answered at least one of its last eight polls, or a reference clock the like.
    pub reachable: bool,
    /// Whether it says that it knows the time: leap indicator other than 3, stratum below 16.
    pub synchronised: bool,
    /// Whether its time comes from us.
    pub looped: bool,
    /// Whether what it says cannot be forged: its messages are authenticated, or it is wired to this host.
    pub authenticated: bool,
    /// Measurements since its beginning, wrapping: a change says that there is a new one. Hysteresis counts these.
    pub samples: u32,
    /// How long ago its last measurement was.
    pub age: Span,
    /// What the user says of it.
    pub flags: Flags,
}

/// What is asked of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectionOptions {
    /// How many sources must agree before any is followed; 0 is taken as 1.
    pub minimum_sources: usize,
    /// The largest root distance of a source that is followed.
    pub max_distance: Span,
    /// The largest jitter of a source that is followed.
    pub max_jitter: Option<Span>,
    /// By how much the distance of another source must be shorter before it takes the place of the system peer.
    pub reselect_distance: Span,
    /// The age of the last measurement at which a source is no longer followed.
    pub stale_after: Span,
    /// What authentication counts for.
    pub authentication: AuthenticationPolicy,
}

/// One source suffices; at most a second of distance (MAXDIST, RFC 5905 §7.2); a system peer changes for 100 µs; stale
/// after two of the longest poll intervals, 2^17 s each (MAXPOLL, RFC 5905 §7.2); authenticated sources before others.
impl Default for SelectionOptions {
    fn default() -> Self {
        Self {
            minimum_sources: 1,
            max_distance: Span::SECOND,
            max_jitter: None,
            reselect_distance: Span::from_nanos(100_000),
            stale_after: Span::from_secs(2 << 17),
            authentication: AuthenticationPolicy::Prefer,
        }
    }
}

/// What authentication counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthenticationPolicy {
    /// Unauthenticated sources are used only while no authenticated one can be.
    #[default]
    Prefer,
    /// Unauthenticated sources are never used.
    Require,
    /// As soon as there is an authenticated source, authenticated ones are taken as if they were marked `trust` and
    /// `require`; unauthenticated ones may help them.
    Mix,
    /// It makes no difference.
    Ignore,
}
