//! What may truly be said of our time when we lead others with it.

use sidereal_ntp::{ReferenceId, Stratum};
use sidereal_ptp::{ClockState, InstanceOptions, LeapState, Roles, SdoId, TimeBasis, TimeSource, clock_state};
use sidereal_time::{Instant, LeapTable, Span, Tai};

use super::is_traceable;
use crate::config::SystemReference;
use crate::leap;
use crate::source::{Source, Speaker};

/// How long before a leap second PTP announces it (IEEE 1588-2019 8.2.4.3).
const LEAP_NOTICE: Span = Span::from_secs(43_200);
/// By how much our bound may grow in holdover before it is out of specification: within this, who follows us still has
/// what he had.
const HOLDOVER_SPECIFICATION: Span = Span::from_nanos(1_000);

/// Our time, and what it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Truth {
    pub(crate) basis: TimeBasis,
    /// The domains that it comes from, where it comes by PTP and not from a reference of our own.
    pub(crate) domains: Vec<(SdoId, u8)>,
    /// How far it may be off.
    pub(crate) bound: Option<Span>,
    /// Of the counter over a second, where that is known.
    pub(crate) allan_deviation: Option<f64>,
    pub(crate) leap: LeapState,
}

/// What holdover began with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Anchor {
    primary: bool,
    bound: Span,
}

/// There is no time.
impl Default for Truth {
    fn default() -> Self {
        Self {
            basis: TimeBasis::None,
            domains: Vec::new(),
            bound: None,
            allan_deviation: None,
            leap: LeapState::default(),
        }
    }
}

impl Anchor {
    /// We are locked, with this.
    pub(crate) fn locked(basis: &TimeBasis, bound: Option<Span>) -> Self {
        Self { primary: matches!(basis, TimeBasis::PrimaryReference(_)), bound: bound.unwrap_or_default() }
    }

    /// What our time comes from after that, while we follow nobody.
    pub(crate) fn holdover(&self, bound: Option<Span>) -> TimeBasis {
        TimeBasis::Holdover {
            of_primary: self.primary,
            within_specification: bound.is_some_and(|bound| bound <= self.bound + HOLDOVER_SPECIFICATION),
        }
    }
}

/// What an instance with these `options` may say.
pub(crate) fn state_of(truth: &Truth, options: &InstanceOptions) -> ClockState {
    let roles = Roles::new(options.slave_only, options.port.master_only);
    let own = truth.domains.contains(&(options.sdo_id, options.domain));
    let basis = if own { &TimeBasis::ThisDomain } else { &truth.basis };
    clock_state(basis, truth.bound, truth.allan_deviation, &truth.leap, options.profile, roles)
}

/// What our time comes from, and by which domains, while we follow these sources.
pub(crate) fn of_sources<'a>(followed: impl Iterator<Item = &'a Source> + Clone) -> (TimeBasis, Vec<(SdoId, u8)>) {
    let primary = followed.clone().find_map(|source| match &source.speaker {
        Speaker::Wire(wire) if wire.options().stratum == 0 => time_source(wire.options().reference_id),
        _ => None,
    });
    if let Some(source) = primary {
        return (TimeBasis::PrimaryReference(source), Vec::new());
    }
    let instances = followed.clone().filter_map(|source| match &source.speaker {
        Speaker::Ptp(ptp) => Some(ptp),
        _ => None,
    });
    let domains: Vec<_> =
        instances.map(|ptp| ptp.instance().options()).map(|options| (options.sdo_id, options.domain)).collect();
    let network = TimeBasis::Network {
        source: if domains.is_empty() { TimeSource::NTP } else { TimeSource::PTP },
        time_traceable: followed.clone().all(|source| source.is_traceable().0),
        frequency_traceable: followed.clone().all(|source| source.is_traceable().1),
    };
    // Nobody says what is behind a wire of another stratum.
    let any_wire = followed.clone().any(|source| matches!(&source.speaker, Speaker::Wire(_)));
    (if any_wire && domains.is_empty() { TimeBasis::System } else { network }, domains)
}

/// What the system clock follows, by what is configured of it.
pub(crate) fn of_system(reference: &SystemReference) -> TimeBasis {
    match time_source(reference.reference_id) {
        Some(source) if reference.stratum == Stratum::PRIMARY => TimeBasis::PrimaryReference(source),
        Some(_) if reference.stratum < Stratum::UNSYNCHRONISED => {
            TimeBasis::Network { source: TimeSource::NTP, time_traceable: true, frequency_traceable: true }
        }
        _ => TimeBasis::System,
    }
}

/// What is known of TAI - UTC at `now`: nothing, once the table has expired.
pub(crate) fn leap_state(table: &LeapTable, now: Instant<Tai>) -> LeapState {
    let valid = table.expires().is_none_or(|expires| table.tai_to_utc(now) < expires);
    LeapState {
        tai_offset_s: valid.then(|| leap::tai_offset_s(table, now)),
        // What is added to UTC, TAI - UTC loses.
        step: table.next(now).filter(|(at, _)| *at - now <= LEAP_NOTICE).map_or(0, |(_, step)| step.saturating_neg()),
    }
}

impl Source {
    /// Whether its time, and its frequency, are traceable to a primary reference by what it says.
    fn is_traceable(&self) -> (bool, bool) {
        match &self.speaker {
            // A stratum counts the steps from a primary reference (RFC 5905 §7.3).
            Speaker::Remote(_) => {
                let primary = self.told_stratum() != Stratum::PRIMARY
                    || self.speaker.reference_id().and_then(time_source).is_some();
                (primary, primary)
            }
            Speaker::Ptp(ptp) => {
                ptp.master().map_or((false, false), |master| (is_traceable(master), master.time.frequency_traceable))
            }
            Speaker::Wire(_) => (false, false),
        }
    }
}

/// What kind of reference has this identifier (RFC 5905 §7.3 and its registry); `None` for a clock that follows nothing.
fn time_source(id: ReferenceId) -> Option<TimeSource> {
    let name: Vec<u8> = id.0.iter().copied().filter(|byte| *byte != 0).collect();
    Some(match name.as_slice() {
        b"LOCL" | b"" => return None,
        b"GPS" | b"GAL" | b"GLO" | b"GLON" | b"BDS" | b"GNSS" | b"QZSS" => TimeSource::GNSS,
        b"WWVB" | b"DCF" | b"HBG" | b"MSF" | b"JJY" | b"LORC" | b"TDF" | b"CHU" | b"WWV" | b"WWVH" => {
            TimeSource::TERRESTRIAL_RADIO
        }
        b"IRIG" => TimeSource::SERIAL_TIME_CODE,
        b"ATOM" | b"CESM" | b"RUB" => TimeSource::ATOMIC_CLOCK,
        b"PTP" => TimeSource::PTP,
        _ => TimeSource::OTHER,
    })
}
