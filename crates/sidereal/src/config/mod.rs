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
    Access, Action, Backend, Clock, Document, Dpdk, Idle, Keys, LogFormat, Mode, NtpServer, Ops, RateLimit, Reference,
    State, Steer, Workers,
};
pub use error::{ConfigError, Position, Problem};
pub use numbers::{RealTime, Whole};
pub use private::{StateDirectory, check_file as check_private_file};
pub use schema::schema;
pub use values::{AbsolutePath, InterfaceName, Invalid, Length, LogFilter, PortName, Prefix, ReferenceId, SocketPath};

use ipnet::IpNet;
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
    /// How NTP requests are answered.
    pub ntp_server: NtpServer,
    /// The clock, and what is said of it.
    pub clock: Clock,
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
}
