//! The whole tree of tables, as it is written in the file. The JSON Schema is made from these types, and their comments
//! are its descriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::numbers::{RealTime, Whole};
use super::values::{
    AbsolutePath, InterfaceName, Length, LogFilter, PortAddress, PortName, Prefix, ReferenceId, SocketPath,
};

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
    /// The clock, and what is said of it.
    #[serde(default)]
    pub clock: Clock,
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
    /// The PTP instance; refused in this release, which serves NTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ptp: Option<Ptp>,
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

/// A port that time is served on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortTable {
    /// The port's name in status and logs; no two ports share one.
    pub name: PortName,
    /// Who moves the packets.
    pub backend: Backend,
    /// The device of a DPDK port: a PCI address (`0000:3b:00.0`), or a virtual device with its arguments
    /// (`net_af_packet0,iface=veth0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The port's addresses: of a DPDK port its own, with prefix lengths; of a kernel port the addresses to bind to.
    pub addresses: Vec<PortAddress>,
    /// How many queues share the work, one worker each.
    #[serde(default = "one_queue")]
    pub queues: Whole<1, 64>,
    /// The processor cores of the workers, one per queue; where none is given they are not pinned.
    #[serde(default)]
    pub cores: Vec<Whole<0, 1023>>,
    /// The name of a DPDK port's TAP interface, by which the kernel gets all packets that are not ours; `sd-` and the
    /// port's name where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tap: Option<InterfaceName>,
    /// The largest IP packet of a DPDK port in bytes; 1500 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Mtu>,
    /// VLAN identifiers that a DPDK port accepts besides untagged frames.
    #[serde(default)]
    pub vlans: Vec<Whole<1, 4094>>,
    /// The only interface that a kernel port listens on; all where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<InterfaceName>,
}

/// The largest IP packet of a port, in bytes: at least what IPv4 asks for, at most what NICs take.
pub(super) type Mtu = Whole<576, 9600>;

fn one_queue() -> Whole<1, 64> {
    Whole::literal::<1>()
}

/// Who moves the packets of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// A NIC or virtual device that DPDK drives.
    Dpdk,
    /// UDP sockets of the kernel.
    Kernel,
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

/// NTP.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ntp {
    /// How NTP requests are answered.
    pub server: NtpServer,
    /// NTP servers to follow; refused in this release, which follows the system clock.
    pub source: Vec<NtpSource>,
}

/// How NTP requests are answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NtpServer {
    /// The UDP port that is served.
    pub port: Whole<1, 65535>,
    /// Whether clients that ask for it get the true transmit times of earlier replies (RFC 9769).
    pub interleaved: bool,
    /// How many interleaved clients each worker remembers.
    pub interleaved_clients: Whole<1, 16_777_216>,
    /// How often one client, or one network of clients, may ask; without this table as often as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

impl Default for NtpServer {
    fn default() -> Self {
        Self {
            port: Whole::literal::<123>(),
            interleaved: true,
            interleaved_clients: Whole::literal::<262_144>(),
            rate_limit: None,
        }
    }
}

/// How often one client, or one network of clients, may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per second that are answered in the long run, for each prefix.
    pub requests_per_second: Whole<1, 10_000_000>,
    /// Requests that may come at once after a pause.
    pub burst: Whole<1, 1_000_000>,
    /// IPv4 clients that share this many leading bits of their address share the limit.
    pub ipv4_prefix: Whole<1, 32>,
    /// IPv6 clients that share this many leading bits of their address share the limit.
    pub ipv6_prefix: Whole<1, 128>,
    /// How many prefixes each worker remembers.
    pub prefixes: Whole<1, 16_777_216>,
    /// Whether a client above its limit is told so now and then by a kiss-o'-death packet with the code RATE.
    pub kiss_of_death: bool,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            requests_per_second: Whole::literal::<1000>(),
            burst: Whole::literal::<64>(),
            ipv4_prefix: Whole::literal::<32>(),
            ipv6_prefix: Whole::literal::<64>(),
            prefixes: Whole::literal::<65_536>(),
            kiss_of_death: true,
        }
    }
}

/// An NTP server to follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NtpSource {
    /// Its name or address.
    pub address: String,
    /// Its UDP port; 123 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Whole<1, 65535>>,
    /// The number of the key that its replies must bear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
    /// Whether it is asked in interleaved mode (RFC 9769).
    #[serde(default)]
    pub interleaved: bool,
    /// Whether its replies must be authenticated by Network Time Security (RFC 8915).
    #[serde(default)]
    pub nts: bool,
}

/// The PTP instance (IEEE 1588-2019).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ptp {
    /// domainNumber: instances of different domains do not see each other.
    pub domain: u8,
    /// priority1: what the best master clock algorithm compares first, lower is better.
    pub priority1: Option<u8>,
    /// priority2: what it compares among clocks of one quality, lower is better.
    pub priority2: Option<u8>,
}

/// The clock, and what is said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Clock {
    /// Where the time comes from.
    pub reference: Reference,
    /// The stratum that clients are told: 1 for a clock with a reference of its own.
    pub stratum: Whole<1, 15>,
    /// The reference identifier that clients are told: 1 to 4 ASCII characters, or an IPv4 address.
    pub reference_id: ReferenceId,
    /// The round trip to the root of the time, as far as it is not ours to measure.
    pub root_delay: Length,
    /// The error of the reference itself; the fit error of our own clock is added to it.
    pub root_dispersion: Length,
    /// The list of leap seconds, as IERS and NIST publish it; a built-in list where the file is missing.
    pub leap_seconds: AbsolutePath,
    /// Whether the clock is steered.
    pub steer: Steer,
}

impl Default for Clock {
    #[expect(clippy::expect_used, reason = "a constant that a test parses")]
    fn default() -> Self {
        Self {
            reference: Reference::System,
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
    /// The clock of the system, CLOCK_REALTIME.
    System,
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
    /// It is refused by a kiss-o'-death packet with the code RSTD.
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
