//! Whether a clock is only steered by us.

use core::fmt;

use sidereal_servo::FrequencyOffset;
use sidereal_time::Span;

/// A leap second is one second; a step of the clock this near to it, while one was announced, was made by the kernel.
const LEAP_TOLERANCE: Span = Span::from_nanos(1_000_000);

/// Somebody else steered a clock that is ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Interference {
    /// The clock no longer runs as we told it to.
    Frequency {
        /// What we had set.
        set: FrequencyOffset,
        /// What the kernel says now.
        found: FrequencyOffset,
    },
    /// The clock was stepped by somebody else. Suspend is no step.
    Step {
        /// By so much.
        by: Span,
    },
}

/// `its frequency was changed from 12.500 to -3.250 ppm`, `it was stepped by 0.500000000 s`.
impl fmt::Display for Interference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frequency { set, found } => {
                let [set, found] = [set, found].map(|offset| offset.as_ppb() / 1e3);
                write!(f, "its frequency was changed from {set:.3} to {found:.3} ppm")
            }
            Self::Step { by } => write!(f, "it was stepped by {by} s"),
        }
    }
}

/// What we told a clock, against which it is compared.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watch {
    frequency: Option<FrequencyOffset>,
    lead: Option<Lead>,
    leap_step: i8,
}

/// How far a clock is ahead of one that runs at the same rate and that nobody steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) span: Span,
    /// How far it may be off, either way.
    pub(crate) error: Span,
}

impl Watch {
    /// We set the frequency, and the kernel says that it is `told` now.
    pub(crate) const fn set(&mut self, told: FrequencyOffset) {
        self.frequency = Some(told);
    }

    /// We stepped the clock, and this is its lead now.
    pub(crate) const fn stepped(&mut self, lead: Option<Lead>) {
        self.lead = lead;
    }

    /// We told the kernel to step UTC by so many seconds at the end of the day.
    pub(crate) const fn armed(&mut self, leap_step: i8) {
        if leap_step != 0 {
            self.leap_step = leap_step;
        }
    }

    /// Compares. What was found is expected from now on, so that each change is told once.
    pub(crate) fn compare(&mut self, found: FrequencyOffset, lead: Option<Lead>) -> Option<Interference> {
        let step = lead.and_then(|lead| self.compare_lead(lead));
        let set = self.frequency?;
        self.frequency = Some(found);
        step.or_else(|| (found != set).then_some(Interference::Frequency { set, found }))
    }

    fn compare_lead(&mut self, lead: Lead) -> Option<Interference> {
        let Some(last) = self.lead else {
            self.lead = Some(lead);
            return None;
        };
        let by = lead.span - last.span;
        if by.abs() <= last.error + lead.error {
            // The sharper of the two stays, or a slow drift of blurred ones would never be seen.
            if lead.error < last.error {
                self.lead = Some(lead);
            }
            return None;
        }
        self.lead = Some(lead);
        let leap = self.leap_step != 0 && (by - Span::from_secs(self.leap_step.into())).abs() <= LEAP_TOLERANCE;
        if leap {
            self.leap_step = 0;
            return None;
        }
        Some(Interference::Step { by })
    }
}

#[cfg(test)]
mod tests {
    use sidereal_servo::FrequencyOffset;
    use sidereal_time::Span;

    use super::{Interference, Lead, Watch};

    const OURS: FrequencyOffset = FrequencyOffset::from_ppb(1_000.0);
    const THEIRS: FrequencyOffset = FrequencyOffset::from_ppb(-2_500.0);

    fn lead(nanos: i128, error: i128) -> Option<Lead> {
        Some(Lead { span: Span::from_nanos(nanos), error: Span::from_nanos(error) })
    }

    fn steered() -> Watch {
        let mut watch = Watch::default();
        watch.set(OURS);
        assert_eq!(watch.compare(OURS, lead(5_000_000_000, 50)), None);
        watch
    }

    #[test]
    fn a_clock_that_is_not_ours_belongs_to_others() {
        let mut watch = Watch::default();
        assert_eq!(watch.compare(THEIRS, lead(0, 50)), None);
        assert_eq!(watch.compare(OURS, lead(1_000_000, 50)), None);
    }

    #[test]
    fn a_foreign_frequency_is_told_once() {
        let mut watch = steered();
        let told = watch.compare(THEIRS, None);
        assert_eq!(told, Some(Interference::Frequency { set: OURS, found: THEIRS }));
        assert_eq!(told.unwrap().to_string(), "its frequency was changed from 1.000 to -2.500 ppm");
        assert_eq!(watch.compare(THEIRS, None), None);
    }

    #[test]
    fn a_foreign_step_is_told_once_and_noise_is_none() {
        let mut watch = steered();
        assert_eq!(watch.compare(OURS, lead(5_000_000_090, 50)), None);
        let by = Span::from_nanos(-500_000_000);
        assert_eq!(watch.compare(OURS, lead(4_500_000_000, 50)), Some(Interference::Step { by }));
        assert_eq!(watch.compare(OURS, lead(4_500_000_000, 50)), None);
    }

    #[test]
    fn our_own_step_is_none_of_theirs() {
        let mut watch = steered();
        watch.stepped(lead(9_000_000_000, 50));
        assert_eq!(watch.compare(OURS, lead(9_000_000_010, 50)), None);
        assert!(watch.compare(OURS, lead(5_000_000_000, 50)).is_some());
    }

    #[test]
    fn the_announced_leap_second_is_the_kernels() {
        let mut watch = steered();
        watch.armed(-1);
        watch.armed(0);
        assert_eq!(watch.compare(OURS, lead(4_000_000_010, 50)), None);
        let by = Span::from_nanos(-1_000_000_000);
        assert_eq!(watch.compare(OURS, lead(3_000_000_010, 50)), Some(Interference::Step { by }), "only once");
    }

    #[test]
    fn many_small_steps_are_seen() {
        let mut watch = steered();
        let found = (1..).find(|n| watch.compare(OURS, lead(5_000_000_000 + 30 * n, 50)).is_some());
        assert_eq!(found, Some(4), "120 ns is more than both errors");
    }
}
