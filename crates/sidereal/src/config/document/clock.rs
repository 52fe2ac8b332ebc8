//! The clock, and the clocks that follow it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::config::numbers::Whole;
use crate::config::values::{AbsolutePath, DevicePath, Length, ReferenceId};

/// The clock, and what is said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Clock {
    /// Where the time comes from. Where nothing is said: from the sources if there are any, else from the system clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The stratum that clients are told while the system clock is the reference: 1 for a clock with a receiver of its own.
    pub stratum: Whole<1, 15>,
    /// The reference identifier that clients are told then: 1 to 4 ASCII characters, or an IPv4 address.
    pub reference_id: ReferenceId,
    /// The round trip from the system clock to the root of the time.
    pub root_delay: Length,
    /// The error of the system clock; the fit error of our own clock is added to it.
    pub root_dispersion: Length,
    /// The list of leap seconds, as IERS and NIST publish it; a built-in list where the file is missing.
    pub leap_seconds: AbsolutePath,
    /// Whether the system clock is made to follow ours; never where it is the reference.
    pub steer: Steer,
}

impl Default for Clock {
    #[expect(clippy::expect_used, reason = "a constant that a test parses")]
    fn default() -> Self {
        Self {
            reference: None,
            stratum: Whole::literal::<1>(),
            reference_id: ReferenceId(sidereal_ntp::ReferenceId(*b"LOCL")),
            root_delay: Length(Duration::ZERO),
            root_dispersion: Length(Duration::from_micros(1)),
            leap_seconds: "/usr/share/zoneinfo/leap-seconds.list".parse().expect("an absolute path"),
            steer: Steer::Dry,
        }
    }
}

/// Where the time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The clock of the system, CLOCK_REALTIME, which somebody else keeps. Sources are measured and not followed.
    System,
    /// The sources that are selected.
    Sources,
}

/// Whether a clock is steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Steer {
    /// It is left alone.
    Off,
    /// What would be done is computed and shown, nothing is touched.
    Dry,
    /// It is steered.
    On,
}

/// The clock of a NIC, or another that the kernel shows as `/dev/ptpN`, which is made to follow ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PtpClock {
    /// Its device.
    pub device: DevicePath,
    /// Whether it is steered.
    #[serde(default = "dry")]
    pub steer: Steer,
    /// What it is to show: TAI, as PTP has it, or UTC.
    #[serde(default)]
    pub scale: TimeScale,
}

fn dry() -> Steer {
    Steer::Dry
}

/// A time scale that clocks show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeScale {
    /// International Atomic Time, without leap seconds.
    #[default]
    Tai,
    /// Coordinated Universal Time.
    Utc,
}
