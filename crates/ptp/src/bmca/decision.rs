//! What a port is to be (IEEE 1588-2019 9.3.3).

use super::comparison::{ComparisonSet, Relation};
use crate::data_sets::PortState;
use crate::fsm::PortEvent;
use crate::message::ClockClass;

/// The outcome of the state decision algorithm, under the standard's own codes (IEEE 1588-2019 Figure 33).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Master: the clock is of a class that never follows, and better than what the port hears.
    M1,
    /// Master: the clock is better than all that it hears.
    M2,
    /// Master: the grandmaster is behind another port.
    M3,
    /// Passive: the clock never follows, but what the port hears is better.
    P1,
    /// Passive: the port hears the grandmaster, and another does with a better way.
    P2,
    /// Slave: the port hears the grandmaster.
    S1,
}

/// The last class that never follows another clock (IEEE 1588-2019 9.3.3).
const LAST_THAT_LEADS: ClockClass = ClockClass(127);

/// Decides what a port in `state` is to be (IEEE 1588-2019 9.3.3, Figure 33), by the comparison of the profile's algorithm.
///
/// `own` is D0, the clock itself; `None` where it cannot lead. `port_best` is Erbest, the best that the port hears, and `best`
/// is Ebest, the best that any port of the clock hears. `None` says that the port goes on listening.
#[must_use]
pub fn decide(
    state: PortState,
    own: Option<&ComparisonSet>,
    port_best: Option<&ComparisonSet>,
    best: Option<&ComparisonSet>,
    compare: impl Fn(&ComparisonSet, &ComparisonSet) -> Relation,
) -> Option<Decision> {
    if port_best.is_none() && state == PortState::Listening {
        return None;
    }
    let own_beats = |other: Option<&ComparisonSet>| match (own, other) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(own), Some(other)) => compare(own, other).is_a(),
    };
    if own.is_some_and(|own| own.quality.clock_class <= LAST_THAT_LEADS) {
        return Some(if own_beats(port_best) { Decision::M1 } else { Decision::P1 });
    }
    let Some(best) = best.filter(|best| !own_beats(Some(best))) else {
        return Some(Decision::M2);
    };
    Some(match port_best {
        Some(port_best) if port_best.receiver == best.receiver => Decision::S1,
        Some(port_best) if compare(best, port_best) == Relation::ABetterByTopology => Decision::P2,
        _ => Decision::M3,
    })
}

impl Decision {
    /// What it means to the state machine; `new_master` tells whether a port that is to follow follows another than before.
    #[must_use]
    pub const fn event(self, new_master: bool) -> PortEvent {
        match self {
            Self::M1 | Self::M2 | Self::M3 => PortEvent::RecommendedMaster,
            Self::P1 | Self::P2 => PortEvent::RecommendedPassive,
            Self::S1 => PortEvent::RecommendedSlave { new_master },
        }
    }

    /// How many Announce intervals a port waits in PRE_MASTER, `steps_removed` from the grandmaster (IEEE 1588-2019 9.2.6.12).
    #[must_use]
    pub const fn qualification_intervals(self, steps_removed: u16) -> u32 {
        match self {
            Self::M3 => steps_removed as u32 + 1,
            Self::M1 | Self::M2 | Self::P1 | Self::P2 | Self::S1 => 0,
        }
    }
}
