//! The values that say where time comes from.

use core::fmt;
use core::str::FromStr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidereal_time::Span;
use std::net::IpAddr;
use std::time::Duration;

use super::{Invalid, Length, written_as_text};

written_as_text!(SourceName, HostAddress, DevicePath, Correction);

/// The name of a source in `sidereal sources` and in the log: 1 to 64 characters without spaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^\S{1,64}$"), example = &"gps")]
pub struct SourceName(String);

impl FromStr for SourceName {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let illegal = |c: char| c.is_whitespace() || c.is_control();
        if (1..=64).contains(&text.chars().count()) && !text.contains(illegal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                format!("{text:?} is not the name of a source"),
                "write 1 to 64 characters without spaces, such as \"gps\"",
            ))
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a server is: an IP address, or a name that DNS or the hosts file knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", example = &"10.77.0.1", example = &"ntp.example.org")]
pub enum HostAddress {
    /// At this address.
    Ip(IpAddr),
    /// Where the name says (RFC 1123 §2.1).
    Name(String),
}

impl HostAddress {
    /// The longest name, in bytes (RFC 1035 §2.3.4).
    const MAX: usize = 253;
    /// The longest part of a name between two dots, in bytes.
    const LABEL_MAX: usize = 63;

    fn is_name(text: &str) -> bool {
        let label = |label: &str| {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=Self::LABEL_MAX).contains(&label.len())
                && label.bytes().all(legal)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // What ends in a number is an address that went wrong.
        let is_number = |last: &str| last.bytes().all(|byte| byte.is_ascii_digit());
        let absolute = text.strip_suffix('.').unwrap_or(text);
        absolute.len() <= Self::MAX
            && absolute.split('.').all(label)
            && !absolute.rsplit('.').next().is_some_and(is_number)
    }
}

impl FromStr for HostAddress {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => Err(Invalid::new(
                format!("{text:?} is no server's address"),
                "write the server's own address, or its name",
            )),
            Ok(ip) => Ok(Self::Ip(ip)),
            Err(_) if Self::is_name(text) => Ok(Self::Name(text.to_owned())),
            Err(_) => Err(Invalid::new(
                format!("{text:?} is neither an IP address nor the name of a host"),
                "write an address (\"10.77.0.1\", \"fd77::1\") or a name (\"ntp.example.org\"); the UDP port is a key of \
                 its own, `port`",
            )),
        }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The path of a device, below `/dev`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^/dev/."), example = &"/dev/ptp0")]
pub struct DevicePath(String);

impl DevicePath {
    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl FromStr for DevicePath {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name = text.strip_prefix("/dev/").filter(|name| !name.is_empty() && !name.contains(['\0', '\n']));
        name.map(|_| Self(text.to_owned())).ok_or_else(|| {
            Invalid::new(format!("{text:?} is not the path of a device"), "write a path such as \"/dev/ptp0\"")
        })
    }
}

impl fmt::Display for DevicePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is added to a time: a length of time, with `-` before it where it is to be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", example = &"-250us")]
pub struct Correction {
    /// Whether it is taken away.
    pub negative: bool,
    /// How much; less than an hour.
    pub length: Duration,
}

impl Correction {
    /// What is further off is no error of a path or a cable.
    const LIMIT: Duration = Duration::from_secs(3600);

    /// As the rest of the program has it.
    #[must_use]
    pub fn as_span(self) -> Span {
        let length = Length(self.length).as_span();
        if self.negative { -length } else { length }
    }
}

impl FromStr for Correction {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let Ok(Length(length)) = rest.parse() else {
            return Err(Invalid::new(
                format!("{text:?} is not a correction"),
                "write a length of time with its sign, such as \"-250us\" or \"1.5ms\"",
            ));
        };
        if length >= Self::LIMIT {
            return Err(Invalid::new(
                format!("{text:?} is an hour or more"),
                "write what the path or the cable adds; a whole time zone is not one of them",
            ));
        }
        Ok(Self { negative: negative && !length.is_zero(), length })
    }
}

impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negative { "-" } else { "" }, Length(self.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_names() {
        for (text, is_name) in [
            ("10.77.0.1", Some(false)),
            ("fd77::1", Some(false)),
            ("ntp.example.org", Some(true)),
            ("time-a_1.example.", Some(true)),
            ("3.pool.ntp.org", Some(true)),
            ("localhost", Some(true)),
            ("10.77.0.300", None),
            ("10.77.0.1:123", None),
            ("[fd77::1]", None),
            ("0.0.0.0", None),
            ("::", None),
            ("-a.example", None),
            ("a..b", None),
            ("", None),
            ("a b", None),
        ] {
            let host = text.parse::<HostAddress>();
            assert_eq!(host.as_ref().ok().map(|host| matches!(host, HostAddress::Name(_))), is_name, "{text}");
            if let Ok(host) = host {
                assert_eq!(host.to_string().parse(), Ok(host));
            }
        }
        assert!(format!("{}.a", "x".repeat(64)).parse::<HostAddress>().is_err());
        assert!(["abcdefgh."; 32].concat().parse::<HostAddress>().is_err());
    }

    #[test]
    fn corrections_have_a_sign() {
        for (text, negative, nanos) in
            [("1ms", false, 1_000_000), ("+20us", false, 20_000), ("-1s 5ns", true, 1_000_000_005), ("-0s", false, 0)]
        {
            let correction: Correction = text.parse().unwrap();
            assert_eq!((correction.negative, correction.length), (negative, Duration::from_nanos(nanos)), "{text}");
            assert_eq!(correction.to_string().parse(), Ok(correction));
        }
        for text in ["", "-", "5", "--1s", "1h"] {
            assert!(text.parse::<Correction>().is_err(), "{text}");
        }
    }

    #[test]
    fn devices_are_below_dev() {
        assert!("/dev/ptp0".parse::<DevicePath>().is_ok());
        for text in ["ptp0", "/dev/", "/tmp/ptp0", ""] {
            assert!(text.parse::<DevicePath>().is_err(), "{text}");
        }
    }
}
