//! The comparison of the alternate best master clock algorithm of telecom (ITU-T G.8275.1 6.3).

use core::cmp::Ordering;

use super::comparison::{ComparisonSet, Relation, compare_quality, compare_ways, lower_is_better};
use crate::message::ClockClass;

/// The last class of grandmasters of which several may lead at once: the nearest is followed, whatever its identity.
const LAST_OF_SEVERAL: ClockClass = ClockClass(127);

/// Compares two data sets as G.8275.1 and G.8275.2 do: without priority1, and with localPriority before the way.
#[must_use]
pub fn compare_alternate(a: &ComparisonSet, b: &ComparisonSet) -> Relation {
    let order = compare_quality(&a.quality, &b.quality)
        .then_with(|| a.priority2.cmp(&b.priority2))
        .then_with(|| a.local_priority.cmp(&b.local_priority))
        .then_with(|| match a.quality.clock_class <= LAST_OF_SEVERAL {
            true => Ordering::Equal,
            false => a.identity.cmp(&b.identity),
        });
    match order {
        Ordering::Equal => compare_ways(a, b),
        order => lower_is_better(order),
    }
}
