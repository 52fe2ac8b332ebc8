//! Whom to ask, as people write it.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

use ipnet::IpNet;

/// The most targets of one probe.
pub const MAX_TARGETS: usize = 100_000;

/// Targets as they are written: `ntp1.example`, `ntp1.example:1123`, `192.0.2.1`, `[2001:db8::1]:123`, `192.0.2.0/24`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetSpec {
    /// One address; the usual port where none is given.
    Address(IpAddr, Option<u16>),
    /// A name to look up, likewise.
    Name(String, Option<u16>),
    /// All hosts of a prefix.
    Prefix(IpNet),
}

/// Why targets cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// In no known notation.
    #[error(
        "{0:?} is no target: write a name or an address, with :PORT if it is not the usual, or a prefix (192.0.2.0/24)"
    )]
    Notation(String),
    /// More hosts than can be probed.
    #[error("{0} has more than {MAX_TARGETS} hosts: take a longer prefix")]
    PrefixTooLarge(IpNet),
}

impl FromStr for TargetSpec {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Notation(text.to_owned());
        if text.contains('/') {
            return text.parse().map(Self::Prefix).map_err(|_| wrong());
        }
        // An IPv6 address may stand in brackets, as in a URL.
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address, None));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err(wrong())
            } else {
                Ok(Self::Address(address.ip(), Some(address.port())))
            };
        }
        let (name, port) = match text.split_once(':') {
            None => (text, None),
            Some((name, port)) => (name, Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?)),
        };
        // All that is digits and dots was meant to be an address.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_number = name.chars().all(|c| c.is_ascii_digit() || c == '.');
        if is_number || name.starts_with('-') || !name.chars().all(is_name) {
            return Err(wrong());
        }
        Ok(Self::Name(name.to_owned(), port))
    }
}

impl TargetSpec {
    /// The targets in the lines of a file: one in each, blank lines and what follows a `#` aside.
    ///
    /// # Errors
    /// The number of the line, counted from 1, and what is wrong there.
    pub fn of_lines(text: &str) -> Result<Vec<Self>, (usize, TargetError)> {
        let lines = text.lines().zip(1..).map(|(line, number)| {
            let target = line.split_once('#').map_or(line, |(target, _)| target).trim();
            (!target.is_empty()).then(|| target.parse().map_err(|error| (number, error)))
        });
        lines.flatten().collect()
    }

    /// The addresses of a prefix's hosts, without the network's own and the broadcast address.
    ///
    /// # Errors
    /// Where there are more than [`MAX_TARGETS`].
    pub fn hosts(prefix: IpNet) -> Result<Vec<IpAddr>, TargetError> {
        let hosts: Vec<_> = prefix.hosts().take(MAX_TARGETS + 1).collect();
        if hosts.len() > MAX_TARGETS { Err(TargetError::PrefixTooLarge(prefix)) } else { Ok(hosts) }
    }
}

/// As it was written, without what can be left out.
impl fmt::Display for TargetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, None) => address.fmt(f),
            Self::Address(address, Some(port)) => SocketAddr::new(*address, *port).fmt(f),
            Self::Name(name, None) => f.write_str(name),
            Self::Name(name, Some(port)) => write!(f, "{name}:{port}"),
            Self::Prefix(prefix) => prefix.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<TargetSpec, TargetError> {
        text.parse()
    }

    #[test]
    fn targets_are_read_as_people_write_them() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (text, target) in [
            ("192.0.2.1", TargetSpec::Address(ip("192.0.2.1"), None)),
            ("192.0.2.1:1123", TargetSpec::Address(ip("192.0.2.1"), Some(1123))),
            ("2001:db8::1", TargetSpec::Address(ip("2001:db8::1"), None)),
            ("[2001:db8::1]", TargetSpec::Address(ip("2001:db8::1"), None)),
            ("[2001:db8::1]:124", TargetSpec::Address(ip("2001:db8::1"), Some(124))),
            ("ntp-1.example", TargetSpec::Name("ntp-1.example".into(), None)),
            ("3com.example:1", TargetSpec::Name("3com.example".into(), Some(1))),
            ("192.0.2.0/24", TargetSpec::Prefix("192.0.2.0/24".parse().unwrap())),
        ] {
            assert_eq!(parse(text), Ok(target), "{text}");
        }
        for wrong in [
            "",
            ":",
            "a:",
            "a:0",
            "a:65536",
            "192.0.2.1:0",
            "192.0.2",
            "192.0.2.256",
            "1/2/3",
            "a/24",
            "a b",
            "-x",
            "a:b:c",
        ] {
            assert_eq!(parse(wrong), Err(TargetError::Notation(wrong.into())), "{wrong}");
        }
    }

    #[test]
    fn files_have_comments_and_their_errors_have_lines() {
        let text = "# a plant\nntp1.example   # the first\n\n  192.0.2.7:124\n";
        let targets: Vec<String> = TargetSpec::of_lines(text).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["ntp1.example", "192.0.2.7:124"]);
        assert_eq!(TargetSpec::of_lines("a\n\nb c\n"), Err((3, TargetError::Notation("b c".into()))));
        assert_eq!(TargetSpec::of_lines(""), Ok(Vec::new()));
    }

    #[test]
    fn prefixes_are_their_hosts_unless_they_are_too_many() {
        let hosts = |text: &str| TargetSpec::hosts(text.parse().unwrap());
        let count = |text| hosts(text).unwrap().len();
        assert_eq!([count("192.0.2.0/24"), count("192.0.2.0/31"), count("192.0.2.7/32")], [254, 2, 1]);
        for (text, too_large) in [("10.0.0.0/8", true), ("10.0.0.0/16", false), ("fd00::/64", true)] {
            assert_eq!(hosts(text).is_err(), too_large, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_means_the_same_when_it_is_written_again(text in "\\PC{0,30}") {
            if let Ok(target) = parse(&text) {
                prop_assert_eq!(parse(&target.to_string()), Ok(target));
            }
        }

        #[test]
        fn what_might_be_a_target_too(text in "[a-c0-2.:/\\[\\]-]{0,20}") {
            if let Ok(target) = parse(&text) {
                prop_assert_eq!(parse(&target.to_string()), Ok(target));
            }
        }
    }
}
