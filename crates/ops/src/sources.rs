//! The document of `sidereal sources`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The sources of time, and what is thought of each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sources {
    /// Whether the clock follows those that are selected; where the reference is the system clock, it does not.
    pub followed: bool,
    /// The name of the source that speaks for all that are selected; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_peer: Option<String>,
    /// Why none is selected, in words; absent where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The sources, in the order of the configuration; each server of a pool is one.
    pub sources: Vec<SourceStatus>,
}

/// A source of time. What it has not told, or nobody has measured, is absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SourceStatus {
    /// Its name: of the configuration, with a number behind it where it is one server of a pool.
    pub name: String,
    /// The address and UDP port it is asked at; absent where it is no server, and until its name is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What it is: `ntp`, `pool`, or of a clock wired to this host `sampled` or `pulse`.
    pub kind: String,
    /// How we stand to it: `client`, `symmetric_active`, `symmetric_passive` or `broadcast_client`; absent where it is wired
    /// to this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What is thought of it, in a word: `selected`, `falseticker`, `unreachable` and so on.
    pub state: String,
    /// Why, in words.
    pub reason: String,
    /// Its stratum, 0 to 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stratum: Option<u8>,
    /// What it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<String>,
    /// Its leap indicator: `none`, `insert`, `delete` or `unsynchronised`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leap: Option<String>,
    /// How often it is asked, as a power of two of a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<i8>,
    /// The last eight polls, a bit each, the newest lowest: set where an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<u8>,
    /// The same in octal, as the field writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach_octal: Option<String>,
    /// How far its clock was ahead of ours when it was last measured, in nanoseconds; ours may have been corrected since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_ns: Option<i64>,
    /// The round trip to it, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ns: Option<i64>,
    /// The standard deviation of what is measured, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_ns: Option<i64>,
    /// How far the offset may be from that of the truth, either way: its root distance, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_ns: Option<i64>,
    /// How long ago it was last measured, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<i64>,
    /// Whether its last answer was authenticated.
    pub authenticated: bool,
    /// Whether its last answer was in interleaved mode (RFC 9769).
    pub interleaved: bool,
    /// What was sent, received and left out, by name.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// Why the last thing that was left out was left out; absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ignored: Option<String>,
}
