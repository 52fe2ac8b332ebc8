//! The documents: what is asked, and what is answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{Ptp, PtpSummary, Rates, Sources};

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How the appliance is.
    Status,
    /// What it thinks of its sources.
    Sources,
    /// How its PTP instances are.
    Ptp,
}

/// An answer. Its `schema` says which document it is and in which version: a version keeps its fields and may get more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "schema")]
pub enum Reply {
    /// How the appliance is.
    #[serde(rename = "sidereal.status/1")]
    Status(Box<Status>),
    /// What it thinks of its sources.
    #[serde(rename = "sidereal.sources/1")]
    Sources(Sources),
    /// How its PTP instances are.
    #[serde(rename = "sidereal.ptp/1")]
    Ptp(Ptp),
    /// The request is not answered.
    #[serde(rename = "sidereal.error/1")]
    Refusal(Refusal),
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The reason, for people.
    pub error: String,
}

/// How the appliance is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// How it is laid out in threads: `appliance` or `single`.
    pub mode: String,
    /// Seconds since it began to serve.
    pub uptime_s: u64,
    /// The clock, and what clients are told of it.
    pub clock: ClockStatus,
    /// What became of the readings that the clock was made of, by name.
    #[serde(default)]
    pub readings: BTreeMap<String, u64>,
    /// The clocks of this host that follow ours, or would.
    #[serde(default)]
    pub clocks: Vec<FollowerStatus>,
    /// The PTP instances.
    #[serde(default)]
    pub ptp: Vec<PtpSummary>,
    /// The table of leap seconds.
    pub leap_seconds: LeapStatus,
    /// The ports.
    pub ports: Vec<PortStatus>,
    /// The workers, in the order of ports and queues.
    pub workers: Vec<WorkerStatus>,
}

/// The clock, and what clients are told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockStatus {
    /// Where the time comes from: `system` or `sources`.
    pub reference: String,
    /// How we stand to it: `unlocked` before there is a time, `step` while one is being set, `locked` while it is
    /// followed, `holdover` while it is silent.
    #[serde(default)]
    pub state: String,
    /// The name of the source that speaks for all that are followed; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_peer: Option<String>,
    /// How far our time may be from the truth, either way, as far as the sources tell it, in nanoseconds; absent before
    /// there is a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_ns: Option<i64>,
    /// How far it is with a probability of 99.99 %, errors that no statistics can show aside, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty_ns: Option<i64>,
    /// How much faster the counter runs than its nominal rate, in parts per billion; absent where the system clock is the
    /// reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_ppb: Option<f64>,
    /// Whether clients are told a time that they may follow.
    pub synchronised: bool,
    /// The stratum, 1 to 16; 16 is unsynchronised.
    pub stratum: u8,
    /// The leap indicator: `none`, `insert`, `delete` or `unsynchronised`.
    pub leap: String,
    /// The reference identifier.
    pub reference_id: String,
    /// TAI - UTC now, in seconds.
    pub tai_offset_s: i32,
    /// Root delay, in nanoseconds.
    pub root_delay_ns: i64,
    /// Root dispersion, in nanoseconds.
    pub root_dispersion_ns: i64,
    /// The counter that the clock is a model of.
    pub counter: String,
    /// How fast the counter runs, in hertz, as the model knows it.
    pub counter_hertz: f64,
    /// How far the model may be from the reference at its reference instant, in nanoseconds.
    pub model_error_ns: i64,
    /// How long ago the model's reference instant was, in nanoseconds.
    pub model_age_ns: i64,
    /// Counts the steps of the clock.
    pub generation: u32,
    /// Counts what was published to the workers.
    pub snapshots: u64,
}

/// A clock of this host that follows ours, or would.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FollowerStatus {
    /// Its name: `system`, or the path of its device.
    pub name: String,
    /// Whether it is steered: `off`, `dry` or `on`.
    pub steer: String,
    /// Whether it can no longer be read.
    #[serde(default)]
    pub lost: bool,
    /// How far it is ahead of ours, in nanoseconds; absent until it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_ns: Option<i64>,
    /// The frequency that it is set to, or would be, in parts per billion faster than its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_ppb: Option<f64>,
    /// How long its last reading took, in nanoseconds: half of it is how far the reading may be off, either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ns: Option<i64>,
    /// How it is read beside the counter: `precise`, `extended`, ...; absent of the system clock, and until it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// How much faster than the local counter it would run by itself, in parts per billion; absent until it was read twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_frequency_ppb: Option<f64>,
    /// The standard deviation of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_frequency_deviation_ppb: Option<f64>,
    /// How well it is known where it stands, in nanoseconds: one standard deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation_ns: Option<f64>,
    /// How noisy its readings are, in nanoseconds: one standard deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_noise_ns: Option<f64>,
    /// What became of its readings, by name; what never happened is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub readings: BTreeMap<String, u64>,
    /// What became of those stamps of it that the engine uses, by name: `stamps_located`, and what was wrong with the others.
    /// Those that workers use are among the counts of workers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stamps: BTreeMap<String, u64>,
    /// What its raw ticks mean; absent where it stamps nothing, or where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<TickModel>,
    /// How often it has been stepped by us, or would have been.
    #[serde(default)]
    pub steps: u64,
    /// How long it took from a measurement's arrival, by its RX stamp, until the clock was corrected, or would have been; absent
    /// where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_to_correction_ns: Option<CorrectionStatus>,
    /// What was last done to it, or would have been, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_adjustment: Option<String>,
    /// Who else steers it; absent where nobody was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rival: Option<String>,
}

/// What the raw ticks of a clock mean: by this, any program that reads the clock can tell our time of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TickModel {
    /// Where the clock stood,
    pub nic_ticks: u64,
    /// when TAI was so many nanoseconds after 1970-01-01 00:00:00 TAI by our time,
    pub tai_ns: i64,
    /// and the local counter stood here.
    pub local_ticks: u64,
    /// How many ticks of the clock a second of our time has.
    pub nic_hertz: f64,
}

/// How soon measurements led to corrections of a clock, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CorrectionStatus {
    /// How many corrections this is about.
    pub count: u64,
    /// Half of them took at most so many nanoseconds.
    pub p50: u64,
    /// 99 % of them.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// The table of leap seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeapStatus {
    /// The file it was read from, or `built in`.
    pub source: String,
    /// When it expires, as a date and time in UTC; absent where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Whether it has expired: leap seconds after that are not known.
    pub expired: bool,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortStatus {
    /// Its name.
    pub name: String,
    /// Who moves its packets: `kernel` or `dpdk`.
    pub backend: String,
    /// The device or interface; absent where sockets are bound to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its Ethernet address; absent where sockets see none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Whether its link is up.
    pub link: LinkState,
    /// What it can do, in words.
    pub capabilities: Vec<String>,
    /// The rates of all its workers together.
    pub rates: Rates,
    /// What the device and the exception path have counted, by name; empty where neither is ours.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
}

/// Whether a link is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Packets can pass.
    Up,
    /// None can.
    Down,
    /// The port has no link of its own: its sockets are on all interfaces.
    Unknown,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerStatus {
    /// The name of its port.
    pub port: String,
    /// The number of its queue, from 0.
    pub queue: usize,
    /// The core it is pinned to; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<usize>,
    /// What it does while there is nothing to do: `spin`, `yield`, `sleep` or `poll`.
    pub idle: String,
    /// Its rates.
    pub rates: Rates,
    /// What it has counted, by name.
    pub counts: BTreeMap<String, u64>,
    /// Replies by kind; kinds that never occurred are absent.
    pub replies: BTreeMap<String, u64>,
    /// Drops by reason; reasons that never occurred are absent.
    pub drops: BTreeMap<String, u64>,
    /// How long answered requests stayed, from their RX stamp to the call that sent the reply; absent while none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residence: Option<ResidenceStatus>,
}

/// How long answered requests stayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResidenceStatus {
    /// How many requests this is about.
    pub count: u64,
    /// Half of them stayed at most so many nanoseconds.
    pub p50_ns: u64,
    /// 90 % of them.
    pub p90_ns: u64,
    /// 99 % of them.
    pub p99_ns: u64,
    /// 99.9 % of them.
    pub p99_9_ns: u64,
    /// The longest.
    pub max_ns: u64,
}
