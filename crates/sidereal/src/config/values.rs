//! The values of a configuration that are written as text: each type is parsed once and can hold only what makes sense.

mod ptp;
mod source;

pub use ptp::{Identity, MasterIdentity, UserDescription};
pub use source::{Correction, DevicePath, HostAddress, SourceName};

use core::fmt;
use core::str::FromStr;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidereal_time::Span;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is wrong with one value, and what to do about it.
///
/// The parser carries errors as text only, so the two travel as two lines and are taken apart again at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, with the value.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl Invalid {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.remedy)
    }
}

/// Joins a type that is written as text to serde by its `FromStr` and `Display`.
macro_rules! written_as_text {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )+};
}
use written_as_text;
written_as_text!(
    PortName,
    InterfaceName,
    PortAddress,
    Length,
    Threshold,
    ReferenceId,
    Prefix,
    AbsolutePath,
    SocketPath,
    LogFilter
);

/// The name of a port: 1 to 12 letters, digits, `-`, `_` or `.`. It names the port in status and logs, and with `sd-`
/// before it the port's TAP interface.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[A-Za-z0-9_.-]{1,12}$"), example = &"lan0")]
pub struct PortName(String);

impl PortName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PortName {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=12).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                format!("{text:?} is not a port name"),
                "write 1 to 12 letters, digits, `-`, `_` or `.`, such as \"lan0\"",
            ))
        }
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a network interface of the kernel: 1 to 15 bytes without spaces, `/`, `:` and `%`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[^\s/:%]{1,15}$"), example = &"eth0")]
pub struct InterfaceName(String);

impl InterfaceName {
    /// The name of the TAP interface of the port called `port`, where the configuration does not say.
    #[must_use]
    pub fn of_tap(port: &PortName) -> Self {
        Self(format!("sd-{port}"))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let illegal = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
        if !(1..=15).contains(&text.len()) || text.contains(illegal) || text == "." || text == ".." {
            return Err(Invalid::new(
                format!("{text:?} is not the name of a network interface"),
                "write 1 to 15 bytes without spaces, `/`, `:` and `%`, as `ip link` shows them, such as \"eth0\"",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address of a port: of a DPDK port with the length of its prefix (`10.77.0.1/24`), of a kernel port the bare address
/// to bind to (`0.0.0.0` and `::` bind to all).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(example = &"10.77.0.1/24", example = &"::")]
pub struct PortAddress {
    /// The address.
    pub address: IpAddr,
    /// The length of the prefix of its network, where one was written.
    pub prefix_len: Option<u8>,
}

impl FromStr for PortAddress {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Ok(address) = text.parse() {
            return Ok(Self { address, prefix_len: None });
        }
        text.parse::<IpNet>().map(|net| Self { address: net.addr(), prefix_len: Some(net.prefix_len()) }).map_err(
            |_| {
                Invalid::new(
                    format!("{text:?} is not an IP address"),
                    "write an address with its prefix length for a DPDK port (\"10.77.0.1/24\", \"fd77::1/64\"), \
                 without for a kernel port (\"0.0.0.0\", \"::\")",
                )
            },
        )
    }
}

impl fmt::Display for PortAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_len {
            Some(prefix_len) => write!(f, "{}/{prefix_len}", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// A length of time: a number and a unit (`ns`, `us`, `ms`, `s`, `min`, `h`), several of them are added (`1s 500ms`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(example = &"10ms")]
pub struct Length(pub Duration);

impl Length {
    /// As the rest of the program has it; what is longer than 584 years is as long as that.
    #[must_use]
    pub fn as_span(self) -> Span {
        Span::from_nanos(i128::from(u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl FromStr for Length {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        humantime::parse_duration(text).map(Self).map_err(|error| {
            Invalid::new(
                format!("{text:?} is not a length of time: {error}"),
                "write a number and its unit, such as \"500ns\", \"10ms\" or \"1s\"",
            )
        })
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A length of time beyond which something happens, or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", example = &"128ms", example = &"never")]
pub struct Threshold(pub Option<Length>);

impl FromStr for Threshold {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "never" { Ok(Self(None)) } else { text.parse().map(|length| Self(Some(length))) }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(length) => length.fmt(f),
            None => f.write_str("never"),
        }
    }
}

/// What clients are told of where the time comes from: 1 to 4 printable ASCII characters (`LOCL`, `GPS`), or an IPv4
/// address where the stratum is 2 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(example = &"LOCL")]
pub struct ReferenceId(pub sidereal_ntp::ReferenceId);

impl FromStr for ReferenceId {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let address = text.parse().ok().map(sidereal_ntp::ReferenceId::from_ipv4);
        address.or_else(|| sidereal_ntp::ReferenceId::from_name(text)).map(Self).ok_or_else(|| {
            Invalid::new(
                format!("{text:?} is not a reference identifier"),
                "write 1 to 4 ASCII characters without spaces, such as \"LOCL\" or \"GPS\", or an IPv4 address",
            )
        })
    }
}

impl fmt::Display for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of client addresses: a network and the length of its prefix. A bare address stands for itself alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(example = &"10.0.0.0/8")]
pub struct Prefix(pub IpNet);

impl FromStr for Prefix {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
            Invalid::new(
                format!("{text:?} is not a range of addresses"),
                "write a network and its prefix length, such as \"10.0.0.0/8\" or \"fd77::/64\"",
            )
        })?;
        if net.trunc() == net {
            Ok(Self(net))
        } else {
            Err(Invalid::new(
                format!("{text:?} has address bits behind its prefix length"),
                format!("write \"{}\" for the network, \"{}\" for the one address", net.trunc(), net.addr()),
            ))
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A path from the root of the file system: a daemon's working directory is nobody's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^/"))]
pub struct AbsolutePath(PathBuf);

impl AbsolutePath {
    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for AbsolutePath {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.starts_with('/') && !text.contains('\0') {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new(format!("{text:?} is not an absolute path"), "write the whole path, from `/` on"))
        }
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// The path of a Unix socket, from the root of the file system, at most 80 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^/"))]
pub struct SocketPath(AbsolutePath);

impl SocketPath {
    /// The longest path, in bytes: the kernel's 107, less what a client's own socket beside it adds.
    const MAX: usize = 80;

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        self.0.as_path()
    }
}

impl FromStr for SocketPath {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() > Self::MAX {
            let remedy =
                format!("write a path of at most {} bytes: Unix sockets have no room for longer ones", Self::MAX);
            return Err(Invalid::new(format!("{text:?} has {} bytes", text.len()), remedy));
        }
        text.parse().map(Self)
    }
}

impl fmt::Display for SocketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is logged: `error`, `warn`, `info`, `debug` or `trace`, and exceptions by module: `info,sidereal_engine=debug`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(example = &"info")]
pub struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        // The filter's own parser takes any word for the name of a module; a level alone is what people mistype.
        let known = |part: &str| {
            part.contains('=') || ["off", "error", "warn", "info", "debug", "trace"].contains(&part.trim())
        };
        let parses = tracing_subscriber::EnvFilter::try_new(text).is_ok();
        if parses && text.split(',').all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                format!("{text:?} is not a log level"),
                "write one of \"error\", \"warn\", \"info\", \"debug\", \"trace\", with exceptions by module if wanted: \
                 \"info,sidereal_engine=debug\"",
            ))
        }
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
