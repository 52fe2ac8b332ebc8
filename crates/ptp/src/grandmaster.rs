//! What a clock may truly say of itself when it leads: clockQuality and timePropertiesDS out of what it follows and how far
//! it may be off (IEEE 1588-2019 7.6.2, 8.2.4, ITU-T G.8275.1 6.4).

use sidereal_time::Span;

use crate::data_sets::{Roles, TimePropertiesDs};
use crate::message::{ClockAccuracy, ClockClass, ClockQuality, TimeSource};

/// Whose clockClasses are told, and whose defaults are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// The default profiles (IEEE 1588-2019 annex I), and those that keep to their classes, such as RFC 9760.
    #[default]
    Default,
    /// Telecom, with full timing support from the network (ITU-T G.8275.1).
    G8275_1,
    /// Telecom, with partial timing support from the network (ITU-T G.8275.2).
    G8275_2,
}

/// What the clock's time comes from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeBasis {
    /// It is locked to a primary reference of its own, such as a GNSS receiver.
    PrimaryReference(TimeSource),
    /// It follows other clocks over the network, and no reference of its own.
    Network {
        /// NTP, or PTP of another domain.
        source: TimeSource,
        /// Whether all that are followed say that their time is traceable to a primary reference.
        time_traceable: bool,
        /// Whether they say so of their frequency.
        frequency_traceable: bool,
    },
    /// It follows a master of the very domain that this is told in.
    ThisDomain,
    /// It lost what it followed.
    Holdover {
        /// Whether that was a primary reference of its own.
        of_primary: bool,
        /// Whether it is as near to the truth as it was specified to stay.
        within_specification: bool,
    },
    /// The clock of the host is believed, and nobody says whom that follows.
    System,
    /// It has no time.
    None,
}

/// TAI - UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeapState {
    /// TAI - UTC now in seconds, where it is known to be right.
    pub tai_offset_s: Option<i32>,
    /// What the end of this UTC day adds to it, from twelve hours before: 1, -1 or 0.
    pub step: i8,
}

/// What a clock says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// defaultDS.clockQuality.
    pub quality: ClockQuality,
    /// timePropertiesDS of a grandmaster.
    pub time_properties: TimePropertiesDs,
    /// Whether it has a time that it may lead others with.
    pub can_lead: bool,
}

/// What a clock says of itself whose time comes from `basis` and is at most `bound` from the truth, where that is known.
/// `allan_deviation` is that of its counter over a second, where it is known. `roles` are those of the instance's port.
#[must_use]
pub fn clock_state(
    basis: &TimeBasis,
    bound: Option<Span>,
    allan_deviation: Option<f64>,
    leap: &LeapState,
    profile: Profile,
    roles: Roles,
) -> ClockState {
    // A clock that follows a master of this domain must not outrank it by what it has from it.
    let own = !matches!(basis, TimeBasis::ThisDomain | TimeBasis::None);
    ClockState {
        quality: ClockQuality {
            clock_class: clock_class(basis, bound, profile, roles),
            clock_accuracy: bound.filter(|_| own).map_or(ClockAccuracy::UNKNOWN, ClockAccuracy::covering),
            offset_scaled_log_variance: allan_deviation
                .filter(|_| own)
                .map_or(UNKNOWN_VARIANCE, offset_scaled_log_variance),
        },
        time_properties: time_properties(basis, leap),
        can_lead: *basis != TimeBasis::None && roles != Roles::SlaveOnly,
    }
}

/// TAI - UTC when this was written, told where it is not known (IEEE 1588-2019 8.2.4.2).
const DESIGN_UTC_OFFSET: i16 = 37;
/// The variance that says that there is none (IEEE 1588-2019 7.6.3.3).
const UNKNOWN_VARIANCE: u16 = 0xffff;

/// The class of IEEE 1588-2019 table 4, or of ITU-T G.8275.1 table 2.
fn clock_class(basis: &TimeBasis, bound: Option<Span>, profile: Profile, roles: Roles) -> ClockClass {
    let telecom = matches!(profile, Profile::G8275_1 | Profile::G8275_2);
    match basis {
        _ if roles == Roles::SlaveOnly => ClockClass::SLAVE_ONLY,
        // Who does not know how far it is off cannot say that it is locked, or within a specification.
        _ if bound.is_none() => ClockClass::DEFAULT,
        TimeBasis::PrimaryReference(_) => ClockClass::PRIMARY_REFERENCE,
        TimeBasis::Holdover { of_primary: true, within_specification: true } => ClockClass::HOLDOVER,
        TimeBasis::Holdover { of_primary: true, within_specification: false } => match roles {
            _ if telecom => OWN_OSCILLATOR_HOLDOVER,
            Roles::MasterOnly => ClockClass::DEGRADED_MASTER,
            Roles::Both | Roles::SlaveOnly => ClockClass::DEGRADED_SLAVE,
        },
        TimeBasis::Holdover { of_primary: false, .. }
        | TimeBasis::Network { .. }
        | TimeBasis::ThisDomain
        | TimeBasis::System
        | TimeBasis::None => ClockClass::DEFAULT,
    }
}

/// Out of holdover specification on an oscillator that is traceable to nothing: category 3. Categories 1 and 2 (classes 140
/// and 150) are for frequency that comes from a better clock over the physical layer (ITU-T G.8275.1 table 2).
const OWN_OSCILLATOR_HOLDOVER: ClockClass = ClockClass(160);

/// offsetScaledLogVariance of a clock with this Allan deviation over a second (IEEE 1588-2019 7.6.3.2, 7.6.3.3): the PTP
/// variance is a third of tau^2 times the Allan variance.
fn offset_scaled_log_variance(allan_deviation: f64) -> u16 {
    let variance = allan_deviation * allan_deviation / 3.0;
    let scaled = (variance.log2() * 256.0).round() + 32_768.0;
    if scaled.is_nan() {
        return UNKNOWN_VARIANCE;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it has just been brought into range")]
    let scaled = scaled.clamp(0.0, 65_534.0) as u16;
    scaled
}

fn time_properties(basis: &TimeBasis, leap: &LeapState) -> TimePropertiesDs {
    let (time_source, time_traceable, frequency_traceable) = match *basis {
        TimeBasis::PrimaryReference(source) => (source, true, true),
        TimeBasis::Network { source, time_traceable, frequency_traceable } => {
            (source, time_traceable, frequency_traceable)
        }
        TimeBasis::ThisDomain => (TimeSource::PTP, false, false),
        // The time is within what its reference was; the frequency is the oscillator's own.
        TimeBasis::Holdover { of_primary, within_specification } => {
            (TimeSource::INTERNAL_OSCILLATOR, of_primary && within_specification, false)
        }
        TimeBasis::System => (TimeSource::OTHER, false, false),
        TimeBasis::None => (TimeSource::INTERNAL_OSCILLATOR, false, false),
    };
    let ptp_timescale = *basis != TimeBasis::None;
    let utc_offset = leap.tai_offset_s.and_then(|offset| i16::try_from(offset).ok()).filter(|_| ptp_timescale);
    TimePropertiesDs {
        current_utc_offset: utc_offset.unwrap_or(DESIGN_UTC_OFFSET),
        current_utc_offset_valid: utc_offset.is_some(),
        leap59: utc_offset.is_some() && leap.step < 0,
        leap61: utc_offset.is_some() && leap.step > 0,
        time_traceable,
        frequency_traceable,
        ptp_timescale,
        time_source,
    }
}

#[cfg(test)]
mod tests;
