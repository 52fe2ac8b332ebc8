//! What goes wrong, and when.

use sidereal_time::Span;

/// A fault of a scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// When it begins, from the beginning of the run.
    pub at: Span,
    /// How long it lasts; to the end of the run where there is nothing.
    pub duration: Option<Span>,
    /// What it is.
    pub kind: FaultKind,
}

/// What goes wrong. Hosts and links are told by their number in the scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FaultKind {
    /// The clock of a reference is suddenly wrong.
    LieStep {
        /// Of which host.
        host: usize,
        /// By how much.
        by: Span,
    },
    /// The clock of a reference runs away; when the fault ends it stays as wrong as it then is.
    LieRamp {
        /// Of which host.
        host: usize,
        /// How fast, as a fraction.
        rate: f64,
    },
    /// A reference says that it is not synchronised, and stays right.
    Unsynchronised {
        /// Which host.
        host: usize,
    },
    /// A reference that leads by PTP has lost what its time comes from: it stays right, and says that it holds over, out of
    /// specification.
    Degraded {
        /// Which host.
        host: usize,
    },
    /// Nothing comes from a host, and nothing reaches it.
    Down {
        /// Which host.
        host: usize,
    },
    /// A link is cut.
    LinkDown {
        /// Which.
        link: usize,
    },
    /// Both ways take longer.
    Delay {
        /// Of which link.
        link: usize,
        /// By how much.
        by: Span,
    },
    /// The way there takes longer.
    Asymmetry {
        /// Of which link.
        link: usize,
        /// By how much.
        by: Span,
    },
    /// Waits are longer.
    Jitter {
        /// On which link.
        link: usize,
        /// By this factor.
        factor: f64,
    },
    /// A counter jumps, as that of a guest does that is moved to another host.
    CounterJump {
        /// Of which host.
        host: usize,
        /// How far.
        by: Span,
    },
    /// A host sleeps: it is silent and deaf, its counter stands still and its system clock goes on.
    Suspend {
        /// Which host.
        host: usize,
    },
    /// Somebody sets a system clock ahead, or back.
    SetClock {
        /// Of which host.
        host: usize,
        /// How far.
        by: Span,
    },
    /// The program ends, and begins again at the end of the fault with what it saved.
    Restart {
        /// On which host.
        host: usize,
    },
}

impl FaultKind {
    /// The host that it happens to, where it happens to one.
    #[must_use]
    pub const fn host(&self) -> Option<usize> {
        match *self {
            Self::LieStep { host, .. }
            | Self::LieRamp { host, .. }
            | Self::Unsynchronised { host }
            | Self::Degraded { host }
            | Self::Down { host }
            | Self::CounterJump { host, .. }
            | Self::Suspend { host }
            | Self::SetClock { host, .. }
            | Self::Restart { host } => Some(host),
            Self::LinkDown { .. } | Self::Delay { .. } | Self::Asymmetry { .. } | Self::Jitter { .. } => None,
        }
    }
}
