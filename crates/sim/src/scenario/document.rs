//! A scenario as it is written: TOML.

mod network;
mod ptp;
mod trouble;

pub use network::{JitterKind, JitterTable, LinkPreset, LinkTable, SwitchKind, SwitchTable};
pub use ptp::{PtpDelayMechanism, PtpProfile, PtpTable, PtpTransport};
pub use trouble::{FaultKindName, FaultTable, LimitTable};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::values::{Date, Length, Probability};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// How long a run lasts.
    pub duration: Spanned<Length>,
    /// How much of its beginning the statistics leave out.
    #[serde(default)]
    pub settle: Length,
    /// How many runs there are, with seeds from 1 on, unless the command line says otherwise.
    #[serde(default = "one")]
    pub runs: u32,
    /// When a run begins.
    #[serde(default = "usual_start")]
    pub start: Date,
    /// A leap second that is not in the built-in table, and that all hosts know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leap_second: Option<LeapSecondTable>,
    /// The hosts.
    pub host: Vec<HostTable>,
    /// What connects them.
    #[serde(default)]
    pub link: Vec<LinkTable>,
    /// What links may lead through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switch: Vec<SwitchTable>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fault: Vec<FaultTable>,
    /// What must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limit: Vec<LimitTable>,
}

fn one() -> u32 {
    1
}

pub(crate) fn usual_start() -> Date {
    Date(sidereal_time::Instant::from_secs(1_767_225_600)) // 2026-01-01
}

/// A leap second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeapSecondTable {
    /// The midnight after it.
    pub before: Spanned<Date>,
    /// What is done.
    pub kind: LeapKind,
}

/// What a leap second does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeapKind {
    /// 23:59:60 is inserted.
    Insert,
    /// 23:59:59 is left out.
    Delete,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostTable {
    /// Its name.
    pub name: Spanned<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: HostKind,
    /// Of a reference: how wrong its clock is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub offset: Length,
    /// Of a reference: its stratum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratum: Option<Spanned<u8>>,
    /// Of a reference: the root delay that it tells.
    #[serde(default, skip_serializing_if = "is_default")]
    pub root_delay: Length,
    /// Of a reference: the root dispersion that it tells.
    #[serde(default, skip_serializing_if = "is_default")]
    pub root_dispersion: Length,
    /// What its counter counts; perfect where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oscillator: Option<OscillatorTable>,
    /// How wrong the system clock is at the beginning.
    #[serde(default, skip_serializing_if = "is_default")]
    pub clock_offset: Length,
    /// Whether the system clock is steered.
    #[serde(default, skip_serializing_if = "is_default")]
    pub steer: Steering,
    /// How it is followed what the sources say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servo: Option<ServoTable>,
    /// How many sources must agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_sources: Option<u16>,
    /// How it stamps packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<NicTable>,
    /// The clock of its NIC, which then takes the stamps of packets; where nothing is said, the NIC looks at the host's counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic_clock: Option<NicClockTable>,
    /// How long it takes to answer a request after its transmit time was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_latency: Option<JitterTable>,
    /// Where it has the time from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<SourceTable>,
    /// The PTP domains that it takes part in: an engine leads or follows, a reference leads or waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ptp: Vec<PtpTable>,
    /// How it broadcasts its time to all that it has links to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<BroadcastTable>,
}

impl HostTable {
    /// The engine host `name`, of which nothing else is said.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: Spanned::new(0..0, name.to_owned()),
            kind: HostKind::default(),
            offset: Length::default(),
            stratum: None,
            root_delay: Length::default(),
            root_dispersion: Length::default(),
            oscillator: None,
            clock_offset: Length::default(),
            steer: Steering::default(),
            servo: None,
            minimum_sources: None,
            nic: None,
            nic_clock: None,
            reply_latency: None,
            source: Vec::new(),
            ptp: Vec::new(),
            broadcast: None,
        }
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostKind {
    /// It runs the real engine and the real server.
    #[default]
    Engine,
    /// It runs the real server on a clock that is right but for its `offset` and for what faults do to it.
    Reference,
}

/// Whether a system clock is steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Steering {
    /// No.
    Off,
    /// What would be done is computed.
    Dry,
    /// Yes.
    #[default]
    On,
}

/// An oscillator: a preset, numbers of its own, or a preset with some numbers changed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OscillatorTable {
    /// Whose numbers hold where none are given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<OscillatorPreset>,
    /// See [`crate::oscillator::OscillatorOptions`], as the others; this one in parts per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_offset_ppm: Option<f64>,
    /// In parts per million.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance_ppm: Option<f64>,
    /// White frequency noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub white: Option<f64>,
    /// Flicker frequency noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flicker: Option<f64>,
    /// Random-walk frequency noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_walk: Option<f64>,
    /// Aging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aging_per_day: Option<f64>,
    /// Temperature coefficient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_kelvin: Option<f64>,
    /// Daily swing of the temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swing_kelvin: Option<f64>,
}

/// See [`crate::oscillator::presets::Preset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OscillatorPreset {
    /// A computer's crystal.
    Crystal,
    /// Temperature-compensated.
    Tcxo,
    /// Oven-controlled.
    Ocxo,
    /// A vapour cell.
    Rubidium,
}

/// What the tracker does; what is not said is as by default.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServoTable {
    /// Which servo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServoKind>,
    /// Larger corrections are made at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_threshold: Option<Length>,
    /// In so many first measurements only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_updates: Option<u32>,
    /// How fast the published time is slewed at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_slew_ppm: Option<f64>,
}

/// Which servo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServoKind {
    /// Proportional and integral.
    Pi,
    /// Weighted linear regression.
    Regression,
    /// A Kalman filter.
    Kalman,
}

/// How a host stamps packets.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicTable {
    /// Stamps are whole multiples of this.
    #[serde(default, skip_serializing_if = "is_default")]
    pub granularity: Length,
    /// How late stamps are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<JitterTable>,
    /// Whether there is but one place for the stamp of a packet that leaves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_latch: bool,
    /// Whether it writes the time into a Sync as that leaves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_step: bool,
    /// How often a stamp gets lost; the program then looks at the clock itself, or does without (PTP).
    #[serde(default, skip_serializing_if = "is_default")]
    pub lost: Probability,
    /// How long after a packet left its stamp is known.
    #[serde(default, skip_serializing_if = "is_default")]
    pub report_delay: Length,
    /// How far off the program's own look at the clock is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_jitter: Option<JitterTable>,
}

/// The clock of a NIC: it shows TAI.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicClockTable {
    /// What it runs on; perfect where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oscillator: Option<OscillatorTable>,
    /// How wrong it is at the beginning.
    #[serde(default, skip_serializing_if = "is_default")]
    pub offset: Length,
    /// Whether it is steered.
    #[serde(default, skip_serializing_if = "is_default")]
    pub steer: Steering,
    /// How far a reading of it is off: one standard deviation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read_noise: Length,
    /// How long a reading of it takes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read_window: Length,
    /// How often it is read; every 62.5 ms where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_period: Option<Length>,
}

/// Where a host has the time from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceTable {
    /// The other host.
    pub host: Spanned<String>,
    /// How it is spoken with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: SourceMode,
    /// Whether it is looked up by its name first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub by_name: bool,
    /// Whether messages carry the MAC of the key that all hosts share.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authenticated: bool,
    /// Whether interleaved mode is asked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interleaved: bool,
    /// The shortest poll, as a power of two of a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_poll: Option<Spanned<i8>>,
    /// The longest poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_poll: Option<Spanned<i8>>,
    /// Whether to begin with eight requests.
    #[serde(default = "yes")]
    pub iburst: bool,
    /// Longer exchanges are not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Length>,
    /// How asymmetric the path may be; see [`sidereal_servo::FilterOptions`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asymmetry_limit: Option<Length>,
    /// Which readings are used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filter: SourceFilter,
    /// How many readings the filter looks at.
    #[serde(default = "eight")]
    pub filter_length: u16,
    /// The share of readings that a quantile filter lets pass.
    #[serde(default = "quarter")]
    pub quantile: f64,
    /// See [`sidereal_engine::Flags`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub prefer: bool,
    /// See [`sidereal_engine::Flags`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub trust: bool,
    /// See [`sidereal_engine::Flags`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub require: bool,
    /// See [`sidereal_engine::Flags`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub noselect: bool,
}

impl SourceTable {
    /// The source `host`, of which nothing else is said.
    #[must_use]
    pub fn of(host: &str) -> Self {
        Self {
            host: Spanned::new(0..0, host.to_owned()),
            mode: SourceMode::default(),
            by_name: false,
            authenticated: false,
            interleaved: false,
            min_poll: None,
            max_poll: None,
            iburst: yes(),
            max_delay: None,
            asymmetry_limit: None,
            filter: SourceFilter::default(),
            filter_length: eight(),
            quantile: quarter(),
            prefer: false,
            trust: false,
            require: false,
            noselect: false,
        }
    }
}

fn yes() -> bool {
    true
}

fn eight() -> u16 {
    8
}

fn quarter() -> f64 {
    0.25
}

/// How a source is spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceMode {
    /// It is asked.
    #[default]
    Client,
    /// It is asked, and asks us.
    Symmetric,
    /// It broadcasts.
    Broadcast,
}

/// See [`sidereal_servo::FilterKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceFilter {
    /// All.
    #[default]
    None,
    /// Those with the least delay.
    MinimumDelay,
    /// Those with the median offset.
    MovingMedian,
    /// Those with little delay.
    Quantile,
}

/// How a host broadcasts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroadcastTable {
    /// How often, as a power of two of a second.
    pub poll: i8,
    /// Whether broadcasts are interleaved.
    #[serde(default)]
    pub interleaved: bool,
    /// Whether they carry the MAC of the key that all hosts share.
    #[serde(default)]
    pub authenticated: bool,
}
