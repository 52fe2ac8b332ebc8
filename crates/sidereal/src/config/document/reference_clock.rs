//! Reference clocks: receivers and other clocks that are wired to this host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::numbers::{Poll, Whole};
use crate::config::values::{Correction, DevicePath, Length, ReferenceId, SocketPath, SourceName};

/// A clock that is wired to this host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferenceClockTable {
    /// What it is called in `sidereal sources`.
    pub name: SourceName,
    /// How it tells the time.
    pub kind: ReferenceClockKind,
    /// The device of a `pps` (`/dev/pps0`), a `ptp` or an `external_timestamp` (`/dev/ptp0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DevicePath>,
    /// The number of the segment of a `shm`: gpsd writes times of messages to 0, those of pulses to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Whole<0, 255>>,
    /// The path of the socket of a `sock`, which is made where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<SocketPath>,
    /// The channel that an `external_timestamp` comes by; 0 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Whole<0, 31>>,
    /// The pin that is connected to that channel; as the driver has it where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Whole<0, 31>>,
    /// What clients are told that we follow while it is followed; the kind where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<ReferenceId>,
    /// The stratum of what is behind the wire: 0 for a receiver, so that we are at 1.
    #[serde(default = "stratum_0")]
    pub stratum: Whole<0, 14>,
    /// What is added to its time: what cable and receiver delay it.
    #[serde(default)]
    pub offset: Correction,
    /// How far off its time may be, either way, because of cable and receiver: the bound is so much wider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Length>,
    /// How often a measurement is made of what came meanwhile, as a power of two of a second.
    #[serde(default = "each_second")]
    pub poll: Poll,
    /// Of how many of the last measurements the median is taken; 1 takes them as they come.
    #[serde(default = "one_reading")]
    pub filter_length: Whole<1, 64>,
    /// Whether it is preferred where several are good.
    #[serde(default)]
    pub prefer: bool,
    /// Whether nothing is selected while it is not good.
    #[serde(default)]
    pub require: bool,
    /// Whether it is taken to be right: who disagrees with all that are trusted is a falseticker.
    #[serde(default)]
    pub trust: bool,
    /// Whether it is measured and never selected.
    #[serde(default)]
    pub noselect: bool,
}

fn stratum_0() -> Whole<0, 14> {
    Whole::literal::<0>()
}

fn each_second() -> Poll {
    Poll::literal::<0>()
}

fn one_reading() -> Whole<1, 64> {
    Whole::literal::<1>()
}

/// How a reference clock tells the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceClockKind {
    /// The beginnings of seconds, on a line of the kernel (RFC 2783); another source says which seconds they are.
    Pps,
    /// A segment of shared memory, as ntpd has them and gpsd writes them.
    Shm,
    /// A socket that samples are sent to, as chrony has it and gpsd writes to.
    Sock,
    /// The clock of a NIC, `/dev/ptpN`, which somebody else keeps.
    Ptp,
    /// The beginnings of seconds, on a pin of a NIC; another source says which seconds they are.
    ExternalTimestamp,
}

impl ReferenceClockKind {
    /// Its name in the file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pps => "pps",
            Self::Shm => "shm",
            Self::Sock => "sock",
            Self::Ptp => "ptp",
            Self::ExternalTimestamp => "external_timestamp",
        }
    }
}
