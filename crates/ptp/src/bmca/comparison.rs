//! Which of two grandmasters is better, or which of two ways to one (IEEE 1588-2019 9.3.4).

use core::cmp::Ordering;

use crate::data_sets::DefaultDs;
use crate::identity::{ClockIdentity, PortIdentity};
use crate::message::{Announce, ClockQuality};

/// What is compared of a grandmaster and of the way to it (IEEE 1588-2019 9.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComparisonSet {
    /// grandmasterPriority1.
    pub priority1: u8,
    /// grandmasterIdentity.
    pub identity: ClockIdentity,
    /// grandmasterClockQuality.
    pub quality: ClockQuality,
    /// grandmasterPriority2.
    pub priority2: u8,
    /// stepsRemoved.
    pub steps_removed: u16,
    /// The port that sent the Announce.
    pub sender: PortIdentity,
    /// The port that received it.
    pub receiver: PortIdentity,
    /// localPriority of the port that received it, or of the clock itself: only the alternate algorithm looks at it.
    pub local_priority: u8,
}

impl ComparisonSet {
    /// What `announce` of the port `sender` says, received by the port `receiver` with this localPriority.
    #[must_use]
    pub const fn received(
        announce: &Announce,
        sender: PortIdentity,
        receiver: PortIdentity,
        local_priority: u8,
    ) -> Self {
        Self {
            priority1: announce.priority1,
            identity: announce.grandmaster_identity,
            quality: announce.clock_quality,
            priority2: announce.priority2,
            steps_removed: announce.steps_removed,
            sender,
            receiver,
            local_priority,
        }
    }

    /// D0: the clock itself.
    #[must_use]
    pub const fn own(default_ds: &DefaultDs) -> Self {
        let itself = PortIdentity { clock: default_ds.clock_identity, number: 0 };
        Self {
            priority1: default_ds.priority1,
            identity: default_ds.clock_identity,
            quality: default_ds.clock_quality,
            priority2: default_ds.priority2,
            steps_removed: 0,
            sender: itself,
            receiver: itself,
            local_priority: default_ds.local_priority,
        }
    }
}

/// How data set A relates to data set B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// A has the better grandmaster, or a way to it that is shorter by more than one step.
    ABetter,
    /// A has the better way.
    ABetterByTopology,
    /// B has the better grandmaster, or a way to it that is shorter by more than one step.
    BBetter,
    /// B has the better way.
    BBetterByTopology,
    /// "error-1": a message came back to the clock that sent it.
    Error1,
    /// "error-2": both are one message, or from one port to one port.
    Error2,
}

impl Relation {
    /// Whether A is better or better by topology.
    #[must_use]
    pub const fn is_a(self) -> bool {
        matches!(self, Self::ABetter | Self::ABetterByTopology)
    }

    /// Whether B is better or better by topology.
    #[must_use]
    pub const fn is_b(self) -> bool {
        matches!(self, Self::BBetter | Self::BBetterByTopology)
    }

    /// That of B to A.
    #[must_use]
    pub const fn swapped(self) -> Self {
        match self {
            Self::ABetter => Self::BBetter,
            Self::ABetterByTopology => Self::BBetterByTopology,
            Self::BBetter => Self::ABetter,
            Self::BBetterByTopology => Self::ABetterByTopology,
            Self::Error1 | Self::Error2 => self,
        }
    }
}

/// Compares two data sets (IEEE 1588-2019 9.3.4, Figures 34 and 35).
#[must_use]
pub fn compare(a: &ComparisonSet, b: &ComparisonSet) -> Relation {
    if a.identity == b.identity {
        return compare_ways(a, b);
    }
    let order = (a.priority1.cmp(&b.priority1))
        .then_with(|| compare_quality(&a.quality, &b.quality))
        .then_with(|| a.priority2.cmp(&b.priority2))
        .then_with(|| a.identity.cmp(&b.identity));
    lower_is_better(order)
}

/// clockClass, clockAccuracy and offsetScaledLogVariance, one after the other: less is better.
pub(super) fn compare_quality(a: &ClockQuality, b: &ClockQuality) -> Ordering {
    (a.clock_class.cmp(&b.clock_class))
        .then_with(|| a.clock_accuracy.cmp(&b.clock_accuracy))
        .then_with(|| a.offset_scaled_log_variance.cmp(&b.offset_scaled_log_variance))
}

/// The relation of two data sets by an order that is not Equal.
pub(super) const fn lower_is_better(order: Ordering) -> Relation {
    match order {
        Ordering::Less | Ordering::Equal => Relation::ABetter,
        Ordering::Greater => Relation::BBetter,
    }
}

/// Figure 35: two ways to one grandmaster.
pub(super) fn compare_ways(a: &ComparisonSet, b: &ComparisonSet) -> Relation {
    match i32::from(a.steps_removed) - i32::from(b.steps_removed) {
        2.. => Relation::BBetter,
        ..=-2 => Relation::ABetter,
        1 => compare_longer_way(a).swapped(),
        -1 => compare_longer_way(b),
        0 => compare_equal_ways(a, b),
    }
}

/// A against a B that is one step longer: who is behind such a B tells how sure it is.
fn compare_longer_way(b: &ComparisonSet) -> Relation {
    match b.receiver.clock.cmp(&b.sender.clock) {
        Ordering::Less => Relation::ABetter,
        Ordering::Equal => Relation::Error1,
        Ordering::Greater => Relation::ABetterByTopology,
    }
}

/// Two ways of one length. Two ports of one sender are told apart too, which the figure leaves open.
fn compare_equal_ways(a: &ComparisonSet, b: &ComparisonSet) -> Relation {
    match a.sender.cmp(&b.sender).then(a.receiver.number.cmp(&b.receiver.number)) {
        Ordering::Less => Relation::ABetterByTopology,
        Ordering::Equal => Relation::Error2,
        Ordering::Greater => Relation::BBetterByTopology,
    }
}
