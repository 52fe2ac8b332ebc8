//! The whole tree of tables, as it is written in the file. The JSON Schema is made from these types, and their comments
//! are its descriptions.

mod clock;
mod follow;
mod ntp;
mod port;
mod ptp;
mod reference_clock;

pub use clock::{Clock, PtpClock, Reference, Steer, TimeScale};
pub use follow::{Authentication, FilterKind, Pi, Selection, Servo, ServoKind, Smear, SmearKind};
use ntp::Ntp;
pub use ntp::{KeyNumber, NtpBroadcast, NtpMode, NtpServer, NtpSource, RateLimit};
pub use port::{Backend, Timestamps};
pub(super) use port::{Mtu, PortTable};
pub use ptp::{
    AcceptableMasterTable, ArbitraryTimescale, DelayMechanism, PtpPortTable, PtpProfile, PtpTable, PtpTransport,
};
pub(super) use reference_clock::{ReferenceClockKind, ReferenceClockTable};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::numbers::{RealTime, Whole};
use super::values::{AbsolutePath, LogFilter, Prefix, SocketPath};

/// The configuration of Sidereal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// How the program is laid out in threads.
    #[serde(default)]
    pub mode: Mode,
    /// The ports that time is served on, at least one.
    #[serde(default)]
    pub port: Vec<PortTable>,
    /// The threads that answer.
    #[serde(default)]
    pub workers: Workers,
    /// DPDK itself, for ports with this backend.
    #[serde(default)]
    pub dpdk: Dpdk,
    /// NTP.
    #[serde(default)]
    pub ntp: Ntp,
    /// PTP instances: what they hear is measured as NTP sources are, and they lead where they are the best.
    #[serde(default)]
    pub ptp: Vec<PtpTable>,
    /// Clocks that are wired to this host, and whose time is measured as that of NTP sources is.
    #[serde(default)]
    pub reference_clock: Vec<ReferenceClockTable>,
    /// Which sources are believed.
    #[serde(default)]
    pub selection: Selection,
    /// How they are followed.
    #[serde(default)]
    pub servo: Servo,
    /// The clock, and what is said of it.
    #[serde(default)]
    pub clock: Clock,
    /// Further clocks of this host that follow ours.
    #[serde(default)]
    pub ptp_clock: Vec<PtpClock>,
    /// How leap seconds are smeared, by ports that do so.
    #[serde(default)]
    pub smear: Smear,
    /// Who may ask: of all ranges that hold the client's address the longest prefix decides; who is in none is answered.
    #[serde(default)]
    pub access: Vec<Access>,
    /// The keys of symmetric authentication; none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
    /// What the operator sees.
    #[serde(default)]
    pub ops: Ops,
    /// What is kept from one run to the next.
    #[serde(default)]
    pub state: State,
}

/// How the program is laid out in threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One pinned worker per queue, one thread that thinks, one for the operator.
    #[default]
    Appliance,
    /// One thread for everything, with kernel ports only.
    Single,
}

/// The threads that answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Workers {
    /// What a worker does while there is nothing to do.
    pub idle: Idle,
    /// Whether workers run under SCHED_FIFO: `false`, or a priority from 1 to 99. A worker that spins at such a priority
    /// leaves its core to nobody else.
    pub real_time: RealTime,
    /// Whether the program's memory is locked, so that no worker waits for a page.
    pub lock_memory: bool,
}

/// What a worker does while there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// Looks again at once: the shortest answer, and a core of its own.
    #[default]
    Spin,
    /// Lets others run and looks again: for fewer cores than threads.
    Yield,
    /// Sleeps until a packet wakes it.
    Sleep,
}

/// DPDK itself, for ports with this backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dpdk {
    /// Whether its memory is made of huge pages, which must have been set aside.
    pub hugepages: bool,
    /// The memory it takes at start, in MiB.
    pub memory_mib: Whole<16, 65536>,
    /// Further arguments of DPDK's environment abstraction layer (EAL).
    pub arguments: Vec<String>,
}

impl Default for Dpdk {
    fn default() -> Self {
        Self { hugepages: true, memory_mib: Whole::literal::<512>(), arguments: Vec::new() }
    }
}

/// What becomes of the requests of a range of clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The clients.
    pub prefix: Prefix,
    /// What becomes of their requests.
    pub action: Action,
    /// Whether only requests with a valid key are answered.
    #[serde(default)]
    pub require_key: bool,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is answered.
    Allow,
    /// It is dropped in silence.
    Drop,
    /// It is refused by a kiss-o'-death packet with the code DENY.
    Deny,
    /// It is refused by a kiss-o'-death packet with the code RSTR.
    Restrict,
}

/// The keys of symmetric authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The file of keys, one on a line: number, type and key, as chrony writes them. Only its owner may read it.
    pub file: AbsolutePath,
}

/// What the operator sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ops {
    /// The Unix socket that `sidereal status` asks.
    pub socket: SocketPath,
    /// The Unix socket that PTP management clients ask (`pmc -u -s PATH`), and the only one by which they may change
    /// anything; none without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ptp_management: Option<SocketPath>,
    /// How log lines look.
    pub log: LogFormat,
    /// What is logged: a level, and exceptions by module.
    pub log_level: LogFilter,
}

impl Default for Ops {
    #[expect(clippy::expect_used, reason = "constants that a test parses")]
    fn default() -> Self {
        Self {
            socket: "/run/sidereal/control".parse().expect("a short absolute path"),
            ptp_management: None,
            log: LogFormat::Human,
            log_level: "info".parse().expect("a level"),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object on each line.
    Json,
}

/// What is kept from one run to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// The directory; made where it is missing, and open to its owner only.
    pub directory: AbsolutePath,
}

impl Default for State {
    #[expect(clippy::expect_used, reason = "a constant that a test parses")]
    fn default() -> Self {
        Self { directory: "/var/lib/sidereal".parse().expect("an absolute path") }
    }
}
