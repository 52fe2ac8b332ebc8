//! The configuration: a file of TOML, parsed once into types that can hold only what makes sense.
//!
//! [`Document`] is the file as it is written; [`Config`] is what it means, after everything that one value says about
//! another has been checked. Whatever is wrong is told with file, line, value and remedy.

mod check;
mod document;
mod error;
mod locate;
mod numbers;
mod private;
mod schema;
mod values;

pub use document::{
    AcceptableMasterTable, Access, Action, ArbitraryTimescale, Authentication, Backend, Clock, DelayMechanism,
    Document, Dpdk, FilterKind, Idle, KeyNumber, Keys, LogFormat, Mode, NtpBroadcast, NtpMode, NtpServer, NtpSource,
    Ops, Pi, PtpClock, PtpPortTable, PtpProfile, PtpTable, PtpTransport, RateLimit, Reference, Selection, Servo,
    ServoKind, Smear, SmearKind, State, Steer, TimeScale, Timestamps, Workers,
};
pub use error::{ConfigError, Position, Problem};
pub use numbers::{Exponent, Gain, LogInterval, Poll, Ppm, Ratio, RealTime, Share, Whole};
pub use private::{StateDirectory, check_file as check_private_file};
pub use schema::schema;
pub use values::{
    AbsolutePath, Correction, DevicePath, HostAddress, Identity, InterfaceName, Invalid, Length, LogFilter,
    MasterIdentity, PortName, Prefix, ReferenceId, SocketPath, SourceName, Threshold, UserDescription,
};

use ipnet::IpNet;
use sidereal_ptp::{ClockIdentity, InstanceOptions};
use std::net::IpAddr;
use std::path::Path;

/// The configuration that `sidereal config default` shows: every table, with the values that hold where nothing is said,
/// and one kernel port on all addresses.
pub const DEFAULT: &str = include_str!("default.toml");

/// A configuration file is smaller than this, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// What a configuration means.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How the program is laid out in threads.
    pub mode: Mode,
    /// The ports that time is served on, at least one.
    pub ports: Vec<Port>,
    /// The threads that answer.
    pub workers: Workers,
    /// DPDK itself.
    pub dpdk: Dpdk,
    /// The PTP domain whose messages carry NTP.
    pub over_ptp_domain: u8,
    /// How NTP requests are answered.
    pub ntp_server: NtpServer,
    /// Where the time comes from.
    pub reference: Reference,
    /// The NTP servers and peers whose time is measured.
    pub ntp_sources: Vec<NtpSource>,
    /// Who the time is sent to unasked.
    pub ntp_broadcasts: Vec<NtpBroadcast>,
    /// The PTP instances, in the order of their [`sidereal_ptp::PortKey`]s.
    pub ptp: Vec<Ptp>,
    /// The clocks that are wired to this host.
    pub reference_clocks: Vec<ReferenceClock>,
    /// Which sources are believed.
    pub selection: Selection,
    /// How they are followed.
    pub servo: Servo,
    /// The clock, and what is said of it.
    pub clock: Clock,
    /// Further clocks of this host that follow ours.
    pub ptp_clocks: Vec<PtpClock>,
    /// How ports that do so smear leap seconds.
    pub smear: Smear,
    /// Who may ask; no range twice.
    pub access: Vec<Access>,
    /// The keys of symmetric authentication.
    pub keys: Option<Keys>,
    /// What the operator sees.
    pub ops: Ops,
    /// What is kept from one run to the next.
    pub state: State,
}

/// A port that time is served on.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Its name, of no other port.
    pub name: PortName,
    /// How many queues, and so workers, it has; at least one.
    pub queues: usize,
    /// The cores of its workers: one per queue, or none at all.
    pub cores: Vec<usize>,
    /// How its clients are told of a leap second.
    pub smear: SmearKind,
    /// Who moves its packets.
    pub kind: PortKind,
}

/// Who moves the packets of a port.
#[derive(Debug, Clone, PartialEq)]
pub enum PortKind {
    /// UDP sockets of the kernel.
    Kernel(KernelPort),
    /// DPDK.
    Dpdk(DpdkPort),
}

/// A port made of UDP sockets.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelPort {
    /// The addresses that its sockets are bound to, at least one.
    pub bind: Vec<IpAddr>,
    /// The only interface that they listen on.
    pub interface: Option<InterfaceName>,
    /// Who stamps packets; of hardware only where there is an interface.
    pub timestamps: Timestamps,
    /// The clock that the NIC's stamps are told by, where it is not the NIC's own.
    pub hardware_clock: Option<DevicePath>,
}

/// A port that DPDK drives.
#[derive(Debug, Clone, PartialEq)]
pub struct DpdkPort {
    /// A PCI address, or a virtual device with its arguments.
    pub device: String,
    /// The port's own addresses and their networks, at least one.
    pub addresses: Vec<IpNet>,
    /// The TAP interface by which the kernel gets what is not ours.
    pub tap: InterfaceName,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// VLAN identifiers that are accepted besides untagged frames.
    pub vlans: Vec<u16>,
    /// The kernel's clock that the NIC stamps packets by.
    pub hardware_clock: Option<DevicePath>,
}

/// A PTP instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Ptp {
    /// What it is called; no other source is called so.
    pub name: SourceName,
    /// Its clockIdentity; made of the port's MAC address where there is none.
    pub identity: Option<ClockIdentity>,
    /// How it behaves. Its identity and its port's address are known when its port is.
    pub options: InstanceOptions,
    /// The name of the port that it speaks on. A kernel port has an interface.
    pub port: PortName,
    /// The VLAN of its messages, which its port accepts; `None` for untagged ones.
    pub vlan: Option<u16>,
    /// What is added to the masters' time.
    pub offset: Correction,
    /// How far the path may make their time wrong at most.
    pub asymmetry_limit: Option<Length>,
    /// Which of its measurements are passed on.
    pub filter: FilterKind,
    /// How many measurements the filter looks at.
    pub filter_length: Option<Whole<1, 64>>,
    /// Which of them the filter `quantile` passes on.
    pub quantile: Option<Share>,
    /// What selection makes of it.
    pub flags: Flags,
}

/// A clock that is wired to this host.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceClock {
    /// What it is called; no other source is called so.
    pub name: SourceName,
    /// How its time is read.
    pub driver: Driver,
    /// What clients are told that we follow while it is followed.
    pub reference_id: ReferenceId,
    /// The stratum of what is behind the wire.
    pub stratum: u8,
    /// What is added to its time.
    pub offset: Correction,
    /// How far off its time may be, either way, because of cable and receiver.
    pub delay: Length,
    /// How often a measurement is made.
    pub poll: Poll,
    /// Of how many measurements the median is taken; at least one.
    pub filter_length: usize,
    /// What selection makes of it.
    pub flags: Flags,
}

/// How the time of a reference clock is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// Edges on a line of the kernel.
    Pps(DevicePath),
    /// A segment of shared memory, by its number.
    Shm(u8),
    /// A socket that samples are sent to.
    Sock(SocketPath),
    /// The clock of a NIC.
    Ptp(DevicePath),
    /// Edges on a pin of a NIC.
    ExternalTimestamp {
        /// The NIC's clock.
        device: DevicePath,
        /// The channel that they come by.
        channel: u32,
        /// The pin that is connected to it, where we are to do so.
        pin: Option<u32>,
    },
}

/// What selection makes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// It is preferred where several are good.
    pub prefer: bool,
    /// Nothing is selected while it is not good.
    pub require: bool,
    /// It is taken to be right.
    pub trust: bool,
    /// It is measured and never selected.
    pub noselect: bool,
}

impl Config {
    /// Reads and checks the file at `path`, and that the secrets it names are private.
    ///
    /// # Errors
    /// Everything that is wrong: of a file that parses all that can be told at once, otherwise the first.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error: &std::io::Error| {
            let remedy = "name a configuration file that this user may read; `sidereal config default` shows one";
            ConfigError::whole(path, Invalid::new(format!("cannot be read: {error}"), remedy))
        };
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
        if metadata.len() > FILE_MAX {
            let what = format!("has {} bytes and cannot be a configuration", metadata.len());
            return Err(ConfigError::whole(
                path,
                Invalid::new(what, format!("a configuration has at most {FILE_MAX}")),
            ));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(error.as_bytes().get(..offset).unwrap_or_default());
            let position = Some(Position::of(&before, before.len()));
            let invalid = Invalid::new("a byte that is not UTF-8", "save the file as UTF-8");
            ConfigError::new(path, vec![Problem { position, invalid }])
        })?;
        let config = Self::parse(&text, path)?;
        config.check_private(&text, path)?;
        config.check_keys(&text, path)?;
        Ok(config)
    }

    /// Parses and checks `text`, which is called `name` in errors. Touches no file.
    ///
    /// # Errors
    /// Everything that is wrong: of a text that parses all that can be told at once, otherwise the first.
    pub fn parse(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let document: Document =
            toml::from_str(text).map_err(|error| ConfigError::new(name, vec![Problem::from_toml(text, &error)]))?;
        check::check(document).map_err(|faults| {
            let located =
                |fault: check::Fault| Problem { position: locate::locate(text, &fault.path), invalid: fault.invalid };
            ConfigError::new(name, faults.into_iter().map(located).collect())
        })
    }

    /// What this machine cannot do of what the file at `path` says by `key`, a path such as `port.0.cores`.
    #[must_use]
    pub(crate) fn refuse(path: &Path, key: &str, invalid: Invalid) -> ConfigError {
        // Where it can no longer be read, the place is left out.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        ConfigError::new(path, vec![Problem { position: locate::locate(&text, key), invalid }])
    }

    /// Checks that files which hold secrets are open to nobody else.
    fn check_private(&self, text: &str, name: &Path) -> Result<(), ConfigError> {
        let keys = self.keys.as_ref().map(|keys| ("keys.file", private::check_file(keys.file.as_path())));
        let state = Some(("state.directory", private::check_directory(self.state.directory.as_path())));
        let problems: Vec<Problem> = [keys, state]
            .into_iter()
            .flatten()
            .filter_map(|(path, checked)| {
                checked.err().map(|invalid| Problem { position: locate::locate(text, path), invalid })
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::new(name, problems)) }
    }

    /// Checks that the keys which are named are in the file of keys. What is wrong with that file itself is told by who
    /// makes the workers' policy.
    fn check_keys(&self, text: &str, name: &Path) -> Result<(), ConfigError> {
        let Some(file) = self.keys.as_ref().map(|keys| keys.file.as_path()) else { return Ok(()) };
        let Ok(known) = crate::policy::read_keys(file) else { return Ok(()) };
        let sources = self.ntp_sources.iter().map(|source| source.key).enumerate();
        let broadcasts = self.ntp_broadcasts.iter().map(|broadcast| broadcast.key).enumerate();
        let named = sources
            .map(|(index, key)| (format!("ntp.source.{index}.key"), key))
            .chain(broadcasts.map(|(index, key)| (format!("ntp.broadcast.{index}.key"), key)));
        let problems: Vec<Problem> = named
            .filter_map(|(path, key)| Some((path, key?.get())))
            .filter(|(_, key)| sidereal_ntp::KeyId::new(*key).and_then(|id| known.get(id)).is_none())
            .map(|(path, key)| Problem {
                position: locate::locate(text, &path),
                invalid: Invalid::new(
                    format!("key {key} is not in \"{}\"", file.display()),
                    "add it to that file, or write the number of another",
                ),
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::new(name, problems)) }
    }
}
